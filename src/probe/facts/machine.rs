//! The kernel, its vsyscall page, and what a program sees of the processor.

use super::Eyes;
use crate::probe::ask::Survey;
use crate::probe::sys::{self, Outcome, Task};
use serde::Serialize;

/// The kernel, by its own word (uname(2)).
#[derive(Serialize)]
pub struct Kernel {
    /// The release: 6.1.0-18-amd64.
    pub release: Option<String>,
    /// The build.
    pub version: Option<String>,
    /// The machine.
    pub machine: Option<String>,
}

impl Kernel {
    /// Asks, or reads it from /proc.
    pub fn look(eyes: &mut Eyes, survey: &Survey) -> Kernel {
        if let Some([release, version, machine]) = survey.survives("uname").then(sys::uname).flatten() {
            return Kernel { release: Some(release), version: Some(version), machine: Some(machine) };
        }
        let mut read = |name: &str| {
            let text = eyes.text(&format!("/proc/sys/kernel/{name}"))?;
            Some(text.trim().to_owned())
        };
        Kernel { release: read("osrelease"), version: read("version"), machine: None }
    }
}

/// The vsyscall page.
#[derive(Serialize)]
pub struct Vsyscall {
    /// `emulate` (can be read), `xonly`, `none`, or null where it could not be seen.
    pub mode: Option<&'static str>,
    /// What a call of its time() did: `answers`, `faults`, `trapped`, `killed`; null where there is no page to call.
    pub call: Option<&'static str>,
}

impl Vsyscall {
    /// Looks for the page among the mappings; where it is there, or they cannot be seen, calls it in a child. Not
    /// where it is known to be missing: the kernel would log that.
    pub fn look(eyes: &mut Eyes) -> Vsyscall {
        let maps = eyes.text("/proc/self/maps");
        let mode = maps.as_deref().map(mode);
        let call = if mode == Some("none") { None } else { outcome(Task::Vsyscall, |time| time > 0) };
        let mode = mode.or(match call {
            Some("faults") => Some("none"),
            _ => None,
        });
        Vsyscall { mode, call }
    }
}

/// By the permissions that a page of it has.
fn mode(maps: &str) -> &'static str {
    match maps.lines().find(|line| line.ends_with("[vsyscall]")).and_then(|line| line.split(' ').nth(1)) {
        Some(permissions) if permissions.starts_with('r') => "emulate",
        Some(_) => "xonly",
        None => "none",
    }
}

/// What came of a task that is no system call of x86-64.
fn outcome(task: Task, good: fn(i64) -> bool) -> Option<&'static str> {
    Some(match sys::in_child(task).ok()? {
        Outcome::Returned(result) if good(result) => "answers",
        Outcome::Returned(_) => "refused",
        Outcome::Exited(_) | Outcome::Killed(libc::SIGSEGV | libc::SIGILL | libc::SIGBUS) => "faults",
        Outcome::Trapped => "trapped",
        Outcome::Killed(_) => "killed",
        Outcome::Hung | Outcome::Unseen | Outcome::NotReady => return None,
    })
}

/// Processors, pages, and what else a program takes for given.
#[derive(Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors_allowed: Option<usize>,
    /// Processors that run, as a list: 0-3.
    pub processors_online: Option<String>,
    /// Processors that there may be: masks of sched_getaffinity are as long.
    pub processors_possible: Option<String>,
    /// Bytes of a page.
    pub page_size: Option<u64>,
    /// Bytes that a signal's frame takes (AT_MINSIGSTKSZ); old programs have stacks of 2048 for it.
    pub signal_frame: Option<u64>,
    /// What the i386 getpid did by `int 0x80`: `answers` where 32-bit programs run, else `faults`, `refused`,
    /// `trapped` or `killed`.
    pub ia32: Option<&'static str>,
    /// The file system at /dev/shm; null where nothing is there, which sem_open and shm_open need.
    pub dev_shm: Option<String>,
    /// The security modules in force; null where they could not be seen.
    pub security_modules: Option<Vec<String>>,
}

impl Machine {
    /// Looks.
    pub fn look(eyes: &Eyes) -> Machine {
        let cpu = |name: &str| eyes.word(format!("/sys/devices/system/cpu/{name}"));
        let modules = eyes.word("/sys/kernel/security/lsm");
        let security_modules = modules.map(|list| list.split(',').map(str::to_owned).collect());
        Machine {
            processors_allowed: sys::allowed_processors(),
            processors_online: cpu("online"),
            processors_possible: cpu("possible"),
            page_size: sys::auxiliary(libc::AT_PAGESZ),
            signal_frame: sys::auxiliary(libc::AT_MINSIGSTKSZ),
            ia32: outcome(Task::Int80, |pid| pid > 0),
            dev_shm: dev_shm(eyes),
            security_modules,
        }
    }
}

fn dev_shm(eyes: &Eyes) -> Option<String> {
    if !eyes.is_there("/dev/shm") {
        return None;
    }
    let mounts = eyes.word("/proc/self/mountinfo").unwrap_or_default();
    let of = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let fs = after.split(' ').next()?;
        (before.split(' ').nth(4) == Some("/dev/shm")).then(|| fs.to_owned())
    };
    Some(mounts.lines().filter_map(of).next_back().unwrap_or_else(|| "a folder".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::mode;

    #[test]
    fn the_page_is_told_by_its_permissions() {
        let line = |permissions: &str| {
            format!(
                "7fff-7fff r-xp 0 00:00 0 [vdso]\nffffffffff600000-ffffffffff601000 {permissions} 00000000 00:00 0                  [vsyscall]\n"
            )
        };
        assert_eq!(mode(&line("--xp")), "xonly");
        assert_eq!(mode(&line("r-xp")), "emulate");
        assert_eq!(mode("7fff-7fff r-xp 0 00:00 0 [vdso]\n"), "none");
    }
}
