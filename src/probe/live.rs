//! Which rules of evercall would act here, judged as the library itself decides (shims/src/dispatch.rs, probe.rs,
//! seccomp/).

use super::facts::Facts;
use super::judge::{By, Class, Judged};
use evercall_rules::packed::RuleId;
use evercall_rules::table::{RULES, Rule};
use evercall_rules::{Fidelity, Trigger};
use serde::Serialize;

/// The cap on RLIMIT_NOFILE unless EVERCALL_NOFILE says otherwise.
const NOFILE: u64 = 1 << 20;

/// When a rule would act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Acts {
    /// At each call, or at start.
    Always,
    /// When the host answers what the rule waits for; it is asked each time.
    OnResult,
    /// When the arguments or the libc call for it.
    OnMatch,
    /// Never: the host answers the call, or it cannot be helped.
    Never,
}

/// A rule, judged.
#[derive(Serialize)]
pub struct Live {
    /// When it would act.
    pub acts: Acts,
    /// Why.
    pub why: String,
    #[serde(skip)]
    pub rule: &'static Rule,
}

/// The repair filter: ENOSYS where the host's filter says EPERM.
#[derive(Serialize)]
pub struct Repair {
    /// The calls that it would be for.
    pub wanted: Vec<&'static str>,
    /// Whether `EVERCALL_FILTER=auto` would install it.
    pub automatic: bool,
    /// Why, or why not.
    pub why: String,
}

/// All rules.
pub fn rules(judged: &[Judged], facts: &Facts) -> Vec<Live> {
    // The handler of SIGSYS stands where a call that callers expect to be refused is trapped.
    let handles_traps = RULES
        .iter()
        .any(|rule| rule.repair && first(rule, judged).is_some_and(|judged| judged.class == Class::Trapped));
    RULES
        .iter()
        .map(|rule| {
            let (acts, why) = of(rule, judged, facts, handles_traps);
            Live { acts, why, rule }
        })
        .collect()
}

/// The verdict on a rule's first call, by which the library judges it.
fn first<'a>(rule: &Rule, judged: &'a [Judged]) -> Option<&'a Judged> {
    let name = rule.calls.first()?;
    judged.iter().find(|judged| judged.call.name == *name)
}

fn of(rule: &Rule, judged: &[Judged], facts: &Facts, handles_traps: bool) -> (Acts, String) {
    match rule.trigger {
        Trigger::Start => nofile(facts),
        Trigger::Match => matching(rule, facts),
        Trigger::Result | Trigger::Absent => match first(rule, judged) {
            None => (Acts::OnMatch, "where the libc of the program lacks the function".to_owned()),
            Some(judged) if rule.trigger == Trigger::Result => on_result(rule, judged),
            Some(judged) => absent(rule, judged, handles_traps),
        },
    }
}

fn absent(rule: &Rule, judged: &Judged, handles_traps: bool) -> (Acts, String) {
    let doubted = || RuleId::all().any(|id| id.name() == rule.name.as_bytes() && id.is_doubted());
    match judged.class {
        Class::Absent => (Acts::Always, "the host answers ENOSYS".to_owned()),
        Class::Refused if judged.answer == "EPERM" && judged.by == Some(By::Filter) => match rule.probe {
            Some(_) => (Acts::Always, "a filter answers EPERM".to_owned()),
            None => (Acts::Never, "EPERM stays: it may be the kernel's own".to_owned()),
        },
        Class::Refused => (Acts::Never, format!("{} is not taken for a missing call", judged.answer)),
        Class::Trapped if handles_traps => {
            (Acts::Always, "a filter traps, and the handler of SIGSYS stands".to_owned())
        }
        Class::Trapped => (Acts::Never, "a filter traps, and no handler of SIGSYS is installed".to_owned()),
        Class::Killed => (Acts::Never, "a filter kills, which nothing mends".to_owned()),
        Class::Odd if doubted() => (Acts::Always, "the host's answer makes no sense".to_owned()),
        Class::Answers | Class::Odd if !rule.results.is_empty() => on_result(rule, judged),
        Class::Answers | Class::Odd => (Acts::Never, "the host answers".to_owned()),
        Class::NotAsked | Class::NoAnswer => (Acts::OnMatch, "if the host does not answer".to_owned()),
    }
}

fn on_result(rule: &Rule, judged: &Judged) -> (Acts, String) {
    match judged.class {
        Class::Killed | Class::Absent | Class::Refused => {
            (Acts::Never, format!("the host answers {}", judged.answer))
        }
        _ => (Acts::OnResult, format!("when the host answers {}", rule.results.join(" or "))),
    }
}

fn nofile(facts: &Facts) -> (Acts, String) {
    match facts.limits.process.get("NOFILE") {
        Some(limit) if limit.soft.0 > NOFILE || limit.hard.0 > NOFILE => {
            (Acts::Always, format!("RLIMIT_NOFILE is above {NOFILE}"))
        }
        Some(_) => (Acts::Never, format!("RLIMIT_NOFILE is not above {NOFILE}")),
        None => (Acts::OnMatch, "where RLIMIT_NOFILE is too high".to_owned()),
    }
}

fn matching(rule: &Rule, facts: &Facts) -> (Acts, String) {
    if !matches!(rule.name, "vsyscall" | "signals") {
        return (Acts::OnMatch, "when the arguments call for it".to_owned());
    }
    match (facts.vsyscall.mode, facts.vsyscall.call) {
        (Some("none"), _) | (_, Some("faults")) => (
            Acts::OnMatch,
            "there is no vsyscall page: in programs whose libc calls it (glibc before 2.15, static ones)"
                .to_owned(),
        ),
        (Some(_), _) => (Acts::Never, "the host has the vsyscall page".to_owned()),
        (None, _) => (Acts::OnMatch, "where there is no vsyscall page".to_owned()),
    }
}

/// What the repair filter would do.
pub fn repair(judged: &[Judged], facts: &Facts) -> Repair {
    let refused = |rule: &&Rule| {
        rule.repair
            && first(rule, judged).is_some_and(|judged| {
                judged.class == Class::Refused && judged.answer == "EPERM" && judged.by == Some(By::Filter)
            })
    };
    let wanted: Vec<_> =
        RULES.iter().filter(refused).filter_map(|rule| rule.calls.first().copied()).collect();
    let installs = judged.iter().any(|judged| judged.call.name == "prctl" && judged.class == Class::Answers);
    let admin = facts.process.capabilities.as_ref().is_some_and(|all| all.contains(&"CAP_SYS_ADMIN"));
    let (automatic, why) = if wanted.is_empty() {
        (false, "no filter answers EPERM where callers expect ENOSYS")
    } else if !installs {
        (false, "prctl, by which a filter is installed, is refused")
    } else if facts.process.no_new_privs == Some(true) {
        (true, "no_new_privs is set")
    } else if admin {
        (true, "CAP_SYS_ADMIN is held")
    } else {
        (
            false,
            "neither no_new_privs nor CAP_SYS_ADMIN: set EVERCALL_FILTER=on, or privileged_programs = none in \
             /etc/evercall.conf if the image holds no setuid program",
        )
    };
    Repair { wanted, automatic, why: why.to_owned() }
}

/// Whether a rule carries calls out, and does not only refuse them in a way that callers understand.
pub fn translates(rule: &Rule) -> bool {
    rule.fidelity != Fidelity::Refuse
}
