//! Linux AIO: `io_pgetevents(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, User};

/// `io_pgetevents` without a signal mask is `io_getevents` (fs/aio.c). EFAULT, EINVAL, EINTR; ENOSYS with a
/// mask: set before and put back after the wait, a signal between would be lost to the caller.
///
/// Blocks as io_getevents does; no cancellation point, as the raw call is none.
pub fn io_pgetevents(call: &mut Call<'_>) -> isize {
    // `struct __aio_sigset` (linux/aio_abi.h): the mask's address and its size.
    let given = call.user(5);
    let set = if given.is_null() { Ok([0; 2]) } else { memory::get::<[usize; 2]>(given) };
    // The timeout is copied before everything else.
    let timeout = call.user(4);
    let timeout = if timeout.is_null() { Ok([0; 2]) } else { memory::get::<[usize; 2]>(timeout) };
    let mask = match (timeout, set) {
        (Ok(_), Ok([mask, _])) => User(mask),
        _ => return -(libc::EFAULT as isize),
    };
    call.became(|text| {
        text.push(if mask.is_null() { &b"io_getevents"[..] } else { b"ENOSYS: it names a signal mask" });
    });
    if !mask.is_null() {
        return sys::result(Err(Errno(libc::ENOSYS)));
    }
    sys::call(libc::SYS_io_getevents, [call.arg(0), call.arg(1), call.arg(2), call.arg(3), call.arg(4), 0])
}
