//! Vectored reads and writes at a position: `preadv(2)`, `pwritev(2)` and their forms with flags.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// Most buffers (UIO_MAXIOV), and most bytes (MAX_RW_COUNT), of one call.
const IOV_MAX: usize = 1024;
const MOST: usize = 0x7fff_f000;

const RWF_HIPRI: u32 = 1;
const RWF_DSYNC: u32 = 2;
const RWF_SYNC: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

/// `preadv`: the offset in bytes. EINVAL (negative offset, too many buffers, a length below 0), EBADF,
/// ESPIPE, EFAULT, and what pread(2) answers; short where a buffer is. fs/read_write.c. Another thread may
/// write between two buffers. May block, and is no cancellation point.
pub fn preadv(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"pread64 for each buffer");
    });
    sys::result(at_offset(call, Way::Read, 0))
}

/// `pwritev`: as `preadv`, with pwrite(2).
pub fn pwritev(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"pwrite64 for each buffer");
    });
    sys::result(at_offset(call, Way::Write, 0))
}

/// `preadv2`: `preadv` with flags, or `readv` for offset -1. RWF_HIPRI is a hint, RWF_DSYNC and RWF_SYNC
/// ask nothing of a read; other flags are EOPNOTSUPP, as are the last two for a folder. May block, and is no cancellation point.
pub fn preadv2(call: &mut Call<'_>) -> isize {
    let here = call.arg(3) == usize::MAX;
    call.became(|text| {
        text.push(if here { b"readv" } else { b"preadv" });
    });
    sys::result(with_flags(call, Way::Read))
}

/// `pwritev2`: `pwritev` with flags, or `writev` for offset -1. With RWF_DSYNC fdatasync(2) follows, with
/// RWF_SYNC fsync(2), whose error becomes the result; other flags are EOPNOTSUPP. May block, and is no
/// cancellation point.
pub fn pwritev2(call: &mut Call<'_>) -> isize {
    let here = call.arg(3) == usize::MAX;
    call.became(|text| {
        text.push(if here { b"writev" } else { b"pwritev" });
    });
    sys::result(with_flags(call, Way::Write))
}

fn with_flags(call: &Call<'_>, way: Way) -> Result<usize> {
    let flags = call.arg(5) as u32;
    let fd = call.int(0);
    let done = match move_all(call, way, flags) {
        // A folder takes no flags but the hint (do_loop_readv_writev).
        Err(Errno(libc::EISDIR)) if flags & !RWF_HIPRI != 0 => Err(Errno(libc::EOPNOTSUPP)),
        done => done,
    }?;
    if way == Way::Write && done > 0 && flags & (RWF_DSYNC | RWF_SYNC) != 0 {
        let number = if flags & RWF_SYNC != 0 { libc::SYS_fsync } else { libc::SYS_fdatasync };
        match sys::check(sys::call(number, [fd as usize, 0, 0, 0, 0, 0])) {
            // Nothing to write out: a pipe, a socket.
            Ok(_) | Err(Errno(libc::EINVAL | libc::EROFS)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn move_all(call: &Call<'_>, way: Way, flags: u32) -> Result<usize> {
    let fd = call.int(0);
    if call.arg(3) != usize::MAX {
        return match in_one_step(call, way, flags) {
            Err(Errno(libc::ENOSYS | libc::EPERM)) => at_offset(call, way, flags),
            other => other,
        };
    }
    if unknown(flags) {
        let mode = sys::file_flags(fd)?;
        return match total(call.user(1), call.arg(2), mode, way)? {
            0 => Ok(0),
            _ => Err(Errno(libc::EOPNOTSUPP)),
        };
    }
    let number = if way == Way::Read { libc::SYS_readv } else { libc::SYS_writev };
    sys::check(sys::call(number, [fd as usize, call.arg(1), call.arg(2), 0, 0, 0]))
}

/// preadv(2) or pwritev(2), if the host has them. ENOSYS also for flags that they do not know.
fn in_one_step(call: &Call<'_>, way: Way, flags: u32) -> Result<usize> {
    if unknown(flags) {
        return Err(Errno(libc::ENOSYS));
    }
    let number = if way == Way::Read { libc::SYS_preadv } else { libc::SYS_pwritev };
    sys::check(sys::call(number, [call.arg(0), call.arg(1), call.arg(2), call.arg(3), 0, 0]))
}

fn unknown(flags: u32) -> bool {
    flags & !(RWF_HIPRI | RWF_DSYNC | RWF_SYNC) != 0
}

/// The bytes that a vector asks for, after all checks before the transfer (the file's mode and import_iovec).
fn total(vector: User, count: usize, mode: i32, way: Way) -> Result<usize> {
    check_mode(mode, way)?;
    validate(vector, count)?;
    let mut total = 0usize;
    for index in 0..count {
        total = total.saturating_add(memory::get::<usize>(vector.at(index * 16 + 8))?);
    }
    Ok(total)
}

fn check_mode(mode: i32, way: Way) -> Result<()> {
    let fits = match mode & libc::O_ACCMODE {
        libc::O_RDONLY => way == Way::Read,
        libc::O_WRONLY => way == Way::Write,
        libc::O_RDWR => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(Errno(libc::EBADF)) }
}

/// Lets the kernel check a vector: process_vm_readv(2) of nothing, or readv(2) of an empty pipe where that
/// is missing or refused.
fn validate(vector: User, count: usize) -> Result<()> {
    let pid = sys::getpid() as usize;
    match sys::check(sys::call(libc::SYS_process_vm_readv, [pid, vector.0, count, 0, 0, 0])) {
        Err(Errno(libc::ENOSYS | libc::EPERM)) => {
            let (reader, _writer) = sys::pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)?;
            match sys::check(sys::call(libc::SYS_readv, [reader.0 as usize, vector.0, count, 0, 0, 0])) {
                Err(Errno(libc::EAGAIN)) => Ok(()),
                other => other.map(|_| ()),
            }
        }
        other => other.map(|_| ()),
    }
}

fn at_offset(call: &Call<'_>, way: Way, flags: u32) -> Result<usize> {
    let (fd, vector, count, at) = (call.int(0), call.user(1), call.arg(2), call.arg(3));
    if (at as i64) < 0 {
        return Err(Errno(libc::EINVAL));
    }
    let mode = sys::file_flags(fd)?;
    let move_bytes = |to: usize, length: usize, at: usize| {
        let number = if way == Way::Read { libc::SYS_pread64 } else { libc::SYS_pwrite64 };
        sys::check(sys::call(number, [fd as usize, to, length, at, 0, 0]))
    };
    // Of no bytes: whether the file has positions at all.
    if move_bytes(0, 0, at) == Err(Errno(libc::ESPIPE)) {
        return Err(Errno(libc::ESPIPE));
    }
    check_mode(mode, way)?;
    validate(vector, count)?;
    if count > IOV_MAX {
        return Err(Errno(libc::EINVAL));
    }
    let moved = sys::with_words(count * 2, |buffers| {
        let moved = memory::read(vector, memory::bytes_of_words(buffers))
            .and_then(|()| each(buffers, at, flags, move_bytes));
        sys::result(moved)
    });
    sys::check(moved.ok_or(Errno(libc::ENOMEM))?)
}

/// One call for each buffer; an error counts only where nothing was moved before.
fn each(
    buffers: &[usize],
    at: usize,
    flags: u32,
    mut move_bytes: impl FnMut(usize, usize, usize) -> Result<usize>,
) -> Result<usize> {
    let lengths = buffers.iter().skip(1).step_by(2);
    let total = lengths.fold(0usize, |total, length| total.saturating_add(*length)).min(MOST);
    if total > 0 && (at.wrapping_add(total) as isize) < 0 {
        // The last byte's offset has no number (rw_verify_area).
        return Err(Errno(libc::EINVAL));
    }
    let mut done = 0usize;
    for pair in buffers.chunks_exact(2) {
        let &[to, length] = pair else { break };
        let length = length.min(MOST - done.min(MOST));
        if length == 0 {
            continue;
        }
        if unknown(flags) {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        match move_bytes(to, length, at.wrapping_add(done)) {
            Ok(moved) => {
                done += moved;
                if moved < length {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}
