//! The root of a container, whose files may be made to mislead: every path is resolved by openat2 within it.

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How often a resolution that another process disturbed (EAGAIN) is tried again.
const TRIES: usize = 16;

/// No symbolic link, no leaving of the root, and no other mount: what is made there lies in the container's own files
/// and not in a volume.
const OWN: ResolveFlags = ResolveFlags::IN_ROOT
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Symbolic links as the container sees them.
const SEEN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A container's root.
pub struct Root {
    folder: OwnedFd,
}

/// A path by which this process reaches what a descriptor is open on, whatever stands at its name by now.
pub fn by_descriptor(descriptor: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()))
}

impl Root {
    /// Opens a root by its path on the host, which the engine gave. The host's own root is refused: a container that
    /// has it (`--rootfs /`) would have the host's files changed.
    pub fn open(path: &Path) -> Result<Root, String> {
        let cannot = |error: Errno| format!("its root {} cannot be opened: {error}", path.display());
        let folder = fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(cannot)?;
        let (this, host) = (fs::fstat(&folder).map_err(cannot)?, fs::stat("/").map_err(cannot)?);
        if (this.st_dev, this.st_ino) == (host.st_dev, host.st_ino) {
            return Err("its root is the host's own".into());
        }
        Ok(Root { folder })
    }

    /// The folder itself.
    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Opens what the container would find at a path, to look at it.
    pub fn seen(&self, path: &str) -> Result<OwnedFd, Errno> {
        open(&self.folder, path, OFlags::PATH, Mode::empty(), SEEN)
    }

    /// Opens what stands at a path in the container's own files, not behind a symbolic link or in a volume.
    pub fn own(&self, path: &str) -> Result<OwnedFd, Errno> {
        open(&self.folder, path, OFlags::PATH, Mode::empty(), OWN)
    }

    /// The same, also if it is a mount.
    pub fn own_or_mount(&self, path: &str) -> Result<OwnedFd, Errno> {
        open(&self.folder, path, OFlags::PATH, Mode::empty(), OWN.difference(ResolveFlags::NO_XDEV))
    }

    /// Whether nothing stands at a path whose folder is the container's own, but perhaps the empty file that was the
    /// mount point of an earlier start.
    pub fn lacks(&self, path: &str) -> bool {
        match self.own(path) {
            Ok(file) => fs::fstat(&file).is_ok_and(|stat| {
                FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
            }),
            Err(error) => error == Errno::NOENT,
        }
    }
}

/// Opens a name within an opened folder of the container's own.
pub fn own_within(folder: impl AsFd, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    open(folder, name, flags, mode, OWN)
}

fn open(from: impl AsFd, path: &str, flags: OFlags, mode: Mode, how: ResolveFlags) -> Result<OwnedFd, Errno> {
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match fs::openat2(&from, path, flags | OFlags::CLOEXEC, mode, how) {
            Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
            other => return other,
        }
    }
    Err(last)
}

/// What kind of file a descriptor is open on.
pub fn kind_of(descriptor: impl AsFd) -> Result<FileType, Errno> {
    fs::fstat(descriptor).map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// Entries of a folder that is taken for one of mount points.
const MOST_MOUNT_POINTS: usize = 16;

/// Folders within one another there: `lib/x86_64-linux-gnu` is two.
const DEEPEST_MOUNT_POINT: usize = 2;

/// Whether an opened folder holds nothing but mount points of an earlier start: empty files of this name, in folders.
pub fn has_only_mount_points(folder: impl AsFd, name: &str) -> Result<bool, Errno> {
    only_mount_points(folder.as_fd(), name, DEEPEST_MOUNT_POINT)
}

fn only_mount_points(folder: BorrowedFd<'_>, name: &str, deeper: usize) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let reading = fs::openat(folder, ".", flags, Mode::empty())?;
    for (count, entry) in Dir::new(reading)?.enumerate() {
        let entry = entry?;
        let Ok(found) = entry.file_name().to_str() else { return Ok(false) };
        if matches!(found, "." | "..") {
            continue;
        }
        let inside = match own_within(folder, found, OFlags::PATH, Mode::empty()) {
            Ok(inside) => inside,
            // Somebody has mounted something there.
            Err(Errno::XDEV) => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_one = match (kind_of(&inside)?, deeper.checked_sub(1)) {
            (FileType::RegularFile, _) => found == name && fs::fstat(&inside)?.st_size == 0,
            (FileType::Directory, Some(deeper)) => only_mount_points(inside.as_fd(), name, deeper)?,
            _ => false,
        };
        if !is_one || count > MOST_MOUNT_POINTS {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a regular file that was opened to look at: nothing else is ever opened for reading, since a FIFO would block
/// and a device may act on it.
pub fn read(file: impl AsFd, at_most: u64) -> Result<Vec<u8>, String> {
    if kind_of(&file).map_err(|error| error.to_string())? != FileType::RegularFile {
        return Err("it is no regular file".into());
    }
    let mut bytes = Vec::new();
    let open = File::open(by_descriptor(&file)).map_err(|error| error.to_string())?;
    open.take(at_most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > at_most) {
        return Err(format!("it is longer than {at_most} bytes"));
    }
    Ok(bytes)
}

/// Removes what this process made within an opened folder.
pub fn remove_within(folder: impl AsFd, name: &str, is_folder: bool) {
    let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    // Nothing is left to be done if it fails: an empty file or folder stays.
    let _ = fs::unlinkat(folder, name, flags);
}
