//! What `evercall probe --format json` prints, for tests.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::text;
use evercall_rules::table::{Ask, CALLS, Call, Question};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};

/// A host profile.
pub struct Profile(pub Value);

impl Profile {
    /// Of a command that ends with `evercall probe --format json`.
    pub fn of(command: &mut Command) -> Profile {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Profile::parse(&output, &format!("{command:?}"))
    }

    /// Of its output.
    pub fn parse(output: &Output, command: &str) -> Profile {
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{command}: {}: {stderr}", output.status);
        let json = serde_json::from_slice(&output.stdout);
        Profile(json.unwrap_or_else(|e| panic!("{command}: {e}: {} {stderr}", text(&output.stdout))))
    }

    /// The answers, by call.
    pub fn syscalls(&self) -> BTreeMap<String, String> {
        let answers = self.0["syscalls"].as_object().expect("syscalls");
        answers.iter().map(|(name, answer)| (name.clone(), string(answer))).collect()
    }

    /// A field of a call, as text; empty for null.
    pub fn call(&self, name: &str, field: &str) -> String {
        string(&self.0["calls"][name][field])
    }

    /// The calls of a class.
    pub fn class(&self, class: &str) -> Vec<&str> {
        let calls = self.0["calls"].as_object().expect("calls");
        calls.iter().filter(|(_, call)| call["class"] == class).map(|(name, _)| name.as_str()).collect()
    }

    /// When a rule acts.
    pub fn acts(&self, rule: &str) -> String {
        string(&self.0["rules"][rule]["acts"])
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Asserts that two hosts answer the same, but for some calls.
pub fn assert_same(one: &Profile, other: &Profile, but: &[&str], what: &str) {
    let (one, other) = (one.syscalls(), other.syscalls());
    let differ: Vec<String> = one
        .iter()
        .filter(|(name, answer)| other.get(*name) != Some(answer) && !but.contains(&name.as_str()))
        .map(|(name, answer)| format!("{name}: {answer} and {:?}", other.get(name)))
        .collect();
    assert!(differ.is_empty() && one.len() == other.len(), "{what}: {}", differ.join(", "));
}

/// The calls of x86-64 that are asked about, with their questions.
pub fn asks() -> impl Iterator<Item = (&'static Call, &'static Ask)> {
    CALLS.iter().filter_map(|call| match &call.question {
        Some(Question::Ask(ask)) => Some((call, ask)),
        _ => None,
    })
}

/// Those that a program can ask of itself, and go on: not what ends it, waits, or has to lose rights first.
pub fn plain_asks() -> impl Iterator<Item = (&'static Call, &'static Ask)> {
    let odd = ["exits", "EINTR", "SIGILL"];
    let own = ["fork", "vfork", "setsid", "umask"];
    asks().filter(move |(call, ask)| {
        !ask.drops && !ask.due.iter().any(|due| odd.contains(due)) && !own.contains(&call.name)
    })
}

/// A question as `raw_calls` takes it.
pub fn raw_call(call: &Call, ask: &Ask) -> String {
    let mut words = vec![call.x86_64.expect("asked").to_string()];
    words.extend(ask.arguments.iter().map(i32::to_string));
    words.join(",")
}

/// What `raw_calls` printed to such a question: an errno, or `success`.
pub fn raw_answer(line: &str, ask: &Ask) -> String {
    let answer = line.split_once(": ").map_or(line, |(_, answer)| answer);
    match answer.strip_prefix("= ").map(|result| result.parse::<i64>().unwrap_or(0)) {
        // modify_ldt(2) gives an int, which 64-bit kernels do not extend: libc takes its failures for success.
        Some(result @ 0xffff_f001..=0xffff_ffff) if !ask.due.contains(&"success") => {
            let known = [("EINVAL", libc::EINVAL), ("ENOSYS", libc::ENOSYS), ("EFAULT", libc::EFAULT)];
            let errno = -(result as i32);
            known
                .iter()
                .find(|(_, known)| *known == errno)
                .map_or("another errno", |(name, _)| name)
                .to_owned()
        }
        Some(_) => "success".to_owned(),
        None if answer == "ENOTSUP" => "EOPNOTSUPP".to_owned(),
        None => answer.to_owned(),
    }
}

/// Asserts that a program of another make got the same answers as the probe. `ask` runs `raw_calls` with these
/// arguments in the same place.
pub fn assert_really(profile: &Profile, ask: &dyn Fn(&[String]) -> Output, but: &[&str]) {
    let asks: Vec<_> = plain_asks()
        .filter(|(call, _)| {
            let class = profile.call(call.name, "class");
            class != "killed" && class != "trapped" && !but.contains(&call.name)
        })
        .collect();
    let mut wrong = Vec::new();
    for asks in asks.chunks(64) {
        let arguments: Vec<String> = asks.iter().map(|(call, ask)| raw_call(call, ask)).collect();
        let output = ask(&arguments);
        let said = text(&output.stdout);
        assert_eq!(said.lines().count(), asks.len(), "{}: {said}{}", output.status, text(&output.stderr));
        for ((call, ask), line) in asks.iter().zip(said.lines()) {
            let told = profile.call(call.name, "got");
            if told != raw_answer(line, ask) {
                wrong.push(format!("{}: told {told}, and really {line}", call.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
