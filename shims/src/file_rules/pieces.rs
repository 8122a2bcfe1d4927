//! A file copied line by line, whatever the length of a line: an overlay's mount takes thousands of bytes.

use crate::sys::{self, Fd, Result};
use core::ffi::CStr;

/// Bytes of a piece.
const PIECE: usize = 1024;

/// A line with its newline, or a part of one that is longer than a piece.
pub struct Piece<'a> {
    /// Whether a line begins with it.
    pub starts: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The pieces of a file.
pub struct Pieces {
    fd: Fd,
    buffer: [u8; PIECE],
    start: usize,
    end: usize,
    starts: bool,
}

impl Pieces {
    /// Opens a file. Errors: those of open(2).
    pub fn open(path: &CStr) -> Result<Pieces> {
        Ok(Pieces::of(sys::open(path, libc::O_RDONLY, 0)?))
    }

    fn of(fd: Fd) -> Pieces {
        Pieces { fd, buffer: [0; PIECE], start: 0, end: 0, starts: true }
    }

    /// The next piece; None at the end. Errors: those of read(2).
    pub fn next(&mut self) -> Result<Option<Piece<'_>>> {
        let (length, ends) = loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            if let Some(newline) = held.iter().position(|&b| b == b'\n') {
                break (newline + 1, true);
            }
            let held = held.len();
            if held == PIECE {
                break (held, false);
            }
            // The bounds are only for the compiler, which sees no panic path then.
            let end = self.end.min(PIECE);
            let start = self.start.min(end);
            self.buffer.copy_within(start..end, 0);
            (self.start, self.end) = (0, held);
            let n = match self.buffer.get_mut(held..) {
                Some(room) => sys::read(self.fd.0, room)?,
                None => 0,
            };
            if n == 0 {
                break (held, false);
            }
            self.end += n;
        };
        if length == 0 {
            return Ok(None);
        }
        let from = self.start;
        self.start += length;
        let starts = core::mem::replace(&mut self.starts, ends);
        Ok(self.buffer.get(from..from + length).map(|bytes| Piece { starts, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::os::fd::IntoRawFd as _;

    proptest! {
        /// The pieces are the file, and a line starts where one does.
        #[test]
        fn pieces_are_the_file(lines in proptest::collection::vec("[a-z ]{0,2600}", 0..8), ended: bool) {
            let text = lines.join("\n") + if ended { "\n" } else { "" };
            let (reader, mut writer) = std::io::pipe().unwrap();
            let mut pieces = Pieces::of(Fd(reader.into_raw_fd()));
            let sent = text.clone();
            let sender = std::thread::spawn(move || writer.write_all(sent.as_bytes()).unwrap());
            let mut copy = Vec::new();
            while let Some(piece) = pieces.next().ok().flatten() {
                prop_assert_eq!(piece.starts, copy.is_empty() || copy.ends_with(b"\n"));
                copy.extend(piece.bytes);
            }
            sender.join().unwrap();
            prop_assert_eq!(copy, text.into_bytes());
        }
    }
}
