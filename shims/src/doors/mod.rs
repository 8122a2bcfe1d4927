//! The doors: exported symbols. They hold no logic: a call goes to dispatch and its result back in the
//! caller's convention, or the call goes to the next definition of the symbol.

#[cfg(not(test))]
mod by_hand;
#[cfg(not(test))]
mod descriptors;
#[cfg(not(test))]
pub mod exec;
#[cfg(not(test))]
pub mod exec_at;
#[cfg(not(test))]
mod exit;
#[cfg(not(test))]
mod files;
#[cfg(not(test))]
mod folders;
#[cfg(not(test))]
mod machine;
#[cfg(not(test))]
mod own_filter;
#[cfg(not(test))]
mod paths;
#[cfg(not(test))]
mod shared_memory;
#[cfg(not(test))]
mod signals;
#[cfg(not(test))]
mod streams;
#[cfg(not(test))]
mod symbols;
#[cfg(not(test))]
pub mod syscall;
#[cfg(not(test))]
mod time;

use crate::errno;
use crate::next::Function;
use evercall_rules::packed::RuleId;

/// A libc function's result in the kernel's convention, if it returns a C `int`, whose upper half is not
/// defined.
///
/// # Safety
/// `function` takes these arguments.
unsafe fn as_kernel(function: Function, a: [usize; 6]) -> isize {
    // SAFETY: the caller's promise.
    let result = unsafe { function(a[0], a[1], a[2], a[3], a[4], a[5]) } as i32;
    if result == -1 { -(errno::get() as isize) } else { result as isize }
}

/// The same of a rule's function, which may return a `long`.
///
/// # Safety
/// `function` takes these arguments.
unsafe fn by_rule(rule: RuleId, function: Function, a: [usize; 6]) -> isize {
    if !rule.is_wide() {
        // SAFETY: the caller's promise.
        return unsafe { as_kernel(function, a) };
    }
    // SAFETY: the caller's promise.
    unsafe { as_wide(function, a) }
}

/// The same of a libc function that returns a `long` or `ssize_t`.
///
/// # Safety
/// `function` takes these arguments.
unsafe fn as_wide(function: Function, a: [usize; 6]) -> isize {
    // SAFETY: the caller's promise.
    let result = unsafe { function(a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result == -1 { -(errno::get() as isize) } else { result }
}

/// Ends a door: a kernel result in libc's convention. A success leaves errno as it was before.
fn finish(result: isize, errno_before: i32) -> isize {
    let result = errno::from_kernel(result);
    if result != -1 {
        errno::set(errno_before);
    }
    result
}
