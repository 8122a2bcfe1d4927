//! Doors of libc functions whose arguments differ from the system call's.

use super::{by_rule, finish};
use crate::dispatch::{dispatch, raw};
use crate::errno;
use crate::memory;
use crate::next::{self, Next};
use crate::probe;
use crate::start;
use crate::state;
use crate::sys::User;
use evercall_rules::packed::RuleId;

/// A door whose next definition takes `own`, and whose system call takes `args`.
pub(super) fn door(rule: RuleId, next: &Next, name: &[u8], own: [usize; 6], args: [usize; 6]) -> isize {
    let errno_before = errno::get();
    let native = || match next.find(name) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { by_rule(rule, function, own) },
        None => raw(rule, args),
    };
    finish(dispatch(rule, args, &state::SYMBOLS_HANDED_ON, native), errno_before)
}

/// A door whose libc does without the system call where it is missing, less well than the rule: until the kernel
/// has answered it is asked itself, by `question`, before libc is.
pub(super) fn kernel_first(
    rule: RuleId,
    next: &Next,
    name: &[u8],
    own: [usize; 6],
    args: [usize; 6],
    question: impl Fn() -> isize,
) -> isize {
    let errno_before = errno::get();
    let native = || {
        let Some(function) = next.find(name) else { return raw(rule, args) };
        if start::ready() && !state::handed_on(&state::SYMBOLS_HANDED_ON, rule.slot()) {
            let answer = question();
            if probe::may_be_refused(answer) {
                return answer;
            }
        }
        // SAFETY: the caller's own call, to whom it would have gone without us.
        unsafe { by_rule(rule, function, own) }
    };
    finish(dispatch(rule, args, &state::SYMBOLS_HANDED_ON, native), errno_before)
}

macro_rules! sysctl_door {
    ($symbol:ident) => {
        /// glibc's `sysctl(3)` of before 2.32: the six arguments become one struct.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(
            name: usize,
            length: usize,
            old: usize,
            old_length: usize,
            new: usize,
            new_length: usize,
        ) -> isize {
            static NEXT: Next = Next::unknown();
            let own = [name, length, old, old_length, new, new_length];
            // `struct __sysctl_args` (linux/sysctl.h): nlen is an int, four words are spare.
            let packed = [name, length as u32 as usize, old, old_length, new, new_length, 0, 0, 0, 0];
            let args = [packed.as_ptr() as usize, 0, 0, 0, 0, 0];
            door(RuleId::Sysctl, &NEXT, stringify!($symbol).as_bytes(), own, args)
        }
    };
}

sysctl_door!(sysctl);
sysctl_door!(__sysctl);

macro_rules! select_door {
    ($symbol:ident) => {
        /// libc's `select(2)`. musl's leaves the program's time as it is: the rule gets a copy of it there.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(
            count: usize,
            read: usize,
            write: usize,
            except: usize,
            time: usize,
        ) -> isize {
            static NEXT: Next = Next::unknown();
            if state::handed_on(&state::SYMBOLS_HANDED_ON, RuleId::Select.slot()) {
                if let Some(next) = NEXT.known() {
                    // SAFETY: the caller's own call, to whom it would have gone without us.
                    return unsafe { next(count, read, write, except, time, 0) };
                }
            }
            let own = [count, read, write, except, time, 0];
            let mut args = own;
            let mut copy =
                if time != 0 && libc_keeps_time() { memory::get::<[i64; 2]>(User(time)).ok() } else { None };
            if let ([.., last, _], Some(copy)) = (&mut args, &mut copy) {
                *last = copy.as_mut_ptr() as usize;
            }
            door(RuleId::Select, &NEXT, stringify!($symbol).as_bytes(), own, args)
        }
    };
}

select_door!(select);
select_door!(__select);

/// Whether the libc is musl.
fn libc_keeps_time() -> bool {
    static GLIBC: Next = Next::unknown();
    GLIBC.find(b"gnu_get_libc_version").is_none() && !next::is_uclibc()
}

/// `poll` as fortified programs call it, with the list's size in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn __poll_chk(list: usize, count: usize, timeout: usize, size: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let own = [list, count, timeout, size, 0, 0];
    if count > size / size_of::<libc::pollfd>() {
        // More than there is room for: libc ends the program.
        if let Some(next) = NEXT.find(b"__poll_chk") {
            // SAFETY: the caller's own call, to whom it would have gone without us.
            return unsafe { next(list, count, timeout, size, 0, 0) };
        }
    }
    door(RuleId::Poll, &NEXT, b"__poll_chk", own, [list, count, timeout, 0, 0, 0])
}

macro_rules! message_door {
    ($symbol:ident => $rule:ident, $args:expr) => {
        /// STREAMS without bands: the band argument of the system call is missing.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(fd: usize, control: usize, data: usize, flags: usize) -> isize {
            static NEXT: Next = Next::unknown();
            let build: fn(usize, usize, usize, usize) -> [usize; 6] = $args;
            let own = [fd, control, data, flags, 0, 0];
            let args = build(fd, control, data, flags);
            door(RuleId::$rule, &NEXT, stringify!($symbol).as_bytes(), own, args)
        }
    };
}

message_door!(getmsg => Getpmsg, |fd, control, data, flags| [fd, control, data, 0, flags, 0]);
message_door!(putmsg => Putpmsg, |fd, control, data, flags| [fd, control, data, usize::MAX, flags, 0]);
