//! Finds what is loaded with a program inside the root: its dynamic loader and its libraries, as ld.so(8) and musl look
//! for them.

use super::elf::facts::{Analysis, Architecture, Elf, Export, Kind, LibcKind};
use super::scan::{Content, Looked};
use crate::image::tar_entries::Kind as EntryKind;
use crate::image::tree::{Node, Tree};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An object of the root: an ELF file, by its content.
#[derive(Debug)]
pub struct Object {
    /// A path of it, without symbolic links.
    pub path: PathBuf,
    /// Its content.
    pub looked: Arc<Looked>,
    /// Exports by name.
    exports: HashMap<String, Vec<u32>>,
}

impl Object {
    /// What the file says.
    pub fn elf(&self) -> &Elf {
        match &self.looked.analysis {
            Analysis::Elf(elf) => elf,
            // Objects are made of ELF files alone.
            _ => unreachable!("an object is an ELF file"),
        }
    }

    /// Whether it is (part of) a C library or its loader.
    pub fn is_libc(&self) -> bool {
        self.elf().libc.as_ref().is_some_and(|libc| libc.is_itself)
    }

    /// The export that an import is bound to: of the version asked for, else the default one.
    pub fn export(&self, name: &str, version: Option<&str>) -> Option<&Export> {
        let all: Vec<&Export> =
            self.exports.get(name)?.iter().filter_map(|at| self.elf().exports.get(*at as usize)).collect();
        let of = |export: &&&Export| version.is_some() && export.version.as_deref() == version;
        all.iter().find(of).or_else(|| all.iter().find(|export| export.is_default)).or(all.first()).copied()
    }
}

/// The index of an object.
pub type Id = usize;

/// All objects of a root, and where the loader looks.
pub struct Objects<'a> {
    tree: &'a Tree<Content>,
    /// The objects.
    pub all: Vec<Object>,
    by_content: HashMap<*const Looked, Id>,
    /// `/etc/ld.so.conf`, with what it includes.
    configured: Vec<PathBuf>,
    /// `/etc/ld-musl-*.path`.
    musl: Option<Vec<PathBuf>>,
    /// The image's LD_LIBRARY_PATH.
    environment: Vec<PathBuf>,
}

/// What is loaded with a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loaded {
    /// The program or library itself first, then its libraries in the order of the loader, then the loader.
    pub modules: Vec<Id>,
    /// Libraries that are not in the root, and who asks for them.
    pub missing: Vec<(String, PathBuf)>,
}

/// Libraries that one program may load, however deep.
const MOST: usize = 2000;

/// Files that ld.so.conf includes, however deep.
const MOST_INCLUDED: usize = 200;

impl<'a> Objects<'a> {
    /// The objects of a root. `library_path`: the image's LD_LIBRARY_PATH.
    pub fn new(tree: &'a Tree<Content>, library_path: Option<&str>) -> Objects<'a> {
        let mut objects = Objects {
            tree,
            all: Vec::new(),
            by_content: HashMap::new(),
            configured: Vec::new(),
            musl: None,
            environment: split(library_path.unwrap_or_default()),
        };
        for (path, node) in files(tree) {
            let Some(looked) = node.content.looked() else { continue };
            let Analysis::Elf(elf) = &looked.analysis else { continue };
            let key = Arc::as_ptr(looked);
            if objects.by_content.contains_key(&key) {
                continue;
            }
            let mut exports: HashMap<String, Vec<u32>> = HashMap::new();
            for (at, export) in (0..).zip(&elf.exports) {
                exports.entry(export.name.clone()).or_default().push(at);
            }
            objects.by_content.insert(key, objects.all.len());
            objects.all.push(Object { path: path.to_path_buf(), looked: looked.clone(), exports });
        }
        let mut seen = HashSet::new();
        objects.configured = objects.configuration(Path::new("/etc/ld.so.conf"), &mut seen);
        objects.musl = objects.musl_path();
        objects
    }

    /// The object at a path, links followed, and its real path.
    pub fn at(&self, path: &Path) -> Option<(Id, &'a Path)> {
        let node = self.tree.resolve(path)?;
        let id = self.by_content.get(&Arc::as_ptr(node.content.looked()?))?;
        Some((*id, &node.entry.path))
    }

    /// The object of a content.
    pub fn of(&self, looked: &Arc<Looked>) -> Option<Id> {
        self.by_content.get(&Arc::as_ptr(looked)).copied()
    }

    /// An object.
    pub fn get(&self, id: Id) -> &Object {
        &self.all[id]
    }

    /// Whether nothing but the one file was given, so that no library can be found.
    pub fn is_alone(&self) -> bool {
        self.all.len() == 1
    }

    /// What is loaded with a program or library at this path (without links).
    pub fn load(&self, id: Id, path: &Path) -> Loaded {
        let elf = self.get(id).elf();
        let mut loaded = Loaded { modules: vec![id], missing: Vec::new() };
        // Who loads it, for DT_RPATH, which is looked at up to the program.
        let mut origins: Vec<(PathBuf, Option<usize>)> = vec![(path.to_path_buf(), None)];
        let musl = matches!(&elf.kind, Kind::Program { interpreter } if interpreter.contains("ld-musl"));
        let mut names: HashSet<&str> = HashSet::new();
        let mut at = 0;
        while let Some(module) = loaded.modules.get(at).copied() {
            let needed = self.get(module).elf();
            for name in &needed.needed {
                if loaded.modules.len() >= MOST || !names.insert(name) {
                    continue;
                }
                match self.library(name, at, &loaded.modules, &origins, elf.architecture, musl) {
                    Some((found, real)) => {
                        if !loaded.modules.contains(&found) {
                            loaded.modules.push(found);
                            origins.push((real.to_path_buf(), Some(at)));
                        }
                    }
                    None => {
                        let who = origins.get(at).map(|(path, _)| path.clone()).unwrap_or_default();
                        loaded.missing.push((name.clone(), who));
                    }
                }
            }
            at += 1;
        }
        if let Kind::Program { interpreter } = &elf.kind {
            if let Some((found, _)) = self.at(Path::new(interpreter)) {
                if !loaded.modules.contains(&found) {
                    loaded.modules.push(found);
                }
            }
        }
        loaded
    }

    fn library(
        &self,
        name: &str,
        asking: usize,
        modules: &[Id],
        origins: &[(PathBuf, Option<usize>)],
        architecture: Architecture,
        musl: bool,
    ) -> Option<(Id, &'a Path)> {
        let fits = |path: PathBuf| {
            let (id, real) = self.at(&path)?;
            (self.get(id).elf().architecture == architecture).then_some((id, real))
        };
        if name.contains('/') {
            let (asking, _) = origins.get(asking)?;
            return fits(expanded(name, asking, architecture));
        }
        let elf = |at: usize| modules.get(at).map(|id| self.get(*id).elf());
        // DT_RPATH of who asks and of all that led to it, unless who asks has DT_RUNPATH.
        let mut folders: Vec<PathBuf> = Vec::new();
        if elf(asking)?.runpath.is_empty() {
            let mut above = Some(asking);
            while let Some((module, (path, by))) = above.and_then(|at| Some((elf(at)?, origins.get(at)?))) {
                if module.runpath.is_empty() {
                    folders.extend(module.rpath.iter().map(|folder| expanded(folder, path, architecture)));
                }
                above = *by;
            }
        }
        folders.extend(self.environment.iter().cloned());
        let (path, _) = origins.get(asking)?;
        folders.extend(elf(asking)?.runpath.iter().map(|folder| expanded(folder, path, architecture)));
        match (&self.musl, musl) {
            (Some(configured), true) => folders.extend(configured.iter().cloned()),
            (None, true) => folders.extend(["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from)),
            _ => {
                folders.extend(self.configured.iter().cloned());
                folders.extend(standard(architecture).iter().map(PathBuf::from));
            }
        }
        let found = folders.iter().find_map(|folder| fits(folder.join(name)));
        // musl's libc is its loader.
        found.or_else(|| {
            let is_libc = name.starts_with("libc.musl-") || name == "libc.so";
            is_libc.then(|| fits(PathBuf::from("/lib/ld-musl-x86_64.so.1"))).flatten()
        })
    }

    /// The folders of ld.so.conf(5): `include` takes a pattern with `*`.
    fn configuration(&self, file: &Path, seen: &mut HashSet<PathBuf>) -> Vec<PathBuf> {
        let Some(node) = self.tree.resolve(file) else { return Vec::new() };
        if seen.len() >= MOST_INCLUDED || !seen.insert(node.entry.path.clone()) {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(node.content.text().unwrap_or_default()).into_owned();
        let mut folders = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some(pattern) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']))
            else {
                folders.extend(split(line));
                continue;
            };
            let pattern = Path::new("/etc").join(pattern.trim());
            let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { continue };
            let folder = self.tree.real_path(folder).unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let (before, after) = name.split_once('*').unwrap_or((&name, ""));
            let fits: Vec<PathBuf> = self
                .tree
                .children(&folder)
                .map(|node| node.entry.path.clone())
                .filter(|path| {
                    let found = path.file_name().unwrap_or_default().to_string_lossy();
                    found.len() >= before.len() + after.len()
                        && found.starts_with(before)
                        && found.ends_with(after)
                })
                .collect();
            for file in fits {
                folders.extend(self.configuration(&file, seen));
            }
        }
        folders
    }

    fn musl_path(&self) -> Option<Vec<PathBuf>> {
        let node = self.tree.resolve(Path::new("/etc/ld-musl-x86_64.path"))?;
        let text = String::from_utf8_lossy(node.content.text()?).into_owned();
        Some(text.lines().flat_map(split).collect())
    }

    /// The C library of a loaded program, with its version.
    pub fn libc(&self, loaded: &Loaded) -> Option<(LibcKind, Option<&str>)> {
        let of = |id: &Id| self.get(*id).elf().libc.as_ref();
        // The loader and libpthread are parts of it, too; libc itself knows its version best.
        let mut all = loaded.modules.iter().filter_map(of);
        let best = all.clone().find(|libc| libc.version.is_some()).or_else(|| all.next())?;
        Some((best.kind, best.version.as_deref()))
    }
}

/// The files of a root by all their names, in the order of these: which of several hard links is the file is a matter of
/// how the root was packed.
pub fn files(tree: &Tree<Content>) -> impl Iterator<Item = (&Path, &Node<Content>)> {
    tree.nodes().filter_map(|node| match node.entry.kind {
        EntryKind::File => Some((node.entry.path.as_path(), node)),
        EntryKind::Hardlink(_) => Some((node.entry.path.as_path(), tree.resolve(&node.entry.path)?)),
        _ => None,
    })
}

/// Whether the text of a file is needed to find libraries.
pub fn wants(path: &Path) -> bool {
    let folder = path.parent();
    path == Path::new("/etc/ld.so.conf")
        || path == Path::new("/etc/ld.so.preload")
        || path == Path::new("/etc/ld-musl-x86_64.path")
        || path.extension().is_some_and(|extension| extension == "conf")
            && folder.is_some_and(|folder| folder.ends_with("ld.so.conf.d"))
}

fn split(list: &str) -> Vec<PathBuf> {
    list.split([':', ';', ',', ' ', '\t']).filter(|part| part.starts_with('/')).map(PathBuf::from).collect()
}

/// The folders that the loader looks at when all else fails: those of glibc's makers.
fn standard(architecture: Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::I386 => &[
            "/lib/i386-linux-gnu",
            "/usr/lib/i386-linux-gnu",
            "/lib32",
            "/usr/lib32",
            "/lib",
            "/usr/lib",
            "/lib/i386-linux-gnu/i686/cmov",
        ],
        Architecture::Aarch64 => &[
            "/lib/aarch64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/lib64",
            "/usr/lib64",
            "/lib",
            "/usr/lib",
        ],
        Architecture::X32 => &["/lib/x86_64-linux-gnux32", "/libx32", "/usr/libx32"],
        _ => &[
            "/lib/x86_64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu",
            "/lib64",
            "/usr/lib64",
            "/lib",
            "/usr/lib",
        ],
    }
}

/// A folder of DT_RPATH: `$ORIGIN`, `$LIB` and `$PLATFORM` as ld.so(8) has them.
fn expanded(folder: &str, asking: &Path, architecture: Architecture) -> PathBuf {
    let origin = asking.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let (lib, platform) = match architecture {
        Architecture::I386 => ("lib/i386-linux-gnu", "i686"),
        _ => ("lib/x86_64-linux-gnu", "x86_64"),
    };
    let mut text = folder.to_string();
    for (name, value) in [("ORIGIN", origin.as_str()), ("LIB", lib), ("PLATFORM", platform)] {
        text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    // `..` is resolved by the tree, with links inside the root.
    PathBuf::from(text)
}
