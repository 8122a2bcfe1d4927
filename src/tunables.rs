//! GLIBC_TUNABLES of the program that `evercall run` becomes, by /etc/evercall.conf and EVERCALL_TUNABLES. The programs
//! that it executes get theirs from the library, which follows the same rules (shims/src/environment.rs).

use evercall_rules::section::is_meant;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

const NAME: &str = "GLIBC_TUNABLES";

/// The variable of the setting.
pub const SETTING: &str = "EVERCALL_TUNABLES";

/// The variable for a program, if anything is to be added to it. `set`: what stands in place of the environment's
/// setting.
pub fn of(program: &Path, set: Option<OsString>) -> Option<(&'static str, OsString)> {
    let theirs = env::var_os(NAME).unwrap_or_default();
    let file = fs::read("/etc/evercall.conf").unwrap_or_default();
    let variable = set.or_else(|| env::var_os(SETTING));
    let merged = merged(program, &file, variable.as_deref(), theirs.as_bytes())?;
    log::debug!("{NAME}={}", String::from_utf8_lossy(&merged));
    Some((NAME, OsString::from_vec(merged)))
}

fn merged(program: &Path, file: &[u8], variable: Option<&OsStr>, theirs: &[u8]) -> Option<Vec<u8>> {
    let mut configured = in_file(program.as_os_str().as_bytes(), file);
    configured.extend(variable.map(OsStr::as_bytes));
    let mut merged = theirs.to_vec();
    let entries: Vec<&[u8]> = configured.iter().flat_map(|value| value.split(|&b| b == b':')).collect();
    for (index, entry) in entries.iter().enumerate() {
        let Some(end) = entry.iter().position(|&b| b == b'=').filter(|&end| end > 0) else { continue };
        let is_same = |other: &[u8]| other.starts_with(&entry[..=end]);
        if entries[index + 1..].iter().any(|later| is_same(later))
            || merged.split(|&b| b == b':').any(is_same)
        {
            continue;
        }
        if !merged.is_empty() {
            merged.push(b':');
        }
        merged.extend_from_slice(entry);
    }
    (merged != theirs).then_some(merged)
}

/// The values of `tunables` that hold for a program, in their order.
fn in_file<'a>(program: &[u8], file: &'a [u8]) -> Vec<&'a [u8]> {
    let mut meant = true;
    let mut values = Vec::new();
    for line in file.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.starts_with(b"#")) {
        if let Some(pattern) = line.strip_prefix(b"[").and_then(|line| line.strip_suffix(b"]")) {
            meant = is_meant(pattern.trim_ascii(), program);
        } else if let Some(at) = line.iter().position(|&b| b == b'=') {
            if meant && line[..at].trim_ascii() == b"tunables" {
                values.push(line[at + 1..].trim_ascii());
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunables_are_merged_and_the_last_word_counts() {
        let file =
            b"tunables = a.b=1\n# tunables = z=9\n[mongod]\n tunables = a.b=2:c=3 \n[other]\ntunables=d=4\n";
        let run = |program: &str, variable: Option<&str>, theirs: &str| {
            let merged = merged(Path::new(program), file, variable.map(OsStr::new), theirs.as_bytes());
            merged.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(run("/usr/bin/mongod", None, "").as_deref(), Some("a.b=2:c=3"));
        assert_eq!(run("/usr/bin/x", None, "").as_deref(), Some("a.b=1"));
        assert_eq!(run("mongod", Some("c=5:e=6"), "").as_deref(), Some("a.b=2:c=5:e=6"));
        assert_eq!(run("mongod", None, "a.b=7:f=8").as_deref(), Some("a.b=7:f=8:c=3"));
        assert_eq!(run("x", None, "a.b=7"), None);
        assert_eq!(run("x", Some("rubbish:=1"), "a.b=7"), None);
    }
}
