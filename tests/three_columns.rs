//! Three columns: what the host answers natively, what a filter leaves of it, and what the shim makes of
//! that. The third equals the first. And the other side: what is no filter's doing is left alone.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{Nobody, answer, answers, ask, ask_denied, ask_repaired, buffer, failure, feed, is_root, outcome};
use common::{bare, denied, program, shim, succeed, text};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

const CALLS: &str = "ustat,sysfs,epoll_create";

/// Questions whose answers do not move: file systems without free blocks, and every kind of bad pointer.
fn questions() -> Vec<String> {
    let places = ["null", "bad", "kernel", "none", "ro:40", "edge:3", "edge:31", "edge:32", "buf:40"];
    let names = [
        "str:proc",
        "edgestr:proc",
        "cutstr:proc",
        "str:",
        "cutstr:",
        "str:no-such-type",
        "long:4095",
        "long:4096",
        "null",
        "bad",
        "kernel",
        "none",
        "str:%FF",
    ];
    let mut questions = Vec::new();
    for place in places {
        for device in ["dev:/proc", "dev:/sys", "0", "-1", "123456789"] {
            questions.push(format!("ustat {device} {place}"));
        }
        for index in ["0", "1", "7", "9999", "-1"] {
            questions.push(format!("sysfs 2 {index} {place}"));
        }
    }
    questions.extend(names.map(|name| format!("sysfs 1 {name}")));
    questions.extend(["0", "3", "4", "-1"].map(|option| format!("sysfs {option} 0 0")));
    questions.extend(
        ["-1", "0", "1", "1000", "0x7fffffff", "0x80000000"].map(|size| format!("epoll_create {size}")),
    );
    questions
}

fn through(door: &str) -> Vec<String> {
    questions().iter().map(|question| format!("{door} {question}")).collect()
}

/// Holds a third column against the first, by `syscall()` and by the symbols.
fn assert_equals_native(mut third: impl FnMut() -> Command) {
    let native = answers(&mut ask(), &through("inline"));
    for door in ["syscall", "symbol"] {
        let repaired = answers(&mut third(), &through(door));
        for ((question, native), repaired) in through(door).iter().zip(&native).zip(repaired) {
            assert_eq!(*native, repaired, "{question}");
        }
    }
}

/// The second column, to be sure that there is something to repair.
fn assert_denied(errno: &str, number: i32) {
    for (question, answer) in
        questions().iter().zip(answers(&mut ask_denied(errno, CALLS), &through("syscall")))
    {
        assert_eq!(outcome(&answer), failure(number), "{question} under a filter");
    }
}

/// ENOSYS, as from kernels without the calls.
#[test]
fn what_a_filter_answers_with_enosys_is_as_native() {
    assert_denied("ENOSYS", libc::ENOSYS);
    assert_equals_native(|| ask_repaired("ENOSYS", CALLS));
}

/// EPERM, as from container profiles: told from the kernel's own by a probe.
#[test]
fn what_a_filter_answers_with_eperm_is_as_native() {
    assert_denied("EPERM", libc::EPERM);
    assert_equals_native(|| ask_repaired("EPERM", CALLS));
}

/// Docker's profile before kernel 4.8 also refused process_vm_readv and process_vm_writev, by which the
/// program's memory is reached: bad pointers are EFAULT all the same, bytes are the same.
#[test]
fn without_process_vm_every_answer_is_as_native() {
    for errno in ["EPERM", "ENOSYS"] {
        assert_equals_native(|| ask_repaired(errno, &format!("{CALLS},process_vm_readv,process_vm_writev")));
    }
}

/// The rules whose calls no host here has answer the same with and without process_vm.
#[test]
fn without_process_vm_the_rules_of_missing_calls_answer_the_same() {
    let questions = [
        "syscall _sysctl ints:1,1 2 buf:8 longs:8 null 0",
        "syscall _sysctl ints:1,23 2 buf:16 longs:16 null 0",
        "symbol sysctl ints:1,1 2 buf:8 longs:8 null 0",
        "syscall _sysctl ints:1,23 2 edge:15 longs:16 null 0",
        "syscall _sysctl bad 2 buf:8 longs:8 null 0",
        "syscall _sysctl ints:1,23 2 buf:8 bad null 0",
        "syscall _sysctl ints:1,23 2 ro:8 longs:8 null 0",
        "syscall _sysctl null",
        "syscall _sysctl edge:79",
        "syscall query_module null 0 null 0 null",
        "syscall query_module bad 0 null 0 null",
        "syscall query_module long:4096 0 null 0 null",
        "syscall query_module str: 0 null 0 null",
        "syscall query_module null 4 buf:64 64 buf:8",
        "syscall query_module null 4 bad 64 bad",
        "syscall get_kernel_syms bad",
        "syscall uselib bad",
        "syscall uselib str:/",
        "symbol stime bad",
    ];
    let questions = questions.map(str::to_owned);
    let with = answers(ask().env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "stime"), &questions);
    let mut without = ask_repaired("EPERM", "process_vm_readv,process_vm_writev");
    let without = answers(without.env("EVERCALL_FORCE", "stime"), &questions);
    for ((question, with), without) in questions.iter().zip(with).zip(without) {
        assert_eq!(with, without, "{question}");
    }
}

/// A filter's EPERM on calls that the kernel does not have any more is seen through too.
#[test]
fn a_missing_call_behind_an_eperm_filter_is_carried_out() {
    for errno in ["EPERM", "ENOSYS"] {
        let mut command = ask_repaired(errno, "_sysctl,query_module,get_kernel_syms,uselib");
        let given = answers(
            &mut command,
            &[
                "syscall _sysctl ints:1,1 2 buf:8 longs:8 null 0".to_owned(),
                "syscall query_module null 0 null 0 null".to_owned(),
                "syscall uselib str:/no/such/file".to_owned(),
            ],
        );
        assert!(buffer(&given[0], 1).starts_with(b"Linux\0"), "{errno}: {}", given[0]);
        assert_eq!(given[1], "0 1234", "{errno}");
        assert_eq!(outcome(&given[2]), failure(libc::ENOENT), "{errno}");
    }
}

/// The kernel's own EPERM stays: without a filter, and under a filter on an unrelated call.
#[test]
fn the_kernels_own_eperm_is_not_taken_for_a_filter() {
    if !is_root() {
        skip!("needs root to become nobody");
    }
    let nobody = Nobody::new();
    for before in [None, Some(("EPERM", "ustat"))] {
        // Only root may set the clock, so nobody's clock is safe.
        let mut command = nobody.ask(before);
        let answer = answer(command.env("EVERCALL_LOG", "all"), "symbol stime longs:1000000000");
        assert_eq!(outcome(&answer), failure(libc::EPERM), "{before:?}");
    }
}

/// A filter on another call makes no rule act: the host's own answer is handed on and nothing is logged.
#[test]
fn a_filter_on_another_call_makes_no_rule_act() {
    let lines = through("syscall").join("\n") + "\n";
    let mut command = ask_repaired("EPERM", "query_module");
    let output = feed(command.env("EVERCALL_LOG", "all"), &lines);
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
    let native = answers(&mut ask(), &through("inline"));
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), native);
}

/// A filter that kills does so bare and under the shim, on the program's own call and on none before it.
#[test]
fn a_killing_filter_kills_no_sooner_than_bare() {
    // Calls before and after the one that kills; the one before is refused, so that its rule asks around.
    let lines = "syscall epoll_create 1\nsyscall ustat 0 null\nsyscall sysfs 3\nsyscall epoll_create 1\n";
    for preload in [false, true] {
        let mut command = denied("KILL", "sysfs");
        command.arg(common::command()).args(common::denying("EPERM", "ustat")).arg(program("ask"));
        if preload {
            command.env("LD_PRELOAD", shim());
        }
        let output = feed(&mut command, lines);
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "under the shim: {preload}");
        assert_eq!(text(&output.stdout).lines().count(), 2, "under the shim: {preload}");
    }
    // Without the call that kills everything is answered.
    let mut command = denied("KILL", "sysfs,_sysctl,query_module,uselib,get_kernel_syms,getpmsg");
    command
        .arg(common::command())
        .args(common::denying("EPERM", "ustat"))
        .arg(program("ask"))
        .env("LD_PRELOAD", shim());
    let given =
        answers(&mut command, &["syscall ustat -1 null".to_owned(), "syscall epoll_create 1".to_owned()]);
    assert_eq!(outcome(&given[0]), failure(libc::EINVAL));
    assert!(given[1].contains("eventpoll"), "{}", given[1]);
}

/// The child that asks whether EPERM is a filter's is no child of the program's: no wait sees it, no
/// SIGCHLD comes, and the program's own children are reaped as ever.
#[test]
fn the_probe_child_is_not_seen_by_the_program() {
    const USTAT: &str = "136";
    let mut refused = denied("EPERM", "ustat");
    refused.arg(program("children")).args([USTAT, "3"]);
    assert_eq!(text(&succeed(&mut refused).stdout), "reaped 3 sigchld 3 strangers 0 errno 1\n");
    let repaired = succeed(refused.env("LD_PRELOAD", shim()));
    let native = succeed(bare(program("children")).args([USTAT, "3"]));
    assert_eq!(text(&native.stdout), "reaped 3 sigchld 3 strangers 0 errno 22\n");
    assert_eq!(text(&native.stdout), text(&repaired.stdout));
}

/// There is such a child, or the test above would prove nothing: strace sees it, without an exit signal.
#[test]
fn the_probe_runs_in_a_child_without_an_exit_signal() {
    let mut command = denied("EPERM", "ustat");
    command.args(["strace", "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork,wait4,ustat"]).arg("-E");
    command.arg(format!("LD_PRELOAD={}", shim().display()));
    // Without the question that is asked at start: tests/repair_filter.rs.
    command.args(["-E", "EVERCALL_FILTER=off"]).arg(program("ask"));
    let output = feed(&mut command, "syscall ustat -1 null\n");
    if !output.status.success() {
        skip!("strace cannot run here: {}", text(&output.stderr));
    }
    let trace = text(&output.stderr);
    let clones: Vec<&str> = trace.lines().filter(|line| line.contains("clone(")).collect();
    assert_eq!(clones.len(), 1, "{trace}");
    assert!(clones[0].contains("flags=0)") || clones[0].contains("flags=0 "), "{trace}");
    assert!(!trace.contains("SIGCHLD"), "{trace}");
}
