//! The control groups of this process, of version 1 or 2, and what their files say
//! (Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of 6.1). Mounts are looked for where distributions and
//! containers have them, under /sys/fs/cgroup.

use crate::files::{Lines, read_start};
use crate::sys;
use crate::text::{Text, fields, trim};

/// Where cgroup v2 is mounted, and the folder of v1's mounts.
pub const MOUNT: &[u8] = b"/sys/fs/cgroup";

/// What v1 answers where there is no limit: LONG_MAX, down to whole pages.
pub const UNLIMITED: u64 = i64::MAX as u64 & !4095;

/// Bytes of a file that holds one value.
const VALUE: usize = 64;

/// Bytes of a path: the name of a pod's group takes two hundred.
const PATH: usize = 512;

/// Whether v2 is what stands at the mount point: not on hosts with v1, be v2 there beside it.
pub fn is_v2_alone() -> bool {
    sys::exists(c"/sys/fs/cgroup/cgroup.controllers")
}

/// A folder of a tree of groups.
pub struct Group {
    path: Text<PATH>,
    /// Bytes of `path` that are the mount.
    mount: usize,
    v2: bool,
}

impl Group {
    /// The root of v2 as it is mounted: in containers their own group.
    pub fn mounted() -> Group {
        Group { path: text_of(MOUNT), mount: MOUNT.len(), v2: true }
    }

    /// The group of this process in v2.
    #[inline(never)]
    pub fn own() -> Group {
        Group::named().unwrap_or_else(Group::mounted)
    }

    fn named() -> Option<Group> {
        let mut lines = Lines::open(c"/proc/self/cgroup").ok()?;
        let mut name = Text::<PATH>::new();
        while let Ok(Some(line)) = lines.next() {
            if let Some(group) = line.strip_prefix(b"0::").filter(|group| *group != b"/") {
                name.push(group);
            }
        }
        if name.bytes().is_empty() {
            return None;
        }
        Group::below(&[b""], name.bytes(), true)
    }

    /// The group of this process for a controller: of v1 where that has it, else of v2.
    pub fn of(controller: &[u8]) -> Option<Group> {
        let mut lines = Lines::open(c"/proc/self/cgroup").ok()?;
        let mut unified = None;
        while let Ok(Some(line)) = lines.next() {
            let mut parts = line.splitn(3, |&b| b == b':');
            let (_, controllers, name) = (parts.next()?, parts.next()?, parts.next()?);
            if controllers.split(|&b| b == b',').any(|name| name == controller) {
                // The folder is named after all its controllers, with links for each.
                if let Some(group) = Group::below(&[controllers, controller], name, false) {
                    return Some(group);
                }
            }
            if controllers.is_empty() {
                unified = Group::below(&[b"", b"unified"], name, true);
            }
        }
        unified
    }

    /// By its name in /proc/self/cgroup, from one of these mounts on; the mount itself where the name leads out of
    /// what is mounted. None where nothing is.
    #[inline(never)]
    fn below(mounts: &[&[u8]], name: &[u8], v2: bool) -> Option<Group> {
        mounts.iter().find_map(|mount| {
            let mut path = text_of(MOUNT);
            if !mount.is_empty() {
                path.push(b"/").push(mount);
            }
            if path.is_cut() {
                return None;
            }
            let mount = path.bytes().len();
            let root = Group { path, mount, v2 };
            root.joined(name)
                .or_else(|| root.joined_by_host(name))
                .or_else(|| root.has_file(b"cgroup.procs").then_some(root))
        })
    }

    /// A group below this one. Its name must be plain: in another name space's tree it begins with `/..`.
    fn joined(&self, name: &[u8]) -> Option<Group> {
        let is_plain = name.first() == Some(&b'/') && !name.split(|&b| b == b'/').any(|part| part == b"..");
        let mut path = text_of(self.path.bytes());
        path.push(name);
        if !is_plain || name == b"/" || path.is_cut() {
            return None;
        }
        let group = Group { path, ..*self };
        group.has_file(b"cgroup.procs").then_some(group)
    }

    /// The same in the mount of a container that has the host's name for its group.
    fn joined_by_host(&self, name: &[u8]) -> Option<Group> {
        if name == b"/" {
            return None;
        }
        self.joined(name.strip_prefix(mounted_root(self.path.bytes())?.bytes())?)
    }

    /// Whether it is of version 2.
    pub fn is_v2(&self) -> bool {
        self.v2
    }

    /// How deep it lies: grows with each group below.
    pub fn depth(&self) -> usize {
        self.path.bytes().len()
    }

    #[inline(never)]
    fn file(&self, name: &[u8]) -> Text<PATH> {
        let mut path = text_of(self.path.bytes());
        path.push(b"/").push(name);
        // Not another file, whose name is the start of this one.
        if path.is_cut() { Text::new() } else { path }
    }

    fn has_file(&self, name: &[u8]) -> bool {
        sys::exists(self.file(name).c_str())
    }

    /// The start of a file.
    #[inline(never)]
    pub fn read<'a>(&self, name: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        read_start(self.file(name).c_str(), buffer).ok()
    }

    /// The lines of a file.
    #[inline(never)]
    pub fn lines(&self, name: &[u8]) -> Option<Lines> {
        Lines::open(self.file(name).c_str()).ok()
    }

    /// Goes to the group above; false at the root of the mount.
    #[inline(never)]
    pub fn rise(&mut self) -> bool {
        let parent = self.path.bytes().iter().rposition(|&b| b == b'/').unwrap_or(0);
        let rises = parent >= self.mount;
        if rises {
            self.path.truncate(parent);
        }
        rises
    }

    /// What a file of one value says.
    pub fn value<T>(&self, name: &[u8], parse: fn(&[u8]) -> Option<T>) -> Option<T> {
        let mut buffer = [0u8; VALUE];
        parse(trim(self.read(name, &mut buffer)?.split(|&b| b == b'\n').next()?))
    }

    /// What the file says in this group, or in the nearest one above that has it.
    pub fn nearest<T>(mut self, name: &[u8], parse: fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            let value = self.value(name, parse);
            if value.is_some() || !self.rise() {
                return value;
            }
        }
    }

    /// Whether a controller is there, though no group may have a file of its.
    #[inline(never)]
    pub fn has_controller(&self, controller: &[u8]) -> bool {
        let mut buffer = [0u8; 256];
        let list = self.read(b"cgroup.controllers", &mut buffer).unwrap_or(&[]);
        fields(trim(list)).any(|name| name == controller)
    }

    /// Counters of a file of `name value` lines, by their names; 0 for those it lacks. None without the file.
    pub fn counters<const N: usize>(&self, file: &[u8], names: [&[u8]; N]) -> Option<[u64; N]> {
        let mut values = [0; N];
        let mut lines = self.lines(file)?;
        while let Ok(Some(line)) = lines.next() {
            let Some((key, value)) = counter(line) else { continue };
            for (to, name) in values.iter_mut().zip(names) {
                if name == key {
                    *to = value;
                }
            }
        }
        Some(values)
    }
}

fn text_of(bytes: &[u8]) -> Text<PATH> {
    let mut text = Text::new();
    text.push(bytes);
    text
}

/// What of a tree is mounted, by its name on the host (proc_pid_mountinfo(5), fields 4 and 5).
fn mounted_root(mount: &[u8]) -> Option<Text<PATH>> {
    let mut lines = Lines::open(c"/proc/self/mountinfo").ok()?;
    while let Ok(Some(line)) = lines.next() {
        let mut fields = fields(line).skip(3);
        if let (Some(root), Some(at)) = (fields.next(), fields.next()) {
            if at == mount {
                return Some(text_of(root));
            }
        }
    }
    None
}

/// `name value`.
pub fn counter(line: &[u8]) -> Option<(&[u8], u64)> {
    let mut words = fields(line);
    Some((words.next()?, number(words.next()?)?))
}

/// A whole decimal number of 64 bits.
pub fn number(text: &[u8]) -> Option<u64> {
    let mut digits = text.iter().map(|&byte| byte.wrapping_sub(b'0')).peekable();
    digits.peek()?;
    digits.try_fold(0u64, |number, digit| match digit {
        0..=9 => number.checked_mul(10)?.checked_add(u64::from(digit)),
        _ => None,
    })
}

/// A limit: a number, or `max`.
pub fn limit(text: &[u8]) -> Option<u64> {
    if text == b"max" { Some(UNLIMITED) } else { number(text).map(|number| number.min(UNLIMITED)) }
}

/// The quota (None: no limit) and the period of cpu.max, microseconds.
pub fn bandwidth(text: &[u8]) -> Option<(Option<u64>, u64)> {
    let mut words = fields(text);
    let quota = match words.next()? {
        b"max" => None,
        quota => Some(number(quota).filter(|&quota| quota > 0)?),
    };
    let period = words.next().map_or(Some(100_000), number).filter(|&period| period > 0)?;
    Some((quota, period))
}

/// The tighter of two bandwidths.
pub fn tighter(one: (Option<u64>, u64), other: (Option<u64>, u64)) -> (Option<u64>, u64) {
    match (one.0, other.0) {
        (Some(a), Some(b)) if u128::from(b) * u128::from(one.1) < u128::from(a) * u128::from(other.1) => {
            other
        }
        (None, Some(_)) => other,
        _ => one,
    }
}

/// v1's shares for a v2 weight, as JVMs that know v2 count (CgroupV2Controller::cpu_shares of JDK 17): 1024, which
/// means nothing was asked for, for the default of 100; else by the formula of container runtimes, to whole
/// processors where it is more than one.
pub fn shares(weight: u64) -> u64 {
    const PROCESSOR: u64 = 1024;
    if weight == 100 {
        return PROCESSOR;
    }
    // weight = 1 + (shares - 2) * 9999 / 262142: weights of 1 to 10000, and the largest shares that give this one.
    let shares = 2 + (262_142 * weight.clamp(1, 10_000) - 1) / 9_999;
    if shares <= PROCESSOR { shares } else { (shares + PROCESSOR / 2) / PROCESSOR * PROCESSOR }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_those_that_were_asked_for() {
        // The weight that runc and crun make of shares.
        let weight = |shares: u64| 1 + ((shares - 2) * 9_999) / 262_142;
        for asked in [1024, 2048, 3072, 4096, 65_536] {
            assert_eq!(shares(weight(asked)), asked);
        }
        assert_eq!(shares(100), 1024);
        for asked in 2..1024 {
            let given = shares(weight(asked));
            assert!(given <= 1024 && given >= asked && given - asked <= 27, "{asked}: {given}");
        }
        let _ = (shares(0), shares(u64::MAX));
    }

    #[test]
    fn values_are_read() {
        assert_eq!(limit(b"max"), Some(UNLIMITED));
        assert_eq!(limit(b"536870912"), Some(536_870_912));
        assert_eq!(limit(b"18446744073709551615"), Some(UNLIMITED));
        for damaged in [
            &b""[..],
            b"-1",
            b"maxi",
            b"12 13",
            b"12x",
            b"18446744073709551616",
            b"99999999999999999999999",
            b"83800000000000000000",
        ] {
            assert_eq!(limit(damaged), None, "{:?}", String::from_utf8_lossy(damaged));
        }
        assert_eq!(bandwidth(b"150000 100000"), Some((Some(150_000), 100_000)));
        assert_eq!(bandwidth(b"max 50000"), Some((None, 50_000)));
        assert_eq!(bandwidth(b"1000"), Some((Some(1000), 100_000)));
        for damaged in [&b""[..], b"max 0", b"0 100000", b"x 100000", b"100 x"] {
            assert_eq!(bandwidth(damaged), None, "{:?}", String::from_utf8_lossy(damaged));
        }
        assert_eq!(tighter((Some(300), 100), (Some(20), 10)), (Some(20), 10));
        assert_eq!(tighter((None, 100), (Some(20), 10)), (Some(20), 10));
        assert_eq!(tighter((Some(20), 10), (None, 100)), (Some(20), 10));
    }

    #[test]
    fn a_group_rises_to_its_mount() {
        for mount in [MOUNT, b"/sys/fs/cgroup/cpu,cpuacct"] {
            let path = text_of(&[mount, b"/a/b"].concat());
            let mut group = Group { path, mount: mount.len(), v2: false };
            assert!(group.rise() && group.rise() && !group.rise());
            assert_eq!(group.path.bytes(), mount);
            for name in [&b"/../x"[..], b"x", b"", b"/", b"/a/../b"] {
                assert!(group.joined(name).is_none());
            }
        }
    }

    proptest! {
        /// Whatever the bytes: a number is what std reads, and nothing panics.
        #[test]
        fn damaged_values_are_no_values(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let plain = core::str::from_utf8(&text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            prop_assert_eq!(number(&text), plain.and_then(|t| t.parse::<u64>().ok()));
            let _ = (limit(&text), bandwidth(&text), counter(&text));
        }

        #[test]
        fn numbers_are_what_std_reads(text in "[0-9]{0,24}") {
            prop_assert_eq!(number(text.as_bytes()), text.parse::<u64>().ok());
        }

        #[test]
        fn bandwidths_are_compared_as_fractions(a in 1..u64::MAX, b in 1..u64::MAX, p in 1..u64::MAX, q in 1..u64::MAX) {
            let (quota, period) = tighter((Some(a), p), (Some(b), q));
            let quota = u128::from(quota.unwrap());
            for (other, of) in [(a, p), (b, q)] {
                prop_assert!(quota * u128::from(of) <= u128::from(other) * u128::from(period));
            }
        }
    }
}
