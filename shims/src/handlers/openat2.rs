//! `openat2(2)`: the checks of its struct, and its RESOLVE_ flags by a walk of our own.

use super::descriptor_paths::{PAGE, failed, growing_struct};
use super::walk::{self, Resolve};
use crate::dispatch::Call;
use crate::memory;
use crate::sys;

const RESOLVE_CACHED: u64 = 0x20;

/// O_LARGEFILE as the kernel has it on x86; libc's is 0 there.
const O_LARGEFILE: u64 = 0o100_000;
const TMPFILE_BIT: u64 = 0o20_000_000;

/// What openat2 takes beside O_CLOEXEC (VALID_OPEN_FLAGS, include/linux/fcntl.h).
const VALID: u64 = (libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_EXCL
    | libc::O_NOCTTY
    | libc::O_TRUNC
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_SYNC
    | libc::O_ASYNC
    | libc::O_DIRECT
    | libc::O_DIRECTORY
    | libc::O_NOFOLLOW
    | libc::O_NOATIME
    | libc::O_CLOEXEC
    | libc::O_PATH) as u64
    | O_LARGEFILE
    | TMPFILE_BIT;

/// `openat2` by openat(2): without RESOLVE_ flags straight, else a component at a time (fs/open.c, fs/namei.c).
/// EINVAL, E2BIG, EFAULT; EAGAIN for RESOLVE_CACHED, and where a rename in between would have to be seen
/// through; ELOOP, EXDEV and ENOTDIR as the kernel; ENOSYS where RESOLVE_NO_XDEV is asked and no mount id is to
/// be read from /proc. Up to four descriptors are open at a time.
pub fn openat2(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"openat");
    });
    let size = call.arg(3);
    if size < size_of::<[u64; 3]>() {
        return failed(libc::EINVAL);
    }
    if size > PAGE {
        return failed(libc::E2BIG);
    }
    let [flags, mode, resolve] = match growing_struct::<[u64; 3]>(call.user(2), size) {
        Ok(how) => how,
        Err(error) => return sys::result(Err(error)),
    };
    if !is_valid(flags, mode, resolve) {
        return failed(libc::EINVAL);
    }
    let (folder, path, mode) = (call.int(0), call.user(1), mode as u32);
    let open_flags = flags as usize;
    if resolve == 0 {
        return sys::call(libc::SYS_openat, [folder as usize, path.0, open_flags, mode as usize, 0, 0]);
    }
    if resolve & RESOLVE_CACHED != 0 {
        // Never wrong: the caller opens without it then. Only a bad address would be EFAULT for ever.
        return match memory::get::<u8>(path) {
            Ok(_) => failed(libc::EAGAIN),
            Err(error) => sys::result(Err(error)),
        };
    }
    call.became(|text| {
        text.push(b"openat of each component");
    });
    sys::at_lowest(walk::open(folder, path, flags as i32, mode, Resolve(resolve)))
}

/// build_open_flags (fs/open.c).
fn is_valid(flags: u64, mode: u64, resolve: u64) -> bool {
    let has = |bits: i32| flags & bits as u64 != 0;
    let creates = has(libc::O_CREAT) || flags & TMPFILE_BIT != 0;
    let path_flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    flags & !VALID == 0
        && resolve & !(Resolve::ALL | RESOLVE_CACHED) == 0
        && resolve & Resolve::SCOPED != Resolve::SCOPED
        && mode & !(if creates { 0o7777 } else { 0 }) == 0
        && !(has(libc::O_CREAT) && has(libc::O_DIRECTORY))
        && (flags & TMPFILE_BIT == 0 || has(libc::O_DIRECTORY) && has(libc::O_ACCMODE))
        && (!has(libc::O_PATH) || flags & !path_flags == 0)
}
