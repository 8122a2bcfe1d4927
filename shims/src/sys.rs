//! Raw system calls with Rust's types. Buffers are slices; an address of the program is a [`User`] and
//! goes to the kernel unread.

use crate::arch::{syscall, with_stack};
use crate::seccomp::MAGIC;
use crate::signals::Action;
use core::ffi::CStr;
use libc::{SYS_close, SYS_exit, c_int};

/// An error number of errno(3), positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a system call gave.
pub type Result<T> = core::result::Result<T, Errno>;

/// An address the program gave us: never read or written by us, only handed to the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct User(pub usize);

impl User {
    /// NULL.
    pub const NULL: User = User(0);

    /// The address some bytes further on.
    pub fn at(self, offset: usize) -> User {
        User(self.0.wrapping_add(offset))
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// Splits a kernel result into value and errno.
pub fn check(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// Back to the kernel's convention.
pub fn result(result: Result<usize>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(Errno(errno)) => -(errno as isize),
    }
}

/// A system call that passes numbers, and addresses that the program gave.
///
/// The program's own memory is all it can change, as the program itself could by the same call.
pub fn call(number: i64, args: [usize; 6]) -> isize {
    // SAFETY: no address of ours is among the arguments: callers in this crate pass `User` addresses
    // and integers; what needs a slice has a wrapper below.
    unsafe { syscall(number as usize, args) }
}

macro_rules! ask {
    ($number:expr $(, $arg:expr)* $(,)?) => {{
        let mut args = [0usize; 6];
        let mut rest = args.iter_mut();
        $( if let Some(slot) = rest.next() { *slot = $arg as usize; } )*
        let _ = rest;
        // SAFETY: the wrapper around this passes the address and length of a live slice or struct.
        check(unsafe { syscall($number as usize, args) })
    }};
}

/// A descriptor that is closed when dropped.
pub struct Fd(pub c_int);

impl Drop for Fd {
    fn drop(&mut self) {
        call(SYS_close, [self.0 as usize, 0, 0, 0, 0, 0]);
    }
}

impl Fd {
    /// Gives the number away unclosed.
    pub fn into_raw(self) -> c_int {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

/// open(2).
pub fn open(path: &CStr, flags: c_int, mode: u32) -> Result<Fd> {
    ask!(libc::SYS_open, path.as_ptr(), flags | libc::O_CLOEXEC, mode).map(|fd| Fd(fd as c_int))
}

/// openat(2) of a path in the program's memory.
pub fn open_user_in(folder: c_int, path: User, flags: c_int) -> Result<Fd> {
    ask!(libc::SYS_openat, folder, path.0, flags | libc::O_CLOEXEC, 0).map(|fd| Fd(fd as c_int))
}

/// open(2) of a path in the program's memory.
pub fn open_user(path: User, flags: c_int) -> Result<Fd> {
    open_user_in(libc::AT_FDCWD, path, flags)
}

/// openat(2) of a path of ours.
pub fn open_in(folder: c_int, path: &CStr, flags: c_int) -> Result<Fd> {
    ask!(libc::SYS_openat, folder, path.as_ptr(), flags | libc::O_CLOEXEC, 0).map(|fd| Fd(fd as c_int))
}

/// A system call whose first argument is a path of ours; the rest as in [`call`].
pub fn call_path(number: i64, path: &CStr, rest: [usize; 5]) -> isize {
    let [b, c, d, e, f] = rest;
    result(ask!(number, path.as_ptr(), b, c, d, e, f))
}

/// A system call whose second argument, behind a folder's descriptor, is a path of ours.
pub fn call_path_in(number: i64, folder: c_int, path: &CStr, rest: [usize; 4]) -> isize {
    let [c, d, e, f] = rest;
    result(ask!(number, folder, path.as_ptr(), c, d, e, f))
}

/// newfstatat(2) of a path in the program's memory.
pub fn stat_user_in(folder: c_int, path: User, flags: c_int) -> Result<libc::stat> {
    let mut stat: libc::stat = zeroed();
    ask!(libc::SYS_newfstatat, folder, path.0, &raw mut stat, flags)?;
    Ok(stat)
}

/// newfstatat(2) of a descriptor itself, or of the working folder for AT_FDCWD.
pub fn stat_itself(fd: c_int) -> Result<libc::stat> {
    let mut stat: libc::stat = zeroed();
    ask!(libc::SYS_newfstatat, fd, c"".as_ptr(), &raw mut stat, libc::AT_EMPTY_PATH)?;
    Ok(stat)
}

/// readlinkat(2) of a link that was opened with O_PATH | O_NOFOLLOW.
pub fn read_link(link: c_int, to: &mut [u8]) -> Result<usize> {
    ask!(libc::SYS_readlinkat, link, c"".as_ptr(), to.as_mut_ptr(), to.len()).map(|n| n.min(to.len()))
}

/// futimesat(2) of a path in the program's memory (NULL: the descriptor itself), with times of ours in
/// seconds and microseconds; None for now.
pub fn set_times_user(folder: c_int, path: User, times: Option<&[[i64; 2]; 2]>) -> Result<usize> {
    let times = times.map_or(core::ptr::null(), core::ptr::from_ref);
    ask!(libc::SYS_futimesat, folder, path.0, times)
}

/// utimes(2) of a path of ours, with times of ours in seconds and microseconds; None for now.
pub fn set_times(path: &CStr, times: Option<&[[i64; 2]; 2]>) -> Result<usize> {
    let times = times.map_or(core::ptr::null(), core::ptr::from_ref);
    ask!(libc::SYS_utimes, path.as_ptr(), times)
}

/// ioctl(FS_IOC_FSGETXATTR): `struct fsxattr` (linux/fs.h) as its seven words.
pub fn fsxattr(fd: c_int) -> Result<[u32; 7]> {
    const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
    let mut attributes = [0u32; 7];
    ask!(libc::SYS_ioctl, fd, FS_IOC_FSGETXATTR, attributes.as_mut_ptr())?;
    Ok(attributes)
}

/// ioctl(FS_IOC_FSSETXATTR).
pub fn set_fsxattr(fd: c_int, attributes: &[u32; 7]) -> Result<usize> {
    const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
    ask!(libc::SYS_ioctl, fd, FS_IOC_FSSETXATTR, attributes.as_ptr())
}

/// Whether a group is among the supplementary groups of this thread: getgroups(2).
pub fn in_groups(group: u32) -> bool {
    let count = ask!(libc::SYS_getgroups, 0, 0).unwrap_or(0);
    let found = with_words(count.div_ceil(2), |words| {
        let got = ask!(libc::SYS_getgroups, words.len() * 2, words.as_mut_ptr()).unwrap_or(0);
        let groups = words.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]);
        isize::from(groups.take(got).any(|one| one == group))
    });
    found == Some(1)
}

/// read(2).
pub fn read(fd: c_int, buffer: &mut [u8]) -> Result<usize> {
    ask!(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()).map(|n| n.min(buffer.len()))
}

/// read(2) straight into the program's memory.
pub fn read_user(fd: c_int, to: User, length: usize) -> Result<usize> {
    ask!(libc::SYS_read, fd, to.0, length)
}

/// pread64(2).
pub fn pread(fd: c_int, buffer: &mut [u8], at: u64) -> Result<usize> {
    ask!(libc::SYS_pread64, fd, buffer.as_mut_ptr(), buffer.len(), at).map(|n| n.min(buffer.len()))
}

/// write(2).
pub fn write(fd: c_int, bytes: &[u8]) -> Result<usize> {
    ask!(libc::SYS_write, fd, bytes.as_ptr(), bytes.len())
}

/// write(2) straight from the program's memory.
pub fn write_user(fd: c_int, from: User, length: usize) -> Result<usize> {
    ask!(libc::SYS_write, fd, from.0, length)
}

/// pwritev2(2) at the file's own position with RWF_NOWAIT: never blocks.
pub fn write_nowait(fd: c_int, bytes: &[u8]) -> Result<usize> {
    const RWF_NOWAIT: usize = 8;
    let vector = [bytes.as_ptr() as usize, bytes.len()];
    ask!(libc::SYS_pwritev2, fd, vector.as_ptr(), 1, usize::MAX, usize::MAX, RWF_NOWAIT)
}

/// sendto(2) without an address, MSG_DONTWAIT | MSG_NOSIGNAL.
pub fn send_nowait(fd: c_int, bytes: &[u8]) -> Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    ask!(libc::SYS_sendto, fd, bytes.as_ptr(), bytes.len(), flags, 0, 0)
}

/// Whether a write would find room now, and a reader: poll(2) for POLLOUT, without waiting.
pub fn writable(fd: c_int) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    ask!(libc::SYS_poll, &raw mut poll, 1, 0) == Ok(1) && poll.revents == libc::POLLOUT
}

/// pwrite64(2).
pub fn pwrite(fd: c_int, bytes: &[u8], at: u64) -> Result<usize> {
    ask!(libc::SYS_pwrite64, fd, bytes.as_ptr(), bytes.len(), at)
}

/// Whether a descriptor is a terminal: ioctl(TCGETS).
pub fn is_terminal(fd: c_int) -> bool {
    let mut mode: libc::termios = zeroed();
    ask!(libc::SYS_ioctl, fd, libc::TCGETS, &raw mut mode).is_ok()
}

/// pwrite64(2) at the start of the file, straight from the program's memory.
pub fn write_at_start_user(fd: c_int, from: User, length: usize) -> Result<usize> {
    ask!(libc::SYS_pwrite64, fd, from.0, length, 0)
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: used below with C structs of integers only, for which all bits zero is a value.
    unsafe { core::mem::zeroed() }
}

/// fstat(2).
pub fn fstat(fd: c_int) -> Result<libc::stat> {
    let mut stat: libc::stat = zeroed();
    ask!(libc::SYS_fstat, fd, &raw mut stat)?;
    Ok(stat)
}

/// fstatfs(2).
pub fn fstatfs(fd: c_int) -> Result<libc::statfs64> {
    let mut statfs: libc::statfs64 = zeroed();
    ask!(libc::SYS_fstatfs, fd, &raw mut statfs)?;
    Ok(statfs)
}

/// fcntl(2) with a number.
pub fn fcntl(fd: c_int, command: c_int, argument: c_int) -> Result<usize> {
    ask!(libc::SYS_fcntl, fd, command, argument)
}

/// pipe2(2), or pipe(2) and fcntl(2) where that is missing or refused.
pub fn pipe(flags: c_int) -> Result<(Fd, Fd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    match ask!(libc::SYS_pipe2, fds.as_mut_ptr(), flags) {
        Ok(_) => Ok((Fd(fds[0]), Fd(fds[1]))),
        Err(Errno(libc::ENOSYS | libc::EPERM)) => {
            let (reader, writer) = plain_pipe()?;
            set_flags(reader.0, flags)?;
            set_flags(writer.0, flags)?;
            Ok((reader, writer))
        }
        Err(error) => Err(error),
    }
}

/// pipe(2): no flags.
pub fn plain_pipe() -> Result<(Fd, Fd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    ask!(libc::SYS_pipe, fds.as_mut_ptr())?;
    Ok((Fd(fds[0]), Fd(fds[1])))
}

/// O_CLOEXEC, and the flags of the open file, for a fresh descriptor: fcntl(2).
pub fn set_flags(fd: c_int, flags: c_int) -> Result<()> {
    if flags & libc::O_CLOEXEC != 0 {
        fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)?;
    }
    if flags & !libc::O_CLOEXEC != 0 {
        fcntl(fd, libc::F_SETFL, flags & !libc::O_CLOEXEC)?;
    }
    Ok(())
}

/// The flags of an open file. EBADF also for O_PATH, of which fcntl(2) alone would tell.
pub fn file_flags(fd: c_int) -> Result<c_int> {
    let flags = fcntl(fd, libc::F_GETFL, 0)? as c_int;
    if flags & libc::O_PATH == 0 { Ok(flags) } else { Err(Errno(libc::EBADF)) }
}

/// getdents64(2): bytes of the buffer that were filled.
pub fn entries(folder: &Fd, buffer: &mut [u8]) -> Result<usize> {
    ask!(libc::SYS_getdents64, folder.0, buffer.as_mut_ptr(), buffer.len()).map(|n| n.min(buffer.len()))
}

/// ppoll(2) of one descriptor for POLLIN, with the program's signal mask. The time left, which the kernel
/// counts down, is in seconds and nanoseconds; None waits for ever.
pub fn wait_readable(fd: c_int, left: Option<&mut [i64; 2]>, mask: User, mask_size: usize) -> Result<usize> {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let left = left.map_or(0, |left| left.as_mut_ptr() as usize);
    ask!(libc::SYS_ppoll, &raw mut poll, 1, left, mask.0, mask_size)
}

/// The type of a socket: getsockopt(SO_TYPE). EBADF, ENOTSOCK.
pub fn socket_type(fd: c_int) -> Result<c_int> {
    let (mut kind, mut length): (c_int, u32) = (0, 4);
    ask!(libc::SYS_getsockopt, fd, libc::SOL_SOCKET, libc::SO_TYPE, &raw mut kind, &raw mut length)?;
    Ok(kind)
}

/// clock_gettime(CLOCK_MONOTONIC): seconds and nanoseconds.
pub fn monotonic() -> (i64, i64) {
    let mut time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time);
    (time.tv_sec, time.tv_nsec)
}

/// exit_group(2).
pub fn exit(status: usize) -> ! {
    loop {
        call(libc::SYS_exit_group, [status, 0, 0, 0, 0, 0]);
    }
}

/// Names this process (prctl(PR_SET_NAME)) after the last part of a path on the first stack.
pub fn name_after(path: usize) {
    if path == 0 {
        return;
    }
    // SAFETY: argv[0], laid NUL-terminated by the kernel.
    let path = unsafe { CStr::from_ptr(path as *const core::ffi::c_char) };
    let length = path.to_bytes().rsplit(|&b| b == b'/').next().map_or(0, <[u8]>::len);
    let start = path.to_bytes().len() - length;
    call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, path.as_ptr() as usize + start, 0, 0, 0, 0]);
}

/// getpid(2).
pub fn getpid() -> i32 {
    call(libc::SYS_getpid, [0; 6]) as i32
}

/// Whether an exec raised the rights, where AT_SECURE is not known: the real and effective ids differ, or
/// the kernel made the process undumpable, as it does for file capabilities too.
pub fn raised_rights() -> bool {
    let ask = |number| call(number, [0; 6]);
    let dumpable = call(libc::SYS_prctl, [libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0, 0]);
    ask(libc::SYS_getuid) != ask(libc::SYS_geteuid)
        || ask(libc::SYS_getgid) != ask(libc::SYS_getegid)
        || dumpable != 1
}

/// clock_gettime(CLOCK_REALTIME): seconds and nanoseconds.
pub fn now() -> (i64, i64) {
    let mut time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut time);
    (time.tv_sec, time.tv_nsec)
}

/// clock_settime(CLOCK_REALTIME).
pub fn set_clock(seconds: i64) -> Result<usize> {
    let time = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    ask!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, &raw const time)
}

/// prlimit64(2) on ourselves: sets `new`, if any, and gives the limit from before.
pub fn prlimit(resource: u32, new: Option<libc::rlimit64>) -> Result<libc::rlimit64> {
    let mut old: libc::rlimit64 = zeroed();
    let new = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    ask!(libc::SYS_prlimit64, 0, resource, new, &raw mut old)?;
    Ok(old)
}

/// getrlimit(2): soft and hard limit.
pub fn getrlimit(resource: u32) -> Result<[u64; 2]> {
    let mut limit = [0u64; 2];
    ask!(libc::SYS_getrlimit, resource, limit.as_mut_ptr())?;
    Ok(limit)
}

/// setrlimit(2): soft and hard limit.
pub fn setrlimit(resource: u32, limit: [u64; 2]) -> Result<usize> {
    ask!(libc::SYS_setrlimit, resource, limit.as_ptr())
}

/// sched_setscheduler(2), or sched_setparam(2) where no policy is given, with a priority.
pub fn set_scheduler(thread: c_int, policy: Option<c_int>, priority: c_int) -> Result<usize> {
    match policy {
        Some(policy) => ask!(libc::SYS_sched_setscheduler, thread, policy, &raw const priority),
        None => ask!(libc::SYS_sched_setparam, thread, &raw const priority),
    }
}

/// The priority of sched_getparam(2).
pub fn scheduler_priority(thread: c_int) -> Result<c_int> {
    let mut priority: c_int = 0;
    ask!(libc::SYS_sched_getparam, thread, &raw mut priority)?;
    Ok(priority)
}

/// A clone(2) that CLONE_PIDFD (5.2) would have to give a descriptor for, in a child that ends at once: whether
/// it did. Kernels before ignore the flag.
pub fn clone_gives_pidfd() -> bool {
    let all = Blocked::add(u64::MAX);
    let mut pidfd: c_int = -1;
    // No stack, no exit signal: a plain fork.
    let child = match ask!(libc::SYS_clone, libc::CLONE_PIDFD, 0, &raw mut pidfd, 0, 0) {
        Ok(0) => loop {
            call(SYS_exit, [0; 6]);
        },
        Ok(child) => child,
        Err(_) => return false,
    };
    while ask!(libc::SYS_wait4, child, 0, libc::__WALL, 0) == Err(Errno(libc::EINTR)) {}
    drop(all);
    if pidfd < 0 {
        return false;
    }
    drop(Fd(pidfd));
    true
}

/// Whether a path of the program, from a folder on, is a symbolic link: readlinkat(2).
pub fn is_link(folder: c_int, path: User) -> bool {
    let mut byte = [0u8; 1];
    ask!(libc::SYS_readlinkat, folder, path.0, byte.as_mut_ptr(), 1).is_ok()
}

/// execve(2) by a path of ours: gives the errno, if it comes back.
pub fn execve(path: &CStr, argv: User, envp: User) -> isize {
    result(ask!(libc::SYS_execve, path.as_ptr(), argv.0, envp.0))
}

/// mmap(2) of a file's start, to be read.
pub fn map_file(fd: c_int, length: usize) -> Result<usize> {
    ask!(libc::SYS_mmap, 0, length, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0)
}

/// prctl(PR_GET_SECCOMP): whether a seccomp filter is installed.
pub fn under_filter() -> bool {
    ask!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0) == Ok(2)
}

/// prctl(PR_GET_NO_NEW_PRIVS).
pub fn no_new_privileges() -> bool {
    ask!(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == Ok(1)
}

/// prctl(PR_SET_NO_NEW_PRIVS): no exec from here on raises rights.
pub fn renounce_new_privileges() -> Result<usize> {
    ask!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

/// Whether a capability is effective: capget(2).
pub fn has_capability(capability: u32) -> bool {
    // _LINUX_CAPABILITY_VERSION_3, and pid 0: ourselves.
    let header = [0x2008_0522u32, 0];
    // Effective, permitted, inheritable: of the first 32 capabilities, and of the rest.
    let mut sets = [0u32; 6];
    let asked = ask!(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr());
    asked.is_ok() && capability < 32 && sets[0] >> capability & 1 == 1
}

/// prctl(PR_SET_SECCOMP): a filter of `struct sock_filter` instructions. Not seccomp(2): a filter that kills
/// may know only the older call, by which it was asked whether there is one.
pub fn install_filter(code: &[u64]) -> Result<usize> {
    // struct sock_fprog: an unsigned short and a pointer.
    let program = [code.len(), code.as_ptr() as usize];
    ask!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 2, program.as_ptr(), 0, 0)
}

/// Zeroed pages that a child shares with us.
pub fn map_shared(length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    ask!(libc::SYS_mmap, 0, length, protection, flags, usize::MAX, 0)
}

/// The name of a network interface by its index: ioctl(SIOCGIFNAME).
pub fn interface_name(index: i32, name: &mut [u8; libc::IFNAMSIZ]) -> Result<()> {
    let socket = ask!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)?;
    let socket = Fd(socket as c_int);
    let mut request: libc::ifreq = zeroed();
    request.ifr_ifru.ifru_ifindex = index;
    ask!(libc::SYS_ioctl, socket.0, libc::SIOCGIFNAME, &raw mut request)?;
    for (to, from) in name.iter_mut().zip(request.ifr_name) {
        *to = from as u8;
    }
    Ok(())
}

/// Signals blocked around a piece of work, and given back when dropped.
pub struct Blocked(u64);

/// The bit of a signal in the kernel's 64-bit set.
pub const fn signal_bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

impl Blocked {
    /// Blocks more signals. Never SIGSYS: a call in between may be trapped, and kill then.
    pub fn add(signals: u64) -> Blocked {
        let (mut old, signals) = (0u64, signals & !signal_bit(libc::SIGSYS));
        let _ =
            ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const signals, &raw mut old, 8, 0, MAGIC);
        Blocked(old)
    }

    /// Whether the program had this signal blocked before.
    pub fn had(&self, signal: c_int) -> bool {
        self.0 & signal_bit(signal) != 0
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const self.0, 0, 8, 0, MAGIC);
    }
}

/// This thread's signal mask.
pub fn signal_mask() -> u64 {
    let mut mask = 0u64;
    let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &raw mut mask, 8);
    mask
}

/// Writes this thread's signal mask to the program.
pub fn signal_mask_to(to: User) -> Result<usize> {
    ask!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, to.0, 8)
}

/// Sets this thread's signal mask.
pub fn set_signal_mask(mask: u64) {
    let _ = ask!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0, 8, 0, MAGIC);
}

/// rt_sigaction(2): sets a signal's action, and gives the one before.
pub fn set_action(signal: c_int, new: &Action) -> Result<Action> {
    let mut old = Action::DEFAULT;
    ask!(libc::SYS_rt_sigaction, signal, core::ptr::from_ref(new), &raw mut old, 8)?;
    Ok(old)
}

/// The same with a word in the sixth argument's register, for a filter of ours to know the call by.
pub fn set_action_with(signal: c_int, new: &Action, word: usize) -> Result<Action> {
    let mut old = Action::DEFAULT;
    ask!(libc::SYS_rt_sigaction, signal, core::ptr::from_ref(new), &raw mut old, 8, 0, word)?;
    Ok(old)
}

/// An empty file in memory that a program may be executed from: memfd_create(2).
pub fn memory_file(name: &CStr) -> Result<Fd> {
    const MFD_EXEC: u32 = 0x10;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know MFD_EXEC, and let every such file be executed.
    let made = ask!(libc::SYS_memfd_create, name.as_ptr(), flags | MFD_EXEC);
    let made = made.or_else(|_| ask!(libc::SYS_memfd_create, name.as_ptr(), flags))?;
    Ok(Fd(made as c_int))
}

/// Lets nobody change a file in memory any more.
pub fn seal(file: &Fd) -> Result<usize> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    fcntl(file.0, libc::F_ADD_SEALS, seals)
}

/// sendfile(2) from `at` on, which moves with the bytes.
pub fn sendfile(to: c_int, from: c_int, at: &mut u64, length: usize) -> Result<usize> {
    ask!(libc::SYS_sendfile, to, from, core::ptr::from_mut(at), length)
}

/// execveat(2) of an open file, with the program's own or our argument list, and a word as above. Comes back
/// only with -errno.
pub fn exec_file(file: &Fd, argv: usize, envp: User, word: usize) -> isize {
    let flags = libc::AT_EMPTY_PATH;
    result(ask!(libc::SYS_execveat, file.0, c"".as_ptr(), argv, envp.0, flags, word))
}

/// Sends a signal to this thread: tgkill(2).
pub fn raise(signal: c_int) {
    let thread = call(libc::SYS_gettid, [0; 6]) as usize;
    call(libc::SYS_tgkill, [getpid() as usize, thread, signal as usize, 0, 0, 0]);
}

/// Sends a signal with a siginfo of the kernel's making to this thread or process: rt_tgsigqueueinfo(2),
/// rt_sigqueueinfo(2).
pub fn queue_signal(signal: c_int, info: usize, to_thread: bool) {
    let (process, signal) = (getpid() as usize, signal as usize);
    if to_thread {
        let thread = call(libc::SYS_gettid, [0; 6]) as usize;
        call(libc::SYS_rt_tgsigqueueinfo, [process, thread, signal, info, 0, 0]);
    } else {
        call(libc::SYS_rt_sigqueueinfo, [process, signal, info, 0, 0, 0]);
    }
}

/// rt_sigpending(2).
pub fn pending() -> u64 {
    let mut set = 0u64;
    let _ = ask!(libc::SYS_rt_sigpending, &raw mut set, 8);
    set
}

/// Takes a pending signal away, if there is one: rt_sigtimedwait(2) without waiting.
pub fn take_signal(signal: c_int) {
    let set = signal_bit(signal);
    let no_time: libc::timespec = zeroed();
    let _ = ask!(libc::SYS_rt_sigtimedwait, &raw const set, 0, &raw const no_time, 8);
}

/// How a throw-away child ended.
pub enum ChildEnd {
    /// It exited with this status.
    Exited(u8),
    /// A signal ended it.
    Killed,
}

/// Runs one closure in a child of its own memory, which no wait(2) of the program sees (no exit signal).
/// The closure's result, 0 to 255, is the child's exit status.
pub fn in_child(work: impl FnOnce() -> u8) -> Result<ChildEnd> {
    let all = Blocked::add(u64::MAX);
    // No flags, no stack, no exit signal: a plain fork.
    let child = ask!(libc::SYS_clone, 0, 0, 0, 0, 0)?;
    if child == 0 {
        let status = work();
        loop {
            call(SYS_exit, [usize::from(status), 0, 0, 0, 0, 0]);
        }
    }
    let mut status: c_int = 0;
    while ask!(libc::SYS_wait4, child, &raw mut status, libc::__WALL, 0) == Err(Errno(libc::EINTR)) {}
    drop(all);
    Ok(if status & 0x7f == 0 { ChildEnd::Exited((status >> 8) as u8) } else { ChildEnd::Killed })
}

/// Whether a file may be executed: EACCES for a missing right or a noexec mount.
pub fn executable(file: &Fd) -> Result<()> {
    // faccessat2(2) with AT_EMPTY_PATH checks just that (5.8); before it, the permission bits by path.
    const SYS_FACCESSAT2: i64 = 439;
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    match ask!(SYS_FACCESSAT2, file.0, c"".as_ptr(), libc::X_OK, flags) {
        Err(Errno(libc::ENOSYS | libc::EPERM)) => {
            let mut path = crate::text::Text::<40>::new();
            path.push(b"/proc/self/fd/").signed(i64::from(file.0));
            ask!(libc::SYS_faccessat, libc::AT_FDCWD, path.c_str().as_ptr(), libc::X_OK).map(|_| ())
        }
        other => other.map(|_| ()),
    }
}

/// mmap(2) of a library at a fixed free address: `[address, length, offset]`, readable, writable and
/// executable as uselib's were. EEXIST where something is mapped there.
pub fn map_library(file: &Fd, [address, length, offset]: [usize; 3]) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    map_fixed([address, length, protection as usize], libc::MAP_PRIVATE, [file.0 as usize, offset])
}

/// Zeroed memory at a fixed free address, readable and writable as brk's.
pub fn map_zeroed(address: usize, length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    map_fixed([address, length, protection as usize], flags, [usize::MAX, 0])
}

/// mprotect(2): readable and executable from now on, and no longer writable.
pub fn make_executable(address: usize, length: usize) -> Result<usize> {
    ask!(libc::SYS_mprotect, address, length, libc::PROT_READ | libc::PROT_EXEC)
}

/// Maps where nothing is mapped. Kernels before 4.17 ignore MAP_FIXED_NOREPLACE and may answer another
/// address: that mapping is given back.
fn map_fixed(
    [address, length, protection]: [usize; 3],
    flags: c_int,
    [fd, offset]: [usize; 2],
) -> Result<usize> {
    let flags = flags | libc::MAP_FIXED_NOREPLACE;
    let got = ask!(libc::SYS_mmap, address, length, protection, flags, fd, offset)?;
    if got != address {
        unmap(got, length);
        return Err(Errno(libc::EEXIST));
    }
    Ok(got)
}

/// An anonymous page that a fork's child finds empty again (MADV_WIPEONFORK), if the kernel can.
pub fn page_wiped_on_fork(length: usize) -> Result<usize> {
    let page = map_anonymous(length)?;
    let _ = ask!(libc::SYS_madvise, page, length, libc::MADV_WIPEONFORK);
    Ok(page)
}

/// Calls a closure with a zeroed block of machine words: on the stack if it is small, since a thread or a
/// signal handler may have 16 KiB of it, else in pages that are given back when the closure returns (a
/// vfork child whose exec succeeds leaves them to its parent). None, and no call, where memory is out.
pub fn with_words<F: FnMut(&mut [usize]) -> isize>(words: usize, mut then: F) -> Option<isize> {
    const ON_STACK: usize = 256;
    if words <= ON_STACK {
        return Some(with_stack(words, then));
    }
    let length = words * size_of::<usize>();
    let page = map_anonymous(length).ok()?;
    // SAFETY: fresh zeroed pages of that length, ours alone until they are unmapped below.
    let result = then(unsafe { core::slice::from_raw_parts_mut(page as *mut usize, words) });
    unmap(page, length);
    Some(result)
}

/// Calls a closure on a fresh stack of 64 KiB, which is given back; on this one where memory is out.
pub fn with_fresh_stack(then: impl FnMut() -> isize) -> isize {
    const STACK: usize = 64 << 10;
    let mut then = then;
    let Ok(stack) = map_anonymous(STACK) else { return then() };
    // SAFETY: fresh pages, ours alone until they are unmapped below.
    let result = unsafe { crate::arch::on_stack(stack + STACK, then) };
    unmap(stack, STACK);
    result
}

/// The same with a zeroed block of at least so many bytes.
pub fn with_bytes<F: FnMut(&mut [u8]) -> isize>(length: usize, mut then: F) -> Option<isize> {
    with_words(length.div_ceil(size_of::<usize>()), |words| {
        // SAFETY: the bytes of the words, which are all initialised and stay so.
        then(unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) })
    })
}

/// Calls a closure with zeroed bytes in pages of their own, given back when it returns. None, and no call,
/// where memory is out.
pub fn with_pages<F: FnOnce(&mut [u8]) -> isize>(length: usize, then: F) -> Option<isize> {
    let page = map_anonymous(length).ok()?;
    // SAFETY: fresh zeroed pages of that length, ours alone until they are unmapped below.
    let result = then(unsafe { core::slice::from_raw_parts_mut(page as *mut u8, length) });
    unmap(page, length);
    Some(result)
}

fn map_anonymous(length: usize) -> Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    ask!(libc::SYS_mmap, 0, length, protection, flags, usize::MAX, 0)
}

/// munmap(2) of what this file mapped.
pub fn unmap(page: usize, length: usize) {
    let _ = ask!(libc::SYS_munmap, page, length);
}
