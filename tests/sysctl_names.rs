//! Every name of `_sysctl(2)`: in a tree of files made up for all of kernel 5.4's names, those included that this
//! kernel has no file for, read and written; and writes in a network namespace of their own against the same writes
//! through /proc/sys.

#[path = "common/ask.rs"]
mod ask;
#[macro_use]
mod common;
#[path = "common/sysctl_names.rs"]
mod sysctl_names;

use ask::{answers, failure, in_namespace, is_root, outcome};
use common::{bare, succeed, text};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use sysctl_names::{DONE, Leaf, PROC_SYS, leaves, repaired};
use tempfile::TempDir;

/// Bytes asked for.
const ROOM: usize = 400;

/// What a made-up file holds: another text for each name, so that no two can be taken for each other.
fn content(leaf: &Leaf, number: usize) -> String {
    match leaf.conversion.as_str() {
        "string" => format!("text {number} of {}\n", leaf.path),
        "uuid" => format!("01234567-89ab-cdef-0123-{number:012x}\n"),
        "dn_address" => "9.1023\n".to_owned(),
        "long" => format!("{}\t{number}\n", u64::MAX - number as u64),
        _ => format!("{number}\t4294967295\t0\n"),
    }
}

/// A tree with a file for each name; rows of an interface for the interfaces of a fresh namespace.
fn tree(leaves: &[Leaf]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, leaf) in leaves.iter().enumerate() {
        let file = folder.path().join(&leaf.path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content(leaf, number)).unwrap();
    }
    folder
}

/// Asks in fresh mount and network namespaces, with a tree of ours as /proc/sys and an interface of ours.
fn in_tree(tree: &Path, questions: &[String]) -> Vec<String> {
    let script = format!(
        "{VETH}; mount --bind {} /proc/sys; LD_PRELOAD=$SHIM exec \"$ASK\" <<END\n{}\nEND\n",
        tree.display(),
        questions.join("\n")
    );
    let output = succeed(&mut in_namespace(&["-m", "-n"], &script));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Makes the interfaces that [`INTERFACES`] names in a fresh network namespace.
const VETH: &str = "ip link add v0 index 7 type veth peer name v1 index 9";

const INTERFACES: [(i64, &str); 3] = [(1, "lo"), (7, "v0"), (9, "v1")];

/// The numbers are those of the kernel's header, wherever it gives them as numbers. (The rows themselves were held
/// against kernel/sysctl_binary.c of 4.19 and 5.4 when they were written.)
#[test]
fn the_numbers_are_those_of_linux_sysctl_h() {
    let header = fs::read_to_string("/usr/include/linux/sysctl.h").expect("linux-libc-dev");
    let numbers: BTreeMap<&str, i64> = header
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once('=')?;
            Some((name.trim(), rest.split(',').next()?.split_whitespace().next()?.parse().ok()?))
        })
        .collect();
    let table = fs::read_to_string(common::root().join("rules/table/sysctl-names.toml")).unwrap();
    let mut held = 0;
    for row in table.lines().filter(|line| line.contains("number = ")) {
        let (name, rest) = row.split_once(" = ").unwrap();
        let number: i64 = rest.split("number = ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        if let Some(due) = numbers.get(name.trim()) {
            assert_eq!(number, *due, "{name}");
            held += 1;
        }
    }
    assert!(held > 400, "{held} names are in the header");
}

/// Each of kernel 5.4's names leads to its own file, and each value comes as that kernel converted it.
#[test]
fn every_name_of_5_4_reads_its_own_file() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    let leaves = leaves(&INTERFACES);
    let tree = tree(&leaves);
    let questions: Vec<String> =
        leaves.iter().map(|leaf| format!("syscall _sysctl {}", leaf.read(ROOM))).collect();
    let given = in_tree(tree.path(), &questions);
    assert_eq!(given.len(), questions.len());
    for (leaf, answer) in leaves.iter().zip(&given) {
        assert!(
            leaf.agrees(tree.path(), answer, ROOM),
            "{:?} {} ({}): {answer}",
            leaf.name,
            leaf.path,
            leaf.conversion
        );
    }
    for kind in ["string", "int", "long", "uuid", "dn_address"] {
        assert!(leaves.iter().any(|leaf| leaf.conversion == kind), "{kind}");
    }
    assert!(leaves.len() > 700, "{} names with three interfaces", leaves.len());
}

/// What is written goes into the file of that name, and no other.
#[test]
fn every_name_of_5_4_writes_its_own_file() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    let leaves = leaves(&INTERFACES);
    let tree = tree(&leaves);
    let question = |number: usize, leaf: &Leaf| {
        let name: Vec<String> = leaf.name.iter().map(i64::to_string).collect();
        let value = match leaf.conversion.as_str() {
            "string" => format!("str:new{number} {}", 3 + number.to_string().len()),
            "uuid" => "longs:1,2 16".to_owned(),
            "dn_address" => "ints:0x0c05 2".to_owned(),
            "long" => format!("longs:-1,{number} 16"),
            _ => format!("ints:{number},-1 8"),
        };
        format!("syscall _sysctl ints:{} {} null null {value}", name.join(","), name.len())
    };
    let questions: Vec<String> = leaves.iter().enumerate().map(|(n, leaf)| question(n, leaf)).collect();
    let given = in_tree(tree.path(), &questions);
    for (number, (leaf, answer)) in leaves.iter().zip(&given).enumerate() {
        assert_eq!(outcome(answer), DONE, "{}", leaf.path);
        let before = content(leaf, number);
        let written = match leaf.conversion.as_str() {
            "string" => format!("new{number}"),
            // There was no write of a UUID: it succeeds and does nothing.
            "uuid" => String::new(),
            "dn_address" => "3.5".to_owned(),
            "long" => format!("{}\t{number}\t", u64::MAX),
            _ => format!("{number}\t{}\t", u32::MAX),
        };
        // A file that is no sysctl keeps what stands behind the bytes that are written.
        let after = written.clone() + before.get(written.len()..).unwrap_or("");
        assert_eq!(fs::read_to_string(tree.path().join(&leaf.path)).unwrap(), after, "{}", leaf.path);
    }
}

/// DECnet addresses: what is no address, lengths, and bad pointers.
#[test]
fn decnet_addresses_are_read_and_written_as_by_5_4() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    let node = leaves(&INTERFACES).into_iter().find(|leaf| leaf.conversion == "dn_address").unwrap();
    let name: Vec<String> = node.name.iter().map(i64::to_string).collect();
    let name = format!("ints:{} {}", name.join(","), name.len());
    let read = |content: &str, rest: &str| {
        let tree = tree(&[]);
        let file = tree.path().join(&node.path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let answer = in_tree(tree.path(), &[format!("syscall _sysctl {name} {rest}")]).remove(0);
        (outcome(&answer).to_owned(), ask::buffer(&answer, 1), fs::read_to_string(file).unwrap())
    };
    for (content, expected) in [
        ("1.10\n", Ok([0x0a, 0x04])),
        ("63.1023\n", Ok([0xff, 0xff])),
        (".7", Ok([7, 0])),
        ("5.", Ok([0, 0x14])),
        ("64.0\n", Err(libc::EIO)),
        ("1.1024\n", Err(libc::EIO)),
        ("110\n", Err(libc::EIO)),
        ("", Err(libc::EIO)),
    ] {
        // Two bytes come whatever length was asked.
        let (outcome, buffer, _) = read(content, "buf:8 longs:1 null 0");
        match expected {
            Ok(bytes) => assert_eq!((outcome.as_str(), &buffer[..2]), (DONE, &bytes[..]), "{content:?}"),
            Err(errno) => assert_eq!(outcome, failure(errno), "{content:?}"),
        }
    }
    for (new, expected) in [
        ("ints:0x0c05 2", DONE.to_owned()),
        ("ints:0x0c05 4", failure(libc::EINVAL)),
        ("ints:0x0c05 1", failure(libc::EINVAL)),
        ("bad 2", failure(libc::EFAULT)),
    ] {
        let (outcome, _, after) = read("9.9", &format!("buf:8 longs:8 {new}"));
        assert_eq!(outcome, expected, "{new}");
        assert_eq!(after, if expected == DONE { "3.5" } else { "9.9" }, "{new}");
    }
    assert_eq!(read("1.1", "bad longs:8 null 0").0, failure(libc::EFAULT));
}

/// Runs something in a network namespace of its own with the interfaces above: this thread's view of /proc/sys/net
/// and that of the programs it starts.
fn in_network<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        // SAFETY: no pointers; of this thread alone, which ends here.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
        succeed(bare("sh").args(["-ec", VETH]));
        what()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Files of a network namespace whose values concern nothing outside it.
const HARMLESS: &[&str] = &[
    "net/core/somaxconn",
    "net/unix/max_dgram_qlen",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_default_ttl",
    "net/ipv4/ip_no_pmtu_disc",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_syn_retries",
    "net/ipv4/tcp_synack_retries",
    "net/ipv4/tcp_keepalive_time",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_ecn",
    "net/ipv4/tcp_sack",
    "net/ipv4/tcp_timestamps",
    "net/ipv4/tcp_rmem",
    "net/ipv4/icmp_echo_ignore_all",
    "net/ipv4/icmp_ratelimit",
    "net/ipv4/icmp_ratemask",
    "net/ipv4/ipfrag_time",
    "net/ipv4/conf/",
    "net/ipv4/neigh/v0/",
    "net/ipv4/neigh/default/mcast_solicit",
    "net/ipv4/neigh/default/gc_stale_time",
    "net/ipv4/route/min_pmtu",
    "net/ipv4/route/mtu_expires",
    "net/ipv4/route/min_adv_mss",
    "net/ipv6/conf/",
    "net/ipv6/neigh/v0/",
    "net/ipv6/route/",
    "net/ipv6/icmp/ratelimit",
    "net/ipv6/bindv6only",
    "net/ipv6/ip6frag_time",
    "net/netfilter/nf_conntrack_tcp_loose",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_tcp_max_retrans",
    "net/netfilter/nf_conntrack_checksum",
];

/// What is written to each: values that are right for some, and out of range for others.
const VALUES: &[&[u32]] = &[
    &[1],
    &[0],
    &[7],
    &[255],
    &[256],
    &[1500],
    &[70000],
    &[i32::MAX as u32],
    &[u32::MAX],
    &[2000, 3000],
    &[3, 2, 1],
];

fn harmless() -> Vec<Leaf> {
    let mut leaves = leaves(&INTERFACES);
    leaves.retain(|leaf| {
        leaf.conversion == "int"
            && HARMLESS.iter().any(|start| leaf.path.starts_with(start))
            && Path::new(PROC_SYS).join(&leaf.path).exists()
    });
    leaves
}

/// The files as they are, by path.
fn files(leaves: &[Leaf]) -> BTreeMap<String, Result<String, Option<i32>>> {
    let read =
        |leaf: &Leaf| fs::read_to_string(Path::new(PROC_SYS).join(&leaf.path)).map_err(|e| e.raw_os_error());
    leaves.iter().map(|leaf| (leaf.path.clone(), read(leaf))).collect()
}

/// Each write gives the errno that the same numbers give through /proc/sys, and leaves the same values behind: the
/// kernel's own rounding, clamping and refusing.
#[test]
fn writes_in_a_network_namespace_are_those_of_proc_sys() {
    if !is_root() {
        skip!("needs root for namespaces");
    }
    // What the same writes through /proc/sys give, in the same order from the same start.
    let (due, due_files) = in_network(|| {
        let leaves = harmless();
        let mut outcomes = Vec::new();
        for leaf in &leaves {
            for values in VALUES {
                let line: String = values.iter().map(|value| format!("{value}\t")).collect();
                let file = fs::OpenOptions::new().write(true).open(Path::new(PROC_SYS).join(&leaf.path));
                let outcome = match file.and_then(|mut file| file.write(line.as_bytes())) {
                    Ok(_) => DONE.to_owned(),
                    Err(error) => failure(error.raw_os_error().unwrap()),
                };
                outcomes.push((
                    format!("{} {values:?}", leaf.path),
                    outcome,
                    leaf.expected(Path::new(PROC_SYS), ROOM),
                ));
            }
        }
        (outcomes, files(&leaves))
    });
    let (given, given_files) = in_network(|| {
        let leaves = harmless();
        let mut questions = Vec::new();
        for leaf in &leaves {
            let name: Vec<String> = leaf.name.iter().map(i64::to_string).collect();
            for values in VALUES {
                let list: Vec<String> = values.iter().map(u32::to_string).collect();
                let (name, count) = (name.join(","), name.len());
                let length = values.len() * 4;
                questions.push(format!(
                    "syscall _sysctl ints:{name} {count} null null ints:{} {length}",
                    list.join(",")
                ));
                questions.push(format!("syscall _sysctl {}", leaf.read(ROOM)));
            }
        }
        (answers(&mut repaired(), &questions), files(&leaves))
    });
    assert_eq!(given.len(), 2 * due.len());
    for ((what, outcome_due, (read_due, bytes, _)), given) in due.iter().zip(given.chunks(2)) {
        assert_eq!(outcome(&given[0]), outcome_due, "{what}");
        assert_eq!(outcome(&given[1]), read_due, "{what}");
        if !bytes.is_empty() {
            assert_eq!(&ask::buffer(&given[1], 1)[..bytes.len()], bytes, "{what}");
        }
    }
    assert_eq!(due_files, given_files);
    let refused = due.iter().filter(|(_, outcome, _)| outcome != DONE).count();
    assert!(due_files.len() > 60 && refused > 20, "{} files, {refused} writes refused", due_files.len());
}
