//! What is known of the host, in atomic bitmaps by slot (a slot is a system call number, or the
//! pseudo-number of an interface that only a libc has). Filled lazily, so that nothing is probed at start.

use crate::signals;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use evercall_rules::packed::{self, RuleId, SLOT_WORDS};

/// A bit for each slot.
pub type Bitmap = [AtomicU64; SLOT_WORDS];

/// Numbers that `syscall()` hands straight on: no rule claims them, or the host answers the call.
/// vfork stays so until its rule acts: its child would return through frames of ours on the parent's stack.
pub static HANDED_ON: Bitmap = filled(with(packed::HANDED_ON, libc::SYS_vfork as usize));

/// Slots whose libc symbols go straight on. Apart from the numbers, since a libc may answer by another call:
/// musl's `epoll_create` is epoll_create1, and says nothing of the old number.
pub static SYMBOLS_HANDED_ON: Bitmap = filled(packed::HANDED_ON);

/// Numbers of calls that take a path, which `syscall()` brings to the file rules also when the host answers them.
pub static PATHS_HANDED_ON: Bitmap = filled([0; SLOT_WORDS]);

/// Slots whose rule acts without asking the host again: it has no such call, or the rule is forced.
static ACTS: Bitmap = filled([0; SLOT_WORDS]);

/// Slots whose call the host has, though it is asked each time, since some of its answers are translated.
static ANSWERS: Bitmap = filled([0; SLOT_WORDS]);

/// The same of libc's symbols, which may make another call (glibc's setrlimit).
static SYMBOLS_ANSWER: Bitmap = filled([0; SLOT_WORDS]);

const fn filled(words: [u64; SLOT_WORDS]) -> Bitmap {
    let mut map = [const { AtomicU64::new(0) }; SLOT_WORDS];
    let mut index = 0;
    while index < SLOT_WORDS {
        map[index] = AtomicU64::new(words[index]);
        index += 1;
    }
    map
}

const fn with(mut words: [u64; SLOT_WORDS], number: usize) -> [u64; SLOT_WORDS] {
    words[number / 64] |= 1 << (number % 64);
    words
}

fn is_set(map: &Bitmap, slot: usize) -> bool {
    map.get(slot / 64).is_some_and(|word| word.load(Relaxed) >> (slot % 64) & 1 == 1)
}

fn set(map: &Bitmap, slot: usize) {
    if let Some(word) = map.get(slot / 64) {
        word.fetch_or(1 << (slot % 64), Relaxed);
    }
}

/// Whether these doors of a slot go straight on.
#[inline(always)]
pub fn handed_on(doors: &Bitmap, slot: usize) -> bool {
    is_set(doors, slot)
}

/// The host answers the call of these doors: they go straight on from now.
pub fn hand_on(doors: &Bitmap, slot: usize) {
    if !signals::keeps(slot) {
        set(doors, slot);
    }
}

/// Brings the calls of a number to the slow side of `syscall()`.
pub fn watch(number: usize) {
    if let Some(word) = HANDED_ON.get(number / 64) {
        word.fetch_and(!(1 << (number % 64)), Relaxed);
    }
}

/// Every door goes straight on: evercall is switched off.
pub fn hand_all_on() {
    for word in HANDED_ON.iter().chain(&SYMBOLS_HANDED_ON) {
        word.store(u64::MAX, Relaxed);
    }
}

/// Every door goes straight on, but those that keep the program's signals while our handlers stand.
pub fn hand_translations_on() {
    let signals = RuleId::Signals.slot();
    for (index, word) in SYMBOLS_HANDED_ON.iter().enumerate() {
        let kept = if index == signals / 64 { !word.load(Relaxed) & 1 << (signals % 64) } else { 0 };
        word.store(!kept, Relaxed);
    }
    for word in &HANDED_ON {
        word.store(u64::MAX, Relaxed);
    }
    signals::watch_calls();
}

/// Whether a rule acts without asking.
pub fn acts(rule: RuleId) -> bool {
    is_set(&ACTS, rule.slot())
}

/// Whether the host is known to have the call of a rule that acts on some of its answers.
pub fn answers(doors: &Bitmap, rule: RuleId) -> bool {
    is_set(answers_of(doors), rule.slot())
}

fn answers_of(doors: &Bitmap) -> &'static Bitmap {
    if core::ptr::eq(doors, &SYMBOLS_HANDED_ON) { &SYMBOLS_ANSWER } else { &ANSWERS }
}

/// The host has the call: its EPERM is its own.
pub fn keep_answers(doors: &Bitmap, rule: RuleId) {
    set(answers_of(doors), rule.slot());
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
    if let Some(number) = rule.number() {
        watch(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vfork_goes_straight_on_until_its_rule_acts() {
        assert!(handed_on(&HANDED_ON, libc::SYS_vfork as usize));
        assert!(!handed_on(&HANDED_ON, libc::SYS_fork as usize));
        act(RuleId::Vfork);
        assert!(!handed_on(&HANDED_ON, libc::SYS_vfork as usize));
    }
}
