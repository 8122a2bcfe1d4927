//! The program's memory, reached as the kernel would: a bad address is EFAULT, never a fault.
//!
//! process_vm_readv(2) and process_vm_writev(2) on ourselves check the address in the kernel. Where a
//! profile refuses them (Docker's before kernel 4.8), a pipe does the same check with read and write. The
//! pipe also has the last word on EFAULT: only a real copy grows the stack (a buffer on it that was never
//! touched), since 6.5 process_vm does not.

use crate::arch::syscall;
use crate::sys::{self, Errno, Result, User, check};
use core::mem::{MaybeUninit, size_of};

/// Types of which every bit pattern is a value, so that bytes may become one.
///
/// # Safety
/// Integers, and `repr(C)` structs or arrays of them without padding.
pub unsafe trait Plain: Copy {}
// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: integers.
unsafe impl Plain for i32 {}
// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: integers.
unsafe impl Plain for i64 {}
// SAFETY: integers.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl Plain for usize {}
// SAFETY: an array of integers.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: T is plain: no padding, so all its bytes are initialised.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Machine words as the bytes they are made of.
pub fn bytes_of_words(words: &mut [usize]) -> &mut [u8] {
    // SAFETY: the same memory; usize is plain, and every byte of it may be anything.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// Copies bytes from the program. EFAULT if any of them cannot be read.
pub fn read(from: User, to: &mut [u8]) -> Result<()> {
    if to.is_empty() {
        return Ok(());
    }
    let local = [to.as_mut_ptr() as usize, to.len()];
    let remote = [from.0, to.len()];
    let Err(error) = transfer(libc::SYS_process_vm_readv, &local, &remote) else { return Ok(()) };
    through_pipe(
        error,
        to.len(),
        |writer, at, n| sys::write_user(writer, from.at(at), n),
        |reader, at| to.get_mut(at..).map_or(Ok(0), |rest| sys::read(reader, rest)),
    )
}

/// Copies bytes to the program. EFAULT if any of them cannot be written.
pub fn write(to: User, from: &[u8]) -> Result<()> {
    if from.is_empty() {
        return Ok(());
    }
    let local = [from.as_ptr() as usize, from.len()];
    let remote = [to.0, from.len()];
    let Err(error) = transfer(libc::SYS_process_vm_writev, &local, &remote) else { return Ok(()) };
    through_pipe(
        error,
        from.len(),
        |writer, at, n| from.get(at..at + n).map_or(Ok(0), |part| sys::write(writer, part)),
        |reader, at| sys::read_user(reader, to.at(at), from.len() - at),
    )
}

/// Reads one value.
pub fn get<T: Plain>(from: User) -> Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: zeroed above, so the bytes are initialised; T is plain, so any bytes are a value.
    unsafe {
        read(from, core::slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size_of::<T>()))?;
        Ok(value.assume_init())
    }
}

/// Writes one value.
pub fn put<T: Plain>(to: User, value: T) -> Result<()> {
    write(to, bytes_of(&value))
}

/// Copies a NUL-terminated string, as the kernel's strncpy_from_user: the part before the NUL, or
/// None if `to` is full before one came. EFAULT if it runs into memory that cannot be read.
pub fn read_string(from: User, to: &mut [u8]) -> Result<Option<&[u8]>> {
    const PAGE: usize = 4096;
    let mut done = 0;
    while done < to.len() {
        // Never past a page's end in one go: the next page may not be there, and need not be.
        let here = from.at(done);
        let part = (PAGE - here.0 % PAGE).min(to.len() - done);
        let Some(piece) = to.get_mut(done..done + part) else { break };
        read(here, piece)?;
        if let Some(end) = piece.iter().position(|&b| b == 0) {
            return Ok(to.get(..done + end));
        }
        done += part;
    }
    Ok(None)
}

/// The length of a path in bytes, without its NUL. EFAULT, and ENAMETOOLONG from PATH_MAX on.
pub fn path_length(path: User) -> Result<usize> {
    let mut piece = [0u8; 256];
    for at in (0..libc::PATH_MAX as usize).step_by(piece.len()) {
        if let Some(end) = read_string(path.at(at), &mut piece)? {
            return Ok(at + end.len());
        }
    }
    Err(Errno(libc::ENAMETOOLONG))
}

/// Copies a path as the kernel's getname: EFAULT, ENOENT for an empty one, ENAMETOOLONG from PATH_MAX on.
/// None if it is good, but longer than `to`.
pub fn read_path(from: User, to: &mut [u8; 64]) -> Result<Option<&[u8]>> {
    if read_string(from, to)?.is_some() {
        let end = to.iter().position(|&b| b == 0).unwrap_or(0);
        return if end == 0 { Err(Errno(libc::ENOENT)) } else { Ok(to.get(..end)) };
    }
    let mut rest = [0u8; 64];
    let mut done = to.len();
    while done < libc::PATH_MAX as usize {
        if read_string(from.at(done), &mut rest)?.is_some() {
            return Ok(None);
        }
        done += rest.len();
    }
    Err(Errno(libc::ENAMETOOLONG))
}

/// One process_vm call on ourselves. EFAULT if it did not move all bytes.
fn transfer(number: i64, local: &[usize; 2], remote: &[usize; 2]) -> Result<()> {
    let pid = sys::getpid() as usize;
    let args = [pid, local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0];
    // SAFETY: `local` describes a live slice of the caller's; the kernel checks `remote`.
    let answer = unsafe { syscall(number as usize, args) };
    if check(answer)? == local[1] { Ok(()) } else { Err(Errno(libc::EFAULT)) }
}

/// Moves bytes through a pipe, a page at most at a time, so that the kernel checks the program's side.
/// Where there is no descriptor left for one, an EFAULT of `before` stands.
fn through_pipe(
    before: Errno,
    length: usize,
    mut fill: impl FnMut(i32, usize, usize) -> Result<usize>,
    mut drain: impl FnMut(i32, usize) -> Result<usize>,
) -> Result<()> {
    let (reader, writer) = sys::pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)
        .map_err(|error| if before == Errno(libc::EFAULT) { before } else { error })?;
    let mut done = 0;
    while done < length {
        let written = fill(writer.0, done, (length - done).min(4096))?;
        let mut got = 0;
        while got < written {
            match drain(reader.0, done + got)? {
                0 => return Err(Errno(libc::EFAULT)),
                n => got += n,
            }
        }
        if written == 0 {
            return Err(Errno(libc::EFAULT));
        }
        done += written;
    }
    Ok(())
}

/// Whether a path of the program has a slash in its first 4096 bytes; no for one that cannot be read.
pub fn has_slash(path: User) -> bool {
    let mut piece = [0u8; 256];
    for at in (0..libc::PATH_MAX as usize).step_by(piece.len()) {
        match read_string(path.at(at), &mut piece).map(|end| end.map(|end| end.contains(&b'/'))) {
            Ok(Some(found)) => return found,
            Ok(None) if piece.contains(&b'/') => return true,
            Ok(None) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Reads N bytes from each of some addresses with one call: how many were read whole.
pub fn read_each<const N: usize, const M: usize>(from: &[usize], to: &mut [[u8; N]; M]) -> usize {
    let mut remote = [[0usize, N]; M];
    for (place, &address) in remote.iter_mut().zip(from) {
        place[0] = address;
    }
    let count = from.len().min(M);
    let local = [to.as_mut_ptr() as usize, count * N];
    let args = [sys::getpid() as usize, local.as_ptr() as usize, 1, remote.as_ptr() as usize, count, 0];
    // SAFETY: `local` describes the start of `to`; the kernel checks what `remote` names.
    let answer = unsafe { syscall(libc::SYS_process_vm_readv as usize, args) };
    check(answer).map_or(0, |bytes| bytes / N)
}
