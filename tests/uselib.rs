//! `uselib(2)`: libraries made here byte by byte are mapped as load_elf_library of kernel 5.10 mapped them,
//! or refused as it refused them. `stime(2)` and STREAMS, which have as little to compare with, stand here too.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{Nobody, answer, answers, ask, buffer, failure, in_namespace, is_root, outcome};
use common::{shim, succeed, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const DONE: &str = "0 1234";

/// Where the segment is in the file and in memory: one page and some bytes in, so that nothing is aligned.
const OFFSET: usize = 0x1100;
const ADDRESS: u64 = 0x6000_0100;
const FILE_SIZE: usize = 0x1500;
const MEMORY_SIZE: usize = 0x4500;

/// The kernel here has no uselib, or refuses it with ENOSYS: nothing is forced.
fn repaired() -> Command {
    let mut command = ask();
    command.env("LD_PRELOAD", shim());
    command
}

/// An ELF library of one PT_LOAD at an address; what is not the header counts up, so that each byte
/// tells where it came from.
fn library(address: u64) -> Vec<u8> {
    let mut file: Vec<u8> = (0..0x3000usize).map(|at| (at % 251) as u8 + 1).collect();
    file[..120].fill(0);
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &2u16.to_le_bytes()); // ET_EXEC
    put(&mut file, 18, &62u16.to_le_bytes()); // EM_X86_64
    put(&mut file, 32, &64u64.to_le_bytes()); // e_phoff
    put(&mut file, 54, &56u16.to_le_bytes()); // e_phentsize
    put(&mut file, 56, &1u16.to_le_bytes()); // e_phnum
    segment(&mut file, 64, 1, address);
    file
}

fn segment(file: &mut [u8], at: usize, kind: u32, address: u64) {
    put(file, at, &kind.to_le_bytes());
    for (index, word) in
        [OFFSET as u64, address, address, FILE_SIZE as u64, MEMORY_SIZE as u64].iter().enumerate()
    {
        put(file, at + 8 + index * 8, &word.to_le_bytes());
    }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn store(folder: &TempDir, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn uselib(path: &Path) -> String {
    format!("syscall uselib str:{}", path.display().to_string().replace(' ', "%20"))
}

/// The file's bytes, then zeros to the end of the page and of the memory that the segment asked for, all of
/// it writable; nothing behind it. A second time the place is taken.
#[test]
fn a_library_is_mapped_with_its_bytes_and_zeros_behind_them() {
    let folder = TempDir::new().unwrap();
    let content = library(ADDRESS);
    let path = store(&folder, "library", &content, 0o755);
    // A type's name is written behind the file's bytes, which only a writable page takes.
    let questions = [
        uselib(&path),
        "peek 0x60000000 4096".to_owned(),
        "peek 0x60001000 4096".to_owned(),
        "peek 0x60002000 4096".to_owned(),
        "peek 0x60004000 4096".to_owned(),
        "peek 0x60005000 1".to_owned(),
        "syscall sysfs 2 0 0x60001ff0".to_owned(),
        "syscall sysfs 2 0 0x60004ff0".to_owned(),
        "syscall sysfs 2 0 0x60000100".to_owned(),
        uselib(&path),
    ];
    let given = answers(&mut repaired(), &questions);
    assert_eq!(outcome(&given[0]), DONE);
    assert_eq!(buffer(&given[1], 0), content[0x1000..0x2000]);
    let second = buffer(&given[2], 0);
    assert_eq!(second[..0x600], content[0x2000..0x2600]);
    assert!(second[0x600..].iter().all(|&b| b == 0), "the file shows behind its segment");
    for page in &given[3..5] {
        assert_eq!(buffer(page, 0), [0; 4096]);
    }
    assert_eq!(outcome(&given[5]), failure(libc::EFAULT), "mapped too far");
    for written in &given[6..9] {
        assert_eq!(outcome(written), DONE, "not writable");
    }
    assert_eq!(outcome(&given[9]), failure(libc::EEXIST));
}

/// Segments may be executed, zeroed memory behind them not: as mmap and brk made them.
#[test]
fn pages_have_the_rights_that_the_kernel_gave_them() {
    let folder = TempDir::new().unwrap();
    let path = store(&folder, "library", &library(ADDRESS), 0o755);
    let mut command = common::bare("strace");
    command.args(["-qq", "-e", "trace=mmap", "-E"]).arg(format!("LD_PRELOAD={}", shim().display()));
    let output = ask::feed(command.arg(common::program("ask")), &(uselib(&path) + "\n"));
    if !output.status.success() {
        skip!("strace cannot run here: {}", text(&output.stderr));
    }
    let trace = text(&output.stderr);
    let rights = |address: &str| trace.lines().find(|line| line.contains(address)).unwrap().to_owned();
    assert!(rights("mmap(0x60000000").contains("PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|"), "{trace}");
    assert!(rights("mmap(0x60002000").contains("PROT_READ|PROT_WRITE, MAP_PRIVATE|"), "{trace}");
}

/// What is no ELF library of one segment for this machine is ENOEXEC; e_phentsize was never looked at.
#[test]
fn what_is_no_library_is_enoexec() {
    let folder = TempDir::new().unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = library(ADDRESS);
        change(&mut content);
        uselib(&store(&folder, name, &content, 0o755))
    };
    let refused = [
        changed("empty", &|file| file.clear()),
        changed("script", &|file| *file = b"#!/bin/sh\n".to_vec()),
        changed("magic", &|file| file[3] = b'G'),
        changed("dyn", &|file| file[16] = 3),
        changed("rel", &|file| file[16] = 1),
        changed("i386", &|file| file[18] = 3),
        changed("no segments", &|file| file[56] = 0),
        changed("three segments", &|file| file[56] = 3),
        changed("65281 segments", &|file| put(file, 56, &0xff01u16.to_le_bytes())),
        changed("two loads", &|file| {
            file[56] = 2;
            segment(file, 120, 1, ADDRESS + 0x10_0000);
        }),
        changed("no load", &|file| file[64] = 4),
        changed("offset behind the end", &|file| put(file, 32, &0x3000u64.to_le_bytes())),
        changed("offset at the end", &|file| put(file, 32, &(0x3000u64 - 55).to_le_bytes())),
        changed("negative offset", &|file| put(file, 32, &u64::MAX.to_le_bytes())),
        changed("least offset", &|file| put(file, 32, &(1u64 << 63).to_le_bytes())),
    ];
    for (question, answer) in refused.iter().zip(answers(&mut repaired(), &refused)) {
        assert_eq!(outcome(&answer), failure(libc::ENOEXEC), "{question}");
    }
    let accepted = [
        changed("entry size", &|file| put(file, 54, &[0, 0])),
        changed("note first", &|file| {
            file[56] = 2;
            segment(file, 64, 4, 0);
            segment(file, 120, 1, ADDRESS + 0x10_0000);
        }),
    ];
    for (question, answer) in accepted.iter().zip(answers(&mut repaired(), &accepted)) {
        assert_eq!(outcome(&answer), DONE, "{question}");
    }
}

/// Addresses that mmap refuses are mmap's errors.
#[test]
fn impossible_segments_are_the_errors_of_mmap() {
    let folder = TempDir::new().unwrap();
    let mut crooked = library(ADDRESS);
    put(&mut crooked, 72, &(OFFSET as u64 + 8).to_le_bytes()); // p_offset not congruent to p_vaddr
    let mut endless = library(ADDRESS);
    put(&mut endless, 96, &(u64::MAX - 0x1000).to_le_bytes()); // p_filesz
    let cases = [
        ("kernel", library(0xffff_8880_0000_0100), libc::ENOMEM),
        ("crooked", crooked, libc::EINVAL),
        ("endless", endless, libc::ENOMEM),
    ];
    for (name, content, errno) in cases {
        let answer = answer(&mut repaired(), &uselib(&store(&folder, name, &content, 0o755)));
        assert_eq!(outcome(&answer), failure(errno), "{name}");
    }
}

/// A file cut anywhere: ENOEXEC inside the headers, EFAULT while the page of the segment's end is missing.
#[test]
fn a_file_cut_at_any_length_never_crashes() {
    let folder = TempDir::new().unwrap();
    let lengths: Vec<usize> = (0..200).chain((200..0x3000).step_by(97)).chain(0x1ff0..0x2010).collect();
    let cut = |(index, &length): (usize, &usize)| {
        let content = library(ADDRESS + index as u64 * 0x10_0000);
        uselib(&store(&folder, &format!("cut{index}"), &content[..length], 0o755))
    };
    let questions: Vec<String> = lengths.iter().enumerate().map(cut).collect();
    for (length, answer) in lengths.iter().zip(answers(&mut repaired(), &questions)) {
        let expected = match length {
            0..120 => failure(libc::ENOEXEC),
            120..=0x2000 => failure(libc::EFAULT),
            _ => DONE.to_owned(),
        };
        assert_eq!(outcome(&answer), expected, "cut to {length} bytes");
    }
}

/// The path: what open(2) says, EACCES for what is no regular file or may not be executed.
#[test]
fn paths_that_are_no_executable_file_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = store(&folder, "not-executable", &library(ADDRESS), 0o644);
    let _socket = UnixListener::bind(path("socket")).unwrap();
    symlink("loop", path("loop")).unwrap();
    succeed(Command::new("mkfifo").arg(path("fifo")));
    let cases = [
        (uselib(folder.path()), libc::EACCES),
        (uselib(&file), libc::EACCES),
        (uselib(&path("socket")), libc::EACCES),
        (uselib(&path("fifo")), libc::EACCES),
        (uselib(Path::new("/dev/null")), libc::EACCES),
        (uselib(&path("none")), libc::ENOENT),
        (uselib(&file.join("below")), libc::ENOTDIR),
        (uselib(&path("loop")), libc::ELOOP),
        ("syscall uselib str:".to_owned(), libc::ENOENT),
        ("syscall uselib long:255".to_owned(), libc::ENOENT),
        ("syscall uselib long:4096".to_owned(), libc::ENAMETOOLONG),
        ("syscall uselib null".to_owned(), libc::EFAULT),
        ("symbol uselib bad".to_owned(), libc::EFAULT),
        ("syscall uselib kernel".to_owned(), libc::EFAULT),
        (format!("syscall uselib cutstr:{}", file.display()), libc::EFAULT),
    ];
    let questions: Vec<String> = cases.iter().map(|(question, _)| question.clone()).collect();
    for ((question, errno), answer) in cases.iter().zip(answers(&mut repaired(), &questions)) {
        assert_eq!(outcome(&answer), failure(*errno), "{question}");
    }
}

/// A mount that lets nothing be executed lets nothing be loaded either.
#[test]
fn a_noexec_mount_is_eacces() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let folder = TempDir::new().unwrap();
    let path = store(&folder, "library", &library(ADDRESS), 0o755);
    for (option, expected) in [("noexec", failure(libc::EACCES)), ("exec", DONE.to_owned())] {
        let script = format!(
            "mount -t tmpfs -o {option} t /mnt\ncp {} /mnt/library\n\
             export LD_PRELOAD=$SHIM\nexec \"$ASK\"",
            path.display()
        );
        let answer = answer(&mut in_namespace(&["-m"], &script), "syscall uselib str:/mnt/library");
        assert_eq!(outcome(&answer), expected, "{option}");
    }
}

/// stime: bad pointers are EFAULT, and only root may. Nothing here could set the clock.
#[test]
fn stime_without_the_right_is_eperm_and_a_bad_pointer_efault() {
    if !is_root() {
        skip!("needs root to become nobody");
    }
    let nobody = Nobody::new();
    let questions = ["null", "bad", "none", "kernel", "edge:7", "longs:1000000000", "longs:0"];
    let questions = questions.map(|at| format!("symbol stime {at}"));
    let mut command = nobody.ask(None);
    let given = answers(command.env("EVERCALL_FORCE", "stime"), &questions);
    for (question, answer) in questions.iter().zip(&given) {
        let errno = if question.contains("longs:") { libc::EPERM } else { libc::EFAULT };
        assert_eq!(outcome(answer), failure(errno), "{question}");
    }
    // Another errno than the kernel's own: a filter's on clock_settime reaches the program as it is.
    let mut command = nobody.ask(Some(("EACCES", "227")));
    let answer = answer(command.env("EVERCALL_FORCE", "stime"), "symbol stime longs:1000000000");
    assert_eq!(outcome(&answer), failure(libc::EACCES));
}

/// STREAMS answer ENOSYS by every door, as every Linux kernel does, whatever a filter makes of them.
#[test]
fn streams_are_enosys_by_every_door() {
    let questions = [
        "syscall getpmsg 0 null null null null",
        "syscall putpmsg 0 null null 0 0",
        "symbol getpmsg -1 bad bad bad bad",
        "symbol putpmsg -1 bad bad 0 0",
        "symbol getmsg 0 null null null",
        "symbol putmsg 0 bad bad 0",
    ];
    let questions = questions.map(str::to_owned);
    for mut command in [repaired(), ask::ask_repaired("EPERM", "getpmsg,putpmsg")] {
        for (question, answer) in questions.iter().zip(answers(&mut command, &questions)) {
            assert_eq!(outcome(&answer), failure(libc::ENOSYS), "{question}");
        }
    }
}
