//! Runtimes that read the limits of a control group, recognised by their files: which of them know cgroup v1 alone.
//! The versions are those by which the shim decides (`shims/src/file_rules/cgroup_view.rs`), and the runtimes' own change logs.

use super::elf::facts::Go;
use memchr::memmem;
use serde::Serialize;
use std::path::Path;

/// A runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// Which.
    pub kind: RuntimeKind,
    /// As it says it: `1.8.0_292`, `12.22.12`, `3.1.32`.
    pub version: String,
    /// What it knows of control groups.
    pub cgroup: Cgroup,
    /// It takes /proc/cgroups without the rows of v1's controllers for a host without control groups, and some of its versions
    /// fail at start (JDK-8349988; kernels built without v1's controllers).
    pub needs_proc_cgroups: bool,
}

/// The runtimes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// A Java virtual machine.
    Java,
    /// Node.js.
    Node,
    /// .NET, .NET Core.
    Dotnet,
    /// Go programs with go.uber.org/automaxprocs.
    Automaxprocs,
    /// Python's joblib or loky.
    Loky,
}

/// What a runtime knows of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cgroup {
    /// It reads no limits.
    None,
    /// v1 alone: on a host with v2 it takes the whole machine for its own.
    V1Only,
    /// Both.
    Both,
}

impl Runtime {
    fn new(kind: RuntimeKind, version: &str, cgroup: Cgroup) -> Runtime {
        Runtime { kind, version: version.to_owned(), cgroup, needs_proc_cgroups: false }
    }
}

/// Whether a file's name says that [`by_file`] wants its content.
pub fn is_wanted(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    matches!(&*name, "release" | "node" | "nodejs" | "libcoreclr.so" | "METADATA")
        || name.ends_with(".runtimeconfig.json")
}

/// Recognises a runtime by one file: its path in the image and its content.
pub fn by_file(path: &Path, content: &[u8]) -> Option<Runtime> {
    let name = path.file_name()?.to_str()?;
    match name {
        "release" => java(content),
        "node" | "nodejs" => node(content),
        "libcoreclr.so" => dotnet_by_folder(path),
        "METADATA" => loky(path),
        _ if name.ends_with(".runtimeconfig.json") => dotnet_by_settings(content),
        _ => None,
    }
}

/// Recognises what a Go program has inside.
pub fn by_go(go: &Go) -> Option<Runtime> {
    let module = go.modules.iter().find(|module| module.path == "go.uber.org/automaxprocs")?;
    let [major, minor, ..] = numbers(module.version.strip_prefix('v')?);
    // uber-go/automaxprocs#44: v2 since 1.5.0.
    let cgroup = if (major, minor) < (1, 5) { Cgroup::V1Only } else { Cgroup::Both };
    Some(Runtime::new(RuntimeKind::Automaxprocs, &module.version, cgroup))
}

/// The first four numbers of a version; 0 for those it does not have.
fn numbers(version: &str) -> [u64; 4] {
    let mut found = [0; 4];
    let parts = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    for (place, part) in found.iter_mut().zip(parts) {
        *place = part.parse().unwrap_or(u64::MAX);
    }
    found
}

/// `JAVA_VERSION="1.8.0_362"`: a Java of before 8u372, 11.0.16 and 15 knows v1 alone (JDK-8230305 and its backports).
fn java(content: &[u8]) -> Option<Runtime> {
    let text = String::from_utf8_lossy(content.get(..content.len().min(1 << 16))?);
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    let version = line.split('"').next()?;
    let all = numbers(version);
    let (feature, update) = match all {
        [1, feature, _, update] => (feature, update),
        [8, _, update, _] => (8, update),
        [feature, _, update, _] => (feature, update),
    };
    if feature == 0 {
        return None;
    }
    let knows_v2 = match feature {
        8 => update >= 372,
        11 => update >= 16,
        feature => feature >= 15,
    };
    let mut runtime =
        Runtime::new(RuntimeKind::Java, version, if knows_v2 { Cgroup::Both } else { Cgroup::V1Only });
    // Fixed in 25, and later updates of others, whose first is not told apart here.
    runtime.needs_proc_cgroups = knows_v2 && feature < 25;
    Some(runtime)
}

/// The address of its own headers, which is in the program: `/node-v8.17.0-headers.tar.gz`.
fn node(content: &[u8]) -> Option<Runtime> {
    const BEFORE: &[u8] = b"/node-v";
    let version = memmem::find_iter(content, BEFORE).find_map(|at| {
        let rest = content.get(at + BEFORE.len()..)?;
        let rest = rest.get(..rest.len().min(48))?;
        let version = rest.get(..memmem::find(rest, b"-headers.tar")?)?;
        std::str::from_utf8(version).ok().filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    })?;
    let [major, minor, ..] = numbers(version);
    // libuv reads v1's limit since 1.29 (12.3), v2's since 1.45 (20.3; nodejs/node#47259).
    let cgroup = match (major, minor) {
        (..12, _) | (12, ..3) => Cgroup::None,
        (..20, _) | (20, ..3) => Cgroup::V1Only,
        _ => Cgroup::Both,
    };
    Some(Runtime::new(RuntimeKind::Node, version, cgroup))
}

fn dotnet(version: &str) -> Runtime {
    // dotnet/runtime#34334: v2 since 5.
    let cgroup = if numbers(version)[0] < 5 { Cgroup::V1Only } else { Cgroup::Both };
    Runtime::new(RuntimeKind::Dotnet, version, cgroup)
}

/// `.../shared/Microsoft.NETCore.App/3.1.32/libcoreclr.so`.
fn dotnet_by_folder(path: &Path) -> Option<Runtime> {
    let folder = path.parent()?;
    let is_shared = folder.parent()?.file_name()? == "Microsoft.NETCore.App";
    let version = folder.file_name()?.to_str()?;
    (is_shared && version.starts_with(|c: char| c.is_ascii_digit())).then(|| dotnet(version))
}

/// A program with its runtime beside it says the version in its settings.
fn dotnet_by_settings(content: &[u8]) -> Option<Runtime> {
    let settings: serde_json::Value =
        serde_json::from_slice(content.get(..content.len().min(1 << 20))?).ok()?;
    let frameworks = settings.get("runtimeOptions")?.get("includedFrameworks")?.as_array()?;
    let own =
        frameworks.iter().find(|one| one.get("name").is_some_and(|name| name == "Microsoft.NETCore.App"))?;
    own.get("version")?.as_str().map(dotnet)
}

/// `.../joblib-1.2.0.dist-info/METADATA`: loky knows v2 since 3.1, joblib has it inside since 1.2 (joblib/loky#355).
fn loky(path: &Path) -> Option<Runtime> {
    let folder = path.parent()?.file_name()?.to_str()?.strip_suffix(".dist-info")?;
    let (name, version) = folder.split_once('-')?;
    let [major, minor, ..] = numbers(version);
    let first = match name {
        "loky" => (3, 1),
        "joblib" => (1, 2),
        _ => return None,
    };
    let cgroup = if (major, minor) < first { Cgroup::V1Only } else { Cgroup::Both };
    Some(Runtime::new(RuntimeKind::Loky, version, cgroup))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::elf::facts::GoModule;

    fn cgroup(path: &str, content: &str) -> Option<Cgroup> {
        by_file(Path::new(path), content.as_bytes()).map(|runtime| runtime.cgroup)
    }

    #[test]
    fn java_is_told_apart_where_v2_came() {
        let java = |version: &str| {
            cgroup("/opt/java/release", &format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n"))
        };
        for old in ["1.8.0_362", "1.8.0", "1.7.0_80", "8.0.292", "11.0.15.1", "11", "9.0.4", "14.0.2"] {
            assert_eq!(java(old), Some(Cgroup::V1Only), "{old}");
        }
        for new in ["1.8.0_372", "11.0.16", "15", "17.0.9", "21"] {
            assert_eq!(java(new), Some(Cgroup::Both), "{new}");
        }
        assert_eq!(cgroup("/etc/release", "NAME=Debian\n"), None);
    }

    #[test]
    fn others_are_told_apart_where_v2_came() {
        let node = |version: &str| {
            cgroup("/usr/bin/node", &format!("\0https://nodejs.org/x/node-v{version}-headers.tar.gz\0"))
        };
        assert_eq!(node("8.17.0"), Some(Cgroup::None));
        assert_eq!(node("18.20.1"), Some(Cgroup::V1Only));
        assert_eq!(node("20.3.0"), Some(Cgroup::Both));
        let dotnet =
            |version: &str| cgroup(&format!("/d/shared/Microsoft.NETCore.App/{version}/libcoreclr.so"), "");
        assert_eq!((dotnet("3.1.32"), dotnet("8.0.1")), (Some(Cgroup::V1Only), Some(Cgroup::Both)));
        assert_eq!(cgroup("/app/libcoreclr.so", ""), None);
        let settings = "{\"runtimeOptions\":{\"includedFrameworks\":[{\"name\":\"Microsoft.NETCore.App\",\"version\":\"3.1.0\"}]}}";
        assert_eq!(cgroup("/app/a.runtimeconfig.json", settings), Some(Cgroup::V1Only));
        assert_eq!(cgroup("/p/loky-3.0.0.dist-info/METADATA", ""), Some(Cgroup::V1Only));
        let go = |version: &str| {
            let module = GoModule { path: "go.uber.org/automaxprocs".into(), version: version.into() };
            by_go(&Go { version: "go1.20".into(), path: None, cgo: None, modules: vec![module] })
                .map(|it| it.cgroup)
        };
        assert_eq!((go("v1.4.0"), go("v1.5.1")), (Some(Cgroup::V1Only), Some(Cgroup::Both)));
    }

    #[test]
    fn odd_contents_are_no_runtime() {
        for path in ["/release", "/node", "/a.runtimeconfig.json", "/METADATA", "/libcoreclr.so"] {
            for content in ["", "JAVA_VERSION=\"", "/node-v", "{\"runtimeOptions\":[]}", "JAVA_VERSION=\"x\""]
            {
                assert_eq!(cgroup(path, content), None, "{path} {content}");
            }
        }
    }
}
