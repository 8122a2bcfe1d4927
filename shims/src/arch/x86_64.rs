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

/// The bytes of a string; None where it takes `most` or more.
///
/// Sixteen bytes at a time, from a multiple of sixteen on: what is read beside the string lies on its own pages.
///
/// # Safety
/// `string` may be read to its NUL.
#[inline(always)]
pub unsafe fn length(string: *const u8, most: usize) -> Option<usize> {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_setzero_si128};
    let before = string as usize % 16;
    let mut at = string.wrapping_sub(before);
    // SAFETY: an aligned load never crosses a page, and one of its bytes is the string's.
    let ends = |at: *const u8| unsafe {
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(at.cast()), _mm_setzero_si128())) as u32
    };
    // The bytes that stand before the string do not count.
    let first = ends(at) >> before;
    if first != 0 {
        return Some(first.trailing_zeros() as usize).filter(|&length| length < most);
    }
    let mut length = 16 - before;
    while length < most {
        at = at.wrapping_add(16);
        let found = ends(at);
        if found != 0 {
            return Some(length + found.trailing_zeros() as usize).filter(|&length| length < most);
        }
        length += 16;
    }
    None
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

/// The thread pointer, which its own first word holds (System V ABI for thread-local storage). Only where a libc runs.
#[inline(always)]
pub fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: every libc of x86-64 has set FS when its `__errno_location` reads this word.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
    }
    pointer
}

/// What libc's `__errno_location` adds to the thread pointer, if its code is one of the two that glibc and musl are
/// known to have; a whole number of `int`s other than 0.
///
/// # Safety
/// `function` is code that may be read.
pub unsafe fn errno_offset(function: usize) -> Option<isize> {
    // mov rax, [rip + ?]; add rax, fs:[0]; ret
    const GLIBC: [Option<u8>; 17] = pattern(*b"\x48\x8b\x05????\x64\x48\x03\x04\x25\0\0\0\0\xc3");
    // mov rax, fs:[0]; add rax, ?; ret
    const MUSL: [Option<u8>; 14] = pattern(*b"\x64\x48\x8b\x04\x25\0\0\0\0\x48\x83\xc0?\xc3");
    let code = function as *const u8;
    // SAFETY: the caller's promise. Nothing behind the first difference is read, nor behind the end; what glibc's
    // code reads is a word of its own.
    let offset = unsafe {
        let is = |pattern: &[Option<u8>]| {
            pattern.iter().enumerate().all(|(at, byte)| byte.is_none_or(|byte| *code.add(at) == byte))
        };
        if is(&GLIBC) {
            let from_here = code.add(3).cast::<i32>().read_unaligned();
            code.add(7).offset(from_here as isize).cast::<isize>().read_unaligned()
        } else if is(&MUSL) {
            code.add(12).cast::<i8>().read().into()
        } else {
            return None;
        }
    };
    (offset != 0 && offset % 4 == 0).then_some(offset)
}

/// Bytes to compare with; `?` fits any.
const fn pattern<const N: usize>(bytes: [u8; N]) -> [Option<u8>; N] {
    let mut pattern = [None; N];
    let mut at = 0;
    while at < N {
        if bytes[at] != b'?' {
            pattern[at] = Some(bytes[at]);
        }
        at += 1;
    }
    pattern
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
