//! Executing by every function that can: what the tests of exec share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{program, shim};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The functions, as `exec_by` knows them.
pub const ALL: [&str; 15] = [
    "execve",
    "execv",
    "execvp",
    "execvpe",
    "execl",
    "execle",
    "execlp",
    "fexecve",
    "execveat",
    "execveat-fd",
    "SYS_execve",
    "SYS_execveat",
    "SYS_execveat-fd",
    "posix_spawn",
    "posix_spawnp",
];

/// What is put back.
pub fn preload() -> String {
    format!("LD_PRELOAD={}", shim().display())
}

/// An environment in a file, for `exec_by`.
pub struct Environment(tempfile::NamedTempFile, String);

impl Environment {
    /// Of these strings.
    pub fn of(strings: &[&str]) -> Environment {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for string in strings {
            file.write_all(string.as_bytes()).unwrap();
            file.write_all(b"\0").unwrap();
        }
        // For programs that run as another user too.
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let word = format!("file:{}", file.path().display());
        Environment(file, word)
    }

    /// Its word on `exec_by`'s command line.
    pub fn word(&self) -> &str {
        &self.1
    }
}

/// Adds `exec_by`'s arguments to a command that runs it.
pub fn exec(
    mut command: Command,
    place: &str,
    how: &str,
    environment: &str,
    target: impl AsRef<Path>,
) -> Command {
    assert_eq!(Path::new(command.get_program()), program("exec_by"));
    if !place.is_empty() {
        command.arg(place);
    }
    command.args([how, environment]).arg(target.as_ref());
    command
}
