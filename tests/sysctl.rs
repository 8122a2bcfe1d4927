//! `_sysctl(2)` and `sysctl(3)` against /proc/sys, by the conversions of kernel 5.4 (kernel/sysctl_binary.c).
//! No kernel here has the call, so what is expected is worked out from the files, in this file's own way.

#[path = "common/ask.rs"]
mod ask;
mod common;
#[path = "common/sysctl_names.rs"]
mod sysctl_names;

use ask::{Nobody, answer, answers, buffer, failure, in_namespace, is_root, outcome};
use common::{succeed, text};
use std::fs;
use std::path::Path;
use sysctl_names::{DONE, FILLING, Leaf, PROC_SYS, leaves, repaired};

/// Every file of the name space; rows of an interface for `lo`.
fn all() -> Vec<Leaf> {
    let lo = fs::read_to_string("/sys/class/net/lo/ifindex").map_or(1, |n| n.trim().parse().unwrap());
    leaves(&[(lo, "lo")])
}

fn leaf(path: &str) -> Leaf {
    all().into_iter().find(|leaf| leaf.path == path).unwrap_or_else(|| panic!("no row for {path}"))
}

/// Asks reads of leaves by `syscall()` and by libc's symbols, and holds the answers against the files.
/// Some values move all the time, so a difference has to stay.
fn assert_agrees(reads: &[(Leaf, usize)]) {
    for door in ["syscall _sysctl", "symbol sysctl", "symbol __sysctl"] {
        let questions: Vec<String> =
            reads.iter().map(|(leaf, room)| format!("{door} {}", leaf.read(*room))).collect();
        let given = answers(&mut repaired(), &questions);
        for (((leaf, room), question), mut given) in reads.iter().zip(&questions).zip(given) {
            let mut tries = 0;
            while !leaf.agrees(Path::new(PROC_SYS), &given, *room) {
                tries += 1;
                assert!(
                    tries < 50,
                    "{} ({}): {question}\n{given}\nexpected {:x?}",
                    leaf.path,
                    leaf.conversion,
                    leaf.expected(Path::new(PROC_SYS), *room)
                );
                given = answer(&mut repaired(), question);
            }
        }
    }
}

/// Every name of kernel 5.4 reads what its file says; a file that is not there, or cannot be read, gives the errno
/// that opening it gives.
#[test]
fn every_name_reads_what_its_file_says() {
    let leaves = all();
    assert!(leaves.len() > 500, "{} names", leaves.len());
    let there = |kind: &str| {
        let exists = |leaf: &&Leaf| fs::exists(format!("/proc/sys/{}", leaf.path)).unwrap();
        leaves.iter().filter(|leaf| leaf.conversion == kind).filter(exists).count()
    };
    // The test is worth something only where files of each kind are there.
    assert!(there("int") > 60 && there("string") > 4 && there("long") > 2 && there("uuid") == 2);
    let folders = [
        "net/ipv4/conf/lo/",
        "net/ipv4/conf/all/",
        "net/ipv4/neigh/lo/",
        "net/ipv6/conf/lo/",
        "dev/",
        "bus/",
    ];
    for folder in folders {
        assert!(leaves.iter().any(|leaf| leaf.path.starts_with(folder)), "{folder}");
    }
    let reads: Vec<_> = leaves.into_iter().map(|leaf| (leaf, 400)).collect();
    assert_agrees(&reads);
}

/// A buffer that is too short is filled as far as whole values (or bytes of a text) go, and oldlen says how far.
#[test]
fn short_buffers_are_filled_as_far_as_they_go() {
    let files =
        ["net/ipv4/tcp_rmem", "kernel/printk", "kernel/shmmax", "kernel/ostype", "kernel/random/boot_id"];
    let reads: Vec<_> =
        files.into_iter().flat_map(|file| (1..40).map(move |room| (leaf(file), room))).collect();
    assert_agrees(&reads);
}

/// With an oldlen of 0, or no old value, nothing is read, and oldlen becomes 0, even where the file is missing.
#[test]
fn nothing_is_read_without_room() {
    let questions = [
        "syscall _sysctl ints:1,1 2 buf:8 longs:0 null 0",
        "syscall _sysctl ints:1,1 2 null longs:8 null 0",
        "syscall _sysctl ints:1,21 2 null longs:8 null 8",
    ];
    assert!(!fs::exists("/proc/sys/kernel/reboot-cmd").unwrap(), "sparc's file is here");
    for question in questions {
        let answer = answer(&mut repaired(), question);
        assert_eq!(outcome(&answer), DONE, "{question}");
        assert!(answer.ends_with(" =0000000000000000"), "{question}: {answer}");
        assert!(!question.contains("buf:") || buffer(&answer, 1).iter().all(|&b| b == FILLING));
    }
    assert_eq!(
        answer(&mut repaired(), "syscall _sysctl ints:1,1 2 null null null 0"),
        "0 1234 =0100000001000000"
    );
}

/// Names that never were, name vectors that end at a directory, and lengths outside 1 to 10.
#[test]
fn wrong_names_are_enotdir() {
    let names = [
        "ints:99 1",
        "ints:0 1",
        "ints:1 1",
        "ints:3,5 2",
        "ints:1,999 2",
        "ints:1,-1 2",
        "ints:3,5,16,99999,1 5",
        "ints:3,5,16,0,1 5",
        "ints:3,5,16,-2 4",
        "ints:3,5,17,-2,1 5",
        "ints:1,1 0",
        "ints:1,1 -1",
        "bad 11",
        "bad -2147483648",
        "bad 2147483647",
        "null 0",
    ];
    let questions: Vec<String> =
        names.iter().map(|name| format!("syscall _sysctl {name} buf:8 longs:8 null 0")).collect();
    for (question, answer) in questions.iter().zip(answers(&mut repaired(), &questions)) {
        assert_eq!(outcome(&answer), failure(libc::ENOTDIR), "{question}");
        assert!(answer.ends_with(" =0800000000000000"), "{question}: oldlen changed: {answer}");
    }
}

/// What follows a file's number was never looked at.
#[test]
fn numbers_behind_a_file_are_not_looked_at() {
    let answer =
        answer(&mut repaired(), "syscall _sysctl ints:1,1,7,-7,7,7,7,7,7,7 10 buf:32 longs:32 null 0");
    assert_eq!(outcome(&answer), DONE);
    assert!(buffer(&answer, 1).starts_with(b"Linux\0"), "{answer}");
}

/// Each pointer that cannot be read or written, in the kernel's order of checks.
#[test]
fn bad_pointers_are_efault() {
    let questions = [
        "null",
        "bad",
        "none",
        "kernel",
        "edge:79",
        // oldlenp: missing, unreadable, unwritable; checked before the name, its length, and the name's pointer.
        "bad 99 buf:8 null null 0",
        "bad 99 buf:8 bad null 0",
        "ints:1,1 2 null none null 0",
        "ints:1,23 2 buf:8 ro:8 null 0",
        "ints:99 1 buf:8 ro:8 null 0",
        // The name.
        "bad 2 buf:8 longs:8 null 0",
        "null 1 null null null 0",
        "ints:1 2 buf:8 longs:8 null 0",
        "kernel 10 buf:8 longs:8 null 0",
        // The old value, by every conversion.
        "ints:1,1 2 bad longs:8 null 0",
        "ints:1,1 2 ro:8 longs:8 null 0",
        "ints:1,23 2 none longs:8 null 0",
        "ints:1,23 2 edge:15 longs:16 null 0",
        "ints:1,34 2 kernel longs:8 null 0",
        "ints:1,40,5 3 ro:16 longs:16 null 0",
        "ints:1,40,5 3 edge:3 longs:16 null 0",
    ];
    let questions: Vec<String> = questions.iter().map(|q| format!("syscall _sysctl {q}")).collect();
    for (question, answer) in questions.iter().zip(answers(&mut repaired(), &questions)) {
        assert_eq!(outcome(&answer), failure(libc::EFAULT), "{question}: {answer}");
        if let Some((_, length)) = question.split_once(" longs:") {
            let length: u64 = length.split(' ').next().unwrap().parse().unwrap();
            let shown = answer.rsplit(" =").next().unwrap();
            assert_eq!(shown, format!("{:016x}", length.swap_bytes()), "{question}: oldlen changed");
        }
    }
}

/// Questions asked under the shim in fresh network, host name and IPC namespaces, and a script run after
/// them there: the answers, then what the script prints.
fn in_fresh_namespaces(questions: &[&str], after: &str) -> (Vec<String>, String) {
    let script = format!("LD_PRELOAD=$SHIM \"$ASK\" <<END\n{}\nEND\n{after}", questions.join("\n"));
    let output = succeed(&mut in_namespace(&["-n", "-u", "-i"], &script));
    let output = text(&output.stdout);
    let mut lines = output.lines().map(str::to_owned);
    let answers = lines.by_ref().take(questions.len()).collect();
    (answers, lines.collect::<Vec<_>>().join("\n"))
}

/// Vectors of ints, longs and texts are written, and the old value comes with the same call.
#[test]
fn values_are_written_and_the_old_ones_read_in_one_call() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    let (answers, files) = in_fresh_namespaces(
        &[
            "syscall _sysctl ints:3,5,56 3 null null ints:20000,30000 8",
            "syscall _sysctl ints:3,5,56 3 buf:8 longs:8 ints:21000,31000 8",
            "symbol sysctl ints:1,7 2 null null str:first%0a 6",
            "symbol sysctl ints:1,7 2 buf:64 longs:64 str:second%00junk 6",
            "syscall _sysctl ints:1,34 2 buf:8 longs:8 longs:123456789012 8",
            "syscall _sysctl ints:3,5,16,1,8 5 null null ints:2 4",
        ],
        "cd /proc/sys; cat net/ipv4/ip_local_port_range kernel/hostname kernel/shmmax net/ipv4/conf/lo/rp_filter",
    );
    assert!(answers.iter().all(|answer| outcome(answer) == DONE), "{answers:?}");
    assert_eq!(buffer(&answers[1], 1)[..8], [20000u32.to_le_bytes(), 30000u32.to_le_bytes()].concat());
    assert_eq!(buffer(&answers[1], 2), 8u64.to_le_bytes());
    assert!(buffer(&answers[3], 1).starts_with(b"first\0\xa5"), "{}", answers[3]);
    assert_eq!(buffer(&answers[3], 2), 5u64.to_le_bytes());
    assert_eq!(
        files.split_ascii_whitespace().collect::<Vec<_>>(),
        ["21000", "31000", "second", "123456789012", "2"]
    );
}

/// Writes that fail leave the file as it was: bad pointers, a value that the file refuses, and files that
/// nobody may write. A length below one value writes nothing and is no error.
#[test]
fn writes_that_fail_change_nothing() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    let cases = [
        ("ints:3,5,56 3 null null bad 8", failure(libc::EFAULT)),
        ("ints:3,5,56 3 null null none 4", failure(libc::EFAULT)),
        ("ints:3,5,56 3 null null edge:7 8", failure(libc::EFAULT)),
        ("ints:1,7 2 null null bad 3", failure(libc::EFAULT)),
        ("ints:1,34 2 null null kernel 8", failure(libc::EFAULT)),
        // Both: the old value is there, the call fails all the same, and oldlen stays.
        ("ints:1,7 2 buf:8 longs:8 none 3", failure(libc::EFAULT)),
        // An int above 2^31 - 1 goes to the file as 4294967295, which refuses it.
        ("ints:3,5,37 3 null null ints:-1 4", failure(libc::EINVAL)),
        ("ints:1,1 2 null null str:Hurd 4", failure(libc::EACCES)),
        ("ints:1,1 2 buf:8 longs:8 str:Hurd 4", failure(libc::EACCES)),
        ("ints:1,40,5 3 null null str:no-uuid 7", failure(libc::EACCES)),
        ("ints:3,5,56 3 null null ints:1,2 3", DONE.to_owned()),
        ("ints:3,5,56 3 null null ints:1,2 0", DONE.to_owned()),
    ];
    let files = "cd /proc/sys; cat net/ipv4/ip_local_port_range kernel/hostname kernel/shmmax \
                 net/ipv4/ip_default_ttl kernel/ostype kernel/random/boot_id";
    let questions: Vec<String> = cases.iter().map(|(case, _)| format!("syscall _sysctl {case}")).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    let (_, before) = in_fresh_namespaces(&[], files);
    let (answers, after) = in_fresh_namespaces(&questions, files);
    for ((case, expected), answer) in cases.iter().zip(&answers) {
        assert_eq!(outcome(answer), expected, "{case}");
        if case.contains("longs:8 ") {
            assert_eq!(buffer(answer, 2), 8u64.to_le_bytes(), "{case}: oldlen changed");
        }
    }
    assert_eq!(before, after);
}

/// Whoever may not write a file gets EACCES, whoever may read it reads it.
#[test]
fn writes_without_the_right_are_eacces() {
    if !is_root() {
        skip!("needs root to become nobody");
    }
    let questions = [
        "syscall _sysctl ints:1,7 2 null null str:mine 4",
        "syscall _sysctl ints:1,7 2 buf:64 longs:64 str:mine 4",
        "syscall _sysctl ints:1,23 2 null null ints:1 4",
        "syscall _sysctl ints:1,7 2 buf:64 longs:64 null 0",
    ];
    let given = answers(&mut Nobody::new().ask(None), &questions.map(str::to_owned));
    for answer in &given[..3] {
        assert_eq!(outcome(answer), failure(libc::EACCES));
    }
    assert!(buffer(&given[1], 1).iter().all(|&b| b == FILLING), "read although the call fails");
    assert_eq!(outcome(&given[3]), DONE);
}

/// Texts may be asked for with a buffer larger than what newer kernels read at once.
#[test]
fn a_huge_buffer_is_no_error() {
    let answer = answer(&mut repaired(), "syscall _sysctl ints:1,1 2 buf:6 longs:100000000 null 0");
    assert_eq!(outcome(&answer), DONE);
    assert!(buffer(&answer, 1).starts_with(b"Linux\0"));
    assert_eq!(buffer(&answer, 2), 5u64.to_le_bytes());
}
