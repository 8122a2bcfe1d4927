//! The futex calls of 6.7, by futex(2): `futex_wake`, `futex_wait`, `futex_requeue`
//! (kernel/futex/syscalls.c). Words of 32 bits, which is all that kernels have.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

const FUTEX2_SIZE_U32: u32 = 2;
/// The same bit as FUTEX_PRIVATE_FLAG of futex(2).
const FUTEX2_PRIVATE: u32 = 128;

const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_CLOCK_REALTIME: u32 = 256;

const EINVAL: Errno = Errno(libc::EINVAL);

/// Flags to those of futex(2).
fn flags(flags: u32) -> Result<u32> {
    let private = flags & FUTEX2_PRIVATE;
    if flags & !FUTEX2_PRIVATE == FUTEX2_SIZE_U32 { Ok(private) } else { Err(EINVAL) }
}

/// A value that must fit into 32 bits.
fn word(value: usize) -> Result<usize> {
    if value as u64 >> 32 == 0 { Ok(value) } else { Err(EINVAL) }
}

fn futex(args: [usize; 6]) -> Result<usize> {
    sys::check(sys::call(libc::SYS_futex, args))
}

/// `futex_wake`: how many waiters woke. EINVAL, EFAULT.
pub fn wake(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"futex(FUTEX_WAKE_BITSET)");
    });
    sys::result(do_wake(call))
}

fn do_wake(call: &Call<'_>) -> Result<usize> {
    let private = flags(call.arg(3) as u32)?;
    let mask = word(call.arg(1))?;
    if mask == 0 {
        return Err(EINVAL);
    }
    let (address, count) = (call.arg(0), call.int(2));
    if count == 0 {
        // FUTEX_WAKE_BITSET would wake one. Requeueing nothing to the word itself only checks the address.
        return futex([address, (FUTEX_REQUEUE | private) as usize, 0, 0, address, 0]);
    }
    futex([address, (FUTEX_WAKE_BITSET | private) as usize, count as usize, 0, 0, mask])
}

/// `futex_wait`: until an absolute time by CLOCK_REALTIME or CLOCK_MONOTONIC. EINVAL, EFAULT, EAGAIN (another
/// value), ETIMEDOUT, EINTR: with a timeout also after a handler with SA_RESTART. No libc has it, so there
/// is no cancellation point.
pub fn wait(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"futex(FUTEX_WAIT_BITSET)");
    });
    sys::result(do_wait(call))
}

fn do_wait(call: &Call<'_>) -> Result<usize> {
    let private = flags(call.arg(3) as u32)?;
    let value = word(call.arg(1))?;
    let mask = word(call.arg(2))?;
    let timeout = call.user(4);
    let clock = match call.int(5) {
        _ if timeout.is_null() => 0,
        libc::CLOCK_REALTIME => FUTEX_CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC => 0,
        _ => return Err(EINVAL),
    };
    let operation = (FUTEX_WAIT_BITSET | private | clock) as usize;
    futex([call.arg(0), operation, value, timeout.0, 0, mask])
}

/// `futex_requeue`: how many waiters woke and moved. EINVAL, EFAULT, EAGAIN (another value). That
/// one of the words is private and the other is not is EINVAL, as on 6.18; futex(2) could not say it.
pub fn requeue(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"futex(FUTEX_CMP_REQUEUE)");
    });
    sys::result(do_requeue(call))
}

fn do_requeue(call: &Call<'_>) -> Result<usize> {
    let waiters = call.user(0);
    if call.arg(1) as u32 != 0 || waiters.is_null() {
        return Err(EINVAL);
    }
    let (value, from, private) = waiter(waiters)?;
    let (_, to, private_to) = waiter(waiters.at(WAITER))?;
    if private != private_to {
        return Err(EINVAL);
    }
    let (wake, move_on) = (call.int(2) as usize, call.int(3) as usize);
    futex([from, (FUTEX_CMP_REQUEUE | private) as usize, wake, move_on, to, value])
}

/// Bytes of a `struct futex_waitv`.
const WAITER: usize = 24;

/// Value, address and private flag of a `struct futex_waitv` (futex_parse_waitv).
fn waiter(at: User) -> Result<(usize, usize, u32)> {
    let [value, address, rest] = memory::get::<[usize; 3]>(at)?;
    let (given, reserved) = (rest as u32, rest >> 32);
    let private = flags(given)?;
    if reserved != 0 {
        return Err(EINVAL);
    }
    Ok((word(value)?, address, private))
}
