//! Reading log lines back: the grammar of the text form, and the JSON form.
#![allow(dead_code, reason = "each test binary uses its own part")]

use serde_json::Value;
use std::process::Command;

/// A line that tells of a translated call.
#[derive(Debug, PartialEq, Clone)]
pub struct Line {
    pub time: String,
    pub pid: u32,
    pub program: String,
    pub rule: String,
    pub call: String,
    pub became: Option<String>,
    pub result: i64,
    pub errno: Option<String>,
}

/// The lines of a log: all ASCII, nothing but printable characters, the last one ended.
pub fn split(log: &[u8]) -> Vec<&str> {
    let log = std::str::from_utf8(log).expect("a log is ASCII");
    assert!(log.is_empty() || log.ends_with('\n'), "an unended line: {log:?}");
    for line in log.lines() {
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "not printable: {line:?}");
    }
    log.lines().collect()
}

/// `2026-11-23T17:31:00.123456Z`.
fn is_time(time: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    time.len() == shape.len()
        && time.chars().zip(shape.chars()).all(|(c, s)| if s == 'd' { c.is_ascii_digit() } else { c == s })
}

/// A text line's head and rest: `TIME PROGRAM[PID] REST`.
pub fn head(line: &str) -> Option<(String, String, u32, &str)> {
    let (time, rest) = line.split_once(' ')?;
    if !is_time(time) {
        return None;
    }
    for (open, _) in rest.match_indices('[') {
        let Some((pid, tail)) = rest[open + 1..].split_once("] ") else { continue };
        if let Ok(pid) = pid.parse() {
            return Some((time.into(), rest[..open].into(), pid, tail));
        }
    }
    None
}

/// A text line: `TIME PROGRAM[PID] RULE: RULE(NAME=VALUE, ...) = RESULT[ [BECAME]]`, where RESULT is a
/// number, or `-1 ENAME`.
pub fn text(line: &str) -> Option<Line> {
    let (time, program, pid, rest) = head(line)?;
    let (rule, rest) = rest.split_once(": ")?;
    let (call, answer) = rest.rsplit_once(") = ")?;
    if !call.starts_with(&format!("{rule}(")) {
        return None;
    }
    let (answer, became) = match answer.split_once(" [") {
        Some((answer, became)) => (answer, Some(became.strip_suffix(']')?.to_string())),
        None => (answer, None),
    };
    let (result, errno) = match answer.split_once(' ') {
        Some((result, errno)) => {
            if result != "-1" || !errno.starts_with('E') {
                return None;
            }
            (result, Some(errno.to_string()))
        }
        None => (answer, None),
    };
    let (result, rule, call) = (result.parse().ok()?, rule.into(), format!("{call})"));
    Some(Line { time, pid, program, rule, call, became, result, errno })
}

/// A JSON line, with exactly the fields of a translated call; `errno` stands only behind a failure.
pub fn json(line: &str) -> Option<Line> {
    let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    let string = |name: &str| Some(fields.get(name)?.as_str()?.to_string());
    let line = Line {
        time: string("time").filter(|time| is_time(time))?,
        pid: u32::try_from(fields.get("pid")?.as_u64()?).ok()?,
        program: string("program")?,
        rule: string("rule")?,
        call: string("call")?,
        became: Some(string("became")?),
        result: fields.get("result")?.as_i64()?,
        errno: string("errno"),
    };
    let all = if line.errno.is_some() { 8 } else { 7 };
    (fields.len() == all && line.errno.is_some() == (line.result < 0)).then_some(line)
}

/// The lines of a text log, each by the grammar.
pub fn all_text(log: &[u8]) -> Vec<Line> {
    split(log).iter().map(|line| text(line).unwrap_or_else(|| panic!("no line of a log: {line:?}"))).collect()
}

/// The lines of a JSON log.
pub fn all_json(log: &[u8]) -> Vec<Line> {
    split(log).iter().map(|line| json(line).unwrap_or_else(|| panic!("no line of a log: {line:?}"))).collect()
}

/// The number in a `lines dropped: N` line.
pub fn dropped(line: &str) -> Option<usize> {
    head(line)?.3.strip_prefix("lines dropped: ")?.parse().ok()
}

/// The time in the form of the log, by date(1).
pub fn now() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
}
