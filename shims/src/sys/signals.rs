//! Masks, actions and sending.

use super::{Result, User, call, check, getpid, gettid, result, zeroed};
use crate::arch::syscall;
use crate::seccomp::MAGIC;
use crate::signals::Action;
use libc::c_int;

/// Signals blocked around a piece of work, and given back when dropped.
pub struct Blocked(u64);

/// The bit of a signal in the kernel's 64-bit set.
pub const fn signal_bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

impl Blocked {
    /// Blocks more signals. Never SIGSYS: a call in between may be trapped, and kill then.
    pub fn add(signals: u64) -> Blocked {
        let (mut old, signals) = (0u64, signals & !signal_bit(libc::SIGSYS));
        let _ =
            ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const signals, &raw mut old, 8, 0, MAGIC);
        Blocked(old)
    }

    /// Whether the program had this signal blocked before.
    pub fn had(&self, signal: c_int) -> bool {
        self.0 & signal_bit(signal) != 0
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const self.0, 0, 8, 0, MAGIC);
    }
}

/// This thread's signal mask.
pub fn signal_mask() -> u64 {
    let mut mask = 0u64;
    let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &raw mut mask, 8);
    mask
}

/// Writes this thread's signal mask to the program.
pub fn signal_mask_to(to: User) -> Result<usize> {
    ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, to.0, 8)
}

/// Sets this thread's signal mask.
pub fn set_signal_mask(mask: u64) {
    let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0, 8, 0, MAGIC);
}

/// rt_sigaction(2): sets a signal's action, and gives the one before.
pub fn set_action(signal: c_int, new: &Action) -> Result<Action> {
    let mut old = Action::DEFAULT;
    ask!(libc::SYS_rt_sigaction, signal, core::ptr::from_ref(new), &raw mut old, 8)?;
    Ok(old)
}

/// The same with a word in the sixth argument's register, for a filter of ours to know the call by.
pub fn set_action_with(signal: c_int, new: &Action, word: usize) -> Result<Action> {
    let mut old = Action::DEFAULT;
    ask!(libc::SYS_rt_sigaction, signal, core::ptr::from_ref(new), &raw mut old, 8, 0, word)?;
    Ok(old)
}

/// Sends a signal to this thread: tgkill(2).
pub fn raise(signal: c_int) {
    let thread = gettid() as usize;
    call(libc::SYS_tgkill, [getpid() as usize, thread, signal as usize, 0, 0, 0]);
}

/// Sends a signal with a siginfo of the kernel's making to this thread or process: rt_tgsigqueueinfo(2),
/// rt_sigqueueinfo(2).
pub fn queue_signal(signal: c_int, info: usize, to_thread: bool) {
    let (process, signal) = (getpid() as usize, signal as usize);
    if to_thread {
        let thread = gettid() as usize;
        call(libc::SYS_rt_tgsigqueueinfo, [process, thread, signal, info, 0, 0]);
    } else {
        call(libc::SYS_rt_sigqueueinfo, [process, signal, info, 0, 0, 0]);
    }
}

/// sigaltstack(2) with a stack of ours (address, flags, size); the one before goes to the program.
pub fn set_signal_stack(stack: [usize; 3], old: User) -> isize {
    result(ask!(libc::SYS_sigaltstack, stack.as_ptr(), old.0))
}

/// rt_sigpending(2).
pub fn pending() -> u64 {
    let mut set = 0u64;
    let _ = ask!(libc::SYS_rt_sigpending, &raw mut set, 8);
    set
}

/// Takes a pending signal away, if there is one: rt_sigtimedwait(2) without waiting.
pub fn take_signal(signal: c_int) {
    let set = signal_bit(signal);
    let no_time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_rt_sigtimedwait, &raw const set, 0, &raw const no_time, 8);
}
