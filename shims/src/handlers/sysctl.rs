//! `_sysctl(2)`: numbers become a path under /proc/sys, and the file's text the binary value, by the
//! conversions of kernel 5.4 (kernel/sysctl_binary.c), its quirks included: reads see 255 bytes of a
//! vector's file, and "-1" reads as 0.

use crate::dispatch::Call;
use crate::file_rules;
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};
use crate::text::{Text, parse_decimal, parse_hex};
use evercall_rules::packed::{SysctlStep, SysctlTable, SysctlType};

/// Longest name vector (CTL_MAXNAME).
const NAME: usize = 10;

/// Bytes of a vector's file that are read or written in one go (BUFSZ).
const BUFFER: usize = 256;

/// Most bytes of a text that are read or written in one go: newer kernels refuse requests of 4 MiB.
const TEXT: usize = 1 << 20;

/// Most values that fit into the buffer as digits and separators.
const VALUES: usize = BUFFER / 2;

const PATH: usize = 256;

/// The first words of `struct __sysctl_args` (linux/sysctl.h), behind the name.
struct Request {
    old: User,
    old_length: usize,
    new: User,
    new_length: usize,
}

impl Request {
    fn reads(&self) -> bool {
        !self.old.is_null() && self.old_length != 0
    }

    fn writes(&self) -> bool {
        !self.new.is_null() && self.new_length != 0
    }
}

/// `_sysctl`: EFAULT, ENOTDIR (no such name), EPERM, EACCES and what open, read and write of the file
/// under /proc/sys give.
pub fn _sysctl(call: &mut Call<'_>) -> isize {
    sys::result(answer(call))
}

fn answer(call: &mut Call<'_>) -> Result<usize> {
    // Four spare words end the struct: the kernel copied them too.
    let args: [usize; 10] = memory::get(call.user(0))?;
    let [name, length, old, old_length_at, new, new_length, ..] = args;
    let old_length_at = User(old_length_at);
    if old != 0 && old_length_at.is_null() {
        return Err(Errno(libc::EFAULT));
    }
    let old_length = if old_length_at.is_null() { 0 } else { memory::get(old_length_at)? };
    let request = Request { old: User(old), old_length, new: User(new), new_length };
    let result = access(call, User(name), length as i32, &request);
    if !old_length_at.is_null() {
        memory::put(old_length_at, result.unwrap_or(old_length))?;
    }
    result.map(|_| 0)
}

/// Reads and writes as asked: the bytes of the old value.
fn access(call: &mut Call<'_>, name: User, length: i32, request: &Request) -> Result<usize> {
    let mut numbers = [0i32; NAME];
    let length = usize::try_from(length).ok().filter(|&n| n <= NAME).ok_or(Errno(libc::ENOTDIR))?;
    for (index, number) in numbers.iter_mut().enumerate().take(length) {
        *number = memory::get(name.at(index * 4))?;
    }
    let mut path = Text::<PATH>::new();
    let conversion = find(numbers.get(..length).unwrap_or(&[]), &mut path)?;
    let flags = match (request.reads(), request.writes()) {
        (true, true) => libc::O_RDWR,
        (false, true) => libc::O_WRONLY,
        (true, false) => libc::O_RDONLY,
        (false, false) => return Ok(0),
    };
    call.became(|text| {
        let verb: &[u8] = if request.writes() { b"write " } else { b"read " };
        text.push(verb).push(path.bytes());
    });
    let mut file = sys::open(path.c_str(), flags, 0).map_err(without_proc)?;
    // One view of the machine, whoever asks.
    if let Some(configured) = file_rules::release(path.bytes()) {
        file = configured;
    }
    match conversion {
        SysctlType::String => text(&file, request),
        SysctlType::Int => vector::<4>(&file, request),
        SysctlType::Long => vector::<8>(&file, request),
        SysctlType::Uuid => uuid(&file, request),
        SysctlType::DnAddress => node_address(&file, request),
    }
}

/// Where /proc is not mounted there is no honest answer but that of a kernel without the call.
fn without_proc(error: Errno) -> Errno {
    let missing = error == Errno(libc::ENOENT) && sys::open(c"/proc/sys", libc::O_PATH, 0).is_err();
    if missing { Errno(libc::ENOSYS) } else { error }
}

/// The path and the conversion of a name. ENOTDIR where there is none.
fn find(numbers: &[i32], path: &mut Text<PATH>) -> Result<SysctlType> {
    path.push(b"/proc/sys");
    let mut table = SysctlTable::ROOT;
    for &number in numbers {
        let mut interface = [0u8; libc::IFNAMSIZ];
        let step = table.step(number, || sys::interface_name(number, &mut interface).is_ok());
        path.push(b"/");
        let name = match step {
            Some(SysctlStep::Table(name, child)) => {
                table = child;
                name
            }
            // What follows a file's number was never looked at.
            Some(SysctlStep::File(name, conversion)) => {
                path.push(name);
                return Ok(conversion);
            }
            None => return Err(Errno(libc::ENOTDIR)),
        };
        if name.is_empty() {
            path.push(interface.split(|&b| b == 0).next().unwrap_or(&[]));
        } else {
            path.push(name);
        }
    }
    Err(Errno(libc::ENOTDIR))
}

/// Text, straight between the file and the program; one trailing newline becomes the NUL.
fn text(file: &Fd, request: &Request) -> Result<usize> {
    let mut copied = 0;
    if request.reads() {
        copied = sys::read_user(file.0, request.old, request.old_length.min(TEXT))?;
        if copied > 0 {
            let last = request.old.at(copied - 1);
            if memory::get::<u8>(last)? == b'\n' {
                memory::put(last, 0u8)?;
                copied -= 1;
            }
        }
    }
    if request.writes() {
        sys::write_at_start_user(file.0, request.new, request.new_length)?;
    }
    Ok(copied)
}

/// A vector of unsigned numbers of SIZE bytes.
fn vector<const SIZE: usize>(file: &Fd, request: &Request) -> Result<usize> {
    let mut copied = 0;
    let mut buffer = [0u8; BUFFER];
    if request.reads() {
        let Some(room) = buffer.get_mut(..BUFFER - 1) else { return Ok(0) };
        let length = sys::pread(file.0, room, 0)?;
        let mut rest = buffer.get(..length).unwrap_or(&[]);
        let mut values = [0u8; VALUES * 8];
        let mut places = values.chunks_exact_mut(SIZE);
        for _ in 0..request.old_length / SIZE {
            let (value, tail) = parse_decimal(rest).unwrap_or((0, rest));
            rest = tail.trim_ascii_start();
            let Some(place) = places.next() else { break };
            for (to, from) in place.iter_mut().zip(value.to_le_bytes()) {
                *to = from;
            }
            copied += SIZE;
            if !rest.first().is_some_and(u8::is_ascii_digit) {
                break;
            }
        }
        memory::write(request.old, values.get(..copied).unwrap_or(&[]))?;
    }
    if request.writes() {
        let mut text = Text::<BUFFER>::new();
        for index in 0..request.new_length / SIZE {
            let mut value = [0u8; 8];
            let Some(part) = value.get_mut(..SIZE).filter(|_| !text.is_cut()) else { break };
            memory::read(request.new.at(index * SIZE), part)?;
            text.decimal(u64::from_le_bytes(value)).push(b"\t");
        }
        sys::pwrite(file.0, text.bytes(), 0)?;
    }
    Ok(copied)
}

/// A UUID: 36 characters become 16 bytes. EIO where the file holds none. There was no write.
fn uuid(file: &Fd, request: &Request) -> Result<usize> {
    if !request.reads() {
        return Ok(0);
    }
    let mut text = [0u8; 36];
    let length = sys::pread(file.0, &mut text, 0)?;
    let mut bytes = [0u8; 16];
    let mut rest = text.get(..length).unwrap_or(&[]);
    for (index, byte) in bytes.iter_mut().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            rest = rest.strip_prefix(b"-").ok_or(Errno(libc::EIO))?;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(Errno(libc::EIO))?;
        match parse_hex(digits) {
            Some((value, b"")) => *byte = value as u8,
            _ => return Err(Errno(libc::EIO)),
        }
        rest = tail;
    }
    let copied = request.old_length.min(bytes.len());
    memory::write(request.old, bytes.get(..copied).unwrap_or(&[]))?;
    Ok(copied)
}

/// A DECnet address: `AREA.NODE` becomes 16 bits, low byte first, whatever length was asked. EIO where the file holds
/// none; EINVAL to write another length. Kernels before 6.1 may have the file (bin_dn_node_address).
fn node_address(file: &Fd, request: &Request) -> Result<usize> {
    let mut copied = 0;
    if request.reads() {
        let mut text = [0u8; 14];
        let length = sys::pread(file.0, &mut text, 0)?;
        let mut parts = text.get(..length).unwrap_or(&[]).splitn(2, |&b| b == b'.');
        let number = |part: Option<&[u8]>| {
            let part = part.ok_or(Errno(libc::EIO))?;
            Ok(parse_decimal(part).map_or(0, |(value, _)| value))
        };
        let (area, node) = (number(parts.next())?, number(parts.next())?);
        if area > 63 || node > 1023 {
            return Err(Errno(libc::EIO));
        }
        let address = (area << 10 | node) as u16;
        memory::write(request.old, &address.to_le_bytes())?;
        copied = 2;
    }
    if request.writes() {
        if request.new_length != 2 {
            return Err(Errno(libc::EINVAL));
        }
        let mut address = [0u8; 2];
        memory::read(request.new, &mut address)?;
        let address = u64::from(u16::from_le_bytes(address));
        let mut text = Text::<14>::new();
        text.decimal(address >> 10).push(b".").decimal(address & 0x3ff);
        sys::pwrite(file.0, text.bytes(), 0)?;
    }
    Ok(copied)
}
