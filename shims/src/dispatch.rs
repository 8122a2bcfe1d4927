//! The one way through: a door's call, the rule's trigger, its handler, the log, and back to the door.

use crate::arch;
use crate::handlers;
use crate::logging;
use crate::probe;
use crate::start;
use crate::state;
use crate::sys::User;
use crate::text::Text;
use evercall_rules::Trigger;
use evercall_rules::packed::RuleId;

/// Bytes of the log's "what it became".
pub const BECAME: usize = 256;

/// One call on its way to a handler.
pub struct Call<'a> {
    /// The rule.
    pub rule: RuleId,
    /// The arguments, as the kernel would get them.
    pub args: [usize; 6],
    /// Where the log wants to know what the call became; None when nothing is logged.
    became: Option<&'a mut Text<BECAME>>,
}

impl<'a> Call<'a> {
    /// A call that is not logged, or logged with this text.
    pub fn new(rule: RuleId, args: [usize; 6], became: Option<&'a mut Text<BECAME>>) -> Call<'a> {
        Call { rule, args, became }
    }

    /// An argument that is an address of the program.
    pub fn user(&self, index: usize) -> User {
        User(self.arg(index))
    }

    /// An argument that is a C `int`.
    pub fn int(&self, index: usize) -> i32 {
        self.arg(index) as i32
    }

    /// An argument, whole.
    pub fn arg(&self, index: usize) -> usize {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// Tells the log what the call became. The closure runs only if somebody listens.
    pub fn became(&mut self, tell: impl FnOnce(&mut Text<BECAME>)) {
        if let Some(text) = self.became.as_deref_mut() {
            text.truncate(0);
            tell(text);
        }
    }
}

/// Carries a call out in the kernel's convention (-errno): by the host, asked through `native` (the
/// door's next definition), or by the rule's handler. `doors`: where it is kept that the host answers.
pub fn dispatch(
    rule: RuleId,
    args: [usize; 6],
    doors: &state::Bitmap,
    mut native: impl FnMut() -> isize,
) -> isize {
    if !start::ready() || state::handed_on(doors, rule.slot()) {
        return native();
    }
    if !state::acts(rule) {
        match rule.trigger() {
            Trigger::Absent if rule.is_doubted() && !probe::is_sane(rule) => state::act(rule),
            Trigger::Absent => {
                let answer = native();
                if state::acts(rule) && !probe::may_be_refused(answer) {
                    // A filter trapped the call, and the handler has carried it out.
                    return answer;
                }
                match probe::verdict(rule, args, answer) {
                    probe::Verdict::Answers => {
                        // A libc's stub may say ENOSYS for a call that the kernel does answer.
                        state::hand_on(doors, rule.slot());
                        return answer;
                    }
                    probe::Verdict::KernelAnswers(answer) => return answer,
                    probe::Verdict::Missing => state::act(rule),
                }
            }
            Trigger::Result(errno) => {
                let answer = native();
                if answer != -isize::from(errno) {
                    return answer;
                }
            }
            Trigger::Match | Trigger::Start => {}
        }
    }
    carry_out(rule, args)
}

/// Carries a call out by the rule's handler, and logs it.
pub fn carry_out(rule: RuleId, args: [usize; 6]) -> isize {
    if !logging::is_on() {
        return handlers::run(&mut Call::new(rule, args, None));
    }
    if handlers::told_before(rule, &args) {
        logging::translated(rule, &args, b"about to be carried out", 0);
    }
    let mut became = Text::new();
    let result = handlers::run(&mut Call::new(rule, args, Some(&mut became)));
    logging::translated(rule, &args, became.bytes(), result);
    result
}

/// The raw system call of a rule; ENOSYS for what only a libc has.
pub fn raw(rule: RuleId, args: [usize; 6]) -> isize {
    match rule.number() {
        // SAFETY: the program's own call with the program's own arguments.
        Some(number) => unsafe { arch::syscall(number, args) },
        None => -(libc::ENOSYS as isize),
    }
}
