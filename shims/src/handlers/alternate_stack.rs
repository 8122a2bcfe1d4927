//! `sigaltstack(2)` of the size that was enough once: a processor with more registers (AVX-512, AMX) puts more on
//! the stack of a signal than MINSIGSTKSZ has room for, and since 5.14 the kernel says so.

use crate::dispatch::Call;
use crate::late::Late;
use crate::memory;
use crate::start::SIGNAL_FRAME;
use crate::sys::{self, Errno, Result};
use core::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The smallest stack of old: less was never enough.
const MINIMUM: usize = 2048;

/// Room for the handler itself, however large the program's own stack was.
const ROOM: usize = 64 << 10;

/// From here on no stack is too small: nor is one replaced where the rule is forced.
const ENOUGH: usize = 16 << 10;

/// Threads whose stacks are remembered.
const THREADS: usize = 64;

/// A stack of ours: whose it is, process and thread, and where.
type Stack = (AtomicU64, AtomicUsize);

static STACKS: Late<[Stack; THREADS]> = Late::new();

/// `sigaltstack`: a stack of ours where the program's is too small for this processor, AT_MINSIGSTKSZ and 64 KiB
/// above a page that cannot be touched. EFAULT and, below MINSIGSTKSZ, ENOMEM (do_sigaltstack, kernel/signal.c of
/// 6.18), as where the program's is larger than that.
pub fn sigaltstack(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"sigaltstack with a larger stack");
    });
    match substitute(call) {
        Ok(Some(done)) => done,
        Err(error) if call.answer.is_none() => sys::result(Err(error)),
        _ => call.decline_or_ask(libc::SYS_sigaltstack),
    }
}

/// None: the kernel's own answer is right.
fn substitute(call: &Call<'_>) -> Result<Option<isize>> {
    let new = call.user(0);
    if new.is_null() {
        return Ok(None);
    }
    // stack_t: the address, the flags as an int, the size.
    let [_, flags, size] = memory::get::<[usize; 3]>(new)?;
    let frame = SIGNAL_FRAME.get();
    if flags as i32 & libc::SS_DISABLE != 0 || !(MINIMUM..ENOUGH.max(frame)).contains(&size) {
        return Ok(None);
    }
    let length = frame.max(MINIMUM).next_multiple_of(4096).saturating_add(ROOM);
    let at = of_this_thread(length)?;
    let done = sys::set_signal_stack([at, flags, length], call.user(1));
    Ok(Some(done).filter(|&done| done != -(libc::ENOMEM as isize)))
}

/// The stack of this thread: the one it got before, that of a thread that has ended, or a new one. What is not
/// remembered, for want of a place, is a new one each time.
fn of_this_thread(length: usize) -> Result<usize> {
    let process = sys::getpid() as u32;
    let me = u64::from(process) << 32 | u64::from(sys::gettid() as u32);
    let stacks = || STACKS.make().into_iter().flatten();
    let mine = stacks().find(|(owner, _)| owner.load(Acquire) == me);
    let taken = mine.or_else(|| stacks().find(|stack| take(stack, process, me)));
    let Some((_, at)) = taken else { return sys::map_stack(length) };
    let before = at.load(Acquire);
    if before != 0 {
        return Ok(before);
    }
    let fresh = sys::map_stack(length)?;
    match at.compare_exchange(0, fresh, AcqRel, Acquire) {
        Ok(_) => Ok(fresh),
        // A signal handler on this thread was here in between.
        Err(other) => {
            sys::unmap_stack(fresh, length);
            Ok(other)
        }
    }
}

/// Takes a free place, or that of a thread of this process that has ended. A place of another process (the parent
/// of a fork, or of a vfork, whose memory this is) may be in use.
fn take((owned_by, _): &Stack, process: u32, me: u64) -> bool {
    let owner = owned_by.load(Relaxed);
    let thread = owner as u32;
    let free = owner == 0
        || (owner >> 32) as u32 == process && {
            let nobody = [process as usize, thread as usize, 0, 0, 0, 0];
            sys::check(sys::call(libc::SYS_tgkill, nobody)) == Err(Errno(libc::ESRCH))
        };
    free && owned_by.compare_exchange(owner, me, Release, Relaxed).is_ok()
}
