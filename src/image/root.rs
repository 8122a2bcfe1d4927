//! Walks the root filesystem of an image, or one that lies unpacked in a directory, as a container would see it: layers
//! squashed, whiteouts applied, each thing with its content once.
//!
//! Layers are read from the topmost down, each in one pass, so that what an upper layer replaces or removes is known
//! before it is met, and never looked at. As overlayfs has it: what is in an upper layer hides what is below it at the
//! same path; a directory over a directory adds to it; `.wh.NAME` removes NAME from the layers below; `.wh..wh..opq`
//! empties its directory.

use super::compression::{self, Compression};
use super::limits::{self, Limits};
use super::paths::{Id, Paths};
use super::tar_entries::{Entries, Entry, Kind, normal, shown};
use super::{Image, Variant};
use crate::failure::Failure;
use indicatif::ProgressBar;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A root filesystem.
#[derive(Clone, Copy, Debug)]
pub enum Root<'a> {
    /// That of an image.
    Image(&'a Image, &'a Variant),
    /// That in a directory.
    Directory(&'a Path),
}

/// What is done with each thing in a root: its content is read from the second argument, all of it, some, or none.
///
/// A path can come twice, when an archive holds it twice: the later one counts. A hard link whose file an upper layer
/// hides comes as a file with that content.
pub type Visit<'v> = dyn FnMut(&Entry, &mut dyn Read) -> Result<(), Failure> + 'v;

impl Root<'_> {
    /// Bytes that a walk reads: those of the layers as they are packed. Unknown (0) for a directory.
    pub fn packed_size(&self) -> u64 {
        match self {
            Root::Directory(_) => 0,
            Root::Image(image, variant) => {
                let size = |path: &str| image.store.open(path).map_or(0, |open| open.size);
                variant.layers.iter().map(|layer| size(&layer.blob.path)).sum()
            }
        }
    }
}

/// Walks a root. The bar advances by the bytes that were read of the packed layers, or of a directory's files.
pub fn walk(
    root: Root<'_>,
    limits: &Limits,
    progress: &ProgressBar,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    match root {
        Root::Image(image, variant) => {
            let paths = Paths::new(limits.entries);
            let mut squash = Squash { limits, progress, entries: 0, unpacked: 0, paths };
            (0..variant.layers.len()).rev().try_for_each(|number| squash.layer(image, variant, number, visit))
        }
        Root::Directory(directory) => walk_directory(directory, limits, progress, visit),
    }
}

struct Squash<'a> {
    limits: &'a Limits,
    progress: &'a ProgressBar,
    entries: u64,
    unpacked: u64,
    /// What all layers hold that were read so far.
    paths: Paths,
}

/// A file of a layer that the layers above hide: hard links of the same layer may show it yet.
#[derive(Clone, Copy)]
enum Origin {
    /// It is this entry of the layer, counted from 0.
    Hidden(u64),
    /// It is a hard link to a place that shows.
    Shown(Id),
}

/// What is found out about a layer while it is read.
#[derive(Default)]
struct Found {
    hidden: HashMap<Id, Origin>,
    /// The hidden files that are shown under other names, by their numbers.
    lost: HashMap<u64, Vec<Entry>>,
}

impl Squash<'_> {
    fn layer(
        &mut self,
        image: &Image,
        variant: &Variant,
        number: usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let mut found = Found::default();
        self.pass(image, variant, number, &mut |squash, entry, number, content| {
            squash.entry(entry, number, &mut found, content, visit)
        })?;
        let mut lost = found.lost;
        if !lost.is_empty() {
            // Links to what an upper layer replaced: its content is still this layer's.
            self.pass(image, variant, number, &mut |_, file, number, content| {
                let mut first: Option<PathBuf> = None;
                for link in lost.remove(&number).unwrap_or_default() {
                    let path = link.path.clone();
                    let done = match first.clone() {
                        None => visit(&Entry { path: link.path, ..file.clone() }, content),
                        Some(target) => {
                            visit(&Entry { kind: Kind::Hardlink(target), ..link }, &mut io::empty())
                        }
                    };
                    done.map_err(Stop::Failure)?;
                    first.get_or_insert(path);
                }
                Ok(())
            })?;
        }
        self.paths.next_layer();
        Ok(())
    }

    /// Reads a layer from its beginning to its end: `each` gets its entries and their numbers.
    fn pass(
        &mut self,
        image: &Image,
        variant: &Variant,
        number: usize,
        each: &mut Each<'_>,
    ) -> Result<(), Failure> {
        let Some(layer) = variant.layers.get(number) else { return Ok(()) };
        let name = format!("{}: {}", image.name, image.layer_name(variant, number));
        let cannot = |error: Error| Failure::new(format!("{name}: {error}"));
        let mut packed = image.layer_bytes(layer)?;
        {
            let (compression, bytes) =
                compression::unpacked(self.progress.wrap_read(&mut packed)).map_err(cannot)?;
            let left = self.limits.unpacked.saturating_sub(self.unpacked);
            let counted = Bounded { inner: bytes, left, most: self.limits.unpacked };
            // Engines refuse a layer that has another; what is not packed was held against the blob's own already.
            let is_packed = compression != Compression::None;
            let due = layer.diff_id.clone().filter(|id| is_packed || layer.blob.digest.as_ref() != Some(id));
            let mut entries = Entries::new(super::digest::Checked::new(counted, due, None));
            let mut number = 0;
            while let Some(entry) = entries.next_entry().map_err(cannot)? {
                self.entries += 1;
                if self.entries > self.limits.entries {
                    return Err(cannot(Error::other(format!(
                        "the image has more than {} entries",
                        self.limits.entries
                    ))));
                }
                each(self, entry, number, &mut entries).map_err(|stop| match stop {
                    Stop::Damaged(error) => cannot(error),
                    Stop::Failure(failure) => failure,
                })?;
                number += 1;
            }
            let mut rest = entries.into_inner();
            rest.finish().map_err(cannot)?;
            self.unpacked = self.limits.unpacked - rest.into_inner().left;
        }
        packed.finish().map_err(cannot)
    }

    fn entry(
        &mut self,
        mut entry: Entry,
        number: u64,
        found: &mut Found,
        content: &mut dyn Read,
        visit: &mut Visit<'_>,
    ) -> Result<(), Stop> {
        let damaged = |path: &Path, why: &str| {
            Stop::Damaged(Error::new(ErrorKind::InvalidData, format!("{}: {why}", shown(path))))
        };
        if let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.file_name()) {
            if name == OPAQUE {
                let (directory, _) = self.paths.place(parent)?;
                self.paths.empty(directory);
                return Ok(());
            }
            if let Some(removed) = name.as_bytes().strip_prefix(WHITEOUT) {
                if matches!(removed, b"" | b"." | b"..") {
                    return Err(damaged(&entry.path, "a whiteout of no name"));
                }
                // Docker keeps notes of its own under .wh..wh.
                if !removed.starts_with(WHITEOUT) {
                    let (id, _) = self.paths.place(&parent.join(OsStr::from_bytes(removed)))?;
                    self.paths.remove(id);
                }
                return Ok(());
            }
        }
        let target = match &entry.kind {
            Kind::Hardlink(target) => Some(self.paths.place(target)?),
            _ => None,
        };
        let (id, followed) = self.paths.place(&entry.path)?;
        let is_directory = entry.kind == Kind::Directory;
        let hidden = self.paths.is_hidden(id, is_directory);
        let link = match &entry.kind {
            Kind::Symlink(target) => Some(target.as_path()),
            _ => None,
        };
        self.paths.put(id, is_directory, link);
        if followed {
            entry.path = self.path(id)?;
        }
        let Some((target, followed)) = target else {
            if !hidden {
                found.hidden.remove(&id);
                return visit(&entry, content).map_err(Stop::Failure);
            }
            if entry.kind == Kind::File {
                found.hidden.insert(id, Origin::Hidden(number));
            }
            return Ok(());
        };
        let origin = if self.paths.is_hidden(target, false) {
            found.hidden.get(&target).copied()
        } else {
            Some(Origin::Shown(target))
        };
        if hidden {
            if let Some(origin) = origin {
                found.hidden.insert(id, origin);
            }
            return Ok(());
        }
        match origin {
            Some(Origin::Shown(origin)) => {
                if followed || origin != target {
                    entry.kind = Kind::Hardlink(self.path(origin)?);
                }
                visit(&entry, content).map_err(Stop::Failure)
            }
            Some(Origin::Hidden(number)) => {
                found.lost.entry(number).or_default().push(entry);
                Ok(())
            }
            None => Err(damaged(&entry.path, "a hard link to what its layer does not hold")),
        }
    }

    /// The path of a place that links led to.
    fn path(&self, id: Id) -> Result<PathBuf, Stop> {
        let path = self.paths.path(id);
        if path.as_os_str().len() > limits::PATH {
            let why = "links lead to a path that is too long";
            return Err(Stop::Damaged(Error::new(ErrorKind::InvalidData, why)));
        }
        Ok(path)
    }
}

type Each<'e> = dyn FnMut(&mut Squash<'_>, Entry, u64, &mut dyn Read) -> Result<(), Stop> + 'e;

/// Why a layer is not read on.
enum Stop {
    /// It is damaged.
    Damaged(Error),
    /// Who visits does not want to.
    Failure(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Damaged(error)
    }
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Ends with an error after so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let too_large = || {
            Error::new(
                ErrorKind::FileTooLarge,
                format!("the layers have more than {} bytes unpacked", self.most),
            )
        };
        self.left = self.left.checked_sub(length as u64).ok_or_else(too_large)?;
        Ok(length)
    }
}

/// Walks a directory without following links, and without leaving its file system: a root that is mounted somewhere has
/// /proc, /sys and volumes in it.
fn walk_directory(
    root: &Path,
    limits: &Limits,
    progress: &ProgressBar,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    let cannot = |path: &Path, error: Error| Failure::new(format!("{} cannot be read: {error}", shown(path)));
    let device = root.metadata().map_err(|error| cannot(root, error))?.dev();
    let mut entries = 0;
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let mut inside: Vec<PathBuf> = match fs::read_dir(&directory) {
            Ok(list) => {
                let most = usize::try_from(limits.entries).unwrap_or(usize::MAX).saturating_add(1);
                list.filter_map(|entry| Some(entry.ok()?.path())).take(most).collect()
            }
            Err(error) if directory == root => return Err(cannot(root, error)),
            Err(error) => {
                log::warn!("{} was not looked at: {error}", shown(&directory));
                continue;
            }
        };
        inside.sort();
        for path in inside {
            entries += 1;
            if entries > limits.entries {
                return Err(Failure::new(format!(
                    "{} has more than {} entries",
                    shown(root),
                    limits.entries
                )));
            }
            // Gone in between, or no longer to be seen.
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.dev() != device {
                log::info!("{} is another file system, and was not looked at", shown(&path));
                continue;
            }
            let kind = if metadata.is_dir() {
                directories.push(path.clone());
                Kind::Directory
            } else if metadata.is_symlink() {
                match path.read_link() {
                    Ok(target) => Kind::Symlink(target),
                    Err(_) => continue,
                }
            } else if metadata.is_file() {
                Kind::File
            } else {
                Kind::Special
            };
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let Ok(inner) = normal(relative.as_os_str().as_bytes()) else { continue };
            let kind = match kind {
                Kind::File if metadata.nlink() > 1 => match names.entry((metadata.dev(), metadata.ino())) {
                    std::collections::hash_map::Entry::Occupied(first) => Kind::Hardlink(first.get().clone()),
                    std::collections::hash_map::Entry::Vacant(first) => {
                        first.insert(inner.clone());
                        Kind::File
                    }
                },
                kind => kind,
            };
            let mut value = [0; 4096];
            let has = |name: &std::ffi::CStr, value: &mut [u8]| {
                kind == Kind::File && rustix::fs::lgetxattr(&path, name, value).is_ok()
            };
            let entry = Entry {
                path: inner,
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid().into(),
                gid: metadata.gid().into(),
                size: if kind == Kind::File { metadata.len() } else { 0 },
                mtime: u64::try_from(metadata.mtime()).unwrap_or(0),
                capability: has(c"security.capability", &mut value),
                signed: has(c"security.ima", &mut value) || has(c"security.evm", &mut value),
                kind,
            };
            match entry.kind {
                Kind::File => visit(&entry, &mut Lazy { path: &path, progress, file: None })?,
                _ => visit(&entry, &mut io::empty())?,
            }
        }
    }
    Ok(())
}

/// A file that is opened when it is first read: most never are.
struct Lazy<'a> {
    path: &'a Path,
    progress: &'a ProgressBar,
    file: Option<File>,
}

impl Read for Lazy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open_regular(self.path)?),
        };
        let length = file.read(buffer)?;
        self.progress.inc(length as u64);
        Ok(length)
    }
}

/// Opens a file that is still the regular file it was: not through a link, and without waiting for a FIFO.
fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidData, "it is no longer a regular file"));
    }
    Ok(file)
}
