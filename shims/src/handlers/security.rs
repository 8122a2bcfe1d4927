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
    const SET_MODE_STRICT: u32 = 0;
    const SET_MODE_FILTER: u32 = 1;
    let mode = match (call.arg(0) as u32, call.arg(1) as u32, call.user(2)) {
        (SET_MODE_STRICT, 0, filter) if filter.is_null() => libc::SECCOMP_MODE_STRICT,
        (SET_MODE_FILTER, 0, _) => libc::SECCOMP_MODE_FILTER,
        _ => {
            call.became(|text| {
                text.push(b"EINVAL: prctl(PR_SET_SECCOMP) knows no such operation or flags");
            });
            return -(libc::EINVAL as isize);
        }
    };
    call.became(|text| {
        text.push(b"prctl(PR_SET_SECCOMP)");
    });
    // Told before the deed: what a line takes may be forbidden after it.
    if logging::is_on() {
        logging::translated(call.rule, &call.args, b"prctl(PR_SET_SECCOMP)", 0);
    }
    let args = [libc::PR_SET_SECCOMP as usize, mode as usize, call.arg(2), 0, 0, 0];
    let result = sys::call(libc::SYS_prctl, args);
    if result == 0 {
        logging::close();
    }
    result
}
