//! Reading files of /proc line by line, with a buffer on the stack.

use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, parse_decimal, trim};
use core::ffi::CStr;

/// Bytes of a line that are given out; the rest of a longer one is skipped.
const LINE: usize = 1024;

/// The lines of a file.
pub struct Lines {
    fd: Fd,
    buffer: [u8; LINE],
    start: usize,
    end: usize,
    /// The start of the line was given out: what comes up to its newline is skipped.
    skipping: bool,
}

impl Lines {
    /// Opens a file. Errors: those of open(2).
    pub fn open(path: &CStr) -> Result<Lines> {
        let fd = sys::open(path, libc::O_RDONLY, 0)?;
        Ok(Lines { fd, buffer: [0; LINE], start: 0, end: 0, skipping: false })
    }

    /// The next line without its newline; None at the end. Errors: those of read(2).
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        let mut searched = self.start;
        loop {
            let fresh = self.buffer.get(searched..self.end).unwrap_or(&[]);
            if let Some(at) = fresh.iter().position(|&b| b == b'\n') {
                let from = self.start;
                self.start = searched + at + 1;
                if self.skipping {
                    self.skipping = false;
                    searched = self.start;
                    continue;
                }
                return Ok(self.buffer.get(from..self.start - 1));
            }
            if self.start > 0 {
                // The bounds are only for the compiler, which sees no panic path then.
                let end = self.end.min(LINE);
                let start = self.start.min(end);
                self.buffer.copy_within(start..end, 0);
                self.end = end - start;
                self.start = 0;
            } else if self.end >= LINE {
                let first = !self.skipping;
                self.skipping = true;
                self.end = 0;
                if first {
                    return Ok(self.buffer.get(..LINE));
                }
            }
            searched = self.end;
            let n = match self.buffer.get_mut(self.end..) {
                Some(room) => sys::read(self.fd.0, room)?,
                None => 0,
            };
            if n == 0 {
                let last = self.end;
                self.start = last;
                return Ok(if last == 0 || self.skipping { None } else { self.buffer.get(..last) });
            }
            self.end += n;
        }
    }
}

/// Reads the start of a file: what fits into the buffer. Errors: those of open(2) and read(2).
pub fn read_start<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let fd = sys::open(path, libc::O_RDONLY, 0)?;
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match sys::read(fd.0, room)? {
            0 => break,
            n => length += n,
        }
    }
    Ok(buffer.get(..length).unwrap_or(&[]))
}

/// The id of the mount that a descriptor lies on (proc_pid_fdinfo(5), since 3.15).
pub fn mount_id(fd: &Fd) -> Result<u64> {
    let mut path = Text::<40>::new();
    path.push(b"/proc/self/fdinfo/").signed(i64::from(fd.0));
    let mut buffer = [0u8; 256];
    let info = read_start(path.c_str(), &mut buffer).map_err(|_| Errno(libc::ENOSYS))?;
    let id = info.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"mnt_id:"));
    id.map(trim).and_then(parse_decimal).map(|(id, _)| id).ok_or(Errno(libc::ENOSYS))
}
