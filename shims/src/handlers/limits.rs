//! Resource limits: `prlimit64(2)`.

use super::nofile;
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result};

/// `prlimit64` on this process: getrlimit(2) and setrlimit(2), whose struct is the same on 64-bit machines,
/// RLIM_INFINITY included. EFAULT, ESRCH, EINVAL, EPERM, in the order of kernel/sys.c; ENOSYS for another
/// process. The kernel swaps old and new under a lock: here another thread may set a limit in between.
pub fn prlimit64(call: &mut Call<'_>) -> isize {
    let (pid, resource) = (call.int(0), call.arg(1) as u32);
    let (new, old) = (call.user(2), call.user(3));
    if let Some(answer) = call.answer {
        let of_ours = !new.is_null() && (pid == 0 || pid == sys::getpid());
        return if of_ours { nofile::clamp(call, resource, answer) } else { call.decline(answer) };
    }
    call.became(|text| {
        text.push(if new.is_null() { &b"getrlimit"[..] } else { b"getrlimit, setrlimit" });
    });
    let change = || -> Result<usize> {
        let wanted = if new.is_null() { None } else { Some(memory::get::<[u64; 2]>(new)?) };
        of_this_process(pid)?;
        // Before the change, and whether or not anybody wants it: EINVAL for an unknown resource.
        let before = sys::getrlimit(resource)?;
        if let Some(wanted) = wanted {
            sys::setrlimit(resource, wanted)?;
        }
        if !old.is_null() {
            memory::put(old, before)?;
        }
        Ok(0)
    };
    let result = sys::result(change());
    if result == 0 && !new.is_null() {
        nofile::lowered_behind(call, resource);
    }
    result
}

/// Whether a pid means this process: 0, its own, or that of any of its threads. ESRCH for one that nobody
/// has, ENOSYS for another process.
fn of_this_process(pid: i32) -> Result<()> {
    let own = sys::getpid();
    if pid == 0 || pid == own {
        return Ok(());
    }
    if pid < 0 {
        return Err(Errno(libc::ESRCH));
    }
    // Signal 0 only asks: once for a thread of ours, once for anybody.
    if sys::call(libc::SYS_tgkill, [own as usize, pid as usize, 0, 0, 0, 0]) == 0 {
        return Ok(());
    }
    if sys::call(libc::SYS_kill, [pid as usize, 0, 0, 0, 0, 0]) == -(libc::ESRCH as isize) {
        return Err(Errno(libc::ESRCH));
    }
    Err(Errno(libc::ENOSYS))
}
