//! A file's code put together: functions, what they call, and the sites in them with their numbers.

use super::dynamic::{Dynamic, Symbol};
use super::execute::Convention;
use super::facts::{Code, Depth, Function, Number, Site, Via};
use super::flow::{Found, Wrapper, Wrappers, flow};
use super::functions::{Functions, has_calls};
use super::parts::Parts;
use super::places::{Goes, Places};
use super::sweep::Start;
use super::unwind;
use super::value::{Parameter, Value};
use object::elf;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Bytes of functions in which numbers are followed, each time counted. Go's largest programs take some millions.
const MOST_FLOWED: u64 = 128 << 20;

/// Functions that pass a number on to functions that pass it on: real chains are three or four deep.
const MOST_ROUNDS: usize = 16;

/// Functions of a libc to which callers in other files give a number, and where they give it. Callers there are sites.
const TAKERS: [&str; 2] = ["syscall", "__syscall_cancel"];

/// What the caller of this module knows of the file.
pub struct Known<'k, 'a> {
    /// The file.
    pub parts: &'k Parts<'a>,
    /// Its dynamic section.
    pub dynamic: &'k Dynamic<'a>,
    /// Symbols of `.symtab`.
    pub symbols: &'k [Symbol<'a>],
    /// Go's own table of functions: address and name.
    pub go: &'k [(u64, &'a str)],
    /// Whether it is a Go program.
    pub is_go: bool,
    /// The index of each dynamic symbol that is an import.
    pub imports: &'k HashMap<u32, u32>,
}

/// What came out.
pub struct Graph {
    /// The code.
    pub code: Code,
    /// The sites.
    pub sites: Vec<Site>,
    /// The index of the function that begins at an address.
    pub at: HashMap<u64, u32>,
}

/// Takes the code apart.
pub fn graph(known: &Known<'_, '_>) -> Graph {
    let places = Places::new(known.parts, known.dynamic, known.imports);
    let entries = entries(known, &places);
    let addresses: Vec<u64> = entries.iter().copied().collect();
    let functions = Functions::find(&places, starts(known), &addresses);
    let mut numbers = Numbers::new(known, &functions);
    numbers.follow(&places, &functions);
    put_together(known, &places, &functions, numbers, &entries)
}

fn starts<'a>(known: &Known<'_, 'a>) -> Vec<Start<'a>> {
    let by_symbols = known.dynamic.symbols.iter().chain(known.symbols);
    let by_symbols = by_symbols.filter(|symbol| symbol.is_defined && symbol.is_function() && symbol.value != 0);
    let mut starts: Vec<Start<'a>> = by_symbols
        .map(|symbol| Start {
            at: symbol.value,
            size: symbol.size,
            name: Some(symbol.name).filter(|name| !name.is_empty()),
        })
        .collect();
    starts.extend(known.go.iter().map(|&(at, name)| Start { at, size: 0, name: Some(name) }));
    starts.extend(unwind::functions(known.parts).into_iter().map(|(at, size)| Start { at, size, name: None }));
    starts
}

/// Where execution begins: the entry point, DT_INIT and DT_FINI, the arrays, and what chooses functions at start-up.
fn entries(known: &Known<'_, '_>, places: &Places<'_, '_>) -> BTreeSet<u64> {
    let mut entries: BTreeSet<u64> = known.dynamic.functions.iter().copied().collect();
    entries.insert(known.parts.entry);
    for (at, size) in arrays(known) {
        let word = known.parts.word() as u64;
        for index in 0..(size / word).min(1 << 16) {
            let place = at.wrapping_add(index * word);
            match places.pointer(place) {
                Some(Goes::Own(address)) => _ = entries.insert(address),
                Some(Goes::Import(_)) => {}
                None => entries.extend(known.parts.word_at(place)),
            }
        }
    }
    for relocation in &known.dynamic.relocations {
        if let (true, super::dynamic::Target::Own(address)) = (relocation.is_got, relocation.target) {
            entries.insert(address);
        }
    }
    entries.retain(|&address| address != 0 && places.code_at(address).is_some());
    entries
}

fn arrays(known: &Known<'_, '_>) -> Vec<(u64, u64)> {
    let mut arrays = known.dynamic.arrays.clone();
    arrays.extend(known.parts.sections.iter().filter_map(|section| {
        let is_array =
            matches!(section.kind, elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY);
        is_array.then_some((section.address, section.size))
    }));
    arrays.sort_unstable();
    arrays.dedup();
    // Hostile headers have thousands.
    arrays.truncate(16);
    arrays
}

/// The numbers of calls, as they are followed from function to function.
struct Numbers {
    convention: Convention,
    wrappers: Wrappers,
    found: BTreeMap<usize, Vec<Found>>,
    /// Functions that take a number and are called in the file, by address.
    called: HashSet<u64>,
    dirty: BTreeSet<usize>,
}

impl Numbers {
    fn new(known: &Known<'_, '_>, functions: &Functions<'_>) -> Numbers {
        let is_64 = known.parts.is_64;
        let mut wrappers = Wrappers::new();
        for (&symbol, &import) in known.imports {
            let name = known.dynamic.symbols.get(symbol as usize).map_or("", |symbol| symbol.name);
            let parameter = match (name, is_64) {
                ("syscall", true) => Parameter::Register(7),
                ("syscall", false) => Parameter::Slot(4),
                // The number is the seventh argument (glibc 2.41 sysdeps/unix/sysdep.h).
                ("__syscall_cancel", true) => Parameter::Slot(8),
                ("__syscall_cancel", false) => Parameter::Slot(28),
                _ => continue,
            };
            let wrapper = Wrapper { parameter, bits: 32, via: Via::SyscallFunction };
            wrappers.insert(Goes::Import(import), vec![wrapper]);
        }
        let takes_numbers = |import: &u32| wrappers.contains_key(&Goes::Import(*import));
        let mut dirty = BTreeSet::new();
        for (index, function) in functions.list.iter().enumerate() {
            if !function.raw.is_empty() || function.has_vsyscalls || function.imports.iter().any(takes_numbers) {
                dirty.insert(index);
            }
        }
        let convention = Convention { word: if is_64 { 8 } else { 4 }, is_go: known.is_go };
        Numbers { convention, wrappers, found: BTreeMap::new(), called: HashSet::new(), dirty }
    }

    fn follow(&mut self, places: &Places<'_, '_>, functions: &Functions<'_>) {
        let mut left = MOST_FLOWED;
        for _ in 0..MOST_ROUNDS {
            let mut new: HashSet<u64> = HashSet::new();
            for index in std::mem::take(&mut self.dirty) {
                let Some(function) = functions.list.get(index) else { continue };
                let size = function.end - function.start;
                let Some(rest) = left.checked_sub(size) else { return };
                left = rest;
                let found = flow(places, function.start, function.end, self.convention, &self.wrappers);
                let taken = self.wrappers.entry(Goes::Own(function.start)).or_default();
                for found in &found {
                    let Value::Entry(parameter, bits) = found.value else { continue };
                    let wrapper = Wrapper { parameter, bits, via: found.via };
                    if !taken.contains(&wrapper) {
                        taken.push(wrapper);
                        new.insert(function.start);
                    }
                }
                self.found.insert(index, found);
            }
            if new.is_empty() {
                break;
            }
            for (index, function) in functions.list.iter().enumerate() {
                for called in function.calls.iter().filter(|called| new.contains(called)) {
                    self.called.insert(*called);
                    self.dirty.insert(index);
                }
            }
        }
    }
}

fn put_together(
    known: &Known<'_, '_>,
    places: &Places<'_, '_>,
    functions: &Functions<'_>,
    numbers: Numbers,
    entries: &BTreeSet<u64>,
) -> Graph {
    let convention = numbers.convention;
    let by_others = by_others(known, places, functions, entries);
    let taker = |symbol: &&Symbol<'_>| symbol.is_defined && TAKERS.contains(&symbol.name);
    let takers: HashSet<u64> = known.dynamic.symbols.iter().filter(taker).map(|symbol| symbol.value).collect();
    let mut sites: Vec<Site> = Vec::new();
    let mut read: HashSet<u64> = HashSet::new();
    for (index, function) in functions.list.iter().enumerate() {
        let mut add = |address: u64, via: Via, number: Number| {
            sites.push(Site { address, via, number, function: Some(index as u32) });
        };
        let has_callers = numbers.called.contains(&function.start) || takers.contains(&function.start);
        match numbers.found.get(&index) {
            Some(found) => {
                for found in found {
                    for number in what(found.value) {
                        add(found.address, found.via, number);
                    }
                    if matches!(found.value, Value::Entry(..)) && (by_others.contains(&index) || !has_callers) {
                        add(found.address, found.via, Number::Unknown);
                    }
                }
            }
            // There was no time left for it.
            None => function.raw.iter().for_each(|&(address, via)| add(address, via, Number::Unknown)),
        }
        for &(address, place) in &function.from_data {
            if let Some(&number) = places.vsyscalls.get(&place) {
                add(address, Via::VsyscallData, Number::Known(number));
                read.insert(place);
            }
        }
    }
    for &(start, end) in &functions.gaps {
        if has_calls(places, start, end) {
            for found in flow(places, start, end, convention, &numbers.wrappers) {
                for number in what(found.value) {
                    let number = if number == Number::Passed { Number::Unknown } else { number };
                    sites.push(Site { address: found.address, via: found.via, number, function: None });
                }
            }
        }
    }
    for (&place, &number) in &places.vsyscalls {
        if !read.contains(&place) {
            let number = Number::Known(number);
            sites.push(Site { address: place, via: Via::VsyscallData, number, function: None });
        }
    }
    sites.sort_unstable();
    sites.dedup();
    Builder { functions, places, sites: &sites }.build(known, entries, sites.clone())
}

fn what(value: Value) -> Vec<Number> {
    match value {
        Value::Constants(constants) => {
            constants.as_slice().iter().map(|&number| Number::Known(number as u32)).collect()
        }
        Value::Entry(..) => vec![Number::Passed],
        _ => vec![Number::Unknown],
    }
}

/// Functions that somebody may call whose arguments are not seen: by a pointer, from another file, into their middle.
fn by_others(
    known: &Known<'_, '_>,
    places: &Places<'_, '_>,
    functions: &Functions<'_>,
    entries: &BTreeSet<u64>,
) -> HashSet<usize> {
    let mut addresses: HashSet<u64> = entries.iter().copied().collect();
    addresses.extend(places.pointers.iter().filter_map(|&(_, goes)| match goes {
        Goes::Own(address) => Some(address),
        Goes::Import(_) => None,
    }));
    let exported = known.dynamic.symbols.iter().filter(|symbol| symbol.is_defined && symbol.is_function());
    addresses.extend(exported.filter(|symbol| !TAKERS.contains(&symbol.name)).map(|symbol| symbol.value));
    let mut indices: HashSet<usize> =
        addresses.into_iter().filter_map(|address| functions.starting(address)).collect();
    for function in &functions.list {
        indices.extend(function.takes.iter().filter_map(|&address| functions.starting(address)));
        let into = function.calls.iter().filter(|&&address| functions.starting(address).is_none());
        indices.extend(into.filter_map(|&address| functions.at(address)));
    }
    indices
}

struct Builder<'b, 'p, 'a> {
    functions: &'b Functions<'a>,
    places: &'b Places<'p, 'a>,
    sites: &'b [Site],
}

impl Builder<'_, '_, '_> {
    /// Numbers what matters anew: functions that lead to a site or an import.
    fn build(&self, known: &Known<'_, '_>, entries: &BTreeSet<u64>, mut sites: Vec<Site>) -> Graph {
        let count = self.functions.list.len();
        let mut calls: Vec<Vec<u32>> = Vec::with_capacity(count);
        for (index, function) in self.functions.list.iter().enumerate() {
            let called = function.calls.iter().filter_map(|&address| self.functions.at(address));
            let taken = function.takes.iter().filter_map(|&address| {
                self.functions.starting(address).or_else(|| {
                    // Of code at a fixed address any number looks like an address.
                    if self.places.is_fixed { None } else { self.functions.at(address) }
                })
            });
            let mut all: Vec<u32> =
                called.chain(taken).filter(|&other| other != index).map(|other| other as u32).collect();
            all.sort_unstable();
            all.dedup();
            calls.push(all);
        }
        let mut own_sites: HashMap<u32, Vec<u32>> = HashMap::new();
        for (index, site) in self.sites.iter().enumerate() {
            if let Some(function) = site.function {
                own_sites.entry(function).or_default().push(index as u32);
            }
        }
        let matters = self.matters(&calls, &own_sites);
        let mut new_index: Vec<Option<u32>> = vec![None; count];
        let mut next = 0u32;
        for (place, _) in new_index.iter_mut().zip(&matters).filter(|(_, matters)| **matters) {
            *place = Some(next);
            next += 1;
        }
        let renumber = |old: u32| new_index.get(old as usize).copied().flatten();
        let mut functions = Vec::with_capacity(next as usize);
        let mut at = HashMap::new();
        for (index, (function, calls)) in self.functions.list.iter().zip(&calls).enumerate() {
            let Some(new) = renumber(index as u32) else { continue };
            at.insert(function.start, new);
            functions.push(Function {
                start: function.start,
                size: u32::try_from(function.end - function.start).unwrap_or(u32::MAX),
                name: function.name.map(Into::into),
                calls: calls.iter().filter_map(|&old| renumber(old)).collect(),
                imports: function.imports.as_slice().into(),
                sites: own_sites.get(&(index as u32)).map_or(&[][..], Vec::as_slice).into(),
            });
        }
        for site in &mut sites {
            site.function = site.function.and_then(renumber);
        }
        let mut code = Code { functions, depth: self.functions.depth, ..Code::default() };
        code.entries = entries.iter().filter_map(|&address| self.functions.at(address)).filter_map(|old| renumber(old as u32)).collect();
        self.in_data(known, &renumber, &mut code);
        if code.depth == Depth::Sites {
            code.imports_in_data = (0..known.imports.len() as u32).collect();
        }
        for list in [&mut code.entries, &mut code.in_data, &mut code.imports_in_data] {
            list.sort_unstable();
            list.dedup();
        }
        Graph { code, sites, at }
    }

    /// What leads to a site or an import, against the direction of the calls.
    fn matters(&self, calls: &[Vec<u32>], own_sites: &HashMap<u32, Vec<u32>>) -> Vec<bool> {
        let mut callers: Vec<Vec<u32>> = vec![Vec::new(); calls.len()];
        for (caller, called) in calls.iter().enumerate() {
            for &callee in called {
                if let Some(list) = callers.get_mut(callee as usize) {
                    list.push(caller as u32);
                }
            }
        }
        let mut matters = vec![false; calls.len()];
        let mut queue: Vec<u32> = Vec::new();
        for (index, function) in self.functions.list.iter().enumerate() {
            if !function.imports.is_empty() || own_sites.contains_key(&(index as u32)) {
                queue.push(index as u32);
            }
        }
        while let Some(index) = queue.pop() {
            match matters.get_mut(index as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            queue.extend(callers.get(index as usize).into_iter().flatten());
        }
        matters
    }

    fn in_data(&self, known: &Known<'_, '_>, renumber: &impl Fn(u32) -> Option<u32>, code: &mut Code) {
        let arrays = arrays(known);
        for &(place, goes) in &self.places.pointers {
            match goes {
                Goes::Import(import) => code.imports_in_data.push(import),
                Goes::Own(address) => {
                    let is_entry =
                        arrays.iter().any(|&(at, size)| place.checked_sub(at).is_some_and(|into| into < size));
                    if !is_entry && let Some(old) = self.functions.starting(address) {
                        code.in_data.extend(renumber(old as u32));
                    }
                }
            }
        }
    }
}

