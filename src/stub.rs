//! The smallest libevercall.so: a 32-bit shared object that does nothing.
//!
//! Where a preload is spelled with `$LIB`, each loader of an image looks for a library of its own word size, and glibc's
//! prints "cannot be preloaded" when there is none. Until there is a shim for i386 and x32, this stands in its place.

/// What a stub is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// 32-bit x86.
    I386,
    /// x86-64 with 32-bit pointers.
    X32,
}

/// The name it has for the loader, which loads no second one of the same name.
const STRINGS: &[u8] = b"\0libevercall.so\0";

const HEADER: u32 = 52;
const SEGMENTS: u32 = 3;
const SYMBOLS: u32 = HEADER + SEGMENTS * 32;
const HASH: u32 = SYMBOLS + 16;
const GNU_HASH: u32 = HASH + 4 * 4;
const NAMES: u32 = GNU_HASH + 6 * 4;
const DYNAMIC: u32 = NAMES + STRINGS.len() as u32;
/// Tag and value: the DT_ numbers of elf.h.
const TAGS: [(u32, u32); 8] = [
    (14, 1),                    // SONAME
    (4, HASH),                  // glibc before 2.5 knows no other
    (0x6fff_fef5, GNU_HASH),    // GNU_HASH
    (5, NAMES),                 // STRTAB
    (10, STRINGS.len() as u32), // STRSZ
    (6, SYMBOLS),               // SYMTAB
    (11, 16),                   // SYMENT
    (0, 0),                     // NULL
];
const SIZE: u32 = DYNAMIC + TAGS.len() as u32 * 8;

/// The bytes of the file.
pub fn library(machine: Machine) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, values: &[u16]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let word = |file: &mut Vec<u8>, values: &[u32]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    // ET_DYN; EM_386 or EM_X86_64.
    half(&mut file, &[3, if machine == Machine::I386 { 3 } else { 62 }]);
    // Version; no entry point; program headers follow; no sections; no flags.
    word(&mut file, &[1, 0, HEADER, 0, 0]);
    half(&mut file, &[HEADER as u16, 32, SEGMENTS as u16, 40, 0, 0]);
    let (read, write) = (4, 2);
    // Type, offset, address, physical address, bytes in the file and in memory, flags, alignment. Loaders before
    // glibc 2.35 write addresses into the dynamic section, so all of it is writable.
    word(&mut file, &[1, 0, 0, 0, SIZE, SIZE, read | write, 0x1000]);
    let dynamic = SIZE - DYNAMIC;
    word(&mut file, &[2, DYNAMIC, DYNAMIC, DYNAMIC, dynamic, dynamic, read | write, 4]);
    // GNU_STACK: not executable.
    word(&mut file, &[0x6474_e551, 0, 0, 0, 0, 0, read | write, 16]);
    // The null symbol.
    word(&mut file, &[0; 4]);
    // One empty bucket, and the chain of the null symbol.
    word(&mut file, &[1, 1, 0, 0]);
    // One bucket, symbols from 1 on (there is none), one word of the filter (which nothing passes), its shift.
    word(&mut file, &[1, 1, 1, 5, 0, 0]);
    file.extend(STRINGS);
    for (tag, value) in TAGS {
        word(&mut file, &[tag, value]);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{self, Kind, Loading};

    #[test]
    fn a_stub_is_a_library_of_its_machine() {
        for (machine, name) in [(Machine::I386, "i386"), (Machine::X32, "x32")] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let bytes = library(machine);
            assert_eq!(bytes.len(), SIZE as usize);
            std::fs::write(file.path(), bytes).unwrap();
            let Ok(Kind::Elf(elf)) = program::kind(file.path()) else { panic!("no ELF") };
            assert_eq!(elf.architecture.to_string(), name);
            assert_eq!(elf.loading, Loading::Shared);
        }
    }
}
