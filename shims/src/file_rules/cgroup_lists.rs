//! The lists by which a program learns of cgroups, in v1's form: `/proc/self/cgroup`, `/proc/self/mountinfo`,
//! `/proc/mounts`, `/proc/cgroups` (cgroups(7), proc(5)). Of one mind with each other: every hierarchy is mounted
//! below /sys/fs/cgroup, and the program's group is what is mounted there, as in a container of its own.

use super::cgroup_view;
use super::pieces::Pieces;
use super::text_file::TextFile;
use crate::cgroup_group::{Group, MOUNT};
use crate::files::Lines;
use crate::sys::{Errno, Result};
use crate::text::{Text, fields, parse_decimal};

/// Nothing to change: the host's word stands.
const AS_IT_IS: Errno = Errno(libc::ENOENT);

/// A hierarchy of v1: its number and its controllers.
struct Hierarchy {
    number: u64,
    controllers: &'static [u8],
}

/// Numbers, controllers, and v2's controller that a hierarchy is made from, without which it is left out. JVMs use none
/// of the last three unless all of them are there, so they have none (`-`). One string, as in `cgroup::STAT`.
const HIERARCHIES: &[u8] = b"6 pids pids\n5 blkio io\n4 cpuset -\n3 cpu,cpuacct -\n2 memory -";

impl Hierarchy {
    fn shown() -> impl Iterator<Item = Hierarchy> {
        let root = Group::mounted();
        HIERARCHIES.split(|&b| b == b'\n').filter_map(move |line| {
            let mut words = fields(line);
            let (number, controllers, only_with) = (words.next()?, words.next()?, words.next()?);
            let (number, _) = parse_decimal(number)?;
            (only_with == b"-" || root.has_controller(only_with)).then_some(Hierarchy { number, controllers })
        })
    }
}

fn v1_alone() -> Result<()> {
    if cgroup_view::is_v1() { Ok(()) } else { Err(AS_IT_IS) }
}

/// `/proc/self/cgroup`: the newest hierarchy first, as the kernel lists them. No line of v2: .NET Core 3 stops there.
pub fn own_groups(text: &mut TextFile) -> Result<()> {
    v1_alone()?;
    for hierarchy in Hierarchy::shown() {
        text.decimal(hierarchy.number).push(b":").push(hierarchy.controllers).push(b":/\n");
    }
    Ok(())
}

/// Whether a mount belongs to the tree that is shown otherwise.
fn is_in_tree(point: &[u8]) -> bool {
    point.strip_prefix(MOUNT).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// What is kept of the mount in whose place v1's stand.
struct Place {
    id: Text<24>,
    parent: Text<24>,
    device: Text<24>,
    options: Text<128>,
}

/// Fields of a line, by their numbers.
fn place(line: &[u8], [id, parent, device, options]: [usize; 4]) -> Place {
    let mut place = Place { id: Text::new(), parent: Text::new(), device: Text::new(), options: Text::new() };
    for (index, field) in fields(line).enumerate() {
        // Not `else if`: /proc/mounts has but one of the four.
        for (at, to) in [(id, &mut place.id), (parent, &mut place.parent), (device, &mut place.device)] {
            if index == at {
                to.push(field);
            }
        }
        if index == options {
            place.options.push(field);
        }
    }
    place
}

/// Copies a list of mounts, with v1's in the place of v2's.
fn mount_list(
    text: &mut TextFile,
    path: &core::ffi::CStr,
    point: usize,
    mut instead: impl FnMut(&mut TextFile, &[u8]),
) -> Result<()> {
    v1_alone()?;
    let (mut pieces, mut done, mut left_out) = (Pieces::open(path)?, false, false);
    while let Some(piece) = pieces.next()? {
        if piece.starts {
            left_out = fields(piece.bytes).nth(point).is_some_and(is_in_tree);
            if left_out && !done {
                done = true;
                instead(text, piece.bytes);
            }
        }
        if !left_out {
            text.push(piece.bytes);
        }
    }
    Ok(())
}

/// `/proc/self/mountinfo`: `36 35 98:0 /root /point options [more] - type source options`. Nothing stands before the
/// dash, where JVMs skip all but dashes.
pub fn mountinfo(text: &mut TextFile) -> Result<()> {
    /// Above the ids that the kernel gives out, the smallest free ones first.
    const FIRST_ID: u64 = 1 << 20;
    mount_list(text, c"/proc/self/mountinfo", 4, |text, line| {
        let Place { id, parent, device, options } = place(line, [0, 1, 2, 5]);
        text.push(id.bytes()).push(b" ").push(parent.bytes()).push(b" ").push(device.bytes()).push(b" / ");
        text.push(MOUNT).push(b" ").push(options.bytes()).push(b" - tmpfs tmpfs rw,mode=755\n");
        for hierarchy in Hierarchy::shown() {
            text.decimal(FIRST_ID + hierarchy.number).push(b" ").push(id.bytes()).push(b" ");
            text.push(device.bytes()).push(b" / ").push(MOUNT).push(b"/").push(hierarchy.controllers);
            text.push(b" ").push(options.bytes()).push(b" - cgroup cgroup rw,");
            text.push(hierarchy.controllers).push(b"\n");
        }
    })
}

/// Whether an option is one of a mount, and not of the file system (show_mnt_opts and show_vfsmnt in
/// fs/proc_namespace.c of 6.1).
fn is_of_mount(option: &[u8]) -> bool {
    fields(b"rw ro nosuid nodev noexec noatime nodiratime relatime nosymfollow").any(|known| known == option)
}

/// `/proc/mounts`: `source /point type options 0 0`.
pub fn mounts(text: &mut TextFile) -> Result<()> {
    const NONE: usize = usize::MAX;
    mount_list(text, c"/proc/self/mounts", 1, |text, line| {
        let Place { options, .. } = place(line, [NONE, NONE, NONE, 3]);
        let mut kept = Text::<128>::new();
        for option in options.bytes().split(|&b| b == b',').filter(|option| is_of_mount(option)) {
            kept.push(if kept.bytes().is_empty() { b"" } else { b"," }).push(option);
        }
        text.push(b"tmpfs ").push(MOUNT).push(b" tmpfs rw,mode=755 0 0\n");
        for hierarchy in Hierarchy::shown() {
            text.push(b"cgroup ").push(MOUNT).push(b"/").push(hierarchy.controllers).push(b" cgroup ");
            text.push(kept.bytes()).push(b",").push(hierarchy.controllers).push(b" 0 0\n");
        }
    })
}

/// The controllers that JVMs ask for.
const ASKED_FOR: &[u8] = b"cpuset cpu cpuacct memory";

/// `/proc/cgroups`: `name hierarchy groups enabled`. Kernels without v1's controllers leave them out, and a JVM of 11.0.16
/// to 23 takes that for a host without limits, or fails (breakage: openjdk/jdk#23811).
pub fn controllers(text: &mut TextFile) -> Result<()> {
    let v1 = cgroup_view::is_v1();
    // A bit for each that is there.
    let (mut lines, mut there) = (Lines::open(c"/proc/cgroups")?, 0u32);
    while let Some(line) = lines.next()? {
        let name = fields(line).next().unwrap_or(b"");
        there |= fields(ASKED_FOR).position(|asked| asked == name).map_or(0, |place| 1 << place);
        match hierarchy_of(name).filter(|_| v1) {
            Some(number) => row(text, name, number, fields(line).nth(2).unwrap_or(b"1")),
            None => _ = text.push(line).push(b"\n"),
        }
    }
    let mut missing = fields(ASKED_FOR).enumerate().filter(|(place, _)| there >> place & 1 == 0).peekable();
    if !v1 && missing.peek().is_none() {
        return Err(AS_IT_IS);
    }
    for (_, name) in missing {
        row(text, name, if v1 { hierarchy_of(name).unwrap_or(0) } else { 0 }, b"1");
    }
    Ok(())
}

fn row(text: &mut TextFile, name: &[u8], hierarchy: u64, groups: &[u8]) {
    text.push(name).push(b"\t").decimal(hierarchy).push(b"\t").push(groups).push(b"\t1\n");
}

/// The number of a controller's hierarchy, if it is shown.
fn hierarchy_of(controller: &[u8]) -> Option<u64> {
    let mut shown = Hierarchy::shown();
    let of = shown.find(|of| of.controllers.split(|&b| b == b',').any(|name| name == controller))?;
    Some(of.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tree_is_told_from_its_neighbours() {
        for (point, due) in [
            ("/sys/fs/cgroup", true),
            ("/sys/fs/cgroup/memory", true),
            ("/sys/fs/cgroups", false),
            ("/sys/fs", false),
            ("", false),
        ] {
            assert_eq!(is_in_tree(point.as_bytes()), due, "{point}");
        }
    }

    proptest! {
        #[test]
        fn damaged_lines_do_no_harm(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let place = place(&line, [0, 1, 2, 5]);
            prop_assert!(place.id.bytes().len() < 24 && place.options.bytes().len() < 128);
        }
    }
}
