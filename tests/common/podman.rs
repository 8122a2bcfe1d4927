//! Containers by podman and runc over a Debian root, in the form that works as root in a bare virtual machine.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{bare, shim, text};
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A root, and a folder for what podman and the test keep.
pub struct Container {
    /// The root, which stays as it is.
    pub root: PathBuf,
    /// Gone when the test ends.
    pub folder: TempDir,
}

/// An error if this process cannot run containers in any case: to be asked before a root is made.
pub fn needs_root() -> Result<(), String> {
    // SAFETY: geteuid only gives a number.
    if unsafe { libc::geteuid() } == 0 { Ok(()) } else { Err("needs root".to_owned()) }
}

impl Container {
    /// An error says what this machine lacks.
    pub fn new(root: PathBuf) -> Result<Container, String> {
        let container = Container { root, folder: TempDir::new().expect("a temporary folder") };
        let first = container.run(&[], &["/bin/true"]);
        if first.status.success() {
            return Ok(container);
        }
        Err(format!("podman cannot run here: {}", text(&first.stderr).trim_end().replace('\n', "; ")))
    }

    /// The path of a file in the folder.
    pub fn here(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `podman run`: storage, logs and events of its own and not the machine's; no network; limits below the
    /// machine's, since podman's own defaults are above what a virtual machine may have.
    fn podman(&self) -> Command {
        let mut podman = bare("podman");
        podman
            .args(["--root", &self.here("storage"), "--runroot", &self.here("run"), "--storage-driver=vfs"])
            .args(["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none"])
            .args(["run", "--rm", "--log-driver=none", "--network=none"])
            .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        podman
    }

    /// Runs a command in the container, with more options of podman's. The root lies under an overlay, so that
    /// it stays as it is.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let mut podman = self.podman();
        podman.args(options).arg("--rootfs").arg(format!("{}:O", self.root.display())).args(command);
        podman.output().unwrap_or_else(|e| panic!("podman: {e}"))
    }

    /// The same with the shim mounted in, read-only, and preloaded by the environment.
    pub fn run_under_shim(&self, options: &[&str], command: &[&str]) -> Output {
        let volume = format!("--volume={}:/opt/libevercall.so:ro", shim().display());
        self.run(&[&[volume.as_str(), "--env=LD_PRELOAD=/opt/libevercall.so"], options].concat(), command)
    }

    /// The same, preloaded by a file of the container.
    pub fn run_under_preload_file(&self, options: &[&str], command: &[&str]) -> Output {
        std::fs::write(self.here("ld.so.preload"), "/opt/libevercall.so\n")
            .expect("the folder can be written");
        let shim = format!("--volume={}:/opt/libevercall.so:ro", shim().display());
        let file = format!("--volume={}:/etc/ld.so.preload:ro", self.here("ld.so.preload"));
        self.run(&[&[shim.as_str(), file.as_str()], options].concat(), command)
    }
}
