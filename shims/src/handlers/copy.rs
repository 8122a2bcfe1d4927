//! Copying between files: `copy_file_range(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// Words of the buffer that the data pass through: 64 KiB.
const BUFFER: usize = 8192;

/// Most bytes that one call moves (MAX_RW_COUNT).
const MOST: u64 = 0x7fff_f000;

/// One side of the copy.
struct Side {
    fd: i32,
    /// Where the program keeps the offset; NULL for the file's own position.
    at: User,
    start: i64,
    stat: libc::stat,
}

impl Side {
    fn is(&self, kind: u32) -> bool {
        self.stat.st_mode & libc::S_IFMT == kind
    }

    fn is_same_file(&self, other: &Side) -> bool {
        (self.stat.st_dev, self.stat.st_ino) == (other.stat.st_dev, other.stat.st_ino)
    }

    /// The offset after the copy, to where the one before came from.
    fn advance(&self, copied: u64) -> Result<()> {
        let end = self.start.wrapping_add(copied as i64);
        if !self.at.is_null() {
            return memory::put(self.at, end);
        }
        let seek = [self.fd as usize, end as usize, libc::SEEK_SET as usize, 0, 0, 0];
        let _ = sys::call(libc::SYS_lseek, seek);
        Ok(())
    }
}

/// `copy_file_range`: offsets and length in bytes. EBADF, EFAULT, EINVAL, EISDIR, EXDEV, EOVERFLOW, EFBIG,
/// and what pread(2) and pwrite(2) answer, in the order of fs/read_write.c. As in the kernel, another
/// thread that moves a file's position meanwhile loses its move. Cut short where an error follows some
/// bytes. No cancellation point, as in libc.
pub fn copy_file_range(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"pread64 and pwrite64");
    });
    match call.answer {
        None => sys::result(copy(call)),
        // The end of the file, or a file whose size the kernel takes for 0.
        Some(answer) => match copy_unsized(call) {
            Ok(0) | Err(None) => call.decline(answer),
            Ok(copied) => copied as isize,
            Err(Some(error)) => sys::result(Err(error)),
        },
    }
}

/// After the kernel has copied nothing: what can be read all the same (files of /proc have no size; kernels 5.3
/// to 5.18). The kernel has checked all arguments. An error without a number: there is nothing to copy.
fn copy_unsized(call: &Call<'_>) -> core::result::Result<usize, Option<Errno>> {
    let input = side(call.int(0), call.user(1)).map_err(|_| None)?;
    let output = side(call.int(2), call.user(3)).map_err(|_| None)?;
    if input.is_same_file(&output) || !input.is(libc::S_IFREG) || !output.is(libc::S_IFREG) {
        return Err(None);
    }
    let mut byte = [0u8; 1];
    let wanted = (call.arg(4) as u64).min(MOST);
    if wanted == 0 || sys::pread(input.fd, &mut byte, input.start as u64) != Ok(1) {
        return Err(None);
    }
    let length = within_limits(output.start, wanted as i64).map_err(Some)?;
    move_bytes(&input, &output, length as u64).map_err(Some)
}

fn copy(call: &Call<'_>) -> Result<usize> {
    let (input, output) = (call.int(0), call.int(2));
    let flags_in = sys::file_flags(input)?;
    let flags_out = sys::file_flags(output)?;
    let input = side(input, call.user(1))?;
    let output = side(output, call.user(3))?;
    if call.arg(5) as u32 != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let length = allowed(&input, flags_in, &output, flags_out, call.arg(4) as u64)?;
    if length == 0 {
        return Ok(0);
    }
    move_bytes(&input, &output, length)
}

/// Copies, and moves both positions on.
fn move_bytes(input: &Side, output: &Side, length: u64) -> Result<usize> {
    let moved = sys::with_words(BUFFER, |buffer| {
        sys::result(transfer(input, output, length, memory::bytes_of_words(buffer)))
    });
    let moved = sys::check(moved.ok_or(Errno(libc::ENOMEM))?)?;
    if moved > 0 {
        // Both offsets are told, though the first cannot be.
        let first = input.advance(moved as u64);
        output.advance(moved as u64).and(first)?;
    }
    Ok(moved)
}

fn side(fd: i32, at: User) -> Result<Side> {
    let start = if at.is_null() {
        // A pipe has no position; the checks refuse it.
        let position = [fd as usize, 0, libc::SEEK_CUR as usize, 0, 0, 0];
        sys::check(sys::call(libc::SYS_lseek, position)).map_or(0, |at| at as i64)
    } else {
        memory::get(at)?
    };
    Ok(Side { fd, at, start, stat: sys::fstat(fd)? })
}

/// How many bytes may be copied (generic_copy_file_checks and rw_verify_area).
fn allowed(input: &Side, flags_in: i32, output: &Side, flags_out: i32, length: u64) -> Result<u64> {
    if input.is(libc::S_IFDIR) || output.is(libc::S_IFDIR) {
        return Err(Errno(libc::EISDIR));
    }
    if !input.is(libc::S_IFREG) || !output.is(libc::S_IFREG) {
        return Err(Errno(libc::EINVAL));
    }
    let reads = matches!(flags_in & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR);
    let writes = matches!(flags_out & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR);
    if !reads || !writes || flags_out & libc::O_APPEND != 0 {
        return Err(Errno(libc::EBADF));
    }
    // Before 5.3 and since 5.19; callers know.
    if input.stat.st_dev != output.stat.st_dev {
        return Err(Errno(libc::EXDEV));
    }
    let (from, to) = (input.start, output.start);
    if (from as u64).checked_add(length).is_none() || (to as u64).checked_add(length).is_none() {
        return Err(Errno(libc::EOVERFLOW));
    }
    let size = input.stat.st_size;
    let count = if from >= size { 0 } else { length.min((size as u64).wrapping_sub(from as u64)) };
    let count = within_limits(to, count as i64)?;
    // In the kernel's unsigned arithmetic; a negative offset is EINVAL below in any case.
    let ends = |start: i64| (start as u64).wrapping_add(count as u64) as i64;
    if input.is_same_file(output) && ends(to) > from && to < ends(from) {
        return Err(Errno(libc::EINVAL));
    }
    if count < 0 || from < 0 || to < 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok((count as u64).min(MOST))
}

/// RLIMIT_FSIZE and the largest offset (generic_write_check_limits): EFBIG, with SIGXFSZ for the limit.
fn within_limits(to: i64, count: i64) -> Result<i64> {
    let mut count = count;
    let limit = sys::prlimit(libc::RLIMIT_FSIZE, None)?.rlim_cur;
    if limit != libc::RLIM_INFINITY {
        if to >= limit as i64 {
            sys::raise(libc::SIGXFSZ);
            return Err(Errno(libc::EFBIG));
        }
        count = count.min((limit as i64).wrapping_sub(to));
    }
    if to == i64::MAX {
        return Err(Errno(libc::EFBIG));
    }
    Ok(count.min(i64::MAX.wrapping_sub(to)))
}

/// Moves the bytes. An error counts only where nothing was moved before.
fn transfer(input: &Side, output: &Side, length: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0u64;
    while done < length {
        let part = (length - done).min(buffer.len() as u64) as usize;
        let Some(room) = buffer.get_mut(..part) else { break };
        let got = match sys::pread(input.fd, room, (input.start as u64).wrapping_add(done)) {
            Ok(got) => got,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        let Some(bytes) = buffer.get(..got).filter(|bytes| !bytes.is_empty()) else { break };
        match sys::pwrite(output.fd, bytes, (output.start as u64).wrapping_add(done)) {
            Ok(put) => {
                done += put as u64;
                if put < got {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done as usize)
}
