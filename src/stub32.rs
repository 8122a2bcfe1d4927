//! A shared object for i386 that does nothing. Where an image also holds 32-bit programs, `$LIB` in the preload leads
//! them to it: a 64-bit library would have ld.so write "wrong ELF class" at each of their starts.

use object::elf;

const HEADER: u32 = 52;
const SEGMENT: u32 = 32;
const SYMBOL: u32 = 16;
const SEGMENTS: u32 = 3;
/// Buckets and chains of DT_HASH: one of each, for the empty first symbol.
const HASH: [u32; 4] = [1, 1, 0, 0];

/// The whole file, 232 bytes. What ld.so of glibc asks for: DT_HASH (the only form before 2.5), a symbol table, a text
/// table; the page is writable, since glibc before 2.35 writes into the dynamic section; the stack is not executable.
pub fn bytes() -> Vec<u8> {
    let hash = HEADER + SEGMENTS * SEGMENT;
    let symbols = hash + 4 * 4;
    let texts = symbols + SYMBOL;
    let dynamic = texts + 4;
    let entries: [(u32, u32); 6] = [
        (elf::DT_HASH, hash),
        (elf::DT_STRTAB, texts),
        (elf::DT_SYMTAB, symbols),
        (elf::DT_STRSZ, 1),
        (elf::DT_SYMENT, SYMBOL),
        (elf::DT_NULL, 0),
    ];
    let dynamic_size = 8 * 6;
    let size = dynamic + dynamic_size;

    let mut out = Vec::new();
    out.extend(elf::ELFMAG);
    out.extend([elf::ELFCLASS32, elf::ELFDATA2LSB, elf::EV_CURRENT, elf::ELFOSABI_NONE]);
    out.resize(16, 0);
    let halves = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let words = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    halves(&mut out, &[elf::ET_DYN, elf::EM_386]);
    // Version, entry point, segments at, sections at, flags.
    words(&mut out, &[1, 0, HEADER, 0, 0]);
    halves(&mut out, &[HEADER as u16, SEGMENT as u16, SEGMENTS as u16, 0, 0, 0]);
    // Type, offset, address, physical address, size in the file, size in memory, flags, alignment.
    let read_write = elf::PF_R | elf::PF_W;
    words(&mut out, &[elf::PT_LOAD, 0, 0, 0, size, size, read_write, 0x1000]);
    words(&mut out, &[elf::PT_DYNAMIC, dynamic, dynamic, dynamic, dynamic_size, dynamic_size, read_write, 4]);
    words(&mut out, &[elf::PT_GNU_STACK, 0, 0, 0, 0, 0, read_write, 16]);
    words(&mut out, &HASH);
    words(&mut out, &[0; 5]);
    for (tag, value) in entries {
        words(&mut out, &[tag, value]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::bytes;
    use crate::program::{self, Kind, Loading};

    #[test]
    fn it_is_a_shared_object_for_i386() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes()).unwrap();
        let Ok(Kind::Elf(elf)) = program::kind(file.path()) else { panic!("no ELF file") };
        assert_eq!((elf.architecture.to_string().as_str(), elf.loading), ("i386", Loading::Shared));
    }
}
