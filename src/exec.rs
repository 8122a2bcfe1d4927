//! execve(2), with the signals as this process was given them, and what else of the kernel std does not offer.
//!
//! `CommandExt::exec` of std will not do: it goes through execvp(3), which hands what the kernel cannot
//! run to /bin/sh, and it sets the signal mask and SIGPIPE to their defaults, which a program run under
//! `nohup`-like wrappers would notice.
#![allow(unsafe_code)]

use rustix::thread::UnshareFlags;
use seccompiler::BpfProgram;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether SIGPIPE was ignored before Rust's start-up code ignored it for us.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the libc calls what stands in this section as functions of this type, before main.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = remember_sigpipe;

extern "C" fn remember_sigpipe() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given, and the old one is read only if the call wrote it.
    let ignored = unsafe {
        libc::sigaction(libc::SIGPIPE, null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    };
    SIGPIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
}

/// Where a program is.
#[derive(Clone, Copy)]
pub enum Program<'a> {
    /// In the file of this path.
    Path(&'a Path),
    /// In this open file, which may have no path.
    File(&'a File),
}

/// Why we did not become a program.
pub enum Refused {
    /// One of our own filters could not be installed.
    Filter(io::Error),
    /// The kernel does not execute it.
    Exec(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Exec(error)
    }
}

/// Becomes the program; comes back only with the reason why not. The environment is ours, with `settings`
/// in place of variables of the same names.
pub fn exec(program: Program<'_>, arguments: &[OsString], settings: &[(&str, OsString)]) -> io::Error {
    match try_exec(program, arguments, settings, &[]) {
        Ok(error) | Err(Refused::Filter(error) | Refused::Exec(error)) => error,
    }
}

/// The same, under seccomp filters, which are installed in their order and last of all, since any of them may
/// refuse what we need: between the first one and the exec stand only the prctl of the others.
pub fn exec_filtered(path: &Path, arguments: &[OsString], filters: &[BpfProgram]) -> Refused {
    match try_exec(Program::Path(path), arguments, &[], filters) {
        Ok(error) => Refused::Exec(error),
        Err(refused) => refused,
    }
}

fn try_exec(
    program: Program<'_>,
    arguments: &[OsString],
    settings: &[(&str, OsString)],
    filters: &[BpfProgram],
) -> Result<io::Error, Refused> {
    let variable = |name: &OsStr, value: &OsStr| [name.as_bytes(), b"=", value.as_bytes()].concat();
    let kept = std::env::vars_os()
        .filter(|(name, _)| settings.iter().all(|(ours, _)| name != ours))
        .map(|(name, value)| variable(&name, &value));
    let ours = settings.iter().map(|(name, value)| variable(OsStr::new(name), value));
    let environment = c_strings(kept.chain(ours))?;
    let arguments = c_strings(arguments.iter().map(|argument| argument.clone().into_vec()))?;
    let path = match program {
        Program::Path(path) => c_path(path)?,
        Program::File(_) => CString::default(),
    };
    let (argv, envp) = (pointers(&arguments), pointers(&environment));
    set_sigpipe(if SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL });
    for filter in filters {
        install(filter).map_err(Refused::Filter)?;
    }
    // SAFETY: the path ends in a NUL, both lists in a null pointer, and what they point to is alive.
    unsafe {
        match program {
            Program::Path(_) => {
                libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
            }
            // glibc has an execveat only since 2.34.
            Program::File(file) => {
                let (fd, flags) = (file.as_raw_fd(), libc::AT_EMPTY_PATH);
                libc::syscall(libc::SYS_execveat, fd, path.as_ptr(), argv.as_ptr(), envp.as_ptr(), flags);
            }
        }
    }
    let error = io::Error::last_os_error();
    set_sigpipe(libc::SIG_IGN);
    Ok(error)
}

/// Installs a seccomp filter (seccomp(2)). no_new_privs is set only where the kernel asks for it, which it does
/// unless we hold CAP_SYS_ADMIN. By prctl, which is older than seccomp().
fn install(filter: &BpfProgram) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len().try_into().map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel only reads the program, whose instructions have its own layout.
    let set =
        || unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0 };
    if set() {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EACCES) {
        // SAFETY: takes numbers alone.
        let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 };
        if promised && set() {
            return Ok(());
        }
    }
    Err(error)
}

/// An empty file in memory that a program may be executed from (memfd_create(2)).
pub fn memory_file(name: &[u8]) -> io::Result<File> {
    let name = CString::new(name)?;
    let create = |flags| {
        // SAFETY: the name ends in a NUL.
        let fd =
            unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // Kernels before 6.3 do not know the flag, and let every such file be executed.
    let file = create(libc::MFD_EXEC).or_else(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => create(0),
        _ => Err(error),
    })?;
    Ok(file.into())
}

/// Lets nobody change a file in memory any more.
pub fn seal(file: &File) -> io::Result<()> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes a number and no memory of ours.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets no descriptor above standard error be inherited by what is executed from here on.
pub fn keep_standard_streams_alone() -> io::Result<()> {
    let first: libc::c_uint = 3;
    // SAFETY: takes numbers alone; no descriptor is closed before an exec.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0
    };
    if done {
        return Ok(());
    }
    // Kernels before 5.11.
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if fd > libc::STDERR_FILENO {
            // SAFETY: takes numbers alone; a descriptor that is closed meanwhile is an error of no interest.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Leaves namespaces for new ones: a set of `CLONE_NEW` flags (unshare(2)).
pub fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: what makes unshare unsafe is CLONE_FILES, with which a thread would lose descriptors of others.
    unsafe { rustix::thread::unshare_unsafe(namespaces - UnshareFlags::FILES) }.map_err(io::Error::from)
}

/// Whether we may execute a file: its mode, and how its file system is mounted.
pub fn may_execute(path: &Path) -> bool {
    // SAFETY: the path ends in a NUL, here and below.
    c_path(path).is_ok_and(|path| unsafe {
        libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0
            // Filters of before faccessat2 answer EPERM, which no file gives (it gives EACCES): then by the real ids.
            || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
                && libc::access(path.as_ptr(), libc::X_OK) == 0
    })
}

/// Whether a file gives its program capabilities (capabilities(7)).
pub fn has_capabilities(path: &Path) -> bool {
    // SAFETY: both strings end in a NUL; with size 0 nothing is written.
    c_path(path).is_ok_and(|path| unsafe {
        libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), null_mut(), 0) > 0
    })
}

fn set_sigpipe(disposition: libc::sighandler_t) {
    // SAFETY: neither SIG_IGN nor SIG_DFL runs code of ours.
    unsafe { libc::signal(libc::SIGPIPE, disposition) };
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn c_strings(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    strings.map(|string| CString::new(string).map_err(io::Error::from)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}
