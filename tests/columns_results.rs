//! Calls that answer otherwise than they used to, on hosts that do so: files that this kernel does not splice, and
//! filters that refuse some arguments. Native where there is a host that answers, refused, and refused under the shim.

#[path = "common/ask.rs"]
mod ask;
#[path = "common/cancellation.rs"]
mod cancellation;
mod common;
#[path = "common/lines.rs"]
mod lines;

use ask::{answer, answers, ask, outcome};
use cancellation::assert_cancelled_in_libcs_own;
use common::{bare, command, output, program, shim, succeed, text};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// A filter that allows all but what its entries say.
struct Host(TempDir);

impl Host {
    /// Refuses a call with an errno (0 for success with 0) where an argument is so: `(index, operator, value)`.
    fn new(call: &str, errno: i32, argument: Option<(u8, &str, u64)>) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<Value> = argument
            .into_iter()
            .map(|(index, op, value)| json!({"index": index, "op": op, "value": value}))
            .collect();
        let entry =
            json!({"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": arguments});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]});
        fs::write(folder.path().join("profile.json"), profile.to_string()).unwrap();
        Host(folder)
    }

    /// `program` on this host, bare or under the shim.
    fn run(&self, name: &str, preload: bool) -> Command {
        let mut run = bare(command());
        run.args(["simulate", "--seccomp"])
            .arg(self.0.path().join("profile.json"))
            .arg("--")
            .arg(program(name));
        if preload {
            run.env("LD_PRELOAD", shim());
        }
        run
    }
}

/// The hash by which the test programs show bytes.
fn sum(bytes: &[u8]) -> String {
    let sum =
        bytes.iter().fold(2_166_136_261u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(16_777_619));
    format!("sum {sum:08x}")
}

/// `/proc/self/cmdline` cannot be spliced from 5.10 on; what the program checks of it is its own command line.
#[test]
fn files_without_splice_are_copied() {
    let native = text(&succeed(bare(program("results_files")).arg("syscall")).stdout);
    if !native.starts_with("sendfile in=/proc/self/cmdline len=10: -1 errno 22 ") {
        skip!("this kernel splices /proc/self/cmdline");
    }
    for door in ["syscall", "symbol"] {
        let mut run = bare(program("results_files"));
        let lines = text(&succeed(run.arg(door).env("LD_PRELOAD", shim())).stdout);
        let mut line = [program("results_files").display().to_string().as_bytes(), &[0]].concat();
        line.extend(door.as_bytes());
        line.push(0);
        let all = format!("{} in at {}", line.len(), line.len());
        // The check, how its outcome begins, and the bytes that came out.
        let expected: &[(&str, &str, &[u8])] = &[
            ("sendfile in=/proc/self/cmdline len=10", "10 in at 10", &line[..10]),
            ("sendfile in=/proc/self/cmdline len=10 wide=1", "10 in at 10", &line[..10]),
            ("sendfile in=/proc/self/cmdline len=6 inpos=3", "6 in at 9", &line[3..9]),
            ("sendfile in=/proc/self/cmdline len=6 off=4 inpos=2", "6 in at 2", &line[4..10]),
            ("sendfile in=/proc/self/cmdline len=1000 out=stream", &all, &line),
            ("sendfile in=/proc/self/cmdline len=9 out=open", "9 in at 9", &line[..9]),
            ("sendfile in=/proc/self/cmdline len=9 out=open off=2", "9 in at 0", &line[2..11]),
            ("sendfile in=/proc/self/cmdline out=gone", "-1 errno 32 in at 0", b""),
            (
                "sendfile in=/proc/self/cmdline len=9 out=open outsize=65536 nonblock=1",
                "-1 errno 11 in at 0",
                b"",
            ),
            (
                "sendfile in=/proc/self/cmdline len=9 out=open outsize=65536 timer=yes",
                "-1 errno 4 in at 0",
                b"",
            ),
            ("sendfile in=/proc/self/cmdline off=100000", "0 in at 0", b""),
            ("sendfile in=/proc/self/cmdline len=30 limit=10", "10 in at 10", &line[..10]),
            ("sendfile out=/proc/self/oom_score_adj in=/proc/self/oom_score_adj", "2 in at 2", b""),
            ("splice in=/proc/self/cmdline len=9 out=open", "9 in at 9", &line[..9]),
            ("splice in=/proc/self/cmdline len=9 out=open inpos=3", "9 in at 12", &line[3..12]),
            ("splice in=/proc/self/cmdline len=9 out=open offin=4 inpos=2", "9 in at 2", &line[4..13]),
            ("splice in=/proc/self/cmdline out=gone", "-1 errno 32 in at 0", b""),
            ("splice in=/proc/self/cmdline out=open offin=100000", "0 in at 0", b""),
            ("splice in=/proc/self/cmdline out=open outsize=65536 flags=2", "-1 errno 11 in at 0", b""),
            ("splice in=/proc/self/cmdline out=open outsize=65536 nonblock=1", "-1 errno 11 in at 0", b""),
            ("splice in=/proc/self/cmdline out=open outsize=65536 timer=yes", "-1 errno 4 in at 0", b""),
            ("splice in=event insize=7 out=open", "8 in at 0", &[7, 0, 0, 0, 0, 0, 0, 0]),
            ("splice in=event insize=7 out=open outsize=65536 flags=2", "-1 errno 11 in at 0", b""),
            ("splice in=event insize=7 out=open outsize=65536 timer=yes", "-1 errno 4 in at 0", b""),
            ("splice in=event insize=0 out=open", "-1 errno 11 in at 0", b""),
            ("splice in=event insize=7 out=gone", "-1 errno 32 in at 0", b""),
            ("splice in=event insize=7 out=open offin=0", "-1 errno 22 in at 0", b""),
            ("sendfile in=event insize=7", "-1 errno 22 in at 0", b""),
            ("sendfile in=event insize=7 out=open", "-1 errno 22 in at 0", b""),
            ("splice in=held insize=6 out=/proc/self/comm len=5", "5 in at -1", b""),
            ("splice in=held insize=6 out=/proc/self/comm len=9 outpos=2", "6 in at -1", b""),
            ("splice in=held insize=6 out=/proc/self/oom_score_adj", "-1 errno 22 in at -1", b""),
            ("splice in=held insize=0 out=/proc/self/comm flags=2", "-1 errno 11 in at -1", b""),
            ("splice in=held insize=0 out=/proc/self/comm timer=yes", "-1 errno 4 in at -1", b""),
            ("splice in=filled insize=0 out=/proc/self/comm", "0 in at -1", b""),
        ];
        let find = |check: &str| {
            let start = format!("{check}: ");
            lines
                .lines()
                .find_map(|line| line.strip_prefix(&start))
                .unwrap_or_else(|| panic!("{check} in {lines}"))
        };
        for (check, begins, bytes) in expected {
            let line = find(check);
            assert!(line.starts_with(&format!("{begins} ")), "{door} {check}: {line}");
            assert!(bytes.is_empty() || line.contains(&sum(bytes)), "{door} {check}: {line}");
        }
        // An event counter can be read but once: nothing is read that does not go in.
        for check in ["flags=2", "timer=yes"] {
            let check = format!("splice in=event insize=7 out=open outsize=65536 {check}");
            assert!(find(&check).contains(" left 8 "), "{}", find(&check));
        }
        // What was not written is in the pipe yet.
        assert!(find("splice in=held insize=6 out=/proc/self/comm len=5").contains(" left 1 "));
        assert!(find("splice in=held insize=6 out=/proc/self/comm len=9 outpos=2").contains(" left 0 "));
        assert!(find("splice in=held insize=6 out=/proc/self/oom_score_adj").contains(" left 6 "));
        // A file of many pieces, whole.
        if let Ok(config) = fs::read("/proc/config.gz") {
            assert!(find("sendfile in=/proc/config.gz len=200000").contains(&sum(&config)));
        }
    }
}

/// Two small programs of everyday: Python's os.sendfile, and a splice by way of its syscall.
#[test]
fn python_sends_files_of_proc() {
    let script = "import os; out = os.memfd_create('x'); f = os.open('/proc/self/status', os.O_RDONLY)\n\
                  n = os.sendfile(out, f, None, 1 << 20); os.lseek(f, 0, 0)\n\
                  print(n > 500 and os.pread(out, 1 << 20, 0)[:6] == os.read(f, 6))";
    let run = |preload: bool| {
        let mut run = bare("python3");
        run.args(["-c", script]);
        if preload {
            run.env("LD_PRELOAD", shim());
        }
        output(&mut run)
    };
    if run(false).status.success() {
        skip!("this kernel splices /proc/self/status");
    }
    let under = run(true);
    assert_eq!(text(&under.stdout), "True\n", "{}", text(&under.stderr));
}

/// A host that copies nothing from /proc (5.3 to 5.18), where there is something; and the true end of a file.
#[test]
fn an_empty_copy_of_a_file_with_data_is_made() {
    let host = Host::new("copy_file_range", 0, None);
    let questions = [
        ("copy_file_range in=proc len=100 out=temp", "10 but"),
        ("copy_file_range in=proc len=4 out=temp", "4 but"),
        ("copy_file_range in=proc len=100 out=temp offin=3", "7 but"),
        ("copy_file_range in=proc len=100 out=temp offin=10", "0 but"),
        ("copy_file_range in=proc len=0 out=temp", "0 but"),
        ("copy_file_range in=proc len=100 out=temp limit=5 offin=0", "5 but"),
        ("copy_file_range insize=100 inpos=100 out=temp", "0 but"),
        ("copy_file_range in=null out=temp", "0 but"),
    ];
    for door in ["syscall", "symbol"] {
        let asked: Vec<String> = questions.iter().map(|(question, _)| format!("{door} {question}")).collect();
        let bare = answers(host.run("modern_io", false).arg("ask"), &asked);
        assert!(bare.iter().all(|answer| answer.starts_with(" 0")), "{bare:#?}");
        let under = answers(host.run("modern_io", true).arg("ask"), &asked);
        for ((question, begins), answer) in questions.iter().zip(under) {
            let begins = begins.trim_end_matches(" but");
            let copied = answer.split_whitespace().next();
            assert_eq!(copied, Some(begins), "{door} {question}: {answer}");
        }
    }
}

/// WSL 1: no sleep by CLOCK_REALTIME.
#[test]
fn sleeps_by_a_refused_clock_are_made() {
    let host = Host::new("clock_nanosleep", libc::EINVAL, Some((0, "SCMP_CMP_EQ", 0)));
    let native = text(&succeed(&mut bare(program("results_sleep"))).stdout);
    let refused = text(&succeed(&mut host.run("results_sleep", false)).stdout);
    let under = text(&succeed(&mut host.run("results_sleep", true)).stdout);
    assert!(refused.starts_with("relative, too short: 22 "), "{refused}");
    assert_eq!(native, under);
    // And by the number.
    let question = "syscall 230 0 0 longs:0,1000 null";
    let of = |preload| answer(&mut host.run("ask", preload), question);
    assert_eq!((outcome(&of(false)), outcome(&of(true))), ("-1 22", "0 1234"));
}

/// A kernel with more processors than the program's mask has bits.
#[test]
fn a_small_mask_gets_its_part() {
    let host = Host::new("sched_getaffinity", libc::EINVAL, Some((1, "SCMP_CMP_LT", 128)));
    let questions: Vec<String> = ["syscall 204", "symbol sched_getaffinity"]
        .iter()
        .flat_map(|call| [8, 16, 64, 7, 0].map(|size| format!("{call} 0 {size} buf:{size}")))
        .chain(
            ["syscall 204 0 8 bad", "syscall 204 999999999 8 buf:8", "syscall 204 0 12 buf:12"]
                .map(str::to_owned),
        )
        .collect();
    let native = answers(&mut ask(), &questions);
    let refused = answers(&mut host.run("ask", false), &questions);
    let under = answers(&mut host.run("ask", true), &questions);
    assert!(refused.iter().all(|answer| answer.starts_with("-1 22 ") || answer == "-1 22"), "{refused:#?}");
    for (question, (native, under)) in questions.iter().zip(native.iter().zip(&under)) {
        // The kernel's own mask may be shorter than 64 bytes: then the number gives its length.
        assert_eq!(native, under, "{question}");
    }
}

/// Docker's profile (EPERM) and gVisor (EINVAL): the question, and what stands already.
#[test]
fn a_refused_personality_is_told() {
    let questions = [
        "syscall 135 0xffffffff",
        "symbol personality 0xffffffff",
        "syscall 135 0x40000",
        "syscall 135 0",
        "symbol personality 8",
    ]
    .map(str::to_owned);
    for errno in [libc::EPERM, libc::EINVAL] {
        let host = Host::new("personality", errno, None);
        let refused = format!("-1 {errno}");
        let bare_answers = answers(&mut host.run("ask", false), &questions);
        assert!(bare_answers.iter().all(|answer| *answer == refused), "{bare_answers:#?}");
        let plain = answers(&mut host.run("ask", true), &questions);
        assert_eq!(plain, ["0 1234", "0 1234", &refused, "0 1234", &refused]);
        // ADDR_NO_RANDOMIZE, set before the filter.
        let mut other = bare("setarch");
        let inner = host.run("ask", true);
        other
            .args(["x86_64", "-R"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .env("LD_PRELOAD", shim());
        let kept = answers(&mut other, &questions);
        assert_eq!(kept, ["262144 1234", "262144 1234", "262144 1234", &refused, &refused]);
    }
}

/// Signals that arrive on the stack in a too small one's place. strace refuses every third call of each thread: the
/// program's, not the shim's own, nor the question what stands.
#[test]
fn a_stack_that_is_too_small_is_replaced() {
    let run = |size: &str, preload: bool| {
        let mut strace = bare("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=sigaltstack"]);
        strace.args(["-e", "inject=sigaltstack:error=ENOMEM:when=1+3"]);
        if preload {
            strace.arg("-E").arg(format!("LD_PRELOAD={}", shim().display()));
        }
        output(strace.arg(program("alternate_stack")).args([size, "20000"]))
    };
    let refused = run("2048", false);
    if !text(&refused.stdout).starts_with("first: sigaltstack -1 errno 12") {
        skip!("strace cannot change answers here: {}", text(&refused.stderr));
    }
    let expected = "first: sigaltstack 0 errno 0, before none\n\
        first: the handler ran on the stack that is read back, on another, a guard below it\n\
        second: sigaltstack 0 errno 0, before one\n\
        second: the handler ran on the stack that is read back, on another, a guard below it\n\
        the second is the first: 1\n\
        thread: sigaltstack 0 errno 0, before none\n\
        thread: the handler ran on the stack that is read back, on another, a guard below it\n\
        thread: sigaltstack 0 errno 0, before none\n\
        thread: the handler ran on the stack that is read back, on another, a guard below it\n\
        a thread's is not the first: 1, the next thread's is the ended one's: 1\n\
        child: sigaltstack 0 errno 0, before one\n\
        child: the handler ran on the stack that is read back, on another, a guard below it\n\
        the child's is not the parent's: 1\n\
        child 0\n\
        off: 0\n";
    for size in ["2048", "3000", "8192"] {
        let under = run(size, true);
        assert_eq!(text(&under.stdout), expected, "{size}: {}", text(&under.stderr));
    }
    // Smaller than ever allowed, and larger than any signal needs: the answer stands.
    for size in ["2047", "1048576"] {
        assert_eq!(text(&run(size, true).stdout), "first: sigaltstack -1 errno 12, before ?\n", "{size}");
    }
}

/// The trigger: an answer that is not the rule's comes back untouched and unlogged; one that the handler leaves as
/// it is likewise; a translation is logged once.
#[test]
fn only_what_is_translated_is_logged() {
    let host = Host::new("sched_getaffinity", libc::EINVAL, Some((1, "SCMP_CMP_LT", 128)));
    let logged = |questions: &[&str]| {
        let questions: Vec<String> = questions.iter().map(|question| (*question).to_owned()).collect();
        let mut run = host.run("ask", true);
        let output = ask::feed(run.env("EVERCALL_LOG", "all"), &(questions.join("\n") + "\n"));
        assert!(output.status.success());
        (text(&output.stdout), lines::all_text(&output.stderr))
    };
    // Answers that no rule waits for: success, ESRCH, EBADF of sendfile, EFAULT of sigaltstack.
    let (answers, log) = logged(&[
        "syscall 204 0 128 buf:128",
        "syscall 204 999999999 128 buf:128",
        "syscall 40 999 0 null 1",
        "syscall 131 bad null",
        "syscall 135 0xffffffff",
        "syscall 230 0 0 longs:0,1 null",
    ]);
    assert_eq!((answers.lines().count(), log.len()), (6, 0), "{answers}{log:?}");
    // The program's own fault.
    let (answers, log) = logged(&[
        "syscall 204 0 7 buf:8",
        "syscall 230 0 0 longs:0,-1 null",
        "syscall 230 99 0 longs:0,1 null",
        "syscall 131 longs:0x1000,0,2047 null",
    ]);
    assert!(answers.lines().all(|line| line.starts_with("-1 ")) && log.is_empty(), "{answers}{log:?}");
    let (_, log) = logged(&["syscall 204 0 8 buf:8"]);
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((log[0].rule.as_str(), log[0].result), ("sched_getaffinity", 8));
    assert_eq!(log[0].became.as_deref(), Some("sched_getaffinity with a larger mask"));
}

/// Where the host answers, the doors hand on to libc, whose functions stay cancellation points.
#[test]
fn a_thread_is_cancelled_in_libcs_own_functions() {
    assert_cancelled_in_libcs_own(&["nanosleep", "clock_nanosleep", "sleep", "usleep", "splice"]);
}

/// One call by each rule on a small stack, with the log in both forms.
#[test]
fn the_rules_fit_on_a_small_stack() {
    for format in ["text", "json"] {
        let mut command = bare(program("results_small_stack"));
        command.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", "all");
        command.env("EVERCALL_LOG", "all").env("EVERCALL_LOG_FORMAT", format);
        let output = succeed(&mut command);
        let log = text(&output.stderr);
        assert_eq!(text(&output.stdout), "done\n", "{log}");
        for rule in [
            "sendfile",
            "splice",
            "copy_file_range",
            "sched_getaffinity",
            "sigaltstack",
            "clock_nanosleep",
            "personality",
            "remap_file_pages",
            "get_mempolicy",
            "keyctl",
        ] {
            assert!(log.contains(&format!("{rule}(")), "{rule} is not in {log}");
        }
    }
}

/// Where there is no splice at all, callers fall back on ENOSYS; also where a filter traps, as `--trap` does.
#[test]
fn without_any_splice_it_is_enosys() {
    let questions = [
        "syscall 275 0 null 0 null 1 0",
        "symbol splice 0 null 0 null 1 0",
        "syscall 275 -1 null -1 null 1 0",
    ];
    for refusal in ["ENOSYS", "EPERM"] {
        for question in questions {
            let answer = answer(&mut ask::ask_repaired(refusal, "splice"), question);
            assert_eq!(outcome(&answer), "-1 38", "{question} under {refusal}");
        }
    }
    let mut trapped = bare(command());
    trapped.args(["run", "--trap", "--"]).arg(program("ask")).env("EVERCALL_FORCE", "splice");
    assert_eq!(outcome(&answer(&mut trapped, "inline 275 0 null 0 null 1 0")), "-1 38");
    let mut by_the_host = common::denied("TRAP", "splice");
    by_the_host.arg(command()).args(["run", "--trap", "--"]).arg(program("ask"));
    assert_eq!(outcome(&answer(&mut by_the_host, "inline 275 0 null 0 null 1 0")), "-1 38");
}

/// What a host without CLOCK_REALTIME to sleep by does to everyday programs: they do not wait.
#[test]
fn everyday_programs_sleep() {
    let host = Host::new("clock_nanosleep", libc::EINVAL, Some((0, "SCMP_CMP_EQ", 0)));
    for words in [
        &["sleep", "0.2"][..],
        &["perl", "-e", "exit(sleep(1) != 1)"],
        &["perl", "-MTime::HiRes", "-e", "exit(Time::HiRes::usleep(200000) < 200000)"],
    ] {
        let run = |preload: bool| {
            let mut run = bare(command());
            run.args(["simulate", "--seccomp"]).arg(host.0.path().join("profile.json")).arg("--").args(words);
            if preload {
                run.env("LD_PRELOAD", shim());
            }
            let before = std::time::Instant::now();
            (output(&mut run).status.success(), before.elapsed().as_millis() >= 200)
        };
        assert_ne!(run(false), (true, true), "{words:?} bare");
        assert_eq!(run(true), (true, true), "{words:?} under the shim");
    }
}
