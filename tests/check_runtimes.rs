//! `evercall check`: language runtimes, and what depends on the host beside its calls. The runtimes are made of the files that tell
//! them (real ones of the cache of `make test-clients`, where they are there).

mod common;

use common::{bare, command, program, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn put(root: &Path, path: &str, from: &Path) {
    let to = root.join(path);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

fn write(root: &Path, path: &str, content: &str) {
    let to = root.join(path);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(to, content).unwrap();
}

/// A root with this machine's C library.
fn root() -> TempDir {
    let root = TempDir::new().unwrap();
    for file in ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"] {
        put(root.path(), file, &Path::new("/").join(file));
    }
    root
}

fn report(target: &Path, options: &[&str]) -> Value {
    let mut check = bare(command());
    check.args(["check", "--format", "json", "--fail-on", "never"]).arg(target).args(options);
    let output = check.output().expect("evercall runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

/// The finding of a cause.
fn finding<'r>(report: &'r Value, cause: &str) -> Option<&'r Value> {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["cause"] == cause)
}

/// A profile of a host.
fn host(folder: &Path, more: &Value) -> String {
    let mut profile = json!({
        "version": 1,
        "syscalls": {},
        "kernel": {"release": "6.1.0-99-amd64"},
        "vsyscall": {"mode": "none", "call": null},
        "machine": {"ia32": "answers", "dev_shm": "tmpfs"},
        "cgroup": {"layout": "v2", "listed": ["cpuset", "cpu", "cpuacct", "memory"]},
        "limits": {"process": {"NOFILE": {"soft": 1024, "hard": 1_048_576}}},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        profile[key] = value.clone();
    }
    let file = folder.join("host.json");
    fs::write(&file, profile.to_string()).unwrap();
    file.display().to_string()
}

/// A Java of a version: its program, its library and what it says of itself.
fn java(version: &str) -> TempDir {
    let root = root();
    put(root.path(), "opt/java/bin/java", &program("legacy"));
    put(root.path(), "opt/java/lib/server/libjvm.so", &program("legacy"));
    write(root.path(), "opt/java/release", &format!("JAVA_VERSION=\"{version}\"\n"));
    root
}

#[test]
fn java_is_judged_by_its_version_and_the_hosts_cgroups() {
    let folder = TempDir::new().unwrap();
    let v2 = host(folder.path(), &Value::Null);
    for (version, is_old) in [
        ("1.8.0_362", true),
        ("1.8.0_372", false),
        ("11.0.9", true),
        ("11.0.16", false),
        ("14.0.2", true),
        ("17.0.9", false),
    ] {
        let found = report(java(version).path(), &["--host", &v2]);
        assert_eq!(finding(&found, "cgroup_v1:Java").is_some(), is_old, "{version}: {found:#}");
        assert!(finding(&found, "cgroup_rows:Java").is_none(), "{version}");
    }
    let found = report(java("11.0.9").path(), &["--host", &v2]);
    let one = finding(&found, "cgroup_v1:Java").unwrap();
    assert_eq!(
        (&one["bare"]["verdict"], &one["with_evercall"]["door"]),
        (&json!("degrades"), &json!("file"))
    );
    let v1 = host(folder.path(), &json!({"cgroup": {"layout": "v1"}}));
    assert!(finding(&report(java("11.0.9").path(), &["--host", &v1]), "cgroup_v1:Java").is_none());
}

#[test]
fn java_that_knows_v2_misses_rows_that_newer_kernels_do_not_list() {
    // Debian's 7.2 lists neither memory nor cpuset.
    for (version, host, is_found) in [
        ("17.0.9", "debian-sid", true),
        ("1.8.0_482", "debian-sid", true),
        ("17.0.9", "debian-13", false),
        ("25", "debian-sid", false),
        ("11.0.40", "debian-sid", false),
    ] {
        let found = report(java(version).path(), &["--host", host]);
        assert_eq!(finding(&found, "cgroup_rows:Java").is_some(), is_found, "{version} on {host}");
    }
    let found = report(java("17.0.9").path(), &["--host", "debian-sid"]);
    let one = finding(&found, "cgroup_rows:Java").unwrap();
    assert_eq!(one["with_evercall"]["rule"], "cgroup_controllers");
}

#[test]
fn other_runtimes_are_judged_by_their_files() {
    let python = |package: &str| {
        let root = root();
        put(root.path(), "usr/bin/python3.9", &program("legacy"));
        write(
            root.path(),
            &format!("usr/lib/python3.9/site-packages/{package}.dist-info/METADATA"),
            "Name: it\n",
        );
        root
    };
    let node = |major: u32, minor: u32| {
        let root = root();
        put(root.path(), "usr/local/bin/node", &program("legacy"));
        let header = format!("#define NODE_MAJOR_VERSION {major}\n#define NODE_MINOR_VERSION {minor}\n");
        write(root.path(), "usr/local/include/node/node_version.h", &header);
        root
    };
    let dotnet = |version: &str| {
        let root = root();
        put(root.path(), "app/libcoreclr.so", &program("libsecond.so"));
        let settings = json!({"runtimeOptions": {"includedFrameworks": [
            {"name": "Microsoft.NETCore.App", "version": version}]}});
        write(root.path(), "app/it.runtimeconfig.json", &settings.to_string());
        root
    };
    for (root, cause, is_found) in [
        (python("joblib-1.1.1"), "cgroup_v1:joblib", true),
        (python("joblib-1.2.0"), "cgroup_v1:joblib", false),
        (python("loky-3.0.0"), "cgroup_v1:loky", true),
        (python("loky-3.1.0"), "cgroup_v1:loky", false),
        (python("dask-2023.8.0"), "cgroup_v1:dask", true),
        (python("dask-2023.8.1"), "cgroup_v1:dask", false),
        (node(10, 0), "cgroup_v1:Node", false),
        (node(12, 22), "cgroup_v1:Node", true),
        (node(20, 3), "cgroup_v1:Node", false),
        (dotnet("3.1.32"), "cgroup_v1:.NET", true),
        (dotnet("5.0.1"), "cgroup_v1:.NET", false),
    ] {
        let found = report(root.path(), &["--host", "debian-13"]);
        assert_eq!(finding(&found, cause).is_some(), is_found, "{cause}: {:#}", found["findings"]);
    }
}

#[test]
fn real_old_clients_are_found_in_their_cache() {
    let cache = Path::new("/var/cache/evercall/clients-1");
    if !cache.exists() {
        skip!("{} is not there: make test-clients fills it", cache.display());
    }
    let found = report(cache, &["--host", "debian-13"]);
    assert!(finding(&found, "cgroup_v1:Java").is_some(), "{:#}", found["findings"]);
}

#[test]
fn shared_memory_and_open_files_are_the_hosts() {
    let folder = TempDir::new().unwrap();
    let root = root();
    put(root.path(), "bin/slapd", &program("legacy"));
    let many =
        host(folder.path(), &json!({"limits": {"process": {"NOFILE": {"soft": 1 << 30, "hard": 1 << 30}}}}));
    let found = report(root.path(), &["--host", &many]);
    let one = finding(&found, "open_files").unwrap();
    assert_eq!(
        (&one["bare"]["verdict"], &one["with_evercall"]["rule"]),
        (&json!("breaks"), &json!("nofile"))
    );
    let few = host(folder.path(), &Value::Null);
    assert!(finding(&report(root.path(), &["--host", &few]), "open_files").is_none());
}
