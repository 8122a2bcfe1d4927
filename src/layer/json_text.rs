//! JSON documents written back as their writer wrote them, so that what is put in and taken out again leaves the same
//! bytes, and the same digest.

use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// How a document is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Style {
    /// What a level is indented by; None: all on one line.
    indent: Option<String>,
    /// Whether `<`, `>`, `&` and the separators U+2028 and U+2029 are escaped, as Go's encoding/json does.
    escapes: bool,
    /// What follows the document.
    end: String,
}

impl Style {
    /// The style of a document: all of them are tried, and the first that gives its bytes counts. Where none does, the
    /// one that comes nearest, and false.
    pub fn of(text: &str, value: &Value) -> (Style, bool) {
        let after_brace = text.strip_prefix('{').and_then(|rest| rest.strip_prefix('\n')).unwrap_or_default();
        let blanks = after_brace.len() - after_brace.trim_start_matches([' ', '\t']).len();
        let indent = after_brace.get(..blanks).filter(|blanks| !blanks.is_empty()).map(str::to_string);
        let body = text.trim_end();
        let end = text.get(body.len()..).unwrap_or_default().to_string();
        let style = |escapes| Style { indent: indent.clone(), escapes, end: end.clone() };
        for escapes in [true, false] {
            if style(escapes).write(value).as_slice() == text.as_bytes() {
                return (style(escapes), true);
            }
        }
        (style(true), false)
    }

    /// The document in this style.
    pub fn write(&self, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let written = match &self.indent {
            None => write(value, &mut out, Go { inner: CompactFormatter, escapes: self.escapes }),
            Some(indent) => {
                let inner = PrettyFormatter::with_indent(indent.as_bytes());
                write(value, &mut out, Go { inner, escapes: self.escapes })
            }
        };
        // Into memory nothing fails.
        debug_assert!(written.is_ok());
        out.extend(self.end.as_bytes());
        out
    }
}

fn write(value: &Value, out: &mut Vec<u8>, formatter: impl Formatter) -> serde_json::Result<()> {
    serde::Serialize::serialize(value, &mut Serializer::with_formatter(out, formatter))
}

/// A formatter with Go's escapes.
struct Go<F> {
    inner: F,
    escapes: bool,
}

/// Hands a method on to the formatter within.
macro_rules! as_inner {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, $($argument: $type),*) -> io::Result<()> {
            self.inner.$name(writer, $($argument),*)
        })*
    };
}

impl<F: Formatter> Formatter for Go<F> {
    as_inner! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            // Go 1.22 and later have short forms for these two, earlier ones and serde_json do not agree.
            CharEscape::Backspace if self.escapes => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed if self.escapes => writer.write_all(b"\\u000c"),
            escape => self.inner.write_char_escape(writer, escape),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if !self.escapes {
            return writer.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            let escaped = characters.next().map_or(0, u32::from);
            write!(writer, "\\u{escaped:04x}")?;
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_bytes() {
        for text in [
            r#"{"a":"x \u0026\u0026 \u003cy\u003e","b":[1,{}],"c":null,"d":[]}"#,
            r#"{"a":"x && <y>"}"#,
            "{\n   \"a\": [\n      \"b\"\n   ],\n   \"c\": {}\n}",
            "{\n  \"a\": 1\n}\n",
            "{\"a\":\"\u{e9}\\n\\t\\\"\"}\n",
        ] {
            let value = serde_json::from_str(text).unwrap();
            let (style, exact) = Style::of(text, &value);
            assert!(exact, "{text}");
            assert_eq!(String::from_utf8(style.write(&value)).unwrap(), text);
        }
        let text = "{ \"a\" : 1 }";
        assert!(!Style::of(text, &serde_json::from_str(text).unwrap()).1);
    }
}
