//! Mounts by descriptor: nothing is mounted at a path, so a name that is swapped in between leads nowhere.

use super::root::{by_descriptor, remove_within};
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, fspick, mount_remount, move_mount, open_tree, unmount,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A small file system in memory, not mounted anywhere yet. `label` is the SELinux label of the container's mounts.
pub fn memory(label: Option<&str>) -> Result<OwnedFd, Errno> {
    let making = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("source", "evercall"), ("mode", "0755"), ("size", "64k"), ("nr_inodes", "32")] {
        fsconfig_set_string(&making, key, value)?;
    }
    if let Some(label) = label {
        fsconfig_set_string(&making, "context", label)?;
    }
    fsconfig_create(&making)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&making, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Makes the whole file system of a mount read-only.
pub fn make_read_only(mount: impl AsFd) -> Result<(), Errno> {
    let picked = fspick(&mount, "", FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC)?;
    fsconfig_set_flag(&picked, "ro")?;
    fsconfig_reconfigure(&picked)
}

/// A second mount of a file of this mount namespace, not mounted anywhere yet.
pub fn clone_of_path(path: &Path) -> Result<OwnedFd, Errno> {
    open_tree(rustix::fs::CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}

/// The same of a file that is open.
pub fn clone_of(file: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(file, "", flags)
}

/// What was made in the container so far: taken back if not all of it comes to be.
#[derive(Default)]
pub struct Made(Vec<Step>);

enum Step {
    Mount(OwnedFd),
    Name(OwnedFd, String, bool),
}

impl Made {
    /// Puts a mount in the place of an opened file or folder.
    pub fn attach(&mut self, mount: OwnedFd, place: impl AsFd) -> Result<(), Errno> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&mount, "", place, "", flags)?;
        self.0.push(Step::Mount(mount));
        Ok(())
    }

    /// The same, read-only: what it was mounted with before stays, and is looked at afterwards.
    pub fn attach_read_only(&mut self, mount: OwnedFd, place: impl AsFd) -> Result<(), Errno> {
        let path = by_descriptor(&mount);
        let inherited = fstatvfs(&mount)?.f_flag;
        self.attach(mount, place)?;
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(&path, kept(inherited) | flags, "")?;
        let now = rustix::fs::statvfs(&path)?.f_flag;
        if now.contains(StatVfsMountFlags::RDONLY) { Ok(()) } else { Err(Errno::ROFS) }
    }

    /// Remembers a file or folder that was made.
    pub fn remember(&mut self, folder: OwnedFd, name: &str, is_folder: bool) {
        self.0.push(Step::Name(folder, name.into(), is_folder));
    }

    /// Takes everything back, last first.
    pub fn take_back(self) {
        for step in self.0.into_iter().rev() {
            match step {
                // Nothing is left to be done if it fails: a mount that nothing names is harmless.
                Step::Mount(mount) => drop(unmount(by_descriptor(&mount), UnmountFlags::DETACH)),
                Step::Name(folder, name, is_folder) => remove_within(folder, &name, is_folder),
            }
        }
    }
}

/// The flags of a mount that a remount has to name again, but for the one that makes it read-only.
fn kept(flags: StatVfsMountFlags) -> MountFlags {
    let names = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let set = names.into_iter().filter(|(there, _)| flags.contains(*there)).map(|(_, flag)| flag);
    set.fold(MountFlags::BIND, MountFlags::union)
}

/// Does something while a container's root, if it is mounted read-only already, is not: crun makes it so before its
/// hooks, runc after them. No process of the container runs yet, and one whose hook ends midway never starts. The
/// error is that the root could not be made read-only again.
pub fn while_writable<T>(root: impl AsFd, work: impl FnOnce() -> T) -> Result<T, Errno> {
    let flags = fstatvfs(&root)?.f_flag;
    let path = by_descriptor(&root);
    // Where it cannot be made writable, the work will meet EROFS and say so.
    if !flags.contains(StatVfsMountFlags::RDONLY) || mount_remount(&path, kept(flags), "").is_err() {
        return Ok(work());
    }
    let done = work();
    mount_remount(&path, kept(flags) | MountFlags::RDONLY, "")?;
    Ok(done)
}

/// Whether programs may be mapped from a mount.
pub fn allows_programs(mount: impl AsFd) -> Result<bool, Errno> {
    Ok(!fstatvfs(mount)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
