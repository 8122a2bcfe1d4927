//! The libc of the image, found in its file; nothing of it is run.

use super::Eyes;
use serde::Serialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The libc that dynamic programs of this image get.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Libc {
    /// `glibc`, `musl`, `uclibc`, or `none`: an image of static programs alone.
    pub kind: &'static str,
    /// Its version, if its file tells.
    pub version: Option<String>,
    /// Its file.
    pub path: Option<PathBuf>,
}

/// Where dynamic loaders look for a libc by themselves, and multiarch's folders.
const FOLDERS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// Finds the version in a file's bytes.
type FindVersion = fn(&[u8]) -> Option<String>;

/// The files of each libc, and how their version is found.
const FILES: [(&str, &str, FindVersion); 3] =
    [("glibc", "libc.so.6", glibc), ("musl", "ld-musl-x86_64.so.1", musl), ("uclibc", "libc.so.0", uclibc)];

impl Libc {
    /// Looks in the usual folders.
    pub fn look(eyes: &Eyes) -> Libc {
        for (kind, name, version) in FILES {
            for folder in FOLDERS {
                let path = PathBuf::from(folder).join(name);
                let Ok(bytes) = eyes.bytes(&path) else { continue };
                // glibc's development files hold a text of that name's sort; and other architectures' libcs.
                if bytes.starts_with(b"\x7fELF\x02\x01") && bytes.get(18) == Some(&62) {
                    let version = version(&bytes).or_else(|| uclibc(named(&path)?.as_bytes()));
                    return Libc { kind, version, path: Some(path) };
                }
            }
        }
        Libc { kind: "none", version: None, path: None }
    }
}

/// From the banner: "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.", else the newest of its
/// symbol versions.
fn glibc(bytes: &[u8]) -> Option<String> {
    for mark in [&b" release version "[..], b"GNU C Library development release version "] {
        if let Some(version) = after(bytes, mark).map(number).filter(|version| version.contains('.')) {
            return Some(version);
        }
    }
    let mark = b"\0GLIBC_2.";
    let mut newest = None;
    let mut rest = bytes;
    while let Some(found) = after(rest, mark) {
        newest = newest.max(number(found).split('.').next().and_then(|minor| minor.parse::<u16>().ok()));
        rest = found;
    }
    newest.map(|minor| format!("2.{minor}"))
}

/// Its text for `ldd --version` stands apart from the number, which is a text of its own: "1.2.3".
fn musl(bytes: &[u8]) -> Option<String> {
    after(bytes, b"musl libc")?;
    bytes.split(|byte| *byte == 0).find_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let is = |part: &str| !part.is_empty() && part.len() < 4 && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').collect();
        (parts.len() == 3 && parts.iter().all(|part| is(part)) && text.starts_with(['0', '1', '2']))
            .then(|| text.to_owned())
    })
}

/// Its file's soname has no version, but a text does: "libuClibc-0.9.33.2.so".
fn uclibc(bytes: &[u8]) -> Option<String> {
    Some(number(after(bytes, b"libuClibc-")?).trim_end_matches('.').to_owned())
        .filter(|version| !version.is_empty())
}

/// The name that a symbolic link leads to: libc.so.0 is one to libuClibc-0.9.33.2.so.
fn named(path: &Path) -> Option<OsString> {
    path.read_link().ok()?.file_name().map(OsString::from)
}

/// What follows the first of these marks.
fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    bytes.get(at + mark.len()..)
}

/// Digits and dots at the beginning, without a full stop behind them.
fn number(text: &[u8]) -> String {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').take(16);
    digits.map(|byte| char::from(*byte)).collect::<String>().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_files_texts() {
        let banner =
            b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright";
        assert_eq!(glibc(banner).as_deref(), Some("2.36"));
        assert_eq!(glibc(b"\0GLIBC_2.2.5\0GLIBC_2.17\0GLIBC_2.3\0GLIBC_PRIVATE\0").as_deref(), Some("2.17"));
        assert_eq!(glibc(b"nothing"), None);
        let text = b"\0musl libc (x86_64)\nVersion %s\nDynamic Program Loader\n\x001.2.3\0";
        assert_eq!(musl(text).as_deref(), Some("1.2.3"));
        assert_eq!(musl(b"1.2.3\0"), None);
        assert_eq!(uclibc(b"\0libuClibc-0.9.33.2.so\0").as_deref(), Some("0.9.33.2"));
    }
}
