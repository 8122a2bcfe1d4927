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
    let given = by(call, b"getdents64, then d_type moved to the end", libc::SYS_getdents64, args);
    sys::result(sys::check(given).and_then(|length| to_old_form(call, length)))
}

fn to_old_form(call: &Call<'_>, length: usize) -> Result<usize> {
    let mut buffer = [0u8; RECORD];
    let mut done = 0;
    while done < length {
        let part = (length - done).min(buffer.len());
        let Some(bytes) = buffer.get_mut(..part) else { break };
        memory::read(call.user(1).at(done), bytes)?;
        let whole = turn_records(bytes);
        if whole == 0 {
            // No file system has such a name.
            return Err(Errno(libc::EIO));
        }
        memory::write(call.user(1).at(done), bytes.get(..whole).unwrap_or(&[]))?;
        done += whole;
    }
    Ok(length)
}

/// Turns the records that are whole: how many bytes they have.
fn turn_records(bytes: &mut [u8]) -> usize {
    const RECORD_LENGTH: usize = 16;
    const TYPE: usize = 18;
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..) {
        let Some(&[low, high]) = rest.get(RECORD_LENGTH..TYPE) else { break };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some(behind) = rest.get_mut(TYPE..length) else { break };
        if behind.is_empty() {
            break;
        }
        behind.rotate_left(1);
        done += length;
    }
    done
}
