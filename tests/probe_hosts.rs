//! `evercall probe` under filters and on other hosts: it says just what they refuse, and what it says is what another
//! program gets there. A host that is simulated from its output answers the same again.

mod common;
#[path = "common/podman.rs"]
mod podman;
#[path = "common/profile.rs"]
mod profile;

use common::{bare, command, program, succeed, text};
use evercall_rules::Trigger;
use evercall_rules::table::{CALLS, RULES, Rule};
use podman::Container;
use profile::{Profile, asks, assert_really, assert_same, plain_asks, raw_call};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A probe on a host of `evercall simulate`.
fn simulated(options: &[&str]) -> Command {
    let mut simulate = bare(command());
    simulate.arg("simulate").args(options).arg("--").arg(command()).args(["probe", "--format", "json"]);
    simulate
}

fn native() -> Profile {
    Profile::of(bare(command()).args(["probe", "--format", "json"]))
}

/// A profile of Docker's format as a file.
fn write(folder: &TempDir, name: &str, profile: &serde_json::Value) -> String {
    let path = folder.path().join(name);
    fs::write(&path, profile.to_string()).unwrap();
    path.display().to_string()
}

/// Without these no program runs, or not this one: the command needs them to start, to make children, to read what
/// they answered, and to print.
const NEEDED: [&str; 8] =
    ["execve", "arch_prctl", "mmap", "mprotect", "poll", "rt_sigaction", "clone", "write"];

/// A filter that kills or traps must leave these, too: the start of a static program makes them. (The start of Rust's
/// own library is among it, which looks at /proc/self/maps.)
const STARTS: [&str; 22] = [
    "brk",
    "close",
    "exit_group",
    "fstat",
    "getrandom",
    "gettid",
    "ioctl",
    "mremap",
    "munmap",
    "newfstatat",
    "openat",
    "prlimit64",
    "read",
    "readlink",
    "readlinkat",
    "rseq",
    "rt_sigprocmask",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "uname",
];

/// The kernel's own trampolines make these calls, and no filter sees them.
const UNFILTERED: [&str; 2] = ["uprobe", "uretprobe"];

/// What is asked with the help of other calls, which the same filter may refuse.
const HELPED: [(&str, &[&str]); 4] = [
    ("vhangup", &["capset", "capget"]),
    ("kexec_load", &["capset", "capget"]),
    ("kexec_file_load", &["capset", "capget"]),
    ("pause", &["kill", "tgkill", "rt_sigreturn"]),
];

/// What a probe says of a call that is denied so. None where it cannot be told.
fn denied(profile: &Profile, name: &str, answer: &str) -> Option<String> {
    let unfiltered = UNFILTERED.contains(&name) || profile.syscalls()[name] == "not asked";
    match answer {
        _ if unfiltered => Some(profile.syscalls()[name].clone()),
        // The kernel's own EPERM looks the same; for what it lacks, the filter's is another one.
        "EPERM" if profile.call(name, "got") == "EPERM" => Some("answers".to_owned()),
        "EPERM" => {
            let ask = asks().find(|(call, _)| call.name == name)?.1;
            Some(if ask.due.contains(&"EPERM") { "answers" } else { "EPERM" }.to_owned())
        }
        "KILL" => Some("killed".to_owned()),
        "TRAP" => Some("trapped".to_owned()),
        errno => Some(errno.to_owned()),
    }
}

/// Every call is denied with each answer, some at a time: those and no others are told.
#[test]
fn what_is_denied_is_told_and_nothing_else() {
    let native = native();
    let profile = native.syscalls();
    let mut wrong = Vec::new();
    for answer in ["ENOSYS", "EPERM", "EACCES", "KILL", "TRAP"] {
        let fatal = matches!(answer, "KILL" | "TRAP");
        let calls: Vec<&str> = CALLS
            .iter()
            .filter(|call| call.x86_64.is_some() && !NEEDED.contains(&call.name))
            .filter(|call| !(fatal && STARTS.contains(&call.name)))
            .map(|call| call.name)
            .collect();
        // Not neighbours: what one call's question needs of another is seen from the others then.
        for part in 0..8 {
            let denied_now: Vec<&str> = calls.iter().skip(part).step_by(8).copied().collect();
            let deny: Vec<String> = denied_now.iter().map(|call| format!("{call}:{answer}")).collect();
            let told = Profile::of(&mut simulated(&["--deny", &deny.join(",")])).syscalls();
            for (name, was) in &profile {
                let any_denied = |helpers: &[&str]| helpers.iter().any(|helper| denied_now.contains(helper));
                // Which rights are held is read in /proc.
                let by_right = asks().any(|(call, ask)| call.name == name && ask.needs.is_some());
                let helped = HELPED.iter().any(|(call, helpers)| call == name && any_denied(helpers))
                    || by_right && any_denied(&["openat", "read", "close"]);
                let due = match denied_now.contains(&name.as_str()) {
                    true => denied(&native, name, answer),
                    false => Some(was.clone()),
                };
                if !helped && due.as_ref() != Some(&told[name]) {
                    wrong.push(format!("{name} under {answer}: {} where {due:?} is due", told[name]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without the filter the calls' EPERM is the kernel's, and so is ENOSYS; with one they are told apart as far as can be.
#[test]
fn who_says_no_is_told() {
    let options = ["--deny", "statx:EPERM,getppid,sethostname:EPERM,io_uring_setup:EPERM,iopl,time:EACCES"];
    let told = Profile::of(&mut simulated(&options));
    for (call, class, by) in [
        ("statx", "refused", "filter"),
        ("time", "refused", "filter"),
        ("getppid", "absent", "filter"),
        ("io_uring_setup", "answers", ""),
        // The option CONFIG_X86_IOPL_IOPERM may be off.
        ("iopl", "absent", "filter_or_kernel"),
        ("create_module", "absent", "kernel"),
        ("tuxcall", "absent", "kernel"),
    ] {
        assert_eq!((told.call(call, "class"), told.call(call, "by")), (class.into(), by.into()), "{call}");
    }
    assert!(told.call("io_uring_setup", "note").contains("cannot be told"));
    // A privileged caller's EPERM is a filter's, where the kernel would let it pass.
    let capabilities = told.0["process"]["capabilities"].to_string();
    let class = if capabilities.contains("CAP_SYS_ADMIN") { "refused" } else { "answers" };
    assert_eq!(told.call("sethostname", "class"), class);
}

/// What the library would do, by its own rules: tests/modern_containers.rs and others show that it does.
#[test]
fn the_rules_that_would_act_are_told() {
    let acts = |options: &[&str]| Profile::of(&mut simulated(options));
    let told = acts(&["--deny", "statx:EPERM,ustat,fsopen,setns:EPERM,dup3:EACCES,epoll_pwait2:KILL"]);
    for (rule, due) in [
        ("statx", "always"),
        ("ustat", "always"),
        ("fsopen", "always"),
        // It has no probe: EPERM stays.
        ("setns", "never"),
        ("dup3", "never"),
        ("epoll_pwait2", "never"),
        ("pipe2", "never"),
        ("nofile", "never"),
        ("exec", "on_match"),
        ("stime", "on_match"),
    ] {
        assert_eq!(told.acts(rule), due, "{rule}");
    }
    assert_eq!(told.0["repair"]["wanted"], json!(["statx"]));
    // A trap is answered where the handler of SIGSYS stands, which it does for calls that are repaired.
    assert_eq!(acts(&["--deny", "ustat:TRAP"]).acts("ustat"), "never");
    assert_eq!(acts(&["--deny", "ustat:TRAP,statx:TRAP"]).acts("ustat"), "always");
    let limited = |limit: &str| {
        let mut sh = bare("prlimit");
        sh.arg(format!("--nofile={limit}")).arg(command()).args(["probe", "--format", "json"]);
        Profile::of(&mut sh).acts("nofile")
    };
    assert_eq!(limited("1024:1024"), "never");
    if fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse::<u64>().unwrap() > 1 << 20 {
        let raised = bare("prlimit").args(["--nofile=1048577:1048577", "true"]).status().unwrap();
        if raised.success() {
            assert_eq!(limited("1048577:1048577"), "always");
        }
    }
}

/// The rules that are told to act are those that the library then carries calls out by: each rule's first call is made
/// under the library with the arguments of the question, and its log says which it translated.
#[test]
fn the_rules_that_are_told_are_those_that_act() {
    let docker = common::root().join("tests/profiles/docker-2019.json").display().to_string();
    let hosts: [&[&str]; 5] = [
        &["--deny", "ustat"],
        &["--kernel", "3.10"],
        &["--seccomp", &docker],
        &["--deny", "ustat:TRAP,sysfs,statx:TRAP,openat2:EPERM,dup3:EPERM,pipe2:EACCES,setns:EPERM"],
        &["--deny", "getrandom:EPERM,fsopen:EPERM,eventfd:EPERM,timerfd_create,io_uring_setup:EPERM"],
    ];
    for options in hosts {
        let told = Profile::of(&mut simulated(options));
        // Rules that wait for a missing call, whose question a program can ask of itself.
        let asked = |rule: &&Rule| {
            rule.trigger == Trigger::Absent
                && plain_asks().any(|(call, _)| rule.calls.first() == Some(&call.name))
        };
        let mut due: Vec<&str> = RULES
            .iter()
            .filter(|rule| asked(rule) && told.acts(rule.name) == "always")
            .map(|rule| rule.name)
            .collect();
        let first = |call: &str| RULES.iter().any(|rule| rule.calls.first() == Some(&call));
        let questions: Vec<String> = plain_asks()
            .filter(|(call, _)| first(call.name))
            .map(|(call, ask)| raw_call(call, ask))
            .collect();
        let mut run = bare(command());
        run.arg("simulate").args(options).args(["--", "env", "EVERCALL_LOG=all", "EVERCALL_LOG_FORMAT=json"]);
        run.arg(format!("LD_PRELOAD={}", common::shim().display()))
            .arg(program("raw_calls"))
            .args(&questions);
        let output = succeed(&mut run);
        assert_eq!(text(&output.stdout).lines().count(), questions.len());
        let log = text(&output.stderr);
        let mut acted: Vec<&str> = RULES
            .iter()
            .filter(|rule| asked(rule) && log.contains(&format!("\"rule\":\"{}\"", rule.name)))
            .map(|rule| rule.name)
            .collect();
        due.sort_unstable();
        acted.sort_unstable();
        assert_eq!(acted, due, "{options:?}: {log}");
    }
}

#[test]
fn a_simulated_host_answers_as_its_profile_says() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("host.json").display().to_string();
    let again = |one: &Profile, what: &str| {
        fs::write(&file, one.0.to_string()).unwrap();
        // An EPERM that may be the kernel's is let through, and the kernel here may not have the call at all.
        let but: Vec<&str> =
            one.class("answers").into_iter().filter(|call| one.call(call, "got") == "EPERM").collect();
        assert!(but.len() < 40, "{but:?}");
        assert_same(one, &Profile::of(&mut simulated(&["--profile", &file])), &but, what);
    };
    again(&native(), "this host");
    again(&Profile::of(&mut simulated(&["--kernel", "3.10"])), "Linux 3.10");
    let docker = common::root().join("tests/profiles/docker-2019.json").display().to_string();
    again(&Profile::of(&mut simulated(&["--seccomp", &docker])), "Docker's profile of 2019");
    // Any answers to any calls but those that are needed.
    let names: Vec<&'static str> = asks()
        .map(|(call, _)| call.name)
        .filter(|name| !NEEDED.contains(name) && !STARTS.contains(name) && !UNFILTERED.contains(name))
        .filter(|name| !HELPED.iter().any(|(call, helpers)| call == name || helpers.contains(name)))
        .collect();
    let answers =
        prop_oneof![Just("ENOSYS"), Just("EACCES"), Just("killed"), Just("trapped"), Just("answers")];
    let hosts = proptest::collection::btree_map(proptest::sample::select(names), answers, 0..40);
    let base = native().syscalls();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let held = runner.run(&hosts, |host: BTreeMap<&str, &str>| {
        fs::write(&file, json!({"version": 1, "syscalls": host}).to_string()).unwrap();
        let told = Profile::of(&mut simulated(&["--profile", &file])).syscalls();
        for (name, was) in &base {
            let due = host.get(name.as_str()).filter(|answer| **answer != "answers");
            let due = due.map_or(was.as_str(), |answer| *answer);
            prop_assert_eq!(told[name].as_str(), due, "{}", name);
        }
        Ok(())
    });
    held.unwrap();
}

/// The root of a container that holds static programs alone.
fn container() -> Result<(Container, TempDir), String> {
    podman::needs_root()?;
    let root = TempDir::new().map_err(|error| error.to_string())?;
    for folder in ["bin", "opt", "proc", "sys", "dev", "etc", "tmp", "run"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|file| fs::metadata(file).is_ok());
    for (from, to) in [
        (busybox.ok_or("needs busybox-static")?.into(), "bin/true"),
        (command(), "opt/evercall"),
        (program("raw_calls.static"), "opt/raw_calls"),
    ] {
        fs::copy(from, root.path().join(to)).unwrap();
    }
    Ok((Container::new(root.path().to_owned())?, root))
}

macro_rules! container {
    () => {
        match container() {
            Ok(container) => container,
            Err(reason) => skip!("{reason}"),
        }
    };
}

const PROBE: [&str; 4] = ["/opt/evercall", "probe", "--format", "json"];

/// Runs the probe in a container, as its root and as nobody, and holds it against another program's calls.
fn assert_told_in_container(container: &Container, options: &[&str]) -> Profile {
    let mut profiles = Vec::new();
    for user in ["--user=0:0", "--user=65534:65534"] {
        let options = [options, &[user]].concat();
        let profile = Profile::parse(&container.run(&options, &PROBE), &format!("{options:?}"));
        assert_eq!(profile.class("odd"), [""; 0], "{options:?}");
        assert_eq!(profile.0["seccomp"]["mode"], 2);
        assert_eq!(profile.0["container"]["kind"], "podman");
        assert_eq!(profile.0["libc"]["kind"], "none");
        assert_really(
            &profile,
            &|calls| {
                let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
                container.run(&options, &[&["/opt/raw_calls"], &calls[..]].concat())
            },
            &[],
        );
        profiles.push(profile);
    }
    profiles.remove(0)
}

/// podman's own profile, which the machine's containers get unasked.
#[test]
fn in_a_container_it_tells_what_podmans_profile_refuses() {
    let (container, _root) = container!();
    let told = assert_told_in_container(&container, &[]);
    assert_eq!(told.call("clone3", "class"), "answers");
    // Refused to containers without CAP_SYS_ADMIN, CAP_SYS_MODULE and the like.
    for (call, ask) in
        asks().filter(|(call, _)| ["mount", "umount2", "setns", "unshare"].contains(&call.name))
    {
        let class = told.call(call.name, "class");
        assert!(["refused", "absent", "answers"].contains(&class.as_str()), "{} {:?}", call.name, ask.due);
    }
    assert!(told.class("refused").len() + told.class("absent").len() > 40, "{:?}", told.class("refused"));
}

/// The profile of Docker in 2019: EPERM to all that is newer, which the repair filter mends.
#[test]
fn in_a_container_it_tells_what_dockers_old_profile_refuses() {
    let (container, _root) = container!();
    let file = common::root().join("tests/profiles/docker-2019.json");
    let mut profile: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    // Newer than what is looked at: runc answers ENOSYS only above it (see the README there).
    profile["syscalls"]
        .as_array_mut()
        .unwrap()
        .push(json!({"names": ["set_mempolicy_home_node"], "action": "SCMP_ACT_ALLOW"}));
    let path = write(&container.folder, "docker.json", &profile);
    let seccomp = format!("--security-opt=seccomp={path}");
    let told = assert_told_in_container(&container, &[&seccomp, "--security-opt=no-new-privileges"]);
    for call in ["clone3", "faccessat2", "openat2", "close_range", "pidfd_open", "epoll_pwait2"] {
        assert_eq!(told.syscalls()[call], "EPERM", "{call}");
        assert_eq!(told.call(call, "by"), "filter", "{call}");
    }
    let repair = &told.0["repair"];
    assert!(repair["wanted"].to_string().contains("\"clone3\"") && repair["automatic"] == true, "{repair}");
    for rule in ["openat2", "close_range", "faccessat2", "clone3"] {
        assert_eq!(told.acts(rule), "always", "{rule}");
    }
    assert_eq!(told.acts("statx"), "never");
}

/// systemd's sets of calls, as SystemCallFilter= takes them. systemd-run needs systemd as PID 1, so the sets are made
/// into a profile, which answers EPERM to all others as SystemCallErrorNumber=EPERM does.
#[test]
fn under_systemds_sets_it_tells_what_they_refuse() {
    let listed = |set: &str| {
        let output = bare("systemd-analyze").args(["--no-pager", "syscall-filter", set]).output();
        output.ok().filter(|output| output.status.success()).map(|output| text(&output.stdout))
    };
    let mut sets = vec!["@system-service".to_owned(), "@default".to_owned()];
    let mut names: Vec<String> = Vec::new();
    while let Some(set) = sets.pop() {
        let Some(list) = listed(&set) else { skip!("needs systemd-analyze") };
        for word in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if word == set {
                continue;
            }
            if word.starts_with('@') { sets.push(word.to_owned()) } else { names.push(word.to_owned()) }
        }
    }
    assert!(names.len() > 250, "{names:?}");
    let folder = TempDir::new().unwrap();
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]});
    let native = native();
    let told = Profile::of(&mut simulated(&["--seccomp", &write(&folder, "systemd.json", &profile)]));
    let mut refused = 0;
    for (name, answer) in told.syscalls() {
        let allowed = names.contains(&name) || UNFILTERED.contains(&name.as_str());
        let was = native.syscalls()[&name].clone();
        let due = if allowed { was } else { denied(&native, &name, "EPERM").unwrap() };
        assert_eq!(answer, due, "{name}");
        refused += usize::from(answer == "EPERM");
    }
    assert!(refused > 40, "{refused}");
    // The same sets with the filter that systemd takes by itself: it kills.
    let mut fatal = profile;
    fatal["defaultAction"] = json!("SCMP_ACT_KILL_PROCESS");
    let told = Profile::of(&mut simulated(&["--seccomp", &write(&folder, "kills.json", &fatal)]));
    for (call, _) in asks().filter(|(call, _)| !UNFILTERED.contains(&call.name)) {
        let killed = told.call(call.name, "class") == "killed";
        assert_eq!(killed, !names.iter().any(|name| name == call.name), "{}", call.name);
    }
}

/// gVisor: a kernel that is not Linux's own, without a filter of its own in sight.
#[test]
fn on_gvisor_it_tells_what_that_kernel_lacks() {
    if podman::needs_root().is_err() {
        skip!("needs root");
    }
    let folder = TempDir::new().unwrap();
    let run = |platform: &str, program: &str, arguments: &[String]| -> std::io::Result<Output> {
        bare("runsc")
            .args(["--rootless", "--network=none", &format!("--platform={platform}"), "do", program])
            .args(arguments)
            .current_dir(&folder)
            .output()
    };
    let evercall = command().display().to_string();
    let arguments = PROBE[1..].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let platform = ["systrap", "ptrace"]
        .into_iter()
        .find(|platform| run(platform, "/bin/true", &[]).is_ok_and(|output| output.status.success()));
    let Some(platform) = platform else { skip!("runsc does not run here") };
    let told = Profile::parse(&run(platform, &evercall, &arguments).unwrap(), "runsc");
    assert_eq!(told.0["container"]["kind"], "gvisor");
    assert_eq!(told.0["seccomp"]["mode"], 0);
    assert_eq!(told.class("killed").len() + told.class("trapped").len() + told.class("no_answer").len(), 0);
    let absent = told.class("absent");
    assert!(absent.len() > 60 && absent.contains(&"ustat") && absent.contains(&"sysfs"), "{absent:?}");
    assert_eq!((told.call("ustat", "by"), told.acts("ustat")), ("kernel".into(), "always".into()));
    // Its sync_file_range, statx and others are there.
    assert_eq!(told.syscalls()["statx"], "answers");
    let raw_calls = program("raw_calls.static").display().to_string();
    assert_really(&told, &|calls| run(platform, &raw_calls, calls).unwrap(), &[]);
}

/// The parent's own calls are refused, too: it has another way, or says what it lacks.
#[test]
fn what_the_parent_needs_may_be_refused() {
    // Whether a filter stands, how to wait, to sleep and to end a child.
    for answer in ["KILL", "TRAP", "EPERM"] {
        let calls = ["prctl", "wait4", "kill", "clock_nanosleep", "sched_yield"];
        let deny = calls.map(|call| format!("{call}:{answer}")).join(",");
        let told = Profile::of(&mut simulated(&["--deny", &deny]));
        let mut denied: Vec<&str> =
            ["killed", "trapped", "refused"].iter().flat_map(|c| told.class(c)).collect();
        denied.sort_unstable();
        assert_eq!(denied, ["clock_nanosleep", "kill", "prctl", "sched_yield", "wait4"], "{answer}");
        assert_eq!(told.call("pause", "got"), "EINTR", "tgkill is another way");
    }
    let told = Profile::of(&mut simulated(&["--deny", "kill:KILL,tgkill:EPERM"]));
    assert_eq!(told.class("killed"), ["kill"]);
    assert!(told.call("pause", "note").contains("no way to send one"), "{}", told.call("pause", "note"));
    let told = Profile::of(&mut simulated(&["--deny", "wait4,waitid:EPERM,getppid:KILL"]));
    assert_eq!(told.call("wait4", "class") + &told.call("waitid", "class"), "absentrefused");
    assert_eq!(told.class("no_answer"), ["exit", "exit_group", "getppid", "uretprobe"]);
    assert!(told.call("getppid", "note").contains("cannot be seen"));
    // Files: what they tell is not seen, and that is said.
    let told = Profile::of(&mut simulated(&["--deny", "openat:EPERM,prctl:KILL"]));
    let unseen = told.0["unseen"].to_string();
    assert!(
        unseen.contains("/proc/self/maps: ") && unseen.contains("whether a seccomp filter stands"),
        "{unseen}"
    );
    assert_eq!(
        (told.call("openat", "class"), told.call("prctl", "class")),
        ("refused".into(), "killed".into())
    );
    // Without children there is nothing to tell.
    let output = simulated(&["--deny", "clone:EPERM,fork:EPERM"]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no child process can be made") && stderr.contains("not permitted"), "{stderr}");
    // By fork, where clone is refused.
    let told = Profile::of(&mut simulated(&["--deny", "clone:EPERM"]));
    assert_eq!(told.class("refused"), ["clone"]);
    succeed(bare(command()).args(["simulate", "--deny", "clone:EPERM", "--"]).arg(command()).arg("probe"));
}
