//! No harm: programs that need nothing of evercall do their ordinary work as without it.

#[macro_use]
mod common;

use common::{bare, program, shim, succeed, text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// What a piece of work left: status, output, and the files with their modes and contents.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    files: BTreeMap<String, (u32, Vec<u8>)>,
}

/// Every file below a folder.
fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        if kind.is_dir() {
            found.insert(name.clone(), (mode, Vec::new()));
            files(&entry.path(), &name, found);
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path()).unwrap();
            found.insert(name, (mode, to.to_string_lossy().into_owned().into_bytes()));
        } else {
            found.insert(name, (mode, fs::read(entry.path()).unwrap()));
        }
    }
}

/// Runs a shell script in an empty folder; the folder always has the same name, so that output may hold it.
fn outcome(script: &str, prepare: impl FnOnce(&mut Command)) -> Outcome {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("work");
    fs::create_dir(&folder).unwrap();
    let mut command = bare("bash");
    prepare(&mut command);
    command.args(["-c", script]).current_dir(&folder);
    command.env("HOME", &folder).env("PWD", &folder).env("TZ", "UTC").env("OUTSIDE", outside.path());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let unplaced = |bytes: &[u8]| text(bytes).replace(outside.path().to_str().unwrap(), "OUTSIDE");
    let mut left = BTreeMap::new();
    files(&folder, "", &mut left);
    for (_, content) in left.values_mut() {
        if let Ok(string) = std::str::from_utf8(content) {
            *content = string.replace(outside.path().to_str().unwrap(), "OUTSIDE").into_bytes();
        }
    }
    Outcome { status: status.code(), stdout: unplaced(&stdout), stderr: unplaced(&stderr), files: left }
}

/// The script leaves the same bare, under the shim, and under the shim with a summary to a file.
fn harmless(script: &str) {
    let expected = outcome(script, |_| {});
    assert_eq!(expected.status, Some(0), "bare: {}{}", expected.stdout, expected.stderr);
    assert!(!expected.stdout.is_empty(), "a script that says nothing proves little");
    let under = outcome(script, |command| {
        command.env("LD_PRELOAD", shim());
    });
    assert_eq!(under, expected, "under the shim");
    let log = tempfile::tempdir().unwrap();
    let logged = outcome(script, |command| {
        command.env("LD_PRELOAD", shim());
        command.env("EVERCALL_LOG", "count").env("EVERCALL_LOG_TO", log.path().join("log"));
    });
    assert_eq!(logged, expected, "with a log");
    // The shim was there, whether or not it had anything to do.
    assert!(log.path().join("log").exists());
}

fn missing(program: &str) -> bool {
    !bare("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success())
}

/// Pipes, subshells, traps, process substitution, here documents, job control's wait, arithmetic.
#[test]
fn bash_does_its_work() {
    harmless(
        r#"set -u
        for i in 1 2 3; do echo $((i * i)); done | tac
        diff <(seq 3) <(seq 4); echo "diff $?"
        trap 'echo at exit' EXIT; trap 'echo usr1' USR1; kill -USR1 $$
        (exit 3); echo "sub $?"; sleep 0 & wait $!; echo "job $?"
        cat <<END >kept; read -r line <kept; echo "$line"
here
END
        sh -c 'kill -TERM $$'; echo "killed $?"; nosuchcommand; echo "none $?"
        umask; ulimit -Sn; echo out; echo err >&2; exec 3>three; echo x >&3; coproc cat; echo "${#COPROC[@]}""#,
    );
}

/// A hundred short commands in a row.
#[test]
fn sh_runs_a_hundred_commands() {
    harmless(
        "i=0; while [ $i -lt 100 ]; do /bin/echo $i >>list; i=$((i+1)); done; sha256sum list; expr 6 '*' 7",
    );
}

/// ls, sort, cp, tar and their sisters, with modes, links and times.
#[test]
fn coreutils_and_tar() {
    harmless(
        r#"mkdir -p a/b; seq 2000 | shuf --random-source=/bin/ls >a/numbers; sort -n a/numbers | md5sum
        sort -S 64K --parallel=2 a/numbers >a/sorted; ln -s numbers a/link; ln a/numbers a/hard; chmod 750 a/b
        touch -d @1000000000 a/numbers a/sorted a/b; touch -h -d @1000000000 a/link; touch -d @1000000000 a
        TZ=UTC ls -ln --time-style=full-iso a | grep -v total; cp -a a copied; diff -r a copied && echo same
        tar --sort=name --mtime=@0 --owner=0 --group=0 -cf all.tar a; tar tvf all.tar | wc -l
        mkdir out; tar xf all.tar -C out; find out | sort; du --apparent-size -s a/numbers; stat -c '%a %F %h' a/hard
        rm -r out; mv copied moved; wc a/numbers; head -c 5 a/sorted; cut -c1 a/sorted | uniq -c | head -3
        split -n 3 a/numbers part; cat part* | cmp - a/numbers && echo cmp; df . >/dev/null; ls nosuch; true"#,
    );
}

/// Perl: system, fork, pipes, sockets, signals, sprintf.
#[test]
fn perl_does_its_work() {
    if missing("perl") {
        skip!("no perl");
    }
    harmless(
        r#"perl -MSocket -e '
        $| = 1; print "fork\n"; my $p = fork; if (!$p) { exit 5 } waitpid $p, 0; print $? >> 8, "\n";
        print `echo backtick`; system("sh", "-c", "exit 4"); print $? >> 8, "\n";
        open my $f, "|-", "cat" or die; print $f "piped\n"; close $f;
        socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC; syswrite $a, "socket\n"; sysread $b, my $t, 9; print $t;
        local $SIG{ALRM} = sub { print "alarm\n" }; kill ALRM => $$; eval { die "thrown\n" }; print $@;
        my $r = syscall(39); print $r == $$ ? "syscall\n" : "wrong\n"; opendir my $d, "/nosuch" or print $!+0, "\n";
        exec "echo", "last"'"#,
    );
}

/// Python: subprocess with and without vfork, threads, multiprocessing, ctypes' errno, asyncio.
#[test]
fn python_does_its_work() {
    if missing("python3") {
        skip!("no python3");
    }
    harmless(
        r#"cat >work.py <<'END'
import asyncio, ctypes, os, subprocess, sys, threading
from multiprocessing import Pool
def square(n): return n * n
if __name__ == "__main__":
    print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True))
    print(subprocess.run(["/bin/echo", "bare"], env={}, stdout=subprocess.PIPE, close_fds=False).stdout)
    print(subprocess.run("cat", input=b"in", stdout=subprocess.PIPE, preexec_fn=os.getpid, shell=True).stdout)
    try: subprocess.run(["/nosuch"])
    except OSError as error: print(error)
    done = []
    threads = [threading.Thread(target=lambda n=n: done.append(n)) for n in range(32)]
    [t.start() for t in threads]; [t.join() for t in threads]; print(sorted(done))
    with Pool(3) as pool: print(pool.map(square, range(20)))
    libc = ctypes.CDLL(None, use_errno=True)
    print(libc.close(-1), ctypes.get_errno(), libc.syscall(39) == os.getpid())
    async def several():
        child = await asyncio.create_subprocess_exec("echo", "async", stdout=subprocess.PIPE)
        return (await child.communicate())[0]
    print(asyncio.run(several()))
    print(os.spawnvp(os.P_WAIT, "sh", ["sh", "-c", "exit 6"]), os.system("exit 2"))
    print(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1])
    sys.exit(0)
END
        python3 -B work.py"#,
    );
}

/// Git: its child processes, locks, index and packs come out byte for byte.
#[test]
fn git_does_its_work() {
    if missing("git") {
        skip!("no git");
    }
    harmless(
        r#"set -e; export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
            GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='@1000000000 +0000' GIT_COMMITTER_DATE='@1000000000 +0000'
        git init -q -b main one; cd one; seq 500 >file; git add file; git commit -q -m first
        seq 600 >file; printf '#!/bin/sh\necho hooked\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
        git commit -q -a -m second; git log --stat; git diff HEAD~ | tail -2; cd ..
        git clone -q one two 2>&1; git -C two log --format=%H; git -C two fsck --full; git -C one gc -q
        git -C one cat-file --batch-all-objects --batch-check | sort
        find . -name index -delete; rm -r one/.git/logs two/.git/logs"#,
    );
}

/// make with two jobs, and a compiler that runs its own passes: the object files come out the same.
#[test]
fn make_and_gcc() {
    if missing("gcc") || missing("make") {
        skip!("no gcc or make");
    }
    harmless(
        r#"for i in 1 2 3; do echo "int f$i(int a) { return a * $i; }" >f$i.c; done
        echo 'int f1(int), f2(int), f3(int); int main(void) { return f1(1) + f2(2) + f3(3) != 14; }' >main.c
        printf 'all: prog\n\t./prog && echo ran\nprog: main.o f1.o f2.o f3.o\n\tgcc -o $@ $^\n' >Makefile
        make -s -j2 CFLAGS=-O1 && make -q prog; echo $?; echo 'int main(void) { return nosuch; }' >bad.c
        gcc -c bad.c; echo "gcc $?""#,
    );
}

/// Programs with inherited descriptors, blocked and ignored signals find all of them as they were.
#[test]
fn main_finds_what_it_would_find() {
    let found = |preloaded: bool, script: &str| {
        let mut command = bare("bash");
        command.args(["-c", script]).arg("bash").arg(program("at_main"));
        if preloaded {
            command.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "all");
        } else {
            // So that the environments are of one size.
            command.env("A", "1").env("B", "1");
        }
        text(&succeed(&mut command).stdout)
    };
    for script in ["exec \"$1\"", "trap '' PIPE HUP; exec 7</dev/null; exec \"$1\"", "exec 0<&-; exec \"$1\""]
    {
        let expected = found(false, script);
        assert!(expected.starts_with("errno 0, argc 1, "), "{expected}");
        assert_eq!(found(true, script), expected, "{script}");
    }
}

/// Each call as strace prints it, and its name.
fn calls(command: &[&str], preload: Option<&Path>) -> Vec<(String, String)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut strace = bare("strace");
    // cargo's is long: the loader needs pages for it, one more with the library's name beside it.
    strace.env_remove("LD_LIBRARY_PATH").arg("-o").arg(file.path());
    if let Some(preload) = preload {
        strace.arg("-E").arg(format!("LD_PRELOAD={}", preload.display()));
    }
    succeed(strace.args(command));
    let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
    fs::read_to_string(file.path()).unwrap().lines().map(|line| (name(line), line.to_owned())).collect()
}

/// At start: the configuration file that is not there, the question whether a seccomp filter stands, and that for
/// the limit of descriptors. Nothing else but what the loader does to map the library.
#[test]
fn start_makes_three_calls() {
    if missing("strace") {
        skip!("no strace");
    }
    if Path::new("/etc/evercall.conf").exists() {
        skip!("/etc/evercall.conf is there");
    }
    let shim = shim();
    for command in [&["/bin/true"][..], &["/bin/cat", "/dev/null"], &["/bin/ls", "/etc/passwd"]] {
        let expected = calls(command, None);
        let mut under = calls(command, Some(&shim));
        // The loader's: from opening the library to closing it.
        let opened = under.iter().position(|(_, line)| line.contains("libevercall.so\", O_RDONLY")).unwrap();
        let length = under[opened..].iter().position(|(name, _)| name == "close").unwrap() + 1;
        let loader: Vec<_> = under.drain(opened..opened + length).map(|(name, _)| name).collect();
        let of_loader = ["openat", "read", "newfstatat", "fstat", "mmap", "mprotect", "pread64", "close"];
        assert!(loader.iter().all(|name| of_loader.contains(&name.as_str())), "{loader:?}");
        // Ours, one after the other.
        let at = under.iter().position(|(_, line)| line.contains("/etc/evercall.conf")).unwrap();
        let ours: Vec<_> = under.drain(at..at + 3).collect();
        assert!(ours[0].0.starts_with("open") && ours[0].1.contains("ENOENT"), "{ours:?}");
        assert!(ours[1].0 == "prctl" && ours[1].1.contains("PR_GET_SECCOMP"), "{ours:?}");
        assert!(ours[2].0 == "prlimit64" && ours[2].1.contains("RLIMIT_NOFILE, NULL"), "{ours:?}");
        // The first statx goes to the kernel itself as well: glibc does without the call where it is missing.
        if let Some(first) = under.iter().position(|(name, _)| name == "statx") {
            let twice = under.remove(first);
            assert_eq!(under[first].1, twice.1, "the same question");
        }
        // The rest is what the program does bare. The loader may need another page for its own list.
        let names =
            |calls: &[(String, String)]| -> Vec<String> { calls.iter().map(|c| c.0.clone()).collect() };
        assert_eq!(names(&under), names(&expected), "{command:?}");
    }
}
