//! Doors of the calls that take a path: the next definition first, then the file rules.

use super::{as_kernel, finish};
use crate::errno;
use crate::file_rules;
use crate::memory;
use crate::next::{Function, Next};
use crate::sys::{self, User};
use core::mem::transmute;
use libc::{
    SYS_creat, SYS_getxattr, SYS_lgetxattr, SYS_listxattr, SYS_llistxattr, SYS_newfstatat, SYS_openat,
    SYS_readlink, SYS_readlinkat, SYS_statfs,
};

const HERE: usize = libc::AT_FDCWD as usize;
/// creat(2).
const CREATE: usize = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as usize;
const NO_FOLLOW: usize = libc::AT_SYMLINK_NOFOLLOW as usize;

macro_rules! word {
    ($argument:ident) => {
        usize
    };
}

/// Whether no file rule is about a call that got this answer (-1: and errno): the quick side of each door. Every
/// instruction counts here, and every branch twice: what the processor foresaw is mostly lost in the kernel.
/// `success`: whether a rule may act on one, of which the door knows more than the path says.
///
/// # Safety
/// The call was made with this path just now.
#[inline(always)]
pub(super) unsafe fn is_done(answer: isize, path: usize, success: bool) -> bool {
    let looked_at = if answer == -1 { file_rules::is_missing(errno::get()) } else { success };
    // SAFETY: the kernel has read the path.
    !looked_at || unsafe { file_rules::is_passed_over(path) }
}

/// A success may be about another file.
const LOOK: bool = true;

/// A success stands.
const DONE: bool = false;

/// A success stands, but where the path may start from a folder that we made.
#[inline(always)]
pub(super) fn from(folder: usize) -> bool {
    folder as i32 != libc::AT_FDCWD
}

/// Such an answer in the kernel's convention.
pub(super) fn as_kernel_said(answer: isize) -> isize {
    if answer == -1 { -(errno::get() as isize) } else { answer }
}

/// Doors whose call is first made as it is, and whose answer a file rule may then change.
macro_rules! doors {
    ($type:ty: $($symbol:ident($($argument:ident),*) => $path:ident if $success:expr, $rule:ident($($passed:expr),*), $number:ident[$($raw:expr),*];)*) => { $(
        /// The next definition first, then the file rules.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol($($argument: usize),*) -> $type {
            static NEXT: Next = Next::unknown();
            type Own = unsafe extern "C" fn($(word!($argument)),*) -> $type;
            let errno_before = errno::get();
            let answer = match NEXT.known() {
                // SAFETY: the caller's own call, to whom it would have gone without us.
                Some(function) => unsafe { transmute::<Function, Own>(function)($($argument),*) },
                None => apart(move || match NEXT.find(stringify!($symbol).as_bytes()) {
                    // SAFETY: as above.
                    Some(function) => unsafe { transmute::<Function, Own>(function)($($argument),*) },
                    // This libc has no such symbol, but somebody found ours.
                    None => finish(sys::call($number, padded([$($raw),*])), errno_before) as $type,
                }),
            };
            // SAFETY: the call was made with this path just now.
            if unsafe { is_done(answer as isize, $path, $success) } {
                return answer;
            }
            apart(move || {
                let answer = as_kernel_said(answer as isize);
                // SAFETY: as above.
                finish(unsafe { file_rules::$rule($($passed,)* answer) }, errno_before) as $type
            })
        }
    )* };
}

/// What is rare, out of the quick side's way and of its registers.
#[cold]
#[inline(never)]
pub(super) fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

fn padded([a, b, c, d]: [usize; 4]) -> [usize; 6] {
    [a, b, c, d, 0, 0]
}

doors! { i32:
    open(path, flags, mode) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, mode];
    open64(path, flags, mode) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, mode];
    __open_2(path, flags) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, 0];
    __open(path, flags, mode) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, mode];
    __open64(path, flags, mode) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, mode];
    creat(path, mode) => path if LOOK, opened(HERE, path, CREATE), SYS_creat[path, mode, 0, 0];
    creat64(path, mode) => path if LOOK, opened(HERE, path, CREATE), SYS_creat[path, mode, 0, 0];
    __open64_2(path, flags) => path if LOOK, opened(HERE, path, flags), SYS_openat[HERE, path, flags, 0];
    openat(folder, path, flags, mode) => path if LOOK, opened(folder, path, flags), SYS_openat[folder, path, flags, mode];
    openat64(folder, path, flags, mode) => path if LOOK, opened(folder, path, flags), SYS_openat[folder, path, flags, mode];
    __openat_2(folder, path, flags) => path if LOOK, opened(folder, path, flags), SYS_openat[folder, path, flags, 0];
    __openat64_2(folder, path, flags) => path if LOOK, opened(folder, path, flags), SYS_openat[folder, path, flags, 0];
    stat(path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, 0];
    stat64(path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, 0];
    lstat(path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, NO_FOLLOW];
    lstat64(path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, NO_FOLLOW];
    fstatat(folder, path, to, flags) => path if from(folder), stated(folder, path, to), SYS_newfstatat[folder, path, to, flags];
    fstatat64(folder, path, to, flags) => path if from(folder), stated(folder, path, to), SYS_newfstatat[folder, path, to, flags];
    __xstat(version, path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, 0];
    __xstat64(version, path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, 0];
    __lxstat(version, path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, NO_FOLLOW];
    __lxstat64(version, path, to) => path if DONE, stated(HERE, path, to), SYS_newfstatat[HERE, path, to, NO_FOLLOW];
    __fxstatat(version, folder, path, to, flags) => path if from(folder), stated(folder, path, to), SYS_newfstatat[folder, path, to, flags];
    __fxstatat64(version, folder, path, to, flags) => path if from(folder), stated(folder, path, to), SYS_newfstatat[folder, path, to, flags];
    statfs(path, to) => path if LOOK, file_system(path, to), SYS_statfs[path, to, 0, 0];
    statfs64(path, to) => path if LOOK, file_system(path, to), SYS_statfs[path, to, 0, 0];
    __statfs(path, to) => path if LOOK, file_system(path, to), SYS_statfs[path, to, 0, 0];
}

/// No attribute of the kind that is asked for: what v1's files answered, but for lists of access rights.
const NO_DATA: isize = -(libc::ENODATA as isize);

doors! { isize:
    readlink(path, to, size) => path if DONE, link_read(HERE, path), SYS_readlink[path, to, size, 0];
    __readlink_chk(path, to, size, _room) => path if DONE, link_read(HERE, path), SYS_readlink[path, to, size, 0];
    readlinkat(folder, path, to, size) => path if DONE, link_read(folder, path), SYS_readlinkat[folder, path, to, size];
    __readlinkat_chk(folder, path, to, size, _room) => path if DONE, link_read(folder, path), SYS_readlinkat[folder, path, to, size];
    getxattr(path, name, to, size) => path if DONE, attribute(path, NO_DATA), SYS_getxattr[path, name, to, size];
    lgetxattr(path, name, to, size) => path if DONE, attribute(path, NO_DATA), SYS_lgetxattr[path, name, to, size];
    listxattr(path, to, size) => path if DONE, attribute(path, 0), SYS_listxattr[path, to, size, 0];
    llistxattr(path, to, size) => path if DONE, attribute(path, 0), SYS_llistxattr[path, to, size, 0];
}

macro_rules! statvfs_door {
    ($symbol:ident) => {
        /// libc makes it of statfs(2): where the host has no such file, of another path's.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(path: usize, to: usize) -> isize {
            static NEXT: Next = Next::unknown();
            let errno_before = errno::get();
            let Some(function) = NEXT.find(stringify!($symbol).as_bytes()) else {
                return finish(-(libc::ENOSYS as isize), errno_before);
            };
            // SAFETY: the caller's own call, to whom it would have gone without us.
            let answer = unsafe { as_kernel(function, [path, to, 0, 0, 0, 0]) };
            // SAFETY: the call was made with this path just now.
            let other = if answer < 0 { unsafe { file_rules::another_path(path, answer) } } else { None };
            let answer = match other {
                // SAFETY: the same call with a path of ours.
                Some(mut path) => unsafe {
                    as_kernel(function, [path.c_str().as_ptr() as usize, to, 0, 0, 0, 0])
                },
                None => answer,
            };
            finish(answer, errno_before)
        }
    };
}

statvfs_door!(statvfs);
statvfs_door!(statvfs64);

/// A call by its number, after the host answered. openat2 that restricts the walk is left alone.
pub fn answered(number: usize, args: &[usize; 6], answer: isize) -> isize {
    let [a, b, c, d, e, _] = *args;
    if answer < 0 && !file_rules::is_missing(-answer as i32) {
        return answer;
    }
    // SAFETY: the call was made with this path just now.
    unsafe {
        match number as i64 {
            libc::SYS_open => file_rules::opened(HERE, a, b, answer),
            libc::SYS_creat => file_rules::opened(HERE, a, CREATE, answer),
            libc::SYS_openat => file_rules::opened(a, b, c, answer),
            libc::SYS_openat2 if file_rules::is_passed_over(b) => answer,
            libc::SYS_openat2 => match memory::get::<[u64; 3]>(User(c)) {
                Ok([flags, _, 0]) => file_rules::opened(a, b, flags as usize, answer),
                _ => answer,
            },
            libc::SYS_stat | libc::SYS_lstat => file_rules::stated(HERE, a, b, answer),
            libc::SYS_newfstatat => file_rules::stated(a, b, c, answer),
            libc::SYS_statx => file_rules::stated_more(a, b, d, e, answer),
            libc::SYS_access => file_rules::accessed(HERE, a, b, answer),
            libc::SYS_faccessat | libc::SYS_faccessat2 => file_rules::accessed(a, b, c, answer),
            libc::SYS_statfs => file_rules::file_system(a, b, answer),
            libc::SYS_readlink => file_rules::link_read(HERE, a, answer),
            libc::SYS_readlinkat => file_rules::link_read(a, b, answer),
            _ => answer,
        }
    }
}
