//! What depends on the architecture: the raw system call, entry points, weak references.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64_entry;

#[cfg(target_arch = "x86_64")]
mod x86_64_signals;
#[cfg(target_arch = "x86_64")]
pub use x86_64_signals::*;

#[cfg(target_arch = "x86_64")]
mod x86_64_doors;
#[cfg(target_arch = "x86_64")]
pub use x86_64_doors::{on_stack, with_stack};
