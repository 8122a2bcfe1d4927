//! The table in columns: the rules, then the system calls as syscalls(2) lists them, then operations inside calls;
//! and the count of all.

use super::coverage::{Counts, Coverage, TITLES};
use super::{Rows, acts, fidelity, now, number, rule_of};
use crate::output::columns;

/// All rows; `terminal` is its width, if standard output is one.
pub fn table(rows: &Rows, terminal: Option<usize>) -> String {
    let mut out = rules(rows, terminal);
    if !rows.calls.is_empty() {
        out.push('\n');
        out.push_str(&calls(rows, terminal));
    }
    if !rows.operations.is_empty() {
        out.push('\n');
        out.push_str(&operations(rows, terminal));
    }
    out
}

/// How many interfaces there are, by what becomes of them.
pub fn coverage(coverage: &Coverage) -> String {
    let part = |title: &str, counts: &[Counts]| {
        let mut titles = TITLES.map(str::to_uppercase);
        titles[0] = title.into();
        let rows: Vec<_> = [titles].into_iter().chain(counts.iter().map(Counts::cells)).collect();
        columns(&rows, None)
    };
    [
        part("INTERFACES", &coverage.kinds),
        part("SYSTEM CALLS OF", &coverage.calls),
        part("OPERATIONS OF", &coverage.operations),
    ]
    .join("\n")
}

fn rules(rows: &Rows, terminal: Option<usize>) -> String {
    let mut cells = vec![["RULE", "CALLS", "FIDELITY", "ACTS WHEN", "A CALL BECOMES"].map(String::from)];
    for rule in &rows.rules {
        let calls = if rule.calls.is_empty() { "-".into() } else { rule.calls.join(",") };
        cells.push([rule.name.into(), calls, fidelity(rule.fidelity).into(), acts(rule), rule.does.into()]);
    }
    columns(&cells, terminal)
}

fn calls(rows: &Rows, terminal: Option<usize>) -> String {
    let titles = ["CALL", "X86-64", "I386", "SINCE", "UNTIL", "RULE", "NOTE"];
    let mut cells = vec![titles.map(String::from)];
    for call in &rows.calls {
        let option = call.option.map(|option| format!("needs {option}"));
        let note: Vec<String> = option.into_iter().chain(call.note.map(String::from)).collect();
        cells.push([
            call.name.into(),
            number(call.x86_64),
            number(call.i386),
            call.since.into(),
            call.until.unwrap_or("-").into(),
            rule_of(call).unwrap_or("-").into(),
            note.join("; "),
        ]);
    }
    columns(&cells, terminal)
}

fn operations(rows: &Rows, terminal: Option<usize>) -> String {
    let titles = ["OPERATION", "CALL", "VALUE", "SINCE", "UNTIL", "A KERNEL NOW", "NOTE"];
    let mut cells = vec![titles.map(String::from)];
    for operation in &rows.operations {
        let option = operation.option.map(|option| format!("needs {option}"));
        let note: Vec<String> = option.into_iter().chain(operation.note.map(String::from)).collect();
        cells.push([
            operation.name.into(),
            operation.call.into(),
            operation.value.to_string(),
            operation.since.into(),
            operation.until.unwrap_or("-").into(),
            now(operation),
            note.join("; "),
        ]);
    }
    columns(&cells, terminal)
}
