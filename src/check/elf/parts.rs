//! Headers, segments and sections in one form, whatever the word size and byte order.

use super::facts::Architecture;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, ReadRef as _};
use std::ops::Range;

/// More program headers than this has no file that a kernel loads (real ones have about ten).
const MOST_SEGMENTS: usize = 512;

/// A program header.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// PT_.
    pub kind: u32,
    /// PF_.
    pub flags: u32,
    /// Bytes from the file's start.
    pub offset: u64,
    /// Where it is loaded.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
}

/// A section header.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// `.text`.
    pub name: &'a [u8],
    /// SHT_.
    pub kind: u32,
    /// SHF_.
    pub flags: u64,
    /// Where it is loaded.
    pub address: u64,
    /// Bytes from the file's start.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// The section it belongs to.
    pub link: u32,
}

/// An ELF file's frame.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The whole file.
    pub bytes: &'a [u8],
    /// What it runs on.
    pub architecture: Architecture,
    /// 64-bit words.
    pub is_64: bool,
    /// Byte order.
    pub endian: Endianness,
    /// ET_.
    pub r#type: u16,
    /// The first instruction.
    pub entry: u64,
    /// Program headers.
    pub segments: Vec<Segment>,
    /// Section headers; none where they are missing or damaged: nothing needs them.
    pub sections: Vec<Section<'a>>,
}

impl<'a> Parts<'a> {
    /// Reads the headers. The error is for people.
    pub fn read(bytes: &'a [u8]) -> Result<Parts<'a>, String> {
        match bytes.get(4) {
            Some(&elf::ELFCLASS64) => Self::read_class::<FileHeader64<Endianness>>(bytes),
            Some(&elf::ELFCLASS32) => Self::read_class::<FileHeader32<Endianness>>(bytes),
            Some(class) => Err(format!("unknown ELF class {class}")),
            None => Err("it ends within its first bytes".into()),
        }
    }

    fn read_class<E: FileHeader<Endian = Endianness>>(bytes: &'a [u8]) -> Result<Parts<'a>, String> {
        let say = |error: object::Error| error.to_string();
        let header = E::parse(bytes).map_err(say)?;
        let endian = header.endian().map_err(say)?;
        let headers = header.program_headers(endian, bytes).map_err(say)?;
        if headers.len() > MOST_SEGMENTS {
            return Err(format!("it has {} program headers, where {MOST_SEGMENTS} are many", headers.len()));
        }
        let segments = headers.iter().map(|segment| Segment {
            kind: segment.p_type(endian),
            flags: segment.p_flags(endian),
            offset: segment.p_offset(endian).into(),
            address: segment.p_vaddr(endian).into(),
            file_size: segment.p_filesz(endian).into(),
        });
        let strings = header.sections(endian, bytes).ok();
        let sections = header.section_headers(endian, bytes).unwrap_or(&[]).iter().map(|section| Section {
            name: strings.as_ref().and_then(|table| table.section_name(endian, section).ok()).unwrap_or(&[]),
            kind: section.sh_type(endian),
            flags: section.sh_flags(endian).into(),
            address: section.sh_addr(endian).into(),
            offset: section.sh_offset(endian).into(),
            size: section.sh_size(endian).into(),
            link: section.sh_link(endian),
        });
        Ok(Parts {
            bytes,
            architecture: architecture(
                header.e_machine(endian),
                header.is_class_64(),
                header.is_big_endian(),
            ),
            is_64: header.is_class_64(),
            endian,
            r#type: header.e_type(endian),
            entry: header.e_entry(endian).into(),
            segments: segments.collect(),
            sections: sections.collect(),
        })
    }

    /// Bytes of a word.
    pub fn word(&self) -> usize {
        if self.is_64 { 8 } else { 4 }
    }

    /// What the file has from an address on, to the end of its segment.
    pub fn at(&self, address: u64) -> Option<&'a [u8]> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD).find_map(|segment| {
            let into = address.checked_sub(segment.address).filter(|&into| into < segment.file_size)?;
            self.file(segment.offset.checked_add(into)?, segment.file_size - into)
        })
    }

    /// What the file has at an address, where it is all there.
    pub fn take(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.at(address)?.get(..usize::try_from(size).ok()?)
    }

    /// A word that the file has at an address.
    pub fn word_at(&self, address: u64) -> Option<u64> {
        number(self.at(address)?.get(..self.word())?)
    }

    /// Bytes of the file; cut at its end.
    fn file(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let left = (self.bytes.len() as u64).checked_sub(offset)?;
        self.bytes.read_bytes_at(offset, size.min(left)).ok()
    }

    /// A section's bytes; cut at the file's end.
    pub fn content(&self, section: &Section<'_>) -> &'a [u8] {
        if section.kind == elf::SHT_NOBITS {
            return &[];
        }
        self.file(section.offset, section.size).unwrap_or(&[])
    }

    /// The first section of a name.
    pub fn section(&self, name: &[u8]) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The first segment of a kind, with its bytes in the file.
    pub fn segment(&self, kind: u32) -> Option<(Segment, &'a [u8])> {
        let segment = *self.segments.iter().find(|segment| segment.kind == kind)?;
        Some((segment, self.file(segment.offset, segment.file_size)?))
    }

    /// Executable bytes by address, in order, none twice; altogether no longer than the file. By sections where there are
    /// any, else by segments.
    pub fn code(&self) -> Vec<(u64, &'a [u8])> {
        let by_sections = self.sections.iter().filter_map(|section| {
            let wanted = u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR);
            let is_code = section.flags & wanted == wanted && section.kind == elf::SHT_PROGBITS;
            is_code.then(|| (section.address, self.content(section)))
        });
        let by_sections = self.in_order(by_sections.collect());
        if !by_sections.is_empty() {
            return by_sections;
        }
        self.loaded(|flags| flags & elf::PF_X != 0)
    }

    /// Bytes by address that are no code, under the same promise.
    pub fn data(&self) -> Vec<(u64, &'a [u8])> {
        let by_sections = self.sections.iter().filter_map(|section| {
            let flags = section.flags;
            let is_data =
                flags & u64::from(elf::SHF_ALLOC) != 0 && flags & u64::from(elf::SHF_EXECINSTR) == 0;
            let holds_pointers =
                matches!(section.kind, elf::SHT_PROGBITS | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY);
            let is_unwind = matches!(section.name, b".eh_frame" | b".eh_frame_hdr" | b".gcc_except_table");
            (is_data && holds_pointers && !is_unwind).then(|| (section.address, self.content(section)))
        });
        let by_sections = self.in_order(by_sections.collect());
        if !by_sections.is_empty() {
            return by_sections;
        }
        self.loaded(|flags| flags & elf::PF_X == 0)
    }

    fn loaded(&self, wanted: impl Fn(u32) -> bool) -> Vec<(u64, &'a [u8])> {
        let segments =
            self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD && wanted(segment.flags));
        let bytes = segments
            .filter_map(|segment| Some((segment.address, self.file(segment.offset, segment.file_size)?)));
        self.in_order(bytes.collect())
    }

    /// By address, overlaps cut away, no more than the file's length altogether: headers may lie.
    fn in_order(&self, mut ranges: Vec<(u64, &'a [u8])>) -> Vec<(u64, &'a [u8])> {
        ranges.retain(|(address, bytes)| {
            !bytes.is_empty()
                && address.checked_add(bytes.len() as u64).is_some_and(|end| end < u64::MAX - 64)
        });
        ranges.sort_by_key(|&(address, _)| address);
        let mut left = self.bytes.len();
        let mut end = 0;
        ranges.retain_mut(|(address, bytes)| {
            let over = usize::try_from(end.max(*address) - *address).unwrap_or(usize::MAX);
            *bytes = bytes.get(over..).unwrap_or(&[]);
            *address += over.min(u32::MAX as usize) as u64;
            *bytes = bytes.get(..left.min(bytes.len())).unwrap_or(&[]);
            left -= bytes.len();
            if !bytes.is_empty() {
                end = *address + bytes.len() as u64;
            }
            !bytes.is_empty()
        });
        ranges
    }
}

/// The range among sorted ones, none of which overlap, that an address lies in.
pub fn range_of<'r, 'a>(ranges: &'r [(u64, &'a [u8])], address: u64) -> Option<&'r (u64, &'a [u8])> {
    let after = ranges.partition_point(|&(start, _)| start <= address);
    let range = ranges.get(after.checked_sub(1)?)?;
    (address - range.0 < range.1.len() as u64).then_some(range)
}

/// A little-endian number of up to eight bytes.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let mut padded = [0; 8];
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(padded))
}

/// A little-endian number at a place.
pub fn number_at(bytes: &[u8], range: Range<usize>) -> Option<u64> {
    number(bytes.get(range)?)
}

/// What stands before the next NUL, if it is text, of a sane length.
pub fn text(bytes: &[u8]) -> Option<&str> {
    /// Names of C++ symbols of templates can be some kilobytes long.
    const LONGEST: usize = 1 << 16;
    let bytes = bytes.get(..bytes.len().min(LONGEST))?;
    std::str::from_utf8(bytes.get(..memchr::memchr(0, bytes)?)?).ok()
}

fn architecture(machine: u16, is_64: bool, is_big_endian: bool) -> Architecture {
    match (machine, is_64, is_big_endian) {
        (elf::EM_X86_64, true, false) => Architecture::X86_64,
        (elf::EM_X86_64, false, false) => Architecture::X32,
        (elf::EM_386, false, false) => Architecture::I386,
        (elf::EM_AARCH64, true, _) => Architecture::Aarch64,
        (elf::EM_ARM, false, _) => Architecture::Arm,
        (elf::EM_RISCV, true, _) => Architecture::Riscv64,
        (elf::EM_S390, true, _) => Architecture::S390x,
        (elf::EM_PPC64, true, false) => Architecture::Ppc64le,
        (elf::EM_PPC64, true, true) => Architecture::Ppc64,
        (machine, ..) => Architecture::Other(machine),
    }
}
