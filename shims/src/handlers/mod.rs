//! The handlers: each carries one rule out with raw system calls, in the kernel's convention.

mod async_io;
mod clock;
mod clone;
mod events;
mod filesystems;
mod kernel_symbols;
mod limits;
mod memory_calls;
mod module_files;
mod modules;
mod mounts;
pub mod nofile;
mod scheduling;
mod security;
mod streams;
mod superseded;
mod sysctl;
mod uselib;

use crate::dispatch::Call;
use evercall_rules::packed::RuleId;

/// Whether a call is told to the log before it is carried out: what a line takes may be forbidden after it.
pub fn told_before(rule: RuleId, args: &[usize; 6]) -> bool {
    matches!(rule, RuleId::Seccomp) && security::mode(args).is_some()
}

macro_rules! run {
    ($($rule:ident => $file:ident :: $function:ident,)*) => {
        /// Carries a call out by its rule's handler: a result, or -errno.
        pub fn run(call: &mut Call<'_>) -> isize {
            match call.rule {
                $(RuleId::$rule => $file::$function(call),)*
                // Rules that act at start, and exec, have doors of their own and no handler.
                _ => -(libc::ENOSYS as isize),
            }
        }
    };
}

evercall_rules::handlers!(run);
