//! From the path a program gave to a row of the file rules.

use super::folders;
use crate::arch;
use crate::sys;
use crate::text::Text;
use core::ffi::c_int;
use evercall_rules::packed::{FileAnswer, FileId};

/// Bytes of the longest path that is looked at, and of the longest folder it may start from.
const PATH: usize = 256;

/// A path that is a row's.
#[derive(Clone, Copy)]
pub struct Seen {
    /// The row.
    pub file: FileId,
    /// Whether the path begins at the descriptor of a folder that we made: the host has looked elsewhere.
    pub inside: bool,
    /// Whether a slash behind the name of what is a file says that a folder is meant.
    pub slash: bool,
}

/// The row of a path, as the kernel would walk it from `folder`.
///
/// Matched: absolute paths that begin with /proc, /sys, /dev or /var/lib/rpm, and relative ones whose last component
/// is a row's; doubled slashes, `.` and `..`, the process's own number in place of `self`. Not matched: a way into these
/// trees by a symbolic link or by `..` from elsewhere, and paths of 256 bytes or more.
///
/// # Safety
/// `path` is a string that the kernel has just read for the same call.
pub unsafe fn find(folder: c_int, path: usize) -> Option<Seen> {
    // SAFETY: the caller's promise.
    if !unsafe { may_match(path) } {
        return None;
    }
    let mut copy = [0u8; PATH];
    // SAFETY: as above. A copy, since another thread may write to it.
    look_up(folder, unsafe { copied(path as *const u8, &mut copy) })
}

/// Whether a closer look is worth its cost: a few nanoseconds for a path that is none of ours.
///
/// # Safety
/// As for [`find`].
#[inline(always)]
pub unsafe fn may_match(path: usize) -> bool {
    let path = path as *const u8;
    if path.is_null() {
        // With AT_EMPTY_PATH the kernel takes it for an empty path (fs/namei.c of 6.11, getname_maybe_null).
        return false;
    }
    // SAFETY: nothing behind the NUL is read: it ends each step, and equals no byte that is looked for.
    unsafe {
        if *path == b'/' && !matches!(*path.add(1), b'/' | b'.' | b'p' | b's' | b'd' | b'v') {
            return false;
        }
        may_be_ours(path)
    }
}

/// The rest of the question, for paths that begin with `/p`, `/s`, `/d`, `/v` or no slash: how it ends, which tells
/// most others apart, then how it begins.
///
/// # Safety
/// As for [`find`].
#[inline(never)]
unsafe fn may_be_ours(path: *const u8) -> bool {
    // SAFETY: the caller's promise; nothing behind the NUL is read.
    unsafe {
        let last = match arch::length(path, PATH) {
            Some(length @ 4..) => path.add(length - 4).cast::<u32>().read_unaligned().to_le(),
            // A name alone, in the folder that it is looked for in.
            Some(3) => u32::from_le_bytes([b'/', *path, *path.add(1), *path.add(2)]),
            // Nothing, `.`, `..`, `a/`.
            Some(length @ 1..) => u32::from_le_bytes([0, 0, 0, *path.add(length - 1)]),
            _ => return false,
        };
        // `a/`, `a/.` and `a/..` name something by what stands before.
        let is_by_another = matches!((last >> 24) as u8, b'.' | b'/');
        (FileId::may_end(last) || is_by_another) && may_begin(path)
    }
}

/// Whether a path is relative, or begins as a row does. An odd beginning is rare, and looked at closely.
///
/// # Safety
/// As for [`find`].
unsafe fn may_begin(path: *const u8) -> bool {
    // SAFETY: the caller's promise; nothing behind the NUL is read.
    unsafe {
        if *path != b'/' {
            return true;
        }
        let mut start = 0;
        while *path.add(start) == b'/' {
            start += 1;
        }
        let tree: &[u8] = match *path.add(start) {
            b'p' => b"proc/",
            b'd' => b"dev/",
            b'v' => b"var/lib/rpm/",
            b'.' => return true,
            _ => b"sys/",
        };
        tree.iter().enumerate().all(|(at, &byte)| *path.add(start + at) == byte)
    }
}

/// The bytes of a string before its NUL, or as many as there is room for.
///
/// # Safety
/// As for [`find`].
unsafe fn copied(path: *const u8, to: &mut [u8]) -> &[u8] {
    let mut length = 0;
    for (at, place) in to.iter_mut().enumerate() {
        // SAFETY: the caller's promise; nothing behind the NUL is read.
        *place = unsafe { path.add(at).read_volatile() };
        if *place == 0 {
            break;
        }
        length += 1;
    }
    to.get(..length).unwrap_or(&[])
}

#[inline(never)]
fn look_up(folder: c_int, given: &[u8]) -> Option<Seen> {
    let mut plain = Text::<PATH>::new();
    let mut inside = false;
    if given.first() != Some(&b'/') {
        inside = start_from(folder, &mut plain)?;
    }
    append(&mut plain, given)?;
    if plain.is_cut() {
        return None;
    }
    let file = FileId::of_path(plain.bytes())?;
    // A slash behind its name says that a folder is meant.
    let is_folder = matches!(file.answer()?, FileAnswer::Folder | FileAnswer::Mount);
    let folder_meant = matches!(given.rsplit(|&b| b == b'/').next(), Some(b"" | b"." | b".."));
    Some(Seen { file, inside, slash: folder_meant && !is_folder })
}

/// The folder that a relative path starts from, and whether it is one of ours.
fn start_from(folder: c_int, plain: &mut Text<PATH>) -> Option<bool> {
    let mut link = match folder {
        libc::AT_FDCWD => {
            let mut link = Text::new();
            link.push(b"/proc/self/cwd");
            link
        }
        fd => sys::proc_path(fd),
    };
    let mut start = [0u8; PATH];
    let length = sys::read_link_at(link.c_str(), &mut start).ok()?;
    let start = start.get(..length)?;
    if let Some(file) = folders::of_descriptor(folder).filter(|file| file.to() == start) {
        plain.push(file.path());
        return Some(true);
    }
    append(plain, start)?;
    Some(false)
}

/// Adds the components of a path to a plain one. None where `..` stands behind what is no folder, or a link: it leads
/// from where the link does.
fn append(plain: &mut Text<PATH>, path: &[u8]) -> Option<()> {
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                if !is_plain_folder(plain) {
                    return None;
                }
                let parent = plain.bytes().iter().rposition(|&b| b == b'/').unwrap_or(0);
                plain.truncate(parent);
            }
            name if plain.bytes() == b"/proc" && is_self(name) => {
                plain.push(b"/self");
            }
            name => {
                plain.push(b"/").push(name);
            }
        }
    }
    Some(())
}

/// Whether a plain path is a folder of its own.
fn is_plain_folder(path: &mut Text<PATH>) -> bool {
    if path.is_cut() {
        return false;
    }
    // `/proc/self` is a link to the folder that we mean by it.
    let known = matches!(path.bytes(), b"" | b"/proc/self");
    known
        || FileId::of_path(path.bytes()).is_some_and(|file| file.answer() == Some(FileAnswer::Folder))
        || sys::kind_of(path.c_str()) == Ok(libc::S_IFDIR)
}

/// Whether a folder of /proc is this process's own.
fn is_self(name: &[u8]) -> bool {
    let mut own = Text::<24>::new();
    own.signed(i64::from(sys::getpid()));
    name == own.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    fn plain(path: &str) -> Option<String> {
        let mut text = Text::new();
        append(&mut text, path.as_bytes())?;
        Some(String::from_utf8_lossy(text.bytes()).into_owned())
    }

    fn found(path: &str) -> Option<String> {
        let path = CString::new(path).unwrap();
        // SAFETY: a string.
        let seen = unsafe { find(libc::AT_FDCWD, path.as_ptr() as usize) }.filter(|seen| !seen.slash)?;
        Some(String::from_utf8_lossy(seen.file.path()).into_owned())
    }

    #[test]
    fn paths_become_plain() {
        let own = format!("/proc/{}/cgroup", std::process::id());
        for (path, due) in [
            ("/proc/diskstats", Some("/proc/diskstats")),
            ("//proc/./diskstats/", Some("/proc/diskstats")),
            ("/proc/sys/../diskstats", Some("/proc/diskstats")),
            ("/../proc/diskstats", Some("/proc/diskstats")),
            (own.as_str(), Some("/proc/self/cgroup")),
            ("/proc/self/../1/cgroup", Some("/proc/1/cgroup")),
            ("/", Some("")),
            // Links, and what is no folder.
            ("/proc/self/cwd/../cgroup", None),
            ("/proc/thread-self/../diskstats", None),
            ("/proc/net/../diskstats", None),
            ("/proc/diskstats/../diskstats", None),
            ("/proc/nothing/../diskstats", None),
        ] {
            assert_eq!(plain(path).as_deref(), due, "{path}");
        }
    }

    #[test]
    fn a_slash_behind_it_means_a_folder() {
        for (path, due) in [
            ("/proc/diskstats", Some("/proc/diskstats")),
            ("/proc/diskstats/", None),
            ("/proc/diskstats/.", None),
            ("/sys/fs/cgroup/pids//.", Some("/sys/fs/cgroup/pids")),
            ("/sys/fs/cgroup/pids/../pids", Some("/sys/fs/cgroup/pids")),
            ("/sys/fs/cgroup/", Some("/sys/fs/cgroup")),
        ] {
            assert_eq!(found(path).as_deref(), due, "{path}");
        }
    }

    #[test]
    fn paths_of_others_are_passed_over_at_once() {
        for (path, due) in [
            (c"/usr/lib/libc.so", false),
            (c"/", false),
            (c"", false),
            (c"/proc", false),
            (c"a/b/", true),
            (c"/sysroot/diskstat", false),
            (c"/prefix", false),
            (c"///proc/diskstats", true),
            (c"/proc/diskstats//", true),
            (c"/./proc/diskstats", true),
            (c"/dev/random", true),
            (c"/dev/null", false),
            (c"/var/lib/rpm/Packages", true),
            (c"/var/lib/dpkg/status", false),
            (c"diskstats", true),
            (c"a/b/diskstats", true),
            (c"a/diskstats/b.txt", false),
            (c"cpu", true),
            (c"src", false),
            (c"..", true),
            (c"ab", false),
            (c"b", false),
            (c"/proc/self/maps", false),
            (c"/private/diskstats", false),
        ] {
            // SAFETY: a string.
            assert_eq!(unsafe { may_match(path.as_ptr() as usize) }, due, "{path:?}");
        }
    }

    proptest! {
        /// Wherever a string lies, and nothing behind is looked at.
        #[test]
        fn lengths_are_what_std_says(path in "[a-c/]{0,70}", offset in 0usize..32, behind in "[a-c/]{0,40}") {
            let mut memory = vec![0; offset];
            memory.extend(path.as_bytes());
            memory.push(0);
            memory.extend(behind.as_bytes());
            // SAFETY: a string, in one piece of memory with what stands around it.
            let length = unsafe { arch::length(memory.as_ptr().add(offset), 64) };
            prop_assert_eq!(length, (path.len() < 64).then_some(path.len()));
        }

        /// What the quick look passes over is no row, however it is written.
        #[test]
        fn no_row_is_passed_over(
            row in prop::sample::select(FileId::all().map(FileId::path).collect::<Vec<_>>()),
            begin in prop::sample::select(vec!["", "/", "//", "/.", "/./", "/proc/.."]),
            relative in 0usize..8,
            end in prop::sample::select(vec!["", "/", "//", "/.", "/./", "/x/.."]),
        ) {
            let path = String::from_utf8_lossy(row).into_owned();
            let cut: Vec<&str> = path.split('/').skip(1).collect();
            let relative = cut.get(relative..).filter(|left| !left.is_empty()).map(|left| left.join("/"));
            for path in [format!("{begin}{path}{end}"), relative.map_or(path, |left| left + end)] {
                let path = CString::new(path).unwrap();
                // SAFETY: a string.
                prop_assert!(unsafe { may_match(path.as_ptr() as usize) }, "{:?}", path);
            }
        }
    }

    /// A component of a path: of the trees of the rules, and links that lead elsewhere.
    fn component() -> impl Strategy<Value = String> {
        let own = std::process::id().to_string();
        let names = [
            "proc",
            "self",
            "sys",
            "fs",
            "cgroup",
            "cgroups",
            "mounts",
            "mountinfo",
            "diskstats",
            "net",
            "cwd",
            "root",
            "fd",
            "0",
            "task",
            "class",
            "thread-self",
            "..",
            "..",
            ".",
            "",
            "1",
            &own,
            "memory",
            "ipv4",
        ];
        prop::sample::select(names.map(str::to_owned).to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The kernel resolves the path: what is taken for a row's file is that very file, or is not there, nor is
        /// the row's.
        #[test]
        fn a_row_is_found_where_the_kernel_finds_its_file(
            tree in prop::sample::select(vec!["/proc/", "/sys/", "//proc/", "/proc/self/", "/sys/fs/", "/./proc/"]),
            components in prop::collection::vec(component(), 0..6),
            name in prop::sample::select(vec!["cgroup", "cgroups", "mounts", "mountinfo", "diskstats", "/sys/fs/cgroup/"]),
        ) {
            let path = format!("{tree}{}/{name}", components.join("/"));
            let number = |path: &str| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
            if let Some(row) = found(&path) {
                prop_assert_eq!(number(&path), number(&row), "{} is not {}", path, row);
            }
        }

        /// And a path without links is always found.
        #[test]
        fn plain_paths_are_found(
            begin in prop::sample::select(vec!["/proc", "//proc/", "/./proc", "/proc/self/..", "/proc/sys/../self/.."]),
            between in prop::collection::vec(
                prop::sample::select(vec!["/.", "//", "/sys/..", "/self/..", "/sys/kernel/../.."]), 0..4),
            name in prop::sample::select(vec!["diskstats", "cgroups", "self/mountinfo", "self/cgroup", "self/mounts"]),
        ) {
            let path = format!("{begin}{}/{name}", between.concat());
            prop_assert_eq!(found(&path), Some(format!("/proc/{name}")), "{}", path);
        }
    }
}
