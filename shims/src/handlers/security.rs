//! What a program forbids itself: `seccomp(2)`.

use crate::dispatch::Call;
use crate::logging;
use crate::sys;

/// `seccomp`: modes by prctl(PR_SET_SECCOMP), which knows no flags (kernel/seccomp.c). EINVAL (unknown
/// operation or flags, an argument to strict mode), EFAULT, EACCES, ENOMEM.
///
/// Flags and the two questions are EINVAL, as from a kernel whose seccomp(2) is older than they are:
/// libseccomp asks for them so, and goes by prctl(2) then.
pub fn seccomp(call: &mut Call<'_>) -> isize {
    let mode = mode(&call.args);
    call.became(|text| {
        text.push(match mode {
            Some(_) => &b"prctl(PR_SET_SECCOMP)"[..],
            None => b"EINVAL: prctl(PR_SET_SECCOMP) knows no such operation or flags",
        });
    });
    let Some(mode) = mode else { return -(libc::EINVAL as isize) };
    let args = [libc::PR_SET_SECCOMP as usize, mode as usize, call.arg(2), 0, 0, 0];
    let result = sys::call(libc::SYS_prctl, args);
    if result == 0 {
        logging::close();
    }
    result
}

/// The mode that a call sets, if prctl(2) can set it.
pub fn mode(&[operation, flags, filter, ..]: &[usize; 6]) -> Option<u32> {
    const SET_MODE_STRICT: u32 = 0;
    const SET_MODE_FILTER: u32 = 1;
    match (operation as u32, flags as u32, filter) {
        (SET_MODE_STRICT, 0, 0) => Some(libc::SECCOMP_MODE_STRICT),
        (SET_MODE_FILTER, 0, _) => Some(libc::SECCOMP_MODE_FILTER),
        _ => None,
    }
}
