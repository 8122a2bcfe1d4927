//! The C library's errno: the one thing of a libc that the shim touches.

use crate::arch;

fn location() -> Option<*mut i32> {
    let function = arch::errno_location();
    if function == 0 {
        return None;
    }
    // SAFETY: the weak symbol is libc's `int *__errno_location(void)`, async-signal-safe everywhere.
    Some(unsafe { core::mem::transmute::<usize, extern "C" fn() -> *mut i32>(function)() })
}

/// This thread's errno; 0 without a libc.
pub fn get() -> i32 {
    // SAFETY: libc's pointer to this thread's errno.
    location().map_or(0, |errno| unsafe { errno.read() })
}

/// Sets this thread's errno; nothing happens without a libc.
pub fn set(value: i32) {
    if let Some(errno) = location() {
        // SAFETY: libc's pointer to this thread's errno.
        unsafe { errno.write(value) };
    }
}

/// Turns a kernel result into a libc result: -1 with errno set, or the result.
pub fn from_kernel(result: isize) -> isize {
    if (-4095..0).contains(&result) {
        set(-result as i32);
        return -1;
    }
    result
}
