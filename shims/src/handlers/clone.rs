//! New processes: `clone3(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// `struct clone_args` (linux/sched.h), bytes: of 5.3, and whole (with set_tid of 5.5 and cgroup of 5.7).
const SIZE_FIRST: usize = 64;
const SIZE: usize = 88;

/// Most that a caller's struct may have: PAGE_SIZE.
const LARGEST: usize = 4096;

/// Signal bits of clone(2)'s flags (CSIGNAL); in clone3 one of them is CLONE_NEWTIME.
const SIGNAL: u64 = 0xff;
const NEWTIME: u64 = 0x80;
const CLEAR_SIGHAND: u64 = 1 << 32;
const INTO_CGROUP: u64 = 1 << 33;

const VM: u64 = libc::CLONE_VM as u64;
const PIDFD: u64 = libc::CLONE_PIDFD as u64;
const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;

/// Largest pid namespace depth (MAX_PID_NS_LEVEL).
const DEEPEST: u64 = 32;

/// First address that is not the program's (TASK_SIZE_MAX with four page-table levels).
const END: u64 = 0x7fff_ffff_f000;

/// `clone3` of a child that runs on, on a copy of this stack: clone(2) with the same flags. EINVAL, E2BIG,
/// EFAULT in the order of kernel/fork.c, and clone's errnos; ENOSYS for what clone(2) cannot do, and for what a
/// handler cannot return from: another stack, shared memory, another thread pointer.
///
/// Sizes are bytes. Where both a pidfd and the child's id are to be stored, the id is stored after the clone
/// and not by it: the child may run before.
pub fn clone3(call: &mut Call<'_>) -> isize {
    let given = copy(call.user(0), call.arg(1)).and_then(Arguments::for_clone);
    call.became(|text| {
        text.push(match given {
            Ok(_) => &b"clone"[..],
            Err(Errno(libc::ENOSYS)) => b"ENOSYS: more than clone can do here",
            Err(_) => b"an error: a bad struct",
        });
    });
    sys::result(given.and_then(clone))
}

/// The struct's fields, in its order.
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    set_tid: u64,
    set_tid_size: u64,
}

/// Copies and checks the struct: copy_clone_args_from_user, clone3_args_valid.
fn copy(from: User, size: usize) -> Result<Arguments> {
    const INVALID: Errno = Errno(libc::EINVAL);
    const TOO_BIG: Errno = Errno(libc::E2BIG);
    if size > LARGEST {
        return Err(TOO_BIG);
    }
    if size < SIZE_FIRST {
        return Err(INVALID);
    }
    // What is younger than this struct must be 0.
    let mut done = SIZE;
    while done < size {
        let mut piece = [0u8; 256];
        let length = (size - done).min(piece.len());
        let Some(piece) = piece.get_mut(..length) else { break };
        memory::read(from.at(done), piece)?;
        if piece.iter().any(|&b| b != 0) {
            return Err(TOO_BIG);
        }
        done += length;
    }
    let mut bytes = [0u8; SIZE];
    memory::read(from, bytes.get_mut(..size.min(SIZE)).unwrap_or(&mut []))?;
    let mut fields = [0u64; SIZE / 8];
    for (field, bytes) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
        *field = bytes.try_into().map_or(0, u64::from_ne_bytes);
    }
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        _,
        set_tid,
        set_tid_size,
        cgroup,
    ] = fields;
    if set_tid_size > DEEPEST || (set_tid == 0) != (set_tid_size == 0) {
        return Err(INVALID);
    }
    if exit_signal > 64 {
        return Err(INVALID);
    }
    if flags & INTO_CGROUP != 0 && (cgroup > i32::MAX as u64 || size < SIZE) {
        return Err(INVALID);
    }
    let given = Arguments {
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        set_tid,
        set_tid_size,
    };
    given.copy_set_tid()?;
    if given.is_valid() { Ok(given) } else { Err(INVALID) }
}

impl Arguments {
    /// EFAULT where the thread ids cannot be read.
    fn copy_set_tid(&self) -> Result<()> {
        for index in 0..self.set_tid_size.min(DEEPEST) {
            memory::get::<i32>(User(self.set_tid as usize).at(index as usize * size_of::<i32>()))?;
        }
        Ok(())
    }

    /// EINVAL as kernel_clone says it; ENOSYS for what cannot be carried out.
    fn for_clone(self) -> Result<Arguments> {
        const BEYOND: u64 = VM | CLEAR_SIGHAND | INTO_CGROUP | NEWTIME | libc::CLONE_SETTLS as u64;
        let both = self.flags & PIDFD != 0 && self.flags & PARENT_SETTID != 0;
        if both && self.pidfd == self.parent_tid {
            return Err(Errno(libc::EINVAL));
        }
        if self.flags & BEYOND != 0 || self.stack != 0 || self.set_tid_size != 0 {
            return Err(Errno(libc::ENOSYS));
        }
        if self.flags & PIDFD != 0 && !gives_pidfd() {
            return Err(Errno(libc::ENOSYS));
        }
        Ok(self)
    }

    fn is_valid(&self) -> bool {
        const DETACHED: u64 = libc::CLONE_DETACHED as u64;
        const OF_PARENT: u64 = libc::CLONE_THREAD as u64 | libc::CLONE_PARENT as u64;
        const HANDLERS: u64 = libc::CLONE_SIGHAND as u64 | CLEAR_SIGHAND;
        if self.flags >> 34 != 0 || self.flags & (DETACHED | SIGNAL & !NEWTIME) != 0 {
            return false;
        }
        if self.flags & HANDLERS == HANDLERS {
            return false;
        }
        if self.flags & OF_PARENT != 0 && self.exit_signal != 0 {
            return false;
        }
        if self.stack == 0 {
            return self.stack_size == 0;
        }
        let end = self.stack.checked_add(self.stack_size);
        self.stack_size != 0 && end.is_some_and(|end| end <= END)
    }
}

fn clone(given: Arguments) -> Result<usize> {
    let (flags, pidfd) = (given.flags, User(given.pidfd as usize));
    let both = flags & PIDFD != 0 && flags & PARENT_SETTID != 0;
    // clone(2) has one address for both.
    let own = if both { flags & !PARENT_SETTID } else { flags };
    let place = if flags & PIDFD != 0 { pidfd } else { User(given.parent_tid as usize) };
    let own = (own | given.exit_signal) as usize;
    let child = sys::check(sys::call(libc::SYS_clone, [own, 0, place.0, given.child_tid as usize, 0, 0]))?;
    if both && child != 0 {
        // The kernel does not look at the result either.
        let _ = memory::put(User(given.parent_tid as usize), child as i32);
    }
    Ok(child)
}

/// Whether clone(2) gives pidfds: since 5.2, one kernel before clone3; older ones ignore the flag. Asked once,
/// with a child that ends at once.
fn gives_pidfd() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    if ANSWER.load(Relaxed) == UNKNOWN {
        ANSWER.store(if sys::clone_gives_pidfd() { YES } else { NO }, Relaxed);
    }
    ANSWER.load(Relaxed) == YES
}
