//! Random bytes: `getrandom(2)`, from the devices of random(4).

use crate::dispatch::Call;
use crate::sys::{self, Errno, Fd, Result, User};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

const ENOSYS: Errno = Errno(libc::ENOSYS);

/// Since 5.6: bytes without waiting for the pool to be seeded.
const GRND_INSECURE: u32 = 4;

/// Most bytes of one call (MAX_RW_COUNT).
const MOST: usize = 0x7fff_f000;

/// The pool was seen seeded, which it stays.
static SEEDED: AtomicBool = AtomicBool::new(false);

/// `getrandom`: EINVAL (flags), EAGAIN (GRND_NONBLOCK before the pool is seeded), EFAULT, EINTR; ENOSYS
/// where there are no devices, so that the caller looks for itself. Up to 256 bytes come whole; more may
/// be cut short by a signal, as in the kernel, which does the copying. May wait for the seed, and is no
/// cancellation point there. drivers/char/random.c.
pub fn getrandom(call: &mut Call<'_>) -> isize {
    let flags = call.arg(2) as u32;
    let of_pool = flags & libc::GRND_RANDOM != 0;
    call.became(|text| {
        text.push(if of_pool { b"read /dev/random" } else { b"read /dev/urandom" });
    });
    sys::result(fill(call.user(0), call.arg(1), flags))
}

fn fill(buffer: User, length: usize, flags: u32) -> Result<usize> {
    // read(2) refuses what is longer; the kernel cuts it (import_ubuf).
    let length = length.min(MOST);
    let known = libc::GRND_NONBLOCK | libc::GRND_RANDOM | GRND_INSECURE;
    let insecure_pool = GRND_INSECURE | libc::GRND_RANDOM;
    if flags & !known != 0 || flags & insecure_pool == insecure_pool {
        return Err(Errno(libc::EINVAL));
    }
    let blocking = flags & libc::GRND_NONBLOCK == 0;
    if flags & libc::GRND_RANDOM != 0 {
        let pool = device(c"/dev/random", 8, if blocking { 0 } else { libc::O_NONBLOCK })?;
        return sys::read_user(pool.0, buffer, length);
    }
    // Opened before any waiting, so that what is missing is told at once.
    let source = device(c"/dev/urandom", 9, 0)?;
    if flags & GRND_INSECURE == 0 {
        seeded(blocking)?;
    }
    sys::read_user(source.0, buffer, length)
}

/// Waits until the pool is seeded: /dev/random is readable then. Asked once: before 5.6 a drained pool is
/// not readable, though seeded. EAGAIN, EINTR.
fn seeded(blocking: bool) -> Result<()> {
    if SEEDED.load(Relaxed) {
        return Ok(());
    }
    let pool = device(c"/dev/random", 8, 0)?;
    let mut no_time = [0i64; 2];
    let left = if blocking { None } else { Some(&mut no_time) };
    if sys::wait_readable(pool.0, left, User::NULL, 0)? == 0 {
        return Err(Errno(libc::EAGAIN));
    }
    SEEDED.store(true, Relaxed);
    Ok(())
}

/// Opens a device, which must be the kernel's own and not some file put there.
fn device(path: &CStr, minor: u32, flags: i32) -> Result<Fd> {
    let device = sys::open(path, libc::O_RDONLY | libc::O_NOCTTY | flags, 0).map_err(|_| ENOSYS)?;
    let stat = sys::fstat(device.0)?;
    let right = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, minor);
    if right { Ok(device) } else { Err(ENOSYS) }
}
