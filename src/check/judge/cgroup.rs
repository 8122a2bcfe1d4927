//! Runtimes that do not find their limits in cgroup v2: they take the whole machine. And mongod on kernels that are strict about
//! restartable sequences.

use crate::check::host::Host;
use crate::check::runtimes::{Lacks, Runtime};
use crate::check::used::{How, Uses};
use crate::simulate::calls::Version;

use super::{Bare, Class, Context, Door, Evidence, Finding, Form, Under, Unit, Verdict, rule};

pub fn judge(unit: &Unit, context: &Context<'_>) -> Option<Finding> {
    if context.host.cgroup.as_deref() != Some("v2") {
        return None;
    }
    let runtime = unit.paths.iter().find_map(|path| context.runtimes.get(path))?;
    if runtime.lacks == Lacks::Rows {
        return rows(unit, runtime, context);
    }
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

/// Rows of /proc/cgroups that Java asks for (`CgroupSubsystemFactory::determine_type`).
const ROWS: &[&str] = &["cpu", "cpuacct", "memory"];

/// Java that knows v2, where /proc/cgroups does not list what it asks for.
fn rows(unit: &Unit, runtime: &Runtime, context: &Context<'_>) -> Option<Finding> {
    let listed = context.host.controllers.as_ref()?;
    let missing = ROWS.iter().find(|row| !listed.iter().any(|known| known == *row))?;
    let outcome = format!(
        "{} {} takes the whole machine, and code that asks for its limits fails: \"anyController is null\"",
        runtime.name, runtime.version
    );
    let bare = Bare { verdict: Verdict::Degrades, outcome };
    let under = match rule("cgroup_controllers") {
        Some(rule) if unit.takes_preload(context) => Under::by(rule, Door::File),
        _ => Under::same(&bare),
    };
    Some(Finding {
        cause: format!("cgroup_rows:{}", runtime.name),
        class: Class::Cgroup,
        title: format!(
            "{} looks in /proc/cgroups for controllers of v1, and the host lists no {missing}",
            runtime.name
        ),
        bare,
        under,
        advice: "run it under evercall, or with a Java that has JDK-8349988 (25, or an update of after April 2026)"
            .to_string(),
        everywhere: false,
        evidence: Evidence::file(unit.path()),
    })
}

/// The first kernel that clears what tcmalloc keeps in the rseq area, and the first that leaves it alone again
/// (google/tcmalloc#292, docker-library/mongo#762).
const STRICT: [&str; 2] = ["6.19", "7.0.14"];

/// mongod from 8 on: its allocator asks for rseq by itself, and writes into the area.
pub fn mongod(unit: &Unit, uses: &Uses, context: &Context<'_>) -> Option<Finding> {
    let is_mongod = unit.paths.iter().any(|path| path.ends_with("mongod"));
    let program = unit.loaded.modules.first()?;
    let own = uses.all.iter().find(|one| {
        one.what.name() == "rseq"
            && one.object == *program
            && matches!(one.how, How::Raw | How::SyscallFunction)
    });
    if !is_mongod || !is_strict(context.host) {
        return None;
    }
    let bare = Bare { verdict: Verdict::Breaks, outcome: "exit 139 (SIGSEGV)".to_string() };
    Some(Finding {
        cause: "rseq".to_string(),
        class: Class::Rseq,
        title: "mongod's allocator writes where kernels from 6.19 to before 7.0.14 write, too".to_string(),
        under: Under::same(&bare),
        bare,
        advice:
            "GLIBC_TUNABLES=glibc.pthread.rseq=1 (EVERCALL_TUNABLES sets it for children), or Linux 7.0.14"
                .to_string(),
        everywhere: false,
        evidence: Evidence {
            address: own?.site.map(|(_, address)| address),
            reached: Some(own?.certainty),
            ..Evidence::file(unit.path())
        },
    })
}

fn is_strict(host: &Host) -> bool {
    let [Ok(from), Ok(until)] = STRICT.map(Version::parse) else { return false };
    host.version.is_some_and(|version| version >= from && version < until)
}
