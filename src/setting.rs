//! `--set KEY=VALUE`: any setting of /etc/evercall.conf, for one program. The library reads the values once more
//! (shims/src/settings.rs), and can only log what it does not understand: here it is an error.

use crate::log_to::LogTo;
use crate::nearest;
use crate::options::Nofile;
use evercall_rules::table::RULES;
use std::ffi::OsString;

/// Bytes of `new_utsname.release`, without its NUL.
const LONGEST_RELEASE: usize = 64;

/// Bytes that the library keeps of all tunables together (docs/settings.md), with what it writes between them.
const LONGEST_TUNABLES: usize = 512 - 4;

/// What a key may be set to.
enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// `on` or `off`.
    Switch,
    /// What this makes the variable's value of.
    Read(fn(&str) -> Result<OsString, String>),
}

use Values::{Read, Switch, Words};

/// The keys, each with its variable.
const KEYS: &[(&str, &str, Values)] = &[
    ("evercall", "EVERCALL", Switch),
    ("log", "EVERCALL_LOG", Words(&["off", "first", "all", "count"])),
    ("log_format", "EVERCALL_LOG_FORMAT", Words(&["text", "json"])),
    ("log_to", "EVERCALL_LOG_TO", Read(|value| LogTo::parse(value.into()).map(|log_to| log_to.setting()))),
    ("force", "EVERCALL_FORCE", Read(rules)),
    ("nofile", "EVERCALL_NOFILE", Read(|value| Nofile::parse(value).map(|nofile| nofile.setting().into()))),
    ("nofile_clamp", "EVERCALL_NOFILE_CLAMP", Switch),
    ("uname", "EVERCALL_UNAME", Read(|value| release(value).map(OsString::from))),
    ("resources", "EVERCALL_RESOURCES", Words(&["host", "cgroup"])),
    ("cpuinfo", "EVERCALL_CPUINFO", Words(&["off", "short"])),
    ("pretend", "EVERCALL_PRETEND", Switch),
    ("tunables", "EVERCALL_TUNABLES", Read(tunables)),
    ("vsyscall", "EVERCALL_VSYSCALL", Words(&["auto", "on", "off"])),
    ("filter", "EVERCALL_FILTER", Words(&["auto", "on", "off"])),
    ("privileged_programs", "EVERCALL_PRIVILEGED_PROGRAMS", Words(&["some", "none"])),
    ("cgroup", "EVERCALL_CGROUP", Words(&["auto", "v1", "v2", "off"])),
    ("keep", "EVERCALL_KEEP", Switch),
];

/// A setting, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its variable.
    pub variable: &'static str,
    /// The variable's value.
    pub value: OsString,
}

impl Setting {
    /// Reads `KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Setting, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let Some((_, variable, values)) = KEYS.iter().find(|(known, ..)| *known == key) else {
            return Err(unknown(key));
        };
        if !text.contains('=') {
            return Err(format!("write {key}=VALUE, {}", values.told()));
        }
        let value = values.read(value).map_err(|why| format!("{key}: {why}"))?;
        Ok(Setting { variable, value })
    }
}

fn unknown(key: &str) -> String {
    match key {
        "trap" => return "no setting of its own: use --trap".into(),
        "lib" => return "no setting of a program: use --lib".into(),
        _ => {}
    }
    let known = KEYS.iter().map(|(known, ..)| *known);
    // Perhaps the variable's name was meant.
    let small = key.to_ascii_lowercase();
    match nearest::near(small.strip_prefix("evercall_").unwrap_or(&small), known.clone()).as_slice() {
        [] => format!("there is no setting {key:?}; there are {}", known.collect::<Vec<_>>().join(", ")),
        near => format!("there is no setting {key:?}; did you mean {}?", near.join(", ")),
    }
}

impl Values {
    fn told(&self) -> String {
        match self {
            Words(words) => format!("VALUE being one of {}", words.join(", ")),
            Switch => "VALUE being on or off".into(),
            Read(_) => "as evercall.conf has it".into(),
        }
    }

    fn read(&self, value: &str) -> Result<OsString, String> {
        let among = |words: &[&str]| match words.contains(&value) {
            true => Ok(value.into()),
            false => Err(format!("{value:?} is none of {}", words.join(", "))),
        };
        match self {
            Words(words) => among(words),
            Switch => among(&["on", "off"]),
            Read(read) => read(value),
        }
    }
}

fn rules(list: &str) -> Result<OsString, String> {
    let known = || RULES.iter().map(|rule| rule.name).chain(["all"]);
    match list.split(',').find(|name| !known().any(|known| known == *name)) {
        None => Ok(list.into()),
        Some(name) => Err(format!("there is no rule {name:?}; {}", nearest::hint(name, known()))),
    }
}

/// The value of `--uname`: what `uname -r` is to print, or off.
pub fn release(value: &str) -> Result<String, String> {
    if value.is_empty() || value.len() > LONGEST_RELEASE || !value.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(format!(
            "a release, as `uname -r` prints it, has no blanks and at most {LONGEST_RELEASE} bytes; off for the host's"
        ));
    }
    Ok(value.into())
}

fn tunables(list: &str) -> Result<OsString, String> {
    let is_tunable = |entry: &str| entry.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    if !list.bytes().all(|byte| byte.is_ascii_graphic()) || !list.split(':').all(is_tunable) {
        return Err(format!("{list:?} is not NAME=VALUE:NAME=VALUE, as GLIBC_TUNABLES is (ld.so(8))"));
    }
    if list.len() > LONGEST_TUNABLES {
        return Err(format!("longer than the {LONGEST_TUNABLES} bytes that the library keeps"));
    }
    Ok(list.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual;

    #[test]
    fn values_are_checked_and_mistakes_told() {
        for (text, due) in [
            ("cpuinfo=short", Ok(("EVERCALL_CPUINFO", "short"))),
            ("evercall=off", Ok(("EVERCALL", "off"))),
            ("nofile=4096", Ok(("EVERCALL_NOFILE", "4096"))),
            ("tunables=a.b=1:c=", Ok(("EVERCALL_TUNABLES", "a.b=1:c="))),
            ("uname=2.6.32", Ok(("EVERCALL_UNAME", "2.6.32"))),
            ("force=ustat,sysfs", Ok(("EVERCALL_FORCE", "ustat,sysfs"))),
            ("cpuinfos=short", Err("did you mean cpuinfo")),
            ("EVERCALL_PRETEND=on", Err("did you mean pretend")),
            ("zzz=1", Err("there are evercall, log,")),
            ("=1", Err("there is no setting \"\"")),
            ("", Err("there is no setting \"\"")),
            ("pretend", Err("write pretend=VALUE, VALUE being on or off")),
            ("pretend=perhaps", Err("pretend: \"perhaps\" is none of on, off")),
            ("nofile=-1", Err("nofile: auto, off, or a number")),
            ("uname=two words", Err("no blanks")),
            ("tunables=a", Err("is not NAME=VALUE")),
            ("force=usta", Err("there is no rule \"usta\"; did you mean ustat")),
            ("trap=1", Err("use --trap")),
            ("lib=/x", Err("use --lib")),
        ] {
            let got = Setting::parse(text);
            match (&got, due) {
                (Ok(got), Ok((variable, value))) => {
                    assert_eq!((got.variable, got.value.to_str()), (variable, Some(value)), "{text}");
                }
                (Err(why), Err(holds)) => assert!(why.contains(holds), "{text}: {why}"),
                _ => panic!("{text}: {got:?}"),
            }
        }
    }

    /// What the man page tells of, and only that.
    #[test]
    fn every_variable_has_its_key() {
        let mut told: Vec<&str> = manual::variables().collect();
        let mut known: Vec<&str> = KEYS.iter().map(|(_, variable, _)| *variable).collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, told);
        for (key, variable, _) in KEYS.iter().filter(|(key, ..)| *key != "evercall") {
            assert_eq!(*variable, format!("EVERCALL_{}", key.to_uppercase()));
        }
    }
}
