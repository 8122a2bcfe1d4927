//! What the dynamic section leads to: libraries, symbols with their versions, relocations. Section headers are not needed.

use super::parts::{Parts, number, number_at, text};
use super::versions::Versions;
use object::elf;
use std::collections::HashMap;

/// More libraries or folders than this are cut: real programs have less than a few hundred.
const MOST_NAMES: usize = 4096;

/// Packed relative relocations (generic ABI, 2022).
const DT_RELR: u32 = 36;
const DT_RELRSZ: u32 = 35;

/// What the dynamic section says.
#[derive(Debug, Default)]
pub struct Dynamic<'a> {
    /// DT_SONAME.
    pub soname: Option<&'a str>,
    /// DT_NEEDED.
    pub needed: Vec<&'a str>,
    /// DT_RPATH.
    pub rpath: Option<&'a str>,
    /// DT_RUNPATH.
    pub runpath: Option<&'a str>,
    /// DT_FLAGS_1 has DF_1_PIE.
    pub is_pie: bool,
    /// DT_PLTGOT: on i386 what %ebx holds.
    pub got: Option<u64>,
    /// DT_INIT and DT_FINI.
    pub functions: Vec<u64>,
    /// Addresses and bytes of the arrays of functions.
    pub arrays: Vec<(u64, u64)>,
    /// The dynamic symbols; the first is none.
    pub symbols: Vec<Symbol<'a>>,
    /// What the loader writes.
    pub relocations: Vec<Relocation>,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is.
    pub value: u64,
    /// Bytes.
    pub size: u64,
    /// STT_.
    pub kind: u8,
    /// STB_.
    pub bind: u8,
    /// Whether the file defines it.
    pub is_defined: bool,
    /// Whether it is a number and no place: the names of versions are such.
    pub is_absolute: bool,
    /// Its version, and where it is asked for the library.
    pub version: Option<Version<'a>>,
}

impl Symbol<'_> {
    /// A function, or what chooses one.
    pub fn is_function(&self) -> bool {
        matches!(self.kind, elf::STT_FUNC | elf::STT_GNU_IFUNC)
    }
}

/// A symbol's version.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// `GLIBC_2.15`.
    pub name: &'a str,
    /// The library that it is asked of.
    pub library: Option<&'a str>,
    /// Only for programs linked long ago.
    pub is_hidden: bool,
}

/// What the loader writes to a place.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// The place.
    pub place: u64,
    /// What.
    pub target: Target,
    /// Whether the place is one of those through which code reaches symbols (GLOB_DAT, JUMP_SLOT).
    pub is_got: bool,
}

/// What stands at a place once the file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address of this file, or of the function that gives one.
    Own(u64),
    /// A symbol's address, by its index, and what is added.
    Symbol(u32, i64),
}

/// Reads the dynamic section. Without one, what a static program's sections have.
pub fn read<'a>(parts: &Parts<'a>) -> Dynamic<'a> {
    let mut dynamic = Dynamic::default();
    let word = parts.word();
    let entries = parts.segment(elf::PT_DYNAMIC).map_or(&[][..], |(segment, in_file)| {
        // The loader reads it where it is loaded.
        parts.take(segment.address, segment.file_size).unwrap_or(in_file)
    });
    let mut values: HashMap<u64, u64> = HashMap::new();
    let mut names = Vec::new();
    for entry in entries.chunks_exact(2 * word) {
        let (Some(tag), Some(value)) = (number_at(entry, 0..word), number_at(entry, word..2 * word)) else {
            break;
        };
        match u32::try_from(tag).unwrap_or(u32::MAX) {
            elf::DT_NULL => break,
            elf::DT_NEEDED if names.len() < MOST_NAMES => names.push(value),
            _ => _ = values.entry(tag).or_insert(value),
        }
    }
    let value = |tag: u32| values.get(&u64::from(tag)).copied();
    let strings = value(elf::DT_STRTAB).and_then(|at| parts.at(at)).unwrap_or(&[]);
    let strings =
        value(elf::DT_STRSZ).and_then(|size| strings.get(..usize::try_from(size).ok()?)).unwrap_or(strings);
    let string = |at: u64| text(strings.get(usize::try_from(at).ok()?..)?);
    dynamic.needed = names.into_iter().filter_map(string).collect();
    dynamic.soname = value(elf::DT_SONAME).and_then(string);
    dynamic.rpath = value(elf::DT_RPATH).and_then(string);
    dynamic.runpath = value(elf::DT_RUNPATH).and_then(string);
    dynamic.is_pie = value(elf::DT_FLAGS_1).is_some_and(|flags| flags & u64::from(elf::DF_1_PIE) != 0);
    dynamic.got = value(elf::DT_PLTGOT);
    dynamic.functions =
        [elf::DT_INIT, elf::DT_FINI].into_iter().filter_map(value).filter(|&at| at != 0).collect();
    dynamic.arrays = [
        (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ),
        (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
        (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
    ]
    .into_iter()
    .filter_map(|(at, size)| Some((value(at)?, value(size)?)))
    .collect();
    dynamic.symbols = symbols(parts, strings, &value);
    dynamic.relocations =
        if entries.is_empty() { static_relocations(parts) } else { relocations(parts, &value) };
    dynamic
}

/// The symbols of `.symtab`, where the file was not stripped: without versions.
pub fn static_symbols<'a>(parts: &Parts<'a>) -> Vec<Symbol<'a>> {
    let Some(table) = parts.sections.iter().find(|section| section.kind == elf::SHT_SYMTAB) else {
        return Vec::new();
    };
    let strings = usize::try_from(table.link).ok().and_then(|index| parts.sections.get(index));
    let strings = strings.map_or(&[][..], |strings| parts.content(strings));
    let entries = parts.content(table).chunks_exact(symbol_size(parts));
    entries.filter_map(|entry| symbol(parts, strings, entry)).collect()
}

fn symbol_size(parts: &Parts<'_>) -> usize {
    if parts.is_64 { 24 } else { 16 }
}

fn symbol<'a>(parts: &Parts<'a>, strings: &'a [u8], entry: &[u8]) -> Option<Symbol<'a>> {
    let name = number_at(entry, 0..4)?;
    let (value, size, info, section) = if parts.is_64 {
        (number_at(entry, 8..16)?, number_at(entry, 16..24)?, *entry.get(4)?, number_at(entry, 6..8)?)
    } else {
        (number_at(entry, 4..8)?, number_at(entry, 8..12)?, *entry.get(12)?, number_at(entry, 14..16)?)
    };
    let name = strings.get(usize::try_from(name).ok()?..).and_then(text).unwrap_or("");
    let is_defined = section != u64::from(elf::SHN_UNDEF);
    let is_absolute = section == u64::from(elf::SHN_ABS);
    Some(Symbol {
        name,
        value,
        size,
        kind: info & 15,
        bind: info >> 4,
        is_defined,
        is_absolute,
        version: None,
    })
}

fn symbols<'a>(parts: &Parts<'a>, strings: &'a [u8], value: &impl Fn(u32) -> Option<u64>) -> Vec<Symbol<'a>> {
    let Some(table) = value(elf::DT_SYMTAB).and_then(|at| parts.at(at)) else { return Vec::new() };
    let count = symbol_count(parts, value).unwrap_or_else(|| {
        let section = parts.sections.iter().find(|section| section.kind == elf::SHT_DYNSYM);
        let by_section = section.map(|section| section.size);
        // Linkers put the names right behind the symbols.
        let by_strings =
            || value(elf::DT_STRTAB)?.checked_sub(value(elf::DT_SYMTAB)?).filter(|&size| size > 0);
        by_section.or_else(by_strings).unwrap_or(0) / symbol_size(parts) as u64
    });
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let entries = table.chunks_exact(symbol_size(parts)).take(count);
    let mut symbols: Vec<Symbol<'a>> = entries.map_while(|entry| symbol(parts, strings, entry)).collect();
    let versions = Versions::read(parts, strings, value);
    for (index, symbol) in symbols.iter_mut().enumerate() {
        symbol.version = versions.of(index, symbol.is_defined);
    }
    symbols
}

/// How many symbols there are: by DT_HASH, else the last one in the chains of DT_GNU_HASH.
fn symbol_count(parts: &Parts<'_>, value: &impl Fn(u32) -> Option<u64>) -> Option<u64> {
    if let Some(hash) = value(elf::DT_HASH).and_then(|at| parts.at(at)) {
        return number_at(hash, 4..8);
    }
    let hash = value(elf::DT_GNU_HASH).and_then(|at| parts.at(at))?;
    let field = |index: usize| number_at(hash, 4 * index..4 * index + 4);
    let (buckets, first, blooms) = (field(0)?, field(1)?, field(2)?);
    let words = |count: u64, size: usize| usize::try_from(count).ok()?.checked_mul(size);
    let at = words(blooms, parts.word())?.checked_add(16)?;
    let chains = at.checked_add(words(buckets, 4)?)?;
    let last = hash.get(at..chains)?.chunks_exact(4).filter_map(number).max()?;
    let Some(mut index) = last.checked_sub(first) else {
        // Every bucket is empty: the symbols before the hashed ones are all.
        return Some(first);
    };
    let chain = hash.get(chains..)?;
    loop {
        let at = words(index, 4)?;
        if number_at(chain, at..at.checked_add(4)?)? & 1 == 1 {
            return first.checked_add(index)?.checked_add(1);
        }
        index += 1;
    }
}

fn relocations(parts: &Parts<'_>, value: &impl Fn(u32) -> Option<u64>) -> Vec<Relocation> {
    let mut all = Vec::new();
    let plt_has_addends = value(elf::DT_PLTREL) == Some(u64::from(elf::DT_RELA));
    for (at, size, has_addends) in [
        (elf::DT_RELA, elf::DT_RELASZ, true),
        (elf::DT_REL, elf::DT_RELSZ, false),
        (elf::DT_JMPREL, elf::DT_PLTRELSZ, plt_has_addends),
    ] {
        let bytes = value(at).zip(value(size)).and_then(|(at, size)| parts.take(at, size));
        read_relocations(parts, bytes.unwrap_or(&[]), has_addends, &mut all);
    }
    let relr = value(DT_RELR).zip(value(DT_RELRSZ)).and_then(|(at, size)| parts.take(at, size));
    read_relr(parts, relr.unwrap_or(&[]), &mut all);
    all
}

/// IRELATIVE alone: a static program's own start-up code carries those out.
fn static_relocations(parts: &Parts<'_>) -> Vec<Relocation> {
    let mut all = Vec::new();
    for section in parts.sections.iter().filter(|section| section.flags & u64::from(elf::SHF_ALLOC) != 0) {
        let has_addends = section.kind == elf::SHT_RELA;
        if has_addends || section.kind == elf::SHT_REL {
            read_relocations(parts, parts.content(section), has_addends, &mut all);
        }
    }
    all
}

/// x86-64 and i386 have the same numbers but for the last.
fn read_relocations(parts: &Parts<'_>, bytes: &[u8], has_addends: bool, all: &mut Vec<Relocation>) {
    let word = parts.word();
    for entry in bytes.chunks_exact(word * if has_addends { 3 } else { 2 }) {
        let (Some(place), Some(info)) = (number_at(entry, 0..word), number_at(entry, word..2 * word)) else {
            break;
        };
        let (kind, symbol) =
            if parts.is_64 { (info & 0xffff_ffff, info >> 32) } else { (info & 0xff, info >> 8) };
        let kind = u32::try_from(kind).unwrap_or(u32::MAX);
        let addend = || {
            let there = if has_addends { number_at(entry, 2 * word..3 * word) } else { parts.word_at(place) };
            there.unwrap_or(0)
        };
        let symbol = u32::try_from(symbol).unwrap_or(u32::MAX);
        let (target, is_got) = match kind {
            elf::R_X86_64_RELATIVE => (Target::Own(addend()), false),
            elf::R_X86_64_IRELATIVE if parts.is_64 => (Target::Own(addend()), true),
            elf::R_386_IRELATIVE if !parts.is_64 => (Target::Own(addend()), true),
            elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => (Target::Symbol(symbol, 0), true),
            elf::R_X86_64_64 => (Target::Symbol(symbol, addend() as i64), false),
            _ => continue,
        };
        all.push(Relocation { place, target, is_got });
    }
}

/// DT_RELR: an even word is a place, an odd one a bitmap of the words behind the last place.
fn read_relr(parts: &Parts<'_>, bytes: &[u8], all: &mut Vec<Relocation>) {
    let word = parts.word();
    let mut next = 0u64;
    let mut push = |place: u64| {
        if let Some(target) = parts.word_at(place) {
            all.push(Relocation { place, target: Target::Own(target), is_got: false });
        }
    };
    for entry in bytes.chunks_exact(word).filter_map(number) {
        if entry & 1 == 0 {
            push(entry);
            next = entry.wrapping_add(word as u64);
            continue;
        }
        let bits = 8 * word as u64 - 1;
        for bit in (0..bits).filter(|bit| entry >> (bit + 1) & 1 == 1) {
            push(next.wrapping_add(bit * word as u64));
        }
        next = next.wrapping_add(bits * word as u64);
    }
}
