//! Asking about every call of the table, each in a child of its own.

use super::judge::is_of_arguments;
use super::sys::{self, NONE, Outcome, Raw, Task, WAYS};
use crate::failure::Failure;
use crate::simulate::errno;
use evercall_rules::table::{Ask, CALLS, Call, Question};
use std::io;
use std::sync::atomic::Ordering::Relaxed;

/// A call and what came of asking about it.
pub struct Asked {
    /// The call.
    pub call: &'static Call,
    /// What was asked; None where it was not.
    pub ask: Option<&'static Ask>,
    /// What came of it, or why it was not asked.
    pub outcome: Result<Outcome, &'static str>,
}

/// The answers to all questions, in the order of the calls' numbers.
pub struct Survey(Vec<Asked>);

impl Survey {
    /// Asks about every call that has a number here.
    pub fn take() -> Result<Survey, Failure> {
        let cannot = |error| {
            Failure::new(format!(
                "no child process can be made, in which the system calls are asked: {error}"
            ))
        };
        sys::prepare().map_err(cannot)?;
        let dumpable = answers("prctl").map_err(cannot)?.then(|| sys::set_dumpable(0));
        find_ways().map_err(cannot)?;
        let mut asked = Vec::new();
        for call in CALLS {
            let Some(question) = &call.question else { continue };
            let (ask, outcome) = match question {
                Question::NotAsked(why) => (None, Err(*why)),
                Question::Ask(ask) => match task(call, ask) {
                    Some(task) => (Some(ask), Ok(sys::in_child(task).map_err(cannot)?)),
                    None => (None, Err("it waits for a signal, and here is no way to send one to the child")),
                },
            };
            asked.push(Asked { call, ask, outcome });
        }
        if let Some(was) = dumpable {
            sys::set_dumpable(was);
        }
        log::debug!("asked about {} calls, each in a child of its own", asked.len());
        asked.sort_by_key(|asked| asked.call.x86_64);
        Ok(Survey(asked))
    }

    /// All answers.
    pub fn all(&self) -> &[Asked] {
        &self.0
    }

    /// Whether a call succeeded.
    pub fn succeeds(&self, name: &str) -> bool {
        let success = |asked: &Asked| matches!(asked.outcome, Ok(Outcome::Returned(0..)));
        self.0.iter().any(|asked| asked.call.name == name && success(asked))
    }

    /// Whether this process may make a call: a filter does not kill it for that.
    pub fn survives(&self, name: &str) -> bool {
        let killed = |asked: &Asked| matches!(asked.outcome, Ok(Outcome::Killed(_) | Outcome::Unseen));
        !self.0.iter().any(|asked| asked.call.name == name && killed(asked))
    }
}

/// The arguments of a question, the rest of them 0.
pub fn arguments(ask: &Ask) -> [i32; 6] {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(ask.arguments) {
        *to = *from;
    }
    all
}

/// What is to be done in the child. None where it cannot be done without risk.
fn task(call: &Call, ask: &Ask) -> Option<Task> {
    let raw = Raw { number: call.x86_64?, arguments: arguments(ask) };
    if ask.drops {
        return Some(Task::CallWithoutRights(raw));
    }
    if !ask.due.contains(&"EINTR") {
        return Some(Task::Call(raw));
    }
    // Without a way to end it, the child would stay for ever.
    (WAYS.signal.load(Relaxed) != NONE).then_some(Task::Interrupt(raw, answers("prctl").ok()?))
}

/// What comes of asking about a call.
fn asked(name: &str) -> io::Result<Option<Outcome>> {
    let Some(Call { x86_64: Some(number), question: Some(Question::Ask(ask)), .. }) = Call::find(name) else {
        return Ok(None);
    };
    sys::in_child(Task::Call(Raw { number: *number, arguments: arguments(ask) })).map(Some)
}

/// Whether a call is there: it answers, and nobody refuses it.
fn answers(name: &str) -> io::Result<bool> {
    Ok(match asked(name)? {
        Some(Outcome::Returned(result @ -4095..0)) => errno::name(-result).is_some_and(is_of_arguments),
        Some(Outcome::Returned(_)) => true,
        _ => false,
    })
}

/// Whether this process may make a call, though it may be refused.
fn may_be_made(name: &str) -> io::Result<bool> {
    Ok(matches!(asked(name)?, Some(Outcome::Returned(_) | Outcome::Trapped)))
}

/// Finds out which calls this process may make itself to wait for children and to end them.
fn find_ways() -> io::Result<()> {
    // The first children are seen by nothing but their answers.
    for (name, number) in [("wait4", libc::SYS_wait4), ("waitid", libc::SYS_waitid)] {
        if WAYS.reap.load(Relaxed) == NONE && answers(name)? {
            WAYS.reap.store(number, Relaxed);
        }
    }
    for (name, number) in [("kill", libc::SYS_kill), ("tgkill", libc::SYS_tgkill)] {
        if WAYS.signal.load(Relaxed) == NONE && answers(name)? {
            WAYS.signal.store(number, Relaxed);
        }
    }
    WAYS.sleep.store(may_be_made("clock_nanosleep")? && may_be_made("nanosleep")?, Relaxed);
    sys::reap_left();
    Ok(())
}
