//! How cgroups are mounted here: old runtimes read the files of version 1, new ones those of version 2.

use super::Eyes;
use serde::Serialize;
use std::collections::BTreeMap;

/// The layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Controllers of version 1 alone.
    V1,
    /// The one tree of version 2 alone.
    V2,
    /// Both are mounted.
    Hybrid,
    /// Neither is mounted.
    None,
    /// /proc could not be read.
    Unknown,
}

/// A controller.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// 1 or 2: the tree it is in.
    pub version: u8,
    /// Where it is mounted; null where it is in no tree that is.
    pub mounted: Option<String>,
}

/// cgroups, as this process sees them.
#[derive(Debug, Serialize)]
pub struct Cgroup {
    /// The layout.
    pub layout: Layout,
    /// The controllers, by name.
    pub controllers: BTreeMap<String, Controller>,
    /// Where the tree of version 2 is mounted.
    pub unified: Option<String>,
    /// The lines of /proc/self/cgroup: the groups of this process.
    pub groups: Vec<String>,
    /// The controllers with a line in /proc/cgroups: old JVMs need memory, cpu, cpuacct and cpuset there.
    pub listed: Vec<String>,
}

impl Cgroup {
    /// Looks.
    pub fn look(eyes: &mut Eyes) -> Cgroup {
        let mounts = eyes.text("/proc/self/mountinfo");
        let list = eyes.word("/proc/cgroups").unwrap_or_default();
        let groups = eyes.word("/proc/self/cgroup").unwrap_or_default();
        let unified = mounts.as_deref().and_then(|mounts| mounts_of(mounts, "cgroup2").into_iter().next());
        let in_unified =
            unified.as_ref().and_then(|(path, _)| eyes.word(format!("{path}/cgroup.controllers")));
        cgroup(mounts.as_deref(), &list, &groups, &in_unified.unwrap_or_default())
    }
}

/// Paths and super options of the mounts of a file system, from /proc/self/mountinfo.
fn mounts_of(mounts: &str, kind: &str) -> Vec<(String, String)> {
    let of = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        if after.next()? != kind {
            return None;
        }
        Some((before.split(' ').nth(4)?.to_owned(), after.nth(1)?.to_owned()))
    };
    mounts.lines().filter_map(of).collect()
}

fn cgroup(mounts: Option<&str>, list: &str, groups: &str, in_unified: &str) -> Cgroup {
    let listed: Vec<String> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    let old = mounts_of(mounts.unwrap_or_default(), "cgroup");
    let unified = mounts_of(mounts.unwrap_or_default(), "cgroup2").into_iter().next().map(|(path, _)| path);
    let mut controllers = BTreeMap::new();
    for name in in_unified.split_whitespace() {
        controllers.insert(name.to_owned(), Controller { version: 2, mounted: unified.clone() });
    }
    // A tree of version 1 has its controllers, or its name, among the options of its mount.
    for (path, options) in &old {
        for option in options.split(',').filter(|option| listed.iter().any(|name| name == option)) {
            let controller = Controller { version: 1, mounted: Some(path.clone()) };
            controllers.entry(option.to_owned()).or_insert(controller);
        }
    }
    let layout = match (mounts, old.is_empty(), &unified) {
        (None, ..) => Layout::Unknown,
        (_, true, None) => Layout::None,
        (_, true, Some(_)) => Layout::V2,
        (_, false, None) => Layout::V1,
        (_, false, Some(_)) => Layout::Hybrid,
    };
    let groups = groups.lines().map(str::to_owned).collect();
    Cgroup { layout, controllers, unified, groups, listed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "33 28 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n\
                      34 28 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 28 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
    const V2: &str = "31 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const LIST: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t4\t1\t1\ncpuacct\t4\t1\t1\nmemory\t5\t1\t1\n";

    #[test]
    fn layouts_are_told_apart() {
        assert_eq!(cgroup(Some(V1), LIST, "", "").layout, Layout::V1);
        assert_eq!(cgroup(Some(V2), LIST, "0::/\n", "cpu memory").layout, Layout::V2);
        assert_eq!(cgroup(Some(&format!("{V1}{V2}")), LIST, "", "").layout, Layout::Hybrid);
        assert_eq!(cgroup(Some("1 1 0:1 / / rw - ext4 /dev/vda rw\n"), LIST, "", "").layout, Layout::None);
        assert_eq!(cgroup(None, LIST, "", "").layout, Layout::Unknown);
    }

    #[test]
    fn controllers_are_found_where_they_are_mounted() {
        let both = cgroup(Some(&format!("{V1}{V2}")), LIST, "", "pids");
        let of = |name: &str| both.controllers.get(name).map(|c| (c.version, c.mounted.as_deref()));
        assert_eq!(of("memory"), Some((1, Some("/sys/fs/cgroup/memory"))));
        assert_eq!(of("cpuacct"), Some((1, Some("/sys/fs/cgroup/cpu,cpuacct"))));
        assert_eq!(of("pids"), Some((2, Some("/sys/fs/cgroup"))));
        assert_eq!(of("xattr"), None);
        assert_eq!(both.listed, ["cpu", "cpuacct", "memory"]);
    }
}
