//! What callers make of a refusal: whether they go on without the call.
//!
//! A C library is built for kernels from a version on (`.note.ABI-tag`): what is younger it uses only where it can do
//! without. Callers fall back on ENOSYS; EPERM is taken for an answer (moby/moby#42680, glibc's bug 27238).

use crate::simulate::calls::Version;
use evercall_rules::table::Call;

/// What becomes of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It goes on as well without.
    Works,
    /// It probably goes on, with less.
    Degrades,
    /// It fails, or is not known to go on.
    Breaks,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The libc, for something else.
    Libc,
    /// A program or library by the libc function that is for the call.
    Function {
        /// A weak import.
        is_weak: bool,
    },
    /// A program or library by `syscall()` or an instruction.
    Direct,
    /// Go's own runtime and library.
    Go,
}

/// How it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// ENOSYS.
    Absent,
    /// Another errno.
    Errno,
}

use Fate::{Breaks, Degrades, Works};

/// Calls that the libc itself makes for something else: what becomes of that after ENOSYS, and after another errno.
/// Sources: glibc 2.36 and 2.41, musl 1.2.5.
const INSIDE: &[(&str, Fate, Fate, &str)] = &[
    ("clone3", Works, Breaks, "pthread_create and posix_spawn fall back on clone after ENOSYS alone"),
    ("statx", Works, Breaks, "the libc falls back on fstatat after ENOSYS alone"),
    (
        "faccessat2",
        Works,
        Breaks,
        "faccessat falls back after ENOSYS alone: `test -r`, make and bash say \"Operation not permitted\"",
    ),
    ("fchmodat2", Works, Breaks, "fchmodat falls back after ENOSYS alone: \"tar: Cannot change mode\""),
    ("close_range", Works, Works, "closefrom closes one by one"),
    ("getrandom", Works, Works, "the libc goes on with less randomness of its own"),
    ("rseq", Works, Works, "the libc goes on without"),
    ("set_robust_list", Works, Works, "the libc goes on without"),
    ("membarrier", Works, Works, "the libc goes on without"),
    ("mseal", Works, Works, "the loader goes on without"),
    ("map_shadow_stack", Works, Works, "the libc goes on without"),
    ("get_mempolicy", Works, Works, "malloc goes on without"),
    // The size of a thread's stack, sysconf(_SC_OPEN_MAX) and the like take a default: tests/check_truth.rs on 2.6.32.
    ("prlimit64", Works, Works, "the libc takes its defaults for the limits"),
    ("_sysctl", Works, Works, "the libc reads /proc instead"),
    ("epoll_pwait2", Works, Breaks, "the libc falls back after ENOSYS alone"),
    ("preadv2", Works, Degrades, "the libc falls back where no flag is asked"),
    ("pwritev2", Works, Degrades, "the libc falls back where no flag is asked"),
    ("sched_getattr", Works, Degrades, "the libc goes on without"),
];

/// libc functions that do without the call of the same name, or whose callers do.
const FUNCTIONS: &[(&str, Fate, Fate, &str)] = &[
    ("statx", Works, Breaks, "statx() falls back on fstatat after ENOSYS alone: \"ls: cannot access\""),
    ("faccessat2", Works, Breaks, "faccessat() falls back after ENOSYS alone"),
    ("fchmodat2", Works, Breaks, "fchmodat() falls back after ENOSYS alone"),
    ("preadv2", Degrades, Degrades, "preadv2() falls back where no flag is asked"),
    ("pwritev2", Degrades, Degrades, "pwritev2() falls back where no flag is asked"),
    ("renameat2", Degrades, Degrades, "renameat2() falls back where no flag is asked"),
    ("close_range", Degrades, Breaks, "callers close one by one after ENOSYS; GLib gives up after EPERM"),
];

/// Calls that are young or often refused, so that who calls them is usually ready to do without.
const OPTIONAL: &[&str] = &[
    "add_key",
    "bpf",
    "cachestat",
    "close_range",
    "clone3",
    "copy_file_range",
    "execveat",
    "faccessat2",
    "delete_module",
    "fanotify_init",
    "fchmodat2",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "get_mempolicy",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kcmp",
    "keyctl",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "listmount",
    "map_shadow_stack",
    "mbind",
    "membarrier",
    "memfd_create",
    "memfd_secret",
    "migrate_pages",
    "mlock2",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "mseal",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "openat2",
    "perf_event_open",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "quotactl_fd",
    "renameat2",
    "request_key",
    "rseq",
    "sched_getattr",
    "sched_setattr",
    "seccomp",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "statmount",
    "statx",
    "userfaultfd",
    "lookup_dcookie",
];

/// By `syscall()` or an instruction callers are ready to do without these, too; by the libc function they are not: Apache
/// and qBittorrent end without getrandom.
const OPTIONAL_DIRECT: &[&str] = &["getrandom", "sched_getaffinity", "set_robust_list", "gettid"];

/// Callers that are known to do without a call: by the names of their files.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("_sysctl", &["libuv.so", "libnode.so", "node"], "it is the last of several ways to random bytes"),
    (
        "getrandom",
        &[
            "bash",
            "cp",
            "install",
            "ln",
            "mktemp",
            "mv",
            "shred",
            "shuf",
            "sort",
            "ipcmk",
            "mcookie",
            "uuidd",
            "libuuid.so",
            "libsystemd.so",
            "libsystemd-",
            "systemd",
            "systemd-",
            "udevadm",
            "libudev.so",
            "libblkid.so",
            "libcrypto.so",
            "libgcrypt.so",
            "libgnutls.so",
            "libexpat.so",
            "libuv.so",
            "python3",
            "libpython3",
            "perl",
            "libapt-pkg.so",
        ],
        "this caller reads /dev/urandom instead",
    ),
];

/// Calls from this version on are younger than most libcs and hosts: who makes one by `syscall()` expects its absence.
const YOUNG: &str = "5.0";

/// Calls that need a right which a container lacks anyhow, so that a filter's refusal takes nothing away.
const PRIVILEGED: &[&str] = &[
    "acct",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "setdomainname",
    "setgroups",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "vhangup",
];

/// What becomes of a caller, and why, where that is known. `oldest`: the oldest kernel that its libc is built for.
/// `by_filter`: the refusal is a filter's, not the kernel's. `file`: the name of the file that asks.
pub fn fate(
    call: &Call,
    caller: Caller,
    refusal: Refusal,
    by_filter: bool,
    oldest: Option<Version>,
    file: &str,
) -> (Fate, Option<&'static str>) {
    let filtered = by_filter || refusal == Refusal::Errno;
    if filtered && PRIVILEGED.contains(&call.name) {
        return (Works, Some("it needs a right that a container lacks anyhow"));
    }
    let known = KNOWN.iter().find(|(name, files, _)| {
        *name == call.name
            && files
                .iter()
                .any(|known| file == *known || known.ends_with(['o', '-', '3']) && file.starts_with(known))
    });
    if let (Some((_, _, why)), Caller::Function { .. } | Caller::Direct) = (known, caller) {
        return (Works, Some(why));
    }
    let of = |table: &'static [(&str, Fate, Fate, &'static str)]| {
        let (_, absent, errno, why) = table.iter().find(|(name, ..)| *name == call.name)?;
        Some((if refusal == Refusal::Absent { *absent } else { *errno }, Some(*why)))
    };
    let younger = |than: Version| call.since != "never" && !than.has(call) && call.until.is_none();
    match caller {
        Caller::Libc => of(INSIDE).unwrap_or_else(|| {
            // Without a note it is musl or uClibc, which know every kernel from 2.6 on.
            let oldest = oldest.or_else(|| Version::parse("2.6.0").ok());
            match (oldest.is_some_and(younger), refusal) {
                (true, Refusal::Absent) => (Works, Some("the libc is built for kernels without it")),
                (true, Refusal::Errno) => (
                    Degrades,
                    Some("the libc is built for kernels without it, and takes the errno for an answer"),
                ),
                (false, _) => (Breaks, None),
            }
        }),
        Caller::Function { is_weak } => of(FUNCTIONS).unwrap_or(match refusal {
            Refusal::Absent if is_weak => (Works, Some("it is imported weakly: the program does without")),
            _ if is_weak => (Degrades, Some("it is imported weakly: the program knows how to do without")),
            _ if OPTIONAL.contains(&call.name) => (Degrades, Some("callers usually do without")),
            _ => (Breaks, None),
        }),
        Caller::Direct if OPTIONAL.contains(&call.name) || OPTIONAL_DIRECT.contains(&call.name) => {
            (Degrades, Some("callers usually do without"))
        }
        Caller::Direct
            if refusal == Refusal::Absent
                && Version::parse(YOUNG)
                    .is_ok_and(|young| !young.has(call) && call.until.is_none() && call.since != "never") =>
        {
            (Degrades, Some("it is young, so that callers usually do without"))
        }
        Caller::Direct => (Breaks, None),
        // Go is built for 2.6.32 and later, and takes EPERM for ENOSYS (golang/go#57393).
        Caller::Go => match Version::parse("2.6.32").is_ok_and(younger) {
            true => (Works, Some("Go does without")),
            false => (Breaks, None),
        },
    }
}

/// libc functions whose callers are told a refusal, though the call has another name.
pub const PASSED_ON: &[&str] =
    &["getrlimit", "getrlimit64", "setrlimit", "setrlimit64", "prlimit", "prlimit64"];

/// Whether the libc makes this call by itself, so that in a static program without symbols it is probably the libc's.
pub fn is_of_libcs(call: &Call) -> bool {
    INSIDE.iter().any(|(name, ..)| *name == call.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_name_calls_that_there_are() {
        let inside = INSIDE.iter().chain(FUNCTIONS).map(|(name, ..)| name);
        for name in inside.chain(OPTIONAL).chain(OPTIONAL_DIRECT).chain(PRIVILEGED) {
            assert!(Call::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_libc_does_without_what_is_younger_than_the_kernels_it_is_built_for() {
        let fate = |name: &str, caller, refusal| {
            super::fate(Call::find(name).unwrap(), caller, refusal, false, Version::parse("3.2").ok(), "x").0
        };
        assert_eq!(fate("openat2", Caller::Libc, Refusal::Absent), Works);
        assert_eq!(fate("openat", Caller::Libc, Refusal::Absent), Breaks);
        assert_eq!(fate("clone3", Caller::Libc, Refusal::Errno), Breaks);
        assert_eq!(fate("getrandom", Caller::Function { is_weak: false }, Refusal::Absent), Breaks);
        assert_eq!(fate("mount", Caller::Function { is_weak: false }, Refusal::Errno), Works);
        assert_eq!(fate("ustat", Caller::Direct, Refusal::Absent), Breaks);
    }
}
