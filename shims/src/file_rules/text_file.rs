//! A file of our own making: text in memory, which reads, seeks, and passes an exec as a file does.

use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, decimal};

/// Bytes that are collected before they are written.
const BUFFER: usize = 512;

/// A file that is being written.
pub struct TextFile {
    /// Made when there is something to write.
    fd: Option<Fd>,
    buffer: [u8; BUFFER],
    used: usize,
    failed: Option<Errno>,
    /// Whether nothing is written: only whether the text can be made is asked.
    nowhere: bool,
}

impl TextFile {
    /// An empty one.
    pub fn new() -> TextFile {
        TextFile { fd: None, buffer: [0; BUFFER], used: 0, failed: None, nowhere: false }
    }

    /// One that keeps nothing.
    pub fn nowhere() -> TextFile {
        TextFile { nowhere: true, ..TextFile::new() }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            if self.used == BUFFER {
                self.flush();
            }
            if let Some(slot) = self.buffer.get_mut(self.used) {
                *slot = byte;
                self.used += 1;
            }
        }
        self
    }

    /// Adds a number in decimal.
    pub fn decimal(&mut self, number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        self.push(decimal(number, &mut digits))
    }

    fn flush(&mut self) {
        let written = if self.nowhere { Ok(()) } else { self.write() };
        self.failed = self.failed.or(written.err());
        self.used = 0;
    }

    fn write(&mut self) -> Result<()> {
        let fd = match &self.fd {
            Some(fd) => fd,
            None => self.fd.insert(sys::memory_file(c"evercall")?),
        };
        let mut rest = self.buffer.get(..self.used).unwrap_or(&[]);
        while !rest.is_empty() {
            match sys::write(fd.0, rest)? {
                0 => break,
                n => rest = rest.get(n..).unwrap_or(&[]),
            }
        }
        Ok(())
    }

    /// The finished file: sealed, for everybody to read. Errors: those of memfd_create(2) and write(2).
    pub fn finish(self) -> Result<Fd> {
        let file = self.written()?;
        sys::seal(&file)?;
        sys::change_mode(&file, 0o444)?;
        Ok(file)
    }

    /// The finished file, which may be written to. Errors: the same.
    pub fn finish_writable(self) -> Result<Fd> {
        let file = self.written()?;
        sys::change_mode(&file, 0o644)?;
        Ok(file)
    }

    fn written(mut self) -> Result<Fd> {
        self.flush();
        match self.failed {
            Some(error) => Err(error),
            None => self.fd.ok_or(Errno(libc::ENOENT)),
        }
    }
}

/// Opens a finished file once more, with flags of its own and its offset at 0. Errors: those of open(2); EROFS
/// where it is opened to be written.
pub fn reopen(file: &Fd, flags: i32) -> Result<Fd> {
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(Errno(libc::EEXIST));
    }
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno(libc::ENOTDIR));
    }
    if flags & libc::O_PATH == 0 && (flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0)
    {
        return Err(Errno(libc::EROFS));
    }
    opened(file, flags)
}

/// The same with whatever flags: for a file that may be written to.
pub fn opened(file: &Fd, flags: i32) -> Result<Fd> {
    // The path ends in a link, and O_DIRECT is not for files in memory.
    let flags = flags & !(libc::O_NOFOLLOW | libc::O_CREAT | libc::O_EXCL | libc::O_DIRECT);
    let mut path: Text<40> = sys::proc_path(file.0);
    sys::open(path.c_str(), flags, 0)
}
