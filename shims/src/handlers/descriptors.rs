//! Descriptors: `close_range(2)`, and the calls that gained flags: `accept4`, `dup3`, `pipe2`, `eventfd2`,
//! `inotify_init1`, `signalfd4`. O_CLOEXEC and O_NONBLOCK have one value in all of them.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result};
use crate::text::{Text, parse_decimal};

const EINVAL: Errno = Errno(libc::EINVAL);
const BOTH: i32 = libc::O_CLOEXEC | libc::O_NONBLOCK;

/// A new descriptor by a call without flags, and then its flags.
pub fn fresh(number: i64, args: [usize; 6], flags: i32) -> Result<usize> {
    let fd = sys::Fd(sys::check(sys::call(number, args))? as i32);
    sys::set_flags(fd.0, flags)?;
    Ok(fd.into_raw() as usize)
}

/// `accept4`: EBADF, EINVAL (flags), and what accept(2) answers (net/socket.c). An exec in another thread may
/// come before the flags are set. May block, and is no cancellation point.
pub fn accept4(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"accept");
    });
    let flags = call.int(3);
    let args = [call.arg(0), call.arg(1), call.arg(2), 0, 0, 0];
    sys::result(
        sys::file_flags(call.int(0)).and_then(|_| {
            if flags & !BOTH != 0 { Err(EINVAL) } else { fresh(libc::SYS_accept, args, flags) }
        }),
    )
}

/// `dup3`: EINVAL (flags, or twice the same number), EBADF, EBUSY, EINTR (fs/file.c). An exec in another
/// thread may come before O_CLOEXEC is set.
pub fn dup3(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"dup2");
    });
    let (old, new, flags) = (call.int(0), call.int(1), call.int(2));
    if flags & !libc::O_CLOEXEC != 0 || old == new {
        return sys::result(Err(EINVAL));
    }
    sys::result(fresh(libc::SYS_dup2, [old as usize, new as usize, 0, 0, 0, 0], flags))
}

/// `pipe2`: EINVAL (flags), EFAULT, EMFILE, ENFILE; ENOPKG for O_NOTIFICATION_PIPE, as from a kernel without
/// it (fs/pipe.c). An exec in another thread may come before the flags are set.
pub fn pipe2(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"pipe");
    });
    sys::result(pipe_with(call))
}

fn pipe_with(call: &Call<'_>) -> Result<usize> {
    /// A notification pipe (5.8).
    const NOTIFICATION: i32 = libc::O_EXCL;
    let flags = call.int(1);
    if flags & !(BOTH | libc::O_DIRECT | NOTIFICATION) != 0 {
        return Err(EINVAL);
    }
    if flags & NOTIFICATION != 0 {
        return Err(Errno(libc::ENOPKG));
    }
    let (reader, writer) = sys::plain_pipe()?;
    // Packets are made on the side that is written to.
    sys::set_flags(reader.0, flags & BOTH)?;
    sys::set_flags(writer.0, flags)?;
    memory::put(call.user(0), [reader.0, writer.0])?;
    reader.into_raw();
    writer.into_raw();
    Ok(0)
}

/// `eventfd2`: EINVAL (flags; EFD_SEMAPHORE, which 2.6.30 brought, too), EMFILE, ENFILE, ENOMEM. An exec in
/// another thread may come before the flags are set.
pub fn eventfd2(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"eventfd");
    });
    let flags = call.int(1);
    if flags & !BOTH != 0 {
        return sys::result(Err(EINVAL));
    }
    sys::result(fresh(libc::SYS_eventfd, [call.arg(0), 0, 0, 0, 0, 0], flags))
}

/// `inotify_init1`: EINVAL (flags), EMFILE, ENFILE, ENOMEM. An exec in another thread may come before the
/// flags are set.
pub fn inotify_init1(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"inotify_init");
    });
    let flags = call.int(0);
    if flags & !BOTH != 0 {
        return sys::result(Err(EINVAL));
    }
    sys::result(fresh(libc::SYS_inotify_init, [0; 6], flags))
}

/// `signalfd4`: EINVAL (size, flags), EFAULT, EBADF, EMFILE (fs/signalfd.c). The flags are those of a new
/// descriptor only; an exec in another thread may come before they are set.
pub fn signalfd4(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"signalfd");
    });
    sys::result(signals_to(call))
}

fn signals_to(call: &Call<'_>) -> Result<usize> {
    let (fd, flags) = (call.int(0), call.int(3));
    if call.arg(2) != size_of::<u64>() {
        return Err(EINVAL);
    }
    memory::get::<u64>(call.user(1))?;
    if flags & !BOTH != 0 {
        return Err(EINVAL);
    }
    let args = [fd as usize, call.arg(1), call.arg(2), 0, 0, 0];
    if fd == -1 {
        fresh(libc::SYS_signalfd, args, flags)
    } else {
        sys::check(sys::call(libc::SYS_signalfd, args))
    }
}

const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `close_range`: EINVAL; ENOSYS where the table of descriptors should be unshared and a filter refuses that.
/// Errors of closing are not told (fs/file.c). A descriptor that another thread opens meanwhile may stay
/// open, as in the kernel, which takes one after the other too.
pub fn close_range(call: &mut Call<'_>) -> isize {
    let flags = call.arg(2) as u32;
    let marks = flags & CLOSE_RANGE_CLOEXEC != 0;
    call.became(|text| {
        text.push(if marks { b"fcntl(F_SETFD) for each" } else { b"close for each" });
    });
    let range = Range { first: call.arg(0) as u32, last: call.arg(1) as u32, marks };
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || range.first > range.last {
        return sys::result(Err(EINVAL));
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        match sys::check(sys::call(libc::SYS_unshare, [libc::CLONE_FILES as usize, 0, 0, 0, 0, 0])) {
            Err(Errno(libc::EPERM)) => return sys::result(Err(Errno(libc::ENOSYS))),
            Err(error) => return sys::result(Err(error)),
            Ok(_) => {}
        }
    }
    if !range.by_list() {
        range.by_number();
    }
    0
}

struct Range {
    first: u32,
    last: u32,
    /// Sets FD_CLOEXEC instead of closing.
    marks: bool,
}

impl Range {
    fn act(&self, fd: u32) {
        if self.marks {
            let _ = sys::fcntl(fd as i32, libc::F_SETFD, libc::FD_CLOEXEC);
        } else {
            sys::call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
        }
    }

    /// The numbers that /proc lists; false where it does not list this thread's. It lists by number, so that
    /// closing on the way skips none.
    fn by_list(&self) -> bool {
        let thread = sys::call(libc::SYS_gettid, [0; 6]) as i64;
        let mut path = Text::<48>::new();
        path.push(b"/proc/self/task/").signed(thread).push(b"/fd");
        let Ok(folder) = sys::open(path.c_str(), libc::O_RDONLY | libc::O_DIRECTORY, 0) else { return false };
        let mut seen = false;
        let mut buffer = [0u8; 1024];
        loop {
            let length = match sys::entries(&folder, &mut buffer) {
                Ok(0) => return seen,
                Ok(length) => length,
                Err(_) => return false,
            };
            let mut rest = buffer.get(..length).unwrap_or(&[]);
            // `struct linux_dirent64`: the length of the record at 16, the name at 19.
            while let Some(&[low, high]) = rest.get(16..18) {
                let record = usize::from(u16::from_le_bytes([low, high]));
                let fd = rest.get(19..).and_then(parse_decimal).map(|(fd, _)| fd as u32);
                rest = rest.get(record.max(1)..).unwrap_or(&[]);
                match fd {
                    Some(fd) if fd == folder.0 as u32 => seen = true,
                    Some(fd) if (self.first..=self.last).contains(&fd) => self.act(fd),
                    _ => {}
                }
            }
        }
    }

    /// Every number that a descriptor may have.
    fn by_number(&self) {
        let limit = sys::prlimit(libc::RLIMIT_NOFILE, None).map_or(1024, |limit| limit.rlim_cur);
        // The kernel's own ceiling is far below INT_MAX.
        let end = u64::from(self.last).min(limit.clamp(1, 1 << 30) - 1) as u32;
        for fd in self.first..=end {
            self.act(fd);
        }
    }
}
