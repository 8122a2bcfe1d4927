//! Shared memory and named semaphores where there is no /dev/shm (AWS Lambda, iSH, PRoot): in a folder of this user's
//! own under /tmp. What is shared is shared by the processes of one user that see one /tmp, and by nobody else.

use crate::late::Late;
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};
use crate::text::Text;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Bytes of a file's name that glibc has room for, with a NUL: "sem." and NAME_MAX. The kernel refuses the longest.
const FILE: usize = 4 + 255 + 1;

/// Bytes of a `sem_t`: in glibc, musl and uClibc of 64-bit machines.
const SEMAPHORE: usize = 32;

/// Largest value of a semaphore (SEM_VALUE_MAX).
const MOST: u32 = i32::MAX as u32;

/// Whether the place is missing where every libc for Linux puts them.
pub fn is_missing() -> bool {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    matches!(sys::open(c"/dev/shm", flags, 0), Err(Errno(libc::ENOENT | libc::ENOTDIR)))
}

/// The folder: made if it is not there, and only taken if it is this user's own and nobody else may look into it.
/// EACCES.
fn folder() -> Result<Fd> {
    let user = sys::effective_user();
    let mut path = Text::<64>::new();
    path.push(b"/tmp/evercall-shm-").decimal(u64::from(user));
    sys::call_path(libc::SYS_mkdir, path.c_str(), [0o700, 0, 0, 0, 0]);
    let folder = sys::open(path.c_str(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
    let stat = sys::fstat(folder.0)?;
    if stat.st_uid == user && stat.st_mode & 0o077 == 0 { Ok(folder) } else { Err(Errno(libc::EACCES)) }
}

/// The file of a name: EINVAL where it is empty, too long, or has a slash behind the first ones (shm_open(3);
/// posix/shm-directory.c of glibc 2.36).
fn file_of(prefix: &[u8], name: User) -> Result<Text<FILE>> {
    let mut buffer = [0u8; 2 * FILE];
    let given = memory::read_string(name, &mut buffer)?.ok_or(Errno(libc::EINVAL))?;
    let start = given.iter().position(|&b| b != b'/').unwrap_or(given.len());
    let name = given.get(start..).unwrap_or(&[]);
    let mut file = Text::new();
    file.push(prefix).push(name);
    if !name.is_empty() && !name.contains(&b'/') && !file.is_cut() {
        Ok(file)
    } else {
        Err(Errno(libc::EINVAL))
    }
}

/// shm_open(3).
pub fn open(name: User, flags: i32, mode: u32) -> Result<i32> {
    let mut file = file_of(b"", name)?;
    let flags = flags | libc::O_NOFOLLOW;
    let folder = folder()?;
    let fd = sys::open_mode_in(folder.0, file.c_str(), flags, mode)?;
    drop(folder);
    Ok(sys::at_lowest(fd.into_raw() as isize) as i32)
}

/// shm_unlink(3), and sem_unlink(3) with its prefix: a bad name is nobody's.
pub fn unlink(prefix: &[u8], name: User) -> Result<usize> {
    let mut file = file_of(prefix, name).map_err(|_| Errno(libc::ENOENT))?;
    sys::check(sys::call_path_in(libc::SYS_unlinkat, folder()?.0, file.c_str(), [0; 4]))
}

/// sem_open(3): the address of a mapped semaphore. `init` is libc's sem_init(3) for a shared one with this value.
pub fn open_semaphore(
    name: User,
    flags: i32,
    mode: u32,
    value: u32,
    init: impl Fn(usize, u32) -> Result<()>,
) -> Result<usize> {
    const TRIES: usize = 100;
    let mut file = file_of(b"sem.", name)?;
    let folder = folder()?;
    if flags & libc::O_CREAT != 0 && value > MOST {
        return Err(Errno(libc::EINVAL));
    }
    for _ in 0..TRIES {
        let excludes = flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL;
        if !excludes {
            match sys::open_mode_in(folder.0, file.c_str(), libc::O_RDWR | libc::O_NOFOLLOW, 0) {
                Ok(fd) => return map(&fd),
                Err(Errno(libc::ENOENT)) if flags & libc::O_CREAT != 0 => {}
                Err(error) => return Err(error),
            }
        }
        match create(&folder, &mut file, mode, value, &init) {
            // Somebody else was quicker.
            Err(Errno(libc::EEXIST)) if !excludes => {}
            result => return result,
        }
    }
    Err(Errno(libc::EAGAIN))
}

/// A new semaphore, which has its name only once it has its value. EEXIST.
fn create(
    folder: &Fd,
    file: &mut Text<FILE>,
    mode: u32,
    value: u32,
    init: impl Fn(usize, u32) -> Result<()>,
) -> Result<usize> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut fresh = Text::<64>::new();
    fresh.push(b".fresh-").signed(i64::from(sys::getpid())).push(b"-");
    fresh.decimal(u64::from(COUNT.fetch_add(1, Relaxed)));
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let fd = sys::open_mode_in(folder.0, fresh.c_str(), flags, mode)?;
    let made = sys::check(sys::call(libc::SYS_ftruncate, [fd.0 as usize, SEMAPHORE, 0, 0, 0, 0]))
        .and_then(|_| map(&fd))
        .and_then(|address| {
            let linked =
                init(address, value).and_then(|()| sys::link_in(folder, fresh.c_str(), file.c_str()));
            if linked.is_err() {
                close_semaphore(address);
            }
            linked.map(|_| address)
        });
    sys::call_path_in(libc::SYS_unlinkat, folder.0, fresh.c_str(), [0; 4]);
    made
}

/// Addresses of semaphores that were opened here, for sem_close(3). One that finds no place stays mapped.
static OPEN: Late<[AtomicUsize; 1024]> = Late::new();

fn map(fd: &Fd) -> Result<usize> {
    // Shorter, a look at it would raise SIGBUS.
    if sys::fstat(fd.0)?.st_size < SEMAPHORE as i64 {
        return Err(Errno(libc::EINVAL));
    }
    let address = sys::map_file_shared(fd.0, SEMAPHORE)?;
    let free = |place: &&AtomicUsize| place.compare_exchange(0, address, Relaxed, Relaxed).is_ok();
    let _ = OPEN.make().and_then(|table| table.iter().find(free));
    Ok(address)
}

/// sem_close(3) of one that was opened here; false for any other.
pub fn close_semaphore(address: usize) -> bool {
    let ours = |place: &&AtomicUsize| place.compare_exchange(address, 0, Relaxed, Relaxed).is_ok();
    let found = address != 0 && OPEN.get().is_some_and(|table| table.iter().any(|place| ours(&place)));
    if found {
        sys::unmap(address, SEMAPHORE);
    }
    found
}
