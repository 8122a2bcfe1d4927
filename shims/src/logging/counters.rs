//! How often each rule acted, per process. The counters live in a page of their own that a fork's child
//! finds empty, so that nothing need be asked about pids in a call; a vfork child shares its parent's.

use crate::owner::Owner;
use crate::sys;
use core::sync::atomic::{
    AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use evercall_rules::packed::RuleId;

struct Page {
    /// The process that counts here; 0 after a fork.
    owner: Owner,
    /// Lines that could not be written.
    dropped: AtomicU32,
    /// Translations by rule, not summed up yet.
    counts: [AtomicU32; RuleId::COUNT],
    /// Translations by rule, in all: tells the first.
    ever: [AtomicU32; RuleId::COUNT],
}

static PAGE: AtomicPtr<Page> = AtomicPtr::new(core::ptr::null_mut());

fn page() -> Option<&'static Page> {
    // SAFETY: null, or the page that `prepare` mapped for good; all zero is a value of Page.
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// Makes the page, at start.
pub fn prepare() {
    let length = size_of::<Page>();
    let Ok(address) = sys::page_wiped_on_fork(length) else { return };
    let fresh = address as *mut Page;
    if PAGE.compare_exchange(core::ptr::null_mut(), fresh, AcqRel, Acquire).is_err() {
        sys::unmap(address, length);
        return;
    }
    if let Some(page) = page() {
        page.owner.is_me();
    }
}

/// Counts a translation; true for a process's first by this rule.
pub fn count(rule: RuleId) -> bool {
    let Some(page) = page() else { return false };
    page.owner.is_me();
    let add = |counters: &[AtomicU32]| counters.get(rule as usize).map(|c| c.fetch_add(1, Relaxed));
    add(&page.counts);
    add(&page.ever) == Some(0)
}

/// Whether this is a vfork child, which shares its parent's page.
pub fn in_vfork_child() -> bool {
    page().is_some_and(|page| !page.owner.is_me())
}

/// Counts a line that could not be written.
pub fn dropped() {
    if let Some(page) = page() {
        page.dropped.fetch_add(1, Relaxed);
    }
}

/// Takes the number of lines dropped so far.
pub fn take_dropped() -> u32 {
    page().map_or(0, |page| page.dropped.swap(0, Relaxed))
}

/// The counts of a summary.
pub struct Counts([u32; RuleId::COUNT]);

impl Counts {
    /// Whether this rule acted.
    pub fn has(&self, rule: RuleId) -> bool {
        self.0.get(rule as usize).is_some_and(|&count| count > 0)
    }

    /// Each rule that acted, and how often.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, u32)> {
        RuleId::all().zip(self.0).filter(|&(_, count)| count > 0)
    }
}

/// Takes the counts. None if there is nothing to tell, or in a vfork child, whose parent will tell.
pub fn take() -> Option<Counts> {
    let page = page()?;
    if !page.owner.is_me() {
        return None;
    }
    let mut counts = [0; RuleId::COUNT];
    for (to, from) in counts.iter_mut().zip(&page.counts) {
        *to = from.swap(0, Relaxed);
    }
    counts.iter().any(|&count| count > 0).then_some(Counts(counts))
}
