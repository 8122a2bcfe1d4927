//! Folders that only hold files of ours: a descriptor of one, and what opendir(3) gives for one.
//!
//! The descriptor is of a folder that the host has (the row's `to`), so that it is a folder for fstat(2) and the kernel.
//! Which of ours is meant is kept where dup(2), fork(2) and an exec keep it too: in the signal number of fcntl(2)
//! F_SETSIG, which is of no use unless O_ASYNC is set.

use crate::late::{Late, Zeroed};
use crate::sys::{self, Errno, Fd, Result};
use crate::text::Text;
use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::mem::offset_of;
use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use evercall_rules::packed::{FileAnswer, FileId};

/// The signal number of the first folder: real-time signals, which nobody sends for a folder.
const FIRST_MARK: c_int = 34;

/// fcntl(2), include/uapi/asm-generic/fcntl.h.
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;

/// Whether this process has opened one: until then no descriptor need be looked at.
static OPENED: AtomicBool = AtomicBool::new(false);

fn all() -> impl Iterator<Item = FileId> {
    FileId::all().filter(|file| file.answer() == Some(FileAnswer::Folder))
}

/// Opens a folder for reading. Errors: those of open(2).
pub fn open(folder: FileId, flags: c_int) -> Result<Fd> {
    let mut path = Text::<128>::new();
    path.push(folder.to());
    // An O_PATH descriptor keeps no mark.
    let flags = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_PATH);
    let fd = sys::open(path.c_str(), flags | libc::O_DIRECTORY, 0)?;
    let place = all().position(|file| file == folder).ok_or(Errno(libc::ENOENT))?;
    sys::fcntl(fd.0, F_SETSIG, FIRST_MARK + place as c_int)?;
    OPENED.store(true, Relaxed);
    Ok(fd)
}

/// The folder of ours that a descriptor is marked as. The caller looks whether the descriptor is of the row's `to`.
pub fn of_descriptor(fd: c_int) -> Option<FileId> {
    let mark = sys::fcntl(fd, F_GETSIG, 0).ok()?;
    all().nth(mark.checked_sub(FIRST_MARK as usize)?)
}

/// Most folders that are open by opendir(3) at a time: as many as a page holds.
const SLOTS: usize = 13;

/// `struct dirent` of glibc, musl and uClibc, which is the kernel's linux_dirent64.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    number: u64,
    offset: i64,
    length: u16,
    kind: u8,
    name: [u8; 256],
}

/// What stands for a `DIR`.
pub struct Slot {
    used: AtomicBool,
    fd: AtomicI32,
    folder: AtomicUsize,
    at: AtomicUsize,
    entry: UnsafeCell<Entry>,
}

// SAFETY: a slot is one thread's at a time, as readdir(3) demands of a DIR; the rest is atomic.
unsafe impl Sync for Slot {}

/// The slots, in a page that is made when the first is needed.
static OPEN: Late<[Slot; SLOTS]> = Late::new();

// SAFETY: integers and bytes.
unsafe impl Zeroed for Slot {}

/// A stream of a folder of ours, whose descriptor is then the stream's. EMFILE where too many are open, and ENOMEM.
pub fn stream(folder: FileId, fd: c_int) -> Result<&'static Slot> {
    for slot in OPEN.make().ok_or(Errno(libc::ENOMEM))? {
        if slot.used.compare_exchange(false, true, Acquire, Relaxed).is_ok() {
            slot.fd.store(fd, Relaxed);
            slot.folder.store(folder.index(), Relaxed);
            slot.at.store(0, Relaxed);
            return Ok(slot);
        }
    }
    Err(Errno(libc::EMFILE))
}

/// For a descriptor that fdopendir(3) is to make a stream of: the folder of ours that it is.
pub fn adopt(fd: c_int) -> Option<FileId> {
    if !OPENED.load(Relaxed) {
        return None;
    }
    let folder = of_descriptor(fd)?;
    let mut link = [0u8; 128];
    let length = sys::read_link_at(sys::proc_path(fd).c_str(), &mut link).ok()?;
    (link.get(..length) == Some(folder.to())).then_some(folder)
}

/// The slot at the address that a program holds for a `DIR`; None if it is libc's.
#[inline(always)]
pub fn slot(stream: usize) -> Option<&'static Slot> {
    let slots = OPEN.get()?;
    let offset = stream.wrapping_sub(slots.as_ptr() as usize);
    slots.get(offset / size_of::<Slot>())
}

impl Slot {
    /// The address that stands for a `DIR`.
    pub fn address(&'static self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// Its descriptor.
    pub fn fd(&self) -> c_int {
        self.fd.load(Relaxed)
    }

    /// The next entry's address, and its bytes; None at the end. `is_there`: whether a file's text can be made.
    pub fn next(&self, is_there: impl Fn(FileId) -> bool) -> Option<(usize, usize)> {
        let folder = FileId::all().nth(self.folder.load(Relaxed))?;
        loop {
            // The first two are the folder and its parent.
            let at = self.at.fetch_add(1, Relaxed);
            let (kind, name): (u8, &[u8]) = match at {
                0 => (libc::DT_DIR, b"."),
                1 => (libc::DT_DIR, b".."),
                _ => match FileId::all().nth(at - 2) {
                    None => {
                        self.at.store(at, Relaxed);
                        return None;
                    }
                    Some(file) => match name_in(folder, file).filter(|_| is_there(file)) {
                        None => continue,
                        Some(name) => (libc::DT_REG, name),
                    },
                },
            };
            let length = (offset_of!(Entry, name) + name.len() + 1).next_multiple_of(8);
            let mut entry = Entry {
                number: 0x1_0000 + at as u64,
                offset: at as i64 + 1,
                length: length as u16,
                kind,
                name: [0; 256],
            };
            for (to, &from) in entry.name.iter_mut().zip(name.iter().take(255)) {
                *to = from;
            }
            // SAFETY: as for Sync: nobody else reads this stream now.
            unsafe { self.entry.get().write(entry) };
            return Some((self.entry.get() as usize, length));
        }
    }

    /// The bytes of the entry that was given last.
    pub fn entry(&self, length: usize) -> &[u8] {
        let length = length.min(size_of::<Entry>());
        // SAFETY: as for Sync; an entry is plain bytes, all of them written.
        unsafe { core::slice::from_raw_parts(self.entry.get().cast::<u8>(), length) }
    }

    /// Where it stands: for telldir(3).
    pub fn place(&self) -> usize {
        self.at.load(Relaxed)
    }

    /// Goes to a place that `place` gave, or to 0.
    pub fn go_to(&self, place: usize) {
        self.at.store(place, Relaxed);
    }

    /// Ends it, with its descriptor. EBADF where it was ended before.
    pub fn close(&self) -> Result<()> {
        if !self.used.load(Acquire) {
            return Err(Errno(libc::EBADF));
        }
        drop(Fd(self.fd.swap(-1, Relaxed)));
        self.used.store(false, Release);
        Ok(())
    }
}

/// The name of a file that lies in a folder of ours.
fn name_in(folder: FileId, file: FileId) -> Option<&'static [u8]> {
    let name = file.path().strip_prefix(folder.path())?.strip_prefix(b"/")?;
    (!name.contains(&b'/')).then_some(name)
}
