//! Which calls a program can make: what its code reaches, through its libraries, down to the C library. A call that lies
//! in a library and that nothing reaches is only present.

use super::elf::facts::{Architecture, Depth, Elf, Import, Number, Site, Via};
use super::link::{Id, Loaded, Objects};
use evercall_rules::table::{CALLS, Call, RULES};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// What is asked of the kernel.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A system call.
    Call(&'static Call),
    /// The vsyscall page's function of this name.
    Vsyscall(&'static str),
}

impl What {
    /// The name of the call, or of the page's function.
    pub fn name(self) -> &'static str {
        match self {
            What::Call(call) => call.name,
            What::Vsyscall(name) => name,
        }
    }

    fn key(self) -> (&'static str, bool) {
        (self.name(), matches!(self, What::Vsyscall(_)))
    }
}

/// How it is asked: what a door of evercall must reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By the libc function that is for it, called from outside the libc.
    Symbol {
        /// The function.
        name: String,
        /// The import is weak: the program is ready to do without.
        is_weak: bool,
    },
    /// Inside the libc, by a function that is for something else.
    Inside {
        /// The function, or `its start`.
        through: String,
    },
    /// By libc's `syscall()`.
    SyscallFunction,
    /// By an instruction outside the libc.
    Raw,
}

/// A use of a call.
#[derive(Clone, Debug)]
pub struct Use {
    /// The call.
    pub what: What,
    /// How.
    pub how: How,
    /// The object that asks for it: for [`How::Inside`] and [`How::Symbol`] the one that calls the libc.
    pub object: Id,
    /// The object with the instruction, if it is known.
    pub site: Option<(Id, u64)>,
    /// The function around it, or that calls the libc.
    pub function: Option<String>,
}

/// What a program uses.
#[derive(Default)]
pub struct Uses {
    /// One for each call and way.
    pub all: Vec<Use>,
    /// Places whose number is not known.
    pub unknown: BTreeSet<(Id, u64)>,
    /// libc functions that code outside the libc can reach.
    pub imports: BTreeMap<String, Id>,
    /// Whether some of the code could only be guessed at.
    pub guessed: bool,
}

/// What is reached inside a libc.
struct Inside {
    sites: Vec<(Id, u32)>,
}

/// Remembers what libc functions lead to, across programs.
#[derive(Default)]
pub struct Memory {
    inside: HashMap<(Vec<Id>, Id, u32), Rc<Inside>>,
}

/// What a program or library uses, with all that is loaded with it.
pub fn of(loaded: &Loaded, objects: &Objects<'_>, memory: &mut Memory) -> Uses {
    let libcs: Vec<Id> = loaded.modules.iter().copied().filter(|id| objects.get(*id).is_libc()).collect();
    let mut walk = Walk {
        objects,
        loaded,
        memory,
        libcs,
        uses: Uses::default(),
        seen: HashSet::new(),
        visited: loaded
            .modules
            .iter()
            .map(|id| vec![false; objects.get(*id).elf().code.functions.len()])
            .collect(),
        stack: Vec::new(),
    };
    walk.run();
    let mut uses = walk.uses;
    // One of a kind is enough; those with a known function first.
    let mut kinds = BTreeSet::new();
    uses.all.sort_by(|a, b| {
        (a.what.key(), &a.how, a.object, a.site).cmp(&(b.what.key(), &b.how, b.object, b.site))
    });
    uses.all.retain(|one| kinds.insert((one.what.key(), one.how.clone(), one.object)));
    uses
}

struct Walk<'a> {
    objects: &'a Objects<'a>,
    loaded: &'a Loaded,
    memory: &'a mut Memory,
    libcs: Vec<Id>,
    uses: Uses,
    /// Functions of the libc that were followed, by who calls them.
    seen: HashSet<(Id, String)>,
    /// Functions of each module.
    visited: Vec<Vec<bool>>,
    /// Module by its place among the loaded ones, and function.
    stack: Vec<(usize, u32)>,
}

impl Walk<'_> {
    fn run(&mut self) {
        for module in 0..self.loaded.modules.len() {
            let id = self.loaded.modules[module];
            let object = self.objects.get(id);
            let elf = object.elf();
            if object.is_libc() && module > 0 {
                for entry in &elf.code.entries {
                    self.inside(id, *entry, "its start", module_id(self.loaded, 0), None, false);
                }
                continue;
            }
            self.uses.guessed |= matches!(elf.code.depth, Depth::Guessed);
            if elf.code.depth == Depth::Sites {
                for site in &elf.sites {
                    self.site(id, elf, site, None);
                }
            }
            if matches!(elf.code.depth, Depth::Sites | Depth::None) {
                for import in &elf.imports {
                    self.import(id, import, None);
                }
            }
            for import in &elf.code.imports_in_data {
                if let Some(import) = elf.imports.get(*import as usize) {
                    self.import(id, import, None);
                }
            }
            let roots = elf.code.entries.iter().chain(&elf.code.in_data).copied();
            self.stack.extend(roots.map(|function| (module, function)));
            // What others call of a library is found by their imports; of what is loaded first, by nobody known.
            if module == 0 {
                let exports = elf.exports.iter().filter_map(|export| export.function);
                self.stack.extend(exports.map(|function| (module, function)));
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some((module, function)) = self.stack.pop() {
            match self.visited.get_mut(module).and_then(|all| all.get_mut(function as usize)) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            let Some(id) = self.loaded.modules.get(module).copied() else { continue };
            let objects = self.objects;
            let elf = objects.get(id).elf();
            let Some(code) = elf.code.functions.get(function as usize) else { continue };
            self.stack.extend(code.calls.iter().map(|callee| (module, *callee)));
            for site in code.sites.iter().filter_map(|at| elf.sites.get(*at as usize)) {
                self.site(id, elf, site, code.name.as_deref());
            }
            for import in code.imports.iter().filter_map(|at| elf.imports.get(*at as usize)) {
                self.import(id, import, code.name.as_deref());
            }
        }
    }

    /// A place outside the libc (or in a program that has it inside) where a call is made.
    fn site(&mut self, id: Id, elf: &Elf, site: &Site, function: Option<&str>) {
        let how = match site.via {
            Via::SyscallFunction => How::SyscallFunction,
            Via::VsyscallMention => return,
            _ => How::Raw,
        };
        self.add(id, elf, site, how, id, function);
    }

    fn add(&mut self, at: Id, elf: &Elf, site: &Site, how: How, object: Id, function: Option<&str>) {
        match what(elf, site) {
            Some(Some(what)) => self.uses.all.push(Use {
                what,
                how,
                object,
                site: Some((at, site.address)),
                function: function.map(str::to_string),
            }),
            Some(None) => {
                self.uses.unknown.insert((at, site.address));
            }
            None => {}
        }
    }

    /// Follows an import of code outside the libc.
    fn import(&mut self, id: Id, import: &Import, function: Option<&str>) {
        let objects = self.objects;
        let version = import.version.as_deref();
        let found = self.loaded.modules.iter().enumerate().find_map(|(module, candidate)| {
            let object = objects.get(*candidate);
            Some((module, *candidate, object, object.export(&import.name, version)?))
        });
        let Some((module, target, object, export)) = found else {
            // Of the libc that is not here, the name says what it is for.
            if self.libcs.is_empty() && self.seen.insert((id, import.name.clone())) {
                self.uses.imports.entry(import.name.clone()).or_insert(id);
                for call in calls_of_symbol(&import.name) {
                    self.uses.all.push(Use {
                        what: What::Call(call),
                        how: How::Symbol { name: import.name.clone(), is_weak: import.is_weak },
                        object: id,
                        site: None,
                        function: function.map(str::to_string),
                    });
                }
            }
            return;
        };
        if !object.is_libc() {
            if let Some(function) = export.function {
                self.stack.push((module, function));
            }
            return;
        }
        if !self.seen.insert((id, import.name.clone())) {
            return;
        }
        self.uses.imports.entry(import.name.clone()).or_insert(id);
        if let Some(inner) = export.function {
            self.inside(target, inner, &import.name, Some(id), function, import.is_weak);
        }
    }

    /// What a function of the libc leads to.
    fn inside(
        &mut self,
        target: Id,
        function: u32,
        name: &str,
        by: Option<Id>,
        caller: Option<&str>,
        is_weak: bool,
    ) {
        let Some(by) = by else { return };
        let key = (self.libcs.clone(), target, function);
        let reached = match self.memory.inside.get(&key) {
            Some(known) => known.clone(),
            None => {
                let reached = Rc::new(inside(self.objects, &self.libcs, target, function));
                self.memory.inside.insert(key, reached.clone());
                reached
            }
        };
        for (at, site) in &reached.sites {
            let elf = self.objects.get(*at).elf();
            let Some(site) = elf.sites.get(*site as usize) else { continue };
            if site.via == Via::VsyscallMention {
                continue;
            }
            let is_for_it = match what(elf, site) {
                Some(Some(What::Call(call))) => is_for(name, call),
                Some(Some(What::Vsyscall(function))) => name == function,
                _ => false,
            };
            let how = if is_for_it {
                How::Symbol { name: name.to_string(), is_weak }
            } else {
                How::Inside { through: name.to_string() }
            };
            // Places of unknown numbers inside a libc are syscall() itself, and cancellation's.
            if let Some(Some(_)) = what(elf, site) {
                self.add(*at, elf, site, how, by, caller);
            }
        }
    }
}

fn module_id(loaded: &Loaded, module: usize) -> Option<Id> {
    loaded.modules.get(module).copied()
}

/// What is reached within the libc's files. Functions that only stand in tables there are not followed.
fn inside(objects: &Objects<'_>, libcs: &[Id], target: Id, function: u32) -> Inside {
    let mut sites = Vec::new();
    let mut seen = HashSet::new();
    let mut stack = vec![(target, function)];
    while let Some((id, function)) = stack.pop() {
        if !seen.insert((id, function)) {
            continue;
        }
        let elf = objects.get(id).elf();
        let Some(code) = elf.code.functions.get(function as usize) else { continue };
        sites.extend(code.sites.iter().map(|site| (id, *site)));
        stack.extend(code.calls.iter().map(|callee| (id, *callee)));
        for import in code.imports.iter().filter_map(|at| elf.imports.get(*at as usize)) {
            let found = libcs.iter().find_map(|libc| {
                Some((*libc, objects.get(*libc).export(&import.name, import.version.as_deref())?.function?))
            });
            stack.extend(found);
        }
    }
    Inside { sites }
}

/// What a site asks for: None where nothing is to be said, Some(None) where the number is not known.
fn what(elf: &Elf, site: &Site) -> Option<Option<What>> {
    let number = match site.number {
        Number::Known(number) => number,
        Number::Passed => return None,
        Number::Unknown => return Some(None),
    };
    match site.numbers_of(elf.architecture) {
        None => Some(match number {
            96 => Some(What::Vsyscall("gettimeofday")),
            201 => Some(What::Vsyscall("time")),
            309 => Some(What::Vsyscall("getcpu")),
            _ => None,
        }),
        // A number that the table does not know is another system's, or data taken for code.
        Some(architecture) => call(architecture, number).map(|call| Some(What::Call(call))),
    }
}

/// The call of a number.
fn call(architecture: Architecture, number: u32) -> Option<&'static Call> {
    let number = u16::try_from(number).ok()?;
    CALLS.iter().filter(|call| call.since != "never").find(|call| match architecture {
        Architecture::I386 => call.i386 == Some(number),
        _ => call.x86_64 == Some(number),
    })
}

/// Calls that a libc function of this name is for.
fn calls_of_symbol(name: &str) -> impl Iterator<Item = &'static Call> {
    let by_rule =
        RULES.iter().filter(move |rule| rule.symbols.contains(&name)).filter_map(|rule| rule.calls.first());
    let by_rule = by_rule.filter_map(|call| Call::find(call)).next();
    by_rule.or_else(|| Call::find(name).filter(|call| call.since != "never")).into_iter()
}

/// Whether a libc function is the one for a call, and not one that needs it for something else.
fn is_for(name: &str, call: &Call) -> bool {
    name == call.name
        || name.trim_start_matches('_') == call.name.trim_start_matches('_')
        || RULES.iter().any(|rule| rule.calls.contains(&call.name) && rule.symbols.contains(&name))
}

/// Sites of the objects that hold a call, used or not.
pub fn present(objects: &Objects<'_>) -> BTreeMap<&'static str, BTreeSet<Id>> {
    let mut present: BTreeMap<&'static str, BTreeSet<Id>> = BTreeMap::new();
    for (id, object) in objects.all.iter().enumerate() {
        let elf = object.elf();
        for site in &elf.sites {
            if let Some(Some(what)) = what(elf, site) {
                present.entry(what.name()).or_default().insert(id);
            }
        }
    }
    present
}
