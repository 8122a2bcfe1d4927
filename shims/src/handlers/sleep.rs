//! `clock_nanosleep(2)` where CLOCK_REALTIME is no clock to sleep by (WSL 1).

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Result};

/// Seconds and nanoseconds.
type Time = [i64; 2];

const SECOND: i64 = 1_000_000_000;

/// `clock_nanosleep` by CLOCK_MONOTONIC. EINTR with the time left, EFAULT; EINVAL of a time that is none and of any
/// other clock stays (kernel/time/posix-timers.c of 6.18). An absolute time is turned into the time until then, and
/// compared again after it: a clock that is set meanwhile is noticed then only. Blocks, and is no cancellation point.
pub fn clock_nanosleep(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"clock_nanosleep(CLOCK_MONOTONIC)");
    });
    if call.int(0) != libc::CLOCK_REALTIME {
        // Every other clock is the kernel's.
        return call.decline_or_ask(libc::SYS_clock_nanosleep);
    }
    let time = match memory::get::<Time>(call.user(2)) {
        Ok(time) => time,
        Err(error) => return sys::result(Err(error)),
    };
    if time[0] < 0 || !(0..SECOND).contains(&time[1]) {
        let invalid = -(libc::EINVAL as isize);
        return if call.answer == Some(invalid) { call.decline(invalid) } else { invalid };
    }
    if call.int(1) & libc::TIMER_ABSTIME != 0 {
        return sys::result(until(time));
    }
    let monotonic = [libc::CLOCK_MONOTONIC as usize, 0, call.arg(2), call.arg(3), 0, 0];
    sys::call(libc::SYS_clock_nanosleep, monotonic)
}

/// Sleeps until the system's clock shows a time.
fn until(time: Time) -> Result<usize> {
    loop {
        let (seconds, nanoseconds) = sys::now();
        let mut left = [time[0].saturating_sub(seconds), time[1].wrapping_sub(nanoseconds)];
        if left[1] < 0 {
            left = [left[0].saturating_sub(1), left[1].wrapping_add(SECOND)];
        }
        if left[0] < 0 || left == [0, 0] {
            return Ok(0);
        }
        sys::sleep(&left)?;
    }
}
