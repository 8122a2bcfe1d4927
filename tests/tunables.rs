//! GLIBC_TUNABLES by program: every function that executes a program sets what is configured for it, beside what is
//! there, and changes nothing else.

mod common;
#[path = "common/execs.rs"]
mod execs;

use common::{bare, command, program, shim, succeed, text, under_shim};
use execs::{ALL, Environment, exec, preload};
use std::fs;
use std::process::Command;

/// What the program got, as `show_exec` prints it.
fn got(command: &mut Command) -> Vec<String> {
    let output = succeed(command);
    text(&output.stdout).lines().filter_map(|line| line.strip_prefix("env ").map(str::to_string)).collect()
}

const RSEQ: &str = "glibc.pthread.rseq=0";

/// Every function, also in a vfork child and on a thread's small stack; of several words for one tunable the
/// program's own counts.
#[test]
fn every_exec_sets_the_tunables() {
    for (given, expected) in [
        (vec![], format!("GLIBC_TUNABLES={RSEQ}:a.b.c=1")),
        (vec!["X=1", "GLIBC_TUNABLES=d=2", "Y=2"], format!("GLIBC_TUNABLES=d=2:{RSEQ}:a.b.c=1")),
        (vec!["GLIBC_TUNABLES=a.b.c=7"], format!("GLIBC_TUNABLES=a.b.c=7:{RSEQ}")),
        (vec!["GLIBC_TUNABLES="], format!("GLIBC_TUNABLES={RSEQ}:a.b.c=1")),
        (
            vec!["GLIBC_TUNABLES=a.b.c=7:glibc.pthread.rseq=1"],
            "GLIBC_TUNABLES=a.b.c=7:glibc.pthread.rseq=1".into(),
        ),
    ] {
        let environment = Environment::of(&given);
        let target = program("show_exec.static");
        for how in ALL {
            for place in ["", "vfork", "thread"] {
                let mut command =
                    exec(under_shim(program("exec_by")), place, how, environment.word(), &target);
                let tunables = format!("{RSEQ}:a.b.c=1");
                let mut got = got(command.env("EVERCALL_TUNABLES", &tunables).env("EVERCALL_LOG", "off"));
                got.sort();
                let mut due: Vec<String> = given
                    .iter()
                    .filter(|string| !string.starts_with("GLIBC"))
                    .map(|string| string.to_string())
                    .chain([expected.clone(), preload()])
                    .chain([format!("EVERCALL_TUNABLES={tunables}"), "EVERCALL_LOG=off".into()])
                    .collect();
                due.sort();
                assert_eq!(got, due, "{place} {how} of {given:?}");
            }
        }
    }
}

/// What cannot be held is left as it is: a variable of a kilobyte, more than is configured for.
#[test]
fn what_does_not_fit_stays_as_it_is() {
    let long = format!("GLIBC_TUNABLES={}", "x".repeat(1000));
    let environment = Environment::of(&[&long]);
    let mut command =
        exec(under_shim(program("exec_by")), "", "execve", environment.word(), program("show_exec.static"));
    assert!(got(command.env("EVERCALL_TUNABLES", RSEQ)).contains(&long));
    let environment = Environment::of(&[]);
    let mut command =
        exec(under_shim(program("exec_by")), "", "execve", environment.word(), program("show_exec.static"));
    let got = got(command.env("EVERCALL_TUNABLES", "y=".to_owned() + &"x".repeat(2000)));
    assert!(!got.iter().any(|string| string.starts_with("GLIBC_TUNABLES")), "{got:?}");
    let mut command =
        exec(under_shim(program("exec_by")), "", "execve", environment.word(), program("show_exec.static"));
    let off = command.env("EVERCALL_TUNABLES", RSEQ).env("EVERCALL", "off");
    assert_eq!(text(&succeed(off).stdout).matches("GLIBC_TUNABLES").count(), 0);
}

/// Sections name the program that is executed, not the one that executes it; and only it gets them. The log tells.
#[test]
fn sections_name_the_program_that_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let conf = tempfile::NamedTempFile::new().unwrap();
    let conf = conf.path();
    let show = program("show_exec");
    let text_of = format!(
        "tunables = all=1\n[show_exec*]\ntunables = {RSEQ}:all=2\n[{}]\ntunables = by.path=3\n[sh]\ntunables = never=1\nlog = off\n",
        show.parent().unwrap().join("*.static").display()
    );
    fs::write(conf, text_of).unwrap();
    let script = "mount -t tmpfs none \"$2\" && mkdir \"$2/upper\" \"$2/work\" &&
        mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$2/upper,workdir=$2/work\" /etc || exit 111
        cp \"$3\" /etc/evercall.conf
        env -i EVERCALL_LOG=all LD_PRELOAD=$1 sh -c \"$4; $4.static; /usr/bin/env\"
        \"$5\" run -- $4; env GLIBC_TUNABLES=all=9 \"$5\" run -- /usr/bin/env";
    let mut command_line = bare("unshare");
    command_line.args(["-m", "sh", "-euc", script, "sh"]).arg(shim()).arg(folder.path()).arg(conf);
    let output = command_line.arg(&show).arg(command()).output().unwrap();
    if output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ") {
        skip!("no mount namespace with an overlay");
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let got: Vec<&str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("env ").unwrap_or(line).strip_prefix("GLIBC_TUNABLES="))
        .collect();
    let (by_name, by_path) = (format!("{RSEQ}:all=2"), format!("{RSEQ}:all=2:by.path=3"));
    assert_eq!(got, [&by_name, &by_path, "all=1", &by_name, "all=9"], "{stdout}");
    assert!(text(&output.stderr).contains("set GLIBC_TUNABLES"), "{}", text(&output.stderr));
}

/// glibc itself takes them: with rseq off the kernel is not asked for it.
#[test]
fn glibc_hears_them() {
    let registers = |settings: &[&str]| {
        let mut command = bare("strace");
        command
            .args(["-f", "-qq", "-e", "trace=rseq", "env"])
            .arg(format!("LD_PRELOAD={}", shim().display()));
        let output = command.args(settings).args(["env", "true"]).output().unwrap();
        output.status.success().then(|| text(&output.stderr).matches("rseq(").count())
    };
    let (Some(all), Some(tuned)) = (registers(&[]), registers(&["EVERCALL_TUNABLES=glibc.pthread.rseq=0"]))
    else {
        skip!("strace cannot run here");
    };
    if all != 3 {
        skip!("this glibc registers no rseq area: {all}");
    }
    // `true` alone is executed by a program with the library.
    assert_eq!(tuned, 2);
}
