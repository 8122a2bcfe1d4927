//! The rule on RLIMIT_NOFILE: absurd limits are lowered once, at start, soft and hard, for every child too.

mod common;

use common::{bare, program, shim, succeed, text};
use parking_lot::{Mutex, MutexGuard};
use std::fs;
use std::process::Command;

const NR_OPEN: &str = "/proc/sys/fs/nr_open";

/// `limits` started with a soft and a hard limit under the shim, then `limits` again as its child, static.
fn started_with(soft: u64, hard: u64, setting: Option<&str>) -> Command {
    let mut command = bare("prlimit");
    command.arg(format!("--nofile={soft}:{hard}")).arg("env");
    command.arg(format!("LD_PRELOAD={}", shim().display()));
    if let Some(setting) = setting {
        command.arg(format!("EVERCALL_NOFILE={setting}"));
    }
    command.arg(program("limits")).arg(program("limits.static"));
    command
}

/// The limits that such a program and its child see, which must be the same.
fn limits(soft: u64, hard: u64, setting: Option<&str>) -> String {
    let output = succeed(&mut started_with(soft, hard, setting));
    let output = text(&output.stdout);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert_eq!(lines[0], lines[1], "the static child differs");
    lines[0].to_owned()
}

/// A larger fs.nr_open, given back at the end. One at a time.
struct LargerNrOpen(String, #[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl LargerNrOpen {
    /// None without CAP_SYS_RESOURCE: then no limit can be raised, however large fs.nr_open is.
    fn new() -> Option<LargerNrOpen> {
        static ONE: Mutex<()> = Mutex::new(());
        let raised = succeed(bare("prlimit").args(["--nofile", "--noheadings", "--raw", "--output=HARD"]));
        let raised = text(&raised.stdout).trim().parse::<u64>().ok()? + 1;
        if !bare("prlimit")
            .arg(format!("--nofile={raised}:{raised}"))
            .arg("true")
            .output()
            .ok()?
            .status
            .success()
        {
            return None;
        }
        let guard = ONE.lock();
        let before = fs::read_to_string(NR_OPEN).ok()?;
        fs::write(NR_OPEN, "1073741816").ok()?;
        Some(LargerNrOpen(before, guard))
    }
}

impl Drop for LargerNrOpen {
    fn drop(&mut self) {
        fs::write(NR_OPEN, &self.0).unwrap();
    }
}

/// The limits of containers under old container daemons: 2^30 less some, soft and hard.
#[test]
fn limits_of_a_thousand_million_are_lowered_for_program_and_children() {
    let Some(_larger) = LargerNrOpen::new() else {
        skip!("needs CAP_SYS_RESOURCE and the right to raise fs.nr_open")
    };
    let absurd = 1_073_741_816;
    let default = 1 << 20;
    let bare_output =
        succeed(bare("prlimit").arg(format!("--nofile={absurd}:{absurd}")).arg(program("limits")));
    assert_eq!(text(&bare_output.stdout), format!("{absurd} {absurd}\n"));
    for setting in [None, Some("auto"), Some("rubbish"), Some(""), Some("-5"), Some("12x")] {
        assert_eq!(limits(absurd, absurd, setting), format!("{default} {default}"), "{setting:?}");
        assert_eq!(limits(1024, absurd, setting), format!("1024 {default}"), "{setting:?}");
    }
    assert_eq!(limits(absurd, absurd, Some("off")), format!("{absurd} {absurd}"));
    assert_eq!(limits(absurd, absurd, Some("2000000")), "2000000 2000000");
}

/// The same where no limit may be raised: strace makes the kernel's answer absurd, and sees it lowered to 2^20.
/// A setting that makes no sense changes nothing.
#[test]
fn the_cap_is_two_to_the_twenty_unless_set() {
    const ABSURD: &str = "inject=prlimit64:poke_exit=@arg4=38000040000000003800004000000000";
    for (setting, lowered) in [
        ("EVERCALL_NOFILE=auto", "{rlim_cur=1024*1024, rlim_max=1024*1024}"),
        ("EVERCALL_NOFILE=rubbish", "{rlim_cur=1024*1024, rlim_max=1024*1024}"),
        ("EVERCALL_NOFILE=-5", "{rlim_cur=1024*1024, rlim_max=1024*1024}"),
        ("EVERCALL_NOFILE=12x", "{rlim_cur=1024*1024, rlim_max=1024*1024}"),
        ("EVERCALL_NOFILE=", "{rlim_cur=1024*1024, rlim_max=1024*1024}"),
        ("EVERCALL_NOFILE=2000", "{rlim_cur=2000, rlim_max=2000}"),
        ("EVERCALL_NOFILE=off", "NULL"),
    ] {
        let mut command = bare("strace");
        command.args(["-qq", "-e", "trace=prlimit64", "-e", ABSURD, "-E", setting, "-E"]);
        command.arg(format!("LD_PRELOAD={}", shim().display())).arg(program("limits"));
        let output = command.output().unwrap();
        let trace = text(&output.stderr);
        if !output.status.success() {
            skip!("strace cannot change answers here: {trace}");
        }
        let asked: Vec<&str> =
            trace.lines().filter_map(|line| line.strip_prefix("prlimit64(0, RLIMIT_NOFILE, ")).collect();
        let set: Vec<&&str> = asked.iter().filter(|line| !line.starts_with("NULL")).collect();
        if lowered == "NULL" {
            assert!(set.is_empty(), "{setting}: {trace}");
        } else {
            assert!(set.len() == 1 && set[0].starts_with(lowered), "{setting}: {trace}");
        }
    }
}

/// EVERCALL_NOFILE is the cap on both; `off` in all its spellings leaves them alone.
#[test]
fn the_setting_caps_soft_and_hard() {
    for (soft, hard, setting, expected) in [
        (500, 600, "100", "100 100"),
        (50, 600, "100", "50 100"),
        (500, 600, "550", "500 550"),
        (500, 600, "600", "500 600"),
        (500, 600, "off", "500 600"),
        (500, 600, "0", "500 600"),
        (500, 600, "no", "500 600"),
        (500, 600, "false", "500 600"),
    ] {
        assert_eq!(limits(soft, hard, Some(setting)), expected, "{soft}:{hard} with {setting}");
    }
}

/// EVERCALL=off switches this rule off too.
#[test]
fn the_kill_switch_leaves_limits_alone() {
    let mut command = started_with(500, 600, Some("100"));
    let output = succeed(command.env("EVERCALL", "off"));
    assert_eq!(text(&output.stdout), "500 600\n500 600\n");
}

/// A limit that is not absurd is asked for once and never set.
#[test]
fn a_reasonable_limit_is_not_set_again() {
    for (limit, setting, sets) in [("256:512", "auto", 0), ("500:600", "100", 1)] {
        let mut command = bare("prlimit");
        command.arg(format!("--nofile={limit}"));
        command.args(["strace", "-qq", "-e", "trace=prlimit64,setrlimit,getrlimit"]);
        command.arg("-E").arg(format!("LD_PRELOAD={}", shim().display()));
        command.arg("-E").arg(format!("EVERCALL_NOFILE={setting}")).arg(program("limits"));
        let output = command.output().unwrap();
        if !output.status.success() {
            skip!("strace cannot run here: {}", text(&output.stderr));
        }
        let trace = text(&output.stderr);
        let nofile: Vec<&str> = trace.lines().filter(|line| line.contains("RLIMIT_NOFILE")).collect();
        let set =
            nofile.iter().filter(|line| line.contains("RLIMIT_NOFILE, {") || line.contains("setrlimit"));
        assert_eq!(set.count(), sets, "{trace}");
        // One question of the shim's, one of the program's.
        assert_eq!(nofile.len() - sets, 2, "{trace}");
    }
}

/// The log tells what was lowered, from what to what.
#[test]
fn the_log_tells_what_was_lowered() {
    let mut command = started_with(500, 600, Some("100"));
    let log = text(&succeed(command.env("EVERCALL_LOG", "all")).stderr);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["nofile", "500:600", "100:100"] {
        assert!(lines[0].contains(part), "{part} is not in {log}");
    }
    let quiet = succeed(started_with(500, 600, None).env("EVERCALL_LOG", "all"));
    assert_eq!(text(&quiet.stderr), "");
}
