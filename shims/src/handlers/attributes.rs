//! Attributes by path and flags: the `getxattrat(2)` family, `file_getattr(2)`, `file_setattr(2)`.

use super::descriptor_paths::{PAGE, call_object, failed, growing_struct, names_itself_or_null, object};
use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Fd, Result, User};

const EINVAL: isize = failed(libc::EINVAL);

/// `struct xattr_args` (linux/xattr.h): value, and size and flags in one word.
type XattrArgs = [u64; 2];

/// The older calls of one kind: by path, by the path of a link itself, by descriptor.
type Older = [i64; 3];

/// `setxattrat` by setxattr(2) and its sisters (fs/xattr.c). EINVAL, E2BIG, EFAULT, ERANGE (name), ENOSYS
/// without /proc for a path below a folder's descriptor, and the errors of setxattr(2).
pub fn setxattrat(call: &mut Call<'_>) -> isize {
    became(call);
    let args = match xattr_args(call) {
        Ok(args) => args,
        Err(error) => return sys::result(Err(error)),
    };
    let (size, flags) = (args[1] as u32 as usize, (args[1] >> 32) as usize);
    let name = call.arg(3);
    if bad_flags(call.int(2)) || flags & !3 != 0 {
        return EINVAL;
    }
    if let Err(error) = check_name(User(name)) {
        return sys::result(Err(error));
    }
    if size > 65536 {
        return failed(libc::E2BIG);
    }
    let older = [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr];
    let result = on_file(call, older, [name, args[0] as usize, size, flags, 0]);
    // The kernel reads the value before it looks at the path: EFAULT goes before the errors of that.
    if result < 0 && result != failed(libc::EFAULT) && !is_readable(User(args[0] as usize), size) {
        return failed(libc::EFAULT);
    }
    result
}

/// `getxattrat` by getxattr(2) and its sisters: the size of the value. Errors as above, and ENODATA, ERANGE.
pub fn getxattrat(call: &mut Call<'_>) -> isize {
    became(call);
    let args = match xattr_args(call) {
        Ok(args) => args,
        Err(error) => return sys::result(Err(error)),
    };
    let name = call.arg(3);
    if args[1] >> 32 != 0 || bad_flags(call.int(2)) {
        return EINVAL;
    }
    if let Err(error) = check_name(User(name)) {
        return sys::result(Err(error));
    }
    let older = [libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr];
    on_file(call, older, [name, args[0] as usize, args[1] as u32 as usize, 0, 0])
}

/// `listxattrat` by listxattr(2) and its sisters: the size of the list. Errors as above, and ERANGE.
pub fn listxattrat(call: &mut Call<'_>) -> isize {
    became(call);
    if bad_flags(call.int(2)) {
        return EINVAL;
    }
    let older = [libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr];
    on_file(call, older, [call.arg(3), call.arg(4), 0, 0, 0])
}

/// `removexattrat` by removexattr(2) and its sisters. Errors as above, and ENODATA.
pub fn removexattrat(call: &mut Call<'_>) -> isize {
    became(call);
    if bad_flags(call.int(2)) {
        return EINVAL;
    }
    if let Err(error) = check_name(call.user(3)) {
        return sys::result(Err(error));
    }
    let older = [libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr];
    on_file(call, older, [call.arg(3), 0, 0, 0, 0])
}

fn became(call: &mut Call<'_>) {
    call.became(|text| {
        text.push(b"the call without at, by path, descriptor or /proc/self/fd");
    });
}

fn bad_flags(flags: i32) -> bool {
    flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0
}

fn xattr_args(call: &Call<'_>) -> Result<XattrArgs> {
    let size = call.arg(5);
    if size < size_of::<XattrArgs>() {
        return Err(Errno(libc::EINVAL));
    }
    if size > PAGE {
        return Err(Errno(libc::E2BIG));
    }
    growing_struct(call.user(4), size)
}

/// import_xattr_name: the kernel looks at the name before the path.
fn check_name(name: User) -> Result<()> {
    let mut buffer = [0u8; 256];
    match memory::read_string(name, &mut buffer)? {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(Errno(libc::ERANGE)),
    }
}

fn is_readable(from: User, size: usize) -> bool {
    let mut piece = [0u8; 256];
    (0..size).step_by(piece.len()).all(|at| {
        let length = (size - at).min(piece.len());
        piece.get_mut(..length).is_some_and(|piece| memory::read(from.at(at), piece).is_ok())
    })
}

/// Carries a call out by an older one: straight by the path where that needs no folder, else by an O_PATH
/// descriptor, so that no other file can come in between.
fn on_file(call: &Call<'_>, [by_path, by_link, by_descriptor]: Older, rest: [usize; 5]) -> isize {
    let (folder, path, flags) = (call.int(0), call.user(1), call.int(2));
    let [a, b, c, d, e] = rest;
    match names_itself_or_null(path, flags) {
        Ok(true) if folder >= 0 => return sys::call(by_descriptor, [folder as usize, a, b, c, d, e]),
        Ok(true) if folder == libc::AT_FDCWD => return sys::call_path(by_path, c".", rest),
        Ok(true) => return failed(libc::EBADF),
        Ok(false) => {}
        Err(error) => return sys::result(Err(error)),
    }
    let first = match memory::get::<u8>(path) {
        Ok(first) => first,
        Err(error) => return sys::result(Err(error)),
    };
    if folder == libc::AT_FDCWD || first == b'/' {
        let number = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { by_link } else { by_path };
        return sys::call(number, [path.0, a, b, c, d, e]);
    }
    match object(folder, path, flags) {
        Ok(object) => call_object(by_path, object.0, rest),
        Err(error) => sys::result(Err(error)),
    }
}

/// `struct file_attr` (linux/fs.h) as 32-bit words: xflags (64 bit), extsize, nextents, projid, cowextsize.
type FileAttr = [u32; 6];

/// Flags that file_setattr knows (FS_XFLAGS_MASK of 6.18), and those of them that only the kernel sets.
const XFLAGS: u32 = 0x8001_fffb;
const XFLAGS_READ_ONLY: u32 = 0x8000_0002;

/// `file_getattr` by ioctl(FS_IOC_FSGETXATTR) (fs/file_attr.c) on a regular file or folder, which has to be
/// opened for reading. EINVAL, E2BIG, EFAULT, EBADF, EOPNOTSUPP for other files and where the file system has
/// no such attributes, and the errors of open(2).
pub fn file_getattr(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"ioctl(FS_IOC_FSGETXATTR)");
    });
    sys::result(get_attributes(call))
}

/// `file_setattr` by ioctl(FS_IOC_FSSETXATTR), as above; also EPERM and EROFS.
pub fn file_setattr(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"ioctl(FS_IOC_FSSETXATTR)");
    });
    sys::result(set_attributes(call))
}

fn get_attributes(call: &Call<'_>) -> Result<usize> {
    check_size(call)?;
    let [xflags, extsize, nextents, projid, cowextsize, ..] =
        on_opened(call, |fd| sys::fsxattr(fd).map_err(not_supported))?;
    let attributes: FileAttr = [xflags, 0, extsize, nextents, projid, cowextsize];
    memory::put(call.user(2), attributes)?;
    // What a newer caller has room for beyond is zero.
    let size = call.arg(3);
    let zeros = [0u8; 64];
    let mut at = size_of::<FileAttr>();
    while let Some(part) =
        zeros.get(..size.saturating_sub(at).min(zeros.len())).filter(|part| !part.is_empty())
    {
        memory::write(call.user(2).at(at), part)?;
        at += part.len();
    }
    Ok(0)
}

fn set_attributes(call: &Call<'_>) -> Result<usize> {
    check_size(call)?;
    let [xflags, high, extsize, _, projid, cowextsize]: FileAttr = growing_struct(call.user(2), call.arg(3))?;
    if xflags & !XFLAGS != 0 || high != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let attributes = [xflags & !XFLAGS_READ_ONLY, extsize, 0, projid, cowextsize, 0, 0];
    on_opened(call, |fd| sys::set_fsxattr(fd, &attributes).map_err(not_supported))
}

fn check_size(call: &Call<'_>) -> Result<()> {
    let size = call.arg(3);
    if bad_flags(call.int(4)) {
        return Err(Errno(libc::EINVAL));
    }
    if size > PAGE {
        return Err(Errno(libc::E2BIG));
    }
    if size < size_of::<FileAttr>() { Err(Errno(libc::EINVAL)) } else { Ok(()) }
}

fn not_supported(error: Errno) -> Errno {
    if error == Errno(libc::ENOTTY) { Errno(libc::EOPNOTSUPP) } else { error }
}

/// Does something with the file opened, if it is one that can be opened without harm.
fn on_opened<T>(call: &Call<'_>, then: impl FnOnce(i32) -> Result<T>) -> Result<T> {
    let (folder, path, flags) = (call.int(0), call.user(1), call.int(4));
    let harmless = |fd: i32| {
        let kind = sys::stat_itself(fd)?.st_mode & libc::S_IFMT;
        if matches!(kind, libc::S_IFREG | libc::S_IFDIR) { Ok(()) } else { Err(Errno(libc::EOPNOTSUPP)) }
    };
    if names_itself_or_null(path, flags)? && folder != libc::AT_FDCWD {
        sys::file_flags(folder)?;
        harmless(folder)?;
        return then(folder);
    }
    let object: Fd = if names_itself_or_null(path, flags)? {
        sys::open(c".", libc::O_PATH, 0)?
    } else {
        object(folder, path, flags)?
    };
    harmless(object.0)?;
    let opened =
        sys::open(sys::proc_path(object.0).c_str(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0);
    match opened {
        Ok(file) => then(file.0),
        Err(Errno(libc::ENOENT)) => Err(Errno(libc::ENOSYS)),
        Err(error) => Err(error),
    }
}
