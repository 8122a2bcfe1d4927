//! STREAMS: `getpmsg` and `putpmsg`, which Linux never had.

use crate::dispatch::Call;

/// The answer of every Linux kernel: ENOSYS.
pub fn refuse(_: &mut Call<'_>) -> isize {
    -(libc::ENOSYS as isize)
}
