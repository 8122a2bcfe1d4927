//! cgroup v1 on a host with v2 alone: its files against those of this machine's own v1, and who is shown which lists.

#[macro_use]
mod common;
#[path = "common/cgroup.rs"]
mod cgroup;

use cgroup::{GROUP, Host, has_v1};
use common::{bare, program, succeed, text, under_shim};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What a program printed under the shim, or the end of the test.
macro_rules! printed {
    ($host:expr, $($word:expr),+) => {{
        let Some(output) = $host.under_shim(&[$($word),+]) else { skip!("no mount name space") };
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        text(&output.stdout)
    }};
}

/// The real v1 is the oracle: every call of a path answers as there, by glibc's functions and by musl's.
#[test]
fn files_are_as_in_v1() {
    if !has_v1("memory") || !has_v1("pids") {
        skip!("no cgroup v1 here");
    }
    let host = Host::with(GROUP).and("", &[("memory.max", "max\n")]);
    for name in ["cgroup_files", "cgroup_files.musl"] {
        let program = program(name);
        let due = text(&succeed(&mut bare(&program)).stdout);
        let got = printed!(host, program.to_str().unwrap());
        assert!(due.lines().count() > 70 && due.contains("9223372036854771712"), "{name}: {due}");
        assert_eq!(got, due, "{name}");
    }
}

/// A group of this machine's v1, gone at the end.
struct Group(PathBuf);

impl Group {
    fn new(controller: &str) -> Option<Group> {
        let path = format!("/sys/fs/cgroup/{controller}/evercall-test-{}", std::process::id());
        fs::create_dir(&path).ok().map(|()| Group(path.into()))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| format!("{file}: {error}"))
    }

    fn write(&self, file: &str, value: impl ToString) {
        fs::write(self.0.join(file), value.to_string()).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Values that v1 and v2 both have are written the same.
#[test]
fn values_are_as_in_v1() {
    let groups = ["memory", "cpu", "pids"]
        .map(|controller| has_v1(controller).then(|| Group::new(controller)).flatten());
    let [Some(memory), Some(cpu), Some(pids)] = groups else {
        skip!("no cgroup v1 here, or no right to make a group");
    };
    let limit = prop_oneof![Just(None), (256u64..1 << 40).prop_map(Some)];
    let inputs = (
        limit.clone(),
        limit,
        1000u64..1_000_000,
        prop_oneof![Just(None), (1000u64..10_000_000).prop_map(Some)],
        1u32..30_000,
    );
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() });
    runner
        .run(&inputs, |(limit, soft, period, quota, most)| {
            let or_none =
                |value: Option<u64>| value.map_or("-1".into(), |value: u64| (value * 4096).to_string());
            memory.write("memory.limit_in_bytes", or_none(limit));
            memory.write("memory.soft_limit_in_bytes", or_none(soft));
            cpu.write("cpu.cfs_quota_us", "-1");
            cpu.write("cpu.cfs_period_us", period);
            cpu.write("cpu.cfs_quota_us", quota.map_or("-1".into(), |quota| quota.to_string()));
            pids.write("pids.max", most);
            let or_max = |value: Option<u64>| value.map_or("max".into(), |value| (value * 4096).to_string());
            let quota = quota.map_or("max".into(), |quota| quota.to_string());
            let host = Host::with(GROUP).and(
                "",
                &[
                    ("memory.max", &or_max(limit)),
                    ("memory.high", &or_max(soft)),
                    ("cpu.max", &format!("{quota} {period}\n")),
                    ("pids.max", &format!("{most}\n")),
                    ("memory.events", "max 0\noom_kill 0\n"),
                ],
            );
            let files = [
                (&memory, "memory", "memory.limit_in_bytes"),
                (&memory, "memory", "memory.soft_limit_in_bytes"),
                (&memory, "memory", "memory.use_hierarchy"),
                (&memory, "memory", "memory.failcnt"),
                (&memory, "memory", "memory.memsw.limit_in_bytes"),
                (&memory, "memory", "memory.oom_control"),
                (&cpu, "cpu", "cpu.cfs_quota_us"),
                (&cpu, "cpu,cpuacct", "cpu.cfs_period_us"),
                (&cpu, "cpu", "cpu.shares"),
                (&pids, "pids", "pids.max"),
            ];
            let due: String = files.iter().map(|(group, _, file)| group.read(file)).collect();
            let paths: Vec<String> =
                files.iter().map(|(_, folder, file)| format!("/sys/fs/cgroup/{folder}/{file}")).collect();
            let words: Vec<&str> = ["cat"].into_iter().chain(paths.iter().map(String::as_str)).collect();
            let output = host.under_shim(&words).expect("a mount name space, as root has");
            prop_assert_eq!(text(&output.stdout), due);
            // The limit is among the counters too.
            let line = |text: &str| {
                text.lines().find(|line| line.starts_with("hierarchical_memory_limit")).map(str::to_owned)
            };
            let output = host.under_shim(&["cat", "/sys/fs/cgroup/memory/memory.stat"]).unwrap();
            prop_assert_eq!(line(&text(&output.stdout)), line(&memory.read("memory.stat")));
            Ok(())
        })
        .unwrap();
}

/// The counters have v1's names, in v1's order.
#[test]
fn counters_are_named_as_in_v1() {
    if !has_v1("memory") || !has_v1("cpu") || !has_v1("cpuacct") {
        skip!("no cgroup v1 here");
    }
    let host = Host::with(GROUP);
    for (file, native) in [
        ("memory/memory.stat", "memory/memory.stat"),
        ("cpu/cpu.stat", "cpu/cpu.stat"),
        ("cpuacct/cpuacct.stat", "cpuacct/cpuacct.stat"),
        ("memory/memory.oom_control", "memory/memory.oom_control"),
    ] {
        let names = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
        };
        let native = names(&fs::read_to_string(Path::new("/sys/fs/cgroup").join(native)).unwrap());
        let ours = names(&printed!(host, "cat", &format!("/sys/fs/cgroup/{file}")));
        // Newer kernels have more.
        let mut rest = native.iter();
        assert!(
            ours.iter().all(|name| rest.any(|other| other == name)),
            "{file}: {ours:?}, natively {native:?}"
        );
    }
}

#[test]
fn counters_are_converted() {
    let host = Host::with(GROUP);
    for (file, due) in [
        ("memory/memory.usage_in_bytes", "1000000\n"),
        ("memory/memory.max_usage_in_bytes", "1000000\n"),
        ("memory/memory.memsw.usage_in_bytes", "1000000\n"),
        ("memory/memory.failcnt", "4\n"),
        ("cpu/cpu.stat", "nr_periods 1\nnr_throttled 2\nthrottled_time 3000\n"),
        ("cpuacct/cpuacct.usage", "70012000\n"),
        ("cpuacct/cpuacct.usage_user", "20000000\n"),
        ("cpuacct/cpuacct.usage_sys", "50012000\n"),
        ("cpuacct/cpuacct.stat", "user 2\nsystem 5\n"),
        ("cpuset/cpuset.cpus", "0-1\n"),
        ("cpuset/cpuset.mems", "0\n"),
        ("pids/pids.current", "3\n"),
        ("memory/cgroup.procs", "1\n7\n"),
        ("memory/tasks", "1\n7\n8\n"),
        (
            "blkio/blkio.throttle.io_service_bytes",
            "8:0 Read 10\n8:0 Write 20\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard 5\n8:0 Total 35\nTotal 35\n",
        ),
        (
            "blkio/blkio.throttle.io_serviced_recursive",
            "8:0 Read 3\n8:0 Write 4\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard 6\n8:0 Total 13\nTotal 13\n",
        ),
    ] {
        assert_eq!(printed!(host, "cat", &format!("/sys/fs/cgroup/{file}")), due, "{file}");
    }
}

/// A limit that stands above the process's group applies to it, by the host's name of the group or the container's own.
#[test]
fn limits_above_count() {
    const INNER: &[(&str, &str)] = &[
        ("cgroup.controllers", "memory\n"),
        ("cgroup.procs", "1\n"),
        ("memory.max", "1073741824\n"),
        ("memory.current", "4096\n"),
        ("memory.swap.max", "0\n"),
        ("cpu.max", "50000 20000\n"),
    ];
    let words = [
        "sh",
        "-c",
        "cd /sys/fs/cgroup; exec cat memory/memory.limit_in_bytes memory/memory.usage_in_bytes memory/memory.memsw.limit_in_bytes \
         cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus; cat memory/memory.stat | grep hier",
    ];
    // The mount is of the root: by its whole name. The inner limit is larger, the inner quota too (2.5 processors).
    let host = Host::with(GROUP).and("a.slice/b", INNER).in_group("/a.slice/b");
    assert_eq!(
        printed!(host, words[0], words[1], words[2]),
        "536870912\n4096\n1073741824\n150000\n100000\n0-1\n"
    );
    let host = Host::with(GROUP)
        .and("a", INNER)
        .and("a", &[("memory.max", "8192\n"), ("cpu.max", "1000 2000\n")])
        .in_group("/a");
    assert_eq!(printed!(host, words[0], words[1], words[2]), "8192\n4096\n8192\n1000\n2000\n0-1\n");
    // A name that leads nowhere: what is mounted is the container's own group.
    for name in ["/docker/0123", "/../other", "/"] {
        let host = Host::with(GROUP).in_group(name);
        assert_eq!(
            printed!(host, words[0], words[1], words[2]),
            "536870912\n1000000\n9223372036854771712\n150000\n100000\n0-1\n",
            "{name}"
        );
    }
}

/// A host's root group has no files of limits.
#[test]
fn the_root_has_no_limit() {
    let files = [
        ("cgroup.controllers", "cpuset cpu io memory pids\n"),
        ("cgroup.procs", "1\n"),
        ("memory.stat", "anon 4096\nfile 8192\n"),
        ("cpu.stat", "usage_usec 5\nuser_usec 2\nsystem_usec 3\n"),
    ];
    let host = Host::with(&files);
    let read = |file: &str| Some(text(&host.under_shim(&["cat", &format!("/sys/fs/cgroup/{file}")])?.stdout));
    let Some(limit) = read("memory/memory.limit_in_bytes") else { skip!("no mount name space") };
    assert_eq!(limit, "9223372036854771712\n");
    assert_eq!(read("memory/memory.usage_in_bytes").unwrap(), "12288\n");
    assert_eq!(read("memory/memory.failcnt").unwrap(), "0\n");
    assert_eq!(read("cpu/cpu.cfs_quota_us").unwrap(), "-1\n");
    assert_eq!(read("cpu/cpu.cfs_period_us").unwrap(), "100000\n");
    assert_eq!(read("cpu/cpu.shares").unwrap(), "1024\n");
    // Not there, rather than made up.
    assert_eq!(read("pids/pids.max").unwrap(), "");
}

/// Damaged or missing files of the host: no answer is made up.
#[test]
fn damaged_files_are_missing_ones() {
    let host = Host::with(&[
        ("cgroup.controllers", "\n"),
        ("memory.max", "much\n"),
        ("cpu.max", "\n"),
        ("cpu.weight", "18446744073709551616\n"),
        ("io.stat", "8:0\nx\n8: rbytes=1\n"),
    ]);
    let files = [
        "memory/memory.limit_in_bytes",
        "cpu/cpu.cfs_quota_us",
        "cpu/cpu.shares",
        "pids/pids.max",
        "cpuacct/cpuacct.usage",
    ];
    for file in files {
        let Some(output) = host.under_shim(&["cat", &format!("/sys/fs/cgroup/{file}")]) else {
            skip!("no mount name space")
        };
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains("No such file"),
            "{file}: {} {said}",
            text(&output.stdout)
        );
    }
    let zeros = "8:0 Read 0\n8:0 Write 0\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard 0\n8:0 Total 0\nTotal 0\n";
    assert_eq!(printed!(host, "cat", "/sys/fs/cgroup/blkio/blkio.throttle.io_serviced"), zeros);
}

/// On a host with v1 nothing changes, whatever is asked for.
#[test]
fn hosts_with_v1_are_untouched() {
    if !has_v1("memory") {
        skip!("no cgroup v1 here");
    }
    let script = "cat /proc/self/cgroup /proc/self/mountinfo /proc/mounts; cut -f 1,2,4 /proc/cgroups; stat -f -c %T /sys/fs/cgroup \
                  /sys/fs/cgroup/memory; ls /sys/fs/cgroup /sys/fs/cgroup/memory; cat /sys/fs/cgroup/memory/memory.limit_in_bytes \
                  /sys/fs/cgroup/memory/memory.peak /sys/fs/cgroup/cpu,cpuacct/cpu.shares /sys/fs/cgroup/cpuset/cpuset.cpus 2>&1";
    let native = bare("sh").args(["-c", script]).output().unwrap();
    for (name, value) in [
        ("EVERCALL_CGROUP", "auto"),
        ("EVERCALL_CGROUP", "v1"),
        ("EVERCALL_FORCE", "cgroup_v1,cgroup_controllers"),
    ] {
        let ours = under_shim("sh").env(name, value).args(["-c", script]).output().unwrap();
        assert_eq!(text(&ours.stdout), text(&native.stdout), "{name}={value}");
        assert_eq!(text(&ours.stderr), text(&native.stderr), "{name}={value}");
    }
}

#[test]
fn it_can_be_switched_off() {
    for setting in ["EVERCALL=off", "EVERCALL_CGROUP=off"] {
        let host = Host::with(GROUP).set(setting);
        let Some(output) = host.under_shim(&["cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]) else {
            skip!("no mount name space");
        };
        assert!(
            text(&output.stderr).contains("No such file") && output.stdout.is_empty(),
            "{setting}: {output:?}"
        );
    }
    // A program with a filter of its own has nothing translated from then on.
    let host = Host::with(GROUP);
    assert_eq!(
        printed!(host, program("cgroup_files").to_str().unwrap(), "own_filter"),
        "open before: \"536870912\", errno 0\nown filter: right\nopen: No such file or directory\nsyscall open: No such file or directory\nfopen: No such file or directory\n"
    );
}

const V1: &str = "6:pids:/\n5:blkio:/\n4:cpuset:/\n3:cpu,cpuacct:/\n2:memory:/\n";

/// A runtime's folder: `cat` in the place of its program, and other files.
fn runtime(program: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(program);
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy("/bin/cat", &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// Programs of before v2 see v1 alone, others what the host has.
#[test]
fn programs_of_before_v2_see_v1_alone() {
    let release = |version: &str| {
        format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\nMODULES=\"{}\"\n", "m ".repeat(900))
    };
    let json = |version: &str| {
        format!("{{\"framework\": {{ \"name\": \"Microsoft.NETCore.App\", \"version\": \"{version}\" }} }}")
    };
    let shared = |version: &str| format!("shared/Microsoft.NETCore.App/{version}/x");
    for (program, files, v1) in [
        ("jdk/bin/java", vec![("jdk/release".to_owned(), release("11.0.9.1"))], true),
        ("jdk/bin/java", vec![("jdk/release".into(), release("11.0.16"))], false),
        ("jdk/bin/java", vec![("jdk/release".into(), release("17.0.15"))], false),
        ("jdk/jre/bin/java", vec![("jdk/release".into(), release("1.8.0_362"))], true),
        ("jdk/jre/bin/java", vec![("jdk/release".into(), release("1.8.0_372"))], false),
        ("bin/java", vec![], false),
        ("dotnet", vec![(shared("3.1.32"), String::new()), (shared("2.1.30"), String::new())], true),
        ("dotnet", vec![(shared("3.1.32"), String::new()), (shared("6.0.1"), String::new())], false),
        ("dotnet", vec![], false),
        (
            "App",
            vec![("libcoreclr.so".into(), String::new()), ("System.Native.so".into(), String::new())],
            true,
        ),
        (
            "App",
            vec![("libcoreclr.so".into(), String::new()), ("libSystem.Native.so".into(), String::new())],
            false,
        ),
        ("App", vec![("App.runtimeconfig.json".into(), json("3.1.0"))], true),
        ("App", vec![("App.runtimeconfig.json".into(), json("8.0.0"))], false),
        ("App", vec![], false),
    ] {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (_folder, path) = runtime(program, &files);
        let host = Host::with(GROUP).in_group("/");
        let due = if v1 { V1 } else { "0::/\n" };
        assert_eq!(printed!(host, &path, "/proc/self/cgroup"), due, "{program} {files:?}");
        // What there is natively is decided at once for all; what there is not is for everybody.
        assert_eq!(printed!(host, &path, "/sys/fs/cgroup/memory/memory.limit_in_bytes"), "536870912\n");
    }
}

/// The settings win over the program, each section for its own.
#[test]
fn settings_decide_for_a_program() {
    let (_folder, java) = runtime("bin/java", &[("release", "JAVA_VERSION=\"11.0.9\"\n")]);
    for (setting, program, due) in [
        ("EVERCALL_CGROUP=v1", "cat", V1),
        ("EVERCALL_CGROUP=auto", "cat", "0::/\n"),
        ("EVERCALL_CGROUP=v2", java.as_str(), "0::/\n"),
        ("EVERCALL_CGROUP=off", java.as_str(), "0::/\n"),
        ("EVERCALL_FORCE=cgroup_v1", "cat", V1),
    ] {
        let host = Host::with(GROUP).in_group("/").set(setting);
        assert_eq!(printed!(host, program, "/proc/self/cgroup"), due, "{setting} {program}");
    }
    let conf = "[java]\ncgroup = v2\n[*/cat]\ncgroup = v1\n";
    for (program, due) in [(java.as_str(), "0::/\n"), ("/bin/cat", "0::/\n"), ("/usr/bin/head", "0::/\n")] {
        let mut host = Host::with(GROUP).in_group("/");
        host.before += &format!(
            "mkdir /sys/fs/cgroup/.upper /sys/fs/cgroup/.work && mount -t overlay overlay -o \
             lowerdir=/etc,upperdir=/sys/fs/cgroup/.upper,workdir=/sys/fs/cgroup/.work /etc && printf '{}' >/etc/evercall.conf\n",
            conf.replace('\n', "\\n").replace("*/cat", "/b?n/cat")
        );
        let due = if program == "/bin/cat" { V1 } else { due };
        assert_eq!(printed!(host, program, "/proc/self/cgroup"), due, "{program}");
    }
}

/// One view: every list names the same hierarchies, and all else is as the host has it, be its lines as long as they like.
#[test]
fn the_lists_agree() {
    let mut host = Host::with(GROUP).set("EVERCALL_CGROUP=v1");
    let long = "x".repeat(1800);
    host.before += &format!(
        "mkdir /sys/fs/cgroup/.mnt && mount -t tmpfs '{long}' /mnt && mount -t tmpfs none /sys/fs/cgroup/.mnt\n"
    );
    // Both in one name space.
    let list = |file: &str| {
        let script = format!("EVERCALL=off cat {file}; echo ====; exec cat {file}");
        let both = text(&host.under_shim(&["sh", "-c", &script])?.stdout);
        both.split_once("====\n").map(|(bare, ours)| (bare.to_owned(), ours.to_owned()))
    };
    let Some((_, groups)) = list("/proc/self/cgroup") else { skip!("no mount name space") };
    assert_eq!(groups, V1);
    let hierarchies: BTreeMap<&str, &str> = groups
        .lines()
        .map(|line| line.split_once(':').unwrap())
        .map(|(number, rest)| (rest.strip_suffix(":/").unwrap(), number))
        .collect();

    for (file, point, options) in
        [("/proc/self/mountinfo", 4, 3), ("/proc/mounts", 1, 3), ("/proc/self/mounts", 1, 3)]
    {
        let (bare, ours) = list(file).unwrap();
        let is_ours = |line: &&str| line.split(' ').nth(point).unwrap().starts_with("/sys/fs/cgroup");
        let others = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !is_ours(line)).map(str::to_owned).collect()
        };
        assert_eq!(others(&ours), others(&bare), "{file}");
        assert!(ours.contains(&long), "{file}");
        let mut mounted = BTreeMap::new();
        for line in ours.lines().filter(is_ours) {
            let (before, behind) = if point == 4 { line.split_once(" - ").unwrap() } else { ("", line) };
            assert!(!before.contains('-') || point != 4, "JVMs skip all but dashes: {line}");
            let path = line.split(' ').nth(point).unwrap();
            let kind = if point == 4 { behind.split(' ').next() } else { behind.split(' ').nth(2) };
            let Some(name) = path.strip_prefix("/sys/fs/cgroup/") else {
                assert_eq!(kind, Some("tmpfs"), "{line}");
                continue;
            };
            assert_eq!(kind, Some("cgroup"), "{line}");
            let last = if point == 4 { behind.split(' ').nth(2) } else { behind.split(' ').nth(options) };
            assert!(last.unwrap().ends_with(&format!(",{name}")), "{line}");
            mounted.insert(name.to_owned(), ());
        }
        assert!(mounted.keys().eq(hierarchies.keys()), "{file}: {mounted:?}");
    }
    let (_, controllers) = list("/proc/cgroups").unwrap();
    for (names, number) in &hierarchies {
        for name in names.split(',') {
            let row = controllers.lines().find(|line| line.starts_with(&format!("{name}\t"))).unwrap();
            let fields: Vec<&str> = row.split('\t').collect();
            assert_eq!((fields[1], fields[3]), (*number, "1"), "{row}");
        }
    }
    let types =
        host.under_shim(&["stat", "-f", "-c", "%T", "/sys/fs/cgroup", "/sys/fs/cgroup/memory"]).unwrap();
    assert_eq!(text(&types.stdout), "tmpfs\ncgroupfs\n");
}

/// For all programs: the controllers that a JVM looks for are listed, and a list that has them is left as it is.
#[test]
fn controllers_are_added() {
    for (file, due) in [
        (
            "#subsys_name\\thierarchy\\tnum_cgroups\\tenabled\\n",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\ncpu\t0\t1\t1\ncpuacct\t0\t1\t1\nmemory\t0\t1\t1\n",
        ),
        (
            "#s\\ncpu\\t0\\t9\\t1\\npids\\t0\\t9\\t1\\nmemory\\t0\\t9\\t0\\n",
            "#s\ncpu\t0\t9\t1\npids\t0\t9\t1\nmemory\t0\t9\t0\ncpuset\t0\t1\t1\ncpuacct\t0\t1\t1\n",
        ),
        (
            "#s\\ncpu\\t0\\t9\\t1\\ncpuset\\t0\\t9\\t1\\nmemory\\t0\\t9\\t0\\ncpuacct\\t0\\t1\\t1\\n",
            "#s\ncpu\t0\t9\t1\ncpuset\t0\t9\t1\nmemory\t0\t9\t0\ncpuacct\t0\t1\t1\n",
        ),
    ] {
        let mut host = Host::with(GROUP);
        host.before += &format!(
            "printf '{file}' >/sys/fs/cgroup/.list && mount --bind /sys/fs/cgroup/.list /proc/cgroups\n"
        );
        assert_eq!(printed!(host, "cat", "/proc/cgroups"), due);
        let host = host.set("EVERCALL_CGROUP=off");
        assert_eq!(printed!(host, "cat", "/proc/cgroups"), file.replace("\\t", "\t").replace("\\n", "\n"));
    }
}

/// Shells, ls and find walk the folders; a shell that writes is told that it cannot.
#[test]
fn everyday_programs_walk_the_folders() {
    let host = Host::with(GROUP);
    for (script, due) in [
        ("ls /sys/fs/cgroup/pids/", "cgroup.procs\npids.current\npids.events\npids.max\ntasks\n"),
        ("cd /sys/fs/cgroup && ls -d memory cpu,cpuacct", "cpu,cpuacct\nmemory\n"),
        (
            "echo /sys/fs/cgroup/cpu/cpu.c*",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us /sys/fs/cgroup/cpu/cpu.cfs_quota_us\n",
        ),
        ("find /sys/fs/cgroup/cpuset -name '*.cpus' -type f", "/sys/fs/cgroup/cpuset/cpuset.cpus\n"),
        (
            "grep -r 536870912 /sys/fs/cgroup/memory -l",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes\n/sys/fs/cgroup/memory/memory.stat\n",
        ),
        ("[ -r /sys/fs/cgroup/memory/tasks ] && [ -d /sys/fs/cgroup/memory ] && echo yes", "yes\n"),
        ("ls -l /sys/fs/cgroup/cpu | wc -l", "7\n"),
        ("(echo 1 >/sys/fs/cgroup/memory/memory.limit_in_bytes) 2>&1 | grep -o Read-only", "Read-only\n"),
        ("wc -c </sys/fs/cgroup/memory/memory.limit_in_bytes", "10\n"),
    ] {
        assert_eq!(printed!(host, "bash", "-c", script), due, "{script}");
    }
}
