//! The kernel and the forced rules side by side: a program of `test-programs/modern.h` makes each call in one process,
//! natively by the bare instruction and by the rules through `syscall()` and the exported symbol.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::ask::answers;
use super::common::{bare, program, shim};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use std::process::Command;

/// A program that is asked under the shim, and the rules that are forced.
pub struct SideBySide<'a> {
    pub program: &'a str,
    pub rules: &'a str,
    /// Whether a question's call has a symbol that is a door of its own rule; else it is made by number only.
    pub has_symbol: fn(&str) -> bool,
}

impl SideBySide<'_> {
    /// The program, ready for lines `DOOR QUESTION`.
    pub fn forced(&self) -> Command {
        let mut command = bare(program(self.program));
        command.arg("ask").env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", self.rules);
        command
    }

    /// The first question that the kernel and a rule answer differently.
    pub fn difference(&self, questions: &[String]) -> Option<String> {
        let doors = |question: &str| {
            ["inline", "syscall", if (self.has_symbol)(question) { "symbol" } else { "syscall" }]
        };
        let lines: Vec<String> =
            questions.iter().flat_map(|q| doors(q).map(|door| format!("{door} {q}"))).collect();
        let all = answers(&mut self.forced(), &lines);
        questions.iter().zip(all.chunks(3)).find_map(|(question, three)| {
            let same = three[0] == three[1] && three[0] == three[2];
            (!same).then(|| {
                format!("{question}\n  kernel {}\n  number {}\n  symbol {}", three[0], three[1], three[2])
            })
        })
    }

    /// No difference, as a property.
    pub fn assert_same(&self, questions: &[String]) -> Result<(), TestCaseError> {
        self.difference(questions).map_or(Ok(()), |difference| Err(TestCaseError::fail(difference)))
    }
}

/// How often such a property is tried. A case is one run of a program: a failure is shrunk, but not for long.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_time: 15_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

/// Numbers around some edges.
pub fn edges(edges: &'static [i64], most: i64) -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0..most, 2 => select(edges), 1 => (select(edges), -3..3i64).prop_map(|(e, d)| e.wrapping_add(d))]
}

/// `key=value`, or nothing.
pub fn maybe(key: &'static str, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), value.prop_map(move |value| format!(" {key}={value}"))]
}
