//! The table of evercall: every system call that Linux has or ever had on x86-64 and i386, and the rules
//! that keep the old ones working.
//!
//! The rows stand in `table/**/*.toml`; the build script compiles them into const arrays. Nothing is
//! parsed at run time. [`table`] has them with plain strings, for the command; [`packed`] without a
//! single pointer, for the shim: a pointer in a shared object is a relocation in every exec.
#![no_std]

mod ending;
pub mod packed;
pub mod section;
pub mod table;

include!(concat!(env!("OUT_DIR"), "/macros.rs"));

/// What makes a rule act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The kernel has no such call, or a seccomp filter refuses it. Asked natively first, once; each time where
    /// the rule also acts on some of its answers.
    Absent,
    /// The call exists but answers otherwise than it used to. Asked natively each time.
    Result,
    /// The handler decides by the arguments, before the native call.
    Match,
    /// Acts once, when the shim is loaded.
    Start,
}

/// How true a translation is to the kernel's own answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fidelity {
    /// Same results as the kernel.
    Exact,
    /// Differs as the rule's `difference` says.
    Partial,
    /// No honest translation exists: the errno of a kernel without the call.
    Refuse,
    /// A write accepted and dropped; only where asked for, and always logged.
    Pretend,
}

/// How the log shows an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentKind {
    /// A C `int`, decimal.
    Int,
    /// An unsigned size in bytes, decimal.
    Size,
    /// A bit set or another number read in hexadecimal.
    Hex,
    /// An address; 0 is shown as NULL.
    Pointer,
    /// The address of a NUL-terminated string, shown quoted and cut.
    String,
    /// A `dev_t` in the kernel's 32-bit form, shown as major:minor.
    Device,
    /// The address of a `struct __sysctl_args`, shown with its name vector.
    Sysctl,
}
