//! A path walked a component at a time, as the kernel does for the RESOLVE_ flags of openat2(2)
//! (fs/namei.c). Each step is an openat(2) with O_PATH | O_NOFOLLOW, so a link that appears in between is
//! never followed unseen. `..` under RESOLVE_BENEATH and RESOLVE_IN_ROOT never asks a folder for its parent: the
//! way is walked again from the start without its last part, and EAGAIN if it has changed meanwhile.

use super::descriptor_paths::{failed, is_link};
use crate::files::{mount_id, read_start};
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};
use crate::text::{Text, trim};

const PATH_MAX: usize = libc::PATH_MAX as usize;

/// The most links on a way (MAXSYMLINKS).
const LINKS: usize = 40;

/// Room for the path and the text of that many links, each with a slash or NUL behind.
const ROOM: usize = (LINKS + 1) * (PATH_MAX + 1);

/// The RESOLVE_ flags.
#[derive(Clone, Copy)]
pub struct Resolve(pub u64);

impl Resolve {
    const NO_XDEV: u64 = 1;
    const NO_MAGICLINKS: u64 = 2;
    const NO_SYMLINKS: u64 = 4;
    const BENEATH: u64 = 8;
    const IN_ROOT: u64 = 0x10;
    /// Those that never leave the folder.
    pub const SCOPED: u64 = Self::BENEATH | Self::IN_ROOT;
    /// All that are walked here.
    pub const ALL: u64 = 0x1f;

    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }
}

/// Opens a path: a descriptor or -errno.
pub fn open(folder: i32, path: User, flags: i32, mode: u32, resolve: Resolve) -> isize {
    let opened = sys::with_pages(2 * ROOM + PATH_MAX, |pages| {
        let Some((todo, done)) = pages.split_at_mut_checked(ROOM) else { return failed(libc::ENOMEM) };
        match Walk::start(folder, path, resolve, todo, done) {
            Ok(walk) => walk.finish(flags, mode).unwrap_or_else(|error| sys::result(Err(error))),
            Err(error) => sys::result(Err(error)),
        }
    });
    opened.unwrap_or(failed(libc::ENOMEM))
}

struct Walk<'a> {
    resolve: Resolve,
    /// Where a scoped walk began.
    root: Option<Fd>,
    current: Fd,
    /// nd_jump_root of 6.18 gives EXDEV under RESOLVE_NO_XDEV for a link to an absolute path unless the root is known:
    /// by an absolute path, or a `..` on the way.
    root_known: bool,
    /// Mount of the start, which RESOLVE_NO_XDEV does not leave.
    mount: u64,
    /// What is left of the path: from `at` to the last byte, which is NUL.
    todo: &'a mut [u8],
    at: usize,
    /// The way from the root of a scoped walk, `a/b/`; behind it is room for the text of a link.
    done: &'a mut [u8],
    done_length: usize,
    links: usize,
}

/// One component.
struct Part {
    name: Text<264>,
    /// Where it ends in `todo`.
    end: usize,
    /// Where the next one begins.
    next: usize,
    is_last: bool,
    /// A slash follows.
    slash: bool,
}

impl<'a> Walk<'a> {
    /// path_init.
    fn start(
        folder: i32,
        path: User,
        resolve: Resolve,
        todo: &'a mut [u8],
        done: &'a mut [u8],
    ) -> Result<Walk<'a>> {
        let text = memory::read_string(path, done.get_mut(..PATH_MAX).unwrap_or(&mut []))?;
        let text = text.ok_or(Errno(libc::ENAMETOOLONG))?;
        let absolute = match text.first() {
            None => return Err(Errno(libc::ENOENT)),
            Some(first) => *first == b'/',
        };
        let length = text.len();
        if absolute && resolve.has(Resolve::BENEATH) {
            return Err(Errno(libc::EXDEV));
        }
        let from_root = absolute && !resolve.has(Resolve::IN_ROOT);
        let current = if from_root { root()? } else { start_folder(folder)? };
        let mount = if resolve.has(Resolve::NO_XDEV) { mount_id(&current)? } else { 0 };
        let root = if resolve.has(Resolve::SCOPED) { Some(duplicate(current.0)?) } else { None };
        let at = todo.len().saturating_sub(1);
        let root_known = from_root || root.is_some();
        let mut walk =
            Walk { resolve, root, current, root_known, mount, todo, at, done, done_length: 0, links: 0 };
        walk.prepend(walk.at, length)?;
        Ok(walk)
    }

    /// link_path_walk and what follows it for open.
    fn finish(mut self, flags: i32, mode: u32) -> Result<isize> {
        let creates = flags & libc::O_CREAT != 0;
        let exclusive = creates && flags & libc::O_EXCL != 0;
        loop {
            let Some(mut part) = self.part()? else { return Ok(self.open_current(flags, mode)) };
            match part.name.bytes() {
                b"." => self.current = self.here()?,
                b".." => self.up()?,
                _ if part.is_last && part.slash && creates => {
                    // The right to search comes first.
                    self.here()?;
                    return Err(Errno(libc::EISDIR));
                }
                _ if part.is_last && !part.slash && (flags & libc::O_NOFOLLOW != 0 || exclusive) => {
                    if self.resolve.has(Resolve::NO_XDEV) {
                        match sys::open_in(self.current.0, part.name.c_str(), libc::O_PATH | libc::O_NOFOLLOW)
                        {
                            Ok(there) => self.check_mount(&there)?,
                            Err(Errno(libc::ENOENT)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    return Ok(self.open_name(&mut part, flags, mode));
                }
                _ => {
                    let found = self.look(&mut part);
                    if creates && part.is_last && matches!(found, Err(Errno(libc::ENOENT))) {
                        return Ok(self.open_name(&mut part, flags | libc::O_NOFOLLOW, mode));
                    }
                    let (object, stat) = found?;
                    if is_link(stat.st_mode) {
                        if let Some(answer) = self.follow(&object, &stat, &mut part, flags, mode)? {
                            return Ok(answer);
                        }
                        continue;
                    }
                    self.check_mount(&object)?;
                    let is_folder = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
                    if part.is_last && (is_folder || !part.slash) {
                        return Ok(self.open_object(&object, &mut part, flags, mode));
                    }
                    if !is_folder {
                        return Err(Errno(libc::ENOTDIR));
                    }
                    self.current = object;
                    self.remember(part.name.bytes())?;
                }
            }
            self.at = part.next;
        }
    }

    /// The next component; None at the end.
    fn part(&mut self) -> Result<Option<Part>> {
        while self.byte(self.at) == b'/' {
            self.at += 1;
        }
        let rest = self.todo.get(self.at..).unwrap_or(&[]);
        let length = rest.iter().position(|&b| b == b'/' || b == 0).unwrap_or(0);
        if length == 0 {
            return Ok(None);
        }
        let mut name = Text::new();
        name.push(rest.get(..length).unwrap_or(&[]));
        if length > 255 {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        let end = self.at + length;
        let mut next = end;
        while self.byte(next) == b'/' {
            next += 1;
        }
        Ok(Some(Part { name, end, next, is_last: self.byte(next) == 0, slash: next > end }))
    }

    fn byte(&self, at: usize) -> u8 {
        self.todo.get(at).copied().unwrap_or(0)
    }

    /// Puts the first bytes of the free part of `done` in front of what stands at `before`.
    fn prepend(&mut self, before: usize, length: usize) -> Result<()> {
        let at = before.checked_sub(length).ok_or(Errno(libc::ENAMETOOLONG))?;
        let from = self.done.get(self.done_length..).unwrap_or(&[]);
        let to = self.todo.get_mut(at..before).unwrap_or(&mut []);
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        self.at = at;
        Ok(())
    }

    /// Adds a folder to the way from the root.
    fn remember(&mut self, name: &[u8]) -> Result<()> {
        if self.root.is_none() {
            return Ok(());
        }
        let room = self.done.get_mut(self.done_length..).unwrap_or(&mut []);
        if room.len() <= name.len() + PATH_MAX {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        for (to, from) in room.iter_mut().zip(name.iter().chain(b"/")) {
            *to = *from;
        }
        self.done_length += name.len() + 1;
        Ok(())
    }

    /// A step to `.`, for which the kernel wants the right to search as for any name.
    fn here(&self) -> Result<Fd> {
        sys::open_in(self.current.0, c".", FOLDER)
    }

    /// handle_dots for `..`.
    fn up(&mut self) -> Result<()> {
        let here = self.here()?;
        let Some(root) = &self.root else {
            let parent = sys::open_in(here.0, c"..", FOLDER)?;
            self.check_mount(&parent)?;
            self.current = parent;
            self.root_known = true;
            return Ok(());
        };
        let way = self.done.get(..self.done_length.saturating_sub(1)).unwrap_or(&[]);
        if way.is_empty() {
            // At the root of the walk, `..` stays there, or is an escape.
            return if self.resolve.has(Resolve::BENEATH) { Err(Errno(libc::EXDEV)) } else { Ok(()) };
        }
        let length = way.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        let mut folder = duplicate(root.0)?;
        for name in way.get(..length).unwrap_or(&[]).split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            let mut text = Text::<264>::new();
            text.push(name);
            folder = match sys::open_in(folder.0, text.c_str(), FOLDER | libc::O_NOFOLLOW) {
                Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => return Err(Errno(libc::EAGAIN)),
                other => other?,
            };
        }
        self.check_mount(&folder)?;
        self.current = folder;
        self.done_length = length;
        Ok(())
    }

    /// Looks a component up, links unfollowed. As a folder first, which sets automounts off.
    fn look(&self, part: &mut Part) -> Result<(Fd, libc::stat)> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let object = match sys::open_in(self.current.0, part.name.c_str(), flags | libc::O_DIRECTORY) {
            Err(Errno(libc::ENOTDIR | libc::ELOOP)) => {
                sys::open_in(self.current.0, part.name.c_str(), flags)?
            }
            other => other?,
        };
        let stat = sys::fstat(object.0)?;
        Ok((object, stat))
    }

    fn check_mount(&self, object: &Fd) -> Result<()> {
        if self.resolve.has(Resolve::NO_XDEV) && mount_id(object)? != self.mount {
            return Err(Errno(libc::EXDEV));
        }
        Ok(())
    }

    /// pick_link: puts the link's text in front of the rest. Gives the answer if a magic link is what is
    /// to be opened.
    fn follow(
        &mut self,
        link: &Fd,
        stat: &libc::stat,
        part: &mut Part,
        flags: i32,
        mode: u32,
    ) -> Result<Option<isize>> {
        const ST_NOSYMFOLLOW: i64 = 0x2000;
        self.links += 1;
        if self.links > LINKS {
            return Err(Errno(libc::ELOOP));
        }
        if part.is_last && !self.may_follow(stat)? {
            return Err(Errno(libc::EACCES));
        }
        let statfs = sys::fstatfs(link.0)?;
        if self.resolve.has(Resolve::NO_SYMLINKS) || statfs.f_flags & ST_NOSYMFOLLOW != 0 {
            return Err(Errno(libc::ELOOP));
        }
        let room = self.done.get_mut(self.done_length..).unwrap_or(&mut []);
        let room = room.get_mut(..PATH_MAX).unwrap_or(&mut []);
        let length = sys::read_link(link.0, room)?;
        let text = room.get(..length).unwrap_or(&[]);
        if is_magic(statfs.f_type, stat, text) {
            return self.follow_magic(part, flags, mode);
        }
        if text.first() == Some(&b'/') {
            if self.resolve.has(Resolve::BENEATH) {
                return Err(Errno(libc::EXDEV));
            }
            if self.resolve.has(Resolve::NO_XDEV) && !self.root_known {
                return Err(Errno(libc::EXDEV));
            }
            let target = match &self.root {
                Some(root) => duplicate(root.0)?,
                None => root()?,
            };
            self.check_mount(&target)?;
            self.prepend(part.end, length)?;
            self.done_length = 0;
            self.current = target;
        } else {
            self.prepend(part.end, length)?;
        }
        Ok(None)
    }

    /// nd_jump_link: a link of /proc that leads to an object and not to a path.
    fn follow_magic(&mut self, part: &mut Part, flags: i32, mode: u32) -> Result<Option<isize>> {
        if self.resolve.has(Resolve::NO_MAGICLINKS) {
            return Err(Errno(libc::ELOOP));
        }
        if self.resolve.has(Resolve::SCOPED) {
            return Err(Errno(libc::EXDEV));
        }
        let target = sys::open_in(self.current.0, part.name.c_str(), libc::O_PATH)?;
        self.check_mount(&target)?;
        if part.is_last && !part.slash {
            return Ok(Some(self.open_object(&target, part, flags, mode)));
        }
        if sys::fstat(target.0)?.st_mode & libc::S_IFMT != libc::S_IFDIR {
            return Err(Errno(libc::ENOTDIR));
        }
        self.current = target;
        self.at = part.next;
        Ok(None)
    }

    /// may_follow_link: fs.protected_symlinks (proc_sys_fs(5)) holds for a walk of ours too.
    fn may_follow(&self, link: &libc::stat) -> Result<bool> {
        const STICKY_FOR_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;
        let folder = sys::fstat(self.current.0)?;
        if link.st_uid == sys::call(libc::SYS_geteuid, [0; 6]) as u32
            || folder.st_mode & STICKY_FOR_ALL != STICKY_FOR_ALL
            || folder.st_uid == link.st_uid
        {
            return Ok(true);
        }
        let mut setting = [0u8; 8];
        Ok(read_start(c"/proc/sys/fs/protected_symlinks", &mut setting).is_ok_and(|text| trim(text) == b"0"))
    }

    /// Opens the folder the walk stands in.
    fn open_current(&self, flags: i32, mode: u32) -> isize {
        sys::call_path_in(libc::SYS_openat, self.current.0, c".", [flags as usize, mode as usize, 0, 0])
    }

    /// Opens a name in the folder the walk stands in.
    fn open_name(&self, part: &mut Part, flags: i32, mode: u32) -> isize {
        let rest = [flags as usize, mode as usize, 0, 0];
        sys::call_path_in(libc::SYS_openat, self.current.0, part.name.c_str(), rest)
    }

    /// Opens an object that was found to be no link: itself, by /proc; or, where it is to be created if it has
    /// gone, by its name, with O_NOFOLLOW. EAGAIN if it has become a link.
    fn open_object(&self, object: &Fd, part: &mut Part, flags: i32, mode: u32) -> isize {
        if flags & (libc::O_CREAT | libc::O_NOFOLLOW) == 0 {
            let rest = [flags as usize, mode as usize, 0, 0];
            let mut path = sys::proc_path(object.0);
            let opened = sys::call_path_in(libc::SYS_openat, libc::AT_FDCWD, path.c_str(), rest);
            if opened != failed(libc::ENOENT) {
                return opened;
            }
        }
        match self.open_name(part, flags | libc::O_NOFOLLOW, mode) {
            error if error == failed(libc::ELOOP) => failed(libc::EAGAIN),
            other => other,
        }
    }
}

const FOLDER: i32 = libc::O_PATH | libc::O_DIRECTORY;

/// Where a walk of a relative path starts.
fn start_folder(folder: i32) -> Result<Fd> {
    if folder == libc::AT_FDCWD {
        return sys::open_in(folder, c".", FOLDER);
    }
    let start = duplicate(folder)?;
    if sys::fstat(start.0)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
        Ok(start)
    } else {
        Err(Errno(libc::ENOTDIR))
    }
}

fn duplicate(fd: i32) -> Result<Fd> {
    sys::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0).map(|fd| Fd(fd as i32))
}

fn root() -> Result<Fd> {
    sys::open(c"/", FOLDER, 0)
}

/// Whether a link leads to an object and not along its text. In /proc, plain links have the length of their text as
/// size and all rights, or are `self` and `thread-self`, whose text begins with a number.
fn is_magic(file_system: i64, stat: &libc::stat, text: &[u8]) -> bool {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    const AAFS_MAGIC: i64 = 0x5a3c_69f0;
    const SECURITYFS_MAGIC: i64 = 0x7363_6673;
    match file_system {
        PROC_SUPER_MAGIC => {
            let sized = stat.st_mode & 0o777 == 0o777 && stat.st_size as usize == text.len();
            !sized && !text.first().is_some_and(u8::is_ascii_digit)
        }
        AAFS_MAGIC | SECURITYFS_MAGIC => true,
        _ => false,
    }
}
