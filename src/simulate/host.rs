//! A host profile, as far as it tells what the host answers to system calls: docs/host-profile.md.

use super::{calls, errno, layer::Layer, text, wrong};
use crate::failure::Failure;
use seccompiler::SeccompAction;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const OPTION: &str = "--profile";

/// The version that is read here, and written by `evercall probe`. It grows when a field changes its meaning or
/// goes away.
pub const VERSION: u32 = 1;

/// The words for an answer, beside the names of errnos.
pub mod words {
    /// Carries the call out, or answers an errno that depends on the arguments.
    pub const ANSWERS: &str = "answers";
    /// Kills the process.
    pub const KILLED: &str = "killed";
    /// Sends a SIGSYS that can be caught.
    pub const TRAPPED: &str = "trapped";
    /// Was not asked.
    pub const NOT_ASKED: &str = "not asked";
    /// Was asked, and did not come back in time.
    pub const NO_ANSWER: &str = "no answer";
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
struct Host {
    syscalls: BTreeMap<String, String>,
}

/// The filters that make this host answer as that one does.
pub fn read(file: &Path) -> Result<Vec<Layer>, Failure> {
    parse(&text(OPTION, file)?, &format!("{OPTION} {}", file.display()))
        .map_err(|why| wrong(OPTION, file, why))
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Vec<Layer>, String> {
    let json = |error: serde_json::Error| format!("it is no host profile: {error}");
    // First by itself, so that a newer form is told as one.
    let Versioned { version } = serde_json::from_str(text).map_err(json)?;
    if version != VERSION {
        return Err(format!(
            "it is a host profile of version {version}, and this evercall reads version {VERSION}"
        ));
    }
    let Host { syscalls } = serde_json::from_str(text).map_err(json)?;
    let mut answers = Vec::new();
    for (name, answer) in &syscalls {
        answers.push((calls::number(name)?, self::answer(name, answer)?));
    }
    Ok(calls::refusals(origin, answers.into_iter()))
}

fn answer(name: &str, answer: &str) -> Result<SeccompAction, String> {
    Ok(match answer {
        // What is not known is let through.
        words::ANSWERS | words::NOT_ASKED | words::NO_ANSWER => SeccompAction::Allow,
        words::KILLED => SeccompAction::KillProcess,
        words::TRAPPED => SeccompAction::Trap,
        errno => SeccompAction::Errno(errno::number(errno).ok_or_else(|| {
            format!(
                "{name}: {errno} is no answer of a host: answers, killed, trapped, not asked, no answer, or the \
                 name of an errno"
            )
        })?),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::*;

    proptest! {
        /// Whatever stands in the file, it is read or refused.
        #[test]
        fn no_text_is_too_damaged(
            version in 0..3u32,
            name in "statx|clone3|[a-z_0-9]{0,9}",
            answer in "answers|killed|trapped|not asked|no answer|E[A-Z]{2,5}|\\PC{0,6}",
            cut in 0..80usize,
        ) {
            let whole = serde_json::json!({"version": version, "syscalls": {name: answer}}).to_string();
            let _ = parse(&whole, "");
            let _ = parse(&whole.chars().take(cut).collect::<String>(), "");
        }
    }
}
