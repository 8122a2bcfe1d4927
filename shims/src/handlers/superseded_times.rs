//! Old calls on times by their modern forms: `time(2)`, `utime(2)`, `utimes(2)`, `futimesat(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// Two times, last access and last change: seconds and nanoseconds.
type Times = [[i64; 2]; 2];

/// `time`: clock_gettime(2) (kernel/time/time.c: ktime_get_real_seconds, the seconds of the last tick). EFAULT.
pub fn time(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"clock_gettime(CLOCK_REALTIME_COARSE)");
    });
    seconds(call.user(0))
}

/// time(2) for the doors that make it themselves, where it may be missing or refused too. EFAULT.
pub fn asked(to: User) -> isize {
    match sys::check(sys::call(libc::SYS_time, [to.0, 0, 0, 0, 0, 0])) {
        Err(Errno(libc::ENOSYS | libc::EPERM)) => seconds(to),
        answer => sys::result(answer),
    }
}

fn seconds(to: User) -> isize {
    let now = sys::seconds();
    match if to.is_null() { Ok(()) } else { memory::put(to, now) } {
        Ok(()) => now as isize,
        Err(error) => sys::result(Err(error)),
    }
}

/// `utime`: utimensat(2), with whole seconds (fs/utimes.c). EFAULT, and the errors of a path and of rights.
pub fn utime(call: &mut Call<'_>) -> isize {
    let (path, times) = (call.user(0), call.user(1));
    let times = given(times, |[access, change]: [i64; 2]| Ok([[access, 0], [change, 0]]));
    set(call, libc::AT_FDCWD, path, times)
}

/// `utimes`: utimensat(2) (fs/utimes.c). EFAULT, EINVAL (microseconds), and the errors of a path and of rights.
pub fn utimes(call: &mut Call<'_>) -> isize {
    let (path, times) = (call.user(0), call.user(1));
    set(call, libc::AT_FDCWD, path, given(times, in_nanoseconds))
}

/// `futimesat`: utimensat(2), which takes NULL for the descriptor itself too (fs/utimes.c). As utimes, and EBADF.
pub fn futimesat(call: &mut Call<'_>) -> isize {
    let (folder, path, times) = (call.int(0), call.user(1), call.user(2));
    set(call, folder, path, given(times, in_nanoseconds))
}

/// The program's times; None for NULL, which means now. EFAULT, EINVAL.
fn given<T: memory::Plain>(at: User, convert: fn(T) -> Result<Times>) -> Result<Option<Times>> {
    if at.is_null() { Ok(None) } else { memory::get(at).and_then(convert).map(Some) }
}

/// Both `struct timeval`s. EINVAL.
fn in_nanoseconds(times: Times) -> Result<Times> {
    let valid = times.iter().all(|[_, microseconds]| (0..1_000_000).contains(microseconds));
    if valid { Ok(times.map(|[s, micro]| [s, micro * 1000])) } else { Err(Errno(libc::EINVAL)) }
}

fn set(call: &mut Call<'_>, folder: i32, path: User, times: Result<Option<Times>>) -> isize {
    call.became(|text| {
        text.push(b"utimensat");
    });
    sys::result(times.and_then(|times| sys::set_times_user_exactly(folder, path, times.as_ref())))
}
