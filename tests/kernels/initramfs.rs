//! The root of the guest: a cpio archive as the kernel unpacks it at boot.

use object::{Object as _, ObjectSection as _};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An archive in the `newc` format. Two, one behind the other, are as good as one.
#[derive(Clone, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds a file by its absolute path in the guest, with the folders it lies in. A second one is left out.
    pub fn add(&mut self, path: &str, executable: bool, content: &[u8]) {
        for (end, _) in path.match_indices('/').skip(1) {
            self.entry(&path[1..end], 0o040_755, &[]);
        }
        self.entry(&path[1..], if executable { 0o100_755 } else { 0o100_644 }, content);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let number = self.names.len();
        // Inode, mode, owner, group, links, time, size, two devices of two numbers, name's size, checksum.
        let fields = [number, mode as usize, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The archive with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

/// The loader and the libraries that a program needs on this machine, as its own loader lists them.
pub fn needed(program: &Path) -> Vec<PathBuf> {
    let content = read(program);
    let elf = object::File::parse(&*content).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let Some(section) = elf.section_by_name(".interp") else {
        return Vec::new();
    };
    let loader = String::from_utf8(section.data().unwrap().to_vec()).unwrap();
    let loader = loader.trim_end_matches('\0');
    let output = Command::new(loader).arg("--list").arg(program).output();
    let output = output.unwrap_or_else(|e| panic!("{loader} --list {}: {e}", program.display()));
    assert!(output.status.success(), "{loader} --list {}: {output:?}", program.display());
    // `libc.so.6 => /lib/libc.so.6 (0x7f...)`, `/lib64/ld.so (0x7f...)`, `linux-vdso.so.1 (0x7f...)`
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed = listed
        .lines()
        .filter_map(|line| line.rsplit_once(" ("))
        .map(|(line, _)| line.rsplit_once("=> ").map_or(line, |(_, path)| path).trim());
    [loader].into_iter().chain(listed).filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
}

/// A file of this machine.
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
