//! The start: settings that make no sense, and arguments and environments of every size.

#[macro_use]
mod common;

use common::{bare, program, shim, succeed, text, under_shim};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A log file in a folder of its own.
struct Log(TempDir);

impl Log {
    fn new() -> Log {
        Log(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// A program under the shim, every translation logged here.
    fn all(&self, name: &str) -> Command {
        let mut command = under_shim(program(name));
        command.env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", self.file());
        command
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }

    fn noticed(&self) -> Vec<String> {
        self.text().lines().filter(|l| l.contains("not understood")).map(String::from).collect()
    }
}

/// What `legacy` answers where evercall acts: the question that only a rule answers, and one of the host's.
fn answers(command: &mut Command) -> String {
    let output = text(&succeed(command.args(["release", "epoll"])).stdout);
    assert!(!output.contains("fails"), "{output}");
    output
}

/// A value that is not known is told once in the log, and changes nothing else.
#[test]
fn an_unknown_value_is_noticed_once() {
    for (name, value) in [
        ("EVERCALL_NOFILE", "many"),
        ("EVERCALL_LOG_FORMAT", "xml"),
        ("EVERCALL_KEEP", "perhaps"),
        ("EVERCALL_FORCE", "nosuchrule"),
        ("EVERCALL_COLOUR", "red"),
        ("EVERCALL_NOFILE", ""),
        ("EVERCALL_NOFILE", "-1"),
        ("EVERCALL_NOFILE", "18446744073709551616"),
        ("EVERCALL_NOFILE", "10x"),
    ] {
        let log = Log::new();
        answers(log.all("legacy").env(name, value));
        let noticed = log.noticed();
        assert_eq!(noticed.len(), 1, "{name}={value}: {}", log.text());
        assert!(noticed[0].ends_with(&format!("={value}")), "{noticed:?}");
        assert!(log.text().contains("] _sysctl: "), "{name}={value}: {}", log.text());
    }
    // A log setting that makes no sense leaves the log as it is otherwise: off, or at stderr.
    let output = succeed(under_shim(program("legacy")).arg("epoll").env("EVERCALL_LOG", "loud"));
    assert_eq!(text(&output.stderr), "");
    for to in ["nowhere", "fd:", "fd:x", "fd:99999999999", "", "relative/path"] {
        let mut command = under_shim(program("legacy"));
        let output = succeed(command.arg("release").env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", to));
        let lines = text(&output.stderr);
        assert_eq!(lines.matches("not understood").count(), 1, "{to}: {lines}");
        assert_eq!(lines.matches("] _sysctl: ").count(), 1, "{to}: {lines}");
    }
}

/// Without a log nothing is noticed: not a byte is written, no file appears.
#[test]
fn a_silent_shim_notices_nothing() {
    let log = Log::new();
    let mut command = under_shim(program("legacy"));
    command.args(["release", "epoll"]).env("EVERCALL_NOFILE", "many").env("EVERCALL_FORCE", "nosuchrule");
    let output = succeed(command.env("EVERCALL_LOG_TO", log.file()));
    assert_eq!(text(&output.stderr), "");
    assert!(!log.file().exists());
}

/// Settings that are right are not noticed.
#[test]
fn a_known_value_is_not_noticed() {
    for (name, value) in [
        ("EVERCALL_NOFILE", "off"),
        ("EVERCALL_NOFILE", "65536"),
        ("EVERCALL_KEEP", "off"),
        ("EVERCALL_FORCE", "ustat, sysfs"),
        ("EVERCALL_FORCE", ""),
        ("EVERCALL", "on"),
    ] {
        let log = Log::new();
        answers(log.all("legacy").env(name, value));
        assert_eq!(log.noticed(), Vec::<String>::new(), "{name}={value}");
    }
}

/// An unknown name among the forced ones does not keep the others from being forced.
#[test]
fn force_with_unknown_names() {
    let long = format!("epoll_create,{}", "x".repeat(100_000));
    for list in
        ["nosuch,epoll_create", "epoll_create,nosuch", ",,epoll_create,", "EPOLL_CREATE,epoll_create", &long]
    {
        let log = Log::new();
        answers(log.all("legacy").env("EVERCALL_FORCE", list));
        assert!(log.text().contains("] epoll_create: "), "{list:.40}: {}", log.text());
    }
    // No part of a name, nor more than it, is the name.
    for list in ["epoll", "epoll_create1", "al", "ALL"] {
        let log = Log::new();
        answers(log.all("legacy").env("EVERCALL_FORCE", list));
        assert!(!log.text().contains("] epoll_create: "), "{list}: {}", log.text());
    }
}

/// Values of a hundred thousand bytes, and names of a thousand.
#[test]
fn very_long_values() {
    let long = "/".repeat(100_000);
    for name in [
        "EVERCALL",
        "EVERCALL_LOG",
        "EVERCALL_LOG_FORMAT",
        "EVERCALL_NOFILE",
        "EVERCALL_FORCE",
        "EVERCALL_KEEP",
    ] {
        let log = Log::new();
        answers(log.all("legacy").env(name, &long));
    }
    // A path that is too long opens nothing, and above all no other file.
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("{}/{}", folder.path().display(), "d".repeat(300));
    answers(under_shim(program("legacy")).env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", deep));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    answers(under_shim(program("legacy")).env(format!("EVERCALL_{}", "N".repeat(1000)), "1"));
    // Our own entry at the end of a list that ld.so can just hold.
    let list = format!("{}{}", "libm.so.6:".repeat(200), shim().display());
    let log = Log::new();
    let mut command = log.all("emptied_environ");
    let output = succeed(command.arg("execve").env("LD_PRELOAD", list));
    assert!(text(&output.stdout).ends_with("preload kept, log all\nwrong 0\n"), "{output:?}");
}

/// A variable named EVERCALL something, with nothing in it, is no trouble.
#[test]
fn empty_values() {
    for name in ["EVERCALL", "EVERCALL_", "EVERCALL_LOG", "EVERCALL_FORCE", "EVERCALLX", "EVERCALL_NOFILE"] {
        answers(under_shim(program("legacy")).env(name, ""));
    }
}

/// Ten thousand variables, our settings first or last among them.
#[test]
fn ten_thousand_variables() {
    for ours_last in [false, true] {
        let log = Log::new();
        let mut command = log.all("at_main");
        for i in 0..10_000 {
            // The standard library passes them on in order of name.
            command.env(format!("{}{i}", if ours_last { "A" } else { "Z" }), "value");
        }
        let output = text(&succeed(&mut command).stdout);
        assert!(output.contains("errno 0, argc 1, "), "{output}");
        let variables: usize =
            output.split("variables ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!(variables >= 10_000, "{variables}");
        let mut legacy = log.all("legacy");
        for i in 0..10_000 {
            legacy.env(format!("{}{i}", if ours_last { "A" } else { "Z" }), "value");
        }
        answers(legacy.env("EVERCALL_FORCE", "epoll_create"));
        assert!(log.text().contains("] epoll_create: "), "{}", log.text());
    }
}

/// No variable at all: ld.so preloads us by its option.
#[test]
fn no_variables() {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let mut command = bare(loader);
    command.env_clear().arg("--preload").arg(shim()).arg(program("legacy"));
    let output = command.stdin(Stdio::null()).args(["release", "epoll"]).output().unwrap();
    if text(&output.stderr).contains("unrecognized option") {
        skip!("this ld.so has no --preload");
    }
    assert!(output.status.success(), "{output:?}");
    assert!(!text(&output.stdout).contains("fails"), "{output:?}");
    let mut command = bare(loader);
    command.env_clear().arg("--preload").arg(shim()).arg(program("at_main"));
    let output = text(&succeed(&mut command).stdout);
    assert!(output.starts_with("errno 0, argc 1, ") && output.contains("variables 0\n"), "{output}");
}

/// An exec with an empty argument list: what the kernel makes of it is what main finds.
#[test]
fn no_arguments() {
    let run = |preload: bool| {
        let mut command = bare(program("execs_bare"));
        if preload {
            command.env("LD_PRELOAD", shim());
        } else {
            command.env("A", "1");
        }
        text(&succeed(command.arg(program("at_main"))).stdout)
    };
    let expected = run(false);
    assert!(expected.starts_with("errno 0, argc "), "{expected}");
    assert_eq!(run(true), expected);
    let mut legacy = bare(program("execs_bare"));
    let output = legacy.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "all").arg(program("secure"));
    assert_eq!(text(&succeed(output).stdout), "secure 0, wrong 0\n");
}

/// A hundred thousand arguments.
#[test]
fn huge_argument_list() {
    let mut command = under_shim(program("at_main"));
    command.args((0..100_000).map(|i| i.to_string()));
    let output = text(&succeed(&mut command).stdout);
    assert!(output.starts_with("errno 0, argc 100001, "), "{output:.100}");
    // Arguments that look like settings are none.
    let mut command = under_shim(program("legacy"));
    answers(command.args(["EVERCALL=off", "EVERCALL_FORCE=nosuch"]));
}

/// Environments that setenv does not make: of two kill switches one that says off is enough.
#[test]
fn variables_given_twice_or_broken() {
    let run = |variables: &[&str]| {
        let mut command = bare(program("execs_with"));
        command.arg(program("secure")).arg(format!("LD_PRELOAD={}", shim().display())).args(variables);
        text(&command.output().unwrap().stdout)
    };
    let works = "secure 0, wrong 0\n";
    assert_eq!(run(&[]), works);
    assert_ne!(run(&["EVERCALL=off"]), works);
    assert_ne!(run(&["EVERCALL=on", "EVERCALL=off"]), works);
    assert_ne!(run(&["EVERCALL=off", "EVERCALL=on"]), works);
    // Strings without an equals sign, and empty ones.
    assert_eq!(run(&["EVERCALL", "EVERCALL_LOG", "", "=", "=EVERCALL=off", "EVERCALL_"]), works);
}
