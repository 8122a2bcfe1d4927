//! The answers for people: what is missing here, what evercall would do about it, and what the host is.

use super::facts::{Facts, Layout, Limit};
use super::judge::{By, Class, Judged};
use super::live::{Acts, Live, Repair, translates};
use crate::output::{columns, wrap};
use std::fmt::Write as _;

/// Columns where there is no terminal.
const WIDTH: usize = 100;

/// The whole text; `all` adds a line for each call.
pub fn text(
    judged: &[Judged],
    live: &[Live],
    repair: &Repair,
    facts: &Facts,
    all: bool,
    terminal: Option<usize>,
) -> String {
    let mut out = String::from("HOST\n");
    out.push_str(&columns(&host(facts), terminal));
    out.push_str("\nSYSTEM CALLS\n");
    out.push_str(&columns(&classes(judged), terminal));
    let mut lists = Lists { out, width: terminal.unwrap_or(WIDTH) };
    lists.classes(judged);
    lists.rules(live, repair);
    if !facts.unseen.is_empty() {
        lists.list("NOT SEEN", &facts.unseen.join("; "));
    }
    let mut out = lists.out;
    if all {
        out.push_str("\nEACH CALL\n");
        out.push_str(&columns(&each(judged), terminal));
    }
    out
}

fn row(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.to_owned(), value.into()]
}

fn host(facts: &Facts) -> Vec<[String; 2]> {
    let unknown = || "could not be seen".to_owned();
    let kernel = &facts.kernel;
    let mut rows = vec![row("  kernel", kernel.release.clone().unwrap_or_else(unknown))];
    if let Some(kind) = &facts.container.kind {
        rows.push(row("  container", format!("{kind} ({})", facts.container.hints.join("; "))));
    }
    rows.push(row("  seccomp", seccomp(facts)));
    rows.push(row("  process", process(facts)));
    let vsyscall = match (facts.vsyscall.mode, facts.vsyscall.call) {
        (Some("none"), _) => "none: programs with a libc before glibc 2.15 exit with 139".to_owned(),
        (mode, call) => {
            let call = call.map(|call| format!(", a call {call}")).unwrap_or_default();
            format!("{}{call}", mode.unwrap_or("could not be seen"))
        }
    };
    rows.push(row("  vsyscall page", vsyscall));
    rows.push(row("  cgroup", cgroup(facts)));
    let limits: Vec<String> = ["NOFILE", "NPROC", "MEMLOCK", "STACK"]
        .into_iter()
        .filter_map(|name| {
            let limit = facts.limits.process.get(name)?;
            Some(format!("{name} {}:{}", number(limit.soft), number(limit.hard)))
        })
        .collect();
    rows.push(row("  limits", limits.join(", ")));
    let libc = &facts.libc;
    let version = libc.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let path = libc.path.as_ref().map(|path| format!(" ({})", path.display())).unwrap_or_default();
    rows.push(row("  libc", format!("{}{version}{path}", libc.kind)));
    let ia32 = match facts.machine.ia32 {
        Some("answers") => "run",
        Some("faults") => "do not run: the kernel has no ia32 emulation",
        Some("refused" | "trapped" | "killed") => "do not run: their calls are refused",
        _ => "could not be asked",
    };
    rows.push(row("  32-bit programs", ia32));
    rows.push(row("  /dev/shm", facts.machine.dev_shm.clone().unwrap_or_else(|| "missing".to_owned())));
    rows
}

fn seccomp(facts: &Facts) -> String {
    let mut text = match (facts.seccomp.mode, facts.seccomp.filters) {
        (Some(0), _) => "no filter".to_owned(),
        (Some(1), _) => "strict".to_owned(),
        (Some(_), Some(1)) => "1 filter".to_owned(),
        (Some(_), Some(count)) => format!("{count} filters"),
        (Some(_), None) => "filters".to_owned(),
        (None, _) => "could not be seen".to_owned(),
    };
    if facts.seccomp.repaired {
        text.push_str(", one of them evercall's own: answers below are not the host's alone");
    }
    text
}

fn process(facts: &Facts) -> String {
    let process = &facts.process;
    let capabilities = match &process.capabilities {
        None => "capabilities not seen".to_owned(),
        Some(all) if all.is_empty() => "no capabilities".to_owned(),
        Some(all) => {
            let admin = if all.contains(&"CAP_SYS_ADMIN") { "with" } else { "without" };
            format!("{} capabilities, {admin} CAP_SYS_ADMIN", all.len())
        }
    };
    let promise = match process.no_new_privs {
        Some(true) => ", no_new_privs",
        _ => "",
    };
    let namespace = match process.initial_user_namespace {
        Some(false) => ", in a user namespace",
        _ => "",
    };
    let user = process.euid.map_or_else(|| "not seen".to_owned(), |user| user.to_string());
    format!("uid {user}, {capabilities}{promise}{namespace}")
}

fn cgroup(facts: &Facts) -> String {
    let cgroup = &facts.cgroup;
    let of = |version: u8| {
        let names: Vec<&str> = cgroup
            .controllers
            .iter()
            .filter(|(_, controller)| controller.version == version)
            .map(|(name, _)| name.as_str())
            .collect();
        if names.is_empty() { "no controllers".to_owned() } else { names.join(", ") }
    };
    match cgroup.layout {
        Layout::V1 => format!("v1: {}", of(1)),
        Layout::V2 => format!("v2: {}", of(2)),
        Layout::Hybrid => format!("hybrid, v1: {}; v2: {}", of(1), of(2)),
        Layout::None => "not mounted".to_owned(),
        Layout::Unknown => "could not be seen".to_owned(),
    }
}

fn number(limit: Limit) -> String {
    if limit.0 == libc::RLIM_INFINITY { "unlimited".to_owned() } else { limit.0.to_string() }
}

/// The classes with their words for people.
const CLASSES: [(Class, &str); 8] = [
    (Class::Answers, "answer"),
    (Class::Absent, "are absent (ENOSYS)"),
    (Class::Refused, "are refused"),
    (Class::Killed, "kill the process"),
    (Class::Trapped, "are trapped"),
    (Class::Odd, "answer oddly"),
    (Class::NoAnswer, "did not come back"),
    (Class::NotAsked, "were not asked"),
];

fn classes(judged: &[Judged]) -> Vec<[String; 2]> {
    let count = |class| judged.iter().filter(|judged| judged.class == class).count();
    CLASSES
        .into_iter()
        .map(|(class, words)| (count(class), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| [format!("{count:>5}"), words.to_owned()])
        .collect()
}

struct Lists {
    out: String,
    width: usize,
}

impl Lists {
    fn list(&mut self, title: &str, text: &str) {
        let _ = write!(self.out, "\n{title}\n");
        for line in wrap(text, self.width.saturating_sub(2)) {
            let _ = writeln!(self.out, "  {line}");
        }
    }

    fn classes(&mut self, judged: &[Judged]) {
        let names = |wanted: &dyn Fn(&Judged) -> bool| -> Vec<&str> {
            judged.iter().filter(|judged| wanted(judged)).map(|judged| judged.call.name).collect()
        };
        let absent = |by| names(&|judged| judged.class == Class::Absent && judged.by == Some(by));
        let mut refused: Vec<&str> = judged
            .iter()
            .filter(|judged| judged.class == Class::Refused)
            .map(|judged| judged.answer)
            .collect();
        refused.sort_unstable();
        refused.dedup();
        let mut lists: Vec<(String, Vec<&str>)> = refused
            .into_iter()
            .map(|errno| {
                let calls = names(&|judged| judged.class == Class::Refused && judged.answer == errno);
                (format!("REFUSED WITH {errno}"), calls)
            })
            .collect();
        lists.extend([
            ("REFUSED WITH ENOSYS, PROBABLY BY A FILTER".to_owned(), absent(By::Filter)),
            ("ENOSYS, OF A FILTER OR THE KERNEL".to_owned(), absent(By::FilterOrKernel)),
            ("NOT IN THIS KERNEL".to_owned(), absent(By::Kernel)),
            ("KILLED".to_owned(), names(&|judged| judged.class == Class::Killed)),
            ("TRAPPED".to_owned(), names(&|judged| judged.class == Class::Trapped)),
            ("ODD".to_owned(), names(&|judged| judged.class == Class::Odd)),
            ("DID NOT COME BACK".to_owned(), names(&|judged| judged.class == Class::NoAnswer)),
            ("NOT ASKED".to_owned(), names(&|judged| judged.class == Class::NotAsked)),
        ]);
        for (title, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            self.list(title, &names.join(" "));
        }
    }

    fn rules(&mut self, live: &[Live], repair: &Repair) {
        let names = |wanted: &dyn Fn(&Live) -> bool| {
            let names: Vec<&str> =
                live.iter().filter(|live| wanted(live)).map(|live| live.rule.name).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(" ") }
        };
        let always = |live: &Live| live.acts == Acts::Always;
        self.list("EVERCALL WOULD CARRY OUT", &names(&|live| always(live) && translates(live.rule)));
        self.list(
            "EVERCALL WOULD ANSWER ENOSYS, ON WHICH CALLERS FALL BACK",
            &names(&|live| always(live) && !translates(live.rule)),
        );
        self.list("EVERCALL WOULD LOOK AT THE ANSWERS OF", &names(&|live| live.acts == Acts::OnResult));
        if !repair.wanted.is_empty() {
            let how = if repair.automatic { "installed by itself" } else { "not installed by itself" };
            self.list(
                "REPAIR FILTER (ENOSYS FOR EPERM)",
                &format!("{}; {how}: {}", repair.wanted.join(" "), repair.why),
            );
        }
    }
}

/// A line a call.
fn each(judged: &[Judged]) -> Vec<[String; 5]> {
    let mut rows = vec![["CALL", "CLASS", "ASKED", "GOT", "NOTE"].map(String::from)];
    let class = |class| match class {
        Class::Answers => "answers",
        Class::Odd => "odd",
        Class::Refused => "refused",
        Class::Absent => "absent",
        Class::Killed => "killed",
        Class::Trapped => "trapped",
        Class::NotAsked => "not asked",
        Class::NoAnswer => "no answer",
    };
    rows.extend(judged.iter().map(|judged| {
        [
            judged.call.name.to_owned(),
            class(judged.class).to_owned(),
            judged.question().unwrap_or_else(|| "-".to_owned()),
            judged.got.clone().unwrap_or_else(|| "-".to_owned()),
            judged.note.clone().unwrap_or_default(),
        ]
    }));
    rows
}
