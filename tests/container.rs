//! A real container: podman with runc, a Debian bullseye root, podman's default seccomp profile. A legacy
//! program fails in it, and works and is logged with the shim mounted in and preloaded.
//!
//! The root is made once by debootstrap, in about a minute, and kept in /var/cache/evercall.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/podman.rs"]
mod podman;

use common::{succeed, text};
use podman::Container;
use std::fs::read_to_string;
use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;

/// What `legacy` is asked that podman's profile refuses.
const REFUSED: [&str; 4] = ["release", "somaxconn", "ustat", "sysfs"];

/// A bullseye root, and `legacy` built against bullseye's libc.
struct Image(Container);

impl Image {
    /// An error says what this machine lacks.
    fn new() -> Result<Image, String> {
        // One at a time: the tests of this file share what the script leaves.
        static ROOTS: OnceLock<Result<(PathBuf, PathBuf), String>> = OnceLock::new();
        podman::needs_root()?;
        let roots =
            || debian::root("base", "bullseye").and_then(|b| Ok((b, debian::root("libc", "bullseye")?)));
        let (root, libc) = ROOTS.get_or_init(roots).clone()?;
        let container = Container::new(root)?;
        let source = common::root().join("test-programs/legacy.c");
        succeed(debian::compiler(&libc).arg("-o").arg(container.here("legacy")).arg(source));
        Ok(Image(container))
    }

    /// The option that mounts `legacy` in.
    fn legacy(&self) -> String {
        format!("--volume={}:/opt/legacy:ro", self.0.here("legacy"))
    }

    /// Runs a command in the container, with more options of podman's.
    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        self.0.run(&[&[self.legacy().as_str()], options].concat(), command)
    }

    /// The same with the shim mounted in, preloaded and logging.
    fn run_under_shim(&self, options: &[&str], command: &[&str]) -> Output {
        self.0
            .run_under_shim(&[&[self.legacy().as_str(), "--env=EVERCALL_LOG=all"], options].concat(), command)
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
    let found = |name: &str| image.0.root.join(name).exists();
    assert!(found("etc/debian_version"));
    assert!(!found("touched") && !found("opt/libevercall.so"), "{} was changed", image.0.root.display());
}
