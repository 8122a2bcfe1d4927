//! Debian roots of other releases, made once by `tests/debian-root.sh` and kept outside the tree.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::PathBuf;
use std::process::Command;

/// The folder of a root: `libc` (the C library and its headers), `base` (a whole minimal system) or `modern`
/// (that with python3, git and node) of a suite. An error is the script's last line: the suite may be gone from the mirror, or no mirror at hand.
pub fn root(kind: &str, suite: &str) -> Result<PathBuf, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/debian-root.sh");
    let output = Command::new(script).args([kind, suite]).output().map_err(|e| format!("{script}: {e}"))?;
    if output.status.success() {
        return Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("no {kind} root of {suite}: {}", said.trim_end().lines().last().unwrap_or("nothing said")))
}

/// The C compiler, set to build against the C library of a `libc` root and for its loader.
pub fn compiler(root: &std::path::Path) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut compiler = Command::new("cc");
    compiler
        .arg(format!("--sysroot={}", root.display()))
        .arg(format!("-B{}/", libraries.display()))
        .arg(format!("-L{}", libraries.display()))
        .arg("-O1");
    compiler
}

/// Where tests keep what they fetched, as `tests/debian-apt.sh` has it.
pub fn cache() -> PathBuf {
    if let Some(folder) = std::env::var_os("EVERCALL_ROOTS") {
        return folder.into();
    }
    // SAFETY: geteuid only gives a number.
    if unsafe { libc::geteuid() } == 0 {
        return "/var/cache/evercall".into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("evercall")
}
