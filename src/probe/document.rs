//! The host profile: docs/host-profile.md says what each field means, and docs/host-profile.schema.json how it looks.

use super::facts::Facts;
use super::judge::{By, Class, Judged};
use super::live::{Live, Repair};
use crate::failure::Failure;
use crate::simulate::host::VERSION;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// The evercall that asked.
    evercall: &'static str,
    syscalls: BTreeMap<&'static str, &'static str>,
    calls: BTreeMap<&'static str, Call<'a>>,
    rules: BTreeMap<&'static str, &'a Live>,
    repair: &'a Repair,
    #[serde(flatten)]
    facts: &'a Facts,
}

#[derive(Serialize)]
struct Call<'a> {
    class: Class,
    asked: Option<String>,
    due: &'static [&'static str],
    got: Option<&'a str>,
    by: Option<By>,
    note: Option<&'a str>,
}

/// The profile, with a newline at its end.
pub fn document(judged: &[Judged], live: &[Live], repair: &Repair, facts: &Facts) -> Result<String, Failure> {
    let calls = judged.iter().map(|judged| {
        let call = Call {
            class: judged.class,
            asked: judged.question(),
            due: judged.ask.map_or(&[], |ask| ask.due),
            got: judged.got.as_deref(),
            by: judged.by,
            note: judged.note.as_deref(),
        };
        (judged.call.name, call)
    });
    let document = Document {
        version: VERSION,
        evercall: env!("CARGO_PKG_VERSION"),
        syscalls: judged.iter().map(|judged| (judged.call.name, judged.answer)).collect(),
        calls: calls.collect(),
        rules: live.iter().map(|live| (live.rule.name, live)).collect(),
        repair,
        facts,
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new(format!("cannot make JSON of the profile: {error}")))?;
    Ok(text + "\n")
}
