//! What container engines and journals put around a line.

use super::event::JSON_HEAD;
use super::members::{self, Members, Value};
use super::time::Time;

/// How many envelopes are taken off: `kubectl logs --prefix --timestamps` has two.
const MOST: usize = 3;

/// Where a line's own text must begin.
const LONGEST: usize = 256;

/// Takes envelopes off. Gives the line within, and whether it is whole: engines cut long lines, and mark them.
pub fn open<'a>(line: &'a [u8], whole: bool, scratch: &'a mut Vec<u8>) -> (&'a [u8], bool) {
    let (mut line, mut whole) = match docker(line, scratch) {
        Some(inner) => inner,
        None => (line, whole),
    };
    for _ in 0..MOST {
        let Some((inner, whole_inner)) = prefix(line) else { break };
        line = inner;
        whole &= whole_inner;
    }
    (line.strip_suffix(b"\r").unwrap_or(line), whole)
}

/// Docker's json-file: `{"log":"LINE\n","stream":"stderr","time":"TIME"}`.
fn docker<'a>(line: &[u8], scratch: &'a mut Vec<u8>) -> Option<(&'a [u8], bool)> {
    if !line.starts_with(b"{\"log\":\"") {
        return None;
    }
    let mut members = Members::of(std::str::from_utf8(line).ok()?)?;
    let Some(("log", Value::Text(text))) = members.next() else { return None };
    for _ in members.by_ref() {}
    if !members.is_whole() {
        return None;
    }
    members::unescape(text, scratch);
    Some(match scratch.strip_suffix(b"\n") {
        Some(line) => (line, true),
        None => (scratch, false),
    })
}

/// One prefix of the forms below, if there is one.
fn prefix(line: &[u8]) -> Option<(&[u8], bool)> {
    match line.first()? {
        b'0'..=b'9' => timestamp(line),
        b'[' => kubectl(line),
        b'A'..=b'Z' => journal(line).or_else(|| compose(line)),
        b'a'..=b'z' => compose(line),
        _ => None,
    }
}

/// Whether a line of ours can begin here.
fn begins(line: &[u8]) -> bool {
    let head = line.strip_prefix(JSON_HEAD.as_bytes()).unwrap_or(line);
    head.len() > Time::LENGTH && Time::is_shaped(head)
}

/// `TIME LINE` (podman, docker and kubectl with --timestamps), `TIME stderr F LINE` (CRI: containerd, CRI-O, podman's
/// k8s-file; P for F if the line is cut), `TIME HOST NAME[PID]: LINE` (journalctl -o short-iso).
fn timestamp(line: &[u8]) -> Option<(&[u8], bool)> {
    if !Time::is_shaped(&line[..line.len().min("2026-11-23T17:31:00".len())]) {
        return None;
    }
    let end = memchr::memchr(b' ', line.get(..40.min(line.len()))?)?;
    let rest = &line[end + 1..];
    for stream in [&b"stdout "[..], b"stderr "] {
        if let Some(rest) = rest.strip_prefix(stream) {
            return match rest {
                [b'F', b' ', line @ ..] => Some((line, true)),
                [b'P', b' ', line @ ..] => Some((line, false)),
                _ => None,
            };
        }
    }
    if begins(rest) || rest.first() == Some(&b'[') && kubectl(rest).is_some() {
        return Some((rest, true));
    }
    // Ours ends in Z, and may hold anything in its texts.
    if line[end - 1] == b'Z' { None } else { behind_colon(rest) }
}

/// `[pod/NAME/CONTAINER] LINE` (kubectl logs --prefix).
fn kubectl(line: &[u8]) -> Option<(&[u8], bool)> {
    let near = &line[..line.len().min(LONGEST)];
    let end = memchr::memmem::find(near, b"] ")?;
    near.starts_with(b"[pod/").then(|| (&line[end + 2..], true))
}

/// `Nov 23 17:31:00 HOST NAME[PID]: LINE` (journalctl, syslog).
fn journal(line: &[u8]) -> Option<(&[u8], bool)> {
    let shape = b"Aaa 00 00:00:00 ";
    let is_shaped = line.len() > shape.len()
        && line.iter().zip(shape).all(|(byte, shape)| match shape {
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'0' => byte.is_ascii_digit() || *byte == b' ',
            _ => byte == shape,
        });
    if is_shaped { behind_colon(line) } else { None }
}

/// `NAME  | LINE` (docker compose).
fn compose(line: &[u8]) -> Option<(&[u8], bool)> {
    let near = &line[..line.len().min(LONGEST)];
    let at = memchr::memmem::find(near, b" | ")?;
    let rest = &line[at + 3..];
    begins(rest).then_some((rest, true))
}

/// What begins as a line of ours behind the first colon and blank where one does.
fn behind_colon(line: &[u8]) -> Option<(&[u8], bool)> {
    let near = &line[..line.len().min(LONGEST)];
    let at = memchr::memmem::find_iter(near, b": ").find(|at| begins(&line[at + 2..]))?;
    Some((&line[at + 2..], true))
}
