//! `uselib(2)`: maps an ELF library at the address it was linked for, as load_elf_library did.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};

const PAGE: usize = 4096;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;

/// `uselib`: errors of open(2), EACCES (no regular file, no right to execute it, a noexec mount), ENOEXEC
/// (no ELF library), EEXIST (the addresses are taken).
pub fn uselib(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"mmap of its PT_LOAD segment");
    });
    sys::result(load(call.user(0)))
}

fn load(path: User) -> Result<usize> {
    let file = match sys::open_user(path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) {
        // A socket, or a device that is not there.
        Err(Errno(libc::ENXIO | libc::ENODEV)) => return Err(Errno(libc::EACCES)),
        other => other?,
    };
    if sys::fstat(file.0)?.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno(libc::EACCES));
    }
    // The kernel opened it for execution: MAY_EXEC, and no noexec mount (fs/exec.c).
    sys::executable(&file)?;
    let segment = only_segment(&file)?;
    let [offset, address, _, file_size, memory_size, _] = segment;
    let start = address & !(PAGE - 1);
    let lead = address - start;
    let map = [start, file_size.wrapping_add(lead), offset.wrapping_sub(lead)];
    sys::map_library(&file, map)?;
    clear_to_page_end(address.wrapping_add(file_size))?;
    let end_of_file = round_up(address.wrapping_add(file_size));
    let end = round_up(address.wrapping_add(memory_size));
    if end > end_of_file {
        sys::map_zeroed(end_of_file, end - end_of_file)?;
    }
    Ok(0)
}

fn round_up(address: usize) -> usize {
    address.wrapping_add(PAGE - 1) & !(PAGE - 1)
}

/// The one PT_LOAD of a library, from p_offset on: offset, vaddr, paddr, filesz, memsz, align.
/// Failed and short reads give ENOEXEC, as elf_read's errors did not reach the caller.
fn only_segment(file: &Fd) -> Result<[usize; 6]> {
    const NO_LIBRARY: Errno = Errno(libc::ENOEXEC);
    let mut header = [0u8; 64];
    if sys::pread(file.0, &mut header, 0) != Ok(header.len()) || !header.starts_with(b"\x7fELF") {
        return Err(NO_LIBRARY);
    }
    let half =
        |at: usize| header.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes);
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, usize::from_le_bytes)
    };
    // e_phentsize was never looked at.
    let (kind, machine, count) = (half(16), half(18), half(56));
    if kind != ET_EXEC || machine != EM_X86_64 || count > 2 {
        return Err(NO_LIBRARY);
    }
    let mut segments = [0u8; 112];
    let length = usize::from(count) * 56;
    let Some(wanted) = segments.get_mut(..length) else { return Err(NO_LIBRARY) };
    if sys::pread(file.0, wanted, word(&header, 32) as u64) != Ok(length) {
        return Err(NO_LIBRARY);
    }
    let mut only = None;
    for segment in wanted.chunks_exact(56) {
        if segment.starts_with(&PT_LOAD.to_le_bytes()) {
            if only.is_some() {
                return Err(NO_LIBRARY);
            }
            only = Some([8, 16, 24, 32, 40, 48].map(|at| word(segment, at)));
        }
    }
    only.ok_or(NO_LIBRARY)
}

/// What lies behind the file's last byte in its page is zero, not the file (padzero). EFAULT.
fn clear_to_page_end(from: usize) -> Result<()> {
    const ZEROS: [u8; 256] = [0; 256];
    let mut at = from;
    let end = round_up(from);
    while at < end {
        let part = ZEROS.get(..(end - at).min(ZEROS.len())).unwrap_or(&ZEROS);
        memory::write(User(at), part)?;
        at += part.len();
    }
    Ok(())
}
