//! What the handlers of paths share: a path that may be empty, an object by `/proc/self/fd`, and structs
//! that grow.

use crate::memory::{self, Plain};
use crate::sys::{self, Errno, Fd, Result, User};

/// `-errno`.
pub const fn failed(errno: i32) -> isize {
    -(errno as isize)
}

/// Whether AT_EMPTY_PATH makes a path name the descriptor itself. EFAULT.
pub fn names_itself(path: User, flags: i32) -> Result<bool> {
    Ok(flags & libc::AT_EMPTY_PATH != 0 && memory::get::<u8>(path)? == 0)
}

/// The same for calls that also take NULL for an empty path, as all do that use getname_maybe_null
/// (fs/namei.c).
pub fn names_itself_or_null(path: User, flags: i32) -> Result<bool> {
    Ok((flags & libc::AT_EMPTY_PATH != 0 && path.is_null()) || names_itself(path, flags)?)
}

/// An object by its path, not opened for anything: O_PATH. A link itself with AT_SYMLINK_NOFOLLOW.
pub fn object(folder: i32, path: User, flags: i32) -> Result<Fd> {
    let no_follow = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { libc::O_NOFOLLOW } else { 0 };
    sys::open_user_in(folder, path, libc::O_PATH | no_follow)
}

/// A system call on the object of a descriptor, O_PATH or not, which takes a path first. ENOSYS where
/// /proc is not mounted.
pub fn call_object(number: i64, fd: i32, rest: [usize; 5]) -> isize {
    found(fd, sys::call_path(number, sys::proc_path(fd).c_str(), rest))
}

/// The same by a call that takes a folder before the path.
pub fn call_object_at(number: i64, fd: i32, rest: [usize; 4]) -> isize {
    found(fd, sys::call_path_in(number, libc::AT_FDCWD, sys::proc_path(fd).c_str(), rest))
}

fn found(fd: i32, answer: isize) -> isize {
    match answer {
        error if error == failed(libc::ENOENT) && sys::stat_itself(fd).is_ok() => failed(libc::ENOSYS),
        other => other,
    }
}

/// Whether a mode (st_mode) is a symbolic link's.
pub fn is_link(mode: u32) -> bool {
    mode & libc::S_IFMT == libc::S_IFLNK
}

/// A struct that grows with the kernel, as copy_struct_from_user (linux/uaccess.h) takes it: what is past the
/// end of ours is zero, or E2BIG. The caller has checked the least size. EFAULT.
pub fn growing_struct<T: Plain>(from: User, size: usize) -> Result<T> {
    let known = size_of::<T>();
    let mut piece = [0u8; 64];
    let mut at = known;
    while at < size {
        let length = (size - at).min(piece.len());
        let Some(part) = piece.get_mut(..length) else { break };
        memory::read(from.at(at), part)?;
        if part.iter().any(|&byte| byte != 0) {
            return Err(Errno(libc::E2BIG));
        }
        at += length;
    }
    memory::get(from)
}

/// Bytes of a page, the most that a growing struct may have.
pub const PAGE: usize = 4096;
