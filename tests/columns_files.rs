//! Three columns of the calls on paths and attributes, by both doors, and the calls that have no translation.

#[path = "common/ask.rs"]
mod ask;
#[path = "common/columns.rs"]
mod columns;
mod common;

use ask::{answers, ask_denied, ask_repaired, failure, in_namespace, is_root, outcome};
use columns::assert_third_equals_first;
use common::{bare, denied, shim, succeed, text};

const CALLS: &[&str] = &["statx", "faccessat2", "fchmodat2", "renameat2", "utimensat", "memfd_create"];

const ATTRIBUTES: &[&str] =
    &["setxattrat", "getxattrat", "listxattrat", "removexattrat", "file_getattr", "file_setattr"];

const REAL_IDS: &str = "a link itself by other real ids than effective ones is ENOSYS";
const LINUX_6_18: &str = "6.18 takes no working folder here; setxattrat and getxattrat do";

const DIFFERENCES: &[(&str, &str)] = &[
    ("faccessat2 nobody by right of root of link with flags 100:", REAL_IDS),
    ("faccessat2 nobody by right of root of dangling with flags 100:", REAL_IDS),
    ("faccessat2 nobody by right of root of loop with flags 100:", REAL_IDS),
    ("faccessat2 root as nobody of link with flags 100:", REAL_IDS),
    ("faccessat2 root as nobody of dangling with flags 100:", REAL_IDS),
    ("faccessat2 root as nobody of loop with flags 100:", REAL_IDS),
    ("faccessat2 root as nobody of closed/secret with flags 100:", REAL_IDS),
    ("faccessat2 in a group of link with flags 100:", REAL_IDS),
    ("faccessat2 in a group of dangling with flags 100:", REAL_IDS),
    ("faccessat2 in a group of loop with flags 100:", REAL_IDS),
    ("faccessat2 in a group of closed/secret with flags 100:", REAL_IDS),
    ("renameat2 no replace, a folder:", "a folder has no second name, so EINVAL"),
    ("renameat2 exchange: 0", "no older call exchanges, so EINVAL"),
    ("utimensat in nanoseconds:", "cut to microseconds"),
    ("memfd_create with seals:", "no sealing, so ENOSYS"),
    ("memfd_create never to be executed:", "no sealing, so ENOSYS"),
];

const ATTRIBUTE_DIFFERENCES: &[(&str, &str)] = &[
    ("listxattrat of the working folder: EBADF", LINUX_6_18),
    ("removexattrat of the working folder: EBADF", LINUX_6_18),
];

#[test]
fn by_number() {
    assert_third_equals_first("modern_files", &["syscall"], CALLS, DIFFERENCES);
}

#[test]
fn by_symbol() {
    assert_third_equals_first("modern_files", &["symbol"], CALLS, DIFFERENCES);
}

#[test]
fn attributes_by_number() {
    assert_third_equals_first("modern_attributes", &["syscall"], ATTRIBUTES, ATTRIBUTE_DIFFERENCES);
}

#[test]
fn openat2_by_number() {
    assert_third_equals_first("modern_openat2", &["syscall"], &["openat2"], OPENAT2_DIFFERENCES);
}

#[test]
fn openat2_by_symbol() {
    assert_third_equals_first("modern_openat2", &["symbol"], &["openat2"], OPENAT2_DIFFERENCES);
}

const OPENAT2_DIFFERENCES: &[(&str, &str)] =
    &[("openat2 resolve 20:", "RESOLVE_CACHED always answers EAGAIN, which callers expect at any time")];

/// What coreutils and tar do with these calls, as natively: contents, modes, and times in whole seconds.
#[test]
fn programs_do_as_natively() {
    let script = r"
        exec 2>&1; cd $(mktemp -d); echo a > a; ln -s a l; mkdir dd; echo q > dd/q
        touch -d '2001-02-03 04:05:06' a dd/q && touch -h -d '2002-02-03 04:05:06' l && cp -a dd ee && cp -a l l2
        show() { TZ=UTC stat -c '%n %s %f %h %Y' $@; }
        show a l l2 dd/q ee/q; TZ=UTC ls -l --time-style=full-iso dd ee
        mv -n a b; mv -n b ee/q; cat b ee/q; mv b c; test -r c; echo $?; test -x c; echo $?
        chmod 4711 c; install -m 640 c i; show c i | cut -d' ' -f1-4
        tar cf t.tar dd l c; mkdir x; tar xpf t.tar -C x; show x/dd/q x/l; show x/c | cut -d' ' -f1-4
        find . -newermt 2001-01-01 ! -newermt 2003-01-01 | sort; test -r nothing; echo $?
        where=$PWD; cd /; rm -rf $where";
    let native = text(&succeed(bare("bash").args(["-c", script])).stdout);
    assert!(native.contains("x/l"), "{native}");
    for refusal in ["ENOSYS", "EPERM"] {
        let mut command = denied(refusal, &CALLS.join(","));
        command.args(["bash", "-c", script]).env("LD_PRELOAD", shim());
        assert_eq!(text(&succeed(&mut command).stdout), native, "{refusal}");
        let mut refused = denied(refusal, &CALLS.join(","));
        let refused = refused.args(["bash", "-c", script]).output().unwrap();
        assert_ne!(text(&refused.stdout), native, "{refusal} changes nothing, so nothing is proven");
    }
}

/// Without /proc, what needs it says so by ENOSYS, and the rest is carried out.
#[test]
fn without_proc_nothing_is_pretended() {
    if !is_root() {
        skip!("needs root to cover /proc");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
    let done = [
        "fchmodat2 -100 str:link 0600 0",
        "fchmodat2 -100 str:link 0600 0x100 =95",
        "openat2 -100 str:link longs:0,0,8 24",
        "openat2 -100 str:link longs:0,0,0x10 24",
        "openat2 -100 str:new longs:66,0600,4 24",
        "openat2 -100 str:link longs:0,0,4 24 =40",
        "faccessat2 -100 str:link 4 0",
        "memfd_create str:name 1",
        "utimensat -100 str:link longs:1,1000,2,2000 0",
        "setxattrat -100 str:link 0 str:user.x longs:0,0 16",
    ];
    let refused = [
        "fchmodat2 -100 str:file 0600 0x100",
        "openat2 -100 str:link longs:0,0,1 24",
        "faccessat2 -100 str:link 4 0x100",
        "faccessat2 3 str: 4 0x1000",
        "utimensat -100 str:file longs:1,1000,2,2000 0x100",
        "setxattrat 3 str:file 0 str:user.x longs:0,0 16",
        "file_getattr -100 str:file edge:24 24 0",
    ];
    let question = |line: &&str| {
        let (call, rest) = line.split(" =").next().unwrap().split_once(' ').unwrap();
        format!("syscall {} {rest}", common::number(call))
    };
    let questions: Vec<String> = done.iter().chain(&refused).map(question).collect();
    let script = "mount -t tmpfs none /proc; cd \"$FOLDER\"; exec env LD_PRELOAD=\"$SHIM\" EVERCALL_FORCE=all \"$ASK\" 3<.";
    let mut command = in_namespace(&["--mount"], script);
    let given = answers(command.env("FOLDER", folder.path()), &questions);
    for (line, answer) in done.iter().chain(&refused).zip(given) {
        match line.split_once(" =") {
            _ if refused.contains(line) => assert_eq!(outcome(&answer), failure(libc::ENOSYS), "{line}"),
            Some((_, errno)) => assert_eq!(outcome(&answer), failure(errno.parse().unwrap()), "{line}"),
            None => assert!(!outcome(&answer).starts_with('-'), "{line}: {answer}"),
        }
    }
}

/// Where there is no translation, a filter's EPERM becomes ENOSYS, on which callers fall back; but only if the kernel's
/// own EPERM can be told from it.
#[test]
fn what_has_no_translation_is_enosys() {
    let told = [
        ("name_to_handle_at", "-100 str:/ buf:64 buf:4 0"),
        ("open_tree", "-100 str:/ 0"),
        ("open_tree_attr", "-100 str:/ 0 null 0"),
        ("fsconfig", "3 0 null null 0"),
        ("mount_setattr", "-100 str:/ 0 buf:32 32"),
        ("statmount", "buf:32 buf:512 512 0"),
        ("listmount", "buf:32 buf:64 8 0"),
        ("quotactl_fd", "0 0 0 0"),
    ];
    let ambiguous = ["open_by_handle_at", "move_mount", "fsopen", "fsmount", "fspick", "listns"];
    let question = |(name, arguments): &(&str, &str)| format!("syscall {} {arguments}", common::number(name));
    let questions: Vec<String> = told.iter().map(question).collect();
    let names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
    let refused = answers(&mut ask_denied("EPERM", &names.join(",")), &questions);
    let repaired = answers(&mut ask_repaired("EPERM", &names.join(",")), &questions);
    for ((question, refused), repaired) in questions.iter().zip(refused).zip(repaired) {
        assert_eq!(outcome(&refused), failure(libc::EPERM), "{question} denied");
        assert_eq!(outcome(&repaired), failure(libc::ENOSYS), "{question} denied, under the shim");
    }
    let questions: Vec<String> = ambiguous.iter().map(|name| question(&(name, "0 0 0"))).collect();
    let answers = answers(&mut ask_repaired("EPERM", &ambiguous.join(",")), &questions);
    for (question, answer) in questions.iter().zip(answers) {
        assert_eq!(outcome(&answer), failure(libc::EPERM), "{question} denied, under the shim");
    }
}
