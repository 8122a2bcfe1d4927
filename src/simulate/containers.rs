//! Seccomp profiles in the format of Docker and containers-common, resolved as for a container that is not
//! privileged, with runc's and libseccomp's meaning.
//!
//! Sources: moby profiles/seccomp (seccomp.go, seccomp_linux.go), containers-common pkg/seccomp, runc
//! libcontainer/seccomp (seccomp_linux.go, matchCall), seccomp_rule_add(3).

use super::calls::{self, Version};
use super::layer::{Layer, Rules};
use super::{errno, text, wrong};
use crate::failure::Failure;
use crate::nearest;
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const OPTION: &str = "--seccomp";

/// What Docker leaves a container that is not privileged.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The capabilities that a container may be given besides (capabilities(7)).
const MORE_CAPABILITIES: [&str; 27] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_DAC_READ_SEARCH",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_NET_ADMIN",
    "CAP_NET_BROADCAST",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

/// Names of our architecture in `includes` and `excludes`: Docker writes Go's.
const ARCHITECTURES: [&str; 2] = ["amd64", "x86_64"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Option<String>,
    default_errno_ret: Option<u32>,
    default_errno: Option<String>,
    syscalls: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<Argument>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads a capability: CAP_SYS_ADMIN, SYS_ADMIN or sys_admin.
pub fn capability(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
    let mut known = CAPABILITIES.into_iter().chain(MORE_CAPABILITIES);
    if known.clone().any(|known| known == name) {
        return Ok(name);
    }
    let hint = nearest::hint(&name, &mut known);
    let hint = if hint.starts_with("did") { hint } else { "capabilities(7) lists them".to_string() };
    Err(format!("no capability is named {name}; {hint}"))
}

/// The filters of a profile for a container that holds Docker's default capabilities and these.
pub fn read(file: &Path, capabilities: &[String], kernel: Option<Version>) -> Result<Vec<Layer>, Failure> {
    parse(&text(OPTION, file)?, &format!("{OPTION} {}", file.display()), capabilities, kernel)
        .map_err(|why| wrong(OPTION, file, why))
}

pub(super) fn parse(
    text: &str,
    origin: &str,
    capabilities: &[String],
    kernel: Option<Version>,
) -> Result<Vec<Layer>, String> {
    let profile: Profile =
        serde_json::from_str(text).map_err(|error| format!("it is no seccomp profile: {error}"))?;
    let default =
        profile.default_action.as_deref().ok_or("it is no seccomp profile: it has no defaultAction")?;
    let default = action(default, profile.default_errno.as_deref(), profile.default_errno_ret)
        .map_err(|why| format!("the default action: {why}"))?;
    let mut decided: BTreeMap<i64, Decided> = BTreeMap::new();
    for (at, entry) in profile.syscalls.unwrap_or_default().iter().enumerate() {
        let wrong = |why: String| format!("syscalls[{at}]: {why}");
        let answer = action(&entry.action, entry.errno.as_deref(), entry.errno_ret).map_err(wrong)?;
        let rules = rules(entry.args.as_deref().unwrap_or_default()).map_err(wrong)?;
        let names = entry.names.iter().flatten().chain(&entry.name);
        if names.clone().next().is_none() {
            return Err(wrong("it has no names".to_string()));
        }
        let applies = entry.applies(capabilities, kernel).map_err(wrong)?;
        if !applies || answer == default {
            continue;
        }
        for name in names {
            // As runc: a name that is not known is one that this host does not have.
            let Ok(number) = calls::number(name) else {
                log::debug!("{origin}: {name} is no call of x86-64");
                continue;
            };
            decided.entry(number).or_default().add(&answer, &rules);
        }
    }
    Ok(layers(origin, default, decided))
}

/// A filter for the default, which is for what no rule of any answer matches, and one for each other answer.
fn layers(origin: &str, default: SeccompAction, decided: BTreeMap<i64, Decided>) -> Vec<Layer> {
    let mut named = Rules::new();
    let mut answers: Vec<(SeccompAction, Rules)> = Vec::new();
    for (number, Decided { always, rules }) in decided {
        let each = always.into_iter().map(|answer| (answer, None));
        for (answer, rule) in each.chain(rules.into_iter().map(|(answer, rule)| (answer, Some(rule)))) {
            named.entry(number).or_default().extend(rule.clone());
            let at = answers.iter().position(|(known, _)| *known == answer).unwrap_or_else(|| {
                answers.push((answer, Rules::new()));
                answers.len() - 1
            });
            if let Some((_, rules)) = answers.get_mut(at) {
                rules.entry(number).or_default().extend(rule);
            }
        }
    }
    let layer = |rules, matched, otherwise, foreign| Layer {
        origin: origin.to_string(),
        rules,
        matched,
        otherwise,
        foreign,
    };
    let mut layers = Vec::new();
    let allow = SeccompAction::Allow;
    if default != allow {
        layers.push(layer(named, allow.clone(), default.clone(), default));
    }
    answers.retain(|(answer, _)| *answer != allow);
    layers.extend(
        answers.into_iter().map(|(answer, rules)| layer(rules, answer, allow.clone(), allow.clone())),
    );
    layers
}

/// What the entries say of one call.
#[derive(Default)]
struct Decided {
    /// The answer whatever the arguments are.
    always: Option<SeccompAction>,
    /// The answers to calls that match; none with an answer for all.
    rules: Vec<(SeccompAction, SeccompRule)>,
}

impl Decided {
    /// Adds an entry as libseccomp does (db_rule_add): one without conditions takes the place of all with
    /// conditions, and what comes after it does not count.
    fn add(&mut self, answer: &SeccompAction, rules: &[SeccompRule]) {
        if self.always.is_some() {
            return;
        }
        if rules.is_empty() {
            self.always = Some(answer.clone());
            self.rules.clear();
        }
        self.rules.extend(rules.iter().map(|rule| (answer.clone(), rule.clone())));
    }
}

impl Entry {
    /// Whether `includes` and `excludes` leave it in.
    fn applies(&self, capabilities: &[String], kernel: Option<Version>) -> Result<bool, String> {
        let held = |name: &String| {
            CAPABILITIES.contains(&name.as_str()) || capabilities.iter().any(|more| more == name)
        };
        let ours = |name: &String| ARCHITECTURES.contains(&name.as_str());
        let new_enough = |least: &String| {
            let least =
                Version::parse(least).map_err(|_| format!("minKernel {least} is no version of Linux"))?;
            Ok::<_, String>(kernel.is_none_or(|kernel| kernel >= least))
        };
        let none = Filter::default();
        let (includes, excludes) =
            (self.includes.as_ref().unwrap_or(&none), self.excludes.as_ref().unwrap_or(&none));
        let included = includes.caps.iter().flatten().all(held)
            && includes.arches.as_ref().is_none_or(|arches| arches.is_empty() || arches.iter().any(ours))
            && includes.min_kernel.as_ref().map_or(Ok(true), new_enough)?;
        let excluded = excludes.caps.iter().flatten().any(held)
            || excludes.arches.iter().flatten().any(ours)
            || excludes.min_kernel.as_ref().map_or(Ok(false), new_enough)?;
        Ok(included && !excluded)
    }
}

/// The rules of an entry: all its arguments must match. But where two of them look at the same argument, any one
/// must, since libseccomp takes one condition an argument, and runc makes a rule of each then.
fn rules(arguments: &[Argument]) -> Result<Vec<SeccompRule>, String> {
    let rule = |conditions| SeccompRule::new(conditions).map_err(|error| error.to_string());
    let conditions = arguments.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    let twice =
        |argument: &Argument| arguments.iter().filter(|other| other.index == argument.index).count() > 1;
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    if arguments.iter().any(twice) {
        return conditions.into_iter().map(|condition| rule(vec![condition])).collect();
    }
    Ok(vec![rule(conditions)?])
}

fn condition(argument: &Argument) -> Result<SeccompCondition, String> {
    let Argument { index, value, value_two, ref op } = *argument;
    let (op, value) = match op.as_str() {
        "SCMP_CMP_NE" => (SeccompCmpOp::Ne, value),
        "SCMP_CMP_LT" => (SeccompCmpOp::Lt, value),
        "SCMP_CMP_LE" => (SeccompCmpOp::Le, value),
        "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, value),
        "SCMP_CMP_GE" => (SeccompCmpOp::Ge, value),
        "SCMP_CMP_GT" => (SeccompCmpOp::Gt, value),
        "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(value), value_two),
        _ => {
            return Err(format!("{op} is no comparison: SCMP_CMP_ with NE, LT, LE, EQ, GE, GT or MASKED_EQ"));
        }
    };
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, value)
        .map_err(|_| format!("index {index} is no argument of a system call: 0 to 5"))
}

/// An action with its errno: by name, else by number, else EPERM, as containers-common and runc have it.
fn action(name: &str, errno_name: Option<&str>, number: Option<u32>) -> Result<SeccompAction, String> {
    let errno = || match (errno_name.filter(|name| !name.is_empty()), number) {
        (Some(name), _) => errno::number(name).ok_or_else(|| format!("{name} is no errno")),
        (None, Some(number)) if number > errno::MAX => {
            Err(format!("{number} is no errno: 0 to {}", errno::MAX))
        }
        (None, number) => Ok(number.unwrap_or(libc::EPERM as u32)),
    };
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno()?),
        "SCMP_ACT_TRACE" => SeccompAction::Trace(errno()?),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_NOTIFY" => {
            return Err("SCMP_ACT_NOTIFY needs the agent of that host, and cannot be simulated".to_string());
        }
        _ => {
            return Err(format!(
                "{name} is no action: SCMP_ACT_ with ALLOW, ERRNO, KILL, KILL_PROCESS, KILL_THREAD, LOG, TRACE or TRAP"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn filter() -> impl Strategy<Value = Value> {
        let capabilities = prop::collection::vec("CAP_SYS_ADMIN|CAP_CHOWN|[A-Z_]{0,5}", 0..2);
        let kernel = prop::option::of("[3-6]\\.[0-9]|x?");
        (capabilities, prop::option::of("amd64|arm64"), kernel)
            .prop_map(|(caps, arch, kernel)| json!({"caps": caps, "arches": arch.map(|a| vec![a]), "minKernel": kernel}))
    }

    fn entry() -> impl Strategy<Value = Value> {
        let action = "SCMP_ACT_(ALLOW|ERRNO|KILL|KILL_PROCESS|LOG|TRACE|TRAP)|[A-Z]{0,3}";
        let compare = "SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)|x?";
        let argument = (0..7u8, any::<u64>(), any::<u64>(), compare).prop_map(
            |(index, value, two, op)| json!({"index": index, "value": value, "valueTwo": two, "op": op}),
        );
        let names = prop::collection::vec("read|write|clone|statx|[a-z]{1,3}", 0..4);
        let arguments = prop::collection::vec(argument, 0..9);
        (names, action, arguments, prop::option::of(0..5000u32), filter(), filter()).prop_map(
            |(names, action, args, errno, includes, excludes)| {
                json!({"names": names, "action": action, "args": args, "errnoRet": errno,
                       "includes": includes, "excludes": excludes})
            },
        )
    }

    proptest! {
        /// Whatever stands in a profile, it is refused or makes filters: no panic, not in seccompiler either.
        #[test]
        fn no_profile_is_too_odd(
            default in "SCMP_ACT_(ALLOW|ERRNO|KILL|LOG|TRAP|NOTIFY)|[A-Z]{0,3}",
            entries in prop::collection::vec(entry(), 0..12),
            cut in 0..4000usize,
        ) {
            let text = json!({"defaultAction": default, "syscalls": entries}).to_string();
            for text in [&text, &text.chars().take(cut).collect::<String>()] {
                for layer in parse(text, "a profile", &[], calls::running()).unwrap_or_default() {
                    let _ = layer.compile();
                }
            }
        }

        /// Nor one that is right, which is refused only where it is too large.
        #[test]
        fn every_right_profile_makes_filters(
            conditions in prop::collection::vec((0..6u8, any::<u64>(), "NE|LT|LE|EQ|GE|GT|MASKED_EQ"), 0..40),
            call in "read|write|clone|statx",
        ) {
            let args: Vec<_> = conditions
                .iter()
                .map(|(index, value, op)| json!({"index": index, "value": value, "op": format!("SCMP_CMP_{op}")}))
                .collect();
            let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"names": [call, "getpid"], "action": "SCMP_ACT_ALLOW", "args": args}]});
            let layers = parse(&profile.to_string(), "", &[], None).unwrap();
            prop_assert_eq!(layers.len(), 1);
            prop_assert!(layers[0].compile().is_ok());
        }
    }
}
