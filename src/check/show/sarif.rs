//! SARIF.
use crate::check::report::Report;
use crate::failure::Failure;

/// The document.
pub fn text(report: &Report) -> Result<String, Failure> {
    let _ = report;
    Err(Failure::new("not yet"))
}
