//! The handlers: each carries one rule out with raw system calls, in the kernel's convention.

mod attributes;
mod clock;
mod descriptor_paths;
mod events;
mod filesystems;
mod kernel_symbols;
mod memfd;
mod modules;
mod mounts;
pub mod nofile;
mod openat2;
mod paths;
mod statx;
mod streams;
mod sysctl;
mod times;
mod uselib;
mod walk;

use crate::dispatch::Call;
use evercall_rules::packed::RuleId;

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
