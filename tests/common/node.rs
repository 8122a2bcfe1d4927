//! A node: podman with hooks of its own, runc or crun, and small container roots that a test may damage.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{bare, command, program, root, shim, succeed, text};
use super::debian;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The annotation that asks for evercall.
pub const ASKED: &str = "--annotation=org.evercall.inject=true";

/// The program that is run, and its argument.
pub const LEGACY: [&str; 2] = ["/opt/legacy", "release"];

/// A node; the test is skipped where there can be none.
#[allow(unused_macros)]
macro_rules! node {
    () => {
        match Node::new() {
            Ok(node) => node,
            Err(reason) => skip!("{reason}"),
        }
    };
}
#[allow(unused_imports)]
pub(crate) use node;

/// What is run before podman in a mount namespace of its own: crun 1.8 refuses a machine that has cgroup v2 beside v1;
/// CDI specifications are looked for in /run/cdi. INSTALLED is a folder whose usr/ lies over /usr, as after an
/// installation, and whose log/ stands for /var/log.
const PREPARE: &str = r#"umount -l /sys/fs/cgroup/unified 2>/dev/null
if [ -n "$CDI" ]; then mount -t tmpfs none /run && mkdir /run/cdi && cp "$CDI" /run/cdi/; fi
if [ -n "$INSTALLED" ]; then
    mount -t overlay none -o "lowerdir=$INSTALLED/usr:/usr" /usr && mount --bind "$INSTALLED/log" /var/log || exit 99
fi
exec "$@""#;

pub struct Node {
    /// Gone when the test ends.
    pub folder: TempDir,
    libc: PathBuf,
}

impl Node {
    /// An error says what this machine lacks.
    pub fn new() -> Result<Node, String> {
        static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        // SAFETY: geteuid only gives a number.
        if unsafe { libc::geteuid() } != 0 {
            return Err("needs root".into());
        }
        let libc = READY.get_or_init(|| debian::root("libc", "bullseye")).clone()?;
        let node = Node { folder: TempDir::new().expect("a temporary folder"), libc };
        let root = node.root("first");
        let first = node.run("runc", &[], &root, &["/opt/legacy", "none"]);
        if first.status.success() {
            return Ok(node);
        }
        Err(format!("podman cannot run here: {}", text(&first.stderr).trim_end().replace('\n', "; ")))
    }

    /// A path in the node's folder.
    pub fn here(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A small root: bullseye's C library, and `legacy` built for it.
    pub fn root(&self, name: &str) -> PathBuf {
        let root = self.here(name);
        for folder in ["etc", "opt", "lib64", "usr/lib", "lib/x86_64-linux-gnu"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (from, to) in [
            ("lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6"),
            ("lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
        ] {
            fs::copy(self.libc.join(from), root.join(to)).unwrap();
        }
        self.build(&[], "test-programs/legacy.c", &root.join("opt/legacy"));
        root
    }

    /// Adds 32-bit programs to a root: glibc of this machine, for which `$LIB` is lib32, and `/opt/legacy32`.
    pub fn with_32_bit(&self, root: &Path) {
        fs::create_dir_all(root.join("lib32")).unwrap();
        let small = succeed(bare("cc").args(["-m32", "-print-file-name=libc.so.6"])).stdout;
        fs::copy(text(&small).trim_end(), root.join("lib32/libc.so.6")).unwrap();
        let loader = fs::canonicalize("/lib/ld-linux.so.2").expect("gcc-multilib is installed");
        fs::copy(loader, root.join("lib/ld-linux.so.2")).unwrap();
        fs::copy(program("legacy.i386"), root.join("opt/legacy32")).unwrap();
    }

    /// The folder of libraries, as it is installed, below another.
    pub fn libraries(&self, below: &str) -> PathBuf {
        let folder = self.here(below).join("usr/lib/evercall");
        succeed(bare(command()).args(["generate", "libraries"]).arg(shim()).arg(&folder));
        folder
    }

    /// Builds for the roots.
    pub fn build(&self, options: &[&str], source: impl AsRef<Path>, to: &Path) {
        let source = root().join(source);
        succeed(debian::compiler(&self.libc).args(options).arg("-o").arg(to).arg(source));
    }

    /// A shared object for a root that says `mark` when it is loaded.
    pub fn mark(&self, to: &Path) {
        let source = self.here("mark.c");
        let text = "#include <unistd.h>\n__attribute__((constructor)) static void said(void) { if (write(1, \"mark\\n\", 5)) {} }\n";
        fs::write(&source, text).unwrap();
        self.build(&["-shared", "-fPIC"], &source, to);
    }

    /// Installs a hook of `evercall hook` with options for a stage; its log is `hook.log`.
    pub fn hook(&self, name: &str, stage: &str, options: &[&str]) {
        let folder = self.here("hooks");
        fs::create_dir_all(&folder).unwrap();
        let (lib, log) = (shim().display().to_string(), self.here("hook.log").display().to_string());
        let own = ["--lib", lib.as_str()];
        let own = if options.contains(&"--lib") { &[][..] } else { &own };
        let args = [&["evercall", "hook", "--log-file", &log], own, options, &[stage]].concat();
        let hook = serde_json::json!({
            "version": "1.0.0",
            "hook": { "path": command(), "args": args },
            "when": { "always": true },
            "stages": [stage],
        });
        fs::write(folder.join(format!("{name}.json")), hook.to_string()).unwrap();
    }

    /// Takes all hooks away.
    pub fn no_hooks(&self) {
        let _ = fs::remove_dir_all(self.here("hooks"));
        let _ = fs::remove_file(self.here("hook.log"));
    }

    /// What the hooks have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.here("hook.log")).unwrap_or_default()
    }

    /// podman with storage of its own, and a command of podman's.
    pub fn podman(&self, runtime: &str) -> Command {
        let mut podman = bare("unshare");
        podman.args(["--mount", "sh", "-c", PREPARE, "sh", "podman"]);
        podman.arg("--root").arg(self.here("storage")).arg("--runroot").arg(self.here("run"));
        podman.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
        podman.arg(format!("--runtime={runtime}")).arg("--hooks-dir").arg(self.here("hooks"));
        fs::create_dir_all(self.here("hooks")).unwrap();
        podman
    }

    /// `podman run` over a root, which it writes to.
    pub fn run(&self, runtime: &str, options: &[&str], root: impl AsRef<Path>, command: &[&str]) -> Output {
        let mut podman = self.podman(runtime);
        self.with_run(&mut podman, options, root, command).output().unwrap_or_else(|e| panic!("podman: {e}"))
    }

    /// Adds `run` and its arguments to a command of podman's.
    pub fn with_run<'c>(
        &self,
        podman: &'c mut Command,
        options: &[&str],
        root: impl AsRef<Path>,
        command: &[&str],
    ) -> &'c mut Command {
        podman.args(["run", "--rm", "--log-driver=none", "--network=none"]);
        podman.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        podman.args(options).arg("--rootfs").arg(root.as_ref()).args(command)
    }
}

/// Whether `/opt/legacy release` said what it says under the shim, or bare.
pub fn is_translated(output: &Output) -> bool {
    let said = text(&output.stdout);
    assert!(said.contains("sysctl kern.osrelease"), "legacy did not run: {said}{}", text(&output.stderr));
    !said.contains(" fails: ")
}

/// A folder beside the roots, to which links lead.
pub fn outside(node: &Node) -> PathBuf {
    let outside = node.here("outside");
    fs::create_dir_all(outside.join("folder")).unwrap();
    fs::write(outside.join("file"), "the host's\n").unwrap();
    outside
}

/// All that is below a folder: names, kinds, contents of files.
pub fn listing(folder: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        let content =
            if kind.is_file() { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        out.push(format!("{} {:?} {content}", path.display(), kind.file_type()));
        if kind.is_dir() {
            out.extend(listing(&path));
        }
    }
    out.sort();
    out
}

/// A symbolic link in the place of whatever is there.
pub fn link(root: &Path, at: &str, to: impl AsRef<Path>) {
    let at = root.join(at);
    if at.is_dir() {
        fs::rename(&at, root.join("moved")).unwrap();
    }
    symlink(to, at).unwrap();
}
