//! x86-64: the raw system call, references that may stay unresolved, and the memory functions that the
//! compiler calls.

use core::arch::{asm, global_asm};

/// A raw system call. Returns what the kernel left in RAX: a result, or -errno.
///
/// # Safety
/// The call must be sound with these arguments: a pointer that the kernel writes through is memory of
/// ours, or the program's own argument.
#[inline]
pub unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's calling convention (syscall(2)): RCX and R11 are lost, all else is kept.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// Where the last component of a path begins and ends; None where the path takes `most` bytes or more.
///
/// Sixteen bytes at a time, from a multiple of sixteen on: what is read beside the string lies on its own pages.
///
/// # Safety
/// `path` is a string that may be read.
#[inline]
pub unsafe fn last_component(path: *const u8, most: usize) -> Option<(usize, usize)> {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let before = path as usize % 16;
    let mut at = path.wrapping_sub(before);
    let (mut offset, mut start) = (0usize.wrapping_sub(before), 0);
    // The bytes that stand before the string.
    let mut counted = u32::MAX << before;
    loop {
        // SAFETY: an aligned load never crosses a page, and one of its bytes is the string's.
        let (ends, slashes) = unsafe {
            let block = _mm_load_si128(at.cast());
            let places =
                |byte: u8| _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u32;
            (places(0) & counted, places(b'/') & counted)
        };
        // Below the first NUL, or all.
        let slashes = slashes & (ends & ends.wrapping_neg()).wrapping_sub(1);
        if slashes != 0 {
            start = offset.wrapping_add(32 - slashes.leading_zeros() as usize);
        }
        if ends != 0 {
            let end = offset.wrapping_add(ends.trailing_zeros() as usize);
            return (end < most).then_some((start, end));
        }
        offset = offset.wrapping_add(16);
        if offset as isize >= most as isize {
            return None;
        }
        at = at.wrapping_add(16);
        counted = u32::MAX;
    }
}

// The only symbols that the library leaves undefined, all weak: tests/shim_file.rs holds the list.
// Read through the GOT, so that a program without a libc finds 0 there. The weak marks stand outside
// any function: a `.weak` inside inline code would be lost if that code were dropped.
global_asm!(".weak __errno_location", ".weak __environ");

/// The address of libc's `__errno_location`, or 0 where no libc is loaded.
#[inline]
pub fn errno_location() -> usize {
    let address;
    // SAFETY: reads one word of our own global offset table.
    unsafe {
        asm!("mov {}, qword ptr [rip + __errno_location@GOTPCREL]", out(reg) address,
             options(pure, readonly, nostack, preserves_flags));
    }
    address
}

/// The address of libc's `__environ` variable, or 0 where no libc is loaded.
#[inline]
pub fn environ_variable() -> usize {
    let address;
    // SAFETY: reads one word of our own global offset table.
    unsafe {
        asm!("mov {}, qword ptr [rip + __environ@GOTPCREL]", out(reg) address,
             options(pure, readonly, nostack, preserves_flags));
    }
    address
}

/// The address of our own dynamic section, and the address we are loaded at.
#[inline]
pub fn own_image() -> (usize, usize) {
    let (dynamic, base);
    // SAFETY: both symbols are made by the linker and hidden; only addresses are taken.
    unsafe {
        asm!("lea {}, [rip + _DYNAMIC]", ".hidden __ehdr_start", "lea {}, [rip + __ehdr_start]",
             out(reg) dynamic, out(reg) base, options(pure, nomem, nostack, preserves_flags));
    }
    (dynamic, base)
}

/// Whether an address lies in our own image.
pub fn is_ours(address: usize) -> bool {
    let (start, end): (usize, usize);
    // SAFETY: both symbols are made by the linker and hidden; only addresses are taken.
    unsafe {
        asm!(".hidden __ehdr_start", "lea {}, [rip + __ehdr_start]", ".hidden _end", "lea {}, [rip + _end]",
             out(reg) start, out(reg) end, options(pure, nomem, nostack, preserves_flags));
    }
    (start..end).contains(&address)
}

/// The stack pointer, for telling the first thread's stack from other memory.
#[inline]
pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

// The compiler calls these by name. Hidden, so that the program's own are never replaced.
#[cfg(not(test))]
global_asm!(
    ".macro evercall_function name",
    ".globl \\name",
    ".hidden \\name",
    ".type \\name, @function",
    "\\name:",
    ".endm",
    ".text",
    "evercall_function memmove",
    "mov rax, rdi",
    "mov rcx, rdi",
    "sub rcx, rsi",
    "cmp rcx, rdx",
    "jae 2f",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "mov rcx, rdx",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "evercall_function memcpy",
    "mov rax, rdi",
    "2:",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "evercall_function memset",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "evercall_function strlen",
    "xor eax, eax",
    "jmp 5f",
    "4:",
    "inc rax",
    "5:",
    "cmp byte ptr [rdi + rax], 0",
    "jne 4b",
    "ret",
    "evercall_function memcmp",
    "evercall_function bcmp",
    "xor eax, eax",
    "mov rcx, rdx",
    "test rcx, rcx",
    "je 3f",
    "repe cmpsb",
    "je 3f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub eax, ecx",
    "3:",
    "ret",
);
