//! What a program can reach: which sites and imports of its own file, its loader and its libraries, from where it begins.
//!
//! Errs on the side of "reached": a function whose address is taken counts as called by who takes it. What is looked up by name at
//! run time (dlopen, dlsym) is not seen: give such files as plugins.

use super::elf::facts::{Depth, Elf, Number, Site, Via};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// How sure it is that something is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// By a chain of calls, and of addresses taken by what is called, from where a program begins.
    Called,
    /// Only by pointers in data, of which nobody knows who follows them; or from a plugin's exports.
    Pointed,
}

/// The files of one process.
#[derive(Clone, Copy, Debug)]
pub struct Loaded<'e> {
    /// What is known of the file.
    pub elf: &'e Elf,
    /// Whether it is loaded by name at run time, so that any of its exports may be called.
    pub is_plugin: bool,
}

impl<'e> Loaded<'e> {
    /// A program, a library it needs, or the loader.
    pub fn new(elf: &'e Elf) -> Loaded<'e> {
        Loaded { elf, is_plugin: false }
    }
}

/// One function on the way from a beginning to a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The index of the file.
    pub file: usize,
    /// The index of the function in it.
    pub function: u32,
    /// The import of the file before by which it is called; none within a file.
    pub import: Option<u32>,
}

/// What is reached.
pub struct Reach<'e> {
    files: Vec<Loaded<'e>>,
    /// By file and function: how sure, and whence.
    functions: Vec<Vec<Option<Reached>>>,
    /// By file and import.
    imports: Vec<Vec<Option<Certainty>>>,
    bound: Vec<Vec<Option<(usize, u32)>>>,
}

#[derive(Clone, Copy)]
struct Reached {
    certainty: Certainty,
    from: Option<(usize, u32, Option<u32>)>,
}

/// Follows calls through the files of a process: the program first, then libraries in the loader's order (breadth-first over
/// DT_NEEDED; preloads before them), the loader itself anywhere behind.
pub fn reach<'e>(files: &[Loaded<'e>]) -> Reach<'e> {
    let mut reach = Reach::new(files, bind(files));
    for (file, loaded) in files.iter().enumerate() {
        reach.mark(file, &loaded.elf.code.entries, Certainty::Called);
    }
    for (file, loaded) in files.iter().enumerate() {
        let code = &loaded.elf.code;
        reach.mark(file, &code.in_data, Certainty::Pointed);
        for &import in &code.imports_in_data {
            reach.import(file, import, Certainty::Pointed, None);
        }
        if loaded.is_plugin {
            let exports: Vec<u32> = loaded.elf.exports.iter().filter_map(|export| export.function).collect();
            reach.mark(file, &exports, Certainty::Pointed);
        }
    }
    reach
}

/// What a call of one exported symbol of a file reaches there and in the files behind it.
pub fn reach_from_symbol<'e>(files: &[Loaded<'e>], name: &str) -> Reach<'e> {
    let mut reach = Reach::new(files, bind(files));
    if let Some(loaded) = files.first() {
        let exports = loaded.elf.exports.iter().filter(|export| export.name == name);
        let functions: Vec<u32> = exports.filter_map(|export| export.function).collect();
        reach.mark(0, &functions, Certainty::Called);
    }
    reach
}

/// To which file and export each import is bound, as the loader does it.
fn bind(files: &[Loaded<'_>]) -> Vec<Vec<Option<(usize, u32)>>> {
    let mut by_name: HashMap<&str, Vec<(usize, u32)>> = HashMap::new();
    let wanted: std::collections::HashSet<&str> =
        files.iter().flat_map(|loaded| &loaded.elf.imports).map(|import| import.name.as_str()).collect();
    for (file, loaded) in files.iter().enumerate() {
        for (index, export) in loaded.elf.exports.iter().enumerate() {
            if wanted.contains(export.name.as_str()) {
                by_name.entry(&export.name).or_default().push((file, index as u32));
            }
        }
    }
    let export = |(file, index): (usize, u32)| files.get(file)?.elf.exports.get(index as usize);
    let bind_one = |import: &super::elf::facts::Import| {
        let candidates = by_name.get(import.name.as_str())?;
        let fits = |&&candidate: &&(usize, u32)| {
            export(candidate).is_some_and(|export| match (&import.version, &export.version) {
                (Some(wanted), Some(has)) => wanted == has,
                (None, Some(_)) => export.is_default,
                (_, None) => true,
            })
        };
        // A program that asks for no version gets what there is.
        candidates.iter().find(fits).or_else(|| candidates.first().filter(|_| import.version.is_none())).copied()
    };
    files.iter().map(|loaded| loaded.elf.imports.iter().map(bind_one).collect()).collect()
}

impl<'e> Reach<'e> {
    fn new(files: &[Loaded<'e>], bound: Vec<Vec<Option<(usize, u32)>>>) -> Reach<'e> {
        Reach {
            files: files.to_vec(),
            functions: files.iter().map(|loaded| vec![None; loaded.elf.code.functions.len()]).collect(),
            imports: files.iter().map(|loaded| vec![None; loaded.elf.imports.len()]).collect(),
            bound,
        }
    }

    fn mark(&mut self, file: usize, functions: &[u32], certainty: Certainty) {
        for &function in functions {
            self.follow(file, function, certainty, None);
        }
    }

    /// Marks a function and all it leads to. What is marked already stays so: surer marks come first.
    fn follow(&mut self, file: usize, function: u32, certainty: Certainty, from: Option<(usize, u32, Option<u32>)>) {
        let mut queue = vec![(file, function, from)];
        while let Some((file, function, from)) = queue.pop() {
            let slot = self.functions.get_mut(file).and_then(|functions| functions.get_mut(function as usize));
            match slot {
                Some(slot @ None) => *slot = Some(Reached { certainty, from }),
                _ => continue,
            }
            let Some(function_facts) = self
                .files
                .get(file)
                .and_then(|loaded| loaded.elf.code.functions.get(function as usize))
            else {
                continue;
            };
            queue.extend(function_facts.calls.iter().map(|&callee| (file, callee, Some((file, function, None)))));
            for &import in &function_facts.imports {
                if let Some(target) = self.note(file, import, certainty) {
                    queue.push((target.0, target.1, Some((file, function, Some(import)))));
                }
            }
        }
    }

    fn import(&mut self, file: usize, import: u32, certainty: Certainty, from: Option<(usize, u32, Option<u32>)>) {
        if let Some((file, function)) = self.note(file, import, certainty) {
            self.follow(file, function, certainty, from);
        }
    }

    /// Marks an import as used. The function it is bound to, if it has code that matters.
    fn note(&mut self, file: usize, import: u32, certainty: Certainty) -> Option<(usize, u32)> {
        let slot = self.imports.get_mut(file)?.get_mut(import as usize)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(certainty);
        let (to, export) = (*self.bound.get(file)?.get(import as usize)?)?;
        Some((to, self.files.get(to)?.elf.exports.get(export as usize)?.function?))
    }

    /// The reached sites: file, index of the site, how sure. In files whose functions are not known ([`Depth::Sites`]), every one.
    pub fn sites(&self) -> impl Iterator<Item = (usize, u32, Certainty)> + '_ {
        self.files.iter().enumerate().flat_map(move |(file, loaded)| {
            loaded.elf.sites.iter().enumerate().filter_map(move |(index, site)| {
                self.site_certainty(file, site).map(|certainty| (file, index as u32, certainty))
            })
        })
    }

    fn site_certainty(&self, file: usize, site: &Site) -> Option<Certainty> {
        match site.function {
            Some(_) if self.files.get(file)?.elf.code.depth == Depth::Sites => Some(Certainty::Pointed),
            Some(function) => self.function(file, function),
            None => None,
        }
    }

    /// How sure it is that a function is reached.
    pub fn function(&self, file: usize, function: u32) -> Option<Certainty> {
        Some((*self.functions.get(file)?.get(function as usize)?)?.certainty)
    }

    /// The used imports: file, index of the import, how sure.
    pub fn imports(&self) -> impl Iterator<Item = (usize, u32, Certainty)> + '_ {
        self.imports.iter().enumerate().flat_map(|(file, imports)| {
            imports
                .iter()
                .enumerate()
                .filter_map(move |(index, used)| used.map(|certainty| (file, index as u32, certainty)))
        })
    }

    /// To which file and export an import is bound. None: no file has it.
    pub fn bound(&self, file: usize, import: u32) -> Option<(usize, u32)> {
        *self.bound.get(file)?.get(import as usize)?
    }

    /// The way to a function, from where the program begins. Empty, if it is not reached.
    pub fn way(&self, file: usize, function: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = (file, function);
        while let Some(Some(reached)) =
            self.functions.get(at.0).and_then(|functions| functions.get(at.1 as usize))
        {
            let import = reached.from.and_then(|(_, _, import)| import);
            steps.push(Step { file: at.0, function: at.1, import });
            match reached.from {
                Some((file, function, _)) => at = (file, function),
                None => break,
            }
        }
        steps.reverse();
        steps
    }

    /// The calls that are reached at least so surely, by the table of numbers they are from (`via` tells it), and numbers
    /// that are not known.
    pub fn numbers(&self, at_least: Certainty) -> BTreeSet<(Via, Number)> {
        let sites = self.sites().filter(|&(.., certainty)| certainty <= at_least);
        let sites = sites.filter_map(|(file, index, _)| self.files.get(file)?.elf.sites.get(index as usize));
        sites.filter(|site| site.number != Number::Passed).map(|site| (site.via, site.number)).collect()
    }
}
