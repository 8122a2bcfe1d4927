//! `evercall run`: becomes a program that has libevercall.so preloaded, or a static program that has it as its
//! interpreter. Where neither reaches the program, says so instead.

use crate::exec::{self, Program};
use crate::failure::Failure;
use crate::launch;
use crate::library::Library;
use crate::options::{RunOptions, word};
use crate::program::{self, Elf, Kind, Loading, Script, Unknown};
use crate::setting::Setting;
use crate::static_program;
use crate::tunables;
use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Interpreters of interpreters that the kernel follows (fs/exec.c).
const SCRIPT_LEVELS: usize = 5;

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;
const S_IXGRP: u32 = 0o0010;

/// Carries out `evercall run`: comes back only with an error.
pub fn run(options: RunOptions) -> Result<(), Failure> {
    let library = Library::find(options.lib.as_deref())?;
    let settings = settings(&options, &library)?;
    for (name, value) in &settings {
        log::debug!("{name}={}", Path::new(value).display());
    }
    let set = settings.iter().any(|(name, _)| *name == "EVERCALL");
    let is_off = |value: String| matches!(value.as_str(), "off" | "0" | "no" | "false");
    if !set && env::var("EVERCALL").is_ok_and(is_off) {
        log::warn!("EVERCALL switches evercall off in the environment; unset it to have evercall act");
    }
    Err(launch::launch(&options.command, |candidate| {
        let mut settings = settings.clone();
        let set =
            settings.iter().find(|(name, _)| *name == tunables::SETTING).map(|(_, value)| value.clone());
        settings.extend(tunables::of(candidate, set));
        if launch::is_executable_file(candidate) {
            if let Some(run) = judge(candidate, &options.command, &library)? {
                return Err(run.become_it(&library, &settings));
            }
        }
        Ok(exec::exec(Program::Path(candidate), &options.command, &settings))
    }))
}

/// The variables that the program gets.
fn settings(options: &RunOptions, library: &Library) -> Result<Vec<(&'static str, OsString)>, Failure> {
    let mut settings = vec![("LD_PRELOAD", library.preload(env::var_os("LD_PRELOAD")))];
    let mut set = |name, value: Option<OsString>| settings.extend(value.map(|value| (name, value)));
    set("EVERCALL_LOG", options.log.map(|log| word(log).into()));
    set("EVERCALL_LOG_FORMAT", options.log_format.map(|format| word(format).into()));
    set("EVERCALL_LOG_TO", options.log_to.as_ref().map(|log_to| log_to.setting()));
    set("EVERCALL_FORCE", (!options.force.is_empty()).then(|| options.force.join(",").into()));
    set("EVERCALL_NOFILE", options.nofile.map(|nofile| nofile.setting().into()));
    set("EVERCALL_VSYSCALL", options.vsyscall.map(|vsyscall| word(vsyscall).into()));
    set("EVERCALL_CGROUP", options.cgroup.map(|cgroup| word(cgroup).into()));
    set("EVERCALL_FILTER", options.filter.map(|filter| word(filter).into()));
    set("EVERCALL_UNAME", options.uname.as_ref().map(OsString::from));
    set("EVERCALL_RESOURCES", options.resources.map(|resources| word(resources).into()));
    set("EVERCALL_TRAP", options.trap.then(|| "1".into()));
    set("EVERCALL_KEEP", options.no_keep.then(|| "off".into()));
    let own = settings.len();
    for Setting { variable, value } in &options.set {
        match settings.iter().position(|(name, _)| name == variable) {
            Some(at) if at < own => {
                let key = variable.trim_start_matches("EVERCALL_").to_lowercase();
                return Err(Failure::new(format!(
                    "{key} is set twice, by --set and by an option of its own: leave one of them out"
                )));
            }
            Some(at) => settings[at].1 = value.clone(),
            None => settings.push((variable, value.clone())),
        }
    }
    Ok(settings)
}

/// A static program that is to be run.
struct Static {
    /// For messages: the file, and the script it runs.
    name: String,
    file: PathBuf,
    /// What the kernel would give it.
    arguments: Vec<OsString>,
}

/// Whether the library reaches the program: an error says why not. Where the preload does not, and the
/// library as its interpreter does, the static program comes back.
fn judge(file: &Path, arguments: &[OsString], library: &Library) -> Result<Option<Static>, Failure> {
    let mut current = file.to_path_buf();
    let mut arguments = arguments.to_vec();
    for _ in 0..=SCRIPT_LEVELS {
        let name = if current == file {
            file.display().to_string()
        } else {
            format!("{}, which runs {},", current.display(), file.display())
        };
        match program::kind(&current) {
            Ok(Kind::Script(Script { interpreter, argument })) => {
                log::debug!("{name} is a script for {}", interpreter.display());
                let first = [Some(interpreter.clone().into()), argument, Some(current.into())];
                arguments.splice(..1, first.into_iter().flatten());
                current = interpreter;
                continue;
            }
            Ok(Kind::Elf(elf)) => {
                log::debug!("{name} is an ELF file: {}, {:?}", elf.architecture, elf.loading);
                reaches(&name, &elf, library)?;
                // Who may not execute it gets the kernel's answer: a copy would be executable.
                if elf.loading == Loading::Static && exec::may_execute(file) && exec::may_execute(&current) {
                    return Ok(Some(Static { name, file: current, arguments }));
                }
                warn_of_secure_execution(&current, &name);
            }
            Ok(Kind::Other) => log::debug!("{name} is left to the kernel to judge"),
            Err(Unknown::Io(error)) => log::debug!("{name} cannot be looked at: {error}"),
            Err(Unknown::Damaged(why)) => {
                return Err(Failure::cannot_run(format!(
                    "{name} is a damaged ELF file: {why}. It was cut or overwritten; install it anew"
                )));
            }
        }
        break;
    }
    Ok(None)
}

fn reaches(name: &str, elf: &Elf, library: &Library) -> Result<(), Failure> {
    if elf.loading == Loading::None {
        return Ok(()); // The kernel refuses it.
    }
    if elf.architecture != library.architecture {
        return Err(Failure::cannot_run(format!(
            "{name} is a program for {}, and a preload cannot reach it: {} is for {}. Run a build of the program \
             for {}, or name a library for {} with --lib",
            elf.architecture,
            library.path.display(),
            library.architecture,
            library.architecture,
            elf.architecture
        )));
    }
    Ok(())
}

impl Static {
    /// Comes back only with the reason why it did not become the program.
    fn become_it(self, library: &Library, settings: &[(&str, OsString)]) -> Failure {
        let refused = |why: String| {
            Failure::cannot_run(format!(
                "{} is a static program, and evercall cannot reach it: {why}. Run a dynamically linked build of it, \
                 or run it without evercall",
                self.name
            ))
        };
        let rights = match rights_gained(&self.file) {
            None if exec::has_capabilities(&self.file) && !is_root() => Some("has file capabilities"),
            rights => rights.map(|bit| if bit == "setuid" { "is setuid" } else { "is setgid" }),
        };
        if let Some(rights) = rights {
            return refused(format!(
                "it {rights}, and the copy in memory that would be run has no such rights"
            ));
        }
        let path = library.path.display();
        if !library.has_entry {
            return refused(format!("{path} has no entry point, which a libevercall.so has"));
        }
        if !exec::may_execute(&library.path) {
            return refused(format!(
                "{path} is not executable, as its ELF interpreter must be (chmod +x, and no mount with noexec)"
            ));
        }
        let copy = match static_program::interpreted(&self.file, library) {
            Ok(copy) => copy,
            Err(why) => return refused(why),
        };
        let error = exec::exec(Program::File(&copy), &self.arguments, settings);
        refused(match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => format!(
                "a security module, a seccomp filter or the sysctl vm.memfd_noexec forbids to execute a copy in \
                 memory ({error})"
            ),
            Some(libc::ENOSYS) => format!("this kernel has no execveat (Linux 3.19) ({error})"),
            _ => format!("its copy in memory cannot be executed: {error}"),
        })
    }
}

/// ld.so takes no preload with a slash into a program that gains rights (ld.so(8), AT_SECURE).
fn warn_of_secure_execution(file: &Path, name: &str) {
    if let Some(bit) = rights_gained(file) {
        log::warn!(
            "{name} is a {bit} program: ld.so ignores LD_PRELOAD with a slash there, so evercall will not act in it. \
             To have it there, name libevercall.so in /etc/ld.so.preload"
        );
    }
}

/// The mode bit by which a file gives its program rights that we do not have.
fn rights_gained(file: &Path) -> Option<&'static str> {
    let of_file = file.metadata().ok()?;
    // The owner of /proc/self is who we are.
    let us = Path::new("/proc/self").metadata().ok();
    let setuid = of_file.mode() & S_ISUID != 0 && us.as_ref().is_none_or(|us| us.uid() != of_file.uid());
    let setgid = of_file.mode() & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP
        && us.as_ref().is_none_or(|us| us.gid() != of_file.gid());
    if setuid { Some("setuid") } else { setgid.then_some("setgid") }
}

/// Whether file capabilities give nothing new.
fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|us| us.uid() == 0)
}
