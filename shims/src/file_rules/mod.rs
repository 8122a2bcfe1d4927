//! The file rules: paths under /proc and /sys whose file changed or went away, answered as old programs know it.
//!
//! The host is asked first, by the program's own call. So its word on a bad address stands, and what it has
//! looked at may be read without asking it again.

mod cgroup;
mod cgroup_io;
mod cgroup_lists;
mod cgroup_view;
mod diskstats;
mod exchanged;
pub mod folders;
mod machine;
mod path;
mod pieces;
mod release;
mod swallowed;
mod text_file;

use crate::logging;
use crate::memory;
use crate::start;
use crate::state;
use crate::sys::{self, Errno, Fd, Result, User};
use crate::text::Text;
use core::ffi::c_int;
use evercall_rules::packed::{FileAnswer, FileId, FileMaker, RuleId};
use folders::Slot;
use text_file::TextFile;

/// Bytes of the log's "what it became".
const BECAME: usize = 128;

/// A file system that every process sees, and that has no room.
const FULL: &[u8] = b"/proc";

/// The system calls that may be answered by a file of ours.
pub const NUMBERS: [i64; 14] = [
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_statfs,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
];

/// A path for which a rule acts.
struct Found {
    file: FileId,
    answer: FileAnswer,
    rule: RuleId,
    /// The host's answer is about another file.
    inside: bool,
    /// The path ends as a folder's does, and the file is none.
    slash: bool,
}

/// Whether no file rule acts on a call that succeeded: the quick side of every door of a path.
///
/// # Safety
/// As for [`find`].
#[inline(always)]
pub unsafe fn is_passed_over(path: usize) -> bool {
    // SAFETY: the caller's promise: the kernel has read it.
    unsafe { !path::may_match(path) }
}

/// Whether an errno says that a file is not there.
#[inline(always)]
pub fn is_missing(errno: i32) -> bool {
    matches!(errno, libc::ENOENT | libc::ENOTDIR)
}

/// The rule for a path that got this answer from the host, if one acts.
///
/// # Safety
/// `path` is a string that the kernel has just read for the same call, or would have: an answer of EFAULT and
/// the like is never looked at.
#[inline(never)]
unsafe fn find(folder: c_int, path: usize, answer: isize) -> Option<Found> {
    if answer < 0 && !is_missing(-answer as i32) {
        return None;
    }
    // SAFETY: the caller's promise: the kernel has walked it.
    let seen = unsafe { path::find(folder, path) }?;
    found(seen, answer < 0)
}

fn found(seen: path::Seen, missing: bool) -> Option<Found> {
    let path::Seen { file, inside, slash } = seen;
    let (rule, answer) = (file.rule()?, file.answer()?);
    if !start::ready() || state::handed_on(&state::SYMBOLS_HANDED_ON, rule.slot()) {
        return None;
    }
    let acts = match answer {
        FileAnswer::Trimmed | FileAnswer::Exchanged => !missing,
        // Missing by a way through a folder of ours: `memory/..`.
        FileAnswer::Mount => true,
        _ => missing || inside || state::acts(rule),
    };
    let of_cgroups = matches!(rule, RuleId::CgroupV1 | RuleId::CgroupControllers);
    (acts && (!of_cgroups || cgroup_view::is_wanted())).then_some(Found { file, answer, rule, inside, slash })
}

impl Found {
    /// The file as an old program knows it, open for reading with these flags.
    fn open(&self, flags: c_int) -> Result<Fd> {
        if self.slash {
            return Err(Errno(if self.is_there() { libc::ENOTDIR } else { libc::ENOENT }));
        }
        match self.answer {
            FileAnswer::Synthesised | FileAnswer::Trimmed => {
                let mut text = TextFile::new();
                make(self.file.maker(), &mut text)?;
                text_file::reopen(&text.finish()?, flags)
            }
            FileAnswer::Renamed | FileAnswer::Mount => {
                sys::open(self.stand_in().c_str(), flags & !(libc::O_CREAT | libc::O_EXCL), 0)
            }
            FileAnswer::Folder => folders::open(self.file, flags),
            FileAnswer::Swallowed => swallowed::open(self.file.to(), flags),
            // There is nothing to open without the host's file.
            FileAnswer::Exchanged | FileAnswer::Full => Err(Errno(libc::ENOENT)),
        }
    }

    /// The path of the file that answers for this one.
    fn stand_in(&self) -> Text<128> {
        let mut path = Text::new();
        path.push(match self.answer {
            FileAnswer::Mount => self.file.path(),
            FileAnswer::Full => FULL,
            FileAnswer::Swallowed => b"/proc/sys",
            _ => self.file.to(),
        });
        path
    }

    fn is_folder(&self) -> bool {
        matches!(self.answer, FileAnswer::Folder | FileAnswer::Mount)
    }

    /// Whether there is such a file, once made.
    fn is_there(&self) -> bool {
        match self.answer {
            FileAnswer::Synthesised | FileAnswer::Trimmed => can_be_made(self.file),
            FileAnswer::Exchanged => true,
            FileAnswer::Full => false,
            FileAnswer::Renamed | FileAnswer::Folder | FileAnswer::Mount | FileAnswer::Swallowed => {
                sys::exists(self.stand_in().c_str())
            }
        }
    }

    /// Logs what was done for a call.
    fn log(&self, path: usize, argument: usize, result: isize) {
        if !logging::is_on() {
            return;
        }
        let mut became = Text::<BECAME>::new();
        let verb: &[u8] = match self.answer {
            FileAnswer::Synthesised => b"made from what the host has",
            FileAnswer::Trimmed => b"brought to its old form",
            FileAnswer::Mount => b"tmpfs",
            FileAnswer::Renamed | FileAnswer::Folder => b"answered by ",
            FileAnswer::Exchanged => b"opened in another way",
            FileAnswer::Full => b"a file system without room",
            FileAnswer::Swallowed => b"what is written is dropped, and the old default read: ",
        };
        became.push(verb).push(self.file.to());
        logging::translated(self.rule, &[path, argument, 0, 0, 0, 0], became.bytes(), result);
    }
}

/// Whether the text of a file can be made.
fn can_be_made(file: FileId) -> bool {
    if file.answer() == Some(FileAnswer::Renamed) {
        let mut path = Text::<128>::new();
        path.push(file.to());
        return sys::exists(path.c_str());
    }
    make(file.maker(), &mut TextFile::nowhere()).is_ok()
}

macro_rules! make {
    ($($maker:ident => $file:ident :: $function:ident,)*) => {
        fn make(maker: FileMaker, text: &mut TextFile) -> Result<()> {
            match maker {
                $(FileMaker::$maker => {
                    #[inline(never)]
                    fn apart(text: &mut TextFile) -> Result<()> {
                        $file::$function(text)
                    }
                    apart(text)
                })*
                FileMaker::None => Err(Errno(libc::ENOENT)),
            }
        }
    };
}

evercall_rules::file_makers!(make);

/// The text of /proc/sys/kernel/osrelease, if that is the path and a release is configured.
pub fn release(path: &[u8]) -> Option<Fd> {
    if path != b"/proc/sys/kernel/osrelease" || crate::settings::get().uname().is_empty() {
        return None;
    }
    let mut text = TextFile::new();
    release::osrelease(&mut text).ok()?;
    text_file::reopen(&text.finish().ok()?, libc::O_RDONLY | libc::O_CLOEXEC).ok()
}

/// `open` and its kin, after the host answered: its answer, or the descriptor of another file.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn opened(folder: usize, path: usize, flags: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(folder as c_int, path, answer) } {
        Some(found) => open(&found, path, flags, answer),
        None => answer,
    }
}

#[cold]
#[inline(never)]
fn open(found: &Found, path: usize, flags: usize, answer: isize) -> isize {
    let wanted = flags as c_int;
    // O_PATH says where the file is, not what is in it.
    let untouched = found.answer == FileAnswer::Mount
        || (matches!(found.answer, FileAnswer::Trimmed | FileAnswer::Exchanged)
            && wanted & libc::O_PATH != 0);
    if answer >= 0 && untouched {
        return answer;
    }
    let source = (answer >= 0).then(|| Fd(answer as c_int));
    let made = match &source {
        Some(host) if found.answer == FileAnswer::Exchanged => {
            exchanged::instead(found.rule, host, wanted).ok_or(Errno(libc::ENOENT))
        }
        _ => found.open(wanted),
    };
    let result = match (made, source) {
        // The number that the program's own open would have got.
        (Ok(file), Some(source)) => {
            let place = source.into_raw();
            match sys::replace(place, &file, wanted & libc::O_CLOEXEC) {
                Ok(_) => place as isize,
                Err(_) => return place as isize,
            }
        }
        (Ok(file), None) => sys::given(file, wanted & libc::O_CLOEXEC == 0) as isize,
        // What cannot be made leaves the host's word.
        (Err(_), Some(source)) if !found.inside => return source.into_raw() as isize,
        (Err(error), source) => match error.0 {
            libc::ENOENT | libc::ENOSYS | libc::EPERM if source.is_none() => return answer,
            errno => -(errno as isize),
        },
    };
    found.log(path, flags, result);
    result
}

/// `stat` and its kin, after the host answered. `to`: a `struct stat` of the kernel.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn stated(folder: usize, path: usize, to: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(folder as c_int, path, answer) } {
        Some(found) if answer < 0 || found.inside => stat(&found, path, to, answer),
        _ => answer,
    }
}

#[cold]
#[inline(never)]
fn stat(found: &Found, path: usize, to: usize, answer: isize) -> isize {
    let result = match found.open(libc::O_RDONLY | libc::O_CLOEXEC) {
        Ok(file) => sys::stat_to(&file, User(to)),
        Err(Errno(libc::ENOTDIR)) => -(libc::ENOTDIR as isize),
        Err(_) => return answer,
    };
    found.log(path, 0, result);
    result
}

/// `statx`, after the host answered. `to`: a `struct statx`.
///
/// # Safety
/// The call was made with this path just now.
pub unsafe fn stated_more(folder: usize, path: usize, mask: usize, to: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    let Some(found) = (unsafe { find(folder as c_int, path, answer) }) else { return answer };
    if answer >= 0 && !found.inside {
        return answer;
    }
    let Ok(file) = found.open(libc::O_RDONLY | libc::O_CLOEXEC) else { return answer };
    let result = sys::statx_to(&file, mask, User(to));
    found.log(path, 0, result);
    result
}

/// `access` and its kin, after the host answered.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn accessed(folder: usize, path: usize, mode: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(folder as c_int, path, answer) } {
        Some(found) if answer < 0 || found.inside => access(&found, path, mode, answer),
        _ => answer,
    }
}

#[cold]
#[inline(never)]
fn access(found: &Found, path: usize, mode: usize, answer: isize) -> isize {
    if !found.is_there() {
        return if answer < 0 { answer } else { -(libc::ENOENT as isize) };
    }
    let result = match mode as c_int {
        _ if found.slash => -(libc::ENOTDIR as isize),
        mode if found.answer == FileAnswer::Swallowed => swallowed::access(mode),
        mode if mode & libc::W_OK != 0 => -(libc::EROFS as isize),
        mode if mode & libc::X_OK != 0 && !found.is_folder() => -(libc::EACCES as isize),
        _ => 0,
    };
    found.log(path, 0, result);
    result
}

/// `statfs` and its kin, after the host answered. `to`: a `struct statfs`, the same on this processor in its 64-bit
/// form.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn file_system(path: usize, to: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(libc::AT_FDCWD, path, answer) } {
        Some(found) => file_system_of(&found, path, User(to), answer),
        None => answer,
    }
}

#[cold]
#[inline(never)]
fn file_system_of(found: &Found, path: usize, to: User, answer: isize) -> isize {
    // include/uapi/linux/magic.h.
    const CGROUP: i64 = 0x27_e0eb;
    const TMPFS: i64 = 0x0102_1994;
    // The type is its first word (statfs(2)).
    let result = match found.answer {
        FileAnswer::Trimmed | FileAnswer::Exchanged => return answer,
        FileAnswer::Mount => {
            let answer = if answer < 0 { sys::statfs_to(found.stand_in().c_str(), to) } else { answer };
            if answer < 0 || !cgroup_view::is_v1() {
                return answer;
            }
            memory::put(to, TMPFS).map_or(answer, |()| 0)
        }
        FileAnswer::Full if answer >= 0 => return answer,
        FileAnswer::Full => match sys::statfs_to(found.stand_in().c_str(), to) {
            0 => memory::put(to, TMPFS).map_or(answer, |()| 0),
            error => error,
        },
        FileAnswer::Renamed | FileAnswer::Swallowed => sys::statfs_to(found.stand_in().c_str(), to),
        FileAnswer::Synthesised | FileAnswer::Folder => {
            if !found.is_there() {
                return answer;
            }
            match sys::statfs_to(c"/sys/fs/cgroup", to) {
                0 => memory::put(to, CGROUP).map_or(answer, |()| 0),
                error => error,
            }
        }
    };
    found.log(path, 0, result);
    result
}

/// `readlink` and its kin, after the host answered: no file of ours is a link.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn link_read(folder: usize, path: usize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(folder as c_int, path, answer) } {
        Some(found) if answer < 0 => read_link(&found, path, answer),
        _ => answer,
    }
}

#[cold]
#[inline(never)]
fn read_link(found: &Found, path: usize, answer: isize) -> isize {
    if !found.is_there() {
        return answer;
    }
    found.log(path, 0, -(libc::EINVAL as isize));
    -(libc::EINVAL as isize)
}

/// `getxattr`, `listxattr` and their kin, after the host answered: no file of ours has an attribute, and none can be
/// listed. `empty`: what the call says then.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn attribute(path: usize, empty: isize, answer: isize) -> isize {
    // SAFETY: the caller's promise.
    match unsafe { find(libc::AT_FDCWD, path, answer) } {
        Some(found) if answer < 0 && found.is_there() => {
            found.log(path, 0, empty);
            empty
        }
        _ => answer,
    }
}

/// For `statvfs`, which libc makes of statfs: the path that is to be asked instead, where the host has none.
///
/// # Safety
/// The call was made with this path just now.
pub unsafe fn another_path(path: usize, answer: isize) -> Option<Text<128>> {
    // SAFETY: the caller's promise.
    let found = unsafe { find(libc::AT_FDCWD, path, answer) }
        .filter(|found| answer < 0 && (found.is_there() || found.answer == FileAnswer::Full))?;
    let mut other = found.stand_in();
    if other.bytes().is_empty() {
        other.push(b"/sys/fs/cgroup");
    }
    found.log(path, 0, 0);
    Some(other)
}

/// `fopen` and its kin: the file that is to be read instead. `answer`: 0, or -errno.
///
/// # Safety
/// The call was made with this path just now.
#[inline(never)]
pub unsafe fn stream(path: usize, mode: usize, answer: isize) -> Option<Result<Fd>> {
    // SAFETY: the caller's promise.
    unsafe { find(libc::AT_FDCWD, path, answer) }.and_then(|found| open_stream(&found, path, mode))
}

/// For `freopen`, which ends the stream that it is given whatever comes: the file is looked for before the call.
/// `path` may be anything.
pub fn stream_before(path: User, mode: usize) -> Option<Fd> {
    if path.is_null() || memory::path_length(path).is_err() {
        return None;
    }
    // SAFETY: the kernel has just read it.
    let seen = unsafe { path::find(libc::AT_FDCWD, path.0) }?;
    let missing = sys::stat_user_in(libc::AT_FDCWD, path, 0).is_err_and(|error| is_missing(error.0));
    open_stream(&found(seen, missing)?, path.0, mode)?.ok()
}

/// The flags of fopen(3)'s mode, as far as they matter for a file that can only be read.
fn flags_of(mode: usize) -> c_int {
    let mut text = [0u8; 16];
    let mode = match memory::read_string(User(mode), &mut text) {
        Ok(Some(mode)) => mode,
        _ => b"r",
    };
    let write = if mode.contains(&b'+') { libc::O_RDWR } else { libc::O_WRONLY };
    let flags = match mode.first() {
        Some(b'w') => write | libc::O_CREAT | libc::O_TRUNC,
        Some(b'a') => write | libc::O_CREAT,
        _ if mode.contains(&b'+') => libc::O_RDWR,
        _ => libc::O_RDONLY,
    };
    flags | if mode.contains(&b'e') { libc::O_CLOEXEC } else { 0 }
}

/// What is to be read by a stream: None leaves the host's word, an error is the stream's.
#[cold]
#[inline(never)]
fn open_stream(found: &Found, path: usize, mode: usize) -> Option<Result<Fd>> {
    let flags = flags_of(mode);
    let made = match found.answer {
        // What fopen has opened is not known here: it is opened once more.
        FileAnswer::Exchanged => {
            let host = sys::open_user(User(path), flags).ok()?;
            Ok(exchanged::instead(found.rule, &host, flags)?)
        }
        _ => found.open(flags),
    };
    let result = match made {
        Ok(file) => Ok(Fd(sys::given(file, flags & libc::O_CLOEXEC == 0))),
        Err(error) => match error.0 {
            libc::EROFS | libc::EACCES | libc::EMFILE | libc::ENFILE
                if found.answer != FileAnswer::Trimmed =>
            {
                Err(error)
            }
            _ => return None,
        },
    };
    found.log(path, flags as usize, result.as_ref().map_or_else(|error| -(error.0 as isize), |_| 0));
    Some(result)
}

/// `opendir`, after the host answered ENOENT and the like: a stream of a folder of ours.
///
/// # Safety
/// The call was made with this path just now.
pub unsafe fn folder_stream(path: usize, answer: isize) -> Option<Result<&'static Slot>> {
    // SAFETY: the caller's promise.
    let found = unsafe { find(libc::AT_FDCWD, path, answer) }?;
    if found.answer != FileAnswer::Folder {
        // A file of ours is no folder.
        return found.is_there().then_some(Err(Errno(libc::ENOTDIR)));
    }
    let fd = found.open(libc::O_RDONLY | libc::O_CLOEXEC).ok()?;
    let fd = Fd(sys::given(fd, false));
    let slot = folders::stream(found.file, fd.0);
    if slot.is_ok() {
        fd.into_raw();
    }
    found.log(path, 0, slot.as_ref().map_or_else(|error| -(error.0 as isize), |_| 0));
    Some(slot)
}

/// `fdopendir`: a stream of a folder of ours, if the descriptor is one.
pub fn folder_stream_of(fd: c_int) -> Option<Result<&'static Slot>> {
    Some(folders::stream(folders::adopt(fd)?, fd))
}

/// The next entry of a stream of ours: its address and its bytes.
pub fn next_entry(slot: &Slot) -> Option<(usize, usize)> {
    slot.next(can_be_made)
}
