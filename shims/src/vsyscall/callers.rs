//! Who jumps to the vsyscall page: a small table of return addresses, with a count of answers each, and of calls
//! that cannot be patched. In a page of its own, made at the first answer: few programs ever need it.

use crate::sys;
use core::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// Callers that are told apart; the answers of any further one are still given, only not counted here.
const CALLERS: usize = 24;

struct Page {
    addresses: [AtomicUsize; CALLERS],
    answers: [AtomicU32; CALLERS],
    left_alone: [AtomicUsize; 16],
}

static PAGE: AtomicPtr<Page> = AtomicPtr::new(core::ptr::null_mut());

fn page() -> Option<&'static Page> {
    // SAFETY: null, or the page that `made` mapped for good; all zero is a value of Page.
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// The page, made if need be. None where memory is out.
fn made() -> Option<&'static Page> {
    if page().is_none() {
        let length = size_of::<Page>();
        let fresh = sys::fresh_page(length).ok()?;
        if PAGE.compare_exchange(core::ptr::null_mut(), fresh as *mut Page, AcqRel, Acquire).is_err() {
            sys::unmap(fresh, length);
        }
    }
    page()
}

/// Counts an answer to a caller, by its return address.
pub fn count(caller: usize) {
    let Some(page) = made() else { return };
    for (address, answers) in page.addresses.iter().zip(&page.answers) {
        let known = match address.load(Acquire) {
            0 => match address.compare_exchange(0, caller, AcqRel, Acquire) {
                Ok(_) => caller,
                Err(other) => other,
            },
            known => known,
        };
        if known == caller {
            answers.fetch_add(1, Relaxed);
            return;
        }
    }
}

/// The callers that got answers, and how many.
pub fn all() -> impl Iterator<Item = (usize, u32)> {
    let both = page().into_iter().flat_map(|page| page.addresses.iter().zip(&page.answers));
    both.map(|(address, answers)| (address.load(Acquire), answers.load(Relaxed))).filter(|&(_, n)| n > 0)
}

/// Whether a caller is known to be one that cannot be patched, so that not every fault tries again.
pub fn is_left_alone(caller: usize) -> bool {
    page().is_some_and(|page| page.left_alone.iter().any(|address| address.load(Relaxed) == caller))
}

/// Remembers one.
pub fn leave_alone(caller: usize) {
    let free = |address: &&AtomicUsize| address.compare_exchange(0, caller, Relaxed, Relaxed).is_ok();
    let _ = made().and_then(|page| page.left_alone.iter().find(free));
}
