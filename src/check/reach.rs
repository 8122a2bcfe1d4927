//! What a program can reach: which sites and imports of its own file, its loader and its libraries, from where it begins.
//!
//! Errs on the side of "reached": a function whose address is taken counts as called by who takes it. What is looked up by name at
//! run time (dlopen, dlsym) is not seen: give such files as plugins.

use super::elf::facts::{Depth, Elf, Export, Import, Number, Site, Via};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// How sure it is that something is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// By a chain of calls, and of addresses taken by what is called, from where a program begins.
    Called,
    /// By what a file exports to whoever loads it by name.
    Exported,
    /// Only by pointers in data, of which nobody knows who follows them.
    Pointed,
}

/// How a file belongs to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A program, a library it needs, or the loader.
    Linked,
    /// Loaded by name at run time, so that any of its exports may be called.
    Plugin,
    /// Its functions are followed by themselves ([`within`]): which of its exports are used is told, and not what these lead to.
    Apart,
}

/// A file of a process.
#[derive(Clone, Copy, Debug)]
pub struct File<'e> {
    /// What is known of it.
    pub elf: &'e Elf,
    /// How it belongs to the process.
    pub role: Role,
}

/// What is reached.
pub struct Reach<'e> {
    files: Vec<File<'e>>,
    /// By file and function.
    functions: Vec<Vec<Option<Certainty>>>,
    /// By file and import: how sure, the function that uses it first, and the file and export that it is bound to.
    imports: Vec<Vec<Option<ImportUse>>>,
}

/// A used import.
#[derive(Clone, Copy, Debug)]
pub struct ImportUse {
    /// How sure it is.
    pub certainty: Certainty,
    /// The function that uses it, if it is one.
    pub by: Option<u32>,
    /// The file and its export. None: no file has it.
    pub bound: Option<(usize, u32)>,
}

/// Tells which file's export an import is bound to.
pub type Bind<'b> = &'b dyn Fn(&Import) -> Option<(usize, u32)>;

/// Follows calls through the files of a process: the program first, then libraries in the loader's order (breadth-first over
/// DT_NEEDED; preloads before them), the loader itself anywhere behind.
pub fn reach<'e>(files: &[File<'e>]) -> Reach<'e> {
    let names = Names::new(files);
    reach_by(files, &|import| names.bind(import))
}

/// The same, where it is known already who has which export.
pub fn reach_by<'e>(files: &[File<'e>], bind: Bind<'_>) -> Reach<'e> {
    let mut reach = Reach::new(files);
    let followed = || files.iter().enumerate().filter(|(_, file)| file.role != Role::Apart);
    for (file, known) in followed() {
        reach.mark(file, &known.elf.code.entries, Certainty::Called, bind);
    }
    for (file, known) in followed().filter(|(_, file)| file.role == Role::Plugin) {
        let exports: Vec<u32> = known.elf.exports.iter().filter_map(|export| export.function).collect();
        reach.mark(file, &exports, Certainty::Exported, bind);
    }
    for (file, known) in followed() {
        let code = &known.elf.code;
        reach.mark(file, &code.in_data, Certainty::Pointed, bind);
        for &import in &code.imports_in_data {
            if let Some((to, function)) = reach.note(file, import, Certainty::Pointed, None, bind) {
                reach.follow(to, function, Certainty::Pointed, bind);
            }
        }
    }
    reach
}

/// What some functions of a file lead to, in it and the other files. Functions that only stand in tables are not followed.
pub fn within<'e>(files: &[File<'e>], file: usize, functions: &[u32], bind: Bind<'_>) -> Reach<'e> {
    let mut reach = Reach::new(files);
    reach.mark(file, functions, Certainty::Called, bind);
    reach
}

/// What a call of one exported symbol of the first file reaches there and in the files behind it.
pub fn reach_from_symbol<'e>(files: &[File<'e>], name: &str) -> Reach<'e> {
    let names = Names::new(files);
    let exports = files.first().map(|file| file.elf.exports.as_slice()).unwrap_or_default();
    let named = exports.iter().filter(|export| export.name == name);
    let functions: Vec<u32> = named.filter_map(|export| export.function).collect();
    within(files, 0, &functions, &|import| names.bind(import))
}

/// Who has which export.
struct Names<'e> {
    files: Vec<File<'e>>,
    by_name: HashMap<&'e str, Vec<(usize, u32)>>,
}

impl<'e> Names<'e> {
    fn new(files: &[File<'e>]) -> Names<'e> {
        let mut by_name: HashMap<&str, Vec<(usize, u32)>> = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            for (index, export) in (0..).zip(&file.elf.exports) {
                by_name.entry(&export.name).or_default().push((at, index));
            }
        }
        Names { files: files.to_vec(), by_name }
    }

    fn bind(&self, import: &Import) -> Option<(usize, u32)> {
        let candidates = self.by_name.get(import.name.as_str())?;
        let export = |&&(file, index): &&(usize, u32)| self.files.get(file)?.elf.exports.get(index as usize);
        let fits = |one: &&(usize, u32)| export(one).is_some_and(|export| fits(import, export));
        candidates.iter().find(fits).or_else(|| candidates.first()).copied()
    }
}

/// Whether the loader binds an import to an export of the same name. Where none fits, it does not start the program: then the first
/// of the name is as good as any.
pub fn fits(import: &Import, export: &Export) -> bool {
    match (&import.version, &export.version) {
        (Some(wanted), Some(has)) => wanted == has,
        (None, Some(_)) => export.is_default,
        (_, None) => true,
    }
}

impl<'e> Reach<'e> {
    fn new(files: &[File<'e>]) -> Reach<'e> {
        Reach {
            files: files.to_vec(),
            functions: files.iter().map(|file| vec![None; file.elf.code.functions.len()]).collect(),
            imports: files.iter().map(|file| vec![None; file.elf.imports.len()]).collect(),
        }
    }

    fn mark(&mut self, file: usize, functions: &[u32], certainty: Certainty, bind: Bind<'_>) {
        for &function in functions {
            self.follow(file, function, certainty, bind);
        }
    }

    /// Marks a function and all it leads to. What is marked already stays so: surer marks come first.
    fn follow(&mut self, file: usize, function: u32, certainty: Certainty, bind: Bind<'_>) {
        let mut queue = vec![(file, function)];
        while let Some((file, function)) = queue.pop() {
            let slot =
                self.functions.get_mut(file).and_then(|functions| functions.get_mut(function as usize));
            match slot {
                Some(slot @ None) => *slot = Some(certainty),
                _ => continue,
            }
            let Some(facts) =
                self.files.get(file).and_then(|known| known.elf.code.functions.get(function as usize))
            else {
                continue;
            };
            queue.extend(facts.calls.iter().map(|&callee| (file, callee)));
            for &import in &facts.imports {
                queue.extend(self.note(file, import, certainty, Some(function), bind));
            }
        }
    }

    /// Marks an import as used. The function it is bound to, if that is to be followed and has code that matters.
    fn note(
        &mut self,
        file: usize,
        import: u32,
        certainty: Certainty,
        by: Option<u32>,
        bind: Bind<'_>,
    ) -> Option<(usize, u32)> {
        let known = self.files.get(file)?.elf.imports.get(import as usize)?;
        let slot = self.imports.get_mut(file)?.get_mut(import as usize)?;
        if slot.is_some() {
            return None;
        }
        let bound = bind(known);
        *slot = Some(ImportUse { certainty, by, bound });
        let (to, export) = bound?;
        let target = self.files.get(to)?;
        if target.role == Role::Apart {
            return None;
        }
        Some((to, target.elf.exports.get(export as usize)?.function?))
    }

    /// The reached sites: file, index of the site, how sure. In files whose functions are not known ([`Depth::Sites`]), every one.
    pub fn sites(&self) -> impl Iterator<Item = (usize, u32, Certainty)> + '_ {
        self.files.iter().enumerate().flat_map(move |(file, known)| {
            known.elf.sites.iter().enumerate().filter_map(move |(index, site)| {
                self.site_certainty(file, site).map(|certainty| (file, index as u32, certainty))
            })
        })
    }

    fn site_certainty(&self, file: usize, site: &Site) -> Option<Certainty> {
        match site.function {
            Some(_) if self.files.get(file)?.elf.code.depth == Depth::Sites => {
                (self.files.get(file)?.role != Role::Apart).then_some(Certainty::Pointed)
            }
            Some(function) => self.function(file, function),
            None => None,
        }
    }

    /// How sure it is that a function is reached.
    pub fn function(&self, file: usize, function: u32) -> Option<Certainty> {
        *self.functions.get(file)?.get(function as usize)?
    }

    /// The used imports: file, index of the import, and how it is used.
    pub fn imports(&self) -> impl Iterator<Item = (usize, u32, ImportUse)> + '_ {
        self.imports.iter().enumerate().flat_map(|(file, imports)| {
            (0..).zip(imports).filter_map(move |(index, used)| used.map(|used| (file, index, used)))
        })
    }

    /// The calls that are reached at least so surely, by the table of numbers they are from (`via` tells it), and numbers
    /// that are not known.
    pub fn numbers(&self, at_least: Certainty) -> BTreeSet<(Via, Number)> {
        let sites = self.sites().filter(|&(.., certainty)| certainty <= at_least);
        let sites = sites.filter_map(|(file, index, _)| self.files.get(file)?.elf.sites.get(index as usize));
        sites.filter(|site| site.number != Number::Passed).map(|site| (site.via, site.number)).collect()
    }
}
