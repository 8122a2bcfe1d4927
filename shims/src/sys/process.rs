//! The process: its life, its limits, its rights, its clocks.

use super::{Blocked, Errno, Fd, Result, User, call, check, result, with_words, zeroed};
use crate::arch::syscall;
use core::ffi::CStr;
use libc::{SYS_exit, c_int};

/// Whether a group is among the supplementary groups of this thread: getgroups(2).
pub fn in_groups(group: u32) -> bool {
    let count = ask!(libc::SYS_getgroups, 0, 0).unwrap_or(0);
    let found = with_words(count.div_ceil(2), |words| {
        let got = ask!(libc::SYS_getgroups, words.len() * 2, words.as_mut_ptr()).unwrap_or(0);
        let groups = words.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]);
        isize::from(groups.take(got).any(|one| one == group))
    });
    found == Some(1)
}

/// clock_gettime(CLOCK_MONOTONIC): seconds and nanoseconds.
pub fn monotonic() -> (i64, i64) {
    let mut time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time);
    (time.tv_sec, time.tv_nsec)
}

/// exit_group(2).
pub fn exit(status: usize) -> ! {
    loop {
        call(libc::SYS_exit_group, [status, 0, 0, 0, 0, 0]);
    }
}

/// Names this process (prctl(PR_SET_NAME)) after the last part of a path on the first stack.
pub fn name_after(path: usize) {
    if path == 0 {
        return;
    }
    // SAFETY: argv[0], laid NUL-terminated by the kernel.
    let path = unsafe { CStr::from_ptr(path as *const core::ffi::c_char) };
    let length = path.to_bytes().rsplit(|&b| b == b'/').next().map_or(0, <[u8]>::len);
    let start = path.to_bytes().len() - length;
    call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, path.as_ptr() as usize + start, 0, 0, 0, 0]);
}

/// getpid(2).
pub fn getpid() -> i32 {
    call(libc::SYS_getpid, [0; 6]) as i32
}

/// Whether an exec raised the rights, where AT_SECURE is not known: the real and effective ids differ, or
/// the kernel made the process undumpable, as it does for file capabilities too.
pub fn raised_rights() -> bool {
    let ask = |number| call(number, [0; 6]);
    let dumpable = call(libc::SYS_prctl, [libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0, 0]);
    ask(libc::SYS_getuid) != ask(libc::SYS_geteuid)
        || ask(libc::SYS_getgid) != ask(libc::SYS_getegid)
        || dumpable != 1
}

/// gettid(2).
pub fn gettid() -> i32 {
    call(libc::SYS_gettid, [0; 6]) as i32
}

/// clock_nanosleep(2) for a time of ours by CLOCK_MONOTONIC. EINTR.
pub fn sleep(time: &[i64; 2]) -> Result<usize> {
    ask!(libc::SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, time.as_ptr(), 0)
}

/// sched_getaffinity(2) into a mask of ours: its bytes.
pub fn affinity(thread: c_int, mask: &mut [u8]) -> Result<usize> {
    ask!(libc::SYS_sched_getaffinity, thread, mask.len(), mask.as_mut_ptr()).map(|n| n.min(mask.len()))
}

/// clock_gettime(CLOCK_REALTIME): seconds and nanoseconds.
pub fn now() -> (i64, i64) {
    let mut time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut time);
    (time.tv_sec, time.tv_nsec)
}

/// Seconds of the clock as of its last tick, which is what time(2) tells: clock_gettime(CLOCK_REALTIME_COARSE),
/// or CLOCK_REALTIME before 2.6.32.
pub fn seconds() -> i64 {
    let mut time: libc::timespec = zeroed();
    match ask!(libc::SYS_clock_gettime, libc::CLOCK_REALTIME_COARSE, &raw mut time) {
        Ok(_) => time.tv_sec,
        Err(_) => now().0,
    }
}

/// setitimer(ITIMER_REAL) of one signal in so many seconds, 0 for none: seconds and microseconds that were left
/// of the one before.
pub fn set_alarm(seconds: u32) -> Result<[i64; 2]> {
    // struct itimerval: the interval, then the time left.
    let new = [0i64, 0, i64::from(seconds), 0];
    let mut old = [0i64; 4];
    ask!(libc::SYS_setitimer, libc::ITIMER_REAL, new.as_ptr(), old.as_mut_ptr())?;
    let [_, _, seconds, microseconds] = old;
    Ok([seconds, microseconds])
}

/// clock_settime(CLOCK_REALTIME).
pub fn set_clock(seconds: i64) -> Result<usize> {
    let time = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    ask!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, &raw const time)
}

/// prlimit64(2) on ourselves: sets `new`, if any, and gives the limit from before.
pub fn prlimit(resource: u32, new: Option<libc::rlimit64>) -> Result<libc::rlimit64> {
    let mut old: libc::rlimit64 = zeroed();
    let new = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    ask!(libc::SYS_prlimit64, 0, resource, new, &raw mut old)?;
    Ok(old)
}

/// getrlimit(2): soft and hard limit.
pub fn getrlimit(resource: u32) -> Result<[u64; 2]> {
    let mut limit = [0u64; 2];
    ask!(libc::SYS_getrlimit, resource, limit.as_mut_ptr())?;
    Ok(limit)
}

/// setrlimit(2): soft and hard limit.
pub fn setrlimit(resource: u32, limit: [u64; 2]) -> Result<usize> {
    ask!(libc::SYS_setrlimit, resource, limit.as_ptr())
}

/// uname(2): six fields of 65 bytes.
pub fn names() -> Result<[u8; 390]> {
    let mut names = [0u8; 390];
    ask!(libc::SYS_uname, names.as_mut_ptr())?;
    Ok(names)
}

/// Memory of the host, bytes.
pub struct Memory {
    /// What there is.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
    /// What there is of swap, and what nobody uses.
    pub swap: [u64; 2],
}

/// sysinfo(2), and its memory in bytes.
pub fn machine() -> Result<(libc::sysinfo, Memory)> {
    let mut info: libc::sysinfo = zeroed();
    ask!(libc::SYS_sysinfo, &raw mut info)?;
    let bytes = |count: u64| count.saturating_mul(u64::from(info.mem_unit.max(1)));
    let swap = [bytes(info.totalswap), bytes(info.freeswap)];
    let memory = Memory { total: bytes(info.totalram), free: bytes(info.freeram), swap };
    Ok((info, memory))
}

/// What sysinfo(2) writes, as the bytes it is made of.
pub fn bytes_of_machine(info: &libc::sysinfo) -> &[u8] {
    // SAFETY: a C struct of integers that began as zeros, its padding too, and was filled by the kernel.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(info).cast(), size_of::<libc::sysinfo>()) }
}

/// geteuid(2).
pub fn effective_user() -> u32 {
    call(libc::SYS_geteuid, [0; 6]) as u32
}

/// getrandom(2) of one byte, without waiting: whether the kernel's generator is ready.
pub fn random_is_ready() -> bool {
    let mut byte = [0u8; 1];
    ask!(libc::SYS_getrandom, byte.as_mut_ptr(), 1, libc::GRND_NONBLOCK) == Ok(1)
}

/// sched_setscheduler(2), or sched_setparam(2) where no policy is given, with a priority.
pub fn set_scheduler(thread: c_int, policy: Option<c_int>, priority: c_int) -> Result<usize> {
    match policy {
        Some(policy) => ask!(libc::SYS_sched_setscheduler, thread, policy, &raw const priority),
        None => ask!(libc::SYS_sched_setparam, thread, &raw const priority),
    }
}

/// The priority of sched_getparam(2).
pub fn scheduler_priority(thread: c_int) -> Result<c_int> {
    let mut priority: c_int = 0;
    ask!(libc::SYS_sched_getparam, thread, &raw mut priority)?;
    Ok(priority)
}

/// A clone(2) that CLONE_PIDFD (5.2) would have to give a descriptor for, in a child that ends at once: whether
/// it did. Kernels before ignore the flag.
pub fn clone_gives_pidfd() -> bool {
    let mut pidfd: c_int = -1;
    if child(libc::CLONE_PIDFD, (&raw mut pidfd) as usize, || 0).is_err() || pidfd < 0 {
        return false;
    }
    drop(Fd(pidfd));
    true
}

/// execve(2) by a path of ours: gives the errno, if it comes back.
pub fn execve(path: &CStr, argv: User, envp: User) -> isize {
    result(ask!(libc::SYS_execve, path.as_ptr(), argv.0, envp.0))
}

/// prctl(PR_GET_SECCOMP): whether a seccomp filter is installed.
pub fn under_filter() -> bool {
    ask!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0) == Ok(2)
}

/// prctl(PR_GET_NO_NEW_PRIVS).
pub fn no_new_privileges() -> bool {
    ask!(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == Ok(1)
}

/// prctl(PR_SET_NO_NEW_PRIVS): no exec from here on raises rights.
pub fn renounce_new_privileges() -> Result<usize> {
    ask!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

/// Whether a capability is effective: capget(2).
pub fn has_capability(capability: u32) -> bool {
    // _LINUX_CAPABILITY_VERSION_3, and pid 0: ourselves.
    let header = [0x2008_0522u32, 0];
    // Effective, permitted, inheritable: of the first 32 capabilities, and of the rest.
    let mut sets = [0u32; 6];
    let asked = ask!(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr());
    asked.is_ok() && capability < 32 && sets[0] >> capability & 1 == 1
}

/// prctl(PR_SET_SECCOMP): a filter of `struct sock_filter` instructions. Not seccomp(2): a filter that kills
/// may know only the older call, by which it was asked whether there is one.
pub fn install_filter(code: &[u64]) -> Result<usize> {
    // struct sock_fprog: an unsigned short and a pointer.
    let program = [code.len(), code.as_ptr() as usize];
    ask!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 2, program.as_ptr(), 0, 0)
}

/// execveat(2) of an open file, with the program's own or our argument list, and a word as above. Comes back
/// only with -errno.
pub fn exec_file(file: &Fd, argv: usize, envp: User, word: usize) -> isize {
    let flags = libc::AT_EMPTY_PATH;
    result(ask!(libc::SYS_execveat, file.0, c"".as_ptr(), argv, envp.0, flags, word))
}

/// How a throw-away child ended.
pub enum ChildEnd {
    /// It exited with this status.
    Exited(u8),
    /// A signal ended it.
    Killed,
}

/// Runs one closure in a child of its own memory, which no wait(2) of the program sees (no exit signal).
/// The closure's result, 0 to 255, is the child's exit status.
pub fn in_child(work: impl FnOnce() -> u8) -> Result<ChildEnd> {
    let status = child(0, 0, work)?;
    Ok(if status & 0x7f == 0 { ChildEnd::Exited((status >> 8) as u8) } else { ChildEnd::Killed })
}

/// The same with flags and a third argument of clone(2): the child's wait status. No stack and no exit signal:
/// a plain fork.
fn child(flags: c_int, third: usize, work: impl FnOnce() -> u8) -> Result<c_int> {
    let all = Blocked::add(u64::MAX);
    let child = ask!(libc::SYS_clone, flags, 0, third, 0, 0)?;
    if child == 0 {
        let status = work();
        loop {
            call(SYS_exit, [usize::from(status), 0, 0, 0, 0, 0]);
        }
    }
    let mut status: c_int = 0;
    while ask!(libc::SYS_wait4, child, &raw mut status, libc::__WALL, 0) == Err(Errno(libc::EINTR)) {}
    drop(all);
    Ok(status)
}
