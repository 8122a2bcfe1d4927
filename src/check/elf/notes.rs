//! What the notes of an ELF file say.

use super::facts::KernelVersion;
use super::parts::{Parts, number_at};
use object::elf;

/// The notes that matter here.
#[derive(Debug, Default)]
pub struct Notes {
    /// glibc's minimum (`.note.ABI-tag`, generic ABI of the LSB): system 0 is Linux.
    pub minimum_kernel: Option<KernelVersion>,
    /// Of the GNU linker, in hexadecimal.
    pub build_id: Option<String>,
    /// Android's (`.note.android.ident`).
    pub is_android: bool,
}

/// Reads the notes of all PT_NOTE segments; of sections, where there are no segments.
pub fn read(parts: &Parts<'_>) -> Notes {
    let mut notes = Notes::default();
    let by_segments = parts.segments.iter().filter(|segment| segment.kind == elf::PT_NOTE);
    for segment in by_segments.take(16) {
        let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        let end =
            start.saturating_add(usize::try_from(segment.file_size).unwrap_or(0)).min(parts.bytes.len());
        read_all(parts.bytes.get(start..end).unwrap_or(&[]), &mut notes);
    }
    for section in parts.sections.iter().filter(|section| section.kind == elf::SHT_NOTE).take(16) {
        read_all(parts.content(section), &mut notes);
    }
    notes
}

fn read_all(mut bytes: &[u8], notes: &mut Notes) {
    /// More bytes of notes have only core dumps.
    const LONGEST: usize = 1 << 16;
    bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    while let Some(rest) = read_one(bytes, notes) {
        bytes = rest;
    }
}

fn read_one<'a>(bytes: &'a [u8], notes: &mut Notes) -> Option<&'a [u8]> {
    let field = |at: usize| usize::try_from(number_at(bytes, at..at + 4)?).ok();
    let (name_size, size, kind) = (field(0)?, field(4)?, field(8)?);
    let name = bytes.get(12..)?.get(..name_size)?;
    let start = name_size.checked_next_multiple_of(4)?.checked_add(12)?;
    let content = bytes.get(start..)?.get(..size)?;
    match (name, u32::try_from(kind).ok()?) {
        (b"GNU\0", elf::NT_GNU_ABI_TAG) => {
            let word = |at: usize| number_at(content, at..at + 4).map(|word| word as u32);
            if let (Some(0), Some(version), Some(patch), Some(sub)) = (word(0), word(4), word(8), word(12)) {
                notes.minimum_kernel = Some(KernelVersion(version, patch, sub));
            }
        }
        (b"GNU\0", elf::NT_GNU_BUILD_ID) if !content.is_empty() && content.len() <= 64 => {
            notes.build_id = Some(content.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        (b"Android\0", 1) => notes.is_android = true,
        _ => {}
    }
    bytes.get(start.checked_add(size.checked_next_multiple_of(4)?)?..)
}
