//! The log never harms: whatever becomes of the file it goes to, the program sees nothing of it. The oracle is
//! the same program run bare on the same kernel.

mod common;
#[path = "common/lines.rs"]
mod lines;

use common::{bare, program, succeed, text, under_shim};
use lines::{all_text, split};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program, ended by timeout(1) should it ever block.
fn guarded(shim: bool) -> Command {
    let mut command = if shim { under_shim("timeout") } else { bare("timeout") };
    command.arg("20").arg(program("steps"));
    logged(&mut command);
    command
}

fn logged(command: &mut Command) {
    command.env("EVERCALL_FORCE", "all").env("EVERCALL_NOFILE", "off").env("EVERCALL_LOG", "all");
}

/// How many lines of a log, all of them whole, are ustat's: closing many descriptors is translated as well.
fn of_ustat(log: &Path) -> usize {
    let log = fs::read(log).unwrap();
    all_text(&log);
    text(&log).matches("] ustat: ").count()
}

/// `steps`, bare or logging every call.
fn steps(shim: bool, words: &str) -> Command {
    let mut command = if shim { under_shim(program("steps")) } else { bare(program("steps")) };
    logged(&mut command);
    command.args(words.split_whitespace());
    command
}

/// Runs bare and logging to a path: the same on standard output, nothing on standard error.
fn unharmed_by_path(words: &str, log: &Path) {
    let expected = succeed(steps(false, words).env("EVERCALL_LOG_TO", log));
    let got = succeed(steps(true, words).env("EVERCALL_LOG_TO", log));
    assert_eq!(text(&got.stdout), text(&expected.stdout), "{}", log.display());
    assert_eq!(text(&got.stderr), "", "{}", log.display());
}

/// Lines that are whole, and how many were told to be dropped.
fn whole_and_dropped(log: &[u8]) -> (usize, usize) {
    let lines = split(log);
    let whole = lines.iter().filter(|line| lines::text(line).is_some()).count();
    (whole, lines.iter().filter_map(|line| lines::dropped(line)).sum())
}

/// Descriptor 2 closed and taken by another file, before the first call or after it: that file gets no byte.
#[test]
fn a_reused_descriptor_2_is_never_written_into() {
    let folder = tempfile::tempdir().unwrap();
    for (index, before) in ["", "ustat", "fork ustat"].into_iter().enumerate() {
        let file = folder.path().join(index.to_string());
        let words = format!("{before} close:2 open:{} ustat*5 fork ustat thread:4*5", file.display());
        let output = succeed(&mut steps(true, &words));
        assert_eq!(text(&output.stdout), "opened as 2\n");
        assert_eq!(fs::metadata(&file).unwrap().len(), 0);
        assert_eq!(all_text(&output.stderr).len(), usize::from(index > 0));
    }
}

/// Another file put over descriptor 2 by dup2: not a byte.
#[test]
fn a_file_put_over_descriptor_2_is_never_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let output = succeed(&mut steps(true, &format!("ustat over:{} ustat*5 fork ustat", file.display())));
    assert_eq!((fs::metadata(&file).unwrap().len(), all_text(&output.stderr).len()), (0, 1));
}

/// A program that closes all descriptors closes the log's: the log goes on, and what the program opens
/// since, under the log's own number too, gets no byte.
#[test]
fn a_log_file_is_opened_again_after_closefrom() {
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str| folder.path().join(name);
    for limit in ["20000", "1024", "64"] {
        let log = own(limit);
        let words = format!(
            "ustat*2 closefrom:3 open:{} ustat*3 closefrom:3 fork ustat*4 open:{} vfork ustat ustat",
            own("a").display(),
            own("b").display()
        );
        let mut shell = bare("sh");
        shell.args(["-c", "ulimit -n \"$1\"; exec env LD_PRELOAD=\"$2\" \"$3\" $4", "sh", limit]);
        shell.arg(common::shim()).arg(program("steps")).arg(words);
        logged(&mut shell);
        let output = succeed(shell.env("EVERCALL_LOG_TO", &log));
        // Numbers of its own: the lowest that were free.
        assert!(text(&output.stdout).starts_with("opened as 3\n"), "{}", text(&output.stdout));
        assert_eq!(of_ustat(&log), 11, "under a limit of {limit}");
        assert_eq!([own("a"), own("b")].map(|path| fs::metadata(path).unwrap().len()), [0, 0]);
    }
}

/// A vfork child that closes everything and logs, again and again, leaves its parent no more descriptors: the
/// child has its own, but shares its parent's memory. The program's own 1000 is where the log's would be.
#[test]
fn reopening_in_vfork_children_leaks_no_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let words = format!("ustat fds {}ustat fds", "vfork anew ustat ".repeat(50));
    for own in ["", "exec 1000</dev/null; "] {
        let mut shell = bare("bash");
        shell.args(["-c", &format!("{own}exec env LD_PRELOAD=\"$0\" \"$1\" $2")]);
        shell.arg(common::shim()).arg(program("steps")).arg(&words);
        logged(&mut shell);
        let stdout = text(&succeed(shell.env("EVERCALL_LOG_TO", &log)).stdout);
        let counts: Vec<&str> = stdout.lines().collect();
        assert_eq!((counts.len(), counts[0]), (2, counts[1]), "{own}");
        assert_eq!(of_ustat(&log), 102);
        fs::remove_file(&log).unwrap();
    }
}

/// A disk that fills up: the program goes on, what was dropped is told when there is room, and at most one
/// line is torn.
#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k none \"$1\" && head -c 40000 /dev/zero > \"$1/filler\" &&
        LD_PRELOAD=\"$2\" EVERCALL_LOG_TO=\"$1/log\" \"$3\" ustat*1000 say:alive unlink:\"$1/filler\" ustat*10 || exit
        cat \"$1/log\" >&2";
    let mut command = bare("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(folder.path());
    logged(command.arg(common::shim()).arg(program("steps")));
    let output = command.output().unwrap();
    if text(&output.stderr).contains("unshare") || text(&output.stderr).contains("mount: ") {
        skip!("no mount namespace: {}", text(&output.stderr));
    }
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "alive\n");
    let (whole, dropped) = whole_and_dropped(&output.stderr);
    assert!(whole > 50 && dropped > 500, "{whole} lines, {dropped} dropped");
    assert_eq!(whole + dropped, 1010);
    let lines = split(&output.stderr);
    assert!(lines.len() <= whole + 2, "more than one torn line: {}", text(&output.stderr));
}

/// Places that cannot take a log: the program's answers and output stay what they are bare.
#[test]
fn a_log_that_cannot_be_written_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("target"), "kept").unwrap();
    symlink(at("target"), at("link")).unwrap();
    symlink(at("made"), at("dangling")).unwrap();
    symlink(folder.path(), at("loop")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    succeed(bare("mkfifo").arg(at("fifo")));
    let words = "ustat*3 fork sysfs handle:13 block:13 ustat signal-state unblock:13 thread:2*3 fds";
    for log in ["link", "dangling", "folder", "fifo", "missing/log", "target/log"] {
        unharmed_by_path(words, &at(log));
    }
    for log in ["relative", "", "fd:", "fd:-1", "fd:77", "fd:99999999999999999999", "stdout", "/", "//"] {
        unharmed_by_path_or_notice(words, log);
    }
    let words = "ustat*3 fork sysfs handle:13 ustat signal-state";
    unharmed_by_path(words, Path::new("/dev/full"));
    unharmed_by_path(words, Path::new("/dev/null"));
    assert_eq!(fs::read(at("target")).unwrap(), b"kept");
    assert!(!at("made").exists());
}

/// A value that makes no sense is noticed on standard error, and lines go there.
fn unharmed_by_path_or_notice(words: &str, to: &str) {
    let expected = succeed(steps(false, words).env("EVERCALL_LOG_TO", to));
    let got = succeed(steps(true, words).env("EVERCALL_LOG_TO", to));
    assert_eq!(text(&got.stdout), text(&expected.stdout), "{to}");
}

/// A path too long for the log is noticed, never cut to another file's.
#[test]
fn a_log_path_too_long_names_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    for length in [200, 250, 254, 255, 256, 300, 5000] {
        let mut path = folder.path().display().to_string();
        while path.len() < length {
            path.push_str(if path.len() % 100 == 0 { "/" } else { "n" });
        }
        let before = fs::read_dir(folder.path()).unwrap().count();
        succeed(steps(true, "ustat").env("EVERCALL_LOG_TO", &path));
        let made = fs::read_dir(folder.path()).unwrap().count() - before;
        assert_eq!(made, usize::from(Path::new(&path).is_file()), "{length}");
        assert_eq!(
            fs::read_dir(folder.path().parent().unwrap())
                .unwrap()
                .filter(|e| {
                    e.as_ref()
                        .unwrap()
                        .path()
                        .display()
                        .to_string()
                        .starts_with(&format!("{}n", folder.path().display()))
                })
                .count(),
            usize::from(Path::new(&path).is_file())
        );
        let _ = fs::remove_file(&path);
    }
}

/// A FIFO gets lines as soon as it has a reader.
#[test]
fn a_fifo_with_a_reader_gets_lines() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    succeed(bare("mkfifo").arg(&fifo));
    let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    succeed(steps(true, "ustat*3").env("EVERCALL_LOG_TO", &fifo));
    let mut log = Vec::new();
    reader.read_to_end(&mut log).unwrap();
    assert_eq!(all_text(&log).len(), 3);
}

/// Reads "waiting" from the program.
fn await_waiting(child: &mut Child) {
    let mut word = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"waiting\n");
}

/// What the program prints whose standard error lost its reader before the first call.
fn with_closed_pipe(shim: bool, words: &str) -> String {
    let mut command = steps(shim, &format!("wait {words}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    await_waiting(&mut child);
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words}: {}", output.status);
    text(&output.stdout)
}

/// What a program may have done with a signal of its own.
fn dispositions(signal: u32) -> Vec<String> {
    [
        "ustat*3 signal-state",
        "handle:N ustat*3 thread:2*2 fork ustat signal-state",
        "ignore:N ustat*3 signal-state",
        "block:N ustat*3 signal-state unblock:N ustat signal-state",
        "handle:N block:N ustat*3 signal-state unblock:N ustat signal-state",
        "handle:N block:N kill:N ustat*3 signal-state unblock:N ustat signal-state",
        "handle:N block:N raise:N ustat*3 signal-state unblock:N ustat signal-state",
        "handle:N block:N kill:N raise:N ustat*3 signal-state unblock:N ustat signal-state",
        "handle:N block:N ustat kill:N ustat signal-state unblock:N ustat signal-state",
    ]
    .map(|words| words.replace(":N", &format!(":{signal}")))
    .to_vec()
}

/// A closed pipe: no SIGPIPE reaches the program, and one that is pending is its own and stays.
#[test]
fn a_closed_pipe_raises_no_sigpipe() {
    for words in dispositions(13) {
        assert_eq!(with_closed_pipe(true, &words), with_closed_pipe(false, &words), "{words}");
    }
}

/// A file at its size limit: likewise with SIGXFSZ; and the file never passes the limit.
#[test]
fn a_size_limit_raises_no_sigxfsz() {
    let folder = tempfile::tempdir().unwrap();
    for (index, words) in dispositions(25).iter().enumerate() {
        for limit in [0, 350] {
            let log = folder.path().join(format!("{index}-{limit}"));
            unharmed_by_path(&format!("limit:{limit} {words}"), &log);
            assert!(fs::metadata(&log).map_or(0, |log| log.len()) <= limit);
        }
    }
}

/// A full pipe never blocks; the lines that found no room are counted, and told once there is some.
#[test]
fn a_full_pipe_drops_lines_and_tells_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    succeed(bare("mkfifo").arg(&fifo));
    let both = || OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    let mut command = guarded(true);
    command
        .args("ustat*2 fill:2 ustat*10 thread:4*5 say:alive drain:2 ustat*3 sysfs".split(' '))
        .stderr(both());
    assert_eq!(text(&succeed_without_stderr(&mut command)), "alive\n");
    let mut log = Vec::new();
    let _ = reader.read_to_end(&mut log);
    let lines = split(&log);
    assert_eq!(lines::dropped(lines[0]), Some(30), "{lines:?}");
    assert_eq!(lines[1..].iter().filter_map(|line| lines::text(line)).count(), 4, "{lines:?}");
    assert_eq!(lines.len(), 5);
}

/// Runs to a success and gives standard output; standard error is the caller's.
fn succeed_without_stderr(command: &mut Command) -> Vec<u8> {
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

/// A socket takes lines; a full one never blocks, and one without a peer raises no SIGPIPE.
#[test]
fn a_socket_takes_lines_and_never_blocks() {
    let run = |words: &str, reads: bool| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = guarded(true);
        command.args(words.split(' ')).stderr(OwnedFd::from(theirs));
        let reader = reads.then(|| {
            std::thread::spawn(move || {
                let mut log = Vec::new();
                ours.read_to_end(&mut log).unwrap();
                log
            })
        });
        let stdout = succeed_without_stderr(&mut command);
        drop(command);
        (text(&stdout), reader.map(|reader| reader.join().unwrap()).unwrap_or_default())
    };
    let (stdout, log) = run("ustat*20 say:alive", true);
    assert_eq!((stdout.as_str(), all_text(&log).len()), ("alive\n", 20));
    assert_eq!(run("ustat*20 signal-state say:alive", false).0.lines().last(), Some("alive"));
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = guarded(true);
    command.args("fill:2 ustat*20 say:alive".split(' ')).stderr(OwnedFd::from(theirs));
    assert_eq!(text(&succeed_without_stderr(&mut command)), "alive\n");
    drop(command);
    let mut filled = Vec::new();
    ours.read_to_end(&mut filled).unwrap();
    assert!(filled.iter().all(|&b| b == b'-'));
}

/// A terminal that is stopped, that nobody reads, or whose background process may not write: the program is
/// neither blocked nor stopped.
#[test]
fn a_stuck_terminal_never_blocks() {
    for state in ["stopped", "full", "background"] {
        let mut command = under_shim("timeout");
        command.arg("20").arg(program("pty")).arg(state).arg(program("steps"));
        command.args(["ustat*2000", "fork", "ustat", "say:alive"]);
        logged(&mut command);
        assert_eq!(text(&succeed(&mut command).stdout), "alive\n", "{state}");
    }
}

/// From signal handlers that interrupt the log itself: every line whole, none missing, errno untouched.
#[test]
fn lines_from_signal_handlers_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let output = succeed(steps(true, "signals:300 signal-state").env("EVERCALL_LOG_TO", &log));
    let stdout = text(&output.stdout);
    let handled = stdout.lines().find_map(|l| l.strip_prefix("signal 14 handled ")?.strip_suffix(" times"));
    let handled: usize = handled.expect("a count").parse().unwrap();
    assert!(!stdout.contains("wrong"), "{stdout}");
    let lines = all_text(&fs::read(&log).unwrap());
    assert!(handled >= 300 && lines.len() > handled, "{} lines, {handled} signals", lines.len());
}

/// A child forked while other threads translate logs its own lines and does not hang.
#[test]
fn a_child_forked_amid_threads_logs_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = guarded(true);
    succeed(command.args(["forked-threads", "sysfs"]).env("EVERCALL_LOG_TO", &log));
    let lines = all_text(&fs::read(&log).unwrap());
    let mut children: Vec<u32> = lines.iter().filter(|l| l.rule == "sysfs").map(|l| l.pid).collect();
    children.dedup();
    assert_eq!(children.len(), 20);
}

/// A vfork child's lines carry its own pid, and its parent logs on.
#[test]
fn a_vfork_child_logs_under_its_own_pid() {
    let lines = all_text(&succeed(&mut steps(true, "ustat vfork ustat vfork sysfs ustat")).stderr);
    let pids: Vec<u32> = lines.iter().map(|line| line.pid).collect();
    assert_eq!(pids.len(), 4);
    assert!(pids[0] == pids[3] && pids[1] != pids[0] && pids[2] != pids[0] && pids[1] != pids[2], "{pids:?}");
}

/// No descriptor to be had: no log, no harm.
#[test]
fn a_process_without_free_descriptors_is_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ulimit -n 4; LD_PRELOAD=\"$1\" exec \"$2\" badstring say:alive";
    let mut shell = bare("sh");
    shell.args(["-c", script]).arg("sh").arg(common::shim());
    logged(shell.arg(program("steps")));
    let output = succeed(shell.env("EVERCALL_LOG_TO", folder.path().join("log")));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("alive\n".into(), String::new()));
}
