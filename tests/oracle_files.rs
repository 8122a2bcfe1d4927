//! The kernel as the oracle of the rules on paths and attributes: sequences of generated calls on a small tree, by the
//! kernel itself and by the forced rules, give the same answers and leave the same tree.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{feed, is_root};
use common::{bare, program, shim, text};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

const RULES: &str = "statx,faccessat2,fchmodat2,openat2,renameat2,utimensat,memfd_create,setxattrat,getxattrat,\
                     listxattrat,removexattrat,file_getattr,file_setattr";

/// Answers to the questions, and the tree at the end.
fn run(door: &str, ids: &[&str], questions: &[String]) -> Vec<String> {
    let mut command = bare(program("ask_files"));
    command.arg(door).args(ids);
    if door != "inline" {
        command.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", RULES);
    }
    let output = feed(&mut command, &(questions.join("\n") + "\n"));
    assert!(output.status.success(), "{command:?}: {} {}", output.status, text(&output.stderr));
    let answers: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len() + 1, "{command:?}: {answers:#?}");
    answers
}

/// What a rule states that it does not do: it refuses, and the kernel does it.
fn is_stated(ids: &[&str], question: &str, kernel: &str, answer: &str) -> bool {
    const ENOSYS: &str = "-1 38";
    // Where both paths are wrong, either's error.
    if question.starts_with("renameat2") && kernel.starts_with("-1") && answer.starts_with("-1") {
        return true;
    }
    answer.starts_with(ENOSYS)
        && (question.starts_with("utimensat")
            || question.starts_with("memfd_create")
            || ids.len() == 2 && is_by_real_ids(question))
}

/// faccessat2 without AT_EACCESS, of a link itself.
fn is_by_real_ids(question: &str) -> bool {
    let flags = question.strip_prefix("faccessat2").and_then(|rest| rest.rsplit("0x").next());
    flags.and_then(|flags| u64::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & 0x300 == 0x100)
}

fn compare(ids: &[&str], questions: &[String]) -> Result<(), TestCaseError> {
    let native = run("inline", ids, questions);
    for door in ["syscall", "symbol"] {
        let forced = run(door, ids, questions);
        for (index, (native, forced)) in native.iter().zip(&forced).enumerate() {
            let question = questions.get(index).map_or("the tree at the end", String::as_str);
            prop_assert!(
                native == forced || is_stated(ids, question, native, forced),
                "{question}\nkernel {native}\n{door} {forced}\nafter {:#?}",
                &questions[..index.min(questions.len())]
            );
        }
    }
    Ok(())
}

/// Compares sequences of questions.
fn check<S: Strategy<Value = String>>(cases: u32, length: usize, ids: &[&str], question: S) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    });
    let sequence = proptest::collection::vec(question, length);
    runner.run(&sequence, |questions| compare(ids, &questions)).unwrap();
}

fn folder() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        5 => Just("cwd"),
        5 => Just("top"),
        3 => Just("opath"),
        1 => select(&["file", "fileopath", "linkopath", "closed", "-5", "0x7fffffff"][..]),
    ]
}

/// Paths of the tree, and everything that is wrong with a path.
fn path() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "f",
        "g",
        "h",
        "a",
        "b",
        "a",
        "b",
        "..",
        "..",
        ".",
        "l",
        "la",
        "up",
        "upup",
        "out",
        "abs",
        "rootlink",
        "dangling",
        "loop",
        "way",
        "dot",
        "slash",
        "magic",
        "magicroot",
        "deep",
        "null",
        "shut",
        "dark",
        "hidden",
        "fifo",
        "new",
        "nothing",
        "top",
        "outside",
    ];
    const WRONG: &[&str] = &[
        "NULL",
        "BAD",
        "EMPTY",
        "EMPTY",
        "CUT",
        "LONG",
        "HUGE",
        "/",
        "//",
        "/dev/null",
        "/proc/self/exe",
        "/proc/self",
    ];
    let walked = (proptest::collection::vec(select(PARTS), 1..6), any::<u8>()).prop_map(|(parts, form)| {
        let joined = parts.join(if form & 7 == 0 { "//" } else { "/" });
        format!(
            "{}{joined}{}",
            if form & 0x30 == 0 { "/" } else { "" },
            if form & 0xc0 == 0 { "/" } else { "" }
        )
    });
    prop_oneof![4 => select(PARTS).prop_map(str::to_owned), 5 => walked, 1 => select(WRONG).prop_map(str::to_owned)]
}

/// Whether a path of ours leads to nothing but the tree of `ask_files`.
fn is_contained(path: &str) -> bool {
    !path.starts_with('/')
        && !path.split('/').any(|part| matches!(part, "rootlink" | "magicroot" | "abs" | "null"))
}

/// Paths that calls may be made on which change something.
fn contained() -> impl Strategy<Value = String> {
    path().prop_map(|path| if is_contained(&path) { path } else { "f".to_owned() })
}

/// Bits of a list, seldom any others.
fn bits(known: &'static [u64]) -> impl Strategy<Value = u64> {
    let some = proptest::collection::vec(select(known), 0..4)
        .prop_map(|bits| bits.iter().fold(0, |all, bit| all | bit));
    prop_oneof![20 => some, 1 => any::<u64>(), 1 => (0..64u32).prop_map(|bit| 1 << bit)]
}

const AT: &[u64] = &[0, 0, 0x100, 0x1000];

fn at_flags() -> impl Strategy<Value = u64> {
    bits(AT).prop_map(|flags| flags & 0xffff_ffff)
}

fn openat2() -> impl Strategy<Value = String> {
    let (creat, excl, trunc, directory, nofollow) = (0o100, 0o200, 0o1000, 0o200_000, 0o400_000);
    let (path_only, tmpfile, close) = (0o10_000_000, 0o20_200_000, 0o2_000_000);
    let flags = proptest::collection::vec(
        select(vec![
            1, 2, creat, excl, trunc, directory, nofollow, path_only, tmpfile, close, 0o2000, 0o100_000,
        ]),
        0..4,
    );
    let flags = flags.prop_map(|flags| flags.iter().fold(0o4000u64, |all, flag| all | flag));
    let flags = prop_oneof![
        6 => Just(0o4000u64),
        2 => Just(path_only),
        2 => Just(path_only | nofollow),
        10 => flags,
        1 => any::<u64>(),
    ];
    let resolve = prop_oneof![20 => 0..0x20u64, 1 => select(vec![0x40, 1 << 40, u64::MAX])];
    let mode = prop_oneof![4 => Just(None), 1 => bits(&[0o600, 0o7777, 0o20_000]).prop_map(Some)];
    let size = prop_oneof![20 => Just((24, 0)), 1 => select(vec![(0, 0), (23, 0), (32, 0), (32, 1), (100, 0), (4096, 0), (4097, 0)])];
    (folder(), path(), flags, mode, resolve, size).prop_map(
        move |(folder, path, flags, mode, resolve, (size, more))| {
            let creates = flags & (creat | 0o20_000_000) != 0;
            let changes = creates || flags & trunc != 0;
            let path = if changes && !is_contained(&path) { "f".to_owned() } else { path };
            let mode = mode.unwrap_or(if creates { 0o640 } else { 0 });
            format!("openat2 {folder} {path} {flags:#x} {mode:#x} {resolve:#x} {size} {more}")
        },
    )
}

fn look() -> impl Strategy<Value = String> {
    const STATX_FLAGS: &[u64] = &[0, 0x100, 0x1000, 0x800, 0x2000, 0x4000];
    prop_oneof![
        (folder(), path(), bits(STATX_FLAGS), bits(&[0x7ff, 1, 0x200])).prop_filter_map(
            "6.18 checks no flags of an empty path",
            |(folder, path, flags, mask)| {
                let unchecked = flags & 0x1000 != 0 && matches!(path.as_str(), "EMPTY" | "NULL");
                let known = flags as u32 & !0x7900 == 0;
                (known || !unchecked).then(|| format!("statx {folder} {path} {flags:#x} {mask:#x}"))
            }
        ),
        access(&[0, 0x200, 0x100, 0x1000]),
    ]
}

fn access(flags: &'static [u64]) -> impl Strategy<Value = String> {
    (folder(), path(), prop_oneof![18 => 0..8u64, 1 => 8..32u64, 1 => any::<u64>()], bits(flags))
        .prop_map(|(folder, path, mode, flags)| format!("faccessat2 {folder} {path} {mode:#x} {flags:#x}"))
}

fn change() -> impl Strategy<Value = String> {
    const RENAMED: &[&str] = &[
        "f",
        "g",
        "l",
        "out",
        "dangling",
        "a/f",
        "new",
        "a/new",
        "a/b/f",
        "nothing",
        "nothing/x",
        "BAD",
        "NULL",
        "EMPTY",
    ];
    const PLACES: &[&str] = &[
        "f",
        "g",
        "l",
        "new",
        "a/new",
        "a/b/new",
        "la/new",
        "a",
        "nothing/x",
        "f/x",
        "BAD",
        "NULL",
        "EMPTY",
        "LONG",
    ];
    let part = || {
        prop_oneof![
            4 => (0..1_000_000i64).prop_map(|micro| micro * 1000),
            1 => select(vec![0x3fff_ffff, 0x3fff_fffe, 1_000_000_000, -1]),
        ]
    };
    let seconds = || -1_000_000_000..1_500_000_000i64;
    let times = (seconds(), part(), seconds(), part());
    prop_oneof![
        (folder(), contained(), any::<u16>(), at_flags())
            // A folder that root may not search would be one for nobody.
            .prop_map(|(folder, path, mode, flags)| format!(
                "fchmodat2 {folder} {path} {:#x} {flags:#x}",
                mode | 0o700
            )),
        (select(RENAMED), select(PLACES), select(&[0u64, 1, 1, 1, 3, 5 << 1, 6, 8, u64::MAX][..]))
            .prop_map(|(from, to, flags)| format!("renameat2 cwd {from} cwd {to} {flags:#x}")),
        (folder(), contained(), times, at_flags(), select(&["0", "0", "0", "0x12345000"][..])).prop_map(
            |(folder, path, (a, b, c, d), flags, place)| format!(
                "utimensat {folder} {path} {a} {b} {c} {d} {flags:#x} {place}"
            )
        ),
        (select(&["f", "EMPTY", "NULL", "BAD", "CUT", "LONG"][..]), bits(&[1, 0x10, 0x20, 0x18]))
            .prop_map(|(name, flags)| format!("memfd_create 0 {name} {flags:#x}")),
    ]
}

fn attributes() -> impl Strategy<Value = String> {
    const NAMES: &[&str] =
        &["user.a", "user.a", "user.b", "trusted.c", "odd", "user.", "EMPTY", "NULL", "BAD", "LONG", "CUT"];
    let place = || select(&["0", "0", "0", "0", "0x12345000"][..]);
    let size = || prop_oneof![8 => 0..40u64, 1 => select(vec![65536, 65537, u64::from(u32::MAX)])];
    let form = || prop_oneof![9 => Just((16, 0)), 1 => select(vec![(0, 0), (15, 0), (24, 0), (24, 7), (4096, 0), (4097, 0)])];
    let target = || {
        (folder(), contained(), at_flags())
            .prop_filter("6.18 takes no working folder as an empty path", |(folder, path, _)| {
                *folder != "cwd" || !matches!(path.as_str(), "EMPTY" | "NULL")
            })
    };
    let xflags = || bits(&[0x80, 0x40, 0x20, 0x200, 0x800, 0x8000, 2]).prop_map(|flags| flags & !0x18);
    let attr = || prop_oneof![9 => Just((24, 0)), 1 => select(vec![(0, 0), (23, 0), (32, 0), (32, 1), (4096, 0), (4097, 0)])];
    prop_oneof![
        (target(), select(NAMES), place(), size(), bits(&[0, 1, 2]), form()).prop_map(
            |((folder, path, at), name, place, size, flags, (form, more))| {
                let flags = flags as u32;
                format!("setxattrat {folder} {path} {at:#x} {name} 0 {place} {size} {flags:#x} {form} {more}")
            }
        ),
        (target(), select(NAMES), place(), 0..40u64, bits(&[0]), form()).prop_map(
            |((folder, path, at), name, place, size, flags, (form, more))| {
                let flags = flags as u32;
                format!("getxattrat {folder} {path} {at:#x} {name} 0 {place} {size} {flags:#x} {form} {more}")
            }
        ),
        (target(), place(), 0..40u64).prop_map(|((folder, path, at), place, size)| format!(
            "listxattrat {folder} {path} {at:#x} {place} {size}"
        )),
        (target(), select(NAMES))
            .prop_map(|((folder, path, at), name)| format!("removexattrat {folder} {path} {at:#x} {name}")),
        (target(), place(), attr()).prop_map(|((folder, path, at), place, (size, _))| format!(
            "file_getattr {folder} {path} {size} {at:#x} {place}"
        )),
        (target(), xflags(), select(&[0u64, 0, 4096][..]), attr()).prop_map(
            |((folder, path, at), xflags, extent, (size, more))| {
                format!("file_setattr {folder} {path} {size} {at:#x} {xflags:#x} {extent} 0 {more}")
            }
        ),
    ]
}

#[test]
fn openat2_is_the_kernels() {
    check(120, 60, &[], openat2());
}

#[test]
fn looking_is_the_kernels() {
    check(70, 60, &[], look());
}

#[test]
fn changing_is_the_kernels() {
    check(70, 60, &[], change());
}

#[test]
fn attributes_are_the_kernels() {
    check(70, 60, &[], attributes());
}

/// As somebody without rights, for whom EACCES and EPERM stand in every order with the other errors.
#[test]
fn without_rights_all_is_the_kernels() {
    if !is_root() {
        skip!("needs root to become nobody");
    }
    check(70, 60, &["65534"], prop_oneof![openat2(), look()]);
}

/// Effective ids that are not the real ones: AT_EACCESS by mode bits.
#[test]
fn other_effective_ids_have_the_kernels_rights() {
    if !is_root() {
        skip!("needs root to take other ids");
    }
    for ids in [["0", "65534"], ["65534", "0"], ["65534", "65533"]] {
        // The files of /proc have rights that no mode bit tells.
        let question = access(&[0x200, 0x1200, 0x300]);
        check(15, 60, &ids, question.prop_filter("in /proc", |question| !question.contains("proc")));
    }
}
