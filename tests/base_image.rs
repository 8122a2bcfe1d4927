//! The base image: made without an engine, taken by the tools of others, and copied into old images by the Dockerfile
//! of `deploy/` as it stands.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/podman.rs"]
mod podman;

use common::{bare, program, root, succeed, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Makes the image in a folder; gives its path.
fn make(folder: &Path) -> PathBuf {
    let mut command = bare("sh");
    command.arg(root().join("packaging/image.sh")).arg(folder.join("evercall.tar"));
    PathBuf::from(text(&succeed(&mut command).stdout).trim_end())
}

fn sh(folder: &Path, script: &str) -> String {
    text(&succeed(bare("sh").args(["-euc", script]).current_dir(folder)).stdout)
}

/// Storage of podman's own, with an image in it.
struct Engine(TempDir);

impl Engine {
    /// An error says what this machine lacks.
    fn new() -> Result<Engine, String> {
        podman::needs_root()?;
        let engine = Engine(TempDir::new().unwrap());
        let image = make(engine.0.path());
        let output = engine.podman(&["load", "-q", "-i", &image.display().to_string()]).output();
        let output = output.map_err(|error| format!("podman: {error}"))?;
        if !output.status.success() {
            return Err(format!("podman cannot load an image here: {}", text(&output.stderr).trim_end()));
        }
        Ok(engine)
    }

    fn podman(&self, arguments: &[&str]) -> Command {
        let here = |name: &str| self.0.path().join(name).display().to_string();
        let mut podman = bare("podman");
        podman
            .args(["--root", &here("storage"), "--runroot", &here("run"), "--storage-driver=overlay"])
            .args(["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none"])
            .args(arguments);
        podman
    }

    /// Runs a command in a container.
    fn run(&self, options: &[&str], image: &str, command: &[&str]) -> Output {
        let mut podman = self.podman(&["run", "--rm", "--log-driver=none", "--network=none"]);
        podman.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        podman.args(options).arg(image).args(command).output().unwrap()
    }

    /// Makes an image of a folder, and builds another on it by the Dockerfile.
    fn build(&self, name: &str, folder: &Path, changes: &[&str]) -> String {
        let archive = self.0.path().join("root.tar");
        succeed(bare("tar").arg("-C").arg(folder).arg("-cf").arg(&archive).arg("."));
        let changes: Vec<String> = changes.iter().map(|change| format!("--change={change}")).collect();
        let mut import = self.podman(&["import", "-q"]);
        succeed(import.args(changes).arg(&archive).arg(format!("localhost/{name}")));
        fs::remove_file(archive).unwrap();
        let built = format!("localhost/{name}-evercall");
        let context = self.0.path().join("context");
        fs::create_dir_all(&context).unwrap();
        let mut build = self.podman(&["build", "-q", "--network=none", "-t", &built, "-f"]);
        build.arg(root().join("deploy/Dockerfile.example"));
        succeed(build.arg(format!("--build-arg=BASE=localhost/{name}")).arg(context));
        built
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Mounts of the overlay, which a temporary folder cannot be removed with.
        let _ = self.podman(&["unmount", "--all"]).output();
        let _ = bare("umount").arg(self.0.path().join("storage/overlay")).output();
    }
}

macro_rules! engine {
    () => {
        match Engine::new() {
            Ok(engine) => engine,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// Copies files into a root, each as `TARGET=SOURCE`; what a link leads to, not the link.
fn fill(folder: &Path, files: &[(&str, PathBuf)]) {
    for directory in ["proc", "sys", "dev"] {
        fs::create_dir_all(folder.join(directory)).unwrap();
    }
    for (target, source) in files {
        let target = folder.join(target);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(source, target).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }
}

/// What `legacy` says to a question where the host answers.
fn native(question: &str) -> String {
    text(&succeed(bare(program("legacy")).arg(question)).stdout)
}

#[test]
fn the_same_files_make_the_same_image_that_other_tools_take() {
    let folder = TempDir::new().unwrap();
    let image = make(folder.path());
    let first = fs::read(&image).unwrap();
    // Over itself: it is replaced.
    make(folder.path());
    assert!(fs::read(&image).unwrap() == first);

    let inspected = sh(folder.path(), "skopeo inspect oci-archive:evercall.tar");
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let label = |name: &str| inspected["Labels"][format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), "MIT OR Apache-2.0");
    assert_eq!(label("source"), serde_json::Value::Null);
    assert_eq!((&inspected["Os"], &inspected["Architecture"]), (&"linux".into(), &"amd64".into()));
    // As Docker reads it: the same config.
    let config =
        |from: &str| sh(folder.path(), &format!("skopeo inspect --config --raw {from}:evercall.tar"));
    assert_eq!(config("oci-archive"), config("docker-archive"));
    // Its time is the commit's, or what the caller says.
    let made = "SOURCE_DATE_EPOCH=1000000000 SOURCE_URL=https://example.org/evercall sh \"$0\" dated.tar >&2
                skopeo inspect oci-archive:dated.tar";
    let made = made.replace("$0", &root().join("packaging/image.sh").display().to_string());
    let dated: serde_json::Value = serde_json::from_str(&sh(folder.path(), &made)).unwrap();
    assert_eq!(dated["Created"], "2001-09-09T01:46:40Z");
    assert_eq!(dated["Labels"]["org.opencontainers.image.source"], "https://example.org/evercall");

    let script = "skopeo copy -q oci-archive:evercall.tar oci:layout:latest
        umoci unpack --rootless --image layout:latest bundle >&2
        cd bundle/rootfs && find . ! -type d | LC_ALL=C sort";
    let unpacked = sh(folder.path(), script);
    let due = "./usr/bin/evercall\n\
               ./usr/lib/evercall/$LIB/libevercall.so\n\
               ./usr/lib/evercall/lib/i386-linux-gnu/libevercall.so\n\
               ./usr/lib/evercall/lib/libevercall.so\n\
               ./usr/lib/evercall/lib/x86_64-linux-gnu/libevercall.so\n\
               ./usr/lib/evercall/lib/x86_64-linux-gnux32/libevercall.so\n\
               ./usr/lib/evercall/lib32/libevercall.so\n\
               ./usr/lib/evercall/lib64/libevercall.so\n\
               ./usr/lib/evercall/libevercall.so\n\
               ./usr/lib/evercall/libx32/libevercall.so\n\
               ./usr/share/doc/evercall/LICENSE-APACHE\n\
               ./usr/share/doc/evercall/LICENSE-MIT\n\
               ./usr/share/doc/evercall/third-party-licences.txt\n";
    assert_eq!(unpacked, due);
    let here = folder.path().join("bundle/rootfs");
    assert!(fs::read(here.join("usr/bin/evercall")).unwrap() == fs::read(common::command()).unwrap());
    let library = here.join("usr/lib/evercall/lib/x86_64-linux-gnu/libevercall.so");
    assert!(fs::read(library).unwrap() == fs::read(common::shim()).unwrap());
}

/// A dynamic command would not run from scratch.
#[test]
fn a_command_that_is_not_static_is_refused() {
    let folder = TempDir::new().unwrap();
    let output = bare(common::command())
        .args(["generate", "image", "-o", "image.tar", "--command", "/bin/true", "--library"])
        .arg(common::shim())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "evercall: /bin/true is no static program: make command builds one\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_image_itself_runs_the_command() {
    let engine = engine!();
    let output = engine.run(&[], "evercall", &["--version"]);
    assert_eq!(text(&output.stdout), format!("evercall {}\n", env!("CARGO_PKG_VERSION")), "{output:?}");
    let output = engine.run(&[], "evercall", &["probe", "--format", "json"]);
    let profile: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(profile["syscalls"]["_sysctl"], "ENOSYS");
    // Without a word more: the help.
    assert!(text(&engine.run(&[], "evercall", &[]).stdout).contains("Usage: evercall"));
}

/// Debian: `COPY --from=evercall / /`, and the program lives with no option given, also past an emptied environment.
#[test]
fn a_debian_image_is_built_on() {
    let engine = engine!();
    let (base, libc) = match (debian::root("base", "bullseye"), debian::root("libc", "bullseye")) {
        (Ok(base), Ok(libc)) => (base, libc),
        (Err(reason), _) | (_, Err(reason)) => skip!("{reason}"),
    };
    let built = engine.build("old", &base, &[]);
    let legacy = engine.0.path().join("legacy");
    let source = root().join("test-programs/legacy.c");
    succeed(debian::compiler(&libc).arg("-o").arg(&legacy).arg(source));
    let volume = format!("--volume={}:/legacy:ro", legacy.display());
    let bare = engine.run(&[&volume], "localhost/old", &["/legacy", "ustat"]);
    assert!(text(&bare.stdout).contains("fails"), "{bare:?}");
    let script = "/legacy ustat; env -i /legacy ustat; evercall run /legacy ustat";
    let output = engine.run(&[&volume, "--env=EVERCALL_LOG=all"], &built, &["sh", "-c", script]);
    assert_eq!(text(&output.stdout), native("ustat").repeat(3), "{output:?}");
    assert_eq!(text(&output.stderr).matches(" ustat: ").count(), 3, "{output:?}");
    assert!(!text(&output.stderr).contains("ERROR"), "{output:?}");
}

/// musl replaces no `$LIB`: the same path works by a folder of that name. A preload that was there stays.
#[test]
fn a_musl_image_is_built_on() {
    let engine = engine!();
    let folder = TempDir::new().unwrap();
    let loader = PathBuf::from("/lib/ld-musl-x86_64.so.1");
    fill(folder.path(), &[("lib/ld-musl-x86_64.so.1", loader), ("bin/legacy", program("legacy.musl"))]);
    let built =
        engine.build("musl", folder.path(), &["ENV=LD_PRELOAD=/other.so", "CMD=[\"/bin/legacy\",\"ustat\"]"]);
    let output = engine.run(&["--env=EVERCALL_LOG=all"], &built, &[]);
    assert_eq!(text(&output.stdout), native("ustat"), "{output:?}");
    assert_eq!(text(&output.stderr).matches(" ustat: ").count(), 1, "{output:?}");
    let env = text(&succeed(&mut engine.podman(&["inspect", "--format", "{{.Config.Env}}", &built])).stdout);
    assert!(env.contains("LD_PRELOAD=/usr/lib/evercall/$LIB/libevercall.so:/other.so"), "{env}");
}

/// 32-bit programs beside 64-bit ones, where `$LIB` is what Debian's loaders make of it, and what Red Hat's do: no loader
/// says a word, and the 64-bit one is answered.
#[test]
fn no_loader_complains_of_a_foreign_elf_class() {
    let engine = engine!();
    for (name, lib64, lib32) in [("debian", "lib/x86_64-linux-gnu", "lib32"), ("redhat", "lib64", "lib")] {
        let folder = TempDir::new().unwrap();
        let from = |path: &str| PathBuf::from(path);
        fill(
            folder.path(),
            &[
                ("lib64/ld-linux-x86-64.so.2", from("/lib64/ld-linux-x86-64.so.2")),
                ("lib/x86_64-linux-gnu/libc.so.6", from("/lib/x86_64-linux-gnu/libc.so.6")),
                ("lib/ld-linux.so.2", from("/lib32/ld-linux.so.2")),
                ("lib32/libc.so.6", from("/lib32/libc.so.6")),
                ("bin/legacy", program("legacy")),
                ("bin/legacy.i386", program("legacy.i386")),
            ],
        );
        // No loader of Red Hat's is at hand: Debian's, with its text for `$LIB` made theirs.
        respell(&folder.path().join("lib64/ld-linux-x86-64.so.2"), "lib/x86_64-linux-gnu", lib64);
        respell(&folder.path().join("lib/ld-linux.so.2"), "lib32", lib32);
        let built = engine.build(name, folder.path(), &[]);
        let output = engine.run(&[], &built, &["/bin/legacy", "ustat"]);
        assert_eq!(text(&output.stdout), native("ustat"), "{name}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{name}");
        let output = engine.run(&[], &built, &["/bin/legacy.i386", "epoll"]);
        assert_eq!(text(&output.stderr), "", "{name}");
        assert!(text(&output.stdout).contains("epoll_create"), "{name}: {output:?}");
        // That it would: a path that leads nowhere for them.
        let nowhere = "--env=LD_PRELOAD=/usr/lib/evercall/libevercall.so";
        let output = engine.run(&[nowhere], &built, &["/bin/legacy.i386", "epoll"]);
        assert!(text(&output.stderr).contains("wrong ELF class"), "{name}: {output:?}");
    }
}

/// Puts another text, no longer, in the place of one that stands in a file by itself.
fn respell(file: &Path, text: &str, by: &str) {
    let mut bytes = fs::read(file).unwrap();
    let text = [b"\0", text.as_bytes(), b"\0"].concat();
    let mut by = [b"\0", by.as_bytes()].concat();
    by.resize(text.len(), 0);
    let found: Vec<usize> =
        bytes.windows(text.len()).enumerate().filter(|(_, at)| *at == text).map(|(at, _)| at).collect();
    assert_eq!(found.len(), 1, "{}", file.display());
    bytes[found[0]..found[0] + by.len()].copy_from_slice(&by);
    fs::write(file, bytes).unwrap();
}
