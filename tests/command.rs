//! `evercall run`, `rules` and `generate`, as a user meets them: real files, real exit codes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

/// A folder with a library to preload, and what a test puts into it.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        let scratch = Scratch(TempDir::new().unwrap());
        fs::write(scratch.path("library.c"), "int evercall_test;\n").unwrap();
        scratch.gcc(&["-shared", "-fPIC", "-nostdlib"], "library.c", "libevercall.so");
        fs::write(scratch.path("program.c"), "int main(void) { return 42; }\n").unwrap();
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn library(&self) -> String {
        self.path("libevercall.so").display().to_string()
    }

    fn try_gcc(&self, options: &[&str], source: &str, output: &str) -> bool {
        let mut gcc = Command::new("gcc");
        gcc.args(options).arg("-o").arg(self.path(output)).arg(self.path(source)).stderr(Stdio::null());
        gcc.status().expect("gcc is needed by this test").success()
    }

    fn gcc(&self, options: &[&str], source: &str, output: &str) -> PathBuf {
        assert!(self.try_gcc(options, source, output), "gcc {options:?} {source} failed");
        self.path(output)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// `evercall run --lib ...` in this folder.
    fn run(&self, arguments: &[&dyn AsRef<OsStr>]) -> Command {
        let mut command = evercall(&["run", "--lib", &self.library()]);
        command.args(arguments.iter().map(|argument| argument.as_ref())).current_dir(self.0.path());
        command
    }
}

fn evercall(arguments: &[&str]) -> Command {
    let mut command = Command::new(EVERCALL);
    command.args(arguments).env_remove("LD_PRELOAD");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EVERCALL") {
            command.env_remove(name);
        }
    }
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.signal(), None, "killed: {}", String::from_utf8_lossy(&stderr));
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Asserts the exit code and that standard error holds all of these.
fn assert_error(command: &mut Command, code: i32, holds: &[&str]) {
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(code), "{stderr}");
    for text in holds {
        assert!(stderr.contains(text), "{text:?} is not in {stderr:?}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Asserts that a line of the program's environment, as `env` prints it, is there.
fn assert_environment(command: &mut Command, line: &str) {
    let (status, stdout, stderr) = output(command);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.lines().any(|l| l == line), "{line:?} is not in {stdout:?}");
}

#[test]
fn the_program_gets_its_arguments_and_gives_its_exit_status() {
    let scratch = Scratch::new();
    let program = scratch.gcc(&[], "program.c", "program");
    assert_eq!(output(&mut scratch.run(&[&program])).0, Some(42));
    assert_eq!(output(&mut scratch.run(&[&"--", &"./program"])).0, Some(42));
    let (_, stdout, stderr) =
        output(&mut scratch.run(&[&"--", &"sh", &"-c", &r#"echo "$0" "$@""#, &"-v", &"--", &"--log", &"-h"]));
    assert_eq!(stdout, "-v -- --log -h\n");
    assert_eq!(stderr, "");
    let (_, stdout, _) = output(&mut scratch.run(&[&"echo", &"-n", &"--", &"--version"]));
    assert_eq!(stdout, "-- --version");
}

#[test]
fn the_program_sees_the_name_it_was_called_by() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(int c, char **v) { puts(v[0]); return c == 0; }\n";
    fs::write(scratch.path("name.c"), source).unwrap();
    scratch.gcc(&[], "name.c", "name");
    let (_, stdout, _) = output(scratch.run(&[&"name"]).env("PATH", scratch.0.path()));
    assert_eq!(stdout, "name\n");
}

#[test]
fn the_program_gets_the_signals_as_they_were() {
    let scratch = Scratch::new();
    let bits = |shell: &str| {
        let mut command = Command::new("bash");
        let run =
            format!("{shell} exec {EVERCALL} run --lib {} grep Sig /proc/self/status", scratch.library());
        output(command.args(["-c", &run])).1
    };
    let bare = |shell: &str| {
        let mut command = Command::new("bash");
        output(command.args(["-c", &format!("{shell} exec grep Sig /proc/self/status")])).1
    };
    for shell in ["", "trap '' PIPE;", "trap '' PIPE USR1;"] {
        let signals = |text: String| {
            let signals = text.lines().filter(|line| line.starts_with("SigI") || line.starts_with("SigB"));
            signals.map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(signals(bits(shell)), signals(bare(shell)), "{shell}");
        assert_eq!(signals(bare(shell)).len(), 2);
    }
}

#[test]
fn the_library_is_preloaded_in_front_of_what_is_there_and_once() {
    let scratch = Scratch::new();
    let library = scratch.library();
    assert_environment(&mut scratch.run(&[&"env"]), &format!("LD_PRELOAD={library}"));
    let other = scratch.gcc(&["-shared", "-fPIC", "-nostdlib"], "library.c", "other.so");
    let other = other.display();
    let both = format!("{library}:{other}");
    let with = |preload: &str| {
        let mut command = scratch.run(&[&"env"]);
        command.env("LD_PRELOAD", preload);
        command
    };
    assert_environment(&mut with(&other.to_string()), &format!("LD_PRELOAD={both}"));
    assert_environment(&mut with(&both), &format!("LD_PRELOAD={both}"));
    let behind = format!("{other} {library}");
    assert_environment(&mut with(&behind), &format!("LD_PRELOAD={behind}"));
    let maps = output(&mut scratch.run(&[&"cat", &"/proc/self/maps"])).1;
    assert!(maps.contains(&library), "ld.so did not load it: {maps}");
}

#[test]
fn each_option_sets_its_variable_and_no_other() {
    let scratch = Scratch::new();
    for (options, line) in [
        (vec!["--log", "count"], "EVERCALL_LOG=count"),
        (vec!["--log-format=json"], "EVERCALL_LOG_FORMAT=json"),
        (vec!["--log-to", "stderr"], "EVERCALL_LOG_TO=stderr"),
        (vec!["--log-to", "fd:1"], "EVERCALL_LOG_TO=fd:1"),
        (vec!["--log-to", "/tmp/log"], "EVERCALL_LOG_TO=/tmp/log"),
        (vec!["--force", "ustat,sysfs", "--force", "stime"], "EVERCALL_FORCE=ustat,sysfs,stime"),
        (vec!["--force", "all"], "EVERCALL_FORCE=all"),
        (vec!["--nofile", "auto"], "EVERCALL_NOFILE=auto"),
        (vec!["--nofile", "off"], "EVERCALL_NOFILE=off"),
        (vec!["--nofile", "4096"], "EVERCALL_NOFILE=4096"),
        (vec!["--no-keep"], "EVERCALL_KEEP=off"),
        (vec!["--cgroup", "v1"], "EVERCALL_CGROUP=v1"),
        (vec!["--cgroup=off"], "EVERCALL_CGROUP=off"),
        (vec!["--vsyscall", "on"], "EVERCALL_VSYSCALL=on"),
        (vec!["--vsyscall=auto"], "EVERCALL_VSYSCALL=auto"),
        (vec!["--vsyscall", "off"], "EVERCALL_VSYSCALL=off"),
        (vec!["--uname", "2.6.32-754.el6.x86_64"], "EVERCALL_UNAME=2.6.32-754.el6.x86_64"),
        (vec!["--resources=cgroup"], "EVERCALL_RESOURCES=cgroup"),
        (vec!["--set", "cpuinfo=short"], "EVERCALL_CPUINFO=short"),
        (vec!["--set=nofile_clamp=on"], "EVERCALL_NOFILE_CLAMP=on"),
        (vec!["--set", "log=all", "--set", "log=first"], "EVERCALL_LOG=first"),
        (vec!["--set", "evercall=off"], "EVERCALL=off"),
    ] {
        let (status, stdout, stderr) = output(scratch.run(&[]).args(&options).args(["--", "env"]));
        assert_eq!(status, Some(0), "{options:?}: {stderr}");
        let set: Vec<&str> = stdout.lines().filter(|line| line.starts_with("EVERCALL")).collect();
        assert_eq!(set, [line], "{options:?}");
    }
    let mut inherits = scratch.run(&[&"env"]);
    assert_environment(inherits.env("EVERCALL_LOG", "all"), "EVERCALL_LOG=all");
}

#[test]
fn a_relative_log_path_counts_from_where_the_command_was_run() {
    let scratch = Scratch::new();
    let folder = scratch.0.path().canonicalize().unwrap();
    let line = format!("EVERCALL_LOG_TO={}/ever.log", folder.display());
    assert_environment(scratch.run(&[&"--log-to", &"ever.log", &"env"]).current_dir(folder), &line);
}

#[test]
fn wrong_option_values_are_told_with_the_option_and_what_would_do() {
    let scratch = Scratch::new();
    for (options, holds) in [
        (["--log", "some"], ["--log", "first"]),
        (["--force", "ustt"], ["--force", "'ustat'"]),
        (["--force", "ustat,"], ["--force", "all"]),
        (["--vsyscall", "yes"], ["--vsyscall", "on, auto, off"]),
        (["--nofile", "0"], ["--nofile", "a number from 1 up"]),
        (["--nofile", "-1"], ["-1", "Usage"]),
        (["--log-to", "fd:77"], ["--log-to", "descriptor 77 is not open"]),
        (["--log-to", "fd:x"], ["--log-to", "fd:3"]),
        (["--log-to", "no/such/log"], ["--log-to", "there is no folder"]),
        (["--log-to", "/tmp/"], ["--log-to", "is a folder"]),
        (["--log-to", "stdout"], ["--log-to", "fd:1"]),
        (["--uname", "two words"], ["--uname", "no blanks"]),
        (["--resources", "v2"], ["--resources", "host, cgroup"]),
        (["--set", "cpuinfos=short"], ["cpuinfos", "did you mean cpuinfo"]),
        (["--set", "pretend=maybe"], ["pretend", "none of on, off"]),
        (["--set", "trap=on"], ["--set", "--trap"]),
        (["--log=all", "--set=log=all"], ["log is set twice", "--set"]),
    ] {
        assert_error(scratch.run(&[]).args(options).args(["--", "true"]), 1, &holds);
    }
}

#[test]
fn usage_errors_exit_1_and_help_and_version_exit_0() {
    for arguments in [&["--nonsense"][..], &["nonsense"], &[], &["run"], &["simulate"], &["rules", "a", "b"]]
    {
        assert_error(&mut evercall(arguments), 1, &["Usage"]);
    }
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["run", "--help"],
        &["simulate", "--help"],
        &["rules", "-h"],
        &["rules"],
    ] {
        let (status, stdout, stderr) = output(&mut evercall(arguments));
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!stdout.is_empty());
    }
    assert_eq!(output(&mut evercall(&["--version"])).1, format!("evercall {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_missing_program_is_127() {
    let scratch = Scratch::new();
    let nowhere = "evercall-no-such-program";
    assert_error(&mut scratch.run(&[&nowhere]), 127, &[nowhere, "in PATH"]);
    assert_error(&mut scratch.run(&[&"./no-such"]), 127, &["./no-such", "no such file"]);
    assert_error(&mut scratch.run(&[&""]), 127, &["empty"]);
    symlink("/no/such/file", scratch.path("link")).unwrap();
    assert_error(&mut scratch.run(&[&"./link"]), 127, &["./link", "a link to a file that is not there"]);
    scratch.file("script", "#!/no/such/shell\n", 0o755);
    assert_error(&mut scratch.run(&[&"./script"]), 127, &["./script", "/no/such/shell"]);
    let options = ["-Wl,--dynamic-linker=/no/such/ld.so"];
    scratch.gcc(&options, "program.c", "foreign-libc");
    assert_error(&mut scratch.run(&[&"./foreign-libc"]), 127, &["loader /no/such/ld.so"]);
}

#[test]
fn a_file_that_cannot_be_run_is_126() {
    let scratch = Scratch::new();
    scratch.file("plain", "#!/bin/sh\n", 0o644);
    assert_error(&mut scratch.run(&[&"./plain"]), 126, &["./plain", "chmod +x"]);
    assert_error(&mut scratch.run(&[&"/"]), 126, &["/", "folder"]);
    scratch.file("text", "echo no first line\n", 0o755);
    assert_error(&mut scratch.run(&[&"./text"]), 126, &["./text", "its shell: sh FILE"]);
    assert_error(&mut scratch.run(&[&"./plain/x"]), 126, &["./plain/x"]);
}

#[test]
fn path_is_searched_as_execvp_does() {
    let scratch = Scratch::new();
    let program = scratch.gcc(&[], "program.c", "tool");
    for folder in ["bare", "full"] {
        fs::create_dir(scratch.path(folder)).unwrap();
    }
    scratch.file("bare/tool", "", 0o644);
    fs::copy(program, scratch.path("full/tool")).unwrap();
    let path = |path: &str| {
        let mut command = scratch.run(&[&"tool"]);
        command.env("PATH", path);
        command
    };
    let (bare, full) = (scratch.path("bare"), scratch.path("full"));
    let both = format!("/no/such:{}:{}", bare.display(), full.display());
    assert_eq!(output(&mut path(&both)).0, Some(42), "one that cannot be run is passed over");
    assert_error(&mut path(&format!("{}:/no/such", bare.display())), 126, &["bare/tool", "permission"]);
    assert_error(&mut path(&format!("/no/such:{}", bare.display())), 126, &["bare/tool", "permission"]);
    assert_eq!(output(&mut path("/no/such:")).0, Some(42), "an empty entry is this folder");
    assert_error(&mut path("/no/such"), 127, &["in PATH"]);
    assert_eq!(output(scratch.run(&[&"true"]).env_remove("PATH")).0, Some(0));
}

#[test]
fn a_static_program_is_refused_where_the_library_cannot_be_its_interpreter() {
    let scratch = Scratch::new();
    let program = scratch.gcc(&["-static"], "program.c", "static");
    let holds = ["./static is a static program", &scratch.library(), "has no entry point"];
    assert_error(&mut scratch.run(&[&"./static"]), 126, &holds);
    if scratch.try_gcc(&["-static-pie"], "program.c", "static-pie") {
        assert_error(&mut scratch.run(&[&"./static-pie"]), 126, &["./static-pie is a static program"]);
    }
    // Through two scripts, too.
    scratch.file("inner", format!("#!{}\n", program.display()), 0o755);
    scratch.file("outer", format!("#! {} -x\n", scratch.path("inner").display()), 0o755);
    let holds = [program.to_str().unwrap(), "which runs ./outer", "is a static program"];
    assert_error(&mut scratch.run(&[&"./outer"]), 126, &holds);
}

#[test]
fn scripts_and_the_loader_itself_run() {
    let scratch = Scratch::new();
    scratch.file("script", "#!/bin/sh\nexit 7\n", 0o755);
    assert_eq!(output(&mut scratch.run(&[&"./script"])).0, Some(7));
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    if loader.exists() {
        let program = scratch.gcc(&[], "program.c", "program");
        assert_eq!(output(&mut scratch.run(&[&loader, &program])).0, Some(42));
    }
    // A script that is its own interpreter: the kernel ends it, not we.
    let circle = scratch.path("circle");
    scratch.file("circle", format!("#!{}\n", circle.display()), 0o755);
    assert_error(&mut scratch.run(&[&"./circle"]), 126, &["circle cannot be run"]);
}

#[test]
fn a_program_of_another_architecture_is_refused_with_both_names() {
    let scratch = Scratch::new();
    if !scratch.try_gcc(&["-m32"], "program.c", "other") {
        scratch.file("other", elf32(3), 0o755);
    }
    let holds = ["./other is a program for i386", "is for x86-64", "--lib"];
    assert_error(&mut scratch.run(&[&"./other"]), 126, &holds);
    scratch.file("arm", elf32(40), 0o755);
    assert_error(&mut scratch.run(&[&"./arm"]), 126, &["for 32-bit arm"]);
    scratch.file("x32", elf32(62), 0o755);
    assert_error(&mut scratch.run(&[&"./x32"]), 126, &["for x32"]);
}

/// The header of a 32-bit little-endian ET_EXEC without segments.
fn elf32(machine: u8) -> Vec<u8> {
    let mut header = vec![0; 52];
    header[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    header[16] = 2; // e_type: ET_EXEC
    header[18] = machine;
    header[20] = 1; // e_version
    header[40] = 52; // e_ehsize
    header[42] = 32; // e_phentsize
    header
}

#[test]
fn an_elf_cut_anywhere_in_its_headers_is_an_error_and_no_panic() {
    let scratch = Scratch::new();
    let whole = fs::read(scratch.gcc(&[], "program.c", "program")).unwrap();
    for length in 0..=200 {
        scratch.file("cut", &whole[..length], 0o755);
        let reason = if length < 4 { "cannot be run" } else { "./cut is a damaged ELF file" };
        assert_error(&mut scratch.run(&[&"./cut"]), 126, &[reason]);
    }
}

#[test]
fn an_interpreter_path_longer_than_the_kernel_takes_is_damage() {
    let scratch = Scratch::new();
    let mut bytes = fs::read(scratch.gcc(&[], "program.c", "program")).unwrap();
    // The program headers follow the ELF header: 56 bytes each, p_type 3 is PT_INTERP, p_filesz stands at 32.
    let interp = (64..).step_by(56).find(|&at| bytes[at..at + 4] == [3, 0, 0, 0]).unwrap();
    bytes[interp + 32..interp + 40].copy_from_slice(&5000u64.to_le_bytes());
    scratch.file("long", &bytes, 0o755);
    assert_error(&mut scratch.run(&[&"./long"]), 126, &["./long is a damaged ELF file", "5000"]);
}

#[test]
fn a_setuid_program_runs_with_a_warning_that_evercall_will_not_act() {
    let scratch = Scratch::new();
    let program = scratch.gcc(&[], "program.c", "program");
    let mode = |mode| fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o4755);
    let (status, _, stderr) = output(&mut scratch.run(&[&"./program"]));
    assert_eq!((status, stderr.as_str()), (Some(42), ""), "our own setuid program gives no new rights");
    if chown(&program, Some(65534), Some(65534)).is_err() {
        return; // Only root gives files away.
    }
    for (bits, word) in [(0o4755, "setuid"), (0o2755, "setgid")] {
        mode(bits);
        let holds = ["warning", "./program", word, "/etc/ld.so.preload"];
        assert_error(&mut scratch.run(&[&"./program"]), 42, &holds);
    }
}

#[test]
fn the_library_is_found_by_option_then_variable_then_place() {
    let scratch = Scratch::new();
    let preload = |command: &mut Command| {
        let (status, stdout, stderr) = output(command.args(["run", "env"]));
        assert_eq!(status, Some(0), "{stderr}");
        stdout.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=").map(PathBuf::from)).unwrap()
    };
    let library = scratch.path("libevercall.so");
    assert_eq!(preload(evercall(&[]).env("EVERCALL_LIB", &library)), library);
    let base = scratch.0.path().canonicalize().unwrap();
    fs::create_dir(base.join("bin")).unwrap();
    fs::copy(EVERCALL, base.join("bin/evercall")).unwrap();
    let installed = || {
        let mut command = Command::new(base.join("bin/evercall"));
        command.env_remove("LD_PRELOAD").env_remove("EVERCALL_LIB");
        command
    };
    for place in ["lib/x86_64-linux-gnu/evercall", "lib/evercall", "bin"] {
        let place = base.join(place);
        fs::create_dir_all(&place).unwrap();
        fs::copy(&library, place.join("libevercall.so")).unwrap();
        assert_eq!(preload(&mut installed()), place.join("libevercall.so"));
    }
    fs::remove_dir_all(base.join("lib")).unwrap();
    fs::remove_file(base.join("bin/libevercall.so")).unwrap();
    if !Path::new("/usr/lib/evercall/libevercall.so").exists() {
        let beside = base.join("bin/libevercall.so").display().to_string();
        let holds = ["--lib PATH", "EVERCALL_LIB", &beside, "/usr/lib/evercall/libevercall.so"];
        assert_error(installed().args(["run", "true"]), 1, &holds);
    }
}

#[test]
fn a_library_that_cannot_be_preloaded_is_an_error() {
    let scratch = Scratch::new();
    let program = scratch.gcc(&[], "program.c", "program");
    let text = scratch.file("text.so", "no library", 0o644);
    let cut = scratch.file("cut.so", b"\x7fELF\x02\x01\x01", 0o644);
    fs::create_dir(scratch.path("a b")).unwrap();
    let blank = scratch.path("a b/libevercall.so");
    fs::copy(scratch.library(), &blank).unwrap();
    for (library, why) in [
        (scratch.path("none.so"), "cannot be read: No such file"),
        (text, "is no shared library"),
        (program, "is no shared library"),
        (cut, "is damaged"),
        (blank, "divides LD_PRELOAD at blanks"),
    ] {
        let library = library.to_str().unwrap();
        assert_error(&mut evercall(&["run", "--lib", library, "true"]), 1, &[library, "--lib", why]);
        assert_error(evercall(&["run", "true"]).env("EVERCALL_LIB", library), 1, &["EVERCALL_LIB", why]);
    }
}

#[test]
fn verbose_tells_the_library_the_settings_and_the_program() {
    let scratch = Scratch::new();
    let holds = [&scratch.library(), "EVERCALL_LOG=first", "/true is an ELF file: x86-64"];
    assert_error(&mut scratch.run(&[&"-v", &"--log", &"first", &"true"]), 0, &holds);
    assert_error(scratch.run(&[&"true"]).env("EVERCALL", "off"), 0, &["warning: EVERCALL"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["rules", "--calls"][..], &["rules", "--format", "json", "--calls"]] {
        // A program that ends at once, and leaves a pipe that nobody reads.
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let writer = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        let (status, _, stderr) = output(evercall(arguments).stdout(writer));
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_error(evercall(&["rules"]).stdout(full), 1, &["cannot write to standard output"]);
}

#[test]
fn rules_are_listed_and_found_by_rule_call_and_symbol() {
    let table = output(&mut evercall(&["rules"])).1;
    assert!(table.starts_with("RULE "));
    assert_eq!(table.lines().filter(|line| line.starts_with("ustat ")).count(), 1);
    assert!(!table.contains("\nCALL "), "system calls only with --calls");
    for flag in ["--calls", "--all"] {
        let all = output(&mut evercall(&["rules", flag])).1;
        assert!(all.starts_with(&table), "the rules come first");
        assert!(all.lines().any(|line| line.starts_with("bdflush ") && line.contains(" 134 ")));
    }
    for name in ["_sysctl", "sysctl", "__sysctl"] {
        let page = output(&mut evercall(&["rules", name])).1;
        for text in ["_sysctl - ", "x86-64 number: 156", "FIDELITY", "__sysctl", "EFAULT"] {
            assert!(page.contains(text), "{text} is not on the page of {name}: {page}");
        }
        assert!(page.lines().all(|line| line.len() <= 80), "{page}");
    }
    assert!(output(&mut evercall(&["rules", "read"])).1.contains("rule: none"));
    assert!(output(&mut evercall(&["rules", "_Exit"])).1.contains("EVERCALL_LOG=count"));
    assert!(output(&mut evercall(&["rules", "socket"])).1.contains("OPERATION AF_IPX"), "of the call");
    assert!(output(&mut evercall(&["rules", "FUTEX_FD"])).1.contains("a kernel without it: ENOSYS"));
    let coverage = output(&mut evercall(&["rules", "--coverage"])).1;
    assert!(coverage.starts_with("INTERFACES ") && coverage.contains("\nx86-64 calls "), "{coverage}");
    assert_error(&mut evercall(&["rules", "usstat"]), 1, &["usstat", "did you mean ustat"]);
    assert_error(&mut evercall(&["rules", "%%%"]), 1, &["rules --calls"]);
}

#[test]
fn json_has_its_version_and_its_documented_fields() {
    let json = |arguments: &[&str]| -> serde_json::Value {
        let (status, stdout, _) = output(evercall(&["rules", "--format", "json"]).args(arguments));
        assert_eq!(status, Some(0));
        serde_json::from_str(&stdout).unwrap()
    };
    let document = json(&["ustat"]);
    assert_eq!(document["version"], 2);
    assert_eq!(document["rules"][0]["name"], "ustat");
    assert_eq!(document["rules"][0]["arguments"][0]["kind"], "device");
    assert_eq!(document["rules"][0]["probe"]["errno"], "EINVAL");
    assert_eq!(document["calls"][0]["x86_64"], 136);
    assert_eq!(document["calls"][0]["rule"], "ustat");
    assert_eq!(json(&[])["calls"], serde_json::json!([]));
    let help = output(&mut evercall(&["rules", "--help"])).1;
    let all = json(&["--calls"]);
    assert!(all["calls"].as_array().unwrap().len() > 450);
    assert_eq!(json(&["AF_IPX"])["operations"][0]["now"], "EAFNOSUPPORT");
    let coverage = &json(&["--coverage"])["coverage"];
    for list in ["kinds", "calls", "operations"] {
        for field in coverage[list][0].as_object().unwrap().keys() {
            assert!(help.contains(field.as_str()), "coverage: {field} is not in the help");
        }
    }
    for list in ["rules", "doors", "calls", "operations"] {
        assert!(help.contains(list));
        for field in all[list][0].as_object().unwrap().keys() {
            assert!(help.contains(field.as_str()), "{list}: {field} is not in the help");
        }
    }
}

#[test]
fn man_pages_and_completions_come_from_the_options() {
    let folder = TempDir::new().unwrap();
    let man = folder.path().join("made/man");
    let generate = |what: &str, to: &Path| {
        let (status, _, stderr) = output(evercall(&["generate", what]).arg(to));
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
    };
    generate("man", &man);
    for (page, option) in [
        ("evercall.1", "version"),
        ("evercall-run.1", "nofile"),
        ("evercall-simulate.1", "seccomp"),
        ("evercall-rules.1", "calls"),
        ("evercall-log.1", "by"),
    ] {
        let text = fs::read_to_string(man.join(page)).unwrap();
        assert!(text.contains(&format!("\\-\\-{option}")), "{page}");
        for section in [".SH \"EXIT STATUS\"", ".SH ENVIRONMENT", ".SH FILES", "/etc/evercall.conf"] {
            assert_eq!(text.matches(section).count(), 1, "{page}: {section}");
        }
        for variable in ["LOG", "LOG_FORMAT", "LOG_TO", "FORCE", "NOFILE", "VSYSCALL", "CGROUP", "KEEP"] {
            assert!(text.contains(&format!("EVERCALL_{variable}\\fR")), "{page}: {variable}");
        }
        assert!(!text.contains("generate"), "hidden commands stay hidden");
    }
    generate("completions", folder.path());
    for shell in ["evercall.bash", "_evercall", "evercall.fish"] {
        let text = fs::read_to_string(folder.path().join(shell)).unwrap();
        assert!(text.contains("log-format") && text.contains("query_module"), "{shell}");
    }
    let file = folder.path().join("_evercall");
    assert_error(evercall(&["generate", "man"]).arg(&file), 1, &["_evercall", "cannot make the folder"]);
}
