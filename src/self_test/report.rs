//! What a self-test found, for people and as JSON.

use crate::image::tar_entries::shown;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What was run, and what that says of the layer.
#[derive(Debug)]
pub struct Report {
    /// What the programs ran in; None where none was run.
    pub sandbox: Option<Sandbox>,
    /// Each program that was run.
    pub tried: Vec<Tried>,
    /// What could not be tested, and why: to be told, no reason to refuse the layer.
    pub notes: Vec<String>,
    /// What it says of the layer.
    pub verdict: Verdict,
}

/// What the programs ran in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Mount, pid, network, ipc, uts and user namespaces.
    UserNamespace,
    /// The same without a user namespace, which this host refuses; made by root, who gave up all rights in it.
    Namespaces,
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sandbox::UserNamespace => "in namespaces of its own, as an unprivileged user",
            Sandbox::Namespaces => "in namespaces of its own (no user namespace), as an unprivileged user",
        })
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Not within the time.
    Hung,
    /// The kernel did not execute it.
    NotStarted(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(status) => write!(f, "exit status {status}"),
            Outcome::Killed(signal) => write!(f, "killed by {}", signal_name(*signal)),
            Outcome::Hung => f.write_str("did not end in time"),
            Outcome::NotStarted(why) => write!(f, "cannot be executed: {why}"),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => return format!("signal {signal}"),
    };
    name.to_string()
}

/// A program of the image that was run bare and under the shim.
#[derive(Debug)]
pub struct Tried {
    /// The command.
    pub command: Vec<OsString>,
    /// Its dynamic loader, as a path of the image; None for a static program.
    #[allow(dead_code, reason = "for `evercall layer`")]
    pub loader: Option<PathBuf>,
    /// What the library is loaded into: `x86-64`, or another architecture that must not be disturbed.
    pub architecture: &'static str,
    /// The libc, as far as its loader tells.
    pub libc: &'static str,
    /// Whether it only was loaded and listed, not run.
    pub listed: bool,
    /// How it ended without the layer.
    pub bare: Outcome,
    /// How it ended with it.
    pub ran: Outcome,
    /// Whether the library itself said that it was loaded there, which only an x86-64 one can.
    pub loaded: bool,
    /// What is wrong with that; None if nothing is.
    pub fault: Option<String>,
    /// The last lines that it printed with the layer, without the library's own.
    pub output: String,
}

impl Tried {
    /// The command for people.
    pub fn words(&self) -> String {
        let words = self.command.iter().map(|word| shown(word.as_ref()));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Tried {
    /// `/bin/true (x86-64, glibc): exit status 0, the library was loaded`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}): {}", self.words(), self.architecture, self.libc, self.ran)?;
        if self.bare != self.ran {
            write!(f, "; without the layer {}", self.bare)?;
        }
        let verb = if self.listed { "mapped and listed by the loader, not run" } else { "loaded" };
        match &self.fault {
            Some(fault) => write!(f, ": {fault}"),
            None if self.loaded => write!(f, ", the library was {verb}"),
            None => f.write_str(", undisturbed"),
        }
    }
}

/// What the test says of the layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Programs of the image ran under it as without it.
    Passed,
    /// It would break the image: why.
    Failed(String),
    /// Nothing of the image could be run with it, so nothing is known: why.
    NotTested(String),
}
