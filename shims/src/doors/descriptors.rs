//! Doors of the families of descriptors and I/O whose arguments differ from the system call's.

use super::by_hand::kernel_first;
use super::{as_kernel, finish};
use crate::dispatch::{dispatch, raw};
use crate::errno;
use crate::next::Next;
use crate::probe;
use crate::state;
use evercall_rules::packed::RuleId;

macro_rules! vector_door {
    ($symbol:ident => $rule:ident) => {
        /// The offset is one argument; the system call takes two halves, of which 64-bit kernels ignore the
        /// second.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(fd: usize, vector: usize, count: usize, at: usize, flags: usize) -> isize {
            static NEXT: Next = Next::unknown();
            let own = [fd, vector, count, at, flags, 0];
            let args = [fd, vector, count, at, 0, flags];
            probed(RuleId::$rule, &NEXT, stringify!($symbol).as_bytes(), own, args)
        }
    };
}

/// A door of a function that changes something, whose libc does without the system call where it is missing,
/// but with less (glibc: EOPNOTSUPP for every flag): the kernel is asked by the row's probe.
fn probed(rule: RuleId, next: &Next, name: &[u8], own: [usize; 6], args: [usize; 6]) -> isize {
    kernel_first(rule, next, name, own, args, || {
        rule.probe().zip(rule.number()).map_or(0, |(probe, number)| probe::ask(number, probe.arguments))
    })
}

vector_door!(preadv2 => Preadv2);
vector_door!(preadv64v2 => Preadv2);
vector_door!(pwritev2 => Pwritev2);
vector_door!(pwritev64v2 => Pwritev2);

/// getentropy(3): at most 256 bytes, else EIO; all of them, or none: 0, not a count.
#[unsafe(no_mangle)]
pub extern "C" fn getentropy(buffer: usize, length: usize) -> isize {
    const MOST: usize = 256;
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let args = [buffer, length, 0, 0, 0, 0];
    let whole = |count: isize| match count as usize {
        // The kernel stops short only where it cannot write on.
        _ if count < 0 => count,
        count if count < length => -(libc::EFAULT as isize),
        _ => 0,
    };
    let native = || match NEXT.find(b"getentropy") {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => match unsafe { as_kernel(function, [buffer, length, 0, 0, 0, 0]) } {
            0 => length as isize,
            error => error,
        },
        None => raw(RuleId::Getrandom, args),
    };
    let result = if length > MOST {
        -(libc::EIO as isize)
    } else {
        whole(dispatch(RuleId::Getrandom, args, &state::SYMBOLS_HANDED_ON, native))
    };
    finish(result, errno_before)
}

/// closefrom(3). A libc that has it copes with a kernel that lacks close_range(2).
#[unsafe(no_mangle)]
pub extern "C" fn closefrom(lowest: i32) {
    static NEXT: Next = Next::unknown();
    if !state::acts(RuleId::CloseRange) {
        if let Some(function) = NEXT.find(b"closefrom") {
            // SAFETY: the caller's own call, to whom it would have gone without us.
            unsafe { function(lowest as usize, 0, 0, 0, 0, 0) };
            return;
        }
    }
    let errno_before = errno::get();
    let args = [lowest.max(0) as usize, u32::MAX as usize, 0, 0, 0, 0];
    let native = || raw(RuleId::CloseRange, args);
    dispatch(RuleId::CloseRange, args, &state::SYMBOLS_HANDED_ON, native);
    errno::set(errno_before);
}
