//! `prctl`: the one libc function by which a program installs a seccomp filter of its own (seccomp(2) has
//! none, and comes through `syscall()`). Five registers are read, whatever the option.

use super::{as_kernel, finish};
use crate::errno;
use crate::next::Next;
use crate::seccomp::own;
use crate::sys;

/// libc's `prctl(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn prctl(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let args = [a, b, c, d, e, f];
    if !own::would_install(libc::SYS_prctl as usize, &args) {
        if let Some(next) = NEXT.find(b"prctl") {
            // SAFETY: the caller's own call, to whom it would have gone without us.
            return unsafe { next(a, b, c, d, e, f) };
        }
    }
    let errno_before = errno::get();
    let native = || match NEXT.find(b"prctl") {
        // SAFETY: as above.
        Some(next) => unsafe { as_kernel(next, args) },
        None => sys::call(libc::SYS_prctl, args),
    };
    finish(own::watched(libc::SYS_prctl as usize, &args, native), errno_before)
}
