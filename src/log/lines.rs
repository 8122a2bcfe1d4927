//! Lines out of a stream, through one fixed buffer.

use memchr::memchr_iter;
use std::io::{ErrorKind, Read, Result};

/// A longer line is passed over. The shim's own have 3072 bytes at most, and twice that as JSON within JSON.
pub const LONGEST: usize = 16 * 1024;

/// What is read at once: small enough for a processor's cache.
const BUFFER: usize = 256 * 1024;

/// What stands between two ends of lines.
pub enum Line<'a> {
    /// A line without its newline; the last one may have none.
    Whole { text: &'a [u8], ended: bool },
    /// One that is longer than LONGEST.
    TooLong,
}

/// The buffer, made once for all streams.
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Makes one.
    pub fn new() -> Buffer {
        Buffer(vec![0; BUFFER])
    }

    /// Reads a stream to its end, or to an error; the lines before that have been told.
    pub fn read(&mut self, stream: &mut dyn Read, each: &mut dyn FnMut(Line<'_>)) -> Result<()> {
        let buffer = &mut self.0;
        let mut kept = 0;
        let mut passing_over = false;
        let done = loop {
            let count = match stream.read(&mut buffer[kept..]) {
                Ok(0) => break Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => break Err(error),
            };
            let end = kept + count;
            let mut start = 0;
            for newline in memchr_iter(b'\n', &buffer[kept..end]).map(|at| kept + at) {
                let text = &buffer[start..newline];
                let too_long = passing_over || text.len() > LONGEST;
                each(if too_long { Line::TooLong } else { Line::Whole { text, ended: true } });
                passing_over = false;
                start = newline + 1;
            }
            passing_over |= end - start > LONGEST;
            kept = if passing_over { 0 } else { end - start };
            buffer.copy_within(end - kept..end, 0);
        };
        if passing_over {
            each(Line::TooLong);
        } else if kept > 0 {
            each(Line::Whole { text: &buffer[..kept], ended: false });
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> Result<usize> {
            let count = self.0.len().min(self.1).min(to.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// Each line; None for one that is too long; the last one with a sign if it is not ended.
    fn lines(input: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Vec::new();
        let mut each = |line: Line<'_>| {
            lines.push(match line {
                Line::Whole { text, ended } => {
                    Some([text, if ended { &b""[..] } else { b"<unended>" }].concat())
                }
                Line::TooLong => None,
            });
        };
        Buffer::new().read(&mut Pieces(input, piece), &mut each).unwrap();
        lines
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let long = [b'x'; LONGEST + 1];
        let longer = vec![b'y'; 3 * BUFFER];
        let fits = [b'z'; LONGEST];
        let input =
            [b"a\n\nbc\n", &long[..], b"\nd\n", &longer, b"\ne\n", &fits, b"\n", &longer, b"\nf"].concat();
        let expected = [
            Some(&b"a"[..]),
            Some(b""),
            Some(b"bc"),
            None,
            Some(b"d"),
            None,
            Some(b"e"),
            Some(&fits),
            None,
            Some(b"f<unended>"),
        ];
        for piece in [1, 7, 4096, BUFFER - 1, BUFFER, usize::MAX] {
            let lines = lines(&input, piece);
            assert!(lines.iter().map(Option::as_deref).eq(expected), "{piece}");
        }
        assert!(lines(b"", 1).is_empty());
        assert_eq!(lines(&longer, 4096), [None]);
    }
}
