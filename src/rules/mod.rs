//! `evercall rules`: the table for people and programs.

mod coverage;
mod json;
mod markdown;
mod page;
mod table;

use crate::failure::Failure;
use crate::nearest;
use crate::options::{RulesFormat, RulesOptions};
use crate::output;
use evercall_rules::table::{CALLS, Call, DOORS, Door, OPERATIONS, Operation, RULES, Rule};
use evercall_rules::{Fidelity, Trigger};

/// Carries out `evercall rules`.
pub fn print(options: &RulesOptions) -> Result<(), Failure> {
    let text = match &options.name {
        _ if options.coverage => match options.format {
            RulesFormat::Table => table::coverage(&coverage::coverage()),
            RulesFormat::Json => json::coverage(coverage::coverage())?,
            RulesFormat::Markdown => markdown::coverage(&coverage::coverage()),
        },
        Some(name) => {
            let rows = Rows::named(name)?;
            match options.format {
                RulesFormat::Table => page::page(name, &rows, output::terminal_width()),
                RulesFormat::Json => json::document(&rows)?,
                RulesFormat::Markdown => markdown::section(name, &rows),
            }
        }
        None => {
            let rows = Rows::all(options.calls);
            match options.format {
                RulesFormat::Table => table::table(&rows, output::terminal_width()),
                RulesFormat::Json => json::document(&rows)?,
                RulesFormat::Markdown => markdown::document(&Rows::all(true)),
            }
        }
    };
    output::print(&text)
}

/// The rows to be printed.
struct Rows {
    rules: Vec<&'static Rule>,
    doors: Vec<&'static Door>,
    calls: Vec<&'static Call>,
    operations: Vec<&'static Operation>,
}

impl Rows {
    fn all(with_calls: bool) -> Rows {
        Rows {
            rules: RULES.iter().collect(),
            doors: DOORS.iter().collect(),
            calls: if with_calls { CALLS.iter().collect() } else { Vec::new() },
            operations: if with_calls { OPERATIONS.iter().collect() } else { Vec::new() },
        }
    }

    /// What bears a name, and what belongs to it: the rule and the operations of a system call, the calls of a rule.
    fn named(name: &str) -> Result<Rows, Failure> {
        let rules: Vec<&Rule> = RULES
            .iter()
            .filter(|rule| rule.name == name || rule.calls.contains(&name) || rule.symbols.contains(&name))
            .collect();
        let doors: Vec<&Door> =
            DOORS.iter().filter(|door| door.name == name || door.symbols.contains(&name)).collect();
        let operations: Vec<&Operation> =
            OPERATIONS.iter().filter(|operation| operation.name == name || operation.call == name).collect();
        let names = rules.iter().flat_map(|rule| rule.calls).copied().chain([name]);
        let mut calls: Vec<&Call> = names.filter_map(Call::find).collect();
        calls.sort_by_key(|call| call.name);
        calls.dedup_by_key(|call| call.name);
        if rules.is_empty() && doors.is_empty() && calls.is_empty() && operations.is_empty() {
            return Err(unknown(name));
        }
        Ok(Rows { rules, doors, calls, operations })
    }
}

/// Names nearest to one that is not known.
fn unknown(name: &str) -> Failure {
    let known = CALLS.iter().map(|call| call.name).chain(RULES.iter().map(|rule| rule.name));
    let symbols =
        RULES.iter().flat_map(|rule| rule.symbols).chain(DOORS.iter().flat_map(|door| door.symbols));
    let operations = OPERATIONS.iter().map(|operation| operation.name);
    let hint = nearest::hint(name, known.chain(symbols.copied()).chain(operations));
    Failure::new(format!("no rule, system call, operation or libc symbol is named {name}; {hint}"))
}

/// The word for a fidelity in tables and JSON.
fn fidelity(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Exact => "exact",
        Fidelity::Partial => "partial",
        Fidelity::Refuse => "refuse",
        Fidelity::Pretend => "pretend",
    }
}

/// The word for a trigger in JSON.
fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Absent => "absent",
        Trigger::Result => "result",
        Trigger::Match => "match",
        Trigger::Start => "start",
    }
}

/// When a rule acts, in a few words.
fn acts(rule: &Rule) -> String {
    let answers = rule.results.join(" or ");
    match rule.trigger {
        Trigger::Absent if answers.is_empty() => "the host lacks the call".into(),
        Trigger::Absent => format!("the host lacks the call, or answers {answers}"),
        Trigger::Result => format!("the host answers {answers}"),
        Trigger::Match => "the arguments call for it".into(),
        Trigger::Start => "once, at start".into(),
    }
}

/// When a rule acts, in a sentence.
fn acts_sentence(rule: &Rule) -> String {
    let answers = rule.results.join(" or ");
    match rule.trigger {
        Trigger::Absent if answers.is_empty() => {
            "When the host has no such call (ENOSYS), or a seccomp filter refuses it. The host is \
                            asked first, once a process."
                .into()
        }
        Trigger::Absent => format!(
            "When the host has no such call (ENOSYS), when a seccomp filter refuses it, or when the host, asked \
             each time, answers {answers}."
        ),
        Trigger::Result => format!("When the host, asked each time, answers {answers}."),
        Trigger::Match => "When the arguments call for it, before the host is asked.".into(),
        Trigger::Start => "Once, when the library is loaded.".into(),
    }
}

/// How a rule's EPERM is told from a filter's: the harmless call, and the errno that is due.
fn probe(rule: &Rule) -> Option<(String, &'static str)> {
    let (errno, arguments) = rule.probe?;
    let arguments: Vec<String> = arguments.iter().map(i32::to_string).collect();
    Some((format!("{}({})", rule.calls.first().unwrap_or(&rule.name), arguments.join(", ")), errno))
}

/// A number, or a dash for none.
fn number(number: Option<u16>) -> String {
    number.map_or("-".into(), |number| number.to_string())
}

/// The name of the rule of a system call, if there is one.
fn rule_of(call: &Call) -> Option<&'static str> {
    Rule::of_call(call.name).map(|rule| rule.name)
}

/// Why no rule answers a call: its reason, or that none is needed.
fn why_no_rule(call: &Call) -> Option<String> {
    match (rule_of(call), call.reason) {
        (Some(_), _) => None,
        (None, Some(reason)) => Some(reason.into()),
        (None, None) => {
            let option = call.option.map(|option| format!(" with {option}")).unwrap_or_default();
            Some(format!("every kernel since {}{option} answers it", call.since))
        }
    }
}

/// What a kernel without an operation answers, in a few words.
fn now(operation: &Operation) -> String {
    match operation.now {
        "0" => "0, and nothing is done".into(),
        "ignored" => "accepted, and ignored".into(),
        "another" => "the number means something else".into(),
        errno => errno.into(),
    }
}

/// The harmless call that asks an operation.
fn asked(operation: &Operation) -> Option<String> {
    let arguments: Vec<String> = operation.ask?.iter().map(i64::to_string).collect();
    Some(format!("{}({})", operation.call, arguments.join(", ")))
}
