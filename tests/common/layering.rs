//! Images made by umoci, layered by evercall, run by podman.

#![allow(dead_code)] // not every test uses all of it

use super::common::{bare, command, shim, succeed, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with an image in it, and podman's storage.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    /// An empty one.
    pub fn new() -> Bench {
        Bench { folder: tempfile::tempdir_in("/var/tmp").expect("a temporary folder") }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A root of this machine's own programs: each with its loader and libraries.
    pub fn root(&self, programs: &[(&Path, &str)]) -> PathBuf {
        let root = self.path("root");
        for folder in ["etc", "usr/lib", "usr/bin", "lib", "tmp", "proc", "sys", "dev"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (program, at) in programs {
            fs::copy(program, root.join(at)).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
            let listed = bare("ldd").arg(program).output().expect("ldd runs");
            for word in text(&listed.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
                let there = root.join(word.trim_start_matches('/'));
                fs::create_dir_all(there.parent().unwrap()).unwrap();
                fs::copy(word, there).unwrap();
            }
        }
        root
    }

    /// An OCI layout of a root, by umoci.
    pub fn image(&self, root: &Path) -> PathBuf {
        let layout = self.path("image");
        let image = format!("{}:test", layout.display());
        succeed(bare("umoci").args(["init", "--layout"]).arg(&layout));
        succeed(bare("umoci").args(["new", "--image", &image]));
        succeed(bare("umoci").args(["insert", "--image", &image]).arg(root).arg("/"));
        succeed(bare("umoci").args(["config", "--image", &image, "--config.env=PATH=/usr/bin:/bin"]));
        succeed(bare("umoci").args(["gc", "--layout"]).arg(&layout));
        layout
    }

    /// podman with storage of its own.
    pub fn podman(&self) -> Command {
        let mut podman = bare("podman");
        podman
            .args(["--root", &self.name("storage"), "--runroot", &self.name("run"), "--storage-driver=vfs"])
            .args(["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
        podman
    }

    /// Loads an archive under the name it has, and runs a command in it.
    pub fn run(&self, archive: &Path, name: &str, options: &[&str], command: &[&str]) -> Output {
        succeed(self.podman().args(["load", "-q", "-i"]).arg(archive));
        let mut run = self.podman();
        run.args(["run", "--rm", "--log-driver=none", "--network=none"])
            .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        run.args(options).arg(name).args(command).output().expect("podman runs")
    }
}

/// `evercall layer` with the library that was built.
pub fn layer() -> Command {
    let mut layer = bare(command());
    layer.env("EVERCALL_LIB", shim()).arg("layer");
    layer
}

/// All files of a folder, by their path in it.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let content = fs::read(&entry).unwrap();
                files.insert(entry.strip_prefix(folder).unwrap().to_path_buf(), content);
            }
        }
    }
    files
}
