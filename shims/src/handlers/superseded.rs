//! First forms of calls that got flags later: `eventfd(2)`.

use crate::dispatch::Call;
use crate::sys;

/// `eventfd`, the system call with a count alone (2.6.22): the second form with no flags (fs/eventfd.c has
/// one function for both). EMFILE, ENFILE, ENOMEM, ENODEV; ENOSYS where neither is there.
pub fn eventfd(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"eventfd2 without flags");
    });
    sys::call(libc::SYS_eventfd2, [call.arg(0), 0, 0, 0, 0, 0])
}
