//! The program's own actions for the signals that we handle.

use crate::late::{Late, Zeroed};
use crate::owner::Owner;
use crate::seccomp::MAGIC;
use crate::sys::{self, Result};
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// SA_RESTORER: the kernel of x86-64 wants one (arch/x86/include/uapi/asm/signal.h).
pub const RESTORER: u64 = 0x0400_0000;

/// The flags that the kernel keeps, and reads back (UAPI_SA_FLAGS since Linux 5.11).
pub const KNOWN_FLAGS: u64 = RESTORER
    | SA_EXPOSE_TAGBITS
    | (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT | libc::SA_SIGINFO | libc::SA_ONSTACK) as u32 as u64
    | (libc::SA_RESTART | libc::SA_NODEFER | libc::SA_RESETHAND) as u32 as u64;
const SA_EXPOSE_TAGBITS: u64 = 0x800;

/// An action as the kernel takes it: `struct kernel_sigaction`, 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// The handler's address, SIG_DFL (0) or SIG_IGN (1).
    pub handler: usize,
    /// SA_ flags.
    pub flags: u64,
    /// What a handler returns to.
    pub restorer: usize,
    /// Signals blocked while it runs.
    pub mask: u64,
}

impl Action {
    /// The default action.
    pub const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
}

/// A signal whose handler in the kernel is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// SIGSEGV: jumps to the vsyscall page.
    Segv,
    /// SIGSYS: calls that a filter traps.
    Sys,
}

impl Kept {
    /// Its number.
    pub const fn signal(self) -> i32 {
        match self {
            Kept::Segv => libc::SIGSEGV,
            Kept::Sys => libc::SIGSYS,
        }
    }

    /// Its bit in a set.
    pub const fn bit(self) -> u64 {
        sys::signal_bit(self.signal())
    }
}

/// Actions a handler may still be reading while new ones are set.
const SLOTS: usize = 8;

struct Slot([AtomicU64; 4]);

struct Store {
    slots: [Slot; SLOTS],
    written: AtomicUsize,
    current: AtomicUsize,
}

static STORES: Late<[Store; 2]> = Late::new();

// SAFETY: atomics.
unsafe impl Zeroed for Store {}

/// Makes room for the program's actions, before a handler of ours stands. False where there is no memory.
pub fn prepare() -> bool {
    STORES.make().is_some()
}

impl Store {
    fn of(kept: Kept) -> Option<&'static Store> {
        let [segv, sys] = STORES.get()?;
        match kept {
            Kept::Segv => Some(segv),
            Kept::Sys => Some(sys),
        }
    }

    fn load(&self, index: usize) -> Action {
        let [handler, flags, restorer, mask] = self
            .slots
            .get(index % SLOTS)
            .map_or([0; 4], |Slot([a, b, c, d])| [a, b, c, d].map(|word| word.load(Relaxed)));
        Action { handler: handler as usize, flags, restorer: restorer as usize, mask }
    }
}

/// What the program set last.
pub fn current(kept: Kept) -> Action {
    Store::of(kept).map_or(Action::DEFAULT, |store| store.load(store.current.load(Acquire)))
}

/// Sets the program's action; gives the one before. No lock: each write takes a slot of its own.
pub fn swap(kept: Kept, new: Action) -> Action {
    let Some(store) = Store::of(kept) else { return Action::DEFAULT };
    let index = store.written.fetch_add(1, Relaxed).wrapping_add(1);
    if let Some(Slot([handler, flags, restorer, mask])) = store.slots.get(index % SLOTS) {
        handler.store(new.handler as u64, Relaxed);
        flags.store(new.flags, Relaxed);
        restorer.store(new.restorer as u64, Relaxed);
        mask.store(new.mask, Relaxed);
    }
    store.load(store.current.swap(index, AcqRel))
}

/// Whose actions these are.
static OWNER: AtomicPtr<Owner> = AtomicPtr::new(core::ptr::null_mut());

/// Remembers whose actions these are, at start.
pub fn own() {
    if !OWNER.load(Acquire).is_null() {
        return;
    }
    if let Ok(page) = sys::page_wiped_on_fork(size_of::<Owner>()) {
        OWNER.store(page as *mut Owner, Release);
        in_vfork_child();
    }
}

/// Whether this is a child that shares its parent's memory.
pub fn in_vfork_child() -> bool {
    // SAFETY: null, or the page that `own` mapped for good.
    unsafe { OWNER.load(Acquire).as_ref() }.is_some_and(|owner| !owner.is_me())
}

/// Sets the kernel's action; gives the one before.
pub fn set_real(kept: Kept, new: &Action) -> Result<Action> {
    match kept {
        Kept::Segv => sys::set_action(libc::SIGSEGV, new),
        // A trapping filter guards it.
        Kept::Sys => sys::set_action_with(libc::SIGSYS, new, MAGIC),
    }
}
