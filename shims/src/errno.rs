//! The C library's errno: the one thing of a libc that the shim touches.

use crate::arch;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Bytes from the thread pointer to errno, as libc's function was seen to add them: a call of it costs a call of a path
/// more than all else that we do there.
static OFFSET: AtomicIsize = AtomicIsize::new(UNKNOWN);

/// Not looked for yet.
const UNKNOWN: isize = 0;
/// The function is to be called. No offset is odd.
const CALL: isize = 1;

#[inline(always)]
fn location() -> Option<NonNull<i32>> {
    match OFFSET.load(Relaxed) {
        UNKNOWN | CALL => by_call(),
        // SAFETY: where libc's function finds it, which is not NULL.
        offset => Some(unsafe {
            NonNull::new_unchecked(arch::thread_pointer().wrapping_add_signed(offset) as *mut i32)
        }),
    }
}

#[cold]
#[inline(never)]
fn by_call() -> Option<NonNull<i32>> {
    let function = arch::errno_location();
    if function == 0 {
        return None;
    }
    if OFFSET.load(Relaxed) == UNKNOWN {
        // SAFETY: libc's function.
        OFFSET.store(unsafe { arch::errno_offset(function) }.unwrap_or(CALL), Relaxed);
    }
    // SAFETY: the weak symbol is libc's `int *__errno_location(void)`, async-signal-safe everywhere.
    unsafe { core::mem::transmute::<usize, extern "C" fn() -> Option<NonNull<i32>>>(function)() }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine's own libc, whose code is known: the errno of each thread.
    #[test]
    fn errno_is_found_without_a_call() {
        let check = || {
            set(7);
            // SAFETY: libc's own function.
            assert_eq!(location(), NonNull::new(unsafe { libc::__errno_location() }));
            assert_eq!((get(), std::io::Error::last_os_error().raw_os_error()), (7, Some(7)));
        };
        check();
        assert!(!matches!(OFFSET.load(Relaxed), UNKNOWN | CALL));
        std::thread::spawn(check).join().unwrap();
    }

    #[test]
    fn other_code_is_called() {
        // musl's, with 0x34; the same but for its last byte, or for the segment; and a function that does more.
        let musl = [0x64u8, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x83, 0xc0, 0x34, 0xc3];
        for (place, byte, due) in [(12, 0x34, Some(0x34)), (13, 0x90, None), (0, 0x65, None), (12, 0, None)] {
            let mut code = musl;
            code[place] = byte;
            // SAFETY: bytes of ours.
            assert_eq!(unsafe { arch::errno_offset(code.as_ptr() as usize) }, due);
        }
        // glibc's, whose word stands behind it.
        let mut glibc =
            vec![0x48u8, 0x8b, 0x05, 11, 0, 0, 0, 0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3, 0];
        glibc.extend((-128isize).to_ne_bytes());
        // SAFETY: as above.
        assert_eq!(unsafe { arch::errno_offset(glibc.as_ptr() as usize) }, Some(-128));
        // SAFETY: the byte can be read, and what begins otherwise is read no further.
        assert_eq!(unsafe { arch::errno_offset([0xc3u8].as_ptr() as usize) }, None);
    }
}
