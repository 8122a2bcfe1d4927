//! Runtimes that look for their limits in cgroup v1, on a host with v2 alone: they take the whole machine.

use super::{Bare, Class, Context, Door, Evidence, Finding, Form, Under, Unit, Verdict, rule};

pub fn judge(unit: &Unit, context: &Context<'_>) -> Option<Finding> {
    if context.host.cgroup.as_deref() != Some("v2") {
        return None;
    }
    let runtime = unit.paths.iter().find_map(|path| context.runtimes.get(path))?;
    let outcome =
        format!("{} {} does not see its limits, and takes the whole machine", runtime.name, runtime.version);
    let bare = Bare { verdict: Verdict::Degrades, outcome };
    let under = match rule("cgroup_v1") {
        Some(rule) if runtime.by_libc && unit.form != Form::Static && !unit.is_privileged => {
            Under::by(rule, Door::File)
        }
        _ => Under::same(&bare),
    };
    let advice = match under.rule {
        Some(_) => "run it under evercall, or with a newer runtime, or give it its limits by its own options",
        None => "build it with automaxprocs 1.5 or later, or set GOMAXPROCS",
    };
    Some(Finding {
        cause: format!("cgroup_v1:{}", runtime.name),
        class: Class::Cgroup,
        title: format!("{} of before cgroup v2, and the host has v2 alone", runtime.name),
        bare,
        under,
        advice: advice.to_string(),
        everywhere: false,
        evidence: Evidence::file(unit.path()),
    })
}
