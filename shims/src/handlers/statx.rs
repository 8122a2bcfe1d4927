//! `statx(2)`: what stat(2) knows of a file, in the newer form.

use super::descriptor_paths::names_itself_or_null;
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

const STATX_BASIC_STATS: u64 = 0x7ff;
const STATX__RESERVED: u32 = 0x8000_0000;
const AT_STATX_SYNC_TYPE: i32 = 0x6000;

/// `statx` where the host has none, or has one that does not know AT_NO_AUTOMOUNT.
pub fn statx(call: &mut Call<'_>) -> isize {
    match call.answer {
        Some(answer) => without_automount(call, answer),
        None => by_newfstatat(call),
    }
}

/// gVisor answers EINVAL to AT_NO_AUTOMOUNT (pkg/sentry/syscalls/linux/vfs2/stat.go of 2022), with which ls(1) and
/// stat(1) of coreutils call, and has no automounts: asked without. What is wrong otherwise stays EINVAL.
fn without_automount(call: &mut Call<'_>, answer: isize) -> isize {
    if call.int(2) & libc::AT_NO_AUTOMOUNT == 0 {
        return call.decline(answer);
    }
    let [folder, path, flags, mask, to, _] = call.args;
    let flags = flags & !(libc::AT_NO_AUTOMOUNT as usize);
    // Linux fills the basic fields in, asked for or not; gVisor only what is asked for.
    let mask = mask | STATX_BASIC_STATS as usize;
    let again = sys::call(libc::SYS_statx, [folder, path, flags, mask, to, 0]);
    if again == answer {
        return call.decline(answer);
    }
    call.became(|text| {
        text.push(b"statx without AT_NO_AUTOMOUNT");
    });
    again
}

/// `statx` by newfstatat(2) (fs/stat.c): the basic fields, times in nanoseconds. No birth time, mount id or
/// attributes, and `stx_mask` says so. How to synchronise with a server is the file system's choice, and a
/// mount is triggered as stat(2) does. EINVAL, EFAULT, EBADF and the errors of a path.
fn by_newfstatat(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"newfstatat");
    });
    let stat = stat(call.int(0), call.user(1), call.int(2), call.arg(3) as u32);
    sys::result(stat.and_then(|stat| memory::put(call.user(4), as_statx(&stat)).map(|()| 0)))
}

fn stat(folder: i32, path: User, flags: i32, mask: u32) -> Result<libc::stat> {
    let known = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    if mask & STATX__RESERVED != 0 || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE || flags & !known != 0
    {
        return Err(Errno(libc::EINVAL));
    }
    if names_itself_or_null(path, flags)? {
        return sys::stat_itself(folder);
    }
    // Kernels that have no statx know nothing of the bits for synchronising either.
    let flags = flags & !AT_STATX_SYNC_TYPE;
    match sys::stat_user_in(folder, path, flags) {
        // AT_NO_AUTOMOUNT came with 2.6.38.
        Err(Errno(libc::EINVAL)) if flags & libc::AT_NO_AUTOMOUNT != 0 => {
            sys::stat_user_in(folder, path, flags & !libc::AT_NO_AUTOMOUNT)
        }
        stat => stat,
    }
}

/// `struct statx` (linux/stat.h), 256 bytes, as 64-bit words.
fn as_statx(stat: &libc::stat) -> [u64; 32] {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let mut words = [0u64; 32];
    let fields = [
        (0, STATX_BASIC_STATS | (stat.st_blksize as u64) << 32),
        (2, pair(stat.st_nlink as u32, stat.st_uid)),
        (3, pair(stat.st_gid, stat.st_mode)),
        (4, stat.st_ino),
        (5, stat.st_size as u64),
        (6, stat.st_blocks as u64),
        (8, stat.st_atime as u64),
        (9, stat.st_atime_nsec as u64),
        (12, stat.st_ctime as u64),
        (13, stat.st_ctime_nsec as u64),
        (14, stat.st_mtime as u64),
        (15, stat.st_mtime_nsec as u64),
        (16, device(stat.st_rdev)),
        (17, device(stat.st_dev)),
    ];
    for (place, value) in fields {
        if let Some(word) = words.get_mut(place) {
            *word = value;
        }
    }
    words
}

/// Major and minor number in a word each: new_decode_dev (include/linux/kdev_t.h).
fn device(device: u64) -> u64 {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00);
    major | minor << 32
}
