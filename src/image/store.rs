//! Where the blobs and documents of an image lie: in a directory, or in a tar archive that is read at random.

use super::compression::{self, Compression};
use super::limits::{self, Limits};
use super::tar_entries::{Entries, Kind, shown};
use indicatif::ProgressBar;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files by the path they have in an OCI layout or an archive, such as `index.json`.
#[derive(Clone, Debug)]
pub enum Store {
    /// A directory.
    Directory(PathBuf),
    /// A tar archive.
    Archive(Archive),
}

/// A tar archive in a file that can be read at any place.
#[derive(Clone, Debug)]
pub struct Archive {
    file: Arc<File>,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Debug)]
enum Member {
    /// Where its bytes are.
    File { offset: u64, size: u64 },
    /// Another member: `docker save` of before 2024 links layers that are there twice.
    Link(String),
}

impl Archive {
    /// Reads the table of contents of an archive, plain or compressed. What is compressed or cannot be read at random
    /// (standard input) is first copied to a file without a name in the folder for temporary files (`TMPDIR`).
    pub fn open(file: File, limits: &Limits, progress: &ProgressBar) -> io::Result<Archive> {
        let seekable = file.metadata()?.is_file();
        let (compression, mut unpacked) = compression::unpacked(progress.wrap_read(file.try_clone()?))?;
        let file = if compression == Compression::None && seekable {
            drop(unpacked);
            file
        } else {
            spooled(&mut unpacked, limits.unpacked)?
        };
        let file = Arc::new(file);
        let length = file.metadata()?.len();
        let members = members(&Part { file: file.clone(), offset: 0, left: length })?;
        Ok(Archive { file, members })
    }
}

/// Copies a stream to a file that has no name.
fn spooled(stream: &mut dyn Read, most: u64) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let copied = io::copy(&mut stream.take(most.saturating_add(1)), &mut file)?;
    if copied > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes unpacked")));
    }
    file.flush()?;
    Ok(file)
}

/// The table of contents. Entries are found by reading their headers alone: the contents are sought over.
fn members(whole: &Part) -> io::Result<BTreeMap<String, Member>> {
    let mut entries = Entries::new(whole.clone());
    let mut members = BTreeMap::new();
    let mut names = 0;
    while let Some(entry) = entries.next_entry()? {
        let Some(name) = entry.path.strip_prefix("/").ok().and_then(Path::to_str) else { continue };
        let member = match entry.kind {
            Kind::File if entries.is_sparse() => {
                let why = format!("{}: a file with holes; pack it without them", shown(&entry.path));
                return Err(Error::new(ErrorKind::InvalidData, why));
            }
            Kind::File => {
                let offset = entries.inner().offset;
                // Sought over, its end is not seen.
                if offset.checked_add(entry.size).is_none_or(|end| end > whole.left) {
                    let why = format!("{}: the archive is cut off", shown(&entry.path));
                    return Err(Error::new(ErrorKind::UnexpectedEof, why));
                }
                entries.seek_over(Part::advance);
                Member::File { offset, size: entry.size }
            }
            Kind::Symlink(target) => {
                let parent = entry.path.parent().unwrap_or(Path::new("/"));
                Member::Link(flat(&parent.join(target)))
            }
            Kind::Hardlink(target) => Member::Link(flat(&target)),
            Kind::Directory | Kind::Special => continue,
        };
        names += name.len() + if let Member::Link(target) = &member { target.len() } else { 0 };
        if members.len() >= limits::MEMBERS || names > limits::MEMBER_NAMES {
            let why = format!(
                "more than {} members, or {} bytes of their names",
                limits::MEMBERS,
                limits::MEMBER_NAMES
            );
            return Err(Error::new(ErrorKind::InvalidData, why));
        }
        members.insert(name.to_string(), member);
    }
    Ok(members)
}

/// A path of the archive without `.` and `..`, as the name of a member.
fn flat(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

/// A part of a file, read at its own place: several can be read at once.
#[derive(Clone, Debug)]
pub struct Part {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Part {
    /// Passes over some bytes.
    pub fn advance(&mut self, bytes: u64) {
        self.offset = self.offset.saturating_add(bytes);
        self.left = self.left.saturating_sub(bytes);
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..length) else { return Ok(0) };
        let length = self.file.read_at(buffer, self.offset)?;
        self.advance(length as u64);
        Ok(length)
    }
}

/// A file of the store.
pub struct Open {
    /// Its bytes.
    pub bytes: Box<dyn Read + Send>,
    /// How many there are.
    pub size: u64,
}

impl Store {
    /// Opens a file by its path in the store. Its parts come from digests or were checked, so they stay inside.
    pub fn open(&self, name: &str) -> io::Result<Open> {
        match self {
            Store::Directory(directory) => {
                let path = directory.join(name);
                let no_file = || Error::new(ErrorKind::InvalidData, "it is no regular file");
                // Looked at before it is opened, since opening a device may do something; and without waiting for a
                // FIFO that took its place since.
                if !path.metadata()?.is_file() {
                    return Err(no_file());
                }
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Err(no_file());
                }
                let size = metadata.len();
                Ok(Open { bytes: Box::new(file), size })
            }
            Store::Archive(archive) => {
                let mut name = flat(Path::new(name));
                for _ in 0..limits::LINKS {
                    match archive.members.get(&name) {
                        Some(Member::File { offset, size }) => {
                            let part = Part { file: archive.file.clone(), offset: *offset, left: *size };
                            return Ok(Open { bytes: Box::new(part), size: *size });
                        }
                        Some(Member::Link(target)) => name.clone_from(target),
                        None => return Err(ErrorKind::NotFound.into()),
                    }
                }
                Err(Error::new(ErrorKind::InvalidData, "its links lead in a circle"))
            }
        }
    }

    /// The name of the file that a name leads to: members of an archive can be links.
    pub fn real_name(&self, name: &str) -> Option<String> {
        let Store::Archive(archive) = self else { return self.has(name).then(|| name.to_string()) };
        let mut name = flat(Path::new(name));
        for _ in 0..limits::LINKS {
            match archive.members.get(&name)? {
                Member::File { .. } => return Some(name),
                Member::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Store::Directory(directory) => directory.join(name).exists(),
            Store::Archive(archive) => archive.members.contains_key(name),
        }
    }

    /// Reads a document whole.
    pub fn document(&self, name: &str) -> io::Result<Vec<u8>> {
        let open = self.open(name)?;
        if open.size > limits::JSON {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("{} bytes are too many for a document", open.size),
            ));
        }
        let mut bytes = Vec::new();
        // A file may have grown since.
        open.bytes.take(limits::JSON).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
