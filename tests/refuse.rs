//! Rules that answer ENOSYS: what a filter answers with EPERM becomes what callers fall back on, and the kernel's
//! own EPERM stays. And first forms of calls, whose refusal no probe can tell.

#[path = "common/ask.rs"]
mod ask;
#[macro_use]
mod common;

use ask::{Nobody, answer, answers, ask, ask_repaired, failure, forced, is_root, outcome};
use evercall_rules::Fidelity;
use evercall_rules::table::{RULES, Rule};

/// The refusing rules and a question by each door of theirs.
fn refused(with_probe: bool) -> Vec<(&'static Rule, Vec<String>)> {
    let rules = RULES.iter().filter(|rule| {
        // fallocate refuses as a file system without it, after the checks of its arguments.
        let answers_enosys = rule.fidelity == Fidelity::Refuse && rule.does == "answers ENOSYS";
        answers_enosys && !rule.calls.is_empty() && rule.probe.is_some() == with_probe
    });
    rules
        .map(|rule| {
            let arguments: Vec<String> =
                rule.probe.map_or(&[][..], |(_, given)| given).iter().map(i32::to_string).collect();
            let arguments = arguments.join(" ");
            let mut questions = vec![format!("syscall {} {arguments}", common::number(rule.calls[0]))];
            questions.extend(rule.symbols.iter().map(|symbol| format!("symbol {symbol} {arguments}")));
            (rule, questions)
        })
        .collect()
}

fn assert_all(with_probe: bool, refusal: &str, expected: i32) {
    let refused = refused(with_probe);
    assert!(!refused.is_empty());
    for (rule, questions) in refused {
        for (question, answer) in
            questions.iter().zip(answers(&mut ask_repaired(refusal, rule.calls[0]), &questions))
        {
            assert_eq!(outcome(&answer), failure(expected), "{}: {question} under {refusal}", rule.name);
        }
    }
}

#[test]
fn a_filters_eperm_becomes_enosys_where_a_probe_tells_it() {
    assert_all(true, "EPERM", libc::ENOSYS);
    assert_all(true, "ENOSYS", libc::ENOSYS);
}

#[test]
fn eperm_stays_where_the_kernel_says_it_too() {
    assert_all(false, "EPERM", libc::EPERM);
    assert_all(false, "ENOSYS", libc::ENOSYS);
}

/// The ports of the processor: without the right to them EPERM is the kernel's own, also where a filter stands that
/// refuses something else; a filter's is told from it.
#[test]
fn the_kernels_own_eperm_of_the_ports_stays() {
    if !is_root() {
        skip!("needs root to become nobody");
    }
    let questions = ["syscall 172 3", "symbol iopl 3", "syscall 173 0x80 1 1", "symbol ioperm 0x80 1 1"];
    let questions = questions.map(str::to_owned);
    let nobody = Nobody::new();
    let native = answers(&mut nobody.ask_bare(), &questions);
    if native.iter().all(|answer| outcome(answer) == failure(libc::ENOSYS)) {
        skip!("this kernel is built without CONFIG_X86_IOPL_IOPERM");
    }
    assert!(native.iter().all(|answer| outcome(answer) == failure(libc::EPERM)), "{native:?}");
    assert_eq!(native, answers(&mut nobody.ask(None), &questions));
    assert_eq!(native, answers(&mut nobody.ask(Some(("EPERM", "ustat"))), &questions));
    for given in answers(&mut nobody.ask(Some(("EPERM", "iopl,ioperm"))), &questions) {
        assert_eq!(outcome(&given), failure(libc::ENOSYS));
    }
}

/// glibc keeps bdflush() as a stub; other libcs have none, and ours answers alike.
#[test]
fn bdflush_is_what_it_always_was_on_x86_64() {
    for question in ["symbol bdflush 1 0", "symbol bdflush 2 0"] {
        assert_eq!(outcome(&answer(&mut ask(), question)), failure(libc::ENOSYS), "{question}");
        assert_eq!(outcome(&answer(&mut forced("bdflush"), question)), failure(libc::ENOSYS), "{question}");
    }
}

/// modify_ldt(2) gives an int that 64-bit kernels do not extend: what the host answers goes through as it is.
#[test]
fn modify_ldt_of_the_host_is_handed_on() {
    let questions: Vec<String> = ["0 buf:16 16", "2 buf:200 200", "-1 null 0", "1 null 3", "17 bad 16"]
        .iter()
        .flat_map(|a| [format!("syscall 154 {a}"), format!("symbol modify_ldt {a}")])
        .collect();
    let native = answers(&mut ask(), &questions);
    let mut under = ask();
    under.env("LD_PRELOAD", common::shim());
    assert_eq!(native, answers(&mut under, &questions));
}

/// eventfd(2) by its first number: the count, and no flags. No probe, since it never fails.
#[test]
fn eventfd_without_flags_is_as_native() {
    const F_GETFD: i32 = libc::F_GETFD;
    const F_GETFL: i32 = libc::F_GETFL;
    for count in ["0", "5", "0xffffffff", "-1", "0x100000007"] {
        let questions = [
            format!("syscall 284 {count}"),
            format!("inline 72 3 {F_GETFD}"),
            format!("inline 72 3 {F_GETFL}"),
            "inline 1 3 longs:1 8".to_owned(),
            "inline 0 3 buf:8 8".to_owned(),
        ];
        let native = answers(&mut ask(), &questions);
        assert_eq!(outcome(&native[0]), "3 1234", "the first free descriptor is 3");
        assert_eq!(native, answers(&mut ask_repaired("ENOSYS", "eventfd"), &questions), "{count}");
        assert_eq!(native, answers(&mut forced("eventfd"), &questions), "{count}");
    }
}
