//! What of an image a program needs to be loaded: the files and the links on the way to them.
//!
//! A loader's search is not imitated: of each library that is needed, all files of that name and for that machine are
//! taken, each at its own path, with the loader's own cache, so that the loader finds what it would find in the image.

use super::elf::{Info, Machine};
use crate::image::tar_entries::{Entry, Kind};
use crate::image::tree::Tree;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Links followed on the way to one file, as the kernel does.
const LINKS: usize = 40;

/// Files of one name that are taken; no real image has more variants of a library.
const VARIANTS: usize = 32;

/// Libraries of one program.
const LIBRARIES: usize = 2000;

/// What loaders read beside the libraries: their cache, their paths, and what the image preloads already.
const SETTINGS: [&str; 5] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.preload",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-i386.path",
];

/// The image as the self-test knows it.
#[derive(Debug, Default)]
pub struct Map {
    /// What lies where; ELF files with what they say.
    pub tree: Tree<Option<Info>>,
    /// Where files and links of each name are: only of libraries.
    names: HashMap<OsString, Vec<PathBuf>>,
    /// What `/etc/ld.so.preload` says.
    pub preload_file: Vec<u8>,
}

/// What lies at a path of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A symbolic link.
    Link(PathBuf),
    /// The regular file of this path of the image, with its permission bits.
    File(PathBuf, u32),
}

/// What a sandbox holds, by paths that have no symbolic link among their folders.
pub type Items = BTreeMap<PathBuf, Item>;

/// Where a path leads.
pub struct Trace {
    /// The path without a symbolic link in it; nothing need be there.
    pub real: PathBuf,
    /// The links on the way.
    pub links: Vec<(PathBuf, PathBuf)>,
}

impl Map {
    /// Adds one thing of the image.
    pub fn insert(&mut self, entry: &Entry, info: Option<Info>) {
        let is_library = |name: &OsStr| name.as_bytes().windows(3).any(|part| part == b".so");
        if let Some(name) = entry.path.file_name().filter(|name| is_library(name)) {
            if !matches!(entry.kind, Kind::Directory | Kind::Special) {
                let paths = self.names.entry(name.to_owned()).or_default();
                if paths.len() < VARIANTS && !paths.contains(&entry.path) {
                    paths.push(entry.path.clone());
                }
            }
        }
        self.tree.insert(entry.clone(), info);
    }

    /// Follows a path. None where links lead in a circle, or the path is absurd.
    pub fn trace(&self, path: &Path) -> Option<Trace> {
        let mut trace = Trace { real: PathBuf::from("/"), links: Vec::new() };
        let mut parts: Vec<OsString> = Vec::new();
        push(&mut parts, path);
        while let Some(part) = parts.pop() {
            if part == ".." {
                trace.real.pop();
                continue;
            }
            trace.real.push(&part);
            let Some(node) = self.tree.at(&trace.real) else { continue };
            if let Kind::Symlink(target) = &node.entry.kind {
                if trace.links.len() >= LINKS || parts.len() > LONGEST {
                    return None;
                }
                trace.links.push((trace.real.clone(), target.clone()));
                trace.real.pop();
                if target.is_absolute() {
                    trace.real = PathBuf::from("/");
                }
                push(&mut parts, target);
            }
        }
        Some(trace)
    }

    /// What the ELF file says that a path leads to.
    pub fn info(&self, path: &Path) -> Option<&Info> {
        self.tree.resolve(path)?.content.as_ref()
    }

    /// Adds the file that a path leads to, with the links on the way, and says whether there is one.
    fn take(&self, path: &Path, items: &mut Items) -> bool {
        let (Some(trace), Some(node)) = (self.trace(path), self.tree.resolve(path)) else { return false };
        if node.entry.kind != Kind::File {
            return false;
        }
        let links = trace.links.into_iter().map(|(at, target)| (at, Item::Link(target)));
        items.extend(links);
        // A hard link is a file of its own here.
        items.insert(trace.real, Item::File(node.entry.path.clone(), node.entry.mode & 0o777));
        true
    }

    /// All that a program needs: itself, its loader, its libraries and theirs, and what the image preloads: words of
    /// its LD_PRELOAD. The error says what is not there.
    pub fn closure(&self, program: &Path, preloads: &[OsString]) -> Result<Items, String> {
        let mut items = Items::new();
        let info = self.info(program).ok_or("it is no ELF file")?;
        self.take(program, &mut items);
        if let Some(loader) = &info.interpreter {
            if !self.take(loader, &mut items) {
                return Err(format!("its dynamic loader {} is not there", loader.display()));
            }
        }
        for setting in SETTINGS {
            self.take(Path::new(setting), &mut items);
        }
        let mut wanted: Vec<&Info> = vec![info];
        let (machine, mut names) = (info.machine, HashSet::new());
        let mut libraries: Vec<PathBuf> = Vec::new();
        for word in preloads {
            if word.as_bytes().contains(&b'/') {
                libraries.extend(expansions(Path::new(word)));
            } else {
                libraries.extend(self.named(word, machine));
            }
        }
        let mut seen = BTreeSet::new();
        loop {
            for library in libraries.drain(..) {
                if seen.len() < LIBRARIES && seen.insert(library.clone()) && self.take(&library, &mut items) {
                    wanted.extend(self.info(&library));
                }
            }
            let Some(info) = wanted.pop() else { break };
            for name in &info.needed {
                if names.insert(name) {
                    if name.as_bytes().contains(&b'/') {
                        libraries.push(Path::new(&**name).to_path_buf());
                    } else {
                        libraries.extend(self.named(name, machine));
                    }
                }
            }
        }
        Ok(items)
    }

    /// The files and links of a name that lead to a library for a machine.
    fn named<'a>(&'a self, name: &OsStr, machine: Machine) -> impl Iterator<Item = PathBuf> + 'a {
        let paths = self.names.get(name).into_iter().flatten();
        paths.filter(move |path| self.info(path).is_some_and(|info| info.machine == machine)).cloned()
    }
}

/// What a loader may make of `$LIB` (ld.so(8)), which it alone knows.
fn expansions(path: &Path) -> Vec<PathBuf> {
    const FOLDERS: [&str; 6] =
        ["lib", "lib64", "lib32", "lib/x86_64-linux-gnu", "lib/i386-linux-gnu", "libx32"];
    let text = path.to_string_lossy();
    if !text.contains("$LIB") && !text.contains("${LIB}") {
        return vec![path.to_path_buf()];
    }
    let replaced = |folder: &&str| text.replace("${LIB}", folder).replace("$LIB", folder).into();
    FOLDERS.iter().map(replaced).collect()
}

/// Parts of a path still to be walked.
const LONGEST: usize = 4096;

fn push(parts: &mut Vec<OsString>, path: &Path) {
    parts.extend(path.components().rev().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    }));
}

#[cfg(test)]
mod tests {
    use super::super::elf::X86_64;
    use super::*;

    fn map(things: &[(&str, Kind, Option<Info>)]) -> Map {
        let mut map = Map::default();
        for (path, kind, info) in things {
            let entry = Entry {
                path: path.into(),
                kind: kind.clone(),
                mode: 0o4755,
                uid: 0,
                gid: 0,
                size: 0,
                mtime: 0,
                capability: false,
                signed: false,
            };
            map.insert(&entry, info.clone());
        }
        map
    }

    fn elf(interpreter: Option<&str>, needed: &[&str], machine: Machine) -> Option<Info> {
        let needed = needed.iter().map(|name| OsStr::new(name).into()).collect();
        Some(Info { machine, interpreter: interpreter.map(PathBuf::from), is_static: false, needed })
    }

    #[test]
    fn a_program_comes_with_loader_libraries_and_links_and_nothing_else() {
        let link = |target: &str| Kind::Symlink(target.into());
        let library = |needed: &[&str]| elf(None, needed, X86_64);
        let map = map(&[
            ("/bin", link("usr/bin"), None),
            ("/lib64", link("usr/lib64"), None),
            ("/usr/bin/tool", Kind::File, elf(Some("/lib64/ld.so"), &["liba.so.1"], X86_64)),
            ("/usr/bin/other", Kind::File, elf(Some("/lib64/ld.so"), &[], X86_64)),
            ("/usr/lib64/ld.so", link("../lib/ld.so.real"), None),
            ("/usr/lib/ld.so.real", Kind::File, library(&[])),
            ("/usr/lib/liba.so.1", link("liba.so.1.2"), None),
            ("/usr/lib/liba.so.1.2", Kind::File, library(&["libc.so.6", "liba.so.1"])),
            ("/usr/lib32/liba.so.1", Kind::File, elf(None, &["libold.so"], (false, 3))),
            ("/usr/lib/libc.so.6", Kind::File, library(&[])),
            ("/opt/lib/libc.so.6", Kind::Hardlink("/usr/lib/libc.so.6".into()), None),
            ("/usr/lib64/pre.so", Kind::File, library(&[])),
        ]);
        let items = map.closure(Path::new("/bin/tool"), &["/usr/$LIB/pre.so".into()]).unwrap();
        let names: Vec<_> = items.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "/bin",
                "/lib64",
                "/opt/lib/libc.so.6",
                "/usr/bin/tool",
                "/usr/lib/ld.so.real",
                "/usr/lib/liba.so.1",
                "/usr/lib/liba.so.1.2",
                "/usr/lib/libc.so.6",
                "/usr/lib64/ld.so",
                "/usr/lib64/pre.so",
            ]
        );
        // No setuid bit is taken over, and a hard link gives the file's content.
        assert_eq!(items[Path::new("/usr/bin/tool")], Item::File("/usr/bin/tool".into(), 0o755));
        assert_eq!(items[Path::new("/opt/lib/libc.so.6")], Item::File("/usr/lib/libc.so.6".into(), 0o755));
    }

    #[test]
    fn what_leads_nowhere_is_said() {
        let tool = elf(Some("/lib/ld.so"), &["../../etc/passwd", "none.so"], X86_64);
        let link = |target: &str| Kind::Symlink(target.into());
        let mut things = vec![("/tool", Kind::File, tool), ("/lib", link("/lib"), None)];
        let error = map(&things).closure(Path::new("/tool"), &[]).unwrap_err();
        assert!(error.contains("/lib/ld.so is not there"), "{error}");
        things.retain(|(path, ..)| *path != "/lib");
        things.push(("/lib/ld.so", Kind::File, elf(None, &[], X86_64)));
        assert_eq!(map(&things).closure(Path::new("/tool"), &[]).unwrap().len(), 2);
    }
}
