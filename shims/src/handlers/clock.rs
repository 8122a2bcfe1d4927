//! Clocks: `stime(2)`, `clock_adjtime(2)`.

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

/// The last of the clocks with a number of their own (CLOCK_TAI), and the auxiliary ones behind (6.17).
const AUXILIARY_CLOCKS: core::ops::Range<i32> = 16..24;

/// `clock_adjtime`: adjtimex(2) for CLOCK_REALTIME; no other clock of that age can be tuned
/// (kernel/time/posix-timers.c, posix-cpu-timers.c). EFAULT, EINVAL (no such clock), EOPNOTSUPP, EPERM; ENOSYS
/// for a clock behind a descriptor and for auxiliary clocks. The result is the clock's state, TIME_OK and on.
pub fn clock_adjtime(call: &mut Call<'_>) -> isize {
    /// The low bits of a clock number that is made of a descriptor (CLOCKFD).
    const DESCRIPTOR: i32 = 3;
    let clock = call.int(0);
    call.became(|text| {
        text.push(if clock == libc::CLOCK_REALTIME {
            &b"adjtimex"[..]
        } else {
            b"nothing: not the system's clock"
        });
    });
    // The struct comes first: EFAULT for one that cannot be read whole.
    let whole = memory::get::<[u8; size_of::<libc::timex>()]>(call.user(1));
    if let Err(error) = whole {
        return sys::result(Err(error));
    }
    let errno = match clock {
        libc::CLOCK_REALTIME => return sys::call(libc::SYS_adjtimex, [call.arg(1), 0, 0, 0, 0, 0]),
        libc::CLOCK_MONOTONIC..=libc::CLOCK_BOOTTIME_ALARM | libc::CLOCK_TAI => libc::EOPNOTSUPP,
        // Only a device is a clock.
        negative if negative < 0 && negative & 7 == DESCRIPTOR => match sys::fstat(!(negative >> 3)) {
            Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFCHR => libc::ENOSYS,
            _ => libc::EINVAL,
        },
        // A processor clock: of a thread or process that is not there, or one that cannot be tuned.
        ..0 => libc::EOPNOTSUPP,
        other if AUXILIARY_CLOCKS.contains(&other) => libc::ENOSYS,
        _ => libc::EINVAL,
    };
    -(errno as isize)
}
