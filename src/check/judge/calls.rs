//! System calls that the host refuses, and what becomes of who makes them.

use super::callers::{self, Caller, Fate, Refusal};
use super::{Bare, Class, Context, Door, Evidence, Finding, Form, Under, Unit, Verdict};
use crate::check::elf::facts::{Architecture, LibcKind};
use crate::check::host::{Answer, Host};
use crate::check::used::{How, Use, Uses, What};
use crate::simulate::calls::Version;
use evercall_rules::Fidelity;
use evercall_rules::table::{Call, RULES, Rule};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The worst finding of each call, and who is no worse off counts once.
pub fn judge(unit: &Unit, uses: &Uses, context: &Context<'_>) -> Vec<Finding> {
    let mut worst: BTreeMap<&'static str, Finding> = BTreeMap::new();
    for one in &uses.all {
        let What::Call(call) = one.what else { continue };
        let Some(finding) = finding(unit, one, call, context) else { continue };
        // What is surely called comes first: a pointer that nobody may follow does not hide it.
        let rank =
            |finding: &Finding| (finding.bare.verdict, Reverse(finding.is_pointed()), finding.under.verdict);
        match worst.get(call.name) {
            Some(known) if rank(known) >= rank(&finding) => {}
            _ => {
                worst.insert(call.name, finding);
            }
        }
    }
    worst.into_values().collect()
}

fn finding(unit: &Unit, one: &Use, call: &'static Call, context: &Context<'_>) -> Option<Finding> {
    let is_i386 = unit.architecture(context) == Some(Architecture::I386);
    let answer = if is_i386 { context.host.answer_i386(call.name) } else { context.host.answer(call.name) };
    if is_by_vdso(unit, one, call, context) {
        return None;
    }
    let caller = caller(unit, one, call, context);
    let oldest = oldest(unit, one, context);
    let file =
        context.objects.get(one.object).path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of = |refusal, by_filter| callers::fate(call, caller, refusal, by_filter, oldest, &file);
    let (fate, why, errno, class) = match &answer {
        Answer::Answers => return None,
        Answer::Absent { by_filter } => {
            let (fate, why) = of(Refusal::Absent, *by_filter);
            let class = if *by_filter { Class::RefusedCall } else { Class::AbsentCall };
            (fate, why, "ENOSYS".to_string(), class)
        }
        Answer::Refused(errno) => {
            let (fate, why) = of(Refusal::Errno, true);
            (fate, why, errno.clone(), Class::RefusedCall)
        }
        Answer::Trapped => (Fate::Breaks, None, "SIGSYS".to_string(), Class::RefusedCall),
        Answer::Killed => (Fate::Breaks, None, "SIGSYS".to_string(), Class::RefusedCall),
    };
    let bare = Bare {
        verdict: match fate {
            Fate::Works => return None,
            Fate::Degrades => Verdict::Degrades,
            Fate::Breaks => Verdict::Breaks,
        },
        outcome: match answer {
            Answer::Killed | Answer::Trapped => "exit 159 (SIGSYS)".to_string(),
            _ => format!("{} fails with {errno}", call.name),
        },
    };
    let under = under(unit, one, call, context, &answer, &bare, of(Refusal::Absent, false).0);
    let who = match class {
        Class::AbsentCall => match context.host.version {
            Some(version) if !version.has(call) && call.until.is_some() => {
                format!("Linux {version} has {} no longer", call.name)
            }
            Some(version) if !version.has(call) => {
                format!("Linux {version} has no {} (since {})", call.name, call.since)
            }
            _ => format!("the host's kernel is built without {}", call.name),
        },
        _ => format!("a filter of the host refuses {} with {errno}", call.name),
    };
    let title = match why {
        Some(why) => format!("{who}: {why}"),
        None => who,
    };
    let advice = advice(unit, call, &under, class, context);
    Some(Finding {
        cause: format!("call:{}", call.name),
        class,
        title,
        bare,
        under,
        advice,
        everywhere: false,
        evidence: Evidence {
            file: context.objects.get(one.object).path.clone(),
            symbol: match &one.how {
                How::Symbol { name, .. } | How::Inside { through: name } => Some(name.clone()),
                How::SyscallFunction => Some("syscall".to_string()),
                How::Raw => None,
            },
            function: one.function.clone(),
            site: one.site.map(|(at, _)| context.objects.get(at).path.clone()),
            address: one.site.map(|(_, address)| address),
            reached: Some(one.certainty),
        },
    })
}

/// Whether the libc asks the vDSO, which reads the time from a page of the kernel's: time(2) never goes further.
fn is_by_vdso(unit: &Unit, one: &Use, call: &Call, context: &Context<'_>) -> bool {
    let by_libc = matches!(one.how, How::Symbol { .. } | How::Inside { .. });
    let is_glibc = context.objects.libc(&unit.loaded).is_some_and(|(kind, _)| kind == LibcKind::Glibc);
    call.name == "time" && by_libc && is_glibc && unit.form != Form::Static
}

/// Who makes the call.
fn caller(unit: &Unit, one: &Use, call: &Call, context: &Context<'_>) -> Caller {
    let elf = context.objects.get(one.object).elf();
    match &one.how {
        How::Inside { through } if callers::PASSED_ON.contains(&through.as_str()) => {
            Caller::Function { is_weak: false }
        }
        How::Inside { .. } => Caller::Libc,
        How::Symbol { is_weak, .. } => Caller::Function { is_weak: *is_weak },
        How::SyscallFunction => Caller::Direct,
        How::Raw if elf.go.is_some() => Caller::Go,
        // The libc is within the program: by its name its function tells itself.
        How::Raw if unit.form == Form::Static && elf.libc.is_some() => match &one.function {
            Some(name)
                if name.trim_start_matches('_') == call.name.trim_start_matches('_')
                    && !callers::is_of_libcs(call) =>
            {
                Caller::Function { is_weak: false }
            }
            Some(name) if callers::PASSED_ON.contains(&name.trim_start_matches('_')) => {
                Caller::Function { is_weak: false }
            }
            Some(_) => Caller::Libc,
            None if callers::is_of_libcs(call) => Caller::Libc,
            None => Caller::Direct,
        },
        How::Raw => Caller::Direct,
    }
}

/// The oldest kernel that the libc is built for.
fn oldest(unit: &Unit, one: &Use, context: &Context<'_>) -> Option<Version> {
    let mut modules = vec![one.object];
    modules.extend(one.site.map(|(at, _)| at));
    modules.extend(&unit.loaded.modules);
    let libc = modules.iter().map(|id| context.objects.get(*id).elf()).find(|elf| elf.libc.is_some())?;
    let kind = libc.libc.as_ref()?.kind;
    let note = libc.minimum_kernel.filter(|_| kind == LibcKind::Glibc)?;
    Version::parse(&note.to_string()).ok()
}

/// What evercall makes of it.
fn under(
    unit: &Unit,
    one: &Use,
    call: &'static Call,
    context: &Context<'_>,
    answer: &Answer,
    bare: &Bare,
    as_absent: Fate,
) -> Under {
    let same = || Under::same(bare);
    let is_native = unit.architecture(context) == Some(Architecture::X86_64);
    let Some(rule) = Rule::of_call(call.name).filter(|_| is_native) else { return same() };
    let by_preload = match &one.how {
        _ if !unit.takes_preload(context) => None,
        How::Symbol { name, .. } if rule.symbols.contains(&name.as_str()) => Some(Door::Symbol),
        How::SyscallFunction => Some(Door::Syscall),
        _ => None,
    };
    let is_static = unit.form == Form::Static;
    let by_trap = (!unit.is_privileged && (!is_static || context.host.takes_static())).then_some(Door::Trap);
    let carried_out = |door: Option<Door>| match door {
        Some(door) if rule.fidelity != Fidelity::Refuse => Under::by(rule, door),
        _ => same(),
    };
    let enosys = |door: Door, needs| Under {
        verdict: match as_absent {
            Fate::Works => Verdict::Translated,
            Fate::Degrades => Verdict::Degrades,
            Fate::Breaks => Verdict::Breaks,
        },
        outcome: "ENOSYS, on which callers fall back".to_string(),
        needs,
        ..Under::by(rule, door)
    };
    match answer {
        Answer::Absent { .. } => carried_out(by_preload.or(by_trap)),
        Answer::Refused(errno) if errno == "EPERM" && rule.probe.is_some() => {
            let carried = carried_out(by_preload);
            if carried.verdict == Verdict::Translated {
                return carried;
            }
            // A static program has what its parent installed, which nobody knows.
            if rule.repair && !is_static {
                let needs = (context.host.repairs != Some(true)).then_some("EVERCALL_FILTER=on");
                let repaired = enosys(Door::RepairFilter, needs);
                if repaired.verdict < Verdict::Breaks {
                    return repaired;
                }
            }
            if rule.fidelity == Fidelity::Refuse {
                return by_preload.map_or_else(same, |door| enosys(door, None));
            }
            carried_out(by_trap)
        }
        Answer::Trapped if handles_traps(context.host) && unit.takes_preload(context) => {
            match rule.fidelity {
                Fidelity::Refuse => enosys(Door::SigsysHandler, None),
                _ => Under::by(rule, Door::SigsysHandler),
            }
        }
        _ => same(),
    }
}

/// Whether the handler of SIGSYS is installed: a call that callers expect to be refused is trapped.
fn handles_traps(host: &Host) -> bool {
    let trapped = |rule: &&Rule| rule.calls.first().is_some_and(|name| host.answer(name) == Answer::Trapped);
    RULES.iter().filter(|rule| rule.repair).any(|rule| trapped(&rule))
}

fn advice(unit: &Unit, call: &Call, under: &Under, class: Class, context: &Context<'_>) -> String {
    let host = if class == Class::RefusedCall {
        format!("allow {} in the host's seccomp profile", call.name)
    } else {
        "run it on a host that has the call".to_string()
    };
    match (under.rule, under.needs) {
        (Some(_), Some(needs)) if under.verdict < Verdict::Breaks => format!("{needs}, or {host}"),
        (Some(_), None) if under.verdict < Verdict::Breaks => format!("run it under evercall, or {host}"),
        _ if unit.is_privileged => format!("{host}: a preload does not reach a program that gains rights"),
        _ if unit.architecture(context) != Some(Architecture::X86_64) => {
            format!("{host}: evercall is for x86-64 alone")
        }
        _ => match call.reason {
            Some(reason) => format!("{host}; evercall has no rule: {reason}"),
            None => format!("{host}; evercall has no rule that helps"),
        },
    }
}
