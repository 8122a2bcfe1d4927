//! Every system call that is younger than the oldest hosts has its rule, or its reason here; and what the rows
//! say of an unfiltered kernel is held against the one this runs on.

mod common;
#[path = "common/profile.rs"]
mod profile;

use evercall_rules::table::{CALLS, Call, Rule};

/// The first kernel whose calls an image may use that another host lacks.
const FROM: [u32; 3] = [2, 6, 17];

/// Calls without a rule, and why.
const WITHOUT_A_RULE: &[(&str, &str)] = &[
    (
        "process_vm_readv",
        "by it the shim reads the program's own memory; nothing older is as safe, so callers see ENOSYS",
    ),
    ("process_vm_writev", "likewise for writing"),
    ("uprobe", "the kernel's own trampolines make it, and no filter sees it"),
    ("uretprobe", "likewise"),
    (
        "signalfd",
        "a number with a rule goes past signals::calls in doors/syscall.rs, which keeps SIGSEGV out of its mask; signalfd4 supersedes it",
    ),
];

/// `6.11`, `2.6.17` as numbers; None for `never`.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn is_young(call: &Call) -> bool {
    version(call.since).is_some_and(|since| since >= FROM)
}

#[test]
fn every_young_call_has_a_rule_or_a_reason() {
    let missing: Vec<&str> = CALLS
        .iter()
        .filter(|call| call.x86_64.is_some() && is_young(call))
        .map(|call| call.name)
        .filter(|&name| {
            Rule::of_call(name).is_none() && !WITHOUT_A_RULE.iter().any(|(other, _)| *other == name)
        })
        .collect();
    assert!(missing.is_empty(), "add a rule or a reason for: {}", missing.join(" "));
}

#[test]
fn the_reasons_are_of_young_calls_without_a_rule() {
    for (name, _) in WITHOUT_A_RULE {
        let call = Call::find(name).unwrap_or_else(|| panic!("{name} is no call"));
        assert!(is_young(call), "{name} is of {}", call.since);
        assert!(Rule::of_call(name).is_none(), "{name} has a rule");
    }
}

/// A probe that gets another errno than its row says tells a filter from the kernel only by luck, and makes a
/// doubted call be taken for nonsense. The questions of `evercall probe` with them: what a process cannot ask of
/// itself (exit, fork, pause) is asked in tests/probe.rs, as root and as nobody.
#[test]
fn every_probe_gets_its_errno_from_this_kernel() {
    let calls: Vec<_> = profile::plain_asks().collect();
    assert!(calls.len() > 350, "{}", calls.len());
    let questions: Vec<String> = calls.iter().map(|(call, ask)| profile::raw_call(call, ask)).collect();
    let mut wrong = Vec::new();
    for (calls, questions) in calls.chunks(64).zip(questions.chunks(64)) {
        let output = common::succeed(common::bare(common::program("raw_calls.static")).args(questions));
        let said = common::text(&output.stdout);
        assert_eq!(said.lines().count(), calls.len(), "{said}");
        for ((call, ask), line) in calls.iter().zip(said.lines()) {
            let got = profile::raw_answer(line);
            // A kernel that is older, or built without it; a caller without the right.
            let absent = got == "ENOSYS" || got == "EOPNOTSUPP";
            let refused = ask.needs.is_some() && got == "EPERM";
            if !(absent || refused || ask.due.contains(&got)) {
                wrong.push(format!("{} (rule {:?}): {got} where {:?} is due", call.name, ask.rule, ask.due));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
