//! Which cgroup a program is shown. Files that the host lacks are made for everybody: who knows v2 asks for v2's first.
//! What tells the two apart (the lists of groups, mounts and controllers, the file system's type) is changed only for
//! programs that know v1 alone. Decided once, so that all of it agrees.

use crate::cgroup_group;
use crate::files::{Lines, read_start};
use crate::program;
use crate::settings::{self, Cgroup};
use crate::state;
use crate::sys;
use crate::text::{Text, parse_decimal};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use evercall_rules::packed::RuleId;

/// Bytes of a path.
const PATH: usize = 512;

const UNDECIDED: u8 = 0;
const V2: u8 = 1;
const V1: u8 = 2;
static DECIDED: AtomicU8 = AtomicU8::new(UNDECIDED);

/// Whether there is anything to do: the host has v2 alone, and nobody switched it off.
pub fn is_wanted() -> bool {
    settings::get().cgroup != Cgroup::Off && cgroup_group::is_v2_alone()
}

/// Whether this program is to see v1 and nothing else.
pub fn is_v1() -> bool {
    let wanted = match settings::get().cgroup {
        Cgroup::V1 => true,
        Cgroup::V2 | Cgroup::Off => false,
        Cgroup::Auto => match DECIDED.load(Relaxed) {
            UNDECIDED => {
                let decided = knows_v1_alone();
                DECIDED.store(if decided { V1 } else { V2 }, Relaxed);
                decided
            }
            decided => decided == V1,
        },
    };
    wanted || state::acts(RuleId::CgroupV1)
}

/// Whether the program's own files say that it is a runtime of before v2.
fn knows_v1_alone() -> bool {
    let mut link = [0u8; PATH];
    let Ok(length) = sys::read_link_at(c"/proc/self/exe", &mut link) else { return false };
    let path = link.get(..length).unwrap_or(&[]);
    java(path).or_else(|| dotnet(path)).unwrap_or(false)
}

/// The folder that a path lies in.
fn folder(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
    path.get(..end).unwrap_or(&[])
}

/// A path of two parts. Cut, it leads nowhere.
fn path_of(folder: &[u8], name: &[u8]) -> Text<PATH> {
    let mut path = Text::new();
    path.push(folder).push(name);
    if path.is_cut() { Text::new() } else { path }
}

/// By the `release` file of a Java runtime, which stands beside its `bin` folder: before 8u372, 11.0.16 and 15 it
/// knows v1 alone (JDK-8230305 and its backports). None for other programs.
fn java(program: &[u8]) -> Option<bool> {
    let bin = folder(program);
    if program::name(bin) != b"bin" {
        return None;
    }
    let home = folder(bin);
    // Of 8, whose `jre` folder lies in the one that has the file.
    [home, folder(home)].iter().find_map(|home| {
        let mut lines = Lines::open(path_of(home, b"/release").c_str()).ok()?;
        while let Ok(Some(line)) = lines.next() {
            if let Some(version) = line.strip_prefix(b"JAVA_VERSION=\"") {
                return java_before_v2(version);
            }
        }
        None
    })
}

/// `1.8.0_362"`, `11.0.15.1"`, `17"`: whether this is a Java of before v2. None where it cannot be read.
fn java_before_v2(version: &[u8]) -> Option<bool> {
    let mut numbers =
        version.split(|b| !b.is_ascii_digit()).filter_map(parse_decimal).map(|(number, _)| number);
    let mut next = || numbers.next();
    match next()? {
        1 => match next()? {
            // 1.8.0_362
            8 => Some(next().zip(next()).is_none_or(|(_, update)| update < 372)),
            feature => Some(feature < 8),
        },
        8 => Some(next().zip(next()).is_none_or(|(_, update)| update < 372)),
        11 => Some(next().zip(next()).is_none_or(|(_, update)| update < 16)),
        feature => Some(feature < 15),
    }
}

/// .NET knows v2 from 5 on (dotnet/runtime#34334). None for other programs.
fn dotnet(program: &[u8]) -> Option<bool> {
    let folder = folder(program);
    let has = |name: &[u8]| sys::exists(path_of(folder, name).c_str());
    if has(b"/libcoreclr.so") {
        // With its runtime beside it, whose libraries have had names that begin with lib since 5.
        return Some(has(b"/System.Native.so") && !has(b"/libSystem.Native.so"));
    }
    if program::name(program) == b"dotnet" {
        return installed_before_5(&path_of(folder, b"/shared/Microsoft.NETCore.App"));
    }
    let mut buffer = [0u8; 1024];
    let start = read_start(path_of(program, b".runtimeconfig.json").c_str(), &mut buffer).ok()?;
    wanted_before_5(start)
}

/// Whether every installed runtime, a folder by its version each, is of before 5.
fn installed_before_5(shared: &Text<PATH>) -> Option<bool> {
    let mut path = path_of(shared.bytes(), b"");
    let folder = sys::open(path.c_str(), libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()?;
    let mut buffer = [0u8; 1024];
    let mut before = None;
    loop {
        let length = sys::entries(&folder, &mut buffer).ok()?;
        let mut rest = buffer.get(..length).filter(|entries| !entries.is_empty()).unwrap_or(&[]);
        if rest.is_empty() {
            return before;
        }
        // getdents64(2): number, offset, the entry's length at 16, type, and the name at 19.
        while let Some(entry_length) = rest.get(16..18).and_then(|bytes| bytes.try_into().ok()) {
            let entry_length = usize::from(u16::from_ne_bytes(entry_length));
            if let Some((major, _)) = rest.get(19..entry_length).and_then(parse_decimal) {
                before = Some(before.unwrap_or(true) && major < 5);
            }
            rest = rest.get(entry_length.max(19)..).unwrap_or(&[]);
        }
    }
}

/// What follows a word in a text.
fn behind<'a>(mut text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    loop {
        if let Some(rest) = text.strip_prefix(word) {
            return Some(rest);
        }
        (_, text) = text.split_first()?;
    }
}

/// Whether the first version in a `runtimeconfig.json`, behind the name of the framework, is of before 5.
fn wanted_before_5(text: &[u8]) -> Option<bool> {
    let text = behind(behind(behind(text, b"\"Microsoft.")?, b"\"version\"")?, b"\"")?;
    parse_decimal(text).map(|(major, _)| major < 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_of_java_are_told_apart() {
        for (version, due) in [
            ("1.8.0_131\"", Some(true)),
            ("1.8.0_362\"", Some(true)),
            ("1.8.0_372\"", Some(false)),
            ("1.8.0\"", Some(true)),
            ("1.7.0_80\"", Some(true)),
            ("8.0.372\"", Some(false)),
            ("9.0.4\"", Some(true)),
            ("10\"", Some(true)),
            ("11\"", Some(true)),
            ("11.0.9.1\"", Some(true)),
            ("11.0.15.1\"", Some(true)),
            ("11.0.16\"", Some(false)),
            ("14.0.2\"", Some(true)),
            ("15\"", Some(false)),
            ("15-ea\"", Some(false)),
            ("17.0.15\"", Some(false)),
            ("25.0.3\"", Some(false)),
            ("\"", None),
            ("", None),
        ] {
            assert_eq!(java_before_v2(version.as_bytes()), due, "{version}");
        }
    }

    #[test]
    fn versions_of_net_are_told_apart() {
        let json = |version: &str| {
            format!(
                "{{ \"runtimeOptions\": {{ \"tfm\": \"netcoreapp\",\n \"framework\": {{\n \"name\": \
                 \"Microsoft.NETCore.App\",\n \"version\": \"{version}\"\n }} }} }}"
            )
        };
        assert_eq!(wanted_before_5(json("3.1.0").as_bytes()), Some(true));
        assert_eq!(wanted_before_5(json("2.1.30").as_bytes()), Some(true));
        assert_eq!(wanted_before_5(json("5.0.0").as_bytes()), Some(false));
        assert_eq!(wanted_before_5(json("10.0.0").as_bytes()), Some(false));
        assert_eq!(wanted_before_5(b"{}"), None);
    }

    proptest! {
        #[test]
        fn damaged_files_do_no_harm(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (java_before_v2(&text), wanted_before_5(&text));
            let mut json = b"\"Microsoft.\"version\"".to_vec();
            json.extend(&text);
            let _ = wanted_before_5(&json);
        }
    }
}
