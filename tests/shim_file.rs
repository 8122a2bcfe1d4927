//! The built `dist/libevercall.so`, read as a file: whatever libc loads it, it asks nothing of that libc.

mod common;

use evercall_rules::table::{DOORS, RULES};
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};
use std::collections::BTreeSet;

type Header = FileHeader64<Endianness>;

/// The symbols that the library may leave undefined. All weak: a program without a libc has neither.
const UNDEFINED: [&str; 2] = ["__environ", "__errno_location"];

/// The largest file that is still quick to map and easy to ship.
const SIZE: usize = 480 * 1024;

const PAGE: u64 = 4096;

/// The file, and its ELF header.
struct Shim {
    bytes: Vec<u8>,
}

impl Shim {
    fn read() -> Shim {
        Shim { bytes: std::fs::read(common::shim()).expect("the shim") }
    }

    fn header(&self) -> (&Header, Endianness) {
        let header = Header::parse(&*self.bytes).expect("an ELF file");
        (header, header.endian().expect("its byte order"))
    }

    fn segments(&self) -> &[elf::ProgramHeader64<Endianness>] {
        let (header, endian) = self.header();
        header.program_headers(endian, &*self.bytes).expect("program headers")
    }

    /// Tag and value of each dynamic entry.
    fn dynamic(&self) -> Vec<(u32, u64)> {
        let (_, endian) = self.header();
        let section = self
            .segments()
            .iter()
            .find_map(|segment| segment.dynamic(endian, &*self.bytes).expect("a whole dynamic section"))
            .expect("PT_DYNAMIC");
        section.iter().map(|entry| (entry.tag32(endian).expect("a known tag"), entry.d_val(endian))).collect()
    }

    fn has(&self, tag: u32) -> bool {
        self.dynamic().iter().any(|&(found, _)| found == tag)
    }

    /// Name, and the entry, of each dynamic symbol.
    fn symbols(&self) -> Vec<(String, elf::Sym64<Endianness>)> {
        let (header, endian) = self.header();
        let sections = header.sections(endian, &*self.bytes).expect("sections");
        let table = sections.symbols(endian, &*self.bytes, elf::SHT_DYNSYM).expect("dynamic symbols");
        table
            .iter()
            .skip(1)
            .map(|symbol| {
                let name = symbol.name(endian, table.strings()).expect("a name");
                (String::from_utf8(name.to_vec()).expect("an ASCII name"), *symbol)
            })
            .collect()
    }

    /// The kind of each dynamic relocation.
    fn relocations(&self) -> Vec<u32> {
        let (header, endian) = self.header();
        let sections = header.sections(endian, &*self.bytes).expect("sections");
        let mut kinds = Vec::new();
        for section in sections.iter() {
            let kind = section.sh_type(endian);
            assert!(kind != elf::SHT_REL, "relocations of the 32-bit form");
            if let Some((relas, _)) = section.rela(endian, &*self.bytes).expect("whole relocations") {
                kinds.extend(relas.iter().map(|rela| rela.r_type(endian, false)));
            }
        }
        kinds
    }
}

/// No libc is named, no version of one, and nothing that an old loader does not know.
#[test]
fn asks_nothing_of_the_loader() {
    let shim = Shim::read();
    let forbidden = [
        (elf::DT_NEEDED, "DT_NEEDED"),
        (elf::DT_VERNEED, "DT_VERNEED"),
        (elf::DT_VERDEF, "DT_VERDEF"),
        (elf::DT_VERSYM, "DT_VERSYM"),
        (elf::DT_TEXTREL, "DT_TEXTREL"),
        (elf::DT_RPATH, "DT_RPATH"),
        (elf::DT_RUNPATH, "DT_RUNPATH"),
        (elf::DT_REL, "DT_REL"),
        // DT_RELR, DT_RELRSZ (gABI): glibc before 2.36 does not know them.
        (35, "DT_RELRSZ"),
        (36, "DT_RELR"),
    ];
    let found: Vec<_> = forbidden.iter().filter(|(tag, _)| shim.has(*tag)).map(|(_, name)| name).collect();
    assert!(found.is_empty(), "the dynamic section has {found:?}");
    let flags = shim.dynamic().iter().find(|&&(tag, _)| tag == elf::DT_FLAGS).map_or(0, |&(_, v)| v);
    assert_eq!(flags & u64::from(elf::DF_TEXTREL | elf::DF_STATIC_TLS), 0, "DT_FLAGS");
}

/// Loaders before glibc 2.5 read DT_HASH only, newer linkers make DT_GNU_HASH only.
#[test]
fn has_both_hash_tables() {
    let shim = Shim::read();
    assert!(shim.has(elf::DT_HASH), "no DT_HASH");
    assert!(shim.has(elf::DT_GNU_HASH), "no DT_GNU_HASH");
}

/// What is undefined is written here, and weak.
#[test]
fn leaves_only_the_written_weak_symbols_undefined() {
    let shim = Shim::read();
    let (_, endian) = shim.header();
    let undefined: Vec<_> =
        shim.symbols().into_iter().filter(|(_, symbol)| symbol.is_undefined(endian)).collect();
    for (name, symbol) in &undefined {
        assert_eq!(symbol.st_bind(), elf::STB_WEAK, "{name} is undefined and not weak");
    }
    let names: BTreeSet<_> = undefined.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(UNDEFINED));
}

/// The exported symbols are those of the table, both ways.
#[test]
fn exports_what_the_table_names() {
    let shim = Shim::read();
    let (_, endian) = shim.header();
    let exported: BTreeSet<String> = shim
        .symbols()
        .into_iter()
        .filter(|(_, symbol)| !symbol.is_undefined(endian) && symbol.st_bind() != elf::STB_LOCAL)
        .map(|(name, symbol)| {
            assert_eq!(symbol.st_type(), elf::STT_FUNC, "{name} is no function");
            assert_eq!(symbol.st_visibility(), elf::STV_DEFAULT, "{name} cannot be interposed on");
            name
        })
        .collect();
    let rules = RULES.iter().flat_map(|rule| rule.symbols);
    let named: BTreeSet<String> =
        rules.chain(DOORS.iter().flat_map(|door| door.symbols)).map(|name| (*name).to_owned()).collect();
    let unnamed: Vec<_> = exported.difference(&named).collect();
    let missing: Vec<_> = named.difference(&exported).collect();
    assert!(unnamed.is_empty(), "exported, but not in the table: {unnamed:?}");
    assert!(missing.is_empty(), "in the table, but not exported: {missing:?}");
}

/// Two segments, the writable one a single page; none both writable and executable; the stack is not
/// executable; no thread-local storage.
#[test]
fn maps_two_plain_segments() {
    let shim = Shim::read();
    let (_, endian) = shim.header();
    let mut loaded = Vec::new();
    let mut stack = None;
    for segment in shim.segments() {
        let flags = segment.p_flags(endian);
        let kind = segment.p_type(endian);
        assert_ne!(flags & (elf::PF_W | elf::PF_X), elf::PF_W | elf::PF_X, "a writable, executable segment");
        assert_ne!(kind, elf::PT_TLS, "a TLS segment");
        assert_ne!(kind, elf::PT_INTERP, "an interpreter");
        match kind {
            elf::PT_LOAD => loaded.push((flags, segment.p_vaddr(endian), segment.p_memsz(endian))),
            elf::PT_GNU_STACK => stack = Some(flags),
            _ => {}
        }
    }
    assert_eq!(stack, Some(elf::PF_R | elf::PF_W), "PT_GNU_STACK");
    let [(text, first, _), (data, start, bytes)] = loaded[..] else { panic!("segments: {loaded:x?}") };
    assert_eq!((text, first), (elf::PF_R | elf::PF_X, 0), "the first segment");
    assert_eq!(data, elf::PF_R | elf::PF_W, "the second segment");
    assert_eq!(
        start / PAGE,
        (start + bytes - 1) / PAGE,
        "the data spreads over pages: {start:#x}+{bytes:#x}"
    );
}

/// Only relocations that need no look-up, and the two weak words: lazy binding would call into the loader.
#[test]
fn needs_no_symbol_but_the_weak_ones_looked_up() {
    let kinds = Shim::read().relocations();
    let other: Vec<_> = kinds
        .iter()
        .filter(|&&kind| kind != elf::R_X86_64_RELATIVE && kind != elf::R_X86_64_GLOB_DAT)
        .collect();
    assert!(other.is_empty(), "relocations of other kinds: {other:?}");
    let words = kinds.iter().filter(|&&kind| kind == elf::R_X86_64_GLOB_DAT).count();
    assert_eq!(words, UNDEFINED.len(), "words filled by look-up");
}

/// No message of a panic, so no panic path.
#[test]
fn holds_no_panic_strings() {
    let bytes = Shim::read().bytes;
    let panics = [
        "panicked at",
        "core::panicking",
        "unwrap()",
        "attempt to ",
        "index out of bounds",
        "rust_begin_unwind",
        "rust_panic",
        "evercall_has_a_panic_path",
        "RUST_BACKTRACE",
        "already borrowed",
        "called `",
    ];
    let found: Vec<_> = panics
        .iter()
        .filter(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        .collect();
    assert!(found.is_empty(), "the file holds {found:?}");
}

/// Small enough to be mapped in every exec of a machine.
#[test]
fn is_small() {
    let size = Shim::read().bytes.len();
    assert!(size < SIZE, "{size} bytes");
}
