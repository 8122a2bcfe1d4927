//! The seccomp filters of the sandbox: what no program that is chosen for a test does, and what reaches deep into a
//! kernel. After the profiles of Docker and podman, which refuse it too, and stricter.

use crate::simulate::calls;
use crate::simulate::layer::Layer;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// Answered with EPERM.
const REFUSED: [&str; 52] = [
    // Keys, tracing, other kernels' code.
    "add_key",
    "keyctl",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "ptrace",
    "process_vm_writev",
    "kcmp",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    // Mounts and namespaces.
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "setns",
    "unshare",
    "open_by_handle_at",
    "name_to_handle_at",
    // The machine.
    "reboot",
    "swapon",
    "swapoff",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "clock_adjtime",
    "iopl",
    "ioperm",
    "acct",
    "quotactl",
    "syslog",
    "vhangup",
    "fanotify_init",
    // Memory that no limit of a process counts.
    "shmget",
    "msgget",
    "semget",
    "mq_open",
    "memfd_secret",
    "modify_ldt",
];

/// `CLONE_NEW` flags, each of which makes a namespace.
const NEW: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// The filters, in the order in which they are to be installed. With `foreign`, calls of other architectures get
/// through; else they get EPERM.
pub fn filters(foreign: bool) -> Result<Vec<BpfProgram>, String> {
    let eperm = SeccompAction::Errno(libc::EPERM as u32);
    let mut refused = Layer {
        origin: "the self-test".to_string(),
        rules: Default::default(),
        matched: eperm.clone(),
        otherwise: SeccompAction::Allow,
        foreign: if foreign { SeccompAction::Allow } else { eperm },
    };
    for call in REFUSED {
        refused.rules.insert(calls::number(call)?, Vec::new());
    }
    let rule = |argument, operator, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(|error| error.to_string())
    };
    let namespaces = NEW.map(|flag| rule(0, SeccompCmpOp::MaskedEq(flag), flag));
    refused.rules.insert(libc::SYS_clone, namespaces.into_iter().collect::<Result<_, _>>()?);
    // The network namespace is empty, but AF_VSOCK, AF_ALG and others do not go by it.
    refused.rules.insert(libc::SYS_socket, vec![rule(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?]);
    // Its flags are in memory, where no filter sees them: ENOSYS makes every libc use clone.
    let absent = Layer {
        rules: [(libc::SYS_clone3, Vec::new())].into(),
        matched: SeccompAction::Errno(libc::ENOSYS as u32),
        ..refused.clone()
    };
    [absent, refused].iter().map(|layer| layer.compile().map_err(|error| error.to_string())).collect()
}
