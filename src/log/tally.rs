//! The sums: how often what happened, when first and last. What is kept is bounded, whatever a log holds.

use super::event::{Answer, Event, Kind, Told};
use super::time::Time;
use crate::options::By;
use crate::simulate::errno;
use evercall_rules::table::RULES;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Groups that are kept; more are summed up as others.
pub const GROUPS: usize = 8192;

/// Names of rules that are kept though no rule of this version has them.
pub const UNKNOWN_RULES: usize = 64;

/// Different lines about no translation that are kept.
pub const NOTES: usize = 256;

/// The result of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Success,
    Errno(String),
    /// Told by a summary, which tells no results.
    Untold,
}

/// A group's names; None for what is not asked for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub rule: Option<String>,
    pub program: Option<String>,
    pub outcome: Option<Outcome>,
}

/// How often, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum {
    pub count: u64,
    /// How many of these are told by summaries.
    pub from_summaries: u64,
    pub first: Time,
    pub last: Time,
}

impl Sum {
    fn new(time: Time) -> Sum {
        Sum { count: 0, from_summaries: 0, first: time, last: time }
    }

    fn add(&mut self, count: u64, from_summary: bool, time: Time) {
        self.count = self.count.saturating_add(count);
        if from_summary {
            self.from_summaries = self.from_summaries.saturating_add(count);
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }
}

/// Lines, by what they are.
#[derive(Default)]
pub struct Lines {
    pub translations: u64,
    pub summaries: u64,
    /// Of evercall, about no translation.
    pub notes: u64,
    /// Somebody else's.
    pub other: u64,
    /// Longer than any of ours.
    pub too_long: u64,
    /// Ours by the looks, but cut, mixed with other text, or not what the shim writes.
    pub damaged: u64,
}

impl Lines {
    pub fn all(&self) -> u64 {
        self.translations + self.summaries + self.notes + self.other + self.too_long + self.damaged
    }
}

/// All sums.
pub struct Tally {
    by: [bool; 3],
    errnos: HashSet<&'static str>,
    groups: HashMap<Vec<u8>, (Group, Sum)>,
    unknown: BTreeSet<String>,
    notes: HashMap<(Kind, String), Sum>,
    /// What had no room among the groups, and among the notes.
    pub others: Option<Sum>,
    pub other_notes: Option<Sum>,
    pub all: Option<Sum>,
    /// Lines that the shim could not write, as it tells later.
    pub dropped: u64,
    pub lines: Lines,
    key: Vec<u8>,
}

fn add_to(sum: &mut Option<Sum>, count: u64, from_summary: bool, time: Time) {
    sum.get_or_insert_with(|| Sum::new(time)).add(count, from_summary, time);
}

impl Tally {
    /// Grouped by these.
    pub fn new(by: &[By]) -> Tally {
        Tally {
            by: [By::Rule, By::Program, By::Result].map(|column| by.contains(&column)),
            errnos: errno::names().collect(),
            groups: HashMap::new(),
            unknown: BTreeSet::new(),
            notes: HashMap::new(),
            others: None,
            other_notes: None,
            all: None,
            dropped: 0,
            lines: Lines::default(),
            key: Vec::new(),
        }
    }

    /// Adds what a line tells.
    pub fn add(&mut self, told: &Told<'_>) {
        let Told { time, program, ref event } = *told;
        match event {
            Event::Translated { rule, answer } => {
                if let Answer::Errno(name) = answer {
                    if !self.is_errno(name) {
                        self.lines.damaged += 1;
                        return;
                    }
                }
                self.lines.translations += 1;
                self.count(rule, program, Some(*answer), 1, time);
            }
            Event::Summary(entries) => {
                self.lines.summaries += 1;
                for &(rule, count) in entries {
                    self.count(rule, program, None, count.into(), time);
                }
            }
            Event::Dropped(lines) => {
                self.lines.notes += 1;
                self.dropped = self.dropped.saturating_add(u64::from(*lines));
            }
            Event::Other(kind, text) => {
                self.lines.notes += 1;
                let key = (*kind, (*text).to_owned());
                if self.notes.len() < NOTES || self.notes.contains_key(&key) {
                    self.notes.entry(key).or_insert_with(|| Sum::new(time)).add(1, false, time);
                } else {
                    add_to(&mut self.other_notes, 1, false, time);
                }
            }
        }
    }

    /// Whether there is such an errno.
    fn is_errno(&self, name: &str) -> bool {
        match name.parse() {
            Ok(number) => (1..=errno::MAX).contains(&number),
            Err(_) => self.errnos.contains(name),
        }
    }

    /// Adds calls to their group; none of an answer for a summary's.
    fn count(&mut self, rule: &str, program: &str, answer: Option<Answer<'_>>, count: u64, time: Time) {
        let from_summary = answer.is_none();
        add_to(&mut self.all, count, from_summary, time);
        let [by_rule, by_program, by_result] = self.by;
        let result = match answer {
            None => "?",
            Some(Answer::Success) => "",
            Some(Answer::Errno(name)) => name,
        };
        self.key.clear();
        for (asked, text) in [(by_rule, rule), (by_program, program), (by_result, result)] {
            if asked {
                self.key.extend_from_slice(text.as_bytes());
            }
            self.key.push(b'\n');
        }
        if let Some((_, sum)) = self.groups.get_mut(&self.key) {
            return sum.add(count, from_summary, time);
        }
        if self.groups.len() >= GROUPS || by_rule && !self.has_room_for(rule) {
            return add_to(&mut self.others, count, from_summary, time);
        }
        let group = Group {
            rule: by_rule.then(|| rule.to_owned()),
            program: by_program.then(|| program.to_owned()),
            outcome: by_result.then(|| match answer {
                None => Outcome::Untold,
                Some(Answer::Success) => Outcome::Success,
                Some(Answer::Errno(name)) => Outcome::Errno(name.to_owned()),
            }),
        };
        let mut sum = Sum::new(time);
        sum.add(count, from_summary, time);
        self.groups.insert(self.key.clone(), (group, sum));
    }

    fn has_room_for(&mut self, rule: &str) -> bool {
        if is_known(rule) || self.unknown.contains(rule) {
            return true;
        }
        self.unknown.len() < UNKNOWN_RULES && self.unknown.insert(rule.to_owned())
    }

    /// The groups, the greatest first.
    pub fn groups(&self) -> Vec<(&Group, Sum)> {
        let mut groups: Vec<(&Group, Sum)> = self.groups.values().map(|(group, sum)| (group, *sum)).collect();
        groups.sort_by(|(a, one), (b, other)| other.count.cmp(&one.count).then_with(|| a.cmp(b)));
        groups
    }

    /// The lines about no translation, the most frequent first.
    pub fn notes(&self) -> Vec<(Kind, &str, Sum)> {
        let mut notes: Vec<(Kind, &str, Sum)> =
            self.notes.iter().map(|((kind, text), sum)| (*kind, text.as_str(), *sum)).collect();
        notes.sort_by(|a, b| b.2.count.cmp(&a.2.count).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
        notes
    }
}

/// Whether this version has a rule of that name.
pub fn is_known(rule: &str) -> bool {
    RULES.iter().any(|known| known.name == rule)
}
