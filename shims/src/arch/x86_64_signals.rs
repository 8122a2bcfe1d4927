//! x86-64 signals: the frame that the kernel lays for a handler, and the code around the vsyscall page.

use crate::memory;
use crate::sys::{self, User};
use core::arch::{asm, global_asm};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A signal on its way to a handler: the kernel's siginfo and ucontext (asm/ucontext.h, asm/sigcontext.h).
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
const R8: usize = 5;
const R9: usize = 6;
const R10: usize = 7;
const RDI: usize = 13;
const RSI: usize = 14;
const RBP: usize = 15;
const RDX: usize = 17;
const RAX: usize = 18;
const RSP: usize = 20;
const RIP: usize = 21;
const FPU_STATE: usize = 28;
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

    /// The system call that a filter trapped, and its arguments: si_code SYS_SECCOMP, si_syscall, si_arch
    /// (sigaction(2)). The kernel has set the instruction pointer behind the call already.
    pub fn trapped(&self) -> Option<(usize, [usize; 6])> {
        const SYS_SECCOMP: i32 = 1;
        // SAFETY: the kernel's siginfo: si_code at its third word, si_syscall and si_arch at the seventh on.
        let (code, number, arch) =
            unsafe { (self.info.add(2).read(), self.info.add(6).read(), self.info.add(7).read()) };
        let is_ours = self.signal == libc::SIGSYS && code == SYS_SECCOMP && arch as u32 == AUDIT;
        let args = [RDI, RSI, RDX, R10, R8, R9].map(|register| self.word(register));
        is_ours.then_some((number as usize, args))
    }

    /// Goes on behind the trapped call with this result.
    pub fn answer(&mut self, result: isize) {
        self.set_word(RAX, result as usize);
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

    /// Bytes left on the alternate stack, if this handler runs on it.
    pub fn room(&self) -> Option<usize> {
        let (start, size) = (self.word(STACK_START), self.word(STACK_SIZE));
        let disabled = self.word(STACK_FLAGS) as i32 & libc::SS_DISABLE != 0;
        let left = (self.context as usize).wrapping_sub(start);
        (!disabled && left < size).then_some(left)
    }

    /// Blocks more signals from the handler's return on.
    pub fn block(&mut self, signals: u64) {
        self.set_word(MASK, self.word(MASK) | signals as usize);
    }

    /// rt_sigprocmask(2) on the mask that the handler's return restores, without SIGSYS (kernel/signal.c).
    /// EINVAL, EFAULT.
    pub fn change_mask(&mut self, [how, set, old, size, ..]: [usize; 6]) -> sys::Result<usize> {
        if size != 8 {
            return Err(sys::Errno(libc::EINVAL));
        }
        let before = self.word(MASK);
        let set: usize = memory::get(User(set))?;
        let after = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(sys::Errno(libc::EINVAL)),
        };
        self.set_word(MASK, after & !(sys::signal_bit(libc::SIGSYS) as usize));
        if old != 0 {
            memory::put(User(old), before)?;
        }
        Ok(0)
    }

    /// Sends this signal to where it was sent: to this thread, or to the process.
    pub fn send_again(&self) {
        // SAFETY: the kernel's siginfo, si_code at its third word.
        let to_thread = unsafe { self.info.add(2).read() } == libc::SI_TKILL;
        sys::queue_signal(self.signal, self.info as usize, to_thread);
    }

    /// Goes over to the program's handler with the kernel's own frame, as if the kernel had started it, with
    /// this mask; on the interrupted stack where it did not ask for the alternate one. What it returns to
    /// ends the frame, so this comes back only if there is no room on the interrupted stack.
    pub fn hand_over(&mut self, handler: usize, mask: u64, off_alternate: bool) {
        let at = if off_alternate && self.alternate_stack().is_some() {
            let Some(at) = self.copied_below() else { return };
            at
        } else {
            FramePlace { frame: (self.context as usize).wrapping_sub(8), info: self.info as usize }
        };
        sys::set_signal_mask(mask);
        // SAFETY: a frame as the kernel lays it, and what the program installed as a handler.
        unsafe {
            asm!(
                "mov rsp, r8",
                "mov rbp, r9",
                "xor eax, eax",
                "jmp r10",
                in("r8") at.frame,
                in("r9") self.word(RBP),
                in("r10") handler,
                in("edi") self.signal,
                in("rsi") at.info,
                in("rdx") at.frame + 8,
                options(noreturn),
            )
        }
    }

    /// Copies the frame to the interrupted stack. The alternate one is free from then on: another signal, or
    /// a fault inside the handler, starts there anew. None: no room.
    fn copied_below(&self) -> Option<FramePlace> {
        let state = self.word(FPU_STATE);
        let state_size = self.fpu_state_size();
        let state_copy = (self.sp().wrapping_sub(RED_ZONE + state_size)) & !63;
        let frame = (state_copy.wrapping_sub(FRAME) & !15).wrapping_sub(8);
        let context = frame + 8;
        let info = context + CONTEXT;
        // The kernel's own store makes a stack grow, where a copy between processes may not.
        sys::signal_mask_to(User(frame)).ok()?;
        memory::put(User(frame), restorer()).ok()?;
        let copy = |to: usize, from: usize, size: usize| {
            // SAFETY: the kernel's frame is there while the handler runs, and of this size.
            let bytes = unsafe { core::slice::from_raw_parts(from as *const u8, size) };
            memory::write(User(to), bytes).ok()
        };
        copy(context, self.context as usize, CONTEXT)?;
        copy(info, self.info as usize, INFO)?;
        if state != 0 {
            copy(state_copy, state, state_size)?;
            memory::put(User(context + FPU_STATE * 8), state_copy).ok()?;
        }
        Some(FramePlace { frame, info })
    }

    /// Bytes of the floating point state: what its software part says, else the old FXSAVE's.
    fn fpu_state_size(&self) -> usize {
        let state = self.word(FPU_STATE);
        if state == 0 {
            return 0;
        }
        // SAFETY: the kernel's frame: struct _fpstate, whose last bytes are struct _fpx_sw_bytes.
        let [magic, size] = unsafe { ((state + FXSAVE_SOFTWARE) as *const [u32; 2]).read() };
        if magic == FP_XSTATE_MAGIC1 { size as usize } else { FXSAVE }
    }
}

/// Where a frame lies that a handler is started with, and its siginfo. The context is behind its first word.
struct FramePlace {
    frame: usize,
    info: usize,
}

/// Bytes of `struct ucontext`, of `siginfo_t`, and of both with the return address (struct rt_sigframe).
const CONTEXT: usize = 304;
const INFO: usize = 128;
const FRAME: usize = 8 + CONTEXT + INFO;

/// Bytes below the stack pointer that belong to the interrupted function.
const RED_ZONE: usize = 128;

/// The old floating point state, and what software finds in it.
const FXSAVE: usize = 512;
const FXSAVE_SOFTWARE: usize = 464;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;

unsafe extern "C" {
    fn evercall_restorer();
}

// What our handler returns to: rt_sigreturn. Unwinders and gdb know the frame by these bytes, when no
// function's unwind data covers the byte before.
global_asm!(
    ".text",
    ".balign 16",
    "nop",
    ".hidden evercall_restorer",
    ".globl evercall_restorer",
    ".type evercall_restorer, @function",
    "evercall_restorer:",
    "mov rax, 15",
    "syscall",
    "ud2",
);

/// AUDIT_ARCH_X86_64 (linux/audit.h): what seccomp calls this architecture.
pub const AUDIT: u32 = 0xc000_003e;

/// The functions that `entry` runs: for SIGSEGV, and for SIGSYS.
static FUNCTIONS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

extern "C" fn entry<const N: usize>(signal: i32, info: *const i32, context: *mut usize) {
    let Some(function) = FUNCTIONS.get(N) else { return };
    // SAFETY: stored by `handler`, before the kernel is given `entry`.
    let function = unsafe { core::mem::transmute::<usize, fn(&mut Fault<'_>)>(function.load(Relaxed)) };
    function(&mut Fault { signal, info, context, frame: PhantomData });
}

fn handler<const N: usize>(function: fn(&mut Fault<'_>)) -> usize {
    if let Some(place) = FUNCTIONS.get(N) {
        place.store(function as usize, Relaxed);
    }
    entry::<N> as extern "C" fn(i32, *const i32, *mut usize) as usize
}

/// The address of a handler of SIGSEGV for the kernel that runs this function.
pub fn fault_handler(function: fn(&mut Fault<'_>)) -> usize {
    handler::<0>(function)
}

/// The same for SIGSYS.
pub fn trap_handler(function: fn(&mut Fault<'_>)) -> usize {
    handler::<1>(function)
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
