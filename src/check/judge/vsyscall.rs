//! The vsyscall page: three addresses at which programs on glibc before 2.15, and old static ones, ask for the time.

use super::{Bare, Class, Context, Door, Evidence, Finding, Form, Under, Unit, Verdict, rule};
use crate::check::host::Answer;
use crate::check::used::{How, Uses, What};

pub fn judge(unit: &Unit, uses: &Uses, context: &Context<'_>) -> Option<Finding> {
    // Where the kernel emulates the page, a filter is asked, too.
    let has_page = context.host.vsyscall == Some(true);
    let fails = |name: &str| !has_page || context.host.answer(name) != Answer::Answers;
    // HotSpot calls it only where the libc has no sched_getcpu (glibc before 2.6).
    let is_way_out = |name: &str| name.contains("sched_getcpu_syscall");
    let all = uses.all.iter().filter(|one| {
        matches!(one.what, What::Vsyscall(name) if fails(name))
            && !one.function.as_deref().is_some_and(is_way_out)
    });
    let one = all.min_by_key(|one| one.certainty)?;
    let outcome =
        if has_page { format!("{} fails", one.what.name()) } else { "exit 139 (SIGSEGV)".to_string() };
    let bare = Bare { verdict: Verdict::Breaks, outcome };
    let under = match (rule("vsyscall"), unit.form) {
        _ if has_page || unit.is_privileged => Under::same(&bare),
        (Some(_), Form::Static) if !context.host.takes_static() => Under::same(&bare),
        (Some(rule), Form::Static) => Under::by(rule, Door::Interpreter),
        (Some(rule), _) => Under::by(rule, Door::Vsyscall),
        (None, _) => Under::same(&bare),
    };
    let advice = match under.door {
        Some(Door::Interpreter) => {
            "run it by `evercall run`; where other programs start it, under `evercall run --trap`"
        }
        Some(_) => "run the image under evercall, or boot the host with vsyscall=emulate",
        None if has_page => "allow the call in the host's seccomp profile: the page asks it, too",
        None if !unit.is_privileged => {
            "boot the host with vsyscall=emulate: evercall needs memfd_create for a static program"
        }
        None => "boot the host with vsyscall=emulate: a preload does not reach a setuid program",
    };
    let object = context.objects.get(one.object);
    Some(Finding {
        cause: "vsyscall".to_string(),
        class: Class::Vsyscall,
        title: if has_page {
            format!(
                "a filter of the host refuses {}, which the program asks by the vsyscall page",
                one.what.name()
            )
        } else {
            "the host has no vsyscall page, which the program jumps to for the time".to_string()
        },
        bare,
        under,
        advice: advice.to_string(),
        everywhere: false,
        evidence: Evidence {
            file: object.path.clone(),
            symbol: match &one.how {
                How::Symbol { name, .. } | How::Inside { through: name } => Some(name.clone()),
                _ => None,
            },
            function: one.function.clone(),
            site: one.site.map(|(at, _)| context.objects.get(at).path.clone()),
            address: one.site.map(|(_, address)| address),
            reached: Some(one.certainty),
        },
    })
}
