//! gVisor (Debian's runsc) as a host that lacks calls, and answers others in its own way: what fails there bare
//! lives under evercall, and what works stays as it was. Each program runs in a sandbox of its own, which sees this
//! machine's files and keeps what is written to itself.

#[macro_use]
mod common;

use common::{bare, program, root, shim, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

/// A command in a sandbox, from this folder: bare or under the shim.
fn sandbox(evercall: bool, folder: &Path) -> Command {
    let mut command = bare("timeout");
    command.args(["--kill-after=5", "120", "runsc", "--platform=ptrace", "--network=none"]);
    command.arg(if is_root() { "--ignore-cgroups" } else { "--rootless" }).arg("do");
    command.args(["env", "TZ=UTC", "LC_ALL=C"]).current_dir(folder);
    if evercall {
        command.arg(format!("LD_PRELOAD={}", shim().display())).arg("EVERCALL_LOG=first");
        // Not amid what the program says.
        command.arg(format!("EVERCALL_LOG_TO={}", folder.join("log").display()));
    }
    command
}

fn is_root() -> bool {
    text(&bare("id").arg("-u").output().unwrap().stdout) == "0\n"
}

/// Why there can be no sandbox on this machine.
fn no_sandbox() -> Option<String> {
    let output = match sandbox(false, Path::new("/")).args(["echo", "inside"]).output() {
        Ok(output) => output,
        Err(error) => return Some(format!("timeout: {error}")),
    };
    (text(&output.stdout) != "inside\n").then(|| format!("no runsc that runs here: {}", text(&output.stderr)))
}

/// What a command prints and how it ends.
fn told(output: &Output) -> String {
    format!("{}{}{}", text(&output.stdout), text(&output.stderr), output.status)
}

/// A shell's lines bare and under the shim, from an empty folder.
fn both(script: &str) -> [String; 2] {
    [false, true].map(|evercall| {
        let folder = tempfile::tempdir().unwrap();
        let output = sandbox(evercall, folder.path()).args(["sh", "-c", script]).output().unwrap();
        told(&output)
    })
}

/// ls(1) and stat(1) ask with AT_NO_AUTOMOUNT, which gVisor's statx refuses.
#[test]
fn coreutils_see_files() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    let [bare, evercall] =
        both("ls -l /etc/passwd | cut -c 1-10; stat -c %F /etc/passwd; stat /nowhere; cat log");
    assert!(
        bare.starts_with("ls: cannot access '/etc/passwd': Invalid argument\n") || bare.contains("statx"),
        "{bare}"
    );
    assert!(evercall.starts_with("-rw-r--r--\nregular file\n"), "{evercall}");
    assert!(evercall.contains("stat: cannot statx '/nowhere': No such file or directory"), "{evercall}");
    assert!(evercall.contains(" = 0 [statx without AT_NO_AUTOMOUNT]\n"), "{evercall}");
}

/// copy_file_range, which gVisor does not have.
#[test]
fn python_copies_a_range() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    let [bare, evercall] = both(
        "seq 1000 >from; python3 -c 'import os
from_, to = os.open(\"from\", os.O_RDONLY), os.open(\"to\", os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(from_, to, 100, 10, 5), os.pread(to, 20, 5))'",
    );
    assert!(bare.contains("[Errno 38] Function not implemented"), "{bare}");
    assert_eq!(evercall, "100 b'6\\n7\\n8\\n9\\n10\\n11\\n12\\n13\\n'\nexit status: 0");
}

/// remap_file_pages, which gVisor does not have, and sync_file_range, of which it lacks some flags: RocksDB asks for
/// these. The oracle is this machine.
#[test]
fn files_are_remapped_and_written_out() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    let script = format!("/usr/bin/python3 {}", root().join("test-programs/ranges.py").display());
    let folder = tempfile::tempdir().unwrap();
    let native = told(&common::bare("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap());
    let [bare, evercall] = both(&script);
    assert!(native.contains("remap_file_pages 0 Success b'2' b'1'"), "{native}");
    assert!(bare.contains("remap_file_pages -1 Function not implemented b'0' b'1'"), "{bare}");
    assert!(bare.contains("sync_file_range 3 -1 Function not implemented"), "{bare}");
    assert_eq!(evercall, native);
}

/// ustat and sysfs, which gVisor does not have, and _sysctl, which it refuses with EPERM, though no filter stands.
#[test]
fn old_calls_are_answered() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    let legacy = program("legacy");
    let [bare, evercall] = both(&legacy.display().to_string());
    let line = |told: &str, name: &str| {
        told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    for (name, errno) in [
        ("sysctl net.core.somaxconn", "Operation not permitted"),
        ("ustat of /", "Function not implemented"),
        ("sysfs: file system types", "Function not implemented"),
        ("sysfs: proc is", "Function not implemented"),
    ] {
        assert!(line(&bare, name).ends_with(&format!("fails: {errno}")), "{bare}");
        assert!(!line(&evercall, name).contains("fails"), "{evercall}");
    }
}

/// gVisor's vDSO is linked for a fixed address, as Linux's was before 3.16. The oracle is the same program bare.
#[test]
fn clocks_are_read_from_its_vdso() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    for clock in [
        "bash -c 'printf \"%(%Y-%m)T\\n\" -1'",
        "perl -e 'use POSIX; print strftime(\"%Y-%m\\n\", gmtime(time))'",
        "python3 -c 'import time; print(time.strftime(\"%Y-%m\", time.gmtime(time.time())))'",
        "awk 'BEGIN { srand(); print srand() > 1700000000 }'",
    ] {
        let [bare, evercall] = both(clock);
        assert!(bare.ends_with("exit status: 0"), "{clock}: {bare}");
        assert_eq!(evercall, bare, "{clock}");
    }
}

/// What stands before the name of a check.
const CHECK: &str = "@@@ ";

/// What the everyday programs print, by check. `None`: on this machine itself.
fn programs(evercall: Option<bool>) -> BTreeMap<String, String> {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("work");
    fs::create_dir(&folder).unwrap();
    let mut command = match evercall {
        Some(evercall) => sandbox(evercall, &folder),
        None => {
            let mut native = bare("env");
            native.arg("TZ=UTC").current_dir(&folder);
            native
        }
    };
    command.arg(format!("HOME={}", folder.display())).arg("bash").arg(root().join("tests/real-programs.sh"));
    let output = text(&command.output().unwrap().stdout).replace(outside.path().to_str().unwrap(), "OUTSIDE");
    let checks = output.split(CHECK).skip(1).filter_map(|check| check.split_once('\n'));
    // A folder has its size in blocks here, and in entries there.
    checks
        .map(|(name, printed)| (name.to_owned(), printed.replace(" 4096 ", " 40 ").replace("   40 ", " 40 ")))
        .collect()
}

/// What no rule can give: I/O priorities.
const NOT_REPAIRED: &str = "ionice: ioprio_set failed: Function not implemented\n";

/// ls, cp, dd, chmod and others print what they print without a sandbox; what worked there still does.
#[test]
fn everyday_programs_do_their_work() {
    if let Some(why) = no_sandbox() {
        skip!("{why}");
    }
    // They wait more than they work.
    let [native, bare, evercall] = thread::scope(|scope| {
        [None, Some(false), Some(true)]
            .map(|on| scope.spawn(move || programs(on)))
            .map(|run| run.join().unwrap())
    });
    assert!(native.contains_key("end") && bare.contains_key("end"), "{native:#?}{bare:#?}");
    let mended = native.keys().filter(|name| bare.get(*name) != evercall.get(*name)).count();
    assert!(mended >= 5, "bare is as under evercall: nothing is proven");
    for (name, printed) in &native {
        let expected = printed.replace("best-effort: prio 3\n", NOT_REPAIRED);
        assert_eq!(evercall.get(name), Some(&expected), "{name}");
    }
}
