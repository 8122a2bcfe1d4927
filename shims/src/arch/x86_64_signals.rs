//! x86-64 signals: the frame that the kernel lays for a handler, and the code around the vsyscall page.

use core::arch::{asm, global_asm};
use core::marker::PhantomData;

/// A SIGSEGV on its way to a handler: the kernel's siginfo and ucontext (asm/ucontext.h, asm/sigcontext.h).
pub struct Fault<'a> {
    signal: i32,
    info: *const i32,
    context: *mut usize,
    frame: PhantomData<&'a mut usize>,
}

/// Words of `struct ucontext`: uc_stack, then the registers, then uc_sigmask.
const STACK_START: usize = 2;
const STACK_FLAGS: usize = 3;
const STACK_SIZE: usize = 4;
const RDI: usize = 13;
const RSI: usize = 14;
const RAX: usize = 18;
const RSP: usize = 20;
const RIP: usize = 21;
const MASK: usize = 37;

impl Fault<'_> {
    fn word(&self, index: usize) -> usize {
        // SAFETY: the kernel's frame holds these words for as long as the handler runs.
        unsafe { self.context.add(index).read() }
    }

    fn set_word(&mut self, index: usize, value: usize) {
        // SAFETY: as above; the kernel reads them back on return.
        unsafe { self.context.add(index).write(value) }
    }

    /// Raised by the processor, not sent by somebody: si_code is positive (sigaction(2)).
    pub fn is_raised(&self) -> bool {
        // SAFETY: the kernel's siginfo: si_signo, si_errno, si_code.
        unsafe { self.info.add(2).read() > 0 }
    }

    /// The instruction pointer.
    pub fn ip(&self) -> usize {
        self.word(RIP)
    }

    /// The stack pointer.
    pub fn sp(&self) -> usize {
        self.word(RSP)
    }

    /// First argument register.
    pub fn rdi(&self) -> usize {
        self.word(RDI)
    }

    /// Second argument register.
    pub fn rsi(&self) -> usize {
        self.word(RSI)
    }

    /// The signal mask that the kernel restores on return.
    pub fn mask(&self) -> u64 {
        self.word(MASK) as u64
    }

    /// Goes on with this result, instruction pointer and stack pointer.
    pub fn go_on(&mut self, result: usize, ip: usize, sp: usize) {
        self.set_word(RAX, result);
        self.set_word(RIP, ip);
        self.set_word(RSP, sp);
    }

    /// The alternate stack, if this handler runs on it and the fault was elsewhere: start and bytes.
    pub fn alternate_stack(&self) -> Option<(usize, usize)> {
        let (start, size) = (self.word(STACK_START), self.word(STACK_SIZE));
        let disabled = self.word(STACK_FLAGS) as i32 & libc::SS_DISABLE != 0;
        let on_it = |sp: usize| sp.wrapping_sub(start) < size;
        (!disabled && on_it(self.context as usize) && !on_it(self.sp())).then_some((start, size))
    }

    /// Calls the program's handler with the kernel's own frame; on the interrupted stack where it did not
    /// ask for the alternate one.
    pub fn call(&mut self, handler: usize, off_alternate: bool) {
        let below = if off_alternate && self.alternate_stack().is_some() {
            // Behind the red zone.
            (self.sp() - 256) & !15
        } else {
            0
        };
        // SAFETY: what the program installed as a handler, called as the kernel calls one.
        unsafe { evercall_call_handler(below, handler, self.signal, self.info, self.context) }
    }
}

unsafe extern "C" {
    fn evercall_call_handler(sp: usize, handler: usize, signal: i32, info: *const i32, context: *mut usize);
    fn evercall_restorer();
}

// call_handler(sp, handler, signal, info, context): on another stack unless sp is 0.
global_asm!(
    ".text",
    ".hidden evercall_call_handler",
    ".globl evercall_call_handler",
    ".type evercall_call_handler, @function",
    "evercall_call_handler:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "test rdi, rdi",
    "cmovnz rsp, rdi",
    "mov rax, rsi",
    "mov edi, edx",
    "mov rsi, rcx",
    "mov rdx, r8",
    "call rax",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // What our handler returns to: rt_sigreturn. Unwinders and gdb know the frame by these bytes.
    ".hidden evercall_restorer",
    ".globl evercall_restorer",
    ".type evercall_restorer, @function",
    "evercall_restorer:",
    "mov rax, 15",
    "syscall",
);

/// The address of a handler for the kernel that runs this function.
pub fn fault_handler(function: fn(&mut Fault<'_>)) -> usize {
    static FUNCTION: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);
    extern "C" fn entry(signal: i32, info: *const i32, context: *mut usize) {
        let function = FUNCTION.load(core::sync::atomic::Ordering::Relaxed);
        // SAFETY: stored below, before the kernel is given `entry`.
        let function = unsafe { core::mem::transmute::<usize, fn(&mut Fault<'_>)>(function) };
        function(&mut Fault { signal, info, context, frame: PhantomData });
    }
    FUNCTION.store(function as usize, core::sync::atomic::Ordering::Relaxed);
    entry as extern "C" fn(i32, *const i32, *mut usize) as usize
}

/// The address for sa_restorer.
pub fn restorer() -> usize {
    evercall_restorer as unsafe extern "C" fn() as usize
}

/// Calls an address with NULL for its arguments: our own guarded call to the vsyscall page.
pub fn call_address(address: usize) {
    // SAFETY: the kernel or our handler answers it as a function that keeps to the calling convention.
    unsafe {
        asm!("call {}", in(reg) address, in("rdi") 0, in("rsi") 0, clobber_abi("C"));
    }
}

/// Stores a word where the kernel just showed that the page may be written.
pub fn store(address: usize, value: usize) {
    // SAFETY: aligned, mapped and writable, as the caller made sure.
    unsafe { core::sync::atomic::AtomicUsize::from_ptr(address as *mut usize) }
        .store(value, core::sync::atomic::Ordering::Release);
}

/// Code that jumps on to a function of the vDSO, the stack aligned as compiled code wants it: old call
/// sites written in assembly did not care.
pub fn trampoline(function: usize) -> [u8; 22] {
    let mut code = *b"\x55\x48\x89\xe5\x48\x83\xe4\xf0\x48\xb8........\xff\xd0\xc9\xc3";
    if let Some(immediate) = code.get_mut(10..18) {
        immediate.copy_from_slice(&function.to_le_bytes());
    }
    code
}
