//! The next definition of a symbol, as ld.so would find it after us: found by walking the link map
//! ourselves, since dlsym may not be called in a door (it allocates, locks, and may not be there).

use crate::arch;
use crate::elf::{self, Image};
use crate::start::{LOADER_BASE, PROGRAM_HEADER_COUNT, PROGRAM_HEADERS, VDSO};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use once_cell::race::OnceNonZeroUsize;

/// A libc function by its six argument registers.
pub type Function = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize) -> isize;

/// Most objects in a link map: more is a loop.
const OBJECTS: usize = 4096;

/// `NONE` in a `Next`: looked up, and nobody else defines it. The assembly of `syscall` knows it.
const NONE: NonZeroUsize = NonZeroUsize::MIN;

/// The next definition of one symbol, found once. One machine word: 0 unknown, 1 none, else the address.
#[repr(transparent)]
pub struct Next(OnceNonZeroUsize);

impl Next {
    /// Not looked up yet.
    pub const fn unknown() -> Next {
        Next(OnceNonZeroUsize::new())
    }

    /// The definition, if it was found before.
    #[inline(always)]
    pub fn known(&self) -> Option<Function> {
        self.0.get().and_then(function)
    }

    /// The definition, looked up if need be. None: nobody else defines the symbol.
    #[cold]
    pub fn find(&self, name: &[u8]) -> Option<Function> {
        // A constructor of another library may call before ours has run, which tells where the objects are.
        crate::start::ready();
        self.find_by(|| find(name))
    }

    /// The definition, looked up by a way of its own if need be.
    #[cold]
    pub fn find_by(&self, look_up: impl FnOnce() -> Option<usize>) -> Option<Function> {
        function(self.0.get_or_init(|| look_up().and_then(NonZeroUsize::new).unwrap_or(NONE)))
    }
}

#[inline(always)]
fn function(address: NonZeroUsize) -> Option<Function> {
    if address == NONE {
        return None;
    }
    // SAFETY: the address of a function symbol that the dynamic linker would have bound instead of ours.
    Some(unsafe { core::mem::transmute::<usize, Function>(address.get()) })
}

/// The start of `struct link_map` (link.h), the same in glibc, musl and uClibc.
#[repr(C)]
#[derive(Clone, Copy)]
struct LinkMap {
    base: usize,
    name: usize,
    dynamic: usize,
    next: usize,
    previous: usize,
}

/// uClibc's `struct elf_resolve` begins likewise, so one shape serves all.
fn link_map(at: usize) -> Option<LinkMap> {
    if at == 0 {
        return None;
    }
    // SAFETY: an entry of the loader's list; entries of objects loaded at start live as long as we do.
    Some(unsafe { (at as *const LinkMap).read() })
}

/// Looks a symbol up in the objects behind ours.
pub fn find(name: &[u8]) -> Option<usize> {
    objects_behind_us().find_map(|image| image.find(name))
}

/// A definition by another preload: the next one, unless it is the libc's own.
pub fn find_preload(name: &[u8]) -> Option<usize> {
    let (image, found) =
        objects_behind_us().find_map(|image| image.find(name).map(|found| (image, found)))?;
    let is_libc = [&b"__libc_start_main"[..], b"__uClibc_main"].iter().any(|main| image.find(main).is_some());
    (!is_libc).then_some(found)
}

/// Whether the loaded libc can call the vsyscall page: glibc before 2.15, by what that version brought, and
/// uClibc. musl never does.
pub fn libc_calls_vsyscalls() -> bool {
    let defined = |name: &[u8]| objects_behind_us().any(|image| image.find(name).is_some());
    !defined(b"process_vm_readv") && (defined(b"gnu_get_libc_version") || is_uclibc())
}

/// Whether the libc is uClibc.
pub fn is_uclibc() -> bool {
    objects_behind_us().any(|image| image.find(b"__uClibc_main").is_some())
}

/// The last entry of the loader's list at the start. What is loaded later may be gone again when a caller
/// of ours comes, and ld.so would not bind to it.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Remembers the loader's list as it is at the start.
pub fn at_start() {
    let mut last = 0;
    let mut at = first_object().unwrap_or(0);
    for _ in 0..OBJECTS {
        let Some(object) = link_map(at) else { break };
        last = at;
        at = object.next;
    }
    LAST.store(last, Relaxed);
}

/// The images behind ours in the loader's list, in its order, as far as it went at the start.
fn objects_behind_us() -> impl Iterator<Item = Image> {
    let (own_dynamic, _) = arch::own_image();
    let mut at = first_object().unwrap_or(0);
    let mut behind_us = false;
    let mut left = OBJECTS;
    core::iter::from_fn(move || {
        while left > 0 {
            left -= 1;
            let object = link_map(at)?;
            at = if at == LAST.load(Relaxed) { 0 } else { object.next };
            if object.dynamic == own_dynamic {
                behind_us = true;
                continue;
            }
            if !behind_us || object.dynamic == 0 || is_vdso(&object) {
                continue;
            }
            // SAFETY: what the loader's list says of an object it has loaded.
            if let Some(image) = unsafe { Image::new(object.base, object.dynamic) } {
                return Some(image);
            }
        }
        None
    })
}

/// The vDSO stands in the list of glibc, but ld.so never binds to it: its functions keep the kernel's
/// convention.
fn is_vdso(object: &LinkMap) -> bool {
    image_at(VDSO.get()).is_some_and(|(_, dynamic)| dynamic == object.dynamic)
}

/// The first entry of the loader's list, by the DT_DEBUG of the executable, or by the loader's own symbol
/// where the executable has none (a program run as an argument of musl's ld.so).
fn first_object() -> Option<usize> {
    let debug = executable_dynamic()
        // SAFETY: the dynamic section of the running executable.
        .and_then(|dynamic| unsafe { elf::debug_address(dynamic) })
        .or_else(loader_debug)?;
    // SAFETY: `struct r_debug`: a version (with padding), then the list.
    let first = unsafe { ((debug + 8) as *const usize).read() };
    (first != 0).then_some(first)
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_PHDR: u32 = 6;

/// The 56 bytes of an Elf64_Phdr.
#[repr(C)]
#[derive(Clone, Copy)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_size: usize,
    memory_size: usize,
    align: usize,
}

/// The load address and the dynamic section of an image by its program headers. The load address is what its own
/// addresses are shifted by, told by PT_PHDR, or by the segment that holds the ELF header, whose first page also
/// holds the program headers.
fn image_of(headers: usize, count: usize) -> Option<(usize, usize)> {
    let page = |address: usize| address & !0xfff;
    let (mut base, mut dynamic) = (None, None);
    for index in 0..count.min(128) {
        let at = headers + index * size_of::<ProgramHeader>();
        // SAFETY: the kernel (AT_PHDR) or an ELF header told where they are and how many.
        let header = unsafe { (at as *const ProgramHeader).read_unaligned() };
        match header.kind {
            PT_PHDR => base = Some(headers.wrapping_sub(header.address)),
            PT_LOAD if header.offset == 0 && base.is_none() => {
                base = Some(page(headers).wrapping_sub(page(header.address)));
            }
            PT_DYNAMIC => dynamic = Some(header.address),
            _ => {}
        }
    }
    let base = base?;
    Some((base, base.wrapping_add(dynamic?)))
}

/// The load address and the dynamic section of an image by its ELF header; 0 is no image. The two addresses
/// differ in a vDSO that is linked for a fixed one: Linux before 3.16 and gVisor.
pub fn image_at(header: usize) -> Option<(usize, usize)> {
    if header == 0 {
        return None;
    }
    // SAFETY: the kernel mapped the loader and the vDSO whole: e_phoff at 32, e_phnum at 56 (elf(5)).
    let (magic, offset, count) = unsafe {
        let at = header as *const u8;
        (at.cast::<u32>().read(), at.add(32).cast::<usize>().read(), at.add(56).cast::<u16>().read())
    };
    if magic != u32::from_ne_bytes(*b"\x7fELF") || offset > 0xfff {
        return None;
    }
    image_of(header + offset, usize::from(count))
}

fn executable_dynamic() -> Option<usize> {
    let headers = PROGRAM_HEADERS.get();
    if headers == 0 {
        return None;
    }
    image_of(headers, PROGRAM_HEADER_COUNT.get()).map(|(_, dynamic)| dynamic)
}

/// The loader's `_r_debug` (glibc) or `*_dl_debug_addr` (musl, uClibc).
fn loader_debug() -> Option<usize> {
    // A loader that was run as a program is not in AT_BASE: AT_PHDR is its own.
    let base = match LOADER_BASE.get() {
        0 => PROGRAM_HEADERS.get() & !0xfff,
        base => base,
    };
    let (base, dynamic) = image_at(base)?;
    // SAFETY: the loader's own image, mapped for as long as the process lives.
    let image = unsafe { Image::new(base, dynamic) }?;
    if let Some(debug) = image.find(b"_r_debug") {
        return Some(debug);
    }
    let pointer = image.find(b"_dl_debug_addr")?;
    // SAFETY: a `struct r_debug *` of the loader.
    Some(unsafe { (pointer as *const usize).read() }).filter(|&debug| debug != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as the kernel maps a vDSO: the ELF header and two program headers.
    #[repr(C, align(4096))]
    struct Page([u8; 4096]);

    fn image(linked_for: usize) -> Page {
        let mut page = Page([0; 4096]);
        page.0[..4].copy_from_slice(b"\x7fELF");
        page.0[32] = 64;
        page.0[56] = 2;
        for (at, kind, offset) in [(64, PT_LOAD, 0), (120, PT_DYNAMIC, 0x448)] {
            page.0[at..at + 4].copy_from_slice(&kind.to_ne_bytes());
            page.0[at + 8..at + 16].copy_from_slice(&usize::to_ne_bytes(offset));
            page.0[at + 16..at + 24].copy_from_slice(&(linked_for + offset).to_ne_bytes());
        }
        page
    }

    /// Linked for 0 as by Linux, and for VDSO_PRELINK as by Linux before 3.16 and gVisor.
    #[test]
    fn a_vdso_may_be_linked_for_a_fixed_address() {
        for linked_for in [0, 0xffff_ffff_ff70_0000] {
            let page = image(linked_for);
            let header = page.0.as_ptr() as usize;
            let expected = (header.wrapping_sub(linked_for), header + 0x448);
            assert_eq!(image_at(header), Some(expected), "{linked_for:#x}");
        }
        assert_eq!(image_at(0), None);
        assert_eq!(image_at([0u8; 64].as_ptr() as usize), None);
    }
}
