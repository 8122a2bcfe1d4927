//! `remap_file_pages(2)`: since 4.0 the kernel itself only maps anew (mm/mmap.c).

use crate::dispatch::Call;
use crate::files::Lines;
use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, fields, parse_decimal, parse_hex};
use core::ffi::CStr;

const PAGE: usize = 4096;

/// Bytes of a file's name that are kept.
const NAME: usize = 512;

/// Descriptors that are looked through for an open file.
const DESCRIPTORS: i32 = 1024;

/// Where a mapping's file may be found again.
struct Names {
    /// The mapping, as /proc/self/map_files has it.
    link: Text<80>,
    path: Text<NAME>,
}

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
    let mut names = Names { link: Text::new(), path: Text::new() };
    let end = start.wrapping_add(size);
    let target = target(start, end, &mut names)?;
    // Their flags are slow to read.
    let locks = locks_memory()?;
    let whole = target.writable && target.end >= end;
    let locked = (locks || !whole) && flags_of(start, end)?;
    // file_mmap_ok(), of a file system without a limit of its own.
    let most = i64::MAX as usize;
    if size > most || page > (most - size) / PAGE {
        return Err(Errno(libc::EOVERFLOW));
    }
    let offset = page.wrapping_mul(PAGE) as u64;
    match source(&target, offset)? {
        Some(source) => from_mapping(&source, offset, start, size)?,
        None => from_file(&target, &mut names, offset, start, size)?,
    }
    if locks {
        sys::call(if locked { libc::SYS_mlock } else { libc::SYS_munlock }, [start, size, 0, 0, 0, 0]);
    }
    if flags & libc::MAP_NONBLOCK == 0 {
        // MADV_POPULATE_READ (5.14), as MAP_POPULATE: whether it can is not told.
        sys::call(libc::SYS_madvise, [start, size, 22, 0, 0, 0]);
    }
    Ok(0)
}

/// The mapping at an address, if it is shared and goes on, perhaps in parts, to the end of the range: EINVAL.
fn target(start: usize, end: usize, names: &mut Names) -> Result<Mapping> {
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
                let range = line.split(|&byte| byte == b' ').next().unwrap_or(&[]);
                names.link.push(b"/proc/self/map_files/").push(range);
                names.path.push(path);
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

/// Whether the mappings of a range are locked. EINVAL unless all have the same flags, VM_SHARED among them, which
/// /proc/self/maps does not tell from VM_MAYSHARE: it is missing where the file is not open for writing. Where there
/// are no flags to read (before 3.8) all is well.
fn flags_of(start: usize, end: usize) -> Result<bool> {
    let mut lines = Lines::open(c"/proc/self/smaps").map_err(|_| Errno(libc::ENOSYS))?;
    let mut within = false;
    let mut first = Text::<128>::new();
    while let Some(line) = lines.next()? {
        if let Some((mapping, _)) = parse(line) {
            within = mapping.start < end && mapping.end > start;
        }
        let Some(flags) = line.strip_prefix(b"VmFlags:").filter(|_| within) else { continue };
        if first.bytes().is_empty() {
            first.push(flags);
        }
        if flags != first.bytes() || !has(flags, b"sh") {
            return Err(Errno(libc::EINVAL));
        }
    }
    Ok(has(first.bytes(), b"lo"))
}

fn has(flags: &[u8], wanted: &[u8]) -> bool {
    fields(flags).any(|flag| flag == wanted)
}

/// Whether the process has locked memory at all: `VmLck:` of /proc/self/status.
fn locks_memory() -> Result<bool> {
    let mut lines = Lines::open(c"/proc/self/status").map_err(|_| Errno(libc::ENOSYS))?;
    while let Some(line) = lines.next()? {
        if let Some(locked) = line.strip_prefix(b"VmLck:") {
            return Ok(fields(locked).next() != Some(b"0"));
        }
    }
    Ok(false)
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

/// Maps the file itself: by /proc, which few may (CAP_CHECKPOINT_RESTORE), by a descriptor that the program still
/// has of it, or by its name, if that leads to it still.
fn from_file(target: &Mapping, names: &mut Names, offset: u64, start: usize, size: usize) -> Result<()> {
    let has = |bit, protection| if bit { protection } else { 0 };
    let protection = has(target.readable, libc::PROT_READ)
        | has(target.writable, libc::PROT_WRITE)
        | has(target.executable, libc::PROT_EXEC);
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    let map = |fd: i32| {
        let map = [start, size, protection as usize, flags as usize, fd as usize, offset as usize];
        sys::check(sys::call(libc::SYS_mmap, map)).map(|_| ())
    };
    if let Ok(file) = open(target, names.link.c_str()) {
        return map(file.0);
    }
    for fd in 0..DESCRIPTORS {
        if is_file(fd, target) && map(fd).is_ok() {
            return Ok(());
        }
    }
    match open(target, names.path.c_str()) {
        Ok(file) if is_file(file.0, target) => map(file.0),
        _ => Err(Errno(libc::ENOSYS)),
    }
}

/// For writing, if that may be: the rights may be raised later.
fn open(target: &Mapping, path: &CStr) -> Result<Fd> {
    match sys::open(path, libc::O_RDWR, 0) {
        Err(_) if !target.writable => sys::open(path, libc::O_RDONLY, 0),
        opened => opened,
    }
}

fn is_file(fd: i32, target: &Mapping) -> bool {
    sys::fstat(fd).is_ok_and(|stat| {
        let device = (u64::from(libc::major(stat.st_dev)), u64::from(libc::minor(stat.st_dev)));
        (device, stat.st_ino) == (target.device, target.inode)
    })
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
