//! The signal functions. While no handler of ours stands, each is a jump to the next definition; while
//! one does, SIGSEGV goes through `signals::calls`.

use super::{as_kernel, finish};
use crate::dispatch::{dispatch, raw};
use crate::errno;
use crate::next::Next;
use crate::signals;
use crate::signals::calls::{self, LIBC, Layout, UCLIBC};
use crate::start;
use crate::state;
use crate::sys::User;
use evercall_rules::packed::RuleId;

/// The next definition, called as libc's callers do: its result is not looked at.
struct Native<'a> {
    next: &'a Next,
    name: &'a [u8],
}

impl Native<'_> {
    fn call(&self, a: [usize; 6]) -> isize {
        match self.next.find(self.name) {
            // SAFETY: the caller's own call, to whom it would have gone without us.
            Some(next) => unsafe { next(a[0], a[1], a[2], a[3], a[4], a[5]) },
            None => errno::from_kernel(-(libc::ENOSYS as isize)),
        }
    }
}

fn layout() -> &'static Layout {
    if signals::kernel_layout() { &UCLIBC } else { &LIBC }
}

fn action(args: [usize; 6], native: &Native<'_>) -> isize {
    match calls::action(args, layout(), |args| native.call(args)) {
        Ok(result) => result,
        Err(error) => errno::from_kernel(-(error.0 as isize)),
    }
}

#[cold]
#[inline(never)]
fn slow(native: &Native<'_>, args: [usize; 6], armed: fn([usize; 6], &Native<'_>) -> isize) -> isize {
    if start::ready() && signals::armed() { armed(args, native) } else { native.call(args) }
}

macro_rules! signal_doors {
    ($($symbol:ident => $armed:expr;)*) => {
        $(
            /// libc's function of this name.
            ///
            /// # Safety
            /// As libc's.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
                static NEXT: Next = Next::unknown();
                if state::handed_on(&state::SYMBOLS_HANDED_ON, RuleId::Signals.slot()) {
                    if let Some(next) = NEXT.known() {
                        // SAFETY: the caller's own call, to whom it would have gone without us.
                        return unsafe { next(a, b, c, d, e, f) };
                    }
                }
                let native = Native { next: &NEXT, name: stringify!($symbol).as_bytes() };
                slow(&native, [a, b, c, d, e, f], $armed)
            }
        )*
    };
}

/// A function whose first argument is the signal: ours for a kept one.
macro_rules! of_kept {
    ($ours:expr) => {
        |args, native| match signals::kept(args[0]) {
            Some(kept) => $ours(kept, args),
            None => native.call(args),
        }
    };
}

/// A function that blocks or unblocks its signal too.
macro_rules! masks_kept {
    ($ours:expr) => {
        |args, native| match signals::kept(args[0]) {
            Some(kept) => $ours(kept, args),
            None if args[0] as i32 == libc::SIGSTKFLT => signals::keeping_carrier(|| native.call(args)),
            None => native.call(args),
        }
    };
}

/// A function that takes a set as this argument.
macro_rules! set_at {
    ($index:literal) => {
        |args, native| calls::with_set(args, $index, |args| native.call(args))
    };
}

/// A function that takes and gives the first 32 signals as bits of an int.
macro_rules! bits {
    () => {
        |[mask, ..], native| calls::shown_bits(native.call([calls::real_bits(mask), 0, 0, 0, 0, 0]))
    };
}

signal_doors! {
    sigaction => action;
    __sigaction => action;
    signal => of_kept!(|kept, args: [usize; 6]| calls::signal(kept, args[1]));
    ssignal => of_kept!(|kept, args: [usize; 6]| calls::signal(kept, args[1]));
    bsd_signal => of_kept!(|kept, args: [usize; 6]| calls::signal(kept, args[1]));
    sysv_signal => of_kept!(|kept, args: [usize; 6]| calls::sysv_signal(kept, args[1]));
    __sysv_signal => of_kept!(|kept, args: [usize; 6]| calls::sysv_signal(kept, args[1]));
    sigset => masks_kept!(|kept, args: [usize; 6]| calls::set(kept, args[1]));
    sighold => masks_kept!(|kept, _| calls::hold(kept));
    sigrelse => masks_kept!(|kept, _| calls::release(kept));
    sigignore => of_kept!(|kept, _| calls::set_ignored(kept));
    siginterrupt => of_kept!(|kept, args: [usize; 6]| calls::interrupt(kept, args[1] as i32 != 0));
    sigpause => |[mask, ..], native| native.call([calls::real_bits(mask), 0, 0, 0, 0, 0]);
    __xpg_sigpause => of_kept!(|kept, _| calls::pause_without(kept));
    sigprocmask => |args, native| calls::change_mask(args, |args| native.call(args));
    pthread_sigmask => |args, native| calls::change_mask(args, |args| native.call(args));
    sigblock => bits!();
    sigsetmask => bits!();
    siggetmask => |args, native| calls::shown_bits(native.call(args));
    sigsuspend => set_at!(0);
    __sigsuspend => set_at!(0);
    pselect => set_at!(5);
    ppoll => set_at!(3);
    __ppoll_chk => set_at!(3);
    sigvec => of_kept!(|kept, args: [usize; 6]| {
        let done = calls::vector(kept, User(args[1]), User(args[2]));
        done.unwrap_or_else(|error| errno::from_kernel(-(error.0 as isize)))
    });
    __sigpause => |[mask, is_signal, ..], native| match is_signal as i32 {
        0 => native.call([calls::real_bits(mask), 0, 0, 0, 0, 0]),
        _ => match signals::kept(mask) {
            Some(kept) => calls::pause_without(kept),
            None => native.call([mask, is_signal, 0, 0, 0, 0]),
        },
    };
}

/// What is left of a call when its set has been changed.
type Rest<'a> = dyn Fn([usize; 6]) -> isize + 'a;

/// A function that carries a set, and whose system call has a rule: `kernel` gives the arguments of that call,
/// `armed` runs the rest with the set changed while a handler of ours stands.
#[cold]
#[inline(never)]
fn by_rule_slow(
    rule: RuleId,
    native: &Native<'_>,
    args: [usize; 6],
    kernel: fn([usize; 6]) -> [usize; 6],
    armed: fn([usize; 6], &Rest<'_>) -> isize,
) -> isize {
    let errno_before = errno::get();
    let work = |args| {
        dispatch(rule, kernel(args), &state::SYMBOLS_HANDED_ON, || match native.next.find(native.name) {
            // SAFETY: the caller's own call, to whom it would have gone without us.
            Some(function) => unsafe { as_kernel(function, args) },
            None => raw(rule, kernel(args)),
        })
    };
    let result = if start::ready() && signals::armed() { armed(args, &work) } else { work(args) };
    finish(result, errno_before)
}

macro_rules! rule_doors {
    ($($symbol:ident => $rule:ident, $kernel:expr, $armed:expr;)*) => {
        $(
            /// libc's function of this name.
            ///
            /// # Safety
            /// As libc's.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
                static NEXT: Next = Next::unknown();
                let handed_on = |rule: RuleId| state::handed_on(&state::SYMBOLS_HANDED_ON, rule.slot());
                if handed_on(RuleId::Signals) && handed_on(RuleId::$rule) {
                    if let Some(next) = NEXT.known() {
                        // SAFETY: the caller's own call, to whom it would have gone without us.
                        return unsafe { next(a, b, c, d, e, f) };
                    }
                }
                let native = Native { next: &NEXT, name: stringify!($symbol).as_bytes() };
                by_rule_slow(RuleId::$rule, &native, [a, b, c, d, e, f], $kernel, $armed)
            }
        )*
    };
}

rule_doors! {
    epoll_pwait => EpollPwait, |[a, b, c, d, e, _]| [a, b, c, d, e, 8], |args, work| calls::with_set(args, 4, work);
    epoll_pwait2 => EpollPwait2, |[a, b, c, d, e, _]| [a, b, c, d, e, 8], |args, work| calls::with_set(args, 4, work);
    signalfd => Signalfd4, |[fd, mask, flags, ..]| [fd, mask, 8, flags, 0, 0], |args, work| calls::without_segv(args, work);
}
