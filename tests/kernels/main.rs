//! The kernel matrix: Debian's kernels boot in a virtual machine with the shim and the test programs, each of
//! which runs bare and under evercall. `make test-kernels` runs it; a plain `cargo test` does not.

#[path = "../common/mod.rs"]
mod common;
mod console;
#[path = "../common/debian.rs"]
mod debian;
mod descriptors;
mod initramfs;
mod interfaces;
mod list;
mod table;

use common::{program, root, shim};
use console::Report;
use initramfs::{Archive, needed, read};
use list::Case;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A guest that prints nothing for so long hangs. A program of the list has 20 s.
const SILENCE: Duration = Duration::from_secs(50);

/// A guest that takes so long hangs, whatever it prints.
const TOTAL: Duration = Duration::from_secs(180);

/// A suite whose kernel is booted.
pub struct Suite {
    name: &'static str,
    /// What its release begins with.
    release: &'static str,
    /// Whether it must be right; else it is only reported.
    required: bool,
}

const SUITES: [Suite; 4] = [
    Suite { name: "bullseye", release: "5.10.", required: true },
    Suite { name: "bookworm", release: "6.1.", required: true },
    Suite { name: "trixie", release: "6.12.", required: true },
    Suite { name: "sid", release: "", required: false },
];

/// A kernel, and what came of it.
pub struct Outcome {
    suite: Suite,
    /// The options it was built with.
    config: String,
    report: Result<Report, String>,
}

/// Under evercall, every program gives the right answer on every kernel.
#[test]
fn every_program_is_right_on_every_kernel() {
    let cases = list::parse(include_str!("programs.list")).unwrap_or_else(|fault| panic!("{fault}"));
    let archive = guest(&cases);
    let outcomes: Vec<Outcome> = SUITES.into_iter().map(|suite| boot(suite, &archive)).collect();
    // Not through the harness, which would keep it back when all is well.
    let mut out = std::io::stdout();
    write!(out, "\n{}\n{}\n", table::programs(&cases, &outcomes), interfaces::table(&outcomes)).unwrap();

    let (mut wrong, mut reported) = (String::new(), String::new());
    for outcome in &outcomes {
        let faults = if outcome.suite.required { &mut wrong } else { &mut reported };
        match &outcome.report {
            Err(error) => *faults += &format!("{}: {error}\n", outcome.suite.name),
            Ok(report) => judge(&cases, outcome, report, faults),
        }
    }
    if !reported.is_empty() {
        writeln!(out, "On a kernel that is only reported:\n{reported}").unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Adds what is wrong on a kernel to the faults.
fn judge(cases: &[Case], outcome: &Outcome, report: &Report, faults: &mut String) {
    let release = &report.facts["release"];
    if !release.starts_with(outcome.suite.release) {
        *faults +=
            &format!("{} has the kernel {release}, not {}\n", outcome.suite.name, outcome.suite.release);
    }
    for (module, text) in &report.modules {
        if text != "loaded" {
            *faults += &format!("{release}: the module {module} is not loaded: {text}\n");
        }
    }
    for case in cases {
        let verdict = table::verdict(case, report);
        if let Some(fault) = verdict.fault {
            *faults +=
                &format!("{release}: {}: {fault}\n{}{}", case.name(), verdict.bare_run, verdict.its_run);
        }
    }
    for fault in interfaces::faults(report) {
        *faults += &format!("{release}: {fault}\n");
    }
}

/// The root of the guest: init, evercall, the programs of the list with what they need, and what to run.
fn guest(cases: &[Case]) -> Archive {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    let source = root().join("tests/kernels/init.c");
    let mut compile = Command::new("cc");
    common::succeed(compile.args(["-O1", "-Wall", "-Werror", "-static", "-o"]).arg(&init).arg(source));

    let mut archive = Archive::default();
    archive.add("/init", true, &read(&init));
    archive.add("/evercall/libevercall.so", true, &read(&shim()));
    archive.add("/evercall/evercall", true, &read(&common::root().join("dist/evercall")));
    let mut runs = BTreeSet::new();
    for case in cases {
        let file = program(&case.file);
        let folder = file.parent().unwrap();
        archive.add(&format!("/t/{}", case.file), true, &read(&file));
        for library in needed(&file) {
            // A library of the test programs stands beside them, in the guest too.
            let path = match library.strip_prefix(folder) {
                Ok(name) => PathBuf::from("/t").join(name),
                Err(_) => library.clone(),
            };
            archive.add(path.to_str().unwrap(), true, &read(&library));
        }
        runs.insert(format!("bare\t{}\n", case.command().join("\t")));
        runs.insert(format!("{}\t{}\n", case.by, case.under_evercall().join("\t")));
    }
    let runs: String = runs.into_iter().collect();
    archive.add("/runs", false, runs.as_bytes());
    archive.add("/operations", false, interfaces::operations().as_bytes());
    archive
}

/// Boots the kernel of a suite, and says how long it took.
fn boot(suite: Suite, archive: &Archive) -> Outcome {
    let script = root().join("tests/kernels/fetch.sh");
    let fetched = Command::new(&script).arg(suite.name).output();
    let fetched = fetched.unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    if !fetched.status.success() {
        let error = format!("no kernel:\n{}", common::text(&fetched.stderr));
        return Outcome { suite, config: String::new(), report: Err(error) };
    }
    let kernel = PathBuf::from(common::text(&fetched.stdout).trim());
    let config = common::text(&read(&kernel.join("config")));

    let mut archive = archive.clone();
    for module in ["dummy.ko", "loop.ko"] {
        archive.add(&format!("/modules/{module}"), false, &read(&kernel.join(module)));
    }
    let mut initramfs = tempfile::NamedTempFile::new().unwrap();
    initramfs.write_all(&archive.finish()).unwrap();

    let began = Instant::now();
    let mut guest = console::guest(&kernel, initramfs.path(), [2, 512], "loglevel=5");
    let report = console::run(&mut guest, SILENCE, TOTAL).and_then(|console| console::parse(&console));
    eprintln!("{}: {} ({} s)", suite.name, kernel.display(), began.elapsed().as_secs());
    Outcome { suite, config, report }
}
