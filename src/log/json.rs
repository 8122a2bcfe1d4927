//! The sums as JSON. The field names are documented in evercall-log(1), and stay.

use super::event::Kind;
use super::tally::{Outcome, Sum, Tally, is_known};
use crate::failure::Failure;
use crate::options::{By, word};
use serde::Serialize;

/// Grows when a field changes its meaning or goes away.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    version: u32,
    logs: usize,
    by: Vec<String>,
    translations: Option<Times>,
    groups: Vec<Group>,
    others: Option<Times>,
    notes: Vec<Note>,
    other_notes: Option<Times>,
    dropped: u64,
    lines: Lines,
}

/// A sum, its moments as text.
#[derive(Serialize)]
struct Times {
    count: u64,
    from_summaries: u64,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    /// Present with null for what summaries tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Option<String>>,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize)]
struct Note {
    kind: &'static str,
    text: String,
    count: u64,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct Lines {
    all: u64,
    translations: u64,
    summaries: u64,
    notes: u64,
    other: u64,
    too_long: u64,
    damaged: u64,
}

fn times(sum: &Sum) -> Times {
    Times {
        count: sum.count,
        from_summaries: sum.from_summaries,
        first: sum.first.to_string(),
        last: sum.last.to_string(),
    }
}

/// The sums as one document, with a newline at its end.
pub fn document(tally: &Tally, by: &[By], logs: usize) -> Result<String, Failure> {
    let lines = &tally.lines;
    let document = Document {
        version: VERSION,
        logs,
        by: by.iter().copied().map(word).collect(),
        translations: tally.all.as_ref().map(times),
        groups: tally.groups().into_iter().map(|(group, sum)| self::group(group, &sum)).collect(),
        others: tally.others.as_ref().map(times),
        notes: tally.notes().into_iter().map(|(kind, text, sum)| note(kind, text, &sum)).collect(),
        other_notes: tally.other_notes.as_ref().map(times),
        dropped: tally.dropped,
        lines: Lines {
            all: lines.all(),
            translations: lines.translations,
            summaries: lines.summaries,
            notes: lines.notes,
            other: lines.other,
            too_long: lines.too_long,
            damaged: lines.damaged,
        },
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new(format!("cannot make JSON of the sums: {error}")))?;
    Ok(text + "\n")
}

fn group(group: &super::tally::Group, sum: &Sum) -> Group {
    Group {
        rule: group.rule.clone(),
        known: group.rule.as_deref().map(is_known),
        program: group.program.as_deref().map(plain),
        result: group.outcome.as_ref().map(|outcome| match outcome {
            Outcome::Success => Some("success".into()),
            Outcome::Errno(name) => Some(name.clone()),
            Outcome::Untold => None,
        }),
        times: times(sum),
    }
}

fn note(kind: Kind, text: &str, sum: &Sum) -> Note {
    let kind = match kind {
        Kind::Repaired => "repaired",
        Kind::Refused => "refused",
        Kind::Trapped => "trapped",
        Kind::TrapRefused => "trap refused",
        Kind::Callers => "callers",
        Kind::Misunderstood => "misunderstood",
    };
    let Times { count, first, last, .. } = times(sum);
    Note { kind, text: plain(text), count, first, last }
}

/// Without the shim's escapes, which are JSON's: a byte that is no ASCII is the character of that number.
fn plain(escaped: &str) -> String {
    serde_json::from_str(&format!("\"{escaped}\"")).unwrap_or_else(|_| escaped.to_owned())
}
