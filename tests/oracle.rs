//! The kernel as oracle: calls that this host still answers, made natively and by the forced rule side by
//! side in one process, give the same result, errno and bytes, over generated arguments.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{answers, buffer, forced, in_namespace, is_root, outcome};
use common::succeed;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const RULES: &str = "ustat,sysfs,epoll_create";

/// A call and its arguments, as `ask` reads them.
type Question = String;

/// Each question through the bare instruction, `syscall()` and the exported symbol.
fn three_doors(questions: &[Question]) -> Vec<[String; 3]> {
    let doors = ["inline", "syscall", "symbol"];
    let lines: Vec<String> = questions.iter().flat_map(|q| doors.map(|door| format!("{door} {q}"))).collect();
    let all = answers(&mut forced(RULES), &lines);
    all.chunks(3).map(|three| [three[0].clone(), three[1].clone(), three[2].clone()]).collect()
}

/// The first question that the kernel and the rule answer differently. Free blocks may move between two
/// calls, so a difference has to stay.
fn lasting_difference(questions: &[Question]) -> Option<String> {
    for (question, mut three) in questions.iter().zip(three_doors(questions)) {
        for _ in 0..40 {
            if same(question, &three) {
                break;
            }
            three = three_doors(std::slice::from_ref(question)).remove(0);
        }
        if !same(question, &three) {
            return Some(format!(
                "{question}\nkernel  {}\nsyscall {}\nsymbol  {}",
                three[0], three[1], three[2]
            ));
        }
    }
    None
}

fn same(question: &str, [kernel, by_number, by_symbol]: &[String; 3]) -> bool {
    if by_number != by_symbol {
        return false;
    }
    // The rule's stated difference: the kernel also knows file systems that are mounted nowhere here.
    let device = question.strip_prefix("ustat ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let unreachable = device.is_some_and(|device| !reachable_devices().contains(&(device as u32)));
    if unreachable { outcome(by_number) == ask::failure(libc::EINVAL) } else { kernel == by_number }
}

/// Devices of the mounts that a path leads to, as the kernel encodes them.
fn reachable_devices() -> HashSet<u32> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let on_path = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        let device = minor & 0xff | major << 8 | (minor & !0xff) << 12;
        let there = fs::symlink_metadata(fields.nth(1)?.replace("\\040", " ")).ok()?.dev();
        (there as u32 == device).then_some(device)
    });
    on_path.collect()
}

fn file_systems() -> Vec<String> {
    let list = fs::read_to_string("/proc/filesystems").unwrap();
    list.lines().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect()
}

/// Places for a result of some bytes, most of them wrong.
fn place(bytes: usize) -> impl Strategy<Value = String> {
    const WRONG: &[&str] = &["null", "bad", "kernel", "none", "1", "-1", "0x7ffffffff000", "0x800000000000"];
    prop_oneof![
        6 => Just(format!("buf:{bytes}")),
        2 => Just(format!("edge:{bytes}")),
        2 => (0..bytes).prop_map(|n| format!("edge:{n}")),
        1 => Just(format!("ro:{bytes}")),
        2 => proptest::sample::select(WRONG).prop_map(str::to_owned),
    ]
}

/// Numbers around every edge, with rubbish in the upper half at times.
fn number(edges: &'static [i64]) -> impl Strategy<Value = i64> {
    let low = prop_oneof![proptest::sample::select(edges), any::<i32>().prop_map(i64::from)];
    (low, prop_oneof![4 => Just(0i64), 1 => any::<i32>().prop_map(|high| i64::from(high) << 32)])
        .prop_map(|(low, high)| low ^ high)
}

fn device() -> impl Strategy<Value = u64> {
    let mut known: Vec<u32> = reachable_devices().into_iter().collect();
    known.sort_unstable();
    prop_oneof![
        6 => proptest::sample::select(known.clone()).prop_map(u64::from),
        2 => (proptest::sample::select(known.clone()), 0..64u32).prop_map(|(d, bit)| u64::from(d) ^ 1 << bit),
        1 => (proptest::sample::select(known), any::<u32>()).prop_map(|(d, high)| u64::from(high) << 32 | u64::from(d)),
        1 => any::<u64>(),
        1 => 0..64u64,
    ]
}

fn name() -> impl Strategy<Value = String> {
    let real = || proptest::sample::select(file_systems());
    const WRONG: &[&str] =
        &["null", "bad", "kernel", "none", "str:", "edgestr:", "cutstr:", "edge:0", "edge:1", "edge:4096"];
    prop_oneof![
        4 => real().prop_map(|name| format!("str:{name}")),
        2 => real().prop_map(|name| format!("edgestr:{name}")),
        2 => real().prop_map(|name| format!("cutstr:{name}")),
        1 => real().prop_map(|name| format!("str:{name}x")),
        1 => (real(), any::<proptest::sample::Index>())
            .prop_map(|(name, cut)| format!("str:{}", &name[..cut.index(name.len())])),
        1 => "[a-zA-Z0-9_%]{0,80}".prop_map(|name| format!("str:{}", name.replace('%', "%FF"))),
        2 => prop_oneof![Just(63), Just(64), Just(65), 4090..4100usize, 1..9000usize].prop_map(|n| format!("long:{n}")),
        2 => proptest::sample::select(WRONG).prop_map(str::to_owned),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let count = file_systems().len() as i64;
    let index = prop_oneof![4 => 0..count + 3, 1 => number(&[0, -1, i32::MAX as i64, i32::MIN as i64])];
    let ustat = (device(), place(32)).prop_map(|(device, place)| format!("ustat {device} {place}"));
    let by_name = name().prop_map(|name| format!("sysfs 1 {name}"));
    let by_index = (index, place(24)).prop_map(|(index, place)| format!("sysfs 2 {index} {place}"));
    let others = (number(&[0, 1, 2, 3, 4, -1]), number(&[0, 1]), place(24))
        .prop_map(|(option, argument, place)| format!("sysfs {option} {argument} {place}"));
    let epoll =
        number(&[0, 1, -1, i32::MAX as i64, i32::MIN as i64]).prop_map(|size| format!("epoll_create {size}"));
    prop_oneof![4 => ustat, 3 => by_name, 3 => by_index, 1 => others, 1 => epoll]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        max_shrink_time: 15_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    /// ustat, sysfs and epoll_create by the rules answer as the kernel does, whatever they are asked.
    #[test]
    fn forced_rules_answer_as_the_kernel_does(questions in proptest::collection::vec(question(), 50..120)) {
        if let Some(difference) = lasting_difference(&questions) {
            return Err(TestCaseError::fail(difference));
        }
    }
}

/// Force is what the comparison rests on: all three rules act and say so in the log.
#[test]
fn forced_rules_do_act() {
    let questions = ["ustat 0 null", "sysfs 3", "epoll_create 1"];
    let lines = questions.map(|q| format!("syscall {q}\n")).concat();
    let output = ask::feed(forced(RULES).env("EVERCALL_LOG", "all"), &lines);
    let log = common::text(&output.stderr);
    assert_eq!(log.lines().count(), 3, "{log}");
    for rule in RULES.split(',') {
        assert!(log.contains(rule), "{rule} is not in the log: {log}");
    }
}

/// The kernel grows the stack for a result that goes to a part of it that was never touched: so do the rules.
#[test]
fn results_reach_stack_that_was_never_touched() {
    let device = fs::metadata("/proc").unwrap().dev();
    let questions =
        [format!("ustat {device} deep:32"), "sysfs 2 0 deep:24".to_owned(), "sysfs 1 deep:24".to_owned()];
    for (question, [kernel, by_number, by_symbol]) in questions.iter().zip(three_doors(&questions)) {
        assert_eq!([&kernel, &kernel], [&by_number, &by_symbol], "{question}");
        assert_ne!(outcome(&kernel), ask::failure(libc::EFAULT), "{question}: the kernel itself refused");
    }
}

/// With one descriptor left a bad pointer is still EFAULT, and what needs one descriptor works.
#[test]
fn bad_pointers_are_efault_with_one_descriptor_left() {
    let mut command = common::bare("prlimit");
    command.args(["--nofile=4:", "env"]).arg(format!("LD_PRELOAD={}", common::shim().display()));
    command.arg(format!("EVERCALL_FORCE={RULES}")).arg(common::program("ask"));
    let questions = [
        "sysfs 2 0 bad",
        "sysfs 2 0 ro:9",
        "sysfs 1 bad",
        "sysfs 1 cutstr:proc",
        "sysfs 2 0 buf:9",
        "sysfs 3",
    ];
    let lines: Vec<String> =
        questions.iter().flat_map(|q| [format!("inline {q}"), format!("syscall {q}")]).collect();
    for (pair, question) in answers(&mut command, &lines).chunks(2).zip(questions) {
        assert_eq!(pair[0], pair[1], "{question}");
    }
}

/// What must hold of every mount situation: asked in a private mount namespace after `script`, each
/// device, given as `dev:PATH` or as the `$NAME` of a shell variable, is answered as by the kernel.
fn same_in_mount_namespace(script: &str, devices: &[&str]) -> Vec<[String; 2]> {
    let questions: String =
        devices.iter().map(|d| format!("inline ustat {d} buf:32\nsyscall ustat {d} buf:32\n")).collect();
    let script = format!(
        "mount -t tmpfs base /mnt\ncd /mnt\n{script}\n\
         LD_PRELOAD=$SHIM EVERCALL_FORCE=ustat \"$ASK\" <<END\n{questions}END\n"
    );
    let output = succeed(&mut in_namespace(&["-m"], &script));
    let lines: Vec<String> = common::text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2 * devices.len(), "{lines:?}");
    lines.chunks(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
}

/// Names with blanks, tabs, newlines and backslashes, which mountinfo writes in octal.
#[test]
fn ustat_finds_a_mount_point_with_blanks_in_its_name() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let script = "d=$(printf 'a b\\tc\\134d\\ne'); mkdir \"$d\"; mount -t tmpfs -o nr_blocks=777 t \"$d\"\n\
                  dev=$(stat -c %d \"$d\")";
    for [kernel, rule] in same_in_mount_namespace(script, &["$dev"]) {
        assert_eq!(outcome(&kernel), "0 1234");
        assert_eq!(u32::from_le_bytes(buffer(&kernel, 0)[..4].try_into().unwrap()), 777);
        assert_eq!(kernel, rule);
    }
}

/// In a chroot mountinfo does not show the mount that the root lies on: the root itself tells.
#[test]
fn ustat_finds_the_root_of_a_chroot() {
    if !is_root() {
        skip!("needs root for a chroot");
    }
    let root = tempfile::tempdir().expect("a temporary folder");
    let put = |from: &Path, to: &str| {
        let to = root.path().join(to);
        std::fs::create_dir_all(to.parent().expect("below the root")).expect("a folder of the chroot");
        std::fs::copy(from, to).expect("a file of the chroot");
    };
    put(Path::new("/lib/ld-musl-x86_64.so.1"), "lib/ld-musl-x86_64.so.1");
    put(&common::program("legacy.musl"), "legacy");
    put(&common::shim(), "libevercall.so");
    let mut chroot = common::bare("chroot");
    chroot.arg(root.path()).args(["/legacy", "ustat"]);
    chroot.env("LD_PRELOAD", "/libevercall.so").env("EVERCALL_FORCE", "ustat");
    let output = common::text(&common::succeed(&mut chroot).stdout);
    assert!(output.ends_with("has free blocks\n"), "{output}");
}

/// A file as mount point, with its device mounted nowhere else.
#[test]
fn ustat_finds_a_device_by_a_bind_mounted_file() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let script = "mkdir m; mount -t tmpfs -o nr_blocks=55 t m; echo x > m/file; touch there\n\
                  mount --bind m/file there; umount m";
    for [kernel, rule] in same_in_mount_namespace(script, &["dev:there"]) {
        assert_eq!(outcome(&kernel), "0 1234");
        assert_eq!(kernel, rule);
    }
}

/// Of two mounts of one device the first is hidden: the second answers; and what hides it answers for itself.
#[test]
fn ustat_finds_the_other_mount_where_one_is_hidden() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let script = "mkdir a b; mount -t tmpfs -o nr_blocks=31 t a; dev=$(stat -c %d a); mount --bind a b\n\
                  mount -t tmpfs -o nr_blocks=32 over a";
    for [kernel, rule] in same_in_mount_namespace(script, &["$dev", "dev:a", "dev:b"]) {
        assert_eq!(outcome(&kernel), "0 1234");
        assert_eq!(kernel, rule);
    }
}

/// A file system that another mount hides altogether answers EINVAL, as the rule's row says; never the
/// numbers of what lies on top of it.
#[test]
fn ustat_of_a_hidden_file_system_is_einval_and_not_its_cover() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let script = "mkdir a; mount -t tmpfs t a; dev=$(stat -c %d a); mount -t tmpfs over a";
    for [kernel, rule] in same_in_mount_namespace(script, &["$dev"]) {
        assert_eq!(outcome(&kernel), "0 1234");
        assert_eq!(outcome(&rule), ask::failure(libc::EINVAL));
    }
}

/// An overlay of many layers has a line of several kilobytes in mountinfo; so has a long source.
#[test]
fn ustat_finds_a_mount_whose_line_is_long() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let script = "mkdir before long after; mount -t tmpfs -o nr_blocks=1 t before\n\
                  mount -t tmpfs -o nr_blocks=2 \"$(printf %03500d 7)\" long; mount -t tmpfs -o nr_blocks=3 t after";
    for [kernel, rule] in same_in_mount_namespace(script, &["dev:before", "dev:long", "dev:after"]) {
        assert_eq!(outcome(&kernel), "0 1234");
        assert_eq!(kernel, rule);
    }
}
