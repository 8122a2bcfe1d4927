//! The host that an image is held against: what it answers to system calls, and what else programs count on.

use super::options::CheckOptions;
use super::profiles;
use crate::failure::Failure;
use crate::nearest;
use crate::probe;
use crate::simulate::calls::{self, Version};
use crate::simulate::host::{VERSION, words};
use crate::simulate::layer::{Layer, lets_through};
use crate::simulate::{containers, errno, text, wrong};
use evercall_rules::table::{CALLS, Call};
use seccompiler::SeccompAction;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a host answers to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It carries the call out, or that is not known.
    Answers,
    /// ENOSYS, and whether that is a filter's.
    Absent {
        /// The kernel has the call.
        by_filter: bool,
    },
    /// Another errno, whatever the arguments are.
    Refused(String),
    /// A SIGSYS that can be caught.
    Trapped,
    /// The process is killed.
    Killed,
}

/// The host.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// How it was named: `this host`, `--kernel 6.12`, a profile.
    pub name: String,
    /// The kernel's release, or the version that was asked for.
    pub release: Option<String>,
    /// Whether the vsyscall page is there.
    pub vsyscall: Option<bool>,
    /// Whether programs for i386 run.
    pub ia32: Option<bool>,
    /// How cgroups are mounted: `v1`, `v2`, `hybrid`, `none`.
    pub cgroup: Option<String>,
    /// Controllers that /proc/cgroups lists.
    pub controllers: Option<Vec<String>>,
    /// Whether there is a /dev/shm.
    pub dev_shm: Option<bool>,
    /// The hard limit on open files; 2^64-1 is no limit.
    pub open_files: Option<u64>,
    /// Whether a seccomp filter stands.
    pub filtered: Option<bool>,
    /// Whether evercall may install its repair filter there by itself.
    pub repairs: Option<bool>,
    /// What is not known, and taken to be so.
    pub assumed: Vec<String>,
    /// Its version.
    #[serde(skip)]
    pub version: Option<Version>,
    #[serde(skip)]
    answers: BTreeMap<&'static str, Answer>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The part of a host profile that is needed here.
#[derive(Deserialize)]
struct Profile {
    syscalls: BTreeMap<String, String>,
    calls: Option<BTreeMap<String, Judged>>,
    kernel: Option<Kernel>,
    seccomp: Option<Seccomp>,
    repair: Option<Repair>,
    process: Option<Process>,
    vsyscall: Option<Vsyscall>,
    cgroup: Option<Cgroup>,
    limits: Option<Limits>,
    machine: Option<Machine>,
}

#[derive(Deserialize)]
struct Judged {
    by: Option<String>,
}

#[derive(Deserialize)]
struct Kernel {
    release: Option<String>,
}

#[derive(Deserialize)]
struct Seccomp {
    mode: Option<u32>,
}

#[derive(Deserialize)]
struct Repair {
    automatic: Option<bool>,
}

#[derive(Deserialize)]
struct Process {
    no_new_privs: Option<bool>,
    capabilities: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Vsyscall {
    mode: Option<String>,
    call: Option<String>,
}

#[derive(Deserialize)]
struct Cgroup {
    layout: Option<String>,
    listed: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Limits {
    process: Option<BTreeMap<String, Limit>>,
}

#[derive(Deserialize)]
struct Limit {
    hard: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Machine {
    ia32: Option<String>,
    dev_shm: Option<String>,
}

impl Host {
    /// The host that the options name.
    pub fn find(options: &CheckOptions) -> Result<Host, Failure> {
        let mut host = match (&options.host, options.kernel) {
            (Some(name), _) => Host::named(name)?,
            (None, Some(version)) => Host::of_kernel(version)?,
            (None, None) => {
                let text = probe::profile()?;
                Host::of_profile(&text, "this host").map_err(Failure::new)?
            }
        };
        if let Some(file) = &options.seccomp {
            let kernel = host.version.or_else(calls::running);
            let layers = containers::read(file, &options.cap, kernel)?;
            host.filter(&layers);
            host.name += &format!(" under {}", crate::image::tar_entries::shown(file));
            host.filtered = Some(true);
        }
        Ok(host)
    }

    fn named(name: &str) -> Result<Host, Failure> {
        const OPTION: &str = "--host";
        let file = Path::new(name);
        if let Some(profile) = profiles::find(name) {
            if !file.exists() {
                return Host::of_profile(profile.text, profile.title).map_err(|why| wrong(OPTION, file, why));
            }
        }
        if !file.exists() && !name.contains(['/', '.']) {
            let known = profiles::ALL.iter().map(|profile| profile.name);
            let hint = nearest::hint(name, known.clone());
            let hint = if hint.starts_with("did") {
                hint
            } else {
                format!("evercall has {}", known.collect::<Vec<_>>().join(", "))
            };
            return Err(Failure::new(format!("{OPTION}: there is no file and no profile {name}; {hint}")));
        }
        let shown = crate::image::tar_entries::shown(file);
        Host::of_profile(&text(OPTION, file)?, &shown).map_err(|why| wrong(OPTION, file, why))
    }

    /// The host of a profile.
    fn of_profile(text: &str, name: &str) -> Result<Host, String> {
        let json = |error: serde_json::Error| format!("it is no host profile: {error}");
        let Versioned { version } = serde_json::from_str(text).map_err(json)?;
        if version != VERSION {
            return Err(format!(
                "it is a host profile of version {version}, and this evercall reads version {VERSION}"
            ));
        }
        let profile: Profile = serde_json::from_str(text).map_err(json)?;
        let release = profile.kernel.and_then(|kernel| kernel.release);
        let kernel = release.as_deref().and_then(|release| Version::parse(release).ok());
        let by = |name: &str| profile.calls.as_ref().and_then(|calls| calls.get(name)?.by.as_deref());
        let stands =
            profile.seccomp.as_ref().is_some_and(|seccomp| seccomp.mode.is_some_and(|mode| mode != 0));
        let mut answers = BTreeMap::new();
        for (name, answer) in &profile.syscalls {
            let number = calls::number(name)?;
            let has = |call: &Call| kernel.is_some_and(|kernel| kernel.has(call));
            let answer = match answer.as_str() {
                words::ANSWERS | words::NOT_ASKED | words::NO_ANSWER => Answer::Answers,
                words::KILLED => Answer::Killed,
                words::TRAPPED => Answer::Trapped,
                "ENOSYS" => Answer::Absent {
                    by_filter: by(name) == Some("filter") || by(name) == Some("filter_or_kernel") && stands,
                },
                errno if errno::number(errno).is_some() => Answer::Refused(errno.to_string()),
                other => return Err(format!("{name}: {other} is no answer of a host")),
            };
            for call in CALLS.iter().filter(|call| call.x86_64.map(i64::from) == Some(number)) {
                let answer = match &answer {
                    Answer::Absent { by_filter } if profile.calls.is_none() => {
                        Answer::Absent { by_filter: *by_filter || has(call) }
                    }
                    answer => answer.clone(),
                };
                answers.insert(call.name, answer);
            }
        }
        let machine = profile.machine.as_ref();
        let process = profile.process.as_ref();
        let admin = process
            .and_then(|process| process.capabilities.as_ref())
            .map(|held| held.iter().any(|name| name == "CAP_SYS_ADMIN"));
        let promised = process.and_then(|process| process.no_new_privs);
        let open_files = profile.limits.and_then(|limits| limits.process?.remove("NOFILE")?.hard);
        let vsyscall = profile.vsyscall.and_then(|page| match (page.mode.as_deref(), page.call.as_deref()) {
            (Some("none"), _) | (_, Some("faults")) => Some(false),
            (Some(_), _) | (_, Some("answers")) => Some(true),
            _ => None,
        });
        let mut host = Host {
            name: name.to_string(),
            version: kernel,
            vsyscall,
            ia32: machine.and_then(|machine| Some(machine.ia32.as_deref()? == "answers")),
            controllers: profile.cgroup.as_ref().and_then(|cgroup| cgroup.listed.clone()),
            cgroup: profile.cgroup.and_then(|cgroup| cgroup.layout).filter(|layout| layout != "unknown"),
            dev_shm: machine.map(|machine| machine.dev_shm.is_some()),
            open_files: open_files.map(|hard| hard.as_u64().unwrap_or(u64::MAX)),
            filtered: profile.seccomp.and_then(|seccomp| Some(seccomp.mode? != 0)),
            repairs: match (profile.repair.and_then(|repair| repair.automatic), promised, admin) {
                (Some(true), ..) | (_, Some(true), _) | (_, _, Some(true)) => Some(true),
                (_, None, None) => None,
                _ => Some(false),
            },
            release,
            assumed: Vec::new(),
            answers,
        };
        host.assume();
        Ok(host)
    }

    /// A kernel of a version. What its builders may leave out is taken from the nearest of Debian's.
    fn of_kernel(version: Version) -> Result<Host, Failure> {
        let nearest = profiles::nearest(version);
        let built = match nearest {
            Some(profile) => Some(Host::of_profile(profile.text, profile.title).map_err(Failure::new)?),
            None => None,
        };
        let mut answers = BTreeMap::new();
        for call in CALLS.iter().filter(|call| call.x86_64.is_some()) {
            let has = version.has(call);
            let left_out = call.option.is_some()
                && built.as_ref().is_some_and(|built| {
                    built.version.is_some_and(|kernel| kernel.has(call))
                        && matches!(built.answer(call.name), Answer::Absent { .. })
                });
            let answer = if has && !left_out { Answer::Answers } else { Answer::Absent { by_filter: false } };
            answers.insert(call.name, answer);
        }
        let at_least = |text: &str| Version::parse(text).is_ok_and(|other| version >= other);
        let mut host = Host {
            name: format!("Linux {version}"),
            release: Some(version.to_string()),
            version: Some(version),
            // Debian's kernels have been built without it since 4.11 (moby/moby#34301).
            vsyscall: Some(!at_least("4.11")),
            ia32: Some(true),
            // What came with the releases of those kernels: systemd of Debian 11 and later mounts v2 alone.
            cgroup: Some(if at_least("5.10") { "v2" } else { "v1" }.to_string()),
            controllers: None,
            dev_shm: Some(true),
            open_files: Some(1 << 20),
            filtered: Some(false),
            repairs: None,
            assumed: Vec::new(),
            answers,
        };
        let page = if host.vsyscall == Some(true) { "a" } else { "no" };
        let layout = host.cgroup.as_deref().unwrap_or_default();
        host.assumed = vec![format!(
            "as Debian builds and runs a kernel of that age: {page} vsyscall page, cgroup {layout}, i386 programs, \
             /dev/shm, at most 1048576 open files, no seccomp filter"
        )];
        if let Some(profile) = nearest {
            host.assumed.push(format!("calls that a kernel can be built without: as {}", profile.title));
        }
        Ok(host)
    }

    /// What a profile does not say is taken for harmless, and said.
    fn assume(&mut self) {
        let mut missing = Vec::new();
        for (known, what) in [
            (self.vsyscall.is_some(), "no vsyscall page"),
            (self.cgroup.is_some(), "cgroups as the program needs them"),
            (self.ia32.is_some(), "i386 programs run"),
            (self.dev_shm.is_some(), "/dev/shm"),
            (self.open_files.is_some(), "a limit of open files that is no trouble"),
        ] {
            if !known {
                missing.push(what);
            }
        }
        if !missing.is_empty() {
            self.assumed.push(format!("not in the profile, and taken to be so: {}", missing.join(", ")));
        }
    }

    /// Lets the filters of a container refuse, too. What depends on arguments counts as let through.
    fn filter(&mut self, layers: &[Layer]) {
        for call in CALLS {
            let Some(number) = call.x86_64.map(i64::from) else { continue };
            for layer in layers {
                let Some(refusal) = layer.answer(number).filter(|answer| !lets_through(answer)) else {
                    continue;
                };
                let answer = match refusal {
                    SeccompAction::Errno(number) if *number == libc::ENOSYS as u32 => {
                        Answer::Absent { by_filter: true }
                    }
                    SeccompAction::Errno(number) => Answer::Refused(
                        errno::name(i64::from(*number)).map_or_else(|| number.to_string(), str::to_string),
                    ),
                    SeccompAction::Trap => Answer::Trapped,
                    SeccompAction::KillProcess | SeccompAction::KillThread => Answer::Killed,
                    _ => continue,
                };
                let known = self.answers.entry(call.name).or_insert(Answer::Answers);
                // A filter is asked before the kernel is.
                if strictness(&answer) >= strictness(known) {
                    *known = answer;
                }
            }
        }
    }

    /// What it answers to a call of x86-64; of i386 what is known by the version.
    pub fn answer(&self, name: &str) -> Answer {
        if let Some(answer) = self.answers.get(name) {
            return answer.clone();
        }
        let lacks = Call::find(name).is_some_and(|call| {
            self.version.is_some_and(|version| call.since != "never" && !version.has(call))
        });
        if lacks { Answer::Absent { by_filter: false } } else { Answer::Answers }
    }

    /// What it answers to a call of i386: its kernel lacks what x86-64's lacks by version or by how it was built, and a filter is
    /// asked by number; a profile tells of x86-64 alone, which has some calls of i386 only by name (set_thread_area).
    pub fn answer_i386(&self, name: &str) -> Answer {
        match self.answer(name) {
            Answer::Absent { by_filter: false }
                if Call::find(name).is_some_and(|call| {
                    call.option.is_none() && self.version.is_some_and(|version| version.has(call))
                }) =>
            {
                Answer::Answers
            }
            answer => answer,
        }
    }

    /// Whether `evercall run` can start a static program there: from a copy in memory.
    pub fn takes_static(&self) -> bool {
        self.answer("memfd_create") == Answer::Answers
    }

    /// How people name it.
    pub fn title(&self) -> String {
        match &self.release {
            Some(release) if !self.name.contains(release.as_str()) => {
                let clean: String = release.chars().filter(|c| !c.is_control()).collect();
                format!("{} (Linux {clean})", self.name)
            }
            _ => self.name.clone(),
        }
    }
}

fn strictness(answer: &Answer) -> u8 {
    match answer {
        Answer::Answers => 0,
        Answer::Absent { by_filter: false } => 1,
        Answer::Absent { by_filter: true } | Answer::Refused(_) => 2,
        Answer::Trapped => 3,
        Answer::Killed => 4,
    }
}
