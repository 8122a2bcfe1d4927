//! Clocks: `stime(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys;

/// `stime`: sets the clock to a number of seconds. EFAULT, EPERM, EINVAL.
pub fn stime(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"clock_settime(CLOCK_REALTIME)");
    });
    sys::result(memory::get::<i64>(call.user(0)).and_then(sys::set_clock))
}
