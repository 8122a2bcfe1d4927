//! The handlers in the kernel: a jump to the vsyscall page is answered, and so is a call that a filter traps;
//! every other SIGSEGV or SIGSYS is the program's, delivered as the kernel would have (kernel/signal.c,
//! arch/x86/kernel/signal.c).

use super::action::{self, Action, Kept, current, swap};
use super::{CARRIER, SEGV, to_real};
use crate::arch::{self, Fault};
use crate::seccomp::{own, trap};
use crate::sys;
use crate::vsyscall::{self, Registers};
use libc::{SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SIG_DFL, SIG_IGN};

/// Bytes an alternate stack must have left for the log's buffers.
const ROOM_TO_LOG: usize = 16 << 10;

/// Our handler of SIGSYS.
pub fn on_trap(fault: &mut Fault<'_>) {
    if let Some((number, args)) = fault.trapped() {
        if number as i64 == libc::SYS_rt_sigprocmask {
            let result = fault.change_mask(args);
            fault.answer(sys::result(result));
            return;
        }
        if !own::is_installed() {
            fault.answer(trap::answer(number, args, fault.room(), arch::is_ours(fault.ip())));
            return;
        }
        // Which filter trapped is not known: the program's own handler is for its own.
        if [SIG_DFL, SIG_IGN].contains(&current(Kept::Sys).handler) {
            fault.answer(-(libc::ENOSYS as isize));
            return;
        }
    }
    deliver(Kept::Sys, fault);
}

/// Our handler of SIGSEGV.
pub fn on_fault(fault: &mut Fault<'_>) {
    if fault.is_raised() {
        let registers = Registers { ip: fault.ip(), sp: fault.sp(), rdi: fault.rdi(), rsi: fault.rsi() };
        let room = fault.room().is_none_or(|bytes| bytes >= ROOM_TO_LOG);
        if let Some(answer) = vsyscall::answer(&registers, room) {
            fault.go_on(answer.result, answer.ip, answer.sp);
            return;
        }
    }
    deliver(Kept::Segv, fault);
}

/// Hands the signal to the program.
fn deliver(kept: Kept, fault: &mut Fault<'_>) {
    let action = current(kept);
    let raised = fault.is_raised();
    // As it is now, not as the frame will restore it: inside sigsuspend these differ.
    let now = sys::signal_mask();
    let blocked = kept == Kept::Segv && now & CARRIER != 0;
    match action.handler {
        // A sent one waits, or is not there at all; a fault cannot wait (force_sig_info).
        _ if blocked && !raised => return send_again_blocked(fault, now),
        SIG_IGN if !raised => return,
        SIG_DFL | SIG_IGN => return end(kept, fault),
        _ if blocked => return end(kept, fault),
        _ => {}
    }
    if action.flags & SA_RESETHAND as u64 != 0 {
        swap(kept, Action { handler: SIG_DFL, ..action });
    }
    let own = if kept == Kept::Sys || action.flags & SA_NODEFER as u64 != 0 { 0 } else { CARRIER };
    // On return the kernel restores the mask of the frame.
    let mask = now | to_real(action.mask) | own;
    let on_alternate = action.flags & SA_ONSTACK as u64 != 0;
    fault.hand_over(action.handler, mask, !on_alternate);
    // No room for the frame: the kernel kills, whatever the handler (force_sigsegv).
    end(kept, fault);
}

/// A sent signal that the program has blocked waits where it would have: in the kernel. It is blocked for
/// real until the program changes its mask, which is when a jump to the page would kill this thread.
fn send_again_blocked(fault: &mut Fault<'_>, now: u64) {
    sys::set_signal_mask(now | SEGV);
    fault.block(SEGV);
    fault.send_again();
}

/// The default action, at the faulting instruction: it faults again, and the kernel dumps core there. A
/// signal that was sent is sent again, and so is that of a trapped call, which is not made again.
fn end(kept: Kept, fault: &Fault<'_>) {
    let _ = action::set_real(kept, &Action::DEFAULT);
    if !fault.is_raised() || kept == Kept::Sys {
        sys::raise(kept.signal());
    }
}
