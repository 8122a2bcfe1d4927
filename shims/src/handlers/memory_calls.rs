//! Memory: `mlock2(2)`, `pkey_mprotect(2)`.

use crate::dispatch::Call;
use crate::sys;

const ENOSYS: isize = -(libc::ENOSYS as isize);

/// `mlock2`: without flags it is mlock(2) (mm/mlock.c). EINVAL (unknown flags), and mlock's errnos; ENOSYS for
/// MLOCK_ONFAULT, since locking on a page's first use needs the kernel. Lengths are bytes.
pub fn mlock2(call: &mut Call<'_>) -> isize {
    const MLOCK_ONFAULT: i32 = 1;
    let flags = call.int(2);
    call.became(|text| {
        text.push(if flags == 0 { &b"mlock"[..] } else { b"an error: flags" });
    });
    match flags {
        0 => sys::call(libc::SYS_mlock, [call.arg(0), call.arg(1), 0, 0, 0, 0]),
        MLOCK_ONFAULT => ENOSYS,
        _ => -(libc::EINVAL as isize),
    }
}

/// `pkey_mprotect`: with key -1 it is mprotect(2) (mm/mprotect.c). mprotect's errnos; ENOSYS for a key: nobody
/// can have one where the host gives none. Lengths are bytes.
pub fn pkey_mprotect(call: &mut Call<'_>) -> isize {
    let no_key = call.int(3) == -1;
    call.became(|text| {
        text.push(if no_key { &b"mprotect"[..] } else { b"ENOSYS: it names a key" });
    });
    if !no_key {
        return ENOSYS;
    }
    sys::call(libc::SYS_mprotect, [call.arg(0), call.arg(1), call.arg(2), 0, 0, 0])
}
