//! A seccomp filter that answers some numbers and lets all else through. It looks at the number alone, so
//! that the kernel's bitmap of allowed numbers holds (kernel/seccomp.c, since 5.11).

use crate::arch;
use crate::sys::{self, Result};

/// Most instructions: as many numbers as one conditional jump can leap over, and what stands around them.
const MOST: usize = 272;

/// Most numbers that one filter answers.
const NUMBERS: usize = 240;

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
const ARGUMENTS: u32 = 16;

/// A program in the making: each instruction is a `struct sock_filter` of eight bytes.
struct Program {
    code: [u64; MOST],
    length: usize,
}

impl Program {
    fn push(&mut self, code: u16, [if_true, if_false]: [u8; 2], k: u32) {
        if let Some(place) = self.code.get_mut(self.length) {
            *place = u64::from(code)
                | u64::from(if_true) << 16
                | u64::from(if_false) << 24
                | u64::from(k) << 32;
            self.length += 1;
        }
    }
}

/// A call with these values in the low halves of two arguments, and another value in a third, is answered
/// too: how a trapping filter keeps the SIGSYS handler where it is.
pub struct Guarded {
    /// The system call.
    pub number: usize,
    /// Argument 0, its low half.
    pub first: u32,
    /// Argument 1, its low half, with which the call is let through.
    pub unless_second: u32,
}

/// Installs the filter for this thread and what it starts. Other architectures are let through.
/// EACCES without no_new_privs or CAP_SYS_ADMIN.
pub fn install(
    numbers: impl Iterator<Item = usize> + Clone,
    verdict: Verdict,
    guarded: Option<Guarded>,
) -> Result<usize> {
    let mut program = Program { code: [0; MOST], length: 0 };
    let numbers = numbers.take(NUMBERS);
    let count = numbers.clone().count() as u8;
    let behind = if guarded.is_some() { 5 } else { 0 };
    program.push(LOAD, [0, 0], ARCHITECTURE);
    program.push(JUMP_EQUAL, [1, 0], arch::AUDIT);
    program.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
    program.push(LOAD, [0, 0], NUMBER);
    for (index, number) in numbers.enumerate() {
        // Over the other numbers, what is behind them, and the return that allows.
        let leap = count - index as u8 - 1 + behind + 1;
        program.push(JUMP_EQUAL, [leap, 0], number as u32);
    }
    if let Some(Guarded { number, first, unless_second }) = guarded {
        program.push(JUMP_EQUAL, [0, 4], number as u32);
        program.push(LOAD, [0, 0], ARGUMENTS);
        program.push(JUMP_EQUAL, [0, 2], first);
        program.push(LOAD, [0, 0], ARGUMENTS + 8);
        program.push(JUMP_EQUAL, [0, 1], unless_second);
    }
    program.push(RETURN, [0, 0], libc::SECCOMP_RET_ALLOW);
    program.push(RETURN, [0, 0], verdict.value());
    sys::install_filter(program.code.get(..program.length).unwrap_or(&[]))
}
