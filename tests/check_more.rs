//! `evercall check`: images by platform, limits, what only pointers lead to, and what a host must have.

mod common;

use common::{bare, command, program, text};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

fn check(options: &[&str], target: &Path) -> Output {
    let mut check = bare(command());
    check.arg("check").args(options).arg(target);
    check.output().expect("evercall runs")
}

fn report(target: &Path, options: &[&str]) -> Value {
    let output = check(&[&["--format", "json", "--fail-on", "never"], options].concat(), target);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

fn finding<'r>(report: &'r Value, cause: &str) -> Option<&'r Value> {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["cause"] == cause)
}

/// A C program, compiled.
fn compiled(folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (file, to) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&file, source).unwrap();
    let output = bare("cc").args(["-O1", "-o"]).arg(&to).arg(&file).args(options).output().expect("cc runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    to
}

fn root(programs: &[(&str, &Path)]) -> TempDir {
    let root = TempDir::new().unwrap();
    let libc = ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"];
    let libc = libc.map(|file| (file.to_string(), Path::new("/").join(file)));
    let programs = programs.iter().map(|(name, from)| (format!("bin/{name}"), from.to_path_buf()));
    for (to, from) in libc.into_iter().chain(programs) {
        let to = root.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&from, to).unwrap();
    }
    root
}

#[test]
fn what_only_a_table_points_to_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let never = "#include <unistd.h>\nlong asks(void) { return syscall(136, 0, 0); }\n\
                 long (*table[])(void) = {asks};\n";
    let pointed = compiled(folder.path(), "pointed", &format!("{never}int main(void) {{ return 0; }}"), &[]);
    let called =
        compiled(folder.path(), "called", &format!("{never}int main(void) {{ return asks() != 0; }}"), &[]);
    let host = folder.path().join("host.json");
    fs::write(&host, json!({"version": 1, "syscalls": {"ustat": "ENOSYS"}}).to_string()).unwrap();
    for (program, is_sure, word) in [(pointed, false, "may break"), (called, true, "breaks")] {
        let found = report(&program, &["--host", host.to_str().unwrap()]);
        let one = finding(&found, "call:ustat").unwrap_or_else(|| panic!("{found:#}"));
        assert_eq!(one["only_pointed"], !is_sure, "{one:#}");
        assert_eq!(one["evidence"][0]["reached"], if is_sure { "called" } else { "pointed" });
        assert!(found["verdict"]["summary"].as_str().unwrap().starts_with(word), "{}", found["verdict"]);
        assert_eq!(found["verdict"]["bare"], "breaks");
    }
}

#[test]
fn mongod_is_judged_by_the_kernels_that_are_strict_about_rseq() {
    let folder = TempDir::new().unwrap();
    let source = "#include <unistd.h>\nint main(void) { return syscall(334, 0, 0, 0, 0) != 0; }";
    let mongod = compiled(folder.path(), "mongod", source, &[]);
    let other = compiled(folder.path(), "other", source, &[]);
    for (program, kernel, is_found) in [
        (&mongod, "6.19", true),
        (&mongod, "6.18", false),
        (&mongod, "7.0.14", false),
        (&other, "6.19", false),
    ] {
        let found = report(program, &["--kernel", kernel]);
        assert_eq!(finding(&found, "rseq").is_some(), is_found, "{} on {kernel}", program.display());
    }
}

#[test]
fn a_libc_tells_the_oldest_kernel_that_it_takes() {
    let root = root(&[("legacy", &program("legacy"))]);
    // Debian 12's glibc is built for Linux 3.2.
    let old = report(root.path(), &["--kernel", "3.1"]);
    assert_eq!(finding(&old, "kernel_too_old").expect("it is")["bare"]["verdict"], "breaks");
    assert!(finding(&report(root.path(), &["--kernel", "3.2"]), "kernel_too_old").is_none());
}

#[test]
fn a_program_that_gains_rights_takes_no_preload() {
    let root = root(&[("vsyscall", &program("vsyscall"))]);
    let file = root.path().join("bin/vsyscall");
    let under = || report(root.path(), &["--kernel", "6.12"])["verdict"]["with_evercall"].clone();
    assert_eq!(under(), "translated");
    if chown(&file, Some(1000), Some(1000)).is_err() {
        skip!("not root: the owner of a file cannot be changed");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(under(), "breaks");
}

#[test]
fn shared_memory_needs_a_place() {
    let folder = TempDir::new().unwrap();
    let source = "#include <fcntl.h>\n#include <sys/mman.h>\n\
                  int main(void) { return shm_open(\"/it\", O_RDWR, 0) < 0; }";
    let root = root(&[("shared", &compiled(folder.path(), "shared", source, &[]))]);
    let found = |dev_shm: Value| {
        let host = folder.path().join("host.json");
        let profile =
            json!({"version": 1, "syscalls": {}, "machine": {"ia32": "answers", "dev_shm": dev_shm}});
        fs::write(&host, profile.to_string()).unwrap();
        report(root.path(), &["--host", host.to_str().unwrap()])
    };
    let none = found(Value::Null);
    let one = finding(&none, "dev_shm").expect("it is missing");
    assert_eq!(
        (&one["bare"]["verdict"], &one["with_evercall"]["door"]),
        (&json!("breaks"), &json!("symbol"))
    );
    assert!(finding(&found(json!("tmpfs")), "dev_shm").is_none());
}

/// An OCI layout with a program for amd64, in a layer packed by zstd, and an image for arm64 that holds nothing.
fn layout(folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8], media: &str| {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"mediaType": media, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let mut manifests = Vec::new();
    for (architecture, name) in [("arm64", None), ("amd64", Some("vsyscall.static"))] {
        let mut tar = tar::Builder::new(Vec::new());
        if let Some(name) = name {
            tar.append_path_with_name(program(name), "bin/it").unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let diff: String = Sha256::digest(&tar).iter().map(|byte| format!("{byte:02x}")).collect();
        let packed = zstd::encode_all(tar.as_slice(), 3).unwrap();
        let layer = blob(&packed, "application/vnd.oci.image.layer.v1.tar+zstd");
        let config = json!({"os": "linux", "architecture": architecture, "config": {"Cmd": ["/bin/it"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff}")]}});
        let config = blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
        let mut entry = blob(manifest.as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(entry);
    }
    fs::write(folder.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": manifests}).to_string())
        .unwrap();
}

#[test]
fn a_layout_with_zstd_layers_is_read_by_platform() {
    let folder = TempDir::new().unwrap();
    layout(folder.path());
    let found = report(folder.path(), &["--kernel", "6.12"]);
    assert_eq!(found["target"]["form"], "OCI layout");
    assert_eq!(found["target"]["platform"], "linux/amd64");
    assert_eq!(finding(&found, "vsyscall").expect("it is static")["with_evercall"]["door"], "interpreter");
    assert!(found["notes"].to_string().contains("linux/arm64"), "{}", found["notes"]);
    let arm = report(folder.path(), &["--kernel", "6.12", "--platform", "linux/arm64"]);
    assert_eq!((&arm["target"]["platform"], &arm["counts"]["elf_files"]), (&json!("linux/arm64"), &json!(0)));
    let none = check(&["--kernel", "6.12", "--platform", "linux/s390x"], folder.path());
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("s390x"), "{}", text(&none.stderr));
}

#[test]
fn limits_are_errors_that_name_the_limit() {
    let folder = TempDir::new().unwrap();
    layout(folder.path());
    for (option, value, limit) in
        [("--max-unpacked", "1K", "1024 bytes"), ("--max-entries", "0", "more than 0")]
    {
        let output = check(&["--kernel", "6.12", option, value], folder.path());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option}: {said}");
        assert!(said.contains(limit), "{option}: {said}");
    }
}

#[test]
fn the_exit_code_is_what_was_asked_for() {
    let folder = TempDir::new().unwrap();
    let root = root(&[("python2.7", &program("legacy"))]);
    let host = folder.path().join("host.json");
    let limits = json!({"process": {"NOFILE": {"soft": 1 << 30, "hard": 1 << 30}}});
    fs::write(&host, json!({"version": 1, "syscalls": {}, "limits": limits}).to_string()).unwrap();
    let status =
        |fail: &str| check(&["--host", host.to_str().unwrap(), "--fail-on", fail], root.path()).status.code();
    assert_eq!((status("breaks"), status("degrades"), status("never")), (Some(0), Some(2), Some(0)));
    for name in ["debian-11", "debian-12-podman", "debian-13", "debian-sid-podman"] {
        let found = report(root.path(), &["--host", name]);
        assert!(found["host"]["release"].as_str().is_some_and(|release| !release.is_empty()), "{name}");
    }
}
