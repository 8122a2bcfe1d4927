//! Files that the host has, and that are opened in another way: the rpm database on an overlay, and a `/dev/random`
//! that blocks.

use crate::sys::{self, Fd, Result};
use evercall_rules::packed::RuleId;

/// OVERLAYFS_SUPER_MAGIC (linux/magic.h).
const OVERLAY: i64 = 0x794c_7630;

/// The file that is to be given instead of the one that the host opened with these flags; None: that one.
pub fn instead(rule: RuleId, host: &Fd, flags: i32) -> Option<Fd> {
    const NOT_TO_BE_READ: i32 = libc::O_ACCMODE | libc::O_PATH | libc::O_TRUNC;
    if flags & NOT_TO_BE_READ != libc::O_RDONLY {
        return None;
    }
    match rule {
        RuleId::RpmDatabase => copied_up(host, flags),
        RuleId::BlockingRandom => urandom(host, flags),
        _ => None,
    }
}

/// Opens the file to be written once, as `touch` and yum-plugin-ovl do: then the overlay copies it up now, and not
/// behind a map that was made before (Documentation/filesystems/overlayfs.rst, "Non-standard behavior").
fn copied_up(host: &Fd, flags: i32) -> Option<Fd> {
    let stat = sys::fstat(host.0).ok()?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || sys::fstatfs(host.0).ok()?.f_type != OVERLAY {
        return None;
    }
    let again = |flags| sys::open(sys::proc_path(host.0).c_str(), flags, 0);
    drop(again(libc::O_RDWR | libc::O_NOATIME).or_else(|_| again(libc::O_RDWR)).ok()?);
    again(flags & !(libc::O_NOFOLLOW | libc::O_CREAT | libc::O_EXCL)).ok()
}

/// /dev/urandom, where /dev/random has the pool that runs empty, as before 5.6: read_wakeup_threshold was its, and
/// went with it. Only once the generator is ready: until then both must wait (random(4)).
fn urandom(host: &Fd, flags: i32) -> Option<Fd> {
    let is_device =
        |file: &Fd, minor| sys::fstat(file.0).is_ok_and(|stat| stat.st_rdev == libc::makedev(1, minor));
    sys::open(c"/proc/sys/kernel/random/read_wakeup_threshold", libc::O_PATH, 0).ok()?;
    if !is_device(host, 8) || !sys::random_is_ready() {
        return None;
    }
    open_urandom(flags).ok().filter(|file| is_device(file, 9))
}

fn open_urandom(flags: i32) -> Result<Fd> {
    sys::open(c"/dev/urandom", flags & !(libc::O_CREAT | libc::O_EXCL), 0)
}
