//! A seccomp filter that answers some numbers and lets all else through. It looks at the number alone, so
//! that the kernel's bitmap of allowed numbers holds (kernel/seccomp.c, since 5.11).

use crate::arch;
use crate::sys::{self, Result};

/// Most numbers that one filter answers.
const NUMBERS: usize = 192;

/// Most instructions: two a number, and what stands around them.
const MOST: usize = 2 * NUMBERS + 40;

/// What a filter says of its numbers (seccomp(2)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This errno.
    Errno(u8),
    /// SIGSYS with a handler's chance to answer.
    Trap,
}

impl Verdict {
    fn value(self) -> u32 {
        match self {
            Verdict::Errno(errno) => libc::SECCOMP_RET_ERRNO | u32::from(errno),
            Verdict::Trap => libc::SECCOMP_RET_TRAP,
        }
    }
}

// BPF's instructions (linux/bpf_common.h): load a word of seccomp_data, jump if equal, return.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

// Where struct seccomp_data has its fields (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// A program in the making: each instruction is a `struct sock_filter` of eight bytes.
struct Program {
    code: [u64; MOST],
    length: usize,
}

impl Program {
    fn push(&mut self, code: u16, [if_true, if_false]: [u8; 2], k: u32) {
        if let Some(place) = self.code.get_mut(self.length) {
            *place =
                u64::from(code) | u64::from(if_true) << 16 | u64::from(if_false) << 24 | u64::from(k) << 32;
            self.length += 1;
        }
    }
}

/// Installs the filter for this thread and what it starts. Other architectures are let through. A trapping
/// one keeps execs, actions for SIGSYS and signal masks are kept to us: only those with [`MAGIC`] in the register behind
/// their arguments are let through; an exec and a mask are trapped, an action is taken as done.
/// EACCES without no_new_privs or CAP_SYS_ADMIN.
pub fn install(numbers: impl Iterator<Item = usize>, verdict: Verdict) -> Result<usize> {
    let mut program = Program { code: [0; MOST], length: 0 };
    program.push(LOAD, [0, 0], ARCHITECTURE);
    program.push(JUMP_EQUAL, [1, 0], arch::AUDIT);
    program.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
    program.push(LOAD, [0, 0], NUMBER);
    for number in numbers.take(NUMBERS) {
        program.push(JUMP_EQUAL, [0, 1], number as u32);
        program.push(RETURN, [0, 0], verdict.value());
    }
    if verdict == Verdict::Trap {
        program.guard_execs();
        program.guard_action();
        program.guard_mask();
    }
    program.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
    sys::install_filter(program.code.get(..program.length).unwrap_or(&[]))
}

/// What our own guarded calls carry in the sixth argument's register, which these calls do not use.
pub const MAGIC: usize = u64::from_le_bytes(*b"evercall") as usize;

// Each guard is left with the number still loaded, or by a return.
impl Program {
    /// execve and execveat are trapped, unless they are ours.
    fn guard_execs(&mut self) {
        self.push(JUMP_EQUAL, [1, 0], libc::SYS_execve as u32);
        self.push(JUMP_EQUAL, [0, 6], libc::SYS_execveat as u32);
        self.unless_ours(libc::SECCOMP_RET_TRAP);
    }

    /// A new action for SIGSYS past libc (Go's runtime, the child of posix_spawn) would take our handler away:
    /// it is answered with success. No SIGSYS for it, since the second makes it with all signals blocked.
    fn guard_action(&mut self) {
        self.guard(libc::SYS_rt_sigaction, [1, 0], libc::SIGSYS, libc::SECCOMP_RET_ERRNO);
    }

    /// A mask that blocks more signals is trapped: with SIGSYS blocked the next trapped call would kill. glibc
    /// blocks all signals around clone and exec, static programs as they like.
    fn guard_mask(&mut self) {
        self.guard(libc::SYS_rt_sigprocmask, [0, 1], libc::SIG_UNBLOCK, libc::SECCOMP_RET_TRAP);
    }

    /// A call with this value in its first argument (`[1, 0]`) or another one (`[0, 1]`), and no NULL in its
    /// second, is answered so, unless it is ours.
    fn guard(&mut self, number: i64, which: [u8; 2], first: i32, answer: u32) {
        self.push(JUMP_EQUAL, [0, 12], number as u32);
        self.push(LOAD, [0, 0], argument(0));
        self.push(JUMP_EQUAL, which, first as u32);
        self.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
        self.push(LOAD, [0, 0], argument(1));
        self.push(JUMP_EQUAL, [0, 1], 0);
        self.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
        self.unless_ours(answer);
    }

    /// Six instructions.
    fn unless_ours(&mut self, answer: u32) {
        self.push(LOAD, [0, 0], argument(5));
        self.push(JUMP_EQUAL, [0, 3], MAGIC as u32);
        self.push(LOAD, [0, 0], argument(5) + 4);
        self.push(JUMP_EQUAL, [0, 1], (MAGIC >> 32) as u32);
        self.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
        self.push(RETURN, [0, 0], answer);
    }
}

/// The low half of an argument in struct seccomp_data.
const fn argument(index: u32) -> u32 {
    16 + index * 8
}
