//! `evercall check`: will this image, or this program, run on that host?
//!
//! [`target`] opens it, [`scan`] reads it once and hands each content to [`elf`], [`link`] finds what is loaded with each
//! program, [`used`] what that can call, [`judge`] holds it against [`host`], and [`report`] sums it up for [`show`].

pub mod elf;
mod host;
mod judge;
mod link;
pub mod options;
mod profiles;
pub mod reach;
mod report;
mod runtimes;
mod scan;
mod show;
mod target;
mod units;
mod used;

use crate::failure::Failure;
use crate::image::Limits;
use crate::output;
use host::Host;
use judge::Verdict;
use options::{CheckOptions, FailOn, Format};
use report::Report;
use std::num::NonZeroUsize;
use target::Target;

/// Carries out `evercall check`. Findings are a failure of their own exit code.
pub fn check(options: &CheckOptions) -> Result<(), Failure> {
    let limits =
        Limits { entries: options.max_entries, unpacked: options.max_unpacked, file: options.max_file };
    // The host is asked before there are threads: its questions are asked in children.
    let host = Host::find(options)?;
    let target = Target::open(&options.target, options.platform.as_deref(), &limits)?;
    let jobs =
        options.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let report = report(&target, host, options, &limits, jobs)?;
    let text = match options.format {
        Format::Table => {
            let width = if options.output.is_some() { None } else { output::terminal_width() };
            show::table::text(&report, options.files, width)
        }
        Format::Json => show::json::text(&report)?,
        Format::Sarif => show::sarif::text(&report)?,
        Format::Html => show::html::text(&report)?,
    };
    match &options.output {
        Some(file) => output::write_file(file, &text)?,
        None => output::print(&text)?,
    }
    let worst = match options.fail_on {
        FailOn::Breaks => Verdict::Breaks,
        FailOn::Degrades => Verdict::Degrades,
        FailOn::Never => return Ok(()),
    };
    if report.judged() >= worst { Err(Failure::findings()) } else { Ok(()) }
}

fn report(
    target: &Target,
    host: Host,
    options: &CheckOptions,
    limits: &Limits,
    jobs: NonZeroUsize,
) -> Result<Report, Failure> {
    let scanned = target.scan(limits, jobs)?;
    let objects = link::Objects::new(&scanned.tree, target.variable("LD_LIBRARY_PATH"));
    let found = units::find(target, &scanned.tree, &objects);
    let runtimes = runtimes::find(&scanned.tree);
    let context = judge::Context { host: &host, objects: &objects, runtimes: &runtimes };
    let mut memory = used::Memory::default();
    let judged: Vec<_> = found
        .units
        .iter()
        .map(|unit| {
            let uses = used::of(&unit.loaded, unit.form == judge::Form::Plugin, &objects, &mut memory);
            let findings = judge::judge(unit, &uses, &context);
            (unit, uses, findings)
        })
        .collect();
    let mut report = Report::new(target, &scanned, &objects, &found, judged, &host, options);
    report.host = Some(host);
    Ok(report)
}
