//! The dynamic loaders of an image, told by what is in them: whose they are, for which programs, and what `$LIB` means
//! to them.

use crate::stub::Machine;
use object::elf;
use std::fmt;
use std::path::Path;

/// Whose loader it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Libc {
    /// glibc: expands `$LIB`, complains of what it cannot preload, reads /etc/ld.so.preload.
    Glibc,
    /// musl: takes a path as it stands, passes over what it cannot preload, and has no /etc/ld.so.preload.
    Musl,
    /// uClibc and uClibc-ng: take a path as it stands, and end the program when it cannot be preloaded.
    Uclibc,
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Libc::Glibc => "glibc",
            Libc::Musl => "musl",
            Libc::Uclibc => "uClibc",
        })
    }
}

/// What programs a loader loads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Abi {
    /// x86-64.
    X86_64,
    /// 32-bit x86.
    I386,
    /// x86-64 with 32-bit pointers.
    X32,
}

impl Abi {
    /// Of an ELF file, by its first bytes; None for another machine's.
    pub fn of(file: &[u8]) -> Option<Abi> {
        if !file.starts_with(&elf::ELFMAG) {
            return None;
        }
        let machine = u16::from_le_bytes([*file.get(18)?, *file.get(19)?]);
        match (file.get(4).copied()?, file.get(5).copied()?, machine) {
            (elf::ELFCLASS64, elf::ELFDATA2LSB, elf::EM_X86_64) => Some(Abi::X86_64),
            (elf::ELFCLASS32, elf::ELFDATA2LSB, elf::EM_386) => Some(Abi::I386),
            (elf::ELFCLASS32, elf::ELFDATA2LSB, elf::EM_X86_64) => Some(Abi::X32),
            _ => None,
        }
    }

    /// The stub for programs that the shim is not built for.
    pub fn stub(self) -> Option<Machine> {
        match self {
            Abi::X86_64 => None,
            Abi::I386 => Some(Machine::I386),
            Abi::X32 => Some(Machine::X32),
        }
    }

    /// What `$LIB` is where a loader does not tell: with Debian's folders, and without.
    fn usual_lib(self) -> &'static str {
        match self {
            Abi::X86_64 => "lib64",
            Abi::I386 => "lib",
            Abi::X32 => "libx32",
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abi::X86_64 => "x86-64",
            Abi::I386 => "i386",
            Abi::X32 => "x32",
        })
    }
}

/// A loader of an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Loader {
    /// Whose it is.
    pub libc: Libc,
    /// What it loads.
    pub abi: Abi,
    /// What `$LIB` is to it, such as `lib/x86_64-linux-gnu`; `lib` where it knows no `$LIB`.
    pub lib: String,
}

/// A file that may be a loader by its name: `ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld.so`, `ld-musl-x86_64.so.1`,
/// `ld64-uClibc.so.0`; musl's is also its `libc.so`.
pub fn may_be_one(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    name == "libc.so" || (name.starts_with("ld") && name.contains(".so"))
}

/// Bytes of the largest file that is looked at: glibc's loader has 200 KB, musl's 600 KB.
pub const LARGEST: u64 = 16 << 20;

impl Loader {
    /// What a file is, if it is a loader for a processor that is ours.
    pub fn of(file: &[u8]) -> Option<Loader> {
        let abi = Abi::of(file)?;
        let has = |text: &str| memchr::memmem::find(file, text.as_bytes()).is_some();
        let (libc, lib) = if has("cannot be preloaded") {
            (Libc::Glibc, lib_of_glibc(file).unwrap_or_else(|| abi.usual_lib().to_string()))
        } else if has("Error relocating") {
            (Libc::Musl, "lib".to_string())
        } else if has("uClibc") || has("can't load library") {
            (Libc::Uclibc, "lib".to_string())
        } else {
            return None;
        };
        Some(Loader { libc, abi, lib })
    }
}

/// What `$LIB` is to a glibc loader. Its folders stand in it one after the other (elf/gen-trusted-dirs.awk): `/lib64/`,
/// `/usr/lib64/`, and `$LIB` is that of the first, without its `/usr`, as a text of its own.
fn lib_of_glibc(file: &[u8]) -> Option<String> {
    let texts = || file.split(|&b| b == 0).filter_map(|text| std::str::from_utf8(text).ok());
    let lib = texts().find_map(|text| {
        let folder = text.strip_suffix('/')?.strip_prefix('/')?;
        let folder = folder.strip_prefix("usr/").unwrap_or(folder);
        let plain = folder.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'));
        (plain && folder.starts_with("lib") && folder.len() < 64).then(|| folder.to_string())
    });
    if let Some(lib) = lib {
        return Some(lib);
    }
    // Elsewhere altogether (/nix/store/...-glibc/lib/): the last part.
    texts().find_map(|text| {
        let last = text.strip_suffix('/')?.strip_prefix('/')?.rsplit('/').next()?;
        matches!(last, "lib" | "lib64" | "lib32").then(|| last.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loader of this machine, which the tests run by.
    #[test]
    fn this_machines_loader_is_known() {
        let file = std::fs::read("/lib64/ld-linux-x86-64.so.2").unwrap();
        let loader = Loader::of(&file).unwrap();
        assert_eq!((loader.libc, loader.abi), (Libc::Glibc, Abi::X86_64));
        assert!(Path::new("/usr").join(&loader.lib).join("libc.so.6").exists(), "{}", loader.lib);
        assert_eq!(Loader::of(&std::fs::read("/bin/true").unwrap()), None);
        assert_eq!(Loader::of(b"\x7fELF"), None);
    }
}
