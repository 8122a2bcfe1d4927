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
        let doors = &state::SYMBOLS_HANDED_ON;
        let known = state::handed_on(doors, rule.slot()) || state::answers(doors, rule);
        if start::ready() && !known {
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

/// libc's `sched_getaffinity(3)`: 0, and the rest of the mask is cleared, where the system call gives the bytes.
#[unsafe(no_mangle)]
pub extern "C" fn sched_getaffinity(thread: usize, size: usize, mask: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let args = [thread, size, mask, 0, 0, 0];
    let result = door(RuleId::SchedGetaffinity, &NEXT, b"sched_getaffinity", args, args);
    if result <= 0 {
        return result;
    }
    let mut at = result as usize;
    while at < size {
        let zeros = [0u8; 64];
        let part = zeros.get(..(size - at).min(64)).unwrap_or(&[]);
        if memory::write(User(mask).at(at), part).is_err() {
            break;
        }
        at += part.len();
    }
    0
}

/// libc's `clock_nanosleep(3)` gives the error number, and leaves errno alone.
#[unsafe(no_mangle)]
pub extern "C" fn clock_nanosleep(clock: usize, flags: usize, request: usize, remain: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let args = [clock, flags, request, remain, 0, 0];
    let errno_before = errno::get();
    let native = || match NEXT.find(b"clock_nanosleep") {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => -(unsafe { function(clock, flags, request, remain, 0, 0) } as i32 as isize),
        None => raw(RuleId::ClockNanosleep, args),
    };
    let result = dispatch(RuleId::ClockNanosleep, args, &state::SYMBOLS_HANDED_ON, native);
    errno::set(errno_before);
    -result
}

/// libc's `nanosleep(3)`, which is a clock_nanosleep(2) since glibc 2.31.
#[unsafe(no_mangle)]
pub extern "C" fn nanosleep(request: usize, remain: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let args = [libc::CLOCK_REALTIME as usize, 0, request, remain, 0, 0];
    door(RuleId::ClockNanosleep, &NEXT, b"nanosleep", [request, remain, 0, 0, 0, 0], args)
}

/// libc's `usleep(3)`: microseconds.
#[unsafe(no_mangle)]
pub extern "C" fn usleep(time: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let microseconds = i64::from(time as u32);
    let request = [microseconds / 1_000_000, microseconds % 1_000_000 * 1000];
    let args = [libc::CLOCK_REALTIME as usize, 0, request.as_ptr() as usize, 0, 0, 0];
    door(RuleId::ClockNanosleep, &NEXT, b"usleep", [time, 0, 0, 0, 0, 0], args)
}

/// libc's `sleep(3)`: the seconds that were left when a signal came. Where the host refuses, all are, and errno
/// alone tells.
#[unsafe(no_mangle)]
pub extern "C" fn sleep(time: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let mut request = [i64::from(time as u32), 0];
    let address = request.as_mut_ptr() as usize;
    let args = [libc::CLOCK_REALTIME as usize, 0, address, address, 0, 0];
    let errno_before = errno::get();
    let native = || match NEXT.find(b"sleep") {
        Some(function) => {
            errno::set(0);
            // SAFETY: the caller's own call, to whom it would have gone without us.
            let left = unsafe { function(time, 0, 0, 0, 0, 0) } as u32;
            let error = errno::get();
            errno::set(if error == 0 || error == libc::EINVAL { errno_before } else { error });
            if left != 0 && error == libc::EINVAL { -(libc::EINVAL as isize) } else { left as isize }
        }
        None => raw(RuleId::ClockNanosleep, args),
    };
    let result = dispatch(RuleId::ClockNanosleep, args, &state::SYMBOLS_HANDED_ON, native);
    // SAFETY: our own array, in which the kernel has written what is left.
    let [left, _] = unsafe { (&raw const request).read_volatile() };
    if result < 0 { left as u32 as isize } else { result }
}
