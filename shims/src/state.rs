//! What is known of the host, in two atomic bitmaps by slot (a slot is a system call number, or the
//! pseudo-number of an interface that only a libc has). Filled lazily, so that nothing is probed at start.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use evercall_rules::packed::{self, RuleId, SLOT_WORDS};

/// A bit for each slot.
pub type Bitmap = [AtomicU64; SLOT_WORDS];

/// Slots whose doors go straight on: no rule claims them, or the host answers the call.
pub static HANDED_ON: Bitmap = filled(packed::HANDED_ON);

/// Slots whose rule acts without asking the host again: it has no such call, or the rule is forced.
static ACTS: Bitmap = filled([0; SLOT_WORDS]);

const fn filled(words: [u64; SLOT_WORDS]) -> Bitmap {
    let mut map = [const { AtomicU64::new(0) }; SLOT_WORDS];
    let mut index = 0;
    while index < SLOT_WORDS {
        map[index] = AtomicU64::new(words[index]);
        index += 1;
    }
    map
}

fn is_set(map: &Bitmap, slot: usize) -> bool {
    map.get(slot / 64).is_some_and(|word| word.load(Relaxed) >> (slot % 64) & 1 == 1)
}

fn set(map: &Bitmap, slot: usize) {
    if let Some(word) = map.get(slot / 64) {
        word.fetch_or(1 << (slot % 64), Relaxed);
    }
}

/// Whether a slot's doors go straight on.
#[inline(always)]
pub fn handed_on(slot: usize) -> bool {
    is_set(&HANDED_ON, slot)
}

/// The host answers this call: its doors go straight on from now.
pub fn hand_on(slot: usize) {
    set(&HANDED_ON, slot);
}

/// Brings the calls of a number to the slow side of `syscall()`.
pub fn watch(number: usize) {
    if let Some(word) = HANDED_ON.get(number / 64) {
        word.fetch_and(!(1 << (number % 64)), Relaxed);
    }
}

/// Every door goes straight on: evercall is switched off.
pub fn hand_all_on() {
    for word in &HANDED_ON {
        word.store(u64::MAX, Relaxed);
    }
}

/// Whether a rule acts without asking.
pub fn acts(rule: RuleId) -> bool {
    is_set(&ACTS, rule.slot())
}

/// Every rule asks again.
pub fn act_on_none() {
    for word in &ACTS {
        word.store(0, Relaxed);
    }
}

/// From now on the rule acts without asking.
pub fn act(rule: RuleId) {
    set(&ACTS, rule.slot());
}
