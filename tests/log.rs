//! The log of translated calls: what it tells, when, in which form and where to. `tests/log_harm.rs` proves
//! that it stays out of the program's way.

mod common;
#[path = "common/lines.rs"]
mod lines;

use common::{bare, program, succeed, text, under_shim};
use lines::{all_json, all_text, split};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

/// `steps` under the shim with every rule forced, logging so.
fn logging(mode: &str, steps: &str) -> Command {
    let mut command = under_shim(program("steps"));
    command.env("EVERCALL_FORCE", "all").env("EVERCALL_NOFILE", "off").env("EVERCALL_LOG", mode);
    command.args(steps.split_whitespace());
    command
}

/// The run's output; its program must have found every answer right.
fn run(mode: &str, steps: &str) -> Output {
    let output = succeed(&mut logging(mode, steps));
    assert_eq!(text(&output.stdout), "", "{steps}");
    output
}

/// The summaries of a log, without time and process, sorted.
fn summaries(log: &[u8]) -> Vec<String> {
    let mut all: Vec<String> =
        split(log).iter().map(|line| lines::head(line).expect("a head").3.to_string()).collect();
    all.sort();
    all
}

/// No mode, `off`, and a log that cannot be: no output and not one descriptor more than bare.
#[test]
fn off_is_silent_and_holds_no_descriptor() {
    let steps = ["ustat*3", "sysfs", "fds"];
    let expected = succeed(bare(program("steps")).args(steps));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for mode in [None, Some("off"), Some("nonsense")] {
        let mut command = under_shim(program("steps"));
        command.args(steps).env("EVERCALL_FORCE", "all").env("EVERCALL_LOG_TO", &path);
        mode.map(|mode| command.env("EVERCALL_LOG", mode));
        let output = succeed(&mut command);
        assert_eq!((text(&output.stdout), text(&output.stderr)), (text(&expected.stdout), String::new()));
    }
    assert!(!path.exists());
}

/// One line for each rule, whatever follows.
#[test]
fn first_tells_each_rule_once() {
    let log = all_text(&run("first", "ustat*3 sysfs ustat badstring sysfs badstring").stderr);
    let rules: Vec<&str> = log.iter().map(|line| line.rule.as_str()).collect();
    assert_eq!(rules, ["ustat", "sysfs", "uselib"]);
}

/// A fork's child is a new process and starts anew; a vfork child is still its parent's.
#[test]
fn first_starts_anew_in_a_fork_but_not_in_a_vfork() {
    let log = all_text(&run("first", "ustat fork ustat*2 ustat").stderr);
    assert_eq!(log.len(), 2, "{log:?}");
    assert_ne!(log[0].pid, log[1].pid);
    let log = all_text(&run("first", "ustat vfork ustat*2 ustat").stderr);
    assert_eq!(log.len(), 1, "{log:?}");
}

/// Every call has its line, with the process's own pid and the arguments as stat(2) tells them.
#[test]
fn all_tells_every_call() {
    let child =
        logging("all", "ustat*50 sysfs badstring").stderr(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let log = all_text(&child.wait_with_output().unwrap().stderr);
    assert_eq!(log.len(), 52);
    let root = fs::metadata("/").unwrap().dev();
    let (major, minor) = (libc::major(root), libc::minor(root));
    for line in &log {
        assert_eq!((line.pid, line.program.as_str()), (pid, "steps"));
    }
    for line in &log[..50] {
        assert!(line.call.starts_with(&format!("ustat(dev={major}:{minor}, ubuf=0x")), "{line:?}");
        assert_eq!((line.result, line.errno.as_deref()), (0, None));
        assert!(line.became.as_deref().unwrap().starts_with("fstatfs of /"), "{line:?}");
    }
    assert!(log[50].call.starts_with("sysfs(option=1, arg1=0x"), "{:?}", log[50]);
    assert_eq!(log[51].call, "uselib(library=0x8)");
    assert_eq!((log[51].result, log[51].errno.as_deref()), (-1, Some("EFAULT")));
}

/// Each way that a process may end tells the summary, once.
#[test]
fn count_tells_a_summary_at_every_kind_of_end() {
    for end in ["", "return", "exit", "_exit", "_Exit", "exit_group", "exec:/bin/true"] {
        let log = run("count", &format!("ustat*3 sysfs {end}")).stderr;
        assert_eq!(summaries(&log), ["summary: sysfs 1, ustat 3"], "{end}");
    }
    assert_eq!(text(&run("count", "").stderr), "", "nothing translated, nothing told");
}

/// The calls of threads count in their process; those of a fork's child are its own.
#[test]
fn count_is_of_one_process() {
    let log = run("count", "ustat*2 thread:8*10 fork ustat*5 fork sysfs").stderr;
    assert_eq!(summaries(&log), ["summary: sysfs 1", "summary: ustat 5", "summary: ustat 82"]);
    assert_eq!(summaries(&run("count", "ustat fork unblock:13").stderr), ["summary: ustat 1"]);
}

/// A vfork child's calls are told once, by its parent, though the child ends by _exit or exec.
#[test]
fn count_tells_a_vfork_childs_calls_once() {
    let log = run("count", "ustat vfork ustat*2 vfork exec:/bin/true sysfs").stderr;
    assert_eq!(summaries(&log), ["summary: sysfs 1, ustat 3"]);
}

/// A failed exec loses no call and tells none twice.
#[test]
fn count_survives_a_failing_exec() {
    let output = succeed(&mut logging("count", "ustat*2 exec:/nonexistent ustat*3"));
    assert_eq!(summaries(&output.stderr), ["summary: ustat 2", "summary: ustat 3"]);
}

/// A summary in JSON is an object of numbers.
#[test]
fn a_json_summary_parses() {
    let output = succeed(logging("count", "ustat*2 sysfs").env("EVERCALL_LOG_FORMAT", "json"));
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(line["summary"], serde_json::json!({"ustat": 2, "sysfs": 1}));
    assert_eq!(line["program"], "steps");
}

/// The same run in both forms tells the same.
#[test]
fn json_and_text_tell_the_same() {
    let steps = "sysfs epoll badstring library:/nonexistent mounted:/proc";
    let mut from_text = all_text(&succeed(&mut logging("all", steps)).stderr);
    let mut from_json = all_json(&succeed(logging("all", steps).env("EVERCALL_LOG_FORMAT", "json")).stderr);
    assert_eq!(from_text.len(), 5);
    for line in from_text.iter_mut().chain(&mut from_json) {
        (line.time, line.pid) = (String::new(), 0);
        // Addresses differ from run to run.
        line.call = line.call.split("=0x7f").next().unwrap().split("=0x5").next().unwrap().into();
    }
    assert_eq!(from_text, from_json);
}

/// The time is now, in UTC, whatever the time zone. The oracle is date(1).
#[test]
fn times_are_utc_and_now() {
    let before = lines::now();
    let output = succeed(logging("all", "ustat*3").env("TZ", "America/New_York"));
    let after = lines::now();
    for line in all_text(&output.stderr) {
        // Of one width, so that the order of the texts is the order of the times.
        assert!(before <= line.time && line.time <= after, "{before} {} {after}", line.time);
    }
}

/// Arguments that would break a terminal, a line-wise reader or a JSON parser, or are endless.
fn hostile() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"a\nb",
        b"\r\n\n",
        b"\"",
        b"\\",
        b"\\\"",
        b"\\u0041",
        b"\x1b[31mred\x1b]0;title\x07",
        b"\xff\xfe",
        b"\xc3",
        "\u{e9}\u{202e}\u{1f600}".as_bytes(),
        b"\") = 0 [x]\n2026-11-23T17:31:00.123456Z forged[1] x",
        b"%s%n%x",
        b"\x7f\x80\x9b",
        b"'; rm -rf /",
    ]
    .iter()
    .map(|text| text.to_vec())
    .collect();
    for filler in [b'a', b'"', b'\\', b'\n', 0xff] {
        all.extend([63, 64, 65, 4095].map(|length| vec![filler; length]));
    }
    all.extend((1..=255u8).collect::<Vec<_>>().chunks(60).map(<[u8]>::to_vec));
    all
}

/// Each hostile string is shown on one line of ASCII, so that it can be read back: its first 64 bytes at
/// least, and dots if there are more.
#[test]
fn hostile_strings_are_escaped_and_cut() {
    for format in ["text", "json"] {
        let mut command = logging("all", "");
        for argument in hostile() {
            command.arg(OsString::from_vec([&b"library:"[..], &argument].concat()));
        }
        let output = succeed(command.env("EVERCALL_LOG_FORMAT", format));
        let log = if format == "json" { all_json(&output.stderr) } else { all_text(&output.stderr) };
        assert_eq!(log.len(), hostile().len());
        for (line, argument) in log.iter().zip(hostile()) {
            let shown = line.call.strip_prefix("uselib(library=").unwrap().strip_suffix(')').unwrap();
            let (shown, cut) = match shown.strip_suffix("...") {
                Some(shown) => (shown, true),
                None => (shown, false),
            };
            let shown: String = serde_json::from_str(shown).unwrap_or_else(|e| panic!("{e}: {line:?}"));
            let shown: Vec<u8> = shown.chars().map(|c| u8::try_from(c).unwrap()).collect();
            if cut {
                assert!(shown.len() >= 64 && argument.starts_with(&shown), "{line:?}");
            } else {
                assert_eq!(shown, argument, "{line:?}");
            }
            assert!(line.errno.is_some());
        }
    }
}

/// A program's own name may be as hostile, and its path as long as a path can be.
#[test]
fn hostile_program_names_are_escaped_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut deep = folder.path().to_path_buf();
    while deep.as_os_str().len() < 3700 {
        deep.push("d".repeat(200));
    }
    fs::create_dir_all(&deep).unwrap();
    let long = vec![b'n'; 255];
    for name in [&b"a\nb"[..], b"\x1b[31m", b"\"\\", b"\xff\xfe\xc3", b"a[7] ustat: b", b"] [", &long] {
        let path = deep.join(OsStr::from_bytes(name));
        fs::copy(program("steps"), &path).unwrap();
        for format in ["text", "json"] {
            let mut command = under_shim(&path);
            command.args(["sysfs"]).env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all");
            let output = succeed(command.env("EVERCALL_NOFILE", "off").env("EVERCALL_LOG_FORMAT", format));
            let log = split(&output.stderr);
            assert_eq!(log.len(), 1, "{log:?}");
            if format == "json" {
                let shown = lines::json(log[0]).unwrap().program;
                let shown: Vec<u8> = shown.chars().map(|c| u8::try_from(c).unwrap()).collect();
                assert!(!shown.is_empty() && name.starts_with(&shown), "{log:?}");
            }
        }
    }
}

/// What a call became names a mount point: as hostile as its folder's name.
#[test]
fn hostile_mount_points_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"a\nb\t c"[..], b"\x1b[31m\"\\", b"\xff\xfe", &[b'\n'; 200]] {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        let mut command = bare("unshare");
        command.args([
            "-m",
            "sh",
            "-c",
            "mount -t tmpfs none \"$1\" && exec env LD_PRELOAD=\"$2\" \"$3\" \"mounted:$1\"",
        ]);
        command.arg("sh").arg(&path).arg(common::shim()).arg(program("steps"));
        command.env("EVERCALL_FORCE", "ustat").env("EVERCALL_LOG", "all").env("EVERCALL_NOFILE", "off");
        let output = command.env("EVERCALL_LOG_FORMAT", "json").output().unwrap();
        if text(&output.stderr).contains("unshare") || text(&output.stderr).contains("mount: ") {
            skip!("no mount namespace: {}", text(&output.stderr));
        }
        assert_eq!(text(&output.stdout), "");
        let log = all_json(&output.stderr);
        let became = log.last().unwrap().became.clone().unwrap();
        let shown: Vec<u8> = became.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let expected = [b"fstatfs of ", path.as_os_str().as_bytes()].concat();
        let cut = shown.len() > 200 && expected.starts_with(&shown);
        assert!(shown == expected || cut, "{became:?}");
    }
}

/// `EVERCALL_LOG_TO` names a descriptor or a file; standard error stays empty then.
#[test]
fn log_to_goes_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let output = succeed(logging("all", "ustat*3").env("EVERCALL_LOG_TO", "stderr"));
    assert_eq!(all_text(&output.stderr).len(), 3);
    let output = succeed(logging("all", "ustat*4").env("EVERCALL_LOG_TO", &path));
    assert_eq!((all_text(&fs::read(&path).unwrap()).len(), output.stderr.len()), (4, 0));
    succeed(logging("all", "ustat").env("EVERCALL_LOG_TO", &path));
    assert_eq!(all_text(&fs::read(&path).unwrap()).len(), 5, "appended");
    let by_number = folder.path().join("fd");
    let mut shell = bare("sh");
    shell.args(["-c", "exec 7>\"$1\"; LD_PRELOAD=$2 EVERCALL_LOG_TO=fd:7 \"$3\" ustat*6", "sh"]);
    shell.arg(&by_number).arg(common::shim()).arg(program("steps"));
    shell.env("EVERCALL_FORCE", "ustat").env("EVERCALL_LOG", "all").env("EVERCALL_NOFILE", "off");
    let output = succeed(&mut shell);
    assert_eq!((all_text(&fs::read(&by_number).unwrap()).len(), output.stderr.len()), (6, 0));
}

/// Each line leaves in one write, into a pipe as into a file. The oracle is strace.
#[test]
fn one_write_a_line() {
    let folder = tempfile::tempdir().unwrap();
    for to in ["stderr", "path"] {
        let (log, trace) = (folder.path().join("log"), folder.path().join("trace"));
        let mut strace = bare("strace");
        strace.args(["-f", "-s", "4096", "-e", "trace=write,writev,pwrite64,pwritev,pwritev2,sendto", "-o"]);
        strace.arg(&trace).arg("-E").arg(format!("LD_PRELOAD={}", common::shim().display()));
        for setting in ["FORCE=all", "NOFILE=off", "LOG=all"] {
            strace.arg("-E").arg(format!("EVERCALL_{setting}"));
        }
        let to = if to == "path" { log.display().to_string() } else { to.into() };
        strace.arg("-E").arg(format!("EVERCALL_LOG_TO={to}"));
        strace.arg(program("steps")).args([
            "ustat*5",
            "badstring",
            "thread:3*2",
            "fork",
            "sysfs",
            "vfork",
            "ustat",
        ]);
        let output = match strace.output() {
            Err(error) => skip!("strace: {error}"),
            Ok(output) => output,
        };
        let written = if to == "stderr" { output.stderr } else { fs::read(&log).unwrap() };
        assert_eq!(all_text(&written).len(), 14);
        let trace = fs::read_to_string(&trace).unwrap();
        let writes: Vec<&str> = trace.lines().filter(|l| l.contains("steps[")).collect();
        assert_eq!(writes.len(), 14, "{trace}");
        assert!(writes.iter().all(|write| write.contains("write") && write.matches("\\n").count() == 1));
    }
}

/// 64 threads with 100 calls each: a file has every line, whole.
#[test]
fn lines_of_64_threads_are_never_mixed() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["text", "json"] {
        let path = folder.path().join(format);
        succeed(
            logging("all", "thread:64*100").env("EVERCALL_LOG_TO", &path).env("EVERCALL_LOG_FORMAT", format),
        );
        let log = fs::read(&path).unwrap();
        let log = if format == "json" { all_json(&log) } else { all_text(&log) };
        assert_eq!(log.len(), 6400);
    }
}

/// The lines of a pipe that several processes write to: whole, and none missing that is not told.
fn check_shared(log: &[u8], calls: usize) {
    let (mut told, mut whole) = (0, 0);
    for line in split(log) {
        match lines::dropped(line) {
            Some(count) => told += count,
            None => {
                assert!(lines::text(line).is_some(), "{line:?}");
                whole += 1;
            }
        }
    }
    assert!(whole > 0 && whole + told <= calls, "{whole} lines and {told} dropped of {calls}");
}

/// Threads and processes that share one pipe: every line is whole.
#[test]
fn lines_of_many_writers_into_one_pipe_are_never_mixed() {
    check_shared(&run("all", "thread:64*100").stderr, 6400);
    let mut shell = under_shim("sh");
    shell
        .args(["-c", "for i in 1 2 3 4 5 6; do \"$1\" thread:4*100 & done; wait", "sh"])
        .arg(program("steps"));
    shell.env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all").env("EVERCALL_NOFILE", "off");
    check_shared(&succeed(&mut shell).stderr, 2400);
}

/// A log file takes one descriptor, far from those the program gets.
#[test]
fn a_log_file_leaves_the_programs_numbers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let steps = format!("ustat open:{0}/a open:{0}/b ustat", folder.path().display());
    let expected = succeed(bare(program("steps")).args(steps.split_whitespace()));
    let path = folder.path().join("log");
    let output = succeed(logging("all", &steps).env("EVERCALL_LOG_TO", &path));
    assert_eq!(text(&output.stdout), text(&expected.stdout));
    assert_eq!(all_text(&fs::read(&path).unwrap()).len(), 2);
}
