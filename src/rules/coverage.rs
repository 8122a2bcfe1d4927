//! How far the table goes: every interface counted once, by what becomes of it.

use evercall_rules::Fidelity;
use evercall_rules::table::{CALLS, Call, OPERATIONS, Operation, RULES, Rule};
use serde::Serialize;

/// Interfaces of one kind or family, by what becomes of them.
#[derive(Clone, Default, Serialize)]
pub struct Counts {
    /// `x86-64 calls` and so on, or the name of a family.
    pub name: &'static str,
    /// How many there are or ever were.
    pub interfaces: usize,
    /// Answered by every kernel since they came; no rule is needed.
    pub native: usize,
    pub exact: usize,
    pub partial: usize,
    pub refuse: usize,
    pub pretend: usize,
    /// No rule; the row says why, or what a kernel answers.
    pub no_rule: usize,
    /// Taken out of the kernel again.
    pub removed: usize,
    /// Reserved, and never filled.
    pub never: usize,
}

/// The whole count.
#[derive(Serialize)]
pub struct Coverage {
    /// By kind, the sum last.
    pub kinds: Vec<Counts>,
    /// System calls by family.
    pub calls: Vec<Counts>,
    /// Operations by family.
    pub operations: Vec<Counts>,
}

impl Counts {
    fn new(name: &'static str) -> Counts {
        Counts { name, ..Counts::default() }
    }

    fn since_and_until(&mut self, since: &str, until: Option<&str>) {
        self.interfaces += 1;
        self.removed += usize::from(until.is_some());
        self.never += usize::from(since == "never");
    }

    fn rule(&mut self, rule: &Rule) {
        match rule.fidelity {
            Fidelity::Exact => self.exact += 1,
            Fidelity::Partial => self.partial += 1,
            Fidelity::Refuse => self.refuse += 1,
            Fidelity::Pretend => self.pretend += 1,
        }
    }

    fn call(&mut self, call: &Call) {
        self.since_and_until(call.since, call.until);
        match Rule::of_call(call.name) {
            Some(rule) => self.rule(rule),
            None if call.reason.is_some() => self.no_rule += 1,
            None => self.native += 1,
        }
    }

    fn operation(&mut self, operation: &Operation) {
        self.since_and_until(operation.since, operation.until);
        self.no_rule += 1;
    }

    fn add(&mut self, other: &Counts) {
        self.interfaces += other.interfaces;
        self.native += other.native;
        self.exact += other.exact;
        self.partial += other.partial;
        self.refuse += other.refuse;
        self.pretend += other.pretend;
        self.no_rule += other.no_rule;
        self.removed += other.removed;
        self.never += other.never;
    }

    /// The cells of a row under [`TITLES`].
    pub fn cells(&self) -> [String; TITLES.len()] {
        let numbers = [
            self.interfaces,
            self.native,
            self.exact,
            self.partial,
            self.refuse,
            self.pretend,
            self.no_rule,
            self.removed,
            self.never,
        ];
        let mut cells = <[String; TITLES.len()]>::default();
        cells[0] = self.name.into();
        for (cell, number) in cells.iter_mut().skip(1).zip(numbers) {
            *cell = number.to_string();
        }
        cells
    }
}

/// The columns of each table.
pub const TITLES: [&str; 10] =
    ["", "ever", "native", "exact", "partial", "refuse", "pretend", "no rule", "removed", "never"];

/// Counts the table.
pub fn coverage() -> Coverage {
    let mut kinds = [
        "x86-64 calls",
        "i386-only calls",
        "calls that lost their number",
        "libc symbols and settings of their own",
        "operations inside calls",
    ]
    .map(Counts::new);
    let mut calls: Vec<Counts> = families(CALLS.iter().map(|call| call.family));
    let mut operations: Vec<Counts> = families(OPERATIONS.iter().map(|operation| operation.family));
    for call in CALLS {
        let kind = match (call.x86_64, call.i386) {
            (Some(_), _) => 0,
            (None, Some(_)) => 1,
            (None, None) => 2,
        };
        kinds[kind].call(call);
        of(&mut calls, call.family, |family| family.call(call));
    }
    for rule in RULES.iter().filter(|rule| rule.calls.is_empty()) {
        kinds[3].interfaces += 1;
        kinds[3].rule(rule);
    }
    for operation in OPERATIONS {
        kinds[4].operation(operation);
        of(&mut operations, operation.family, |family| family.operation(operation));
    }
    let mut all = Counts::new("all");
    for kind in &kinds {
        all.add(kind);
    }
    let mut kinds = kinds.to_vec();
    kinds.push(all);
    Coverage { kinds, calls, operations }
}

fn families(names: impl Iterator<Item = &'static str>) -> Vec<Counts> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(Counts::new).collect()
}

fn of(families: &mut [Counts], name: &str, count: impl FnOnce(&mut Counts)) {
    if let Some(family) = families.iter_mut().find(|family| family.name == name) {
        count(family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every interface is counted once, and becomes one thing.
    #[test]
    fn the_sums_are_right() {
        let coverage = coverage();
        let (all, kinds) = coverage.kinds.split_last().unwrap();
        let libc_only = RULES.iter().filter(|rule| rule.calls.is_empty()).count();
        assert_eq!(all.interfaces, CALLS.len() + OPERATIONS.len() + libc_only);
        let sum = |list: &[Counts]| list.iter().map(|counts| counts.interfaces).sum::<usize>();
        assert_eq!(sum(kinds), all.interfaces);
        assert_eq!((sum(&coverage.calls), sum(&coverage.operations)), (CALLS.len(), OPERATIONS.len()));
        for counts in coverage.kinds.iter().chain(&coverage.calls).chain(&coverage.operations) {
            let becomes = counts.native + counts.exact + counts.partial + counts.refuse + counts.pretend;
            assert_eq!(becomes + counts.no_rule, counts.interfaces, "{}", counts.name);
        }
        assert!(kinds.iter().all(|kind| kind.interfaces > 0));
    }
}
