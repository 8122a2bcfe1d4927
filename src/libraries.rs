//! The folder of libraries, as `make install`, the Debian package and the base image have it (`/usr/lib/evercall`).
//!
//! ld.so replaces `$LIB` in a path of LD_PRELOAD or /etc/ld.so.preload by the folder that its distribution keeps the
//! libraries of its ABI in. So one path, `/usr/lib/evercall/$LIB/libevercall.so`, names a library of the right ELF
//! class for every program of a container that has such a folder here.

use crate::failure::Failure;
use crate::library::NAME;
use crate::stub::{self, Machine};
use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// Where packages, `make install PREFIX=/usr` and images have it, and where containers get it.
pub const HOME: &str = "/usr/lib/evercall";

/// What is preloaded where the folder is at [`HOME`] and the loader decides. For the exception see [`STUBS`].
pub const PRELOAD: &str = "/usr/lib/evercall/$LIB/libevercall.so";

/// What is preloaded where x86-64 programs alone are meant.
pub const PLAIN_PRELOAD: &str = "/usr/lib/evercall/libevercall.so";

/// What `$LIB` is to x86-64 programs: Debian and Ubuntu with multiarch; Red Hat, Fedora, SUSE, Gentoo; and `$LIB` itself
/// to the loaders that replace nothing, musl's and uClibc's.
const X86_64: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "$LIB"];

/// What `$LIB` is to others, for which there is no shim yet: i386 programs of Debian, of Red Hat and the others with
/// `lib64`, of Gentoo and Arch; x32 programs. Without a library there ld.so prints an error at each exec.
///
/// Where it is `lib` to x86-64 programs, as in Debian 6 and Arch, that error is printed all the same, and the path
/// without `$LIB` is the one to use: one folder cannot serve both, and Red Hat's 32-bit programs have no other.
const STUBS: [(&str, Machine); 5] = [
    ("lib/i386-linux-gnu", Machine::I386),
    ("lib", Machine::I386),
    ("lib32", Machine::I386),
    ("lib/x86_64-linux-gnux32", Machine::X32),
    ("libx32", Machine::X32),
];

/// A thing in the folder.
#[derive(Debug)]
pub enum Thing<'a> {
    /// A file, with its mode.
    File(Cow<'a, [u8]>, u32),
    /// A symbolic link.
    Link(String),
}

/// The paths in the folder, sorted, and what lies there. `library` is the x86-64 one: executable, since it is an ELF
/// interpreter as well.
pub fn folder(library: &[u8]) -> Vec<(String, Thing<'_>)> {
    let mut things = vec![(NAME.to_string(), Thing::File(library.into(), 0o755))];
    for folder in X86_64 {
        let up = "../".repeat(folder.split('/').count());
        things.push((format!("{folder}/{NAME}"), Thing::Link(format!("{up}{NAME}"))));
    }
    for (folder, machine) in STUBS {
        things.push((format!("{folder}/{NAME}"), Thing::File(stub::library(machine).into(), 0o644)));
    }
    things.sort_by(|(a, _), (b, _)| a.cmp(b));
    things
}

/// The folder that a library lies in, if it is one of these: nothing is missing that a loader may look for.
pub fn around(library: &Path) -> Option<&Path> {
    library.parent().filter(|dir| folder(&[]).iter().all(|(path, _)| dir.join(path).is_file()))
}

/// Writes the folder; what is in it already under these names is replaced.
pub fn write(library: &[u8], dir: &Path) -> Result<(), Failure> {
    for (path, thing) in folder(library) {
        let path = dir.join(path);
        put(&path, &thing)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

fn put(path: &Path, thing: &Thing) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match thing {
        Thing::File(bytes, mode) => {
            fs::write(path, bytes)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))
        }
        Thing::Link(target) => symlink(target, path),
    }
}
