//! Today's images on a host with a seccomp profile of 2019: podman with runc, roots of Debian trixie and sid. Bare,
//! threads, node, git and the shell's file tests fail, since the profile answers EPERM where callers fall back on
//! ENOSYS alone. Under evercall, by LD_PRELOAD and by /etc/ld.so.preload, all is as without a profile.
//!
//! The roots are made once by debootstrap, in half a minute to two each, and kept in /var/cache/evercall.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/podman.rs"]
mod podman;

use common::text;
use evercall_rules::table::CALLS;
use podman::Container;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Output;
use std::sync::Mutex;

/// What is done in the container: a name, a shell command whose output does not move, and whether it goes wrong
/// without evercall.
const CHECKS: &[(&str, &str, bool)] = &[
    (
        "python3 threads",
        r#"python3 -c 'import threading
threads = [threading.Thread(target=print, args=("a thread ran",)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()'"#,
        true,
    ),
    (
        "python3 access",
        r#"python3 -c 'import os; print(os.access("/etc/passwd", os.R_OK, effective_ids=True))'"#,
        true,
    ),
    (
        "python3 processes",
        r#"python3 -c 'import os, subprocess
print(subprocess.run(["echo", "from a child"], capture_output=True, close_fds=True).stdout)
os.closerange(10, 500)'"#,
        false,
    ),
    (
        "node files",
        r#"node -e 'require("fs").readFile("/etc/debian_version", "utf8", (error, text) => console.log(error || text))'"#,
        true,
    ),
    (
        "node processes",
        r#"node -e 'require("child_process").exec("echo from a child", (error, text) => console.log(error || text))'"#,
        true,
    ),
    (
        "git grep",
        "mkdir /tmp/git && cd /tmp/git && git init -q . && echo needle > file && git add file && \
         git -c user.name=a -c user.email=a@b commit -q -m first && git clone -q . ../clone && git repack -adq && \
         git grep --threads=4 needle",
        true,
    ),
    (
        "bash test",
        "bash -c 'test -r /etc/passwd && test -w /tmp && ! test -x /etc/passwd && echo right'",
        true,
    ),
    ("sh test", "sh -c 'test -r /etc/passwd && test -w /tmp && ! test -x /etc/passwd && echo right'", true),
    ("find -readable", "find /etc -maxdepth 1 -name passwd -readable", true),
    ("perl -r", "perl -e 'print -r \"/etc/passwd\" ? \"right\\n\" : \"wrong\\n\"'", false),
    (
        "tar and chmod",
        "mkdir -p /tmp/t/a && chmod 750 /tmp/t/a && cd /tmp && tar -cf t.tar t && rm -r t && \
         tar -xpf t.tar && chmod -R g+w t && stat -c %A t/a",
        false,
    ),
    (
        "apt-get update",
        "mkdir /tmp/archive && echo 'Package: none' > /tmp/archive/Packages && \
         echo 'deb [trusted=yes] file:/tmp/archive ./' > /tmp/archive.list && \
         apt-get -qq -o Dir::Etc::sourcelist=/tmp/archive.list -o Dir::Etc::sourceparts=- update && echo done",
        false,
    ),
    (
        "apt-get --simulate",
        "apt-get -qq --simulate remove git > /tmp/removed && grep -c '^Remv git ' /tmp/removed",
        false,
    ),
    (
        "systemd-tmpfiles",
        "printf 'd /tmp/made/sub 0750 root root\\nf /tmp/made/sub/file 0640 root root - text\\n' > /tmp/made.conf && \
         systemd-tmpfiles --create /tmp/made.conf && stat -c '%A %n' /tmp/made/sub /tmp/made/sub/file && \
         cat /tmp/made/sub/file",
        false,
    ),
];

/// With a profile that has no statx, too.
const WITHOUT_STATX: &[(&str, &str, bool)] = &[
    ("ls -l", "ls -l /etc/debian_version > /tmp/list && wc -l < /tmp/list", true),
    ("stat", "stat -c %A /etc/debian_version", true),
    ("cp -a", "cp -a /etc/debian_version /tmp/copy && cmp /etc/debian_version /tmp/copy && echo same", false),
    ("python3 stat", "python3 -c 'import os; print(os.stat(\"/etc/debian_version\").st_mode)'", false),
];

/// The profile that this machine's podman takes unasked.
const PODMANS_OWN: &str = "/usr/share/containers/seccomp.json";

/// Stands before the name of a check.
const CHECK: &str = "@@@ ";

/// A shell script of the checks: a line with the name before what each of them prints, its exit status behind.
fn script(checks: &[(&str, &str, bool)]) -> String {
    checks.iter().fold(String::new(), |mut script, (name, command, _)| {
        let _ = write!(script, "echo '{CHECK}{name}'\n( {command}\n) </dev/null 2>&1\necho \"exit $?\"\n");
        script
    })
}

/// What each check printed. One that is cut short, with all behind it, printed nothing.
fn results(checks: &[(&str, &str, bool)], output: &Output) -> Vec<String> {
    let said = text(&output.stdout);
    let of = |name: &str| {
        let (_, result) = said.split_once(&format!("{CHECK}{name}\n"))?;
        Some(result.split(CHECK).next().unwrap_or("").to_owned())
    };
    checks.iter().map(|(name, ..)| of(name).unwrap_or_else(|| text(&output.stderr))).collect()
}

/// The profile of 2019 as a file, without some calls.
fn profile(container: &Container, without: &[&str]) -> String {
    let file = common::root().join("tests/profiles/docker-2019.json");
    let mut profile: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let entries = profile["syscalls"].as_array_mut().unwrap();
    for entry in entries.iter_mut() {
        entry["names"].as_array_mut().unwrap().retain(|name| !without.iter().any(|call| name == call));
    }
    // Newer than clone3 and all that is looked at here: runc answers ENOSYS only above it (see the README there).
    entries.push(json!({"names": ["set_mempolicy_home_node"], "action": "SCMP_ACT_ALLOW"}));
    let path = container.here("profile.json");
    std::fs::write(&path, profile.to_string()).unwrap();
    path
}

/// A container of a suite. An error says what this machine lacks.
fn container(suite: &str) -> Result<Container, String> {
    // One at a time: two tests share a root, which the first makes.
    static ROOTS: Mutex<()> = Mutex::new(());
    podman::needs_root()?;
    let root = {
        let _one = ROOTS.lock();
        debian::root("modern", suite)?
    };
    Container::new(root)
}

/// The container, or the end of a test that this machine cannot run.
macro_rules! container {
    ($suite:expr) => {
        match container($suite) {
            Ok(container) => container,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// Runs the checks in all columns, prints the table, and holds evercall's against the one without a profile.
/// Which checks go wrong bare is held against the table above only for a release, which does not move.
fn assert_works_under_evercall(suite: &str, checks: &[(&str, &str, bool)], without: &[&str], released: bool) {
    let container = container!(suite);
    let script = script(checks);
    let seccomp = format!("--security-opt=seccomp={}", profile(&container, without));
    // evercall installs its filter unasked, where no_new_privs is set already.
    let host = ["--security-opt=no-new-privileges", &seccomp];
    let command = ["sh", "-c", &script];
    let right = results(checks, &container.run(&["--security-opt=seccomp=unconfined"], &command));
    let bare = results(checks, &container.run(&host, &command));
    let columns = [
        ("LD_PRELOAD", results(checks, &container.run_under_shim(&host, &command))),
        ("ld.so.preload", results(checks, &container.run_under_preload_file(&host, &command))),
    ];
    let mut table = String::new();
    let mut wrong = String::new();
    for (at, (name, _, breaks)) in checks.iter().enumerate() {
        let right = &right[at];
        if !right.ends_with("exit 0\n") {
            let _ = writeln!(wrong, "{name} fails without a profile, too: {right}");
        }
        let word = |result: &String| if result == right { "right" } else { "WRONG" };
        let _ = write!(table, "{suite:<8} {name:<20} bare: {}", word(&bare[at]));
        for (column, results) in &columns {
            let _ = write!(table, "   {column}: {}", word(&results[at]));
            if results[at] != *right {
                let _ = writeln!(wrong, "{name} by {column}: {:?}, and not {right:?}", results[at]);
            }
        }
        let reason =
            bare[at].lines().rev().find(|line| line.contains("not permitted") || line.contains("can't"));
        let _ = writeln!(table, "   {}", reason.unwrap_or_default().trim());
        if released && (bare[at] != *right) != *breaks {
            let _ = writeln!(wrong, "{name} bare: {:?}, and without a profile {right:?}", bare[at]);
        }
    }
    // Past the test runner, which keeps what a passing test prints from view.
    let _ = std::io::stderr().write_all(table.as_bytes());
    assert_ne!(bare, right, "{suite}: the profile breaks nothing, so nothing is proven");
    assert!(wrong.is_empty(), "{suite}:\n{wrong}");
}

#[test]
fn trixie_works_under_a_profile_of_2019() {
    assert_works_under_evercall("trixie", CHECKS, &[], true);
}

#[test]
fn sid_works_under_a_profile_of_2019() {
    assert_works_under_evercall("sid", CHECKS, &[], false);
}

#[test]
fn trixie_works_under_a_profile_that_has_no_statx() {
    assert_works_under_evercall("trixie", WITHOUT_STATX, &["statx"], true);
}

/// Calls that with all arguments -1 end a process, wait for ever, change this machine, or depend on namespaces.
const NOT_ASKED: &[&str] = &[
    "exit",
    "exit_group",
    "fork",
    "kill",
    "msgget",
    "pause",
    "rt_sigreturn",
    "setsid",
    "sync",
    "uprobe",
    "uretprobe",
    "vfork",
    "vhangup",
];

/// What `evercall simulate --seccomp` makes of a profile is what runc makes of it: each call by the numbers, with
/// bad arguments, and those that a profile judges by their arguments.
#[test]
fn simulate_answers_as_runc_does() {
    let container = container!("trixie");
    let capabilities = "CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,NET_BIND_SERVICE,SETFCAP,SETGID,SETPCAP,SETUID,\
                        SYS_CHROOT,AUDIT_WRITE,MKNOD,NET_RAW";
    // To 450, above which runc answers ENOSYS by itself, and this libseccomp knows no names.
    let asked = CALLS.iter().filter(|call| !NOT_ASKED.contains(&call.name));
    let mut calls: Vec<String> = asked
        .filter_map(|call| call.x86_64.filter(|number| *number <= 450))
        .map(|number| format!("{number},-1,-1,-1,-1,-1,-1"))
        .collect();
    calls.extend(
        [0, 1, 8, 0x20000, 0x20008, 0x40000, 0x8000_0000_u32].map(|persona| format!("135,{persona}")),
    );
    // CLONE_FS and new namespaces, or CLONE_SIGHAND alone: EINVAL of the kernel, so that nothing is cloned.
    calls.extend([0x1000_0200, 0x2_0200, 0x7e02_0200, 0x800_u32].map(|flags| format!("56,{flags}")));
    let sockets = [(1, 1, 0), (2, 2, 0), (16, 3, 0), (16, 3, 9), (16, 2, 9), (40, 1, 0), (16, 3, 16)];
    calls.extend(sockets.map(|(family, kind, protocol)| format!("41,{family},{kind},{protocol}")));
    // Of an answer only the errno, or that it is none.
    let answers = |make: &dyn Fn(&[&str]) -> Output| -> Vec<String> {
        let mut lines = Vec::new();
        for calls in calls.chunks(40) {
            let output = make(&calls.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(output.status.success(), "{calls:?}: {}", text(&output.stderr));
            let said = text(&output.stdout);
            assert_eq!(said.lines().count(), calls.len(), "{calls:?}: {said}");
            let answer =
                |line: &str| line.split(" = ").next().unwrap_or_default().trim_end_matches(" =").to_owned();
            lines.extend(
                calls.iter().zip(said.lines()).map(|(call, line)| format!("{call} {}", answer(line))),
            );
        }
        lines
    };
    let raw_calls = common::program("raw_calls").display().to_string();
    let volume = format!("--volume={raw_calls}:/opt/raw_calls:ro");
    for profile in [profile(&container, &[]), PODMANS_OWN.to_owned()] {
        if !std::path::Path::new(&profile).exists() {
            continue;
        }
        let seccomp = format!("--security-opt=seccomp={profile}");
        let options = [
            &volume,
            "--cap-drop=ALL",
            &format!("--cap-add={capabilities}"),
            "--security-opt=no-new-privileges",
            &seccomp,
        ];
        let by_runc = answers(&|calls| container.run(&options, &[&["/opt/raw_calls"], calls].concat()));
        let bounding = format!("--bounding-set=-all,+{}", capabilities.to_lowercase().replace(',', ",+"));
        let simulated = answers(&|calls| {
            let mut command = common::bare("setpriv");
            command.args([
                &bounding,
                "--no-new-privs",
                env!("CARGO_BIN_EXE_evercall"),
                "simulate",
                "--seccomp",
                &profile,
            ]);
            command.arg("--").arg(&raw_calls).args(calls).output().unwrap()
        });
        let refused = |line: &&String| line.ends_with("EPERM") || line.ends_with("ENOSYS");
        assert!(simulated.iter().filter(refused).count() > 40, "{profile} refuses little: {simulated:#?}");
        let differ: Vec<_> =
            by_runc.iter().zip(&simulated).filter(|(runc, simulated)| runc != simulated).collect();
        assert!(differ.is_empty(), "{profile}: runc and simulate: {differ:#?}");
    }
}
