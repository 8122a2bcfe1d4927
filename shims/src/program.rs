//! Which program this is, for the sections of the configuration file.

use crate::start::EXEC_PATH;
use core::ffi::CStr;
pub use evercall_rules::section::{is_meant, name};

/// The path by which the program was executed (of a script: the script's); empty where nobody tells.
pub fn path() -> &'static [u8] {
    match EXEC_PATH.get() {
        0 => b"",
        // SAFETY: AT_EXECFN is a string above the first stack, which the kernel laid.
        address => unsafe { CStr::from_ptr(address as *const core::ffi::c_char) }.to_bytes(),
    }
}
