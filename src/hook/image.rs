//! What a container's root holds: which dynamic loaders there are decides what can be loaded, and how.

use super::root::{Root, by_descriptor, kind_of};
use crate::libraries::{PLAIN_PRELOAD, PRELOAD};
use crate::library::Library;
use crate::program::{self, Architecture, Kind};
use rustix::fs::FileType;

/// glibc's loader for x86-64.
const GLIBC: &str = "lib64/ld-linux-x86-64.so.2";

/// Those of musl and uClibc, with which LD_PRELOAD works and /etc/ld.so.preload is not read.
const OTHERS: [(&str, &str); 5] = [
    ("lib/ld-musl-x86_64.so.1", "musl"),
    ("lib64/ld64-uClibc.so.0", "uClibc"),
    ("lib64/ld64-uClibc.so.1", "uClibc"),
    ("lib/ld64-uClibc.so.0", "uClibc"),
    ("lib/ld64-uClibc.so.1", "uClibc"),
];

/// Loaders of other ABIs of this machine: i386, x32. Only glibc's prints errors.
const SMALL: [&str; 2] = ["lib/ld-linux.so.2", "libx32/ld-linux-x32.so.2"];

/// What `$LIB` is for x86-64: Debian, Red Hat and SUSE, Arch and Debian before 7.
const FOLDERS: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "lib"];

/// What a root holds.
#[derive(Debug)]
pub struct Held {
    /// glibc's loader, of the library's architecture.
    pub glibc: bool,
    /// Another C library's, by its name.
    pub other: Option<&'static str>,
    /// Where programs of another word size are at home too: what `$LIB` is for 64-bit ones. Else nothing: then the plain
    /// path is the safe one, since it needs no guess.
    pub folder: Option<&'static str>,
}

impl Held {
    /// Looks into a root. Nothing of it is run, and what makes no sense is as good as not there.
    pub fn look(root: &Root, library: &Library) -> Held {
        let is_loader = |path: &str| architecture(root, path) == Some(library.architecture);
        let glibc = is_loader(GLIBC);
        let small =
            SMALL.into_iter().any(|path| architecture(root, path).is_some_and(|a| a != library.architecture));
        Held {
            glibc,
            other: OTHERS.into_iter().find(|(path, _)| is_loader(path)).map(|(_, name)| name),
            folder: (glibc && small).then(|| folder(root, library.architecture)),
        }
    }

    /// The path that is preloaded.
    pub fn preload(&self) -> &'static str {
        if self.folder.is_some() { PRELOAD } else { PLAIN_PRELOAD }
    }

    /// Whether 64-bit programs look where others have 32-bit programs look: in `lib`, as in Debian 6 and Arch.
    pub fn is_lib(&self) -> bool {
        self.folder == Some("lib")
    }
}

/// The architecture of an ELF file, if that is what stands there.
fn architecture(root: &Root, path: &str) -> Option<Architecture> {
    let file = root.seen(path).ok()?;
    if kind_of(&file).ok()? != FileType::RegularFile {
        return None;
    }
    match program::kind(&by_descriptor(&file)) {
        Ok(Kind::Elf(elf)) => Some(elf.architecture),
        _ => None,
    }
}

/// The `$LIB` of 64-bit programs: where their C library is.
fn folder(root: &Root, wanted: Architecture) -> &'static str {
    let holds = |folder: &str| {
        ["", "usr/"]
            .into_iter()
            .any(|before| architecture(root, &format!("{before}{folder}/libc.so.6")) == Some(wanted))
    };
    // /lib64 may be a link to /lib, where glibc was built for /lib: then both hold it, and the plain one counts.
    match FOLDERS.into_iter().filter(|folder| holds(folder)).collect::<Vec<_>>()[..] {
        ["lib64", "lib"] => "lib",
        [first, ..] => first,
        [] => FOLDERS[0],
    }
}
