//! The stage `createContainer`: in the container's mount namespace, before its root becomes `/`. The environment cannot
//! be changed any more, so the library is loaded by a merged /etc/ld.so.preload, which glibc alone reads. It reaches
//! every process of the container: `exec` sessions, and what empties its environment.
//!
//! A file system in memory, read-only once it is filled, is mounted on [`HOME`]: in it the library, bound from the host,
//! and the merged file, bound from there onto /etc/ld.so.preload. What the image lacks of these two is made in the
//! container's own files as a mount point: an empty folder and an empty file, which stay if the container is committed.

use super::chosen::Asked;
use super::image::Held;
use super::mounts::{self, Made};
use super::options::HookOptions;
use super::root::{self, Root, has_only_mount_points, kind_of, own_within};
use super::{LONGEST_DOCUMENT, Outcome, command, document};
use crate::libraries::{self, HOME, Thing};
use crate::library::{self, Library, has_evercall};
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

const PRELOAD: &str = "ld.so.preload";

/// Bytes of a /etc/ld.so.preload that is taken for one.
const LONGEST_PRELOAD: u64 = 64 << 10;

/// Mounts the library into the container of this state.
pub fn mount(state: &Value, options: &HookOptions) -> Result<Outcome<()>, String> {
    if !cfg!(target_feature = "crt-static") && !cfg!(debug_assertions) {
        return Err("this evercall is not static: in a hook, which may get the container's environment, it would load \
                    what the container's LD_PRELOAD names. Use the static one (make command)"
            .into());
    }
    let bundle = state.get("bundle").and_then(Value::as_str).ok_or("the state names no bundle")?;
    let bundle = Path::new(bundle);
    let path = bundle.join("config.json");
    let config = read(&path).and_then(|bytes| document(&bytes, &path.display().to_string()))?;
    // The state's annotations are those of the config; runtimes before 1.0.2 of the specification leave them out.
    let annotations =
        state.get("annotations").filter(|map| !map.is_null()).or_else(|| config.get("annotations"));
    let asked = Asked { annotations, command: command(&config) };
    if let Some(why) = asked.is_left(options.all, &options.deny)? {
        return Ok(Outcome::Left(why));
    }
    let library =
        Library::find_without_environment(options.lib.as_deref()).map_err(|error| error.to_string())?;
    let path =
        config.pointer("/root/path").and_then(Value::as_str).ok_or("config.json names no root.path")?;
    let root = Root::open(&bundle.join(path))?;
    let held = Held::look(&root, &library);
    if !held.glibc {
        return Err(match held.other {
            Some(name) => {
                format!(
                    "its C library, {name}, does not read /etc/{PRELOAD}: use the stage precreate, or the layer"
                )
            }
            None => format!(
                "it holds no glibc loader for {}: nothing there reads /etc/{PRELOAD}",
                library.architecture
            ),
        });
    }
    let before = match lines(&root)? {
        Some(before) if has_evercall(&without_comments(&before)) => {
            return Ok(Outcome::Left(format!("its /etc/{PRELOAD} has evercall already")));
        }
        before => before,
    };
    let label = config.pointer("/linux/mountLabel").and_then(Value::as_str).filter(|label| !label.is_empty());
    let mut made = Made::default();
    let done = Job { root: &root, held: &held, library: &library, options }.mount(before, label, &mut made);
    match done {
        Ok(None) => {
            let musl =
                held.other.map(|name| format!("; its {name} programs are not reached")).unwrap_or_default();
            Ok(Outcome::Done((), format!("by /etc/{PRELOAD}{musl}")))
        }
        Ok(Some(why)) => Ok(Outcome::Left(why)),
        Err(Trouble::Doubt(why)) => {
            made.take_back();
            Err(why)
        }
        Err(Trouble::Harm(why)) => Ok(Outcome::Harmed(why)),
    }
}

/// Why a container does not have the library.
enum Trouble {
    /// It can be left as it was.
    Doubt(String),
    /// It cannot.
    Harm(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Doubt(why)
    }
}

struct Job<'a> {
    root: &'a Root,
    held: &'a Held,
    library: &'a Library,
    options: &'a HookOptions,
}

/// What is mounted on.
struct Places {
    home: OwnedFd,
    file: OwnedFd,
    /// The settings, and their place.
    conf: Option<(OwnedFd, OwnedFd)>,
}

impl Job<'_> {
    /// Mounts all of it, or says why the container is to be left.
    fn mount(
        &self,
        before: Option<Vec<u8>>,
        label: Option<&str>,
        made: &mut Made,
    ) -> Result<Option<String>, Trouble> {
        let cannot = |what: &str| {
            let what = what.to_owned();
            move |error: Errno| format!("{what}: {error}")
        };
        let host = self.library.path.display();
        let shim = mounts::clone_of_path(&self.library.path)
            .map_err(cannot(&format!("{host} cannot be mounted a second time")))?;
        if !mounts::allows_programs(&shim).map_err(cannot(&format!("{host} cannot be looked at")))? {
            return Err(format!("{host} lies on a file system mounted noexec").into());
        }
        let memory = mounts::memory(label).map_err(cannot("no file system can be made in memory"))?;
        self.fill(&memory, before.unwrap_or_default())?;

        let places = mounts::while_writable(self.root.folder(), || self.places(made))
            .map_err(|error| Trouble::Harm(format!("its root cannot be made read-only again: {error}")))?;
        let Some(Places { home, file, conf }) = places? else {
            return Ok(Some(format!("it has {HOME} already")));
        };
        let inside = memory.try_clone().map_err(|error| format!("no more files can be opened: {error}"))?;
        made.attach(memory, &home).map_err(cannot(&format!("{HOME} cannot be mounted")))?;
        let found = |path: &str| {
            own_within(&inside, path, OFlags::PATH, Mode::empty())
                .map_err(cannot(&format!("{HOME}/{path} is gone")))
        };
        made.attach_read_only(shim, found(library::NAME)?)
            .map_err(cannot(&format!("{host} cannot be mounted read-only")))?;
        mounts::make_read_only(&inside).map_err(cannot(&format!("{HOME} cannot be made read-only")))?;
        if let Some((mount, place)) = conf {
            made.attach_read_only(mount, place).map_err(cannot("/etc/evercall.conf cannot be mounted"))?;
        }
        // Last: from now on every program looks for the library.
        let merged =
            mounts::clone_of(found(PRELOAD)?).map_err(cannot("the merged file cannot be mounted twice"))?;
        made.attach_read_only(merged, file).map_err(cannot(&format!("/etc/{PRELOAD} cannot be mounted")))?;
        Ok(None)
    }

    /// Finds or makes what is mounted on. None if the image brings evercall itself.
    fn places(&self, made: &mut Made) -> Result<Option<Places>, String> {
        let Some(home) = self.home(made)? else { return Ok(None) };
        let file = self.place("etc", PRELOAD, made)?;
        let conf = self.options.conf.as_deref().map(|conf| self.conf(conf, made)).transpose()?.flatten();
        Ok(Some(Places { home, file, conf }))
    }

    /// Writes what the file system in memory holds: the merged file, and the folder of libraries, in which the shim is
    /// a mount point.
    fn fill(&self, memory: &OwnedFd, before: Vec<u8>) -> Result<(), String> {
        let cannot = |error: &dyn std::fmt::Display| format!("{HOME} cannot be filled: {error}");
        let mut merged = format!("{}\n", self.held.preload()).into_bytes();
        merged.extend(before);
        write(memory, PRELOAD, 0o644, &merged).map_err(|error| cannot(&error))?;
        for (path, mut thing) in libraries::folder(&[]) {
            if self.held.is_lib() && path.strip_prefix("lib/") == Some(library::NAME) {
                thing = Thing::Link(format!("../{}", library::NAME));
            }
            make_folders(memory, &path).map_err(|error| cannot(&error))?;
            match thing {
                Thing::File(bytes, mode) => {
                    write(memory, &path, mode, &bytes).map_err(|error| cannot(&error))
                }
                Thing::Link(target) => {
                    fs::symlinkat(target, memory, path.as_str()).map_err(|error| cannot(&error))
                }
            }?;
        }
        Ok(())
    }

    /// The folder that is mounted on: an empty one of the image, or one made now. None if the image brings its own.
    fn home(&self, made: &mut Made) -> Result<Option<OwnedFd>, String> {
        let doubt = |error: Errno| format!("its {HOME} is not to be trusted: {error}");
        let above = self.root.own("usr/lib").map_err(doubt)?;
        let name = "evercall";
        let flags = OFlags::PATH;
        match own_within(&above, name, flags, Mode::empty()) {
            Ok(home) => match kind_of(&home).map_err(doubt)? {
                FileType::Directory => {
                    Ok(has_only_mount_points(&home, library::NAME).map_err(doubt)?.then_some(home))
                }
                _ => Err(format!("its {HOME} is no folder")),
            },
            Err(Errno::NOENT) => {
                fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))
                    .map_err(|error| format!("{HOME} cannot be made in it: {error}"))?;
                let home = own_within(&above, name, flags | OFlags::DIRECTORY, Mode::empty()).map_err(doubt);
                made.remember(above, name, true);
                home.map(Some)
            }
            Err(error) => Err(doubt(error)),
        }
    }

    /// A file that is mounted on: the image's, or an empty one made now.
    fn place(&self, folder: &str, name: &str, made: &mut Made) -> Result<OwnedFd, String> {
        let path = join(folder, name);
        let doubt = |error: Errno| format!("its /{path} is not to be trusted: {error}");
        match self.root.own_or_mount(&path) {
            Ok(file) => match kind_of(&file).map_err(doubt)? {
                FileType::RegularFile => Ok(file),
                _ => Err(format!("its /{path} is no regular file")),
            },
            Err(Errno::NOENT) => {
                let above = self.root.own(folder).map_err(|error| match error {
                    Errno::XDEV => format!("its /{folder} is a mount, in which no mount point is made"),
                    error => doubt(error),
                })?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let writing = own_within(&above, name, flags, Mode::from_raw_mode(0o644))
                    .map_err(|error| format!("/{path} cannot be made in it: {error}"))?;
                // Opened for writing it would keep the root from becoming read-only again.
                let file = fs::fchmod(&writing, Mode::from_raw_mode(0o644))
                    .and_then(|()| own_within(&above, name, OFlags::PATH, Mode::empty()))
                    .map_err(doubt);
                made.remember(above, name, false);
                file
            }
            Err(error) => Err(doubt(error)),
        }
    }

    /// The settings and their place, unless the image has its own.
    fn conf(&self, conf: &Path, made: &mut Made) -> Result<Option<(OwnedFd, OwnedFd)>, String> {
        if !self.root.lacks("etc/evercall.conf") {
            return Ok(None);
        }
        if !conf.is_file() {
            return Err(format!("{} (--conf) is no file", conf.display()));
        }
        let mount = mounts::clone_of_path(conf)
            .map_err(|error| format!("{} cannot be mounted a second time: {error}", conf.display()))?;
        Ok(Some((mount, self.place("etc", "evercall.conf", made)?)))
    }
}

/// The image's own /etc/ld.so.preload, if there is one.
fn lines(root: &Root) -> Result<Option<Vec<u8>>, String> {
    let path = format!("etc/{PRELOAD}");
    match root.own_or_mount(&path) {
        Ok(file) => {
            let bytes = root::read(&file, LONGEST_PRELOAD).map_err(|why| format!("its /{path}: {why}"))?;
            if bytes.contains(&0) { Err(format!("its /{path} is no text")) } else { Ok(Some(bytes)) }
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(format!("a symbolic link leads to its /{path}")),
        Err(error) => Err(format!("its /{path} is not to be trusted: {error}")),
    }
}

/// As ld.so reads the file: from # to the end of a line is a comment.
fn without_comments(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n');
    lines
        .flat_map(|line| line.split(|&byte| byte == b'#').next().unwrap_or_default().iter().chain(b"\n"))
        .copied()
        .collect()
}

/// Reads a file of the engine's or the host's.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(LONGEST_DOCUMENT).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

/// Makes the folders above a path of the file system in memory, whatever the umask is.
fn make_folders(memory: &OwnedFd, path: &str) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    for (end, _) in path.match_indices('/') {
        let Some(folder) = path.get(..end) else { continue };
        match fs::mkdirat(memory, folder, mode) {
            Ok(()) | Err(Errno::EXIST) => fs::chmodat(memory, folder, mode, fs::AtFlags::empty())?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a file of the file system in memory, whatever the umask is.
fn write(memory: &OwnedFd, path: &str, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = own_within(memory, path, flags, Mode::from_raw_mode(mode))?;
    fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    File::from(file).write_all(bytes)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_name_no_library() {
        assert!(has_evercall(&without_comments(b"/a.so\n/x/libevercall.so")));
        assert!(has_evercall(&without_comments(b"/a.so:/x/libevercall.so # ours\n")));
        assert!(!has_evercall(&without_comments(b"# /x/libevercall.so\n/a.so\n")));
    }
}
