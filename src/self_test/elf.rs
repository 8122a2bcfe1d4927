//! What the self-test needs to know of an ELF file of an image: how it is loaded, and what with.

use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Libraries that one file may need; what needs more is not looked at further.
const MOST_NEEDED: usize = 1000;

/// The longest name of a library or loader (`PATH_MAX`).
const LONGEST: usize = 4096;

/// Word size and machine: what must be equal for a library to be loaded into a program.
pub type Machine = (bool, u16);

/// x86-64, which the library is for.
pub const X86_64: Machine = (true, elf::EM_X86_64);

/// How messages name it.
pub fn machine_name(machine: Machine) -> &'static str {
    match machine {
        X86_64 => "x86-64",
        (false, elf::EM_386) => "i386",
        (false, elf::EM_X86_64) => "x32",
        _ => "another architecture",
    }
}

/// What an ELF file says.
#[derive(Clone, Debug)]
pub struct Info {
    /// What it runs on.
    pub machine: Machine,
    /// Its dynamic loader, as it names it.
    pub interpreter: Option<PathBuf>,
    /// Whether it is a program that the kernel alone loads.
    pub is_static: bool,
    /// The names of the libraries it needs.
    pub needed: Vec<Box<OsStr>>,
}

impl Info {
    /// Whether the library is for it.
    pub fn is_x86_64(&self) -> bool {
        self.machine == X86_64
    }

    /// Reads a file; None for what is no ELF file that can be loaded, or a damaged one.
    pub fn of(bytes: &[u8]) -> Option<Info> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return None;
        }
        match bytes.get(4) {
            Some(&elf::ELFCLASS64) => read::<FileHeader64<Endianness>>(bytes),
            Some(&elf::ELFCLASS32) => read::<FileHeader32<Endianness>>(bytes),
            _ => None,
        }
    }
}

fn read<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<Info> {
    let header = E::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return None;
    }
    let mut info = Info {
        machine: (header.is_class_64(), header.e_machine(endian)),
        interpreter: None,
        is_static: header.e_type(endian) == elf::ET_EXEC,
        needed: Vec::new(),
    };
    let segments = header.program_headers(endian, bytes).ok()?;
    let mut offsets: Vec<u64> = Vec::new();
    let mut strings = 0_u64;
    for segment in segments {
        if let Ok(Some(path)) = segment.interpreter(endian, bytes) {
            if path.len() <= LONGEST {
                info.interpreter = Some(PathBuf::from(OsStr::from_bytes(path)));
            }
        }
        for entry in segment.dynamic(endian, bytes).ok().flatten().unwrap_or_default() {
            match entry.tag32(endian) {
                Some(elf::DT_NULL) => break,
                Some(elf::DT_NEEDED) if offsets.len() < MOST_NEEDED => {
                    offsets.push(entry.d_val(endian).into())
                }
                // A static program that can be loaded anywhere (-static-pie).
                Some(elf::DT_FLAGS_1) => {
                    info.is_static |= entry.val32(endian).is_some_and(|flags| flags & elf::DF_1_PIE != 0);
                }
                Some(elf::DT_STRTAB) => strings = entry.d_val(endian).into(),
                _ => {}
            }
        }
    }
    info.is_static &= info.interpreter.is_none();
    // The address of the strings, as an offset in the file.
    let table = segments.iter().find_map(|segment| {
        let (address, size): (u64, u64) = (segment.p_vaddr(endian).into(), segment.p_filesz(endian).into());
        let within = strings.checked_sub(address).filter(|&within| within < size)?;
        (segment.p_type(endian) == elf::PT_LOAD).then_some(())?;
        let offset: u64 = segment.p_offset(endian).into();
        bytes.get(usize::try_from(offset.checked_add(within)?).ok()?..)
    });
    let name = |offset: u64| {
        let from = table?.get(usize::try_from(offset).ok()?..)?;
        let name = from.get(..from.len().min(LONGEST))?.split(|&b| b == 0).next()?;
        (!name.is_empty()).then(|| OsStr::from_bytes(name).into())
    };
    info.needed = offsets.into_iter().filter_map(name).collect();
    Some(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn this_program_needs_libc_and_names_its_loader() {
        let info = Info::of(&fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert_eq!(info.machine, X86_64);
        assert_eq!(info.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2".as_ref()));
        assert!(info.needed.iter().any(|name| name.as_bytes() == b"libc.so.6"), "{:?}", info.needed);
    }

    proptest! {
        #[test]
        fn headers_with_wrong_bytes_never_panic(wrong in vec((4..4096_usize, any::<u8>()), 1..12), cut in 0..65536_usize) {
            let mut bytes = fs::read("/bin/true")?;
            for (at, byte) in wrong {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = Info::of(&bytes);
            let _ = Info::of(bytes.get(..cut).unwrap_or(&bytes));
        }
    }
}
