//! The one way through: a door's call, the rule's trigger, its handler, the log, and back to the door.

use crate::arch;
use crate::handlers;
use crate::logging;
use crate::probe::{self, Verdict};
use crate::start;
use crate::state;
use crate::sys::{self, User};
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
    /// What the host answered, -errno or its result; None where it was not asked: the rule is forced, or the host
    /// has no such call.
    pub answer: Option<isize>,
    /// Whether the handler left the host's answer as it was: nothing is logged then.
    declined: bool,
    /// Where the log wants to know what the call became; None when nothing is logged.
    became: Option<&'a mut Text<BECAME>>,
}

impl<'a> Call<'a> {
    fn new(
        rule: RuleId,
        args: [usize; 6],
        answer: Option<isize>,
        became: Option<&'a mut Text<BECAME>>,
    ) -> Call<'a> {
        Call { rule, args, answer, declined: false, became }
    }

    /// Leaves the host's answer as it is: there is nothing to translate in this call.
    pub fn decline(&mut self, answer: isize) -> isize {
        self.declined = true;
        answer
    }

    /// The same, where there may be no answer because the rule is forced: the host is asked then.
    pub fn decline_or_ask(&mut self, number: i64) -> isize {
        let answer = self.answer.unwrap_or_else(|| sys::call(number, self.args));
        self.decline(answer)
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
    let mut answered = None;
    if !state::acts(rule) {
        match rule.trigger() {
            Trigger::Absent if rule.is_doubted() && !probe::is_sane(rule) => state::act(rule),
            Trigger::Absent => {
                let answer = native();
                if state::acts(rule) && !probe::may_be_refused(answer) {
                    // A filter trapped the call, and the handler has carried it out.
                    return answer;
                }
                let known = rule.acts_on_results() && state::answers(doors, rule);
                let verdict = if known { Verdict::Answers } else { probe::verdict(rule, args, answer) };
                match verdict {
                    Verdict::Answers if rule.acts_on_results() => {
                        state::keep_answers(doors, rule);
                        if !rule.acts_on(answer) {
                            return answer;
                        }
                        answered = Some(answer);
                    }
                    Verdict::Answers => {
                        // A libc's stub may say ENOSYS for a call that the kernel does answer.
                        state::hand_on(doors, rule.slot());
                        return answer;
                    }
                    Verdict::KernelAnswers(answer) => return answer,
                    Verdict::Missing => state::act(rule),
                }
            }
            Trigger::Result => {
                let answer = native();
                if !rule.acts_on(answer) {
                    return answer;
                }
                answered = Some(answer);
            }
            Trigger::Match | Trigger::Start => {}
        }
    }
    carry_out(rule, args, answered)
}

/// Carries a call out by the rule's handler, and logs it. `answer`: what the host said to it, if it was asked.
pub fn carry_out(rule: RuleId, args: [usize; 6], answer: Option<isize>) -> isize {
    if !logging::is_on() {
        return handlers::run(&mut Call::new(rule, args, answer, None));
    }
    if handlers::told_before(rule, &args) {
        logging::translated(rule, &args, b"about to be carried out", 0);
    }
    let mut became = Text::new();
    let mut call = Call::new(rule, args, answer, Some(&mut became));
    let result = handlers::run(&mut call);
    if !call.declined {
        logging::translated(rule, &args, became.bytes(), result);
    }
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
