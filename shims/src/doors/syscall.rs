//! `long syscall(long number, ...)`: any system call by its number. The quick side stands in
//! `arch/x86_64_doors.rs`; here is the slow one.

use super::{exec, exit, finish, paths};
use crate::arch;
use crate::dispatch::dispatch;
use crate::environment::File;
use crate::errno;
use crate::file_rules;
use crate::next::{Function, Next};
use crate::seccomp::own;
use crate::signals;
use crate::start;
use crate::state;
use crate::sys::User;
use core::mem::transmute;
use evercall_rules::packed::RuleId;

/// libc's own.
pub static NEXT: Next = Next::unknown();

type Syscall = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize) -> isize;

/// The slow side of the door.
///
/// # Safety
/// `call` is the address of the number and the six arguments.
pub unsafe extern "C" fn slow(call: *const [usize; 7]) -> isize {
    // SAFETY: the caller's promise.
    let [number, args @ ..] = unsafe { *call };
    let errno_before = errno::get();
    let result = match number as i64 {
        libc::SYS_execve | libc::SYS_execveat => exec_call(number, args),
        libc::SYS_exit_group => {
            exit::summary();
            native(number, args)
        }
        libc::SYS_prctl | libc::SYS_seccomp => own::watched(number, &args, || by_rule(number, args)),
        _ if file_rules::NUMBERS.contains(&(number as i64)) => path_call(number, args),
        _ => by_rule(number, args),
    };
    finish(result, errno_before)
}

/// Apart, so that other calls do not pay its stack.
#[inline(never)]
fn exec_call(number: usize, args: [usize; 6]) -> isize {
    let native = |args| native(number, args);
    if number as i64 == libc::SYS_execve {
        return exec::with_kept(File::at(User(args[0])), args, 2, native);
    }
    exec::execveat_by(args, native)
}

/// A call of a path: the host first, by its rule if the number has one, then the file rules. That the host answers the
/// number is kept apart, so that the next such call comes here too.
#[inline(never)]
fn path_call(number: usize, args: [usize; 6]) -> isize {
    let native = || native(number, args);
    let answer = match RuleId::of_number(number) {
        Some(rule) => dispatch(rule, args, &state::PATHS_HANDED_ON, native),
        None => native(),
    };
    paths::answered(number, &args, answer)
}

/// A call by the rule of its number, if it has one.
fn by_rule(number: usize, args: [usize; 6]) -> isize {
    match RuleId::of_number(number) {
        // The program's view of signals first: the rule gets the kernel's.
        Some(rule) if start::ready() && signals::keeps(number) => {
            let work = |args| dispatch(rule, args, &state::HANDED_ON, || native(number, args));
            signals::calls::by_number(number, args, work).unwrap_or_else(|| work(args))
        }
        Some(rule) => dispatch(rule, args, &state::HANDED_ON, || native(number, args)),
        None => signal_call(number, args),
    }
}

/// A call that may carry signals, which matter while our handler stands.
fn signal_call(number: usize, args: [usize; 6]) -> isize {
    let native = |args| native(number, args);
    if start::ready() && signals::armed() {
        if let Some(result) = signals::calls::by_number(number, args, native) {
            return result;
        }
    }
    native(args)
}

/// The call by the next definition, in the kernel's convention.
fn native(number: usize, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    match NEXT.find(b"syscall") {
        Some(function) => {
            // SAFETY: `syscall` is variadic: it reads the arguments where a function of seven has them.
            let result = unsafe { transmute::<Function, Syscall>(function)(number, a, b, c, d, e, f) };
            // uClibc 0.9.33 gives an int: its -1 comes without the upper half.
            let failed = result == -1 || result == u32::MAX as isize;
            if failed { -(errno::get() as isize) } else { result }
        }
        // SAFETY: the program's own call with the program's own arguments.
        None => unsafe { arch::syscall(number, args) },
    }
}
