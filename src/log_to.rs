//! The value of `--log-to`: where the shim writes its lines.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf, absolute};

/// The longest path that the shim keeps, in bytes.
const LONGEST_PATH: usize = 256;

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Descriptor 2.
    Stderr,
    /// A descriptor that the program is started with.
    Descriptor(i32),
    /// A file, by its absolute path.
    File(PathBuf),
}

impl LogTo {
    /// Reads the option. A relative path counts from here, not from wherever a program goes.
    pub fn parse(value: OsString) -> Result<LogTo, String> {
        match value.to_str() {
            Some("stderr") => return Ok(LogTo::Stderr),
            Some("stdout") => return Err("write fd:1 for standard output".into()),
            Some(text) => {
                if let Some(number) = text.strip_prefix("fd:") {
                    return descriptor(number);
                }
            }
            None => {}
        }
        file(&value)
    }

    /// The value of `EVERCALL_LOG_TO`.
    pub fn setting(&self) -> OsString {
        match self {
            LogTo::Stderr => "stderr".into(),
            LogTo::Descriptor(number) => format!("fd:{number}").into(),
            LogTo::File(path) => path.into(),
        }
    }
}

fn descriptor(number: &str) -> Result<LogTo, String> {
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = number.parse().ok().filter(|_| digits) else {
        return Err("fd: must be followed by the number of an open descriptor, as in fd:3".into());
    };
    let open = Path::new("/proc/self/fd");
    if open.exists() && open.join(format!("{number}")).symlink_metadata().is_err() {
        return Err(format!("descriptor {number} is not open; open it first, as in {number}>FILE"));
    }
    Ok(LogTo::Descriptor(number))
}

fn file(value: &OsStr) -> Result<LogTo, String> {
    let path = absolute(value).map_err(|error| format!("no absolute path can be made of it: {error}"))?;
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(format!("{} is longer than {LONGEST_PATH} bytes", path.display()));
    }
    if path.is_dir() || value.as_bytes().ends_with(b"/") {
        return Err(format!("{} is a folder; name a file in it", path.display()));
    }
    match path.parent() {
        Some(folder) if !folder.is_dir() => {
            Err(format!("there is no folder {}; make it first", folder.display()))
        }
        _ => Ok(LogTo::File(path)),
    }
}
