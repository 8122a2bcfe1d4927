//! Interfaces inside calls that came and went: what the rows of `rules/table/operations/` say that a kernel without
//! them answers, asked of the kernel this runs on.

#[macro_use]
mod common;

use evercall_rules::table::{Call, OPERATIONS, Operation};
use std::fs;

/// The name of an errno among those that rows name.
fn name(errno: i32) -> String {
    let known = [
        ("EPERM", libc::EPERM),
        ("EIO", libc::EIO),
        ("EBADF", libc::EBADF),
        ("EINVAL", libc::EINVAL),
        ("ENOTTY", libc::ENOTTY),
        ("ENOSYS", libc::ENOSYS),
        ("ENOPROTOOPT", libc::ENOPROTOOPT),
        ("EPROTONOSUPPORT", libc::EPROTONOSUPPORT),
        ("ESOCKTNOSUPPORT", libc::ESOCKTNOSUPPORT),
        ("EAFNOSUPPORT", libc::EAFNOSUPPORT),
    ];
    known.iter().find(|(_, number)| *number == errno).map_or(errno.to_string(), |(name, _)| (*name).into())
}

/// What the kernel answers: the name of an errno, or the result. A descriptor that came is closed.
fn answer(operation: &Operation, arguments: &[i64]) -> String {
    let number = Call::find(operation.call).and_then(|call| call.x86_64).expect("an x86-64 call");
    let mut a = [0i64; 6];
    a[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: harmless by the row: no pointer is among them but NULL.
    let result = unsafe { libc::syscall(i64::from(number), a[0], a[1], a[2], a[3], a[4], a[5]) };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    if operation.call == "socket" && result >= 0 {
        // SAFETY: ours, just made.
        unsafe { libc::close(i32::try_from(result).unwrap()) };
        return "a socket".into();
    }
    if result == -1 { name(error) } else { result.to_string() }
}

/// `6.18.44-cloud` as numbers.
fn release() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = text.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether this kernel may still have it: by its version, or as an option.
fn may_be_there(operation: &Operation) -> bool {
    let mut until = operation.until.unwrap_or("0").split('.').map_while(|part| part.parse().ok());
    let until = (until.next().unwrap_or(0), until.next().unwrap_or(0));
    match operation.until {
        Some(_) => release() <= until,
        None => operation.option.is_some(),
    }
}

#[test]
fn this_kernel_answers_as_the_rows_say() {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for operation in OPERATIONS {
        let Some(arguments) = operation.ask else { continue };
        let due = if operation.now == "ignored" { "0" } else { operation.now };
        let got = answer(operation, arguments);
        asked += 1;
        if got != due && may_be_there(operation) {
            eprintln_skip(&format!("{} of this kernel: {got}", operation.name));
        } else if got != due {
            wrong.push(format!("{}: {got} where {due} is due", operation.name));
        }
    }
    assert!(asked > 30, "{asked} rows are asked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row that this kernel cannot prove is named; the others go on.
fn eprintln_skip(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED operations: still there: {what}");
}

/// The numbers against the headers of this machine, where they still name them.
#[test]
fn the_numbers_are_those_of_the_headers() {
    let of_libc: &[(&str, i64)] = &[
        ("AF_AX25", libc::AF_AX25.into()),
        ("AF_IPX", libc::AF_IPX.into()),
        ("AF_APPLETALK", libc::AF_APPLETALK.into()),
        ("AF_NETROM", libc::AF_NETROM.into()),
        ("AF_ATMPVC", libc::AF_ATMPVC.into()),
        ("AF_X25", libc::AF_X25.into()),
        ("AF_ROSE", libc::AF_ROSE.into()),
        ("AF_DECnet", libc::AF_DECnet.into()),
        ("AF_NETBEUI", libc::AF_NETBEUI.into()),
        ("AF_SECURITY", libc::AF_SECURITY.into()),
        ("AF_ASH", libc::AF_ASH.into()),
        ("AF_ECONET", libc::AF_ECONET.into()),
        ("AF_ATMSVC", libc::AF_ATMSVC.into()),
        ("AF_SNA", libc::AF_SNA.into()),
        ("AF_IRDA", libc::AF_IRDA.into()),
        ("AF_WANPIPE", libc::AF_WANPIPE.into()),
        ("AF_ISDN", libc::AF_ISDN.into()),
        ("AF_CAIF", libc::AF_CAIF.into()),
        ("IPPROTO_UDPLITE", libc::IPPROTO_UDPLITE.into()),
        ("SO_BSDCOMPAT", libc::SO_BSDCOMPAT.into()),
        ("NETLINK_FIREWALL", libc::NETLINK_FIREWALL.into()),
        ("NETLINK_NFLOG", libc::NETLINK_NFLOG.into()),
        ("NETLINK_IP6_FW", libc::NETLINK_IP6_FW.into()),
        ("NETLINK_DNRTMSG", libc::NETLINK_DNRTMSG.into()),
        ("NETLINK_ECRYPTFS", libc::NETLINK_ECRYPTFS.into()),
        ("PR_MPX_ENABLE_MANAGEMENT", libc::PR_MPX_ENABLE_MANAGEMENT.into()),
        ("PR_MPX_DISABLE_MANAGEMENT", libc::PR_MPX_DISABLE_MANAGEMENT.into()),
        ("CLONE_DETACHED", libc::CLONE_DETACHED.into()),
        ("FUTEX_FD", libc::FUTEX_FD.into()),
        ("RLIMIT_RSS", libc::RLIMIT_RSS.into()),
        ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS.into()),
        ("SHORT_INODE", libc::SHORT_INODE.into()),
        ("WHOLE_SECONDS", libc::WHOLE_SECONDS.into()),
        ("MAP_DENYWRITE", libc::MAP_DENYWRITE.into()),
        ("MAP_EXECUTABLE", libc::MAP_EXECUTABLE.into()),
        ("MAP_NONBLOCK", libc::MAP_NONBLOCK.into()),
        ("SPLICE_F_MOVE", libc::SPLICE_F_MOVE.into()),
        ("MS_MANDLOCK", libc::MS_MANDLOCK as i64),
        ("MS_MGC_VAL", libc::MS_MGC_VAL as i64),
        ("TIOCSTI", libc::TIOCSTI as i64),
        // asm-generic/fcntl.h, linux/kd.h
        ("F_EXLCK", 4),
        ("GIO_FONT", 0x4b60),
    ];
    for (name, number) in of_libc {
        let row = OPERATIONS.iter().find(|operation| operation.name == *name);
        assert_eq!(row.map(|row| row.value), Some(*number), "{name}");
    }
}
