//! Where libevercall.so is, and LD_PRELOAD with it in front.

use crate::failure::Failure;
use crate::libraries::HOME;
use crate::program::{self, Architecture, Kind, Loading, Unknown};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf, absolute};

/// The file's name, as it is installed.
pub const NAME: &str = "libevercall.so";

/// Where it is looked for, from the folder of the command.
const BESIDE: [&str; 3] = ["", "../lib/evercall", "../lib/x86_64-linux-gnu/evercall"];

/// The variable that names the library.
pub const VARIABLE: &str = "EVERCALL_LIB";

/// The library that is preloaded.
#[derive(Debug)]
pub struct Library {
    /// Its absolute path.
    pub path: PathBuf,
    /// The programs it can be loaded into.
    pub architecture: Architecture,
    /// Whether it can be the ELF interpreter of a static program.
    pub has_entry: bool,
}

impl Library {
    /// The library of the option `--lib`, else of `EVERCALL_LIB`, else the one installed.
    pub fn find(option: Option<&Path>) -> Result<Library, Failure> {
        if let Some(path) = option {
            return Library::open(path, "--lib");
        }
        if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return Library::open(Path::new(&path), VARIABLE);
        }
        Library::installed()
    }

    /// The library of the option `--lib`, else the one installed. For hooks, whose environment may be the container's
    /// own: it is not asked.
    pub fn find_without_environment(option: Option<&Path>) -> Result<Library, Failure> {
        option.map_or_else(Library::installed, |path| Library::open(path, "--lib"))
    }

    fn installed() -> Result<Library, Failure> {
        let places = places();
        match places.iter().find(|path| path.is_file()) {
            Some(path) => Library::open(path, "the installation"),
            None => {
                let places: Vec<String> = places.iter().map(|path| format!("  {}", path.display())).collect();
                Err(Failure::new(format!(
                    "{NAME} was not found. Name it with --lib PATH or {VARIABLE}, or put it at one of\n{}",
                    places.join("\n")
                )))
            }
        }
    }

    fn open(path: &Path, named_by: &str) -> Result<Library, Failure> {
        let fault =
            |what: &str| Failure::new(format!("the library {} (from {named_by}) {what}", path.display()));
        let elf = match program::kind(path) {
            Ok(Kind::Elf(elf)) => elf,
            Ok(_) => return Err(fault("is no shared library")),
            Err(Unknown::Io(error)) => return Err(fault(&format!("cannot be read: {error}"))),
            Err(Unknown::Damaged(why)) => return Err(fault(&format!("is damaged: {why}"))),
        };
        if elf.loading != Loading::Shared {
            return Err(fault("is no shared library"));
        }
        let path = absolute(path)
            .map_err(|error| fault(&format!("cannot be given as an absolute path: {error}")))?;
        let special = |b: &u8| matches!(b, b' ' | b':' | b'$' | b'\n');
        if path.as_os_str().as_bytes().iter().any(special) {
            return Err(fault(&format!(
                "cannot be preloaded from {}: ld.so divides LD_PRELOAD at blanks and colons, and replaces what \
                 follows a $. Put it, or a link to it, at another path",
                path.display()
            )));
        }
        log::debug!("library: {} (from {named_by}), for {}", path.display(), elf.architecture);
        Ok(Library { path, architecture: elf.architecture, has_entry: elf.has_entry })
    }

    /// The value of LD_PRELOAD: this library in front of what was there; a list that has it already is
    /// left alone, and another libevercall gives way to this one.
    pub fn preload(&self, before: Option<OsString>) -> OsString {
        let before = before.map(OsString::into_vec).unwrap_or_default();
        OsString::from_vec(preload_list(self.path.as_os_str().as_bytes(), before))
    }
}

/// A value of LD_PRELOAD with a library in front of what was there, as [`Library::preload`] says.
pub fn preload_list(this: &[u8], before: Vec<u8>) -> Vec<u8> {
    if entries(&before).any(|entry| entry == this) {
        return before;
    }
    let mut list = this.to_vec();
    for entry in entries(&before).filter(|entry| !is_evercall(entry)) {
        list.push(b':');
        list.extend(entry);
    }
    list
}

/// The entries of a value of LD_PRELOAD.
fn entries(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| matches!(b, b':' | b' ')).filter(|entry| !entry.is_empty())
}

/// Whether a value of LD_PRELOAD, or a text of /etc/ld.so.preload without its comments, has a libevercall.so.
pub fn has_evercall(list: &[u8]) -> bool {
    list.split(|b| matches!(b, b':') || b.is_ascii_whitespace()).any(is_evercall)
}

/// Whether an entry of LD_PRELOAD is a libevercall.so, of whatever folder or version.
fn is_evercall(entry: &[u8]) -> bool {
    let name = Path::new(OsStr::from_bytes(entry)).file_name().unwrap_or_default();
    name.as_bytes().starts_with(b"libevercall")
}

/// The places of an installation, best first.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(folder) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.extend(BESIDE.iter().map(|beside| tidy(&folder.join(beside)).join(NAME)));
    }
    let system = Path::new(HOME).join(NAME);
    if !places.contains(&system) {
        places.push(system);
    }
    places
}

/// `/usr/bin/../lib` -> `/usr/lib`. The folder comes from `current_exe`, which has no links left in it.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_comes_first_once_and_the_others_stay() {
        let Ok(Kind::Elf(elf)) = program::kind(&env::current_exe().unwrap()) else { panic!("no ELF") };
        let library =
            Library { path: "/opt/libevercall.so".into(), architecture: elf.architecture, has_entry: true };
        let preload = |before: &str| library.preload(Some(before.into())).into_string().unwrap();
        assert_eq!(library.preload(None), "/opt/libevercall.so");
        assert_eq!(preload(""), "/opt/libevercall.so");
        assert_eq!(preload("a.so b.so::c.so"), "/opt/libevercall.so:a.so:b.so:c.so");
        assert_eq!(preload("a.so:/opt/libevercall.so b.so"), "a.so:/opt/libevercall.so b.so");
        assert_eq!(preload("/old/libevercall.so.1:a.so"), "/opt/libevercall.so:a.so");
    }
}
