//! What a filter does to calls: asked with each row's harmless arguments in a throw-away child, since some
//! filters kill. The child writes what it learns to a page it shares with us; where it is killed, another one
//! goes on behind the call that killed it.

use crate::arch;
use crate::probe;
use crate::signals;
use crate::sys::{self, ChildEnd};
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use evercall_rules::packed::RuleId;

/// Most children: a filter that kills so often is a sandbox of few calls, and not one to be repaired.
const CHILDREN: usize = 8;

/// What came of a rule's probe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not asked, or nothing that tells.
    Unknown,
    /// The errno that is due.
    Answers,
    /// ENOSYS.
    Absent,
    /// EPERM where another errno is due: a filter's.
    Refused,
    /// SIGSYS, which a handler may answer.
    Trapped,
    /// The child was killed.
    Killed,
}

const ALL: [Answer; 6] =
    [Answer::Unknown, Answer::Answers, Answer::Absent, Answer::Refused, Answer::Trapped, Answer::Killed];

#[repr(C)]
struct Page {
    /// The rule that is being asked.
    at: AtomicUsize,
    /// A SIGSYS came.
    trapped: AtomicBool,
    answers: [AtomicU8; RuleId::COUNT],
}

static PAGE: AtomicPtr<Page> = AtomicPtr::new(core::ptr::null_mut());

fn page() -> Option<&'static Page> {
    // SAFETY: null, or the page that `Survey::take` mapped, which stays until the survey is dropped.
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// The answers of this host, of the rules that were asked about.
pub struct Survey {
    page: &'static Page,
}

impl Survey {
    /// Asks about some rules. None where that cannot be done: no memory, or no child.
    pub fn take(wanted: fn(RuleId) -> bool) -> Option<Survey> {
        let address = sys::map_shared(size_of::<Page>()).ok()?;
        PAGE.store(address as *mut Page, Release);
        let survey = Survey { page: page()? };
        let mut from = 0;
        for _ in 0..CHILDREN {
            match sys::in_child(|| survey.ask_from(from, wanted)) {
                Ok(ChildEnd::Exited(_)) => return Some(survey),
                Ok(ChildEnd::Killed) => {
                    let at = survey.page.at.load(Relaxed);
                    survey.set(at, Answer::Killed);
                    from = at + 1;
                }
                Err(_) => return None,
            }
        }
        Some(survey)
    }

    fn ask_from(&self, from: usize, wanted: fn(RuleId) -> bool) -> u8 {
        let _ = sys::set_action(libc::SIGSYS, &signals::for_trap(on_trap));
        sys::set_signal_mask(0);
        for rule in RuleId::all().filter(|&rule| rule as usize >= from && wanted(rule)) {
            let (Some(probe), Some(number)) = (rule.probe(), rule.number()) else { continue };
            self.page.at.store(rule as usize, Relaxed);
            self.page.trapped.store(false, Relaxed);
            let answer = probe::ask(number, probe.arguments);
            self.set(
                rule as usize,
                match -answer {
                    _ if self.page.trapped.load(Relaxed) => Answer::Trapped,
                    errno if errno == isize::from(probe.errno) => Answer::Answers,
                    errno if errno == libc::ENOSYS as isize => Answer::Absent,
                    errno if errno == libc::EPERM as isize => Answer::Refused,
                    _ => Answer::Unknown,
                },
            );
        }
        0
    }

    fn set(&self, index: usize, answer: Answer) {
        if let Some(place) = self.page.answers.get(index) {
            place.store(answer as u8, Relaxed);
        }
    }

    /// What came of a rule's probe.
    pub fn of(&self, rule: RuleId) -> Answer {
        let answer = self.page.answers.get(rule as usize).map_or(0, |answer| answer.load(Relaxed));
        ALL.get(usize::from(answer)).copied().unwrap_or(Answer::Unknown)
    }

    /// The rules of an answer.
    pub fn all(&self, wanted: Answer) -> impl Iterator<Item = RuleId> + Clone {
        RuleId::all().filter(move |&rule| self.of(rule) == wanted)
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        PAGE.store(core::ptr::null_mut(), Release);
        sys::unmap(core::ptr::from_ref(self.page) as usize, size_of::<Page>());
    }
}

/// The child's handler of SIGSYS.
fn on_trap(fault: &mut arch::Fault<'_>) {
    if let Some(page) = page() {
        page.trapped.store(true, Relaxed);
    }
    fault.answer(-(libc::ENOSYS as isize));
}
