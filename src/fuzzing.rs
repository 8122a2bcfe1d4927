//! What the fuzz targets (`fuzz/`) call, and what must hold of any bytes.

use crate::image::compression::unpacked;
use crate::image::tar_entries::{Entries, Entry, Kind};
pub use crate::image::testing::entry;
use crate::image::tree::Tree;
use crate::image::{Image, Limits, root, testing};
use indicatif::ProgressBar;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

fn limits() -> Limits {
    Limits { entries: 10_000, unpacked: 16 << 20, file: 1 << 20 }
}

/// A path of a root, whatever was in the archive, stays in the root.
fn stays_inside(path: &Path) {
    assert!(path.is_absolute(), "{path:?}");
    assert!(path.as_os_str().len() <= 4097, "{path:?}");
    assert!(!path.as_os_str().as_bytes().contains(&0), "{path:?}");
    assert!(
        path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_))),
        "{path:?}"
    );
}

fn is_sound(entry: &Entry) {
    stays_inside(&entry.path);
    assert!(entry.mode <= 0o7777);
    assert!(entry.kind == Kind::File || entry.size == 0);
    match &entry.kind {
        Kind::Hardlink(target) => stays_inside(target),
        Kind::Symlink(target) => assert!(target.as_os_str().len() <= 4096),
        _ => {}
    }
    assert!(entry.path != Path::new("/") || entry.kind == Kind::Directory);
}

/// Reads a content, as far as a check would.
fn read(entry: &Entry, content: &mut dyn io::Read) {
    let read = io::copy(&mut content.take(1 << 16), &mut io::sink());
    assert!(read.is_err() || read.is_ok_and(|read| read == entry.size.min(1 << 16)), "{entry:?}");
}

/// Reads a tar archive, perhaps compressed.
pub fn tar(bytes: &[u8]) {
    let Ok((_, stream)) = unpacked(bytes) else { return };
    let mut entries = Entries::new(stream.take(limits().unpacked));
    let mut number = 0;
    while let Ok(Some(entry)) = entries.next_entry() {
        is_sound(&entry);
        number += 1;
        // Some are passed over, some read in part.
        if number % 3 != 0 {
            read(&entry, &mut entries);
        }
    }
    assert!(number <= limits().unpacked / 512);
}

/// Walks the root of an image of these layers, the lowest first.
pub fn layers(layers: &[Vec<u8>]) {
    let image = testing::open(&testing::docker(layers), &limits()).expect("an image");
    walk(&image);
}

/// Opens an archive as an image, and walks all in it.
pub fn image(archive: &[u8]) {
    let Ok(image) = testing::open(archive, &limits()) else { return };
    assert!(!image.variants.is_empty());
    walk(&image);
}

fn walk(image: &Image) {
    for variant in image.variants.iter().take(3) {
        let mut tree = Tree::default();
        let _ = root::walk(variant.root(image), &limits(), &ProgressBar::hidden(), &mut |entry, content| {
            is_sound(entry);
            read(entry, content);
            tree.insert(entry.clone(), ());
            Ok(())
        });
        for node in tree.nodes() {
            for path in
                [&node.entry.path, &node.entry.path.join("..").join("a"), &node.entry.path.join("b/c")]
            {
                let real = tree.real_path(path);
                real.iter().for_each(|path| stays_inside(path));
                let found = tree.resolve(path);
                assert!(
                    found.is_none_or(|node| !matches!(node.entry.kind, Kind::Hardlink(_) | Kind::Symlink(_)))
                );
            }
        }
    }
}

/// Sets the checksums of an archive's headers right, so that what lies behind them is reached.
pub fn with_checksums(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = archive.get_mut(at..at + 512) {
        at += 512;
        if block.iter().all(|&byte| byte == 0) {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let kind = block[156];
        let size = block[124..136]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0_usize, |size, byte| size.wrapping_mul(8).wrapping_add(usize::from(byte & 7)));
        if !matches!(kind, b'1'..=b'6') {
            at = at.saturating_add(size.min(1 << 24).next_multiple_of(512));
        }
    }
}

/// Looks at a file as `evercall check` does.
pub fn elf(bytes: &[u8]) {
    let analysis = crate::check::elf::analyse(bytes, Path::new("/usr/bin/a"));
    let _ = format!("{analysis:?}").len();
}

/// Sums up a log.
pub fn log(bytes: &[u8]) {
    crate::log::sum_up_bytes(bytes);
}

/// Reads a host profile, and a seccomp profile of a container engine.
pub fn profile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    crate::simulate::parse_profiles(text);
}
