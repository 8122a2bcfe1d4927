//! Scheduling: `sched_setattr(2)`, `sched_getattr(2)`, `getcpu(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};
use crate::vdso;

/// `struct sched_attr` of 3.14 (linux/sched/types.h), bytes: SCHED_ATTR_SIZE_VER0.
const SIZE: usize = 48;

/// Most that a caller's struct may have: PAGE_SIZE.
const LARGEST: usize = 4096;

const SCHED_DEADLINE: u32 = 6;

/// Flags of the struct.
const RESET_ON_FORK: u64 = 1;
const KEEP_POLICY: u64 = 8;
const KEEP_PARAMS: u64 = 0x10;
/// With SCHED_FLAG_RECLAIM and _DL_OVERRUN, which other policies than SCHED_DEADLINE ignore.
const KNOWN_FLAGS: u64 = 0x1f;

/// What the struct says, of what is carried out here.
struct Attributes {
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
}

/// `sched_setattr`: EINVAL, EFAULT, E2BIG (a struct with more in it than is known here; its size is set then),
/// ESRCH, EPERM (kernel/sched/core.c); ENOSYS for SCHED_DEADLINE.
///
/// Policy and nice value are set one after the other, in the order in which a second step that is refused
/// can be taken back or was refused in the first. Where the parameters are kept (SCHED_FLAG_KEEP_PARAMS), the
/// right to a policy that is named but not set is not asked for.
pub fn sched_setattr(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"sched_setscheduler, setpriority");
    });
    sys::result(set(call.int(0), call.user(1), call.arg(2) as u32))
}

fn set(thread: i32, from: User, flags: u32) -> Result<usize> {
    const INVALID: Errno = Errno(libc::EINVAL);
    if from.is_null() || thread < 0 || flags != 0 {
        return Err(INVALID);
    }
    let mut wanted = copy(from)?;
    if (wanted.policy as i32) < 0 {
        return Err(INVALID);
    }
    let (policy, reset) = policy_of(thread)?;
    if wanted.flags & KEEP_PARAMS != 0 {
        if is_realtime(policy) {
            wanted.priority = sys::scheduler_priority(thread)? as u32;
        } else {
            wanted.nice = nice(thread)?;
        }
    }
    let keep_policy = wanted.flags & KEEP_POLICY != 0;
    let new = if keep_policy { policy } else { wanted.policy };
    if new == SCHED_DEADLINE {
        return Err(Errno(libc::ENOSYS));
    }
    // The kernel's function takes SCHED_RESET_ON_FORK in the policy, the struct does not.
    if new > 0xff || wanted.flags & !KNOWN_FLAGS != 0 {
        return Err(INVALID);
    }
    // Unknown policies before the first step: EINVAL here as there.
    sys::check(sys::call(libc::SYS_sched_get_priority_min, [new as usize, 0, 0, 0, 0, 0]))?;
    if wanted.priority > 99 || is_realtime(new) != (wanted.priority != 0) {
        return Err(INVALID);
    }
    let reset = if keep_policy { reset } else { wanted.flags & RESET_ON_FORK != 0 };
    // Kept parameters keep the policy with them (__setscheduler_params): only the reset on fork may change.
    let keeps_all = wanted.flags & KEEP_PARAMS != 0;
    let new = if keeps_all { policy } else { new };
    if keeps_all && !is_realtime(policy) {
        wanted.priority = 0;
    }
    let scheduler = || {
        let with_reset = new as i32 | if reset { libc::SCHED_RESET_ON_FORK } else { 0 };
        let policy = (!keep_policy).then_some(with_reset);
        sys::set_scheduler(thread, policy, wanted.priority as i32)
    };
    if keeps_all || is_realtime(new) || new == libc::SCHED_IDLE as u32 {
        return scheduler();
    }
    let before = nice(thread)?;
    if wanted.nice < before {
        set_nice(thread, wanted.nice)?;
        return scheduler().inspect_err(|_| {
            // Upwards: always allowed.
            let _ = set_nice(thread, before);
        });
    }
    scheduler()?;
    set_nice(thread, wanted.nice)
}

/// Copies the struct: sched_copy_attr.
fn copy(from: User) -> Result<Attributes> {
    let size = match memory::get::<u32>(from)? as usize {
        0 => SIZE,
        size => size,
    };
    if !(SIZE..=LARGEST).contains(&size) {
        return Err(too_big(from));
    }
    // What is younger than this struct must be 0.
    if size > SIZE && !memory::is_zeroed(from.at(SIZE), size - SIZE)? {
        return Err(too_big(from));
    }
    // size and policy, flags, nice and priority; then runtime, deadline and period.
    let words: [u64; SIZE / 8] = memory::get(from)?;
    let [first, flags, third, ..] = words;
    Ok(Attributes {
        policy: (first >> 32) as u32,
        flags,
        // Out of bounds is the nearest that there is.
        nice: (third as i32).clamp(-20, 19),
        priority: (third >> 32) as u32,
    })
}

/// E2BIG, with the size that is known here written to the caller.
fn too_big(to: User) -> Errno {
    let _ = memory::put(to, SIZE as u32);
    Errno(libc::E2BIG)
}

/// `sched_getattr`: EINVAL, ESRCH, EFAULT (kernel/sched/core.c); ENOSYS for a thread under SCHED_DEADLINE.
/// Policy, priority and nice value are asked for one after the other.
pub fn sched_getattr(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"sched_getscheduler, sched_getparam, getpriority");
    });
    let (thread, to, size) = (call.int(0), call.user(1), call.arg(2) as u32 as usize);
    let get = || -> Result<usize> {
        if to.is_null() || thread < 0 || !(SIZE..=LARGEST).contains(&size) || call.arg(3) as u32 != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let (policy, reset) = policy_of(thread)?;
        if policy == SCHED_DEADLINE {
            return Err(Errno(libc::ENOSYS));
        }
        let flags = if reset { RESET_ON_FORK } else { 0 };
        let third = if is_realtime(policy) {
            (sys::scheduler_priority(thread)? as u64) << 32
        } else {
            u64::from(nice(thread)? as u32)
        };
        let first = SIZE as u64 | u64::from(policy) << 32;
        memory::put(to, [first, flags, third, 0, 0, 0])?;
        clear(to, SIZE, size)
    };
    sys::result(get())
}

/// Zeroes what the caller's struct has beyond ours.
fn clear(to: User, mut from: usize, end: usize) -> Result<usize> {
    let zeroes = [0u8; 256];
    while from < end {
        let length = (end - from).min(zeroes.len());
        memory::write(to.at(from), zeroes.get(..length).unwrap_or(&[]))?;
        from += length;
    }
    Ok(0)
}

/// The policy, and whether children get the normal one.
fn policy_of(thread: i32) -> Result<(u32, bool)> {
    let policy = sys::check(sys::call(libc::SYS_sched_getscheduler, [thread as usize, 0, 0, 0, 0, 0]))?;
    let reset = libc::SCHED_RESET_ON_FORK as u32;
    Ok((policy as u32 & !reset, policy as u32 & reset != 0))
}

fn is_realtime(policy: u32) -> bool {
    policy == libc::SCHED_FIFO as u32 || policy == libc::SCHED_RR as u32
}

/// The nice value: the system call gives 20 less it.
fn nice(thread: i32) -> Result<i32> {
    let args = [libc::PRIO_PROCESS as usize, thread as usize, 0, 0, 0, 0];
    sys::check(sys::call(libc::SYS_getpriority, args)).map(|above| 20 - above as i32)
}

/// Sets the nice value. EPERM where setpriority(2) says EACCES.
fn set_nice(thread: i32, nice: i32) -> Result<usize> {
    let args = [libc::PRIO_PROCESS as usize, thread as usize, nice as usize, 0, 0, 0];
    match sys::check(sys::call(libc::SYS_setpriority, args)) {
        Err(Errno(libc::EACCES)) => Err(Errno(libc::EPERM)),
        other => other,
    }
}

/// `getcpu`: by the vDSO, which reads it without a system call. EFAULT; ENOSYS without a vDSO. The third
/// argument is ignored since 2.6.24.
pub fn getcpu(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"the vDSO's getcpu");
    });
    let Some(numbers) = vdso::cpu_and_node() else { return -(libc::ENOSYS as isize) };
    let mut result = 0;
    // Both are written, though one place be bad (kernel/sys.c).
    for (place, number) in [call.user(0), call.user(1)].into_iter().zip(numbers) {
        if !place.is_null() {
            if let Err(error) = memory::put(place, number) {
                result = sys::result(Err(error));
            }
        }
    }
    result
}

/// `sched_getaffinity` with a mask that is smaller than the kernel's: asked for with a larger one, of which the
/// program gets its part. EINVAL stays where that part names no processor, and for a length that is not of whole
/// words; ESRCH, EFAULT (kernel/sched/syscalls.c of 6.18). The result is the bytes written, as of the system call.
pub fn sched_getaffinity(call: &mut Call<'_>) -> isize {
    /// 8192 processors: no x86-64 kernel knows more.
    const LARGEST: usize = 1024;
    call.became(|text| {
        text.push(b"sched_getaffinity with a larger mask");
    });
    let length = call.arg(1) as u32 as usize;
    let mut mask = [0u8; LARGEST];
    let ask = |mask: &mut [u8]| -> Result<usize> {
        if length == 0 || length % size_of::<usize>() != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let got = sys::affinity(call.int(0), mask)?;
        let part = mask.get(..got.min(length)).unwrap_or(&[]);
        if part.iter().all(|&byte| byte == 0) {
            return Err(Errno(libc::EINVAL));
        }
        memory::write(call.user(2), part)?;
        Ok(part.len())
    };
    match sys::result(ask(&mut mask)) {
        refused if call.answer == Some(refused) => call.decline(refused),
        answer => answer,
    }
}
