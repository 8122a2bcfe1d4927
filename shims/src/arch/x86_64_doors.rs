//! x86-64 entry points that Rust cannot express: variadic C functions, and a stack block of a size
//! known only at run time.

use core::arch::global_asm;
#[cfg(not(test))]
use {crate::state::HANDED_ON, core::arch::asm};

/// `long syscall(long number, ...)`. A number whose slot is handed on costs a bit test and a jump: the
/// arguments stay in their registers, the seventh on the stack. RAX, R10 and R11 are free to use.
///
/// The body is all assembly, and says that it needs no stack of the compiler's: so no frame comes before
/// it (a naked function, but for Rust 1.85). tests/doors.rs passes seven arguments through.
///
/// # Safety
/// As libc's.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall() -> ! {
    // SAFETY: a tail jump to a function with the same arguments, or a call with all of them saved.
    unsafe {
        asm!(
            "cmp rdi, 512",
            "jae 2f",
            "mov eax, edi",
            "shr eax, 6",
            "lea r10, [rip + {handed_on}]",
            "mov rax, [r10 + rax*8]",
            "bt rax, rdi",
            "jnc 3f",
            "2:",
            "mov rax, [rip + {next}]",
            // 0: not looked up yet; 1: nobody else defines it.
            "cmp rax, 1",
            "jbe 3f",
            "jmp rax",
            "3:",
            "sub rsp, 72",
            ".cfi_adjust_cfa_offset 72",
            "mov [rsp], rdi",
            "mov [rsp + 8], rsi",
            "mov [rsp + 16], rdx",
            "mov [rsp + 24], rcx",
            "mov [rsp + 32], r8",
            "mov [rsp + 40], r9",
            "mov rax, [rsp + 80]",
            "mov [rsp + 48], rax",
            "mov rdi, rsp",
            "call {slow}",
            "add rsp, 72",
            ".cfi_adjust_cfa_offset -72",
            "ret",
            handed_on = sym HANDED_ON,
            next = sym crate::doors::syscall::NEXT,
            slow = sym crate::doors::syscall::slow,
            options(noreturn, nostack)
        )
    }
}

macro_rules! exec_list {
    ($symbol:ident => $door:path) => {
        /// A variadic exec: the registers are pushed below the arguments on the stack, over the return
        /// address, which makes one array of them all.
        ///
        /// # Safety
        /// As libc's.
        #[cfg(not(test))]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol() -> ! {
            // SAFETY: puts the return address back where it was; only argument registers are lost.
            unsafe {
                asm!(
                    "pop r11",
                    "push r9",
                    "push r8",
                    "push rcx",
                    "push rdx",
                    "push rsi",
                    "mov rsi, rsp",
                    "push r11",
                    ".cfi_def_cfa_offset 48",
                    ".cfi_offset rip, -48",
                    "call {door}",
                    "pop r11",
                    "add rsp, 40",
                    "push r11",
                    ".cfi_def_cfa_offset 8",
                    ".cfi_offset rip, -8",
                    "ret",
                    door = sym $door,
                    options(noreturn, nostack)
                )
            }
        }
    };
}

exec_list!(execl => crate::doors::exec::execl_list);
exec_list!(execle => crate::doors::exec::execle_list);
exec_list!(execlp => crate::doors::exec::execlp_list);

// with_stack(words, then, context): calls then(block, context) with a block of that many words on the
// stack. The block is touched page by page from the top, so that a guard page is met and not jumped.
global_asm!(
    ".text",
    ".hidden evercall_with_stack",
    ".globl evercall_with_stack",
    ".type evercall_with_stack, @function",
    "evercall_with_stack:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "lea rax, [rdi*8 + 15]",
    "and rax, -16",
    "2:",
    "cmp rax, 4096",
    "jb 3f",
    "sub rsp, 4096",
    "or qword ptr [rsp], 0",
    "sub rax, 4096",
    "jmp 2b",
    "3:",
    "sub rsp, rax",
    "mov rdi, rsp",
    "mov rax, rsi",
    "mov rsi, rdx",
    "call rax",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
);

// on_stack(top, then, context): calls then(context) on another stack, which ends below `top`.
global_asm!(
    ".text",
    ".hidden evercall_on_stack",
    ".globl evercall_on_stack",
    ".type evercall_on_stack, @function",
    "evercall_on_stack:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rsp, rdi",
    "mov rdi, rdx",
    "call rsi",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
);

unsafe extern "C" {
    fn evercall_on_stack(
        top: usize,
        then: unsafe extern "C" fn(*mut core::ffi::c_void) -> isize,
        context: *mut core::ffi::c_void,
    ) -> isize;
}

/// Calls a closure on another stack.
///
/// # Safety
/// `top` ends a mapped stack that nobody else uses, on a multiple of 16.
pub unsafe fn on_stack<F: FnMut() -> isize>(top: usize, mut then: F) -> isize {
    unsafe extern "C" fn call<F: FnMut() -> isize>(context: *mut core::ffi::c_void) -> isize {
        // SAFETY: `context` is the closure below.
        unsafe { (*context.cast::<F>())() }
    }
    // SAFETY: the caller's promise; `call` is given exactly what it expects.
    unsafe { evercall_on_stack(top, call::<F>, (&raw mut then).cast()) }
}

unsafe extern "C" {
    fn evercall_with_stack(
        words: usize,
        then: unsafe extern "C" fn(*mut usize, *mut core::ffi::c_void) -> isize,
        context: *mut core::ffi::c_void,
    ) -> isize;
}

/// Calls a closure with a zeroed block of `words` machine words on the stack.
pub fn with_stack<F: FnMut(&mut [usize]) -> isize>(words: usize, mut then: F) -> isize {
    struct Context<'a, F> {
        words: usize,
        then: &'a mut F,
    }
    unsafe extern "C" fn call<F: FnMut(&mut [usize]) -> isize>(
        block: *mut usize,
        context: *mut core::ffi::c_void,
    ) -> isize {
        // SAFETY: `context` is the Context below; `block` has `words` words of this stack, made
        // initialised here, and lives until `call` returns.
        unsafe {
            let context = &mut *context.cast::<Context<'_, F>>();
            core::ptr::write_bytes(block, 0, context.words);
            (context.then)(core::slice::from_raw_parts_mut(block, context.words))
        }
    }
    let mut context = Context { words, then: &mut then };
    // SAFETY: `call` is given exactly what it expects; the frame above unwinds by its CFI.
    unsafe { evercall_with_stack(words, call::<F>, (&raw mut context).cast()) }
}
