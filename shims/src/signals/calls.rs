//! The calls that carry signal sets and actions, between the program's view and the kernel's. `native`
//! is the door's next definition; its result is handed back as it is, 0 meaning success everywhere.

use super::action::{Action, KNOWN_FLAGS, Kept, RESTORER};
use super::{CARRIER, SEGV, SYS, kept, set_action, to_real, to_virtual};
use crate::errno;
use crate::memory;
use crate::sys::{self, User, signal_bit};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use libc::{SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SIG_BLOCK, SIG_UNBLOCK};

/// A libc's or the kernel's `struct sigaction`: where its fields are, bytes.
pub struct Layout {
    size: usize,
    mask: usize,
    flags: usize,
    restorer: usize,
    /// Flags that the libc adds.
    added: u64,
}

/// Largest `struct sigaction`.
const ACTION: usize = 152;

/// glibc and musl: a mask of 1024 bits behind the handler.
pub const LIBC: Layout = Layout { size: ACTION, mask: 8, flags: 136, restorer: 144, added: RESTORER };

/// The kernel's.
pub const KERNEL: Layout = Layout { size: 32, mask: 24, flags: 8, restorer: 16, added: 0 };

/// uClibc hands the kernel's on.
pub const UCLIBC: Layout = Layout { added: RESTORER, ..KERNEL };

/// `sighold(SIG_HOLD)` and what sigset gives for a blocked signal.
const SIG_HOLD: usize = 2;

/// A set of libc's size: only the first word is the kernel's.
type Set = [u64; 16];

/// The set at an address in the kernel's view; None for NULL or what cannot be read.
fn real_set(set: User, map: fn(u64) -> u64) -> Option<Set> {
    let mut words = [0; 16];
    words[0] = map(memory::get::<u64>(set).ok().filter(|_| !set.is_null())?);
    Some(words)
}

/// What to unblock for a set: the two signals themselves too, since libc may have blocked them unseen.
fn to_unblock(set: u64) -> u64 {
    to_real(set) | set & (SEGV | SYS)
}

/// Calls on with the set of one argument replaced; a bad address is the kernel's to refuse.
pub fn with_set<const N: usize>(
    args: [usize; N],
    index: usize,
    native: impl Fn([usize; N]) -> isize,
) -> isize {
    with_set_mapped(args, index, to_real, native)
}

fn with_set_mapped<const N: usize>(
    mut args: [usize; N],
    index: usize,
    map: fn(u64) -> u64,
    native: impl Fn([usize; N]) -> isize,
) -> isize {
    let Some(slot) = args.get_mut(index) else { return native(args) };
    let set = real_set(User(*slot), map);
    if let Some(set) = &set {
        *slot = set.as_ptr() as usize;
    }
    native(args)
}

/// A set that the kernel gave goes to the program in its own view.
fn show_set(set: User) {
    if !set.is_null() {
        if let Ok(real) = memory::get::<u64>(set) {
            let _ = memory::put(set, to_virtual(real));
        }
    }
}

/// sigprocmask(2), pthread_sigmask(3): how, set, old.
pub fn change_mask<const N: usize>(args: [usize; N], native: impl Fn([usize; N]) -> isize) -> isize {
    let unblocks = args.first().is_some_and(|&how| how as i32 == SIG_UNBLOCK);
    let result = with_set_mapped(args, 1, if unblocks { to_unblock } else { to_real }, native);
    if result as i32 == 0 {
        show_set(User(args.get(2).copied().unwrap_or(0)));
    }
    result
}

/// signalfd(2): SIGSEGV never comes by a descriptor while its handler is ours.
pub fn without_segv<const N: usize>(mut args: [usize; N], native: impl Fn([usize; N]) -> isize) -> isize {
    let Some(slot) = args.get_mut(1) else { return native(args) };
    if kept(libc::SIGSEGV as usize).is_none() {
        return native(args);
    }
    let set = memory::get::<u64>(User(*slot)).ok().map(|set| [set & !SEGV; 1]);
    if let Some(set) = &set {
        *slot = set.as_ptr() as usize;
    }
    native(args)
}

/// sigaction(2): signal, new, old. Of a kept signal the program's own; of another the mask is mapped.
pub fn action<const N: usize>(
    mut args: [usize; N],
    layout: &Layout,
    native: impl Fn([usize; N]) -> isize,
) -> core::result::Result<isize, sys::Errno> {
    let [signal, new, old] = [0, 1, 2].map(|index| args.get(index).copied().unwrap_or(0));
    let (new, old) = (User(new), User(old));
    let mut copy = [0u8; ACTION];
    let Some(bytes) = copy.get_mut(..layout.size) else { return Ok(native(args)) };
    if !new.is_null() {
        memory::read(new, bytes)?;
    }
    if let Some(kept) = kept(signal) {
        let before = if new.is_null() { super::current(kept) } else { set_action(kept, layout.parse(bytes)) };
        if !old.is_null() {
            layout.write(&before, bytes);
            memory::write(old, bytes)?;
        }
        return Ok(0);
    }
    if !new.is_null() {
        let mask = to_real(word(bytes, layout.mask));
        set_word(bytes, layout.mask, mask);
        if let Some(slot) = args.get_mut(1) {
            *slot = copy.as_ptr() as usize;
        }
    }
    let result = native(args);
    if result as i32 == 0 && !old.is_null() {
        show_set(old.at(layout.mask));
    }
    Ok(result)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

fn set_word(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
        *place = value.to_le_bytes();
    }
}

impl Layout {
    fn parse(&self, bytes: &[u8]) -> Action {
        Action {
            handler: word(bytes, 0) as usize,
            // An int in libc's struct: what is behind it is not part of it.
            flags: (word(bytes, self.flags) | self.added) & KNOWN_FLAGS,
            restorer: word(bytes, self.restorer) as usize,
            mask: word(bytes, self.mask) & !(signal_bit(libc::SIGKILL) | signal_bit(libc::SIGSTOP)),
        }
    }

    fn write(&self, action: &Action, bytes: &mut [u8]) {
        bytes.fill(0);
        set_word(bytes, 0, action.handler as u64);
        set_word(bytes, self.flags, action.flags);
        set_word(bytes, self.restorer, action.restorer as u64);
        set_word(bytes, self.mask, action.mask);
    }
}

/// What a libc function without flags of its own sets.
fn set_handler(kept: Kept, handler: usize, flags: i32, mask: u64) -> usize {
    set_action(kept, Action { handler, flags: flags as u32 as u64 | RESTORER, restorer: 0, mask }).handler
}

/// siginterrupt(3) said that the signal interrupts: signal(3) remembers.
static INTERRUPTS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

fn interrupts(kept: Kept) -> &'static AtomicBool {
    let [segv, sys] = &INTERRUPTS;
    if kept == Kept::Segv { segv } else { sys }
}

/// signal(3), as BSD has it: the old handler.
pub fn signal(kept: Kept, handler: usize) -> isize {
    if handler == libc::SIG_ERR {
        return errno::from_kernel(-(libc::EINVAL as isize));
    }
    let flags = if interrupts(kept).load(Relaxed) { 0 } else { SA_RESTART };
    set_handler(kept, handler, flags, kept.bit()) as isize
}

/// signal(3), as System V has it: once, and not blocked meanwhile.
pub fn sysv_signal(kept: Kept, handler: usize) -> isize {
    if handler == libc::SIG_ERR {
        return errno::from_kernel(-(libc::EINVAL as isize));
    }
    set_handler(kept, handler, SA_RESETHAND | SA_NODEFER, 0) as isize
}

/// siginterrupt(3).
pub fn interrupt(kept: Kept, interrupting: bool) -> isize {
    interrupts(kept).store(interrupting, Relaxed);
    let action = super::current(kept);
    let restart = SA_RESTART as u64;
    let flags = if interrupting { action.flags & !restart } else { action.flags | restart };
    set_action(kept, Action { flags: flags | RESTORER, ..action });
    0
}

/// Blocks or unblocks the signal for this thread: whether it was blocked before. SIGSYS never is.
fn block(kept: Kept, how: i32) -> bool {
    if kept == Kept::Sys {
        return false;
    }
    let before = sys::signal_mask();
    let after = if how == SIG_BLOCK { before | CARRIER } else { before & !(CARRIER | SEGV) };
    sys::set_signal_mask(after);
    before & CARRIER != 0
}

/// sighold(3).
pub fn hold(kept: Kept) -> isize {
    block(kept, SIG_BLOCK);
    0
}

/// sigrelse(3).
pub fn release(kept: Kept) -> isize {
    block(kept, SIG_UNBLOCK);
    0
}

/// sigset(3): the old handler, or SIG_HOLD if it was blocked.
pub fn set(kept: Kept, handler: usize) -> isize {
    let old = super::current(kept).handler;
    let was_blocked = if handler == SIG_HOLD {
        block(kept, SIG_BLOCK)
    } else {
        set_handler(kept, handler, 0, 0);
        block(kept, SIG_UNBLOCK)
    };
    if was_blocked { SIG_HOLD as isize } else { old as isize }
}

/// sigignore(3).
pub fn set_ignored(kept: Kept) -> isize {
    set_handler(kept, libc::SIG_IGN, 0, 0);
    0
}

/// X/Open's sigpause(3) of a kept signal: waits with it unblocked. Not a cancellation point, as libc's is.
pub fn pause_without(kept: Kept) -> isize {
    let unblocked = if kept == Kept::Segv { CARRIER | SEGV } else { SYS };
    let mask = [sys::signal_mask() & !unblocked];
    let result = sys::call(libc::SYS_rt_sigsuspend, [mask.as_ptr() as usize, 8, 0, 0, 0, 0]);
    crate::errno::from_kernel(result)
}

/// sigvec(3) of a kept signal, BSD's sigaction: `{handler, int mask, int flags}`; its flags are SV_ONSTACK 1,
/// SV_INTERRUPT 2, SV_RESETHAND 4.
pub fn vector(kept: Kept, new: User, old: User) -> core::result::Result<isize, sys::Errno> {
    let flags = [(1, SA_ONSTACK), (4, SA_RESETHAND)];
    let before = if new.is_null() {
        super::current(kept)
    } else {
        let [handler, rest] = memory::get::<[usize; 2]>(new)?;
        let (mask, given) = (rest as u32, rest >> 32);
        let restart = if given & 2 == 0 { SA_RESTART } else { 0 };
        let set = flags.iter().filter(|(bit, _)| given & bit != 0).fold(restart, |all, (_, flag)| all | flag);
        let flags = set as u32 as u64 | RESTORER;
        set_action(kept, Action { handler, flags, restorer: 0, mask: u64::from(mask) })
    };
    if !old.is_null() {
        let has = |flag: i32| before.flags & flag as u32 as u64 != 0;
        let interrupts = if has(SA_RESTART) { 0 } else { 2 };
        let given = flags.iter().filter(|(_, flag)| has(*flag)).fold(interrupts, |all, (bit, _)| all | bit);
        memory::put(old, [before.handler, before.mask as u32 as usize | given << 32])?;
    }
    Ok(0)
}

/// A mask of sigblock(3) and its like: the first 32 signals in an int.
pub fn real_bits(mask: usize) -> usize {
    to_real(u64::from(mask as u32)) as usize
}

/// The same, back.
pub fn shown_bits(mask: isize) -> isize {
    to_virtual(u64::from(mask as u32)) as u32 as i32 as isize
}

/// The calls of `syscall()`: by number. None for one that carries no signals.
pub fn by_number(number: usize, args: [usize; 6], native: impl Fn([usize; 6]) -> isize) -> Option<isize> {
    Some(match number as i64 {
        // Of another size the kernel takes none.
        libc::SYS_rt_sigaction if args[3] != 8 => return None,
        libc::SYS_rt_sigaction => sys::result(action(args, &KERNEL, native).map(|r| r as usize)),
        libc::SYS_rt_sigprocmask => change_mask(args, native),
        libc::SYS_rt_sigsuspend => with_set(args, 0, native),
        libc::SYS_ppoll => with_set(args, 3, native),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => with_set(args, 4, native),
        libc::SYS_signalfd | libc::SYS_signalfd4 => without_segv(args, native),
        libc::SYS_pselect6 => pselect6(args, native),
        _ => return None,
    })
}

/// pselect6's last argument is the address of a pointer to the set, and of its size.
fn pselect6(mut args: [usize; 6], native: impl Fn([usize; 6]) -> isize) -> isize {
    let [.., last] = &mut args;
    let Ok([set, size]) = memory::get::<[usize; 2]>(User(*last)) else { return native(args) };
    let Some(set) = real_set(User(set), to_real) else { return native(args) };
    let pair = [set.as_ptr() as usize, size];
    *last = pair.as_ptr() as usize;
    native(args)
}
