//! What kind of file a program is: whether a preload can reach it. Only headers are read.

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, ReadCache, ReadRef};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a file that the kernel looks at for `#!` (`BINPRM_BUF_SIZE`).
const FIRST_BYTES: u64 = 256;

/// The longest PT_INTERP that the kernel takes (`PATH_MAX`).
const LONGEST_PATH: u64 = 4096;

/// A dynamic section longer than this is no dynamic section.
const LONGEST_DYNAMIC: u64 = 1 << 20;

/// The kind of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file.
    Elf(Elf),
    /// A text whose first line names an interpreter.
    Script(Script),
    /// Neither: the kernel will say what it makes of it.
    Other,
}

/// The first line of a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// What runs it.
    pub interpreter: PathBuf,
    /// What that gets before the script's own path.
    pub argument: Option<OsString>,
}

/// What the headers of an ELF file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// What it runs on.
    pub architecture: Architecture,
    /// How it is loaded.
    pub loading: Loading,
    /// Whether it can be begun: it has an entry point.
    pub has_entry: bool,
}

/// How an ELF file is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loading {
    /// By the dynamic loader of this path (PT_INTERP).
    Dynamic(PathBuf),
    /// By the kernel alone.
    Static,
    /// A shared object without PT_INTERP: a library, or a dynamic loader itself.
    Shared,
    /// No program: an object file or a core dump.
    None,
}

/// Word size, byte order and machine: what must be equal for a library to be loaded into a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Architecture {
    is_64: bool,
    is_big_endian: bool,
    machine: u16,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.machine, self.is_64, self.is_big_endian) {
            (elf::EM_X86_64, true, _) => "x86-64",
            (elf::EM_X86_64, false, _) => "x32",
            (elf::EM_386, ..) => "i386",
            (elf::EM_AARCH64, ..) => "aarch64",
            (elf::EM_ARM, ..) => "32-bit arm",
            (elf::EM_RISCV, true, _) => "riscv64",
            (elf::EM_S390, true, _) => "s390x",
            (elf::EM_PPC64, _, false) => "ppc64le",
            (elf::EM_PPC64, _, true) => "ppc64",
            (machine, ..) => return write!(f, "ELF machine {machine}"),
        };
        f.write_str(name)
    }
}

/// Why a file's kind is not known.
#[derive(Debug)]
pub enum Unknown {
    /// It cannot be read.
    Io(io::Error),
    /// It begins as an ELF file, and its headers make no sense.
    Damaged(String),
}

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Unknown {
        Unknown::Io(error)
    }
}

impl From<object::Error> for Unknown {
    fn from(error: object::Error) -> Unknown {
        Unknown::Damaged(error.to_string())
    }
}

/// Looks at a file. What is no regular file is [`Kind::Other`], and never opened: a FIFO would block.
pub fn kind(path: &Path) -> Result<Kind, Unknown> {
    if !path.metadata()?.is_file() {
        return Ok(Kind::Other);
    }
    let file = File::open(path)?;
    let mut first = Vec::new();
    (&file).take(FIRST_BYTES).read_to_end(&mut first)?;
    if let Some(line) = first.strip_prefix(b"#!") {
        return Ok(script(line).map_or(Kind::Other, Kind::Script));
    }
    if !first.starts_with(&elf::ELFMAG) {
        return Ok(Kind::Other);
    }
    let cache = ReadCache::new(file);
    match first.get(4) {
        Some(&elf::ELFCLASS64) => read_elf::<FileHeader64<Endianness>, _>(&cache).map(Kind::Elf),
        Some(&elf::ELFCLASS32) => read_elf::<FileHeader32<Endianness>, _>(&cache).map(Kind::Elf),
        Some(class) => Err(Unknown::Damaged(format!("unknown ELF class {class}"))),
        None => Err(Unknown::Damaged("it ends within its first bytes".into())),
    }
}

/// What follows `#!`, as fs/binfmt_script.c reads it: a path up to a blank, the rest of the line as one
/// argument without the blanks around it.
pub fn script(after_mark: &[u8]) -> Option<Script> {
    let line = after_mark.split(|&b| b == b'\n' || b == 0).next()?;
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let line = &line[line.iter().position(|b| !blank(b))?..=line.iter().rposition(|b| !blank(b))?];
    let (path, rest) = line.split_at(line.iter().position(blank).unwrap_or(line.len()));
    let argument = rest.iter().position(|b| !blank(b)).map(|start| OsStr::from_bytes(&rest[start..]).into());
    Some(Script { interpreter: PathBuf::from(OsStr::from_bytes(path)), argument })
}

fn read_elf<'data, E, R>(data: R) -> Result<Elf, Unknown>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let architecture = Architecture {
        is_64: header.is_class_64(),
        is_big_endian: header.is_big_endian(),
        machine: header.e_machine(endian),
    };
    let has_entry = header.e_entry(endian).into() != 0;
    let r#type = header.e_type(endian);
    if !matches!(r#type, elf::ET_EXEC | elf::ET_DYN) {
        return Ok(Elf { architecture, loading: Loading::None, has_entry });
    }
    let mut loading = if r#type == elf::ET_EXEC { Loading::Static } else { Loading::Shared };
    for segment in header.program_headers(endian, data)? {
        let size: u64 = segment.p_filesz(endian).into();
        let limit = match segment.p_type(endian) {
            elf::PT_INTERP => LONGEST_PATH,
            elf::PT_DYNAMIC => LONGEST_DYNAMIC,
            _ => continue,
        };
        if size > limit {
            return Err(Unknown::Damaged(format!("a segment of {size} bytes should have at most {limit}")));
        }
        if let Some(path) = segment.interpreter(endian, data)? {
            let path = PathBuf::from(OsStr::from_bytes(path));
            return Ok(Elf { architecture, loading: Loading::Dynamic(path), has_entry });
        }
        for entry in segment.dynamic(endian, data)?.unwrap_or(&[]) {
            // A static program that can be loaded anywhere (-static-pie).
            if entry.tag32(endian) == Some(elf::DT_FLAGS_1)
                && entry.val32(endian).is_some_and(|flags| flags & elf::DF_1_PIE != 0)
            {
                loading = Loading::Static;
            }
        }
    }
    Ok(Elf { architecture, loading, has_entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fs;

    /// The headers of a real program are within this.
    const HEADERS: usize = 2048;

    proptest! {
        #[test]
        fn headers_with_wrong_bytes_never_panic(wrong in vec((4..HEADERS, any::<u8>()), 1..12)) {
            let mut bytes = Vec::new();
            File::open(std::env::current_exe()?)?.take(HEADERS as u64).read_to_end(&mut bytes)?;
            for (at, byte) in wrong {
                bytes[at] = byte;
            }
            let file = tempfile::NamedTempFile::new()?;
            fs::write(&file, bytes)?;
            let _ = kind(file.path());
        }
    }

    #[test]
    fn the_first_line_is_read_as_the_kernel_reads_it() {
        let line = |line: &str| script(line.as_bytes());
        let is = |interpreter: &str, argument: Option<&str>| {
            Some(Script { interpreter: interpreter.into(), argument: argument.map(OsString::from) })
        };
        assert_eq!(line("/bin/sh\necho"), is("/bin/sh", None));
        assert_eq!(line(" \t/usr/bin/env perl -w\n"), is("/usr/bin/env", Some("perl -w")));
        assert_eq!(line("/bin/sh \t-e  x \t\n"), is("/bin/sh", Some("-e  x")));
        assert_eq!(line("/bin/sh  "), is("/bin/sh", None));
        assert_eq!(line("  \n/bin/sh"), None);
        assert_eq!(line(""), None);
    }
}
