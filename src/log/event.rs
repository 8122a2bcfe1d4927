//! What one line of a translation log tells, in either form (`shims/src/logging/line.rs` and `sink.rs` write
//! them). Nothing is believed: a line either follows the grammar to its end, or is damaged.

use super::members::{Members, Value};
use super::time::Time;
use memchr::{memchr, memchr_iter, memchr3};

/// The longest program name: 32 bytes, each escaped with six.
const PROGRAM: usize = 192;

/// The longest name of a rule.
pub const RULE: usize = 64;

/// The bytes of a call, where the shim cuts it.
const CALL: usize = 639;

/// How a line in JSON begins; a time follows.
pub const JSON_HEAD: &str = "{\"time\":\"";

/// A line of a log.
#[derive(Debug, PartialEq)]
pub struct Told<'a> {
    pub time: Time,
    /// With the shim's escapes.
    pub program: &'a str,
    pub event: Event<'a>,
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// A call was carried out.
    Translated { rule: &'a str, answer: Answer<'a> },
    /// How often each rule acted.
    Summary(Vec<(&'a str, u32)>),
    /// So many lines could not be written.
    Dropped(u32),
    /// Anything else, with its text.
    Other(Kind, &'a str),
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    Success,
    /// The name of the errno, or its number.
    Errno(&'a str),
}

/// The lines that tell of no translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Repaired,
    Refused,
    Trapped,
    TrapRefused,
    Callers,
    Misunderstood,
}

/// What a line is.
#[derive(Debug, PartialEq)]
pub enum Parsed<'a> {
    Told(Told<'a>),
    /// Ours by its beginning, and then not.
    Damaged,
    /// Somebody else's.
    Other,
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Parsed<'_> {
    let json = line.starts_with(JSON_HEAD.as_bytes());
    let head = if json { &line[JSON_HEAD.len()..] } else { line };
    if !Time::is_shaped(head) {
        return Parsed::Other;
    }
    // Eight bytes and more of a time, and then nothing: cut.
    if head.len() <= Time::LENGTH {
        let long = json || head.len() > "2026-11-28T".len();
        return if long { Parsed::Damaged } else { Parsed::Other };
    }
    // The shim writes nothing else, so that a log can do no harm to a terminal.
    let printable = line.iter().fold(true, |all, byte| all & (b' '..=b'~').contains(byte));
    let text = if printable { std::str::from_utf8(line).ok() } else { None };
    match (json, text) {
        (true, Some(text)) => in_json(text),
        (false, Some(text)) => in_text(text),
        (_, None) if is_ours(head, json) => Parsed::Damaged,
        (_, None) => Parsed::Other,
    }
}

/// Whether what begins with a time goes on as a line of the shim does: to tell a damaged line from somebody
/// else's. Other programs write such times too.
fn is_ours(head: &[u8], json: bool) -> bool {
    let behind = &head[Time::LENGTH..];
    if json {
        let expected = b"\",\"pid\":";
        return behind.iter().zip(expected).all(|(byte, expected)| byte == expected);
    }
    behind.first() == Some(&b' ') && behind.windows(2).take(PROGRAM).any(|pair| pair == b"] ")
}

/// `TIME PROGRAM[PID] EVENT`.
fn in_text(line: &str) -> Parsed<'_> {
    let (time, rest) = line.split_at(Time::LENGTH);
    let Some(rest) = rest.strip_prefix(' ') else { return Parsed::Other };
    let mut is_ours = false;
    // A program may be named `a[1] b`: the first bracket behind which all is as it must be.
    for open in memchr_iter(b'[', rest.as_bytes()).take_while(|&open| open <= 2 * PROGRAM) {
        let Some(behind) = behind_pid(&rest[open + 1..]) else { continue };
        // An empty name is possible; `[1] started` behind a time is somebody else's, though.
        is_ours |= open > 0;
        if let (Some(time), Some(event)) = (Time::parse(time.as_bytes()), event(behind)) {
            return told(time, &rest[..open], event);
        }
    }
    if is_ours { Parsed::Damaged } else { Parsed::Other }
}

/// What follows `PID] `.
fn behind_pid(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=10).contains(&digits) { text[digits..].strip_prefix("] ") } else { None }
}

fn told<'a>(time: Time, program: &'a str, event: Event<'a>) -> Parsed<'a> {
    match is_escaped(program) {
        true => Parsed::Told(Told { time, program, event }),
        false => Parsed::Damaged,
    }
}

fn event(text: &str) -> Option<Event<'_>> {
    // By far quicker here than split_once, line by line.
    let colon = memchr(b':', text.as_bytes())?;
    let (word, rest) = (&text[..colon], text[colon..].strip_prefix(": ")?);
    if let Some(call) = rest.strip_prefix(word).and_then(|rest| rest.strip_prefix('(')) {
        if is_rule(word) {
            let answer = answer(behind_arguments(rest, rest.len() - call.len())?)?;
            return Some(Event::Translated { rule: word, answer });
        }
    }
    let event = match word {
        "summary" => {
            Event::Summary(rest.split(", ").map(|entry| counted(entry, ' ')).collect::<Option<_>>()?)
        }
        "lines dropped" => Event::Dropped(count(rest)?),
        "vsyscall callers" => Event::Other(Kind::Callers, ""),
        "setting not understood" => Event::Other(Kind::Misunderstood, escaped(rest)?),
        "filter" => {
            let (names, done) = rest.strip_prefix("the host refuses ")?.rsplit_once(" with EPERM; ")?;
            let kind =
                if done.starts_with("a filter of evercall's") { Kind::Repaired } else { Kind::Refused };
            Event::Other(kind, escaped(names)?)
        }
        "trap" => match rest.strip_prefix("the filter was refused for ") {
            Some(names) => Event::Other(Kind::TrapRefused, escaped(names)?),
            None => Event::Other(Kind::Trapped, escaped(rest)?),
        },
        _ => return None,
    };
    Some(event)
}

/// What follows a call's arguments, which begin at `open`. Brackets within a text in quotes are the text's.
fn behind_arguments(call: &str, open: usize) -> Option<&str> {
    let bytes = call.as_bytes();
    let (mut quoted, mut at) = (false, open);
    // The shim cuts a call that is too long.
    let end = bytes.len().min(CALL);
    while let Some(found) = memchr3(b'"', b')', b'\\', bytes.get(at..end).unwrap_or(&[])) {
        at += found;
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b')' if !quoted => return Some(&call[at + 1..]),
            _ => {}
        }
        at += 1;
    }
    call.get(CALL..)
}

/// ` = RESULT[ [BECAME]]`
fn answer(text: &str) -> Option<Answer<'_>> {
    let text = text.strip_prefix(" = ")?;
    let result = match memchr(b'[', text.as_bytes()) {
        Some(at) if text.ends_with(']') => text[..at].strip_suffix(' ')?,
        Some(_) => return None,
        None => text,
    };
    match result.strip_prefix("-1 ") {
        Some(errno) => is_errno(errno).then_some(Answer::Errno(errno)),
        None => is_number(result, 19).then_some(Answer::Success),
    }
}

/// A line in JSON. Members that are not known are passed over: a later version's.
fn in_json(line: &str) -> Parsed<'_> {
    if !is_ours(&line.as_bytes()[JSON_HEAD.len()..], true) {
        return Parsed::Other;
    }
    match json_event(line) {
        Some((time, program, event)) => told(time, program, event),
        None => Parsed::Damaged,
    }
}

fn json_event(line: &str) -> Option<(Time, &str, Event<'_>)> {
    let (mut time, mut program, mut pid) = (None, None, None);
    let (mut rule, mut result, mut errno, mut text, mut done) = (None, None, None, None, None);
    let mut other = None;
    let mut members = Members::of(line)?;
    for (name, value) in members.by_ref() {
        let fresh = match (name, value) {
            ("time", Value::Text(value)) if value.len() == Time::LENGTH => {
                time.replace(Time::parse(value.as_bytes())?).is_none()
            }
            ("program", Value::Text(value)) => program.replace(value).is_none(),
            ("pid", Value::Word(value)) if is_number(value, 10) => pid.replace(value).is_none(),
            ("rule", Value::Text(value)) if is_rule(value) => rule.replace(value).is_none(),
            ("result", Value::Word(value)) => result.replace(value).is_none(),
            ("errno", Value::Text(value)) if is_errno(value) => errno.replace(value).is_none(),
            ("summary", Value::Object(inside)) => {
                let entries = inside.split(',').map(|entry| counted(entry, ':')).collect::<Option<_>>()?;
                other.replace(Event::Summary(entries)).is_none()
            }
            ("dropped", Value::Word(value)) => other.replace(Event::Dropped(count(value)?)).is_none(),
            ("callers", Value::Object(_)) => other.replace(Event::Other(Kind::Callers, "")).is_none(),
            ("misunderstood", Value::Text(value)) => {
                other.replace(Event::Other(Kind::Misunderstood, escaped(value)?)).is_none()
            }
            ("refused" | "trapped", Value::Text(value)) => text.replace((name, escaped(value)?)).is_none(),
            ("repaired" | "installed", Value::Word(value)) => {
                done.replace((name, value.parse::<bool>().ok()?)).is_none()
            }
            (
                "time" | "program" | "pid" | "rule" | "result" | "errno" | "summary" | "dropped" | "callers"
                | "misunderstood" | "refused" | "trapped" | "repaired" | "installed",
                _,
            ) => false,
            _ => true,
        };
        if !fresh {
            return None;
        }
    }
    if !members.is_whole() {
        return None;
    }
    let (time, program, _) = (time?, program?, pid?);
    let event = match (rule, result, errno, text, done, other) {
        (Some(rule), Some("-1"), Some(errno), None, None, None) => {
            Event::Translated { rule, answer: Answer::Errno(errno) }
        }
        (Some(rule), Some(result), None, None, None, None) if is_number(result, 19) => {
            Event::Translated { rule, answer: Answer::Success }
        }
        (None, None, None, Some(("refused", names)), Some(("repaired", done)), None) => {
            Event::Other(if done { Kind::Repaired } else { Kind::Refused }, names)
        }
        (None, None, None, Some(("trapped", names)), Some(("installed", done)), None) => {
            Event::Other(if done { Kind::Trapped } else { Kind::TrapRefused }, names)
        }
        (None, None, None, None, None, Some(event)) => event,
        _ => return None,
    };
    Some((time, program, event))
}

/// A name and its count in a summary: `ustat 3`, or `"ustat":3`.
fn counted(entry: &str, between: char) -> Option<(&str, u32)> {
    let (name, number) = entry.split_once(between)?;
    let name = match between {
        ':' => name.trim_matches(' ').strip_prefix('"')?.strip_suffix('"')?,
        _ => name,
    };
    is_rule(name).then_some((name, count(number.trim_start_matches(' '))?))
}

fn count(number: &str) -> Option<u32> {
    if is_number(number, 10) { number.parse().ok() } else { None }
}

fn is_number(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text can be a rule's name.
fn is_rule(name: &str) -> bool {
    (1..=RULE).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text can be an errno: a name, or the number of one that has none.
fn is_errno(name: &str) -> bool {
    let named = name.strip_prefix('E').is_some_and(|rest| {
        (1..=16).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    named || is_number(name, 4)
}

fn escaped(text: &str) -> Option<&str> {
    is_escaped_text(text).then_some(text)
}

/// Whether a text has the shim's escapes alone: `\"`, `\\`, `\u00` and two digits.
fn is_escaped_text(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr2(b'\\', b'"', rest) {
        let used = match &rest[at..] {
            [b'\\', b'"' | b'\\', ..] => 2,
            [b'\\', b'u', b'0', b'0', high, low, ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                6
            }
            _ => return false,
        };
        rest = &rest[at + used..];
    }
    true
}

fn is_escaped(program: &str) -> bool {
    program.len() <= PROGRAM && is_escaped_text(program)
}

/// Whether a line of ours stands behind something else in a line: a program that left its own line unended.
pub fn is_within(line: &[u8]) -> bool {
    let is_told = |at: usize| matches!(parse(&line[at..]), Parsed::Told(_));
    memchr::memmem::find_iter(line, JSON_HEAD).any(is_told)
        || memchr::memmem::find_iter(line, "Z ")
            .filter_map(|end| (end + 1).checked_sub(Time::LENGTH))
            .filter(|&at| Time::is_shaped(&line[at..]))
            .any(is_told)
}
