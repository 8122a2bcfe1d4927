//! Interfaces inside a call that came and went: checked here, and written for the command.

use crate::check::find_call;
use crate::read::{Fault, Table};
use crate::row::{ANSWERS_NOW, ERRNOS, word};
use std::collections::HashMap;
use std::fmt::Write as _;

/// No name twice, known calls and answers, something to ask with six words at most.
pub fn check(table: &Table) -> Result<(), Fault> {
    let mut names = HashMap::new();
    for (file, rows) in &table.operations {
        for (name, row) in rows {
            let (at, row) = (name.span().start, row.get_ref());
            if names.insert(name.get_ref(), ()).is_some() {
                return Err(file.fault(at, format!("operation {} has two rows", name.get_ref())));
            }
            if find_call(table, row.call.get_ref()).is_none() {
                let what = format!("no row for system call {} in calls/", row.call.get_ref());
                return Err(file.fault(row.call.span().start, what));
            }
            let now = row.now.get_ref().as_str();
            if !ANSWERS_NOW.contains(&now) && word(ERRNOS, now).is_none() {
                return Err(file.fault(row.now.span().start, format!("unknown answer \"{now}\"")));
            }
            if row.ask.as_ref().is_some_and(|ask| ask.len() > 6 || now == "another") {
                return Err(
                    file.fault(at, "six arguments at most, and none where the number means another thing")
                );
            }
            if row.since.is_empty() || row.source.is_empty() {
                return Err(file.fault(at, "an operation needs since and source"));
            }
        }
    }
    Ok(())
}

/// The rows with plain strings.
pub fn table(table: &Table) -> String {
    let mut out = String::from("/// Every operation, by family.\npub static OPERATIONS: &[Operation] = &[\n");
    for (file, rows) in &table.operations {
        for (name, row) in rows {
            let (name, family, row) = (name.get_ref(), file.family(), row.get_ref());
            let ask = row.ask.as_ref().map_or("None".into(), |ask| format!("Some(&{ask:?})"));
            let _ = writeln!(
                out,
                "Operation {{ name: {name:?}, family: {family:?}, call: {:?}, value: {}, since: {:?}, until: {:?}, \
                 option: {:?}, now: {:?}, ask: {ask}, note: {:?}, source: {:?} }},",
                row.call.get_ref(),
                row.value,
                row.since,
                row.until,
                row.option,
                row.now.get_ref(),
                row.note,
                row.source
            );
        }
    }
    out + "];\n"
}
