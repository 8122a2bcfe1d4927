//! Memory and processors where they are read from files: as the control group limits them, and in lines of a
//! length that old programs can hold.

use super::text_file::TextFile;
use crate::files::{Lines, read_start};
use crate::resources::{self, Memory, Processors};
use crate::settings;
use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, parse_decimal, trim};

/// Longest line of /proc/cpuinfo that is kept: old programs hold 1024 bytes, with the newline and a NUL.
const SHORT: usize = 1000;

/// Nothing is to be changed: the host's file stands.
const AS_IT_IS: Errno = Errno(libc::ENODATA);

/// `/proc/meminfo`: each line by the group's counters, if it has such; the rest as the host has it, but never more
/// than there is.
pub fn meminfo(text: &mut TextFile) -> Result<()> {
    let (_, host) = sys::machine()?;
    let memory = resources::memory(&host).ok_or(AS_IT_IS)?;
    let mut lines = Lines::open(c"/proc/meminfo")?;
    while let Some(line) = lines.next()? {
        let colon = line.iter().position(|&b| b == b':').unwrap_or(line.len());
        let name = line.get(..colon).unwrap_or(line);
        match value_of(name, &memory) {
            Some(bytes) => meminfo_line(text, name, bytes),
            None => {
                text.push(line).push(b"\n");
            }
        }
    }
    Ok(())
}

/// "%-16s%8lu kB" (show_val_kb in fs/proc/meminfo.c).
fn meminfo_line(text: &mut TextFile, name: &[u8], bytes: u64) {
    let mut digits = Text::<24>::new();
    digits.decimal(bytes / 1024);
    text.push(name).push(b":");
    let width = 23usize.saturating_sub(name.len() + digits.bytes().len()).max(1);
    for _ in 0..width {
        text.push(b" ");
    }
    text.push(digits.bytes()).push(b" kB\n");
}

/// A line's value in bytes; None for what a group does not limit (address space, huge pages).
fn value_of(name: &[u8], memory: &Memory) -> Option<u64> {
    let of = |name: &[u8]| memory.counter(name);
    Some(match name {
        b"MemTotal" => memory.total,
        b"MemFree" => memory.free,
        b"MemAvailable" => memory.available,
        b"Cached" => of(b"file"),
        b"Active" => of(b"active_anon").saturating_add(of(b"active_file")),
        b"Inactive" => of(b"inactive_anon").saturating_add(of(b"inactive_file")),
        b"Active(anon)" => of(b"active_anon"),
        b"Inactive(anon)" => of(b"inactive_anon"),
        b"Active(file)" => of(b"active_file"),
        b"Inactive(file)" => of(b"inactive_file"),
        b"Unevictable" => of(b"unevictable"),
        b"SwapTotal" => memory.swap[0],
        b"SwapFree" => memory.swap[1],
        b"Dirty" => of(b"file_dirty"),
        b"Writeback" => of(b"file_writeback"),
        b"AnonPages" => of(b"anon"),
        b"Mapped" => of(b"file_mapped"),
        b"Shmem" => of(b"shmem"),
        b"KReclaimable" | b"SReclaimable" => of(b"slab_reclaimable"),
        b"SUnreclaim" => of(b"slab_unreclaimable"),
        b"Slab" => of(b"slab_reclaimable").saturating_add(of(b"slab_unreclaimable")),
        b"KernelStack" => of(b"kernel_stack"),
        b"PageTables" => of(b"pagetables"),
        // Of the whole host, and not counted by group.
        b"Buffers" | b"SwapCached" | b"Mlocked" | b"Zswap" | b"Zswapped" | b"AnonHugePages"
        | b"ShmemHugePages" | b"ShmemPmdMapped" | b"FileHugePages" | b"FilePmdMapped" | b"SecPageTables"
        | b"Percpu" | b"NFS_Unstable" | b"Bounce" | b"WritebackTmp" | b"HighTotal" | b"HighFree"
        | b"Balloon" | b"Unaccepted" | b"CmaTotal" | b"CmaFree" => 0,
        b"LowTotal" => memory.total,
        b"LowFree" => memory.free,
        _ => return None,
    })
}

/// `/sys/devices/system/cpu/online`.
pub fn online(text: &mut TextFile) -> Result<()> {
    let set = resources::processors().ok_or(AS_IT_IS)?;
    set.list(|piece| {
        text.push(piece);
    });
    text.push(b"\n");
    Ok(())
}

/// `/sys/devices/system/cpu/offline`: with `online` it makes `present`, as on a host where the others are off.
pub fn offline(text: &mut TextFile) -> Result<()> {
    let set = resources::processors().ok_or(AS_IT_IS)?;
    let mut buffer = [0u8; 1024];
    let present = read_start(c"/sys/devices/system/cpu/present", &mut buffer)?;
    Processors::parse(present).ok_or(AS_IT_IS)?.without(&set).list(|piece| {
        text.push(piece);
    });
    text.push(b"\n");
    Ok(())
}

/// `/proc/cpuinfo`: the processors of the control group, and lines of at most [`SHORT`] bytes, each where it is
/// configured.
pub fn cpuinfo(text: &mut TextFile) -> Result<()> {
    let settings = settings::get();
    let shown = if settings.resources { resources::processors() } else { None };
    if shown.is_none() && !settings.short_cpuinfo {
        return Err(AS_IT_IS);
    }
    let mut pieces = Pieces::open()?;
    let mut skipped = false;
    let mut cut = false;
    while let Some((piece, starts, ends)) = pieces.next()? {
        if starts {
            cut = false;
            // A block of lines for each processor begins with its number (arch/x86/kernel/cpu/proc.c).
            if let Some(number) = piece.strip_prefix(b"processor").and_then(number_behind_colon) {
                skipped = shown.as_ref().is_some_and(|shown| !shown.has(number));
            }
        }
        if skipped {
            continue;
        }
        if starts && settings.short_cpuinfo && piece.len() > SHORT {
            // Whole words: flags, bugs.
            let room = piece.get(..SHORT).unwrap_or(piece);
            let end = room.iter().rposition(|&b| b == b' ').unwrap_or(SHORT);
            text.push(piece.get(..end).unwrap_or(room));
            cut = true;
        } else if !cut {
            text.push(piece);
        }
        if ends {
            text.push(b"\n");
        }
    }
    Ok(())
}

/// ` \t: 12`.
fn number_behind_colon(text: &[u8]) -> Option<usize> {
    let number = trim(text).strip_prefix(b":").map(trim)?;
    parse_decimal(number).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number as usize)
}

/// /proc/cpuinfo in pieces that end where a line does, or where the buffer is full.
struct Pieces {
    fd: Fd,
    buffer: [u8; SHORT + 24],
    /// Bytes of the buffer that were given out, and that are filled.
    given: usize,
    filled: usize,
    starts: bool,
}

impl Pieces {
    fn open() -> Result<Pieces> {
        let fd = sys::open(c"/proc/cpuinfo", libc::O_RDONLY, 0)?;
        Ok(Pieces { fd, buffer: [0; SHORT + 24], given: 0, filled: 0, starts: true })
    }

    /// A piece without its newline, whether it starts a line, and whether it ends it.
    fn next(&mut self) -> Result<Option<(&[u8], bool, bool)>> {
        let from = self.given.min(self.filled).min(self.buffer.len());
        self.buffer.copy_within(from.., 0);
        self.filled -= from.min(self.filled);
        self.given = 0;
        loop {
            let filled = self.buffer.get(..self.filled).unwrap_or(&[]);
            let newline = filled.iter().position(|&b| b == b'\n');
            let room = self.buffer.get_mut(self.filled..).unwrap_or(&mut []);
            let n = if newline.is_some() || room.is_empty() { 0 } else { sys::read(self.fd.0, room)? };
            if n > 0 {
                self.filled += n;
                continue;
            }
            let starts = self.starts;
            self.starts = newline.is_some();
            let length = newline.unwrap_or(self.filled);
            self.given = length + usize::from(newline.is_some());
            if self.given == 0 {
                return Ok(None);
            }
            return Ok(self.buffer.get(..length).map(|piece| (piece, starts, newline.is_some())));
        }
    }
}
