//! A host with cgroup v2 alone, as far as files can tell: a tree of files over /sys/fs/cgroup, in a mount name space.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{bare, shim, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Files of a group with 512 MiB and a processor and a half.
pub const GROUP: &[(&str, &str)] = &[
    ("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n"),
    ("cgroup.procs", "1\n7\n"),
    ("cgroup.threads", "1\n7\n8\n"),
    ("memory.max", "536870912\n"),
    ("memory.high", "max\n"),
    ("memory.current", "1000000\n"),
    ("memory.swap.max", "max\n"),
    ("memory.swap.current", "0\n"),
    ("memory.stat", "anon 5\nfile 7\nkernel 3\npgfault 9\n"),
    ("memory.events", "low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\n"),
    ("cpu.max", "150000 100000\n"),
    ("cpu.weight", "100\n"),
    (
        "cpu.stat",
        "usage_usec 70012\nuser_usec 20000\nsystem_usec 50012\nnr_periods 1\nnr_throttled 2\nthrottled_usec 3\n",
    ),
    ("cpuset.cpus.effective", "0-1\n"),
    ("cpuset.mems.effective", "0\n"),
    ("pids.max", "77\n"),
    ("pids.current", "3\n"),
    ("pids.events", "max 0\n"),
    ("io.stat", "8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=5 dios=6\n"),
];

/// Lays the tree in $1, does what $2 says, and runs the rest.
const IN_NAMESPACE: &str = "
    mount --make-rprivate / && mount -t tmpfs none /sys/fs/cgroup && cp -r \"$1\"/. /sys/fs/cgroup || exit 111
    eval \"$2\" || exit 112
    shift 2
    exec \"$@\"";

/// A host of one's own.
pub struct Host {
    tree: tempfile::TempDir,
    /// What a shell does in the name space before the program.
    pub before: String,
    /// Settings for the program, `NAME=value`.
    pub settings: Vec<String>,
}

impl Host {
    /// With these files in its only group.
    pub fn with(files: &[(&str, &str)]) -> Host {
        let host = Host { tree: tempfile::tempdir().unwrap(), before: String::new(), settings: Vec::new() };
        host.add("", files);
        host
    }

    /// Adds or changes files of a group.
    pub fn add(&self, group: &str, files: &[(&str, &str)]) {
        let folder = self.tree.path().join(group);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Likewise, for one-line use.
    pub fn and(self, group: &str, files: &[(&str, &str)]) -> Host {
        self.add(group, files);
        self
    }

    /// With settings of evercall.
    pub fn set(mut self, setting: &str) -> Host {
        self.settings.push(setting.to_owned());
        self
    }

    /// The process's group is this one, by the name the host has for it.
    pub fn in_group(mut self, name: &str) -> Host {
        self.before +=
            &format!("echo '0::{name}' >/sys/fs/own && mount --bind /sys/fs/own /proc/$$/cgroup\n");
        self.before = self.before.replace("/sys/fs/own", "/sys/fs/cgroup/.own");
        self
    }

    fn command(&self, environment: &[String], words: &[&str]) -> Option<Output> {
        let mut command = bare("timeout");
        command.args(["60", "unshare", "-m", "sh", "-c", IN_NAMESPACE, "sh"]).arg(self.tree.path());
        command.arg(&self.before).arg("env").args(environment).args(words);
        run(&mut command)
    }

    /// What a program prints there under the shim; None where there is no mount name space to be had.
    pub fn under_shim(&self, words: &[&str]) -> Option<Output> {
        let mut environment = vec![format!("LD_PRELOAD={}", shim().display())];
        environment.extend(self.settings.iter().cloned());
        self.command(&environment, words)
    }

    /// The same without the shim.
    pub fn bare(&self, words: &[&str]) -> Option<Output> {
        self.command(&[], words)
    }
}

fn run(command: &mut Command) -> Option<Output> {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() != Some(112), "what is done before failed: {said}");
    if output.status.code() == Some(111) || said.starts_with("unshare: ") {
        eprintln!("no mount name space here: {said}");
        return None;
    }
    Some(output)
}

/// Whether this machine has cgroup v1's own hierarchy of a controller.
pub fn has_v1(controller: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(controller).join("cgroup.clone_children").exists()
}
