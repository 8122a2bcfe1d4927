//! The program's own SIGSEGV and SIGSYS, while handlers of ours stand in the kernel: that of the vsyscall
//! rule, and that of calls which a filter traps.
//!
//! What the program sets and reads is kept here. In the kernel both stay unblocked, since a blocked one would
//! kill at the first jump to the page, or trapped call. That the program believes SIGSEGV blocked is written
//! where the kernel itself keeps it per thread, inherits it and restores it after handlers and long jumps: in
//! the signal mask, as the bit of SIGSTKFLT, which Linux never sends (signal(7)). No signal is left to carry
//! SIGSYS so: it reads as blocked in a nearly full mask, and else not.

mod action;
pub mod calls;
mod deliver;

pub use action::{Action, Kept, current};

use crate::arch;
use crate::next;
use crate::state;
use crate::sys::{self, signal_bit};
use action::swap;
use core::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

/// The bits of the two signals, and of the one that carries SIGSEGV in real masks.
const SEGV: u64 = Kept::Segv.bit();
const SYS: u64 = Kept::Sys.bit();
const CARRIER: u64 = signal_bit(libc::SIGSTKFLT);

/// In a set that has these the program meant all signals, SIGSTKFLT and SIGSYS among them.
const FULL: u64 = signal_bit(libc::SIGXCPU) | signal_bit(libc::SIGPWR);

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

static SEGV_ARMED: AtomicBool = AtomicBool::new(false);
static SYS_ARMED: AtomicBool = AtomicBool::new(false);

fn armed_flag(kept: Kept) -> &'static AtomicBool {
    match kept {
        Kept::Segv => &SEGV_ARMED,
        Kept::Sys => &SYS_ARMED,
    }
}

/// The libc hands its `struct sigaction` to the kernel as it is (uClibc).
static KERNEL_LAYOUT: AtomicBool = AtomicBool::new(false);

/// Whether the libc's `struct sigaction` is the kernel's.
pub fn kernel_layout() -> bool {
    KERNEL_LAYOUT.load(Relaxed)
}

/// Whether a handler of ours stands.
pub fn armed() -> bool {
    is_armed(Kept::Segv) || is_armed(Kept::Sys)
}

fn is_armed(kept: Kept) -> bool {
    armed_flag(kept).load(Acquire)
}

/// The signal of a number, if its handler is ours.
pub fn kept(signal: usize) -> Option<Kept> {
    let kept = match signal as i32 {
        libc::SIGSEGV => Kept::Segv,
        libc::SIGSYS => Kept::Sys,
        _ => return None,
    };
    is_armed(kept).then_some(kept)
}

/// The set for the kernel: the carrier in place of SIGSEGV, and no SIGSYS.
fn to_real(set: u64) -> u64 {
    real(set, is_armed(Kept::Segv), is_armed(Kept::Sys))
}

/// The set as the program knows it.
fn to_virtual(set: u64) -> u64 {
    shown(set, is_armed(Kept::Segv), is_armed(Kept::Sys))
}

fn real(set: u64, segv: bool, sys: bool) -> u64 {
    let set = if sys { set & !SYS } else { set };
    if !segv {
        return set;
    }
    let carrier = if set & SEGV != 0 { CARRIER } else { 0 };
    set & !(SEGV | CARRIER) | carrier
}

/// SIGSEGV itself is in a real set where libc put it there unseen (setcontext).
fn shown(set: u64, segv: bool, sys: bool) -> u64 {
    let full = set & FULL == FULL;
    let set = if sys && full { set | SYS } else { set };
    if !segv {
        return set;
    }
    let full = set & (FULL | SYS) == FULL | SYS;
    let blocked = set & (CARRIER | SEGV) != 0;
    let set = set & !(SEGV | CARRIER);
    set | if blocked { SEGV } else { 0 } | if blocked && full { CARRIER } else { 0 }
}

/// An action of ours that runs `function` for SIGSYS.
pub fn for_trap(function: fn(&mut arch::Fault<'_>)) -> Action {
    action_of(arch::trap_handler(function), true)
}

/// A call that a sent signal interrupts goes on, unless the program wants to hear of it.
fn action_of(handler: usize, restarts: bool) -> Action {
    let restart = if restarts { libc::SA_RESTART } else { 0 };
    Action {
        handler,
        flags: (libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | restart) as u64 | action::RESTORER,
        restorer: arch::restorer(),
        mask: 0,
    }
}

fn ours(kept: Kept, restarts: bool) -> Action {
    match kept {
        Kept::Segv => action_of(arch::fault_handler(deliver::on_fault), restarts),
        Kept::Sys => action_of(arch::trap_handler(deliver::on_trap), restarts),
    }
}

/// Sets the program's action; gives the one before. What waits is forgotten where it would be ignored.
fn set_action(kept: Kept, new: Action) -> Action {
    if action::in_vfork_child() {
        // It shares the parent's memory, but not the parent's actions in the kernel. Of SIGSYS our handler
        // stays to the exec, which ends it.
        if kept == Kept::Segv {
            let _ = action::set_real(
                kept,
                &Action { flags: new.flags | action::RESTORER, restorer: arch::restorer(), ..new },
            );
        }
        return current(kept);
    }
    if kept == Kept::Sys {
        // Its real action stays as it is: a trapping filter guards it.
        return swap(kept, new);
    }
    let is_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&new.handler);
    let _ = action::set_real(kept, &ours(kept, !is_handler || new.flags & libc::SA_RESTART as u64 != 0));
    if new.handler == libc::SIG_IGN && sys::pending() & kept.bit() != 0 {
        // The kernel forgets what waits where the action becomes SIG_IGN.
        if let Ok(ours) = action::set_real(kept, &new) {
            let _ = action::set_real(kept, &ours);
        }
    }
    swap(kept, new)
}

/// Puts our handler of SIGSEGV into the kernel; what stood there is the program's. False where that is refused.
pub fn take_over() -> bool {
    if !action::prepare() {
        return false;
    }
    let Ok(theirs) = action::set_real(Kept::Segv, &ours(Kept::Segv, true)) else { return false };
    taken_over(Kept::Segv, theirs);
    true
}

/// The same for SIGSYS.
pub fn take_over_sys() -> bool {
    if is_armed(Kept::Sys) {
        return true;
    }
    if !action::prepare() {
        return false;
    }
    let Ok(theirs) = action::set_real(Kept::Sys, &ours(Kept::Sys, true)) else { return false };
    taken_over(Kept::Sys, theirs);
    true
}

fn taken_over(kept: Kept, theirs: Action) {
    swap(kept, theirs);
    action::own();
    KERNEL_LAYOUT.store(next::is_uclibc(), Relaxed);
    armed_flag(kept).store(true, Release);
    // A mask that was inherited with the signal in it becomes ours.
    let mask = sys::signal_mask();
    if mask & kept.bit() != 0 {
        sys::set_signal_mask(to_real(mask));
    }
    watch_calls();
}

/// Brings the calls that carry signals to the slow side of `syscall()`, while a handler of ours stands.
pub fn watch_calls() {
    if armed() {
        for number in CALLS {
            state::watch(number as usize);
        }
    }
}

/// Whether calls of a number go through here: they carry signals, and a handler of ours stands.
pub fn keeps(number: usize) -> bool {
    armed() && CALLS.contains(&(number as i64))
}

/// Gives SIGSEGV back to the program.
pub fn give_back() {
    armed_flag(Kept::Segv).store(false, Release);
    if !armed() {
        for number in CALLS {
            state::hand_on(&state::HANDED_ON, number as usize);
        }
    }
    let mask = sys::signal_mask();
    let _ = action::set_real(Kept::Segv, &current(Kept::Segv));
    if mask & CARRIER != 0 {
        sys::set_signal_mask(mask & !CARRIER | SEGV);
    }
}

/// Runs an exec with the program's own state made real, since handlers end there and masks do not. An
/// ignored SIGSEGV is so for the other threads too meanwhile: one that jumps to the page just then dies.
pub fn real_for_exec(exec: impl FnOnce() -> isize) -> isize {
    if !is_armed(Kept::Segv) {
        return exec();
    }
    let mask = sys::signal_mask();
    let blocked = mask & CARRIER != 0;
    let ignored = current(Kept::Segv).handler == libc::SIG_IGN;
    if !blocked && !ignored {
        return exec();
    }
    let ours = if ignored { action::set_real(Kept::Segv, &current(Kept::Segv)).ok() } else { None };
    if blocked {
        sys::set_signal_mask(mask & !CARRIER | SEGV);
    }
    let result = exec();
    if blocked {
        sys::set_signal_mask(mask);
    }
    if let Some(ours) = ours {
        let _ = action::set_real(Kept::Segv, &ours);
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
            for sys in [false, true] {
                // Alone SIGSYS cannot be carried: that is the stated difference.
                let set = if sys && set & FULL != FULL { set & !SYS } else { set };
                assert_eq!(shown(real(set, true, sys), true, sys), set, "{set:x} {sys}");
                assert_eq!(real(set, true, sys) & SEGV, 0);
                assert_eq!(shown(real(set, false, sys), false, sys), set, "{set:x} {sys}");
            }
        }
    }
}
