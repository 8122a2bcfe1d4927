//! Calls that a filter traps, made inside libc or by an inline instruction: the handler of SIGSYS carries
//! them out by the rule of their number.

use crate::dispatch;
use crate::state;
use crate::sys;
use evercall_rules::Trigger;
use evercall_rules::packed::RuleId;

/// `EVERCALL_TRAP`, set by `evercall run --trap`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// Calls are trapped nowhere.
    Off,
    /// This program is to install the filter.
    Asked,
    /// An earlier program has: the handler has to stand.
    Armed,
}

impl Trap {
    /// By the setting's value.
    pub fn parse(value: &[u8]) -> Trap {
        match value {
            b"1" | b"on" => Trap::Asked,
            b"a" => Trap::Armed,
            _ => Trap::Off,
        }
    }
}

/// Arms what the settings ask for; gives the string that is to be kept in the environment.
pub fn at_start() -> Option<&'static [u8]> {
    None
}

/// Bytes of stack that a handler and the log may need.
const ROOM: usize = 24 << 10;

/// Carries a trapped call out: -ENOSYS where no rule does. `room` is what is left of an alternate stack, if
/// the handler runs on one.
pub fn answer(number: usize, args: [usize; 6], room: Option<usize>) -> isize {
    let Some(rule) = RuleId::of_number(number).filter(|rule| rule.trigger() == Trigger::Absent) else {
        return -(libc::ENOSYS as isize);
    };
    state::act(rule);
    match room {
        Some(bytes) if bytes < ROOM => sys::with_fresh_stack(|| dispatch::carry_out(rule, args)),
        _ => dispatch::carry_out(rule, args),
    }
}
