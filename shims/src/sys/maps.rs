//! Memory of our own: pages, blocks on the stack, stacks.

use super::{Errno, Fd, Result, check};
use crate::arch::{syscall, with_stack};
use crate::memory::bytes_of_words;
use libc::c_int;

/// mmap(2) of a file's start, to be read.
pub fn map_file(fd: c_int, length: usize) -> Result<usize> {
    ask!(libc::SYS_mmap, 0, length, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0)
}

/// mmap(2) of a file's start, readable and writable, which all share that map it.
pub fn map_file_shared(fd: c_int, length: usize) -> Result<usize> {
    ask!(libc::SYS_mmap, 0, length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0)
}

/// Zeroed pages that a child shares with us.
pub fn map_shared(length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    ask!(libc::SYS_mmap, 0, length, protection, flags, usize::MAX, 0)
}

/// mmap(2) of a library at a fixed free address: `[address, length, offset]`, readable, writable and
/// executable as uselib's were. EEXIST where something is mapped there.
pub fn map_library(file: &Fd, [address, length, offset]: [usize; 3]) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    map_fixed([address, length, protection as usize], libc::MAP_PRIVATE, [file.0 as usize, offset])
}

/// Zeroed memory at a fixed free address, readable and writable as brk's.
pub fn map_zeroed(address: usize, length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    map_fixed([address, length, protection as usize], flags, [usize::MAX, 0])
}

/// mprotect(2): readable and executable from now on, and no longer writable.
pub fn make_executable(address: usize, length: usize) -> Result<usize> {
    ask!(libc::SYS_mprotect, address, length, libc::PROT_READ | libc::PROT_EXEC)
}

/// Maps where nothing is mapped. Kernels before 4.17 ignore MAP_FIXED_NOREPLACE and may answer another
/// address: that mapping is given back.
fn map_fixed(
    [address, length, protection]: [usize; 3],
    flags: c_int,
    [fd, offset]: [usize; 2],
) -> Result<usize> {
    let flags = flags | libc::MAP_FIXED_NOREPLACE;
    let got = ask!(libc::SYS_mmap, address, length, protection, flags, fd, offset)?;
    if got != address {
        unmap(got, length);
        return Err(Errno(libc::EEXIST));
    }
    Ok(got)
}

/// An anonymous page that a fork's child finds empty again (MADV_WIPEONFORK), if the kernel can.
pub fn page_wiped_on_fork(length: usize) -> Result<usize> {
    let page = map_anonymous(length)?;
    let _ = ask!(libc::SYS_madvise, page, length, libc::MADV_WIPEONFORK);
    Ok(page)
}

/// Calls a closure with a zeroed block of machine words: on the stack if it is small, since a thread or a
/// signal handler may have 16 KiB of it, else in pages that are given back when the closure returns (a
/// vfork child whose exec succeeds leaves them to its parent). None, and no call, where memory is out.
pub fn with_words<F: FnMut(&mut [usize]) -> isize>(words: usize, mut then: F) -> Option<isize> {
    const ON_STACK: usize = 256;
    if words <= ON_STACK {
        return Some(with_stack(words, then));
    }
    let length = words * size_of::<usize>();
    let page = map_anonymous(length).ok()?;
    // SAFETY: fresh zeroed pages of that length, ours alone until they are unmapped below.
    let result = then(unsafe { core::slice::from_raw_parts_mut(page as *mut usize, words) });
    unmap(page, length);
    Some(result)
}

/// Calls a closure on a fresh stack of 64 KiB, which is given back; on this one where memory is out.
pub fn with_fresh_stack(then: impl FnMut() -> isize) -> isize {
    const STACK: usize = 64 << 10;
    let mut then = then;
    let Ok(stack) = map_anonymous(STACK) else { return then() };
    // SAFETY: fresh pages, ours alone until they are unmapped below.
    let result = unsafe { crate::arch::on_stack(stack + STACK, then) };
    unmap(stack, STACK);
    result
}

/// The same with a zeroed block of at least so many bytes.
pub fn with_bytes<F: FnMut(&mut [u8]) -> isize>(length: usize, mut then: F) -> Option<isize> {
    with_words(length.div_ceil(size_of::<usize>()), |words| then(bytes_of_words(words)))
}

/// Calls a closure with zeroed bytes in pages of their own, given back when it returns. None, and no call,
/// where memory is out.
pub fn with_pages<F: FnOnce(&mut [u8]) -> isize>(length: usize, then: F) -> Option<isize> {
    let page = map_anonymous(length).ok()?;
    // SAFETY: fresh zeroed pages of that length, ours alone until they are unmapped below.
    let result = then(unsafe { core::slice::from_raw_parts_mut(page as *mut u8, length) });
    unmap(page, length);
    Some(result)
}

/// Fresh zeroed memory, readable and writable.
pub fn map_anonymous(length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    ask!(libc::SYS_mmap, 0, length, protection, flags, usize::MAX, 0)
}

/// A stack of our own above a page that cannot be touched, which is mapped too: its lowest address.
pub fn map_stack(length: usize) -> Result<usize> {
    const GUARD: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    let page = ask!(libc::SYS_mmap, 0, GUARD + length, libc::PROT_NONE, flags, usize::MAX, 0)?;
    match ask!(libc::SYS_mprotect, page + GUARD, length, libc::PROT_READ | libc::PROT_WRITE) {
        Ok(_) => Ok(page + GUARD),
        Err(error) => {
            unmap(page, GUARD + length);
            Err(error)
        }
    }
}

/// Gives a stack of [`map_stack`] back.
pub fn unmap_stack(at: usize, length: usize) {
    const GUARD: usize = 4096;
    unmap(at.wrapping_sub(GUARD), GUARD + length);
}

/// munmap(2) of what this file mapped.
pub fn unmap(page: usize, length: usize) {
    let _ = ask!(libc::SYS_munmap, page, length);
}
