//! `evercall probe` on this machine: what the kernel answers is what is due, nothing changes by asking, and the
//! output is what it should be. Filters and other hosts: tests/probe_hosts.rs.

mod common;
#[path = "common/profile.rs"]
mod profile;

use common::{bare, program, succeed, text};
use profile::{Profile, asks, assert_really};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

fn probe() -> Command {
    let mut command = bare(common::command());
    command.args(["probe", "--format", "json"]);
    command
}

/// The command and raw_calls where nobody may execute them, and how nobody does.
struct Nobody(TempDir);

impl Nobody {
    fn new() -> Nobody {
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        for file in [common::command(), program("raw_calls.static")] {
            fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        Nobody(folder)
    }

    fn run(&self, name: &str) -> Command {
        let mut command = bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
        command.arg(self.0.path().join(name));
        command
    }
}

/// On a kernel without a filter: nothing is refused, and each call that is there answers what is due.
fn assert_due(profile: &Profile, who: &str) {
    for class in ["odd", "refused", "killed", "trapped", "no_answer"] {
        assert_eq!(profile.class(class), [""; 0], "{who}: {class}");
    }
    assert_eq!(profile.class("not_asked"), ["remap_file_pages", "rt_sigreturn", "sync"], "{who}");
    for (call, ask) in asks() {
        let (class, got) = (profile.call(call.name, "class"), profile.call(call.name, "got"));
        let due = ask.due.contains(&got.as_str()) || ask.needs.is_some() && got == "EPERM";
        assert!(class == "absent" || due, "{who}: {} got {got}", call.name);
        assert!(class != "absent" || profile.call(call.name, "by") == "kernel", "{who}: {}", call.name);
    }
}

#[test]
fn as_root_every_call_answers_what_is_due() {
    if !is_root() {
        skip!("needs root");
    }
    let profile = Profile::of(&mut probe());
    assert_due(&profile, "root");
    assert_really(&profile, &|calls| bare(program("raw_calls.static")).args(calls).output().unwrap(), &[]);
}

#[test]
fn as_nobody_every_call_answers_what_is_due() {
    if !is_root() {
        skip!("needs root");
    }
    let nobody = Nobody::new();
    let profile = Profile::of(nobody.run("evercall").args(["probe", "--format", "json"]));
    assert_due(&profile, "nobody");
    assert_eq!(profile.0["process"]["capabilities"].as_array().map(Vec::len), Some(0));
    assert_eq!(profile.call("sethostname", "got"), "EPERM");
    assert_really(&profile, &|calls| nobody.run("raw_calls.static").args(calls).output().unwrap(), &[]);
    // Under no_new_privs nothing is different.
    let mut under = bare("setpriv");
    under.args(["--no-new-privs", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    let under = Profile::of(under.arg(nobody.0.path().join("evercall")).args(["probe", "--format", "json"]));
    assert_eq!(under.syscalls(), profile.syscalls());
    assert_eq!(under.0["process"]["no_new_privs"], true);
}

/// What a call of the probe's may change of this machine, as text by name.
fn state() -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let mut keep = |name: &str, text: String| {
        state.insert(name.to_owned(), text);
    };
    for file in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/self/mountinfo",
        "/proc/swaps",
        "/proc/modules",
        "/proc/keys",
        "/proc/locks",
        "/proc/self/limits",
        "/proc/self/timers",
        "/proc/1/timers",
        "/proc/self/oom_score_adj",
        "/proc/1/limits",
        "/proc/1/cgroup",
        "/proc/1/uid_map",
        "/proc/sysvipc/msg",
        "/proc/sysvipc/sem",
        "/proc/sysvipc/shm",
        "/sys/kernel/kexec_loaded",
        "/sys/kernel/kexec_crash_loaded",
    ] {
        keep(file, fs::read_to_string(file).unwrap_or_default());
    }
    // In use by whatever else runs here: their lines come and go.
    for name in ["/proc/locks", "/proc/sysvipc/msg", "/proc/sysvipc/sem", "/proc/sysvipc/shm"] {
        let own = format!(" {} ", std::process::id());
        let text = state[name].lines().filter(|line| line.contains(&own)).collect();
        state.insert(name.to_owned(), text);
    }
    let mut keep = |name: &str, text: String| {
        state.insert(name.to_owned(), text);
    };
    sysctls(Path::new("/proc/sys"), &mut keep);
    let run = |command: &str| {
        let output = bare("sh").args(["-c", command]).output().unwrap();
        text(&output.stdout)
    };
    // Clock discipline by adjtimex(2) of no mode, the schedule and the mask of this process, accounting.
    let clock = "import ctypes; libc = ctypes.CDLL(None); b = (ctypes.c_long * 26)(); \
                 libc.adjtimex(b); print(b[2], b[5], b[6], b[11])";
    keep("adjtimex", text(&bare("python3").args(["-c", clock]).output().unwrap().stdout));
    keep("process", run("umask; ulimit -a; nice; id; chrt -p $PPID; taskset -p $PPID; ionice -p $PPID"));
    keep("mqueue", run("ls /dev/mqueue"));
    keep("namespaces", run("ls -l /proc/$PPID/ns /proc/1/ns | sed 's/.*->/->/'"));
    state
}

/// Every file under /proc/sys that stays as it is by itself.
fn sysctls(folder: &Path, keep: &mut impl FnMut(&str, String)) {
    let moves = [
        "random",
        "dentry-state",
        "inode-nr",
        "inode-state",
        "file-nr",
        "ns_last_pid",
        "aio-nr",
        "pty",
        "nf_conntrack_count",
        "neigh",
        "perf_event_max_sample_rate",
        "perf_cpu_time_max_percent",
        "stat_refresh",
        "drop_caches",
        "compact_memory",
        "flush",
        "lease-break-time",
        "quota",
        "epoll",
        "binfmt_misc",
        "conf",
        "sched_domain",
    ];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if moves.contains(&name.as_str()) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sysctls(&path, keep),
            _ if entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o444 != 0) => {
                keep(&path.display().to_string(), fs::read_to_string(&path).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// Every file below a folder: its metadata and bytes.
fn tree(folder: &Path) -> Vec<String> {
    let listed = bare("find").arg(folder).args(["-printf", "%p %m %U %G %s %T@ %C@ %l\n"]).output().unwrap();
    text(&listed.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn nothing_changes_by_asking() {
    let folder = TempDir::new().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
    let (before, files) = (state(), tree(folder.path()));
    assert!(before.len() > 200, "few things to look at: {}", before.len());
    let mut last = Vec::new();
    // What other programs here change in between is not ours: it is asked again then.
    for _ in 0..3 {
        let before = state();
        succeed(probe().current_dir(&folder).stdout(Stdio::null()));
        let after = state();
        assert_eq!(tree(folder.path()), files);
        last = after
            .iter()
            .filter(|(name, value)| before.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: {:?} became {value:?}", before.get(name)))
            .collect();
        if last.is_empty() {
            return;
        }
    }
    panic!("{}", last.join("\n"));
}

/// Calls that may succeed in a child: those that tell something, and those that change the child alone.
const HARMLESS: [&str; 45] = [
    // Only tell.
    "brk",
    "capget",
    "getegid",
    "geteuid",
    "getgid",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getsid",
    "gettid",
    "getuid",
    "modify_ldt",
    "personality",
    "restart_syscall",
    "time",
    "rseq_slice_yield",
    // Of no memory, or give the processor up once.
    "mlock",
    "munlock",
    "munlockall",
    "sched_yield",
    // Of the child: its rights (given up), its death signal, handlers, descriptors, mask, session, processes.
    "alarm",
    "capset",
    "eventfd",
    "exit",
    "exit_group",
    "fork",
    "inotify_init",
    "prctl",
    "rt_sigaction",
    "rt_sigreturn",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setsid",
    "umask",
    "vfork",
    "wait4",
    "getcpu",
    "clone",
    "nanosleep",
];

/// The calls in an strace of a whole family: those of the children that succeeded, and what became of the children.
#[test]
fn no_child_succeeds_in_anything_but_asking() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("strace");
    let mut strace = bare("strace");
    strace.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&file).arg(common::command());
    succeed(strace.args(["probe", "--format", "json"]));
    let trace = fs::read_to_string(&file).unwrap();
    let parent = trace.split_whitespace().next().unwrap().to_owned();
    let mut succeeded = BTreeSet::new();
    let mut asked = BTreeSet::new();
    let mut children = BTreeSet::new();
    let mut reaped = BTreeSet::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let name = call.trim_start_matches("<... ").split([' ', '(']).next().unwrap();
        let answer = call.rsplit_once(" = ").map(|(_, answer)| answer);
        if pid == parent {
            // waitid is not needed here.
            match (name, answer) {
                ("clone", Some(child)) => drop(children.insert(child.to_owned())),
                ("wait4", Some(child)) if child != "0" => drop(reaped.insert(child.to_owned())),
                _ => {}
            }
            continue;
        }
        asked.insert(name);
        if answer.is_some_and(|answer| !answer.starts_with("-1") && !answer.starts_with('?')) {
            succeeded.insert(name);
        }
    }
    assert!(asked.len() > 350, "only {} calls were asked", asked.len());
    let other: Vec<_> = succeeded.iter().filter(|name| !HARMLESS.contains(name)).collect();
    assert!(other.is_empty(), "succeeded, too: {other:?}");
    assert_eq!(children, reaped, "each child is reaped: under a parent that reaps nobody they would stay");
    assert!(children.len() > 380);
}

#[test]
fn the_table_is_for_people_and_all_adds_each_call() {
    let summary = text(&succeed(bare(common::command()).arg("probe")).stdout);
    let needed = [
        "HOST\n  kernel ",
        "SYSTEM CALLS\n",
        "NOT IN THIS KERNEL\n",
        "EVERCALL WOULD CARRY OUT\n",
        "_sysctl",
    ];
    for part in needed {
        assert!(summary.contains(part), "{part:?} is not in {summary}");
    }
    assert!(summary.lines().count() < 60 && summary.lines().all(|line| line.len() <= 140), "{summary}");
    let all = text(&succeed(bare(common::command()).args(["probe", "--all"])).stdout);
    for (call, _) in asks() {
        assert!(all.lines().any(|line| line.split_whitespace().next() == Some(call.name)), "{}", call.name);
    }
}

#[test]
fn the_json_is_what_the_schema_says() {
    let schema = common::root().join("docs/host-profile.schema.json");
    let check = "import json, sys, jsonschema\n\
                 schema = json.load(open(sys.argv[1]))\n\
                 jsonschema.Draft202012Validator.check_schema(schema)\n\
                 for file in sys.argv[2:]: jsonschema.Draft202012Validator(schema).validate(json.load(open(file)))";
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    succeed(probe().arg("-o").arg(file("bare")));
    let deny = "statx:EPERM,getppid:TRAP,getpgrp:KILL,capset,openat,vhangup:EACCES";
    let mut denied = bare(common::command());
    denied.args(["simulate", "--deny", deny, "--"]).arg(common::command()).args(["probe", "--format=json"]);
    fs::write(file("denied"), succeed(&mut denied).stdout).unwrap();
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        bare(python).args(["-c", "import jsonschema"]).output().is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else { skip!("needs python3-jsonschema") };
    let validate =
        |files: &[PathBuf]| bare(python).args(["-c", check]).arg(&schema).args(files).output().unwrap();
    let output = validate(&[file("bare"), file("denied")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The smallest one, and some that are none.
    fs::write(file("least"), r#"{"version": 1, "syscalls": {"statx": "ENOSYS", "read": "not asked"}}"#)
        .unwrap();
    assert!(validate(&[file("least")]).status.success());
    for (name, wrong) in [
        ("version", r#"{"version": 2, "syscalls": {}}"#),
        ("answer", r#"{"version": 1, "syscalls": {"statx": "maybe"}}"#),
        ("missing", r#"{"version": 1}"#),
        ("class", r#"{"version": 1, "syscalls": {}, "calls": {"statx": {"class": "other"}}}"#),
    ] {
        fs::write(file(name), wrong).unwrap();
        assert!(!validate(&[file(name)]).status.success(), "{wrong}");
    }
}

/// The facts against other programs' words.
#[test]
fn the_facts_are_those_of_this_machine() {
    let Profile(json) = Profile::of(&mut probe());
    let run =
        |command: &str| text(&bare("sh").args(["-c", command]).output().unwrap().stdout).trim().to_owned();
    assert_eq!(json["version"], 1);
    assert_eq!(json["kernel"]["release"], run("uname -r"));
    assert_eq!(json["kernel"]["version"], run("uname -v"));
    assert_eq!(json["process"]["euid"].to_string(), run("id -u"));
    assert_eq!(json["seccomp"]["mode"].to_string(), run("grep ^Seccomp: /proc/self/status | cut -f2"));
    assert_eq!(json["libc"]["kind"], "glibc");
    assert_eq!(json["libc"]["version"], run("getconf GNU_LIBC_VERSION | cut -d' ' -f2"));
    assert_eq!(json["machine"]["processors_allowed"].to_string(), run("nproc"));
    assert_eq!(json["machine"]["page_size"].to_string(), run("getconf PAGESIZE"));
    let nofile = &json["limits"]["process"]["NOFILE"];
    let word = |value: &serde_json::Value| value.to_string().trim_matches('"').to_owned();
    assert_eq!(word(&nofile["soft"]), run("ulimit -Sn"));
    assert_eq!(word(&nofile["hard"]), run("ulimit -Hn"));
    let sysctl = &json["limits"]["sysctl"];
    assert_eq!(sysctl["fs.nr_open"], run("cat /proc/sys/fs/nr_open"));
    assert_eq!(sysctl["fs.aio-max-nr"], run("cat /proc/sys/fs/aio-max-nr"));
    let cgroups =
        (run("grep -c ' - cgroup ' /proc/self/mountinfo"), run("grep -c ' - cgroup2 ' /proc/self/mountinfo"));
    let layout = match (cgroups.0.as_str(), cgroups.1.as_str()) {
        ("0", "0") => "none",
        ("0", _) => "v2",
        (_, "0") => "v1",
        _ => "hybrid",
    };
    assert_eq!(json["cgroup"]["layout"], layout);
    let page = run("grep vsyscall /proc/self/maps | cut -d' ' -f2");
    let mode = if page.is_empty() {
        "none"
    } else if page.starts_with('r') {
        "emulate"
    } else {
        "xonly"
    };
    assert_eq!(json["vsyscall"]["mode"], mode);
    let legacy = bare(program("legacy.i386")).arg("ustat").output();
    let runs = legacy.is_ok_and(|output| output.status.code().is_some());
    assert_eq!(json["machine"]["ia32"] == "answers", runs, "32-bit programs");
    // A core limit that the probe lowers for its children is told as it was given.
    let output =
        bare("sh").args(["-c", "ulimit -Sc 4; \"$0\" probe --format json"]).arg(common::command()).output();
    let limited = Profile::parse(&output.unwrap(), "ulimit");
    let unit = limited.0["limits"]["process"]["CORE"]["soft"].as_u64();
    assert!(unit == Some(2048) || unit == Some(4096), "{unit:?}");
}

#[test]
fn a_file_appears_whole_and_a_broken_pipe_is_no_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("host.json");
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("host.json", folder.path().join("link.json")).unwrap();
    succeed(probe().args(["-o", "link.json"]).current_dir(&folder));
    assert!(fs::symlink_metadata(folder.path().join("link.json")).unwrap().is_symlink());
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written["version"], 1);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no temporary file is left");
    // What is no regular file is written to, not replaced.
    succeed(probe().args(["-o", "/dev/null"]));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    for (path, why) in [("/no/such/folder/file", "No such file"), ("/", "directory")] {
        let output = probe().args(["-o", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{path}");
        let stderr = text(&output.stderr);
        assert!(
            stderr.starts_with("evercall: ") && stderr.contains(why) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
    let mut child = probe().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success() && stderr.is_empty(), "{stderr}");
}

/// In a root that holds the command alone: no /proc, no libc, no /dev.
#[test]
fn it_works_without_proc_and_says_what_it_could_not_see() {
    if !is_root() {
        skip!("needs root");
    }
    let root = TempDir::new().unwrap();
    fs::copy(common::command(), root.path().join("evercall")).unwrap();
    let mut inside = bare("chroot");
    inside.arg(root.path()).arg("/evercall").arg("probe");
    let profile = Profile::of(inside.args(["--format", "json"]));
    let outside = Profile::of(&mut probe());
    // Whether we are in the first user namespace cannot be seen there, so EPERM would be due, too; nothing else.
    assert_eq!(profile.syscalls(), outside.syscalls());
    assert_eq!(profile.0["libc"]["kind"], "none");
    assert_eq!(profile.0["cgroup"]["layout"], "unknown");
    assert_eq!(profile.0["seccomp"]["mode"], outside.0["seccomp"]["mode"], "prctl tells it");
    assert_eq!(profile.0["vsyscall"]["call"].is_null(), outside.0["vsyscall"]["mode"] == "none");
    let unseen = profile.0["unseen"].to_string();
    for file in ["/proc/self/status", "/proc/self/maps", "/proc/self/mountinfo"] {
        assert!(unseen.contains(file), "{file} is not in {unseen}");
    }
    let mut table = bare("chroot");
    let table = text(&succeed(table.arg(root.path()).args(["/evercall", "probe"])).stdout);
    assert!(table.contains("NOT SEEN\n") && table.contains("/proc/self/status: No such file"), "{table}");
}

/// A call that does not come back is ended, and one that answers nonsense is told as odd: strace plays the host.
#[test]
fn calls_that_hang_or_answer_nonsense_are_told() {
    let mut strace = bare("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getpriority,dup3,close_range"]);
    strace.args(["-e", "inject=getpriority:delay_enter=5000000", "-e", "inject=dup3:error=ENOENT"]);
    strace.args(["-e", "inject=close_range:error=ENOENT"]);
    let profile = Profile::of(strace.arg(common::command()).args(["probe", "--format", "json"]));
    assert_eq!(profile.class("no_answer"), ["getpriority"]);
    assert_eq!(profile.syscalls()["getpriority"], "no answer");
    assert_eq!(profile.class("odd"), ["close_range", "dup3"]);
    assert_eq!(profile.syscalls()["dup3"], "answers");
    assert_eq!(profile.call("dup3", "got"), "ENOENT");
    // The library asks a doubted call's probe before the first call, and takes the answer of others.
    assert_eq!((profile.acts("close_range"), profile.acts("dup3")), ("always".into(), "never".into()));
}
