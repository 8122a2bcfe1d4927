//! Settings of the kernel that are gone: they read as their old default, and what is written to them is dropped.
//! Only where EVERCALL_PRETEND says so.

use super::text_file::{TextFile, opened};
use crate::sys::{self, Errno, Fd, Result};

/// Whether this process could have written it: the files were root's, on a /proc that is not read-only.
fn writable() -> Result<()> {
    if sys::effective_user() != 0 {
        return Err(Errno(libc::EACCES));
    }
    let tree = sys::open(c"/proc/sys", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    // ST_RDONLY of statfs(2).
    if sys::fstatfs(tree.0)?.f_flags & 1 != 0 { Err(Errno(libc::EROFS)) } else { Ok(()) }
}

/// The file, opened with these flags: a copy of its own, which nobody else sees. EACCES, EROFS.
pub fn open(default: &[u8], flags: i32) -> Result<Fd> {
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno(libc::ENOTDIR));
    }
    let allowed = writable();
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        allowed?;
    }
    let mut text = TextFile::new();
    text.push(default).push(b"\n");
    let file = if allowed.is_ok() { text.finish_writable()? } else { text.finish()? };
    opened(&file, flags)
}

/// access(2) of it, in the kernel's convention.
pub fn access(mode: i32) -> isize {
    match writable() {
        Err(Errno(error)) if mode & libc::W_OK != 0 => -(error as isize),
        _ if mode & libc::X_OK != 0 => -(libc::EACCES as isize),
        _ => 0,
    }
}
