//! The programs, scripts and plugins of a root.

use super::elf::facts::Analysis;
use super::judge::{Form, Unit, form};
use super::link::{Id, Loaded, Objects, files};
use super::scan::Content;
use super::target::Target;
use crate::image::tar_entries::{Entry, Kind};
use crate::image::tree::{Node, Tree};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The PATH of a container that is given none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Scripts that run scripts, as the kernel follows them (BINPRM_MAX_RECURSION).
const SCRIPTS: usize = 5;

/// A script, and what runs it.
#[derive(Debug)]
pub struct Script {
    /// Its paths.
    pub path: PathBuf,
    /// The interpreter's unit, or the name of what is missing.
    pub runs: Result<usize, String>,
}

/// What was found.
pub struct Found {
    /// Programs first, plugins last.
    pub units: Vec<Unit>,
    /// Scripts that can be run.
    pub scripts: Vec<Script>,
    /// Programs that gain rights when somebody other than root runs them.
    pub gaining: usize,
    /// Files that begin as ELF files and make no sense: why.
    pub damaged: Vec<(PathBuf, String)>,
    /// What a container of the image starts: as its config says.
    pub start: Option<Start>,
    /// Whether the image carries libevercall.so and preloads it.
    pub carries_evercall: bool,
}

/// What a container starts.
#[derive(Debug)]
pub struct Start {
    /// As the config says it.
    pub command: String,
    /// Its unit, or what is missing.
    pub unit: Result<usize, String>,
}

/// Finds them.
pub fn find(target: &Target, tree: &Tree<Content>, objects: &Objects<'_>) -> Found {
    let user = target.variant().and_then(|variant| variant.config.config.as_ref()?.user.as_deref());
    let as_root = user.is_none_or(|user| {
        let name = user.split(':').next().unwrap_or_default();
        name.is_empty() || name == "root" || name == "0"
    });
    let mut found = Found {
        units: Vec::new(),
        scripts: Vec::new(),
        gaining: 0,
        damaged: Vec::new(),
        start: None,
        carries_evercall: carries_evercall(target, tree),
    };
    let mut known: HashMap<(Loaded, bool, Form), usize> = HashMap::new();
    let mut by_path: HashMap<PathBuf, usize> = HashMap::new();
    let mut plugins: Vec<(&Path, Id)> = Vec::new();
    for (path, node) in files(tree) {
        let Some(looked) = node.content.looked() else { continue };
        match &looked.analysis {
            Analysis::Elf(elf) => {
                let Some(id) = objects.of(looked) else { continue };
                let is_libc = objects.get(id).is_libc();
                match form(&elf.kind) {
                    Some(Form::Plugin) if elf.architecture.is_analysed() && !is_libc => {
                        plugins.push((path, id));
                    }
                    Some(form @ (Form::Program | Form::Static)) if !is_libc => {
                        if node.entry.mode & 0o111 == 0 {
                            continue;
                        }
                        let privileged = gains(&node.entry, as_root);
                        found.gaining += usize::from(gains(&node.entry, false));
                        let loaded = objects.load(id, path);
                        let at = add(&mut found.units, &mut known, path, loaded, privileged, form);
                        by_path.insert(path.to_path_buf(), at);
                        by_path.insert(node.entry.path.clone(), at);
                    }
                    _ => {}
                }
            }
            Analysis::Damaged(why) => found.damaged.push((path.to_path_buf(), why.clone())),
            Analysis::Script(_) | Analysis::Other => {}
        }
    }
    let loaded: HashSet<Id> =
        found.units.iter().flat_map(|unit| unit.loaded.modules.iter().copied()).collect();
    for (path, id) in plugins {
        if !loaded.contains(&id) {
            add(&mut found.units, &mut known, path, objects.load(id, path), false, Form::Plugin);
        }
    }
    let lookup = Lookup { tree, by_path: &by_path, path: target.variable("PATH").unwrap_or(PATH) };
    for (path, node) in files(tree) {
        let Some(Analysis::Script(_)) = node.content.looked().map(|looked| &looked.analysis) else {
            continue;
        };
        if node.entry.mode & 0o111 != 0 {
            found.scripts.push(Script { path: path.to_path_buf(), runs: lookup.script(node, 0) });
        }
    }
    found.start = start(target, &lookup);
    found
}

fn add(
    units: &mut Vec<Unit>,
    known: &mut HashMap<(Loaded, bool, Form), usize>,
    path: &Path,
    loaded: Loaded,
    is_privileged: bool,
    form: Form,
) -> usize {
    let at = *known.entry((loaded.clone(), is_privileged, form)).or_insert_with(|| {
        units.push(Unit { paths: Vec::new(), form, loaded, is_privileged });
        units.len() - 1
    });
    if let Some(unit) = units.get_mut(at) {
        unit.paths.push(path.to_path_buf());
    }
    at
}

/// Whether a program gains rights, so that the loader takes no preload (AT_SECURE). Run by root, a setuid program of
/// root's gains none, nor does one with capabilities.
fn gains(entry: &Entry, as_root: bool) -> bool {
    let setuid = entry.mode & 0o4000 != 0 && !(as_root && entry.uid == 0);
    let setgid = entry.mode & 0o2000 != 0 && !(as_root && entry.gid == 0);
    setuid || setgid || entry.capability && !as_root
}

struct Lookup<'a> {
    tree: &'a Tree<Content>,
    by_path: &'a HashMap<PathBuf, usize>,
    path: &'a str,
}

impl Lookup<'_> {
    /// The unit that a path runs; a script's is its interpreter's.
    fn program(&self, path: &Path, depth: usize) -> Result<usize, String> {
        let missing = || path.to_string_lossy().into_owned();
        let node = self.tree.resolve(path).ok_or_else(missing)?;
        if let Some(unit) = self.by_path.get(&node.entry.path) {
            return Ok(*unit);
        }
        match node.content.looked().map(|looked| &looked.analysis) {
            Some(Analysis::Script(_)) if depth < SCRIPTS => self.script(node, depth + 1),
            _ => Err(missing()),
        }
    }

    fn script(&self, node: &Node<Content>, depth: usize) -> Result<usize, String> {
        let Some(Analysis::Script(script)) = node.content.looked().map(|looked| &looked.analysis) else {
            return Err(node.entry.path.to_string_lossy().into_owned());
        };
        // The kernel runs env, and that the program.
        let interpreter = self.program(Path::new(&script.interpreter), depth)?;
        match &script.by_env {
            Some(program) => self.named(program, depth),
            None => Ok(interpreter),
        }
    }

    /// The unit of a command: by its path, or looked up in PATH.
    fn named(&self, command: &str, depth: usize) -> Result<usize, String> {
        if command.contains('/') {
            return self.program(&Path::new("/").join(command), depth);
        }
        let folders = self.path.split(':').filter(|folder| folder.starts_with('/'));
        let here = folders.map(|folder| Path::new(folder).join(command));
        let runs = |path: &PathBuf| {
            self.tree
                .resolve(path)
                .is_some_and(|node| node.entry.kind == Kind::File && node.entry.mode & 0o111 != 0)
        };
        match here.clone().find(runs) {
            Some(path) => self.program(&path, depth),
            None => Err(command.to_string()),
        }
    }
}

fn start(target: &Target, lookup: &Lookup<'_>) -> Option<Start> {
    let config = target.variant()?.config.config.as_ref()?;
    let words = config.entrypoint.iter().chain(&config.cmd).flatten();
    let command = words.clone().next()?;
    let folder = config.working_dir.as_deref().unwrap_or("/");
    let unit = if command.contains('/') {
        lookup.program(&Path::new(folder).join(command), 0)
    } else {
        lookup.named(command, 0)
    };
    let all: Vec<&str> = words.map(String::as_str).take(8).collect();
    Some(Start { command: all.join(" "), unit })
}

fn carries_evercall(target: &Target, tree: &Tree<Content>) -> bool {
    let is_there = |path: &str| {
        path.ends_with("libevercall.so")
            && tree.resolve(Path::new(path)).is_some_and(|node| node.content.looked().is_some())
    };
    let preload = target.variable("LD_PRELOAD").unwrap_or_default();
    let file = tree.resolve(Path::new("/etc/ld.so.preload")).and_then(|node| node.content.text());
    let file = String::from_utf8_lossy(file.unwrap_or_default()).into_owned();
    preload.split([':', ' ']).chain(file.split_whitespace()).any(is_there)
}
