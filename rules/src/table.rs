//! The table with plain strings, as `evercall rules` prints it.

use crate::{Fidelity, Trigger};

/// A system call that Linux has or had.
#[derive(Debug)]
pub struct Call {
    /// The kernel's name: `__NR_` of the headers without the prefix.
    pub name: &'static str,
    /// The family: the TOML file it stands in.
    pub family: &'static str,
    /// Number on x86-64, if it ever had one there.
    pub x86_64: Option<u16>,
    /// Number on i386, if it ever had one there.
    pub i386: Option<u16>,
    /// First kernel that had it, or `never` for a number that was only reserved.
    pub since: &'static str,
    /// Last kernel that had it, if it was removed.
    pub until: Option<&'static str>,
    /// The option without which a kernel is built without it.
    pub option: Option<&'static str>,
    /// What to know of it.
    pub note: Option<&'static str>,
    /// Why no rule answers it, where one might be looked for.
    pub reason: Option<&'static str>,
    /// Where these facts were read.
    pub source: &'static str,
    /// What `evercall probe` asks about it; None without a number on x86-64.
    pub question: Option<Question>,
}

/// What `evercall probe` asks about a system call of x86-64.
#[derive(Debug)]
pub enum Question {
    /// This.
    Ask(Ask),
    /// Nothing, and why.
    NotAsked(&'static str),
}

/// A harmless call, and what may come of it on an unfiltered kernel.
#[derive(Debug)]
pub struct Ask {
    /// The arguments; those that are not there are 0.
    pub arguments: &'static [i32],
    /// Errno names, `success`, `exits`, or the name of a signal.
    pub due: &'static [&'static str],
    /// The capability without which EPERM is due, too.
    pub needs: Option<&'static str>,
    /// Whether all capabilities are to be given up first.
    pub drops: bool,
    /// The rule whose probe it is, if it is one.
    pub rule: Option<&'static str>,
}

/// A rule of evercall.
#[derive(Debug)]
pub struct Rule {
    /// What people call the interface.
    pub name: &'static str,
    /// The family: the TOML file it stands in.
    pub family: &'static str,
    /// The system calls it answers, by name.
    pub calls: &'static [&'static str],
    /// The libc symbols that `libevercall.so` exports for it.
    pub symbols: &'static [&'static str],
    /// `name: kind` of each argument.
    pub arguments: &'static [&'static str],
    /// When it acts.
    pub trigger: Trigger,
    /// Answers of a host that has the call which make it act: errno names, or `0`.
    pub results: &'static [&'static str],
    /// The errno that an unfiltered kernel gives for these harmless arguments.
    pub probe: Option<(&'static str, &'static [i32])>,
    /// Whether the repair filter answers ENOSYS for it, where a host filter says EPERM.
    pub repair: bool,
    /// What a call becomes.
    pub does: &'static str,
    /// How true the translation is.
    pub fidelity: Fidelity,
    /// The sentence that `partial` and `refuse` owe.
    pub difference: Option<&'static str>,
    /// The tests that prove it: `file::function` under `tests/`.
    pub proof: &'static [&'static str],
    /// Where the behaviour was read.
    pub source: &'static str,
}

/// Exported symbols that belong to no rule.
#[derive(Debug)]
pub struct Door {
    /// The name of the row.
    pub name: &'static str,
    /// The libc symbols that `libevercall.so` exports.
    pub symbols: &'static [&'static str],
    /// What the door does.
    pub does: &'static str,
    /// Where the behaviour was read.
    pub source: &'static str,
}

/// An interface inside a call that came and went: a flag, a request, a socket family.
#[derive(Debug)]
pub struct Operation {
    /// The name in the headers.
    pub name: &'static str,
    /// The family: the TOML file it stands in.
    pub family: &'static str,
    /// The system call.
    pub call: &'static str,
    /// Its number, or its bit.
    pub value: i64,
    /// First kernel, or series, known to have had it, or `never` for a number that was only reserved.
    pub since: &'static str,
    /// Last kernel that had it, if it was removed.
    pub until: Option<&'static str>,
    /// The option without which a kernel is built without it.
    pub option: Option<&'static str>,
    /// What a kernel without it answers: an errno, `0`, `ignored` (the bit is accepted, and does nothing), or
    /// `another` (the number means something else today).
    pub now: &'static str,
    /// Harmless arguments that ask it.
    pub ask: Option<&'static [i64]>,
    /// What to know of it.
    pub note: Option<&'static str>,
    /// Where these facts were read.
    pub source: &'static str,
}

impl Call {
    /// The system call of a name.
    pub fn find(name: &str) -> Option<&'static Call> {
        let index = CALLS.binary_search_by(|call| call.name.cmp(name)).ok()?;
        CALLS.get(index)
    }
}

impl Rule {
    /// The rule that answers a system call.
    pub fn of_call(name: &str) -> Option<&'static Rule> {
        RULES.iter().find(|rule| rule.calls.contains(&name))
    }
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));
