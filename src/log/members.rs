//! The members of one flat JSON object, without copying: what the shim writes, and what a collector may have added.

use memchr::memchr2;

/// A value; texts still with their escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `"..."`.
    Text(&'a str),
    /// A number, or true, false, null.
    Word(&'a str),
    /// The inside of an object that holds neither objects nor texts with braces.
    Object(&'a str),
}

/// Goes over the members. Where it stops, [`Members::is_whole`] tells whether that was the end.
pub struct Members<'a> {
    rest: &'a str,
    state: State,
}

#[derive(PartialEq)]
enum State {
    First,
    Next,
    Whole,
    Damaged,
}

impl<'a> Members<'a> {
    /// Of the text of an object, braces included; None without an opening one.
    pub fn of(object: &'a str) -> Option<Members<'a>> {
        Some(Members { rest: object.strip_prefix('{')?, state: State::First })
    }

    /// Whether the object was read to its closing brace, with nothing behind it.
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    fn member(&mut self) -> Option<(&'a str, Value<'a>)> {
        let rest = self.rest.trim_start_matches(' ');
        if let Some(behind) = rest.strip_prefix('}') {
            if behind.trim_ascii_end().is_empty() {
                self.state = State::Whole;
            }
            return None;
        }
        let rest = match self.state {
            State::First => rest,
            _ => rest.strip_prefix(',')?.trim_start_matches(' '),
        };
        let (name, rest) = text(rest)?;
        let rest = rest.trim_start_matches(' ').strip_prefix(':')?.trim_start_matches(' ');
        let (value, rest) = match rest.as_bytes().first()? {
            b'"' => {
                let (value, rest) = text(rest)?;
                (Value::Text(value), rest)
            }
            b'{' => {
                let (value, rest) = rest[1..].split_once('}')?;
                if value.contains('{') {
                    return None;
                }
                (Value::Object(value), rest)
            }
            _ => {
                let end = rest.find([',', '}', ' '])?;
                let (value, rest) = rest.split_at(end);
                let fine = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                (fine.then_some(Value::Word(value))?, rest)
            }
        };
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Whole | State::Damaged) {
            return None;
        }
        let member = self.member();
        match member {
            Some(_) => self.state = State::Next,
            None if self.state != State::Whole => self.state = State::Damaged,
            None => {}
        }
        member
    }
}

/// A text in quotes, and what follows it.
fn text(quoted: &str) -> Option<(&str, &str)> {
    let inside = quoted.strip_prefix('"')?;
    let bytes = inside.as_bytes();
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((&inside[..at], &inside[at + 1..]));
        }
        at += 2;
    }
}

/// Takes JSON's escapes out of a text. What is no ASCII becomes bytes that are none either.
pub fn unescape(text: &str, to: &mut Vec<u8>) {
    to.clear();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        to.extend_from_slice(&rest[..at]);
        let mut used = 2;
        to.push(match rest.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => {
                used = 6;
                let digits = rest.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
                let number = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
                number.and_then(|number| u8::try_from(number).ok()).filter(u8::is_ascii).unwrap_or(0xff)
            }
            Some(&other) => other,
            None => 0xff,
        });
        rest = rest.get(at + used..).unwrap_or(&[]);
    }
    to.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &str) -> Option<Vec<(&str, Value<'_>)>> {
        let mut members = Members::of(object)?;
        let all = members.by_ref().collect();
        members.is_whole().then_some(all)
    }

    #[test]
    fn members_come_in_order() {
        use Value::{Object, Text, Word};
        assert_eq!(
            read(r#"{"a":"x\"}","b" : -1 ,"c":{"u":2,"v":3}, "d":true}"#),
            Some(vec![
                ("a", Text("x\\\"}")),
                ("b", Word("-1")),
                ("c", Object(r#""u":2,"v":3"#)),
                ("d", Word("true"))
            ])
        );
        assert_eq!(read("{}"), Some(vec![]));
        for bad in
            ["", "{", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":"x}"#, r#"{"a":1 "b":2}"#]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn escapes_are_taken_out() {
        let mut to = Vec::new();
        unescape(r#"a\"b\\c\nd\u003ce\u00e9\/\"#, &mut to);
        assert_eq!(to, b"a\"b\\c\nd<e\xff/\xff");
    }
}
