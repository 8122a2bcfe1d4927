//! The kernel as oracle for old calls that have a modern form: made natively and by the forced rule side by side
//! in one process, over generated arguments, they have the same outcome: result, errno, bytes, what files have
//! become, and no descriptor left behind.

#[path = "common/ask.rs"]
mod ask;
mod common;
#[path = "common/side_by_side.rs"]
mod side_by_side;

use ask::answers;
use common::{bare, program, shim};
use evercall_rules::table::{RULES, Rule};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use side_by_side::{SideBySide, config};
use std::sync::LazyLock;

/// The rules of `rules/table/rules/superseded.toml`.
fn rules() -> &'static str {
    static NAMES: LazyLock<String> = LazyLock::new(|| {
        let names = RULES.iter().filter(|rule| rule.family == "superseded").map(|rule| rule.name);
        names.collect::<Vec<_>>().join(",")
    });
    &NAMES
}

/// A program and its rules.
fn in_program(program: &str) -> SideBySide<'_> {
    let has_symbol = |question: &str| {
        let call = question.split(' ').next().unwrap_or_default();
        Rule::of_call(call).is_some_and(|rule| !rule.symbols.is_empty())
    };
    SideBySide { program, rules: rules(), has_symbol }
}

/// Names of the tree, and what is none.
fn path() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "file",
        "other",
        "folder",
        "folder/inner",
        "link",
        "dangling",
        "loop",
        "fifo",
        "new",
        "nowhere",
        "folder/new",
        "folder/",
        "new/",
        "file/",
        "file/x",
        "nowhere/x",
        "loop/x",
        "link/",
        ".",
        "folder/.",
        "folder/..",
        "folder/../file",
        "dangling/",
        "./file",
    ];
    const ODD: &[&str] = &[
        "@null",
        "@bad",
        "@kernel",
        "@empty",
        "@cut:file",
        "@long:255",
        "@long:256",
        "@long:4095",
        "@long:4096",
        "@deep:4094",
        "@deep:5000",
    ];
    prop_oneof![8 => select(NAMES), 2 => select(ODD)].prop_map(str::to_owned)
}

fn place(size: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => select(&["null", "bad", "kernel", "high", "ro"][..]).prop_map(|at| format!(" buf={at}")),
        1 => (0..size).prop_map(|room| format!(" buf=edge:{room}"))
    ]
}

fn mode() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..0o10000u32, 1 => any::<u32>()]
}

fn times(kind: &'static str) -> impl Strategy<Value = String> {
    let part = || prop_oneof![4 => 0..2_000_000i64, 2 => select(&[0i64, -1, 999_999, 1_000_000, 1 << 33, i64::MAX, i64::MIN])];
    let good =
        prop_oneof![3 => vec((0..4_000_000_000i64, 0..1_000_000i64), 2), 1 => vec((part(), part()), 2)];
    let numbers = good.prop_map(move |pairs| {
        let all: Vec<String> = pairs
            .iter()
            .flat_map(|&(second, part)| if kind == "utime" { vec![second] } else { vec![second, part] })
            .map(|n| n.to_string())
            .collect();
        format!(" times={}", all.join(","))
    });
    let odd = select(&["bad", "kernel", "edge:0", "edge:8", "edge:15", "edge:31"][..]);
    prop_oneof![5 => numbers, 1 => Just(String::new()), 1 => odd.prop_map(|at| format!(" times={at}"))]
}

fn paths() -> impl Strategy<Value = String> {
    let bits = select(&[
        0u32,
        0o100,
        0o300,
        0o1000,
        0o2000,
        0o200_000,
        0o400_000,
        0o2_000_000,
        0o10_000_000,
        0o20_200_000,
    ]);
    let flags = prop_oneof![
        6 => (0..4u32, vec(bits, 0..3)).prop_map(|(access, bits)| bits.iter().fold(access, |all, bit| all | bit)),
        1 => any::<u32>()
    ];
    let open = (path(), flags, mode())
        .prop_map(|(path, flags, mode)| format!("open path={path} flags={flags} mode={mode}"));
    // Of a FIFO without a reader it would wait.
    let creat = (path(), mode()).prop_map(|(path, mode)| {
        let path = if path == "fifo" { "new".to_owned() } else { path };
        format!("creat path={path} mode={mode}")
    });
    let access = (path(), prop_oneof![4 => 0..8u32, 1 => any::<u32>()])
        .prop_map(|(path, mode)| format!("access path={path} mode={mode}"));
    let stat = (select(&["stat", "lstat"][..]), path(), place(144))
        .prop_map(|(call, path, buffer)| format!("{call} path={path}{buffer}"));
    let number =
        select(&["file", "folder", "link", "pipe", "-1", "-100", "999", "0", "4294967196", "4294967296"][..]);
    let fstat = (number, place(144)).prop_map(|(fd, buffer)| format!("fstat fd={fd}{buffer}"));
    let one = (select(&["mkdir", "chmod"][..]), path(), mode())
        .prop_map(|(call, path, mode)| format!("{call} path={path} mode={mode}"));
    let gone =
        (select(&["rmdir", "unlink"][..]), path()).prop_map(|(call, path)| format!("{call} path={path}"));
    let two = (select(&["rename", "link", "symlink"][..]), path(), path())
        .prop_map(|(call, path, to)| format!("{call} path={path} to={to}"));
    let read = (path(), prop_oneof![4 => 0..41i64, 1 => select(&[-1i64, 1 << 32, i64::MIN])], place(4))
        .prop_map(|(path, size, buffer)| format!("readlink path={path} size={size}{buffer}"));
    let id = || prop_oneof![3 => 0..5i64, 1 => Just(-1i64), 1 => any::<u32>().prop_map(i64::from), 1 => Just(1i64 << 32)];
    let own = (select(&["chown", "lchown"][..]), path(), id(), id())
        .prop_map(|(call, path, user, group)| format!("{call} path={path} user={user} group={group}"));
    let kind =
        select(&[0u32, 0o10000, 0o20000, 0o40000, 0o60000, 0o100_000, 0o120_000, 0o140_000, 0o170_000]);
    let node = (path(), kind, 0..0o10000u32, select(&[0u32, 0x103, 0x700, u32::MAX])).prop_map(
        |(path, kind, mode, device)| format!("mknod path={path} mode={} device={device}", kind | mode),
    );
    let utime = (path(), times("utime")).prop_map(|(path, times)| format!("utime path={path}{times}"));
    let utimes = (path(), times("utimes")).prop_map(|(path, times)| format!("utimes path={path}{times}"));
    let folder = select(&["here", "folder", "file", "closed"][..]);
    let futimesat = (
        folder,
        prop_oneof![3 => path(), 1 => Just("inner".to_owned()), 1 => Just("@null".to_owned())],
        times("utimes"),
    )
        .prop_map(|(fd, path, times)| format!("futimesat fd={fd} path={path}{times}"));
    prop_oneof![
        3 => open, 1 => creat, 1 => access, 2 => stat, 1 => fstat, 2 => one, 2 => gone, 3 => two, 1 => read, 2 => own,
        1 => node, 1 => utime, 2 => utimes, 2 => futimesat
    ]
}

fn descriptors() -> impl Strategy<Value = String> {
    let limit =
        || prop_oneof![5 => Just(""), 1 => Just(" limit=3"), 1 => Just(" limit=4"), 1 => Just(" limit=5")];
    let event = (prop_oneof![2 => any::<u32>().prop_map(u64::from), 1 => any::<u64>()], limit())
        .prop_map(|(count, limit)| format!("eventfd count={count}{limit}"));
    let at = || prop_oneof![4 => Just(""), 1 => select(&["null", "bad", "kernel", "ro", "edge:0", "edge:4", "edge:7"][..])];
    let signal = (
        select(&["-1", "-1", "old", "pipe", "999", "0", "4294967295", "-2"][..]),
        at(),
        select(&[8i64, 8, 8, 4, 16, 0, -1]),
    )
        .prop_map(|(fd, mask, size)| {
            // What cannot be written to can be read.
            let mask = if mask.is_empty() || mask == "ro" { String::new() } else { format!(" mask={mask}") };
            format!("signalfd fd={fd} size={size}{mask}")
        });
    let inotify = limit().prop_map(|limit| format!("inotify_init{limit}"));
    let pipe = (at(), limit()).prop_map(|(fds, limit)| {
        let fds = if fds.is_empty() { String::new() } else { format!(" fds={fds}") };
        format!("pipe{fds}{limit}")
    });
    let number = || select(&[100i64, 100, 101, 150, 511, 512, 999, -1, i64::MAX, 0x7fff_ffff, 0x1_0000_0064]);
    let dup = (number(), number()).prop_map(|(old, new)| format!("dup2 old={old} new={new}"));
    let folder = prop_oneof![5 => Just(""), 1 => select(&[" fd=closed", " fd=path", " fd=file", " fd=pipe", " fd=gone"][..])];
    let size = prop_oneof![3 => 20..3000i64, 1 => select(&[0i64, 24, 1 << 15, 1 << 32, (1 << 32) + 100, -1])];
    let buffer = prop_oneof![6 => Just(String::new()), 1 => (0..3000u32).prop_map(|n| format!(" buf=edge:{n}")),
        1 => select(&[" buf=null", " buf=bad", " buf=kernel", " buf=ro"][..]).prop_map(str::to_owned)];
    let entries = (folder, size, buffer, 1..50u32).prop_map(|(folder, size, buffer, rounds)| {
        format!("getdents size={size} rounds={rounds}{folder}{buffer}")
    });
    let resource = || prop_oneof![4 => 0..16i64, 1 => select(&[16i64, -1, 1 << 32, (1 << 32) + 7])];
    let get = (resource(), place(16))
        .prop_map(|(resource, buffer)| format!("getrlimit resource={resource}{buffer}"));
    let value = || prop_oneof![3 => Just(-2i64), 1 => Just(-1i64), 2 => 0..1i64 << 20, 1 => any::<i64>()];
    // Limits that end a program at once are no question.
    let harmless =
        || prop_oneof![4 => select(&[4i64, 7, 10, 11, 12, 13, 14, 15]), 1 => select(&[16i64, -1, 1 << 32])];
    let set = (harmless(), value(), value(), place(16)).prop_map(|(resource, soft, hard, buffer)| {
        let buffer = if buffer.contains("edge") || buffer.contains("ro") { String::new() } else { buffer };
        let (soft, hard) = if resource == 1 << 32 { (-2, -2) } else { (soft, hard) };
        format!("setrlimit resource={resource} soft={soft} hard={hard}{buffer}")
    });
    prop_oneof![1 => event, 2 => signal, 1 => inotify, 2 => pipe, 3 => dup, 3 => entries, 2 => get, 2 => set]
}

fn waits() -> impl Strategy<Value = String> {
    let fds = |key: &'static str| {
        let one = select(&[110u32, 111, 112, 113, 0]);
        prop_oneof![
            2 => Just(String::new()),
            5 => vec(one, 1..4).prop_map(move |list| {
                let list: Vec<String> = list.iter().map(u32::to_string).collect();
                format!(" {key}={}", list.join(","))
            }),
            1 => select(&["bad", "kernel", "null", "edge:0", "edge:15", "edge:16"][..]).prop_map(move |at| format!(" {key}={at}"))
        ]
    };
    // Short, or with something that can be read all the while.
    let short = (0..2_000u32).prop_map(|micro| format!(" usec={micro}"));
    let long = (
        select(&[0i64, 5, 4_000_000, i64::MAX, -1, i64::MIN, -5]),
        select(&[0i64, 1, 999_999, 1_000_000, 7_654_321, -1, -1_000_000, -3_000_001, i64::MAX, i64::MIN]),
    )
        .prop_map(|(second, micro)| format!(" read=110 sec={second} usec={micro}"));
    let odd = select(&[" time=bad", " time=kernel", " time=edge:15", " time=edge:8"][..])
        .prop_map(|time| format!(" read=110{time}"));
    let kept = prop_oneof![6 => Just(""), 1 => Just(" time=ro"), 1 => Just(" sticky=yes")];
    let count = prop_oneof![4 => Just(String::new()), 2 => select(&[-1i64, 0, 1, 110, 111, 112, 1024, 1 << 32, (1 << 32) + 120, i64::MIN]).prop_map(|n| format!(" count={n}"))];
    let timed = prop_oneof![3 => (fds("read"), short).prop_map(|(read, time)| format!("{read}{time}")), 2 => long, 1 => odd];
    let select_call =
        (timed, fds("write"), fds("except"), count, kept).prop_map(|(timed, write, except, count, kept)| {
            // Without what can be read a large time would be waited for.
            let count = if timed.contains("sec=") && timed.contains(" usec=") && timed.contains(" sec=") {
                String::new()
            } else {
                count
            };
            let kept = if timed.contains("time=") { "" } else { kept };
            format!("select{timed}{write}{except}{count}{kept}")
        });
    let entry = (select(&[110i32, 111, 112, 113, -1, -2, 999]), select(&[0i32, 1, 4, 5, 7, 0x2000, -1]))
        .prop_map(|(fd, events)| format!("{fd}:{events}"));
    let at = prop_oneof![7 => Just(""), 1 => select(&[" at=bad", " at=kernel", " at=null", " at=edge:4", " at=edge:8", " at=edge:12", " at=ro"][..])];
    let count = prop_oneof![7 => Just(String::new()), 1 => select(&[0i64, 1, -1, 1 << 32, 0x7fff_ffff]).prop_map(|n| format!(" count={n}"))];
    let poll = (vec(entry, 1..6), at, count, prop_oneof![3 => 0..3i64, 1 => Just(1i64 << 32)]).prop_map(
        |(list, at, count, time)| {
            // Of a short list only what is there is asked about.
            let count = if count.is_empty() || at.is_empty() && count.contains(" count=1") {
                count
            } else {
                format!("{count} at=bad")
            };
            let at = if count.contains("at=") { "" } else { at };
            // Fortified programs tell the size of the list.
            let size = if count.is_empty() && time == 2 { " chk=64" } else { "" };
            format!("poll list={} timeout={time}{at}{count}{size}", list.join(","))
        },
    );
    let watch = prop_oneof![3 => select(&["111", "110", "110,112", "110,111,112", "112"][..])];
    let most =
        prop_oneof![5 => 1..9i64, 2 => select(&[0i64, -1, i64::MIN, 178_956_970, 178_956_971, 1 << 32])];
    let events = prop_oneof![7 => Just(""), 1 => select(&[" events=bad", " events=kernel", " events=null", " events=ro"][..])];
    let queue = prop_oneof![7 => Just(""), 1 => Just(" queue=closed"), 1 => Just(" queue=pipe")];
    let epoll = (watch, most, events, queue, 0..3u32).prop_map(|(watch, most, events, queue, time)| {
        format!("epoll_wait watch={watch} most={most} timeout={time}{events}{queue}")
    });
    let left = select(&["0.0", "3.200", "3.800", "0.200", "0.800", "100.300", "4000000000.300"][..]);
    let alarm = (prop_oneof![0..10u64, any::<u64>()], left)
        .prop_map(|(seconds, left)| format!("alarm seconds={seconds} left={left}"));
    let time = prop_oneof![2 => Just("buf".to_owned()), 1 => Just("null".to_owned()), 1 => Just("bad".to_owned()), 1 => Just("kernel".to_owned()), 1 => (0..8u32).prop_map(|n| format!("edge:{n}"))]
        .prop_map(|to| format!("time to={to}"));
    prop_oneof![4 => select_call, 3 => poll, 2 => epoll, 1 => alarm, 1 => time, 1 => Just("fork".to_owned()), 1 => Just("vfork".to_owned())]
}

proptest! {
    #![proptest_config(config(50))]

    /// Files are opened, made, named and removed by the rules as by the kernel.
    #[test]
    fn paths_by_the_rules_are_as_by_the_kernel(questions in vec(paths(), 40..80)) {
        in_program("superseded_paths").assert_same(&questions)?;
    }

    /// Descriptors, entries of folders and limits by the rules are as by the kernel.
    #[test]
    fn descriptors_by_the_rules_are_as_by_the_kernel(questions in vec(descriptors(), 40..80)) {
        in_program("superseded_descriptors").assert_same(&questions)?;
    }

    /// Waits, the time left of them, alarms, the clock and children by the rules are as by the kernel.
    #[test]
    fn waits_by_the_rules_are_as_by_the_kernel(questions in vec(waits(), 20..50)) {
        in_program("superseded_waits").assert_same(&questions)?;
    }
}

/// A signal whose handler runs ends each call with EINTR, with SA_RESTART too, and what is left of a time is told.
#[test]
fn a_signal_ends_each_wait() {
    let waits = [
        "select sec=30",
        "select read=111 sec=30 usec=5",
        "select read=111",
        "select sec=30 sticky=yes",
        "select sec=30 time=ro",
        "poll timeout=30000",
        "poll timeout=-1",
        "epoll_wait timeout=30000",
        "epoll_wait timeout=-1",
        "pause",
    ];
    let questions: Vec<String> =
        waits.iter().flat_map(|wait| ["plain", "restart"].map(|how| format!("{wait} eintr={how}"))).collect();
    let program = in_program("superseded_waits");
    let ends = answers(&mut program.forced(), &[format!("inline {}", questions[0])]);
    assert_eq!(ends, [" -1 errno 4, 1 handled, time less"]);
    if let Some(difference) = program.difference(&questions) {
        panic!("{difference}");
    }
}

/// Force is what the comparison rests on: every rule acts, and the log says so.
#[test]
fn every_rule_acts_when_forced() {
    let mut log = String::new();
    for name in ["superseded_paths", "superseded_descriptors", "superseded_waits"] {
        let mut command = bare(program(name));
        command.arg("syscall").env("LD_PRELOAD", shim());
        command.env("EVERCALL_FORCE", rules()).env("EVERCALL_LOG", "all");
        log += &common::text(&common::succeed(&mut command).stderr);
    }
    // The program makes no vfork by number where it cannot know that a rule carries it out.
    for rule in rules().split(',').filter(|&rule| rule != "vfork") {
        assert!(log.contains(&format!("{rule}(")), "{rule} is not in the log");
    }
}
