//! Old calls on descriptors by their modern forms, which newer architectures and strict profiles kept alone:
//! `eventfd(2)`, `signalfd(2)`, `inotify_init(2)`, `pipe(2)`, `dup2(2)`, `getdents(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result};

/// A call by one modern call, whose name the log is told.
pub fn by(call: &mut Call<'_>, name: &'static [u8], number: i64, args: [usize; 6]) -> isize {
    call.became(|text| {
        text.push(name);
    });
    sys::call(number, args)
}

/// `eventfd`, the system call with a count alone (2.6.22): the second form with no flags (fs/eventfd.c has
/// one function for both). EMFILE, ENFILE, ENOMEM, ENODEV; ENOSYS where neither is there.
pub fn eventfd(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), 0, 0, 0, 0, 0];
    by(call, b"eventfd2 without flags", libc::SYS_eventfd2, args)
}

/// `signalfd`: the second form with no flags (fs/signalfd.c: both check the size, copy the mask and call
/// do_signalfd4). EINVAL, EFAULT, EBADF, EMFILE, ENFILE, ENOMEM, ENODEV.
pub fn signalfd(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), call.arg(1), call.arg(2), 0, 0, 0];
    by(call, b"signalfd4 without flags", libc::SYS_signalfd4, args)
}

/// `inotify_init`: the second form with no flags (fs/notify/inotify/inotify_user.c: do_inotify_init(0)).
/// EMFILE, ENFILE, ENOMEM.
pub fn inotify_init(call: &mut Call<'_>) -> isize {
    by(call, b"inotify_init1 without flags", libc::SYS_inotify_init1, [0; 6])
}

/// `pipe`: the second form with no flags (fs/pipe.c: do_pipe2(fildes, 0)). EFAULT, EMFILE, ENFILE.
pub fn pipe(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), 0, 0, 0, 0, 0];
    by(call, b"pipe2 without flags", libc::SYS_pipe2, args)
}

/// `dup2`: dup3(2), and for twice the same descriptor, which dup3 refuses, only the look whether it is open
/// (fs/file.c, "corner case"). EBADF, EMFILE, EBUSY, EINTR.
pub fn dup2(call: &mut Call<'_>) -> isize {
    let (old, new) = (call.arg(0) as u32, call.arg(1) as u32);
    if old != new {
        return by(call, b"dup3 without flags", libc::SYS_dup3, [old as usize, new as usize, 0, 0, 0, 0]);
    }
    call.became(|text| {
        text.push(b"fcntl(F_GETFD)");
    });
    sys::result(sys::fcntl(old as i32, libc::F_GETFD, 0).map(|_| old as usize))
}

/// Most that one entry of a folder takes: fs/readdir.c has no name of PATH_MAX bytes or more.
const RECORD: usize = 19 + libc::PATH_MAX as usize + 9;

/// `getdents`: getdents64(2), whose entries have the same size and place (fs/readdir.c: filldir and filldir64
/// round 20 bytes and the name up to 8). Only behind d_reclen they differ: d_type stands there, and then the
/// name; in the old form the name, and d_type in the last byte. EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR.
///
/// The caller's own bytes between name and d_type move with the name.
pub fn getdents(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), call.arg(1), call.arg(2), 0, 0, 0];
    let before = position(args[0], 0, libc::SEEK_CUR);
    let given = by(call, b"getdents64, then d_type moved to the end", libc::SYS_getdents64, args);
    sys::result(sys::check(given).and_then(|length| in_old_form(call, length, before)))
}

fn position(fd: usize, at: usize, from: i32) -> isize {
    sys::call(libc::SYS_lseek, [fd, at, from as usize, 0, 0, 0])
}

/// The entries, turned; less, as far as the folder has been read then, where the buffer ends within the last one:
/// only the old form touches its last byte.
fn in_old_form(call: &Call<'_>, length: usize, before: isize) -> Result<usize> {
    let mut buffer = [0u8; RECORD];
    let (mut done, mut next) = (0, before as usize);
    while done < length {
        let part = (length - done).min(buffer.len());
        let Some(bytes) = buffer.get_mut(..part) else { break };
        let at = call.user(1).at(done);
        // An entry has less than 8 bytes behind its name.
        let mut readable = part;
        if memory::read(at, bytes).is_err() {
            readable = part.saturating_sub(8);
            memory::read(at, bytes.get_mut(..readable).unwrap_or(&mut []))?;
        }
        let turned = turn_records(bytes.get_mut(..readable).unwrap_or(&mut []));
        if turned.bytes == 0 {
            position(call.arg(0), next, libc::SEEK_SET);
            return if done == 0 { Err(Errno(libc::EFAULT)) } else { Ok(done) };
        }
        memory::write(at, bytes.get(..turned.bytes).unwrap_or(&[]))?;
        done += turned.bytes;
        next = turned.next;
    }
    Ok(length)
}

/// Records in their old form.
struct Turned {
    /// Bytes of them.
    bytes: usize,
    /// Where the folder is read on behind them: d_off of the last.
    next: usize,
}

/// Turns the records that are whole.
fn turn_records(bytes: &mut [u8]) -> Turned {
    const OFFSET: usize = 8;
    const LENGTH: usize = 16;
    const TYPE: usize = 18;
    let mut turned = Turned { bytes: 0, next: 0 };
    while let Some(rest) = bytes.get_mut(turned.bytes..) {
        let field = |at: usize| rest.get(at..).and_then(|bytes| bytes.first_chunk::<8>());
        let (Some(offset), Some(&[low, high, ..])) = (field(OFFSET), field(LENGTH)) else { break };
        let offset = u64::from_le_bytes(*offset);
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some(behind) = rest.get_mut(TYPE..length) else { break };
        if behind.is_empty() {
            break;
        }
        behind.rotate_left(1);
        turned = Turned { bytes: turned.bytes + length, next: offset as usize };
    }
    turned
}
