//! Which calls a program can make, and how it asks for each: what [`reach`] finds in the program and its libraries, and in the C
//! library by each of its functions that these use. A call that lies in a library and that nothing reaches is only present.

use super::elf::facts::{Architecture, Depth, Elf, Number, Site, Via};
use super::link::{Id, Loaded, Objects};
use super::reach::{self, Certainty, File, ImportUse, Role};
use evercall_rules::table::{CALLS, Call, RULES};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// How sure it is that it is reached.
    pub certainty: Certainty,
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

/// A place within a libc: the object, and the index of the site.
type Within = Rc<[(Id, u32)]>;

/// Remembers what libc functions lead to, across programs: by the libc's files, the file and the functions.
#[derive(Default)]
pub struct Memory {
    within: HashMap<(Vec<Id>, Id, Vec<u32>), Within>,
}

/// What a program or library uses, with all that is loaded with it. `is_plugin`: all that it exports may be called.
pub fn of(loaded: &Loaded, is_plugin: bool, objects: &Objects<'_>, memory: &mut Memory) -> Uses {
    let files: Vec<File<'_>> = loaded
        .modules
        .iter()
        .enumerate()
        .map(|(module, id)| {
            let role = match module {
                // A program's exports are for the plugins that it loads; a plugin's for who loads it.
                0 => Role::Plugin,
                _ if objects.get(*id).is_libc() => Role::Apart,
                _ => Role::Linked,
            };
            File { elf: objects.get(*id).elf(), role }
        })
        .collect();
    let all = 0..loaded.modules.len();
    let libcs: Vec<usize> = all.filter(|module| is_apart(&files, *module)).collect();
    let bind = |import: &_| objects.bind(&loaded.modules, import);
    let mut user = User { objects, loaded, libcs, files, memory, is_plugin, uses: Uses::default() };
    let reach = reach::reach_by(&user.files, &bind);
    user.sites(&reach);
    for (file, import, used) in reach.imports() {
        user.import(file, import, used);
    }
    for at in 0..user.libcs.len() {
        let libc = user.libcs[at];
        let entries = user.files[libc].elf.code.entries.clone();
        user.within(libc, entries, "its start", 0, None, false, Certainty::Called);
    }
    let mut uses = user.uses;
    // One of a kind is enough: the surest; those with a known function first.
    let mut kinds = BTreeSet::new();
    uses.all.sort_by(|a, b| {
        let key = |one: &Use| (one.certainty, one.function.is_none(), one.site);
        (a.what.key(), &a.how, a.object, key(a)).cmp(&(b.what.key(), &b.how, b.object, key(b)))
    });
    uses.all.retain(|one| kinds.insert((one.what.key(), one.how.clone(), one.object)));
    uses
}

fn is_apart(files: &[File<'_>], module: usize) -> bool {
    files.get(module).is_some_and(|file| file.role == Role::Apart)
}

/// Who uses something: a file among the modules, and the name of the function in it.
struct User<'a> {
    objects: &'a Objects<'a>,
    loaded: &'a Loaded,
    /// The modules' facts, in their order.
    files: Vec<File<'a>>,
    /// Those that are the libc's.
    libcs: Vec<usize>,
    memory: &'a mut Memory,
    is_plugin: bool,
    uses: Uses,
}

impl User<'_> {
    /// Places outside the libc, or in a program that has it inside.
    fn sites(&mut self, reach: &reach::Reach<'_>) {
        for module in 0..self.files.len() {
            if !is_apart(&self.files, module) {
                self.uses.guessed |= self.files[module].elf.code.depth == Depth::Guessed;
            }
        }
        for (module, at, certainty) in reach.sites() {
            let elf = self.files[module].elf;
            let Some(site) = elf.sites.get(at as usize) else { continue };
            let how = match site.via {
                Via::SyscallFunction => How::SyscallFunction,
                Via::VsyscallMention => continue,
                _ => How::Raw,
            };
            let id = self.loaded.modules[module];
            match what(elf, site) {
                Some(Some(what)) => {
                    let function = site.function.and_then(|function| name(elf, function));
                    self.add(what, how, certainty, module, Some((id, site.address)), function);
                }
                Some(None) => {
                    self.uses.unknown.insert((id, site.address));
                }
                None => {}
            }
        }
    }

    fn add(
        &mut self,
        what: What,
        how: How,
        certainty: Certainty,
        module: usize,
        site: Option<(Id, u64)>,
        function: Option<String>,
    ) {
        // A program begins at its start; what it exports is called by plugins, if by anybody.
        let certainty = match certainty {
            Certainty::Exported if !self.is_plugin => Certainty::Pointed,
            certainty => certainty,
        };
        let object = self.loaded.modules[module];
        self.uses.all.push(Use { what, how, certainty, object, site, function });
    }

    /// Follows an import of code outside the libc.
    fn import(&mut self, module: usize, import: u32, used: ImportUse) {
        let elf = self.files[module].elf;
        let Some(import) = elf.imports.get(import as usize) else { return };
        let caller = used.by.and_then(|function| name(elf, function));
        let id = self.loaded.modules[module];
        match used.bound {
            Some((target, export)) if is_apart(&self.files, target) => {
                self.uses.imports.entry(import.name.clone()).or_insert(id);
                let export = self.files[target].elf.exports.get(export as usize);
                let Some(function) = export.and_then(|export| export.function) else { return };
                let name = &import.name;
                self.within(target, vec![function], name, module, caller, import.is_weak, used.certainty);
            }
            Some(_) => {}
            // Of the libc that is not here, the name says what it is for.
            None if self.libcs.is_empty() => {
                self.uses.imports.entry(import.name.clone()).or_insert(id);
                for call in calls_of_symbol(&import.name) {
                    let how = How::Symbol { name: import.name.clone(), is_weak: import.is_weak };
                    self.add(What::Call(call), how, used.certainty, module, None, caller.clone());
                }
            }
            None => {}
        }
    }

    /// What functions of the libc lead to. Places of unknown numbers there are syscall() itself, and cancellation's.
    #[allow(clippy::too_many_arguments, reason = "what is told of a use")]
    fn within(
        &mut self,
        libc: usize,
        functions: Vec<u32>,
        name: &str,
        module: usize,
        caller: Option<String>,
        is_weak: bool,
        certainty: Certainty,
    ) {
        for (at, site) in self.reached(libc, functions).iter() {
            let elf = self.objects.get(*at).elf();
            let Some(site) = elf.sites.get(*site as usize) else { continue };
            if site.via == Via::VsyscallMention {
                continue;
            }
            let Some(Some(what)) = what(elf, site) else { continue };
            let is_for_it = match what {
                What::Call(call) => is_for(name, call),
                What::Vsyscall(function) => name == function,
            };
            let how = if is_for_it {
                How::Symbol { name: name.to_string(), is_weak }
            } else {
                How::Inside { through: name.to_string() }
            };
            self.add(what, how, certainty, module, Some((*at, site.address)), caller.clone());
        }
    }

    fn reached(&mut self, libc: usize, functions: Vec<u32>) -> Within {
        let ids: Vec<Id> = self.libcs.iter().map(|module| self.loaded.modules[*module]).collect();
        let objects = self.objects;
        let key = (ids.clone(), self.loaded.modules[libc], functions);
        let known = self.memory.within.get(&key).cloned();
        known.unwrap_or_else(|| {
            let files: Vec<File<'_>> =
                ids.iter().map(|id| File { elf: objects.get(*id).elf(), role: Role::Linked }).collect();
            let first = ids.iter().position(|id| *id == key.1).unwrap_or_default();
            let reach = reach::within(&files, first, &key.2, &|import| objects.bind(&ids, import));
            let reached: Within = reach.sites().map(|(file, site, _)| (ids[file], site)).collect();
            self.memory.within.insert(key, reached.clone());
            reached
        })
    }
}

fn name(elf: &Elf, function: u32) -> Option<String> {
    elf.code.functions.get(function as usize)?.name.as_deref().map(str::to_string)
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
