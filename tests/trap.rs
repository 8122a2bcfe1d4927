//! `evercall run --trap`: calls that no symbol sees are carried out, and no child dies of SIGSYS.

mod common;

use common::{bare, denied, output, program, root, succeed, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

/// What `inline_calls` makes.
const CALLS: &str = "ustat,sysfs,epoll_create";

/// A program under a filter that refuses the calls, by `evercall run --trap`.
fn trapped(words: &[&str]) -> Command {
    let mut command = denied("ENOSYS", CALLS);
    command.arg(common::command()).args(["run", "--trap", "--"]).args(words);
    command
}

fn path(name: &str) -> String {
    program(name).display().to_string()
}

fn native(words: &[&str]) -> String {
    text(&succeed(bare(words[0]).args(&words[1..])).stdout)
}

#[test]
fn inline_calls_are_carried_out() {
    let inline = path("inline_calls");
    let refused = text(&succeed(denied("ENOSYS", CALLS).arg(&inline)).stdout);
    assert!(refused.contains("ustat -38, sysfs 0, epoll_create 0"), "the filter refuses: {refused}");
    let plain = text(&succeed(denied("ENOSYS", CALLS).arg(common::command()).args(["run", &inline])).stdout);
    assert_eq!(plain, refused, "without --trap no symbol sees them");
    assert_eq!(text(&succeed(&mut trapped(&[&inline])).stdout), native(&[&inline]));
    let musl = path("inline_calls.musl");
    assert_eq!(text(&succeed(&mut trapped(&[&musl, &inline])).stdout), native(&[&musl, &inline]));
}

#[test]
fn only_numbers_with_a_live_rule_are_trapped() {
    let output = succeed(trapped(&["true"]).env("EVERCALL_LOG", "all"));
    let log = text(&output.stderr);
    let names: Vec<&str> =
        log.lines().find_map(|l| l.split_once("] trap: ")).expect("a line").1.split(", ").collect();
    for call in CALLS.split(',') {
        assert!(names.contains(&call), "{log}");
    }
    // The kernel here answers these, and the loader makes those.
    for call in ["statx", "openat2", "getrandom", "prlimit64", "rseq", "set_robust_list", "clone3", "execve"]
    {
        assert!(!names.contains(&call), "{log}");
    }
    // Where nothing is missing but what no kernel has, a program is the same; and switched off it is bare.
    let off = text(&succeed(trapped(&[&path("inline_calls")]).env("EVERCALL", "off")).stdout);
    assert!(off.contains("ustat -38"), "{off}");
}

#[test]
fn static_children_keep_the_handler() {
    let (dynamic, fixed) = (path("inline_calls"), path("inline_calls.static"));
    let expected = text(&succeed(bare(&fixed).env("NO_RAISE", "1")).stdout);
    // A static program's own handler is set past every symbol: it is taken as set, and does not run.
    let expected = expected.replace("own handler: kept", "own handler: another");
    let of = |words: &[&str]| text(&succeed(trapped(words).env("NO_RAISE", "1")).stdout);
    assert_eq!(of(&[&fixed]), expected, "as the first program");
    let first = text(&succeed(bare(&dynamic).env("NO_RAISE", "1")).stdout);
    assert_eq!(of(&[&dynamic, &fixed]), format!("{first}{expected}"), "by execvp");
    assert_eq!(of(&[&fixed, &dynamic]), format!("{expected}{first}"), "dynamic behind static");
    assert_eq!(of(&[&fixed, &fixed, &fixed]), expected.repeat(3), "by the static program's own execve");
    assert_eq!(of(&["sh", "-c", &format!("{fixed}; env -i NO_RAISE=1 {fixed}")]), expected.repeat(2));
    let spawned = format!(
        "import os, subprocess; subprocess.run(['{fixed}']); os.waitpid(os.posix_spawn('{fixed}', ['x'], os.environ), 0); \
         os.system('{fixed}'); os.popen('{fixed}; {dynamic}').read(); subprocess.run('{fixed}', shell=True)"
    );
    assert_eq!(of(&["/usr/bin/python3", "-c", &spawned]), expected.repeat(4), "spawned in every way");
}

#[test]
fn scripts_of_a_static_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let fixed = path("inline_calls.static");
    fs::write(&script, format!("#!/bin/busybox  sh \n{fixed} | head -n 1\necho \"$0 $1 $2\"\n")).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let script = script.display().to_string();
    let expected = format!("first: ustat -22, sysfs 1, epoll_create 1\n{script} a b\n");
    assert_eq!(text(&succeed(trapped(&[&script, "a", "b"]).env("NO_RAISE", "1")).stdout), expected);
    let by_shell = format!("{script} a b; echo $?");
    let said = text(&succeed(trapped(&["sh", "-c", &by_shell]).env("NO_RAISE", "1")).stdout);
    assert_eq!(said, format!("{expected}0\n"));
}

/// Without a program header to spare there is no way for the handler: it is not executed, and the reason is told.
#[test]
fn a_static_child_that_cannot_have_the_handler_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    let mut bytes = fs::read(program("inline_calls.static")).unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (table, count) = (word(&bytes, 32) as usize, usize::from(bytes[56]));
    for at in (0..count).map(|index| table + 56 * index) {
        // PT_NULL, PT_NOTE, PT_GNU_STACK, PT_GNU_PROPERTY become a kind that nobody knows.
        if [0, 4, 0x6474_e551, 0x6474_e553].contains(&word(&bytes, at)) {
            bytes[at..at + 4].copy_from_slice(&0x6fff_0000u32.to_le_bytes());
        }
    }
    fs::write(&full, bytes).unwrap();
    fs::set_permissions(&full, Permissions::from_mode(0o755)).unwrap();
    let full = full.display().to_string();
    assert!(native(&[&full]).starts_with("first: ustat"), "it runs natively");
    let said = succeed(&mut trapped(&["sh", "-c", &format!("{full}; echo $?")]));
    assert_eq!(text(&said.stdout), "126\n");
    assert!(text(&said.stderr).contains("not executed: without libevercall.so it would die"), "{said:?}");
    let spawned =
        format!("import subprocess\ntry: subprocess.run(['{full}'])\nexcept OSError as e: print(e.errno)");
    let said = succeed(&mut trapped(&["/usr/bin/python3", "-c", &spawned]));
    assert_eq!(text(&said.stdout), format!("{}\n", libc::ENOEXEC));
}

/// no_new_privs stands: the program runs, without the rights.
#[test]
fn a_setuid_child_runs_without_its_rights() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        skip!("needs root for a setuid program");
    }
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = |from: &Path, mode| {
        let to = folder.path().join(from.file_name().unwrap());
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, Permissions::from_mode(mode)).unwrap();
        to.display().to_string()
    };
    let (setuid, inline) = (copy(&program("modern_libc"), 0o4755), copy(&program("inline_calls"), 0o4755));
    let (library, command) = (copy(&common::shim(), 0o755), copy(&common::command(), 0o755));
    let mut run = denied("ENOSYS", CALLS);
    run.args([
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &command,
        "run",
        "--lib",
        &library,
    ]);
    run.args(["--trap", "--", "sh", "-c", &format!("{setuid} | tail -1; {inline} | head -1")]);
    let said = text(&succeed(&mut run).stdout);
    assert_eq!(said, "uid: 65534, effective 65534\nfirst: ustat -22, sysfs 1, epoll_create 1\n");
}

/// The filter lets other architectures through.
#[test]
fn a_child_of_another_architecture_runs_as_it_is() {
    let foreign = path("legacy.i386");
    let expected = output(bare(&foreign).arg("ustat"));
    let under = output(trapped(&["sh", "-c", &format!("exec {foreign} ustat")]).env("EVERCALL_KEEP", "on"));
    assert_eq!(under.status.signal(), None);
    assert_eq!((text(&under.stdout), under.status), (text(&expected.stdout), expected.status));
}

#[test]
fn a_shell_runs_a_hundred_commands() {
    let script = "i=0; while [ $i -lt 100 ]; do /bin/echo $i; i=$((i+1)); done | tail -1; ls / | wc -l; env -i /bin/true; echo $?";
    assert_eq!(text(&succeed(&mut trapped(&["sh", "-c", script])).stdout), native(&["sh", "-c", script]));
}

/// The handler and the log need more than an alternate stack may have.
#[test]
fn on_a_small_alternate_stack() {
    for name in ["inline_calls", "inline_calls.static"] {
        let expected = text(&succeed(bare(program(name)).env("NO_RAISE", "1")).stdout);
        let mut command = trapped(&[&path(name)]);
        command.env("SMALL_STACK", "1").env("NO_RAISE", "1").env("EVERCALL_LOG", "all");
        let said = text(&succeed(&mut command).stdout);
        assert_eq!(said.lines().next(), expected.lines().next(), "{name}");
        assert_eq!(said.lines().last(), expected.lines().last(), "{name}");
    }
}

#[test]
fn failing_execs_fail_as_ever() {
    let script = "import os\nfor p in ['/none', '/etc/passwd', '/', '/etc/passwd/x']:\n try: os.execv(p, [p])\n except OSError as e: print(p, e.errno)\n";
    let words = ["/usr/bin/python3", "-c", script];
    assert_eq!(text(&succeed(&mut trapped(&words)).stdout), native(&words));
}

/// Go's runtime sets a handler for every signal past libc, and its threads have small stacks.
#[test]
fn go_programs_static_and_dynamic() {
    if bare("go").arg("version").output().is_err() {
        skip!("no go");
    }
    let folder = tempfile::tempdir().unwrap();
    let inline = path("inline_calls");
    for cgo in ["0", "1"] {
        let built = folder.path().join(format!("traps-{cgo}")).display().to_string();
        let mut go = bare("go");
        go.args(["build", "-o", &built]);
        if cgo == "1" {
            // Go links libc only where a package needs it.
            go.args(["-ldflags", "-linkmode external"]);
        }
        go.arg(root().join("test-programs/traps.go"));
        go.env("CGO_ENABLED", cgo).env("GOCACHE", folder.path().join("cache")).env("GO111MODULE", "off");
        succeed(&mut go);
        let expected = native(&[&built, &inline]);
        assert!(expected.starts_with("right: 1600\n"), "{expected}");
        assert_eq!(text(&succeed(&mut trapped(&[&built, &inline])).stdout), expected, "cgo {cgo}");
        let refused = text(&succeed(denied("ENOSYS", CALLS).arg(&built)).stdout);
        assert_eq!(refused, "right: 0\n");
    }
}
