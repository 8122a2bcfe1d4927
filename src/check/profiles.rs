//! Profiles of common hosts, made by `evercall probe` on real kernels: `make profiles`.

use crate::simulate::calls::Version;

/// A profile that comes with evercall.
pub struct Profile {
    /// What `--host` takes.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The kernel's version.
    pub kernel: &'static str,
    /// docs/host-profile.md.
    pub text: &'static str,
}

/// All of them, the oldest kernel first.
pub const ALL: &[Profile] = &[
    Profile {
        name: "debian-11",
        title: "Debian 11, Linux 5.10",
        kernel: "5.10",
        text: include_str!("../../profiles/debian-11.json"),
    },
    Profile {
        name: "debian-11-podman",
        title: "Debian 11, Linux 5.10, in a container under podman's default seccomp profile",
        kernel: "5.10",
        text: include_str!("../../profiles/debian-11-podman.json"),
    },
    Profile {
        name: "debian-12",
        title: "Debian 12, Linux 6.1",
        kernel: "6.1",
        text: include_str!("../../profiles/debian-12.json"),
    },
    Profile {
        name: "debian-12-podman",
        title: "Debian 12, Linux 6.1, in a container under podman's default seccomp profile",
        kernel: "6.1",
        text: include_str!("../../profiles/debian-12-podman.json"),
    },
    Profile {
        name: "debian-13",
        title: "Debian 13, Linux 6.12",
        kernel: "6.12",
        text: include_str!("../../profiles/debian-13.json"),
    },
    Profile {
        name: "debian-13-podman",
        title: "Debian 13, Linux 6.12, in a container under podman's default seccomp profile",
        kernel: "6.12",
        text: include_str!("../../profiles/debian-13-podman.json"),
    },
    Profile {
        name: "debian-sid",
        title: "Debian sid, Linux 7.2",
        kernel: "7.2",
        text: include_str!("../../profiles/debian-sid.json"),
    },
    Profile {
        name: "debian-sid-podman",
        title: "Debian sid, Linux 7.2, in a container under podman's default seccomp profile",
        kernel: "7.2",
        text: include_str!("../../profiles/debian-sid-podman.json"),
    },
];

/// The profile of a name.
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

/// The unfiltered profile with the newest kernel that is not newer than a version, else the oldest.
pub fn nearest(version: Version) -> Option<&'static Profile> {
    let bare = || ALL.iter().filter(|profile| !profile.name.ends_with("-podman"));
    let not_newer = |profile: &&Profile| Version::parse(profile.kernel).is_ok_and(|kernel| kernel <= version);
    bare().rfind(not_newer).or_else(|| bare().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_not_newer_unless_all_are() {
        let nearest = |text: &str| super::nearest(Version::parse(text).unwrap()).unwrap().name;
        assert_eq!(nearest("3.10"), "debian-11");
        assert_eq!(nearest("6.1"), "debian-12");
        assert_eq!(nearest("6.5"), "debian-12");
        assert_eq!(nearest("99.0"), "debian-sid");
    }
}
