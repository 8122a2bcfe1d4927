//! `evercall check` against the truth: what it says of programs on other hosts, bare and under evercall, and what happens when
//! they are run there by `evercall simulate`. What is run stands in `check_truth/programs.list`.
//!
//! Wrong is what does not end with status 0, or prints something else than on this host (or than the list says). No program
//! that is said to work may go wrong; those that are said to break and do not are known, each with its reason.

#[macro_use]
mod common;
#[path = "common/confusion.rs"]
mod confusion;
#[path = "common/debian.rs"]
mod debian;
#[path = "check_truth/images.rs"]
mod images;
#[path = "check_truth/list.rs"]
mod list;
#[path = "common/podman.rs"]
mod podman;

use common::{bare, root, text};
use confusion::{Confusion, Known, Run, predicted};
use evercall_rules::table::CALLS;
use images::Image;
use list::Case;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A host: its name, and what makes `evercall simulate` be it; nothing is this host.
const HOSTS: [(&str, &[&str]); 6] = [
    ("this host", &[]),
    ("2.6.32", &["--kernel", "2.6.32"]),
    ("3.10", &["--kernel", "3.10"]),
    ("4.4", &["--kernel", "4.4"]),
    ("docker-2019", &["--seccomp", "/ec/docker-2019.json"]),
    // What newer architectures dropped already, but what a dynamic loader needs.
    (
        "of tomorrow",
        &[
            "--deny",
            "_sysctl,ustat,sysfs,uselib,epoll_create,inotify_init,signalfd,eventfd,epoll_wait,creat,mkdir,rmdir,unlink,rename,\
             link,symlink,chmod,chown,lchown,mknod,utime,utimes,futimesat,time,getdents",
        ],
    ),
];

/// What strace sees though no code of a program makes it: its start, and the kernel's own.
const NOT_BY_CODE: [&str; 2] = ["execve", "restart_syscall"];

/// Known false alarms, of programs that made the call.
const KNOWN: &[Known] = &[
    (".i386 ", "", "`simulate` lets programs of i386 through"),
    (
        ".static",
        "call:prlimit64",
        "glibc takes a default at its start, and getrlimit() does not; a static program does not tell them apart",
    ),
    (
        " on 2.6.32",
        "call:prlimit64 call:sendmmsg call:recvmmsg call:getrandom",
        "prlimit64 is seen, by glibc's start, which takes a default; the program's own getrlimit() was not called",
    ),
    ("/t/vsyscall.static", "vsyscall", "--trap reaches the emulated page, too, which no verdict counts on"),
    (
        "/usr/bin/apt-cache",
        "call:clone3 call:close_range call:faccessat2",
        "it goes on after EPERM of faccessat2",
    ),
    (
        "/usr/bin/git",
        "call:getrandom call:sendmmsg",
        "the getrandom of this run is the libc's own, and not git's",
    ),
];

/// Known misses: faults of `evercall run --trap`, which `check` counts on.
const MISSED: &[Known] = &[
    (
        "/t/inline_calls.static",
        "",
        "a static program that sets a SIGSYS handler of its own is killed under --trap",
    ),
    ("subprocess", "", "a child of vfork with all signals blocked is killed by SIGSYS under --trap"),
    ("child_process", "", "a child of vfork with all signals blocked is killed by SIGSYS under --trap"),
];

/// Calls that strace saw and that were not said to be reached: a part of what is run, the call, and why.
const NOT_SEEN: &[(&str, &str, &str)] = &[
    (
        "modern-sid: ",
        "getrandom",
        "by the libc's start or malloc, by a pointer that check/used.rs does not follow",
    ),
    ("/usr/bin/gzip", "prlimit64", "by a pointer that check/used.rs does not follow"),
    ("/usr/bin/node", "pkey_alloc", "V8 looks it up by its name"),
    ("/java11/", "", "libjvm.so is loaded by its name"),
];

/// How many of them there may be, and how many where the program only did not do what it could: numbers that may only sink.
const FALSE_ALARMS: [usize; 2] = [52, 115];

/// A command in an image, ended after a minute with all that it started.
fn within(image: &Image, files_alone: bool) -> (Command, tempfile::TempDir) {
    let work = tempfile::tempdir().expect("a temporary folder");
    let mut command = bare("timeout");
    command.args(["--kill-after=5", "60", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh"]);
    command.arg(root().join("tests/check_truth/root.sh")).arg(work.path()).arg(image.lower());
    command.arg(if files_alone { "files" } else { "machine" });
    for (name, _) in std::env::vars_os() {
        command.env_remove(name);
    }
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs([("HOME", "/root"), ("LC_ALL", "C"), ("TZ", "UTC"), ("EVERCALL_LIB", "/ec/libevercall.so")]);
    (command, work)
}

/// What stands before a program on a host.
fn host_words(host: &[&'static str]) -> Vec<&'static str> {
    if host.is_empty() { Vec::new() } else { [&["/ec/evercall", "simulate"], host, &["--"]].concat() }
}

/// How evercall is asked, as a prediction says it must be.
fn evercall_words(needs: &[String]) -> Result<Vec<&'static str>, String> {
    let mut words = vec!["/ec/busybox", "env"];
    let asks = |what: &str| needs.iter().any(|need| need == what);
    if let Some(unknown) = needs
        .iter()
        .find(|need| !["evercall run --trap", "evercall run", "EVERCALL_FILTER=on"].contains(&need.as_str()))
    {
        return Err(format!("it needs {unknown}, which nobody knows how to give"));
    }
    if asks("EVERCALL_FILTER=on") {
        words.push("EVERCALL_FILTER=on");
    }
    if asks("evercall run --trap") {
        words.extend(["/ec/evercall", "run", "--trap", "--"]);
    } else if asks("evercall run") {
        words.extend(["/ec/evercall", "run", "--"]);
    } else {
        words.push("LD_PRELOAD=/ec/libevercall.so");
    }
    Ok(words)
}

/// The calls that strace sees a program make, with its children as long as they are no other program.
fn traced(image: &Image, case: &Case) -> BTreeSet<String> {
    let (command, _work) = within(image, false);
    let out = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut strace = bare("strace");
    strace.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.args(["-f", "-qq", "-e", "signal=none", "-s", "200", "-o"]).arg(out.path());
    strace.arg(command.get_program()).args(command.get_args()).args(&case.command);
    strace.output().expect("strace runs");
    let text = text(&std::fs::read(out.path()).unwrap());
    let begins = format!("execve(\"{}\"", case.command[0]);
    let (mut calls, mut before, mut gone) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut own = None;
    // The setup runs programs, too.
    let mut is_there = false;
    for line in text.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let is_exec = call.starts_with("execve") && call.ends_with("= 0");
        is_there |= call.starts_with("chroot(");
        if own.is_none() {
            if is_there && call.starts_with(&begins) && is_exec {
                own = Some(pid);
            } else {
                before.insert(pid);
            }
            continue;
        }
        if (before.contains(pid) && own != Some(pid)) || gone.contains(pid) {
            continue;
        }
        if is_exec {
            gone.insert(pid);
        }
        let name = call.split('(').next().unwrap_or_default();
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            // A call that strace does not know yet.
            let number = name.strip_prefix("syscall_0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
            let known = number.and_then(|number| CALLS.iter().find(|call| call.x86_64 == Some(number)));
            calls.insert(known.map_or(name, |call| call.name).to_owned());
        }
    }
    calls
}

/// A host that kills whoever calls it: about it a report tells every call that a program can reach.
fn killer(folder: &Path) -> PathBuf {
    let calls = CALLS.iter().filter(|call| call.x86_64.is_some());
    let killed: serde_json::Map<String, Value> =
        calls.map(|call| (call.name.to_owned(), Value::from("killed"))).collect();
    let profile = serde_json::json!({
        "version": 1,
        "syscalls": killed,
        "kernel": {"release": "99.0"},
        "vsyscall": {"mode": "xonly", "call": "answers"},
        "machine": {"ia32": "answers", "dev_shm": "tmpfs"},
    });
    let file = folder.join("killer.json");
    std::fs::write(&file, profile.to_string()).unwrap();
    file
}

fn run(image: &Image, before: &[&str], case: &Case) -> Output {
    let (mut command, _work) = within(image, false);
    command.args(before).args(&case.command);
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Nothing, or what is wrong with a run.
fn judged(output: &Output, case: &Case, native: &Output) -> Option<String> {
    let said = text(&output.stdout);
    let right = match &case.right {
        Some(pattern) => list::is_like(pattern, &said),
        None => output.stdout == native.stdout,
    };
    if right && output.status.success() {
        return None;
    }
    let shown: String = format!("{}{}", text(&output.stderr), said).chars().take(300).collect();
    Some(format!("{}: {}", output.status, shown.trim_end().replace('\n', "; ")))
}

/// The profile of a host, as its user would make it there.
fn profile(image: &Image, host: &[&'static str], folder: &Path) -> PathBuf {
    let (mut command, _work) = within(image, false);
    let output = command.args(host_words(host)).args(["/ec/evercall", "probe", "--format", "json"]).output();
    let output = output.expect("unshare runs");
    assert!(output.status.success(), "probe on {host:?}: {}{}", output.status, text(&output.stderr));
    let file = folder
        .join(format!("{}.json", host.join(" ").replace('/', "_").chars().take(40).collect::<String>()));
    std::fs::write(&file, output.stdout).unwrap();
    file
}

/// The report about an image on a host.
fn report(image: &Image, host: &Path) -> Value {
    let mut check = bare(common::command());
    check.args(["check", "--format", "json", "--fail-on", "never", "--host"]).arg(host).arg(&image.checked);
    let output = check.output().expect("evercall runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

/// Runs all on two threads, since the machine may have two processors; the results come in order.
fn in_parallel<T: Send>(count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = run(index);
                    done.lock().unwrap().insert(index, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

#[test]
fn what_is_said_to_work_works() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let cases =
        list::parse(include_str!("check_truth/programs.list")).unwrap_or_else(|fault| panic!("{fault}"));
    let folder = tempfile::tempdir().unwrap();
    let (images, lacking) = images::make(&cases, folder.path());
    // Past the test runner, which keeps what a passing test prints from view.
    let show = |text: &str| _ = std::io::stderr().write_all(text.as_bytes());
    for reason in &lacking {
        (|| skip!("{reason}"))();
    }
    let any = images.values().next().expect("an image");
    let mut profiles = HOSTS.map(|(_, host)| profile(any, host, folder.path())).to_vec();
    profiles.push(killer(folder.path()));
    let all: Vec<(&Image, &Path)> = images
        .values()
        .flat_map(|image| profiles.iter().map(move |profile| (image, profile.as_path())))
        .collect();
    let reports = in_parallel(all.len(), |at| report(all[at].0, all[at].1));
    let report_of = |image: &str, host: usize| {
        let at = images.keys().position(|name| *name == image).expect("an image of the list");
        &reports[at * profiles.len() + host]
    };
    let here: Vec<&Case> = cases.iter().filter(|case| images.contains_key(case.image.as_str())).collect();
    let runs = in_parallel(here.len(), |at| {
        let case = here[at];
        let image = &images[case.image.as_str()];
        let native = run(image, &[], case);
        if case.right.is_none() && !native.status.success() {
            return Err(format!(
                "{} fails on this host, too: {}{}",
                case.name(),
                native.status,
                text(&native.stderr)
            ));
        }
        let made = traced(image, case);
        let files = image.real(&case.files());
        let [reached, _] = predicted(report_of(&case.image, HOSTS.len()), &files)
            .map_err(|why| format!("{}: {why}", case.name()))?;
        // Numbers of i386 are not told by strace.
        let unsound: Vec<&String> = made
            .iter()
            .filter(|call| !NOT_BY_CODE.contains(&call.as_str()) && !case.command[0].ends_with(".i386"))
            .filter(|call| !reached.causes.contains(&format!("call:{call}")))
            .collect();
        let unsound: Vec<String> =
            unsound.into_iter().map(|call| format!("{}: {call}", case.name())).collect();
        let mut runs = Vec::new();
        for (host, (name, words)) in HOSTS.iter().enumerate() {
            let both = predicted(report_of(&case.image, host), &files)
                .map_err(|why| format!("{}: {why}", case.name()))?;
            for (with_evercall, predicted) in [false, true].into_iter().zip(both) {
                let mut before = host_words(words);
                if with_evercall {
                    before.extend(evercall_words(&predicted.needs)?);
                }
                let output = run(image, &before, case);
                let by_call = |cause: &String| cause.strip_prefix("call:").map(|call| made.contains(call));
                let makes_it = Some(predicted.causes.iter().any(|cause| by_call(cause).unwrap_or(true)));
                runs.push(Run {
                    host: (*name).to_owned(),
                    program: case.name(),
                    with_evercall,
                    predicted,
                    wrong: judged(&output, case, &native),
                    makes_it,
                });
            }
        }
        Ok((runs, unsound))
    });
    let mut confusion = Confusion::default();
    let mut not_seen = Vec::new();
    let mut wrong = String::new();
    for result in runs {
        match result {
            Ok((runs, unsound)) => {
                confusion.runs.extend(runs);
                for line in unsound {
                    let known = NOT_SEEN.iter().find(|(part, call, _)| {
                        line.contains(part) && (call.is_empty() || line.ends_with(call))
                    });
                    match known {
                        Some((.., why)) => not_seen.push(format!("{line}: {why}")),
                        None => {
                            _ = writeln!(wrong, "strace saw it, and it was not said to be reached: {line}")
                        }
                    }
                }
            }
            Err(why) => _ = writeln!(wrong, "{why}"),
        }
    }
    let [known_misses, missed] = confusion.missed(MISSED);
    let [not_done, known, unknown] = confusion.false_alarms(KNOWN);
    show(&format!("{}\n", confusion.table()));
    for (what, lines) in [
        ("degrades, and fails", confusion.degraded_and_failed()),
        ("false alarms: it could, but did not", not_done.clone()),
        ("false alarms", known.clone()),
        ("missed, for a known reason", known_misses),
        ("seen by strace, and not said to be reached", not_seen),
    ] {
        show(&format!("{what}: {}\n", lines.len()));
        lines.iter().for_each(|line| show(&format!("    {line}\n")));
    }
    for (what, lines) in [("missed", missed), ("a false alarm without a reason", unknown)] {
        lines.iter().for_each(|line| _ = writeln!(wrong, "{what}: {line}"));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let alarms = [known.len(), not_done.len()];
    assert!(
        alarms.iter().zip(FALSE_ALARMS).all(|(now, most)| *now <= most),
        "{alarms:?} false alarms, and there were {FALSE_ALARMS:?}"
    );
}
