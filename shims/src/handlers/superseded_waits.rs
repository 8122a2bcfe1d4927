//! Old calls that wait, by their modern forms: `select(2)`, `poll(2)`, `epoll_wait(2)`, `pause(2)`, `alarm(2)`.
//! A handler that ran ends each with EINTR, whatever SA_RESTART says, as it does the modern forms. None is a
//! cancellation point: a thread that is cancelled while it waits goes on at the next one.

use super::superseded::by;
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result};

/// `select`: pselect6(2) without a mask (fs/select.c, kern_select). The time is read first: EFAULT, EINVAL; whole
/// seconds in its microseconds count. What is left of it is written back, after an error too, unless it cannot be,
/// or was 0, or the personality has STICKY_TIMEOUTS: then pselect6 leaves ours alone as well. EBADF, EINTR, ENOMEM.
pub fn select(call: &mut Call<'_>) -> isize {
    let sets = [call.arg(0), call.arg(1), call.arg(2), call.arg(3)];
    let at = call.user(4);
    call.became(|text| {
        text.push(b"pselect6 without a mask");
    });
    if at.is_null() {
        return sys::select_user(sets, None);
    }
    let time = match memory::get::<[i64; 2]>(at).and_then(in_nanoseconds) {
        Ok(time) => time,
        Err(error) => return sys::result(Err(error)),
    };
    let mut left = time;
    let result = sys::select_user(sets, Some(&mut left));
    if left != time {
        let [seconds, nanoseconds] = left;
        // A time in memory that cannot be written to is no error (poll_select_finish).
        let _ = memory::put(at, [seconds, nanoseconds / 1000]);
    }
    result
}

/// A `struct timeval` as kern_select takes it. EINVAL.
fn in_nanoseconds([seconds, microseconds]: [i64; 2]) -> Result<[i64; 2]> {
    const SECOND: i64 = 1_000_000;
    let time = [seconds.wrapping_add(microseconds / SECOND), microseconds % SECOND * 1000];
    if time.iter().any(|&part| part < 0) { Err(Errno(libc::EINVAL)) } else { Ok(time) }
}

/// `poll`: ppoll(2) without a mask (fs/select.c). Milliseconds, below 0 for ever. EINVAL (more descriptors than
/// RLIMIT_NOFILE), EFAULT, EINTR, ENOMEM.
pub fn poll(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"ppoll without a mask");
    });
    let milliseconds = i64::from(call.int(2));
    let left = (milliseconds >= 0).then(|| [milliseconds / 1000, milliseconds % 1000 * 1_000_000]);
    sys::poll_user(call.user(0), call.arg(1) as u32, left)
}

/// `epoll_wait`: epoll_pwait(2) without a mask (fs/eventpoll.c). EINVAL, EFAULT, EBADF, EINTR.
pub fn epoll_wait(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), call.arg(1), call.arg(2), call.arg(3), 0, size_of::<u64>()];
    by(call, b"epoll_pwait without a mask", libc::SYS_epoll_pwait, args)
}

/// `pause`: ppoll(2) of nothing, for ever (kernel/signal.c: both end with EINTR once a handler has run).
pub fn pause(call: &mut Call<'_>) -> isize {
    by(call, b"ppoll of nothing", libc::SYS_ppoll, [0; 6])
}

/// `alarm`: setitimer(ITIMER_REAL). Seconds; the rest of the one before is rounded as kernel/time/itimer.c does
/// (alarm_setitimer): to the nearest, and never down to 0. The nanoseconds below one microsecond, which setitimer
/// does not tell, are none.
pub fn alarm(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"setitimer(ITIMER_REAL)");
    });
    let rounded = |[seconds, microseconds]: [i64; 2]| {
        let up = microseconds >= 500_000 || (seconds == 0 && microseconds != 0);
        seconds as usize + usize::from(up)
    };
    sys::result(sys::set_alarm(call.arg(0) as u32).map(rounded))
}
