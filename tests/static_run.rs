//! `evercall run` of static programs: they run as bare, with the library as their ELF interpreter, and the
//! file on disk stays as it is.

mod common;

use common::{bare, denied, program, root, shim, succeed, text};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

const FLAVOURS: [&str; 5] = ["static", "static-pie", "musl", "musl-static-pie", "diet"];

/// Where musl-tools puts what a static-PIE starts with; musl-gcc has no -static-pie of its own.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";

const MEMFD_CREATE: &str = "319";
const EXECVEAT: &str = "322";

const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;

/// Tells what it was given, or does what its first argument says.
const REPORT: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "vsyscall.h"

long (*volatile page_getcpu_pointer)(unsigned *, unsigned *) = (void *)0xffffffffff600800;

int main(int argc, char **argv, char **envp)
{
    static char buffer[4096];
    char **end = envp;
    unsigned long *aux;
    int i, fd, n, open_files = 0;

    if (argc > 1 && !strcmp(argv[1], "page")) {
        long now = time(NULL), page = page_time(NULL);
        puts(page >= now - 1 && page <= now + 60 ? "page right" : "page wrong");
        return 0;
    }
    if (argc > 2 && !strcmp(argv[1], "exec")) {
        execve(argv[2], argv + 2, envp);
        return 99;
    }
    if (argc > 1 && !strcmp(argv[1], "itself")) {
        fd = open("/proc/self/exe", O_RDONLY);
        n = readlink("/proc/self/exe", buffer, sizeof buffer - 1);
        buffer[n] = 0;
        printf("%s seals %d size %ld\n", buffer, fcntl(fd, 1034), (long)lseek(fd, 0, SEEK_END));
        return 0;
    }
    for (i = 0; i < argc; i++)
        printf("argument %s\n", argv[i]);
    for (; *end; end++)
        printf("variable %s\n", *end);
    for (aux = (unsigned long *)(end + 1); *aux; aux += 2) {
        if (*aux == 7)
            printf("AT_BASE %lx\n", aux[1]);
        if (*aux == 31)
            printf("AT_EXECFN %s\n", (char *)aux[1]);
    }
    for (i = 0; i < 100; i++)
        open_files += fcntl(i, F_GETFD) >= 0;
    printf("open files %d\n", open_files);
    fd = open("/proc/self/comm", O_RDONLY);
    n = read(fd, buffer, sizeof buffer);
    printf("comm %.*s", n, buffer);
    n = read(0, buffer, sizeof buffer);
    printf("input %.*s\n", n, buffer);
    return 42;
}
"#;

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("report.c"), REPORT).unwrap();
    folder
}

/// The report program, static in one of the ways; None, and a line saying so, where the compiler is missing.
fn report(folder: &TempDir, flavour: &str) -> Option<PathBuf> {
    let output = folder.path().join(format!("report-{flavour}"));
    let source = folder.path().join("report.c");
    let musl = |name: &str| Path::new(MUSL).join(name);
    let mut compile = match flavour {
        "static" | "static-pie" => Command::new("cc"),
        "diet" => Command::new("diet"),
        _ => Command::new("musl-gcc"),
    };
    match flavour {
        "diet" => compile.args(["gcc", "-Os"]).arg(&source),
        "musl" => compile.arg("-static").arg(&source),
        "musl-static-pie" => compile
            .args(["-fPIE", "-nostartfiles", "-static", "-Wl,-static,-pie,--no-dynamic-linker,-z,text"])
            .args([&musl("rcrt1.o"), &musl("crti.o"), &source, &musl("crtn.o")]),
        _ => compile.arg(format!("-{flavour}")).arg(&source),
    };
    compile.args(["-w", "-mno-red-zone", "-I"]).arg(root().join("test-programs")).arg("-o").arg(&output);
    match compile.output() {
        Ok(done) if done.status.success() => Some(output),
        Ok(done) => panic!("{compile:?}: {}", text(&done.stderr)),
        Err(error) => {
            eprintln!("SKIPPED {} {flavour}: {error}", module_path!());
            None
        }
    }
}

fn reports(folder: &TempDir) -> Vec<PathBuf> {
    FLAVOURS.iter().filter_map(|flavour| report(folder, flavour)).collect()
}

/// `evercall OPTION... run --lib ... PROGRAM`.
fn evercall(before: &[&str], program: impl AsRef<OsStr>) -> Command {
    let mut command = bare(EVERCALL);
    command.arg("run").arg("--lib").arg(shim()).args(before).arg("--").arg(program);
    command
}

fn with_input(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What is told, but for the variables that evercall sets.
fn told(output: &Output) -> Vec<String> {
    let ours = ["variable LD_PRELOAD=", "variable EVERCALL_"];
    let lines = text(&output.stdout);
    lines.lines().filter(|line| !ours.iter().any(|ours| line.starts_with(ours))).map(str::to_owned).collect()
}

/// Asserts that the program was not run, for this reason.
fn refused(command: &mut Command, holds: &[&str]) {
    let output = command.output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(126), "{command:?}: {}: {stderr}", output.status);
    for text in holds {
        assert!(stderr.contains(text), "{text:?} is not in {stderr:?}");
    }
    assert_eq!(text(&output.stdout), "");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The offset of each program header. They follow the ELF header in what linkers make.
fn headers(program: &[u8]) -> Vec<usize> {
    let count = u16::from_le_bytes([program[56], program[57]]);
    (0..usize::from(count)).map(|index| FILE_HEADER + index * PROGRAM_HEADER).collect()
}

fn word(program: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(program[at..at + 4].try_into().unwrap())
}

/// The busybox of this machine, if it is static.
fn busybox() -> Option<PathBuf> {
    let found = bare("sh").args(["-c", "command -v busybox"]).output().unwrap();
    let path = PathBuf::from(text(&found.stdout).trim());
    let bytes = fs::read(&path).ok()?;
    headers(&bytes).into_iter().all(|at| word(&bytes, at) != PT_INTERP).then_some(path)
}

/// A copy of a program with other bytes.
fn variant(of: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read(of).unwrap();
    change(&mut bytes);
    let path = of.with_file_name(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn every_kind_of_static_program_is_given_what_it_is_given_bare() {
    let folder = folder();
    for program in reports(&folder) {
        let give = |mut command: Command| {
            let odd = OsStr::from_bytes(b"a\xff b");
            command.arg(odd).args(["", "-v", "--"]).env("GIVEN", "x y").env("EMPTY", "");
            with_input(command, "to read")
        };
        let before = (fs::read(&program).unwrap(), fs::metadata(&program).unwrap());
        let (bare, run) = (give(bare(&program)), give(evercall(&["--vsyscall", "on"], &program)));
        assert_eq!(bare.status.code(), Some(42), "{program:?}");
        assert_eq!((run.status.code(), text(&run.stderr)), (Some(42), String::new()), "{program:?}");
        assert_eq!(told(&run), told(&bare), "{program:?}");
        assert!(told(&bare).contains(&"AT_BASE 0".into()) && told(&bare).contains(&"input to read".into()));
        let stdout = text(&run.stdout);
        for set in [format!("LD_PRELOAD={}", shim().display()), "EVERCALL_VSYSCALL=on".into()] {
            assert!(stdout.lines().any(|line| line == format!("variable {set}")), "{set}: {stdout}");
        }
        let after = fs::metadata(&program).unwrap();
        let mtime = |file: &fs::Metadata| (file.mtime(), file.mtime_nsec(), file.ino());
        assert!(fs::read(&program).unwrap() == before.0 && mtime(&after) == mtime(&before.1), "changed");
    }
}

#[test]
fn the_page_answers_every_kind_of_static_program() {
    let folder = folder();
    for program in reports(&folder) {
        for when in ["on", "auto"] {
            let output = succeed(evercall(&["--vsyscall", when], &program).arg("page"));
            assert_eq!(text(&output.stdout), "page right\n", "{program:?} {when}");
        }
    }
}

#[test]
fn signals_and_threads_are_as_the_program_has_them() {
    for name in ["vsyscall.static", "vsyscall.static-pie"] {
        for mode in ["plain", "own_handler", "blocked", "threads"] {
            let output = succeed(evercall(&["--vsyscall", "on"], program(name)).arg(mode));
            assert_eq!(text(&output.stdout), format!("{mode} right\n"), "{name}");
        }
    }
}

#[test]
fn the_program_is_named_as_it_was_called_and_found_in_path() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let name = program.file_name().unwrap();
    let output = evercall(&[], name).env("PATH", folder.path()).output().unwrap();
    let told = told(&output);
    for line in ["argument report-static", "comm report-static", "AT_EXECFN report-static"] {
        assert!(told.contains(&line.into()), "{line}: {told:?}");
    }
}

#[test]
fn the_copy_is_sealed_and_proc_says_that_it_is_one() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let output = succeed(evercall(&[], &program).arg("itself"));
    // F_SEAL_SEAL, _SHRINK, _GROW, _WRITE; kernels that know more may add F_SEAL_EXEC themselves.
    let stdout = text(&output.stdout);
    let seals =
        stdout.strip_prefix("/memfd:report-static (deleted) seals ").and_then(|s| s.split(' ').next());
    assert!(seals.is_some_and(|seals| seals.parse::<u32>().unwrap() & 15 == 15), "{stdout}");
    let long = folder.path().join("n".repeat(255));
    fs::copy(&program, &long).unwrap();
    succeed(evercall(&[], &long).arg("itself"));
}

#[test]
fn a_huge_program_runs_and_its_end_is_there() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let huge = variant(&program, "huge", |bytes| bytes.resize(bytes.len() + (64 << 20), b'x'));
    let size = fs::metadata(&huge).unwrap().len();
    let output = succeed(evercall(&[], &huge).arg("itself"));
    // All of the file, and behind it the path of the library.
    let whole = format!(" size {}\n", size + shim().as_os_str().len() as u64 + 1);
    assert!(text(&output.stdout).ends_with(&whole), "{} {whole}", text(&output.stdout));
    assert_eq!(fs::metadata(&huge).unwrap().len(), size);
}

#[test]
fn busybox_runs_its_applets() {
    let Some(busybox) = busybox() else { skip!("there is no static busybox") };
    let script = "echo $0 $1; ls / | head -n 1 | wc -l; date +%s | grep -c '^1'; exit 3";
    let run = |mut command: Command| {
        let output = command.args(["sh", "-c", script, "zero", "one"]).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(run(evercall(&["--vsyscall", "on"], &busybox)), run(bare(&busybox)));
    assert_eq!(run(bare(&busybox)).0, Some(3));
}

#[test]
fn a_dynamic_child_of_a_static_program_is_translated() {
    let folder = folder();
    for parent in reports(&folder) {
        let mut command = denied("ENOSYS", "_sysctl");
        command.args([EVERCALL, "run", "--log", "all", "--lib"]).arg(shim()).arg(&parent);
        let output = succeed(command.arg("exec").arg(program("legacy")).arg("release"));
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(stderr.contains(" _sysctl: ") && stderr.contains(") = 0 "), "{parent:?}: {stderr}");
        assert!(stdout.starts_with("sysctl kern.osrelease") && !stdout.contains("fails"), "{stdout}");
    }
}

#[test]
fn a_script_for_a_static_program_gives_it_the_arguments_that_the_kernel_would() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let script = |name: &str, line: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("{line}\nnothing\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    };
    let plain = script("plain", &format!("#!{}", program.display()));
    let one = script("one", &format!("#! \t{}  -a  b c \t", program.display()));
    let nested = script("nested", &format!("#!{} -outer", one.display()));
    for script in [plain, one, nested] {
        let arguments = |mut command: Command| {
            let output = command.args(["x", "y z"]).output().unwrap();
            assert_eq!(output.status.code(), Some(42), "{}", text(&output.stderr));
            told(&output).into_iter().filter(|line| line.starts_with("argument")).collect::<Vec<_>>()
        };
        assert_eq!(arguments(evercall(&[], &script)), arguments(bare(&script)), "{script:?}");
    }
}

#[test]
fn the_header_given_up_is_the_least_needed_one() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let without = |bytes: &mut Vec<u8>, kinds: &[u32], becomes: u32| {
        for at in headers(bytes) {
            if kinds.contains(&word(bytes, at)) {
                bytes[at..at + 4].copy_from_slice(&becomes.to_le_bytes());
            }
        }
    };
    // A kind that no kernel and no libc knows.
    const UNKNOWN: u32 = 0x6fff_0000;
    let says = |program: &Path, kind: &str| {
        let mut command = evercall(&["-v"], program);
        let stderr = text(&succeed(command.arg("itself")).stderr);
        assert!(stderr.contains(&format!("where {kind} names {}", shim().display())), "{kind}: {stderr}");
    };
    says(&program, "PT_NOTE");
    let notes = &[PT_NOTE];
    says(&variant(&program, "no-note", |b| without(b, notes, PT_GNU_PROPERTY)), "PT_GNU_PROPERTY");
    let notes = &[PT_NOTE, PT_GNU_PROPERTY];
    says(&variant(&program, "null", |b| without(b, notes, 0)), "PT_NULL");
    says(&variant(&program, "stack", |b| without(b, notes, UNKNOWN)), "PT_GNU_STACK");
    let executable = variant(&program, "executable-stack", |bytes| {
        without(bytes, notes, UNKNOWN);
        let stack = headers(bytes).into_iter().find(|&at| word(bytes, at) == PT_GNU_STACK).unwrap();
        bytes[stack + 4] = 7;
    });
    refused(&mut evercall(&[], executable), &["is a static program", "no program header to spare"]);
}

#[test]
fn what_cannot_be_run_from_a_copy_is_refused_with_the_reason() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let wrong_size = variant(&program, "wrong-size", |bytes| bytes[54] = 57);
    refused(&mut evercall(&[], wrong_size), &["is a damaged ELF file"]);
    let none = variant(&program, "no-headers", |bytes| bytes[56..58].fill(0));
    refused(&mut evercall(&[], none), &["damaged", "0 program headers"]);
    let library = folder.path().join("libevercall.so");
    fs::copy(shim(), &library).unwrap();
    fs::set_permissions(&library, Permissions::from_mode(0o644)).unwrap();
    let mut command = bare(EVERCALL);
    refused(command.args(["run", "--lib"]).args([&library, &program]), &["is not executable", "chmod +x"]);
    let plain = variant(&program, "plain", |_| ());
    fs::set_permissions(&plain, Permissions::from_mode(0o644)).unwrap();
    refused(&mut evercall(&[], plain), &["permission denied"]);
    for (errno, call, why) in [
        ("ENOSYS", MEMFD_CREATE, "no memfd_create (Linux 3.17)"),
        ("EPERM", MEMFD_CREATE, "forbids memfd_create"),
        ("ENOSYS", EXECVEAT, "no execveat (Linux 3.19)"),
        ("EPERM", EXECVEAT, "a seccomp filter"),
    ] {
        let mut command = denied(errno, call);
        command.args([EVERCALL, "run", "--lib"]).args([&shim(), &program]);
        refused(&mut command, &["is a static program", why]);
    }
}

#[test]
fn a_program_that_would_gain_rights_is_refused() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    let own = variant(&program, "own", |_| ());
    fs::set_permissions(&own, Permissions::from_mode(0o4755)).unwrap();
    succeed(evercall(&[], &own).arg("itself"));
    if !is_root() {
        skip!("only root gives files away");
    }
    for (mode, word) in [(0o4755, "it is setuid"), (0o2755, "it is setgid")] {
        let others = variant(&program, "others", |_| ());
        chown(&others, Some(65534), Some(65534)).unwrap();
        fs::set_permissions(&others, Permissions::from_mode(mode)).unwrap();
        refused(&mut evercall(&[], others), &[word, "no such rights"]);
    }
}

#[test]
fn file_capabilities_are_rights_too() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    if !is_root() || Command::new("setcap").output().is_err() {
        skip!("needs root and setcap");
    }
    if !Command::new("setcap").arg("cap_net_raw+ep").arg(&program).status().unwrap().success() {
        skip!("no file capabilities here");
    }
    succeed(evercall(&[], &program).arg("itself"));
    // What another user has to reach is brought where that user may look.
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    let (command, library) = (folder.path().join("evercall"), folder.path().join("libevercall.so"));
    fs::copy(EVERCALL, &command).unwrap();
    fs::copy(shim(), &library).unwrap();
    open(folder.path());
    let mut run = bare("setpriv");
    run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(command).arg("run").arg(&program);
    refused(&mut run, &["it has file capabilities", "no such rights"]);
}

#[test]
fn a_noexec_mount_and_memfd_noexec_are_obeyed() {
    let folder = folder();
    let Some(program) = report(&folder, "static") else { return };
    if !bare("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        skip!("unshare is refused");
    }
    let mut command = bare("unshare");
    let script = r#"mount -t tmpfs -o noexec none "$1" && cp "$2" "$1/p" && exec "$3" run --lib "$4" "$1/p""#;
    fs::create_dir(folder.path().join("mount")).unwrap();
    command.args(["-m", "sh", "-c", script, "sh"]).arg(folder.path().join("mount")).arg(&program);
    refused(command.arg(EVERCALL).arg(shim()), &["permission denied"]);
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        skip!("this kernel has no vm.memfd_noexec");
    }
    let limited = |level: &str| {
        let mut command = bare("unshare");
        let script = r#"echo "$1" > /proc/sys/vm/memfd_noexec && exec "$2" run --lib "$3" "$4" itself"#;
        command.args(["-pf", "--mount-proc", "sh", "-c", script, "sh", level, EVERCALL]);
        command.arg(shim()).arg(&program);
        command
    };
    succeed(&mut limited("1"));
    refused(&mut limited("2"), &["vm.memfd_noexec is 2"]);
}

/// Ends itself, and is small.
const TINY: &str = ".globl _start\n_start: mov $60, %eax\n xor %edi, %edi\n syscall\n ud2\n";

#[test]
fn an_elf_cut_or_damaged_at_any_byte_of_its_headers_never_panics() {
    let folder = folder();
    let source = folder.path().join("tiny.s");
    fs::write(&source, TINY).unwrap();
    for kind in ["-static", "-static-pie"] {
        let program = folder.path().join("tiny");
        let mut gcc = Command::new("cc");
        succeed(gcc.args([kind, "-nostdlib", "-o"]).args([&program, &source]));
        assert_eq!(succeed(&mut evercall(&[], &program)).status.code(), Some(0));
        let whole = fs::read(&program).unwrap();
        let all = *headers(&whole).last().unwrap() + PROGRAM_HEADER;
        assert!(headers(&whole).iter().any(|&at| word(&whole, at) == PT_LOAD));
        let run = |bytes: &[u8], what: &str| {
            let program = folder.path().join("wrong");
            fs::write(&program, bytes).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
            let mut command = bare("timeout");
            command.args(["-s", "KILL", "20", EVERCALL, "run", "--lib"]).arg(shim()).arg(&program);
            let output = command.current_dir(folder.path()).output().unwrap();
            let stderr = text(&output.stderr);
            assert!(!stderr.contains("panicked"), "{kind} {what}: {stderr}");
            // 134: abort, which a panic of evercall ends in. What the kernel runs may fault.
            let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
            assert!([0, 126, 127, 132, 135, 137, 139].contains(&status), "{kind} {what}: {status}: {stderr}");
            assert!(status != 126 || stderr.starts_with("evercall: "), "{kind} {what}: {stderr}");
            status
        };
        for length in 0..all {
            assert_eq!(run(&whole[..length], &format!("cut to {length}")), 126, "cut to {length}");
        }
        for at in 4..all {
            for wrong in [0, 0xff, whole[at] ^ 1] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                run(&bytes, &format!("{wrong:#x} at {at}"));
            }
        }
    }
}

#[test]
fn the_help_tells_what_differs() {
    let help = text(&succeed(bare(EVERCALL).args(["run", "--help"])).stdout);
    for told in ["STATIC PROGRAMS:", "/proc/self/exe", "AT_EXECFN", "--vsyscall", "EVERCALL_VSYSCALL"] {
        assert!(help.contains(told), "{told}: {help}");
    }
}
