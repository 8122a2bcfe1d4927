//! Doors of shm_open(3) and sem_open(3), whose libc opens files under /dev/shm inside itself: the next definition first,
//! and where there is no such folder, one of our own.

use crate::errno;
use crate::logging;
use crate::next::{Function, Next};
use crate::shared_memory;
use crate::start;
use crate::state;
use crate::sys::{self, Errno, Result, User};
use core::mem::transmute;
use evercall_rules::packed::RuleId;

const RULE: RuleId = RuleId::SharedMemory;

/// Whether an errno may mean that the folder is missing, and it is; or the rule is forced.
fn acts(error: i32) -> bool {
    start::ready()
        && !state::handed_on(&state::SYMBOLS_HANDED_ON, RULE.slot())
        && (state::acts(RULE)
            || (matches!(error, libc::ENOENT | libc::ENOSYS | libc::ENOTDIR) && shared_memory::is_missing()))
}

/// What the next definition answers, -1 with errno ENOSYS where there is none.
fn native(next: &Next, name: &[u8], [a, b, c, d]: [usize; 4]) -> isize {
    match next.find(name) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { function(a, b, c, d, 0, 0) },
        None => {
            errno::set(libc::ENOSYS);
            -1
        }
    }
}

/// Ends a door: the log, errno, and the value.
fn ended(name: usize, flags: usize, result: Result<usize>, errno_before: i32) -> Option<usize> {
    if logging::is_on() {
        let shown = match result {
            // An address says nothing.
            Ok(value) if value > u32::MAX as usize => 0,
            result => sys::result(result),
        };
        logging::translated(RULE, &[name, flags, 0, 0, 0, 0], b"in a folder under /tmp", shown);
    }
    match result {
        Ok(value) => {
            errno::set(errno_before);
            Some(value)
        }
        Err(Errno(error)) => {
            errno::set(error);
            None
        }
    }
}

/// shm_open(3).
#[unsafe(no_mangle)]
pub extern "C" fn shm_open(name: usize, flags: i32, mode: u32) -> i32 {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    if !state::acts(RULE) {
        let answer = native(&NEXT, b"shm_open", [name, flags as usize, mode as usize, 0]) as i32;
        if answer != -1 || !acts(errno::get()) {
            return answer;
        }
    }
    let result = shared_memory::open(User(name), flags, mode).map(|fd| fd as usize);
    ended(name, flags as usize, result, errno_before).map_or(-1, |fd| fd as i32)
}

macro_rules! unlink_door {
    ($symbol:ident, $prefix:literal) => {
        /// Takes a name away.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(name: usize) -> i32 {
            static NEXT: Next = Next::unknown();
            let errno_before = errno::get();
            if !state::acts(RULE) {
                let answer = native(&NEXT, stringify!($symbol).as_bytes(), [name, 0, 0, 0]) as i32;
                if answer != -1 || !acts(errno::get()) {
                    return answer;
                }
            }
            let result = shared_memory::unlink($prefix, User(name));
            ended(name, 0, result, errno_before).map_or(-1, |_| 0)
        }
    };
}

unlink_door!(shm_unlink, b"");
unlink_door!(sem_unlink, b"sem.");

/// sem_open(3), variadic: mode and value stand where a function of four has them. NULL is its failure.
#[unsafe(no_mangle)]
pub extern "C" fn sem_open(name: usize, flags: i32, mode: u32, value: u32) -> usize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    if !state::acts(RULE) {
        let args = [name, flags as usize, mode as usize, value as usize];
        let answer = native(&NEXT, b"sem_open", args);
        if !matches!(answer, 0 | -1) || !acts(errno::get()) {
            return if answer == -1 { 0 } else { answer as usize };
        }
    }
    let result = shared_memory::open_semaphore(User(name), flags, mode, value, init);
    ended(name, flags as usize, result, errno_before).unwrap_or(0)
}

/// libc's sem_init(3) of a semaphore that processes share: what is in it is libc's own affair. ENOSYS without one.
fn init(address: usize, value: u32) -> Result<()> {
    static INIT: Next = Next::unknown();
    type Init = unsafe extern "C" fn(usize, i32, u32) -> i32;
    let function = INIT.find(b"sem_init").ok_or(Errno(libc::ENOSYS))?;
    // SAFETY: sem_init has these arguments; the address is a fresh map of a sem_t's size.
    let result = unsafe { transmute::<Function, Init>(function)(address, 1, value) };
    if result == 0 { Ok(()) } else { Err(Errno(errno::get())) }
}

/// sem_close(3).
#[unsafe(no_mangle)]
pub extern "C" fn sem_close(semaphore: usize) -> i32 {
    static NEXT: Next = Next::unknown();
    if shared_memory::close_semaphore(semaphore) {
        return 0;
    }
    native(&NEXT, b"sem_close", [semaphore, 0, 0, 0]) as i32
}
