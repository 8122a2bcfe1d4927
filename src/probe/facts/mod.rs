//! What the host and the image are, beside their answers to system calls.
//!
//! Everything is looked at with as few calls as can be: files by open, read and close alone, which the start of the
//! program has made already, so that no filter kills for them; other calls only after the survey has told that none
//! does. What cannot be seen stays empty, and `unseen` says why.

mod cgroup;
mod container;
mod libc_version;
mod limits;
mod machine;
mod process;

use super::ask::Survey;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

pub use cgroup::{Cgroup, Layout};
pub use container::Container;
pub use libc_version::Libc;
pub use limits::{Limit, Limits};
pub use machine::{Kernel, Machine, Vsyscall};
pub use process::{Process, Seccomp};

/// All facts.
#[derive(Serialize)]
pub struct Facts {
    /// The kernel.
    pub kernel: Kernel,
    /// The seccomp filters over this process.
    pub seccomp: Seccomp,
    /// The rights of this process.
    pub process: Process,
    /// The vsyscall page.
    pub vsyscall: Vsyscall,
    /// How cgroups are mounted.
    pub cgroup: Cgroup,
    /// Limits of this process and of the machine.
    pub limits: Limits,
    /// The libc of the image.
    pub libc: Libc,
    /// Processors, pages, and the like.
    pub machine: Machine,
    /// What tells of a container.
    pub container: Container,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

impl Facts {
    /// Looks at everything.
    pub fn look(survey: &Survey) -> Facts {
        let mut eyes = Eyes::default();
        let kernel = Kernel::look(&mut eyes, survey);
        let (seccomp, process) = process::look(&mut eyes, survey);
        Facts {
            seccomp,
            process,
            vsyscall: Vsyscall::look(&mut eyes),
            cgroup: Cgroup::look(&mut eyes),
            limits: Limits::look(&mut eyes),
            libc: Libc::look(&eyes),
            machine: Machine::look(&eyes),
            container: Container::look(&eyes, kernel.release.as_deref(), kernel.version.as_deref()),
            kernel,
            unseen: eyes.unseen,
        }
    }
}

/// What looks at files, and keeps what could not be seen.
#[derive(Default)]
pub struct Eyes {
    unseen: Vec<String>,
}

impl Eyes {
    /// A file's bytes. By open, read and close alone: not fs::read, which asks for the size first.
    pub fn bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let mut all = Vec::new();
        let mut part = vec![0; 1 << 16];
        loop {
            match file.read(&mut part) {
                Ok(0) => return Ok(all),
                Ok(count) => all.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A text file that is always there; else it is kept as unseen.
    pub fn text(&mut self, path: &str) -> Option<String> {
        match self.bytes(path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.unseen(format!("{path}: {error}"));
                None
            }
        }
    }

    /// The same without the blanks around it, of a file that may be missing.
    pub fn word(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = self.bytes(path).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// Whether there is a file or folder that can be opened.
    pub fn is_there(&self, path: &str) -> bool {
        File::open(path).is_ok()
    }

    /// Keeps what could not be seen.
    pub fn unseen(&mut self, what: String) {
        self.unseen.push(what);
    }
}
