//! Makes a layer: a tar archive whose bytes depend on nothing but what is put in.

use crate::failure::Failure;
use crate::image::digest::{Digest, Hasher};
use crate::image::tar_entries::shown;
use flate2::{Compression, GzBuilder};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// How a layer is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Not at all, as in Docker archives.
    Plain,
    /// By gzip, without a name or a time in its header.
    Gzip,
}

/// Content of a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Those of a file, read when the layer is made.
    File(PathBuf),
}

/// Who may do what with a thing, and how old it is.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

enum What {
    Directory,
    File(Content),
    Symlink(PathBuf),
}

/// What will be in a layer, by path.
pub struct LayerBuilder {
    things: BTreeMap<PathBuf, (Metadata, What)>,
    mtime: u64,
}

/// A layer as it will lie in an image, in a file without a name.
#[derive(Debug)]
pub struct NewLayer {
    /// Its bytes.
    pub file: File,
    /// How many.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
    /// The digest of the layer unpacked.
    pub diff_id: Digest,
    /// How it is packed.
    pub packing: Packing,
}

impl LayerBuilder {
    /// An empty layer. All that is put in without a time of its own gets this one.
    pub fn new(mtime: u64) -> LayerBuilder {
        LayerBuilder { things: BTreeMap::new(), mtime }
    }

    fn ours(&self, mode: u32) -> Metadata {
        Metadata { mode, uid: 0, gid: 0, mtime: self.mtime }
    }

    /// Adds a file of root's. Paths are absolute, without `.` and `..`.
    pub fn file(&mut self, path: &Path, mode: u32, content: Content) {
        self.things.insert(path.into(), (self.ours(mode), What::File(content)));
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &Path, target: &Path) {
        self.things.insert(path.into(), (self.ours(0o777), What::Symlink(target.into())));
    }

    /// Says what a directory is like that the image has already.
    ///
    /// A layer should hold every directory above its things: what unpacks a layer alone, as overlay drivers do, makes
    /// those that are missing by its own taste (root's, 0755), and they hide the metadata of those below.
    pub fn directory(&mut self, path: &Path, metadata: Metadata) {
        self.things.insert(path.into(), (metadata, What::Directory));
    }

    /// Every path that is in it, and the directories above that are not, in order.
    pub fn parents(&self) -> Vec<PathBuf> {
        let mut parents: Vec<PathBuf> = self
            .things
            .keys()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|path| path.parent().is_some() && !self.things.contains_key(*path))
            .map(Path::to_path_buf)
            .collect();
        parents.sort();
        parents.dedup();
        parents
    }

    /// Makes the layer. Directories that nobody spoke of are root's with mode 0755.
    pub fn finish(mut self, packing: Packing) -> Result<NewLayer, Failure> {
        for parent in self.parents() {
            let metadata = self.ours(0o755);
            self.directory(&parent, metadata);
        }
        let cannot = |error: io::Error| Failure::new(format!("the layer cannot be made: {error}"));
        let file = tempfile::tempfile().map_err(cannot)?;
        let out = Hashed::new(BufWriter::with_capacity(1 << 16, file));
        let (out, diff_id) = match packing {
            Packing::Plain => {
                let out = self.write(out)?;
                let digest = out.hasher.clone().digest();
                (out, digest)
            }
            Packing::Gzip => {
                let out = GzBuilder::new().mtime(0).write(out, Compression::best());
                let unpacked = self.write(Hashed::new(out))?;
                let diff_id = unpacked.hasher.digest();
                (unpacked.inner.finish().map_err(cannot)?, diff_id)
            }
        };
        let (size, digest) = (out.written, out.hasher.digest());
        let mut file = out.inner.into_inner().map_err(|error| cannot(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        Ok(NewLayer { file, size, digest, diff_id, packing })
    }

    fn write<W: Write>(self, out: W) -> Result<W, Failure> {
        let mut archive = tar::Builder::new(out);
        for (path, (metadata, what)) in &self.things {
            let cannot = |error: io::Error| {
                Failure::new(format!("{} cannot be put into the layer: {error}", shown(path)))
            };
            // "usr/lib/": without a slash in front, and with one behind directories, as all writers have it.
            let mut name = path.strip_prefix("/").unwrap_or(path).as_os_str().to_os_string();
            let mut header = Header::new_gnu();
            header.set_mode(metadata.mode);
            header.set_uid(metadata.uid);
            header.set_gid(metadata.gid);
            header.set_mtime(metadata.mtime);
            header.set_size(0);
            let added = match what {
                What::Directory => {
                    name.push("/");
                    header.set_entry_type(EntryType::Directory);
                    archive.append_data(&mut header, name, io::empty())
                }
                What::Symlink(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    archive.append_link(&mut header, name, target)
                }
                What::File(Content::Bytes(bytes)) => {
                    header.set_size(bytes.len() as u64);
                    archive.append_data(&mut header, name, &bytes[..])
                }
                What::File(Content::File(source)) => {
                    let file = File::open(source).map_err(cannot)?;
                    let size = file.metadata().map_err(cannot)?.len();
                    header.set_size(size);
                    archive.append_data(&mut header, name, exactly(file, size))
                }
            };
            added.map_err(cannot)?;
        }
        archive.into_inner().map_err(|error| Failure::new(format!("the layer cannot be made: {error}")))
    }
}

/// A file that must not grow or shrink while it is read.
pub fn exactly(inner: impl Read, size: u64) -> impl Read {
    crate::image::digest::Checked::new(inner, None, Some(size))
}

/// Counts and hashes what goes through.
pub struct Hashed<W> {
    /// Where it goes.
    pub inner: W,
    /// Of all bytes so far.
    pub hasher: Hasher,
    /// How many.
    pub written: u64,
}

impl<W> Hashed<W> {
    /// Nothing so far.
    pub fn new(inner: W) -> Hashed<W> {
        Hashed { inner, hasher: Hasher::default(), written: 0 }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..length).unwrap_or_default());
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
