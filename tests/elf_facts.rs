//! What `check` reads of ELF files, against what readelf, objdump and strace say of the same files.

mod common;
#[path = "common/debian.rs"]
mod debian;

use common::program;
use evercall::check::elf::facts::{Architecture, Depth, Elf, Kind, LibcKind, Number, Via};
use evercall::check::elf::{Analysis, analyse};
use evercall::check::reach::{Certainty, File, Reach, Role, reach, reach_from_symbol};
use evercall_rules::table::CALLS;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn elf(path: &Path) -> Elf {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match analyse(&bytes, path) {
        Analysis::Elf(elf) => *elf,
        other => panic!("{}: {other:?}", path.display()),
    }
}

fn said(command: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(command).args(arguments).arg(file).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// This machine's glibc, and those of other releases at hand.
fn libcs() -> Vec<PathBuf> {
    let mut files = vec![
        PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"),
        PathBuf::from("/lib/x86_64-linux-musl/libc.so"),
    ];
    for suite in ["bullseye", "trixie"] {
        match debian::root("libc", suite) {
            Ok(root) => {
                let folders = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
                let found = folders.iter().map(|folder| root.join(folder).join("libc.so.6"));
                files.extend(found.filter(|file| file.exists()).take(1));
            }
            Err(why) => (|| skip!("{why}"))(),
        }
    }
    files
}

/// Files of every kind that this machine has.
fn files() -> Vec<PathBuf> {
    let mut files = libcs();
    files.extend(
        ["/bin/true", "/bin/bash", "/lib64/ld-linux-x86-64.so.2", "/lib32/libc.so.6", "/lib32/ld-linux.so.2"]
            .map(PathBuf::from),
    );
    files.extend(["/usr/bin/busybox"].map(PathBuf::from).into_iter().filter(|file| file.exists()));
    let built = [
        "inline_calls",
        "inline_calls.static",
        "inline_calls.musl",
        "raw_calls",
        "raw_calls.static",
        "vsyscall",
        "vsyscall.static",
        "vsyscall.static-pie",
        "legacy.i386",
        "show_exec.i386",
    ];
    files.extend(built.map(program));
    files
}

/// name@version of each dynamic symbol, by whether it is defined.
fn symbols_of_readelf(file: &Path) -> [BTreeSet<String>; 2] {
    let mut all = [BTreeSet::new(), BTreeSet::new()];
    for line in said("readelf", &["-W", "--dyn-syms"], file).lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(kind), Some(bind), Some(section), Some(name)) =
            (fields.get(3), fields.get(4), fields.get(6), fields.get(7))
        else {
            continue;
        };
        let is_number = fields[0].ends_with(':') && fields[0] != "Num:";
        if !is_number || *bind == "LOCAL" || *kind == "SECTION" || *kind == "FILE" || *section == "ABS" {
            continue;
        }
        all[usize::from(*section != "UND")].insert(name.replace("@@", "@"));
    }
    all
}

#[test]
fn symbols_and_versions_are_those_that_readelf_prints() {
    for file in files() {
        let elf = elf(&file);
        let with = |name: &str, version: &Option<String>| match version {
            Some(version) => format!("{name}@{version}"),
            None => name.to_owned(),
        };
        let imports: BTreeSet<String> =
            elf.imports.iter().map(|import| with(&import.name, &import.version)).collect();
        let exports: BTreeSet<String> =
            elf.exports.iter().map(|export| with(&export.name, &export.version)).collect();
        let [undefined, defined] = symbols_of_readelf(&file);
        assert_eq!(imports, undefined, "imports of {}", file.display());
        let differ: Vec<_> = exports.symmetric_difference(&defined).collect();
        assert!(differ.is_empty(), "exports of {}: {differ:?}", file.display());
    }
}

/// The same file without section headers, as packers leave it.
fn without_sections(path: &Path) -> Elf {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[0x28..0x30].fill(0);
    bytes[0x3a..0x40].fill(0);
    match analyse(&bytes, path) {
        Analysis::Elf(elf) => *elf,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[test]
fn section_headers_are_not_needed() {
    for file in ["/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6"].map(Path::new) {
        let (with, without) = (elf(file), without_sections(file));
        assert_eq!(with.imports, without.imports);
        assert_eq!(with.exports.len(), without.exports.len());
        assert_eq!(with.build_id, without.build_id);
        let raw = |elf: &Elf| {
            elf.sites.iter().map(|site| (site.address, site.via, site.number)).collect::<BTreeSet<_>>()
        };
        assert_eq!(raw(&with), raw(&without), "{}", file.display());
    }
}

/// Addresses of instructions that enter the kernel, as objdump sees them.
fn sites_of_objdump(file: &Path) -> BTreeSet<u64> {
    let text = said("objdump", &["-d", "--no-show-raw-insn"], file);
    let lines = text.lines().filter_map(|line| line.trim().split_once(":\t"));
    let sites = lines.filter(|(_, instruction)| {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        matches!(words.as_slice(), ["syscall" | "sysenter", ..] | ["int", "$0x80"] | ["call", "*%gs:0x10"])
    });
    sites.filter_map(|(address, _)| u64::from_str_radix(address, 16).ok()).collect()
}

#[test]
fn instructions_that_enter_the_kernel_are_those_that_objdump_prints() {
    let mut seen = 0;
    for file in files() {
        let elf = elf(&file);
        let ours: BTreeSet<u64> = elf.sites.iter().map(|site| site.address).collect();
        let theirs = sites_of_objdump(&file);
        let missing: Vec<_> = theirs.difference(&ours).map(|site| format!("{site:x}")).collect();
        assert!(missing.is_empty(), "not found in {}: {missing:?}", file.display());
        // Ours are also calls of functions that take a number.
        let text = said("objdump", &["-d", "--no-show-raw-insn"], &file);
        let instructions: BTreeMap<u64, &str> = text
            .lines()
            .filter_map(|line| line.trim().split_once(":\t"))
            .filter_map(|(address, instruction)| Some((u64::from_str_radix(address, 16).ok()?, instruction)))
            .collect();
        for site in elf.sites.iter().filter(|site| !theirs.contains(&site.address)) {
            if matches!(site.via, Via::VsyscallData | Via::VsyscallMention) {
                continue;
            }
            let instruction = instructions.get(&site.address).unwrap_or(&"no instruction");
            // glibc's clone() has its number in the last instruction before a new function.
            let is_call =
                ["call", "jmp", "j", "bnd jmp", "mov"].iter().any(|word| instruction.starts_with(word));
            assert!(is_call, "{}: {site:x?} is {instruction}", file.display());
        }
        seen += theirs.len();
    }
    assert!(seen > 3000, "only {seen} instructions looked at");
}

/// The numbers that are known.
fn known(reach: &Reach<'_>, at_least: Certainty) -> BTreeSet<u32> {
    let numbers = reach.numbers(at_least).into_iter();
    numbers
        .filter_map(|(_, number)| if let Number::Known(number) = number { Some(number) } else { None })
        .collect()
}

#[test]
fn wrappers_of_a_libc_make_the_call_that_they_are_named_for() {
    /// Names of calls that a libc has on x86-64 and carries out by others: by newer ones, in user space, not at all.
    const BY_OTHERS: &[&str] = &[
        "accept",
        "access",
        "alarm",
        "chmod",
        "chown",
        "clone",
        "creat",
        "dup2",
        "epoll_create",
        "epoll_wait",
        "eventfd",
        "exit",
        "fork",
        "fstat",
        "futimesat",
        "getdents",
        "getdents64",
        "getpgrp",
        "getrlimit",
        "gettid",
        "inotify_init",
        "lchown",
        "link",
        "lstat",
        "mkdir",
        "mknod",
        "mq_notify",
        "open",
        "pause",
        "pipe",
        "poll",
        "readlink",
        "recv",
        "rename",
        "rmdir",
        "select",
        "send",
        "setrlimit",
        "shmat",
        "signal",
        "signalfd",
        "stat",
        "symlink",
        "time",
        "gettimeofday",
        "umount",
        "unlink",
        "ustat",
        "utime",
        "utimes",
        "vfork",
        "waitpid",
        "semop",
        "ulimit",
        "setuid",
        "setgid",
        "uselib",
        "sigaltstack",
        "sigreturn",
        "sigsuspend",
        "sigpending",
        "sigprocmask",
        "sigaction",
        "nice",
        "stime",
        "getcpu",
        "clock_gettime",
        "clock_getres",
        "sysfs",
        "settimeofday",
        "adjtimex",
        "clock_adjtime",
        "sigqueue",
        "nanosleep",
        "brk",
        "umount2",
        "_llseek",
        "pselect6",
        "readdir",
        "ssetmask",
        "sgetmask",
        "idle",
        "bdflush",
        "wait4",
        "security",
        "tuxcall",
        "vserver",
        "afs_syscall",
        "getpmsg",
        "putpmsg",
        "gtty",
        "stty",
        "prof",
        "profil",
        "lock",
        "break",
        "mpx",
        "ftime",
        "syslog",
        "sched_getparam",
        "sched_getscheduler",
        "sched_setparam",
        "sched_setscheduler",
        "sendmmsg",
        "create_module",
        "query_module",
        "get_kernel_syms",
        "nfsservctl",
        "sched_yield",
    ];
    for file in libcs() {
        let elf = elf(&file);
        let files = [File { elf: &elf, role: Role::Linked }];
        let (mut right, mut wrong) = (0, Vec::new());
        for call in CALLS {
            let Some(number) = call.x86_64 else { continue };
            if !elf.exports.iter().any(|export| export.name == call.name && export.is_function) {
                continue;
            }
            let numbers = reach_from_symbol(&files, call.name).numbers(Certainty::Called);
            // Threads change their user together: by a number in a record.
            let is_passed =
                call.name.starts_with("set") && numbers.iter().any(|(_, number)| *number == Number::Unknown);
            if numbers.iter().any(|(_, known)| *known == Number::Known(u32::from(number))) {
                right += 1;
            } else if !is_passed && !BY_OTHERS.contains(&call.name) {
                wrong.push(call.name);
            }
        }
        println!("{}: {right} wrappers", file.display());
        assert!(wrong.is_empty(), "{}: {wrong:?}", file.display());
        assert!(right > 200, "{}: only {right} are right", file.display());
    }
}

#[test]
fn unknown_numbers_are_few() {
    for file in files() {
        let elf = elf(&file);
        let raw = elf.sites.len();
        let unknown = elf.sites.iter().filter(|site| site.number == Number::Unknown).count();
        assert!(unknown <= 3 + raw / 40, "{}: {unknown} of {raw}", file.display());
        assert!(elf.sites.is_empty() || elf.code.depth == Depth::Functions, "{}", file.display());
    }
}

/// The files that a run loaded, as strace saw them opened, and the numbers of its calls after execve.
fn traced(program: &[&str]) -> (Vec<PathBuf>, BTreeSet<u32>) {
    let output = Command::new("strace")
        .args(["-f", "-n", "-qq", "-e", "signal=none", "-o", "/dev/stderr", "--"])
        .args(program)
        .env("LC_ALL", "C")
        .output()
        .expect("strace runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (mut files, mut numbers) = (Vec::new(), BTreeSet::new());
    let mut is_begun = false;
    for line in text.lines() {
        let Some((number, call)) = line.split_once('[').and_then(|(_, rest)| rest.split_once(']')) else {
            continue;
        };
        let (Ok(number), call) = (number.trim().parse::<u32>(), call.trim()) else { continue };
        if !is_begun {
            // strace's own.
            is_begun = call.starts_with("execve(");
            continue;
        }
        assert!(!call.starts_with("execve("), "{program:?} starts another program");
        numbers.insert(number);
        if call.starts_with("open") && !call.contains("= -1") {
            let path = call.split('"').nth(1).unwrap_or("");
            let is_library =
                Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
            if is_library && fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF")) {
                files.push(PathBuf::from(path));
            }
        }
    }
    assert!(!numbers.is_empty(), "{program:?} was not traced: {text}");
    (files, numbers)
}

/// Asserts that every call that strace sees is among those that are said to be reached.
fn no_call_is_missed(words: &[&str]) {
    let path = fs::canonicalize(words[0]).expect("it is there");
    let (libraries, seen) = traced(words);
    let program = elf(&path);
    let mut elves = vec![(path.clone(), program)];
    let mut wanted: Vec<String> = elves[0].1.needed.clone();
    for library in libraries {
        let elf = elf(&library);
        wanted.extend(elf.needed.iter().cloned());
        elves.push((library, elf));
    }
    if let Kind::Program { interpreter } = &elves[0].1.kind {
        let loader = fs::canonicalize(interpreter).expect("it is there");
        let loader_facts = elf(&loader);
        elves.push((loader, loader_facts));
    }
    let loaded: Vec<File<'_>> = elves
        .iter()
        .enumerate()
        .map(|(index, (path, elf))| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_needed =
                elf.soname.as_ref().is_some_and(|name| wanted.contains(name)) || wanted.contains(&name);
            let is_loader = elf.libc.as_ref().is_some_and(|libc| libc.is_itself);
            let is_plugin = index > 0 && !is_needed && !is_loader;
            File { elf, role: if is_plugin { Role::Plugin } else { Role::Linked } }
        })
        .collect();
    let reach = reach(&loaded);
    let predicted = known(&reach, Certainty::Pointed);
    let missed: Vec<_> = seen.difference(&predicted).collect();
    let called = known(&reach, Certainty::Called);
    println!(
        "{}: strace saw {}, called {}, with pointers {}, beyond \"called\": {:?}",
        words.join(" "),
        seen.len(),
        called.len(),
        predicted.len(),
        seen.difference(&called).collect::<Vec<_>>()
    );
    assert!(missed.is_empty(), "{words:?}: strace saw {missed:?}, which were not said to be reached");
    // And not everything is.
    let all: BTreeSet<u32> = elves
        .iter()
        .flat_map(|(_, elf)| &elf.sites)
        .filter_map(|site| if let Number::Known(number) = site.number { Some(number) } else { None })
        .collect();
    if elves.len() > 1 {
        assert!(predicted.len() < all.len(), "{words:?}: everything is reached");
    }
}

#[test]
fn every_call_that_strace_sees_was_said_to_be_reached() {
    for words in [
        &["/bin/true"][..],
        &["/bin/ls", "-la", "/"],
        &["/bin/cat", "/etc/passwd"],
        &["/usr/bin/id"],
        &["/usr/bin/find", "/etc", "-name", "passwd"],
        &["/bin/bash", "-c", "echo $BASH_VERSION; for a in 1 2; do :; done; cd /; test -w /tmp; ulimit -n"],
        &[
            "/bin/bash",
            "-c",
            "(echo in a child); x=$(echo captured); echo $x | while read y; do echo $y; done; wait",
        ],
        &["/bin/sh", "-c", "echo a > /dev/null; trap : TERM; kill -TERM $$"],
        &["/usr/bin/sort", "--parallel=4", "/etc/services"],
        &["/usr/bin/stat", "/"],
        &["/bin/df", "/"],
        &["/usr/bin/du", "-s", "/etc"],
        &["/usr/bin/touch", "/dev/null"],
        &["/bin/date"],
        &["/bin/sleep", "0.01"],
        &["/usr/bin/getent", "hosts", "localhost"],
        &["/usr/bin/awk", "BEGIN { print systime() }"],
        &[
            "/usr/bin/python3",
            "-c",
            "import os, time, threading, socket, select, subprocess\nt = threading.Thread(target=time.time)\nt.start(); t.join(); os.listdir('/'); time.sleep(0.01); socket.socket().close(); os.urandom(3)",
        ],
        &["/usr/bin/perl", "-e", "use POSIX; print time, getpid; sleep 0; opendir my $d, '/'; readdir $d"],
    ] {
        if Path::new(words[0]).exists() {
            no_call_is_missed(words);
        } else {
            (|| skip!("no {}", words[0]))();
        }
    }
}

#[test]
fn every_call_of_the_test_programs_in_all_their_forms_was_said_to_be_reached() {
    for name in [
        "limits",
        "limits.static",
        "legacy.musl",
        "legacy.static",
        "legacy.i386",
        "inline_calls",
        "inline_calls.static",
        "inline_calls.musl",
        "clock_values",
        "in_threads",
        "vsyscall.static-pie",
    ] {
        let path = program(name);
        let path = path.to_str().expect("ASCII");
        if name == "in_threads" {
            no_call_is_missed(&[path, "/bin/true"]);
        } else {
            no_call_is_missed(&[path]);
        }
    }
}

#[test]
fn a_static_busybox_reaches_what_it_calls() {
    let busybox = "/usr/bin/busybox";
    if !Path::new(busybox).exists() {
        skip!("no busybox-static");
    }
    for words in [
        &["ls", "-l", "/"][..],
        &["sh", "-c", "echo $((1+1)); cd /"],
        &["date"],
        &["df"],
        &["id"],
        &["uname", "-a"],
        &["ps"],
        &["free"],
    ] {
        let words: Vec<&str> = [busybox].into_iter().chain(words.iter().copied()).collect();
        no_call_is_missed(&words);
    }
}

fn built_by_go(folder: &Path, cgo: &str) -> Option<PathBuf> {
    let source = folder.join("main.go");
    fs::write(&source, "package main\nimport (\"fmt\"; \"os\"; \"syscall\")\nfunc main() {\n\tsyscall.RawSyscall(136, 0, 0, 0)\n\t_, err := os.ReadDir(\"/\")\n\tfmt.Println(err, os.Getpid())\n}\n").expect("it is written");
    let program = folder.join(format!("program{cgo}"));
    let status = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .env("CGO_ENABLED", cgo)
        .env("GOCACHE", folder.join("cache"))
        .env("GO111MODULE", "off")
        .status();
    status.is_ok_and(|status| status.success()).then_some(program)
}

#[test]
fn go_programs_tell_their_version_and_their_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(program) = built_by_go(folder.path(), "0") else { skip!("go cannot build here") };
    let facts = elf(&program);
    let version = said("go", &["version"], &program);
    let go = facts.go.as_ref().expect("it is Go's");
    assert!(version.contains(&format!(": {}", go.version)), "{version} has no {}", go.version);
    assert_eq!(go.cgo, Some(false));
    assert_eq!(facts.kind, Kind::Static);
    // ustat, through syscall.RawSyscall.
    let files = [File { elf: &facts, role: Role::Linked }];
    let reach = reach(&files);
    let (_, ustat, _) = reach
        .sites()
        .find(|&(_, site, _)| facts.sites[site as usize].number == Number::Known(136))
        .expect("ustat is reached");
    let function = facts.sites[ustat as usize].function.expect("in a function");
    assert_eq!(facts.code.functions[function as usize].name.as_deref(), Some("main.main"));
    no_call_is_missed(&[program.to_str().expect("ASCII")]);
}

#[test]
fn facts_of_known_files() {
    let libc = elf(Path::new("/lib/x86_64-linux-gnu/libc.so.6"));
    let version = said("/lib/x86_64-linux-gnu/libc.so.6", &[], Path::new("--version"));
    let facts = libc.libc.expect("it is a libc");
    assert_eq!((facts.kind, facts.is_itself), (LibcKind::Glibc, true));
    assert!(version.contains(&format!("version {}.", facts.version.expect("it says it"))), "{version}");
    assert_eq!(libc.kind, Kind::Library);
    let musl = elf(Path::new("/lib/x86_64-linux-musl/libc.so")).libc.expect("it is a libc");
    let output = Command::new("/lib/x86_64-linux-musl/libc.so").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(musl.kind, LibcKind::Musl);
    assert!(said.contains(&format!("Version {}", musl.version.expect("it says it"))), "{said}");
    let fixed = elf(&program("legacy.static"));
    assert_eq!(fixed.libc.map(|libc| (libc.kind, libc.is_itself)), Some((LibcKind::Glibc, false)));
    assert!(fixed.minimum_kernel.is_some());
    let i386 = elf(&program("legacy.i386"));
    assert_eq!(i386.architecture, Architecture::I386);
    assert!(
        i386.sites
            .iter()
            .any(|site| site.via == Via::SyscallFunction && matches!(site.number, Number::Known(_)))
    );
}

#[test]
fn vsyscall_addresses_are_calls_data_or_mentions() {
    for name in ["vsyscall", "vsyscall.static", "vsyscall.static-pie"] {
        let elf = elf(&program(name));
        let numbers = |via: Via| {
            elf.sites.iter().filter(|site| site.via == via).map(|site| site.number).collect::<BTreeSet<_>>()
        };
        assert_eq!(numbers(Via::VsyscallCall), [Number::Known(96), Number::Known(201)].into(), "{name}");
        assert!(numbers(Via::VsyscallData).contains(&Number::Known(309)), "{name}");
    }
}

fn small_files() -> Vec<Vec<u8>> {
    let files = [
        program("show_exec"),
        program("show_exec.i386"),
        program("own_start"),
        PathBuf::from("/bin/true"),
        PathBuf::from("/lib32/libdl.so.2"),
    ];
    files.iter().map(|file| fs::read(file).expect("it is there")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_files_never_panic_and_end_soon(
        file in 0..5usize,
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..40),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = small_files().swap_remove(file);
        let size = bytes.len();
        for (at, byte, in_headers) in wrong {
            // Headers and tables more often than the rest.
            bytes[at.index(if in_headers { size.min(1024) } else { size })] = byte;
        }
        // Else it would be no ELF file.
        bytes[..4].copy_from_slice(b"\x7fELF");
        if let Some(length) = length {
            bytes.truncate(length.index(size));
        }
        let begun = std::time::Instant::now();
        let _ = analyse(&bytes, Path::new("damaged"));
        prop_assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }
}
