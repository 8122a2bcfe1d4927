//! `libevercall.so`: catches the system calls that the host no longer answers, or does not answer yet,
//! and carries them out with what the host has.
//!
//! The one way of a call: door -> dispatch -> trigger -> handler -> log -> door. Doors hold no logic,
//! handlers know no door. The laws of everything here: no allocation, no libc call but the errno
//! address, no panic, no lock, and usable before `main`, in a signal handler, in a vfork child and
//! without the constructor ever having run.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(dead_code, reason = "the doors, which use most of it, are not in unit tests"))]

mod arch;
mod cgroup_group;
mod dispatch;
mod doors;
mod elf;
mod environment;
mod errno;
mod file_rules;
mod files;
mod handlers;
mod interpreter;
mod late;
mod logging;
mod memory;
mod next;
mod owner;
mod probe;
mod program;
mod resources;
mod seccomp;
mod settings;
mod shared_memory;
mod signals;
mod start;
mod state;
mod static_exec;
mod sys;
mod text;
mod vdso;
mod vsyscall;

/// Never linked in: a panic path left in the code leaves this symbol undefined, and the link fails.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn evercall_has_a_panic_path() -> !;
    }
    // SAFETY: never reached; the symbol does not exist.
    unsafe { evercall_has_a_panic_path() }
}
