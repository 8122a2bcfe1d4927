//! What the rows say of an unfiltered kernel is held against the one this runs on; reasons for no rule, and proofs of
//! rules, against what is there.

mod common;
#[path = "common/profile.rs"]
mod profile;

use evercall_rules::table::{CALLS, RULES, Rule};
use std::fs;

/// The build demands a rule or a reason; a reason beside a rule would be one that is no longer true.
#[test]
fn the_reasons_are_of_calls_without_a_rule() {
    for call in CALLS.iter().filter(|call| call.reason.is_some()) {
        assert!(Rule::of_call(call.name).is_none(), "{} has a rule, and a reason for none", call.name);
    }
}

/// Whether a file of `tests/` has a test of this name.
fn has_test(file: &str, function: &str) -> bool {
    let root = common::root().join("tests");
    // One file, or a folder of them.
    let folder = fs::read_dir(root.join(file)).into_iter().flatten().flatten().map(|entry| entry.path());
    let texts =
        folder.chain([root.join(format!("{file}.rs"))]).filter_map(|path| fs::read_to_string(path).ok());
    texts.into_iter().any(|text| defines_test(&text, function))
}

fn defines_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let defined = |line: &str| {
        line.strip_prefix("fn ")
            .is_some_and(|rest| rest.strip_prefix(function).is_some_and(|rest| rest.starts_with('(')))
    };
    let Some(at) = lines.iter().position(|line| defined(line)) else { return false };
    // Its attributes stand right above it.
    lines[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]")
}

#[test]
fn every_rule_names_tests_that_are_there() {
    let mut wrong = Vec::new();
    for rule in RULES {
        if rule.proof.is_empty() {
            wrong.push(format!("{}: add column proof to its row", rule.name));
        }
        for proof in rule.proof {
            if !proof.split_once("::").is_some_and(|(file, function)| has_test(file, function)) {
                wrong.push(format!("{}: tests/ has no test {proof}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!has_test("coverage", "has_test") && !has_test("coverage", "errno") && !has_test("no", "such"));
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
            let got = profile::raw_answer(line, ask);
            // A kernel that is older, or built without it; a caller without the right.
            let absent = got == "ENOSYS" || got == "EOPNOTSUPP";
            let refused = ask.needs.is_some() && got == "EPERM";
            if !(absent || refused || ask.due.contains(&got.as_str())) {
                wrong.push(format!("{} (rule {:?}): {got} where {:?} is due", call.name, ask.rule, ask.due));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
