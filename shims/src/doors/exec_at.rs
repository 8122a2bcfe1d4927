//! `execveat(2)` where the host lacks it or a filter refuses it: execve(2) of the same file by its path, or by
//! /proc/self/fd.

use crate::logging;
use crate::memory;
use crate::probe;
use crate::start;
use crate::state;
use crate::sys::{self, Errno, Result, User};
use core::ffi::CStr;
use evercall_rules::packed::RuleId;

/// The file that execveat names: a path, or none where the descriptor itself is meant, and the flags.
struct Target {
    folder: i32,
    path: Option<User>,
    flags: i32,
}

/// Whether an answer says that there is no execveat. Then the log is told: now, since an exec that does not come
/// back tells nothing, and since a line and the copy of an environment are too much for a stack of 16 KiB.
pub fn is_missing(answer: isize) -> bool {
    const ENOSYS: isize = -(libc::ENOSYS as isize);
    const EPERM: isize = -(libc::EPERM as isize);
    if !start::ready() || state::handed_on(&state::HANDED_ON, RuleId::Exec.slot()) {
        return false;
    }
    let missing = match answer {
        ENOSYS => true,
        // Bad arguments: the kernel gives EFAULT.
        EPERM => probe::is_filtered(libc::SYS_execveat as usize, [-1, 0, 0, 0, -1, 0]),
        _ => false,
    };
    if missing && logging::is_on() {
        logging::translated(RuleId::Exec, &[0; 6], b"execve in place of execveat", 0);
    }
    missing
}

/// execveat's five arguments by execve.
pub fn by_execve([folder, path, argv, envp, flags, _]: [usize; 6]) -> isize {
    let target = Target { folder: folder as i32, path: Some(User(path)), flags: flags as i32 };
    sys::result(execute(&target, User(argv), User(envp)))
}

/// fexecve's three arguments by execve.
pub fn fexecve_by_execve([fd, argv, envp, ..]: [usize; 6]) -> isize {
    let target = Target { folder: fd as i32, path: None, flags: libc::AT_EMPTY_PATH };
    sys::result(execute(&target, User(argv), User(envp)))
}

/// The errnos are those of execveat(2) and execve(2), in the order of fs/exec.c. Whether the path is a link
/// (ELOOP) and whether a script could be opened by its interpreter (ENOENT) is found before the exec: a file
/// that changes in between is executed as it is then.
fn execute(target: &Target, argv: User, envp: User) -> Result<usize> {
    let Target { folder, path, flags } = *target;
    let length = path.map_or(Ok(0), memory::path_length)?;
    if length == 0 && flags & libc::AT_EMPTY_PATH == 0 {
        return Err(Errno(libc::ENOENT));
    }
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let execve = |path: &CStr| sys::check(sys::execve(path, argv, envp));
    let path = match path {
        Some(path) if length > 0 => path,
        _ if folder == libc::AT_FDCWD => return execve(c"."),
        _ => return by_descriptor(folder, User::NULL, 0, execve),
    };
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 && sys::is_link(folder, path) {
        return Err(Errno(libc::ELOOP));
    }
    if folder == libc::AT_FDCWD || memory::get::<u8>(path)? == b'/' {
        return sys::check(sys::call(libc::SYS_execve, [path.0, argv.0, envp.0, 0, 0, 0]));
    }
    by_descriptor(folder, path, length, execve)
}

/// Calls `execve` with `/proc/self/fd/N` or `/proc/self/fd/N/path`.
fn by_descriptor(
    fd: i32,
    path: User,
    length: usize,
    execve: impl Fn(&CStr) -> Result<usize>,
) -> Result<usize> {
    let mut prefix = sys::proc_path(fd);
    if length > 0 {
        prefix.push(b"/");
    }
    let closes = sys::fcntl(fd, libc::F_GETFD, 0)? as i32 & libc::FD_CLOEXEC != 0;
    // A long path goes into pages of its own: the environment may lie on this stack already.
    let room = if length > 512 { 4096 } else { 0 };
    let done = sys::with_bytes(room.max(prefix.bytes().len() + length + 1), |whole| {
        let (start, rest) = whole.split_at_mut_checked(prefix.bytes().len()).unwrap_or_default();
        for (to, &from) in start.iter_mut().zip(prefix.bytes()) {
            *to = from;
        }
        if let Err(error) = memory::read(path, rest.get_mut(..length).unwrap_or_default()) {
            return sys::result(Err(error));
        }
        let Ok(whole) = CStr::from_bytes_until_nul(whole) else { return -(libc::ENAMETOOLONG as isize) };
        if closes && is_script(whole) {
            return -(libc::ENOENT as isize);
        }
        sys::result(execve(whole))
    });
    match sys::check(done.unwrap_or(-(libc::ENOMEM as isize))) {
        // Without /proc there is no such path.
        Err(Errno(libc::ENOENT)) if sys::open(c"/proc/self/fd", libc::O_PATH, 0).is_err() => {
            Err(Errno(libc::ENOSYS))
        }
        result => result,
    }
}

/// Whether a file is a script that may be executed: its interpreter would look for a descriptor that the exec
/// closes.
fn is_script(path: &CStr) -> bool {
    let mut start = [0u8; 2];
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let Ok(file) = sys::open(path, flags, 0) else { return false };
    sys::read(file.0, &mut start) == Ok(2) && start == *b"#!" && sys::executable(&file).is_ok()
}
