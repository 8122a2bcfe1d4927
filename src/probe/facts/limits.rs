//! Limits of the process, and those of the machine that are known to break programs.

use super::Eyes;
use crate::probe::sys;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A limit; none is `unlimited`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub u64);

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == libc::RLIM_INFINITY {
            serializer.serialize_str("unlimited")
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

/// A limit of the process.
#[derive(Serialize)]
pub struct Pair {
    /// What is in force.
    pub soft: Limit,
    /// How far the process may raise it.
    pub hard: Limit,
}

/// All limits.
#[derive(Serialize)]
pub struct Limits {
    /// Of the process (getrlimit(2)), by name.
    pub process: BTreeMap<&'static str, Pair>,
    /// Of the machine: files of /proc/sys, by their names in sysctl(8).
    pub sysctl: BTreeMap<&'static str, String>,
}

/// The names without RLIMIT_.
const RESOURCES: [(&str, libc::__rlimit_resource_t); 16] = [
    ("AS", libc::RLIMIT_AS),
    ("CORE", libc::RLIMIT_CORE),
    ("CPU", libc::RLIMIT_CPU),
    ("DATA", libc::RLIMIT_DATA),
    ("FSIZE", libc::RLIMIT_FSIZE),
    ("LOCKS", libc::RLIMIT_LOCKS),
    ("MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("NICE", libc::RLIMIT_NICE),
    ("NOFILE", libc::RLIMIT_NOFILE),
    ("NPROC", libc::RLIMIT_NPROC),
    ("RSS", libc::RLIMIT_RSS),
    ("RTPRIO", libc::RLIMIT_RTPRIO),
    ("RTTIME", libc::RLIMIT_RTTIME),
    ("SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("STACK", libc::RLIMIT_STACK),
];

/// Each has broken somebody: tables sized by the limit of open files, asynchronous reads that run out host-wide,
/// pids of seven digits, refusals that programs take for a missing call.
const SYSCTLS: [&str; 20] = [
    "abi.vsyscall32",
    "fs.aio-max-nr",
    "fs.aio-nr",
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.nr_open",
    "kernel.dmesg_restrict",
    "kernel.io_uring_disabled",
    "kernel.pid_max",
    "kernel.randomize_va_space",
    "kernel.shmmax",
    "kernel.threads-max",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "vm.max_map_count",
    "vm.memfd_noexec",
    "vm.mmap_min_addr",
    "vm.mmap_rnd_bits",
    "vm.overcommit_memory",
];

impl Limits {
    /// Looks.
    pub fn look(eyes: &mut Eyes) -> Limits {
        let process = RESOURCES
            .into_iter()
            .filter_map(|(name, resource)| {
                let (soft, hard) = sys::rlimit(resource)?;
                let soft = if name == "CORE" { sys::core_limit() } else { soft };
                Some((name, Pair { soft: Limit(soft), hard: Limit(hard) }))
            })
            .collect();
        let sysctl = SYSCTLS
            .into_iter()
            .filter_map(|name| {
                // Every dot of these is a slash.
                let value = eyes.word(format!("/proc/sys/{}", name.replace('.', "/")))?;
                Some((name, value))
            })
            .collect();
        Limits { process, sysctl }
    }
}
