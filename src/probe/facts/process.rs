//! The rights of this process, and the seccomp filters over it.

use super::Eyes;
use crate::probe::ask::Survey;
use crate::probe::sys;
use serde::Serialize;

/// Seccomp, as the kernel tells it of this process.
#[derive(Serialize)]
pub struct Seccomp {
    /// 0: none, 1: strict, 2: filters. None where it could not be seen.
    pub mode: Option<u32>,
    /// How many filters (Linux 5.9).
    pub filters: Option<u32>,
    /// Whether a filter of evercall's own stands already (EVERCALL_REPAIRED): what it answers is not the host's.
    pub repaired: bool,
}

impl Seccomp {
    /// Whether a filter stands over us; None where that could not be seen.
    pub fn filtered(&self) -> Option<bool> {
        self.mode.map(|mode| mode != 0)
    }
}

/// The rights of this process.
#[derive(Serialize)]
pub struct Process {
    /// The real user id.
    pub uid: Option<u32>,
    /// The effective user id.
    pub euid: Option<u32>,
    /// The real group id.
    pub gid: Option<u32>,
    /// The effective group id.
    pub egid: Option<u32>,
    /// Whether no exec raises rights.
    pub no_new_privs: Option<bool>,
    /// The capabilities in force.
    pub capabilities: Option<Vec<&'static str>>,
    /// The most that an exec can give.
    pub bounding: Option<Vec<&'static str>>,
    /// Whether its user namespace is the machine's first one: only there capabilities are of the whole machine.
    pub initial_user_namespace: Option<bool>,
    /// Which ids of the namespace are which outside: lines of /proc/self/uid_map.
    pub uid_map: Option<Vec<String>>,
}

/// Looks at both.
pub fn look(eyes: &mut Eyes, survey: &Survey) -> (Seccomp, Process) {
    let status = eyes.text("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    };
    let number = |name: &str| field(name).and_then(|value| value.parse().ok());
    let set = |name: &str| field(name).and_then(|value| u64::from_str_radix(value, 16).ok()).map(names);
    let (asked_mode, asked_promise) =
        if survey.survives("prctl") { sys::seccomp_and_no_new_privs() } else { (None, None) };
    let ids = |field_name: &str, calls: [&str; 2], ask: fn() -> [u32; 2]| -> [Option<u32>; 2] {
        let mut told = field(field_name).unwrap_or_default().split_whitespace().map(|id| id.parse().ok());
        match (told.next().flatten(), told.next().flatten()) {
            (real @ Some(_), effective @ Some(_)) => [real, effective],
            // getuid cannot fail, so a filter's errno looks like an id: only where it answers.
            _ if calls.iter().all(|call| survey.succeeds(call)) => ask().map(Some),
            _ => [None, None],
        }
    };
    let [uid, euid] = ids("Uid", ["getuid", "geteuid"], sys::user);
    let [gid, egid] = ids("Gid", ["getgid", "getegid"], sys::group);
    let uid_map = eyes.word("/proc/self/uid_map");
    let initial = uid_map.as_deref().map(|map| words(map) == ["0", "0", "4294967295"]);
    let seccomp = Seccomp {
        mode: number("Seccomp").or(asked_mode),
        filters: number("Seccomp_filters"),
        repaired: std::env::var_os("EVERCALL_REPAIRED").is_some(),
    };
    if seccomp.mode.is_none() {
        eyes.unseen("whether a seccomp filter stands: neither /proc/self/status nor prctl tells".to_owned());
    }
    let process = Process {
        uid,
        euid,
        gid,
        egid,
        no_new_privs: number("NoNewPrivs").map(|set: u32| set == 1).or(asked_promise),
        capabilities: set("CapEff"),
        bounding: set("CapBnd"),
        initial_user_namespace: initial,
        uid_map: uid_map.map(|map| map.lines().map(|line| words(line).join(" ")).collect()),
    };
    (seccomp, process)
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The names of a set.
fn names(set: u64) -> Vec<&'static str> {
    CAPABILITIES.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, name)| *name).collect()
}

/// By their bits (include/uapi/linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use evercall_rules::table::{CALLS, Question};

    #[test]
    fn the_table_names_capabilities_that_there_are() {
        for call in CALLS {
            if let Some(Question::Ask(ask)) = &call.question {
                assert!(ask.needs.is_none_or(|needs| CAPABILITIES.contains(&needs)), "{}", call.name);
            }
        }
    }

    #[test]
    fn a_set_is_read_by_its_bits() {
        assert_eq!(names(0x20_0001), ["CAP_CHOWN", "CAP_SYS_ADMIN"]);
        assert_eq!(names(u64::MAX).len(), 41);
    }
}
