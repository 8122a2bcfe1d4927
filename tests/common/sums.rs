//! `evercall log`, and what it says.
#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::common::{bare, program, succeed, text, under_shim};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

/// The command as cargo built it with the tests.
pub const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

/// `evercall log` with these words.
pub fn log(words: &[&str]) -> Command {
    let mut command = bare(EVERCALL);
    command.arg("log").args(words);
    command
}

/// A command's output for this on its standard input.
pub fn fed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    })
}

/// The JSON of a log.
pub fn json(input: &[u8]) -> Value {
    parsed(&fed(&mut log(&["--format", "json"]), input))
}

/// The document on a standard output.
pub fn parsed(output: &Output) -> Value {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The counts by `rule program result`.
pub fn counts(document: &Value) -> BTreeMap<String, u64> {
    let group = |group: &Value| {
        let name = ["rule", "program", "result"].map(|name| group[name].as_str().unwrap_or("-").to_owned());
        (name.join(" "), group["count"].as_u64().unwrap())
    };
    document["groups"].as_array().unwrap().iter().map(group).collect()
}

/// `{"rule program result": count, ...}`.
pub fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Numbers of lines: translations, summaries, notes, other, too_long, damaged.
pub fn lines(document: &Value) -> [u64; 6] {
    let lines = &document["lines"];
    let numbers = ["translations", "summaries", "notes", "other", "too_long", "damaged"]
        .map(|name| lines[name].as_u64().unwrap());
    assert_eq!(lines["all"].as_u64().unwrap(), numbers.iter().sum::<u64>());
    numbers
}

/// The log of a real run of `steps`, which every rule is forced in.
pub fn steps(mode: &str, format: &str, steps: &str) -> Vec<u8> {
    log_of(under_shim(program("steps")).args(steps.split_whitespace()), mode, format)
}

/// The log of a command that is to succeed.
pub fn log_of(command: &mut Command, mode: &str, format: &str) -> Vec<u8> {
    command.env("EVERCALL_FORCE", "all").env("EVERCALL_NOFILE", "off");
    command.env("EVERCALL_LOG", mode).env("EVERCALL_LOG_FORMAT", format);
    succeed(command).stderr
}

/// A path as a word.
pub fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}
