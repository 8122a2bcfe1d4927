//! Event queues: `epoll_create(2)`, `epoll_create1(2)`, `epoll_pwait(2)`, `epoll_pwait2(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// `epoll_create`: the size is only checked to be positive (fs/eventpoll.c). EINVAL, EMFILE, ENFILE, ENOMEM.
pub fn epoll_create(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"epoll_create1(0)");
    });
    if call.int(0) <= 0 {
        return -(libc::EINVAL as isize);
    }
    sys::call(libc::SYS_epoll_create1, [0; 6])
}

/// `epoll_create1`: EINVAL (flags), EMFILE, ENFILE, ENOMEM. An exec in another thread may come before
/// EPOLL_CLOEXEC is set.
pub fn epoll_create1(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"epoll_create");
    });
    let flags = call.int(0);
    if flags & !libc::EPOLL_CLOEXEC != 0 {
        return -(libc::EINVAL as isize);
    }
    sys::result(super::descriptors::fresh(libc::SYS_epoll_create, [1, 0, 0, 0, 0, 0], flags))
}

/// `epoll_pwait`: milliseconds, below 0 for ever. EINVAL, EFAULT, EBADF, EINTR. The mask and the wait are one
/// step, as ppoll(2) of the epoll descriptor makes them; then the events are taken without waiting, and where
/// another thread was quicker the wait goes on. May block, and is no cancellation point.
pub fn epoll_pwait(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"ppoll and epoll_wait");
    });
    let milliseconds = i64::from(call.int(3));
    let left = (milliseconds >= 0).then(|| [milliseconds / 1000, milliseconds % 1000 * 1_000_000]);
    sys::result(wait(call, left))
}

/// `epoll_pwait2`: as `epoll_pwait`, with seconds and nanoseconds; NULL waits for ever.
pub fn epoll_pwait2(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"ppoll and epoll_wait");
    });
    let timeout = call.user(3);
    let left = if timeout.is_null() { Ok(None) } else { time(timeout).map(Some) };
    sys::result(left.and_then(|left| wait(call, left)))
}

/// A valid time. EFAULT, EINVAL.
fn time(at: User) -> Result<[i64; 2]> {
    let [seconds, nanos] = memory::get::<[i64; 2]>(at)?;
    let valid = seconds >= 0 && (0..1_000_000_000).contains(&nanos);
    if valid { Ok([seconds, nanos]) } else { Err(Errno(libc::EINVAL)) }
}

/// set_user_sigmask and do_epoll_wait.
fn wait(call: &Call<'_>, mut left: Option<[i64; 2]>) -> Result<usize> {
    let (queue, mask, mask_size) = (call.int(0), call.user(4), call.arg(5));
    if !mask.is_null() {
        if mask_size != size_of::<u64>() {
            return Err(Errno(libc::EINVAL));
        }
        memory::get::<u64>(mask)?;
    }
    let take =
        || sys::check(sys::call(libc::SYS_epoll_wait, [queue as usize, call.arg(1), call.arg(2), 0, 0, 0]));
    loop {
        let taken = take()?;
        if taken > 0 || left == Some([0, 0]) {
            return Ok(taken);
        }
        if sys::wait_readable(queue, left.as_mut(), mask, mask_size)? == 0 {
            return take();
        }
    }
}
