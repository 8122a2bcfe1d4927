//! Which calls another host lacks: by its kernel's version, and by a list.

use super::errno;
use super::layer::{Layer, Rules};
use crate::nearest;
use evercall_rules::table::{CALLS, Call};
use seccompiler::SeccompAction;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;

/// What a kernel answers to a call that it does not have.
pub const ABSENT: SeccompAction = SeccompAction::Errno(libc::ENOSYS as u32);

/// A kernel's version: 3.10 is 3.10.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u16; 3]);

impl Version {
    /// Reads one, also as `uname -r` prints it: what stands behind the numbers does not count.
    pub fn parse(text: &str) -> Result<Version, String> {
        Version::read(text)
            .map(|(version, _)| version)
            .ok_or_else(|| "a version of Linux, such as 3.10, 2.6.32 or 5.4.0-150-generic".to_string())
    }

    /// The version, and how many numbers were given.
    fn read(text: &str) -> Option<(Version, usize)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at_checked(end)?;
        // "3x" is no version, and "5.4.0-150-generic" and "6.1.0+" are.
        if !(rest.is_empty() || rest.starts_with(['-', '+', '_', '~'])) {
            return None;
        }
        let mut version = [0; 3];
        let mut given = 0;
        for number in numbers.split('.') {
            let number = number.parse().ok()?;
            // A fourth number is a vendor's, or of 2.6.32.71.
            if let Some(place) = version.get_mut(given) {
                *place = number;
                given += 1;
            }
        }
        (version[0] > 0 && given >= 2).then_some((Version(version), given))
    }

    /// Whether a kernel of this version has a call.
    pub fn has(self, call: &Call) -> bool {
        // `never` is no version: a number that was only reserved.
        let Some((since, _)) = Version::read(call.since) else { return false };
        // `until` names the last kernel that had it, 5.4.7 being a 5.4.
        let gone = |until: &str| {
            Version::read(until).is_some_and(|(until, given)| {
                let mut ours = self;
                ours.0.iter_mut().skip(given).for_each(|number| *number = 0);
                ours > until
            })
        };
        since <= self && !call.until.is_some_and(gone)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version([major, minor, patch]) = self;
        write!(f, "{major}.{minor}")?;
        if *patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

/// The version of the kernel that runs here.
pub fn running() -> Option<Version> {
    Version::parse(fs::read_to_string("/proc/sys/kernel/osrelease").ok()?.trim()).ok()
}

/// A kernel of a version. The filter lists what it has, so that a number this table does not know yet is absent,
/// too, if it is above the newest of that kernel; below that, it is let through.
pub fn kernel(version: Version) -> Option<Layer> {
    if let Some(running) = running().filter(|running| *running < version) {
        log::warn!(
            "this kernel is {running}: calls that came later, up to {version}, cannot be had by simulating"
        );
    }
    let numbers = |has: bool| {
        CALLS
            .iter()
            .filter(move |call| version.has(call) == has)
            .filter_map(|call| call.x86_64.map(i64::from))
    };
    let newest = numbers(true).max()?;
    let mut rules: Rules = (0..=newest).map(|number| (number, Vec::new())).collect();
    // A number may have two rows, one a reserved name: who has it wins.
    let has: Vec<i64> = numbers(true).collect();
    for number in numbers(false).filter(|number| !has.contains(number)) {
        rules.remove(&number);
    }
    Some(Layer {
        origin: format!("--kernel {version}"),
        rules,
        matched: SeccompAction::Allow,
        otherwise: ABSENT,
        foreign: SeccompAction::Allow,
    })
}

/// A call that is refused, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    number: i64,
    answer: SeccompAction,
}

impl Denied {
    /// Reads CALL or CALL:ANSWER.
    pub fn parse(text: &str) -> Result<Denied, String> {
        let (call, answer) = match text.split_once(':') {
            Some((call, answer)) => (call, self::answer(answer)?),
            None => (text, ABSENT),
        };
        Ok(Denied { number: number(call)?, answer })
    }
}

/// The x86-64 number of a call, given by its name or number.
pub fn number(call: &str) -> Result<i64, String> {
    if !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_digit()) {
        return call
            .parse::<u16>()
            .ok()
            .filter(|number| CALLS.iter().any(|call| call.x86_64 == Some(*number)))
            .map(i64::from)
            .ok_or_else(|| format!("x86-64 has no system call {call}; `evercall rules --calls` lists all"));
    }
    match Call::find(call) {
        Some(Call { x86_64: Some(number), .. }) => Ok(i64::from(*number)),
        Some(_) => Err(format!("{call} never had a number on x86-64")),
        None => {
            let known = CALLS.iter().filter(|call| call.x86_64.is_some()).map(|call| call.name);
            Err(format!("no system call is named {call}; {}", nearest::hint(call, known)))
        }
    }
}

/// What a call answers: a word, or an errno by name or number.
fn answer(text: &str) -> Result<SeccompAction, String> {
    let number = match text {
        "KILL" => return Ok(SeccompAction::KillProcess),
        "TRAP" => return Ok(SeccompAction::Trap),
        text if text.starts_with('+') => None,
        text => text.parse().ok().filter(|number| (1..=errno::MAX).contains(number)),
    };
    number.or_else(|| errno::number(text)).map(SeccompAction::Errno).ok_or_else(|| {
        let known: Vec<&str> = errno::names().chain(["KILL", "TRAP"]).collect();
        let hint = nearest::hint(text, known.into_iter());
        let hint = if hint.starts_with("did") { format!("; {hint}") } else { String::new() };
        format!("{text} is no answer: an errno by its name, such as EPERM, or its number (1 to 4095), KILL or TRAP{hint}")
    })
}

/// The calls of `--deny`: of several answers to one call the strictest counts, of two errnos the last.
pub fn deny(denied: &[Denied]) -> Vec<Layer> {
    let strictness = |answer: &SeccompAction| match answer {
        SeccompAction::KillProcess => 2,
        SeccompAction::Trap => 1,
        _ => 0,
    };
    let mut answers: BTreeMap<i64, SeccompAction> = BTreeMap::new();
    for Denied { number, answer } in denied {
        let known = answers.entry(*number).or_insert_with(|| answer.clone());
        if strictness(answer) >= strictness(known) {
            *known = answer.clone();
        }
    }
    refusals("--deny", answers.into_iter())
}

/// A layer for each answer to calls, all others being let through.
pub fn refusals(origin: &str, calls: impl Iterator<Item = (i64, SeccompAction)>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (number, answer) in calls.filter(|(_, answer)| *answer != SeccompAction::Allow) {
        match layers.iter_mut().find(|layer| layer.matched == answer) {
            Some(layer) => {
                layer.rules.insert(number, Vec::new());
            }
            None => layers.push(Layer {
                origin: origin.to_string(),
                rules: [(number, Vec::new())].into(),
                matched: answer,
                otherwise: SeccompAction::Allow,
                foreign: SeccompAction::Allow,
            }),
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_read_as_uname_prints_them() {
        assert_eq!(version("3.10"), version("3.10.0-1160.el7.x86_64"));
        assert_eq!(version("6.1.0+"), version("6.1"));
        assert_eq!(version("2.6.32.71"), version("2.6.32"));
        assert!(version("3.9") < version("3.10") && version("3.10.1") > version("3.10"));
        for wrong in ["", "3", "3.", ".3", "0.9", "v3.10", "3.10x", "3.99999", "-1.2", "3..1", "never"] {
            assert!(Version::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(version("2.6.32").to_string(), "2.6.32");
        assert_eq!(version("3.10.0").to_string(), "3.10");
    }

    #[test]
    fn a_kernel_has_what_came_before_it_and_did_not_go() {
        let has = |kernel: &str, call: &str| version(kernel).has(Call::find(call).unwrap());
        for (call, last_without, first) in
            [("statx", "4.10.17", "4.11"), ("getrandom", "3.16", "3.17"), ("splice", "2.6.16", "2.6.17")]
        {
            assert!(!has(last_without, call) && has(first, call) && has("6.18", call), "{call}");
        }
        assert!(has("5.11.22", "lookup_dcookie") && !has("5.12", "lookup_dcookie"));
        assert!(has("6.15.3", "uselib") && !has("6.16", "uselib"));
        assert!(!has("6.18", "tuxcall"), "only ever reserved");
    }

    #[test]
    fn a_kernel_lets_nothing_through_above_its_newest_number() {
        let layer = kernel(version("3.10")).unwrap();
        // finit_module was the newest of 3.8, and sched_setattr came in 3.14.
        assert!(!layer.refuses(313) && layer.refuses(314) && layer.refuses(600) && layer.refuses(1 << 30));
        assert!(kernel(version("1.0")).unwrap().compile().is_ok());
        assert!(kernel(version("99.0")).unwrap().compile().is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,12}|[0-9.+:-]{0,9}|statx:[A-Z0-9]{0,6}") {
            let _ = Version::parse(&text);
            let _ = Denied::parse(&text);
        }
    }
}
