//! Where an output appears: nothing is seen of it before it is whole, and what was there stays until then.

use crate::failure::Failure;
use crate::image::Form;
use crate::image::tar_entries::shown;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Where an output goes.
pub enum Place {
    /// Standard output.
    Stdout,
    /// What is no regular file, such as a FIFO or /dev/null: written to as it stands.
    Open(File),
    /// A file that appears when it is whole.
    File(FilePlace),
    /// A directory that appears when it is whole.
    Directory(DirectoryPlace),
}

impl Place {
    /// Looks whether an output can go to a path, and gets it ready.
    pub fn find(form: Form, to: &Path, force: bool) -> Result<Place, Failure> {
        let name = shown(to);
        let fault = |what: &str| Failure::new(format!("{name} {what}"));
        let cannot = |error: io::Error| Failure::new(format!("{name} cannot be written: {error}"));
        if to.as_os_str() == "-" {
            if form == Form::OciLayout {
                return Err(Failure::new(
                    "an OCI layout is a directory, and cannot go to standard output: --to oci-archive can",
                ));
            }
            if io::stdout().is_terminal() {
                return Err(Failure::new("an image does not belong on a terminal: give -o FILE, or a pipe"));
            }
            return Ok(Place::Stdout);
        }
        // Where a symbolic link leads, not the link.
        let target = if to.exists() { to.canonicalize().map_err(cannot)? } else { to.to_path_buf() };
        let present = target.symlink_metadata().ok();
        let exists = "exists already: give another name, or --force to replace it";
        if form == Form::OciLayout {
            let replaces = match &present {
                None => false,
                Some(present) if !present.is_dir() => {
                    return Err(fault("exists and is no directory, which an OCI layout is"));
                }
                Some(_) => fs::read_dir(&target).map_err(cannot)?.next().is_some(),
            };
            if replaces && !force {
                return Err(fault(exists));
            }
            if replaces && !crate::image::Image::is_layout(&target) {
                return Err(fault("is a directory that is no OCI layout: it is not replaced"));
            }
            return DirectoryPlace::new(target, present.is_some()).map(Place::Directory).map_err(cannot);
        }
        match &present {
            Some(present) if present.is_dir() => {
                return Err(fault("is a directory, and the output is an archive: give the name of a file"));
            }
            Some(present) if !present.is_file() => {
                return File::options().write(true).open(&target).map(Place::Open).map_err(cannot);
            }
            Some(present) if present.len() > 0 && !force => return Err(fault(exists)),
            _ => {}
        }
        FilePlace::new(target, present.is_some()).map(Place::File).map_err(cannot)
    }
}

/// The folder that a path lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside the target that nothing has yet.
fn beside(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    Ok(target.with_file_name(beside))
}

/// Makes sure that names in a folder outlive a crash. Not all file systems can.
fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// A file without a name, where the file system can have one (then nothing is left even of a process that is killed);
/// else under a name of its own.
pub struct FilePlace {
    target: PathBuf,
    replaces: bool,
    file: File,
    /// Removed unless the file appears.
    temporary: Option<PathBuf>,
}

impl FilePlace {
    fn new(target: PathBuf, replaces: bool) -> io::Result<FilePlace> {
        beside(&target)?;
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let nameless = rustix::fs::open(folder(&target), flags, Mode::from_raw_mode(0o666));
        if let (Ok(file), true) = (nameless, Path::new("/proc/self/fd").exists()) {
            return Ok(FilePlace { target, replaces, file: File::from(file), temporary: None });
        }
        let temporary = beside(&target)?;
        let file = File::create_new(&temporary)?;
        Ok(FilePlace { target, replaces, file, temporary: Some(temporary) })
    }

    /// What is to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name.
    pub fn appear(mut self) -> Result<(), Failure> {
        let cannot =
            |error: io::Error| Failure::new(format!("{} cannot be written: {error}", shown(&self.target)));
        self.file.sync_all().map_err(cannot)?;
        if self.temporary.is_none() {
            // A link cannot replace a file: one that is there is replaced by a rename.
            let link =
                if self.replaces { beside(&self.target).map_err(cannot)? } else { self.target.clone() };
            let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, nameless, CWD, &link, AtFlags::SYMLINK_FOLLOW)
                .map_err(|error| cannot(error.into()))?;
            self.temporary = self.replaces.then_some(link);
        }
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.target).map_err(cannot)?;
        }
        self.temporary = None;
        sync(folder(&self.target));
        Ok(())
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        // What is half written is of no use to anybody.
        self.temporary.iter().for_each(|temporary| drop(fs::remove_file(temporary)));
    }
}

/// A directory beside the target, that takes its name.
pub struct DirectoryPlace {
    target: PathBuf,
    replaces: bool,
    temporary: PathBuf,
    appeared: bool,
}

impl DirectoryPlace {
    fn new(target: PathBuf, replaces: bool) -> io::Result<DirectoryPlace> {
        let temporary = beside(&target)?;
        fs::create_dir(&temporary)?;
        Ok(DirectoryPlace { target, replaces, temporary, appeared: false })
    }

    /// What is to be filled.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the directory its name. What had the name goes after that.
    pub fn appear(mut self) -> Result<(), Failure> {
        let cannot =
            |error: io::Error| Failure::new(format!("{} cannot be written: {error}", shown(&self.target)));
        sync(&self.temporary);
        if self.replaces && fs::remove_dir(&self.target).is_err() {
            rustix::fs::renameat_with(CWD, &self.temporary, CWD, &self.target, RenameFlags::EXCHANGE)
                .map_err(|error| cannot(error.into()))?;
            // The old one has the other name now: it is removed when this is dropped.
        } else {
            fs::rename(&self.temporary, &self.target).map_err(cannot)?;
            self.appeared = true;
        }
        sync(folder(&self.target));
        Ok(())
    }
}

impl Drop for DirectoryPlace {
    fn drop(&mut self) {
        if !self.appeared {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
