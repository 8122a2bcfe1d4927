//! The sandbox, from its inside. Two processes of this command, started by `sandbox`:
//!
//! The outer one gives up root's rights, makes the namespaces and starts the inner one, which is the first process of
//! the pid namespace. That one puts a tmpfs in place of all mounts, fills it as it is told, gives up every right and
//! runs the program, whose end it reports. All of it ends with the inner process, and that with the outer one.
//!
//! The order is bubblewrap's and runc's: namespaces, mounts, pivot_root, and only then anything of the image, capabilities, no_new_privs,
//! seccomp, limits. Orders come from standard input; what happened goes to standard output as one line; what
//! the program prints goes to standard error.

use super::filter;
use super::options::Stage;
use super::orders::{Orders, Word};
use super::report::Outcome;
use crate::exec;
use rustix::fs::Mode;
use rustix::mount::{self, MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{self, DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{self, CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags};
use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The user and group that root becomes (nobody of most systems, and the kernel's overflow ids).
pub const NOBODY: u32 = 65534;

/// Folders over which the tmpfs may be mounted, before it becomes the root: any that is there.
const MOUNT_POINTS: [&str; 6] = ["/tmp", "/run", "/var", "/dev", "/proc", "/"];

/// Bytes of the tmpfs beyond its files: for folders, links and rounding up to pages.
const ROOM: u64 = 4 << 20;

/// Files and folders in it beyond those ordered.
const INODES: u64 = 4096;

/// Bytes of a file that the program may write, if it found a place to.
const LARGEST_FILE: u64 = 1 << 20;

/// A line of the report that says that no sandbox could be made: then the step and the error.
pub const REFUSED: &str = "refused ";

/// Carries out a stage; the exit code only says that the report is complete.
pub fn child(stage: Stage) -> ExitCode {
    let done = match stage {
        Stage::User | Stage::Root => outer(stage),
        Stage::Init | Stage::RootInit => inner(stage),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report(&format!("{REFUSED}{why}"));
            ExitCode::FAILURE
        }
    }
}

/// Standard output is a pipe to the process that judges: if that is gone, nobody is left to be told.
fn report(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The line of an outcome.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited(status) => format!("exited {status}"),
        Outcome::Killed(signal) => format!("killed {signal}"),
        Outcome::Hung => "hung".to_string(),
        Outcome::NotStarted(why) => format!("not-started {}", why.replace('\n', " ")),
    }
}

/// The outcome of a line; None if it is none.
pub fn understood(line: &str) -> Option<Outcome> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "exited" => Some(Outcome::Exited(rest.parse().ok()?)),
        "killed" => Some(Outcome::Killed(rest.parse().ok()?)),
        "hung" => Some(Outcome::Hung),
        "not-started" => Some(Outcome::NotStarted(rest.to_string())),
        _ => None,
    }
}

fn step<T, E: Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

fn die_with_parent() -> Result<(), String> {
    step("prctl", process::set_parent_process_death_signal(Some(Signal::KILL)))
}

fn outer(stage: Stage) -> Result<(), String> {
    die_with_parent()?;
    step("descriptors", exec::keep_standard_streams_alone())?;
    // Where memory runs out, this is what goes.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let mut namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if stage == Stage::User {
        if process::geteuid().is_root() && has_nobody() {
            become_nobody()?;
            // Else the files of our own folder in /proc are root's.
            step("prctl", process::set_dumpable_behavior(DumpableBehavior::Dumpable))?;
            die_with_parent()?;
        }
        namespaces |= UnshareFlags::NEWUSER;
    }
    let (user, group) = (process::geteuid(), process::getegid());
    step("unshare", exec::unshare(namespaces))?;
    if stage == Stage::User {
        // Kernels before 3.19 have no such file, and need none.
        let _ = fs::write("/proc/self/setgroups", "deny");
        step("uid_map", fs::write("/proc/self/uid_map", format!("{NOBODY} {} 1", user.as_raw())))?;
        step("gid_map", fs::write("/proc/self/gid_map", format!("{NOBODY} {} 1", group.as_raw())))?;
        keep_capabilities()?;
    }
    let inner = if stage == Stage::User { Stage::Init } else { Stage::RootInit };
    let mut command = Command::new("/proc/self/exe");
    command.arg0("evercall").args(["self-test-child", &inner.word()]).env_clear();
    let status = step("starting the sandbox's first process", command.status())?;
    match status.signal() {
        Some(signal) => Err(format!("the sandbox's first process was killed by signal {signal}")),
        None => Ok(()),
    }
}

/// Whether there is a nobody here. Root of a user namespace may be its only user, and is an ordinary one outside.
fn has_nobody() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return true };
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or_default());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let nobody = u64::from(NOBODY);
        first.zip(count).is_some_and(|(first, count)| nobody >= first && nobody - first < count)
    })
}

fn become_nobody() -> Result<(), String> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    step("setgroups", thread::set_thread_groups(&[]))?;
    step("setresgid", thread::set_thread_res_gid(group, group, group))?;
    step("setresuid", thread::set_thread_res_uid(user, user, user))
}

/// The capabilities in the new user namespace, which an exec takes from who is not root there.
fn keep_capabilities() -> Result<(), String> {
    let sets = step("capget", thread::capabilities(None))?;
    let kept = CapabilitySets { inheritable: sets.permitted, ..sets };
    step("capset", thread::set_capabilities(None, kept))?;
    for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP] {
        step(
            "ambient capabilities (Linux 4.3)",
            thread::configure_capability_in_ambient_set(capability, true),
        )?;
    }
    Ok(())
}

fn inner(stage: Stage) -> Result<(), String> {
    die_with_parent()?;
    let orders = step("orders", Orders::read(&mut io::stdin().lock()))?;
    let null = step("/dev/null", OpenOptions::new().read(true).write(true).open("/dev/null"))?;
    new_root(&orders)?;
    fill(&orders)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    step("read-only root", mount::mount_remount("/", flags, c""))?;
    give_up_rights(stage)?;
    for filter in filter::filters(orders.foreign)? {
        step("seccomp", seccompiler::apply_filter(&filter))?;
    }
    let watch = Duration::from_secs(orders.seconds);
    std::thread::spawn(move || {
        std::thread::sleep(watch);
        report(&told(&Outcome::Hung));
        // All processes of the namespace end with the first one.
        std::process::exit(0);
    });
    limit(&orders)?;
    report(&told(&run(&orders, null)?));
    Ok(())
}

/// A tmpfs becomes the root; nothing of this machine's mounts is left.
fn new_root(orders: &Orders) -> Result<(), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("private mounts", mount::mount_change("/", private))?;
    let size: u64 = orders.files.iter().map(|(.., size)| size.saturating_add(4096)).sum();
    let inodes = INODES.saturating_add(4 * (orders.files.len() + orders.links.len()) as u64);
    let data = format!("mode=0755,size={},nr_inodes={inodes}", size.saturating_add(ROOM));
    let data = std::ffi::CString::new(data).unwrap_or_default();
    let place = MOUNT_POINTS.into_iter().find(|place| Path::new(place).is_dir()).unwrap_or("/");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    step("tmpfs", mount::mount("tmpfs", place, "tmpfs", flags, Some(data.as_c_str())))?;
    step("chdir", process::chdir(place))?;
    // The old root ends up over the new one, and goes (pivot_root(2)).
    step("pivot_root", process::pivot_root(".", "."))?;
    step("umount", mount::unmount(".", UnmountFlags::DETACH))?;
    step("chdir", process::chdir("/"))
}

/// Makes what the program needs. The names are the image's, and so may say anything: all that they can lead to is the
/// tmpfs.
fn fill(orders: &Orders) -> Result<(), String> {
    process::umask(Mode::empty());
    let mut contents = io::stdin().lock();
    let shown = |path: &Word| format!("making {}", crate::image::tar_entries::shown(path.as_os().as_ref()));
    let folder = |path: &Path| match path.parent() {
        Some(parent) => DirBuilder::new().recursive(true).mode(0o755).create(parent),
        None => Ok(()),
    };
    for (path, target) in &orders.links {
        let place = Path::new(path.as_os());
        step(&shown(path), folder(place).and_then(|()| symlink(target.as_os(), place)))?;
    }
    for (path, mode, size) in &orders.files {
        let place = Path::new(path.as_os());
        let made = folder(place).and_then(|()| {
            // For the unprivileged user, whoever owns it in the image.
            let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(place)?;
            let copied = io::copy(&mut (&mut contents).take(*size), &mut file)?;
            if copied < *size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        });
        step(&shown(path), made)?;
    }
    Ok(())
}

/// From here on this process can do nothing that the program could not, and the program cannot look into it.
fn give_up_rights(stage: Stage) -> Result<(), String> {
    step("ambient capabilities", thread::clear_ambient_capability_set())?;
    for number in 0..u64::BITS {
        let Some(capability) = CapabilitySet::from_bits(1 << number) else { continue };
        // Numbers that this kernel does not have yet.
        if thread::capability_is_in_bounding_set(capability).is_ok_and(|is| is) {
            step("capabilities", thread::remove_capability_from_bounding_set(capability))?;
        }
    }
    if stage == Stage::RootInit {
        become_nobody()?;
    }
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    step("capset", thread::set_capabilities(None, none))?;
    step("prctl", thread::set_no_new_privs(true))?;
    step("prctl", process::set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    // A change of user forgets it.
    die_with_parent()
}

fn limit(orders: &Orders) -> Result<(), String> {
    for (resource, most) in [
        (Resource::As, orders.memory),
        (Resource::Cpu, orders.seconds),
        (Resource::Fsize, LARGEST_FILE),
        (Resource::Nproc, orders.processes),
        (Resource::Nofile, orders.descriptors),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ] {
        // Never above what this process was given.
        let most = process::getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        step("setrlimit", process::setrlimit(resource, limit))?;
    }
    Ok(())
}

fn run(orders: &Orders, null: File) -> Result<Outcome, String> {
    let Some((program, arguments)) = orders.command.split_first() else {
        return Err("no command".to_string());
    };
    let output = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(program.as_os());
    command
        .args(arguments.iter().map(Word::as_os))
        .env_clear()
        .envs(orders.environment.iter().map(|(name, value)| (name.as_os(), value.as_os())))
        .stdin(null)
        .stdout(step("output", output())?)
        .stderr(step("output", output())?);
    Ok(match command.status() {
        Err(error) => Outcome::NotStarted(error.to_string()),
        Ok(status) => match status.signal() {
            Some(signal) => Outcome::Killed(signal),
            None => Outcome::Exited(status.code().unwrap_or_default()),
        },
    })
}
