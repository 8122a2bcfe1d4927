//! What exec must not change: failures, their order, scripts, programs that cannot take the shim. The oracle
//! is the same call by the same program, run bare.

mod common;
#[path = "common/execs.rs"]
mod execs;

use common::{bare, program, succeed, text, under_shim};
use execs::{ALL, Environment, exec, preload};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// How a run ended and what it printed, without what is put back.
fn ending(mut command: Command) -> (Option<i32>, String, String) {
    // A shell that is handed an ELF file for a script finds a `>` in it: in a folder of its own.
    let folder = tempfile::tempdir().unwrap();
    let output = command.current_dir(folder.path()).output().unwrap();
    let stdout = text(&output.stdout).replace(&format!("env {}\n", preload()), "");
    (output.status.code(), stdout, text(&output.stderr))
}

fn write(path: PathBuf, bytes: &[u8], mode: u32) -> PathBuf {
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// Paths of all kinds that an exec may be given, good ones among them.
fn paths(folder: &TempDir) -> Vec<PathBuf> {
    let at = |name: &str| folder.path().join(name);
    let show = fs::read(program("show_exec.static")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    symlink(at("good"), at("link")).unwrap();
    symlink("/nowhere", at("dangling")).unwrap();
    succeed(bare("mkfifo").arg(at("fifo")));
    let script = |first: &str| format!("#!{first}\nexit 3\n").into_bytes();
    let interpreter = program("show_exec.static");
    // With a harmless text behind, since execvp hands it to the shell.
    let mut other_machine = [&show[..20], b"\nexit 5\n"].concat();
    other_machine[18] = 183; // EM_AARCH64
    let mut all = vec![
        PathBuf::new(),
        at("missing"),
        at("folder"),
        at("folder/"),
        at("folder/missing/deeper"),
        at("loop"),
        at("link"),
        at("dangling"),
        at("good/below"),
        at("n".repeat(255).as_str()),
        at("n".repeat(256).as_str()),
        at("n/".repeat(2100).as_str()),
        PathBuf::from("/dev/null"),
        PathBuf::from("/proc/self/mem"),
        PathBuf::from("/"),
        PathBuf::from("."),
        at("fifo"),
    ];
    for (name, bytes, mode) in [
        ("good", &show[..], 0o755),
        ("not_executable", &show, 0o644),
        ("no_rights", &show, 0),
        ("only_executable", &show, 0o111),
        ("empty", b"", 0o755),
        ("one_byte", b"\x7f", 0o755),
        ("magic", b"\x7fELF", 0o755),
        ("19_bytes", &show[..19], 0o755),
        ("cut", &show[..48], 0o755),
        ("other_machine", &other_machine, 0o755),
        ("text", b"exit 5\n", 0o755),
        ("binary", b"\x00\x01\x02\x03", 0o755),
        ("script", &script("/bin/sh"), 0o755),
        ("script_with_argument", &script(&format!("{} -x a b", interpreter.display())), 0o755),
        ("script_of_nobody", &script("/nowhere"), 0o755),
        ("script_of_folder", &script("/tmp"), 0o755),
        ("script_of_nothing", &script(""), 0o755),
        ("script_not_executable", &script("/bin/sh"), 0o644),
        ("script_of_itself", &script(at("script_of_itself").to_str().unwrap()), 0o755),
    ] {
        all.push(write(at(name), bytes, mode));
    }
    all
}

/// Every function on every path, with an environment that is put back and one that has all: the same ending.
#[test]
fn every_path_ends_as_bare() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, some) = (Environment::of(&[]), Environment::of(&["A=1", "PATH=/bin:/usr/bin"]));
    let mut failures = 0;
    for path in paths(&folder) {
        for how in ALL {
            for word in [empty.word(), some.word()] {
                let expected = ending(exec(bare(program("exec_by")), "", how, word, &path));
                let got = ending(exec(under_shim(program("exec_by")), "", how, word, &path));
                assert_eq!(got, expected, "{how} {}", path.display());
                failures += usize::from(expected.1.contains(" fails "));
            }
        }
    }
    assert!(failures > 300, "{failures} failures only");
}

/// The same in a vfork child, whose errno is its parent's, and from a thread with a small stack.
#[test]
fn failures_in_vfork_children_and_small_threads_are_as_bare() {
    let folder = tempfile::tempdir().unwrap();
    let empty = Environment::of(&[]);
    let paths = paths(&folder);
    for path in
        ["missing", "not_executable", "magic", "loop", "script", "good"].map(|name| folder.path().join(name))
    {
        assert!(path.ends_with("missing") || paths.contains(&path));
        for how in ALL {
            for place in ["vfork", "thread"] {
                let expected = ending(exec(bare(program("exec_by")), place, how, empty.word(), &path));
                let got = ending(exec(under_shim(program("exec_by")), place, how, empty.word(), &path));
                assert_eq!(got, expected, "{place} {how} {}", path.display());
            }
        }
    }
}

/// A file that is open for writing is busy.
#[test]
fn a_busy_file_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy");
    fs::copy(program("show_exec.static"), &path).unwrap();
    let _writer = File::options().append(true).open(&path).unwrap();
    let empty = Environment::of(&[]);
    for how in ALL {
        let expected = ending(exec(bare(program("exec_by")), "", how, empty.word(), &path));
        assert!(expected.1.contains("26"), "ETXTBSY: {expected:?}");
        assert_eq!(
            ending(exec(under_shim(program("exec_by")), "", how, empty.word(), &path)),
            expected,
            "{how}"
        );
    }
}

/// A bad environment is EFAULT, from the kernel; and the file is looked for first.
#[test]
fn a_bad_environment_is_the_kernels_to_refuse() {
    for how in ["execve", "execvpe", "execle", "execveat", "SYS_execve", "SYS_execveat", "posix_spawn"] {
        for word in ["address", "string", "unended"] {
            for (target, errno) in [(program("show_exec"), "14"), (PathBuf::from("/nowhere"), "2")] {
                let expected = ending(exec(bare(program("exec_by")), "", how, word, &target));
                assert!(expected.1.contains(&format!(" {errno}\n")), "{expected:?}");
                let got = ending(exec(under_shim(program("exec_by")), "", how, word, &target));
                assert_eq!(got, expected, "{how} {word}");
            }
        }
    }
}

/// The largest environment that the kernel takes is taken; where ours has no room, it is left out.
#[test]
fn the_largest_environment_is_still_taken() {
    let target = program("show_exec.static");
    let of = |length: usize| {
        let strings = vec!["A".repeat(100_000); length / 100_000];
        let mut strings: Vec<&str> = strings.iter().map(String::as_str).collect();
        let last = "B".repeat(length % 100_000);
        strings.push(&last);
        Environment::of(&strings)
    };
    let run = |command, how: &str, length| ending(exec(command, "", how, of(length).word(), &target));
    let fits = |length| !run(bare(program("exec_by")), "execve", length).1.contains("execve fails 7");
    let (mut good, mut bad) = (100_000, 6_000_000);
    assert!(fits(good) && !fits(bad));
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        *(if fits(middle) { &mut good } else { &mut bad }) = middle;
    }
    for how in ALL {
        for length in [good - 200, good - 20, good, bad, bad + 200] {
            let expected = run(bare(program("exec_by")), how, length);
            assert!(run(under_shim(program("exec_by")), how, length) == expected, "{how} {length} of {good}");
        }
    }
}

/// A 32-bit program is left as it is: nothing is added, and no ld.so complains on standard error.
#[test]
fn a_32_bit_program_is_left_as_it_is() {
    let environment = Environment::of(&["A=1"]);
    let folder = tempfile::tempdir().unwrap();
    // Where no 32-bit program was built, one that only its header says so of: it must fail as bare.
    let mut header = fs::read(program("show_exec")).unwrap();
    header[4] = 1;
    let made = write(folder.path().join("made"), &header, 0o755);
    let target = common::root().join("test-programs/build/show_exec.i386");
    for how in ALL {
        // execvp and posix_spawnp know a name with a slash for a path.
        for target in [&target, &made] {
            let run = |command| exec(command, "", how, environment.word(), target).output().unwrap();
            let (expected, got) = (run(bare(program("exec_by"))), run(under_shim(program("exec_by"))));
            assert_eq!(text(&got.stdout), text(&expected.stdout), "{how}");
            assert_eq!(text(&got.stderr), text(&expected.stderr), "{how}");
        }
    }
    if !target.exists() {
        skip!("no 32-bit libc");
    }
}

/// Programs of other libcs get it like any other.
#[test]
fn programs_of_other_libcs_get_it() {
    for name in ["show_exec", "show_exec.static", "show_exec.musl"] {
        let target = common::root().join("test-programs/build").join(name);
        if !target.exists() {
            eprintln!("SKIPPED {name}: not built");
            continue;
        }
        let environment = Environment::of(&["A=1"]);
        for how in ALL {
            let output =
                succeed(&mut exec(under_shim(program("exec_by")), "", how, environment.word(), &target));
            let stdout = text(&output.stdout);
            assert!(stdout.ends_with(&format!("env A=1\nenv {}\n", preload())), "{how} {name}: {stdout}");
            assert_eq!(text(&output.stderr), "");
        }
    }
}

/// A script's interpreter gets it, with the script's own arguments in order.
#[test]
fn a_script_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let interpreter = program("show_exec");
    let text_of = format!("#!{} -x a b\n", interpreter.display());
    let script = write(folder.path().join("script"), text_of.as_bytes(), 0o755);
    for how in ALL.into_iter().filter(|how| !how.ends_with("-fd") && *how != "fexecve") {
        let empty = Environment::of(&[]);
        let output = succeed(&mut exec(under_shim(program("exec_by")), "", how, empty.word(), &script));
        let head = format!("arg {}\narg -x a b\narg {}\narg 1\n", interpreter.display(), script.display());
        let stdout = text(&output.stdout);
        assert!(
            stdout.starts_with(&head) && stdout.ends_with(&format!("env {}\n", preload())),
            "{how}: {stdout}"
        );
    }
}

/// Which file a search through PATH finds, and with what it fails where it finds none: as bare.
#[test]
fn a_search_through_path_ends_as_bare() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        skip!("only root can run it as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let show = fs::read(program("show_exec.static")).unwrap();
    for name in ["good", "denied", "text", "folder", "closed", "empty"] {
        fs::create_dir(at(name)).unwrap();
    }
    write(at("good/tool"), &show, 0o755);
    write(at("denied/tool"), &show, 0o644);
    write(at("text/tool"), b"echo by the shell \"$0\" \"$@\"\nexit 4\n", 0o755);
    fs::create_dir(at("folder/tool")).unwrap();
    write(at("closed/tool"), &show, 0o755);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(at("closed"), Permissions::from_mode(0o000)).unwrap();
    let file = write(at("file"), b"", 0o644);
    let [good, denied, text, directory, closed, empty] =
        ["good", "denied", "text", "folder", "closed", "empty"].map(|name| at(name).display().to_string());
    let (missing, file) = (at("missing").display().to_string(), file.display().to_string());
    let lists = [
        vec![&good],
        vec![&missing, &good],
        vec![&denied, &good],
        vec![&denied],
        vec![&denied, &missing],
        vec![&missing, &denied, &empty],
        vec![&directory, &good],
        vec![&directory],
        vec![&file, &good],
        vec![&file],
        vec![&closed, &good],
        vec![&empty, &missing],
        vec![&text, &good],
        vec![&denied, &text],
        vec![&missing, &file, &denied, &directory],
    ];
    for list in &lists {
        let path = list.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(":");
        for variable in [
            format!("PATH={path}"),
            format!("PATH={path}:"),
            format!("PATH=:{path}"),
            format!("PATH=::{path}"),
        ] {
            same_search(&variable, "tool");
        }
    }
    for variable in ["PATH=", "PATH=:", "PATH=/", "A=1", "PATH=/dev/null"] {
        for name in ["tool", "true", "", ".", "..", &"n".repeat(300)] {
            same_search(variable, name);
        }
    }
}

/// A user whom the rights of files hold.
const NOBODY: u32 = 65534;

/// A searched exec with this variable in an environment that lost ours.
fn same_search(variable: &str, name: &str) {
    let environment = Environment::of(&[variable, "B=2"]);
    for how in ["execvp", "execvpe", "execlp", "posix_spawnp"] {
        for user in [None, Some(NOBODY)] {
            let run = |mut command: Command| {
                user.map(|user| command.uid(user));
                ending(exec(command, "", how, environment.word(), name))
            };
            let expected = run(bare(program("exec_by")));
            assert_ne!(expected.0, Some(99), "the environment's file cannot be read");
            assert_eq!(run(under_shim(program("exec_by"))), expected, "{how} {name} {variable} {user:?}");
        }
    }
}
