//! The handlers: each carries one rule out with raw system calls, in the kernel's convention.

mod alternate_stack;
mod async_io;
mod attributes;
mod clock;
mod clone;
mod copy;
mod descriptor_paths;
mod descriptors;
mod events;
mod filesystems;
mod futexes;
mod kernel_symbols;
mod limits;
mod machine;
mod memfd;
mod memory_calls;
mod messages;
mod module_files;
mod modules;
mod mounts;
pub mod nofile;
mod openat2;
mod paths;
mod personality;
mod random;
mod remap;
mod scheduling;
mod security;
mod sendfile;
mod sleep;
mod splice;
mod statx;
mod streams;
mod superseded;
mod superseded_paths;
mod superseded_processes;
pub mod superseded_times;
mod superseded_waits;
mod sync;
mod sysctl;
mod times;
mod uselib;
mod vectors;
mod walk;

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
                $(RuleId::$rule => {
                    // Apart, so that no call pays the stack of another's handler.
                    #[inline(never)]
                    fn apart(call: &mut Call<'_>) -> isize {
                        $file::$function(call)
                    }
                    apart(call)
                })*
                // Rules that act at start, and exec, have doors of their own and no handler.
                _ => -(libc::ENOSYS as isize),
            }
        }
    };
}

evercall_rules::handlers!(run);
