//! The vsyscall rule on a program that handles its own signals: what it sees is what it would see bare.
//!
//! The page of this host may answer: then nothing here faults on it, and the kernel matrix shows the answers.
//! `EVERCALL_VSYSCALL=on` arms the handler all the same, and with it everything the program could notice.

#[macro_use]
mod common;

use common::{bare, program, shim, text, under_shim};
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Under the shim with its handler armed.
fn armed(program: impl AsRef<OsStr>) -> Command {
    let mut command = under_shim(program);
    command.env("EVERCALL_VSYSCALL", "on");
    command
}

/// Exit status, core or not, standard output and error.
fn all_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    format!("{}{}{}", text(&output.stdout), text(&output.stderr), output.status)
}

/// Runs the same bare and armed; what it gave.
fn same(program: impl AsRef<OsStr>, prepare: impl Fn(&mut Command)) -> String {
    let run = |mut command: Command| {
        prepare(&mut command);
        all_of(&mut command)
    };
    let expected = run(bare(&program));
    let got = run(armed(&program));
    let difference = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
    assert_eq!(expected.len(), got.len(), "{:?}: {difference:?}\n{got}", program.as_ref());
    assert!(expected == got, "{:?}: {difference:?}", program.as_ref());
    expected
}

fn ends_with_exit_0(output: &str) {
    assert!(output.ends_with("exit status: 0"), "{output}");
}

/// Whether a tool is there.
fn has(tool: &str) -> bool {
    bare("sh").args(["-c", &format!("command -v {tool}")]).output().is_ok_and(|o| o.status.success())
}

/// The modes that a program lists.
fn modes_of(name: &str) -> Vec<String> {
    let listed = bare(program(name)).output().unwrap();
    let list = text(if listed.stdout.is_empty() { &listed.stderr } else { &listed.stdout });
    let modes = list.split_once("one of:").map_or(list.as_str(), |(_, modes)| modes);
    modes.split_whitespace().map(str::to_owned).collect()
}

/// Every mode of the program that calls the page. Where this host has no page the bare ones die.
#[test]
fn programs_that_call_the_page() {
    let modes = modes_of("vsyscall");
    assert!(modes.len() >= 19, "{modes:?}");
    let page_answers = all_of(bare(program("vsyscall")).arg("plain")).contains("plain right");
    for mode in modes {
        // Patched only where the page faults and the kernel lets us: the kernel matrix tells.
        if mode == "patched" {
            continue;
        }
        if page_answers {
            same(program("vsyscall"), |command| _ = command.arg(&mode));
            continue;
        }
        let expected = match mode.as_str() {
            "bad_pointer" | "null_pointer" | "blocked_fault" => "dying\nsignal: 11 (SIGSEGV)".to_owned(),
            "exec_state" => continue,
            _ => format!("{mode} right\nexit status: 0"),
        };
        assert_eq!(all_of(armed(program("vsyscall")).arg(&mode)), expected);
    }
}

/// Programs with a SIGSEGV handler of their own: nested faults, alternate stacks, overflows, 32 threads.
#[test]
fn handlers_of_the_program() {
    let modes = modes_of("segv");
    assert!(modes.len() >= 16, "{modes:?}");
    for mode in modes {
        let output = same(program("segv"), |command| _ = command.arg(&mode));
        let dies = ["overflow_off_alternate", "overflow_without", "nested_deferred", "long_jump", "dies"]
            .contains(&mode.as_str());
        assert_eq!(output.contains("SIGSEGV"), dies, "{mode}: {output}");
    }
}

/// Each function that carries sets or actions, over all signals and random sets: the same answers.
#[test]
fn signal_functions() {
    let output = same(program("signal_table"), |_| ());
    ends_with_exit_0(&output);
    assert!(output.lines().count() > 5000, "{}", output.lines().count());
    for what in
        ["11 sigaction: 0 0", "11 rt_sigaction, size: -1 22", "epoll_pwait2, raw: -1 4", "passed on: mask"]
    {
        assert!(output.contains(what), "no {what:?}");
    }
}

/// What cannot be hidden. When one of these turns out equal, the limit is gone: say so in the docs.
#[test]
fn limits() {
    let limits = [
        (
            "carrier",
            "alone 1, with SIGSEGV 1, full 1, SIGSEGV after unblocking it 1",
            "alone 0, with SIGSEGV 0, full 1, SIGSEGV after unblocking it 1",
        ),
        ("taken", "signalfd 1, sigtimedwait 1", "signalfd 0, sigtimedwait 1"),
        ("vforked", "after vfork: own", "after vfork: own"),
        ("context", "context: SIGSEGV 1 SIGSTKFLT 0", "context: SIGSEGV 0 SIGSTKFLT 1"),
        ("libc_exec", "ignored 4", "ignored 0"),
    ];
    for (mode, without, with) in limits {
        let ended = |output: &str| format!("{output}\nexit status: 0");
        assert_eq!(all_of(bare(program("signal_limits")).arg(mode)), ended(without));
        assert_eq!(all_of(armed(program("signal_limits")).arg(mode)), ended(with));
    }
}

/// Masks that libc gives to the kernel unseen are told as they are; but there a jump to the page kills.
#[test]
fn masks_set_inside_libc_are_told() {
    for mode in ["contexts", "thread"] {
        let output = same(program("signal_limits"), |command| _ = command.arg(mode));
        assert!(output.contains("blocked 1 in the kernel 1"), "{output}");
    }
}

/// Calls to rt_sigaction about SIGSEGV by a program that makes none itself.
fn asks_about_segv(setting: Option<&str>) -> Vec<String> {
    let mut command = bare("strace");
    command.args(["-f", "-qq", "-e", "trace=rt_sigaction,rt_sigprocmask,mmap", "-E"]);
    command.arg(format!("LD_PRELOAD={}", shim().display()));
    if let Some(setting) = setting {
        command.args(["-E", &format!("EVERCALL_VSYSCALL={setting}")]);
    }
    let output = command.arg("/bin/true").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr).lines().filter(|line| line.contains("SIGSEGV")).map(str::to_owned).collect()
}

/// On a current libc nothing is armed unless it is asked for.
#[test]
fn nothing_is_armed_on_a_current_libc() {
    if !has("strace") {
        skip!("no strace");
    }
    for setting in [None, Some("auto"), Some("off")] {
        assert_eq!(asks_about_segv(setting), Vec::<String>::new(), "{setting:?}");
    }
    let asked = asks_about_segv(Some("on"));
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("SA_ONSTACK"), "{asked:?}");
}

/// Unarmed the signal functions hand on: no limit of the armed ones is seen.
#[test]
fn unarmed_signal_functions_hand_on() {
    for setting in ["auto", "off"] {
        for mode in ["carrier", "taken", "vforked", "context"] {
            let expected = all_of(bare(program("signal_limits")).arg(mode));
            let mut command = under_shim(program("signal_limits"));
            assert_eq!(all_of(command.arg(mode).env("EVERCALL_VSYSCALL", setting)), expected, "{setting}");
        }
        let expected = all_of(&mut bare(program("signal_table")));
        let got = all_of(under_shim(program("signal_table")).env("EVERCALL_VSYSCALL", setting));
        assert!(got == expected, "{setting}");
    }
}

/// An unhandled fault ends the program at its own instruction, with its own siginfo, as a tracer sees it.
#[test]
fn an_unhandled_fault_dies_where_it_is() {
    let cases = [
        ("vsyscall", "null_pointer"),
        ("vsyscall", "blocked_fault"),
        ("segv", "dies"),
        ("segv", "nested_deferred"),
    ];
    for (name, mode) in cases {
        let traced = |environment: &[String]| {
            let mut command = bare(program("where_it_dies"));
            command.arg("/usr/bin/env").args(environment).arg(program(name)).arg(mode);
            all_of(&mut command)
        };
        let expected = traced(&[]);
        assert!(expected.contains("signal 11, "), "{expected}");
        let on = [format!("LD_PRELOAD={}", shim().display()), "EVERCALL_VSYSCALL=on".to_owned()];
        assert_eq!(traced(&on), expected, "{name} {mode}");
    }
}

/// And its core is dumped, with the program counter there.
#[test]
fn an_unhandled_fault_dumps_core() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.trim() != "core" {
        skip!("core_pattern is {}", pattern.trim());
    }
    if !has("gdb") {
        skip!("no gdb");
    }
    let at = |command: fn(&Path) -> Command| {
        let folder = tempfile::tempdir().unwrap();
        let output = command(Path::new("/bin/sh"))
            .args(["-c", "ulimit -c unlimited || exit 9; exec \"$0\" dies"])
            .arg(program("segv"))
            .env("KEEP_CORE", "1")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.core_dumped(), "{:?}", output.status);
        let core = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let gdb = bare("gdb")
            .args(["-batch", "-nx", "-ex", "x/i $pc", "-ex", "info symbol $pc", "-ex", "bt 2"])
            .args(["-ex", "p $_siginfo._sifields._sigfault.si_addr"])
            .arg(program("segv"))
            .arg(core)
            .output()
            .unwrap();
        let lines = text(&gdb.stdout);
        let wanted =
            |line: &&str| line.starts_with("=> ") || line.contains(" in section ") || line.starts_with("$1");
        // Without the load address.
        let lines =
            lines.lines().filter(wanted).map(|line| line.split_once('<').map_or(line, |(_, rest)| rest));
        lines.collect::<Vec<_>>().join("\n")
    };
    let expected = at(|program| bare(program));
    assert!(expected.contains("(%rax),%al") && expected.contains("0x48"), "{expected}");
    assert_eq!(at(|program| armed(program)), expected);
}

/// The exported time functions tell what the kernel tells, with a vDSO and without one.
#[test]
fn time_functions_tell_the_time() {
    for setting in ["auto", "on", "off"] {
        let mut command = under_shim(program("clock_values"));
        let output = all_of(command.env("EVERCALL_VSYSCALL", setting));
        assert_eq!(output, "right, with a vDSO\nexit status: 0", "{setting}");
        let mut command = under_shim(program("no_vdso"));
        let output = all_of(command.arg(program("clock_values")).env("EVERCALL_VSYSCALL", setting));
        assert_eq!(output, "right, without a vDSO\nexit status: 0", "{setting}");
    }
}

/// A bad pointer ends the program as bare; without a vDSO it is the kernel's to refuse, as bare.
#[test]
fn bad_pointers_to_time_functions() {
    for function in ["time", "gettimeofday", "getcpu", "timezone"] {
        let output = same(program("clock_values"), |command| _ = command.args(["bad", function]));
        assert!(output.ends_with("signal: 11 (SIGSEGV)"), "{output}");
        // glibc's own fallback fills the timezone itself, and dies where the kernel would refuse.
        if function != "timezone" {
            let values = program("clock_values");
            let output = same(program("no_vdso"), |command| _ = command.arg(&values).args(["bad", function]));
            assert!(output.contains("-1 Bad address"), "{output}");
        }
    }
}

/// libfaketime stays in charge of time and gettimeofday, before and behind us.
#[test]
fn libfaketime_tells_the_time() {
    let listed = bare("dpkg").args(["-L", "libfaketime"]).output();
    let list = listed.map(|output| text(&output.stdout)).unwrap_or_default();
    let Some(faketime) = list.lines().map(PathBuf::from).find(|path| path.ends_with("libfaketime.so.1"))
    else {
        skip!("no libfaketime");
    };
    let (shim, faketime) = (shim().display().to_string(), faketime.display().to_string());
    let script = "import ctypes, struct\nc = ctypes.CDLL(None)\nc.time.restype = ctypes.c_long\n\
                  b = ctypes.create_string_buffer(16)\nc.gettimeofday(b, None)\n\
                  print(c.time(None), struct.unpack('qq', b.raw)[0])";
    if !has("python3") {
        skip!("no python3");
    }
    for preload in [format!("{shim}:{faketime}"), format!("{faketime}:{shim}")] {
        for setting in ["auto", "on"] {
            let mut command = bare("python3");
            command.args(["-c", script]).env("LD_PRELOAD", &preload).env("EVERCALL_VSYSCALL", setting);
            // A stopped clock.
            command.env("FAKETIME", "2001-02-03 04:05:06").env("TZ", "UTC");
            let output = all_of(&mut command);
            assert_eq!(output, "981173106 981173106\nexit status: 0", "{preload} {setting}");
        }
    }
}

/// A JVM that recovers from null pointers and stack overflows by SIGSEGV.
#[test]
fn a_jvm_recovers_from_its_faults() {
    if !has("javac") || !has("java") {
        skip!("no JDK");
    }
    let folder = tempfile::tempdir().unwrap();
    let source = program("vsyscall").with_file_name("../Faults.java");
    let compiled = all_of(bare("javac").arg("-d").arg(folder.path()).arg(source));
    ends_with_exit_0(&compiled);
    for flags in [&["-Xint"][..], &["-Xcomp"], &["-Xcheck:jni"], &[]] {
        let output =
            same("java", |command| _ = command.args(flags).arg("-cp").arg(folder.path()).arg("Faults"));
        assert!(output.contains("40000 null pointers, 20 overflows"), "{output}");
        ends_with_exit_0(&output);
    }
}

/// Programs that know nothing of it.
#[test]
fn ordinary_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let scripts = [
        "python3 -c 'import signal, subprocess; signal.signal(signal.SIGSEGV, lambda *a: print(a[0])); \
         signal.raise_signal(signal.SIGSEGV); print(signal.getsignal(signal.SIGTERM), subprocess.check_output([\"echo\", \"x\"]))'",
        "python3 -X faulthandler -c 'import ctypes; ctypes.string_at(8)' 2>&1 | grep -o Fatal.*",
        "perl -e '$SIG{SEGV} = sub { print \"caught $_[0]\\n\" }; kill SEGV => $$; print `echo y`; $SIG{SEGV} = \"DEFAULT\"; kill SEGV => $$'",
        "bash -c 'trap \"echo trapped\" SEGV; kill -SEGV $$; trap - SEGV; (kill -SEGV $BASHPID); echo $?' 2>/dev/null",
        "bash -c 'trap \"\" SEGV; kill -SEGV $$; sh -c \"kill -SEGV \\$\\$; echo lived\"'",
        "printf 'int printf(const char *, ...); int main(void) { return printf(\"hi\\\\n\") != 3; }' | gcc -O2 -xc - -o hi && ./hi",
        "echo 'int main(' | gcc -xc - -o none 2>&1; echo $?",
        "sh -c 'kill -SEGV $$'; echo $?",
        "timeout -s SEGV 0.1 sleep 10; echo $?",
    ];
    for script in scripts {
        // Shells tell the process ids of what died.
        let quiet = format!("{{ {script}\n}} 2>/dev/null");
        same("bash", |command| _ = command.args(["-c", &quiet]).current_dir(path));
    }
}
