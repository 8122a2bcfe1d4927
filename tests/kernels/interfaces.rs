//! Old interfaces: which ones each kernel has lost, bare and under evercall, by the answers that the program
//! `old_interfaces` got; and what each kernel answers to the probes of the rules.

use crate::Outcome;
use crate::console::Report;
use crate::table::{heading, lines, row};
use evercall_rules::Fidelity;
use evercall_rules::table::{Call, OPERATIONS, Operation, RULES, Rule};
use std::fmt::Write as _;

/// The program, as the list runs it.
const COMMAND: [&str; 2] = ["/t/old_interfaces", "/operations"];

/// What the name of a line begins with that asks a rule's probe.
const PROBE: &str = "probe:";

/// What the program reads: each operation that can be asked, its call's number and the arguments; and the probes.
pub fn operations() -> String {
    let mut text = String::new();
    for rule in RULES {
        let (Some((_, arguments)), Some(&call)) = (rule.probe, rule.calls.first()) else { continue };
        let Some(number) = Call::find(call).and_then(|call| call.x86_64) else { continue };
        let arguments: Vec<String> = arguments.iter().map(i32::to_string).collect();
        let _ = writeln!(text, "{PROBE}{} {number} {}", rule.name, arguments.join(" "));
    }
    for operation in OPERATIONS {
        let Some(arguments) = operation.ask else { continue };
        let number = Call::find(operation.call).and_then(|call| call.x86_64).expect("an x86-64 call");
        let arguments: Vec<String> = arguments.iter().map(i64::to_string).collect();
        let _ = writeln!(text, "{} {number} {}", operation.name, arguments.join(" "));
    }
    text
}

/// Name and answer of each interface, in the program's order.
fn answers<'a>(report: &'a Report, mode: &str) -> Vec<(&'a str, &'a str)> {
    let run = report.runs.get(&(mode.to_owned(), COMMAND.map(str::to_owned).to_vec()));
    let lines = run.map_or("", |run| run.stdout.as_str()).lines();
    lines.filter_map(|line| line.trim().split_once(' ')).collect()
}

fn answer<'a>(report: &'a Report, mode: &str, name: &str) -> Option<&'a str> {
    answers(report, mode).into_iter().find(|(other, _)| *other == name).map(|(_, answer)| answer)
}

/// Old interface x kernel: bare / under evercall; and the options that say so.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![heading("old interface: bare / evercall", outcomes, 1)];
    let first = outcomes.iter().find_map(|outcome| outcome.report.as_ref().ok());
    let names: Vec<&str> = first
        .map_or(Vec::new(), |report| answers(report, "bare"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in names.into_iter().filter(|name| !name.starts_with(PROBE)) {
        rows.push(row(name, outcomes, |outcome| {
            let report = outcome.report.as_ref().ok()?;
            Some(format!("{} / {}", answer(report, "bare", name)?, answer(report, "preload", name)?))
        }));
    }
    let pages = first.map_or(&[][..], |report| &report.interfaces);
    for (name, _) in pages {
        rows.push(row(name, outcomes, |outcome| {
            let report = outcome.report.as_ref().ok()?;
            Some(report.interfaces.iter().find(|(other, _)| other == name)?.1.clone())
        }));
    }
    rows.push(row("vsyscall page", outcomes, |o| o.report.as_ref().ok()?.facts.get("page").cloned()));
    let options = [
        "LEGACY_VSYSCALL_NONE",
        "SYSFS_SYSCALL",
        "USELIB",
        "IA32_EMULATION",
        "X86_IOPL_IOPERM",
        "MODIFY_LDT_SYSCALL",
    ];
    for option in options {
        rows.push(row(&format!("CONFIG_{option}"), outcomes, |outcome| {
            let line = format!("CONFIG_{option}=");
            let set = outcome.config.lines().find_map(|text| text.strip_prefix(&line));
            Some(set.unwrap_or("-").to_owned())
        }));
    }
    lines(&rows)
}

/// What is not as the table of rules says: an interface that a rule should give back, one that evercall changes
/// though the kernel answers it, or an operation with another answer than its row's.
pub fn faults(report: &Report) -> Vec<String> {
    let bare = answers(report, "bare");
    let mut faults = Vec::new();
    if bare.len() < 40 {
        faults.push(format!("old_interfaces answers {} lines", bare.len()));
    }
    for (name, bare) in bare {
        if let Some(rule) = name.strip_prefix(PROBE) {
            faults.extend(fault_of_probe(rule, bare));
            continue;
        }
        let Some(its) = answer(report, "preload", name) else {
            faults.push(format!("{name}: no answer under evercall"));
            continue;
        };
        let gives_back = Rule::of_call(name).is_some_and(|rule| rule.fidelity != Fidelity::Refuse);
        let lost = bare == "ENOSYS";
        if lost && gives_back == (its == "ENOSYS") || !lost && its != bare {
            faults.push(format!("{name}: bare {bare}, under evercall {its}"));
        }
        let operation = OPERATIONS.iter().find(|operation| operation.name == name);
        if let Some(operation) = operation.filter(|operation| is_gone(operation, report)) {
            let due = if operation.now == "ignored" { "0" } else { operation.now };
            if bare != due {
                faults.push(format!("{name}: {bare} where {due} is due"));
            }
        }
    }
    faults
}

/// A probe that gets another errno than its row says tells a filter from the kernel only by luck.
fn fault_of_probe(name: &str, got: &str) -> Option<String> {
    let (due, _) = RULES.iter().find(|rule| rule.name == name)?.probe?;
    // Absent, or built without it.
    let absent = ["ENOSYS", "EOPNOTSUPP"].contains(&got);
    (got != due && !absent).then(|| format!("the probe of {name}: {got} where {due} is due"))
}

/// Whether an operation is no part of this kernel: removed before its release, or never there.
fn is_gone(operation: &Operation, report: &Report) -> bool {
    let version = |text: &str| {
        let mut numbers = text.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    match operation.until {
        Some(until) => version(&report.facts["release"]) > version(until),
        None => operation.option.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of a kernel that has lost all operations, and these calls.
    fn report(calls: &[(&str, &str, &str)]) -> Report {
        let of = |answer: fn(&(&str, &str, &str)) -> String| {
            let calls: String =
                calls.iter().map(|call| format!("{} {}\\u000a", call.0, answer(call))).collect();
            let operations = OPERATIONS.iter().filter(|operation| operation.ask.is_some());
            operations.fold(calls, |text, operation| {
                let now = if operation.now == "ignored" { "0" } else { operation.now };
                format!("{text}{} {now}\\u000a", operation.name)
            })
        };
        let run = |mode: &str, stdout: String| {
            format!(
                "@evercall {{\"record\":\"run\",\"mode\":\"{mode}\",\"command\":[\"{}\",\"{}\"],\"exit\":0,\
                 \"stdout\":\"{stdout}\",\"stderr\":\"\",\"log\":\"\"}}\n",
                COMMAND[0], COMMAND[1]
            )
        };
        let fact = "@evercall {\"record\":\"fact\",\"name\":\"release\",\"text\":\"99.1-x\"}\n";
        let end = "@evercall {\"record\":\"end\",\"runs\":2}\n";
        let bare = run("bare", of(|call| call.1.to_owned()));
        let its = run("preload", of(|call| call.2.to_owned()));
        crate::console::parse(&format!("{fact}{bare}{its}{end}")).unwrap()
    }

    const CALLS: [(&str, &str, &str); 9] = [
        ("_sysctl", "ENOSYS", "answers"),
        ("uselib", "ENOSYS", "ENOENT"),
        ("nfsservctl", "ENOSYS", "ENOSYS"),
        ("vserver", "ENOSYS", "ENOSYS"),
        ("ustat", "answers", "answers"),
        ("iopl", "EPERM", "EPERM"),
        ("acct", "ENOENT", "ENOENT"),
        ("swapon", "ENOENT", "ENOENT"),
        ("quotactl", "ENODEV", "ENODEV"),
    ];

    #[test]
    fn what_is_as_the_rules_say_is_no_fault() {
        assert_eq!(faults(&report(&CALLS)), [""; 0]);
    }

    #[test]
    fn lost_for_good_changed_and_pretended_are_faults() {
        for (index, bare, its) in [
            (0, "ENOSYS", "ENOSYS"),
            (2, "ENOSYS", "answers"),
            (4, "answers", "ENOSYS"),
            (5, "EPERM", "ENOSYS"),
        ] {
            let mut calls = CALLS;
            calls[index] = (calls[index].0, bare, its);
            let faults = faults(&report(&calls));
            assert_eq!(faults, [format!("{}: bare {bare}, under evercall {its}", calls[index].0)]);
        }
        let mut report = report(&CALLS);
        for run in report.runs.values_mut() {
            run.stdout = run.stdout.replace("AF_IPX EAFNOSUPPORT", "AF_IPX answers");
        }
        assert_eq!(faults(&report), ["AF_IPX: answers where EAFNOSUPPORT is due"]);
        assert!(faults(&Report::default())[0].contains("0 lines"));
        let mut calls = CALLS;
        calls[8] = ("probe:iopl", "EPERM", "EPERM");
        assert_eq!(faults(&self::report(&calls)), ["the probe of iopl: EPERM where EINVAL is due"]);
        calls[8] = ("probe:iopl", "EINVAL", "ENOSYS");
        assert_eq!(faults(&self::report(&calls)), [""; 0]);
    }
}
