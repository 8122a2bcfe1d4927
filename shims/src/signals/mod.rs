//! The program's own SIGSEGV, while the handler of the vsyscall rule stands in the kernel.
//!
//! What the program sets and reads is kept here. In the kernel SIGSEGV stays unblocked, since a blocked
//! one would kill at the first jump to the page. That the program believes it blocked is written where
//! the kernel itself keeps it per thread, inherits it and restores it after handlers and long jumps: in
//! the signal mask, as the bit of SIGSTKFLT, which Linux never sends (signal(7)).

mod action;
pub mod calls;
mod deliver;

pub use action::{Action, current, swap};

use crate::arch;
use crate::next;
use crate::state;
use crate::sys::{self, signal_bit};
use core::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

/// The bit of SIGSEGV, and of the signal that carries it in real masks.
pub const SEGV: u64 = signal_bit(libc::SIGSEGV);
const CARRIER: u64 = signal_bit(libc::SIGSTKFLT);

/// In a set that has these the program meant all signals, SIGSTKFLT among them.
const FULL: u64 = signal_bit(libc::SIGXCPU) | signal_bit(libc::SIGPWR) | signal_bit(libc::SIGSYS);

/// System calls that carry signal sets or actions: watched at `syscall()` while the handler stands.
const CALLS: [i64; 9] = [
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigsuspend,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_signalfd,
    libc::SYS_signalfd4,
];

static ARMED: AtomicBool = AtomicBool::new(false);

/// The libc hands its `struct sigaction` to the kernel as it is (uClibc).
static KERNEL_LAYOUT: AtomicBool = AtomicBool::new(false);

/// Whether the libc's `struct sigaction` is the kernel's.
pub fn kernel_layout() -> bool {
    KERNEL_LAYOUT.load(Relaxed)
}

/// Whether our handler stands.
pub fn armed() -> bool {
    ARMED.load(Acquire)
}

/// The set for the kernel: the carrier in place of SIGSEGV.
pub fn to_real(set: u64) -> u64 {
    let carrier = if set & SEGV != 0 { CARRIER } else { 0 };
    set & !(SEGV | CARRIER) | carrier
}

/// The set as the program knows it. SIGSEGV itself is in a real one where libc put it there unseen (setcontext).
pub fn to_virtual(set: u64) -> u64 {
    let blocked = set & (CARRIER | SEGV) != 0;
    let full = set & FULL == FULL;
    let set = set & !(SEGV | CARRIER);
    set | if blocked { SEGV } else { 0 } | if blocked && full { CARRIER } else { 0 }
}

/// Our action. A call that a sent SIGSEGV interrupts goes on, unless the program wants to hear of it.
fn ours(restarts: bool) -> Action {
    let restart = if restarts { libc::SA_RESTART } else { 0 };
    Action {
        handler: arch::fault_handler(deliver::on_fault),
        flags: (libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | restart) as u64 | action::RESTORER,
        restorer: arch::restorer(),
        mask: 0,
    }
}

/// Sets the program's action; gives the one before. What waits is forgotten where it would be ignored.
fn set_action(new: Action) -> Action {
    if action::in_vfork_child() {
        // It shares the parent's memory, but not the parent's actions in the kernel.
        let _ = action::set_real(&Action {
            flags: new.flags | action::RESTORER,
            restorer: arch::restorer(),
            ..new
        });
        return current();
    }
    let is_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&new.handler);
    let _ = action::set_real(&ours(!is_handler || new.flags & libc::SA_RESTART as u64 != 0));
    if new.handler == libc::SIG_IGN && sys::pending() & SEGV != 0 {
        // The kernel forgets what waits where the action becomes SIG_IGN.
        if let Ok(ours) = action::set_real(&new) {
            let _ = action::set_real(&ours);
        }
    }
    swap(new)
}

/// Puts our handler into the kernel; what stood there is the program's. False where that is refused.
pub fn take_over() -> bool {
    let Ok(theirs) = action::set_real(&ours(true)) else { return false };
    swap(theirs);
    action::own();
    KERNEL_LAYOUT.store(next::is_uclibc(), Relaxed);
    ARMED.store(true, Release);
    // A mask that was inherited with SIGSEGV in it becomes ours.
    let mask = sys::signal_mask();
    if mask & SEGV != 0 {
        sys::set_signal_mask(to_real(mask));
    }
    for number in CALLS {
        state::watch(number as usize);
    }
    true
}

/// Gives the signal back to the program.
pub fn give_back() {
    ARMED.store(false, Release);
    for number in CALLS {
        state::hand_on(&state::HANDED_ON, number as usize);
    }
    let mask = sys::signal_mask();
    let _ = action::set_real(&current());
    if mask & CARRIER != 0 {
        sys::set_signal_mask(mask & !CARRIER | SEGV);
    }
}

/// Runs an exec with the program's own state made real, since handlers end there and masks do not. An
/// ignored SIGSEGV is so for the other threads too meanwhile: one that jumps to the page just then dies.
pub fn real_for_exec(exec: impl FnOnce() -> isize) -> isize {
    if !armed() {
        return exec();
    }
    let mask = sys::signal_mask();
    let blocked = mask & CARRIER != 0;
    let ignored = current().handler == libc::SIG_IGN;
    if !blocked && !ignored {
        return exec();
    }
    let ours = if ignored { action::set_real(&current()).ok() } else { None };
    if blocked {
        sys::set_signal_mask(mask & !CARRIER | SEGV);
    }
    let result = exec();
    if blocked {
        sys::set_signal_mask(mask);
    }
    if let Some(ours) = ours {
        let _ = action::set_real(&ours);
    }
    result
}

/// Runs a libc function that changes the mask of SIGSTKFLT: what the program believes of SIGSEGV stays.
pub fn keeping_carrier(work: impl FnOnce() -> isize) -> isize {
    let before = sys::signal_mask();
    let result = work();
    let after = sys::signal_mask();
    if (before ^ after) & CARRIER != 0 {
        sys::set_signal_mask(after ^ CARRIER);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_read_back_as_they_were_set() {
        for set in [0, SEGV, u64::MAX, signal_bit(libc::SIGINT) | SEGV, !(SEGV | CARRIER)] {
            assert_eq!(to_virtual(to_real(set)), set, "{set:x}");
            assert_eq!(to_real(set) & SEGV, 0);
        }
    }
}
