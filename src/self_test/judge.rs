//! Runs the chosen programs bare and with the layer, and compares.

use super::choose::{self, Candidate, Test};
use super::closure::{Item, Items, Map};
use super::elf::{X86_64, machine_name};
use super::gather::{self, Contents};
use super::orders::Orders;
use super::report::{Outcome, Report, Tried, Verdict};
use super::sandbox::{self, Run, Sandboxes};
use super::{AddedFile, Plan};
use crate::failure::Failure;
use crate::image::tar_entries::shown;
use indicatif::ProgressBar;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// RLIMIT_NOFILE in the sandbox. The library is told to lower it, and logs that: so it is known to be there.
const DESCRIPTORS: u64 = 256;

/// Processes and threads beside those of the same user on this machine.
const PROCESSES: u64 = 24;

/// What loaders say when a preload or what it needs does not fit (glibc, musl, uClibc).
const COMPLAINTS: [&str; 9] = [
    "cannot be preloaded",
    "wrong ELF class",
    "ERROR: ld.so",
    "Error relocating",
    "Error loading shared library",
    "error while loading shared libraries",
    "symbol lookup error",
    "undefined symbol",
    "can't load library",
];

/// Bytes of output that a report keeps of a run: the end of it.
const TAIL: usize = 2000;

/// What stands in front of the paths of a test's own: the added files by their real paths.
type Added<'p> = BTreeMap<PathBuf, &'p AddedFile<'p>>;

/// Carries out the test.
pub fn run(plan: &Plan<'_>, progress: &ProgressBar) -> Result<Report, Failure> {
    let map = gather::map(plan.root, plan.limits, progress)?;
    let mut notes = Vec::new();
    let mut tests = choose::choose(&map, plan, &mut notes);
    for test in &mut tests {
        test.candidates.retain(|candidate| {
            let fits = size(&map, &candidate.items) <= plan.memory;
            if !fits {
                let what = shown(candidate.command.first().map(Path::new).unwrap_or(Path::new("")));
                notes.push(format!("{what} was not tested: it needs more libraries than the memory limit"));
            }
            fits
        });
    }
    let mut report = Report { sandbox: None, tried: Vec::new(), notes, verdict: Verdict::Passed };
    let wanted: BTreeSet<&Path> = tests
        .iter()
        .flat_map(|test| test.candidates.iter().flat_map(|candidate| candidate.items.values()))
        .filter_map(|item| if let Item::File(path, _) = item { Some(path.as_path()) } else { None })
        .collect();
    if !wanted.is_empty() {
        let contents = Contents::of(plan.root, plan.limits, progress, &wanted)?;
        let mut bench = Bench { plan, map: &map, contents: &contents, sandboxes: Sandboxes::default() };
        for test in &tests {
            let notes = &mut report.notes;
            report.tried.extend(bench.test(test, notes)?);
        }
        report.sandbox = bench.sandboxes.kind;
    }
    report.verdict = verdict(&report);
    Ok(report)
}

fn size(map: &Map, items: &Items) -> u64 {
    let sizes = items.values().filter_map(|item| match item {
        Item::File(path, _) => map.tree.at(path).map(|node| node.entry.size),
        Item::Link(_) => None,
    });
    sizes.fold(0, u64::saturating_add)
}

fn verdict(report: &Report) -> Verdict {
    if let Some((tried, fault)) = report.tried.iter().find_map(|tried| Some((tried, tried.fault.as_ref()?))) {
        return Verdict::Failed(format!("{} ({}): {fault}", tried.words(), tried.libc));
    }
    if report.tried.iter().any(|tried| tried.loaded) {
        return Verdict::Passed;
    }
    Verdict::NotTested(match report.notes.first() {
        Some(note) => note.clone(),
        None => "the image holds no dynamically linked x86-64 program whose loader is there".to_string(),
    })
}

struct Bench<'p> {
    plan: &'p Plan<'p>,
    map: &'p Map,
    contents: &'p Contents,
    sandboxes: Sandboxes,
}

impl Bench<'_> {
    /// Tries the candidates until one ends well without the layer, and judges that one; else the first that ends at all.
    fn test(&mut self, test: &Test, notes: &mut Vec<String>) -> Result<Option<Tried>, Failure> {
        let mut best: Option<(&Candidate, Run)> = None;
        for candidate in &test.candidates {
            let bare = self.run(test, candidate, None)?;
            let quality = |outcome: &Outcome| match outcome {
                Outcome::Exited(0) => 3,
                Outcome::Exited(_) => 2,
                Outcome::Killed(_) | Outcome::Hung => 1,
                Outcome::NotStarted(_) => 0,
            };
            let this = quality(&bare.outcome);
            if best.as_ref().is_none_or(|(_, run)| quality(&run.outcome) < this) {
                best = Some((candidate, bare));
            }
            if this == 3 {
                break;
            }
        }
        let Some((candidate, bare)) = best else { return Ok(None) };
        if let Outcome::NotStarted(why) = &bare.outcome {
            let program = candidate.command.first().map(Path::new).unwrap_or(Path::new(""));
            notes.push(format!(
                "{} cannot be executed on this machine, so it was not tested: {why}",
                shown(program)
            ));
            return Ok(None);
        }
        // A number that a program cannot know beforehand.
        let lowered = 64 + RandomState::new().hash_one(0) % 128;
        let ran = self.run(test, candidate, Some(lowered))?;
        Ok(Some(judge(test, candidate, &bare, &ran, &format!("lowered to {lowered}:{lowered}]"))))
    }

    /// One run: bare, or with the layer, the library then being told to lower RLIMIT_NOFILE to a number.
    fn run(&mut self, test: &Test, candidate: &Candidate, lowered: Option<u64>) -> Result<Run, Failure> {
        let mut items = candidate.items.clone();
        let mut added = Added::new();
        let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
        if let Some(lowered) = lowered {
            for file in &self.plan.added {
                let trace = self.map.trace(&file.path);
                let trace = trace.ok_or_else(|| {
                    Failure::new(format!("links of the image lead {} in a circle", shown(&file.path)))
                })?;
                items.extend(trace.links.into_iter().map(|(at, target)| (at, Item::Link(target))));
                items.remove(&trace.real);
                added.insert(trace.real, file);
            }
            environment.extend(self.plan.environment.iter().cloned());
            let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());
            set("EVERCALL", "on");
            set("EVERCALL_LOG", "all");
            set("EVERCALL_LOG_FORMAT", "text");
            set("EVERCALL_LOG_TO", "stderr");
            set("EVERCALL_NOFILE", &lowered.to_string());
        } else {
            environment.extend(self.plan.before.iter().cloned());
            environment.retain(|name, _| !name.to_string_lossy().starts_with("EVERCALL"));
        }
        let mut orders = Orders {
            command: candidate.command.iter().map(|word| word.clone().into()).collect(),
            environment: environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            seconds: self.plan.seconds,
            memory: self.plan.memory,
            descriptors: DESCRIPTORS,
            processes: PROCESSES + sandbox::threads_of_user(),
            foreign: test.machine != X86_64,
            ..Orders::default()
        };
        let mut from_image = Vec::new();
        for (path, item) in items {
            match item {
                Item::Link(target) => {
                    orders.links.push((path.into_os_string().into(), target.into_os_string().into()))
                }
                Item::File(file, mode) => {
                    // Listed, and then not there: an archive that changed in between.
                    let Some(place) = self.contents.place(&file) else { continue };
                    orders.files.push((path.into_os_string().into(), mode, place.1));
                    from_image.push(place);
                }
            }
        }
        for (path, file) in &added {
            orders.files.push((path.clone().into_os_string().into(), file.mode, file.content.len() as u64));
        }
        log::debug!("self-test: {:?}{}", candidate.command, if lowered.is_some() { "" } else { ", bare" });
        let run = self.sandboxes.run(&orders, &|to| {
            for &(offset, length) in &from_image {
                copy(self.contents.file(), offset, length, to)?;
            }
            added.values().try_for_each(|file| to.write_all(&file.content))
        })?;
        log::debug!("self-test: {}", run.outcome);
        Ok(run)
    }
}

fn copy(file: &std::fs::File, offset: u64, length: u64, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    let mut done = 0;
    while done < length {
        let most = usize::try_from(length - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(part) = buffer.get_mut(..most) else { break };
        file.read_exact_at(part, offset + done)?;
        to.write_all(part)?;
        done += most as u64;
    }
    Ok(())
}

fn judge(test: &Test, candidate: &Candidate, bare: &Run, ran: &Run, mark: &str) -> Tried {
    let (before, output) = (String::from_utf8_lossy(&bare.output), String::from_utf8_lossy(&ran.output));
    let complaint = output.lines().find(|line| {
        COMPLAINTS.iter().any(|complaint| line.contains(complaint))
            && !before.lines().any(|known| known == *line)
    });
    let loaded = output.contains(mark);
    let serves = test.machine == X86_64;
    let fault = match (&bare.outcome, &ran.outcome) {
        _ if complaint.is_some() => {
            complaint.map(|line| format!("the loader says: {}", shown(Path::new(line))))
        }
        (Outcome::Hung, Outcome::Hung) => None,
        (_, Outcome::Hung) => {
            Some(format!("with the layer it did not end in time; without: {}", bare.outcome))
        }
        // What dies here without it, as of the missing vsyscall page, is what it is for.
        (Outcome::Killed(_), Outcome::Exited(_)) => None,
        (before, after) if before != after => Some(format!("with the layer: {after}; without: {before}")),
        (Outcome::Killed(_), _) => Some(format!("{} with the layer and without", ran.outcome)),
        _ => None,
    };
    let fault = fault.or_else(|| (serves && !loaded && !candidate.listed).then(|| not_loaded(&output)));
    // A loader that lists has loaded: it names the library, and no code of it ran.
    let named = candidate.listed && output.contains("libevercall.so") && !before.contains("libevercall.so");
    let fault = fault.or_else(|| {
        (serves && candidate.listed && !named)
            .then(|| "its loader does not load the library with it".to_string())
    });
    let shown_lines: Vec<String> =
        output.lines().filter(|line| !line.contains(mark)).map(|line| shown(Path::new(line))).collect();
    let text = shown_lines.join("\n");
    let from = text.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
    Tried {
        command: candidate.command.clone(),
        loader: test.loader.clone(),
        architecture: machine_name(test.machine),
        libc: test.libc(),
        listed: candidate.listed,
        bare: bare.outcome.clone(),
        ran: ran.outcome.clone(),
        loaded: serves && (loaded || named),
        fault,
        output: text.get(from..).unwrap_or_default().to_string(),
    }
}

fn not_loaded(output: &str) -> String {
    let last = output.lines().next_back().map(|line| format!("; it printed: {}", shown(Path::new(line))));
    format!("it ran, but the library was not loaded{}", last.unwrap_or_default())
}
