//! Which programs of an image are run: for each dynamic loader one that does nothing to speak of, or else the entry
//! point's, asked for its version; at the least the loader is made to load one.

use super::Plan;
use super::closure::{Items, Map};
use super::elf::{Machine, X86_64};
use crate::image::tar_entries::shown;
use object::elf::{EM_386, EM_X86_64};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Programs that nearly every image has one of, and arguments with which they end at once.
const HARMLESS: [(&str, &[&str]); 22] = [
    ("/bin/sh", &["-c", ":"]),
    ("/bin/ls", &["/"]),
    ("/bin/true", &[]),
    ("/usr/bin/true", &[]),
    ("/bin/busybox", &["true"]),
    ("/bin/cat", &[]),
    ("/usr/bin/env", &[]),
    ("/bin/bash", &["-c", ":"]),
    ("/bin/dash", &["-c", ":"]),
    ("/usr/bin/id", &["-u"]),
    ("/bin/echo", &[]),
    ("/usr/bin/openssl", &["version"]),
    ("/usr/bin/perl", &["-v"]),
    ("/usr/bin/python3", &["--version"]),
    ("/usr/local/bin/python3", &["--version"]),
    ("/usr/bin/python", &["--version"]),
    ("/usr/bin/node", &["--version"]),
    ("/usr/local/bin/node", &["--version"]),
    ("/usr/sbin/nginx", &["-v"]),
    ("/usr/bin/curl", &["--version"]),
    ("/usr/bin/git", &["--version"]),
    ("/usr/bin/tar", &["--version"]),
];

/// Programs of one loader that are tried until one ends well without the layer.
const TRIES: usize = 4;

/// Where programs are looked up without PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs of one loader, of which one is to be run.
#[derive(Debug)]
pub struct Test {
    /// The loader, where it lies; None for static programs.
    pub loader: Option<PathBuf>,
    /// What they run on.
    pub machine: Machine,
    /// The best first.
    pub candidates: Vec<Candidate>,
}

/// A command of the image.
#[derive(Debug)]
pub struct Candidate {
    /// Its words.
    pub command: Vec<OsString>,
    /// Whether the loader only loads and lists the program.
    pub listed: bool,
    /// What it needs.
    pub items: Items,
}

impl Test {
    /// The libc, by the name of its loader.
    pub fn libc(&self) -> &'static str {
        let Some(loader) = &self.loader else { return "static" };
        match loader.file_name().unwrap_or_default().as_bytes() {
            name if name.starts_with(b"ld-musl") || name.starts_with(b"libc.musl") || name == b"libc.so" => {
                "musl"
            }
            name if name.starts_with(b"ld-uClibc") || name.starts_with(b"ld64-uClibc") => "uClibc",
            name if name.starts_with(b"ld-linux") || name.starts_with(b"ld-2.") => "glibc",
            name if name.starts_with(b"ld.so") || name.starts_with(b"ld-linux-x86-64") => "glibc",
            _ => "another libc",
        }
    }
}

/// A loader, and the programs that name it.
struct Group {
    /// The path by which a program names it.
    called: PathBuf,
    /// The smallest of the programs.
    smallest: (u64, PathBuf),
}

/// Chooses. What cannot be tested is noted.
pub fn choose(map: &Map, plan: &Plan<'_>, notes: &mut Vec<String>) -> Vec<Test> {
    let preloads = preloads(map, plan);
    let entry = entry_point(map, plan);
    let mut tests = Vec::new();
    for ((loader, machine), group) in groups(map) {
        let mut test = Test { loader: Some(loader.clone()), machine, candidates: Vec::new() };
        let mut why = None;
        let mut add = |test: &mut Test, program: &Path, command: Vec<OsString>, listed| match map
            .closure(program, &preloads)
        {
            Ok(items) => test.candidates.push(Candidate { command, listed, items }),
            Err(reason) => why = Some(format!("{}: {reason}", shown(program))),
        };
        let is_of_group =
            |program: &Path| loader_of(map, program).is_some_and(|of| of == (loader.clone(), machine));
        for (program, arguments) in HARMLESS {
            if test.candidates.len() < TRIES && is_of_group(Path::new(program)) {
                let words = [program].into_iter().chain(arguments.iter().copied());
                add(&mut test, Path::new(program), words.map(OsString::from).collect(), false);
            }
        }
        let entry = entry.as_deref().filter(|entry| is_of_group(entry));
        let any_program = !test.candidates.is_empty();
        if let Some(entry) = entry.filter(|_| !any_program) {
            add(&mut test, entry, vec![entry.into(), "--version".into()], false);
        }
        let list = |program: &Path| vec![group.called.clone().into(), "--list".into(), program.into()];
        if test.candidates.is_empty() {
            let program = entry.unwrap_or(&group.smallest.1);
            add(&mut test, program, list(program), true);
        }
        // With the entry point's libraries the loader has more to do.
        let mut listed = Test { loader: Some(loader.clone()), machine, candidates: Vec::new() };
        if let Some(entry) = entry.filter(|_| any_program) {
            add(&mut listed, entry, list(entry), true);
        }
        if test.candidates.is_empty() {
            let why = why.unwrap_or_default();
            notes.push(format!("no program of {} could be tested: {why}", shown(&loader)));
        }
        tests.extend([test, listed].into_iter().filter(|test| !test.candidates.is_empty()));
    }
    for copy in &plan.static_copies {
        match map.closure(copy, &[]) {
            Ok(items) => {
                let command = vec![copy.clone().into(), "--version".into()];
                let candidates = vec![Candidate { command, listed: false, items }];
                tests.push(Test { loader: None, machine: X86_64, candidates });
            }
            Err(why) => notes.push(format!("{} could not be tested: {why}", shown(copy))),
        }
    }
    tests
}

/// The loaders that programs name and that are there.
fn groups(map: &Map) -> BTreeMap<(PathBuf, Machine), Group> {
    let mut groups: BTreeMap<(PathBuf, Machine), Group> = BTreeMap::new();
    for node in map.tree.nodes() {
        let Some(info) = &node.content else { continue };
        let runs_here = [X86_64, (false, EM_386), (false, EM_X86_64)].contains(&info.machine);
        let Some(called) = info.interpreter.as_ref().filter(|_| runs_here) else { continue };
        let Some(loader) = loader_of(map, &node.entry.path) else { continue };
        let this = (node.entry.size, node.entry.path.clone());
        let group =
            groups.entry(loader).or_insert_with(|| Group { called: called.clone(), smallest: this.clone() });
        // Libraries name a loader now and then; what nobody may execute is no program.
        if node.entry.mode & 0o111 != 0 && this < group.smallest {
            group.smallest = this;
        }
    }
    groups
}

/// Where the loader of a program lies.
fn loader_of(map: &Map, program: &Path) -> Option<(PathBuf, Machine)> {
    let info = map.info(program)?;
    let loader = info.interpreter.as_ref()?;
    let is_loader = map.info(loader).is_some_and(|of_loader| of_loader.machine == info.machine);
    is_loader.then(|| Some((map.trace(loader)?.real, info.machine))).flatten()
}

/// The program that a container runs, if it is an ELF file.
fn entry_point(map: &Map, plan: &Plan<'_>) -> Option<PathBuf> {
    let first = plan.command.first()?;
    let is_program = |path: &PathBuf| map.info(path).is_some();
    if first.as_bytes().contains(&b'/') {
        return Some(Path::new("/").join(first)).filter(is_program);
    }
    let variable = plan.before.iter().find(|(name, _)| name == "PATH");
    let path = variable.map_or(OsStr::new(PATH), |(_, value)| value);
    std::env::split_paths(path).map(|folder| Path::new("/").join(folder).join(first)).find(is_program)
}

/// What the image preloads as it is.
fn preloads(map: &Map, plan: &Plan<'_>) -> Vec<OsString> {
    let variable = plan.before.iter().find(|(name, _)| name == "LD_PRELOAD");
    let words = |bytes: &[u8]| {
        let words = bytes.split(|b| matches!(b, b':' | b' ' | b'\t' | b'\n')).filter(|word| !word.is_empty());
        words.map(|word| OsStr::from_bytes(word).to_owned()).collect::<Vec<_>>()
    };
    let mut all = variable.map(|(_, value)| words(value.as_bytes())).unwrap_or_default();
    all.extend(words(&map.preload_file));
    all
}
