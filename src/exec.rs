//! execve(2), with the signals as this process was given them.
//!
//! `CommandExt::exec` of std will not do: it goes through execvp(3), which hands what the kernel cannot
//! run to /bin/sh, and it sets the signal mask and SIGPIPE to their defaults, which a program run under
//! `nohup`-like wrappers would notice.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::ptr::null;
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

/// Becomes the program in `file`; comes back only with the reason why not. The environment is ours, with
/// `settings` in place of variables of the same names.
pub fn exec(file: &Path, arguments: &[OsString], settings: &[(&str, OsString)]) -> io::Error {
    match try_exec(file, arguments, settings) {
        Ok(error) | Err(error) => error,
    }
}

fn try_exec(file: &Path, arguments: &[OsString], settings: &[(&str, OsString)]) -> io::Result<io::Error> {
    let variable = |name: &OsStr, value: &OsStr| [name.as_bytes(), b"=", value.as_bytes()].concat();
    let kept = std::env::vars_os()
        .filter(|(name, _)| settings.iter().all(|(ours, _)| name != ours))
        .map(|(name, value)| variable(&name, &value));
    let ours = settings.iter().map(|(name, value)| variable(OsStr::new(name), value));
    let environment = c_strings(kept.chain(ours))?;
    let arguments = c_strings(arguments.iter().map(|argument| argument.clone().into_vec()))?;
    let file = CString::new(file.as_os_str().as_bytes())?;
    let (argv, envp) = (pointers(&arguments), pointers(&environment));
    set_sigpipe(if SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL });
    // SAFETY: the path ends in a NUL, both lists in a null pointer, and what they point to is alive.
    unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    let error = io::Error::last_os_error();
    set_sigpipe(libc::SIG_IGN);
    Ok(error)
}

fn set_sigpipe(disposition: libc::sighandler_t) {
    // SAFETY: neither SIG_IGN nor SIG_DFL runs code of ours.
    unsafe { libc::signal(libc::SIGPIPE, disposition) };
}

fn c_strings(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    strings.map(|string| CString::new(string).map_err(io::Error::from)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}
