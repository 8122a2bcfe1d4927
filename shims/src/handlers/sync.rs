//! What the file system keeps, and when: `fallocate(2)`, `sync_file_range(2)`, `syncfs(2)`.

use crate::dispatch::Call;
use crate::sys::{self, Errno, Result};

const FALLOC_FL_KEEP_SIZE: i32 = 0x01;
const FALLOC_FL_PUNCH_HOLE: i32 = 0x02;
const FALLOC_FL_COLLAPSE_RANGE: i32 = 0x08;
const FALLOC_FL_ZERO_RANGE: i32 = 0x10;
const FALLOC_FL_INSERT_RANGE: i32 = 0x20;
const FALLOC_FL_UNSHARE_RANGE: i32 = 0x40;
const FALLOC_FL_WRITE_ZEROES: i32 = 0x80;

/// `fallocate`: offset and length in bytes. EBADF, EINVAL, EISDIR, ESPIPE, ENODEV, EFBIG in the order of
/// vfs_fallocate (fs/open.c), and then EOPNOTSUPP, which a file system without it answers and callers know.
pub fn fallocate(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"EOPNOTSUPP, as a file system without it");
    });
    sys::result(check_fallocate(call.int(0), call.int(1), call.arg(2) as i64, call.arg(3) as i64))
}

fn check_fallocate(fd: i32, mode: i32, offset: i64, length: i64) -> Result<usize> {
    let flags = sys::file_flags(fd)?;
    if offset < 0 || length <= 0 {
        return Err(Errno(libc::EINVAL));
    }
    let keeps = mode & FALLOC_FL_KEEP_SIZE != 0;
    let known = match mode & !FALLOC_FL_KEEP_SIZE {
        0 | FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_ZERO_RANGE => true,
        FALLOC_FL_PUNCH_HOLE => keeps,
        FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_WRITE_ZEROES => !keeps,
        _ => false,
    };
    if !known {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    if !matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR) {
        return Err(Errno(libc::EBADF));
    }
    match sys::fstat(fd)?.st_mode & libc::S_IFMT {
        libc::S_IFIFO => Err(Errno(libc::ESPIPE)),
        libc::S_IFDIR => Err(Errno(libc::EISDIR)),
        libc::S_IFREG | libc::S_IFBLK if offset.checked_add(length).is_none() => Err(Errno(libc::EFBIG)),
        libc::S_IFREG | libc::S_IFBLK => Err(Errno(libc::EOPNOTSUPP)),
        _ => Err(Errno(libc::ENODEV)),
    }
}

/// `sync_file_range`: offset and length in bytes, 0 to the end. EBADF, EINVAL, ESPIPE (fs/sync.c), EIO.
/// Any flag becomes a whole fdatasync(2): more than was asked, never less. May block, and is no
/// cancellation point.
pub fn sync_file_range(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"fdatasync");
    });
    let range = (call.arg(1) as i64, call.arg(2) as i64);
    sys::result(write_out(call.int(0), range, call.arg(3) as u32))
}

fn write_out(fd: i32, (offset, length): (i64, i64), flags: u32) -> Result<usize> {
    let known =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sys::file_flags(fd)?;
    let end = offset.wrapping_add(length);
    if flags & !known != 0 || offset < 0 || end < 0 || end < offset {
        return Err(Errno(libc::EINVAL));
    }
    if !matches!(
        sys::fstat(fd)?.st_mode & libc::S_IFMT,
        libc::S_IFREG | libc::S_IFBLK | libc::S_IFDIR | libc::S_IFLNK
    ) {
        return Err(Errno(libc::ESPIPE));
    }
    if flags == 0 {
        return Ok(0);
    }
    match sys::check(sys::call(libc::SYS_fdatasync, [fd as usize, 0, 0, 0, 0, 0])) {
        // A file that is nowhere kept.
        Err(Errno(libc::EINVAL | libc::EROFS)) => Ok(0),
        other => other,
    }
}

/// `syncfs`: EBADF. sync(2) writes out this file system among all; it tells no errors.
pub fn syncfs(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"sync");
    });
    sys::result(sys::file_flags(call.int(0)).map(|_| {
        sys::call(libc::SYS_sync, [0; 6]);
        0
    }))
}
