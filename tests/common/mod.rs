//! What the tests of the shim share: the built library, the test programs, and running one under the other.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that `make build` or `make programs` leaves.
fn built(path: &str, make: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "{} is missing: run `make {make}` first", path.display());
    path
}

/// `dist/libevercall.so`.
pub fn shim() -> PathBuf {
    built("dist/libevercall.so", "build")
}

/// A program of `test-programs/`, by the name of its file in `test-programs/build/`.
pub fn program(name: &str) -> PathBuf {
    built(&format!("test-programs/build/{name}"), "programs")
}

/// A command with no EVERCALL_ setting and no preload of the caller's.
pub fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EVERCALL") {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_PRELOAD").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// The same under the shim.
pub fn under_shim(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = bare(program);
    command.env("LD_PRELOAD", shim());
    command
}

/// `dist/evercall`.
pub fn command() -> PathBuf {
    built("dist/evercall", "build")
}

/// A program run by `evercall simulate`, as on a host that answers calls with an errno:
/// `denied("ENOSYS", "_sysctl,ustat")`; also with KILL or TRAP. Add the program and its arguments.
pub fn denied(errno: &str, calls: &str) -> Command {
    let mut command = bare(command());
    command.args(denying(errno, calls));
    command
}

/// The words behind the command that do so.
pub fn denying(errno: &str, calls: &str) -> [String; 4] {
    let list: Vec<String> = calls.split(',').map(|call| format!("{}:{errno}", number(call))).collect();
    ["simulate".to_owned(), "--deny".to_owned(), list.join(","), "--".to_owned()]
}

/// The x86-64 number of a call, as text.
pub fn number(call: &str) -> String {
    if call.parse::<u16>().is_ok() {
        return call.to_owned();
    }
    let number = evercall_rules::table::Call::find(call).and_then(|call| call.x86_64);
    number.unwrap_or_else(|| panic!("no x86-64 call {call} in the table")).to_string()
}

/// Runs to the end. A program that was just written may still be open in a child that another test's thread is
/// starting at this moment: that is waited for.
pub fn output(command: &mut Command) -> Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => return other.unwrap_or_else(|e| panic!("{command:?}: {e}")),
        }
    }
}

/// Runs to the end, and fails the test with all output unless the exit status is 0.
pub fn succeed(command: &mut Command) -> Output {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ends a test that this machine cannot run; the reason is printed, since a skipped test proves nothing.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        // Straight to the descriptor: what a passing test prints by the macros is kept from view.
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED {}: {}", module_path!(), format_args!($($reason)*));
        return;
    }};
}
