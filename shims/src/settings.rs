//! The settings: `/etc/evercall.conf` as `key = value`, where a line `[name]` or `[/path/*]` starts a section for
//! the programs it names; then the environment, which wins. In secure execution (AT_SECURE) the environment is
//! ignored, and the file must be root's alone to write.

use crate::logging::{Format, Mode};
use crate::program;
use crate::seccomp::Found;
use crate::seccomp::trap::Trap;
use crate::start::{secure, strings};
use crate::state;
use crate::sys::{self, Fd};
use crate::text::{Text, parse_decimal, trim};
use core::cell::UnsafeCell;
use evercall_rules::packed::RuleId;

/// Bytes of LD_PRELOAD and the EVERCALL_ settings that are kept to be put back at exec.
const KEPT: usize = 512;

/// Longest name of a setting that is kept, with its equals sign: exec looks at no more of a variable.
pub const KEPT_NAME: usize = 24;

/// Longest path of a log file, bytes with its NUL; a longer one is not understood.
const LOG_PATH: usize = 256;

/// Bytes of a field of `struct new_utsname` (linux/utsname.h), with its NUL.
const RELEASE: usize = 65;

/// Bytes of all GLIBC_TUNABLES that are configured.
const TUNABLES: usize = 512;

/// Bytes of the configuration file that are read.
const CONFIGURATION: usize = 8192;

/// RLIMIT_NOFILE above this is absurd: nobody's program needs it, and many loop over it.
pub const NOFILE_LIMIT: u64 = 1 << 20;

/// Where log lines go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LogTo {
    /// A descriptor that the process was started with.
    Fd(i32),
    /// A file, in `Settings::log_path`.
    Path,
}

/// When something is done that costs a little, or may be unwelcome.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    On,
    /// Where it is needed, and takes nothing from anybody.
    Auto,
    /// Never.
    Off,
}

impl When {
    /// The value of a setting.
    fn parse(value: &[u8]) -> Option<When> {
        match value {
            _ if is_on(value) => Some(When::On),
            _ if is_off(value) => Some(When::Off),
            b"auto" => Some(When::Auto),
            _ => None,
        }
    }
}

/// Which cgroup a program is shown on a host that has v2 alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cgroup {
    /// v1 for programs that know nothing else; for others v2, and v1's files where they look for them.
    Auto,
    /// v1, whatever the program.
    V1,
    /// v2, and v1's files.
    V2,
    /// What the host has.
    Off,
}

impl Cgroup {
    /// The value of a setting.
    fn parse(value: &[u8]) -> Option<Cgroup> {
        match value {
            b"auto" => Some(Cgroup::Auto),
            b"v1" => Some(Cgroup::V1),
            b"v2" => Some(Cgroup::V2),
            _ if is_off(value) => Some(Cgroup::Off),
            _ => None,
        }
    }
}

/// What the user asked for.
pub struct Settings {
    /// Which translations are logged.
    pub log: Mode,
    /// The form of the lines.
    pub log_format: Format,
    /// Where they go.
    pub log_to: LogTo,
    /// The cap on RLIMIT_NOFILE; 0 leaves it alone.
    pub nofile: u64,
    /// Whether a limit that is set later is lowered likewise.
    pub nofile_clamp: bool,
    /// Whether memory and processors are counted as the control group limits them.
    pub resources: bool,
    /// Whether lines of /proc/cpuinfo are kept short.
    pub short_cpuinfo: bool,
    /// Whether writes to settings of the kernel that are gone are accepted and dropped.
    pub pretend: bool,
    /// Whether exec puts the preload back.
    pub keep: bool,
    /// Whether jumps to the vsyscall page are answered; auto: where the loaded libc can call it, and the host has none.
    pub vsyscall: When,
    /// Whether a seccomp filter of ours may repair what the host's refuses; auto: where it takes no rights from anybody.
    pub filter: When,
    /// The image is known to hold no setuid, setgid or file-capability program.
    pub no_privileged_programs: bool,
    /// What the environment says was found of the host's filter.
    pub found: Found,
    /// Whether calls with a live rule are trapped, wherever they are made.
    pub trap: Trap,
    /// Which cgroup the program is shown.
    pub cgroup: Cgroup,
    /// `NAME=value` strings to put back, each with its NUL; LD_PRELOAD first, if it was there.
    pub kept: Text<KEPT>,
    /// Texts that few processes set; None where none is.
    texts: Option<&'static mut Texts>,
}

/// In a page of their own, since the rest is in the one page that every process writes to. All bits zero is a value:
/// every text is empty.
struct Texts {
    /// The log's file, if its lines go to one.
    log_path: Text<LOG_PATH>,
    /// The kernel's release that programs see; empty: the host's.
    uname: Text<RELEASE>,
    /// GLIBC_TUNABLES of what is executed: `PATTERN\0TUNABLES\0` each, the pattern as in a section's head, `*` for all.
    tunables: Text<TUNABLES>,
    /// The first setting that made no sense: `key=value`, cut.
    misunderstood: Text<64>,
}

struct Shared(UnsafeCell<Settings>);

// SAFETY: written once, in `read`, by the one thread that start::begin lets in; read only afterwards,
// behind the acquire load of start::ready.
unsafe impl Sync for Shared {}

static SETTINGS: Shared = Shared(UnsafeCell::new(Settings {
    log: Mode::Off,
    log_format: Format::Text,
    log_to: LogTo::Fd(2),
    nofile: NOFILE_LIMIT,
    nofile_clamp: false,
    resources: false,
    short_cpuinfo: false,
    pretend: false,
    keep: true,
    vsyscall: When::Auto,
    filter: When::Auto,
    no_privileged_programs: false,
    found: Found::Nothing,
    trap: Trap::Off,
    cgroup: Cgroup::Auto,
    kept: Text::new(),
    texts: None,
}));

/// The settings, once start::ready() said yes.
pub fn get() -> &'static Settings {
    // SAFETY: see Shared.
    unsafe { &*SETTINGS.0.get() }
}

/// Whether a value switches something off.
pub fn is_off(value: &[u8]) -> bool {
    matches!(value, b"off" | b"0" | b"no" | b"false")
}

fn is_on(value: &[u8]) -> bool {
    matches!(value, b"on" | b"1" | b"yes" | b"true")
}

/// What is not understood leaves a switch off.
fn set_switch(switch: &mut bool, value: &[u8]) -> bool {
    *switch = is_on(value);
    *switch || is_off(value)
}

/// Reads everything. False: evercall is switched off.
pub fn read(environment: usize) -> bool {
    let secure = secure();
    let environment = if secure { 0 } else { environment };
    let starting = |start| strings(environment, start).map(|s| s.to_bytes());
    // The kill switch, before anything else is done.
    if starting(b"EVERCALL=").any(|s| s.strip_prefix(b"EVERCALL=").is_some_and(is_off)) {
        return false;
    }
    // SAFETY: see Shared: nobody else is here, and nobody reads yet.
    let settings = unsafe { &mut *SETTINGS.0.get() };
    let mut on = true;
    from_file(secure, |section, key, value| match key {
        // Of the programs that this one executes, whichever they are.
        b"tunables" => settings.set_tunables(section.unwrap_or(b"*"), value),
        _ if !section.is_none_or(|pattern| program::is_meant(pattern, program::path())) => {}
        b"evercall" => on = !is_off(value),
        _ => settings.set(key, value),
    });
    // First, so that it has room whatever the settings are.
    for preload in starting(b"LD_PRELOAD=").filter_map(|s| s.strip_prefix(b"LD_PRELOAD=")) {
        settings.keep_preload(preload);
    }
    for string in starting(b"EVERCALL") {
        if let Some((name, value)) = string.strip_prefix(b"EVERCALL").and_then(split) {
            if let Some(name) = name.strip_prefix(b"_") {
                settings.set_upper(name, value);
            } else if name.is_empty() {
                on |= is_on(value);
            }
            settings.keep_string(string);
        }
    }
    if settings.pretend && settings.log == Mode::Off {
        settings.log = Mode::Pretended;
    }
    // A program without the preload would die under a trapping filter.
    settings.keep |= settings.trap != Trap::Off;
    on
}

/// Keeps a string of ours in the environment of what is executed from here on. For `start::begin` alone,
/// before anybody else reads the settings.
pub fn keep(string: &[u8]) {
    // SAFETY: see Shared: still nobody else is here.
    let settings = unsafe { &mut *SETTINGS.0.get() };
    if !settings.kept.bytes().split(|&b| b == 0).any(|kept| kept == string) {
        settings.keep_string(string);
    }
}

/// Changes the last byte of a kept string, by its name with the equals sign. Likewise for `start::begin` alone.
pub fn change_kept(name: &[u8], value: u8) {
    // SAFETY: see Shared: still nobody else is here.
    let settings = unsafe { &mut *SETTINGS.0.get() };
    let strings = settings.kept.bytes().split(|&b| b == 0);
    let mut end = 0;
    for string in strings {
        end += string.len();
        if string.starts_with(name) {
            settings.kept.replace(end.wrapping_sub(1), value);
            return;
        }
        end += 1;
    }
}

/// `NAME=value` at its first equals sign.
fn split(string: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = string.iter().position(|&b| b == b'=')?;
    Some((string.get(..at)?, string.get(at + 1..)?))
}

/// Calls `set` with section (None before the first), key and value of each line.
fn from_file(secure: bool, set: impl FnMut(Option<&[u8]>, &[u8], &[u8])) {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let Ok(file) = sys::open(c"/etc/evercall.conf", flags, 0) else { return };
    let Ok(stat) = sys::fstat(file.0) else { return };
    let safe = stat.st_uid == 0 && stat.st_mode & 0o022 == 0;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || (secure && !safe) {
        return;
    }
    from_open_file(&file, set);
}

/// Not inlined: where there is no file, its buffer takes no stack.
#[inline(never)]
fn from_open_file(file: &Fd, mut set: impl FnMut(Option<&[u8]>, &[u8], &[u8])) {
    let mut buffer = [0u8; CONFIGURATION];
    let Ok(length) = sys::read(file.0, &mut buffer) else { return };
    let mut text = buffer.get(..length).unwrap_or(&[]);
    if length == CONFIGURATION {
        // A line that is cut is no line.
        let whole = text.iter().rposition(|&b| b == b'\n').unwrap_or(0);
        text = text.get(..whole).unwrap_or(&[]);
    }
    let mut section = None;
    for line in text.split(|&b| b == b'\n') {
        let line = trim(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if let Some(pattern) = line.strip_prefix(b"[").and_then(|line| line.strip_suffix(b"]")) {
            section = Some(trim(pattern));
        } else if let Some((key, value)) = split(line) {
            set(section, trim(key), trim(value));
        }
    }
}

impl Settings {
    /// A setting by the name of its environment variable, without EVERCALL_.
    fn set_upper(&mut self, name: &[u8], value: &[u8]) {
        let mut key = Text::<24>::new();
        for &byte in name {
            key.push_byte(byte.to_ascii_lowercase());
        }
        self.set(key.bytes(), value);
    }

    /// A setting by its key in the file. What is not understood changes nothing, and is noticed in the log.
    fn set(&mut self, key: &[u8], value: &[u8]) {
        let known = match key {
            b"log" => Mode::parse(value).map(|mode| self.log = mode).is_some(),
            b"log_format" => Format::parse(value).map(|format| self.log_format = format).is_some(),
            b"log_to" => self.set_log_to(value),
            b"nofile" => self.set_nofile(value),
            b"nofile_clamp" => set_switch(&mut self.nofile_clamp, value),
            b"uname" => self.set_uname(value),
            b"resources" => {
                self.resources = value == b"cgroup";
                self.resources || is_off(value) || value == b"host"
            }
            b"cpuinfo" => {
                self.short_cpuinfo = value == b"short";
                self.short_cpuinfo || is_off(value)
            }
            b"pretend" => set_switch(&mut self.pretend, value),
            // The environment's, for all that is executed: it comes last, and so wins.
            b"tunables" => {
                self.set_tunables(b"*", value);
                true
            }
            b"keep" => {
                self.keep = !is_off(value);
                is_off(value) || is_on(value)
            }
            b"vsyscall" => Settings::set_when(&mut self.vsyscall, value),
            b"filter" => Settings::set_when(&mut self.filter, value),
            // What `evercall layer` found in the image.
            b"privileged_programs" => {
                self.no_privileged_programs = value == b"none";
                matches!(value, b"none" | b"some")
            }
            b"repaired" => {
                self.found = Found::parse(value);
                true
            }
            b"trap" => {
                self.trap = Trap::parse(value);
                self.trap != Trap::Off || is_off(value)
            }
            b"cgroup" => Cgroup::parse(value).map(|cgroup| self.cgroup = cgroup).is_some(),
            b"force" => force(value),
            // Where the command looks for this library.
            b"lib" => true,
            _ => false,
        };
        if !known {
            self.misunderstand(key, value);
        }
    }

    fn misunderstand(&mut self, key: &[u8], value: &[u8]) {
        if let Some(texts) = self.texts_to_set().filter(|texts| texts.misunderstood.bytes().is_empty()) {
            texts.misunderstood.push(key).push(b"=").push(value);
        }
    }

    /// The texts, made if need be. None where there is no memory: they stay empty.
    fn texts_to_set(&mut self) -> Option<&mut Texts> {
        if self.texts.is_none() {
            let page = sys::map_anonymous(size_of::<Texts>()).ok()?;
            // SAFETY: fresh zeroed pages, ours alone and for good; see Texts.
            self.texts = Some(unsafe { &mut *(page as *mut Texts) });
        }
        self.texts.as_deref_mut()
    }

    /// The log's file, if its lines go to one.
    pub fn log_path(&self) -> &[u8] {
        self.texts.as_deref().map_or(b"", |texts| texts.log_path.bytes())
    }

    /// The kernel's release that programs see; empty: the host's.
    pub fn uname(&self) -> &[u8] {
        self.texts.as_deref().map_or(b"", |texts| texts.uname.bytes())
    }

    /// Whether programs get GLIBC_TUNABLES at exec.
    pub fn has_tunables(&self) -> bool {
        !self.tunables().is_empty()
    }

    fn tunables(&self) -> &[u8] {
        self.texts.as_deref().map_or(b"", |texts| texts.tunables.bytes())
    }

    /// The first setting that made no sense: `key=value`, cut.
    pub fn misunderstood(&self) -> &[u8] {
        self.texts.as_deref().map_or(b"", |texts| texts.misunderstood.bytes())
    }

    /// What is not understood is as if it were not there: `auto`.
    fn set_when(when: &mut When, value: &[u8]) -> bool {
        let parsed = When::parse(value);
        *when = parsed.unwrap_or(When::Auto);
        parsed.is_some()
    }

    fn set_log_to(&mut self, value: &[u8]) -> bool {
        if value == b"stderr" {
            self.log_to = LogTo::Fd(2);
        } else if let Some(number) = value.strip_prefix(b"fd:") {
            match parse_decimal(number) {
                Some((fd, b"")) if fd <= i32::MAX as u64 => self.log_to = LogTo::Fd(fd as i32),
                _ => return false,
            }
        } else if value.starts_with(b"/") && value.len() < LOG_PATH {
            let Some(texts) = self.texts_to_set() else { return false };
            texts.log_path.truncate(0);
            texts.log_path.push(value);
            self.log_to = LogTo::Path;
        } else {
            return false;
        }
        true
    }

    fn set_nofile(&mut self, value: &[u8]) -> bool {
        match parse_decimal(value) {
            Some((limit, b"")) if limit > 0 => self.nofile = limit,
            _ if is_off(value) => self.nofile = 0,
            _ => return value == b"auto",
        }
        true
    }

    /// A release that fits into its field, and that reads as a word wherever it stands.
    fn set_uname(&mut self, value: &[u8]) -> bool {
        let unset = value.is_empty() || is_off(value);
        if unset && self.uname().is_empty() {
            return true;
        }
        let Some(texts) = self.texts_to_set() else { return false };
        texts.uname.truncate(0);
        let fits = value.len() < RELEASE && value.iter().all(u8::is_ascii_graphic);
        if fits && !unset {
            texts.uname.push(value);
        }
        fits || unset
    }

    fn set_tunables(&mut self, pattern: &[u8], value: &[u8]) {
        let room = TUNABLES.saturating_sub(self.tunables().len());
        let fits = pattern.len() + value.len() + 3 <= room && value.iter().all(u8::is_ascii_graphic);
        match self.texts_to_set() {
            Some(texts) if fits => {
                texts.tunables.push(pattern).push_byte(0).push(value).push_byte(0);
            }
            _ => self.misunderstand(b"tunables", value),
        }
    }

    /// The GLIBC_TUNABLES configured for a program, in the order of the configuration.
    pub fn tunables_of<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut words = self.tunables().split(|&b| b == 0);
        core::iter::from_fn(move || {
            loop {
                let (pattern, value) = (words.next()?, words.next()?);
                if pattern == b"*" || program::is_meant(pattern, path) {
                    return Some(value);
                }
            }
        })
    }

    fn keep_string(&mut self, string: &[u8]) {
        let before = self.kept.bytes().len();
        let name = string.iter().position(|&b| b == b'=').map_or(0, |at| at + 1);
        if name > KEPT_NAME || before + string.len() + 1 >= KEPT {
            return;
        }
        self.kept.push(string).push_byte(0);
    }

    /// Keeps our own entry of an LD_PRELOAD list, which ld.so divides by blanks and colons (ld.so(8)).
    fn keep_preload(&mut self, list: &[u8]) {
        for entry in list.split(|&b| b == b':' || b == b' ') {
            if is_ours(entry) {
                let mut string = Text::<LOG_PATH>::new();
                string.push(b"LD_PRELOAD=").push(entry);
                if !string.is_cut() {
                    self.keep_string(string.bytes());
                }
                return;
            }
        }
    }

    /// The strings to put back at exec.
    pub fn kept_strings(&self) -> impl Iterator<Item = &[u8]> {
        self.kept.bytes().split_inclusive(|&b| b == 0)
    }
}

/// Whether an entry of LD_PRELOAD is this library, under whatever folder or version.
pub fn is_ours(entry: &[u8]) -> bool {
    let name = entry.rsplit(|&b| b == b'/').next().unwrap_or(entry);
    name.starts_with(b"libevercall")
}

/// `ustat,sysfs` or `all`: these rules act though the host would answer. Rules that act once at start
/// have nothing to be forced to.
fn force(list: &[u8]) -> bool {
    let mut known = true;
    // The environment's list comes after the file's, and takes its place.
    state::act_on_none();
    for name in list.split(|&b| b == b',') {
        let name = trim(name);
        let mut found = name.is_empty();
        for rule in RuleId::all() {
            if name == b"all" || name == rule.name() {
                state::act(rule);
                found = true;
            }
        }
        known &= found;
    }
    known
}
