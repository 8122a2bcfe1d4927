//! Reads an image twice: what lies where, then the content of the few files that are needed, which go to a file without
//! a name.

use super::closure::Map;
use super::elf::Info;
use crate::failure::Failure;
use crate::image::Limits;
use crate::image::root::{self, Root};
use crate::image::tar_entries::Kind;
use indicatif::ProgressBar;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of an ELF file that is looked into; larger ones are no choice for a test.
const LARGEST: u64 = 256 << 20;

/// Bytes by which a file is known for an ELF file.
const MAGIC: usize = 4;

/// The file of libraries that glibc preloads, and bytes of it that are looked at.
const PRELOAD_FILE: &str = "/etc/ld.so.preload";
const LONGEST_PRELOAD: u64 = 64 << 10;

/// What lies where.
pub fn map(root: Root<'_>, limits: &Limits, progress: &ProgressBar) -> Result<Map, Failure> {
    let mut map = Map::default();
    let mut bytes = Vec::new();
    root::walk(root, limits, progress, &mut |entry, content| {
        bytes.clear();
        let is_file = entry.kind == Kind::File && entry.size >= MAGIC as u64 && entry.size <= LARGEST;
        if is_file && read_elf(content, &mut bytes).is_err() {
            // A file of a directory that we may not read: what needs it is not tested.
            bytes.clear();
        }
        if entry.path == Path::new(PRELOAD_FILE) && entry.kind == Kind::File {
            map.preload_file = bytes.clone();
            // The first bytes are read already.
            let _ = content.take(LONGEST_PRELOAD).read_to_end(&mut map.preload_file);
        }
        map.insert(entry, Info::of(&bytes));
        Ok(())
    })?;
    Ok(map)
}

fn read_elf(content: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    (&mut *content).take(MAGIC as u64).read_to_end(bytes)?;
    if bytes.starts_with(b"\x7fELF") {
        content.take(LARGEST).read_to_end(bytes)?;
    }
    Ok(())
}

/// The content of some files.
#[derive(Debug)]
pub struct Contents {
    file: File,
    /// Where each lies: offset and length.
    places: HashMap<PathBuf, (u64, u64)>,
}

impl Contents {
    /// Reads these files of the image: real paths of regular files.
    pub fn of(
        root: Root<'_>,
        limits: &Limits,
        progress: &ProgressBar,
        wanted: &BTreeSet<&Path>,
    ) -> Result<Contents, Failure> {
        let cannot = |what: &Path, error: io::Error| {
            Failure::new(format!("the self-test cannot take {} out of the image: {error}", what.display()))
        };
        let mut file = tempfile::tempfile().map_err(|error| {
            Failure::new(format!("the self-test cannot make a temporary file (TMPDIR): {error}"))
        })?;
        let mut places = HashMap::new();
        root::walk(root, limits, progress, &mut |entry, content| {
            if entry.kind == Kind::File && wanted.contains(entry.path.as_path()) {
                let copied = file
                    .seek(SeekFrom::End(0))
                    .and_then(|at| Ok((at, io::copy(&mut content.take(LARGEST), &mut file)?)))
                    .map_err(|error| cannot(&entry.path, error))?;
                places.insert(entry.path.clone(), copied);
            }
            Ok(())
        })?;
        Ok(Contents { file, places })
    }

    /// Where a file's content lies in `file()`: offset and length.
    pub fn place(&self, path: &Path) -> Option<(u64, u64)> {
        self.places.get(path).copied()
    }

    /// All of it.
    pub fn file(&self) -> &File {
        &self.file
    }
}
