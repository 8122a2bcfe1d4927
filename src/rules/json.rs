//! The table as JSON. The field names are documented in evercall-rules(1), and stay.

use super::coverage::Coverage;
use super::{Rows, fidelity, rule_of, trigger};
use crate::failure::Failure;
use evercall_rules::table;
use serde::Serialize;

/// Grows when a field changes its meaning or goes away.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document {
    version: u32,
    rules: Vec<Rule>,
    doors: Vec<Door>,
    calls: Vec<Call>,
    operations: Vec<Operation>,
}

#[derive(Serialize)]
struct CoverageDocument {
    version: u32,
    coverage: Coverage,
}

#[derive(Serialize)]
struct Operation {
    name: &'static str,
    family: &'static str,
    call: &'static str,
    value: i64,
    since: &'static str,
    until: Option<&'static str>,
    option: Option<&'static str>,
    now: &'static str,
    ask: Option<&'static [i64]>,
    note: Option<&'static str>,
    source: &'static str,
}

#[derive(Serialize)]
struct Rule {
    name: &'static str,
    family: &'static str,
    calls: &'static [&'static str],
    symbols: &'static [&'static str],
    arguments: Vec<Argument>,
    trigger: &'static str,
    results: &'static [&'static str],
    probe: Option<Probe>,
    does: &'static str,
    fidelity: &'static str,
    difference: Option<&'static str>,
    proof: &'static [&'static str],
    source: &'static str,
}

#[derive(Serialize)]
struct Argument {
    name: &'static str,
    kind: &'static str,
}

#[derive(Serialize)]
struct Probe {
    arguments: &'static [i32],
    errno: &'static str,
}

#[derive(Serialize)]
struct Door {
    name: &'static str,
    symbols: &'static [&'static str],
    does: &'static str,
    source: &'static str,
}

#[derive(Serialize)]
struct Call {
    name: &'static str,
    family: &'static str,
    x86_64: Option<u16>,
    i386: Option<u16>,
    since: &'static str,
    until: Option<&'static str>,
    option: Option<&'static str>,
    note: Option<&'static str>,
    reason: Option<&'static str>,
    source: &'static str,
    rule: Option<&'static str>,
}

/// The rows as one document, with a newline at its end.
pub fn document(rows: &Rows) -> Result<String, Failure> {
    let document = Document {
        version: VERSION,
        rules: rows.rules.iter().map(|row| rule(row)).collect(),
        doors: rows.doors.iter().map(|row| door(row)).collect(),
        calls: rows.calls.iter().map(|row| call(row)).collect(),
        operations: rows.operations.iter().map(|row| operation(row)).collect(),
    };
    text(&document)
}

/// The count of all rows as one document.
pub fn coverage(coverage: Coverage) -> Result<String, Failure> {
    text(&CoverageDocument { version: VERSION, coverage })
}

fn text(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(format!("cannot make JSON of the table: {error}")))?;
    Ok(text + "\n")
}

fn rule(row: &'static table::Rule) -> Rule {
    Rule {
        name: row.name,
        family: row.family,
        calls: row.calls,
        symbols: row.symbols,
        arguments: row
            .arguments
            .iter()
            .map(|argument| argument.split_once(": ").unwrap_or((argument, "")))
            .map(|(name, kind)| Argument { name, kind })
            .collect(),
        trigger: trigger(row.trigger),
        results: row.results,
        probe: row.probe.map(|(errno, arguments)| Probe { arguments, errno }),
        does: row.does,
        fidelity: fidelity(row.fidelity),
        difference: row.difference,
        proof: row.proof,
        source: row.source,
    }
}

fn door(row: &'static table::Door) -> Door {
    Door { name: row.name, symbols: row.symbols, does: row.does, source: row.source }
}

fn call(row: &'static table::Call) -> Call {
    Call {
        name: row.name,
        family: row.family,
        x86_64: row.x86_64,
        i386: row.i386,
        since: row.since,
        until: row.until,
        option: row.option,
        note: row.note,
        reason: row.reason,
        source: row.source,
        rule: rule_of(row),
    }
}

fn operation(row: &'static table::Operation) -> Operation {
    Operation {
        name: row.name,
        family: row.family,
        call: row.call,
        value: row.value,
        since: row.since,
        until: row.until,
        option: row.option,
        now: row.now,
        ask: row.ask,
        note: row.note,
        source: row.source,
    }
}
