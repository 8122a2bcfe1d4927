//! The report as SARIF 2.1.0, in the part of it that GitHub's code scanning reads.
//!
//! A result for each finding that is the host's, at the file that shows it best; what is the same on every host is a
//! note. Paths are relative to the root of the image (`ROOT`).

use crate::check::judge::Verdict;
use crate::check::report::{Group, Report};
use crate::failure::Failure;
use crate::image::tar_entries::shown;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Locations of a result: GitHub shows ten.
const LOCATIONS: usize = 10;

/// The schema that the document keeps to.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The document, with a newline at its end.
pub fn text(report: &Report) -> Result<String, Failure> {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for group in &report.findings {
        rules.entry(rule_id(group)).or_insert_with(|| rule(group));
    }
    let ids: Vec<&String> = rules.keys().collect();
    let place = |id: &String| ids.iter().position(|known| *known == id);
    let results: Vec<Value> = report.findings.iter().map(|group| result(report, group, &place)).collect();
    let passed: Vec<Value> = report
        .passed_over
        .iter()
        .map(|file| {
            json!({"level": "warning", "message": {"text": format!("{}: {}", shown(Path::new(&file.path)), shown(Path::new(&file.why)))}})
        })
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "evercall check",
                "semanticVersion": report.evercall,
                "rules": rules.values().collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": passed}],
            "originalUriBaseIds": {"ROOT": {"description": {"text": "The root of the image"}}},
            "results": results,
            "properties": {
                "target": report.target.name,
                "host": report.host.as_ref().map(|host| host.title()),
                "summary": report.verdict.summary,
                "bare": report.verdict.bare,
                "withEvercall": report.verdict.with_evercall,
            },
        }],
    });
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new(format!("cannot make JSON of the report: {error}")))?;
    Ok(text + "\n")
}

fn rule_id(group: &Group) -> String {
    group.cause.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

fn rule(group: &Group) -> Value {
    let level = level(group);
    json!({
        "id": rule_id(group),
        "name": group.cause.split(':').next().unwrap_or_default(),
        "shortDescription": {"text": group.title},
        "fullDescription": {"text": format!("{} Bare: {}.", sentence(&group.title), group.bare.outcome)},
        "help": {"text": sentence(&group.advice)},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["compatibility"], "precision": "high"},
    })
}

fn level(group: &Group) -> &'static str {
    match group.bare.verdict {
        _ if group.everywhere => "note",
        Verdict::Breaks => "error",
        Verdict::Degrades => "warning",
        _ => "note",
    }
}

fn sentence(text: &str) -> String {
    let mut all = text.chars();
    let first = all.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", all.as_str())
}

fn result(report: &Report, group: &Group, place: &dyn Fn(&String) -> Option<usize>) -> Value {
    let id = rule_id(group);
    let under = &group.with_evercall;
    let with = match under.rule {
        Some(rule) => {
            format!("{} by rule {rule} ({})", under.verdict.word(), under.fidelity.unwrap_or_default())
        }
        None => "the same".to_string(),
    };
    let count = if group.programs == 1 { "1 file".to_string() } else { format!("{} files", group.programs) };
    let sure = if group.only_pointed { " Not sure: only pointers in data lead to it." } else { "" };
    let text = format!(
        "{count}: {}.{sure} Bare: {}. With evercall: {with}. To do: {}.",
        group.title, group.bare.outcome, group.advice
    );
    let files = group.files.iter().filter_map(|at| report.files.get(*at));
    let locations: Vec<Value> = files
        .take(LOCATIONS)
        .map(|file| {
            json!({"physicalLocation": {
                "artifactLocation": {"uri": uri(&file.path), "uriBaseId": "ROOT"},
                // Code scanning wants a region of each; these files have no lines.
                "region": {"startLine": 1},
            }})
        })
        .collect();
    let evidence: Vec<String> = group.evidence.iter().map(|evidence| evidence.words()).collect();
    let mut result = json!({
        "ruleId": id,
        "level": level(group),
        "message": {"text": text},
        "locations": locations,
        "partialFingerprints": {"evercallCause/v1": format!("{id}:{}{}", under.verdict.word(), if group.only_pointed { ":pointed" } else { "" })},
        "properties": {
            "bare": group.bare,
            "withEvercall": under,
            "everywhere": group.everywhere,
            "onlyPointed": group.only_pointed,
            "evidence": evidence,
        },
    });
    if let (Some(at), Some(object)) = (place(&id), result.as_object_mut()) {
        object.insert("ruleIndex".to_string(), json!(at));
    }
    result
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.trim_start_matches('/').bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b'@' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("/usr/bin/a b:[c]"), "usr/bin/a%20b%3A%5Bc%5D");
        assert_eq!(uri("/é"), "%C3%A9");
    }
}
