//! What Go says of its programs: the build information (debug/buildinfo) and its own table of functions (debug/gosym).

use super::facts::{Go, GoModule};
use super::parts::{Parts, number_at, text};
use memchr::memmem;
use object::elf;

/// What the build information begins with (16-byte aligned).
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Modules and functions of the largest programs are far fewer.
const MOST_MODULES: usize = 1 << 14;
const MOST_FUNCTIONS: u64 = 1 << 22;

/// Reads the build information. None: no Go program.
pub fn build_info(parts: &Parts<'_>) -> Option<Go> {
    let info = find(parts)?;
    let flags = *info.get(15)?;
    let (version, modules) = if flags & 2 != 0 {
        // Since 1.18 in place, each behind its length.
        let (version, rest) = counted(info.get(32..)?)?;
        (version, counted(rest).map_or(&[][..], |(modules, _)| modules))
    } else {
        // Addresses of two strings: of Go's headers, which are an address and a length.
        let word = usize::from(*info.get(14)?);
        if word != parts.word() || flags & 1 != 0 {
            return None;
        }
        let string = |at: usize| {
            let header = parts.at(number_at(info, at..at + word)?)?;
            parts.take(number_at(header, 0..word)?, number_at(header, word..2 * word)?)
        };
        (string(16)?, string(16 + word).unwrap_or(&[]))
    };
    let mut go = Go {
        version: String::from_utf8_lossy(version.get(..64).unwrap_or(version)).into_owned(),
        path: None,
        cgo: None,
        modules: Vec::new(),
    };
    // Between two marks of 16 bytes each.
    let modules = modules.get(16..modules.len().saturating_sub(16)).unwrap_or(&[]);
    for line in String::from_utf8_lossy(modules).lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("path"), Some(path), _) => go.path = Some(path.to_owned()),
            (Some("mod" | "dep"), Some(path), Some(version)) if go.modules.len() < MOST_MODULES => {
                go.modules.push(GoModule { path: path.to_owned(), version: version.to_owned() });
            }
            (Some("=>"), Some(path), Some(version)) => {
                if let Some(last) = go.modules.last_mut() {
                    *last = GoModule { path: path.to_owned(), version: version.to_owned() };
                }
            }
            (Some("build"), Some(setting), _) => {
                if let Some(value) = setting.strip_prefix("CGO_ENABLED=") {
                    go.cgo = Some(value == "1");
                }
            }
            _ => {}
        }
    }
    Some(go)
}

fn find<'a>(parts: &Parts<'a>) -> Option<&'a [u8]> {
    if let Some(section) = parts.section(b".go.buildinfo") {
        let content = parts.content(section);
        return content.get(memmem::find(content, MAGIC)?..);
    }
    // As Go itself does: the first writable segment.
    let data = parts.segments.iter().find(|segment| {
        segment.kind == elf::PT_LOAD && segment.flags & elf::PF_W != 0 && segment.flags & elf::PF_X == 0
    })?;
    let bytes = parts.take(data.address, data.file_size)?;
    let start = bytes.get(..bytes.len().min(64 << 10))?;
    bytes.get(memmem::find(start, MAGIC)?..)
}

/// Bytes behind their length in LEB128.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let rest = bytes.get(index + 1..)?;
            return Some((rest.get(..length)?, rest.get(length..)?));
        }
    }
    None
}

/// Go's functions by address, with their names, from `.gopclntab`: it stays in stripped programs.
pub fn functions<'a>(parts: &Parts<'a>) -> Vec<(u64, &'a str)> {
    let section = [&b".gopclntab"[..], b".data.rel.ro.gopclntab"].iter().find_map(|name| parts.section(name));
    section.and_then(|section| table(parts, parts.content(section))).unwrap_or_default()
}

/// The forms since Go 1.2, by their magic numbers.
fn table<'a>(parts: &Parts<'a>, bytes: &'a [u8]) -> Option<Vec<(u64, &'a str)>> {
    let word = parts.word();
    if usize::from(*bytes.get(7)?) != word {
        return None;
    }
    let field = |index: usize| number_at(bytes, 8 + index * word..8 + (index + 1) * word);
    let place = |index: usize| bytes.get(usize::try_from(field(index)?).ok()?..);
    // Start of code, names, and the table; whether entries are offsets of 32 bits.
    let (base, names, entries, is_short) = match number_at(bytes, 0..4)? {
        0xffff_fff0 | 0xffff_fff1 => {
            let text = field(2)?;
            // Since 1.26 it is left to the reader.
            let text = if text == 0 { parts.section(b".text")?.address } else { text };
            (text, place(3)?, place(7)?, true)
        }
        0xffff_fffa => (0, place(2)?, place(6)?, false),
        0xffff_fffb => (0, bytes, bytes.get(8 + word..)?, false),
        _ => return None,
    };
    // What the second half of an entry is counted from.
    let functions = if number_at(bytes, 0..4)? == 0xffff_fffb { bytes } else { entries };
    let size = if is_short { 4 } else { word };
    let count = field(0)?.min(MOST_FUNCTIONS);
    let pairs = entries.chunks_exact(2 * size).take(usize::try_from(count).ok()?);
    let found = pairs.filter_map(|pair| {
        let at = base.wrapping_add(number_at(pair, 0..size)?);
        let function = usize::try_from(number_at(pair, size..2 * size)?).ok()?;
        let name = function.checked_add(size)?;
        let name = usize::try_from(number_at(functions, name..name.checked_add(4)?)?).ok()?;
        Some((at, names.get(name..).and_then(text).unwrap_or("")))
    });
    Some(found.collect())
}
