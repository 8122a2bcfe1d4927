//! A real container: podman with runc, a Debian bullseye root, podman's default seccomp profile. A legacy
//! program fails in it, and works and is logged with the shim mounted in and preloaded.
//!
//! The root is made once by debootstrap, in about a minute, and kept in /var/cache/evercall.

mod common;
#[path = "common/debian.rs"]
mod debian;

use common::{shim, succeed, text};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// What `legacy` is asked that podman's profile refuses.
const REFUSED: [&str; 4] = ["release", "somaxconn", "ustat", "sysfs"];

/// A bullseye root, and `legacy` built against bullseye's libc.
struct Image {
    root: PathBuf,
    folder: TempDir,
}

impl Image {
    /// An error says what this machine lacks.
    fn new() -> Result<Image, String> {
        // One at a time: the tests of this file share what the script leaves.
        static ROOTS: OnceLock<Result<(PathBuf, PathBuf), String>> = OnceLock::new();
        // SAFETY: geteuid only gives a number.
        if unsafe { libc::geteuid() } != 0 {
            return Err("needs root".to_owned());
        }
        let roots =
            || debian::root("base", "bullseye").and_then(|b| Ok((b, debian::root("libc", "bullseye")?)));
        let (root, libc) = ROOTS.get_or_init(roots).clone()?;
        let folder = TempDir::new().expect("a temporary folder");
        let source = common::root().join("test-programs/legacy.c");
        succeed(debian::compiler(&libc).arg("-o").arg(folder.path().join("legacy")).arg(source));
        let image = Image { root, folder };
        let first = image.run(&[], &["/bin/true"]);
        if first.status.success() {
            return Ok(image);
        }
        Err(format!("podman cannot run here: {}", text(&first.stderr).trim_end().replace('\n', "; ")))
    }

    /// `podman run`, in the form that works as root in a bare virtual machine: storage, logs and events of
    /// its own and not the machine's; no network; limits below the machine's, since podman's own defaults
    /// are above what a virtual machine may have; the root under an overlay, so that it stays as it is.
    fn podman(&self) -> Command {
        let here = |name: &str| self.folder.path().join(name).display().to_string();
        let mut podman = common::bare("podman");
        podman
            .args(["--root", &here("storage"), "--runroot", &here("run"), "--storage-driver=vfs"])
            .args(["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none"])
            .args(["run", "--rm", "--log-driver=none", "--network=none"])
            .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"])
            .arg(format!("--volume={}:/opt/legacy:ro", here("legacy")));
        podman
    }

    /// Runs a command in the container, with more options of podman's.
    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let mut podman = self.podman();
        podman.args(options).arg("--rootfs").arg(format!("{}:O", self.root.display())).args(command);
        podman.output().unwrap_or_else(|e| panic!("podman: {e}"))
    }

    /// The same with the shim mounted in, read-only, and preloaded.
    fn run_under_shim(&self, options: &[&str], command: &[&str]) -> Output {
        let volume = format!("--volume={}:/opt/libevercall.so:ro", shim().display());
        let preload = "--env=LD_PRELOAD=/opt/libevercall.so";
        self.run(&[&[&volume, preload, "--env=EVERCALL_LOG=all"], options].concat(), command)
    }

    /// The right answers to what the profile refuses: from the container's /proc, and from the host's kernel.
    fn right_answers(&self) -> String {
        let proc = self.run(&[], &["cat", "/proc/sys/kernel/osrelease", "/proc/sys/net/core/somaxconn"]);
        let proc = text(&proc.stdout);
        let mut values = proc.lines();
        let mut line = |what: &str| format!("{what:<28} {}\n", values.next().expect("a value of /proc"));
        let right = line("sysctl kern.osrelease") + &line("sysctl net.core.somaxconn");
        let native = common::bare(common::program("legacy")).args(["ustat", "sysfs"]).output();
        right + &text(&native.expect("legacy runs").stdout)
    }
}

/// The image, or the end of a test that this machine cannot run.
macro_rules! image {
    () => {
        match Image::new() {
            Ok(image) => image,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// `/opt/legacy` with the questions.
fn legacy<'a>(questions: &[&'a str]) -> Vec<&'a str> {
    [&["/opt/legacy"], questions].concat()
}

/// Without the shim every question fails: podman's profile refuses the calls, one way or the other.
#[test]
fn legacy_fails_in_a_bare_container() {
    let image = image!();
    let output = image.run(&[], &legacy(&REFUSED));
    let said = text(&output.stdout);
    assert_eq!(
        said.lines().filter(|line| line.contains(" fails: ")).count(),
        5,
        "{said}{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(5));
    eprintln!("podman's default profile:\n{said}");
}

/// With the shim every answer is right, and each translation is logged: as root, and as a user without any
/// capability who may gain none.
#[test]
fn legacy_works_under_the_shim_and_is_logged() {
    let image = image!();
    let right = image.right_answers();
    let nobody = ["--user=65534:65534", "--cap-drop=ALL", "--security-opt=no-new-privileges"];
    for options in [&[][..], &nobody] {
        let output = image.run_under_shim(options, &legacy(&REFUSED));
        let log = text(&output.stderr);
        assert_eq!(text(&output.stdout), right, "{options:?}: {log}");
        assert!(output.status.success(), "{options:?}: {log}");
        let rules: Vec<_> =
            log.lines().map(|line| line.split(' ').nth(2).unwrap_or("").trim_end_matches(':')).collect();
        assert_eq!(rules, ["_sysctl", "_sysctl", "ustat", "sysfs", "sysfs", "sysfs"], "{options:?}: {log}");
        assert!(log.lines().all(|line| line.contains(" legacy[1] ")), "{options:?}: {log}");
    }
}

/// What no kernel answers any more, and the profile refuses with EPERM, gets the answer of such a kernel's
/// own table: modules where the host has any, ENOSYS where it has none.
#[test]
fn modules_are_answered_as_on_the_host() {
    let image = image!();
    let output = image.run_under_shim(&[], &legacy(&["modules"]));
    let right = match read_to_string("/proc/modules") {
        Ok(modules) => format!("{} loaded", modules.lines().count()),
        Err(_) => "fails: Function not implemented".to_owned(),
    };
    assert_eq!(text(&output.stdout), format!("{:<28} {right}\n", "query_module: modules"));
}

/// The preload lives through a shell and an emptied environment.
#[test]
fn the_shim_stays_through_an_emptied_environment() {
    let image = image!();
    let release = read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let line = format!("{:<28} {release}", "sysctl kern.osrelease");
    let output = image
        .run_under_shim(&[], &["sh", "-c", "env -i /opt/legacy release; exec env -i /opt/legacy release"]);
    assert_eq!(text(&output.stdout), line.repeat(2), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches(" _sysctl: ").count(), 2);
}

/// The shim's file is all that the container gets: the root is as it was.
#[test]
fn the_root_is_left_as_it_was() {
    let image = image!();
    image.run_under_shim(&[], &["touch", "/touched"]);
    let found = |name: &str| Path::new(&image.root).join(name).exists();
    assert!(found("etc/debian_version"));
    assert!(!found("touched") && !found("opt/libevercall.so"), "{} was changed", image.root.display());
}
