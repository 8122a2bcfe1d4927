//! The versions of dynamic symbols: DT_VERSYM, DT_VERDEF, DT_VERNEED (LSB, "Symbol Versioning").

use super::dynamic::Version;
use super::parts::{Parts, number_at, text};
use object::elf;
use std::collections::HashMap;

/// More versions of a library, or libraries with versions, are not read: libc itself has about a hundred.
const MOST_VERSIONS: u64 = 1 << 11;

/// Each symbol's version.
#[derive(Default)]
pub struct Versions<'a> {
    /// By symbol: an index of `names`, and bit 15 for hidden.
    by_symbol: &'a [u8],
    names: HashMap<u16, (&'a str, Option<&'a str>)>,
}

impl<'a> Versions<'a> {
    /// Reads the three tables; what of them makes no sense is left out.
    pub fn read(parts: &Parts<'a>, strings: &'a [u8], value: &impl Fn(u32) -> Option<u64>) -> Versions<'a> {
        let mut versions = Versions::default();
        let at = |tag: u32| value(tag).and_then(|at| parts.at(at));
        versions.by_symbol = at(elf::DT_VERSYM).unwrap_or(&[]);
        let string = |at: u64| text(strings.get(usize::try_from(at).ok()?..)?);
        if let Some(table) = at(elf::DT_VERDEF) {
            let count = value(elf::DT_VERDEFNUM).unwrap_or(MOST_VERSIONS);
            // vd_ndx at 4, vd_aux at 12, vd_next at 16; vda_name at the beginning of the first auxiliary.
            walk(table, 0, count, 16, |entry| {
                let index = number_at(entry, 4..6)?;
                let auxiliary = usize::try_from(number_at(entry, 12..16)?).ok()?;
                let name = string(number_at(entry, auxiliary..auxiliary.checked_add(4)?)?)?;
                versions.names.insert(index as u16 & elf::VERSYM_VERSION, (name, None));
                Some(())
            });
        }
        if let Some(table) = at(elf::DT_VERNEED) {
            let count = value(elf::DT_VERNEEDNUM).unwrap_or(MOST_VERSIONS);
            // vn_cnt at 2, vn_file at 4, vn_aux at 8, vn_next at 12.
            walk(table, 0, count, 12, |entry| {
                let library = string(number_at(entry, 4..8)?);
                let auxiliary = usize::try_from(number_at(entry, 8..12)?).ok()?;
                // vna_other at 6, vna_name at 8, vna_next at 12.
                walk(entry, auxiliary, number_at(entry, 2..4)?, 12, |entry| {
                    let index = number_at(entry, 6..8)?;
                    let name = string(number_at(entry, 8..12)?)?;
                    versions.names.insert(index as u16 & elf::VERSYM_VERSION, (name, library));
                    Some(())
                });
                Some(())
            });
        }
        versions
    }

    /// A symbol's version. The file's own base version is none.
    pub fn of(&self, symbol: usize, is_defined: bool) -> Option<Version<'a>> {
        let at = symbol.checked_mul(2)?;
        let entry = u16::try_from(number_at(self.by_symbol, at..at.checked_add(2)?)?).ok()?;
        let index = entry & elf::VERSYM_VERSION;
        if index <= elf::VER_NDX_GLOBAL {
            return None;
        }
        let &(name, library) = self.names.get(&index)?;
        let library = library.filter(|_| !is_defined);
        Some(Version { name, library, is_hidden: entry & elf::VERSYM_HIDDEN != 0 })
    }
}

/// Goes along entries of which each has the distance to the next in a word at `next`, 0 in the last.
fn walk<'a>(
    table: &'a [u8],
    start: usize,
    count: u64,
    next: usize,
    mut each: impl FnMut(&'a [u8]) -> Option<()>,
) {
    let mut at = start;
    for _ in 0..count.min(MOST_VERSIONS) {
        let Some(entry) = table.get(at..) else { return };
        _ = each(entry);
        match number_at(entry, next..next + 4).and_then(|next| usize::try_from(next).ok()) {
            Some(distance) if distance > 0 => at = at.saturating_add(distance),
            _ => return,
        }
    }
}
