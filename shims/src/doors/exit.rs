//! `_exit` and `_Exit`: the last moment for the log's summary.

use crate::arch;
use crate::logging;
use crate::next::Next;
use crate::start;

/// The log's summary, if one was asked for.
pub fn summary() {
    if start::ready() {
        logging::summary();
    }
}

fn leave(next: &Next, name: &[u8], status: usize) -> ! {
    summary();
    if let Some(function) = next.find(name) {
        // SAFETY: libc's function of this name, which takes the status.
        unsafe { function(status, 0, 0, 0, 0, 0) };
    }
    loop {
        // SAFETY: ends the process.
        unsafe { arch::syscall(libc::SYS_exit_group as usize, [status, 0, 0, 0, 0, 0]) };
    }
}

/// libc's `_exit(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn _exit(status: usize) -> ! {
    static NEXT: Next = Next::unknown();
    leave(&NEXT, b"_exit", status)
}

/// C99's name for the same.
#[unsafe(no_mangle)]
pub extern "C" fn _Exit(status: usize) -> ! {
    static NEXT: Next = Next::unknown();
    leave(&NEXT, b"_Exit", status)
}
