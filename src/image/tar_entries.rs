//! Reads a tar archive of any writer (v7, ustar, pax, GNU, star) entry by entry, in one pass, with bounds.
//!
//! What an archive means where its headers contradict each other is as Go's archive/tar has it, for the reason given in
//! `tar_header`. The `tar` crate's reader holds long names and pax headers of any size in memory, splits pax
//! records at newlines, which the binary values of capabilities hold, and takes global pax headers for no harm.

use super::limits;
use super::tar_header::{BLOCK, Header, more_pieces};
use super::tar_sparse::{Map, Records};
use std::ffi::OsStr;
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

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
    /// Bytes of a regular file, with its holes; else 0.
    pub size: u64,
    /// When it was changed last, in whole seconds since 1970; what is earlier is 0.
    pub mtime: u64,
    /// Whether it has file capabilities (the extended attribute `security.capability`).
    pub capability: bool,
    /// Whether its content is signed for the kernel's appraisal (`security.ima`, `security.evm`): a changed copy would not
    /// be executed.
    pub signed: bool,
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
    // Its start is enough for a message.
    let start = || shown(path).chars().take(200).collect::<String>();
    if name.len() > limits::PATH || name.contains(&0) {
        return Err(format!("the name \"{}\"... is no path", start()));
    }
    let mut normal = PathBuf::with_capacity(name.len() + 1);
    normal.push("/");
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(format!("the name {} leads out of the root by \"..\"", start()));
            }
        }
    }
    Ok(normal)
}

/// What a pax header says of the entry that follows. A value that is empty says nothing.
#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<i64>,
    gid: Option<i64>,
    mtime: Option<u64>,
    capability: bool,
    signed: bool,
    sparse: Records,
}

impl Pax {
    /// Reads pax records: `LENGTH KEY=VALUE\n`, the length counting itself.
    fn new(mut records: &[u8]) -> io::Result<Pax> {
        let broken = || damaged("a pax header is damaged");
        let mut pax = Pax::default();
        while !records.is_empty() {
            let blank = records.iter().position(|&b| b == b' ').ok_or_else(broken)?;
            let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<i64>().ok();
            let length = records.get(..blank).and_then(number).ok_or_else(broken)?;
            let length = usize::try_from(length).map_err(|_| broken())?;
            let record = records.get(blank + 1..length).ok_or_else(broken)?;
            let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|&b| b == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let given = !value.is_empty();
            let text = || Some(value.to_vec()).filter(|_| given);
            let number = || match number(value) {
                Some(number) => Ok(Some(number)),
                None if given => Err(broken()),
                None => Ok(None),
            };
            match key {
                b"path" => pax.path = text(),
                b"linkpath" => pax.link = text(),
                b"size" => {
                    pax.size = number()?.map(u64::try_from).transpose().map_err(|_| broken())?;
                }
                b"uid" => pax.uid = number()?,
                b"gid" => pax.gid = number()?,
                // With a fraction, which is not kept; what is earlier than 1970 is 0.
                b"mtime" => {
                    let seconds = value.split(|&b| b == b'.').next().unwrap_or_default();
                    pax.mtime = std::str::from_utf8(seconds).ok().and_then(|seconds| seconds.parse().ok());
                }
                b"SCHILY.xattr.security.capability" | b"LIBARCHIVE.xattr.security.capability" => {
                    pax.capability = given;
                }
                b"SCHILY.xattr.security.ima" | b"SCHILY.xattr.security.evm" => pax.signed = given,
                _ => {
                    if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        pax.sparse.take(key, value).ok_or_else(broken)?;
                    }
                }
            }
            records = records.get(length..).ok_or_else(broken)?;
        }
        Ok(pax)
    }
}

/// The archive, at the beginning of an entry's header.
pub struct Entries<R> {
    inner: R,
    /// Bytes of content and padding before the next header.
    left: u64,
    /// Bytes of the content, as it is stored, not yet read.
    content: u64,
    /// Where the content lies in its file, when that has holes.
    map: Option<Map>,
    ended: bool,
    /// What is passed over is read into this.
    scratch: Box<[u8]>,
}

const SCRATCH: usize = 64 << 10;

impl<R: Read> Entries<R> {
    /// The entries of an archive.
    pub fn new(inner: R) -> Entries<R> {
        let scratch = vec![0; SCRATCH].into();
        Entries { inner, left: 0, content: 0, map: None, ended: false, scratch }
    }

    /// What the archive is read from, at the content of the entry given last.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    /// What is left of what the archive is read from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Whether the entry given last is a file with holes, whose content does not lie there as it is.
    pub fn is_sparse(&self) -> bool {
        self.map.is_some()
    }

    /// Passes over the entry given last without reading it: `seek` moves over so many bytes.
    pub fn seek_over(&mut self, seek: impl FnOnce(&mut R, u64)) {
        seek(&mut self.inner, self.left);
        (self.left, self.content) = (0, 0);
    }

    /// The next entry; None at the end of the archive. Its content is then read from `self`.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let (mut name, mut link, mut pax) = (Vec::new(), Vec::new(), Pax::default());
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.size().ok_or_else(|| damaged("an entry's size is no number"));
            let text = |bytes: Vec<u8>| bytes.split(|&b| b == 0).next().unwrap_or_default().to_vec();
            match header.kind() {
                b'L' => name = text(self.small(size?)?),
                b'K' => link = text(self.small(size?)?),
                b'x' => pax = Pax::new(&self.small(size?)?)?,
                // Of global pax headers nothing goes on to the entries, in Go.
                b'g' => drop(Pax::new(&self.small(size?)?)?),
                kind => {
                    let size = match pax.size {
                        Some(size) => size,
                        None => size?,
                    };
                    return self.entry(&header, kind, size, name, link, pax).map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: u8,
        size: u64,
        long_name: Vec<u8>,
        long_link: Vec<u8>,
        pax: Pax,
    ) -> io::Result<Entry> {
        let given = |long: Vec<u8>, pax: Option<Vec<u8>>, short: Vec<u8>| {
            if long.is_empty() { pax.unwrap_or(short) } else { long }
        };
        let mut name = given(long_name, pax.path, header.name());
        let link = given(long_link, pax.link, header.link());
        let is_old_directory = kind == 0 && name.ends_with(b"/");
        if let Some(of_sparse) = pax.sparse.name.clone() {
            name = of_sparse;
        }
        let path = normal(&name).map_err(damaged)?;
        let of_path = |what: &str| damaged(format!("{}: {what}", shown(&path)));
        let kind = match kind {
            b'5' => Kind::Directory,
            b'1' | b'2' => {
                if link.is_empty() || link.len() > limits::PATH || link.contains(&0) {
                    return Err(of_path("a link without a target"));
                }
                if kind == b'2' {
                    Kind::Symlink(PathBuf::from(OsStr::from_bytes(&link)))
                } else {
                    Kind::Hardlink(normal(&link).map_err(|why| of_path(&format!("its link: {why}")))?)
                }
            }
            b'3' | b'4' | b'6' => Kind::Special,
            // Old writers mark a directory by the slash alone.
            _ if is_old_directory => Kind::Directory,
            // What nobody knows is a file, says POSIX.
            _ => Kind::File,
        };
        if path == Path::new("/") && kind != Kind::Directory {
            return Err(of_path("the root is no directory"));
        }
        // Only files have content: some writers give links the size of what they lead to, and no bytes (as Go's reader).
        self.content = if kind == Kind::File { size } else { 0 };
        let padded = self.content.checked_next_multiple_of(BLOCK as u64);
        self.left = padded.ok_or_else(|| of_path("its size is absurd"))?;
        let mut size = self.content;
        if kind == Kind::File {
            let map =
                if header.kind() == b'S' { self.old_map(header).map(Some) } else { pax.sparse.map(self) };
            self.map = map.map_err(|error| of_path(&error.to_string()))?;
            if let Some(map) = &self.map {
                if map.stored() != self.content {
                    return Err(of_path("the map of its holes does not fit its content"));
                }
                size = map.size;
            }
        }
        let mode = header.mode().ok_or_else(|| of_path("its mode is no number"))?;
        let number = |pax: Option<i64>, header: Option<i64>, what| {
            // Below 0: nobody's, so the largest of all.
            pax.or(header)
                .map(|number| u64::try_from(number).unwrap_or(u64::MAX))
                .ok_or_else(|| of_path(what))
        };
        Ok(Entry {
            size,
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            uid: number(pax.uid, header.uid(), "its owner is no number")?,
            gid: number(pax.gid, header.gid(), "its group is no number")?,
            capability: pax.capability,
            signed: pax.signed,
            // A time that is no number is nobody's harm.
            mtime: pax.mtime.or_else(|| header.mtime()).unwrap_or(0),
            path,
            kind,
        })
    }

    /// The map of a sparse file in GNU's old form, which goes on in blocks of its own behind the header.
    fn old_map(&mut self, header: &Header) -> io::Result<Map> {
        let broken = || damaged("the map of its holes is damaged");
        let size = header.real_size().ok_or_else(broken)?;
        let (mut pieces, mut more) = header.pieces().ok_or_else(broken)?;
        while more {
            let mut block = [0; BLOCK];
            if !read_block(&mut self.inner, &mut block)? {
                return Err(cut_off());
            }
            let (next, goes_on) = more_pieces(&block).ok_or_else(broken)?;
            pieces.extend(next);
            more = goes_on;
            if pieces.len() > limits::SPARSE_PIECES {
                return Err(broken());
            }
        }
        Map::new(pieces, size)
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
        self.map = None;
        while self.left > 0 {
            let length = usize::try_from(self.left).map_or(SCRATCH, |left| left.min(SCRATCH));
            let Some(buffer) = self.scratch.get_mut(..length) else { break };
            match self.inner.read(buffer) {
                Ok(0) if self.content > 0 => return Err(cut_off()),
                // The last padding may be missing, as in what `umoci insert` writes, and Go's reader takes that.
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(length) => {
                    self.left = self.left.saturating_sub(length as u64);
                    self.content = self.content.saturating_sub(length as u64);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.left, self.content) = (0, 0);
        Ok(())
    }

    /// The next header. Two blocks of zeros end an archive, and so does its mere end.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut block = [0; BLOCK];
        if self.ended || !read_block(&mut self.inner, &mut block)? {
            self.ended = true;
            return Ok(None);
        }
        if Header::ends(&block) {
            self.ended = true;
            if read_block(&mut self.inner, &mut block)? && !Header::ends(&block) {
                return Err(damaged("a block of zeros amid the archive"));
            }
            return Ok(None);
        }
        let wrong = "a header's checksum is wrong: this is no tar archive, or a damaged one";
        Header::new(block).map(Some).ok_or_else(|| damaged(wrong))
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
        let mut stored = Stored { inner: &mut self.inner, left: &mut self.left, content: &mut self.content };
        match &mut self.map {
            Some(map) => map.read(buffer, &mut stored),
            None => stored.read(buffer),
        }
    }
}

/// The content as it is stored.
struct Stored<'a, R> {
    inner: &'a mut R,
    left: &'a mut u64,
    content: &'a mut u64,
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(*self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..length).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let length = self.inner.read(buffer)?;
        if length == 0 {
            return Err(cut_off());
        }
        *self.content = self.content.saturating_sub(length as u64);
        *self.left = self.left.saturating_sub(length as u64);
        Ok(length)
    }
}
