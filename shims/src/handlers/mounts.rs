//! Mounted file systems: `ustat(2)`, by a mount of the device and fstatfs(2).

use crate::dispatch::Call;
use crate::files::{self, Lines};
use crate::memory;
use crate::sys::{self, Errno, Fd, Result};
use crate::text::{Text, fields, parse_decimal};

/// Longest mount point that is looked at, bytes.
const MOUNT_POINT: usize = 768;

/// `struct ustat` of x86-64 (linux/types.h): 32 bytes, the two names always empty.
const USTAT_WORDS: usize = 4;

/// `ustat`: free blocks and inodes of a device's file system (fs/statfs.c). EINVAL, EFAULT.
pub fn ustat(call: &mut Call<'_>) -> isize {
    let device = call.arg(0) as u32;
    let mut mount_point = Text::<MOUNT_POINT>::new();
    let mount = find_mount(device, &mut mount_point);
    call.became(|text| {
        text.push(b"fstatfs of ").push(mount_point.bytes());
    });
    sys::result(mount.and_then(|mount| {
        let statfs = sys::fstatfs(mount.0)?;
        // f_tfree is an int in the first half of the first word.
        let ustat: [usize; USTAT_WORDS] = [statfs.f_bfree as u32 as usize, statfs.f_ffree as usize, 0, 0];
        memory::put(call.user(1), ustat).map(|()| 0)
    }))
}

/// Opens a mount of a device. EINVAL where it has none that can be reached.
fn find_mount(device: u32, mount_point: &mut Text<MOUNT_POINT>) -> Result<Fd> {
    // new_decode_dev (include/linux/kdev_t.h).
    let major = u64::from(device >> 8 & 0xfff);
    let minor = u64::from(device & 0xff | device >> 12 & 0xf_ff00);
    // The root first: in a chroot, mountinfo does not show the mount it lies on.
    if let Ok(root) = sys::open(c"/", libc::O_PATH, 0) {
        if sys::fstat(root.0).is_ok_and(|stat| stat.st_dev == u64::from(device)) {
            mount_point.push(b"/");
            return Ok(root);
        }
    }
    let mut mounts = Lines::open(c"/proc/self/mountinfo").map_err(|_| Errno(libc::ENOSYS))?;
    while let Some(line) = mounts.next()? {
        // `36 35 98:0 /root /mount/point ...` (proc_pid_mountinfo(5)).
        let mut fields = fields(line);
        let id = fields.next().and_then(parse_decimal);
        let found = fields.nth(1).and_then(device_number);
        let (Some((id, _)), true, Some(path)) = (id, found == Some((major, minor)), fields.nth(1)) else {
            continue;
        };
        mount_point.truncate(0);
        unescape(path, mount_point);
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let Ok(mount) = sys::open(mount_point.c_str(), flags, 0) else { continue };
        if is_mount(&mount, device, id) {
            return Ok(mount);
        }
    }
    mount_point.truncate(0);
    Err(Errno(libc::EINVAL))
}

/// `8:1`.
fn device_number(text: &[u8]) -> Option<(u64, u64)> {
    let (major, rest) = parse_decimal(text)?;
    let (minor, _) = parse_decimal(rest.strip_prefix(b":")?)?;
    Some((major, minor))
}

/// mountinfo writes blank, tab, newline and backslash as a backslash and three octal digits.
fn unescape(text: &[u8], to: &mut Text<MOUNT_POINT>) {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if let (b'\\', Some(&[a, b, c])) = (byte, tail.first_chunk()) {
            let digit = |d: u8| d.wrapping_sub(b'0');
            to.push_byte((digit(a) << 6) | (digit(b) << 3) | digit(c));
            rest = tail.get(3..).unwrap_or(&[]);
        } else {
            to.push_byte(byte);
            rest = tail;
        }
    }
}

/// Whether the opened path is this mount, and not one mounted over it: by its device, or, where a file
/// system gives its files other device numbers (btrfs), by the mount id.
fn is_mount(fd: &Fd, device: u32, id: u64) -> bool {
    if sys::fstat(fd.0).is_ok_and(|stat| stat.st_dev == u64::from(device)) {
        return true;
    }
    files::mount_id(fd) == Ok(id)
}
