//! What an answer says of the host: whether it is the kernel's, or a filter's.

use super::ask::{Asked, arguments};
use super::sys::Outcome;
use crate::simulate::calls::Version;
use crate::simulate::errno;
use crate::simulate::host::words;
use evercall_rules::table::{Ask, Call};
use serde::Serialize;

/// What is known of the host when an answer is judged.
pub struct Context {
    /// Whether a seccomp filter stands over us; None where that could not be seen.
    pub filtered: Option<bool>,
    /// The version of the kernel that runs here, by its own word.
    pub version: Option<Version>,
    /// The capabilities in force, where they count for the whole machine: those of a user namespace do not.
    pub capabilities: Vec<&'static str>,
}

/// The kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What is due, so the call is there.
    Answers,
    /// An errno that is not due, and not a filter's: the number may mean something else here.
    Odd,
    /// An errno of a filter's or a security module's.
    Refused,
    /// ENOSYS.
    Absent,
    /// The process is killed.
    Killed,
    /// A SIGSYS that can be caught.
    Trapped,
    /// It was not asked.
    NotAsked,
    /// It did not come back in time.
    NoAnswer,
}

/// Who says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The kernel does not have it, or a security module refuses it.
    Kernel,
    /// A seccomp filter.
    Filter,
    /// Either: the answer does not tell.
    FilterOrKernel,
}

/// A call, judged.
pub struct Judged {
    /// The call.
    pub call: &'static Call,
    /// Its question, if there was one.
    pub ask: Option<&'static Ask>,
    /// The class.
    pub class: Class,
    /// The answer, in the words of a host profile.
    pub answer: &'static str,
    /// What came: an errno, `success`, `exits`, or how the child ended.
    pub got: Option<String>,
    /// Who says no.
    pub by: Option<By>,
    /// What to know of it.
    pub note: Option<String>,
}

/// The kernel answers these to bad arguments of one sort or another: where another one of them is due, the kernel
/// may be an odd one.
const OF_ARGUMENTS: [&str; 12] = [
    "ENOENT",
    "ESRCH",
    "EINTR",
    "ENXIO",
    "E2BIG",
    "EBADF",
    "EAGAIN",
    "EFAULT",
    "ENODEV",
    "EINVAL",
    "EMFILE",
    "EOPNOTSUPP",
];

/// Whether an errno may be the kernel's word on bad arguments; else somebody refuses the call.
pub fn is_of_arguments(name: &str) -> bool {
    OF_ARGUMENTS.contains(&name)
}

impl Judged {
    /// Judges one answer.
    pub fn new(asked: &Asked, context: &Context) -> Judged {
        let Asked { call, ask, outcome } = asked;
        let (call, ask) = (*call, *ask);
        let judged = |class, answer, got: Option<String>| Judged {
            call,
            ask,
            class,
            answer,
            got,
            by: None,
            note: None,
        };
        let (outcome, due) = match (outcome, ask) {
            (Ok(outcome), Some(ask)) => (*outcome, ask),
            (outcome, _) => {
                let why = outcome.as_ref().err().map(|why| (*why).to_owned());
                return Judged { note: why, ..judged(Class::NotAsked, words::NOT_ASKED, None) };
            }
        };
        let is_due = |word: &str| due.due.contains(&word);
        let answers = |got: &str| judged(Class::Answers, words::ANSWERS, Some(got.to_owned()));
        let odd = |got: &str| {
            let note = format!("{} is due", due.due.join(" or "));
            Judged { note: Some(note), ..judged(Class::Odd, words::ANSWERS, Some(got.to_owned())) }
        };
        // modify_ldt(2) gives an int, which 64-bit kernels do not extend (arch/x86/kernel/ldt.c).
        let outcome = match outcome {
            Outcome::Returned(result @ 0xffff_f001..=0xffff_ffff) if !is_due("success") => {
                Outcome::Returned(i64::from(result as i32))
            }
            other => other,
        };
        match outcome {
            Outcome::Returned(result) if (-4095..0).contains(&result) => {
                errno_of(-result, call, ask, due, context)
            }
            Outcome::Returned(_) if is_due("success") => answers("success"),
            Outcome::Returned(_) => odd("success"),
            Outcome::Exited(status) if is_due("exits") && status == arguments(due)[0] => answers("exits"),
            Outcome::Exited(status) => odd(&format!("the child's end with status {status}")),
            Outcome::Killed(libc::SIGILL) if is_due("SIGILL") => answers("SIGILL"),
            Outcome::Killed(signal @ (libc::SIGSYS | libc::SIGKILL)) => {
                let got = if signal == libc::SIGSYS { "SIGSYS" } else { "SIGKILL" };
                Judged { by: Some(By::Filter), ..judged(Class::Killed, words::KILLED, Some(got.to_owned())) }
            }
            Outcome::Killed(signal) => odd(&format!("the child's end by signal {signal}")),
            Outcome::Trapped => Judged {
                by: Some(By::Filter),
                ..judged(Class::Trapped, words::TRAPPED, Some("SIGSYS".to_owned()))
            },
            Outcome::Hung => judged(Class::NoAnswer, words::NO_ANSWER, None),
            Outcome::Unseen => Judged {
                note: Some(
                    "wait4 and waitid are refused, so whether it killed or hung cannot be seen".to_owned(),
                ),
                ..judged(Class::NoAnswer, words::NO_ANSWER, None)
            },
            Outcome::NotReady => Judged {
                note: Some("the child could not give up its capabilities first".to_owned()),
                ..judged(Class::NotAsked, words::NOT_ASKED, None)
            },
        }
    }

    /// The question as it would stand in a program.
    pub fn question(&self) -> Option<String> {
        let arguments: Vec<String> = self.ask?.arguments.iter().map(i32::to_string).collect();
        Some(format!("{}({})", self.call.name, arguments.join(", ")))
    }
}

fn errno_of(
    number: i64,
    call: &'static Call,
    ask: Option<&'static Ask>,
    due: &'static Ask,
    context: &Context,
) -> Judged {
    let name = errno::name(number);
    let judged = |class, answer, by, note| Judged {
        call,
        ask,
        class,
        answer,
        got: Some(name.map_or_else(|| format!("errno {number}"), str::to_owned)),
        by,
        note,
    };
    let is_due = name.is_some_and(|name| due.due.contains(&name));
    let may_filter = context.filtered != Some(false);
    let missing_right = due.needs.filter(|needs| !context.capabilities.contains(needs));
    match name {
        Some("ENOSYS") => {
            let (by, note) = absent(call, is_due, context);
            judged(Class::Absent, "ENOSYS", Some(by), Some(note))
        }
        Some("EPERM") if is_due || missing_right.is_some() => {
            let why = match missing_right {
                Some(right) => format!("the kernel answers EPERM without {right}"),
                None => "the kernel may answer EPERM by itself".to_owned(),
            };
            let note = may_filter.then(|| format!("{why}: whether a filter refuses it cannot be told"));
            judged(Class::Answers, words::ANSWERS, None, note)
        }
        _ if is_due => judged(Class::Answers, words::ANSWERS, None, None),
        Some(name) if !is_of_arguments(name) => {
            let note = "no seccomp filter stands: a security module, or the kernel itself";
            let (by, note) =
                if may_filter { (By::Filter, None) } else { (By::Kernel, Some(note.to_owned())) };
            judged(Class::Refused, name, Some(by), note)
        }
        _ => {
            let note = match name {
                Some("EOPNOTSUPP") => "the kernel has it switched off".to_owned(),
                _ => format!("{} is due", due.due.join(" or ")),
            };
            judged(Class::Odd, words::ANSWERS, None, Some(note))
        }
    }
}

/// Whose ENOSYS it is, as far as that can be told.
fn absent(call: &Call, is_due: bool, context: &Context) -> (By, String) {
    let needs = call.option.map(|option| format!("without {option}"));
    let unfiltered = context.filtered == Some(false);
    let has = context.version.map(|version| version.has(call));
    let version = context.version.map(|version| format!("Linux {version}")).unwrap_or_default();
    if call.since == "never" {
        return (By::Kernel, "Linux only ever kept the number free".to_owned());
    }
    match (has, unfiltered) {
        (Some(false), _) if call.until.is_some() => (By::Kernel, format!("{version} has it no longer")),
        (Some(false), _) => (By::Kernel, format!("{version} does not have it yet: since {}", call.since)),
        (_, _) if is_due => (By::Kernel, "Linux has it for no 64-bit program".to_owned()),
        (_, true) => {
            let built = needs.unwrap_or_else(|| "without it, or is not Linux's own".to_owned());
            (By::Kernel, format!("the kernel is built {built}"))
        }
        (Some(true), false) => match needs {
            Some(needs) => (
                By::FilterOrKernel,
                format!("{version} has it: a filter refuses it, or the kernel is built {needs}"),
            ),
            None => (By::Filter, format!("probably: {version} has it, and a filter stands")),
        },
        (None, false) => {
            (By::FilterOrKernel, "neither the kernel's version nor the filter could be seen".to_owned())
        }
    }
}
