//! Static programs: no dynamic loader reads LD_PRELOAD for them. A copy of the program in memory names
//! libevercall.so as its ELF interpreter instead; the file on disk stays as it is.
//!
//! A program header that the program can do without becomes PT_INTERP, and the library's path is appended.

use crate::exec;
use crate::library::Library;
use object::elf;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// More program headers are no program (`load_elf_phdrs` of the kernel).
const MOST_HEADERS: usize = 65536 / PROGRAM_HEADER;

/// Longer names of files in memory are refused (memfd_create(2)).
const LONGEST_NAME: usize = 249;

/// A copy of the program, not to be changed any more, with the library as its interpreter. The error says
/// why there is none.
pub fn interpreted(program: &Path, library: &Library) -> Result<File, String> {
    let name = program.file_name().unwrap_or_default().as_bytes();
    let mut copy = exec::memory_file(&name[..name.len().min(LONGEST_NAME)]).map_err(no_memory_file)?;
    File::open(program)
        .and_then(|mut program| io::copy(&mut program, &mut copy))
        .map_err(|error| format!("it cannot be copied: {error}"))?;
    let changed = edit(&mut copy, library.path.as_os_str())?;
    exec::seal(&copy).map_err(|error| format!("the copy cannot be sealed: {error}"))?;
    log::debug!(
        "{} has no dynamic loader: it runs from a copy in memory, where {changed} names {} as its ELF interpreter",
        program.display(),
        library.path.display()
    );
    Ok(copy)
}

/// Names the interpreter in the copy, and gives the name of the header that did.
fn edit(copy: &mut File, interpreter: &OsStr) -> Result<&'static str, String> {
    let write = |error: io::Error| format!("the copy cannot be written: {error}");
    let length = copy.metadata().map_err(write)?.len();
    let change = Change::of(|bytes, at| copy.read_exact_at(bytes, at), length, interpreter)?;
    // The position is at the end: the program was written before.
    copy.write_all(&change.path).map_err(write)?;
    copy.write_all_at(&change.header, change.at).map_err(write)?;
    Ok(change.name)
}

/// What makes the library the interpreter of a program.
pub struct Change {
    /// What the header was that becomes PT_INTERP.
    pub name: &'static str,
    /// Where it stands in the file.
    pub at: u64,
    /// What stands there then.
    pub header: [u8; PROGRAM_HEADER],
    /// What is appended to the file: the interpreter's path, with its NUL.
    pub path: Vec<u8>,
}

impl Change {
    /// For a program of so many bytes, which `read` reads at an offset. The error says why there is none.
    pub fn of(
        read: impl Fn(&mut [u8], u64) -> io::Result<()>,
        length: u64,
        interpreter: &OsStr,
    ) -> Result<Change, String> {
        let damaged = |error: io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => "it is damaged: it ends within its headers".to_string(),
            _ => format!("its headers cannot be read: {error}"),
        };
        let mut header = [0; FILE_HEADER];
        read(&mut header, 0).map_err(damaged)?;
        let table = Table::of(&header)?;
        let mut headers = vec![0; table.count * PROGRAM_HEADER];
        read(&mut headers, table.offset).map_err(damaged)?;
        let (index, name) = expendable(&headers)?;
        let path = [interpreter.as_bytes(), b"\0"].concat();
        let at = table.offset + (index * PROGRAM_HEADER) as u64;
        Ok(Change { name, at, header: pt_interp(length, path.len() as u64), path })
    }
}

/// Where the program headers are.
struct Table {
    offset: u64,
    count: usize,
}

impl Table {
    /// From an ELF header.
    fn of(header: &[u8; FILE_HEADER]) -> Result<Table, String> {
        let half = |at| u16::from_le_bytes(bytes(header, at));
        let damaged = |why: &str| Err(format!("it is damaged: {why}"));
        if header[..4] != elf::ELFMAG {
            return damaged("its first bytes are no ELF header");
        }
        if header[4] != elf::ELFCLASS64 || header[5] != elf::ELFDATA2LSB || half(18) != elf::EM_X86_64 {
            return Err("libevercall.so can be the ELF interpreter of x86-64 programs alone".into());
        }
        let (offset, count) = (u64::from_le_bytes(bytes(header, 32)), usize::from(half(56)));
        if usize::from(half(54)) != PROGRAM_HEADER {
            return damaged("its program headers are of a wrong size");
        }
        if count == 0 || count > MOST_HEADERS {
            return damaged(&format!("it has {count} program headers"));
        }
        if offset.checked_add((count * PROGRAM_HEADER) as u64).is_none() {
            return damaged("its program headers are beyond its end");
        }
        Ok(Table { offset, count })
    }
}

/// The program header that becomes PT_INTERP: its index, and the name of what it was. Notes first: only
/// tools read them. A PT_GNU_STACK goes last, and only if it asks for a stack that is not executable:
/// without it, kernels from 5.8 give such a stack all the same, but older ones make all readable memory
/// executable, and glibc makes the stacks of threads executable on every kernel.
fn expendable(headers: &[u8]) -> Result<(usize, &'static str), String> {
    let kinds = || headers.chunks_exact(PROGRAM_HEADER).map(|header| word(header, 0));
    if kinds().any(|kind| kind == elf::PT_INTERP) {
        return Err("it got a dynamic loader while it was copied".into());
    }
    for (wanted, name) in [
        (elf::PT_NOTE, "PT_NOTE"),
        (elf::PT_GNU_PROPERTY, "PT_GNU_PROPERTY"),
        (elf::PT_NULL, "PT_NULL"),
        (elf::PT_GNU_STACK, "PT_GNU_STACK"),
    ] {
        let Some(index) = kinds().position(|kind| kind == wanted) else { continue };
        let flags = word(headers, index * PROGRAM_HEADER + 4);
        if wanted != elf::PT_GNU_STACK || flags == elf::PF_R | elf::PF_W {
            return Ok((index, name));
        }
    }
    Err("it has no program header to spare for PT_INTERP: no PT_NOTE, PT_GNU_PROPERTY or PT_NULL, and no \
         PT_GNU_STACK that asks for a stack that is not executable"
        .into())
}

/// A program header that names the interpreter by this part of the file.
fn pt_interp(offset: u64, size: u64) -> [u8; PROGRAM_HEADER] {
    let mut header = [0; PROGRAM_HEADER];
    header[..4].copy_from_slice(&elf::PT_INTERP.to_le_bytes());
    header[4..8].copy_from_slice(&elf::PF_R.to_le_bytes());
    // p_offset, p_filesz, p_memsz, p_align; the addresses stay 0.
    for (at, value) in [(8, offset), (32, size), (40, size), (48, 1)] {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    header
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&from[at..at + N]);
    bytes
}

fn word(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

fn no_memory_file(error: io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no memfd_create (Linux 3.17)",
        Some(libc::EACCES) => "the sysctl vm.memfd_noexec is 2 here; set it to 0 or 1",
        Some(libc::EPERM) => "a seccomp filter or security module forbids memfd_create",
        _ => "memfd_create failed",
    };
    format!("it needs a copy in memory, and {why} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn headers(kinds: &[(u32, u32)]) -> Vec<u8> {
        let header = |&(kind, flags): &(u32, u32)| {
            let mut header = [7; PROGRAM_HEADER];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[4..8].copy_from_slice(&flags.to_le_bytes());
            header
        };
        kinds.iter().flat_map(header).collect()
    }

    #[test]
    fn the_least_needed_header_goes_first() {
        let load = (elf::PT_LOAD, 5);
        let stack = (elf::PT_GNU_STACK, 6);
        let of = |kinds: &[(u32, u32)]| expendable(&headers(kinds)).map(|(index, _)| index);
        assert_eq!(
            of(&[load, stack, (elf::PT_NULL, 0), (elf::PT_GNU_PROPERTY, 4), (elf::PT_NOTE, 4)]),
            Ok(4)
        );
        assert_eq!(of(&[load, stack, (elf::PT_NULL, 0), (elf::PT_GNU_PROPERTY, 4)]), Ok(3));
        assert_eq!(of(&[stack, (elf::PT_NULL, 0), load]), Ok(1));
        assert_eq!(of(&[load, stack]), Ok(1));
        assert!(of(&[load, (elf::PT_GNU_STACK, 7)]).is_err(), "an executable stack is asked for");
        assert!(of(&[load]).is_err());
        assert!(of(&[(elf::PT_NOTE, 4), (elf::PT_INTERP, 4)]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_nothing_panics(
            content in vec(prop_oneof![9 => Just(0u8), 1 => any::<u8>()], 0..600), offset in 0u64..300, count in 0u16..8, whole in any::<bool>(),
        ) {
            let mut content = content;
            if whole && content.len() >= FILE_HEADER {
                content[..6].copy_from_slice(b"\x7fELF\x02\x01");
                content[18..20].copy_from_slice(&elf::EM_X86_64.to_le_bytes());
                content[32..40].copy_from_slice(&offset.to_le_bytes());
                content[54..58].copy_from_slice(&[56, 0, count as u8, 0]);
            }
            let mut file = tempfile::tempfile()?;
            file.write_all(&content)?;
            let edited = edit(&mut file, OsStr::new("/lib/libevercall.so"));
            let length = file.metadata()?.len() as usize;
            prop_assert_eq!(edited.is_ok(), length == content.len() + 20);
        }
    }
}
