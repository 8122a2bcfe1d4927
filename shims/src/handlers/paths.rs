//! Calls on a path that got flags: `faccessat2(2)`, `fchmodat2(2)`, `renameat2(2)`.

use super::descriptor_paths::{call_object_at, failed, is_link, names_itself, object};
use crate::dispatch::Call;
use crate::sys::{self, Errno, Result, User};

const EINVAL: isize = failed(libc::EINVAL);

/// `faccessat2` by faccessat(2) (fs/open.c): EINVAL (mode first, then flags) and the errors of a path.
///
/// AT_EACCESS is nothing new where real and effective ids are equal; else mode bits are compared, as glibc
/// does. Where they differ, a link itself (AT_SYMLINK_NOFOLLOW without AT_EACCESS), and one that the effective
/// ids cannot reach, answer ENOSYS. A file that is swapped between the look for a link and the answer may get the other's answer.
pub fn faccessat2(call: &mut Call<'_>) -> isize {
    let (folder, path, mode, flags) = (call.int(0), call.user(1), call.int(2), call.int(3));
    let known = libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    call.became(|text| {
        text.push(b"faccessat");
    });
    if mode & !7 != 0 || flags & !known != 0 {
        return EINVAL;
    }
    let same_ids =
        id(libc::SYS_getuid) == id(libc::SYS_geteuid) && id(libc::SYS_getgid) == id(libc::SYS_getegid);
    if flags & libc::AT_EACCESS != 0 && !same_ids {
        call.became(|text| {
            text.push(b"newfstatat, fstatfs: mode bits");
        });
        return sys::result(by_mode_bits(folder, path, mode, flags));
    }
    let access =
        |mode: i32| sys::call(libc::SYS_faccessat, [folder as usize, path.0, mode as usize, 0, 0, 0]);
    match names_itself(path, flags) {
        Ok(true) if folder == libc::AT_FDCWD => {
            return sys::call_path_in(libc::SYS_faccessat, folder, c".", [mode as usize, 0, 0, 0]);
        }
        Ok(true) => return itself_is_accessible(folder, mode),
        Ok(false) => {}
        Err(error) => return sys::result(Err(error)),
    }
    if flags & libc::AT_SYMLINK_NOFOLLOW == 0 {
        return access(mode);
    }
    let object = match object(folder, path, flags) {
        Ok(object) => object,
        // The way was looked up with the effective ids: no answer for other real ones.
        Err(Errno(libc::EACCES)) if !same_ids => return failed(libc::ENOSYS),
        Err(error @ Errno(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return sys::result(Err(error)),
        // What fails on the way, fails without a look at the last component.
        Err(_) => return access(mode),
    };
    match sys::fstat(object.0) {
        Ok(stat) if !is_link(stat.st_mode) => access(mode),
        Ok(_) if !same_ids => failed(libc::ENOSYS),
        Ok(_) => itself_is_accessible(object.0, mode),
        Err(error) => sys::result(Err(error)),
    }
}

fn itself_is_accessible(fd: i32, mode: i32) -> isize {
    match sys::stat_itself(fd) {
        Ok(_) => call_object_at(libc::SYS_faccessat, fd, [mode as usize, 0, 0, 0]),
        Err(error) => sys::result(Err(error)),
    }
}

fn id(number: i64) -> u32 {
    sys::call(number, [0; 6]) as u32
}

/// inode_permission of the effective ids as far as mode bits tell, then EROFS and noexec as do_faccessat.
fn by_mode_bits(folder: i32, path: User, mode: i32, flags: i32) -> Result<usize> {
    const ST_RDONLY: i64 = 1;
    const ST_NOEXEC: i64 = 8;
    let empty = names_itself(path, flags)?;
    let stat = if empty {
        sys::stat_itself(folder)?
    } else {
        sys::stat_user_in(folder, path, flags & libc::AT_SYMLINK_NOFOLLOW)?
    };
    if mode == libc::F_OK {
        return Ok(0);
    }
    let kind = stat.st_mode & libc::S_IFMT;
    let mount_flags = || -> Result<i64> {
        let statfs = if empty && folder != libc::AT_FDCWD {
            sys::fstatfs(folder)?
        } else if empty {
            sys::fstatfs(sys::open(c".", libc::O_PATH, 0)?.0)?
        } else {
            sys::fstatfs(object(folder, path, flags)?.0)?
        };
        Ok(statfs.f_flags)
    };
    if mode & libc::X_OK != 0 && kind == libc::S_IFREG && mount_flags()? & ST_NOEXEC != 0 {
        return Err(Errno(libc::EACCES));
    }
    let user = id(libc::SYS_geteuid);
    let granted = if user == 0 {
        let runs = kind == libc::S_IFDIR || stat.st_mode & 0o111 != 0;
        if runs { 7 } else { 6 }
    } else if user == stat.st_uid {
        stat.st_mode >> 6
    } else if id(libc::SYS_getegid) == stat.st_gid || sys::in_groups(stat.st_gid) {
        stat.st_mode >> 3
    } else {
        stat.st_mode
    };
    if mode as u32 & !granted & 7 != 0 {
        return Err(Errno(libc::EACCES));
    }
    let on_disk = matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK);
    if mode & libc::W_OK != 0 && on_disk && mount_flags()? & ST_RDONLY != 0 {
        return Err(Errno(libc::EROFS));
    }
    Ok(0)
}

/// `fchmodat2` by fchmodat(2), and with flags by an O_PATH descriptor and /proc/self/fd (fs/open.c), so
/// that no other file can come in between. EINVAL, EOPNOTSUPP for a link, ENOSYS without /proc, and the
/// errors of a path.
pub fn fchmodat2(call: &mut Call<'_>) -> isize {
    let (folder, path, mode, flags) = (call.int(0), call.user(1), call.arg(2), call.int(3));
    call.became(|text| {
        text.push(if flags == 0 { b"fchmodat" } else { b"fchmodat of /proc/self/fd" });
    });
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return EINVAL;
    }
    let by_descriptor = |fd: i32| match sys::stat_itself(fd) {
        Ok(stat) if is_link(stat.st_mode) => failed(libc::EOPNOTSUPP),
        Ok(_) => call_object_at(libc::SYS_fchmodat, fd, [mode, 0, 0, 0]),
        Err(error) => sys::result(Err(error)),
    };
    match names_itself(path, flags) {
        Ok(true) if folder == libc::AT_FDCWD => {
            sys::call_path_in(libc::SYS_fchmodat, folder, c".", [mode, 0, 0, 0])
        }
        Ok(true) => by_descriptor(folder),
        Ok(false) if flags & libc::AT_SYMLINK_NOFOLLOW == 0 => {
            sys::call(libc::SYS_fchmodat, [folder as usize, path.0, mode, 0, 0, 0])
        }
        Ok(false) => match object(folder, path, flags) {
            Ok(object) => by_descriptor(object.0),
            Err(error) => sys::result(Err(error)),
        },
        Err(error) => sys::result(Err(error)),
    }
}

const RENAME_NOREPLACE: u32 = 1;
const RENAME_EXCHANGE: u32 = 2;
const RENAME_WHITEOUT: u32 = 4;

/// `renameat2` (fs/namei.c): without flags renameat(2); RENAME_NOREPLACE of what is no folder by linkat(2),
/// which never replaces, and unlinkat(2) of the old name. EINVAL, as from a file system that knows no flags,
/// for all else, after the errors of the paths.
///
/// For a moment both names stand; who puts another file under the old name in that moment loses it.
pub fn renameat2(call: &mut Call<'_>) -> isize {
    let [from, old, to, new, flags, _] = call.args;
    let flags = flags as u32;
    call.became(|text| {
        text.push(if flags == 0 { b"renameat" } else { b"linkat, unlinkat" });
    });
    let known = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
    let alone = flags & RENAME_EXCHANGE == 0 || flags == RENAME_EXCHANGE;
    if flags & !known != 0 || !alone {
        return EINVAL;
    }
    if flags == 0 {
        return sys::call(libc::SYS_renameat, [from, old, to, new, 0, 0]);
    }
    let look =
        |folder: usize, path: usize| sys::stat_user_in(folder as i32, User(path), libc::AT_SYMLINK_NOFOLLOW);
    let stat = match look(from, old) {
        Ok(stat) => stat,
        Err(error) => return sys::result(Err(error)),
    };
    if flags == RENAME_NOREPLACE && stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return link_and_unlink([from, old, to, new]);
    }
    match look(to, new) {
        Ok(_) if flags & RENAME_NOREPLACE != 0 => failed(libc::EEXIST),
        Err(error) if error != Errno(libc::ENOENT) || flags & RENAME_EXCHANGE != 0 => sys::result(Err(error)),
        _ => EINVAL,
    }
}

fn link_and_unlink([from, old, to, new]: [usize; 4]) -> isize {
    let linked = sys::call(libc::SYS_linkat, [from, old, to, new, 0, 0]);
    if linked == failed(libc::EPERM) || linked == failed(libc::EMLINK) {
        // No hard links here, or none to this file.
        return EINVAL;
    }
    if linked != 0 {
        return linked;
    }
    let unlinked = sys::call(libc::SYS_unlinkat, [from, old, 0, 0, 0, 0]);
    if unlinked != 0 {
        sys::call(libc::SYS_unlinkat, [to, new, 0, 0, 0, 0]);
    }
    unlinked
}
