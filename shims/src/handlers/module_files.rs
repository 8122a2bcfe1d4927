//! Kernel modules from a file: `finit_module(2)`.

use crate::dispatch::Call;
use crate::sys::{self, Errno, Result};

/// `finit_module` without flags: init_module(2) of the mapped file. EPERM, EBADF, EINVAL (no regular file, an
/// empty one), EFBIG, and init_module's errnos; ENOSYS with known flags, EINVAL with others
/// (kernel/module/main.c, fs/kernel_read_file.c).
///
/// The kernel keeps the file from being written meanwhile (ETXTBSY); a file that changes under the mapping is
/// copied by init_module as it is found then, and one that shrinks is EFAULT.
pub fn finit_module(call: &mut Call<'_>) -> isize {
    /// MODULE_INIT_IGNORE_MODVERSIONS, _IGNORE_VERMAGIC, _COMPRESSED_FILE.
    const FLAGS: i32 = 7;
    let (fd, flags) = (call.int(0), call.int(2));
    call.became(|text| {
        text.push(b"init_module of the mapped file");
    });
    let parameters = call.arg(1);
    let load = || -> Result<usize> {
        // The right to load modules is asked for before all else, as the kernel does: an image that is too
        // short to be one is ENOEXEC to those who have it.
        match sys::check(sys::call(libc::SYS_init_module, [0; 6])) {
            Err(error @ Errno(libc::EPERM | libc::ENOSYS)) => return Err(error),
            _ => {}
        }
        match flags {
            0 => {}
            _ if flags & !FLAGS == 0 => return Err(Errno(libc::ENOSYS)),
            _ => return Err(Errno(libc::EINVAL)),
        }
        let mode = sys::fcntl(fd, libc::F_GETFL, 0)? as i32;
        if mode & libc::O_PATH != 0 || mode & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(Errno(libc::EBADF));
        }
        let stat = sys::fstat(fd)?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_size <= 0 {
            return Err(Errno(libc::EINVAL));
        }
        // The kernel reads at most INT_MAX bytes.
        if stat.st_size > i64::from(i32::MAX) {
            return Err(Errno(libc::EFBIG));
        }
        let length = stat.st_size as usize;
        let image = sys::map_file(fd, length)?;
        let result = sys::call(libc::SYS_init_module, [image, length, parameters, 0, 0, 0]);
        sys::unmap(image, length);
        sys::check(result)
    };
    sys::result(load())
}
