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

/// Sets a limit by each way there is, after which it stands as EVERCALL_NOFILE_CLAMP has it.
const SET_LATER: &str = "
import ctypes, resource, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
which, soft, hard = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
new = ctypes.create_string_buffer(struct.pack('QQ', soft, hard), 16)
old = ctypes.create_string_buffer(16)
ways = {
    'setrlimit': lambda: libc.setrlimit(which, new),
    'setrlimit64': lambda: libc.setrlimit64(which, new),
    'prlimit': lambda: libc.prlimit(0, which, new, old),
    'prlimit64': lambda: libc.prlimit64(0, which, new, None),
    '160': lambda: libc.syscall(160, which, new),
    '302': lambda: libc.syscall(302, 0, which, new, old),
}
before = resource.getrlimit(which)
result = ways[sys.argv[1]]()
if old.raw != bytes(16): assert struct.unpack('qq', old.raw) == before
print(result, ctypes.get_errno() if result else 0, *resource.getrlimit(which))
";

const WAYS: [&str; 6] = ["setrlimit", "setrlimit64", "prlimit", "prlimit64", "160", "302"];

fn set_later(way: &str, which: u32, limits: (u64, u64), settings: &[(&str, &str)]) -> (String, String) {
    let mut command = bare("prlimit");
    command.args(["--nofile=2000:4000", "env"]).arg(format!("LD_PRELOAD={}", shim().display()));
    command.args(settings.iter().map(|(name, value)| format!("{name}={value}")));
    command.args(["python3", "-c", SET_LATER, way, &which.to_string()]);
    let output = succeed(command.args([limits.0.to_string(), limits.1.to_string()]));
    (text(&output.stdout).trim().to_owned(), text(&output.stderr))
}

/// EVERCALL_NOFILE_CLAMP=on: what is set later above the cap is lowered to it; all else stands, refusals too.
#[test]
fn a_limit_set_later_is_lowered_where_asked() {
    const NOFILE: u32 = libc::RLIMIT_NOFILE;
    let on = [("EVERCALL_NOFILE", "5000"), ("EVERCALL_NOFILE_CLAMP", "on"), ("EVERCALL_LOG", "all")];
    for way in WAYS {
        let (stands, log) = set_later(way, NOFILE, (3000, 3500), &on);
        assert_eq!((stands.as_str(), log.as_str()), ("0 0 3000 3500", ""), "{way}");
        let lower = [("EVERCALL_NOFILE", "4000"), on[1], on[2]];
        // Lowered by nobody but the call: the cap is the hard limit.
        assert_eq!(set_later(way, NOFILE, (4000, 4000), &lower).0, "0 0 4000 4000", "{way}");
        // Not about files.
        assert_eq!(
            set_later(way, libc::RLIMIT_CORE, (0, 0), &on),
            ("0 0 0 0".into(), String::new()),
            "{way}"
        );
        // The soft above the hard limit: EINVAL.
        assert_eq!(
            set_later(way, NOFILE, (4000, 3000), &on),
            ("-1 22 2000 4000".into(), String::new()),
            "{way}"
        );
    }
    if !may_raise() {
        skip!("needs CAP_SYS_RESOURCE");
    }
    for way in WAYS {
        let (stands, log) = set_later(way, NOFILE, (9000, 10000), &on);
        assert_eq!(stands, "0 0 5000 5000", "{way}");
        assert!(log.contains("RLIMIT_NOFILE 9000:10000 lowered to 5000:5000"), "{way}: {log}");
        // By default, and where the cap is off, the program has its way.
        for off in
            [&on[..1], &[on[0], ("EVERCALL_NOFILE_CLAMP", "off")], &[("EVERCALL_NOFILE", "off"), on[1]]]
        {
            assert_eq!(set_later(way, NOFILE, (9000, 10000), off).0, "0 0 9000 10000", "{way} {off:?}");
        }
        // More than the kernel allows at all is refused, not capped.
        assert_eq!(set_later(way, NOFILE, (1 << 40, 1 << 40), &on).0, "-1 1 2000 4000", "{way}");
    }
    let forced = [on[0], on[1], ("EVERCALL_FORCE", "prlimit64,setrlimit")];
    for way in WAYS {
        assert_eq!(set_later(way, NOFILE, (9000, 10000), &forced).0, "0 0 5000 5000", "{way} forced");
    }
}

/// The same where no limit may be raised: strace has the kernel say that it was.
#[test]
fn the_clamp_lowers_what_the_kernel_says_stands() {
    const RAISED: &str = "inject=setrlimit:retval=0";
    const ABSURD: &str = "inject=prlimit64:poke_exit=@arg4=38000040000000003800004000000000";
    const CALL: &str =
        "import ctypes; b = ctypes.create_string_buffer(16); ctypes.CDLL(None).syscall(160, 7, b)";
    for (clamp, due) in [("on", 1), ("off", 0), ("rubbish", 0)] {
        let mut command = bare("strace");
        command.args(["-qq", "-e", "trace=setrlimit,prlimit64", "-e", RAISED, "-e", ABSURD, "-E"]);
        command.arg(format!("EVERCALL_NOFILE_CLAMP={clamp}")).arg("-E");
        command.arg(format!("LD_PRELOAD={}", shim().display())).args(["/usr/bin/python3", "-c", CALL]);
        let output = command.output().unwrap();
        let trace = text(&output.stderr);
        if !output.status.success() {
            skip!("strace cannot change answers here: {trace}");
        }
        let (_, after) = trace.split_once("setrlimit(").unwrap_or_else(|| panic!("{trace}"));
        let lowered = after.matches("RLIMIT_NOFILE, {rlim_cur=1024*1024, rlim_max=1024*1024}").count();
        assert_eq!(lowered, due, "{clamp}: {trace}");
    }
}

fn may_raise() -> bool {
    bare("prlimit")
        .args(["--nofile=2000:4000", "prlimit", "--nofile=9000:10000", "true"])
        .status()
        .unwrap()
        .success()
}
