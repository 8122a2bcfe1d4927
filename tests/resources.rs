//! Memory and processors as a control group limits them, under EVERCALL_RESOURCES=cgroup: what calls, libc and files
//! say agrees, for groups of version 1 and 2. The trees of groups are made up, in a mount namespace of their own.

mod common;

use common::{bare, shim, succeed, text};
use std::collections::HashMap;
use std::fs;
use std::process::Command;

const MIB: u64 = 1 << 20;

/// Prints what a program may ask, `NAME VALUE` each.
const ASK: &str = r#"
import ctypes, os, re
libc = ctypes.CDLL(None, use_errno=True)
info = (ctypes.c_ulong * 14)()
assert libc.sysinfo(ctypes.byref(info)) == 0
print("total", info[4]); print("free", info[5]); print("shared", info[6])
print("swap", info[8]); print("swapfree", info[9])
by_number = (ctypes.c_ulong * 14)()
assert libc.syscall(99, ctypes.byref(by_number)) == 0
print("total_by_number", by_number[4])
for call in ("get_phys_pages", "get_avphys_pages", "get_nprocs", "get_nprocs_conf"):
    function = getattr(libc, call); function.restype = ctypes.c_long
    print(call, function())
for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES", "SC_NPROCESSORS_ONLN", "SC_NPROCESSORS_CONF"):
    print(name, os.sysconf(name))
for line in open("/proc/meminfo"):
    name, value = re.match(r"([\w()]+): +(\d+)", line).groups()
    assert re.match(r"[\w()]+: +\d+( kB)?\n$", line), line
    assert len(line) in (28, 25) or name.startswith(("Direct", "Vmalloc")) or len(name) > 15, line
    print("meminfo." + name, value)
print("processors", len(re.findall(r"^processor", open("/proc/cpuinfo").read(), re.M)))
for name in ("online", "offline", "present", "possible"):
    print(name, open("/sys/devices/system/cpu/" + name).read().strip())
print("affinity", len(os.sched_getaffinity(0)))
ctypes.set_errno(0)
print("fault", libc.sysinfo(ctypes.c_void_p(1)), ctypes.get_errno())
"#;

/// Answers by their names, under these files below /sys/fs/cgroup and these settings.
fn ask(files: &[(&str, &str)], settings: &[(&str, &str)]) -> Option<HashMap<String, String>> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::write(path.with_file_name("cgroup.procs"), "").unwrap();
    }
    let mut command = bare("unshare");
    command.args(["-m", "sh", "-c", "mount --rbind \"$0\" /sys/fs/cgroup || exit 111; exec \"$@\""]);
    command.arg(folder.path()).args(["env"]).arg(format!("LD_PRELOAD={}", shim().display()));
    command.args(settings.iter().map(|(name, value)| format!("{name}={value}"))).args(["python3", "-c", ASK]);
    let output = command.output().unwrap();
    if output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ") {
        return None;
    }
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    Some(text(&output.stdout).lines().map(pair).collect())
}

const ON: &[(&str, &str)] = &[("EVERCALL_RESOURCES", "cgroup")];

const STAT_V2: &str = "anon 10485760\nfile 20971520\nkernel_stack 65536\npagetables 131072\nshmem 4194304\n\
    file_mapped 1048576\nfile_dirty 8192\nfile_writeback 4096\ninactive_anon 6291456\nactive_anon 4194304\n\
    inactive_file 12582912\nactive_file 8388608\nunevictable 0\nslab_reclaimable 2097152\n\
    slab_unreclaimable 1048576\n";

const V2: &[(&str, &str)] = &[
    ("memory.max", "536870912\n"),
    ("memory.current", "67108864\n"),
    ("memory.swap.max", "0\n"),
    ("memory.swap.current", "0\n"),
    ("memory.stat", STAT_V2),
    ("cpu.max", "50000 100000\n"),
    ("cpuset.cpus.effective", "0-1\n"),
];

const STAT_V1: &str = "cache 1\nrss 1\ntotal_cache 20971520\ntotal_rss 10485760\ntotal_shmem 4194304\n\
    total_mapped_file 1048576\ntotal_dirty 8192\ntotal_writeback 4096\ntotal_inactive_anon 6291456\n\
    total_active_anon 4194304\ntotal_inactive_file 12582912\ntotal_active_file 8388608\ntotal_unevictable 0\n";

const V1: &[(&str, &str)] = &[
    ("memory/memory.limit_in_bytes", "536870912\n"),
    ("memory/memory.usage_in_bytes", "67108864\n"),
    ("memory/memory.stat", STAT_V1),
    ("cpu/cpu.cfs_quota_us", "50000\n"),
    ("cpu/cpu.cfs_period_us", "100000\n"),
    ("cpuset/cpuset.effective_cpus", "0-1\n"),
];

macro_rules! ask {
    ($files:expr, $settings:expr) => {{
        let answers = match ask($files, $settings) {
            Some(answers) => answers,
            None => skip!("no mount namespace"),
        };
        move |name: &str| -> u64 {
            let value = answers.get(name).unwrap_or_else(|| panic!("no {name} in {answers:?}"));
            value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}"))
        }
    }};
}

/// Whoever asks, and whichever version the group is of: 512 MiB, 64 of them used, and one processor for a quota of
/// one half.
#[test]
fn files_agree_with_the_calls() {
    for (files, reclaimable) in [(V2, 22 * MIB), (V1, 20 * MIB)] {
        let of = ask!(files, ON);
        let total = 512 * MIB;
        assert_eq!(of("total"), total);
        assert_eq!(of("total_by_number"), total);
        assert_eq!(of("meminfo.MemTotal") * 1024, total);
        assert_eq!(of("SC_PHYS_PAGES") * 4096, total);
        assert_eq!(of("get_phys_pages") * 4096, total);
        let free = total - 64 * MIB;
        assert_eq!(of("free"), free);
        assert_eq!(of("meminfo.MemFree") * 1024, free);
        assert_eq!(of("SC_AVPHYS_PAGES") * 4096, free);
        assert_eq!(of("get_avphys_pages") * 4096, free);
        assert_eq!(of("meminfo.MemAvailable") * 1024, free + reclaimable);
        assert_eq!(of("shared"), 4 * MIB);
        assert_eq!(of("meminfo.Shmem") * 1024, 4 * MIB);
        assert_eq!(of("meminfo.Cached") * 1024, 20 * MIB);
        assert_eq!(of("meminfo.Active") * 1024, 12 * MIB);
        assert_eq!(of("swap"), of("meminfo.SwapTotal") * 1024);
        assert_eq!(of("swapfree"), of("meminfo.SwapFree") * 1024);
        for name in ["processors", "get_nprocs", "SC_NPROCESSORS_ONLN"] {
            assert_eq!(of(name), 1, "{name}");
        }
        assert_eq!(of("online"), 0);
        assert_eq!(of("get_nprocs_conf"), of("SC_NPROCESSORS_CONF"));
    }
}

/// With what is online, offline makes present; and a bad address is EFAULT.
#[test]
fn processors_that_are_not_online_are_offline() {
    for files in [V2, V1] {
        let Some(answers) = ask(files, ON) else { skip!("no mount namespace") };
        let Some(last) = answers["present"].strip_prefix("0-").and_then(|last| last.parse::<u32>().ok())
        else {
            skip!("this machine has one processor")
        };
        let offline = if last == 1 { "1".to_owned() } else { format!("1-{last}") };
        assert_eq!(answers["offline"], offline);
        assert_eq!(answers["possible"], answers["present"]);
        assert_eq!(answers["fault"], "-1 14");
    }
}

/// Without the setting, and without a limit that is lower than the host's, everything is the host's.
#[test]
fn the_hosts_own_stands_where_nothing_is_asked_or_limited() {
    let bare_total = fs::read_to_string("/proc/meminfo").unwrap();
    let bare_total = bare_total.lines().next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let unlimited_v2: &[_] =
        &[("memory.max", "max\n"), ("memory.current", "1\n"), ("cpu.max", "max 100000\n")];
    let unlimited_v1: &[_] = &[
        ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("cpu/cpu.cfs_quota_us", "-1\n"),
        ("cpu/cpu.cfs_period_us", "100000\n"),
    ];
    for (files, settings) in [
        (V2, &[][..]),
        (V1, &[("EVERCALL_RESOURCES", "host")]),
        (V2, &[("EVERCALL_RESOURCES", "rubbish")]),
        (V2, &[("EVERCALL_RESOURCES", "cgroup"), ("EVERCALL", "off")]),
        (unlimited_v2, ON),
        (unlimited_v1, ON),
        (&[("other", "")], ON),
    ] {
        let of = ask!(files, settings);
        assert_eq!(of("meminfo.MemTotal").to_string(), bare_total, "{files:?} {settings:?}");
        assert_eq!(of("total") / 1024, of("meminfo.MemTotal"));
        assert_eq!(of("SC_NPROCESSORS_ONLN"), of("get_nprocs_conf"));
        assert_eq!(of("processors"), of("SC_NPROCESSORS_ONLN"));
    }
}

/// lxcfs#389: whoever divides by it must live. A limit of nothing, damaged files, a use above the limit.
#[test]
fn memory_is_never_none_and_never_negative() {
    for (limit, used) in
        [("0\n", "4096\n"), ("1\n", "0\n"), ("1048576\n", "99999999\n"), ("4096", "x"), ("5000000", "")]
    {
        let of = ask!(
            &[("memory.max", limit), ("memory.current", used), ("memory.stat", "anon\nfile x\n\n9\n")],
            ON
        );
        assert!(of("total") >= MIB, "{limit:?}");
        assert_eq!(of("meminfo.MemTotal"), of("total") / 1024);
        assert!(of("free") <= of("total"));
        assert!(of("meminfo.MemAvailable") <= of("meminfo.MemTotal"));
    }
    for limit in ["", "x", "-5", "\n\n"] {
        let of = ask!(&[("memory.max", limit), ("cpu.max", limit), ("cpuset.cpus.effective", limit)], ON);
        assert!(of("total") > 64 * MIB, "{limit:?}");
        assert!(of("processors") >= 1);
    }
}

/// The kernel's own groups: a child in a group of version 1 that this test makes.
#[test]
fn a_real_group_limits_what_is_seen() {
    let group = std::path::PathBuf::from(format!("/sys/fs/cgroup/memory/evercall-{}", std::process::id()));
    if fs::create_dir(&group).is_err() {
        skip!("no memory controller of version 1 that may be used");
    }
    let run = || {
        fs::write(group.join("memory.limit_in_bytes"), "268435456").ok()?;
        let mut command = bare("sh");
        command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&group).arg("env");
        command.arg(format!("LD_PRELOAD={}", shim().display())).arg("EVERCALL_RESOURCES=cgroup");
        let output = succeed(command.args(["python3", "-c", ASK]));
        Some(text(&output.stdout))
    };
    let answers = run();
    fs::remove_dir(&group).unwrap();
    let answers = answers.expect("the limit of a fresh group is set");
    for line in ["total 268435456", "meminfo.MemTotal 262144", "SC_PHYS_PAGES 65536"] {
        assert!(answers.lines().any(|one| one == line), "{line} is not in {answers}");
    }
}

/// openpbs#2458: lines that 1024 bytes do not hold are cut at a blank, all others stay; by default all stay.
#[test]
fn long_lines_of_cpuinfo_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let flags: Vec<String> = (0..300).map(|n| format!("flag{n}")).collect();
    let block = |number: usize| {
        format!(
            "processor\t: {number}\nmodel name\t: Some (R) Thing\nflags\t\t: {}\nvmx flags\t: a b\nbugs\t\t: {}\n\n",
            flags.join(" "),
            "x".repeat(5000)
        )
    };
    let whole = block(0) + &block(1);
    let file = folder.path().join("cpuinfo");
    fs::write(&file, &whole).unwrap();
    let seen = |settings: &[&str]| {
        let mut command = bare("unshare");
        command
            .args(["-m", "sh", "-c", "mount --bind \"$0\" /proc/cpuinfo || exit 111; exec \"$@\""])
            .arg(&file);
        command
            .arg("env")
            .arg(format!("LD_PRELOAD={}", shim().display()))
            .args(settings)
            .args(["cat", "/proc/cpuinfo"]);
        let output = command.output().unwrap();
        (output.status.success()).then(|| text(&output.stdout))
    };
    let Some(unchanged) = seen(&[]) else { skip!("no mount namespace") };
    assert_eq!(unchanged, whole);
    let short = seen(&["EVERCALL_CPUINFO=short"]).unwrap();
    assert_eq!(short.lines().count(), whole.lines().count());
    for (line, long) in short.lines().zip(whole.lines()) {
        assert!(line.len() <= 1000, "{}", line.len());
        assert!(long.starts_with(line));
        if long.len() <= 1000 {
            assert_eq!(line, long);
        } else if line.starts_with("flags") {
            assert!(line.len() > 980 && long.as_bytes()[line.len()] == b' ', "{line}");
        }
    }
}

/// Only where it is asked for: the calls of others go on at once.
#[test]
fn the_log_tells_of_it() {
    let run = |log: &str| {
        let mut command: Command = bare("python3");
        command.args(["-c", "import os; os.sysconf('SC_PHYS_PAGES'); os.sysconf('SC_NPROCESSORS_ONLN')"]);
        command.env("LD_PRELOAD", shim()).env("EVERCALL_LOG", "all").env("EVERCALL_RESOURCES", log);
        text(&succeed(&mut command).stderr)
    };
    assert!(run("cgroup").contains("sysconf: sysconf(name=84) = "), "{}", run("cgroup"));
    assert_eq!(run("host"), "");
}
