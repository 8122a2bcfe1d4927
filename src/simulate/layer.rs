//! One seccomp filter of the simulated host: what it says of each call of x86-64, and of other architectures.

use crate::failure::Failure;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;
use std::fmt;

/// Rules by number: a call without rules matches whatever its arguments are, else any one rule must.
pub type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A filter in seccompiler's terms: one answer for what matches, and one for all else.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The option it stems from, for messages.
    pub origin: String,
    /// What it matches.
    pub rules: Rules,
    /// The answer to that.
    pub matched: SeccompAction,
    /// The answer to every other call of x86-64.
    pub otherwise: SeccompAction,
    /// The answer to calls of other architectures.
    pub foreign: SeccompAction,
}

impl Layer {
    /// The answer to a call, unless that depends on its arguments.
    pub fn answer(&self, number: i64) -> Option<&SeccompAction> {
        match self.rules.get(&number).map(Vec::as_slice) {
            None => Some(&self.otherwise),
            Some([]) => Some(&self.matched),
            Some(_) => None,
        }
    }

    /// Whether it refuses a call, whatever the arguments are.
    pub fn refuses(&self, number: i64) -> bool {
        self.answer(number).is_some_and(|answer| !lets_through(answer))
    }

    /// The program for the kernel.
    pub fn compile(&self) -> Result<BpfProgram, Failure> {
        let cannot = |why: String| Failure::new(format!("{} makes no seccomp filter: {why}", self.origin));
        let filter = SeccompFilter::new(
            self.rules.clone(),
            self.otherwise.clone(),
            self.matched.clone(),
            TargetArch::x86_64,
        )
        .map_err(|error| cannot(error.to_string()))?;
        let mut program = BpfProgram::try_from(filter).map_err(|error| cannot(error.to_string()))?;
        // seccompiler has no answer but death for other architectures: its third instruction.
        match program.get_mut(2) {
            Some(instruction) if instruction.k == libc::SECCOMP_RET_KILL_PROCESS => {
                instruction.k = self.foreign.clone().into();
            }
            _ => return Err(cannot("seccompiler tests the architecture in another way".to_string())),
        }
        Ok(program)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layer { origin, rules, matched, otherwise, .. } = self;
        write!(f, "{origin}: {matched:?} for {} calls, {otherwise:?} for all others", rules.len())
    }
}

/// Whether a call with this answer reaches the kernel.
pub fn lets_through(answer: &SeccompAction) -> bool {
    matches!(answer, SeccompAction::Allow | SeccompAction::Log)
}

/// The order in which filters are installed: as given, but what may refuse prctl last, since the next filter
/// could not be installed then.
pub fn in_order(mut layers: Vec<Layer>) -> Result<Vec<Layer>, Failure> {
    let refused = |layer: &Layer| match layer.answer(libc::SYS_prctl) {
        Some(answer) => {
            if lets_through(answer) {
                0
            } else {
                2
            }
        }
        None => 1,
    };
    layers.sort_by_key(refused);
    if let [.., last_but_one, last] = layers.as_slice() {
        if refused(last_but_one) == 2 {
            return Err(Failure::new(format!(
                "{} and {} both refuse prctl, by which filters are installed: only one of them can be simulated",
                last_but_one.origin, last.origin
            )));
        }
    }
    Ok(layers)
}
