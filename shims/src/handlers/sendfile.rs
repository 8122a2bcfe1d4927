//! `sendfile(2)` from and to files that the kernel no longer splices: since 5.10 they need a splice_read or
//! splice_write operation of their own.

use super::splice::{self, MOST};
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result};

/// `sendfile`: bytes sent. EBADF, ESPIPE, EFAULT and EINVAL in the order of do_sendfile() and do_splice_direct()
/// (fs/read_write.c, fs/splice.c of 6.18), then what pread64(2) and write(2) answer. Bytes are read without moving
/// the position, which moves by what was written: none is lost. An error counts only where nothing was sent
/// before. May block, and is no cancellation point, as in libc.
pub fn sendfile(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"pread64 and write");
    });
    match sys::result(send(call)) {
        // The program's own fault, or a file that cannot be read or written either.
        refused if call.answer == Some(refused) => call.decline(refused),
        sent => sent,
    }
}

fn send(call: &Call<'_>) -> Result<usize> {
    let (output, input, at, count) = (call.int(0), call.int(1), call.user(2), call.arg(3));
    if at.is_null() {
        let start = splice::position(input);
        let sent = send_from(input, start, true, output, count)?;
        splice::set_position(input, start, sent);
        return Ok(sent);
    }
    let start = memory::get::<i64>(at)?;
    let sent = send_from(input, Some(start), false, output, count);
    // Also after a failure.
    let moved = match sent {
        Ok(moved) => moved as i64,
        Err(_) => 0,
    };
    memory::put(at, start.wrapping_add(moved))?;
    sent
}

/// `own`: the start is the file's own position, which it may lack.
fn send_from(input: i32, start: Option<i64>, own: bool, output: i32, count: usize) -> Result<usize> {
    let readable = splice::reads(sys::file_flags(input)?);
    if !readable {
        return Err(Errno(libc::EBADF));
    }
    if !own && splice::position(input).is_none() {
        return Err(Errno(libc::ESPIPE));
    }
    splice::verify(start, count)?;
    let count = count.min(MOST);
    let flags_out = sys::file_flags(output)?;
    if !splice::writes(flags_out) {
        return Err(Errno(libc::EBADF));
    }
    if splice::is_pipe(output)? {
        let nonblock = flags_out & libc::O_NONBLOCK != 0;
        if count > 0 && (start.is_none() || !splice::keeps_its_bytes(input)?) {
            // Never sent: but first the pipe is looked at.
            splice::into_pipe(input, start, output, 0, nonblock)?;
            return Err(Errno(libc::EINVAL));
        }
        return splice::into_pipe(input, start, output, count, nonblock);
    }
    splice::verify(splice::position(output), count)?;
    let Some(start) = start else { return Err(Errno(libc::EINVAL)) };
    // Folders, and what would be lost where the output does not take it.
    if flags_out & libc::O_APPEND != 0 || count > 0 && !splice::keeps_its_bytes(input)? {
        return Err(Errno(libc::EINVAL));
    }
    splice::with_piece(|buffer| copy(input, start, output, count, buffer))
}

/// Reads and writes, until a short write or the end.
fn copy(input: i32, start: i64, output: i32, count: usize, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < count {
        let part = (count - done).min(buffer.len());
        let Some(place) = buffer.get_mut(..part) else { break };
        let step = sys::pread(input, place, (start as u64).wrapping_add(done as u64)).and_then(|got| {
            match place.get(..got).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => sys::write(output, bytes).map(|put| (got, put)),
                None => Ok((0, 0)),
            }
        });
        match step {
            Ok((got, put)) => {
                done += put;
                if put < got || got == 0 {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}
