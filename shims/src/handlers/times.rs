//! The times of a file: `utimensat(2)`.

use super::descriptor_paths::{names_itself, object};
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// Two times, last access and last change: seconds and parts of a second.
type Times = [[i64; 2]; 2];

const UTIME_NOW: i64 = (1 << 30) - 1;
const UTIME_OMIT: i64 = (1 << 30) - 2;

/// `utimensat` by futimesat(2) and utimes(2), to microseconds (fs/utimes.c). A time to be left alone is read
/// and written back. EINVAL, EFAULT, EBADF, the errors of a path, and ENOSYS where /proc is
/// needed (AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH) and missing.
pub fn utimensat(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"futimesat");
    });
    sys::result(set(call.int(0), call.user(1), call.user(2), call.int(3)))
}

fn set(folder: i32, path: User, times: User, flags: i32) -> Result<usize> {
    let times: Option<Times> = if times.is_null() { None } else { Some(memory::get(times)?) };
    if let Some([[_, UTIME_OMIT], [_, UTIME_OMIT]]) = times {
        return Ok(0);
    }
    if path.is_null() && folder != libc::AT_FDCWD {
        if flags != 0 {
            return Err(Errno(libc::EINVAL));
        }
        sys::file_flags(folder)?;
        let times = in_microseconds(times, &sys::fstat(folder)?)?;
        return sys::set_times_user(folder, path, times.as_ref());
    }
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    if names_itself(path, flags)? {
        let times = in_microseconds(times, &sys::stat_itself(folder)?)?;
        if folder == libc::AT_FDCWD {
            return sys::set_times(c".", times.as_ref());
        }
        return of_object(folder, times.as_ref());
    }
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 {
        let object = object(folder, path, flags)?;
        let times = in_microseconds(times, &sys::fstat(object.0)?)?;
        // A link of /proc leads to just that object, and no further if it is a link.
        return of_object(object.0, times.as_ref());
    }
    let times = in_microseconds(times, &sys::stat_user_in(folder, path, 0)?)?;
    sys::set_times_user(folder, path, times.as_ref())
}

fn of_object(fd: i32, times: Option<&Times>) -> Result<usize> {
    match sys::set_times(sys::proc_path(fd).c_str(), times) {
        // No /proc: it was there a moment ago.
        Err(Errno(libc::ENOENT)) => Err(Errno(libc::ENOSYS)),
        other => other,
    }
}

/// The times as utimes(2) takes them: None for now. EINVAL.
fn in_microseconds(times: Option<Times>, stat: &libc::stat) -> Result<Option<Times>> {
    let Some([access, change]) = times else { return Ok(None) };
    let valid =
        |[_, part]: [i64; 2]| (0..1_000_000_000).contains(&part) || matches!(part, UTIME_NOW | UTIME_OMIT);
    if !valid(access) || !valid(change) {
        return Err(Errno(libc::EINVAL));
    }
    if access[1] == UTIME_NOW && change[1] == UTIME_NOW {
        return Ok(None);
    }
    let (seconds, nanoseconds) = sys::now();
    let choose = |[second, part]: [i64; 2], old: [i64; 2]| {
        let [second, part] = match part {
            UTIME_NOW => [seconds, nanoseconds],
            UTIME_OMIT => old,
            _ => [second, part],
        };
        [second, part / 1000]
    };
    Ok(Some([
        choose(access, [stat.st_atime, stat.st_atime_nsec]),
        choose(change, [stat.st_mtime, stat.st_mtime_nsec]),
    ]))
}
