//! Makes archives for the unit tests and the fuzz targets.

use super::{Image, Limits, digest::Digest};
use crate::failure::Failure;
use indicatif::ProgressBar;
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use tar::{EntryType, Header};

/// A file in memory.
pub fn file(bytes: &[u8]) -> File {
    let memory = rustix::fs::memfd_create("archive", MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(memory);
    file.write_all(bytes).expect("memory");
    file.rewind().expect("memory");
    file
}

/// Adds an entry to a tar archive, without its end.
pub fn entry(archive: &mut Vec<u8>, kind: u8, name: &[u8], link: &[u8], content: &[u8]) {
    let mut put = |kind: EntryType, name: &[u8], link: &[u8], content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        for (field, text) in [(&mut old.name, name), (&mut old.linkname, link)] {
            for (to, from) in field.iter_mut().zip(text) {
                *to = *from;
            }
        }
        header.set_cksum();
        archive.extend(header.as_bytes());
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    };
    for (text, kind) in [(name, EntryType::GNULongName), (link, EntryType::GNULongLink)] {
        if text.len() > 100 {
            put(kind, b"././@LongLink", b"", text);
        }
    }
    put(EntryType::new(kind), name, link, content);
}

/// Ends a tar archive.
pub fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// An archive of files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        entry(&mut archive, b'0', name.as_bytes(), b"", content);
    }
    ended(archive)
}

/// A Docker archive of layers, the lowest first.
pub fn docker(layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config = serde_json::json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids},
    })
    .to_string();
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}.tar")).collect();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": ["a:b"], "Layers": names}]).to_string();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(layers.iter().map(Vec::as_slice)).collect();
    files.push(("config.json", config.as_bytes()));
    files.push(("manifest.json", manifest.as_bytes()));
    archive(&files)
}

/// Opens an archive.
pub fn open(bytes: &[u8], limits: &Limits) -> Result<Image, Failure> {
    Image::archive(file(bytes), "test", limits, &ProgressBar::hidden())
}
