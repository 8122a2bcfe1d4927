//! From the name of a program to the program: where it is looked up, and what to say when it cannot be run.

use crate::failure::Failure;
use crate::program::{self, Elf, Kind, Loading, Script};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where programs are looked up without PATH, as glibc's execvp does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Tries the files that the first word of a command may mean, in turn, as execvp(3) does. `become_it` becomes
/// the program, or comes back with the kernel's reason why not; a failure of its own ends the search.
pub fn launch(
    command: &[OsString],
    mut become_it: impl FnMut(&Path) -> Result<io::Error, Failure>,
) -> Failure {
    let program = command.first().cloned().unwrap_or_default();
    let mut last = None;
    for candidate in candidates(&program) {
        let error = match become_it(&candidate) {
            Ok(error) => error,
            Err(failure) => return failure,
        };
        // As execvp: a file that is not there never hides the reason why another could not be run.
        let goes_on = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
        );
        if last.is_none() || candidate.symlink_metadata().is_ok() {
            last = Some((candidate, error));
        }
        if !goes_on {
            break;
        }
    }
    match last {
        Some((candidate, error)) => refused(&program, &candidate, &error),
        None => Failure::not_found("the name of the program is empty"),
    }
}

/// Whether a path is a file that somebody may execute.
pub fn is_executable_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
}

/// The files that a program's name may mean, in the order of PATH (execvp(3)): an empty entry is the
/// current folder, as a path without folder is.
fn candidates(program: &OsStr) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    env::split_paths(&path).map(|folder| folder.join(program)).collect()
}

/// Why the kernel refused, with the exit codes of env(1).
pub fn refused(program: &OsStr, file: &Path, error: &io::Error) -> Failure {
    let exists = file.symlink_metadata().is_ok();
    let name = file.display();
    if error.kind() == ErrorKind::NotFound {
        return Failure::not_found(match program::kind(file) {
            Ok(Kind::Script(Script { interpreter, .. })) => format!(
                "{name} is a script for {}, and that (or what it needs) is not there; install it, or mend the first \
                 line of the script",
                interpreter.display()
            ),
            Ok(Kind::Elf(Elf { loading: Loading::Dynamic(missing), .. })) => format!(
                "{name} needs the dynamic loader {}, which is not there; install the libc it belongs to",
                missing.display()
            ),
            _ if exists => format!("{name} is a link to a file that is not there"),
            _ if program.as_bytes().contains(&b'/') => format!("{name}: there is no such file"),
            _ => format!("{}: there is no such program in PATH", Path::new(program).display()),
        });
    }
    let why = match error.kind() {
        ErrorKind::PermissionDenied if file.is_dir() => "it is a folder".to_string(),
        ErrorKind::PermissionDenied => {
            "permission denied. Is it executable (chmod +x), and every folder on the way to it open?"
                .to_string()
        }
        _ if error.raw_os_error() == Some(libc::ENOEXEC) => {
            "the kernel knows no such kind of program. If it is a script without a first line #!, give it to \
             its shell: sh FILE"
                .to_string()
        }
        _ => error.to_string(),
    };
    Failure::cannot_run(format!("{name} cannot be run: {why}"))
}
