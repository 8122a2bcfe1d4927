//! Static programs of an image, for `evercall layer --static`: no loader reads LD_PRELOAD for them, so a copy of each
//! goes into the layer that names the library as its ELF interpreter, as `evercall run` does in memory.
//!
//! What such a program gets: its calls of the vsyscall page are answered. Other calls it makes by itself, and they reach
//! the kernel as before.

use crate::failure::Failure;
use crate::glob::fits;
use crate::image::Limits;
use crate::image::root::{self, Root};
use crate::image::tar_entries::{Entry, Kind, shown};
use crate::self_test::Info;
use crate::static_program::Change;
use indicatif::ProgressBar;
use memchr::memmem;
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::path::PathBuf;

/// Larger programs are left as they are: the copy is made in memory.
const LARGEST: u64 = 512 << 20;

/// Where UPX leaves its mark.
const UPX_WITHIN: usize = 4096;

/// Bytes of padding behind the last part of an ELF file.
const PADDING: u64 = 64;

const SETUID_SETGID: u32 = 0o6000;

/// A program of the image with the library as its interpreter.
#[derive(Debug)]
pub struct StaticCopy {
    /// Its path in the image, which is the copy's as well.
    pub path: PathBuf,
    /// Permission bits, as the program has them.
    pub mode: u32,
    /// Owner, likewise.
    pub uid: u64,
    /// Group, likewise.
    pub gid: u64,
    /// Seconds since 1970, likewise.
    pub mtime: u64,
    /// The program header that gave way.
    pub header: &'static str,
    /// The copy.
    pub content: Vec<u8>,
}

impl fmt::Display for StaticCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown(&self.path);
        write!(
            f,
            "{path}: libevercall.so is its interpreter (in place of its {}); its vsyscall calls are answered",
            self.header
        )
    }
}

/// A static program that is left as it is.
#[derive(Debug)]
pub struct Refused {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: left as it is: {}", shown(&self.path), self.why)
    }
}

/// The static programs of a root.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that go into the layer, by path.
    pub copies: Vec<StaticCopy>,
    /// Those that cannot.
    pub refused: Vec<Refused>,
    /// How many make no vsyscall call, and so gain nothing.
    pub unneeding: usize,
}

/// Looks for static x86-64 programs. Without a pattern, those that can call the vsyscall page are copied; with one, all
/// whose path fits it (`*` is any text, `?` any character). `interpreter`: the library's path in the image.
pub fn find(
    root: Root<'_>,
    limits: &Limits,
    progress: &ProgressBar,
    pattern: Option<&str>,
    interpreter: &OsStr,
) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    root::walk(root, limits, progress, &mut |entry, content| {
        match &entry.kind {
            Kind::Hardlink(target) => links.push((target.clone(), entry.path.clone())),
            Kind::File
                if entry.mode & 0o111 != 0
                    && pattern.is_none_or(|pattern| fits(pattern, &entry.path.to_string_lossy())) =>
            {
                let mut bytes = Vec::new();
                let read = (&mut *content).take(4).read_to_end(&mut bytes).and_then(|_| {
                    if bytes.starts_with(b"\x7fELF") {
                        content.take(LARGEST).read_to_end(&mut bytes)?;
                    }
                    Ok(())
                });
                read.map_err(|error| {
                    Failure::new(format!("{} cannot be read: {error}", shown(&entry.path)))
                })?;
                found.look_at(entry, bytes, pattern.is_some(), interpreter);
            }
            _ => {}
        }
        Ok(())
    })?;
    // A copy under one name would part it from the others.
    for (target, name) in links {
        if let Some(at) = found.copies.iter().position(|copy| copy.path == target) {
            let copy = found.copies.remove(at);
            let why = format!("it has a second name, {}, which would stay another file", shown(&name));
            found.refused.push(Refused { path: copy.path, why });
        }
    }
    found.copies.sort_by(|a, b| a.path.cmp(&b.path));
    found.refused.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

impl Found {
    fn look_at(&mut self, entry: &Entry, bytes: Vec<u8>, asked_for: bool, interpreter: &OsStr) {
        let is_static = Info::of(&bytes).is_some_and(|info| info.is_static && info.is_x86_64());
        if !is_static {
            return;
        }
        if !asked_for && !calls_the_page(&bytes) {
            self.unneeding += 1;
            return;
        }
        let path = entry.path.clone();
        match may_be_copied(entry).and_then(|()| patch(bytes, interpreter)) {
            Ok((content, header)) => self.copies.push(StaticCopy {
                path,
                mode: entry.mode,
                uid: entry.uid,
                gid: entry.gid,
                mtime: entry.mtime,
                header,
                content,
            }),
            Err(why) => self.refused.push(Refused { path, why }),
        }
    }
}

fn may_be_copied(entry: &Entry) -> Result<(), String> {
    if entry.mode & SETUID_SETGID != 0 {
        return Err("it is setuid or setgid, and a changed interpreter must not gain its rights".to_string());
    }
    if entry.capability {
        return Err("it has file capabilities, and a changed interpreter must not gain them".to_string());
    }
    if entry.signed {
        return Err("it is signed (security.ima or security.evm), and the copy would not be".to_string());
    }
    if entry.size > LARGEST {
        return Err(format!("it has more than {} MiB", LARGEST >> 20));
    }
    Ok(())
}

/// Whether a program can call the vsyscall page: one of the page's three addresses stands in it, as an instruction has
/// it (sign-extended from four bytes) or as a pointer.
fn calls_the_page(bytes: &[u8]) -> bool {
    [0x00_u8, 0x04, 0x08].iter().any(|&entry| memmem::find(bytes, &[0x00, entry, 0x60, 0xff]).is_some())
}

/// A copy of a static x86-64 program with this interpreter, and the name of the program header that gave way. The error
/// says why that cannot be done, or not be done safely.
pub fn patch(mut program: Vec<u8>, interpreter: &OsStr) -> Result<(Vec<u8>, &'static str), String> {
    let start = program.get(..UPX_WITHIN).unwrap_or(&program);
    if memmem::find(start, b"UPX!").is_some() {
        return Err("it is packed by UPX, and unpacks itself by its own file (unpack it: upx -d)".to_string());
    }
    let length = program.len() as u64;
    if length > end_of_elf(&program)?.saturating_add(PADDING) {
        return Err("it has data behind its ELF part, which it may look for at its end".to_string());
    }
    let change = Change::of(
        |bytes, at| {
            let from = usize::try_from(at).ok().and_then(|at| program.get(at..at.checked_add(bytes.len())?));
            bytes.copy_from_slice(from.ok_or(io::Error::from(ErrorKind::UnexpectedEof))?);
            Ok(())
        },
        length,
        interpreter,
    )?;
    let at = usize::try_from(change.at).map_err(|_| "its headers are out of reach".to_string())?;
    let place = program.get_mut(at..).and_then(|place| place.get_mut(..change.header.len()));
    place.ok_or("it is damaged: it ends within its headers")?.copy_from_slice(&change.header);
    program.extend(change.path);
    Ok((program, change.name))
}

/// Where the last part ends that headers tell of.
fn end_of_elf(program: &[u8]) -> Result<u64, String> {
    let damaged = |error: object::Error| format!("it is damaged: {error}");
    let header = FileHeader64::<Endianness>::parse(program).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let segments = header.program_headers(endian, program).map_err(damaged)?;
    let segments = segments.iter().map(|segment| {
        let (offset, size) = segment.file_range(endian);
        offset.saturating_add(size)
    });
    // A program without sections, or with damaged ones, runs all the same.
    let sections = header.section_headers(endian, program).unwrap_or_default();
    let table = header.e_shoff.get(endian).saturating_add(size_of_val(sections) as u64);
    let sections = sections.iter().filter_map(|section| {
        let (offset, size) = section.file_range(endian)?;
        Some(offset.saturating_add(size))
    });
    Ok(segments.chain(sections).chain([table]).max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_file_holds_nothing_panics(
            mut content in vec(prop_oneof![9 => Just(0u8), 1 => any::<u8>()], 0..600), offset in 0u64..300, count in 0u16..8,
        ) {
            if content.len() >= 64 {
                content[..6].copy_from_slice(b"\x7fELF\x02\x01");
                content[18] = 62;
                content[32..40].copy_from_slice(&offset.to_le_bytes());
                content[54..58].copy_from_slice(&[56, 0, count as u8, 0]);
            }
            let length = content.len();
            if let Ok((patched, _)) = patch(content, OsStr::new("/lib/libevercall.so")) {
                prop_assert_eq!(patched.len(), length + 20);
            }
        }
    }
}
