//! Three columns of old calls that have a modern form: what the test programs see natively, with the old calls
//! refused, and refused under the shim. Then the same calls by bare instructions under `--trap`.

#[path = "common/ask.rs"]
mod ask;
#[path = "common/cancellation.rs"]
mod cancellation;
#[path = "common/columns.rs"]
mod columns;
mod common;

use ask::{answer, answers};
use cancellation::assert_cancelled_in_libcs_own;
use columns::assert_third_equals_first;
use common::{bare, denied, program, shim, succeed, text};
use evercall_rules::table::Rule;
use std::process::Command;

const PATHS: [&str; 20] = [
    "open",
    "creat",
    "access",
    "stat",
    "lstat",
    "fstat",
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "link",
    "symlink",
    "readlink",
    "chmod",
    "chown",
    "lchown",
    "mknod",
    "utime",
    "utimes",
    "futimesat",
];
const DESCRIPTORS: [&str; 6] = ["signalfd", "pipe", "dup2", "getdents", "getrlimit", "setrlimit"];
const WAITS: [&str; 4] = ["select", "poll", "epoll_wait", "time"];

/// No argument of theirs is harmless, so that a filter's EPERM is not told from the kernel's.
const WITHOUT_A_PROBE: [(&str, &[&str]); 2] = [
    ("superseded_descriptors", &["eventfd", "inotify_init"]),
    ("superseded_waits", &["pause", "alarm", "fork"]),
];

fn with_symbols(calls: &[&'static str]) -> Vec<&'static str> {
    let has = |call: &&str| Rule::of_call(call).is_some_and(|rule| !rule.symbols.is_empty());
    calls.iter().copied().filter(has).collect()
}

#[test]
fn paths_by_number_are_as_native() {
    assert_third_equals_first("superseded_paths", &["syscall"], &PATHS, &[]);
}

#[test]
fn paths_by_symbol_are_as_native() {
    // Of the newer glibcs only access still makes its old call.
    assert_third_equals_first("superseded_paths", &["symbol"], &with_symbols(&PATHS), &[]);
}

#[test]
fn descriptors_by_number_are_as_native() {
    assert_third_equals_first("superseded_descriptors", &["syscall"], &DESCRIPTORS, &[]);
}

#[test]
fn descriptors_by_symbol_are_as_native() {
    assert_third_equals_first("superseded_descriptors", &["symbol"], &with_symbols(&DESCRIPTORS), &[]);
}

#[test]
fn waits_by_number_are_as_native() {
    assert_third_equals_first("superseded_waits", &["syscall"], &WAITS, &[]);
}

#[test]
fn waits_by_symbol_are_as_native() {
    assert_third_equals_first("superseded_waits", &["symbol"], &with_symbols(&WAITS), &[]);
}

/// The lines of a run that are of these calls.
fn lines(command: &mut Command, calls: &[&str]) -> Vec<String> {
    let output = text(&succeed(command).stdout);
    let of = |line: &&str| calls.contains(&line.split([' ', ':']).next().unwrap_or_default());
    output.lines().filter(of).map(str::to_owned).collect()
}

#[test]
fn calls_without_a_probe_are_as_native_where_the_host_says_enosys() {
    for (name, calls) in WITHOUT_A_PROBE {
        let native = lines(bare(program(name)).arg("syscall"), calls);
        assert!(native.len() >= calls.len(), "{native:?}");
        for (errno, third_is_first) in [("ENOSYS", true), ("EPERM", false)] {
            let mut refused = denied(errno, &calls.join(","));
            let refused = lines(refused.args([program(name).to_str().unwrap(), "syscall"]), calls);
            let mut repaired = denied(errno, &calls.join(","));
            repaired.arg(program(name)).arg("syscall").env("LD_PRELOAD", shim());
            let repaired = lines(&mut repaired, calls);
            assert_ne!(native, refused, "{errno} for {calls:?} changes nothing");
            assert_eq!(repaired, if third_is_first { native.clone() } else { refused }, "{errno} {calls:?}");
        }
    }
}

/// `rename` where renameat is missing too.
#[test]
fn rename_has_two_modern_forms() {
    let native = lines(bare(program("superseded_paths")).arg("syscall"), &["rename"]);
    for errno in ["ENOSYS", "EPERM"] {
        let mut command = denied(errno, "rename,renameat");
        command.arg(program("superseded_paths")).arg("syscall").env("LD_PRELOAD", shim());
        assert_eq!(lines(&mut command, &["rename"]), native, "{errno}");
    }
}

/// Docker's profile before kernel 4.8 refused process_vm_readv and process_vm_writev: a pipe reads and writes the
/// program's memory then, pipe2 alone.
#[test]
fn without_process_vm_they_are_as_native() {
    let programs = [
        ("superseded_paths", &PATHS[..]),
        ("superseded_descriptors", &DESCRIPTORS),
        ("superseded_waits", &WAITS),
    ];
    for (name, calls) in programs {
        let native = lines(bare(program(name)).arg("syscall"), calls);
        let mut command = denied("EPERM", &format!("{},process_vm_readv,process_vm_writev", calls.join(",")));
        command.arg(program(name)).arg("syscall").env("LD_PRELOAD", shim());
        assert_eq!(lines(&mut command, calls), native, "{name}");
    }
}

/// A program under a filter that refuses these calls, as `evercall run --trap` starts it; the command itself does
/// not start without poll.
fn trapped(calls: &str, words: &[&str]) -> Command {
    let mut command = denied("ENOSYS", calls);
    let preload = format!("LD_PRELOAD={}", shim().display());
    command.args(["env", &preload, "EVERCALL_TRAP=1"]).args(words);
    command
}

/// What loaders make before the handler stands, or what a libc makes on too small a stack, is never trapped.
const NEVER_TRAPPED: [&str; 8] =
    ["open", "access", "stat", "lstat", "fstat", "readlink", "getrlimit", "dup2"];

#[test]
fn bare_instructions_are_as_native_under_the_trap() {
    let programs = [
        ("superseded_paths", &PATHS[..]),
        ("superseded_descriptors", &DESCRIPTORS),
        ("superseded_waits", &WAITS),
    ];
    for (name, calls) in programs {
        let path = program(name).display().to_string();
        let calls: Vec<&str> = calls.iter().copied().filter(|call| !NEVER_TRAPPED.contains(call)).collect();
        let native = lines(bare(&path).arg("inline"), &calls);
        let all = calls.join(",");
        let refused = lines(denied("ENOSYS", &all).args([&path, "inline"]), &calls);
        assert!(
            native
                .iter()
                .zip(&refused)
                .all(|(native, refused)| native != refused || native.contains("errno 38"))
        );
        assert_eq!(lines(&mut trapped(&all, &[&path, "inline"]), &calls), native, "{name}");
    }
}

/// fork and vfork, which are trapped where they are forced: libc's own vfork is a bare instruction.
#[test]
fn forced_rules_without_a_probe_are_trapped() {
    let path = program("superseded_waits").display().to_string();
    let questions =
        ["inline fork", "inline vfork", "inline alarm seconds=3 left=2.800", "inline pause eintr=plain"];
    let questions = questions.map(str::to_owned);
    let native = answers(bare(&path).arg("ask"), &questions);
    let mut command = trapped("fork,vfork,alarm,pause", &[&path, "ask"]);
    command.env("EVERCALL_FORCE", "fork,vfork,alarm,pause");
    assert_eq!(answers(&mut command, &questions), native);
}

/// Rules that lead to each other, both of whose calls are missing and trapped, end in ENOSYS and not in a circle.
#[test]
fn no_two_rules_call_each_other_for_ever() {
    let pairs = [
        ("pipe,pipe2", "superseded_descriptors", "pipe", "pipe"),
        ("eventfd,eventfd2", "superseded_descriptors", "eventfd", "eventfd"),
        ("inotify_init,inotify_init1", "superseded_descriptors", "inotify_init", "inotify_init"),
        ("signalfd,signalfd4", "superseded_descriptors", "signalfd", "signalfd"),
        ("epoll_wait,epoll_pwait", "superseded_waits", "epoll_wait", "epoll_wait"),
        ("futimesat,utimes,utime,utimensat", "superseded_paths", "utimes", "utimes path=@null"),
        ("setrlimit,prlimit64", "superseded_descriptors", "setrlimit", "setrlimit"),
    ];
    for (calls, name, forced, question) in pairs {
        let path = program(name).display().to_string();
        let mut command = trapped(calls, &[&path, "ask"]);
        command.env("EVERCALL_FORCE", forced);
        let answer = answer(&mut command, &format!("inline {question}"));
        assert!(answer.contains("-1 errno 38"), "{question} without {calls}: {answer}");
    }
}

/// While a handler of SIGSEGV stands (the vsyscall rule's), signalfd by a rule goes through `signals::calls` too: by
/// the number and under the trap it takes all signals but that one.
#[test]
fn signalfd_never_takes_sigsegv_from_our_handler() {
    let path = program("superseded_descriptors").display().to_string();
    let question = "signalfd signals=0x7fffffff";
    let native = answer(bare(&path).arg("ask"), &format!("inline {question}"));
    assert!(native.ends_with("takes 000000007ffbfeff"), "{native}");
    // SIGSEGV is the eleventh.
    let without = native.replace("7ffbfeff", "7ffbfaff");
    let mut forced = bare(&path);
    forced
        .arg("ask")
        .env("LD_PRELOAD", shim())
        .env("EVERCALL_VSYSCALL", "on")
        .env("EVERCALL_FORCE", "signalfd");
    assert_eq!(answer(&mut forced, &format!("syscall {question}")), without);
    let mut trapped = trapped("signalfd", &["env", "EVERCALL_VSYSCALL=on", &path, "ask"]);
    assert_eq!(answer(&mut trapped, &format!("inline {question}")), without);
}

/// What a shell and its children make every day is refused, and trapped as far as it may be: they run as ever.
#[test]
fn a_shell_and_its_children_run_under_the_trap() {
    let script = "echo one | cat; test -r /etc/passwd && echo readable; mkdir \"$1/new\" && mv \"$1/new\" \"$1/old\" && ls \"$1\"";
    let all = [&PATHS[..], &DESCRIPTORS, &WAITS].concat().join(",");
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let mut command = trapped(&all, &["bash", "-c", script, "bash", &place]);
    command.env("EVERCALL_LOG", "all");
    let output = succeed(&mut command);
    assert_eq!(text(&output.stdout), "one\nreadable\nold\n");
    let log = text(&output.stderr);
    let names: Vec<&str> =
        log.lines().find_map(|line| line.split_once("] trap: ")).expect("a line").1.split(", ").collect();
    for call in ["pipe", "mkdir", "rename", "poll", "select"] {
        assert!(names.contains(&call), "{names:?}");
    }
    for call in NEVER_TRAPPED {
        assert!(!names.contains(&call), "{names:?}");
    }
}

/// A door on a libc's blocking function hands on to it where the host answers, so that it stays a cancellation point.
#[test]
fn a_thread_is_cancelled_in_libcs_own_functions() {
    assert_cancelled_in_libcs_own(&["poll", "select"]);
}

/// musl makes these very calls in its functions, and its select leaves the program's time alone.
#[test]
fn musls_functions_are_as_native() {
    let differences = [
        ("poll timeout=12 chk=8", "musl has no __poll_chk"),
        ("poll list=110:1 chk=16", "musl has no __poll_chk"),
    ];
    let both = |name: &str, calls: &[&'static str]| {
        assert_third_equals_first(&format!("{name}.musl"), &["symbol"], &with_symbols(calls), &differences);
    };
    both("superseded_paths", &["access"]);
    both("superseded_descriptors", &["pipe", "dup2"]);
    both("superseded_waits", &["select", "poll"]);
}
