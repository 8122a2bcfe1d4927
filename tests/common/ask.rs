//! Asking `test-programs/ask` many questions in one run. A question is a line it reads, an answer the
//! line it prints: result, errno, and all bytes of the buffers.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{bare, command, denied, denying, program, shim, text};
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

/// errno as `ask` leaves it where a call did not set it.
pub const UNTOUCHED: &str = "1234";

/// Runs a command to its end with these lines as its input.
pub fn feed(command: &mut Command, lines: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    // The program may end early and close the pipe; its answers tell.
    let writer = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The answers to some questions, one each.
pub fn answers(command: &mut Command, questions: &[String]) -> Vec<String> {
    let output = feed(command, &(questions.join("\n") + "\n"));
    let answers: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(
        output.status.success() && answers.len() == questions.len(),
        "{command:?}: {}, {} answers to {} questions; the next was {:?}\n{}",
        output.status,
        answers.len(),
        questions.len(),
        questions.get(answers.len()),
        text(&output.stderr)
    );
    answers
}

/// One answer.
pub fn answer(command: &mut Command, question: &str) -> String {
    answers(command, &[question.to_owned()]).remove(0)
}

/// `ask` without the shim.
pub fn ask() -> Command {
    bare(program("ask"))
}

/// `ask` under the shim, with these rules forced.
pub fn forced(rules: &str) -> Command {
    let mut command = ask();
    command.env("LD_PRELOAD", shim()).env("EVERCALL_FORCE", rules);
    command
}

/// `ask` under a filter.
pub fn ask_denied(errno: &str, calls: &str) -> Command {
    let mut command = denied(errno, calls);
    command.arg(program("ask"));
    command
}

/// `ask` under a filter and the shim.
pub fn ask_repaired(errno: &str, calls: &str) -> Command {
    let mut command = ask_denied(errno, calls);
    command.env("LD_PRELOAD", shim());
    command
}

/// `ask` under the shim in fresh namespaces, after a shell script that sets them up. `$ASK` is the
/// command that the script ends with.
pub fn in_namespace(flags: &[&str], script: &str) -> Command {
    let mut command = bare("unshare");
    command.args(flags).args(["sh", "-euc", script]);
    command.env("ASK", program("ask")).env("SHIM", shim());
    command
}

/// The bytes that an answer shows of its n-th buffer.
pub fn buffer(answer: &str, n: usize) -> Vec<u8> {
    let hex = answer.split(" =").nth(n + 1).unwrap_or_else(|| panic!("no buffer {n} in {answer:?}"));
    let hex = hex.split_whitespace().next().unwrap_or("");
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Result and errno, without the buffers.
pub fn outcome(answer: &str) -> &str {
    answer.split(" =").next().unwrap()
}

/// `-1` with an errno, as `outcome` shows it.
pub fn failure(errno: i32) -> String {
    format!("-1 {errno}")
}

/// Programs and the shim where everyone may execute them, to be run as nobody.
pub struct Nobody(tempfile::TempDir);

impl Nobody {
    /// Copies `ask`, the command and the shim. Needs root.
    pub fn new() -> Nobody {
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        for file in [program("ask"), command(), shim()] {
            fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        Nobody(folder)
    }

    /// `ask` as nobody without the shim.
    pub fn ask_bare(&self) -> Command {
        let mut command = bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(self.0.path().join("ask"));
        command
    }

    /// `ask` as nobody under the shim, with these calls denied by this errno, if any.
    pub fn ask(&self, denied: Option<(&str, &str)>) -> Command {
        let mut command = bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
        command.arg(format!("LD_PRELOAD={}", self.0.path().join("libevercall.so").display()));
        if let Some((errno, calls)) = denied {
            command.arg(self.0.path().join("evercall")).args(denying(errno, calls));
        }
        command.arg(self.0.path().join("ask"));
        command
    }
}

/// Whether this test runs as root.
pub fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}
