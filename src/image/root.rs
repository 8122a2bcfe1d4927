//! Walks the root filesystem of an image, or one that lies unpacked in a directory, as a container would see it: layers
//! squashed, whiteouts applied, each thing with its content once.
//!
//! Layers are read from the topmost down, each in one pass, so that what an upper layer replaces or removes is known
//! before it is met, and never looked at. As overlayfs has it: what is in an upper layer hides what is below it at the
//! same path; a directory over a directory adds to it; `.wh.NAME` removes NAME from the layers below; `.wh..wh..opq`
//! empties its directory.

use super::compression;
use super::limits::Limits;
use super::tar_entries::{Entries, Entry, Kind, normal, shown};
use super::{Image, Variant};
use crate::failure::Failure;
use indicatif::ProgressBar;
use std::collections::{HashMap, HashSet};
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
            let mut squash = Squash {
                limits,
                progress,
                entries: 0,
                unpacked: 0,
                seen: HashMap::new(),
                gone: HashSet::new(),
            };
            (0..variant.layers.len()).rev().try_for_each(|number| squash.layer(image, variant, number, visit))
        }
        Root::Directory(directory) => walk_directory(directory, limits, progress, visit),
    }
}

/// What the layers read so far hold at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A directory: what lower layers have in it shows.
    Directory,
    /// Anything else, or a directory that hides all below it.
    Opaque,
}

struct Squash<'a> {
    limits: &'a Limits,
    progress: &'a ProgressBar,
    entries: u64,
    unpacked: u64,
    /// By all layers above the one that is read.
    seen: HashMap<PathBuf, Seen>,
    /// Paths that upper layers removed.
    gone: HashSet<PathBuf>,
}

impl Squash<'_> {
    fn layer(
        &mut self,
        image: &Image,
        variant: &Variant,
        number: usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let mut news = News::default();
        self.pass(image, variant, number, &mut news, None, visit)?;
        let lost = std::mem::take(&mut news.lost);
        if !lost.is_empty() {
            // A link to what an upper layer replaced: its content is still this layer's.
            self.pass(image, variant, number, &mut News::default(), Some(&lost), visit)?;
        }
        let opaque = news.opaque.into_iter().map(|path| (path, Seen::Opaque));
        for (path, seen) in news.seen.into_iter().chain(opaque) {
            // A directory of an upper layer that hides what is below goes on hiding it.
            let known = self.seen.entry(path).or_insert(seen);
            if seen == Seen::Opaque {
                *known = Seen::Opaque;
            }
        }
        self.gone.extend(news.gone);
        Ok(())
    }

    /// Reads a layer from its beginning to its end. `lost`: only those files are given, under the names they map to.
    fn pass(
        &mut self,
        image: &Image,
        variant: &Variant,
        number: usize,
        news: &mut News,
        lost: Option<&HashMap<PathBuf, Vec<PathBuf>>>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let Some(layer) = variant.layers.get(number) else { return Ok(()) };
        let name = format!("{}: {}", image.name, image.layer_name(variant, number));
        let cannot = |error: Error| Failure::new(format!("{name}: {error}"));
        let mut packed = image.layer_bytes(layer)?;
        {
            let (_, bytes) = compression::unpacked(self.progress.wrap_read(&mut packed)).map_err(cannot)?;
            let left = self.limits.unpacked.saturating_sub(self.unpacked);
            let counted = Bounded { inner: bytes, left, most: self.limits.unpacked };
            // The unpacked digest is looked at only where there is no other, as in Docker's archives.
            let due = layer.diff_id.clone().filter(|_| layer.blob.digest.is_none());
            let mut entries = Entries::new(super::digest::Checked::new(counted, due, None));
            while let Some(entry) = entries.next_entry().map_err(cannot)? {
                self.entries += 1;
                if self.entries > self.limits.entries {
                    return Err(cannot(Error::other(format!(
                        "the image has more than {} entries",
                        self.limits.entries
                    ))));
                }
                match lost {
                    None => self.entry(entry, news, &mut entries, visit)?,
                    Some(lost) => {
                        for path in lost.get(&entry.path).into_iter().flatten() {
                            let entry = Entry { path: path.clone(), ..entry.clone() };
                            visit(&entry, &mut entries)?;
                        }
                    }
                }
            }
            let mut rest = entries.into_inner();
            rest.finish().map_err(cannot)?;
            self.unpacked = self.limits.unpacked - rest.into_inner().left;
        }
        packed.finish().map_err(cannot)
    }

    fn entry(
        &self,
        entry: Entry,
        news: &mut News,
        content: &mut dyn Read,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let path = entry.path.as_path();
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            if name == OPAQUE {
                news.opaque.push(parent.to_path_buf());
                news.directories(parent);
                return Ok(());
            }
            if let Some(removed) =
                name.as_bytes().strip_prefix(WHITEOUT).filter(|removed| !removed.is_empty())
            {
                // Docker keeps notes of its own under .wh..wh.
                if !removed.starts_with(WHITEOUT) {
                    news.gone.push(parent.join(OsStr::from_bytes(removed)));
                }
                return Ok(());
            }
            news.directories(parent);
        }
        let hidden = self.hides(path);
        let seen = if entry.kind == Kind::Directory { Seen::Directory } else { Seen::Opaque };
        news.seen.insert(path.to_path_buf(), seen);
        if hidden {
            return Ok(());
        }
        if let Kind::Hardlink(target) = &entry.kind {
            if self.hides(target) {
                news.lost.entry(target.clone()).or_default().push(path.to_path_buf());
                return Ok(());
            }
        }
        visit(&entry, content)
    }

    /// Whether the layers above hide a path of this one.
    fn hides(&self, path: &Path) -> bool {
        self.seen.contains_key(path)
            || self.gone.contains(path)
            || path
                .ancestors()
                .skip(1)
                .any(|above| self.gone.contains(above) || self.seen.get(above) == Some(&Seen::Opaque))
    }
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What one layer says of the layers below it. Its whiteouts do not touch itself.
#[derive(Default)]
struct News {
    seen: HashMap<PathBuf, Seen>,
    opaque: Vec<PathBuf>,
    gone: Vec<PathBuf>,
    /// Files that upper layers hide, and the names that this layer's links keep them under.
    lost: HashMap<PathBuf, Vec<PathBuf>>,
}

impl News {
    /// A thing in a directory makes that directory, whether it is an entry of its own or not.
    fn directories(&mut self, directory: &Path) {
        for path in directory.ancestors() {
            if self.seen.get(path) == Some(&Seen::Directory) {
                return;
            }
            self.seen.insert(path.to_path_buf(), Seen::Directory);
        }
    }
}

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
            Ok(list) => list.filter_map(|entry| Some(entry.ok()?.path())).collect(),
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
            let mut capability = [0; 64];
            let entry = Entry {
                path: inner,
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid().into(),
                gid: metadata.gid().into(),
                size: if kind == Kind::File { metadata.len() } else { 0 },
                mtime: u64::try_from(metadata.mtime()).unwrap_or(0),
                capability: kind == Kind::File
                    && rustix::fs::lgetxattr(&path, c"security.capability", &mut capability).is_ok(),
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
