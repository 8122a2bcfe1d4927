//! A loaded ELF image, read in place: its dynamic section, and a symbol looked up in its hash tables.
//!
//! Hash tables differ between libcs and linkers, so nothing in them is trusted: every table must lie near
//! its dynamic section, nothing is read behind its end (the next table's start; the last one has no next), an
//! empty or damaged bucket means "not here".

/// Dynamic tags (elf(5)).
const DT_HASH: usize = 4;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_STRSZ: usize = 10;
const DT_DEBUG: usize = 21;
const DT_GNU_HASH: usize = 0x6fff_fef5;
const DT_VERSYM: usize = 0x6fff_fff0;

/// Most entries of a dynamic section, of a hash chain: more is damage.
const DYNAMIC_ENTRIES: usize = 256;
const CHAIN: usize = 1 << 16;

/// The furthest a table lies from the dynamic section of the same image, bytes.
const NEAR: usize = 1 << 31;

/// The 24 bytes of an Elf64_Sym.
#[repr(C)]
#[derive(Clone, Copy)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: usize,
}

const STT_GNU_IFUNC: u8 = 10;
const STB_LOCAL: u8 = 0;
const STV_HIDDEN: u8 = 2;
const STV_INTERNAL: u8 = 1;

/// A loaded image.
pub struct Image {
    base: usize,
    dynamic: usize,
    strings: usize,
    string_bytes: usize,
    symbols: usize,
    versions: usize,
    hash: usize,
    gnu_hash: usize,
}

/// Reads a value of the image.
///
/// # Safety
/// `address` lies in an image that the loader keeps mapped and readable.
unsafe fn read<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's promise; unaligned, since damaged tables need not be aligned.
    unsafe { (address as *const T).read_unaligned() }
}

/// The value of a tag in a dynamic section.
///
/// # Safety
/// `dynamic` is the address of a mapped dynamic section.
unsafe fn tag(dynamic: usize, wanted: usize) -> Option<usize> {
    for index in 0..DYNAMIC_ENTRIES {
        // SAFETY: the section ends with a zero tag, where the loop ends.
        let (tag, value) = unsafe { read::<(usize, usize)>(dynamic + index * 16) };
        if tag == 0 {
            return None;
        }
        if tag == wanted {
            return Some(value);
        }
    }
    None
}

/// The `struct r_debug` that the dynamic loader left in an executable's dynamic section.
///
/// # Safety
/// `dynamic` is the address of a mapped dynamic section.
pub unsafe fn debug_address(dynamic: usize) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe { tag(dynamic, DT_DEBUG) }.filter(|&address| address != 0)
}

impl Image {
    /// An image by its load address and dynamic section. None if it has no symbols to look up.
    ///
    /// glibc and uClibc relocate the addresses in the section, musl does not, and glibc leaves read-only
    /// sections alone: an address below the load address was not relocated. A load address in the upper
    /// half is the negative shift of a prelinked image. Whichever reading lies near the dynamic section wins.
    ///
    /// # Safety
    /// `dynamic` is the address of a mapped dynamic section, `base` the load address the loader tells.
    pub unsafe fn new(base: usize, dynamic: usize) -> Option<Image> {
        let address = |wanted| {
            // SAFETY: the caller's promise.
            let value = unsafe { tag(dynamic, wanted) }?;
            let is_near = |address: &usize| address.abs_diff(dynamic) < NEAR;
            let shifted_down = base > usize::MAX / 2;
            let relocated = Some(value).filter(|&value| value >= base || shifted_down).filter(is_near);
            relocated.or(Some(base.wrapping_add(value)).filter(is_near))
        };
        let image = Image {
            base,
            dynamic,
            strings: address(DT_STRTAB)?,
            // SAFETY: the caller's promise.
            string_bytes: unsafe { tag(dynamic, DT_STRSZ) }.unwrap_or(NEAR).min(NEAR),
            symbols: address(DT_SYMTAB)?,
            versions: address(DT_VERSYM).unwrap_or(0),
            hash: address(DT_HASH).unwrap_or(0),
            gnu_hash: address(DT_GNU_HASH).unwrap_or(0),
        };
        Some(image)
    }

    /// Where a table ends at the latest: at the next one above it, since tables do not overlap. Every
    /// linker's layout has one above; damage behind the last table of a rewritten file would not be seen.
    fn end(&self, table: usize) -> usize {
        [self.strings, self.symbols, self.versions, self.hash, self.gnu_hash, self.dynamic]
            .into_iter()
            .filter(|&other| other > table)
            .min()
            .unwrap_or(table + NEAR)
    }

    /// The address of a symbol's definition; an indirect function is resolved. Where a symbol has many
    /// versions the default one is meant, else the first found.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let mut hidden = None;
        let mut visit = |index: usize| {
            let symbol = self.definition(index, name)?;
            if !self.is_hidden(index) {
                return Some(symbol);
            }
            hidden = hidden.or(Some(symbol));
            None
        };
        let found = if self.gnu_hash != 0 {
            self.walk_gnu_hash(name, &mut visit)
        } else if self.hash != 0 {
            self.walk_hash(name, &mut visit)
        } else {
            None
        };
        let symbol = found.or(hidden)?;
        let address = self.base.wrapping_add(symbol.value);
        if symbol.info & 15 == STT_GNU_IFUNC {
            // SAFETY: an x86-64 resolver takes nothing and gives the function (gABI, STT_GNU_IFUNC).
            let resolver: extern "C" fn() -> usize = unsafe { core::mem::transmute(address) };
            return Some(resolver()).filter(|&address| address != 0);
        }
        Some(address)
    }

    /// Whether a symbol is not the default version of its name: bit 15 of its version index.
    fn is_hidden(&self, index: usize) -> bool {
        if self.versions == 0 {
            return false;
        }
        // SAFETY: the version table has an entry for every symbol.
        let version: u16 = unsafe { read(self.versions + index * 2) };
        version & 0x8000 != 0
    }

    /// The symbol at an index, if it defines this name for others.
    fn definition(&self, index: usize, name: &[u8]) -> Option<Symbol> {
        let at = self.symbols + index * size_of::<Symbol>();
        if at + size_of::<Symbol>() > self.end(self.symbols) {
            return None;
        }
        // SAFETY: within the symbol table, as just checked.
        let symbol: Symbol = unsafe { read(at) };
        let visibility = symbol.other & 3;
        let defined = symbol.section != 0
            && symbol.value != 0
            && symbol.info >> 4 != STB_LOCAL
            && visibility != STV_HIDDEN
            && visibility != STV_INTERNAL;
        (defined && self.is_named(symbol.name as usize, name)).then_some(symbol)
    }

    fn is_named(&self, offset: usize, name: &[u8]) -> bool {
        let bytes = self.string_bytes.min(self.end(self.strings) - self.strings);
        if offset + name.len() >= bytes {
            return false;
        }
        let at = self.strings + offset;
        // SAFETY: within the string table, as just checked.
        let same = |(index, &byte): (usize, &u8)| unsafe { read::<u8>(at + index) } == byte;
        // SAFETY: as above; the name's end counts.
        name.iter().enumerate().all(same) && unsafe { read::<u8>(at + name.len()) } == 0
    }

    fn walk_hash(&self, name: &[u8], visit: &mut impl FnMut(usize) -> Option<Symbol>) -> Option<Symbol> {
        let mut hash = 0u32;
        for &byte in name {
            hash = (hash << 4).wrapping_add(u32::from(byte));
            hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fff_ffff;
        }
        // SAFETY: the table's two counts, its buckets and its chain follow each other (gABI, Hash Table);
        // every index is checked against its count.
        unsafe {
            let (buckets, chains) = read::<(u32, u32)>(self.hash);
            let bucket = |index: u32| self.hash + 8 + index as usize * 4;
            let chain = |index: u32| bucket(buckets) + index as usize * 4;
            if chain(chains) > self.end(self.hash) {
                return None;
            }
            let mut index: u32 = read(bucket(hash.checked_rem(buckets)?));
            for _ in 0..CHAIN {
                if index == 0 || index >= chains {
                    return None;
                }
                if let Some(symbol) = visit(index as usize) {
                    return Some(symbol);
                }
                index = read(chain(index));
            }
        }
        None
    }

    fn walk_gnu_hash(&self, name: &[u8], visit: &mut impl FnMut(usize) -> Option<Symbol>) -> Option<Symbol> {
        let mut hash = 5381u32;
        for &byte in name {
            hash = hash.wrapping_mul(33).wrapping_add(u32::from(byte));
        }
        // SAFETY: header, bloom filter, buckets and chain follow each other; a bucket below the first
        // hashed symbol is empty or damaged, and a chain ends at the first odd value.
        unsafe {
            let [buckets, first, bloom_words, _shift] = read::<[u32; 4]>(self.gnu_hash);
            let bucket_table = self.gnu_hash + 16 + bloom_words as usize * 8;
            let chain_table = bucket_table + buckets as usize * 4;
            let end = self.end(self.gnu_hash);
            if chain_table > end {
                return None;
            }
            let mut index: u32 = read(bucket_table + hash.checked_rem(buckets)? as usize * 4);
            if index == 0 || index < first {
                return None;
            }
            for _ in 0..CHAIN {
                let at = chain_table + (index - first) as usize * 4;
                if at + 4 > end {
                    return None;
                }
                let value: u32 = read(at);
                if value | 1 == hash | 1 {
                    if let Some(symbol) = visit(index as usize) {
                        return Some(symbol);
                    }
                }
                if value & 1 == 1 {
                    return None;
                }
                index = index.checked_add(1)?;
            }
        }
        None
    }
}
