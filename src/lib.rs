//! `evercall`: runs programs under libevercall.so or as on another host, asks what this host answers, prints the
//! table of system calls and rules, sums up logs, and gives the library to the containers of a node.
//!
//! A library only so that the fuzz targets (`fuzz/`) reach what reads untrusted bytes: `main.rs` is one call.
// Allowed in `exec` and `probe::sys` alone.
#![deny(unsafe_code)]

mod base_image;
mod cdi;
#[doc(hidden)]
pub mod check;
mod conf_manual;
mod exec;
mod failure;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod glob;
mod hook;
mod image;
mod launch;
mod layer;
mod libraries;
mod library;
mod log;
mod log_to;
mod manual;
mod nearest;
mod options;
mod output;
mod probe;
mod program;
mod rules;
mod run;
mod self_test;
mod setting;
mod simulate;
mod static_copy;
mod static_program;
mod stub;
mod tunables;

use ::log::{Level, LevelFilter};
use clap::Parser as _;
use failure::Failure;
use options::{Action, Options};
use std::io::Write as _;
use std::process::ExitCode;

/// The command: reads the arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    start_log(options.verbose);
    let done = match options.action {
        Action::Run(options) => run::run(options),
        Action::Simulate(options) => simulate::simulate(&options),
        Action::Probe(options) => probe::probe(&options),
        Action::Rules(options) => rules::print(&options),
        Action::Check(options) => check::check(&options),
        Action::Log(options) => log::sum_up(&options),
        Action::Hook(options) => hook::hook(&options),
        Action::Cdi(options) => cdi::cdi(&options),
        Action::SelfTest(options) => self_test::self_test(&options),
        Action::SelfTestChild { stage } => return self_test::child(stage),
        Action::Layer(options) => layer::layer(&options),
        Action::Generate(options) => generate::generate(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("evercall: {failure}");
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Prints what clap has to say: help and version are fine, all else is an error. Not clap's own exit
/// code 2, which means findings here.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told when this fails.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { Failure::ERROR } else { 0 })
}

fn start_log(verbose: bool) {
    env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("evercall", if verbose { LevelFilter::Debug } else { LevelFilter::Warn })
        .format(|out, record| match record.level() {
            Level::Error | Level::Warn => writeln!(out, "evercall: warning: {}", record.args()),
            _ => writeln!(out, "evercall: {}", record.args()),
        })
        .init();
}
