//! Files and descriptors.

use super::{Errno, Fd, Result, User, check, result, zeroed};
use crate::arch::syscall;
use crate::text::Text;
use core::ffi::CStr;
use libc::c_int;

/// open(2), as openat(2): a rule of ours may be what answers the older one.
pub fn open(path: &CStr, flags: c_int, mode: u32) -> Result<Fd> {
    ask!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, mode)
        .map(|fd| Fd(fd as c_int))
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

/// openat(2) of a path of ours, with the mode of a file that it makes.
pub fn open_mode_in(folder: c_int, path: &CStr, flags: c_int, mode: u32) -> Result<Fd> {
    ask!(libc::SYS_openat, folder, path.as_ptr(), flags | libc::O_CLOEXEC, mode).map(|fd| Fd(fd as c_int))
}

/// linkat(2) within a folder.
pub fn link_in(folder: &Fd, from: &CStr, to: &CStr) -> Result<usize> {
    ask!(libc::SYS_linkat, folder.0, from.as_ptr(), folder.0, to.as_ptr(), 0)
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

/// Where a link leads, by its path.
pub fn read_link_at(path: &CStr, to: &mut [u8]) -> Result<usize> {
    ask!(libc::SYS_readlinkat, libc::AT_FDCWD, path.as_ptr(), to.as_mut_ptr(), to.len())
        .map(|n| n.min(to.len()))
}

/// Whether a path of ours leads to something: access(2).
pub fn exists(path: &CStr) -> bool {
    ask!(libc::SYS_access, path.as_ptr(), libc::F_OK).is_ok()
}

/// What a path of ours is, be it a link: the file type of lstat(2).
pub fn kind_of(path: &CStr) -> Result<u32> {
    let mut stat: libc::stat = zeroed();
    ask!(libc::SYS_lstat, path.as_ptr(), &raw mut stat)?;
    Ok(stat.st_mode & libc::S_IFMT)
}

/// statfs(2) of a path of ours into the program's memory, in the kernel's convention.
pub fn statfs_to(path: &CStr, to: User) -> isize {
    result(ask!(libc::SYS_statfs, path.as_ptr(), to.0))
}

/// fchmod(2).
pub fn change_mode(file: &Fd, mode: u32) -> Result<usize> {
    ask!(libc::SYS_fchmod, file.0, mode)
}

/// Puts an open file under another's number: dup3(2). It is to be closed by its own number too.
pub fn replace(number: c_int, file: &Fd, flags: c_int) -> Result<usize> {
    ask!(libc::SYS_dup3, file.0, number, flags)
}

/// fstat(2) into the program's memory, in the kernel's convention.
pub fn stat_to(file: &Fd, to: User) -> isize {
    super::call(libc::SYS_fstat, [file.0 as usize, to.0, 0, 0, 0, 0])
}

/// statx(2) of an open file into the program's memory, in the kernel's convention.
pub fn statx_to(file: &Fd, mask: usize, to: User) -> isize {
    let flags = libc::AT_EMPTY_PATH as usize;
    super::call(libc::SYS_statx, [file.0 as usize, c"".as_ptr() as usize, flags, mask, to.0, 0])
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

/// utimensat(2) without flags of a path in the program's memory (NULL: the descriptor itself), with times of
/// ours in seconds and nanoseconds; None for now.
pub fn set_times_user_exactly(folder: c_int, path: User, times: Option<&[[i64; 2]; 2]>) -> Result<usize> {
    let times = times.map_or(core::ptr::null(), core::ptr::from_ref);
    ask!(libc::SYS_utimensat, folder, path.0, times, 0)
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

/// Whether a write would find room now, and a reader: ppoll(2) for POLLOUT, without waiting.
pub fn writable(fd: c_int) -> bool {
    poll_now(fd, libc::POLLOUT) == libc::POLLOUT
}

/// What ppoll(2) says of a descriptor now.
pub fn poll_now(fd: c_int, events: i16) -> i16 {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    let mut no_time = [0i64; 2];
    let _ = ask!(libc::SYS_ppoll, &raw mut poll, 1, no_time.as_mut_ptr(), 0, 0);
    poll.revents
}

/// ppoll(2) of one descriptor, for as long as it takes. EINTR.
pub fn wait_for(fd: c_int, events: i16) -> Result<usize> {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    ask!(libc::SYS_ppoll, &raw mut poll, 1, 0, 0, 0)
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

/// fstat(2), or newfstatat(2) where that is missing or refused.
pub fn fstat(fd: c_int) -> Result<libc::stat> {
    let mut stat: libc::stat = zeroed();
    match ask!(libc::SYS_fstat, fd, &raw mut stat) {
        Ok(_) => Ok(stat),
        Err(Errno(libc::ENOSYS | libc::EPERM)) if fd >= 0 => stat_itself(fd),
        Err(error) => Err(error),
    }
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

/// A descriptor that was opened while others were, under the number that an open without them gives: the
/// lowest that is free. An error goes through.
pub fn at_lowest(fd: isize) -> isize {
    let Ok(number) = c_int::try_from(fd) else { return fd };
    if number < 0 {
        return fd;
    }
    let given = Fd(number);
    let command = if exec_flag(number) == 0 { libc::F_DUPFD } else { libc::F_DUPFD_CLOEXEC };
    match fcntl(number, command, 0).map(|lower| Fd(lower as c_int)) {
        Ok(lower) if lower.0 < number => lower.into_raw() as isize,
        _ => given.into_raw() as isize,
    }
}

/// O_CLOEXEC, if an exec closes a descriptor.
pub fn exec_flag(fd: c_int) -> c_int {
    let closes = fcntl(fd, libc::F_GETFD, 0).is_ok_and(|flags| flags as c_int & libc::FD_CLOEXEC != 0);
    if closes { libc::O_CLOEXEC } else { 0 }
}

/// A descriptor of ours given away under the lowest number that is free: an exec keeps it, or not.
pub fn given(file: Fd, kept: bool) -> c_int {
    let command = if kept { libc::F_DUPFD } else { libc::F_DUPFD_CLOEXEC };
    match fcntl(file.0, command, 0).map(|lower| Fd(lower as c_int)) {
        Ok(lower) if lower.0 < file.0 => lower.into_raw(),
        _ => kept_over_exec(file, kept),
    }
}

fn kept_over_exec(file: Fd, kept: bool) -> c_int {
    if kept {
        let _ = fcntl(file.0, libc::F_SETFD, 0);
    }
    file.into_raw()
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

/// `/proc/self/fd/N`, which leads to just that object, be it a link: no other file can come in between.
pub fn proc_path(fd: c_int) -> Text<40> {
    let mut path = Text::new();
    path.push(b"/proc/self/fd/").signed(i64::from(fd));
    path
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

/// ppoll(2) of the program's descriptors without a signal mask; None waits for ever.
pub fn poll_user(list: User, count: u32, mut left: Option<[i64; 2]>) -> isize {
    let left = left.as_mut().map_or(0, |left| left.as_mut_ptr() as usize);
    result(ask!(libc::SYS_ppoll, list.0, count, left, 0, 0))
}

/// pselect6(2) of the program's sets without a signal mask: how many, and the three. The time left, which the
/// kernel counts down, is in seconds and nanoseconds; None waits for ever.
pub fn select_user(sets: [usize; 4], left: Option<&mut [i64; 2]>) -> isize {
    let [count, read, write, except] = sets;
    let left = left.map_or(0, |left| left.as_mut_ptr() as usize);
    result(ask!(libc::SYS_pselect6, count, read, write, except, left, 0))
}

/// The type of a socket: getsockopt(SO_TYPE). EBADF, ENOTSOCK.
pub fn socket_type(fd: c_int) -> Result<c_int> {
    let (mut kind, mut length): (c_int, u32) = (0, 4);
    ask!(libc::SYS_getsockopt, fd, libc::SOL_SOCKET, libc::SO_TYPE, &raw mut kind, &raw mut length)?;
    Ok(kind)
}

/// Whether a path of the program, from a folder on, is a symbolic link: readlinkat(2).
pub fn is_link(folder: c_int, path: User) -> bool {
    let mut byte = [0u8; 1];
    ask!(libc::SYS_readlinkat, folder, path.0, byte.as_mut_ptr(), 1).is_ok()
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

/// Whether a file may be executed: EACCES for a missing right or a noexec mount.
pub fn executable(file: &Fd) -> Result<()> {
    // faccessat2(2) with AT_EMPTY_PATH checks just that (5.8); before it, the permission bits by path.
    const SYS_FACCESSAT2: i64 = 439;
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    match ask!(SYS_FACCESSAT2, file.0, c"".as_ptr(), libc::X_OK, flags) {
        Err(Errno(libc::ENOSYS | libc::EPERM)) => {
            let mut path = proc_path(file.0);
            ask!(libc::SYS_faccessat, libc::AT_FDCWD, path.c_str().as_ptr(), libc::X_OK).map(|_| ())
        }
        other => other.map(|_| ()),
    }
}
