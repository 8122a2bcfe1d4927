//! Who jumps to the vsyscall page: a small table of return addresses, with a count of answers each.

use crate::late::Late;
use core::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// Callers that are told apart; the answers of any further one are still given, only not counted here.
const CALLERS: usize = 24;

/// Their addresses, and the answers to each.
static TABLE: Late<([AtomicUsize; CALLERS], [AtomicU32; CALLERS])> = Late::new();

/// Counts an answer to a caller, by its return address.
pub fn count(caller: usize) {
    let Some((addresses, answers)) = TABLE.make() else { return };
    for (address, answers) in addresses.iter().zip(answers) {
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
    let both = TABLE.get().into_iter().flat_map(|(addresses, answers)| addresses.iter().zip(answers));
    both.map(|(address, answers)| (address.load(Acquire), answers.load(Relaxed))).filter(|&(_, n)| n > 0)
}
