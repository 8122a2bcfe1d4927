//! Raw system calls with Rust's types. Buffers are slices; an address of the program is a [`User`] and
//! goes to the kernel unread.

use crate::arch::syscall;
use libc::{SYS_close, c_int};

/// An error number of errno(3), positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a system call gave.
pub type Result<T> = core::result::Result<T, Errno>;

/// An address the program gave us: never read or written by us, only handed to the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct User(pub usize);

impl User {
    /// NULL.
    pub const NULL: User = User(0);

    /// The address some bytes further on.
    pub fn at(self, offset: usize) -> User {
        User(self.0.wrapping_add(offset))
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// Splits a kernel result into value and errno.
pub fn check(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// Back to the kernel's convention.
pub fn result(result: Result<usize>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(Errno(errno)) => -(errno as isize),
    }
}

/// A system call that passes numbers, and addresses that the program gave.
///
/// The program's own memory is all it can change, as the program itself could by the same call.
pub fn call(number: i64, args: [usize; 6]) -> isize {
    // SAFETY: no address of ours is among the arguments: callers in this crate pass `User` addresses
    // and integers; what needs a slice has a wrapper below.
    unsafe { syscall(number as usize, args) }
}

macro_rules! ask {
    ($number:expr $(, $arg:expr)* $(,)?) => {{
        let mut args = [0usize; 6];
        let mut rest = args.iter_mut();
        $( if let Some(slot) = rest.next() { *slot = $arg as usize; } )*
        let _ = rest;
        // SAFETY: the wrapper around this passes the address and length of a live slice or struct.
        check(unsafe { syscall($number as usize, args) })
    }};
}

// Behind the macro, which they use.
mod files;
mod maps;
mod process;
mod signals;

pub use files::*;
pub use maps::*;
pub use process::*;
pub use signals::*;

/// A descriptor that is closed when dropped.
pub struct Fd(pub c_int);

impl Drop for Fd {
    fn drop(&mut self) {
        call(SYS_close, [self.0 as usize, 0, 0, 0, 0, 0]);
    }
}

impl Fd {
    /// Gives the number away unclosed.
    pub fn into_raw(self) -> c_int {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: used below with C structs of integers only, for which all bits zero is a value.
    unsafe { core::mem::zeroed() }
}
