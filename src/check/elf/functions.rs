//! A file's functions: those that symbols and unwind tables name, and those that others lead to.

use super::facts::Depth;
use super::parts::range_of;
use super::places::{Goes, Places};
use super::sweep::{Start, Swept, sweep};
use std::collections::HashSet;

/// Rounds of finding functions by what those of the round before lead to. Real chains through code without symbols are
/// short; a longer one would be made to take time.
const MOST_ROUNDS: usize = 200;

/// Code beyond this is searched for sites alone.
const MOST_CODE: usize = 512 << 20;

/// Bytes that are decoded to see whether they look like code: against data that is made to look like many pointers.
const MOST_GUESSED: u64 = 64 << 20;

/// The functions of a file, by address.
pub struct Functions<'a> {
    /// They do not overlap.
    pub list: Vec<Swept<'a>>,
    /// How far they were followed.
    pub depth: Depth,
    /// Where none is known, but code may be.
    pub gaps: Vec<(u64, u64)>,
    /// By each 128 bytes from the first function on, the index of the first function that begins there or behind.
    coarse: Vec<u32>,
}

/// Bytes that an entry of `coarse` stands for, as a power of two.
const COARSE: u32 = 7;

impl<'a> Functions<'a> {
    /// Finds and decodes them. `entries` are starts that the file's headers name.
    pub fn find(places: &Places<'_, 'a>, mut known: Vec<Start<'a>>, entries: &[u64]) -> Functions<'a> {
        let code: usize = places.code.iter().map(|(_, bytes)| bytes.len()).sum();
        if code == 0 {
            return Functions { list: Vec::new(), depth: Depth::None, gaps: Vec::new(), coarse: Vec::new() };
        }
        known.retain(|start| range_of(&places.code, start.at).is_some() && !is_stubs(places, start.at));
        // Of those at one address the one with a name and a size.
        known.sort_by_key(|start| (start.at, start.name.is_none(), std::cmp::Reverse(start.size)));
        let sizes: Vec<u64> = known.chunk_by(|a, b| a.at == b.at).map(|same| same.iter().map(|start| start.size).max().unwrap_or(0)).collect();
        known.dedup_by_key(|start| start.at);
        let mut list = Vec::with_capacity(known.len());
        let is_large = code > MOST_CODE;
        for (index, (start, &size)) in known.iter().zip(&sizes).enumerate() {
            let end = places.code_at(start.at).map_or(0, |bytes| start.at + bytes.len() as u64);
            let end = known.get(index + 1).map_or(end, |next| end.min(next.at));
            let limit = if size == 0 { end } else { end.min(start.at.saturating_add(size)) };
            if is_large && !has_calls(places, start.at, limit) {
                continue;
            }
            let mut swept = sweep(places, start.at, limit, size == 0);
            swept.name = start.name;
            list.push(swept);
        }
        let covered: u64 = list.iter().map(|function| function.end - function.start).sum();
        let mut functions = Functions { list, depth: Depth::Functions, gaps: Vec::new(), coarse: Vec::new() };
        if is_large {
            functions.depth = Depth::Sites;
            return functions;
        }
        functions.index();
        functions.follow(places, entries);
        if covered < code as u64 / 2 {
            functions.depth = Depth::Guessed;
            functions.gaps = functions.between(places);
        }
        functions
    }

    /// Makes `coarse` anew.
    fn index(&mut self) {
        /// For a file whose code is far apart there is none.
        const LONGEST: u64 = 1 << 23;
        self.coarse.clear();
        let Some((first, last)) = self.list.first().zip(self.list.last()) else { return };
        let count = ((last.start - first.start) >> COARSE) + 2;
        if count > LONGEST {
            return;
        }
        let mut next = 0;
        for bucket in 0..count {
            let from = first.start + (bucket << COARSE);
            while self.list.get(next).is_some_and(|function| function.start < from) {
                next += 1;
            }
            self.coarse.push(next as u32);
        }
    }

    /// How many functions begin at an address or before.
    fn before(&self, address: u64) -> usize {
        let Some(first) = self.list.first() else { return 0 };
        let bucket = usize::try_from(address.saturating_sub(first.start) >> COARSE).unwrap_or(usize::MAX);
        let bounds = self.coarse.get(bucket).zip(bucket.checked_add(1).and_then(|next| self.coarse.get(next)));
        if let Some((&from, &to)) = bounds
            && let Some(some) = self.list.get(from as usize..to as usize)
        {
            return from as usize + some.partition_point(|function| function.start <= address);
        }
        self.list.partition_point(|function| function.start <= address)
    }

    /// The index of the function that an address lies in.
    pub fn at(&self, address: u64) -> Option<usize> {
        let index = self.before(address).checked_sub(1)?;
        (address < self.list.get(index)?.end).then_some(index)
    }

    /// The index of the function that begins at an address.
    pub fn starting(&self, address: u64) -> Option<usize> {
        let index = self.before(address).checked_sub(1)?;
        (self.list.get(index)?.start == address).then_some(index)
    }

    /// Adds the functions in between that the known ones lead to, and those lead to, until there are no more. What only
    /// data points to must look like code.
    fn follow(&mut self, places: &Places<'_, 'a>, entries: &[u64]) {
        let mut tried: HashSet<u64> = HashSet::new();
        let mut guesses = MOST_GUESSED;
        let mut wanted: Vec<(u64, bool)> = entries.iter().map(|&entry| (entry, true)).collect();
        wanted.extend(places.pointers.iter().filter_map(|&(_, goes)| match goes {
            Goes::Own(address) => Some((address, false)),
            Goes::Import(_) => None,
        }));
        wanted.extend(self.list.iter().flat_map(leads_to).filter(|&(address, _)| self.at(address).is_none()));
        for _ in 0..MOST_ROUNDS {
            // Calls before pointers: a pointer into the middle of what is called is none of a function.
            wanted.sort_unstable_by_key(|&(address, is_called)| (!is_called, address));
            let mut new: Vec<Swept<'a>> = Vec::new();
            let mut new_starts: Vec<u64> = Vec::new();
            for &(address, is_called) in &wanted {
                if self.at(address).is_some() || range_of(&places.code, address).is_none() || !tried.insert(address) {
                    continue;
                }
                if is_called || looks_like_code(places, address, &mut guesses) {
                    new_starts.push(address);
                }
            }
            new_starts.sort_unstable();
            for (index, &start) in new_starts.iter().enumerate() {
                let next = self.list.partition_point(|function| function.start <= start);
                let limit = self.list.get(next).map_or(u64::MAX, |function| function.start);
                let limit = new_starts.get(index + 1).map_or(limit, |&next| limit.min(next));
                new.push(sweep(places, start, limit, true));
            }
            if new.is_empty() {
                return;
            }
            wanted = new.iter().flat_map(leads_to).collect();
            self.list.append(&mut new);
            self.list.sort_by_key(|function| function.start);
            self.index();
        }
    }

    /// The code between the functions.
    fn between(&self, places: &Places<'_, 'a>) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        for &(start, bytes) in &places.code {
            let end = start + bytes.len() as u64;
            let mut at = start;
            let first = self.list.partition_point(|function| function.end <= start);
            for function in self.list.iter().skip(first).take_while(|function| function.start < end) {
                if at < function.start {
                    gaps.push((at, function.start));
                }
                at = at.max(function.end);
            }
            if at < end {
                gaps.push((at, end));
            }
        }
        gaps
    }
}

/// What a function leads to, and whether by calling it.
fn leads_to<'s>(function: &'s Swept<'_>) -> impl Iterator<Item = (u64, bool)> + 's {
    let calls = function.calls.iter().map(|&address| (address, true));
    calls.chain(function.takes.iter().map(|&address| (address, false)))
}

/// The linkage table has an unwind entry of its own, as if it were one function.
fn is_stubs(places: &Places<'_, '_>, address: u64) -> bool {
    let is_section = places.parts.sections.iter().any(|section| {
        section.name.starts_with(b".plt") && (section.address..section.address.saturating_add(section.size)).contains(&address)
    });
    // Without sections: its second stub.
    is_section || places.stub(address).is_some() || places.stub(address.wrapping_add(16)).is_some()
}

/// Whether every byte up to an end is an instruction, and there is one.
fn looks_like_code(places: &Places<'_, '_>, address: u64, guesses: &mut u64) -> bool {
    /// Where compilers let functions begin, behind a padding or an end: `ret`, `nop`, `int3`, zeros.
    const BEFORE: [u8; 4] = [0xc3, 0x90, 0xcc, 0];
    /// A function without an end within so many bytes is rather data.
    const LONGEST: u64 = 1 << 16;
    let is_start = address % 16 == 0
        || places.code_at(address.wrapping_sub(1)).and_then(|bytes| bytes.first()).is_none_or(|byte| BEFORE.contains(byte));
    is_start && *guesses > 0 && {
        let swept = sweep(places, address, address.saturating_add(LONGEST), true);
        *guesses = guesses.saturating_sub(swept.end - address);
        !swept.is_damaged && swept.end > address && swept.end - address < LONGEST
    }
}

/// Whether there may be an instruction that calls the kernel: its bytes are there.
pub fn has_calls(places: &Places<'_, '_>, start: u64, end: u64) -> bool {
    let Some(bytes) = places.code_at(start) else { return false };
    let size = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get(..size).unwrap_or(&[]);
    [&b"\x0f\x05"[..], b"\xcd\x80", b"\x0f\x34", b"\x65\xff\x15\x10\0\0\0"]
        .iter()
        .any(|opcode| memchr::memmem::find(bytes, opcode).is_some())
}
