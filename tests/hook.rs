//! `evercall hook` as podman calls it, with runc and crun: who gets the library, and who is left alone.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/node.rs"]
mod node;

use common::{bare, command, shim, succeed, text};
use node::{ASKED, LEGACY, Node, is_translated, node};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const STAGES: [&str; 2] = ["precreate", "createContainer"];
const RUNTIMES: [&str; 2] = ["runc", "crun"];

#[test]
fn an_annotated_container_gets_the_library_and_another_does_not() {
    let node = node!();
    for stage in STAGES {
        for runtime in RUNTIMES {
            node.no_hooks();
            node.hook("evercall", stage, &[]);
            let root = node.root(&format!("{stage}-{runtime}"));
            let without = node.run(runtime, &[], &root, &LEGACY);
            assert!(!is_translated(&without), "{stage} {runtime}");
            assert!(fs::read_dir(root.join("usr/lib")).unwrap().next().is_none(), "{stage} {runtime}");
            assert!(!is_translated(&node.run(
                runtime,
                &["--annotation=org.evercall.inject=false"],
                &root,
                &LEGACY
            )));
            assert_eq!(node.log(), "", "{stage} {runtime}");
            // Twice: the second run finds the mount points of the first.
            for _ in 0..2 {
                let with = node.run(runtime, &[ASKED], &root, &LEGACY);
                assert!(is_translated(&with), "{stage} {runtime}: {}{}", text(&with.stderr), node.log());
            }
            assert_eq!(node.log().matches("has evercall").count(), 2, "{}", node.log());
        }
    }
}

/// What the library logs is in `podman logs`; and a process that `podman exec` starts is reached by the file alone.
#[test]
fn translations_are_in_podman_logs() {
    let node = node!();
    for stage in STAGES {
        node.no_hooks();
        node.hook("evercall", stage, &[]);
        let root = node.root(stage);
        let mut run = node.podman("runc");
        run.args([
            "run",
            "--name",
            stage,
            "--log-driver=k8s-file",
            "--network=none",
            "--env=EVERCALL_LOG=all",
            ASKED,
        ]);
        run.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--rootfs"])
            .arg(&root)
            .args(LEGACY);
        assert!(is_translated(&succeed(&mut run)));
        let logs = succeed(node.podman("runc").args(["logs", stage]));
        let said = text(&logs.stderr) + &text(&logs.stdout);
        assert!(said.contains(" _sysctl: _sysctl(args="), "{stage}: {said}");
        succeed(node.podman("runc").args(["rm", stage]));
    }
}

#[test]
fn the_deny_list_comes_before_all_and_before_the_annotation() {
    let node = node!();
    let root = node.root("root");
    fs::copy(root.join("opt/legacy"), root.join("opt/other")).unwrap();
    for stage in STAGES {
        node.no_hooks();
        node.hook("evercall", stage, &["--all", "--deny", "command=oth*", "--deny", "annotation=tier=db"]);
        let run = |options: &[&str], program: &str| {
            is_translated(&node.run("runc", options, &root, &[program, "release"]))
        };
        assert!(run(&[], "/opt/legacy"), "{stage}: {}", node.log());
        assert!(!run(&[], "/opt/other"), "{stage}");
        assert!(!run(&[ASKED], "/opt/other"), "{stage}");
        assert!(!run(&["--annotation=tier=db"], "/opt/legacy"), "{stage}");
        assert!(run(&["--annotation=tier=web"], "/opt/legacy"), "{stage}");
        assert!(!run(&["--annotation=org.evercall.inject=false"], "/opt/legacy"), "{stage}");
    }
}

#[test]
fn what_the_container_preloads_itself_stays() {
    let node = node!();
    let root = node.root("root");
    node.mark(&root.join("opt/libmark.so"));
    fs::write(root.join("etc/ld.so.preload"), "# ours\n/opt/libmark.so").unwrap();
    node.hook("evercall", "createContainer", &[]);
    let output = node.run("runc", &[ASKED], &root, &LEGACY);
    assert!(is_translated(&output), "{}", node.log());
    assert!(text(&output.stdout).starts_with("mark\n"), "{}", text(&output.stdout));
    assert_eq!(fs::read_to_string(root.join("etc/ld.so.preload")).unwrap(), "# ours\n/opt/libmark.so");

    fs::remove_file(root.join("etc/ld.so.preload")).unwrap();
    node.no_hooks();
    node.hook("evercall", "precreate", &[]);
    let output = node.run("runc", &[ASKED, "--env=LD_PRELOAD=/opt/libmark.so"], &root, &LEGACY);
    assert!(is_translated(&output), "{}", node.log());
    assert!(text(&output.stdout).starts_with("mark\n"), "{}", text(&output.stdout));
}

/// runc makes a root read-only after the hooks, crun before them; either way it is read-only for the program, and so is
/// all that was mounted.
#[test]
fn a_read_only_root_stays_read_only() {
    let node = node!();
    let Ok(base) = debian::root("base", "bullseye") else { skip!("no base root of bullseye") };
    let base = format!("{}:O", base.display());
    let look = "touch /x /usr/lib/evercall/x || grep -o ' /[^ ]*evercall[^ ]* .*\\| /etc/ld.so.preload .*' /proc/self/mountinfo
        echo >>/usr/lib/evercall/libevercall.so; rm -f /usr/lib/evercall/libevercall.so; exec /opt/legacy release";
    let program = format!("--volume={}:/opt/legacy:ro", node.root("root").join("opt/legacy").display());
    for stage in STAGES {
        for runtime in RUNTIMES {
            node.no_hooks();
            node.hook("evercall", stage, &[]);
            let output = node.run(runtime, &[ASKED, "--read-only", &program], &base, &["sh", "-c", look]);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(is_translated(&output), "{stage} {runtime}: {said}{}", node.log());
            for refused in
                ["/x': Read-only", "evercall/x': Read-only", "cannot create /usr/lib/evercall/libevercall.so"]
            {
                assert!(said.contains(refused), "{stage} {runtime}: {said}");
            }
            assert!(
                said.contains(" /usr/lib/evercall/libevercall.so ro,nosuid,nodev,"),
                "{stage} {runtime}: {said}"
            );
            assert!(stage == "precreate" || said.contains(" /etc/ld.so.preload ro,"), "{runtime}: {said}");
        }
    }
}

/// musl reads no /etc/ld.so.preload.
#[test]
fn a_musl_container_gets_it_by_its_environment_alone() {
    let node = node!();
    let root = node.here("musl");
    for folder in ["etc", "opt", "lib", "usr/lib"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let loader = fs::canonicalize("/lib/ld-musl-x86_64.so.1").expect("musl-tools is installed");
    fs::copy(loader, root.join("lib/ld-musl-x86_64.so.1")).unwrap();
    fs::copy(common::program("legacy.musl"), root.join("opt/legacy")).unwrap();
    node.hook("evercall", "precreate", &[]);
    assert!(is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)), "{}", node.log());
    node.no_hooks();
    node.hook("evercall", "createContainer", &[]);
    assert!(!is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)));
    assert!(node.log().contains("its C library, musl, does not read /etc/ld.so.preload"), "{}", node.log());
    node.hook("evercall", "createContainer", &["--strict"]);
    let refused = node.run("runc", &[ASKED], &root, &LEGACY);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("(--strict): its C library, musl"), "{}", text(&refused.stderr));
}

/// 64-bit programs are reached, and 32-bit ones have nothing to complain about.
#[test]
fn thirty_two_bit_programs_beside_say_nothing() {
    let node = node!();
    let library = node.libraries("installed").join("libevercall.so").display().to_string();
    for stage in STAGES {
        for runtime in RUNTIMES {
            node.no_hooks();
            node.hook("evercall", stage, &["--lib", &library]);
            let root = node.root(&format!("{stage}-{runtime}"));
            node.with_32_bit(&root);
            // Twice, as above.
            for _ in 0..2 {
                let output = node.run(runtime, &[ASKED], &root, &LEGACY);
                assert!(is_translated(&output), "{stage} {runtime}: {}", node.log());
                assert_eq!(text(&output.stderr), "", "{stage} {runtime}");
                let output = node.run(runtime, &[ASKED], &root, &["/opt/legacy32", "release"]);
                assert!(!is_translated(&output), "{stage} {runtime}");
                assert_eq!(text(&output.stderr), "", "{stage} {runtime}");
            }
        }
    }
    // Without what they load on the host, precreate does nothing rather than have each of them complain.
    node.no_hooks();
    node.hook("evercall", "precreate", &[]);
    let root = node.root("root");
    node.with_32_bit(&root);
    assert!(!is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)));
    assert!(node.log().contains("it holds 32-bit programs too"), "{}", node.log());
}

/// Where 64-bit programs take `$LIB` for `lib`, as in Debian 6 and Arch, what lies there is theirs.
#[test]
fn lib_is_for_64_bit_programs_where_their_libc_is_there() {
    let node = node!();
    let library = node.libraries("installed").join("libevercall.so").display().to_string();
    for stage in STAGES {
        let root = node.root(stage);
        node.with_32_bit(&root);
        fs::rename(root.join("lib/x86_64-linux-gnu/libc.so.6"), root.join("lib/libc.so.6")).unwrap();
        // Of the bullseye root's loader, which says what it could load.
        for (folder, is_loaded) in [("lib", true), ("lib32", false)] {
            let file = format!("/usr/lib/evercall/{folder}/libevercall.so");
            let ask = ["/lib64/ld-linux-x86-64.so.2", "--list", &file];
            node.no_hooks();
            node.hook("evercall", stage, &["--lib", &library]);
            let output = node.run("runc", &[ASKED], &root, &ask);
            assert_eq!(output.status.success(), is_loaded, "{stage} {folder}: {output:?} {}", node.log());
            assert!(is_loaded || text(&output.stderr).contains("wrong ELF class"), "{stage}: {output:?}");
        }
    }
}

/// The files of `deploy/hooks.d` as they stand, after an installation: podman finds the command in /usr/bin, which finds
/// the library in /usr/lib/evercall, and the log is in /var/log.
#[test]
fn the_hooks_in_deploy_work_as_they_are() {
    let node = node!();
    node.libraries("installed");
    let installed = node.here("installed");
    fs::create_dir_all(installed.join("usr/bin")).unwrap();
    fs::create_dir(installed.join("log")).unwrap();
    fs::copy(command(), installed.join("usr/bin/evercall")).unwrap();
    let log = installed.join("log/evercall-hook.log");
    for hooks in
        [&["evercall.json"][..], &["evercall-precreate.json"], &["evercall.json", "evercall-precreate.json"]]
    {
        node.no_hooks();
        fs::create_dir(node.here("hooks")).unwrap();
        for name in hooks {
            let shipped = common::root().join("deploy/hooks.d").join(name);
            fs::copy(shipped, node.here("hooks").join(name)).unwrap();
        }
        for runtime in RUNTIMES {
            let root = node.root(&format!("{}-{runtime}-{}", hooks[0], hooks.len()));
            node.with_32_bit(&root);
            let run = |options: &[&str], program: &str| {
                let mut podman = node.podman(runtime);
                podman.env("INSTALLED", &installed);
                common::output(node.with_run(&mut podman, options, &root, &[program, "release"]))
            };
            let _ = fs::remove_file(&log);
            assert!(!is_translated(&run(&[], "/opt/legacy")), "{hooks:?} {runtime}");
            assert!(!log.exists(), "{hooks:?} {runtime}");
            let with = run(&[ASKED], "/opt/legacy");
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert!(is_translated(&with), "{hooks:?} {runtime}: {with:?} {said}");
            assert_eq!(said.matches("has evercall").count(), 1, "{hooks:?} {runtime}: {said}");
            let small = run(&[ASKED], "/opt/legacy32");
            assert!(!is_translated(&small) && small.stderr.is_empty(), "{hooks:?} {runtime}: {small:?}");
        }
    }
}

#[test]
fn a_root_without_a_fitting_loader_is_left_as_it_is() {
    let node = node!();
    let root = node.here("static");
    fs::create_dir_all(root.join("opt")).unwrap();
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    fs::copy(common::program("legacy.static"), root.join("opt/legacy")).unwrap();
    for stage in STAGES {
        node.no_hooks();
        node.hook("evercall", stage, &[]);
        assert!(!is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)));
        assert!(node.log().contains("loader for x86-64"), "{}", node.log());
        assert!(fs::read_dir(root.join("usr/lib")).unwrap().next().is_none());
    }
}

/// Settings become /etc/evercall.conf where there is none.
#[test]
fn settings_are_mounted_where_the_image_has_none() {
    let node = node!();
    let conf = node.here("conf");
    fs::write(&conf, "evercall = off\n").unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o644)).unwrap();
    let conf = conf.display().to_string();
    for stage in STAGES {
        node.no_hooks();
        node.hook("evercall", stage, &["--conf", &conf]);
        let root = node.root(stage);
        assert!(!is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)), "{stage}: {}", node.log());
        assert!(node.log().contains("has evercall"), "{}", node.log());
        fs::write(root.join("etc/evercall.conf"), "log = all\n").unwrap();
        let output = node.run("runc", &[ASKED], &root, &LEGACY);
        assert!(
            is_translated(&output) && text(&output.stderr).contains(" _sysctl: "),
            "{stage}: {}",
            node.log()
        );
    }
}

/// Two hook files, or a container that was given it before.
#[test]
fn given_twice_is_given_once() {
    let node = node!();
    let root = node.root("root");
    node.hook("10", "createContainer", &["--verbose"]);
    node.hook("20", "createContainer", &["--verbose"]);
    assert!(is_translated(&node.run("runc", &[ASKED], &root, &LEGACY)));
    assert_eq!(node.log().matches("has evercall").count(), 1, "{}", node.log());
    node.no_hooks();

    let config = serde_json::json!({
        "annotations": { "org.evercall.inject": "true" },
        "process": { "args": ["/opt/legacy"], "env": ["PATH=/bin"], "user": { "uid": 18446744073709551615u64 } },
        "root": { "path": root },
        "mounts": [{ "destination": "/proc" }],
        "x": { "unknown": [1.5, null] },
    });
    let edit = |config: &[u8]| {
        let input = node.here("config.json");
        fs::write(&input, config).unwrap();
        let mut hook = bare(command());
        hook.args(["hook", "--lib"]).arg(shim()).arg("precreate").stdin(fs::File::open(&input).unwrap());
        succeed(&mut hook).stdout
    };
    let once = edit(&serde_json::to_vec(&config).unwrap());
    assert_eq!(edit(&once), once);
    let mut changed: Value = serde_json::from_slice(&once).unwrap();
    assert_eq!(changed["process"]["env"][1], "LD_PRELOAD=/usr/lib/evercall/libevercall.so");
    assert_eq!(changed["mounts"][1]["source"], shim().display().to_string());
    // Nothing else has changed.
    changed["process"]["env"] = config["process"]["env"].clone();
    changed["mounts"] = config["mounts"].clone();
    assert_eq!(changed, config);
}

/// In a user namespace a mount point that the container's root cannot make, or a file that it cannot reach, would keep
/// the container from starting.
#[test]
fn a_user_namespace_never_keeps_a_container_from_starting() {
    let node = node!();
    let mapped = "--uidmap=0:100000:65536";
    // podman's folders and ours have to be reached from there; temporary folders are not.
    fs::set_permissions(node.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for stage in STAGES {
        node.no_hooks();
        // The container's root's own, but for one folder.
        let root = node.root(stage);
        succeed(bare("chown").args(["-R", "100000:100000"]).arg(&root));
        succeed(bare("chown").arg("0:0").arg(root.join("usr/lib")));
        let without = node.run("runc", &[mapped], &root, &LEGACY);
        if !without.status.success() && text(&without.stdout).is_empty() {
            skip!("podman runs no container in a user namespace here: {}", text(&without.stderr));
        }
        node.hook("evercall", stage, &[]);
        assert!(!is_translated(&node.run("runc", &[ASKED, mapped], &root, &LEGACY)), "{stage}");
    }
    // As podman makes it for images: the container's root's own.
    node.no_hooks();
    node.hook("evercall", "precreate", &[]);
    let root = node.root("owned");
    succeed(bare("chown").args(["-R", "100000:100000"]).arg(&root));
    let hidden = node.here("hidden");
    fs::create_dir(&hidden).unwrap();
    let lib = hidden.join("libevercall.so");
    fs::copy(shim(), &lib).unwrap();
    node.hook("evercall", "precreate", &["--lib", lib.to_str().unwrap()]);
    assert!(is_translated(&node.run("runc", &[ASKED, mapped], &root, &LEGACY)), "{}", node.log());
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(!is_translated(&node.run("runc", &[ASKED, mapped], &root, &LEGACY)));
    assert!(node.log().contains("is not searchable by everybody"), "{}", node.log());
}
