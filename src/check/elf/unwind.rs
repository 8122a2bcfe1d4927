//! Where functions begin and end, by the unwind tables in `.eh_frame` (LSB, "Exception Frames"), which stripped files keep.

use super::parts::{Parts, number, number_at};
use encodings::*;
use object::elf;
use std::collections::HashMap;

/// DW_EH_PE_: how a pointer is written.
mod encodings {
    pub const FORMAT: u8 = 0x0f;
    pub const ABSOLUTE: u8 = 0x00;
    pub const UNSIGNED_2: u8 = 0x02;
    pub const UNSIGNED_4: u8 = 0x03;
    pub const UNSIGNED_8: u8 = 0x04;
    pub const SIGNED_2: u8 = 0x0a;
    pub const SIGNED_4: u8 = 0x0b;
    pub const SIGNED_8: u8 = 0x0c;
    pub const RELATION: u8 = 0x70;
    pub const TO_PLACE: u8 = 0x10;
    pub const INDIRECT: u8 = 0x80;
    pub const OMITTED: u8 = 0xff;
}

/// Address and bytes of each function that has an entry.
pub fn functions(parts: &Parts<'_>) -> Vec<(u64, u64)> {
    let Some((base, frames)) = frames(parts) else { return Vec::new() };
    let mut encodings: HashMap<usize, Option<(u8, bool)>> = HashMap::new();
    let mut found = Vec::new();
    let mut at = 0usize;
    while let Some(length) = number_at(frames, at..at + 4) {
        // 64-bit lengths stand in no file of these architectures.
        let Some(length) = usize::try_from(length).ok().filter(|&length| length != 0 && length < 0xffff_fff0) else {
            // A terminator; crtend.o's need not be the last one.
            at += 4;
            if length == 0 && at < frames.len() {
                continue;
            }
            break;
        };
        let entry = at + 4;
        let Some(next) = entry.checked_add(length).filter(|&next| next <= frames.len()) else { break };
        if let Some(distance @ 1..) = number_at(frames, entry..entry + 4)
            && let Some(cie) = usize::try_from(distance).ok().and_then(|distance| entry.checked_sub(distance))
            && let Some((encoding, is_signal)) = *encodings.entry(cie).or_insert_with(|| encoding(frames, cie))
        {
            let place = base.wrapping_add(entry as u64 + 4);
            let bytes = frames.get(entry + 4..next).unwrap_or(&[]);
            let function = function(parts, encoding, place, bytes);
            // A signal's return begins one byte early, so that unwinders find it by the address before.
            found.extend(function.map(|(start, size)| if is_signal { (start + 1, size - 1) } else { (start, size) }));
        }
        at = next;
    }
    found
}

/// Address and bytes of `.eh_frame`: its section, else what PT_GNU_EH_FRAME leads to.
fn frames<'a>(parts: &Parts<'a>) -> Option<(u64, &'a [u8])> {
    if let Some(section) = parts.section(b".eh_frame") {
        return Some((section.address, parts.content(section)));
    }
    let (header, bytes) = parts.segment(elf::PT_GNU_EH_FRAME)?;
    // Version, three encodings, and the pointer.
    let encoding = *bytes.get(1)?;
    let (start, _) = pointer(parts, encoding, header.address.wrapping_add(4), bytes.get(4..)?)?;
    Some((start, parts.at(start)?))
}

/// How a CIE says that its functions' addresses are written, `R` in the augmentation; and whether they are returns from signals, `S`.
fn encoding(frames: &[u8], cie: usize) -> Option<(u8, bool)> {
    let length = usize::try_from(number_at(frames, cie..cie.checked_add(4)?)?).ok()?;
    let mut bytes = frames.get(cie + 4..)?.get(..length)?;
    // Identifier 0 and the version.
    if number_at(bytes, 0..4)? != 0 {
        return None;
    }
    let version = *bytes.get(4)?;
    bytes = bytes.get(5..)?;
    let end = memchr::memchr(0, bytes)?;
    let (augmentation, mut rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let Some(letters) = augmentation.strip_prefix(b"z") else { return Some((ABSOLUTE, false)) };
    // Two alignments, the return address's register, the augmentation's length.
    for _ in 0..2 {
        rest = skip_leb(rest)?;
    }
    rest = if version == 1 { rest.get(1..)? } else { skip_leb(rest)? };
    rest = skip_leb(rest)?;
    let is_signal = letters.contains(&b'S');
    for letter in letters {
        match letter {
            b'R' => return Some((*rest.first()?, is_signal)),
            b'L' => rest = rest.get(1..)?,
            b'P' => {
                let format = *rest.first()?;
                rest = rest.get(1 + size_of(format, 8)?..)?;
            }
            b'S' | b'B' => {}
            _ => return None,
        }
    }
    Some((ABSOLUTE, is_signal))
}

fn skip_leb(bytes: &[u8]) -> Option<&[u8]> {
    let last = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    bytes.get(last + 1..)
}

fn size_of(encoding: u8, word: usize) -> Option<usize> {
    match encoding & FORMAT {
        ABSOLUTE => Some(word),
        UNSIGNED_2 | SIGNED_2 => Some(2),
        UNSIGNED_4 | SIGNED_4 => Some(4),
        UNSIGNED_8 | SIGNED_8 => Some(8),
        _ => None,
    }
}

/// A pointer at a place, and its bytes.
fn pointer(parts: &Parts<'_>, encoding: u8, place: u64, bytes: &[u8]) -> Option<(u64, usize)> {
    if encoding == OMITTED || encoding & INDIRECT != 0 {
        return None;
    }
    let size = size_of(encoding, parts.word())?;
    let raw = number(bytes.get(..size)?)?;
    let value = match encoding & FORMAT {
        SIGNED_2 => (raw as i16) as u64,
        SIGNED_4 => (raw as i32) as u64,
        _ => raw,
    };
    let value = match encoding & RELATION {
        0 => value,
        TO_PLACE => value.wrapping_add(place),
        _ => return None,
    };
    Some((if parts.is_64 { value } else { value & 0xffff_ffff }, size))
}

fn function(parts: &Parts<'_>, encoding: u8, place: u64, bytes: &[u8]) -> Option<(u64, u64)> {
    let (start, size) = pointer(parts, encoding, place, bytes)?;
    let (length, _) = pointer(parts, encoding & FORMAT, 0, bytes.get(size..)?)?;
    (length > 1 && start.checked_add(length).is_some()).then_some((start, length))
}
