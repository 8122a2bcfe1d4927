//! The log of translated calls. Silent unless asked for (EVERCALL_LOG); never in the program's way.

mod counters;
mod errno_names;
mod line;
mod sink;

use crate::settings;
use crate::state;
use ::log::LevelFilter;
use evercall_rules::packed::RuleId;
use line::Event;
use sink::Sink;

/// Which translations are logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// None.
    Off,
    /// A process's first by each rule.
    First,
    /// Every one.
    All,
    /// A summary at the end.
    Count,
    /// Off, but for what only pretends to be done: that is always logged.
    Pretended,
}

/// Whether a rule accepts what it does not do.
fn pretends(rule: RuleId) -> bool {
    rule == RuleId::SwallowedSettings
}

/// Whether only that is logged.
fn only_pretended() -> bool {
    settings::get().log == Mode::Pretended
}

impl Mode {
    /// The mode of a setting's value.
    pub fn parse(value: &[u8]) -> Option<Mode> {
        Some(match value {
            b"off" => Mode::Off,
            b"first" => Mode::First,
            b"all" => Mode::All,
            b"count" => Mode::Count,
            _ => return None,
        })
    }
}

/// The form of the lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The format of a setting's value.
    pub fn parse(value: &[u8]) -> Option<Format> {
        Some(match value {
            b"text" => Format::Text,
            b"json" => Format::Json,
            _ => return None,
        })
    }
}

/// Whether anything is logged at all: one load.
#[inline]
pub fn is_on() -> bool {
    ::log::max_level() != LevelFilter::Off
}

/// Opens the log that the settings ask for, at start.
pub fn open() {
    let settings = settings::get();
    if settings.log == Mode::Off {
        return;
    }
    counters::prepare();
    sink::prepare();
    ::log::set_max_level(LevelFilter::Info);
    if settings.log == Mode::Count {
        state::watch(libc::SYS_exit_group as usize);
    }
    let misunderstood = settings.misunderstood();
    if !misunderstood.is_empty() && !only_pretended() {
        ::log::warn!(logger: Sink, "{}", Event::Misunderstood(misunderstood));
    }
}

/// Nothing is logged from now on: the process has forbidden itself calls that a line may take.
pub fn close() {
    ::log::set_max_level(LevelFilter::Off);
}

/// A call was carried out by a rule, on a stack too small for its line.
pub fn counted(rule: RuleId) {
    counters::count(rule);
}

/// A call was carried out by a rule: counts it, and writes its line if one is due.
#[cold]
pub fn translated(rule: RuleId, args: &[usize; 6], became: &[u8], result: isize) {
    if !is_on() {
        return;
    }
    let first = counters::count(rule);
    match settings::get().log {
        Mode::All => {}
        Mode::First if first => {}
        _ if pretends(rule) => {}
        _ => return,
    }
    ::log::info!(logger: Sink, "{}", Event::Translated { rule, args, became, result });
}

/// The host's filter refuses these calls with EPERM; `done` tells whether a filter of ours answers ENOSYS now.
pub fn repaired(names: &[u8], done: bool) {
    if !only_pretended() {
        ::log::info!(logger: Sink, "{}", Event::Repaired { names, done });
    }
}

/// These calls are trapped from here on, if `done`.
pub fn trapping(names: &[u8], done: bool) {
    if !only_pretended() {
        ::log::info!(logger: Sink, "{}", Event::Trapping { names, done });
    }
}

/// The summary of EVERCALL_LOG=count: what was not summed up yet.
pub fn summary() {
    if is_on() && settings::get().log == Mode::Count {
        if let Some(counts) = counters::take() {
            ::log::info!(logger: Sink, "{}", Event::Summary(&counts));
            if counts.has(RuleId::Vsyscall) {
                ::log::info!(logger: Sink, "{}", Event::Callers);
            }
        }
    }
}
