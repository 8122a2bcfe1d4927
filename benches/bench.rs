//! `cargo bench --bench bench`: what evercall costs, next to the peers that do a comparable thing.
//!
//! Seven questions: what a preload adds to an exec, what it adds to a call that no rule acts on, what a
//! translated call costs next to the modern calls it makes, what the time functions cost next to the vDSO's,
//! what it costs to make up for a host that refuses or lacks calls, what a file costs that a rule makes, and how fast a
//! log is summed up. Everything runs pinned to one core, the variants
//! in turn within each round, and every figure is a median over all rounds: only ratios and differences
//! within one run mean anything, times do not.
//!
//! Timing never fails: a target that is missed is a word in the table. Errors are a missing
//! `dist/libevercall.so`, and a program that crashes under what it is measured with.
//!
//! Environment: `EVERCALL_BENCH_QUICK=1` runs a tenth of the rounds, `EVERCALL_BENCH_SHIM` measures another
//! library than `dist/libevercall.so`.

#[path = "bench/artifacts.rs"]
mod artifacts;
#[path = "bench/calls.rs"]
mod calls;
#[path = "bench/files.rs"]
mod files;
#[path = "bench/log.rs"]
mod log;
#[path = "bench/machine.rs"]
mod machine;
#[path = "bench/modern.rs"]
mod modern;
#[path = "bench/report.rs"]
mod report;
#[path = "bench/startup.rs"]
mod startup;
#[path = "bench/stats.rs"]
mod stats;

use artifacts::Artifacts;
use std::error::Error;
use std::process::ExitCode;

/// Rounds of a full run, and of a quick one.
const ROUNDS: (usize, usize) = (100, 10);

fn main() -> ExitCode {
    // Only `cargo bench` passes this: `cargo test --all-targets` starts benchmarks too.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing is timed: start with `cargo bench --bench bench`");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let quick = std::env::var_os("EVERCALL_BENCH_QUICK").is_some_and(|value| value != "0");
    let rounds = if quick { ROUNDS.1 } else { ROUNDS.0 };
    let artifacts = Artifacts::collect()?;
    let core = machine::pin()?;
    println!("{}", artifacts.shim.display());
    println!("{rounds} rounds, core {core}; each line against its reference in the same rounds");
    println!();
    let mut rows = startup::measure(&artifacts, rounds)?;
    rows.extend(calls::handed_on(&artifacts, rounds)?);
    rows.extend(calls::translated(&artifacts, rounds)?);
    rows.extend(calls::clock(&artifacts, rounds)?);
    rows.extend(modern::repair_filter(&artifacts, rounds)?);
    rows.extend(modern::polyfills(&artifacts, rounds)?);
    rows.extend(modern::trap_door(&artifacts, rounds)?);
    rows.extend(modern::starts(&artifacts, rounds)?);
    rows.extend(files::measure(&artifacts, rounds)?);
    rows.extend(log::log(&artifacts, rounds)?);
    print!("{}", report::table(&rows));
    Ok(())
}
