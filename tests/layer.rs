//! `evercall layer` with real tools: images made by umoci, written by evercall, taken by skopeo, umoci and podman, and run
//! by podman without any option, where a legacy program lives.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/layering.rs"]
mod layering;
#[path = "common/podman.rs"]
mod podman;

use common::{bare, command, shim, succeed, text};
use layering::{Bench, files, layer};
use std::fs;
use std::path::Path;

/// A Debian image: everything that is not changed is the same, twice the same comes out, and it comes back by --remove.
#[test]
fn a_debian_image_gets_one_layer_and_loses_it_again() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let (root, libc) =
        match debian::root("base", "bullseye").and_then(|b| Ok((b, debian::root("libc", "bullseye")?))) {
            Ok(roots) => roots,
            Err(reason) => skip!("{reason}"),
        };
    let bench = Bench::new();
    let image = bench.image(&root);
    // legacy as a layer of its own.
    let legacy = bench.path("legacy");
    succeed(
        debian::compiler(&libc).arg("-o").arg(&legacy).arg(common::root().join("test-programs/legacy.c")),
    );
    let test = format!("{}:test", image.display());
    succeed(bare("umoci").args(["insert", "--image", &test]).arg(&legacy).arg("/usr/bin/legacy"));
    succeed(bare("umoci").args(["gc", "--layout"]).arg(&image));
    let before = files(&image);

    succeed(layer().args([&image, Path::new("-o"), &bench.path("out")]));
    succeed(layer().args([&image, Path::new("-o"), &bench.path("twice")]));
    let out = files(&bench.path("out"));
    assert!(out == files(&bench.path("twice")), "two runs, two images");
    assert!(before == files(&image), "the source was changed");
    let new: Vec<_> = out.keys().filter(|path| !before.contains_key(*path)).collect();
    let gone: Vec<_> = before.keys().filter(|path| !out.contains_key(*path)).collect();
    assert_eq!((new.len(), gone.len()), (3, 2), "layer, config and manifest: {new:?} {gone:?}");

    // A second time nothing changes.
    let again = succeed(layer().args([&bench.path("out"), Path::new("-o"), &bench.path("again")]));
    assert!(text(&again.stderr).contains("nothing is changed"), "{}", text(&again.stderr));
    assert!(out == files(&bench.path("again")));

    // The way back.
    succeed(layer().arg("--remove").args([&bench.path("out"), Path::new("-o"), &bench.path("back")]));
    assert!(before == files(&bench.path("back")), "the image is not what it was");

    // Others read it.
    let source = format!("oci:{}:test", bench.name("out"));
    let inspected = text(&succeed(bare("skopeo").args(["inspect", &source])).stdout);
    assert!(
        inspected.contains("LD_PRELOAD=/usr/lib/evercall/lib/x86_64-linux-gnu/libevercall.so"),
        "{inspected}"
    );
    assert!(inspected.contains("org.evercall.version"), "{inspected}");
    let archive = bench.path("skopeo.tar");
    succeed(
        bare("skopeo")
            .args(["--insecure-policy", "copy", &source])
            .arg(format!("docker-archive:{}:legacy:a", archive.display())),
    );
    succeed(bare("umoci").args([
        "unpack",
        "--image",
        &format!("{}:test", bench.name("out")),
        &bench.name("bundle"),
    ]));
    let installed = bench.path("bundle/rootfs/usr/lib/evercall/lib/x86_64-linux-gnu/libevercall.so");
    assert!(fs::read(installed).unwrap() == fs::read(shim()).unwrap());

    // And it works, also by way of what skopeo made of it.
    let docker = bench.path("docker.tar");
    succeed(layer().args([&image, Path::new("-o"), &docker]).args([
        "--to",
        "docker",
        "--tag",
        "legacy:fixed",
    ]));
    for (archive, name) in [(&docker, "localhost/legacy:fixed"), (&archive, "docker.io/library/legacy:a")] {
        let run =
            bench.run(archive, name, &["--env=EVERCALL_LOG=all"], &["legacy", "release", "ustat", "sysfs"]);
        let log = text(&run.stderr);
        assert!(run.status.success(), "{}{log}", text(&run.stdout));
        for rule in [" _sysctl: ", " ustat: ", " sysfs: "] {
            assert!(log.contains(rule), "{rule}: {log}");
        }
    }
    // A Docker archive, through a pipe, and back.
    let piped = format!(
        "cat {0} | {1} layer --remove - -o - | {1} layer --show - --format json",
        archive.display(),
        command().display()
    );
    let shown = succeed(bare("sh").args(["-c", &piped]));
    assert!(
        text(&shown.stdout).contains("\"evercall\": null"),
        "{}{}",
        text(&shown.stdout),
        text(&shown.stderr)
    );
}

/// A program that says whether a libevercall.so is mapped into it.
const MAPPED: &str = r#"
#include <stdio.h>
#include <string.h>
int main(void) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "/libevercall.so"))
            return puts("loaded"), 0;
    return puts("not loaded"), 1;
}
"#;

/// Programs of musl take a path as it stands; 32-bit programs beside 64-bit ones find a stub, and nobody complains.
#[test]
fn no_loader_complains_of_another_ones_library() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let bench = Bench::new();
    let source = bench.path("t.c");
    fs::write(&source, MAPPED).unwrap();
    let builds = [("t64", vec!["cc"]), ("t32", vec!["cc", "-m32"]), ("tmusl", vec!["musl-gcc"])];
    for (name, compiler) in &builds {
        succeed(bare(compiler[0]).args(&compiler[1..]).arg("-o").arg(bench.path(name)).arg(&source));
    }
    let (t64, t32, tmusl) = (bench.path("t64"), bench.path("t32"), bench.path("tmusl"));
    let root =
        bench.root(&[(&t64, "usr/bin/t64"), (&t32, "usr/bin/t32"), (Path::new("/bin/dash"), "usr/bin/sh")]);
    fs::copy(&tmusl, root.join("usr/bin/tmusl")).unwrap();
    fs::copy("/lib/ld-musl-x86_64.so.1", root.join("lib/ld-musl-x86_64.so.1")).unwrap();
    fs::write(root.join("etc/ld.so.preload"), "").unwrap();
    let image = bench.image(&root);
    let docker = bench.path("docker.tar");
    let to = ["--to", "docker", "--tag", "mixed:a", "--load", "both", "--force"];
    succeed(layer().args([&image, Path::new("-o"), &docker]).args(to));
    let script = "t64; t32; tmusl; echo $LD_PRELOAD";
    let run = bench.run(&docker, "localhost/mixed:a", &[], &["sh", "-c", script]);
    assert_eq!(text(&run.stderr), "");
    assert_eq!(text(&run.stdout), "loaded\nloaded\nloaded\n/usr/lib/evercall/$LIB/libevercall.so\n");
    let shown = text(&succeed(layer().args(["--show", "--format", "json"]).arg(&docker)).stdout);
    assert!(shown.contains("\"privileged_programs\": \"none\""), "{shown}");
    assert!(shown.contains("\"abi\": \"i386\""), "{shown}");
}

/// Whatever goes wrong, nothing is written, and the source stays.
#[test]
fn a_damaged_image_gives_an_error_and_no_output() {
    let bench = Bench::new();
    let root = bench.root(&[(Path::new("/bin/true"), "usr/bin/true")]);
    let image = bench.image(&root);
    let out = bench.path("out");
    let fails = |arguments: &[&str]| {
        let output = layer().arg(&image).arg("-o").arg(&out).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(!out.exists(), "half an image");
        let left = fs::read_dir(bench.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with('.')), "something is left");
        text(&output.stderr)
    };
    assert!(fails(&["--platform", "linux/s390x"]).contains("linux/s390x"));
    let full = layer().arg(&image).args(["-o", "/dev/full", "--to", "docker"]).output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", text(&full.stderr));
    // The largest blob is the layer.
    let blobs = image.join("blobs/sha256");
    let largest = fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len());
    let largest = largest.unwrap();
    let name = largest.file_name().unwrap().to_string_lossy().into_owned();
    let right = fs::read(&largest).unwrap();
    let mut wrong = right.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    fs::write(&largest, &wrong).unwrap();
    assert!(fails(&[]).contains(&name));
    fs::write(&largest, &right[..middle]).unwrap();
    assert!(fails(&[]).contains(&name));
    fs::remove_file(&largest).unwrap();
    let said = fails(&["--to", "oci-archive"]);
    assert!(said.contains(&name) && said.contains("missing"), "{said}");
    fs::write(&largest, &right).unwrap();
    succeed(layer().arg(&image).arg("-o").arg(&out));
}
