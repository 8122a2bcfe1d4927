//! `remap_file_pages(2)`: since 4.0 the kernel itself only maps anew (mm/mmap.c).

use crate::dispatch::Call;
use crate::files::Lines;
use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, fields, parse_decimal, parse_hex};

const PAGE: usize = 4096;

/// Bytes of a file's name that are kept.
const NAME: usize = 512;

/// A line of /proc/self/maps.
#[derive(Clone, Copy)]
struct Mapping {
    start: usize,
    end: usize,
    readable: bool,
    writable: bool,
    executable: bool,
    shared: bool,
    /// Bytes into the file.
    offset: u64,
    device: (u64, u64),
    inode: u64,
}

impl Mapping {
    /// The same file with the same rights.
    fn is_like(&self, other: &Mapping) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
            && (self.readable, self.writable, self.executable, self.shared)
                == (other.readable, other.writable, other.executable, other.shared)
    }
}

/// `remap_file_pages`: the file's pages from `pgoff` on, where the program has others of them. EINVAL as
/// mm/mmap.c of 6.18, EOVERFLOW, ENOMEM; ENOSYS where the pages can be mapped in no way. They are taken from another
/// shared mapping of the file (mremap(2) of no bytes makes a second one), else from the file itself.
pub fn remap_file_pages(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"mremap or mmap");
    });
    sys::result(remap(call))
}

fn remap(call: &Call<'_>) -> Result<usize> {
    let [start, size] = [call.arg(0), call.arg(1)].map(|address| address & !(PAGE - 1));
    let (page, flags) = (call.arg(3), call.int(4));
    let invalid = Errno(libc::EINVAL);
    if call.arg(2) != 0 || start.wrapping_add(size) <= start || page.checked_add(size / PAGE).is_none() {
        return Err(invalid);
    }
    let mut name = Text::<NAME>::new();
    let target = target(start, start.wrapping_add(size), &mut name)?;
    // file_mmap_ok(), of a file system without a limit of its own.
    let most = i64::MAX as usize;
    if size > most || page > (most - size) / PAGE {
        return Err(Errno(libc::EOVERFLOW));
    }
    let offset = page.wrapping_mul(PAGE) as u64;
    match source(&target, offset)? {
        Some(source) => from_mapping(&source, offset, start, size)?,
        None => from_file(&target, &mut name, offset, start, size)?,
    }
    if flags & libc::MAP_NONBLOCK == 0 {
        // MADV_POPULATE_READ (5.14), as MAP_POPULATE: whether it can is not told.
        sys::call(libc::SYS_madvise, [start, size, 22, 0, 0, 0]);
    }
    Ok(0)
}

/// The mapping at an address, if it is shared and goes on, perhaps in parts, to the end of the range: EINVAL.
fn target(start: usize, end: usize, name: &mut Text<NAME>) -> Result<Mapping> {
    let mut lines = maps()?;
    let mut first: Option<Mapping> = None;
    let mut covered = 0;
    while let Some(line) = lines.next()? {
        let Some((mapping, path)) = parse(line) else { continue };
        match first {
            None if mapping.start <= start && start < mapping.end => {
                if !mapping.shared {
                    break;
                }
                name.push(path);
                first = Some(mapping);
            }
            None => continue,
            Some(first) if mapping.start != covered || !mapping.is_like(&first) => break,
            Some(_) => {}
        }
        covered = mapping.end;
        if covered >= end {
            return first.ok_or(Errno(libc::EINVAL));
        }
    }
    Err(Errno(libc::EINVAL))
}

/// A mapping that begins at or before an offset of the target's file: the nearest.
fn source(target: &Mapping, offset: u64) -> Result<Option<Mapping>> {
    let mut lines = maps()?;
    let mut best: Option<Mapping> = None;
    while let Some(line) = lines.next()? {
        let Some((mapping, _)) = parse(line) else { continue };
        let nearer = best.is_none_or(|best| best.offset < mapping.offset);
        if mapping.is_like(target) && mapping.offset <= offset && nearer {
            best = Some(mapping);
        }
    }
    Ok(best)
}

fn from_mapping(source: &Mapping, offset: u64, start: usize, size: usize) -> Result<()> {
    let ahead = offset.saturating_sub(source.offset) as usize;
    // From inside the mapping, if it reaches that far.
    let inside = ahead.min((source.end - source.start).saturating_sub(PAGE));
    let skipped = ahead.saturating_sub(inside);
    let length = skipped.checked_add(size).ok_or(Errno(libc::ENOMEM))?;
    let second = [source.start.wrapping_add(inside), 0, length, libc::MREMAP_MAYMOVE as usize, 0, 0];
    let second = sys::check(sys::call(libc::SYS_mremap, second)).map_err(unless_memory)?;
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;
    let pages = second.wrapping_add(skipped);
    let moved = sys::check(sys::call(libc::SYS_mremap, [pages, size, size, flags, start, 0]));
    sys::unmap(second, if moved.is_ok() { skipped } else { length });
    moved.map(|_| ()).map_err(unless_memory)
}

/// Anything but a lack of memory says that such pages cannot be had here.
fn unless_memory(error: Errno) -> Errno {
    if error == Errno(libc::ENOMEM) { error } else { Errno(libc::ENOSYS) }
}

fn from_file(target: &Mapping, name: &mut Text<NAME>, offset: u64, start: usize, size: usize) -> Result<()> {
    let mut link = Text::<80>::new();
    link.push(b"/proc/self/map_files/").hex(target.start as u64).push(b"-").hex(target.end as u64);
    let open = |path: &core::ffi::CStr| {
        let writing = sys::open(path, libc::O_RDWR, 0);
        if target.writable { writing } else { writing.or_else(|_| sys::open(path, libc::O_RDONLY, 0)) }
    };
    // The first needs rights that few have (CAP_CHECKPOINT_RESTORE); the name may be another file's by now.
    let file = open(link.c_str()).or_else(|_| open(name.c_str()).and_then(|file| checked(file, target)));
    let file = file.map_err(|_| Errno(libc::ENOSYS))?;
    let has = |bit, protection| if bit { protection } else { 0 };
    let protection = has(target.readable, libc::PROT_READ)
        | has(target.writable, libc::PROT_WRITE)
        | has(target.executable, libc::PROT_EXEC);
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    let map = [start, size, protection as usize, flags as usize, file.0 as usize, offset as usize];
    sys::check(sys::call(libc::SYS_mmap, map)).map(|_| ())
}

fn checked(file: Fd, target: &Mapping) -> Result<Fd> {
    let stat = sys::fstat(file.0)?;
    let device = (u64::from(libc::major(stat.st_dev)), u64::from(libc::minor(stat.st_dev)));
    if (device, stat.st_ino) == (target.device, target.inode) { Ok(file) } else { Err(Errno(libc::ENOSYS)) }
}

fn maps() -> Result<Lines> {
    Lines::open(c"/proc/self/maps").map_err(|_| Errno(libc::ENOSYS))
}

/// `START-END rwxs OFFSET MAJOR:MINOR INODE NAME`.
fn parse(line: &[u8]) -> Option<(Mapping, &[u8])> {
    let mut words = fields(line);
    let (start, rest) = parse_hex(words.next()?)?;
    let (end, _) = parse_hex(rest.strip_prefix(b"-")?)?;
    let rights = words.next()?;
    let (offset, _) = parse_hex(words.next()?)?;
    let (major, rest) = parse_hex(words.next()?)?;
    let (minor, _) = parse_hex(rest.strip_prefix(b":")?)?;
    let (inode, _) = parse_decimal(words.next()?)?;
    let has = |at: usize, letter: u8| rights.get(at) == Some(&letter);
    let mapping = Mapping {
        start: start as usize,
        end: end as usize,
        readable: has(0, b'r'),
        writable: has(1, b'w'),
        executable: has(2, b'x'),
        shared: has(3, b's'),
        offset,
        device: (major, minor),
        inode,
    };
    let path = line.iter().position(|&byte| byte == b'/').and_then(|at| line.get(at..));
    Some((mapping, path.unwrap_or(&[])))
}
