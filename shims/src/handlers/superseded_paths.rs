//! Old calls on a path by the forms that take a folder's descriptor first, here that of the working folder:
//! fs/open.c, fs/namei.c and fs/stat.c carry both forms out by one function each, so that the order
//! of checks is the same.

use super::superseded::by;
use crate::dispatch::Call;
use crate::sys;

/// The working folder, as a first argument.
const HERE: usize = libc::AT_FDCWD as usize;

/// `open`: openat(2). May block (a FIFO), and is no cancellation point.
pub fn open(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), call.arg(2), 0, 0];
    by(call, b"openat", libc::SYS_openat, args)
}

/// `creat`: openat(2) with O_CREAT | O_WRONLY | O_TRUNC (fs/open.c).
pub fn creat(call: &mut Call<'_>) -> isize {
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
    let args = [HERE, call.arg(0), flags as usize, call.arg(1), 0, 0];
    by(call, b"openat", libc::SYS_openat, args)
}

/// `access`: faccessat(2). EINVAL (mode), and the errors of a path.
pub fn access(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), 0, 0, 0];
    by(call, b"faccessat", libc::SYS_faccessat, args)
}

/// `stat`: newfstatat(2).
pub fn stat(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), 0, 0, 0];
    by(call, b"newfstatat", libc::SYS_newfstatat, args)
}

/// `lstat`: newfstatat(2) of a link itself.
pub fn lstat(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), libc::AT_SYMLINK_NOFOLLOW as usize, 0, 0];
    by(call, b"newfstatat", libc::SYS_newfstatat, args)
}

/// `fstat`: newfstatat(2) of the descriptor itself, which for AT_FDCWD would be the working folder (fs/stat.c).
/// EBADF, EFAULT.
pub fn fstat(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"newfstatat");
    });
    let fd = call.int(0);
    if fd < 0 {
        return -(libc::EBADF as isize);
    }
    sys::call_path_in(libc::SYS_newfstatat, fd, c"", [call.arg(1), libc::AT_EMPTY_PATH as usize, 0, 0])
}

/// `mkdir`: mkdirat(2).
pub fn mkdir(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), 0, 0, 0];
    by(call, b"mkdirat", libc::SYS_mkdirat, args)
}

/// `rmdir`: unlinkat(2) with AT_REMOVEDIR.
pub fn rmdir(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), libc::AT_REMOVEDIR as usize, 0, 0, 0];
    by(call, b"unlinkat", libc::SYS_unlinkat, args)
}

/// `unlink`: unlinkat(2).
pub fn unlink(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), 0, 0, 0, 0];
    by(call, b"unlinkat", libc::SYS_unlinkat, args)
}

/// `rename`: renameat(2), or renameat2(2) without flags, which the newest architectures have alone.
pub fn rename(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), HERE, call.arg(1), 0, 0];
    let answer = by(call, b"renameat", libc::SYS_renameat, args);
    // EPERM may be a filter's; the kernel's own comes again.
    if answer == -(libc::ENOSYS as isize) || answer == -(libc::EPERM as isize) {
        let second = by(call, b"renameat2", libc::SYS_renameat2, args);
        if second != -(libc::ENOSYS as isize) {
            return second;
        }
    }
    answer
}

/// `link`: linkat(2), which follows no link either without a flag.
pub fn link(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), HERE, call.arg(1), 0, 0];
    by(call, b"linkat", libc::SYS_linkat, args)
}

/// `symlink`: symlinkat(2).
pub fn symlink(call: &mut Call<'_>) -> isize {
    let args = [call.arg(0), HERE, call.arg(1), 0, 0, 0];
    by(call, b"symlinkat", libc::SYS_symlinkat, args)
}

/// `readlink`: readlinkat(2).
pub fn readlink(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), call.arg(2), 0, 0];
    by(call, b"readlinkat", libc::SYS_readlinkat, args)
}

/// `chmod`: fchmodat(2).
pub fn chmod(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), 0, 0, 0];
    by(call, b"fchmodat", libc::SYS_fchmodat, args)
}

/// `chown`: fchownat(2).
pub fn chown(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), call.arg(2), 0, 0];
    by(call, b"fchownat", libc::SYS_fchownat, args)
}

/// `lchown`: fchownat(2) of a link itself.
pub fn lchown(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), call.arg(2), libc::AT_SYMLINK_NOFOLLOW as usize, 0];
    by(call, b"fchownat", libc::SYS_fchownat, args)
}

/// `mknod`: mknodat(2).
pub fn mknod(call: &mut Call<'_>) -> isize {
    let args = [HERE, call.arg(0), call.arg(1), call.arg(2), 0, 0];
    by(call, b"mknodat", libc::SYS_mknodat, args)
}
