//! `evercall hook` with roots, annotations and documents that are made to mislead it: nothing outside the container is
//! touched, nothing hangs, and the container starts.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/node.rs"]
mod node;

use common::{bare, command, shim, succeed, text};
use node::{ASKED, LEGACY, Node, is_translated, link, listing, node, outside};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn fifo(path: impl AsRef<Path>) {
    succeed(Command::new("mkfifo").arg(path.as_ref()));
}

/// What stands in the place of what the hook uses; and whether the hook has to let it be, by stage.
type Trap = (&'static str, fn(&Path, &Path), bool, bool);

const TRAPS: [Trap; 14] = [
    ("preload-absolute", |root, outside| link(root, "etc/ld.so.preload", outside.join("file")), true, false),
    (
        "preload-upwards",
        |root, outside| {
            link(root, "etc/ld.so.preload", Path::new("../../../../../../..").join(outside.join("new")))
        },
        true,
        false,
    ),
    ("preload-dangling", |root, outside| link(root, "etc/ld.so.preload", outside.join("new")), true, false),
    (
        "preload-magic",
        |root, _| link(root, "etc/ld.so.preload", "/proc/1/root/etc/ld.so.preload"),
        true,
        false,
    ),
    ("preload-fifo", |root, _| fifo(root.join("etc/ld.so.preload")), true, false),
    ("preload-folder", |root, _| fs::create_dir(root.join("etc/ld.so.preload")).unwrap(), true, false),
    (
        "preload-long",
        |root, _| fs::write(root.join("etc/ld.so.preload"), "#".repeat(1 << 20)).unwrap(),
        true,
        false,
    ),
    ("home-loop", |root, _| link(root, "usr/lib/evercall", "evercall"), true, true),
    ("home-outside", |root, outside| link(root, "usr/lib/evercall", outside.join("folder")), true, true),
    (
        "home-upwards",
        |root, outside| {
            link(root, "usr/lib/evercall", Path::new("../../../../../..").join(outside.join("folder")))
        },
        true,
        true,
    ),
    ("home-fifo", |root, _| fifo(root.join("usr/lib/evercall")), true, true),
    ("home-file", |root, _| fs::write(root.join("usr/lib/evercall"), "").unwrap(), true, true),
    ("lib-outside", |root, outside| link(root, "usr/lib", outside.join("folder")), true, true),
    (
        "etc-outside",
        |root, outside| {
            // There within the root too, or podman itself would refuse the container.
            let outside = outside.strip_prefix("/").unwrap().join("folder");
            fs::create_dir_all(root.join(&outside)).unwrap();
            link(root, "etc", Path::new("/../..").join(outside));
        },
        true,
        false,
    ),
];

#[test]
fn a_hostile_root_is_left_as_it_is() {
    let node = node!();
    let outside = outside(&node);
    for (name, set, left_by_create, left_by_precreate) in TRAPS {
        // What podman itself does with such a root is the measure: some it may refuse.
        let root = |name: &str| {
            let root = node.root(name);
            fs::copy(common::program("legacy.static"), root.join("opt/static")).unwrap();
            root
        };
        // A FIFO there lets every dynamic program wait for ever, with evercall and without.
        let command = ["/opt/static", "release"];
        let command = if name == "preload-fifo" { &command } else { &LEGACY };
        let bare = root(&format!("{name}-bare"));
        set(&bare, &outside);
        node.no_hooks();
        let before = listing(&outside);
        let without = node.run("runc", &[], &bare, command);
        assert_eq!(listing(&outside), before, "{name}: podman itself");
        for (stage, is_left) in [("createContainer", left_by_create), ("precreate", left_by_precreate)] {
            let root = root(&format!("{name}-{stage}"));
            set(&root, &outside);
            node.no_hooks();
            node.hook("evercall", stage, &[]);
            let with = node.run("runc", &[ASKED], &root, command);
            assert_eq!(listing(&outside), before, "{name} {stage}");
            assert_eq!(with.status.code().is_some(), without.status.code().is_some(), "{name} {stage}");
            if is_left {
                assert_eq!(
                    text(&with.stdout),
                    text(&without.stdout),
                    "{name} {stage}: {}",
                    text(&with.stderr)
                );
                assert_eq!(text(&with.stderr), text(&without.stderr), "{name} {stage}");
                assert_eq!(node.log().matches("left as it is").count(), 1, "{name} {stage}: {}", node.log());
            } else if name == "preload-fifo" {
                assert!(node.log().contains("has evercall"), "{name} {stage}: {}", node.log());
            } else {
                assert!(is_translated(&with), "{name} {stage}: {}", node.log());
            }
            // Nothing of ours stays behind in what is left.
            if is_left && name != "lib-outside" && !name.starts_with("home") {
                assert!(!root.join("usr/lib/evercall").exists(), "{name} {stage}");
            }
        }
    }
}

/// What a volume holds is not the container's: no mount point is made in it.
#[test]
fn volumes_get_no_mount_points() {
    let node = node!();
    for (at, stages) in [
        ("/usr/lib", &["createContainer", "precreate"][..]),
        ("/usr", &["createContainer", "precreate"]),
        ("/etc", &["createContainer"]),
    ] {
        for stage in stages {
            let root = node.root(&format!("{}-{stage}", &at[1..].replace('/', "-")));
            let volume = node.here(&format!("volume-{}-{stage}", &at[1..].replace('/', "-")));
            fs::create_dir_all(volume.join("lib")).unwrap();
            let before = listing(&volume);
            node.no_hooks();
            let option = format!("--volume={}:{at}", volume.display());
            // podman makes mount points of its own in /etc; what it leaves is the measure.
            node.run("runc", &[&option], &root, &LEGACY);
            let by_podman = listing(&volume);
            node.hook("evercall", stage, &[]);
            let output = node.run("runc", &[ASKED, &option], &root, &LEGACY);
            assert!(!is_translated(&output), "{at} {stage}: {before:?}");
            assert_eq!(listing(&volume), by_podman, "{at} {stage}");
            assert!(node.log().contains("left as it is"), "{at} {stage}: {}", node.log());
        }
    }
}

/// CVE-2025-23266: a hook of this stage may get the container's environment, and with it an LD_PRELOAD that names a
/// library of the container (the working directory is its root). The command is static, and asks no variable.
#[test]
fn the_containers_environment_has_no_power_over_the_hook() {
    let node = node!();
    let headers = succeed(bare("readelf").args(["--program-headers", "--dynamic"]).arg(command()));
    let headers = text(&headers.stdout);
    assert!(!headers.contains("INTERP") && !headers.contains("(NEEDED)"), "{headers}");

    let root = node.root("root");
    let loaded = node.here("loaded");
    let source = node.here("evil.c");
    let text_of = format!(
        "#include <fcntl.h>\n__attribute__((constructor)) static void f(void) {{ open(\"{}\", O_CREAT|O_WRONLY, 0600); }}\n",
        loaded.display()
    );
    fs::write(&source, text_of).unwrap();
    let evil = root.join("evil.so");
    succeed(bare("cc").args(["-shared", "-fPIC", "-o"]).arg(&evil).arg(&source));
    // The library does what it is made for, where a program loads it.
    succeed(bare("true").env("LD_PRELOAD", &evil));
    assert!(loaded.exists());
    fs::remove_file(&loaded).unwrap();

    node.hook("evercall", "createContainer", &[]);
    let environment =
        ["LD_PRELOAD=/proc/self/cwd/evil.so", "EVERCALL_LIB=/proc/self/cwd/evil.so", "RUST_LOG=trace"];
    let options: Vec<String> = environment.iter().map(|entry| format!("--env={entry}")).collect();
    let options: Vec<&str> = [ASKED].into_iter().chain(options.iter().map(String::as_str)).collect();
    let output = node.run("runc", &options, &root, &LEGACY);
    assert!(is_translated(&output), "{}", node.log());
    assert!(!loaded.exists());
    // As a runtime does that hands the environment on.
    let mut hook = bare(command());
    hook.args(["hook", "--all", "precreate"]).current_dir(&root);
    for entry in environment {
        let (name, value) = entry.split_once('=').unwrap();
        hook.env(name, value);
    }
    let output =
        fed(&node, &mut hook, json!({ "root": { "path": root }, "process": {} }).to_string().as_bytes());
    assert!(output.status.success());
    assert!(!text(&output.stdout).contains("evil") && !loaded.exists(), "{}", text(&output.stdout));
}

/// Runs a command with this on standard input.
fn fed(node: &Node, command: &mut Command, input: &[u8]) -> Output {
    let file = node.here("input");
    fs::write(&file, input).unwrap();
    common::output(command.stdin(fs::File::open(file).unwrap()))
}

/// Documents that make no sense are handed on as they are, byte for byte, with one line that says why.
#[test]
fn documents_that_make_no_sense_are_handed_on() {
    let node = node!();
    let root = node.root("root");
    let annotations = json!({ "org.evercall.inject": "true" });
    let asked = |rest: serde_json::Value| {
        let mut config = json!({ "annotations": annotations });
        config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        config.to_string().into_bytes()
    };
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let mut long = b"{\"a\": \"".to_vec();
    long.resize(20 << 20, b'x');
    let process = json!({ "args": ["/opt/legacy"], "env": ["A=b"] });
    let documents = [
        Vec::new(),
        b"not JSON".to_vec(),
        b"{\"annotations\": {\"org.evercall.inject\": \"true\"".to_vec(),
        b"[]".to_vec(),
        deep,
        long,
        b"{\"a\": \"\xff\xfe\"}".to_vec(),
        asked(json!({})),
        asked(json!({ "process": 1, "root": { "path": root } })),
        asked(json!({ "process": { "env": "A=b" }, "root": { "path": root } })),
        asked(json!({ "process": { "env": [1, 2] }, "root": { "path": root } })),
        asked(json!({ "process": process })),
        asked(json!({ "process": process, "root": { "path": "relative" } })),
        asked(json!({ "process": process, "root": { "path": "/nonexistent" } })),
        asked(json!({ "process": process, "root": { "path": "/etc/passwd" } })),
        asked(json!({ "process": process, "root": { "path": root }, "mounts": "none" })),
        asked(json!({ "process": process, "root": { "path": "/" } })),
        asked(json!({ "process": process, "root": { "path": "/proc/self/root" } })),
        asked(json!({ "annotations": { "org.evercall.inject": "perhaps\n" }, "process": process })),
    ];
    for document in documents {
        let shown = text(&document[..document.len().min(300)]);
        let mut hook = bare(command());
        let output = fed(&node, hook.args(["hook", "--lib"]).arg(shim()).arg("precreate"), &document);
        assert!(
            output.stdout == document,
            "{shown}: {}",
            text(&output.stdout[..output.stdout.len().min(300)])
        );
        let said = text(&output.stderr);
        assert!(
            said.starts_with("evercall: warning: ") && said.contains(": left as it is: "),
            "{shown}: {said}"
        );
        assert_eq!((said.lines().count(), output.status.code()), (1, Some(0)), "{shown}: {said}");
        // With --strict the same is an error.
        let mut hook = bare(command());
        let output =
            fed(&node, hook.args(["hook", "--strict", "--lib"]).arg(shim()).arg("precreate"), &document);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(output.stdout.is_empty());
    }
    for state in ["", "{}", "{\"bundle\": 1}", "{\"bundle\": \"/nonexistent\", \"id\": \"a\\nb\"}"] {
        let output = fed(&node, bare(command()).args(["hook", "createContainer"]), state.as_bytes());
        let said = text(&output.stderr);
        assert_eq!((said.lines().count(), output.status.code()), (1, Some(0)), "{state}: {said}");
        assert!(said.contains("left as it is: "), "{state}: {said}");
    }
}
