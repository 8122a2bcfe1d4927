//! Places in memory through which code reaches other code: the global offset table, the stubs of the procedure linkage
//! table, pointers in data, and the addresses of the vsyscall page.

use super::dynamic::{Dynamic, Relocation, Symbol, Target};
use super::facts::Architecture;
use super::parts::{Parts, number_at, range_of};
use object::elf;
use std::collections::HashMap;

/// The three addresses and the numbers of their calls on x86-64 (arch/x86/entry/vsyscall).
pub const VSYSCALLS: [(u64, u32); 3] =
    [(0xffff_ffff_ff60_0000, 96), (0xffff_ffff_ff60_0400, 201), (0xffff_ffff_ff60_0800, 309)];

/// The number of the call that an address of the vsyscall page stands for.
pub fn vsyscall(address: u64) -> Option<u32> {
    VSYSCALLS.iter().find(|&&(at, _)| at == address).map(|&(_, number)| number)
}

/// Where a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Goes {
    /// To an address of this file.
    Own(u64),
    /// To an import, by its index.
    Import(u32),
}

/// What is known of a file's places.
pub struct Places<'p, 'a> {
    /// The file.
    pub parts: &'p Parts<'a>,
    /// Executable bytes.
    pub code: Vec<(u64, &'a [u8])>,
    /// Whether addresses stand in the code as they are: no PIE, no library.
    pub is_fixed: bool,
    /// What %ebx holds in i386 code of no fixed address.
    got: Option<u64>,
    slots: HashMap<u64, Goes>,
    /// Pointers in data outside the tables, as the file or its relocations have them, by place.
    pub pointers: Vec<(u64, Goes)>,
    /// Places that hold an address of the vsyscall page, with the call's number.
    pub vsyscalls: HashMap<u64, u32>,
}

impl<'p, 'a> Places<'p, 'a> {
    /// Collects them. `imports` has the index of each dynamic symbol that is one.
    pub fn new(parts: &'p Parts<'a>, dynamic: &Dynamic<'a>, imports: &HashMap<u32, u32>) -> Places<'p, 'a> {
        let mut places = Places {
            parts,
            code: parts.code(),
            is_fixed: parts.r#type == elf::ET_EXEC,
            got: dynamic.got.filter(|_| parts.architecture == Architecture::I386),
            slots: HashMap::new(),
            pointers: Vec::new(),
            vsyscalls: HashMap::new(),
        };
        for relocation in &dynamic.relocations {
            if let Some(goes) = goes(relocation, &dynamic.symbols, imports) {
                if relocation.is_got {
                    places.slots.insert(relocation.place, goes);
                }
                // A linker makes some slots of the table itself: RELATIVE there.
                places.pointers.push((relocation.place, goes));
            }
        }
        places.pointers.retain(|&(place, goes)| match goes {
            Goes::Own(address) => range_of(&places.code, address).is_some() && !places.slots.contains_key(&place),
            Goes::Import(_) => !places.slots.contains_key(&place),
        });
        places.read_data();
        places.pointers.sort_unstable();
        places.pointers.dedup();
        places
    }

    /// Pointers as they stand in the data: to code where nothing is relocated, and to the vsyscall page.
    fn read_data(&mut self) {
        let word = self.parts.word();
        let bounds = self.code.first().zip(self.code.last());
        let Some((low, high)) = bounds.map(|(first, last)| (first.0, last.0 + last.1.len() as u64)) else {
            return;
        };
        let has_vsyscalls = self.parts.architecture == Architecture::X86_64;
        for (start, bytes) in self.parts.data() {
            let skip = usize::try_from(start.next_multiple_of(word as u64) - start).unwrap_or(0);
            for (index, chunk) in bytes.get(skip..).unwrap_or(&[]).chunks_exact(word).enumerate() {
                let place = start + (skip + index * word) as u64;
                let value = match <[u8; 8]>::try_from(chunk) {
                    Ok(eight) => u64::from_le_bytes(eight),
                    Err(_) => number_at(chunk, 0..word).unwrap_or(0),
                };
                if self.is_fixed && (low..high).contains(&value) {
                    if range_of(&self.code, value).is_some() && !self.slots.contains_key(&place) {
                        self.pointers.push((place, Goes::Own(value)));
                    }
                } else if has_vsyscalls && let Some(number) = vsyscall(value) {
                    self.vsyscalls.insert(place, number);
                }
            }
        }
    }

    /// Where the pointer at a place leads: a slot of the global offset table.
    pub fn slot(&self, place: u64) -> Option<Goes> {
        self.slots.get(&place).copied()
    }

    /// The same for any pointer in data.
    pub fn pointer(&self, place: u64) -> Option<Goes> {
        self.slot(place).or_else(|| {
            let index = self.pointers.binary_search_by_key(&place, |&(place, _)| place).ok()?;
            self.pointers.get(index).map(|&(_, goes)| goes)
        })
    }

    /// The address that a memory operand of i386 code means by its distance from the global offset table.
    pub fn by_got(&self, distance: u64) -> Option<u64> {
        Some(self.got?.wrapping_add(distance) & 0xffff_ffff)
    }

    /// The file's bytes of code from an address on.
    pub fn code_at(&self, address: u64) -> Option<&'a [u8]> {
        let &(start, bytes) = range_of(&self.code, address)?;
        bytes.get(usize::try_from(address - start).ok()?..)
    }

    /// Where a stub of the procedure linkage table leads: `[endbr] [bnd] jmp *SLOT`.
    pub fn stub(&self, address: u64) -> Option<Goes> {
        let whole = self.code_at(address)?;
        if !matches!(whole.first(), Some(0xff | 0xf2 | 0xf3)) {
            return None;
        }
        let mut bytes = whole;
        for prefix in [&b"\xf3\x0f\x1e\xfa"[..], b"\xf3\x0f\x1e\xfb", b"\xf2"] {
            bytes = bytes.strip_prefix(prefix).unwrap_or(bytes);
        }
        let operand = number_at(bytes, 2..6)?;
        let end = address.wrapping_add((whole.len() - bytes.len() + 6) as u64);
        let slot = match (bytes.get(..2)?, self.parts.is_64) {
            (b"\xff\x25", true) => end.wrapping_add(operand as i32 as u64),
            (b"\xff\x25", false) => operand,
            (b"\xff\xa3", false) => self.by_got(operand)?,
            _ => return None,
        };
        self.slot(slot)
    }
}

fn goes(relocation: &Relocation, symbols: &[Symbol<'_>], imports: &HashMap<u32, u32>) -> Option<Goes> {
    match relocation.target {
        Target::Own(address) => Some(Goes::Own(address)),
        Target::Symbol(index, addend) => {
            if let Some(&import) = imports.get(&index) {
                return Some(Goes::Import(import));
            }
            let symbol = symbols.get(usize::try_from(index).ok()?)?;
            symbol.is_defined.then(|| Goes::Own(symbol.value.wrapping_add_signed(addend)))
        }
    }
}
