//! seccomp(2): what a host's filter refuses is repaired by a filter of our own, as far as that can be.
//!
//! A filter that answers EPERM for a call whose callers fall back on ENOSYS alone (`clone3` inside
//! pthread_create) is overruled by a newer one that answers ENOSYS: of equal actions the newest wins. One
//! that traps is answered by a handler of SIGSYS. One that kills is left alone. What was found is passed on
//! in the environment, since filters are inherited over exec: each program asks once for all its children.

mod filter;
pub mod own;
mod survey;
pub mod trap;

use crate::logging;
use crate::settings::{self, When};
use crate::signals;
use crate::start;
use crate::sys::{self, User};
use crate::text::Text;
use evercall_rules::packed::RuleId;
pub use filter::MAGIC;
use filter::Verdict;
use survey::{Answer, Survey};
use trap::Trap;

/// The variable that tells the programs executed from here on what was found, with its equals sign.
pub const MARK: &[u8] = b"EVERCALL_REPAIRED=";

/// A variable of ours with a value of one letter, where it stands in the program's environment, and the letter:
/// it can be changed there for the programs executed from here on.
fn letter_of(name: &'static [u8]) -> Option<(User, u8)> {
    start::strings(start::environment(), name).find_map(|string| {
        match string.to_bytes().strip_prefix(name)? {
            [letter] => Some((User(core::ptr::from_ref(letter) as usize), *letter)),
            _ => None,
        }
    })
}

/// What an earlier program of this family found, or we did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nobody asked.
    Nothing,
    /// What could be repaired is repaired.
    Repaired,
    /// The host's filter traps: the handler has to stand.
    Traps,
}

impl Found {
    /// By the mark's value.
    pub fn parse(value: &[u8]) -> Found {
        match value {
            b"1" => Found::Repaired,
            b"t" => Found::Traps,
            _ => Found::Nothing,
        }
    }

    /// The mark's whole string.
    fn mark(self) -> &'static [u8] {
        match self {
            Found::Traps => b"EVERCALL_REPAIRED=t",
            _ => b"EVERCALL_REPAIRED=1",
        }
    }
}

/// Repairs what can be repaired, before the program makes its first call. Runs before the settings are
/// handed out; gives the string that is to be kept in the environment.
pub fn at_start() -> Option<&'static [u8]> {
    let settings = settings::get();
    // Under our own trapping filter the first program has asked, and the handler stands.
    if settings.filter == When::Off || settings.trap == Trap::Armed || !sys::under_filter() {
        return None;
    }
    let found = match settings.found {
        Found::Nothing => repair(),
        known => known,
    };
    if found == Found::Traps && !signals::take_over_sys() {
        return None;
    }
    (found != Found::Nothing).then(|| found.mark())
}

/// Asks what the host's filter does, and installs ours if it says EPERM where it should not.
fn repair() -> Found {
    let Some(survey) = Survey::take(RuleId::is_repaired) else { return Found::Nothing };
    let refused = survey.all(Answer::Refused);
    if refused.clone().next().is_some() {
        let done = match permission() {
            Permission::No => false,
            Permission::Yes => true,
            Permission::Renounce => sys::renounce_new_privileges().is_ok(),
        };
        let numbers = refused.clone().filter_map(RuleId::number);
        let done = done && filter::install(numbers, Verdict::Errno(libc::ENOSYS as u8)).is_ok();
        if logging::is_on() {
            logging::repaired(names(refused).bytes(), done);
        }
    }
    if survey.all(Answer::Trapped).next().is_some() { Found::Traps } else { Found::Repaired }
}

/// The names of rules, for the log.
fn names(rules: impl Iterator<Item = RuleId>) -> Text<512> {
    let mut names = Text::new();
    for rule in rules {
        names.push(if names.bytes().is_empty() { b"" } else { b", " }).push(rule.name());
    }
    names
}

/// Whether a filter may be installed.
enum Permission {
    No,
    Yes,
    /// After the process has given up what setuid programs would give it.
    Renounce,
}

/// Without CAP_SYS_ADMIN a filter needs no_new_privs, under which sudo and ping gain nothing: not without
/// being asked, unless the image is known to hold no such program.
fn permission() -> Permission {
    if sys::no_new_privileges() || sys::has_capability(CAP_SYS_ADMIN) {
        return Permission::Yes;
    }
    let settings = settings::get();
    if settings.filter == When::On || settings.no_privileged_programs {
        Permission::Renounce
    } else {
        Permission::No
    }
}

const CAP_SYS_ADMIN: u32 = 21;
