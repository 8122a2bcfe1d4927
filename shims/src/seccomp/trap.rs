//! `evercall run --trap`: calls that no exported symbol sees, made inside libc or by an inline instruction, are
//! trapped by a filter, and the handler of SIGSYS carries them out by the rule of their number. A host's own
//! trapping filter is answered likewise.
//!
//! Filters live through exec and handlers do not, so every program that is executed under such a filter has to
//! have the handler before it makes a trapped call: `static_exec` sees to that.

use super::filter::{self, Verdict};
use super::letter_of;
use super::survey::{Answer, Survey};
use crate::dispatch;
use crate::logging;
use crate::memory;
use crate::settings;
use crate::signals;
use crate::state;
use crate::static_exec;
use crate::sys;
use evercall_rules::Trigger;
use evercall_rules::packed::RuleId;

/// The variable, with its equals sign.
const VARIABLE: &[u8] = b"EVERCALL_TRAP=";

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
    /// By the setting's value: one letter, so that it can be changed where it stands.
    pub fn parse(value: &[u8]) -> Trap {
        match value {
            b"1" => Trap::Asked,
            b"a" => Trap::Armed,
            _ => Trap::Off,
        }
    }
}

/// Numbers that are never trapped: what a dynamic loader or a libc may call before our constructor has run,
/// and what glibc calls with every signal blocked (pthread_create, posix_spawn), where a SIGSYS kills.
const NEVER: [i64; 17] = [
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_clone3,
    libc::SYS_close_range,
    462, // mseal
    // The log's own, which would log itself for ever.
    libc::SYS_pwritev2,
    // Loaders look for files by these (glibc before 2.26 and 2.33, musl, uClibc), and old libpthreads start so.
    libc::SYS_open,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_readlink,
    libc::SYS_getrlimit,
    // musl's posix_spawn makes it in a child whose stack holds no signal's frame.
    libc::SYS_dup2,
];

/// Arms what the settings ask for, at start.
pub fn at_start() {
    match settings::get().trap {
        Trap::Off => {}
        Trap::Armed => {
            signals::take_over_sys();
        }
        Trap::Asked => {
            // The programs executed from here on inherit the filter, or need not ask again.
            let found = if arm() { b'a' } else { b'0' };
            settings::change_kept(VARIABLE, found);
            if let Some((place, _)) = letter_of(VARIABLE) {
                let _ = memory::put(place, found);
            }
        }
    }
}

fn may_be_trapped(rule: RuleId) -> bool {
    let number = rule.number().map_or(-1, |number| number as i64);
    rule.trigger() == Trigger::Absent && !rule.refuses() && !NEVER.contains(&number)
}

/// Installs the filter for the numbers whose rule acts here. False: there are none, or it is refused.
fn arm() -> bool {
    let Some(survey) = Survey::take(may_be_trapped) else { return false };
    let live = RuleId::all().filter(|&rule| {
        may_be_trapped(rule)
            && (state::acts(rule) || matches!(survey.of(rule), Answer::Absent | Answer::Refused))
    });
    if live.clone().next().is_none() || sys::renounce_new_privileges().is_err() || !signals::take_over_sys() {
        return false;
    }
    let done = filter::install(live.clone().filter_map(RuleId::number), Verdict::Trap).is_ok();
    if logging::is_on() {
        logging::trapping(super::names(live).bytes(), done);
    }
    done
}

/// Bytes of stack that a handler and the log may need.
const ROOM: usize = 24 << 10;

/// Carries a trapped call out: -ENOSYS where no rule does. `room` is what is left of an alternate stack, if
/// the handler runs on one. A call of our own (`ours`) gets what the host would say: of two rules that lead to each
/// other, such as pipe and pipe2, the second is so told that there is neither.
pub fn answer(number: usize, args: [usize; 6], room: Option<usize>, ours: bool) -> isize {
    if let libc::SYS_execve | libc::SYS_execveat = number as i64 {
        return sys::with_fresh_stack(|| static_exec::exec(number, args));
    }
    let rule = RuleId::of_number(number).filter(|rule| rule.trigger() == Trigger::Absent && !ours);
    let Some(rule) = rule else { return -(libc::ENOSYS as isize) };
    state::act(rule);
    let carry_out = |args| match room {
        Some(bytes) if bytes < ROOM => sys::with_fresh_stack(|| dispatch::carry_out(rule, args, None)),
        _ => dispatch::carry_out(rule, args, None),
    };
    // The program's view of signals first, as at the door of syscall().
    signals::calls::by_number(number, args, carry_out).unwrap_or_else(|| carry_out(args))
}
