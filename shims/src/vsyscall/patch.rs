//! Call sites of the vsyscall page, changed after their first fault so that they reach the vDSO.
//!
//! Every old compiler gave `mov $imm32, %reg; call *%reg`: changing only the immediate's top byte from ff
//! to 7f turns 0xffffffffff600x00 into 0x7f600x00, where a page of ours jumps on. One byte, through
//! /proc/self/mem, so live text never loses PROT_EXEC, and a thread in the middle of it sees either value.
//! Calls through a pointer in writable memory have the pointer changed. Anything else is left alone.

use super::Entry;
use crate::arch;
use crate::late::Late;
use crate::memory;
use crate::sys::{self, User};
use crate::vdso;
use core::sync::atomic::{
    AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// Where our page has to be: the vsyscall page's address with its upper bytes cut.
const TRAMPOLINES: usize = 0x7f60_0000;
const PAGE: usize = 4096;

/// The byte that the immediate's top byte becomes.
const TOP_BYTE: u8 = 0x7f;

const UNKNOWN: u8 = 0;
const MAKING: u8 = 1;
const THERE: u8 = 2;
const REFUSED: u8 = 3;
static PAGE_STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Return addresses of calls that cannot be patched, so that not every fault tries again.
static LEFT_ALONE: Late<[AtomicUsize; 16]> = Late::new();

/// Patches the call that returns to `caller`. False where it has another form, or where the host refuses.
pub fn call_site(caller: usize, entry: Entry) -> bool {
    let left_alone = || LEFT_ALONE.make().into_iter().flatten();
    if left_alone().any(|address| address.load(Relaxed) == caller) {
        return false;
    }
    let patched = patch(caller, entry).is_some();
    if !patched {
        let free = |address: &&AtomicUsize| address.compare_exchange(0, caller, Relaxed, Relaxed).is_ok();
        let _ = left_alone().find(free);
    }
    patched
}

fn patch(caller: usize, entry: Entry) -> Option<()> {
    let mut code = [0u8; 10];
    memory::read(User(caller.wrapping_sub(code.len())), &mut code).ok()?;
    let immediate = (entry.address() as u32).to_le_bytes();
    match code {
        // mov $imm32, %r8..%r15; call *%r8..%r15
        [0x49, 0xc7, mov, a, b, c, d, 0x41, 0xff, call]
            if mov & 0xf8 == 0xc0
                && call & 0xf8 == 0xd0
                && mov & 7 == call & 7
                && [a, b, c, d] == immediate =>
        {
            set_top_byte(caller - 4)
        }
        // mov $imm32, %rax..%rdi; call *%rax..%rdi
        [_, 0x48, 0xc7, mov, a, b, c, d, 0xff, call]
            if mov & 0xf8 == 0xc0
                && call & 0xf8 == 0xd0
                && mov & 7 == call & 7
                && [a, b, c, d] == immediate =>
        {
            set_top_byte(caller - 3)
        }
        // call *disp32 (absolute)
        [_, _, _, 0xff, 0x14, 0x25, a, b, c, d] => {
            set_pointer(i32::from_le_bytes([a, b, c, d]) as isize as usize, entry)
        }
        // call *disp32(%rip)
        [_, _, _, _, 0xff, 0x15, a, b, c, d] => {
            set_pointer(caller.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]) as isize), entry)
        }
        // mov disp32(%rip), %rax; call *%rax
        [_, 0x48, 0x8b, 0x05, a, b, c, d, 0xff, 0xd0] => {
            let next = caller.wrapping_sub(2);
            set_pointer(next.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]) as isize), entry)
        }
        _ => None,
    }
}

/// Changes one byte of code.
fn set_top_byte(address: usize) -> Option<()> {
    trampolines()?;
    let memory_file = sys::open(c"/proc/self/mem", libc::O_RDWR, 0).ok()?;
    (sys::pwrite(memory_file.0, &[TOP_BYTE], address as u64) == Ok(1)).then_some(())
}

/// Changes a pointer in the program's own writable memory.
fn set_pointer(address: usize, entry: Entry) -> Option<()> {
    if address % size_of::<usize>() != 0 || memory::get::<usize>(User(address)) != Ok(entry.address()) {
        return None;
    }
    // The kernel writes the same value back: that tells whether the page may be written at all.
    memory::put(User(address), entry.address()).ok()?;
    trampolines()?;
    arch::store(address, TRAMPOLINES + entry as usize);
    Some(())
}

/// Makes the page with the three trampolines, once.
fn trampolines() -> Option<()> {
    if PAGE_STATE.compare_exchange(UNKNOWN, MAKING, Acquire, Acquire).is_ok() {
        let made = make_page();
        PAGE_STATE.store(if made.is_some() { THERE } else { REFUSED }, Release);
    }
    (PAGE_STATE.load(Acquire) == THERE).then_some(())
}

fn make_page() -> Option<()> {
    // Where one function is missing no site of its kind must be patched: all three, or none.
    let functions = [Entry::GetTimeOfDay, Entry::Time, Entry::GetCpu].map(|e| (e, vdso::find(e.vdso_name())));
    if functions.iter().any(|(_, function)| function.is_none()) {
        return None;
    }
    sys::map_zeroed(TRAMPOLINES, PAGE).ok()?;
    for (entry, function) in functions {
        let code = arch::trampoline(function?);
        memory::write(User(TRAMPOLINES + entry as usize), &code).ok()?;
    }
    // From here on nobody writes there: no page is ever writable and executable.
    if sys::make_executable(TRAMPOLINES, PAGE).is_err() {
        sys::unmap(TRAMPOLINES, PAGE);
        return None;
    }
    Some(())
}
