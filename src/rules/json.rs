//! The table as JSON. The field names are documented in evercall-rules(1), and stay.

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
    };
    let text = serde_json::to_string_pretty(&document)
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
