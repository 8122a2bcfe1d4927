//! The report as one JSON document: docs/check.md says what each field means.

use crate::check::report::Report;
use crate::failure::Failure;

/// The document, with a newline at its end.
pub fn text(report: &Report) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| Failure::new(format!("cannot make JSON of the report: {error}")))?;
    Ok(text + "\n")
}
