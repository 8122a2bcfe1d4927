//! The vsyscall page: three fixed addresses in the kernel's half, where libcs before glibc 2.15 and old
//! static programs call time, gettimeofday and getcpu. Where the host has no such page the call faults,
//! and the fault is answered as the kernel's emulation would (arch/x86/entry/vsyscall/vsyscall_64.c):
//! result in RAX, return address popped, every other register as it was.

pub mod callers;
mod patch;

use crate::arch;
use crate::handlers::superseded_times;
use crate::logging;
use crate::memory;
use crate::next;
use crate::settings::{self, When};
use crate::signals;
use crate::start;
use crate::state;
use crate::sys::{self, User};
use crate::text::Text;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use evercall_rules::packed::RuleId;

/// Where the page is (VSYSCALL_ADDR).
const PAGE: usize = 0xffff_ffff_ff60_0000;

/// The three calls, by their offsets in the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `gettimeofday(2)`.
    GetTimeOfDay = 0x000,
    /// `time(2)`.
    Time = 0x400,
    /// `getcpu(2)`, without its third argument.
    GetCpu = 0x800,
}

impl Entry {
    /// The entry at an address. By the instruction pointer, never by si_addr: a CPU with LASS raises #GP,
    /// which tells no address.
    fn at(address: usize) -> Option<Entry> {
        [Entry::GetTimeOfDay, Entry::Time, Entry::GetCpu].into_iter().find(|entry| entry.address() == address)
    }

    fn address(self) -> usize {
        PAGE + self as usize
    }

    fn name(self) -> &'static [u8] {
        match self {
            Entry::GetTimeOfDay => b"gettimeofday",
            Entry::Time => b"time",
            Entry::GetCpu => b"getcpu",
        }
    }

    /// The vDSO's function for it.
    fn vdso_name(self) -> &'static [u8] {
        match self {
            Entry::GetTimeOfDay => b"__vdso_gettimeofday",
            Entry::Time => b"__vdso_time",
            Entry::GetCpu => b"__vdso_getcpu",
        }
    }
}

/// While our own guarded call is made: whether the handler had to answer it.
static GUARDED: AtomicU8 = AtomicU8::new(NO);
const NO: u8 = 0;
const ASKED: u8 = 1;
const ANSWERED: u8 = 2;

/// Arms the handler where the loaded libc can call the page and the host has none, or where it is asked for.
pub fn at_start() {
    let wanted = match settings::get().vsyscall {
        When::On => true,
        When::Off => false,
        // Nothing tells what a static program was linked with.
        When::Auto => start::is_interpreted() || next::libc_calls_vsyscalls(),
    };
    let stands = wanted && arm();
    if !(stands || signals::armed()) {
        state::hand_on(&state::SYMBOLS_HANDED_ON, RuleId::Signals.slot());
    }
}

/// Installs the handler, and takes it back where one guarded call shows that the host answers. Whether it
/// stands.
fn arm() -> bool {
    if !signals::take_over() {
        return false;
    }
    GUARDED.store(ASKED, Relaxed);
    arch::call_address(Entry::Time.address());
    let host_answers = GUARDED.swap(NO, Relaxed) == ASKED;
    let stands = !host_answers || settings::get().vsyscall == When::On;
    if !stands {
        signals::give_back();
    }
    stands
}

/// The registers of a call to the page.
pub struct Registers {
    /// The instruction pointer.
    pub ip: usize,
    /// The stack pointer: the return address lies there.
    pub sp: usize,
    /// First argument.
    pub rdi: usize,
    /// Second argument.
    pub rsi: usize,
}

/// What the program goes on with.
pub struct Answer {
    /// The value for RAX.
    pub result: usize,
    /// The return address.
    pub ip: usize,
    /// The stack pointer behind it.
    pub sp: usize,
}

/// Answers a fault at one of the three addresses. None: it is none, or a bad pointer, which is the
/// program's own SIGSEGV.
pub fn answer(registers: &Registers, room_to_log: bool) -> Option<Answer> {
    let entry = Entry::at(registers.ip)?;
    let caller: usize = memory::get(User(registers.sp)).ok()?;
    let arguments = match entry {
        Entry::Time => [registers.rdi, 0, 0, 0, 0, 0],
        _ => [registers.rdi, registers.rsi, 0, 0, 0, 0],
    };
    let result = match entry {
        Entry::Time => superseded_times::asked(User(registers.rdi)),
        Entry::GetTimeOfDay => sys::call(libc::SYS_gettimeofday, arguments),
        Entry::GetCpu => sys::call(libc::SYS_getcpu, arguments),
    };
    if result == -(libc::EFAULT as isize) {
        return None;
    }
    let answer = Answer { result: result as usize, ip: caller, sp: registers.sp.wrapping_add(8) };
    if GUARDED.load(Relaxed) != NO {
        GUARDED.store(ANSWERED, Relaxed);
        return Some(answer);
    }
    callers::count(caller);
    let patched = patch::call_site(caller, entry);
    if logging::is_on() && !room_to_log {
        logging::counted(RuleId::Vsyscall);
    } else if logging::is_on() {
        let mut became = Text::<96>::new();
        became.push(entry.name()).push(b" for the call that returns to ").hex(caller as u64);
        became.push(if patched { b", call site patched to the vDSO" } else { b"" });
        logging::translated(RuleId::Vsyscall, &arguments, became.bytes(), result);
    }
    Some(answer)
}
