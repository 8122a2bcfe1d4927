//! Asking about every call of the table, each in a child of its own.

use super::sys::{self, NONE, Outcome, Raw, Task, WAYS};
use crate::failure::Failure;
use evercall_rules::table::{Ask, CALLS, Call, Question};
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
        find_ways().map_err(cannot)?;
        let dumps = answers("prctl").map_err(cannot)?;
        if dumps {
            sys::set_dumpable(false);
        }
        let mut asked = Vec::new();
        for call in CALLS {
            let Some(question) = &call.question else { continue };
            let (ask, outcome) = match question {
                Question::NotAsked(why) => (None, Err(*why)),
                Question::Ask(ask) => match task(call, ask) {
                    Some(task) => (Some(ask), Ok(sys::in_child(task).map_err(cannot)?)),
                    None => {
                        (None, Err("it waits for a signal, and here is no way to send one to the child"))
                    }
                },
            };
            asked.push(Asked { call, ask, outcome });
        }
        if dumps {
            sys::set_dumpable(true);
        }
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

/// Whether a call answers what is due, or anything but what ends a process.
fn answers(name: &str) -> std::io::Result<bool> {
    let Some(Call { x86_64: Some(number), question: Some(Question::Ask(ask)), .. }) = Call::find(name) else {
        return Ok(false);
    };
    let raw = Raw { number: *number, arguments: arguments(ask) };
    let lacking = [libc::ENOSYS, libc::EPERM].map(|errno| Outcome::Returned(-i64::from(errno)));
    let outcome = sys::in_child(Task::Call(raw))?;
    Ok(matches!(outcome, Outcome::Returned(_)) && !lacking.contains(&outcome))
}

/// Finds out which calls this process may make itself to wait for children and to end them.
fn find_ways() -> std::io::Result<()> {
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
    WAYS.sleep.store(answers("clock_nanosleep")? && answers("nanosleep")?, Relaxed);
    sys::reap_left();
    Ok(())
}
