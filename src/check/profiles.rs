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

/// All of them.
pub const ALL: &[Profile] = &[];

/// The profile of a name.
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

/// The unfiltered profile with the newest kernel that is not newer than a version, else the oldest.
pub fn nearest(version: Version) -> Option<&'static Profile> {
    let bare = || ALL.iter().filter(|profile| !profile.name.ends_with("-podman"));
    let not_newer = |profile: &&Profile| Version::parse(profile.kernel).is_ok_and(|kernel| kernel <= version);
    bare().filter(not_newer).last().or_else(|| bare().next())
}
