//! What is told: findings grouped by cause, a verdict for each program and for the image.

use super::host::Host;
use super::judge::{Bare, Class, Evidence, Finding, Form, Under, Unit, Verdict};
use super::link::Objects;
use super::options::CheckOptions;
use super::reach::Certainty;
use super::scan::Scanned;
use super::target::Target;
use super::units::Found;
use super::used::{self, Uses};
use crate::image::tar_entries::shown;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The version of the JSON document. It grows when a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// Pieces of evidence that a group keeps.
const EVIDENCE: usize = 10;

/// The whole.
#[derive(Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The evercall that checked.
    pub evercall: &'static str,
    /// What was checked.
    pub target: About,
    /// The host.
    pub host: Option<Host>,
    /// The verdict for the whole.
    pub verdict: Whole,
    /// How much was looked at.
    pub counts: Counts,
    /// The findings, the worst first.
    pub findings: Vec<Group>,
    /// Every program, script and plugin.
    pub files: Vec<FileVerdict>,
    /// What else to know.
    pub notes: Vec<String>,
    /// Files that were not looked into.
    pub passed_over: Vec<PassedOver>,
    /// Calls that the host refuses and that are in some file, though no program is seen to reach them.
    pub present: Vec<Present>,
}

/// What was checked.
#[derive(Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is.
    pub form: &'static str,
    /// The image's name.
    pub reference: Option<String>,
    /// The image's platform.
    pub platform: Option<String>,
    /// Its layers.
    pub layers: Option<usize>,
    /// The C libraries in it, with their versions.
    pub libcs: Vec<String>,
    /// Whether it carries evercall.
    pub carries_evercall: bool,
}

/// The verdict for the whole.
#[derive(Serialize)]
pub struct Whole {
    /// Without evercall.
    pub bare: Verdict,
    /// Under evercall.
    pub with_evercall: Verdict,
    /// Which of both the exit code is about: `bare` or `with_evercall`.
    pub judged: &'static str,
    /// One line for people.
    pub summary: String,
    /// What a container of it starts.
    pub start: Option<StartVerdict>,
}

/// What a container starts.
#[derive(Serialize)]
pub struct StartVerdict {
    /// The command.
    pub command: String,
    /// The program that runs it; null where it is not in the image.
    pub program: Option<String>,
    /// Without evercall.
    pub bare: Bare,
    /// Under evercall.
    pub with_evercall: Verdict,
}

/// How much was looked at.
#[derive(Serialize, Default)]
pub struct Counts {
    /// ELF files.
    pub elf_files: usize,
    /// Different ones.
    pub contents: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Programs.
    pub programs: usize,
    /// Scripts.
    pub scripts: usize,
    /// Libraries that no program names.
    pub plugins: usize,
}

/// Findings of one cause with one outcome.
#[derive(Serialize)]
pub struct Group {
    /// `vsyscall`, `call:ustat`.
    pub cause: String,
    /// Its kind.
    pub class: Class,
    /// What is wrong.
    pub title: String,
    /// Without evercall.
    pub bare: Bare,
    /// Under evercall.
    pub with_evercall: Under,
    /// What to do.
    pub advice: String,
    /// The same on every host.
    pub everywhere: bool,
    /// Only pointers in data lead to it, in all these programs: it may never be called.
    pub only_pointed: bool,
    /// Programs and plugins it is about.
    pub programs: usize,
    /// Where: some of it.
    pub evidence: Vec<Evidence>,
    /// Their places in `files`.
    pub files: Vec<usize>,
}

/// A program, script or plugin.
#[derive(Serialize)]
pub struct FileVerdict {
    /// Its path.
    pub path: String,
    /// `program`, `static`, `plugin`, `script`.
    pub kind: Form,
    /// What it runs on.
    pub architecture: Option<String>,
    /// Its C library.
    pub libc: Option<String>,
    /// Go's version, of a Go program.
    pub go: Option<String>,
    /// What runs it, of a script.
    pub interpreter: Option<String>,
    /// Whether it gains rights, so that a preload does not reach it.
    pub gains_rights: bool,
    /// Without evercall.
    pub bare: Bare,
    /// Under evercall.
    pub with_evercall: UnderFile,
    /// Whether that is so on every host.
    pub everywhere: bool,
    /// Calls whose numbers are not known.
    pub unknown_calls: usize,
    /// Whether parts of its code could only be guessed at.
    pub guessed: bool,
    /// Their places in `findings`.
    pub findings: Vec<usize>,
}

/// What becomes of a file under evercall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderFile {
    /// The verdict.
    pub verdict: Verdict,
    /// What is seen.
    pub outcome: String,
    /// What must be asked for.
    pub needs: Vec<&'static str>,
}

/// A file that was not looked into.
#[derive(Serialize)]
pub struct PassedOver {
    /// Its path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// A call that is only present.
#[derive(Serialize)]
pub struct Present {
    /// Its name.
    pub call: &'static str,
    /// Files that hold it.
    pub files: usize,
    /// One of them.
    pub example: String,
}

impl Report {
    /// The findings as they are told: what breaks, what degrades, and what is the same on every host.
    pub fn sections(&self) -> [Vec<&Group>; 3] {
        let groups = |verdict, everywhere| {
            let is_in = |group: &&Group| {
                group.everywhere == everywhere && (everywhere || group.bare.verdict == verdict)
            };
            self.findings.iter().filter(is_in).collect()
        };
        [groups(Verdict::Breaks, false), groups(Verdict::Degrades, false), groups(Verdict::Works, true)]
    }

    /// Sums up.
    pub fn new(
        target: &Target,
        scanned: &Scanned,
        objects: &Objects<'_>,
        found: &Found,
        judged: Vec<(&Unit, Uses, Vec<Finding>)>,
        host: &Host,
        options: &CheckOptions,
    ) -> Report {
        let mut maker = Maker::default();
        let mut first_file: Vec<usize> = Vec::new();
        let mut used_calls: BTreeSet<&'static str> = BTreeSet::new();
        for (unit, uses, findings) in judged {
            used_calls.extend(uses.all.iter().map(|one| one.what.name()));
            first_file.push(maker.files.len());
            maker.unit(unit, &uses, findings, objects);
        }
        for script in &found.scripts {
            maker.script(script, &found.units, &first_file);
        }
        let groups = maker.groups();
        let files = maker.files;
        let start = found.start.as_ref().map(|start| match &start.unit {
            Ok(unit) => {
                let file = first_file.get(*unit).and_then(|at| files.get(*at));
                StartVerdict {
                    command: start.command.clone(),
                    program: file.map(|file| file.path.clone()),
                    bare: file.map_or_else(works, |file| file.bare.clone()),
                    with_evercall: file.map_or(Verdict::Works, |file| file.with_evercall.verdict),
                }
            }
            Err(missing) => StartVerdict {
                command: start.command.clone(),
                program: None,
                bare: Bare {
                    verdict: Verdict::Breaks,
                    outcome: format!("exit 127 ({}: not found)", shown(Path::new(missing))),
                },
                with_evercall: Verdict::Breaks,
            },
        });
        // What is the same on every host counts only where the container starts with it.
        let start_bare = start.as_ref().map_or(Verdict::Works, |start| start.bare.verdict);
        let start_under = start.as_ref().map_or(Verdict::Works, |start| start.with_evercall);
        let alone = matches!(target, Target::File(_));
        let counted = || groups.iter().filter(|group| alone || !group.everywhere);
        let bare = counted().map(|group| group.bare.verdict).max().unwrap_or(Verdict::Works).max(start_bare);
        let under = counted()
            .map(|group| group.with_evercall.verdict)
            .max()
            .unwrap_or(Verdict::Works)
            .max(start_under);
        let judged = match (options.bare, options.with_evercall || found.carries_evercall) {
            (true, _) | (false, false) => "bare",
            (false, true) => "with_evercall",
        };
        let counts = counts(scanned, objects, found);
        let summary = summary(&groups, &start, bare, under, found.carries_evercall, alone);
        let mut report = Report {
            version: VERSION,
            evercall: env!("CARGO_PKG_VERSION"),
            target: about(target, objects, found),
            host: None,
            verdict: Whole { bare, with_evercall: under, judged, summary, start },
            counts,
            findings: groups,
            files,
            notes: notes(target, found),
            passed_over: passed_over(scanned, found),
            present: Vec::new(),
        };
        if options.present {
            report.present = present(objects, host, &used_calls);
        }
        report
    }

    /// The verdict that the exit code is about.
    pub fn judged(&self) -> Verdict {
        if self.verdict.judged == "bare" { self.verdict.bare } else { self.verdict.with_evercall }
    }
}

fn works() -> Bare {
    Bare { verdict: Verdict::Works, outcome: "works".to_string() }
}

type Key = (String, Bare, Verdict, Option<super::judge::Door>, Option<&'static str>, bool);

#[derive(Default)]
struct Maker {
    files: Vec<FileVerdict>,
    groups: BTreeMap<Key, (Finding, Vec<Evidence>, Vec<usize>)>,
}

impl Maker {
    fn unit(&mut self, unit: &Unit, uses: &Uses, findings: Vec<Finding>, objects: &Objects<'_>) {
        let first = self.files.len();
        let worst = |pick: fn(&Finding) -> Verdict| findings.iter().max_by_key(|finding| pick(finding));
        let bare = worst(|finding| finding.bare.verdict).map_or_else(works, |finding| finding.bare.clone());
        let under = worst(|finding| finding.under.verdict);
        let mut needs: Vec<&'static str> = findings
            .iter()
            .filter(|finding| finding.under.verdict < finding.bare.verdict)
            .filter_map(|finding| finding.under.needs)
            .collect();
        needs.sort_unstable();
        needs.dedup();
        let under = UnderFile {
            verdict: under.map_or(Verdict::Works, |finding| finding.under.verdict),
            outcome: match under {
                None => "works".to_string(),
                Some(finding) if finding.under.verdict == Verdict::Translated => "works".to_string(),
                Some(finding) => finding.under.outcome.clone(),
            },
            needs,
        };
        let everywhere =
            findings.iter().any(|finding| finding.everywhere && finding.bare.verdict == bare.verdict);
        let elf = unit.loaded.modules.first().map(|id| objects.get(*id).elf());
        let libc = objects.libc(&unit.loaded).map(|(kind, version)| libc_name(kind, version));
        for path in &unit.paths {
            self.files.push(FileVerdict {
                path: path.to_string_lossy().into_owned(),
                kind: unit.form,
                architecture: elf.map(|elf| elf.architecture.to_string()),
                libc: libc.clone(),
                go: elf.and_then(|elf| elf.go.as_ref()).map(|go| go.version.clone()),
                interpreter: None,
                gains_rights: unit.is_privileged,
                bare: bare.clone(),
                with_evercall: under.clone(),
                everywhere,
                unknown_calls: uses.unknown.len(),
                guessed: uses.guessed,
                findings: Vec::new(),
            });
        }
        let files: Vec<usize> = (first..self.files.len()).collect();
        for finding in findings {
            self.add(finding, &files);
        }
    }

    fn add(&mut self, finding: Finding, files: &[usize]) {
        let key = (
            finding.cause.clone(),
            finding.bare.clone(),
            finding.under.verdict,
            finding.under.door,
            finding.under.needs,
            finding.is_pointed(),
        );
        let (kept, evidence, all) =
            self.groups.entry(key).or_insert_with(|| (finding.clone(), Vec::new(), Vec::new()));
        // One title for all, whatever order they came in.
        if finding.title < kept.title {
            kept.title.clone_from(&finding.title);
        }
        if evidence.len() < EVIDENCE && !evidence.contains(&finding.evidence) {
            evidence.push(finding.evidence);
        }
        all.extend_from_slice(files);
    }

    fn script(&mut self, script: &super::units::Script, units: &[Unit], first_file: &[usize]) {
        let mut verdict = FileVerdict {
            path: script.path.to_string_lossy().into_owned(),
            kind: Form::Script,
            architecture: None,
            libc: None,
            go: None,
            interpreter: None,
            gains_rights: false,
            bare: works(),
            with_evercall: UnderFile {
                verdict: Verdict::Works,
                outcome: "works".to_string(),
                needs: Vec::new(),
            },
            everywhere: false,
            unknown_calls: 0,
            guessed: false,
            findings: Vec::new(),
        };
        match &script.runs {
            Ok(unit) => {
                verdict.interpreter = units.get(*unit).map(|unit| unit.path().to_string_lossy().into_owned());
                if let Some(runs) = first_file.get(*unit).and_then(|at| self.files.get(*at)) {
                    verdict.bare = runs.bare.clone();
                    verdict.with_evercall = runs.with_evercall.clone();
                    verdict.everywhere = runs.everywhere;
                }
                self.files.push(verdict);
            }
            Err(missing) => {
                let name = shown(Path::new(missing));
                let bare = Bare { verdict: Verdict::Breaks, outcome: "exit 127 (not found)".to_string() };
                let finding = Finding {
                    cause: format!("interpreter:{name}"),
                    class: Class::InterpreterMissing,
                    title: format!("the interpreter {name} is not in the image"),
                    under: Under::same(&bare),
                    bare: bare.clone(),
                    advice: "add the interpreter, if the script is ever run".to_string(),
                    everywhere: true,
                    evidence: Evidence::file(&script.path),
                };
                verdict.interpreter = Some(missing.clone());
                verdict.with_evercall.verdict = bare.verdict;
                verdict.with_evercall.outcome.clone_from(&bare.outcome);
                verdict.bare = bare;
                verdict.everywhere = true;
                self.files.push(verdict);
                self.add(finding, &[self.files.len() - 1]);
            }
        }
    }

    /// The groups, the worst first, and their places noted in the files.
    fn groups(&mut self) -> Vec<Group> {
        let mut groups: Vec<Group> = std::mem::take(&mut self.groups)
            .into_values()
            .map(|(finding, evidence, files)| Group {
                cause: finding.cause,
                class: finding.class,
                title: finding.title,
                bare: finding.bare,
                with_evercall: finding.under,
                advice: finding.advice,
                everywhere: finding.everywhere,
                only_pointed: evidence.iter().all(|one: &Evidence| one.reached == Some(Certainty::Pointed)),
                programs: files.len(),
                evidence,
                files,
            })
            .collect();
        groups.sort_by(|a, b| {
            let rank = |group: &Group| (!group.everywhere, group.bare.verdict, group.programs);
            rank(b).cmp(&rank(a)).then_with(|| a.cause.cmp(&b.cause))
        });
        for (at, group) in groups.iter().enumerate() {
            for file in &group.files {
                if let Some(file) = self.files.get_mut(*file) {
                    file.findings.push(at);
                }
            }
        }
        groups
    }
}

fn libc_name(kind: super::elf::facts::LibcKind, version: Option<&str>) -> String {
    let name = match kind {
        super::elf::facts::LibcKind::Glibc => "glibc",
        super::elf::facts::LibcKind::Musl => "musl",
        super::elf::facts::LibcKind::Uclibc => "uClibc",
        super::elf::facts::LibcKind::Dietlibc => "dietlibc",
        super::elf::facts::LibcKind::Bionic => "bionic",
    };
    let version: String = version.unwrap_or_default().chars().filter(char::is_ascii_graphic).collect();
    if version.is_empty() { name.to_string() } else { format!("{name} {version}") }
}

fn about(target: &Target, objects: &Objects<'_>, found: &Found) -> About {
    let variant = target.variant();
    let mut libcs: Vec<String> = objects
        .all
        .iter()
        .filter(|object| object.is_libc())
        .filter_map(|object| object.elf().libc.as_ref())
        .filter(|libc| libc.version.is_some())
        .map(|libc| libc_name(libc.kind, libc.version.as_deref()))
        .collect();
    libcs.sort();
    libcs.dedup();
    About {
        name: target.name(),
        form: target.form(),
        reference: variant.and_then(|variant| variant.reference.clone()),
        platform: variant.map(|variant| variant.platform.to_string()),
        layers: variant.map(|variant| variant.layers.len()),
        libcs,
        carries_evercall: found.carries_evercall,
    }
}

fn counts(scanned: &Scanned, objects: &Objects<'_>, found: &Found) -> Counts {
    let is_elf = |content: &super::scan::Content| {
        content.looked().is_some_and(|looked| matches!(looked.analysis, super::elf::facts::Analysis::Elf(_)))
    };
    let paths = |plugin: bool| {
        let units = found.units.iter().filter(move |unit| (unit.form == Form::Plugin) == plugin);
        units.map(|unit| unit.paths.len()).sum()
    };
    Counts {
        elf_files: scanned.tree.nodes().filter(|node| is_elf(&node.content)).count(),
        contents: objects.all.len(),
        bytes: scanned.bytes,
        programs: paths(false),
        scripts: found.scripts.len(),
        plugins: paths(true),
    }
}

fn notes(target: &Target, found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    let others = target.others();
    if !others.is_empty() {
        notes.push(format!("not looked at: the images for {}; --platform chooses", others.join(", ")));
    }
    if matches!(target, Target::File(_)) {
        notes.push("a file alone: what its libraries call is not known".to_string());
    }
    if found.gaining > 0 {
        let plural = if found.gaining == 1 { "program gains" } else { "programs gain" };
        notes.push(format!(
            "{} {plural} rights when a user other than root runs it: a preload does not reach it then",
            found.gaining
        ));
    }
    notes
}

fn passed_over(scanned: &Scanned, found: &Found) -> Vec<PassedOver> {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let of = |(path, why): &(PathBuf, String)| PassedOver { path: text(path), why: why.clone() };
    let damaged = found
        .damaged
        .iter()
        .map(|(path, why)| PassedOver { path: text(path), why: format!("it is a damaged ELF file: {why}") });
    scanned.passed_over.iter().map(of).chain(damaged).collect()
}

fn present(objects: &Objects<'_>, host: &Host, used: &BTreeSet<&'static str>) -> Vec<Present> {
    let all = used::present(objects);
    let refused =
        |name: &&'static str| host.answer(name) != super::host::Answer::Answers && !used.contains(name);
    let of = |(name, ids): (&'static str, BTreeSet<usize>)| {
        let example = ids.iter().next().map(|id| objects.get(*id).path.to_string_lossy().into_owned());
        Present { call: name, files: ids.len(), example: example.unwrap_or_default() }
    };
    all.into_iter().filter(|(name, _)| refused(name)).map(of).collect()
}

/// The line that a person acts on.
fn summary(
    groups: &[Group],
    start: &Option<StartVerdict>,
    bare: Verdict,
    under: Verdict,
    carries: bool,
    alone: bool,
) -> String {
    let mut words = match bare {
        Verdict::Works | Verdict::Translated => return "works on this host".to_string(),
        verdict => format!("{} on this host", verdict.word()),
    };
    let counted: Vec<&Group> = groups.iter().filter(|group| alone || !group.everywhere).collect();
    let starts = start.as_ref().is_none_or(|start| start.bare.verdict < bare);
    let mut worst = counted.iter().filter(|group| group.bare.verdict == bare).peekable();
    if bare == Verdict::Breaks && starts && worst.peek().is_some() && worst.all(|group| group.only_pointed) {
        words = "may break on this host".to_string();
    }
    let causes = causes(&counted, |group| group.bare.verdict == bare);
    if !causes.is_empty() {
        words += &format!(": {causes}");
    } else if let Some(start) = start {
        words += &format!(": its command {}", start.bare.outcome);
    }
    let mut needs: Vec<&str> = counted
        .iter()
        .filter(|group| group.with_evercall.verdict < group.bare.verdict)
        .filter_map(|group| group.with_evercall.needs)
        .collect();
    needs.sort_unstable();
    needs.dedup();
    let by = if needs.is_empty() { String::new() } else { format!(" (by {})", needs.join(", ")) };
    let evercall = if carries { "with the evercall that it carries" } else { "with evercall" };
    words += &match under {
        Verdict::Works | Verdict::Translated => format!("; {evercall}: works{by}"),
        verdict => {
            let left = self::causes(&counted, |group| group.with_evercall.verdict == verdict);
            let left = if left.is_empty() { String::new() } else { format!(": {left}") };
            format!("; {evercall}{by}: {}{left}", verdict.word())
        }
    };
    words
}

/// What happens in how many programs, the most first; causes with one outcome are one.
fn causes(groups: &[&Group], which: impl Fn(&Group) -> bool) -> String {
    const MOST: usize = 3;
    let mut by_outcome: Vec<(String, BTreeSet<usize>, Vec<String>)> = Vec::new();
    for group in groups.iter().filter(|group| which(group)) {
        let name = group.cause.strip_prefix("call:").unwrap_or(&group.cause).to_string();
        // `ustat fails with ENOSYS` is told as `ENOSYS`.
        let outcome = match group.bare.outcome.split_once(" fails with ") {
            Some((_, errno)) => errno.to_string(),
            None => group.bare.outcome.clone(),
        };
        match by_outcome.iter_mut().find(|(known, ..)| *known == outcome) {
            Some((_, files, names)) => {
                files.extend(&group.files);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            None => by_outcome.push((outcome, group.files.iter().copied().collect(), vec![name])),
        }
    }
    by_outcome.sort_by_key(|(_, files, _)| std::cmp::Reverse(files.len()));
    let rest = by_outcome.len().saturating_sub(MOST);
    let mut words: Vec<String> = by_outcome
        .iter()
        .take(MOST)
        .map(|(outcome, files, names)| {
            let plural = if files.len() == 1 { "program" } else { "programs" };
            let mut shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            if names.len() > 4 {
                shown += ", ...";
            }
            format!("{outcome} in {} {plural} ({shown})", files.len())
        })
        .collect();
    if rest > 0 {
        words.push(format!("{rest} other outcomes"));
    }
    words.join("; ")
}
