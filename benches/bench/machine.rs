//! The machine: one core for everything, and the environment every measured program gets.

use std::ffi::c_int;
use std::io;

/// The environment of every measured program, in every variant: neither cargo's (whose LD_LIBRARY_PATH
/// makes ld.so search more folders) nor the user's.
pub const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LANG", "C"),
    ("SHELL", "/bin/sh"),
    ("TERM", "xterm"),
    ("USER", "root"),
];

/// sched_getaffinity(2) fills in a bit for each core; this is the size of glibc's `cpu_set_t`.
type Cores = [u64; 16];

unsafe extern "C" {
    fn sched_getaffinity(pid: c_int, size: usize, cores: *mut Cores) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, cores: *const Cores) -> c_int;
}

/// Pins this process and its children to the last core it may run on, and gives that core's number.
pub fn pin() -> io::Result<usize> {
    let mut allowed: Cores = [0; 16];
    // SAFETY: the set is live and of that size.
    if unsafe { sched_getaffinity(0, size_of::<Cores>(), &mut allowed) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let is_allowed = |core: &usize| allowed[core / 64] >> (core % 64) & 1 == 1;
    let core = (0..allowed.len() * 64).rfind(is_allowed).unwrap_or(0);
    let mut one: Cores = [0; 16];
    one[core / 64] = 1 << (core % 64);
    // SAFETY: the set is live and of that size.
    if unsafe { sched_setaffinity(0, size_of::<Cores>(), &one) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(core)
}
