//! Old calls on processes by their modern forms: `fork(2)`, `vfork(2)`, `getrlimit(2)`, `setrlimit(2)`.

use super::nofile;
use super::superseded::by;
use crate::dispatch::Call;
use crate::sys::{self, Errno};

/// `fork`: clone(2) with SIGCHLD alone (kernel/fork.c: both are kernel_clone with that exit signal). EAGAIN,
/// ENOMEM.
pub fn fork(call: &mut Call<'_>) -> isize {
    by(call, b"clone(SIGCHLD)", libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0])
}

/// `vfork`: clone(2) with CLONE_VFORK, which makes the parent wait for the child's exec or end, but without
/// CLONE_VM: a handler cannot return twice on one stack (kernel/fork.c). EAGAIN, ENOMEM.
pub fn vfork(call: &mut Call<'_>) -> isize {
    let flags = libc::CLONE_VFORK | libc::SIGCHLD;
    by(call, b"clone(CLONE_VFORK|SIGCHLD), memory copied", libc::SYS_clone, [flags as usize, 0, 0, 0, 0, 0])
}

/// `getrlimit`: prlimit64(2) of this process (kernel/sys.c), for which NULL would mean that nobody wants to know.
/// EINVAL, then EFAULT.
pub fn getrlimit(call: &mut Call<'_>) -> isize {
    let (resource, to) = (call.arg(0), call.user(1));
    let answer = by(call, b"prlimit64", libc::SYS_prlimit64, [0, resource, 0, to.0, 0, 0]);
    if to.is_null() && answer == 0 { sys::result(Err(Errno(libc::EFAULT))) } else { answer }
}

/// `setrlimit`: prlimit64(2) of this process (kernel/sys.c), for which NULL would mean no change. EFAULT, then
/// EINVAL, EPERM. A limit that was set, by whomever, may be lowered behind it.
pub fn setrlimit(call: &mut Call<'_>) -> isize {
    let (resource, from) = (call.arg(0), call.user(1));
    if let Some(answer) = call.answer {
        return nofile::clamp(call, resource as u32, answer);
    }
    if from.is_null() {
        call.became(|text| {
            text.push(b"an error: no limit");
        });
        return sys::result(Err(Errno(libc::EFAULT)));
    }
    let answer = by(call, b"prlimit64", libc::SYS_prlimit64, [0, resource, from.0, 0, 0, 0]);
    if answer == 0 {
        nofile::lowered_behind(call, resource as u32);
    }
    answer
}
