//! The repair filter: a host filter's EPERM becomes ENOSYS where callers fall back on that alone; filters that
//! trap are answered, filters that kill are left alone; a program's own filter ends all translation.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{answer, is_root, outcome};
use common::{bare, denied, output, program, shim, succeed, text};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

/// What `modern_libc` prints where all works.
const WORKS: &str = "thread: ran\nfaccessat: readable\nuid: 0, effective 0\n";

/// A command under a filter and the shim.
fn repaired(errno: &str, calls: &str, words: &[&str]) -> Command {
    let mut command = denied(errno, calls);
    command.args(["env", &format!("LD_PRELOAD={}", shim().display())]).args(words);
    command
}

fn modern_libc() -> String {
    program("modern_libc").display().to_string()
}

/// How many filters stand, by /proc/self/status.
const FILTERS: &str = "grep Seccomp_filters /proc/self/status";

#[test]
fn what_libc_does_inside_itself_works_again() {
    let refused = output(denied("EPERM", "clone3,faccessat2").arg(modern_libc()));
    let refused = text(&refused.stdout);
    assert_eq!(refused.matches("Operation not permitted").count(), 2, "the filter refuses: {refused}");
    let mut command = repaired("EPERM", "clone3,faccessat2", &[&modern_libc()]);
    let output = succeed(command.env("EVERCALL_LOG", "all"));
    assert_eq!(text(&output.stdout), WORKS);
    let log = text(&output.stderr);
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("] filter: ")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("clone3") && lines[0].contains("faccessat2"), "{log}");
    assert!(!lines[0].contains("statx"), "only what was refused: {log}");
}

#[test]
fn every_refused_call_whose_callers_want_enosys_answers_it() {
    let rows: Vec<_> = evercall_rules::table::RULES.iter().filter(|rule| rule.repair).collect();
    assert!(rows.len() >= 8, "{} rows to repair", rows.len());
    let calls: Vec<&str> = rows.iter().map(|rule| rule.calls[0]).collect();
    let mut command = denied("EPERM", &calls.join(","));
    // inline: the bare instruction, past the library's symbols.
    command.args(["env", &format!("LD_PRELOAD={}", shim().display())]).arg(program("ask"));
    for rule in &rows {
        let (_, arguments) = rule.probe.expect("a probe");
        let arguments: Vec<String> = (0..6).map(|i| arguments.get(i).unwrap_or(&0).to_string()).collect();
        let question = format!("inline {} {}", common::number(rule.calls[0]), arguments.join(" "));
        let answer = answer(&mut command, &question);
        assert_eq!(outcome(&answer), ask::failure(libc::ENOSYS), "{}", rule.name);
    }
}

#[test]
fn filters_do_not_pile_up_over_exec() {
    let nested = format!("sh -c 'sh -c \"{FILTERS}\"'; exec sh -c '{FILTERS}'");
    let output = succeed(&mut repaired("EPERM", "clone3", &["sh", "-c", &nested]));
    assert_eq!(text(&output.stdout), "Seccomp_filters:\t2\n".repeat(2), "one of the host's, one of ours");
    // Where the mark was lost the question is put again, and the answer is ENOSYS already.
    let lost = format!("env -u EVERCALL_REPAIRED EVERCALL_KEEP=off sh -c \"{FILTERS}\"");
    let output = succeed(&mut repaired("EPERM", "clone3", &["sh", "-c", &lost]));
    assert_eq!(text(&output.stdout), "Seccomp_filters:\t2\n");
}

#[test]
fn permissive_hosts_get_no_filter() {
    let mut plain = bare("sh");
    plain.args(["-c", FILTERS]).env("LD_PRELOAD", shim());
    let native = text(&succeed(bare("sh").args(["-c", FILTERS])).stdout);
    assert_eq!(text(&succeed(&mut plain).stdout), native);
    // A filter that refuses none of the calls.
    let output = succeed(&mut repaired("EPERM", "ustat", &["sh", "-c", FILTERS]));
    let with_theirs = text(&succeed(denied("EPERM", "ustat").args(["sh", "-c", FILTERS])).stdout);
    assert_eq!(text(&output.stdout), with_theirs);
    // And one whose answer is ENOSYS already.
    let output = succeed(&mut repaired("ENOSYS", "clone3,faccessat2", &["sh", "-c", FILTERS]));
    assert_eq!(text(&output.stdout), with_theirs);
    let output = succeed(repaired("EPERM", "clone3", &["sh", "-c", FILTERS]).env("EVERCALL_FILTER", "off"));
    assert_eq!(text(&output.stdout), with_theirs, "switched off");
}

#[test]
fn calls_that_want_a_privilege_first_are_not_repaired() {
    for call in ["fsopen", "fspick", "move_mount", "fsmount", "bpf", "perf_event_open", "io_uring_setup"] {
        let rule = evercall_rules::table::Rule::of_call(call).unwrap_or_else(|| panic!("no rule of {call}"));
        assert!(!rule.repair, "EPERM of {call} may be the kernel's own");
    }
}

/// As nobody, without no_new_privs, under a filter that root installed.
fn nobody(folder: &Path, words: &[&str]) -> Command {
    let mut command = bare(common::command());
    command.args(["simulate", "--deny", "clone3,faccessat2:EPERM", "--"]);
    command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    command.arg("env").arg(format!("LD_PRELOAD={}", folder.join("libevercall.so").display())).args(words);
    command
}

#[test]
fn without_asking_setuid_programs_keep_their_rights() {
    if !is_root() {
        skip!("needs root to become nobody under a filter without no_new_privs");
    }
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    for (file, mode) in [(shim(), 0o755), (program("modern_libc"), 0o4755)] {
        let copy = folder.path().join(file.file_name().unwrap());
        std::fs::copy(&file, &copy).unwrap();
        std::fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
    }
    let setuid = folder.path().join("modern_libc").display().to_string();
    let script = format!("{setuid} | tail -1; sed -n 's/^NoNewPrivs:\t//p' /proc/self/status");
    for (settings, expected) in [
        (&[][..], "uid: 65534, effective 0\n0\n"),
        (&["EVERCALL_FILTER=off"], "uid: 65534, effective 0\n0\n"),
        // Asked for, or known to cost nothing.
        (&["EVERCALL_FILTER=on"], "uid: 65534, effective 65534\n1\n"),
        (&["EVERCALL_PRIVILEGED_PROGRAMS=none"], "uid: 65534, effective 65534\n1\n"),
        (&["EVERCALL_PRIVILEGED_PROGRAMS=some"], "uid: 65534, effective 0\n0\n"),
    ] {
        let mut words = settings.to_vec();
        words.extend(["EVERCALL_LOG=all", "sh", "-c", &script]);
        let output = succeed(&mut nobody(folder.path(), &words));
        let (said, log) = (text(&output.stdout), text(&output.stderr));
        if said.starts_with("uid: 65534, effective 65534\n0\n") {
            skip!("setuid has no effect on this file system");
        }
        assert_eq!(said, expected, "{settings:?}: {log}");
        let told = log.matches("] filter: the host refuses").count();
        // sh asks once for all; the setuid program, which trusts no environment, asks and tells nobody.
        assert_eq!(told, usize::from(settings != ["EVERCALL_FILTER=off"]), "{settings:?}: {log}");
    }
}

#[test]
fn sudo_works_under_auto() {
    if !is_root() {
        skip!("needs root to become nobody under a filter without no_new_privs");
    }
    if bare("sudo").arg("-V").output().is_err() {
        skip!("no sudo");
    }
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    std::fs::copy(shim(), folder.path().join("libevercall.so")).unwrap();
    // nobody has no right to anything; what sudo says of that it can only say as root.
    let native = output(bare("setpriv").args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "sudo",
        "-n",
        "-l",
    ]));
    let under = output(&mut nobody(folder.path(), &["sh", "-c", "sudo -n -l"]));
    assert_eq!(text(&under.stderr), text(&native.stderr));
    assert_eq!(under.status, native.status);
    assert!(!text(&under.stderr).contains("no new privileges"), "{}", text(&under.stderr));
    let refused = output(&mut nobody(folder.path(), &["EVERCALL_FILTER=on", "sh", "-c", "sudo -n -l; :"]));
    assert!(text(&refused.stderr).contains("no new privileges"), "the price: {}", text(&refused.stderr));
}

#[test]
fn a_filter_that_kills_is_left_alone() {
    // The program makes none of these calls: it lives, and what can be repaired beside them is.
    let mut command = bare(common::command());
    command.args(["simulate", "--deny", "faccessat2:KILL,openat2:KILL,close_range:KILL,clone3:EPERM", "--"]);
    command.args(["env", &format!("LD_PRELOAD={}", shim().display()), "/usr/bin/python3", "-c"]);
    command.arg("import threading; t = threading.Thread(target=print, args=('ran',)); t.start(); t.join()");
    assert_eq!(text(&succeed(&mut command).stdout), "ran\n");
    // A call that kills bare kills under the shim.
    let killed = output(repaired("KILL", "faccessat2", &[&modern_libc()]).env("EVERCALL_LOG", "off"));
    assert_eq!(killed.status.signal().or(killed.status.code().map(|c| c - 128)), Some(libc::SIGSYS));
}

#[test]
fn a_filter_that_traps_is_answered() {
    let bare_end = output(denied("TRAP", "faccessat2").arg(modern_libc()));
    assert_eq!(bare_end.status.signal(), Some(libc::SIGSYS), "the filter traps");
    let output = succeed(&mut repaired("TRAP", "faccessat2", &[&modern_libc()]));
    assert_eq!(text(&output.stdout), WORKS);
    // A call of no rule, and a refusing one: ENOSYS.
    for call in ["landlock_create_ruleset", "getppid"] {
        let mut ask = denied("TRAP", &format!("{call},faccessat2"));
        ask.args(["env", &format!("LD_PRELOAD={}", shim().display())]).arg(program("ask"));
        let answer = answer(&mut ask, &format!("inline {} 0 0 0", common::number(call)));
        assert_eq!(outcome(&answer), ask::failure(libc::ENOSYS), "{call}");
    }
    // The children too, and the program's own handler is its own.
    let script = format!("{0}; env -i {0}; exec {1}", modern_libc(), program("inline_calls").display());
    let output =
        succeed(&mut repaired("TRAP", "faccessat2,ustat,sysfs,epoll_create", &["sh", "-c", &script]));
    let native = text(&succeed(&mut bare(program("inline_calls"))).stdout);
    assert_eq!(text(&output.stdout), WORKS.repeat(2) + &native);
}

/// From then on nothing is substituted by calls it did not make: its filter would kill for them.
#[test]
fn a_program_with_a_filter_of_its_own_is_left_to_it() {
    for how in ["prctl", "seccomp"] {
        let words = [&program("own_filter").display().to_string(), how, "kill"];
        let native = text(&succeed(denied("ENOSYS", "ustat").args(words)).stdout);
        assert_eq!(native, "ustat ENOSYS\n");
        assert_eq!(text(&succeed(&mut repaired("ENOSYS", "ustat", &words)).stdout), native, "{how}");
        let forced = succeed(
            bare(words[0]).args(&words[1..]).env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "ustat"),
        );
        assert_eq!(text(&forced.stdout), "ustat EINVAL\n", "{how}: the host's own answer");
    }
}

/// What was found of the host's filter does not hold under the program's: its children ask again.
#[test]
fn a_filter_of_the_programs_own_is_repaired_for_its_children() {
    let own = program("own_filter").display().to_string();
    for how in ["prctl", "seccomp"] {
        let words = [&own, how, "eperm", &modern_libc()];
        let bare_end = text(&output(denied("EPERM", "openat2").args(words)).stdout);
        assert_eq!(bare_end.matches("Operation not permitted").count(), 2, "{bare_end}");
        let output = succeed(&mut repaired("EPERM", "openat2", &words));
        assert_eq!(text(&output.stdout), WORKS, "{how}");
        // From a shell it has the mark in its environment.
        let output =
            succeed(&mut repaired("EPERM", "openat2", &["sh", "-c", &format!("{}; :", words.join(" "))]));
        assert_eq!(text(&output.stdout), WORKS, "{how}, from a shell");
    }
}

/// A vendor's kernel that answers a new number with nonsense (QNAP's fchmodat2: EFAULT): not taken for support.
#[test]
fn a_number_that_means_something_else_is_not_believed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let question = format!("syscall fchmodat2 -100 str:{} 0600 0", file.path().display());
    let question = question.replace("fchmodat2", &common::number("fchmodat2"));
    for nonsense in [libc::EFAULT, libc::ENOENT] {
        let mut bare = denied(&nonsense.to_string(), "fchmodat2");
        assert_eq!(outcome(&answer(bare.arg(program("ask")), &question)), ask::failure(nonsense));
        let mut repaired = denied(&nonsense.to_string(), "fchmodat2");
        repaired.arg(program("ask")).env("LD_PRELOAD", shim());
        assert_eq!(outcome(&answer(&mut repaired, &question)), "0 1234", "errno {nonsense}");
    }
}

/// The answers of the log as JSON: one object.
#[test]
fn the_log_tells_it_as_json() {
    let mut command = repaired("EPERM", "clone3", &[&modern_libc()]);
    let output = succeed(command.env("EVERCALL_LOG", "all").env("EVERCALL_LOG_FORMAT", "json"));
    let log = text(&output.stderr);
    let value: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&value["refused"], &value["repaired"]), (&"clone3".into(), &true.into()), "{log}");
}
