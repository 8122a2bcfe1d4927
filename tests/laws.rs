//! The laws of the shim: wherever a program may make a call, a translated one works there too.
//!
//! Each law is tried twice: with every rule forced and every translation logged to a file, and with the plain
//! shim, where the host answers what it can.

#[macro_use]
mod common;

use common::{bare, program, shim, succeed, text, under_shim};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Calls that `translate()` of test-programs/translate.h makes.
const TRANSLATIONS: usize = 12;

/// A log file in a folder of its own.
struct Log(TempDir);

impl Log {
    fn new() -> Log {
        Log(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// A program with every rule forced and every translation logged here.
    fn forced(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = under_shim(program);
        command.env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", self.path());
        command
    }

    /// The lines, each of them whole.
    fn lines(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path()).unwrap_or_default();
        assert!(log.is_empty() || log.ends_with('\n'), "a torn last line");
        for line in log.lines() {
            assert!(
                line.starts_with("20") && line.contains("] ") && line.contains(": "),
                "a torn line: {line}"
            );
        }
        log.lines().map(String::from).collect()
    }

    fn count(&self, rule: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(&format!("] {rule}: "))).count()
    }
}

/// Runs a program forced and logged, then plain: its output must be this both times. Gives the log.
fn law(name: &str, arguments: &[&str], expected: &str) -> Log {
    let log = Log::new();
    let forced = succeed(log.forced(program(name)).args(arguments));
    assert_eq!(text(&forced.stdout), expected, "forced");
    let plain = succeed(under_shim(program(name)).args(arguments));
    assert_eq!(text(&plain.stdout), expected, "plain");
    log
}

/// A shell script as the first process of a mount namespace of its own. None where that needs root.
fn in_own_mounts(script: &str) -> Option<Command> {
    if !bare("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success()) {
        return None;
    }
    let mut command = bare("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-euc", script, "sh"]);
    Some(command)
}

/// A handler's calls work though the interrupted code is in the midst of malloc or free.
#[test]
fn in_a_signal_handler_that_interrupts_malloc() {
    let log = law("in_signal", &["400"], "wrong 0, errno changed 0\n");
    assert!(log.lines().len() >= 400 * TRANSLATIONS, "{} lines", log.lines().len());
}

/// A vfork child shares its parent's memory: neither is harmed, by calls or by an exec.
#[test]
fn in_a_vfork_child() {
    let secure = program("secure");
    let expected = "child 0, exit 7, parent 0\nsecure 0, wrong 0\nexec 0, parent 0\n";
    let log = law("in_vfork", &[secure.to_str().unwrap()], expected);
    // Twice in the parent, once in the child, once in the program that got the preload back.
    assert_eq!(log.count("ustat"), 4 * 2);
    assert_eq!(log.count("exec"), 1);
}

/// Every rule, with the log's longest lines, on a thread's stack of 16 KiB, guard page included.
#[test]
fn on_a_thread_stack_of_16_kib() {
    let log = law("on_small_stack", &["thread", "calls", "0"], "wrong 0\n");
    assert_eq!(log.lines().len(), TRANSLATIONS + 1);
    let json = Log::new();
    let mut command = json.forced(program("on_small_stack"));
    succeed(command.args(["thread", "calls", "0"]).env("EVERCALL_LOG_FORMAT", "json"));
    assert_eq!(fs::read_to_string(json.path()).unwrap().lines().count(), TRANSLATIONS + 1);
}

/// The same on a signal stack, where the kernel's frame takes a part.
#[test]
fn on_a_signal_stack_of_16_kib() {
    let log = law("on_small_stack", &["signal", "calls", "0"], "wrong 0\n");
    assert_eq!(log.lines().len(), TRANSLATIONS + 1);
}

/// An exec on such a stack puts the environment back, however large the one it is given.
#[test]
fn exec_on_a_stack_of_16_kib() {
    for stack in ["thread", "signal"] {
        for variables in ["0", "100", "230", "1000", "4000"] {
            let log = law("on_small_stack", &[stack, "exec", variables], "wrong 0\n");
            assert_eq!(log.count("exec"), 1, "{stack} {variables}");
            assert_eq!(log.lines().len(), 1 + TRANSLATIONS + 1, "{stack} {variables}");
        }
    }
}

/// 64 threads that call together: every answer right, every line whole, none lost.
#[test]
fn in_64_threads_at_once() {
    let log = law("in_threads", &["64", "20"], "wrong 0\n");
    assert_eq!(log.lines().len(), 64 * 20 * TRANSLATIONS);
}

/// A fork while other threads are inside of us: the child finds no lock held.
#[test]
fn in_the_child_of_a_threaded_program() {
    law("fork_in_threads", &["60"], "wrong 0, bad children 0\n");
}

/// Another preload's constructor makes translated calls: ours has run before it, as DF_1_INITFIRST asks.
/// (That we start without a constructor is own_start's to show, and musl's, which knows no such flag.)
#[test]
fn we_start_before_another_preload() {
    let early = program("libearly.so");
    let log = Log::new();
    let mut command = log.forced("/bin/true");
    let output = succeed(
        command
            .env("LD_PRELOAD", format!("{}:{}", shim().display(), early.display()))
            .env("EVERCALL_NOFILE", "100"),
    );
    assert_eq!(text(&output.stdout), "limit 100, then 100; wrong 0\n");
    assert_eq!(log.count("ustat"), 2);
}

/// The same for a library that the program itself needs.
#[test]
fn we_start_before_a_needed_library() {
    let log = Log::new();
    let output = succeed(log.forced(program("needs_early")).env("EVERCALL_NOFILE", "100"));
    assert_eq!(text(&output.stdout), "limit 100, then 100; wrong 0\nmain 1\n");
    assert_eq!(log.count("ustat"), 2);
}

/// Each exec of a program that emptied its environment keeps the preload and the settings.
#[test]
fn environment_emptied_before_each_exec() {
    let ways = [
        "execve",
        "execve-null",
        "execvpe",
        "fexecve",
        "execveat",
        "syscall",
        "syscall-at",
        "posix_spawn",
        "posix_spawnp",
        "clearenv",
        "environ-null",
        "execle",
        "environ-empty",
    ];
    for way in ways {
        // From one exec to a second: what was put back is put back again.
        let log = Log::new();
        let output = succeed(log.forced(program("emptied_environ")).args([way, "execve"]));
        let kept = "preload kept, log all\n";
        assert_eq!(text(&output.stdout), format!("{kept}{kept}{kept}wrong 0\n"), "{way}");
        assert_eq!(log.count("exec"), 2, "{way}");
        assert_eq!(log.count("ustat"), 2, "{way}");
    }
}

/// A setuid program: the environment's settings count for nothing, /etc/evercall.conf counts if it is root's
/// alone to write.
#[test]
fn secure_execution_trusts_only_roots_file() {
    // In a namespace of its own: an /etc with little in it, a preload for all, the program as setuid root.
    let script = r#"
        mount --bind "$1" /etc
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$2"
    "#;
    for (mode, owner, counts) in
        [(0o644, 0, true), (0o664, 0, false), (0o646, 0, false), (0o644, 65534, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let log = at("conf-log");
        let etc = at("etc");
        fs::create_dir(&etc).unwrap();
        let library = at("libevercall.so");
        fs::copy(shim(), &library).unwrap();
        fs::write(etc.join("ld.so.preload"), format!("{}\n", library.display())).unwrap();
        fs::copy("/etc/ld.so.cache", etc.join("ld.so.cache")).unwrap();
        let conf = etc.join("evercall.conf");
        fs::write(&conf, format!("force = ustat\nlog = all\nlog_to = {}\n", log.display())).unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let setuid = at("secure");
        fs::copy(program("secure"), &setuid).unwrap();
        fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();
        let Some(mut command) = in_own_mounts(script) else { skip!("needs root and mount namespaces") };
        std::os::unix::fs::chown(&conf, Some(owner), None).unwrap();
        command.arg(&etc).arg(&setuid);
        command.env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all");
        command.env("EVERCALL_LOG_TO", at("environment-log"));
        // Variables that ld.so takes out of the array, which moves what stands behind it.
        command.env("LD_LIBRARY_PATH", "/none").env("LD_DEBUG_OUTPUT", "/none").env("TMPDIR", "/none");
        let output = text(&succeed(&mut command).stdout);
        if output.starts_with("secure 0") {
            skip!("setuid has no effect on this file system");
        }
        assert_eq!(output, "secure 1, wrong 0\n");
        // setpriv, which is no secure execution, heeds the environment; the program does not.
        let heeded = fs::read_to_string(at("environment-log")).unwrap_or_default();
        assert!(!heeded.contains("ustat"), "{heeded}");
        let lines = fs::read_to_string(&log).unwrap_or_default();
        let of_program: Vec<_> = lines.lines().filter(|l| l.contains(" secure[")).collect();
        assert_eq!(
            of_program.iter().any(|l| l.contains("] ustat: ")),
            counts,
            "{mode:o} of {owner}: {lines}"
        );
        assert_eq!(of_program.is_empty(), !counts, "{mode:o} of {owner}: {lines}");
        assert!(!lines.contains("] sysfs: "), "only ustat was forced: {lines}");
    }
}

/// The same output bare, under the shim, and with every rule forced and logged.
fn same_three_ways(name: &str, arguments: &[&str]) -> String {
    let expected = succeed(bare(program(name)).args(arguments));
    let plain = succeed(under_shim(program(name)).args(arguments));
    assert_eq!(text(&plain.stdout), text(&expected.stdout), "{arguments:?}: plain");
    let forced = succeed(Log::new().forced(program(name)).args(arguments));
    assert_eq!(text(&forced.stdout), text(&expected.stdout), "{arguments:?}: forced");
    text(&expected.stdout)
}

/// Cancelling a thread that blocks behind our `syscall`, or spawns, ends as without us.
#[test]
fn cancellation_in_blocking_calls() {
    for call in [
        "poll",
        "read",
        "recvfrom",
        "futex",
        "pause",
        "epoll_wait",
        "libc-read",
        "libc-poll",
        "libc-open",
        "libc-openat",
        "libc-creat",
    ] {
        let output = same_three_ways("cancel_blocked", &[call, "async"]);
        assert_eq!(output, "cleanup inner\ncleanup outer\ncancelled\n", "{call}");
        let output = same_three_ways("cancel_blocked", &[call, "deferred"]);
        assert!(output.ends_with("cleanup inner\ncleanup outer\ncancelled\n"), "{call}: {output}");
    }
    for call in ["posix_spawn", "posix_spawnp"] {
        let output = same_three_ways("cancel_blocked", &[call, "deferred"]);
        assert!(output.starts_with("returned 0\n"), "{call}: {output}");
    }
}

/// A thread cancelled inside of a translated call: the unwinder passes our frames and runs its cleanups.
#[test]
fn unwinding_through_a_translated_call() {
    let numbers = |command: &mut Command| -> Vec<u32> {
        let output = text(&succeed(command.arg("200")).stdout);
        output.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
    };
    let log = Log::new();
    for command in [
        &mut bare(program("cancel_inside")),
        &mut under_shim(program("cancel_inside")),
        &mut log.forced(program("cancel_inside")),
        under_shim(program("cancel_inside")).env("EVERCALL_FORCE", "all"),
    ] {
        let [joined, pushed, attributed] = numbers(command)[..] else { panic!("three numbers") };
        assert_eq!(joined, 200);
        // A cancellation in the program's own code between two calls runs none, with or without us.
        assert!(pushed >= 180 && attributed >= 180, "{command:?}: {pushed} {attributed}");
    }
    assert!(log.count("_sysctl") >= 200);
}

/// The exec family refuses bad addresses as the kernel and libc do.
#[test]
fn bad_pointers_to_exec() {
    let output = same_three_ways("bad_pointers", &["exec"]);
    assert!(output.lines().count() >= 100, "{output}");
}

/// Rules refuse bad addresses; no address ends the program.
#[test]
fn bad_pointers_to_every_rule() {
    let plain = text(&succeed(under_shim(program("bad_pointers")).arg("calls")).stdout);
    let log = Log::new();
    let forced = text(&succeed(log.forced(program("bad_pointers")).arg("calls")).stdout);
    for output in [&plain, &forced] {
        assert!(!output.contains("signal"), "{output}");
        // ustat, sysfs and _sysctl with what cannot be an address.
        for which in ["0", "1", "2", "4", "5"] {
            for pointer in ["one", "no page", "page end", "kernel"] {
                let line = format!("\n{which} {pointer}: -1 errno 14\n");
                assert!(format!("\n{output}").contains(&line), "{line}: {output}");
            }
        }
    }
    // Whatever the host answers itself is what the rules answer when forced; stime is made only then.
    let answers = |output: &str, which: &str| -> Vec<String> {
        output.lines().filter(|l| l.starts_with(&format!("{which} "))).map(String::from).collect()
    };
    for which in ["0", "1", "2"] {
        assert_eq!(answers(&plain, which), answers(&forced, which));
    }
    assert!(forced.contains("\n14 one: -1 errno 14\n"), "{forced}");
}

/// A program that closes every descriptor: calls work, its next files get the lowest numbers, the log goes on.
#[test]
fn every_descriptor_closed() {
    let log = law("closes_all", &[], "");
    assert_eq!(log.lines().len(), TRANSLATIONS);
}

/// Without /proc a rule that needs it answers as a kernel without the call; nothing crashes.
#[test]
fn without_proc() {
    let log = Log::new();
    let script =
        r#"mount -t tmpfs none /proc; LD_PRELOAD=$1 EVERCALL_FORCE=$2 exec "$3" release ustat sysfs epoll"#;
    let Some(mut command) = in_own_mounts(script) else { skip!("needs root and mount namespaces") };
    command.arg(shim()).arg("all").arg(program("legacy"));
    command.env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", log.path());
    let output = command.output().unwrap();
    let lines = text(&output.stdout);
    for question in ["sysctl kern.osrelease", "sysfs: file system types", "sysfs: proc is"] {
        let line = lines.lines().find(|l| l.starts_with(question)).unwrap_or_default();
        assert!(line.ends_with("fails: Function not implemented"), "{line}: {lines}");
    }
    // The root's own device is found without it.
    assert!(lines.contains("ustat of /                   has free blocks"), "{lines}");
    assert!(lines.contains("epoll_create                 a descriptor"), "{lines}");
    assert_eq!(log.count("sysfs"), 2);
    // What the kernel answers itself needs no /proc.
    let Some(mut command) = in_own_mounts(script) else { return };
    let plain = command.arg(shim()).arg("").arg(program("legacy")).output().unwrap();
    let native = bare(program("legacy")).args(["ustat", "sysfs"]).output().unwrap();
    for line in text(&native.stdout).lines() {
        assert!(text(&plain.stdout).contains(line), "{line}");
    }
}

/// With a stack limit of a few pages, arguments and environment included.
#[test]
fn under_a_tiny_stack_limit() {
    for kib in [24, 32, 64] {
        // The kernel moves the stack's start a little from run to run.
        for _ in 0..4 {
            let log = Log::new();
            let mut command = log.forced("sh");
            let script = format!("ulimit -s {kib}; exec \"$@\"");
            command.args(["-c", &script, "sh"]).arg(program("secure"));
            assert_eq!(text(&succeed(&mut command).stdout), "secure 0, wrong 0\n", "{kib} KiB");
            assert_eq!(log.count("ustat"), 2);
            let mut plain = under_shim("sh");
            plain.args(["-c", &script, "sh"]).arg(program("secure"));
            assert_eq!(text(&succeed(&mut plain).stdout), "secure 0, wrong 0\n", "{kib} KiB");
        }
    }
}

/// The calls of a program as strace tells them, without addresses and without those about the shim's file.
fn traced(command: &mut Command) -> Option<Vec<String>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut strace = bare("strace");
    strace.arg("-o").arg(file.path());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.arg("-E").arg(format!("{}={}", name.to_str()?, value.to_str()?));
        }
    }
    strace.arg(command.get_program()).args(command.get_args());
    let status = strace.output().ok()?.status;
    assert!(status.success(), "{strace:?}: {status}");
    let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
    Some(fs::read_to_string(file.path()).ok()?.lines().map(|l| format!("{} {l}", name(l))).collect())
}

fn names(calls: &[String]) -> Vec<&str> {
    calls.iter().map(|call| call.split(' ').next().unwrap_or_default()).collect()
}

/// `EVERCALL=off`: not one call more than the same file preloaded does for the loader alone.
#[test]
fn switched_off_nothing_happens() {
    if bare("strace").arg("-V").output().is_err() {
        skip!("no strace");
    }
    let count = |calls: &[String], name: &str| names(calls).iter().filter(|n| **n == name).count();
    let bare_calls = traced(&mut bare("/bin/true")).unwrap();
    for (name, value) in [("EVERCALL", "off"), ("EVERCALL", "0"), ("EVERCALL", "no"), ("EVERCALL", "false")] {
        let off = traced(under_shim("/bin/true").env(name, value).env("EVERCALL_LOG", "all")).unwrap();
        assert!(
            !off.iter().any(|call| call.contains("evercall.conf") || call.contains("NOFILE")),
            "{off:#?}"
        );
        // Mapping the library is the loader's: everything behind it is as bare, call by call.
        let start = |calls: &[String]| calls.iter().position(|c| c.contains("ARCH_SET_FS")).unwrap();
        assert_eq!(names(&off[start(&off)..]), names(&bare_calls[start(&bare_calls)..]), "{value}");
        assert_eq!(count(&off, "prlimit64"), count(&bare_calls, "prlimit64"));
    }
    // The test can fail: switched on, there are more.
    let on = traced(&mut under_shim("/bin/true")).unwrap();
    assert!(on.iter().any(|call| call.contains("evercall.conf")), "{on:#?}");
}

/// The kill switch wins over every other setting, over the file, and over itself given twice.
#[test]
fn the_kill_switch_wins() {
    let log = Log::new();
    let native = bare(program("legacy")).output().unwrap();
    let off = log.forced(program("legacy")).env("EVERCALL", "off").output().unwrap();
    assert_eq!(text(&off.stdout), text(&native.stdout));
    assert_eq!(off.status.code(), native.status.code());
    assert!(!log.path().exists());
    // An exec under it does not put the preload back, and inherits no rule.
    let mut command = log.forced(program("emptied_environ"));
    let output = command.arg("execve").env("EVERCALL", "off").output().unwrap();
    assert!(text(&output.stdout).contains("preload lost, log lost"), "{}", text(&output.stdout));

    let dir = tempfile::tempdir().unwrap();
    let script = r#"mkdir "$1/etc"; cp /etc/ld.so.cache "$1/etc"; echo "evercall = $2" >"$1/etc/evercall.conf"
        mount --bind "$1/etc" /etc; shift 2; exec "$@""#;
    for (file, environment, acts) in
        [("off", None, false), ("off", Some("on"), true), ("on", Some("off"), false), ("on", None, true)]
    {
        let folder = dir.path().join(format!("{file}{environment:?}"));
        fs::create_dir(&folder).unwrap();
        let Some(mut command) = in_own_mounts(script) else { skip!("needs root and mount namespaces") };
        command.arg(&folder).arg(file).arg("env").arg(format!("LD_PRELOAD={}", shim().display()));
        command.arg("EVERCALL_FORCE=all");
        if let Some(value) = environment {
            command.arg(format!("EVERCALL={value}"));
        }
        let output = command.arg(program("secure")).output().unwrap();
        // _sysctl answers only by a rule: bit 0 of the wrong answers tells.
        let output = text(&output.stdout);
        assert_eq!(output == "secure 0, wrong 0\n", acts, "{file} {environment:?}: {output}");
    }
}
