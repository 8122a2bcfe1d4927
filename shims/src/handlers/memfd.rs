//! `memfd_create(2)`: a file without a name, in a file system in memory where there is one.

use super::descriptor_paths::failed;
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno};

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_HUGETLB: u32 = 4;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 0x10;
const MFD_HUGE_SIZES: u32 = 0x3f << 26;

/// The longest name: NAME_MAX without `memfd:` (mm/memfd.c).
const LONGEST_NAME: usize = 249;

/// `memfd_create` by an unnamed file (O_TMPFILE, 3.11) in /dev/shm, else /tmp. EINVAL (flags, then name),
/// EFAULT, EMFILE, ENFILE, ENOMEM; ENOSYS for a file that can be sealed or has huge pages, and where neither
/// folder takes unnamed files. In /dev/shm F_GET_SEALS answers F_SEAL_SEAL, as for a memfd without seals.
pub fn memfd_create(call: &mut Call<'_>) -> isize {
    let flags = call.arg(1) as u32;
    call.became(|text| {
        text.push(b"open(O_TMPFILE) in /dev/shm or /tmp");
    });
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC;
    let sizes = if flags & MFD_HUGETLB != 0 { MFD_HUGE_SIZES } else { 0 };
    let both = MFD_EXEC | MFD_NOEXEC_SEAL;
    if flags & !(known | sizes) != 0 || flags & both == both {
        return failed(libc::EINVAL);
    }
    let mut name = [0u8; LONGEST_NAME + 1];
    match memory::read_string(call.user(0), &mut name) {
        Ok(Some(_)) => {}
        Ok(None) => return failed(libc::EINVAL),
        Err(error) => return sys::result(Err(error)),
    }
    if flags & (MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL) != 0 {
        return failed(libc::ENOSYS);
    }
    for folder in [c"/dev/shm", c"/tmp"] {
        let file = match sys::open(folder, libc::O_TMPFILE | libc::O_RDWR | libc::O_EXCL, 0o700) {
            Ok(file) => file,
            Err(error @ Errno(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return sys::result(Err(error)),
            Err(_) => continue,
        };
        // The umask does not count for a memfd.
        sys::call(libc::SYS_fchmod, [file.0 as usize, 0o777, 0, 0, 0, 0]);
        let close = if flags & MFD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
        // Opened once more, so that its flags do not show O_TMPFILE.
        let flags = (libc::O_RDWR | close) as usize;
        let again = sys::call_path_in(
            libc::SYS_openat,
            libc::AT_FDCWD,
            sys::proc_path(file.0).c_str(),
            [flags, 0, 0, 0],
        );
        if again != failed(libc::ENOENT) {
            drop(file);
            return sys::at_lowest(again);
        }
        // No /proc: the first one serves, though F_GETFL shows O_TMPFILE.
        if close == 0 {
            sys::call(libc::SYS_fcntl, [file.0 as usize, libc::F_SETFD as usize, 0, 0, 0, 0]);
        }
        return file.into_raw() as isize;
    }
    failed(libc::ENOSYS)
}
