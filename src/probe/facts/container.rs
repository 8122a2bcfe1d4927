//! What tells that this is a container, a sandbox, or a kernel that is not Linux's own.

use super::Eyes;
use serde::Serialize;

/// What was found.
#[derive(Serialize)]
pub struct Container {
    /// The best guess: podman, docker, kubernetes, lxc, systemd-nspawn, gvisor, wsl...; null where nothing tells.
    pub kind: Option<String>,
    /// What tells it.
    pub hints: Vec<String>,
}

/// Groups of these names are made by container engines.
const GROUPS: [(&str, &str); 6] = [
    ("kubepods", "kubernetes"),
    ("libpod", "podman"),
    ("docker", "docker"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
    ("machine.slice/systemd-nspawn", "systemd-nspawn"),
];

/// gVisor's kernel tells this of itself whatever its own version is (pkg/sentry/syscalls/linux/linux64.go).
const GVISOR: (&str, &str) = ("4.4.0", "Sun Jan 10 15:06:54 PST 2016");

impl Container {
    /// Looks; the first hint is the best.
    pub fn look(eyes: &Eyes, release: Option<&str>, version: Option<&str>) -> Container {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut add = |kind: &str, hint: String| found.push((kind.to_owned(), hint));
        let (release, version) = (release.unwrap_or_default(), version.unwrap_or_default());
        if release == GVISOR.0 && version.contains(GVISOR.1) {
            add("gvisor", format!("the kernel's version is gVisor's: {release} {version}"));
        }
        if release.to_ascii_lowercase().contains("microsoft") {
            let kind = if release.contains("WSL2") { "wsl2" } else { "wsl" };
            add(kind, format!("the kernel's release: {release}"));
        }
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            add("kubernetes", "KUBERNETES_SERVICE_HOST is set".to_owned());
        }
        for (file, kind) in [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
            if eyes.is_there(file) {
                add(kind, format!("{file} is there"));
            }
        }
        // systemd's convention, which podman, lxc and nspawn follow.
        if let Some(kind) = std::env::var_os("container") {
            let kind = kind.to_string_lossy();
            add(&kind, format!("container={kind} in the environment"));
        }
        let groups = eyes.word("/proc/self/cgroup").unwrap_or_default();
        for (part, kind) in GROUPS {
            if let Some(line) = groups.lines().find(|line| line.contains(part)) {
                add(kind, format!("/proc/self/cgroup: {line}"));
            }
        }
        let kind = found.first().map(|(kind, _)| kind.clone());
        Container { kind, hints: found.into_iter().map(|(_, hint)| hint).collect() }
    }
}
