//! strace as the witness: what really reaches the kernel when a forced rule carries a call out, kept as
//! snapshots. Whoever changes a handler sees here by which calls it works now.
//!
//! A difference fails and leaves no file (`.cargo/config.toml`): `INSTA_UPDATE=always cargo test --test witness`
//! accepts it. The form is that of strace 6.1 (Debian 12).

mod common;

use common::{bare, program, shim, succeed, text};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// What `witness` is asked, and the rule that is forced.
const CALLS: &[(&str, &str)] = &[
    ("statx", "statx"),
    ("statx_descriptor", "statx"),
    ("faccessat2", "faccessat2"),
    ("faccessat2_link", "faccessat2"),
    ("fchmodat2", "fchmodat2"),
    ("openat2", "openat2"),
    ("openat2_escapes", "openat2"),
    ("renameat2", "renameat2"),
    ("renameat2_exists", "renameat2"),
    ("copy_file_range", "copy_file_range"),
    ("copy_file_range_offsets", "copy_file_range"),
    ("getrandom", "getrandom"),
    ("close_range", "close_range"),
    ("close_range_cloexec", "close_range"),
    ("epoll_pwait2", "epoll_pwait2"),
    ("preadv2", "preadv2"),
    ("preadv2_position", "preadv2"),
    ("pwritev2", "pwritev2"),
    ("memfd_create", "memfd_create"),
    ("accept4", "accept4"),
    ("dup3", "dup3"),
    ("pipe2", "pipe2"),
    ("prlimit64", "prlimit64"),
    ("clone3", "clone3"),
    ("execveat", "execveat"),
    ("utimensat", "utimensat"),
    ("recvmmsg", "recvmmsg"),
    ("eventfd2", "eventfd2"),
    ("mlock2", "mlock2"),
    ("open", "open"),
    ("creat", "creat"),
    ("access", "access"),
    ("lstat", "lstat"),
    ("fstat", "fstat"),
    ("rmdir", "rmdir"),
    ("rename", "rename"),
    ("readlink", "readlink"),
    ("lchown", "lchown"),
    ("mknod", "mknod"),
    ("getdents", "getdents"),
    ("pipe", "pipe"),
    ("dup2", "dup2"),
    ("dup2_same", "dup2"),
    ("signalfd", "signalfd"),
    ("inotify_init", "inotify_init"),
    ("select", "select"),
    ("poll", "poll"),
    ("epoll_wait", "epoll_wait"),
    ("alarm", "alarm"),
    ("time", "time"),
    ("utime", "utime"),
    ("futimesat", "futimesat"),
    ("getrlimit", "getrlimit"),
    ("setrlimit", "setrlimit"),
    ("fork", "fork"),
    ("vfork", "vfork"),
    ("sync_file_range", "sync_file_range"),
];

/// The system calls of one translation, then what the program was told.
fn witnessed(call: &str, rule: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir_all(work.join("folder")).unwrap();
    fs::write(work.join("file"), "0123456789").unwrap();
    fs::write(work.join("other"), "").unwrap();
    for (path, mode) in [("folder", 0o755), ("file", 0o644), ("other", 0o644)] {
        fs::set_permissions(work.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let trace = folder.path().join("trace");
    let mut strace = bare("strace");
    strace.args(["-qq", "-e", "signal=none", "-o"]).arg(&trace);
    // The preload is the program's alone: strace itself is not to be translated.
    strace.arg("-E").arg(format!("LD_PRELOAD={}", shim().display()));
    strace.args(["-E", &format!("EVERCALL_FORCE={rule}")]);
    // Whether this is forced or not, an exec is tried as it is first.
    if rule == "execveat" {
        strace.arg(common::command()).args(common::denying("ENOSYS", rule));
    }
    strace.arg(program("witness")).arg(call).current_dir(&work);
    let said = text(&succeed(&mut strace).stdout);
    let (pid, outcome) = said.split_once('\n').unwrap();
    let trace = fs::read_to_string(&trace).unwrap();
    let is_mark = |line: &&str| line.starts_with("getppid(");
    let mut after = trace.lines().skip_while(|line| !is_mark(line));
    after.next().unwrap_or_else(|| panic!("{call}: no mark in\n{trace}"));
    let mut kept = String::new();
    for line in after.take_while(|line| !is_mark(line)) {
        kept += &normalised(line, pid);
        kept.push('\n');
        // A program that was replaced makes no second mark.
        if line.starts_with("exec") && line.ends_with("= 0") {
            break;
        }
    }
    kept + outcome
}

/// A line of strace without what differs from run to run or between machines: addresses, ids, the clock, sizes of
/// folders, bytes that are no text, and how many blanks stand before the result.
fn normalised(line: &str, pid: &str) -> String {
    let mut words = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '"') {
        words += &rest[..start];
        rest = &rest[start..];
        let end = if rest.starts_with('"') {
            // strace escapes a quotation mark inside.
            let mut escaped = false;
            let closing = rest.char_indices().skip(1).find(|&(_, c)| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            closing.map_or(rest.len(), |(at, _)| at + 1)
        } else {
            rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())
        };
        let word = &rest[..end];
        let before = |what: &str| words.ends_with(what);
        let own = before("process_vm_readv(") || before("process_vm_writev(") || line.starts_with("get");
        let clock = line.starts_with("clock_gettime(");
        let word = match word {
            _ if own && word == pid => "PID",
            _ if clock && (before("tv_sec=") || before("tv_nsec=")) => "TIME",
            _ if before("S_IFDIR|0755, st_size=") => "SIZE",
            _ if word.starts_with("0x") && word.len() > 8 => "ADDRESS",
            _ if word.starts_with('"') && word.contains('\\') => "BYTES",
            _ => word,
        };
        words += &word.replace(&format!("/{pid}/"), "/PID/");
        rest = &rest[end..];
    }
    words += rest;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.split_once(" = ") {
        // A child's id is known to the parent alone.
        Some((call, _)) if call.starts_with("clone") || call.starts_with("vfork(") => {
            format!("{call} = CHILD")
        }
        // The user and group of whoever runs this.
        Some((call, _)) if call.ends_with("uid()") || call.ends_with("gid()") => format!("{call} = ID"),
        _ => words,
    }
}

#[test]
fn what_reaches_the_kernel() {
    let version =
        Command::new("strace").arg("-V").output().map(|output| text(&output.stdout)).unwrap_or_default();
    if !version.starts_with("strace -- version 6.1") {
        skip!("the snapshots are in the form of strace 6.1, here is {:?}", version.lines().next());
    }
    // Not only missing: in some containers it may not trace.
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        skip!("no strace, or it may not trace here");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // All differences at once, not the first alone.
    let failed: Vec<&str> = CALLS
        .iter()
        .filter(|(call, rule)| {
            let trace = witnessed(call, rule);
            let name = format!("witness_{call}");
            settings.bind(|| std::panic::catch_unwind(|| insta::assert_snapshot!(name, trace)).is_err())
        })
        .map(|&(call, _)| call)
        .collect();
    assert!(failed.is_empty(), "another translation than the snapshot's: {failed:?}");
}
