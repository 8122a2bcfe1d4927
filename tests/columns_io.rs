//! Three columns of the families of I/O and descriptors: what `modern_io` and `modern_events` see natively,
//! with the calls refused, and refused under the shim.

#[path = "common/ask.rs"]
mod ask;
#[path = "common/cancellation.rs"]
mod cancellation;
#[path = "common/columns.rs"]
mod columns;
mod common;

use ask::{answers, ask_denied, ask_repaired, failure, outcome};
use cancellation::assert_cancelled_in_libcs_own;
use columns::assert_third_equals_first;
use common::number;

const IO: [&str; 9] = [
    "getrandom",
    "copy_file_range",
    "preadv",
    "pwritev",
    "preadv2",
    "pwritev2",
    "fallocate",
    "sync_file_range",
    "syncfs",
];

/// Without the calls whose symbols are doors of another family.
const EVENTS: [&str; 12] = [
    "close_range",
    "accept4",
    "dup3",
    "pipe2",
    "eventfd2",
    "inotify_init1",
    "epoll_create1",
    "recvmmsg",
    "sendmmsg",
    "futex_wake",
    "futex_wait",
    "futex_requeue",
];

const WITH_MASKS: [&str; 3] = ["signalfd4", "epoll_pwait", "epoll_pwait2"];

const DIFFERENCES: [(&str, &str); 2] = [
    ("fallocate len=50: 0", "refused: no space is reserved without the call"),
    ("eventfd2 flags=1: ", "partial: no EFD_SEMAPHORE before 2.6.30"),
];

#[test]
fn io_by_number_is_as_native() {
    assert_third_equals_first("modern_io", &["syscall"], &IO, &DIFFERENCES);
}

#[test]
fn io_by_symbol_is_as_native() {
    assert_third_equals_first("modern_io", &["symbol"], &IO, &DIFFERENCES);
}

/// glibc does without them by preadv and pwritev, where there are those, but refuses every flag.
#[test]
fn flags_are_kept_where_libc_would_drop_the_call() {
    assert_third_equals_first("modern_io", &["symbol"], &["preadv2", "pwritev2"], &DIFFERENCES);
}

#[test]
fn descriptors_and_events_by_number_are_as_native() {
    let calls = [&EVENTS[..], &WITH_MASKS].concat();
    assert_third_equals_first("modern_events", &["syscall"], &calls, &DIFFERENCES);
}

#[test]
fn descriptors_and_events_by_symbol_are_as_native() {
    assert_third_equals_first("modern_events", &["symbol"], &EVENTS, &DIFFERENCES);
}

/// Docker's profile before kernel 4.8 refused process_vm_readv and process_vm_writev too: what reads the
/// program's memory and checks vectors has another way, which needs no pipe2 either.
#[test]
fn without_process_vm_they_are_as_native() {
    let with = |calls: &[&'static str]| [calls, &["process_vm_readv", "process_vm_writev"]].concat();
    for (program, calls) in [("modern_io", with(&IO)), ("modern_events", with(&EVENTS))] {
        let native = columns_of(&mut common::bare(common::program(program)), &[]);
        let mut command = common::denied("EPERM", &calls.join(","));
        command.arg(common::program(program)).env("LD_PRELOAD", common::shim());
        let repaired = columns_of(&mut command, &DIFFERENCES.map(|(start, _)| start));
        let kept = |line: &&String| !DIFFERENCES.iter().any(|(start, _)| line.starts_with(start));
        let native: Vec<&String> = native.iter().filter(kept).collect();
        for (native, repaired) in native.iter().zip(&repaired) {
            assert_eq!(*native, repaired, "{program}");
        }
        assert_eq!(native.len(), repaired.len(), "{program}");
    }
}

/// The lines of a run by number, without those that begin like these.
fn columns_of(command: &mut std::process::Command, without: &[&str]) -> Vec<String> {
    let output = common::succeed(command.arg("syscall"));
    let what = |line: &str| line.split_once(": ").map(|(what, _)| what.to_owned());
    let skipped: Vec<_> =
        without.iter().map(|start| start.split(':').next().unwrap_or_default().to_owned()).collect();
    let kept = |line: &&str| !what(line).is_some_and(|what| skipped.contains(&what));
    common::text(&output.stdout).lines().filter(kept).map(str::to_owned).collect()
}

/// Calls without an honest translation answer ENOSYS to a filter's EPERM, so that callers fall back.
#[test]
fn refused_calls_answer_enosys() {
    let refused = [
        ("timerfd_create", "1 0"),
        ("timerfd_settime", "0 0 longs:0,0,0,0 null"),
        ("timerfd_gettime", "0 buf:32"),
        ("futex_waitv", "null 0 0 null 0"),
        ("cachestat", "0 null null 0"),
    ];
    let all = refused.map(|(call, _)| call).join(",");
    let questions = refused.map(|(call, arguments)| format!("syscall {} {arguments}", number(call)));
    for answer in answers(&mut ask_denied("EPERM", &all), &questions) {
        assert_eq!(outcome(&answer), failure(libc::EPERM));
    }
    for errno in ["EPERM", "ENOSYS"] {
        for (answer, question) in answers(&mut ask_repaired(errno, &all), &questions).iter().zip(&questions) {
            assert_eq!(outcome(answer), failure(libc::ENOSYS), "{errno} {question}");
        }
    }
}

/// EPERM of a disabled io_uring or userfaultfd is the kernel's own word: nothing is told from it.
#[test]
fn eperm_that_proves_nothing_stays() {
    let calls = ["io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"];
    let questions = calls.map(|call| format!("syscall {} 0 null", number(call)));
    for answer in answers(&mut ask_repaired("EPERM", &calls.join(",")), &questions) {
        assert_eq!(outcome(&answer), failure(libc::EPERM));
    }
}

/// Where the host answers, the doors hand on to libc, whose functions stay cancellation points.
#[test]
fn a_thread_is_cancelled_in_libcs_own_functions() {
    assert_cancelled_in_libcs_own(&["accept4", "recvmmsg", "preadv2", "epoll_pwait"]);
}
