//! `splice(2)` of files without a splice_read or splice_write operation: since 5.10 the kernel answers EINVAL,
//! where before it read and wrote (default_file_splice_read). And the pieces of it that sendfile needs.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};

/// Most bytes that one call moves (MAX_RW_COUNT).
pub const MOST: usize = 0x7fff_f000;

/// Bytes that pass through our buffer at once: what a pipe of the usual size holds.
pub const PIECE: usize = 64 << 10;

/// Of what cannot be read again, no more than a pipe with any room at all takes.
const PAGE: usize = 4096;

/// Every flag there is (SPLICE_F_ALL).
const ALL_FLAGS: u32 = 15;

const EINVAL: Errno = Errno(libc::EINVAL);

/// `splice`: bytes moved, perhaps fewer than asked for. EBADF, ESPIPE, EFAULT, EINVAL, EAGAIN, EPIPE in the order
/// of do_splice() (fs/splice.c of 6.18), then what read(2) or write(2) of the file answers. A file is read without
/// moving its position, and bytes stay in the program's pipe until they are written: none is lost. Only what
/// cannot be read twice (a terminal) is read first, and waits for room in the pipe then. May block, and is no
/// cancellation point. ENOSYS where the host has no splice at all.
pub fn splice(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"read, tee and write");
    });
    match sys::result(transfer(call)) {
        refused if call.answer == Some(refused) => call.decline(refused),
        moved => moved,
    }
}

fn transfer(call: &Call<'_>) -> Result<usize> {
    let (input, output) = (call.int(0), call.int(2));
    let (off_in, off_out) = (call.user(1), call.user(3));
    let (length, flags) = (call.arg(4), call.arg(5) as u32);
    // A filter that traps the question brings it back here.
    if call.answer.is_none() && (call.args == QUESTION || !host_splices()) {
        return Err(Errno(libc::ENOSYS));
    }
    if length == 0 {
        return Ok(0);
    }
    if flags & !ALL_FLAGS != 0 {
        return Err(EINVAL);
    }
    let (flags_in, flags_out) = (sys::file_flags(input)?, sys::file_flags(output)?);
    let (from_pipe, to_pipe) = (is_pipe(input)?, is_pipe(output)?);
    if from_pipe && !off_in.is_null() || to_pipe && !off_out.is_null() {
        return Err(Errno(libc::ESPIPE));
    }
    let offset = |at: User| if at.is_null() { Ok(None) } else { memory::get::<i64>(at).map(Some) };
    let (at_out, at_in) = (offset(off_out)?, offset(off_in)?);
    if !reads(flags_in) || !writes(flags_out) {
        return Err(Errno(libc::EBADF));
    }
    match (from_pipe, to_pipe) {
        // Never refused for its files: the kernel's own.
        (true, true) => sys::check(sys::call(libc::SYS_splice, call.args)),
        (false, false) => Err(EINVAL),
        (false, true) => {
            let at = place(input, at_in)?;
            verify(at, length)?;
            let nonblock = flags & libc::SPLICE_F_NONBLOCK != 0 || flags_out & libc::O_NONBLOCK != 0;
            let moved = into_pipe(input, at, output, length, nonblock)?;
            if off_in.is_null() {
                set_position(input, at, moved);
            } else {
                memory::put(off_in, at.unwrap_or(0).wrapping_add(moved as i64))?;
            }
            Ok(moved)
        }
        (true, false) => {
            let at = place(output, at_out)?;
            if flags_out & libc::O_APPEND != 0 {
                return Err(EINVAL);
            }
            verify(at, length)?;
            let moved = out_of_pipe(input, output, at_out, length, flags)?;
            if let Some(at) = at_out {
                memory::put(off_out, at.wrapping_add(moved as i64))?;
            }
            Ok(moved)
        }
    }
}

/// What the host is asked to know whether it splices at all: EBADF if so. The length is nobody else's.
const QUESTION: [usize; 6] = [usize::MAX, 0, usize::MAX, 0, 0x6576_6572, 0];

fn host_splices() -> bool {
    sys::call(libc::SYS_splice, QUESTION) == -(libc::EBADF as isize)
}

/// Whether a descriptor is a pipe or FIFO.
pub fn is_pipe(fd: i32) -> Result<bool> {
    sys::fstat(fd).map(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// Whether what was read is there to be read again. Not of terminals, event counters and the like, some of which
/// have a position all the same.
pub fn keeps_its_bytes(fd: i32) -> Result<bool> {
    sys::fstat(fd).map(|stat| matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFBLK))
}

/// The kernel splices no folder, whatever read(2) says of it.
fn is_folder(fd: i32) -> Result<bool> {
    sys::fstat(fd).map(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Whether a file is open for reading.
pub fn reads(flags: i32) -> bool {
    matches!(flags & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR)
}

/// Whether a file is open for writing.
pub fn writes(flags: i32) -> bool {
    matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
}

/// Where in a file to begin, or None where it is read and written as it comes. EINVAL for an offset of the program's into such a file.
fn place(fd: i32, given: Option<i64>) -> Result<Option<i64>> {
    match (position(fd), given) {
        (Some(_), Some(given)) => Ok(Some(given)),
        (None, Some(_)) => Err(EINVAL),
        (own, None) => Ok(own.filter(|_| keeps_its_bytes(fd) == Ok(true))),
    }
}

/// The position of a file; None where it has none.
pub fn position(fd: i32) -> Option<i64> {
    let seek = [fd as usize, 0, libc::SEEK_CUR as usize, 0, 0, 0];
    sys::check(sys::call(libc::SYS_lseek, seek)).ok().map(|at| at as i64)
}

/// Moves the position of a file on, if it has one.
pub fn set_position(fd: i32, at: Option<i64>, moved: usize) {
    if let Some(at) = at.filter(|_| moved > 0) {
        let end = at.wrapping_add(moved as i64);
        sys::call(libc::SYS_lseek, [fd as usize, end as usize, libc::SEEK_SET as usize, 0, 0, 0]);
    }
}

/// The range that is asked for: EINVAL (rw_verify_area).
pub fn verify(at: Option<i64>, length: usize) -> Result<()> {
    let start = at.unwrap_or(0);
    if (length as i64) < 0 || start < 0 || start.wrapping_add(length as i64) < 0 {
        return Err(EINVAL);
    }
    Ok(())
}

/// Reads a file once, at a position or as it comes, and hands the bytes to a pipe of the
/// program (splice_file_to_pipe): how many went in.
pub fn into_pipe(from: i32, at: Option<i64>, pipe: i32, length: usize, nonblock: bool) -> Result<usize> {
    let state = sys::poll_now(pipe, libc::POLLOUT);
    if state & libc::POLLERR != 0 {
        sys::raise(libc::SIGPIPE);
        return Err(Errno(libc::EPIPE));
    }
    if nonblock && state & libc::POLLOUT == 0 {
        return Err(Errno(libc::EAGAIN));
    }
    if length == 0 {
        return Ok(0);
    }
    if is_folder(from)? {
        return Err(EINVAL);
    }
    let keeps = keeps_its_bytes(from)?;
    if !keeps && state & libc::POLLOUT == 0 {
        sys::wait_for(pipe, libc::POLLOUT)?;
    }
    let (own, room) = own_pipe()?;
    let length = length.min(if keeps { room } else { PAGE });
    with_piece(|buffer| {
        let Some(place) = buffer.get_mut(..length) else { return Err(EINVAL) };
        let got = match at {
            // The kernel knows by FMODE_PREAD.
            Some(at) => sys::pread(from, place, at as u64)
                .map_err(|error| if error == Errno(libc::ESPIPE) { EINVAL } else { error })?,
            None => sys::read(from, place)?,
        };
        match place.get(..got) {
            Some(bytes) if got > 0 => sys::write(own.1.0, bytes)?,
            _ => return Ok(0),
        };
        let flags = if nonblock { libc::SPLICE_F_NONBLOCK } else { 0 };
        if keeps {
            // What does not go in is read again next time.
            return hand_on(own.0.0, pipe, got, flags);
        }
        let mut left = got;
        while left > 0 {
            match hand_on(own.0.0, pipe, left, 0) {
                Ok(0) => break,
                Ok(moved) => left = left.saturating_sub(moved),
                // Somebody else took the room. The bytes are ours alone now, so no signal may lose them.
                Err(Errno(libc::EINTR | libc::EAGAIN)) => {
                    let _ = sys::wait_for(pipe, libc::POLLOUT);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    })
}

/// Writes what a pipe of the program holds to a file, at an offset or the file's own position
/// (iter_file_splice_write): bytes leave the pipe when they are written.
fn out_of_pipe(pipe: i32, to: i32, at: Option<i64>, length: usize, flags: u32) -> Result<usize> {
    let (own, room) = own_pipe()?;
    let length = length.min(room);
    with_piece(|buffer| {
        let tee = [pipe as usize, own.1.0 as usize, length, flags as usize, 0, 0];
        let seen = sys::check(sys::call(libc::SYS_tee, tee))?;
        let mut got = 0;
        while let Some(place) = buffer.get_mut(got..seen).filter(|place| !place.is_empty()) {
            match sys::read(own.0.0, place)? {
                0 => break,
                more => got += more,
            }
        }
        let Some(bytes) = buffer.get(..got).filter(|bytes| !bytes.is_empty()) else { return Ok(0) };
        let written = match at {
            Some(at) => sys::pwrite(to, bytes, at as u64)?,
            None => sys::write(to, bytes)?,
        };
        let mut left = written;
        while left > 0 {
            // Never waits: another reader may have been quicker.
            match hand_on(pipe, own.1.0, left, libc::SPLICE_F_NONBLOCK) {
                Ok(taken) if taken > 0 => left = left.saturating_sub(taken),
                _ => break,
            }
        }
        Ok(written)
    })
}

/// A pipe of ours, and how many bytes it takes without waiting. EINVAL, the host's answer, where there is none.
fn own_pipe() -> Result<((Fd, Fd), usize)> {
    let (reader, writer) = sys::pipe(libc::O_CLOEXEC).map_err(|_| EINVAL)?;
    let room = sys::fcntl(writer.0, libc::F_GETPIPE_SZ, 0).unwrap_or(PAGE);
    Ok(((reader, writer), room.min(PIECE)))
}

/// splice(2) from pipe to pipe.
fn hand_on(from: i32, to: i32, length: usize, flags: u32) -> Result<usize> {
    sys::check(sys::call(libc::SYS_splice, [from as usize, 0, to as usize, 0, length, flags as usize]))
}

/// Runs with a buffer of a piece.
pub fn with_piece(mut work: impl FnMut(&mut [u8]) -> Result<usize>) -> Result<usize> {
    let done = sys::with_bytes(PIECE, |buffer| sys::result(work(buffer)));
    sys::check(done.ok_or(Errno(libc::ENOMEM))?)
}
