//! Doors of paths and attributes whose arguments differ from the system call's, or whose libc does not ask
//! the kernel every time.

use super::by_hand::{door, kernel_first};
use super::paths::{apart, as_kernel_said, from, is_done};
use super::{as_kernel, by_rule, finish};
use crate::dispatch::{dispatch, raw};
use crate::errno;
use crate::file_rules;
use crate::next::{Function, Next};
use crate::state;
use evercall_rules::packed::RuleId;

const EINVAL: isize = -(libc::EINVAL as isize);
const ENOSYS: isize = -(libc::ENOSYS as isize);

/// `futimens(3)`: utimensat without a path.
#[unsafe(no_mangle)]
pub extern "C" fn futimens(fd: usize, times: usize) -> isize {
    static NEXT: Next = Next::unknown();
    door(RuleId::Utimensat, &NEXT, b"futimens", [fd, times, 0, 0, 0, 0], [fd, 0, times, 0, 0, 0])
}

/// `statx`: glibc does without the system call where it is missing, less well than the rule does: it writes to a
/// bad address, and takes no flag for synchronising.
#[unsafe(no_mangle)]
pub extern "C" fn statx(folder: usize, path: usize, flags: usize, mask: usize, to: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let (rule, args) = (RuleId::Statx, [folder, path, flags, mask, to, 0]);
    let errno_before = errno::get();
    let answer = match handed_on(rule, &NEXT) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { function(folder, path, flags, mask, to, 0) as i32 as isize },
        None => apart(move || asked_twice(rule, &NEXT, b"statx", args, args)),
    };
    // SAFETY: the call was made with this path just now.
    unsafe {
        then(answer, [folder, path], errno_before, move |answer| {
            file_rules::stated_more(folder, path, mask, to, answer)
        })
    }
}

/// What a file rule makes of the answer to a call of a path: a failure, or one from a folder on, which may be ours.
///
/// # Safety
/// The call was made with this path just now.
#[inline(always)]
unsafe fn then(
    answer: isize,
    [folder, path]: [usize; 2],
    errno_before: i32,
    rule: impl FnOnce(isize) -> isize,
) -> isize {
    // SAFETY: the caller's promise.
    if unsafe { is_done(answer, path, from(folder)) } {
        return answer;
    }
    apart(move || finish(rule(as_kernel_said(answer)), errno_before))
}

/// The next definition, where the host is known to have the rule's call: without the rule's way, and its cost.
#[inline(always)]
fn handed_on(rule: RuleId, next: &Next) -> Option<Function> {
    if state::handed_on(&state::SYMBOLS_HANDED_ON, rule.slot()) { next.known() } else { None }
}

/// `access`: its own rule, then the file rules.
#[unsafe(no_mangle)]
pub extern "C" fn access(path: usize, mode: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let args = [path, mode, 0, 0, 0, 0];
    let answer = match handed_on(RuleId::Access, &NEXT) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { function(path, mode, 0, 0, 0, 0) as i32 as isize },
        None => apart(move || door(RuleId::Access, &NEXT, b"access", args, args)),
    };
    let here = libc::AT_FDCWD as usize;
    // SAFETY: the call was made with this path just now.
    unsafe {
        then(answer, [here, path], errno_before, move |answer| file_rules::accessed(here, path, mode, answer))
    }
}

/// `faccessat`: without flags an older libc makes the older call, and a newer one falls back on it by itself
/// unless a filter answers EPERM. With flags as statx: glibc knows no AT_EMPTY_PATH then.
#[unsafe(no_mangle)]
pub extern "C" fn faccessat(folder: usize, path: usize, mode: usize, flags: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let answer = access_at(&NEXT, folder, path, mode, flags);
    // SAFETY: the call was made with this path just now.
    unsafe {
        then(answer, [folder, path], errno_before, move |answer| {
            file_rules::accessed(folder, path, mode, answer)
        })
    }
}

fn access_at(next: &Next, folder: usize, path: usize, mode: usize, flags: usize) -> isize {
    let (rule, args) = (RuleId::Faccessat2, [folder, path, mode, flags, 0, 0]);
    if flags as u32 == 0 && !state::acts(rule) {
        let errno_before = errno::get();
        let answer = older(next, b"faccessat", args, libc::SYS_faccessat);
        if answer != -1 || errno::get() != libc::EPERM {
            return answer;
        }
        errno::set(errno_before);
    }
    asked_twice(rule, next, b"faccessat", args, args)
}

macro_rules! effective_door {
    ($symbol:ident) => {
        /// `euidaccess(3)`: faccessat2 with AT_EACCESS.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(path: usize, mode: usize) -> isize {
            static NEXT: Next = Next::unknown();
            let args = [libc::AT_FDCWD as usize, path, mode, libc::AT_EACCESS as usize, 0, 0];
            let own = [path, mode, 0, 0, 0, 0];
            let errno_before = errno::get();
            let answer = asked_twice(RuleId::Faccessat2, &NEXT, stringify!($symbol).as_bytes(), own, args);
            // SAFETY: the call was made with this path just now.
            unsafe {
                then(answer, [args[0], path], errno_before, move |answer| {
                    file_rules::accessed(args[0], path, mode, answer)
                })
            }
        }
    };
}

effective_door!(euidaccess);
effective_door!(eaccess);

/// `fchmodat(3)`: without flags libc makes the older call, which says nothing of the newer one.
#[unsafe(no_mangle)]
pub extern "C" fn fchmodat(folder: usize, path: usize, mode: usize, flags: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let args = [folder, path, mode, flags, 0, 0];
    if flags as u32 == 0 {
        return older(&NEXT, b"fchmodat", args, libc::SYS_fchmodat);
    }
    door(RuleId::Fchmodat2, &NEXT, b"fchmodat", args, args)
}

/// `renameat2`: glibc answers EINVAL where the kernel said ENOSYS, and makes the older call without flags.
#[unsafe(no_mangle)]
pub extern "C" fn renameat2(from: usize, old: usize, to: usize, new: usize, flags: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let rule = RuleId::Renameat2;
    let args = [from, old, to, new, flags, 0];
    if flags as u32 == 0 {
        return older(&NEXT, b"renameat2", args, libc::SYS_renameat);
    }
    let errno_before = errno::get();
    let native = || match NEXT.find(b"renameat2") {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => match unsafe { by_rule(rule, function, args) } {
            // What the kernel refuses for its arguments, it refuses again.
            EINVAL if raw(rule, args) == ENOSYS => ENOSYS,
            answer => answer,
        },
        None => raw(rule, args),
    };
    finish(dispatch(rule, args, &state::SYMBOLS_HANDED_ON, native), errno_before)
}

/// A door of a function that changes nothing, whose libc does without the system call where it is missing: the
/// kernel is asked the program's own question.
fn asked_twice(rule: RuleId, next: &Next, name: &[u8], own: [usize; 6], args: [usize; 6]) -> isize {
    kernel_first(rule, next, name, own, args, || raw(rule, args))
}

/// The next definition, or the older call where there is none.
fn older(next: &Next, name: &[u8], args: [usize; 6], number: i64) -> isize {
    let errno_before = errno::get();
    let answer = match next.find(name) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { as_kernel(function, args) },
        None => crate::sys::call(number, args),
    };
    finish(answer, errno_before)
}
