//! Writes the parts of an image as a directory or an archive, which appears under its name when it is whole.

use super::layer::NewLayer;
use super::place::Place;
use crate::failure::Failure;
use crate::image::digest::{Checked, Digest};
use crate::image::store::Store;
use crate::image::{Blob, Form};
use indicatif::ProgressBar;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// Where the bytes of a part come from.
#[derive(Debug)]
pub enum Source<'a> {
    /// They are here.
    Bytes(Vec<u8>),
    /// They are in a file of this size, from its beginning.
    File(File, u64),
    /// They lie in another image, and are held against their digest and size while they are copied.
    Stored(&'a Store, Blob),
}

/// What an image consists of.
#[derive(Default, Debug)]
pub struct Parts<'a> {
    /// `oci-layout`, `index.json`, `manifest.json`: in an archive they stand first, in this order.
    documents: Vec<(String, Vec<u8>)>,
    /// By path (`blobs/sha256/...`), in an archive in this order.
    blobs: BTreeMap<String, Source<'a>>,
}

impl<'a> Parts<'a> {
    /// Adds a document that is no blob, or replaces it.
    pub fn document(&mut self, name: &str, bytes: Vec<u8>) {
        self.documents.retain(|(present, _)| present != name);
        self.documents.push((name.to_string(), bytes));
    }

    /// Leaves out a document.
    pub fn remove_document(&mut self, name: &str) {
        self.documents.retain(|(present, _)| present != name);
    }

    /// Adds a blob under its digest.
    pub fn blob(&mut self, bytes: Vec<u8>) -> (Digest, u64) {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(digest.blob_path(), Source::Bytes(bytes));
        (digest, size)
    }

    /// Adds a new layer under its digest.
    pub fn layer(&mut self, layer: &NewLayer) -> io::Result<()> {
        let file = layer.file.try_clone()?;
        self.blobs.insert(layer.digest.blob_path(), Source::File(file, layer.size));
        Ok(())
    }

    /// Adds a blob at a path, as Docker archives have it.
    pub fn at(&mut self, path: &str, source: Source<'a>) {
        self.blobs.insert(path.to_string(), source);
    }

    /// Whether there is a blob at a path.
    pub fn has(&self, path: &str) -> bool {
        self.blobs.contains_key(path)
    }

    /// Bytes of all blobs together, as far as they are known.
    pub fn size(&self) -> u64 {
        let size = |source: &Source<'_>| match source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(_, size) => *size,
            Source::Stored(store, blob) => store.open(&blob.path).map_or(0, |open| open.size),
        };
        self.blobs.values().map(size).sum()
    }
}

/// Opens a part; with it the bytes that it must have.
fn open<'s>(source: &'s Source<'_>) -> io::Result<(Box<dyn Read + 's>, u64)> {
    Ok(match source {
        Source::Bytes(bytes) => (Box::new(&bytes[..]), bytes.len() as u64),
        Source::File(file, size) => (Box::new(Whole { file, offset: 0 }), *size),
        Source::Stored(store, blob) => {
            let open = store.open(&blob.path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::Error::new(error.kind(), "it is missing"),
                _ => error,
            })?;
            let checked = Checked::new(open.bytes, blob.digest.clone(), Some(blob.size.unwrap_or(open.size)));
            (Box::new(checked), blob.size.unwrap_or(open.size))
        }
    })
}

/// A file from its beginning, wherever its cursor stands.
struct Whole<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// How a blob is named in messages.
fn name<'s>(path: &'s str, source: &'s Source<'_>) -> String {
    match source {
        Source::Stored(_, blob) => blob.name(),
        _ => path.to_string(),
    }
}

/// Copies all bytes of a part, no more and no fewer. An error says whether the part or the output is at fault.
fn copy(what: &str, source: &Source<'_>, out: &mut dyn Write, progress: &ProgressBar) -> Result<(), Failure> {
    let at_fault = |error: io::Error| Failure::new(format!("{what}: {error}"));
    let (mut bytes, _) = open(source).map_err(at_fault)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let length = match bytes.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(at_fault(error)),
        };
        out.write_all(buffer.get(..length).unwrap_or_default()).map_err(cannot_write)?;
        progress.inc(length as u64);
    }
}

fn cannot_write(error: io::Error) -> Failure {
    Failure::new(format!("the output cannot be written: {error}"))
}

/// Whether [`write`] can write there, before all the work is done.
pub fn check(form: Form, to: &Path, force: bool) -> Result<(), Failure> {
    Place::find(form, to, force).map(drop)
}

/// Writes an image to a path, where it appears when it is whole; `-` is standard output, for archives. What is at the
/// path already is replaced only if `force` says so, and stays as it is when anything goes wrong.
pub fn write(
    form: Form,
    to: &Path,
    force: bool,
    parts: &Parts<'_>,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let place = Place::find(form, to, force)?;
    match place {
        Place::Stdout => {
            let out = BufWriter::with_capacity(128 << 10, io::stdout().lock());
            archive(parts, out, progress)?.flush().map_err(cannot_write)
        }
        Place::Open(file) => archive(parts, file, progress)?.flush().map_err(cannot_write),
        Place::File(place) => {
            let out = archive(parts, BufWriter::with_capacity(1 << 20, place.file()), progress)?;
            out.into_inner().map_err(|error| cannot_write(error.into_error()))?;
            place.appear()
        }
        Place::Directory(place) => {
            directory(parts, place.path(), progress)?;
            place.appear()
        }
    }
}

/// Writes an archive; its members are root's, of mode 0644 and of 1970. By hand: `tar::Builder` ends the archive when it
/// is dropped, and half an archive must not look like a whole one.
fn archive<W: Write>(parts: &Parts<'_>, mut out: W, progress: &ProgressBar) -> Result<W, Failure> {
    for (name, bytes) in &parts.documents {
        header(&mut out, EntryType::Regular, name, bytes.len() as u64)?;
        out.write_all(bytes).map_err(cannot_write)?;
        pad(&mut out, bytes.len() as u64)?;
    }
    let mut directories = BTreeSet::new();
    for (path, source) in &parts.blobs {
        for (slash, _) in path.match_indices('/') {
            let directory = path.get(..=slash).unwrap_or_default();
            if directories.insert(directory) {
                header(&mut out, EntryType::Directory, directory, 0)?;
            }
        }
        let what = name(path, source);
        let (_, size) = open(source).map_err(|error| Failure::new(format!("{what}: {error}")))?;
        header(&mut out, EntryType::Regular, path, size)?;
        copy(&what, source, &mut out, progress)?;
        pad(&mut out, size)?;
    }
    out.write_all(&[0; 1024]).map_err(cannot_write)?;
    Ok(out)
}

fn header(out: &mut dyn Write, kind: EntryType, name: &str, size: u64) -> Result<(), Failure> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    if header.set_path(name).is_err() {
        // The blobs of SHA-512: a name that is too long stands in an entry of its own (tar(5), GNU).
        self::header(out, EntryType::GNULongName, "././@LongLink", name.len() as u64 + 1)?;
        out.write_all(name.as_bytes()).and_then(|()| out.write_all(&[0])).map_err(cannot_write)?;
        pad(out, name.len() as u64 + 1)?;
        let start: String = name.chars().take(90).collect();
        header.set_path(start).map_err(cannot_write)?;
    }
    header.set_cksum();
    out.write_all(header.as_bytes()).map_err(cannot_write)
}

/// Fills the last block of a member.
fn pad(out: &mut dyn Write, size: u64) -> Result<(), Failure> {
    let padding = [0; 512];
    let missing = (size.wrapping_neg() % 512) as usize;
    out.write_all(padding.get(..missing).unwrap_or_default()).map_err(cannot_write)
}

/// Fills an empty directory.
fn directory(parts: &Parts<'_>, directory: &Path, progress: &ProgressBar) -> Result<(), Failure> {
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for (path, source) in &parts.blobs {
        let file = directory.join(path);
        if let Some(folder) = file.parent() {
            if folders.insert(folder.to_path_buf()) {
                fs::create_dir_all(folder).map_err(cannot_write)?;
            }
        }
        let mut out = File::create_new(&file).map_err(cannot_write)?;
        copy(&name(path, source), source, &mut out, progress)?;
        out.sync_all().map_err(cannot_write)?;
    }
    for (name, bytes) in &parts.documents {
        let mut out = File::create_new(directory.join(name)).map_err(cannot_write)?;
        out.write_all(bytes).and_then(|()| out.sync_all()).map_err(cannot_write)?;
    }
    for folder in &folders {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot_write)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::write::{Content, LayerBuilder, Packing, scratch};
    use crate::image::{Image, Limits, root};
    use serde_json::{Map, json};

    fn layer(packing: Packing) -> NewLayer {
        let mut layer = LayerBuilder::new(0);
        let content = Content::Bytes(b"content".to_vec());
        layer.file(&Path::new("/usr/lib").join("long".repeat(40)).join("a.so"), 0o755, content);
        layer.symlink(Path::new("/usr/lib/b.so"), Path::new("a.so"));
        layer.finish(packing).unwrap()
    }

    const REF_NAME: &str = "org.opencontainers.image.ref.name";

    fn image(parts: &mut Parts<'_>) {
        let config = json!({ "architecture": "amd64", "os": "linux", "config": {} });
        let layers = [layer(Packing::Gzip), layer(Packing::Plain)];
        scratch::image(parts, config, &layers, Map::new(), json!({ REF_NAME: "a:b" })).unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let progress = ProgressBar::hidden();
        let mut parts = Parts::default();
        image(&mut parts);
        let (a, b, layout) =
            (folder.path().join("a.tar"), folder.path().join("b.tar"), folder.path().join("d"));
        for (form, out) in [(Form::OciArchive, &a), (Form::OciArchive, &b), (Form::OciLayout, &layout)] {
            write(form, out, false, &parts, &progress).unwrap();
            assert!(write(form, out, false, &parts, &progress).is_err());
            write(form, out, true, &parts, &progress).unwrap();
            let image = Image::open(out, &Limits::default(), &progress).unwrap();
            let mut paths = Vec::new();
            let root = image.variants[0].root(&image);
            root::walk(root, &Limits::default(), &progress, &mut |entry, content| {
                let mut text = String::new();
                content.read_to_string(&mut text).unwrap();
                paths.push(format!("{} {text}", entry.path.display()));
                Ok(())
            })
            .unwrap();
            assert!(paths.contains(&format!("/usr/lib/{}/a.so content", "long".repeat(40))), "{paths:?}");
            assert_eq!(paths.len(), 5, "{paths:?}");
        }
        assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_blob_that_is_not_what_it_should_be_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("blob"), "wrong").unwrap();
        let store = Store::Directory(folder.path().to_path_buf());
        let digest = Digest::of(b"right");
        let blob = Blob { path: "blob".into(), digest: Some(digest.clone()), size: Some(5) };
        let mut parts = Parts::default();
        parts.at(&digest.blob_path(), Source::Stored(&store, blob));
        for form in [Form::OciArchive, Form::OciLayout] {
            let out = folder.path().join("out");
            let failure = write(form, &out, false, &parts, &ProgressBar::hidden()).unwrap_err().to_string();
            assert!(failure.contains(&digest.to_string()) && failure.contains("damaged"), "{failure}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
