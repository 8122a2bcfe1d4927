//! Stacking: other preloads, before and after us, keep their effect, and legacy calls are still translated.

#[macro_use]
mod common;

use common::{bare, program, root, shim, succeed, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A library of a Debian package, by the end of its path.
fn installed(package: &str, file: &str) -> Option<PathBuf> {
    let listed = text(&bare("dpkg").args(["-L", package]).output().ok()?.stdout);
    listed.lines().map(PathBuf::from).find(|path| path.ends_with(file) && path.exists())
}

/// Both orders of a partner and the shim.
fn orders(partner: &Path) -> [String; 2] {
    let (shim, partner) = (shim().display().to_string(), partner.display().to_string());
    [format!("{shim}:{partner}"), format!("{partner}:{shim}")]
}

/// Where a run logs its translations.
struct Log(TempDir);

impl Log {
    fn new() -> Log {
        Log(tempfile::tempdir().unwrap())
    }

    /// A program under a list of preloads, its translations logged here.
    fn run(&self, preload: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = bare(program);
        command.env("LD_PRELOAD", preload).env("EVERCALL_LOG", "all").env("EVERCALL_LOG_TO", self.file());
        command
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("log")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }
}

/// A legacy call is translated under these preloads, forced and not; the answer is the kernel's.
fn translates(preload: &str, prepare: impl Fn(&mut Command)) {
    let release = text(&succeed(bare("uname").arg("-r")).stdout);
    for forced in [false, true] {
        let log = Log::new();
        let mut command = log.run(preload, program("legacy"));
        prepare(&mut command);
        if forced {
            command.env("EVERCALL_FORCE", "all");
        }
        let output = text(&succeed(command.args(["release", "ustat", "sysfs", "epoll"])).stdout);
        assert!(output.contains(&format!("sysctl kern.osrelease        {release}")), "{preload}: {output}");
        assert!(output.contains("has free blocks"), "{preload}: {output}");
        assert!(log.text().contains("] _sysctl: "), "{preload}: {}", log.text());
        assert!(!forced || log.text().contains("] ustat: "), "{preload}: {}", log.text());
    }
}

/// libfaketime: `date` tells the faked time, by clock_gettime of libc and behind our own doors.
#[test]
fn libfaketime() {
    let Some(faketime) = installed("libfaketime", "libfaketime.so.1") else { skip!("no libfaketime") };
    let faked = |command: &mut Command| {
        command.env("FAKETIME", "@2001-02-03 04:05:06").env("TZ", "UTC").env("FAKETIME_DONT_RESET", "1");
    };
    for preload in orders(&faketime) {
        let mut date = bare("date");
        faked(date.args(["+%F %H:%M"]).env("LD_PRELOAD", &preload));
        assert_eq!(text(&succeed(&mut date).stdout), "2001-02-03 04:05\n", "{preload}");
        // Two execs further on it still does.
        let mut nested = bare("sh");
        faked(nested.args(["-c", "env date +%F"]).env("LD_PRELOAD", &preload));
        assert_eq!(text(&succeed(&mut nested).stdout), "2001-02-03\n", "{preload}");
        translates(&preload, faked);
    }
}

/// fakeroot: root's id, and files owned as they were told, with its daemon.
#[test]
fn fakeroot() {
    if bare("fakeroot").arg("true").output().is_err() {
        skip!("no fakeroot");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut reach = bare("test");
    reach.arg("-x").arg(shim());
    if !as_nobody(reach, dir.path()).status().is_ok_and(|status| status.success()) {
        skip!("an unprivileged user cannot reach {}", shim().display());
    }
    let script = "id -u; touch f; chown 12:34 f; stat -c %u:%g f; mknod n c 1 3; stat -c %F n; rm n f";
    let shim = shim();
    // fakeroot puts its own library before an LD_PRELOAD that is there; -l and env turn the order.
    for turned in [false, true] {
        let run = |script: &str| {
            let log = Log::new();
            let mut command = log.run(shim.to_str().unwrap(), "fakeroot");
            let turn = format!("export LD_PRELOAD={}:$LD_PRELOAD; ", shim.display());
            let script = format!("{}{script}", if turned { turn.as_str() } else { "" });
            command.args(["sh", "-c", &format!("{script}; echo $LD_PRELOAD")]).current_dir(dir.path());
            // As nobody, whose id is not 0 without fakeroot.
            (text(&succeed(&mut as_nobody(command, dir.path())).stdout), log)
        };
        let (output, _) = run(&format!("sh -c '{script}'"));
        assert!(output.starts_with("0\n12:34\ncharacter special file\n"), "{output}");
        let list = output.lines().last().unwrap();
        assert!(list.contains("libfakeroot"), "{list}");
        assert_eq!(list.starts_with(shim.to_str().unwrap()), turned, "{list}");
        let (output, _) = run(&format!("{} release ustat", program("legacy").display()));
        let release = text(&succeed(bare("uname").arg("-r")).stdout);
        assert!(output.contains(&release) && output.contains("has free blocks"), "{output}");
    }
}

/// The same command as an unprivileged user where we are root, in a folder that is theirs.
fn as_nobody(command: Command, folder: &Path) -> Command {
    if !text(&succeed(bare("id").arg("-u")).stdout).starts_with("0\n") {
        return command;
    }
    let _ = std::os::unix::fs::chown(folder, Some(65534), Some(65534));
    let mut nobody = bare("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
    for (name, value) in command.get_envs() {
        if let Some(value) = value.filter(|_| name != "EVERCALL_LOG_TO" && name != "EVERCALL_LOG") {
            nobody.arg(format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap()));
        }
    }
    nobody.arg(command.get_program()).args(command.get_args()).current_dir(folder);
    nobody
}

/// jemalloc: its own malloc serves the program, as its statistics at the end tell.
#[test]
fn jemalloc() {
    let Some(jemalloc) = installed("libjemalloc2", "libjemalloc.so.2") else { skip!("no libjemalloc") };
    for preload in orders(&jemalloc) {
        let log = Log::new();
        let mut command = log.run(&preload, program("in_threads"));
        command.args(["16", "10"]).env("MALLOC_CONF", "stats_print:true").env("EVERCALL_FORCE", "all");
        let output = succeed(&mut command);
        assert_eq!(text(&output.stdout), "wrong 0\n", "{preload}");
        assert!(text(&output.stderr).contains("jemalloc statistics"), "{preload}");
        translates(&preload, |_| {});
    }
}

/// libeatmydata: an fsync of a good descriptor reaches no disk, as strace tells.
#[test]
fn libeatmydata() {
    let Some(eatmydata) = installed("libeatmydata1", "libeatmydata.so.1") else { skip!("no libeatmydata") };
    if bare("strace").arg("-V").output().is_err() {
        skip!("no strace");
    }
    let dir = tempfile::tempdir().unwrap();
    let synced = |preload: &str| {
        let mut command = bare("strace");
        command.args(["-f", "-e", "trace=fsync,fdatasync", "-E", &format!("LD_PRELOAD={preload}")]);
        command.args(["dd", "if=/dev/zero", "of=file", "bs=1k", "count=1", "conv=fsync", "status=none"]);
        text(&succeed(command.current_dir(dir.path())).stderr).contains("fsync(")
    };
    assert!(synced(shim().to_str().unwrap()), "dd does sync without libeatmydata");
    for preload in orders(&eatmydata) {
        assert!(!synced(&preload), "{preload}");
        translates(&preload, |_| {});
    }
}

/// A preload built with redhook and std that hooks `epoll_create` too.
#[test]
fn a_redhook_preload() {
    let manifest = root().join("benches/peers/redhook-peer/Cargo.toml");
    if !manifest.exists() {
        skip!("no benches/peers/redhook-peer");
    }
    // Into a folder of its own: this build's profile unwinds, as redhook needs it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("redhook-peer");
    let built = bare(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--offline", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_PANIC", "unwind")
        .status()
        .is_ok_and(|status| status.success());
    let peer = target.join("release/libredhook_peer.so");
    if !built || !peer.exists() {
        skip!("cargo could not build the redhook peer offline");
    }
    for preload in orders(&peer) {
        translates(&preload, |_| {});
        // libc's symbol, which both hook.
        let log = Log::new();
        let mut command = log.run(&preload, program("asks_epoll"));
        let output = succeed(command.env("EVERCALL_FORCE", "epoll_create"));
        assert_eq!(text(&output.stdout), "epoll_create 1, errno of 0: 22\n", "{preload}");
        assert!(log.text().contains("] epoll_create: "), "{preload}: {}", log.text());
    }
}

/// A preload that defines `syscall`, `ustat` and `execve` itself is called for each where no rule acts.
#[test]
fn a_preload_with_the_same_symbols() {
    let alone = program("libcounting.so").display().to_string();
    let run = |preload: &str| succeed(bare(program("hands_on")).env("LD_PRELOAD", preload));
    let expected = run(&alone);
    assert!(text(&expected.stderr).contains("counted: syscall 2, ustat 1, execve 1"), "{expected:?}");
    for preload in orders(Path::new(&alone)) {
        let output = run(&preload);
        assert_eq!(text(&output.stdout), text(&expected.stdout), "{preload}");
        assert_eq!(text(&output.stderr), text(&expected.stderr), "{preload}");
        translates(&preload, |_| {});
    }
}

/// The same file listed twice, and two copies at different paths: no call goes in circles.
#[test]
fn ourselves_twice() {
    let shim = shim();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("libevercall-copy.so");
    fs::copy(&shim, &copy).unwrap();
    for preload in [
        format!("{0}:{0}", shim.display()),
        format!("{}:{}", shim.display(), copy.display()),
        format!("{}:{}", copy.display(), shim.display()),
    ] {
        translates(&preload, |_| {});
        let mut command = bare(program("hands_on"));
        let output = succeed(command.env("LD_PRELOAD", &preload));
        assert_eq!(text(&output.stdout), "syscall 1, ustat 0\n", "{preload}");
        let mut emptied = bare(program("emptied_environ"));
        emptied.args(["execve", "posix_spawn"]).env("LD_PRELOAD", &preload).env("EVERCALL_LOG", "off");
        let output = text(&succeed(&mut emptied).stdout);
        assert!(output.ends_with("preload kept, log off\nwrong 0\n"), "{preload}: {output}");
    }
}

/// A JVM, with its own signal handlers, threads and child processes.
#[test]
fn a_java_virtual_machine() {
    if bare("java").arg("-version").output().is_err() || bare("javac").arg("-version").output().is_err() {
        skip!("no JVM or no compiler for it");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Work.java"), JAVA).unwrap();
    succeed(bare("javac").arg("Work.java").current_dir(dir.path()));
    let run = |prepare: &dyn Fn(&mut Command)| {
        let mut command = bare("java");
        prepare(command.args(["-Xmx64m", "-XX:+UseSerialGC", "Work"]).current_dir(dir.path()));
        let output = succeed(&mut command);
        (text(&output.stdout), text(&output.stderr))
    };
    let expected = run(&|_| {});
    assert!(expected.0.contains("null caught"), "{expected:?}");
    let log = Log::new();
    let under = run(&|command| {
        command.env("LD_PRELOAD", shim());
    });
    assert_eq!(under, expected);
    let logged = run(&|command| {
        command.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all");
        command.env("EVERCALL_LOG_TO", log.file());
    });
    assert_eq!(logged, expected);
    // Its launcher cleared the child's environment: ours was put back.
    assert!(log.text().contains("] exec: "), "{}", log.text());
}

/// A null pointer and a deep recursion are faults the JVM turns into exceptions by its SIGSEGV handler.
const JAVA: &str = r#"
import java.util.*;
public class Work {
    static int deep(int n) { return deep(n + 1) + 1; }
    public static void main(String[] a) throws Exception {
        String nothing = a.length == 0 ? null : "";
        for (int i = 0; i < 30000; i++) try { nothing.length(); } catch (NullPointerException e) { }
        System.out.println("null caught");
        try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow caught"); }
        List<Thread> threads = new ArrayList<>();
        int[] sum = new int[1];
        for (int i = 0; i < 20; i++) {
            Thread t = new Thread(() -> { synchronized (sum) { sum[0]++; } });
            t.start(); threads.add(t);
        }
        for (Thread t : threads) t.join();
        ProcessBuilder child = new ProcessBuilder("sh", "-c", "echo from a child; exit 3");
        child.environment().clear();
        Process p = child.start();
        System.out.print(new String(p.getInputStream().readAllBytes()) + sum[0] + " " + p.waitFor() + "\n");
    }
}
"#;

/// AddressSanitizer: a good program runs, a bad one is reported as without us.
#[test]
fn address_sanitizer() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("asan.c");
    fs::write(&source, ASAN).unwrap();
    let built = dir.path().join("asan");
    let compiled = bare("gcc").args(["-fsanitize=address", "-g", "-o"]).arg(&built).arg(&source).output();
    if !compiled.is_ok_and(|output| output.status.success()) {
        skip!("no gcc with AddressSanitizer");
    }
    let run = |argument: &str, preload: Option<&str>| {
        let mut command = bare(&built);
        command.arg(argument).env("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0");
        if let Some(preload) = preload {
            command.env("LD_PRELOAD", preload).env("EVERCALL_FORCE", "all");
        }
        command.output().unwrap()
    };
    let shim = shim().display().to_string();
    let (bare, under) = (run("good", None), run("good", Some(&shim)));
    assert_eq!(text(&bare.stdout), "release -1, child 3\n", "{bare:?}");
    assert_eq!(text(&under.stdout), "release 0, child 3\n", "{under:?}");
    assert_eq!((under.status, text(&under.stderr)), (bare.status, text(&bare.stderr)));
    let (bare, under) = (run("bad", None), run("bad", Some(&shim)));
    assert!(text(&bare.stderr).contains("heap-buffer-overflow"), "{bare:?}");
    assert!(text(&under.stderr).contains("heap-buffer-overflow"), "{under:?}");
    assert_eq!(under.status, bare.status);
}

const ASAN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int name[] = {1, 2}, status = 0;
    char *text = calloc(1, 65);
    size_t length = 65;
    void *args[10] = {name, (void *)2, text, &length};
    long result = syscall(156, args);
    pid_t child = fork();
    if (!child) execl("/bin/sh", "sh", "-c", "exit 3", (char *)0);
    waitpid(child, &status, 0);
    printf("release %ld, child %d\n", result, WEXITSTATUS(status));
    return strcmp(argv[1], "bad") ? 0 : text[65 + argc];
}
"#;
