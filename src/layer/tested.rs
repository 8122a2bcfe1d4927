//! The self-test of a layer before it is written: programs of the image under the library, as the image will load it.

use super::Work;
use super::plan::Plan;
use crate::failure::Failure;
use crate::image::Variant;
use crate::self_test::{self, AddedFile, Report, Verdict};
use crate::static_copy::StaticCopy;
use serde_json::Value;
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;

/// The variables of a config's Env.
pub fn environment(config: &Value) -> Vec<(OsString, OsString)> {
    let env = config.pointer("/config/Env").and_then(Value::as_array);
    let entries = env.into_iter().flatten().filter_map(|entry| entry.as_str()?.split_once('='));
    entries.map(|(name, value)| (name.into(), value.into())).collect()
}

impl Work<'_> {
    /// Runs it. The error says why no layer is written; else the lines for people.
    pub(super) fn tested(
        &self,
        bare: &Variant,
        plan: &Plan,
        copies: &[StaticCopy],
        before: Vec<(OsString, OsString)>,
        after: Vec<(OsString, OsString)>,
        library: &[u8],
    ) -> Result<String, Failure> {
        let title = super::title(self.image, bare);
        let execution = bare.config.config.clone().unwrap_or_default();
        let command = [execution.entrypoint, execution.cmd].into_iter().flatten().flatten();
        let mut added = plan.added(library);
        added.extend(copies.iter().map(|copy| AddedFile {
            path: copy.path.clone(),
            mode: copy.mode,
            content: Cow::Borrowed(&copy.content),
        }));
        let test = self_test::Plan {
            root: bare.root(self.image),
            limits: self.limits,
            added,
            before,
            environment: after,
            command: command.map(OsString::from).collect(),
            static_copies: copies.iter().map(|copy| copy.path.clone()).collect(),
            seconds: self_test::Plan::SECONDS,
            memory: self_test::Plan::MEMORY,
        };
        super::start(self.progress, "testing", bare.root(self.image).packed_size().saturating_mul(2));
        let report = self_test::run(&test, self.progress);
        self.progress.finish_and_clear();
        let without = "To write the layer without a test: --no-self-test";
        // Where there can be no sandbox, it says itself what to do.
        let report = report.map_err(|failure| Failure::new(format!("{title}: {failure}")))?;
        for tried in &report.tried {
            log::debug!("{} printed with the layer:\n{}", tried.words(), tried.output);
        }
        match &report.verdict {
            Verdict::Passed => Ok(lines(&report)),
            Verdict::Failed(why) => Err(Failure::new(format!(
                "{title}: the self-test failed, and nothing is written: {why} (what it printed: --verbose)"
            ))),
            Verdict::NotTested(why) => Err(Failure::new(format!(
                "{title}: the layer could not be tested, and nothing is written: {why}. {without}"
            ))),
        }
    }
}

fn lines(report: &Report) -> String {
    let mut text = String::new();
    for tried in &report.tried {
        let _ = writeln!(text, "  {:<12} {tried}", "self-test");
    }
    for note in &report.notes {
        let _ = writeln!(text, "  {:<12} {note}", "not tested");
    }
    text
}
