//! `_sysctl(2)` and `sysctl(3)` against /proc/sys, by the conversions of kernel 5.4 (kernel/sysctl_binary.c).
//! No kernel here has the call, so what is expected is worked out from the files, in this file's own way.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{Nobody, answer, answers, ask, buffer, failure, in_namespace, is_root, outcome};
use common::{root, shim, succeed, text};
use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// What `ask` fills buffers with, and how many bytes more it gives them.
const FILLING: u8 = 0xa5;

const DONE: &str = "0 1234";

/// `ask` under the shim: the host has no `_sysctl`, so nothing is forced.
fn repaired() -> Command {
    let mut command = ask();
    command.env("LD_PRELOAD", shim());
    command
}

/// A file of the name space.
#[derive(Clone)]
struct Leaf {
    name: Vec<i64>,
    path: String,
    conversion: String,
}

impl Leaf {
    /// The arguments of a read into a buffer of this many bytes.
    fn read(&self, room: usize) -> String {
        let name: Vec<String> = self.name.iter().map(i64::to_string).collect();
        format!("ints:{} {} buf:{room} longs:{room} null 0", name.join(","), name.len())
    }

    /// What the answer to such a read should be, from the file as it is now.
    fn expected(&self, room: usize) -> (String, Vec<u8>, usize) {
        let content = match fs::read(format!("/proc/sys/{}", self.path)) {
            Ok(content) => content,
            Err(error) => return (failure(error.raw_os_error().unwrap()), Vec::new(), room),
        };
        let (bytes, length) = match self.conversion.as_str() {
            "string" => {
                let mut bytes = content[..content.len().min(room)].to_vec();
                let newline = bytes.last() == Some(&b'\n');
                if newline {
                    *bytes.last_mut().unwrap() = 0;
                }
                let length = bytes.len() - usize::from(newline);
                (bytes, length)
            }
            "uuid" => {
                let hex: String = text(&content).chars().filter(char::is_ascii_hexdigit).collect();
                let bytes = u128::from_str_radix(&hex, 16).unwrap().to_be_bytes();
                (bytes[..room.min(16)].to_vec(), room.min(16))
            }
            kind => {
                let size = if kind == "long" { 8 } else { 4 };
                let values = unsigned(&content).into_iter().take(room / size);
                let bytes: Vec<u8> = values.flat_map(|v| v.to_le_bytes()[..size].to_vec()).collect();
                let length = bytes.len();
                (bytes, length)
            }
        };
        (DONE.to_owned(), bytes, length)
    }

    /// Whether what an answer shows and what the file says now differ as this file does by itself: a new
    /// UUID each time, and counts of inodes and names that every process moves.
    fn moves_by(&self, shown: &[u8], now: &[u8]) -> bool {
        let near = |(a, b): (&[u8], &[u8])| {
            let [a, b] = [a, b].map(|v| i64::from(u32::from_le_bytes(v.try_into().unwrap())));
            (a - b).abs() < 1000
        };
        match self.path.as_str() {
            "kernel/random/uuid" => shown != now,
            "fs/inode-nr" | "fs/inode-state" | "fs/dentry-state" => {
                shown.chunks(4).zip(now.chunks(4)).all(near)
            }
            _ => false,
        }
    }

    /// Whether an answer is what the file says.
    fn agrees(&self, answer: &str, room: usize) -> bool {
        let (result, bytes, length) = self.expected(room);
        let shown = buffer(answer, 1);
        outcome(answer) == result
            && (self.moves_by(&shown[..bytes.len()], &bytes) || shown[..bytes.len()] == bytes)
            && shown[bytes.len()..].iter().all(|&b| b == FILLING)
            && buffer(answer, 2) == length.to_le_bytes()
    }
}

/// Unsigned decimals with blanks between; a number that does not begin with a digit is 0 and the last.
fn unsigned(content: &[u8]) -> Vec<u64> {
    let content = text(&content[..content.len().min(255)]);
    let mut values = Vec::new();
    for word in content.split_ascii_whitespace() {
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        if digits == 0 && !values.is_empty() {
            break;
        }
        values.push(word[..digits].parse().unwrap_or(0));
        if digits < word.len() {
            break;
        }
    }
    if values.is_empty() { vec![0] } else { values }
}

/// The rows of `rules/table/sysctl-names.toml` by table: each a map of its columns.
fn tables() -> HashMap<String, Vec<HashMap<String, String>>> {
    let source = fs::read_to_string(root().join("rules/table/sysctl-names.toml")).unwrap();
    let mut tables: HashMap<String, Vec<_>> = HashMap::new();
    let mut table = String::new();
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        } else if let Some((_, row)) = line.split_once(" = { ") {
            let columns = row.trim_end_matches([' ', '}']).split(", ");
            let columns = columns.map(|column| column.split_once(" = ").unwrap());
            let row = columns.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
            tables.entry(table.clone()).or_default().push(row.collect());
        }
    }
    tables
}

/// Every file below kernel, vm, fs, and core, unix and ipv4 of net; rows of an interface for `lo`.
fn leaves() -> Vec<Leaf> {
    let tables = tables();
    let lo = fs::read_to_string("/sys/class/net/lo/ifindex").map_or("1".to_owned(), |n| n.trim().to_owned());
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), String::new(), "root".to_owned())];
    while let Some((name, path, table)) = open.pop() {
        for row in tables.get(&table).map_or(&[][..], Vec::as_slice) {
            let number = row.get("number").unwrap_or(&lo).parse().unwrap();
            let file = row.get("file").map_or("lo", String::as_str);
            let wanted = match (name.as_slice(), file) {
                ([], top) => ["kernel", "vm", "net", "fs"].contains(&top),
                ([3], family) => ["core", "unix", "ipv4"].contains(&family),
                _ => true,
            };
            if !wanted {
                continue;
            }
            let name = [name.as_slice(), &[number]].concat();
            let path = if path.is_empty() { file.to_owned() } else { format!("{path}/{file}") };
            match (row.get("table"), row.get("type")) {
                (Some(table), None) => open.push((name, path, table.clone())),
                (None, Some(kind)) => found.push(Leaf { name, path, conversion: kind.clone() }),
                _ => panic!("{row:?} is neither table nor file"),
            }
        }
    }
    found
}

fn leaf(path: &str) -> Leaf {
    leaves().into_iter().find(|leaf| leaf.path == path).unwrap_or_else(|| panic!("no row for {path}"))
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
            while !leaf.agrees(&given, *room) {
                tries += 1;
                assert!(
                    tries < 50,
                    "{} ({}): {question}\n{given}\nexpected {:x?}",
                    leaf.path,
                    leaf.conversion,
                    leaf.expected(*room)
                );
                given = answer(&mut repaired(), question);
            }
        }
    }
}

/// Every name of kernel, vm, fs and net core, unix, ipv4 reads what its file says; a file that is not
/// there, or cannot be read, gives the errno that opening it gives.
#[test]
fn every_name_reads_what_its_file_says() {
    let leaves = leaves();
    let there = |kind: &str| {
        let exists = |leaf: &&Leaf| fs::exists(format!("/proc/sys/{}", leaf.path)).unwrap();
        leaves.iter().filter(|leaf| leaf.conversion == kind).filter(exists).count()
    };
    // The test is worth something only where files of each kind are there.
    assert!(there("int") > 60 && there("string") > 4 && there("long") > 2 && there("uuid") == 2);
    for folder in ["net/ipv4/conf/lo/", "net/ipv4/conf/all/", "net/ipv4/conf/default/", "net/ipv4/neigh/lo/"]
    {
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
