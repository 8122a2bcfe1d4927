//! What of an image decides how evercall goes into it: its loaders, its privileged programs, the directories and files
//! that the layer touches. One walk; nothing is kept of the contents but of a few small files.

use super::loaders::{self, Abi, Loader};
use super::names;
use crate::failure::Failure;
use crate::image::Limits;
use crate::image::root::{Root, walk};
use crate::image::tar_entries::{Entry, Kind, shown};
use crate::image::tree::Tree;
use crate::image::write::layer::Metadata;
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use std::io::{Read, Result};
use std::path::{Path, PathBuf};

/// Bytes of an /etc/ld.so.preload or /etc/evercall.conf that are kept.
const SMALL: u64 = 1 << 20;

const SETUID: u32 = 0o4000;

/// Set group ID, and the group's right to execute, without which the first means something else.
const SETGID: u32 = 0o2010;

/// What was found.
#[derive(Default)]
pub struct Findings {
    /// Loaders, each once.
    pub loaders: BTreeSet<Loader>,
    /// Programs that run with rights of their own: setuid, setgid, with file capabilities.
    pub privileged: BTreeSet<PathBuf>,
    /// Whether there is an x86-64 program or library, of whatever libc.
    pub x86_64: bool,
    /// Directories, symbolic links and the few files that matter; with their content, where that is kept.
    pub tree: Tree<Option<Vec<u8>>>,
}

impl Findings {
    /// Walks a root.
    pub fn of(
        root: Root<'_>,
        limits: &Limits,
        progress: &ProgressBar,
    ) -> std::result::Result<Findings, Failure> {
        let mut findings = Findings::default();
        walk(root, limits, progress, &mut |entry, content| {
            findings
                .look(entry, content)
                .map_err(|error| Failure::new(format!("{}: {error}", shown(&entry.path))))
        })?;
        Ok(findings)
    }

    fn look(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        // A path that comes twice: the later one counts.
        self.privileged.remove(&entry.path);
        if entry.kind != Kind::File {
            if !matches!(entry.kind, Kind::Special) || names::is_ours(&entry.path) {
                self.tree.insert(entry.clone(), None);
            }
            return Ok(());
        }
        let setgid = entry.mode & SETGID == SETGID;
        if entry.mode & SETUID != 0 || setgid || entry.capability {
            self.privileged.insert(entry.path.clone());
        }
        if names::is_ours(&entry.path) {
            let mut bytes = None;
            if entry.size <= SMALL {
                content.read_to_end(bytes.insert(Vec::new()))?;
            }
            self.tree.insert(entry.clone(), bytes);
            return Ok(());
        }
        // What is in the way of a directory that the layer needs.
        if Path::new(names::FOLDER).starts_with(&entry.path) {
            self.tree.insert(entry.clone(), None);
        }
        if self.x86_64 && !loaders::may_be_one(&entry.path) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        (&mut *content).take(20).read_to_end(&mut bytes)?;
        self.x86_64 |= Abi::of(&bytes) == Some(Abi::X86_64);
        if loaders::may_be_one(&entry.path) && Abi::of(&bytes).is_some() && entry.size <= loaders::LARGEST {
            content.read_to_end(&mut bytes)?;
            self.loaders.extend(Loader::of(&bytes));
        }
        Ok(())
    }

    /// What a directory of the image is like.
    pub fn directory(&self, path: &Path) -> Option<Metadata> {
        let entry = &self.tree.at(path)?.entry;
        (entry.kind == Kind::Directory).then_some(Metadata {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
        })
    }
}
