//! Reads a tar archive of any writer (v7, ustar, pax, GNU) entry by entry, in one pass, with bounds.
//!
//! The `tar` crate decodes the headers. Its own iterator reads long names and pax headers of any size into memory, and
//! splits pax records at newlines, which the binary values of capabilities hold.

use super::limits;
use std::ffi::OsStr;
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and what it says.
    Symlink(PathBuf),
    /// Another name of a file of the same archive, as an absolute path.
    Hardlink(PathBuf),
    /// A device, FIFO or socket.
    Special,
}

/// One entry of an archive, or one file of a directory tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its absolute path in the root: no `.`, no `..`, no slash doubled or at the end.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with setuid (04000), setgid (02000) and sticky (01000).
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Bytes of a regular file; else 0.
    pub size: u64,
    /// When it was changed last, in whole seconds since 1970; what is earlier is 0.
    pub mtime: u64,
    /// Whether it has file capabilities (the extended attribute `security.capability`).
    pub capability: bool,
}

fn damaged(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, why.into())
}

/// A path as text for messages: what a terminal would take for a command is not shown.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The absolute path that a name in an archive means: `./usr//bin/` is `/usr/bin`. A name with `..` or NUL, or longer
/// than PATH_MAX, is an error: it wants to be somewhere else.
pub fn normal(name: &[u8]) -> Result<PathBuf, String> {
    let path = Path::new(OsStr::from_bytes(name));
    if name.len() > limits::PATH || name.contains(&0) {
        let start: String = shown(path).chars().take(80).collect();
        return Err(format!("the name \"{start}\"... is no path"));
    }
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(format!("the name {} leads out of the root by \"..\"", shown(path)));
            }
        }
    }
    Ok(normal)
}

/// What extended headers say of the entry that follows.
#[derive(Default, Clone)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    capability: bool,
    sparse: bool,
}

impl Extended {
    /// Reads pax records: `LENGTH KEY=VALUE\n`, the length counting itself.
    fn pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let broken = || damaged("a pax header is damaged");
        while !records.is_empty() {
            let blank = records.iter().position(|&b| b == b' ').ok_or_else(broken)?;
            let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
            let length = records.get(..blank).and_then(number).ok_or_else(broken)?;
            let length = usize::try_from(length).map_err(|_| broken())?;
            let record = records.get(blank + 1..length).ok_or_else(broken)?;
            let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|&b| b == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or_else(broken)?),
                b"uid" => self.uid = number(value),
                b"gid" => self.gid = number(value),
                // With a fraction, which is not kept.
                b"mtime" => self.mtime = value.split(|&b| b == b'.').next().and_then(number),
                b"SCHILY.xattr.security.capability" | b"LIBARCHIVE.xattr.security.capability" => {
                    self.capability = true;
                }
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = records.get(length..).ok_or_else(broken)?;
        }
        Ok(())
    }
}

/// The archive, at the beginning of an entry's header.
pub struct Entries<R> {
    inner: R,
    /// Bytes of content and padding before the next header.
    left: u64,
    /// Bytes of the content not yet read.
    content: u64,
    global: Extended,
    ended: bool,
}

impl<R: Read> Entries<R> {
    /// The entries of an archive.
    pub fn new(inner: R) -> Entries<R> {
        Entries { inner, left: 0, content: 0, global: Extended::default(), ended: false }
    }

    /// What the archive is read from, at the content of the entry given last.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    /// What is left of what the archive is read from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Passes over the entry given last without reading it: `seek` moves over so many bytes.
    pub fn seek_over(&mut self, seek: impl FnOnce(&mut R, u64)) {
        seek(&mut self.inner, self.left);
        (self.left, self.content) = (0, 0);
    }

    /// The next entry; None at the end of the archive. Its content is then read from `self`.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut extended = self.global.clone();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = |of: Option<u64>| match of {
                Some(size) => Ok(size),
                None => header.entry_size().map_err(|_| damaged("an entry's size is no number")),
            };
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader => {
                    let bytes = self.small(size(None)?)?;
                    let text = || bytes.split(|&b| b == 0).next().unwrap_or_default().to_vec();
                    match kind {
                        EntryType::GNULongName => extended.path = Some(text()),
                        EntryType::GNULongLink => extended.link = Some(text()),
                        EntryType::XHeader => extended.pax(&bytes)?,
                        _ => {
                            self.global.pax(&bytes)?;
                            extended.pax(&bytes)?;
                        }
                    }
                }
                _ => {
                    let size = size(extended.size)?;
                    return self.entry(&header, kind, size, extended).map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        extended: Extended,
    ) -> io::Result<Entry> {
        let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = normal(&name).map_err(damaged)?;
        let link = extended.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
        let of_path = |what: &str| damaged(format!("{}: {what}", shown(&path)));
        if extended.sparse || kind == EntryType::GNUSparse {
            return Err(of_path("sparse files are not read; pack it anew without them"));
        }
        let kind = match kind {
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink | EntryType::Link => {
                let link = link.filter(|link| !link.is_empty() && link.len() <= limits::PATH);
                let link = link.ok_or_else(|| of_path("a link without a target"))?;
                if kind == EntryType::Symlink {
                    Kind::Symlink(PathBuf::from(OsStr::from_bytes(&link)))
                } else {
                    Kind::Hardlink(normal(&link).map_err(|why| of_path(&format!("its link: {why}")))?)
                }
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Special,
            // Old writers mark a directory by the slash alone.
            _ if name.ends_with(b"/") => Kind::Directory,
            // What nobody knows is a file, says POSIX.
            _ => Kind::File,
        };
        // Only files have content: some writers give links the size of what they lead to, and no bytes (as Go's reader).
        let content = if kind == Kind::File { size } else { 0 };
        self.content = content;
        let block = BLOCK as u64;
        self.left = content.checked_next_multiple_of(block).ok_or_else(|| of_path("its size is absurd"))?;
        Ok(Entry {
            size: content,
            mode: header.mode().map_err(|_| of_path("its mode is no number"))? & 0o7777,
            uid: extended
                .uid
                .map_or_else(|| header.uid(), Ok)
                .map_err(|_| of_path("its owner is no number"))?,
            gid: extended
                .gid
                .map_or_else(|| header.gid(), Ok)
                .map_err(|_| of_path("its group is no number"))?,
            // A time that is no number is nobody's harm.
            mtime: extended.mtime.or_else(|| header.mtime().ok()).unwrap_or(0),
            capability: extended.capability,
            path,
            kind,
        })
    }

    /// Reads the content of an extended header.
    fn small(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > limits::EXTENDED_HEADER {
            return Err(damaged(format!("an extended header of {size} bytes")));
        }
        self.content = size;
        self.left = size.next_multiple_of(BLOCK as u64);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes over what is left of an entry.
    fn skip(&mut self) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.inner).take(self.left), &mut io::sink())?;
        // Whatever Go reads may end within the padding of its last entry, and `umoci insert` writes such layers.
        if skipped < self.content {
            return Err(cut_off());
        }
        (self.left, self.content) = (0, 0);
        Ok(())
    }

    /// The next header. Two blocks of zeros end an archive, and so does its mere end.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut zeros = 0;
        while !self.ended {
            let mut block = [0; BLOCK];
            if !read_block(&mut self.inner, &mut block)? {
                self.ended = true;
                break;
            }
            if block.iter().all(|&b| b == 0) {
                zeros += 1;
                self.ended = zeros == 2;
                continue;
            }
            let header = Header::from_byte_slice(&block).clone();
            let sum: u32 = block
                .iter()
                .enumerate()
                .map(|(at, &b)| if (148..156).contains(&at) { 32 } else { b.into() })
                .sum();
            if header.cksum().ok() != Some(sum) {
                return Err(damaged(
                    "a header's checksum is wrong: this is no tar archive, or a damaged one",
                ));
            }
            return Ok(Some(header));
        }
        Ok(None)
    }
}

fn cut_off() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the archive is cut off")
}

/// Fills a block; false at the end of the stream.
fn read_block(inner: &mut impl Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match inner.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(cut_off()),
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The content of the entry that [`Entries::next_entry`] gave last.
impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..length).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let length = self.inner.read(buffer)?;
        if length == 0 {
            return Err(cut_off());
        }
        self.content = self.content.saturating_sub(length as u64);
        self.left = self.left.saturating_sub(length as u64);
        Ok(length)
    }
}
