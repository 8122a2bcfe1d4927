//! `evercall check`: verdicts about files, roots and images.

mod common;

use common::{bare, command, program, text};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// `evercall check` with options.
fn check(options: &[&str]) -> Output {
    let mut check = bare(command());
    check.arg("check").args(options);
    check.output().expect("evercall runs")
}

/// Its report about a target, which must be there.
fn report(target: &Path, options: &[&str]) -> Value {
    let target = target.to_str().expect("a path in UTF-8");
    let all = [&["--format", "json", "--fail-on", "never", target], options].concat();
    let output = check(&all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

fn verdicts(report: &Value) -> (&str, &str) {
    let of = |name: &str| report["verdict"][name].as_str().unwrap_or_default();
    (of("bare"), of("with_evercall"))
}

fn causes(report: &Value) -> Vec<String> {
    let mut causes: Vec<String> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| finding["cause"].as_str().unwrap_or_default().to_string())
        .collect();
    causes.sort();
    causes
}

/// A profile of a host that answers as given, and is as Debian's else.
fn host(folder: &TempDir, answers: &[(&str, &str)], more: &Value) -> String {
    let syscalls: serde_json::Map<String, Value> =
        answers.iter().map(|(call, answer)| (call.to_string(), Value::from(*answer))).collect();
    let mut profile = serde_json::json!({
        "version": 1,
        "syscalls": syscalls,
        "kernel": {"release": "6.1.0-99-amd64"},
        "vsyscall": {"mode": "none", "call": null},
        "machine": {"ia32": "answers", "dev_shm": "tmpfs"},
        "cgroup": {"layout": "v2"},
        "limits": {"process": {"NOFILE": {"soft": 1024, "hard": 1_048_576}}},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        profile[key] = value.clone();
    }
    let file = folder.path().join("host.json");
    fs::write(&file, profile.to_string()).unwrap();
    file.display().to_string()
}

/// A root with this machine's C library, its loader, and programs in /bin.
fn small_root(programs: &[(&str, &Path)]) -> TempDir {
    let root = TempDir::new().unwrap();
    let put = |from: &Path, to: &str| {
        let to = root.path().join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    put(Path::new("/lib/x86_64-linux-gnu/libc.so.6"), "/lib/x86_64-linux-gnu/libc.so.6");
    put(Path::new("/lib64/ld-linux-x86-64.so.2"), "/lib64/ld-linux-x86-64.so.2");
    for (name, from) in programs {
        put(from, &format!("/bin/{name}"));
    }
    root
}

#[test]
fn the_exit_code_tells_findings_from_errors() {
    let vsyscall = program("vsyscall");
    let vsyscall = vsyscall.to_str().unwrap();
    let status = |options: &[&str]| check(options).status.code();
    assert_eq!(status(&[vsyscall, "--kernel", "4.9"]), Some(0));
    assert_eq!(status(&[vsyscall, "--kernel", "6.12"]), Some(2));
    assert_eq!(status(&[vsyscall, "--kernel", "6.12", "--fail-on", "never"]), Some(0));
    assert_eq!(status(&[vsyscall, "--kernel", "6.12", "--with-evercall"]), Some(0));
    assert_eq!(status(&[vsyscall, "--kernel", "6.12", "--bare"]), Some(2));
    assert_eq!(status(&["/nowhere/at/all"]), Some(1));
    assert_eq!(status(&[vsyscall, "--kernel", "six"]), Some(1));
    assert_eq!(status(&[vsyscall, "--host", "no-such-host"]), Some(1));
    assert_eq!(status(&[vsyscall, "--max-file", "1K"]), Some(1));
}

#[test]
fn the_vsyscall_page_is_a_matter_of_the_host() {
    for (name, door) in [("vsyscall", "vsyscall"), ("vsyscall.static", "interpreter")] {
        let gone = report(&program(name), &["--kernel", "6.12"]);
        assert_eq!(verdicts(&gone), ("breaks", "translated"), "{name}");
        let finding = &gone["findings"][0];
        assert_eq!(finding["cause"], "vsyscall", "{name}");
        assert_eq!(finding["bare"]["outcome"], "exit 139 (SIGSEGV)", "{name}");
        assert_eq!(finding["with_evercall"]["rule"], "vsyscall", "{name}");
        assert_eq!(finding["with_evercall"]["door"], door, "{name}");
        assert_eq!(verdicts(&report(&program(name), &["--kernel", "4.9"])).0, "works", "{name}");
    }
}

#[test]
fn a_call_is_held_against_the_host_by_the_way_it_is_made() {
    let folder = TempDir::new().unwrap();
    let gone = host(&folder, &[("ustat", "ENOSYS"), ("sysfs", "ENOSYS")], &Value::Null);
    let by_symbol = report(&program("legacy"), &["--host", &gone]);
    assert_eq!(verdicts(&by_symbol), ("breaks", "translated"));
    let doors: Vec<&str> = by_symbol["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["cause"] == "call:ustat" || finding["cause"] == "call:sysfs")
        .map(|finding| finding["with_evercall"]["door"].as_str().unwrap())
        .collect();
    assert_eq!(doors.len(), 2, "{by_symbol:#}");
    assert!(doors.iter().all(|door| ["symbol", "syscall"].contains(door)), "{doors:?}");

    let inside = report(&program("legacy.static"), &["--host", &gone]);
    assert_eq!(verdicts(&inside), ("breaks", "translated"));
    let finding = &inside["findings"][0];
    assert_eq!(finding["with_evercall"]["door"], "trap", "{finding:#}");
    assert_eq!(finding["with_evercall"]["needs"], "evercall run --trap");
    // The numbers of i386 are other ones, and evercall does not reach them.
    let foreign = report(&program("legacy.i386"), &["--host", &gone]);
    assert_eq!(verdicts(&foreign).1, verdicts(&foreign).0);

    let killed = host(&folder, &[("ustat", "killed")], &Value::Null);
    assert_eq!(verdicts(&report(&program("legacy"), &["--host", &killed])), ("breaks", "breaks"));
}

#[test]
fn what_a_libc_only_holds_is_no_finding() {
    let root = small_root(&[("true", Path::new("/bin/true"))]);
    let folder = TempDir::new().unwrap();
    // Any glibc holds wrappers of these; true calls none of them.
    let gone = host(
        &folder,
        &[("epoll_create", "ENOSYS"), ("inotify_init", "ENOSYS"), ("eventfd2", "ENOSYS")],
        &Value::Null,
    );
    let quiet = report(root.path(), &["--host", &gone]);
    assert_eq!(verdicts(&quiet), ("works", "works"), "{:#}", quiet["findings"]);
    assert!(quiet["present"].as_array().unwrap().is_empty());
    let present = report(root.path(), &["--host", &gone, "--present"]);
    let names: Vec<&str> =
        present["present"].as_array().unwrap().iter().map(|one| one["call"].as_str().unwrap()).collect();
    assert!(names.contains(&"epoll_create") && names.contains(&"eventfd2"), "{names:?}");
}

#[test]
fn a_filter_that_says_eperm_is_repaired_where_callers_know_enosys() {
    let root = small_root(&[("threads", &program("in_threads"))]);
    let folder = TempDir::new().unwrap();
    let filtered = |errno| host(&folder, &[("clone3", errno)], &serde_json::json!({"seccomp": {"mode": 2}}));
    let refused = report(root.path(), &["--host", &filtered("EPERM")]);
    let findings = refused["findings"].as_array().unwrap();
    let finding =
        findings.iter().find(|finding| finding["cause"] == "call:clone3").expect("clone3 is refused");
    assert_eq!(finding["bare"]["verdict"], "breaks");
    assert_eq!(finding["with_evercall"]["verdict"], "translated");
    assert_eq!(finding["with_evercall"]["door"], "repair_filter");
    assert_eq!(finding["with_evercall"]["needs"], "EVERCALL_FILTER=on");
    let absent = report(root.path(), &["--host", &filtered("ENOSYS")]);
    assert!(!causes(&absent).contains(&"call:clone3".to_string()), "the libc goes on with clone");
}

#[test]
fn programs_that_do_not_start_are_told_by_why() {
    let root = small_root(&[("i386", &program("legacy.i386")), ("musl", &program("legacy.musl"))]);
    fs::write(root.path().join("bin/script"), "#!/opt/none/tool\n").unwrap();
    fs::set_permissions(root.path().join("bin/script"), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = TempDir::new().unwrap();
    let without = host(&folder, &[], &serde_json::json!({"machine": {"ia32": "faults", "dev_shm": "tmpfs"}}));
    let found = report(root.path(), &["--host", &without]);
    let causes = causes(&found);
    for cause in ["ia32", "interpreter:/lib/ld-musl-x86_64.so.1", "interpreter:/opt/none/tool"] {
        assert!(causes.iter().any(|known| known == cause), "{cause}: {causes:?}");
    }
    let everywhere = |cause: &str| {
        let all = found["findings"].as_array().unwrap();
        all.iter().find(|finding| finding["cause"] == cause).unwrap()["everywhere"].as_bool()
    };
    // The image's own faults do not count as the host's.
    assert_eq!((everywhere("ia32"), everywhere("interpreter:/opt/none/tool")), (Some(false), Some(true)));
    let old = report(root.path(), &["--kernel", "2.6.32"]);
    assert!(!self::causes(&old).contains(&"ia32".to_string()));
}

#[test]
fn damaged_files_are_told_and_the_others_are_checked() {
    let root = small_root(&[("good", &program("vsyscall"))]);
    let whole = fs::read(program("vsyscall")).unwrap();
    for (name, content) in [
        ("cut", &whole[..100]),
        ("empty", &whole[..0]),
        ("head", &whole[..4]),
        ("half", &whole[..whole.len() / 2]),
    ] {
        fs::write(root.path().join("bin").join(name), content).unwrap();
        fs::set_permissions(root.path().join("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::symlink("/bin/loop", root.path().join("bin/loop")).unwrap();
    let found = report(root.path(), &["--kernel", "6.12"]);
    let passed: Vec<&str> =
        found["passed_over"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert!(passed.contains(&"/bin/cut") && passed.contains(&"/bin/head"), "{passed:?}");
    assert!(causes(&found).contains(&"vsyscall".to_string()));
    let limited = report(root.path(), &["--kernel", "6.12", "--max-file", "2K"]);
    let passed = limited["passed_over"].as_array().unwrap();
    let good = passed.iter().find(|one| one["path"] == "/bin/good").expect("it is above the limit");
    assert!(good["why"].as_str().unwrap().contains("--max-file"), "{good}");
}

#[test]
fn damaged_archives_are_errors_that_name_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("image.tar");
    let whole = image(&folder, &small_root(&[("vsyscall", &program("vsyscall"))]), "oci-archive");
    let Some(whole) = whole else { skip!("no podman here") };
    let whole = fs::read(whole).unwrap();
    for cut in [0, 1, 511, 512, 1000, whole.len() / 3, whole.len() / 2] {
        fs::write(&file, &whole[..cut]).unwrap();
        let output = check(&[file.to_str().unwrap(), "--kernel", "6.12"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "cut at {cut}: {said}");
        assert!(said.starts_with("evercall: ") && said.contains("image.tar"), "cut at {cut}: {said}");
    }
    let mut wrong = whole.clone();
    // Within a layer: its digest is not what it must be.
    let at = wrong.len() / 2;
    wrong[at] ^= 0x55;
    fs::write(&file, &wrong).unwrap();
    let output = check(&[file.to_str().unwrap(), "--kernel", "6.12"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

/// podman with storage of its own.
fn podman(folder: &TempDir) -> Command {
    let mut podman = bare("podman");
    let here = |name: &str| folder.path().join(name).display().to_string();
    podman
        .args(["--root", &here("storage"), "--runroot", &here("run"), "--storage-driver=vfs"])
        .args(["--events-backend=none"])
        .env("TMPDIR", folder.path());
    podman
}

/// A root as an image of one layer, saved in a format. None without podman.
fn image(folder: &TempDir, root: &TempDir, format: &str) -> Option<std::path::PathBuf> {
    image_of(folder, "FROM scratch\nCOPY . /\nCMD [\"/bin/vsyscall\"]\n", root.path(), format)
}

fn image_of(
    folder: &TempDir,
    containerfile: &str,
    context: &Path,
    format: &str,
) -> Option<std::path::PathBuf> {
    let file = folder.path().join("Containerfile");
    fs::write(&file, containerfile).unwrap();
    let built = podman(folder)
        .args(["build", "--isolation=chroot", "--layers", "-q", "-t", "localhost/it", "-f"])
        .arg(&file)
        .arg(context)
        .output();
    let built = built.ok()?;
    assert!(built.status.success(), "{}", text(&built.stderr));
    let saved = folder.path().join(format!("{format}.tar"));
    let output = podman(folder)
        .args(["save", "-q", &format!("--format={format}"), "-o"])
        .arg(&saved)
        .arg("localhost/it")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(saved)
}

/// What is said of a root, without the names of what was looked at.
fn comparable(report: &Value) -> Value {
    let files: Vec<Value> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            serde_json::json!([file["path"], file["kind"], file["bare"], file["with_evercall"], file["libc"]])
        })
        .collect();
    let findings: Vec<Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            serde_json::json!([
                one["cause"],
                one["bare"],
                one["with_evercall"],
                one["programs"],
                one["evidence"]
            ])
        })
        .collect();
    serde_json::json!({"files": files, "findings": findings})
}

#[test]
fn a_saved_image_of_several_layers_is_as_its_root() {
    let folder = TempDir::new().unwrap();
    let root = small_root(&[
        ("vsyscall", &program("vsyscall")),
        ("static", &program("vsyscall.static")),
        ("legacy", &program("legacy")),
        ("gone", &program("vsyscall")),
        ("busybox", Path::new("/usr/bin/busybox")),
    ]);
    // Layers that remove, replace and link.
    let containerfile = "FROM scratch\nCOPY . /\n\
        RUN [\"/bin/busybox\", \"rm\", \"/bin/gone\"]\n\
        RUN [\"/bin/busybox\", \"cp\", \"/bin/legacy\", \"/bin/static\"]\n\
        RUN [\"/bin/busybox\", \"ln\", \"/bin/vsyscall\", \"/bin/linked\"]\n\
        RUN [\"/bin/busybox\", \"ln\", \"-s\", \"vsyscall\", \"/bin/symlinked\"]\n\
        CMD [\"/bin/symlinked\", \"-x\"]\n";
    let Some(docker) = image_of(&folder, containerfile, root.path(), "docker-archive") else {
        skip!("no podman here")
    };
    let oci = folder.path().join("oci.tar");
    let saved = podman(&folder)
        .args(["save", "-q", "--format=oci-archive", "-o"])
        .arg(&oci)
        .arg("localhost/it")
        .status();
    assert!(saved.unwrap().success());
    // The same by hand.
    let bin = root.path().join("bin");
    fs::remove_file(bin.join("gone")).unwrap();
    fs::copy(bin.join("legacy"), bin.join("static")).unwrap();
    fs::hard_link(bin.join("vsyscall"), bin.join("linked")).unwrap();
    std::os::unix::fs::symlink("vsyscall", bin.join("symlinked")).unwrap();

    let due = report(root.path(), &["--kernel", "6.12"]);
    assert!(causes(&due).contains(&"vsyscall".to_string()));
    for archive in [&docker, &oci] {
        let found = report(archive, &["--kernel", "6.12"]);
        assert_eq!(comparable(&found), comparable(&due), "{}", archive.display());
        assert!(found["target"]["layers"].as_u64().unwrap() >= 4, "{:#}", found["target"]);
        assert_eq!(found["verdict"]["start"]["command"], "/bin/symlinked -x");
        assert_eq!(found["verdict"]["start"]["bare"]["verdict"], "breaks");
    }
    // By standard input, and compressed as a whole.
    let mut gzip = Command::new("gzip");
    let packed = gzip.arg("-1c").arg(&oci).output().unwrap().stdout;
    let file = folder.path().join("oci.tar.gz");
    fs::write(&file, packed).unwrap();
    let mut by_pipe = bare(command());
    by_pipe.args(["check", "-", "--kernel", "6.12", "--format", "json", "--fail-on", "never"]);
    by_pipe.stdin(fs::File::open(&file).unwrap());
    let output = by_pipe.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparable(&found), comparable(&due));
}
