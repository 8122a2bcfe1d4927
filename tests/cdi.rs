//! `evercall cdi`: what it writes is what deploy/cdi has, is valid, and podman gives a container the library by it.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/node.rs"]
mod node;

use common::{bare, command, root, succeed, text};
use node::{Node, is_translated};
use serde_json::Value;
use std::fs;
use std::process::Output;

const DEVICE: &str = "--device=evercall.dev/shim=legacy";
const PLAIN: &str = "--device=evercall.dev/shim=legacy-plain";

fn cdi(options: &[&str]) -> Output {
    common::output(bare(command()).arg("cdi").args(options))
}

#[test]
fn the_specification_in_deploy_is_what_the_command_writes() {
    let deployed = fs::read_to_string(root().join("deploy/cdi/evercall.json")).unwrap();
    assert_eq!(text(&cdi(&[]).stdout), deployed);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evercall.json");
    assert!(cdi(&["-o", file.to_str().unwrap()]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), deployed);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What version 0.3.0 of the specification has (SPEC.md, schema/schema.json), and nothing that came later.
#[test]
fn every_field_is_one_of_the_specification() {
    let options = ["--conf", "/etc/x", "--env", "EVERCALL_LOG=first", "--env", "A=b=c"];
    let document: Value = serde_json::from_slice(&cdi(&options).stdout).unwrap();
    let only = |value: &Value, keys: &[&str]| {
        let object = value.as_object().unwrap();
        assert!(object.keys().all(|key| keys.contains(&key.as_str())), "{object:?}");
        keys.iter().for_each(|key| assert!(object.contains_key(*key), "{key}"));
    };
    only(&document, &["cdiVersion", "kind", "devices"]);
    assert_eq!(document["kind"], "evercall.dev/shim");
    let devices = document["devices"].as_array().unwrap();
    let due = [
        ("legacy", "/usr/lib/evercall/$LIB/libevercall.so"),
        ("legacy-plain", "/usr/lib/evercall/libevercall.so"),
    ];
    assert_eq!(devices.len(), due.len());
    for (device, (name, preload)) in devices.iter().zip(due) {
        only(device, &["name", "containerEdits"]);
        assert_eq!(device["name"], name);
        only(&device["containerEdits"], &["env", "mounts"]);
        for mount in device["containerEdits"]["mounts"].as_array().unwrap() {
            only(mount, &["hostPath", "containerPath", "options"]);
            assert!(mount["options"].as_array().unwrap().contains(&"ro".into()));
        }
        let env: Vec<&str> =
            device["containerEdits"]["env"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
        assert_eq!(env, [&format!("LD_PRELOAD={preload}"), "EVERCALL_LOG=first", "A=b=c"]);
    }
}

#[test]
fn wrong_options_are_told() {
    for (options, why) in [
        (&["--folder", "relative"][..], "absolute path"),
        (&["--container-folder", "/a b"], "without blanks"),
        (&["--env", "EVERCALL_LOG"], "NAME=VALUE"),
        (&["--env", "LD_PRELOAD=/x"], "made by evercall itself"),
        (&["-o", "/nonexistent/evercall.json"], "/nonexistent/evercall.json cannot be written"),
    ] {
        let output = cdi(options);
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        assert!(text(&output.stderr).contains(why), "{options:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{options:?}");
    }
}

/// Podman reads specifications from /etc/cdi and /run/cdi: here /run is an empty one, in a mount namespace.
#[test]
fn a_container_with_the_device_gets_the_library_and_another_does_not() {
    let node = match Node::new() {
        Ok(node) => node,
        Err(reason) => skip!("{reason}"),
    };
    let specification = node.here("evercall.json");
    let mut write = bare(command());
    write.arg("cdi").arg("--folder").arg(node.libraries("installed")).args(["--env", "EVERCALL_LOG=all"]);
    succeed(write.arg("-o").arg(&specification));
    let root = node.root("root");
    node.with_32_bit(&root);
    node.mark(&root.join("opt/libmark.so"));
    for runtime in ["runc", "crun"] {
        let run = |options: &[&str], program: &str| {
            let mut podman = node.podman(runtime);
            podman.env("CDI", &specification);
            common::output(node.with_run(&mut podman, options, &root, &[program, "release"]))
        };
        for device in [DEVICE, PLAIN] {
            let with = run(&[device], "/opt/legacy");
            assert!(is_translated(&with), "{runtime} {device}: {}", text(&with.stderr));
            assert!(
                text(&with.stderr).contains(" _sysctl: _sysctl(args="),
                "{runtime}: {}",
                text(&with.stderr)
            );
        }
        assert!(!is_translated(&run(&[], "/opt/legacy")), "{runtime}");
        // 32-bit programs have nothing to complain about, but with the plain path.
        let small = run(&[DEVICE], "/opt/legacy32");
        assert!(!is_translated(&small) && small.stderr.is_empty(), "{runtime}: {small:?}");
        let small = run(&[PLAIN], "/opt/legacy32");
        assert!(text(&small.stderr).contains("wrong ELF class"), "{runtime}: {small:?}");
        // As its manual page and how-to say: CDI sets the variable over what it was.
        let over = run(&[DEVICE, "--env=LD_PRELOAD=/opt/libmark.so"], "/opt/legacy");
        assert!(is_translated(&over) && !text(&over.stdout).contains("mark"), "{runtime}");
    }
}
