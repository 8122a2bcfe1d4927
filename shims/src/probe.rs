//! Whether the host answers a call: ENOSYS says no, EPERM may be a seccomp filter's way to say no.

use crate::arch;
use crate::dispatch;
use crate::sys::{self, ChildEnd};
use evercall_rules::packed::RuleId;

/// What an answer says of the host.
pub enum Verdict {
    /// The host answers this call.
    Answers,
    /// libc would not pass it on, but the kernel does answer: this was its answer.
    KernelAnswers(isize),
    /// No such call here, or a filter refuses it.
    Missing,
}

const ENOSYS: isize = -(libc::ENOSYS as isize);
const EPERM: isize = -(libc::EPERM as isize);

/// Judges the answer that the program's own call got.
pub fn verdict(rule: RuleId, args: [usize; 6], answer: isize) -> Verdict {
    match answer {
        ENOSYS => match dispatch::raw(rule, args) {
            ENOSYS => Verdict::Missing,
            EPERM if filtered(rule) => Verdict::Missing,
            answer => Verdict::KernelAnswers(answer),
        },
        EPERM if filtered(rule) => Verdict::Missing,
        // The kernel's own EPERM, or any other answer: it knows the call.
        _ => Verdict::Answers,
    }
}

/// What the host answers to harmless arguments: no pointer is among them but NULL or one that cannot be mapped.
pub fn ask(number: usize, arguments: [i32; 6]) -> isize {
    // SAFETY: harmless, as the caller says.
    unsafe { arch::syscall(number, arguments.map(|a| a as isize as usize)) }
}

/// Whether an answer may say that the host lacks a call, or that a filter refuses it.
pub fn may_be_refused(answer: isize) -> bool {
    matches!(answer, ENOSYS | EPERM)
}

/// Whether the number means what it should: some vendors' kernels answer it with nonsense
/// (opencontainers/runc#5415). ENOSYS and EPERM are for [`verdict`] to judge. A filter that kills here would
/// have killed at the program's own call, which is due next.
pub fn is_sane(rule: RuleId) -> bool {
    let (Some(probe), Some(number)) = (rule.probe(), rule.number()) else { return true };
    let answer = ask(number, probe.arguments);
    answer == -isize::from(probe.errno) || may_be_refused(answer)
}

/// Whether a rule's call is refused: harmless arguments get EPERM where Linux would give the errno in the
/// rule's row. By a filter, which is asked in a throw-away child, since some kill; or by another kernel: gVisor
/// answers EPERM to `_sysctl`.
fn filtered(rule: RuleId) -> bool {
    let (Some(probe), Some(number)) = (rule.probe(), rule.number()) else { return false };
    if !sys::under_filter() {
        return ask(number, probe.arguments) == EPERM && probe.errno != libc::EPERM as u8;
    }
    asked_in_child(number, probe.arguments, probe.errno)
}

/// Whether a filter refuses a call that no rule has alone: with these harmless arguments the kernel gives
/// another errno than EPERM.
pub fn is_filtered(number: usize, arguments: [i32; 6]) -> bool {
    asked_in_child(number, arguments, 0)
}

fn asked_in_child(number: usize, arguments: [i32; 6], due: u8) -> bool {
    if !sys::under_filter() {
        return false;
    }
    let end = sys::in_child(|| u8::try_from(-ask(number, arguments)).unwrap_or(0));
    // ENOSYS where our own filter has repaired it: the EPERM came from another call that libc made instead.
    let refused = |errno: u8| [libc::EPERM, libc::ENOSYS].contains(&i32::from(errno));
    matches!(end, Ok(ChildEnd::Exited(errno)) if errno != due && refused(errno))
        || matches!(end, Ok(ChildEnd::Killed))
}
