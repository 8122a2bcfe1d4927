//! The self-test of a layer, before it is written: programs of the image run bare and under the shim, loaded by the
//! image's own loader and libc, in a sandbox.
//!
//! The image is hostile. Nothing of it is written to this machine's disk under a name: what a program needs goes from
//! a file without a name to a tmpfs that only the sandbox sees (`child`), which has namespaces of its own and no rights.

mod child;
mod choose;
mod closure;
mod elf;
mod filter;
mod gather;
mod judge;
pub mod options;
mod orders;
mod report;
mod sandbox;
mod verb;

pub use child::child;
pub use elf::Info;
#[allow(unused_imports, reason = "for `evercall layer`")]
pub use report::{Outcome, Report, Sandbox, Tried, Verdict};
pub use verb::self_test;

use crate::failure::Failure;
use crate::image::Limits;
use crate::image::root::Root;
use indicatif::ProgressBar;
use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

/// What will be in the image: its root, and what the layer adds.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The root as it is.
    pub root: Root<'a>,
    /// What reading it may cost.
    pub limits: &'a Limits,
    /// The files of the layer.
    pub added: Vec<AddedFile<'a>>,
    /// The image's environment as it is (`Env` of its config).
    pub before: Vec<(OsString, OsString)>,
    /// The same with what the layer adds to it.
    pub environment: Vec<(OsString, OsString)>,
    /// What a container of it runs: entry point and command. Never run with these arguments.
    pub command: Vec<OsString>,
    /// Those of the added files that are static programs with the library as their interpreter.
    pub static_copies: Vec<PathBuf>,
    /// Seconds that one program may run.
    pub seconds: u64,
    /// Bytes of memory that one process may have.
    pub memory: u64,
}

impl Plan<'_> {
    /// Seconds that a program may run where nobody says otherwise.
    pub const SECONDS: u64 = 20;
    /// Bytes of memory likewise. A JVM would need more; the programs that are chosen do not.
    pub const MEMORY: u64 = 512 << 20;
}

/// A regular file of the layer.
#[derive(Debug)]
pub struct AddedFile<'a> {
    /// Its absolute path in the image.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// What it holds.
    pub content: Cow<'a, [u8]>,
}

/// Carries out the test. An error means that it could not be done: the image cannot be read, or this host allows no
/// sandbox. What the test found is in the report.
pub fn run(plan: &Plan<'_>, progress: &ProgressBar) -> Result<Report, Failure> {
    judge::run(plan, progress)
}
