//! File system types: `sysfs(2)`, from /proc/filesystems, which lists them in the kernel's own order.

use crate::dispatch::Call;
use crate::files::Lines;
use crate::memory;
use crate::sys::{self, Errno, Result, User};
use crate::text::Text;

/// `sysfs`: 1 a type's index by name, 2 its name by index, 3 how many there are (fs/filesystems.c).
/// EINVAL, EFAULT, ENOENT (empty name), ENAMETOOLONG.
pub fn sysfs(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"read /proc/filesystems");
    });
    sys::result(match call.int(0) {
        1 => index_of(call.user(1)),
        2 => name_of(call.arg(1) as u32, call.user(2)),
        3 => count(),
        _ => Err(Errno(libc::EINVAL)),
    })
}

fn index_of(name: User) -> Result<usize> {
    let mut buffer = [0u8; 64];
    let name = memory::read_path(name, &mut buffer)?;
    let mut index = 0;
    let mut types = list()?;
    while let Some(line) = types.next()? {
        if Some(type_name(line)) == name {
            return Ok(index);
        }
        index += 1;
    }
    Err(Errno(libc::EINVAL))
}

fn name_of(index: u32, buffer: User) -> Result<usize> {
    let mut left = index;
    let mut types = list()?;
    while let Some(line) = types.next()? {
        if left == 0 {
            let mut name = Text::<64>::new();
            name.push(type_name(line));
            return memory::write(buffer, name.c_str().to_bytes_with_nul()).map(|()| 0);
        }
        left -= 1;
    }
    Err(Errno(libc::EINVAL))
}

fn count() -> Result<usize> {
    let mut count = 0;
    let mut types = list()?;
    while types.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// The kernel's list; ENOSYS where /proc is not mounted, as from a kernel without the call.
fn list() -> Result<Lines> {
    Lines::open(c"/proc/filesystems").map_err(|_| Errno(libc::ENOSYS))
}

/// `nodev\tproc` and `\text4`: the name stands behind the tab.
fn type_name(line: &[u8]) -> &[u8] {
    line.rsplit(|&b| b == b'\t').next().unwrap_or(line)
}
