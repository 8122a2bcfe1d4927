//! Reads a root once and looks into its programs, libraries and scripts on several threads, each content once.

use super::elf::facts::Analysis;
use crate::failure::Failure;
use crate::image::Limits;
use crate::image::root::{self, Root};
use crate::image::tar_entries::{Entry, Kind};
use crate::image::tree::Tree;
use indicatif::ProgressBar;
use parking_lot::{Condvar, Mutex};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Bytes of files that wait for a thread or are on one. A file that is larger goes alone.
const IN_FLIGHT: u64 = 128 << 20;

/// Bytes that are looked at of a script: `BINPRM_BUF_SIZE` is 256, and env(1) has no more to read.
const SCRIPT: u64 = 1024;

/// Bytes of a text file that is kept.
const TEXT: u64 = 64 << 10;

/// Texts that are kept.
const TEXTS: usize = 10_000;

/// One content: of a file, or of several that are equal.
#[derive(Debug)]
pub struct Looked {
    /// What it is.
    pub analysis: Analysis,
}

/// Where a content's analysis will be: the walk goes on while threads look.
type Slot = Arc<OnceLock<Arc<Looked>>>;

/// What is kept of a thing in the root.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing: it is no program, library or script.
    Nothing,
    /// What it is.
    Looked(Arc<OnceLock<Arc<Looked>>>),
    /// A text that says where libraries lie, or what a runtime is.
    Text(Arc<[u8]>),
}

impl Content {
    /// What a program, library or script is.
    pub fn looked(&self) -> Option<&Arc<Looked>> {
        match self {
            Content::Looked(slot) => slot.get(),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A root, looked at.
pub struct Scanned {
    /// All that is in it.
    pub tree: Tree<Content>,
    /// Files that were not looked into, and why.
    pub passed_over: Vec<(PathBuf, String)>,
    /// Bytes of ELF files, each content as often as it comes.
    pub bytes: u64,
}

/// Whether a text is kept, by its path.
pub type Wanted<'a> = &'a dyn Fn(&Path) -> bool;

struct Job {
    bytes: Vec<u8>,
    path: PathBuf,
    slot: Slot,
    _room: Room,
}

/// Reads a root. `analyse` is called once for each content.
pub fn scan(
    root: Root<'_>,
    limits: &Limits,
    jobs: NonZeroUsize,
    progress: &ProgressBar,
    wanted: Wanted<'_>,
    analyse: &(dyn Fn(&[u8], &Path) -> Analysis + Sync),
) -> Result<Scanned, Failure> {
    let known: Mutex<HashMap<[u8; 32], Slot>> = Mutex::default();
    let gate = Arc::new(Gate::default());
    // A job holds room at the gate, so the queue needs no bound of its own.
    let (send, receive) = crossbeam_channel::unbounded::<Job>();
    std::thread::scope(|scope| {
        for _ in 0..jobs.get() {
            let (receive, known) = (receive.clone(), &known);
            scope.spawn(move || {
                for job in receive {
                    let digest: [u8; 32] = Sha256::digest(&job.bytes).into();
                    let content = known.lock().entry(digest).or_default().clone();
                    let looked =
                        content.get_or_init(|| Arc::new(Looked { analysis: analyse(&job.bytes, &job.path) }));
                    let _ = job.slot.set(looked.clone());
                }
            });
        }
        drop(receive);
        let mut scanned = Scanned { tree: Tree::default(), passed_over: Vec::new(), bytes: 0 };
        let mut texts = 0;
        root::walk(root, limits, progress, &mut |entry, content| {
            let kept = match entry.kind {
                Kind::File => {
                    file(entry, content, limits, &gate, &send, &mut scanned, &mut texts, wanted, analyse)?
                }
                _ => Content::Nothing,
            };
            scanned.tree.insert(entry.clone(), kept);
            Ok(())
        })?;
        drop(send);
        Ok(scanned)
    })
}

#[allow(clippy::too_many_arguments, reason = "the state of one walk")]
fn file(
    entry: &Entry,
    content: &mut dyn Read,
    limits: &Limits,
    gate: &Arc<Gate>,
    send: &crossbeam_channel::Sender<Job>,
    scanned: &mut Scanned,
    texts: &mut usize,
    wanted: Wanted<'_>,
    analyse: &(dyn Fn(&[u8], &Path) -> Analysis + Sync),
) -> Result<Content, Failure> {
    let mut first = Vec::with_capacity(4);
    let fault = |error: io::Error| format!("it cannot be read: {error}");
    if entry.size < 4 {
        return Ok(Content::Nothing);
    }
    if let Err(error) = content.take(4).read_to_end(&mut first) {
        scanned.passed_over.push((entry.path.clone(), fault(error)));
        return Ok(Content::Nothing);
    }
    let slot = Arc::new(OnceLock::new());
    if first.starts_with(b"\x7fELF") {
        if entry.size > limits.file {
            let why = format!("it has {} bytes, above the limit of {} (--max-file)", entry.size, limits.file);
            scanned.passed_over.push((entry.path.clone(), why));
            return Ok(Content::Nothing);
        }
        let room = gate.enter(entry.size);
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size.min(IN_FLIGHT)).unwrap_or_default());
        bytes.extend_from_slice(&first);
        // A file of a directory may grow meanwhile.
        if let Err(error) = content.take(limits.file - 4).read_to_end(&mut bytes) {
            scanned.passed_over.push((entry.path.clone(), fault(error)));
            return Ok(Content::Nothing);
        }
        scanned.bytes += bytes.len() as u64;
        let job = Job { bytes, path: entry.path.clone(), slot: slot.clone(), _room: room };
        send.send(job).map_err(|_| Failure::new("the threads that look into files have ended"))?;
        return Ok(Content::Looked(slot));
    }
    if first.starts_with(b"#!") {
        if let Err(error) = content.take(SCRIPT - 4).read_to_end(&mut first) {
            scanned.passed_over.push((entry.path.clone(), fault(error)));
            return Ok(Content::Nothing);
        }
        let looked = Looked { analysis: analyse(&first, &entry.path) };
        let _ = slot.set(Arc::new(looked));
        return Ok(Content::Looked(slot));
    }
    if wanted(&entry.path) && *texts < TEXTS {
        *texts += 1;
        if content.take(TEXT - 4).read_to_end(&mut first).is_ok() {
            return Ok(Content::Text(first.into()));
        }
    }
    Ok(Content::Nothing)
}

/// Lets in so many bytes at a time.
#[derive(Default)]
struct Gate {
    inside: Mutex<u64>,
    left: Condvar,
}

/// Room behind the gate, given back when it is dropped.
struct Room {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    fn enter(self: &Arc<Gate>, bytes: u64) -> Room {
        let bytes = bytes.min(IN_FLIGHT);
        let mut inside = self.inside.lock();
        while *inside + bytes > IN_FLIGHT {
            self.left.wait(&mut inside);
        }
        *inside += bytes;
        Room { gate: self.clone(), bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *self.gate.inside.lock() -= self.bytes;
        self.gate.left.notify_all();
    }
}

/// Looks into one file alone, as if it stood in a root that holds nothing else.
pub fn single(path: &Path, analyse: &dyn Fn(&[u8], &Path) -> Analysis) -> io::Result<Scanned> {
    let bytes = std::fs::read(path)?;
    let looked = Looked { analysis: analyse(&bytes, path) };
    let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata()?);
    let entry = Entry {
        path: path.to_path_buf(),
        kind: Kind::File,
        // Whoever asks about it means to run it.
        mode: (mode & 0o7777) | 0o111,
        uid: 0,
        gid: 0,
        size: bytes.len() as u64,
        capability: false,
        mtime: 0,
        signed: false,
    };
    let slot = OnceLock::new();
    let _ = slot.set(Arc::new(looked));
    let mut tree = Tree::default();
    tree.insert(entry, Content::Looked(Arc::new(slot)));
    Ok(Scanned { tree, passed_over: Vec::new(), bytes: bytes.len() as u64 })
}
