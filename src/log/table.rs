//! The sums for people.

use super::event::Kind;
use super::tally::{Group, Outcome, Sum, Tally, is_known};
use crate::options::By;
use crate::output::columns;
use std::fmt::Write as _;

/// Of a note's text, what is shown.
const NOTE: usize = 300;

/// The groups as columns, and what else there is to know.
pub fn table(tally: &Tally, by: &[By], logs: usize, terminal: Option<usize>) -> String {
    let mut out = String::new();
    let groups = tally.groups();
    if !groups.is_empty() || tally.others.is_some() {
        out.push_str(&columns(&rows(tally, &groups, by), terminal));
        out.push('\n');
    }
    let notes: Vec<Vec<String>> = tally
        .notes()
        .iter()
        .map(|(kind, text, sum)| {
            vec![times(sum.count), sum.first.to_string(), sum.last.to_string(), note(*kind, text)]
        })
        .chain(tally.other_notes.map(|sum| {
            vec![times(sum.count), sum.first.to_string(), sum.last.to_string(), "other notes".into()]
        }))
        .collect();
    if !notes.is_empty() {
        out.push_str(&columns(&notes, terminal));
        out.push('\n');
    }
    foot(&mut out, tally, &groups, logs);
    out
}

fn rows(tally: &Tally, groups: &[(&Group, Sum)], by: &[By]) -> Vec<Vec<String>> {
    let has = |column| by.contains(&column);
    let mut rows = vec![
        [
            ("COUNT", true),
            ("RULE", has(By::Rule)),
            ("PROGRAM", has(By::Program)),
            ("RESULT", has(By::Result)),
        ]
        .iter()
        .filter(|(_, shown)| *shown)
        .map(|(title, _)| (*title).to_owned())
        .collect::<Vec<_>>(),
    ];
    for (group, sum) in groups {
        let mut row = vec![sum.count.to_string()];
        row.extend(
            group.rule.as_deref().map(|rule| format!("{rule}{}", if is_known(rule) { "" } else { "?" })),
        );
        row.extend(group.program.as_deref().map(|name| if name.is_empty() { "-" } else { name }.to_owned()));
        row.extend(group.outcome.as_ref().map(|outcome| match outcome {
            Outcome::Success => "success".to_owned(),
            Outcome::Errno(name) => name.clone(),
            Outcome::Untold => "(summary)".to_owned(),
        }));
        row.extend([sum.first.to_string(), sum.last.to_string()]);
        rows.push(row);
    }
    rows[0].extend(["FIRST".to_owned(), "LAST".to_owned()]);
    if let Some(sum) = tally.others {
        let mut row = vec![sum.count.to_string()];
        row.extend((0..by_count(by)).map(|column| if column == 0 { "(others)" } else { "" }.to_owned()));
        row.extend([sum.first.to_string(), sum.last.to_string()]);
        rows.push(row);
    }
    // Figures stand right.
    let width = rows.iter().map(|row| row[0].len()).max().unwrap_or(0);
    for row in &mut rows {
        row[0] = format!("{:>width$}", row[0]);
    }
    rows
}

fn by_count(by: &[By]) -> usize {
    [By::Rule, By::Program, By::Result].iter().filter(|column| by.contains(column)).count()
}

fn times(count: u64) -> String {
    format!("{count}x")
}

fn note(kind: Kind, text: &str) -> String {
    // All ASCII.
    let shown = if text.len() > NOTE { format!("{}...", &text[..NOTE]) } else { text.to_owned() };
    match kind {
        Kind::Repaired => format!("filter of the host's, repaired: {shown}"),
        Kind::Refused => format!("filter of the host's, not repaired: {shown}"),
        Kind::Trapped => format!("trapped: {shown}"),
        Kind::TrapRefused => format!("trap refused: {shown}"),
        Kind::Callers => "callers of the vsyscall page told".into(),
        Kind::Misunderstood => format!("setting not understood: {shown}"),
    }
}

fn foot(out: &mut String, tally: &Tally, groups: &[(&Group, Sum)], logs: usize) {
    let lines = &tally.lines;
    let (count, from_summaries) = tally.all.map_or((0, 0), |sum| (sum.count, sum.from_summaries));
    let _ = write!(out, "{} in {}", counted(count, "translation"), counted(logs as u64, "log"));
    if from_summaries > 0 {
        let _ = write!(out, ", {from_summaries} of them told by summaries, which tell no result");
    }
    let own = lines.translations + lines.summaries + lines.notes;
    let _ = writeln!(
        out,
        "\n{}: {own} of evercall's, {} of others, {} damaged",
        counted(lines.all(), "line"),
        lines.other + lines.too_long,
        lines.damaged
    );
    if lines.damaged > 0 {
        let _ = writeln!(out, "damaged lines are not counted: there may have been more translations");
    }
    if tally.dropped > 0 {
        let _ = writeln!(
            out,
            "{} could not be written: there have been more translations",
            counted(tally.dropped, "line")
        );
    }
    if groups.iter().any(|(group, _)| group.rule.as_deref().is_some_and(|rule| !is_known(rule))) {
        let _ = writeln!(out, "?: no rule of this evercall ({})", env!("CARGO_PKG_VERSION"));
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
