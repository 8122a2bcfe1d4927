//! One built file for every libc: glibc of four Debian releases and musl load `dist/libevercall.so` unchanged,
//! and old programs get the host's right answers.
//!
//! The C libraries come from the machine's own Debian mirror the first time (about ten seconds each), and
//! stay in /var/cache/evercall; a program is built against each and started by its loader.

mod common;
#[path = "common/debian.rs"]
mod debian;

use common::{bare, denied, program, shim, succeed, text};
use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

/// The calls that `legacy` makes.
const CALLS: &str = "_sysctl,ustat,sysfs,query_module,epoll_create";

/// What `legacy` is asked. Of modules only where the host has any.
fn questions() -> Vec<&'static str> {
    let mut questions = vec!["release", "somaxconn", "ustat", "sysfs", "epoll"];
    if Path::new("/proc/modules").exists() {
        questions.push("modules");
    }
    questions
}

/// The right answers: from the kernel's own calls where it still has them, else from /proc.
fn right_answers() -> String {
    let line = |what: &str, value: &str| format!("{what:<28} {value}\n");
    let proc = |path: &str| read_to_string(path).expect(path).trim_end().to_owned();
    let mut right = line("sysctl kern.osrelease", &proc("/proc/sys/kernel/osrelease"));
    right += &line("sysctl net.core.somaxconn", &proc("/proc/sys/net/core/somaxconn"));
    right += &text(&succeed(bare(program("legacy")).args(["ustat", "sysfs"])).stdout);
    if questions().contains(&"modules") {
        right += &line("query_module: modules", &format!("{} loaded", proc("/proc/modules").lines().count()));
    }
    right + &text(&succeed(bare(program("legacy")).arg("epoll")).stdout)
}

/// `legacy` fails where the host refuses its calls, and is right under the shim, whatever the refusal.
fn is_right_under_the_shim(command: &[&str]) {
    let right = right_answers();
    for errno in ["ENOSYS", "EPERM"] {
        let run = |preload: bool| {
            let mut run = denied(errno, CALLS);
            run.args(command).args(questions());
            if preload {
                run.env("LD_PRELOAD", shim());
            }
            run.output().expect("evercall simulate runs")
        };
        let refused = text(&run(false).stdout);
        assert_eq!(refused.matches("fails: ").count(), right.lines().count(), "not refused: {refused}");
        let output = run(true);
        assert_eq!(text(&output.stderr), "", "{command:?}");
        assert_eq!(text(&output.stdout), right, "{command:?} with {errno}");
        assert!(output.status.success(), "{command:?}");
    }
    let mut run = bare(command[0]);
    let output = succeed(run.args(&command[1..]).args(questions()).env("LD_PRELOAD", shim()));
    assert_eq!(text(&output.stdout), right, "{command:?} not refused");
}

/// `legacy` built against the glibc of a Debian release and started by that release's loader: as the
/// kernel starts it, and as an argument of the loader.
fn glibc_of(suite: &str) -> Result<(), String> {
    let root = debian::root("libc", suite)?;
    let libraries = root.join("lib/x86_64-linux-gnu");
    let loader = root.join("lib64/ld-linux-x86-64.so.2");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let legacy = folder.path().join("legacy");
    let mut compiler = debian::compiler(&root);
    compiler
        .arg(format!("-Wl,--dynamic-linker={},-rpath,{}", loader.display(), libraries.display()))
        .arg("-o")
        .arg(&legacy)
        .arg(common::root().join("test-programs/legacy.c"));
    succeed(&mut compiler);
    let loaded = text(&succeed(Command::new(&loader).arg("--list").arg(&legacy)).stdout);
    assert!(loaded.contains(&format!("{}/libc.so.6", libraries.display())), "another libc: {loaded}");

    let (legacy, loader) = (legacy.to_str().unwrap(), loader.to_str().unwrap());
    is_right_under_the_shim(&[legacy]);
    is_right_under_the_shim(&[loader, legacy]);
    Ok(())
}

macro_rules! glibcs {
    ($($test:ident: $suite:literal,)*) => {
        $(
            /// The shim works with the glibc of this release.
            #[test]
            fn $test() {
                if let Err(reason) = glibc_of($suite) {
                    skip!("{reason}");
                }
            }
        )*
    };
}

glibcs! {
    glibc_of_bullseye: "bullseye",
    glibc_of_bookworm: "bookworm",
    glibc_of_trixie: "trixie",
    glibc_of_sid: "sid",
}

/// The shim works with the host's own libc.
#[test]
fn the_hosts_libc() {
    is_right_under_the_shim(&[program("legacy").to_str().unwrap()]);
}

/// And with musl.
#[test]
fn musl() {
    is_right_under_the_shim(&[program("legacy.musl").to_str().unwrap()]);
}

/// A program that starts at its own entry point is served: under musl no constructor has run, under glibc
/// the loader ran it. The settings are read all the same.
#[test]
fn a_program_with_its_own_entry_point_is_served() {
    let constructed = common::root().join("test-programs/build/libconstructed.so");
    let release = read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let ordinary = succeed(bare(program("next.musl")).env("LD_PRELOAD", &constructed));
    assert_eq!(text(&ordinary.stderr), "constructed\n", "an ordinary program under musl");
    for (name, runs_constructors) in [("own_start", true), ("own_start.musl", false)] {
        let under = |preload: &str, setting: &str, value: &str| {
            let mut run = denied("ENOSYS", "_sysctl");
            run.arg("env").arg(format!("LD_PRELOAD={preload}")).arg(format!("{setting}={value}"));
            run.arg(program(name)).output().expect("evercall simulate runs")
        };
        let witness = under(constructed.to_str().unwrap(), "EVERCALL_LOG", "off");
        assert_eq!(text(&witness.stdout), "fails\n", "{name}: bare");
        let said = if runs_constructors { "constructed\n" } else { "" };
        assert_eq!(text(&witness.stderr), said, "{name}");

        let shim = shim().display().to_string();
        let served = under(&shim, "EVERCALL_LOG", "all");
        assert_eq!(text(&served.stdout), release, "{name}");
        assert_eq!(text(&served.stderr).matches(" _sysctl: ").count(), 1, "{name}: {}", text(&served.stderr));
        assert_eq!(text(&under(&shim, "EVERCALL", "off").stdout), "fails\n", "{name}: switched off");
    }
}
