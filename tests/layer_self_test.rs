//! `evercall layer` tests the library on the image before it writes, and gives static programs copies that load it.

mod common;
#[path = "common/layering.rs"]
mod layering;
#[path = "common/podman.rs"]
mod podman;

use common::{bare, program, succeed, text};
use layering::{Bench, files, layer};
use std::path::Path;

const TRUE: &str = "/usr/bin/true";
const BUSYBOX: &str = "/usr/bin/busybox";

/// A library that does harm when it is loaded, by a constructor that does `body`.
fn harmful(bench: &Bench, body: &str) -> std::path::PathBuf {
    let (source, library) = (bench.path("harm.c"), bench.path("harm.so"));
    std::fs::write(&source, format!("__attribute__((constructor)) static void harm(void) {{ {body} }}"))
        .unwrap();
    succeed(bare("cc").args(["-shared", "-fPIC", "-nostdlib", "-o"]).arg(&library).arg(&source));
    library
}

#[test]
fn a_library_that_breaks_the_image_is_never_written() {
    let bench = Bench::new();
    let root = bench.root(&[(Path::new(TRUE), "usr/bin/true")]);
    let image = bench.image(&root);
    let before = files(&image);
    for (body, why) in [("__builtin_trap();", "SIGILL"), ("for (;;) ;", "in time")] {
        let library = harmful(&bench, body);
        let out = bench.path("out");
        let mut layer = layer();
        layer.arg("--lib").arg(&library).arg(&image).arg("-o").arg(&out);
        let refused = layer.output().unwrap();
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("/usr/bin/true") && said.contains(why), "{said}");
        assert!(!out.exists() && before == files(&image));
        // Whoever asks for no test is told that there was none, then and later.
        let untested = succeed(layer.arg("--no-self-test"));
        assert!(text(&untested.stderr).contains("not done"), "{}", text(&untested.stderr));
        let shown = succeed(layering::layer().arg("--show").arg(&out));
        assert!(text(&shown.stdout).contains("not done"), "{}", text(&shown.stdout));
        std::fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn static_programs_get_copies_that_load_the_library() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let bench = Bench::new();
    let vsyscall = program("vsyscall.static");
    let root = bench.root(&[
        (Path::new(TRUE), "usr/bin/true"),
        (Path::new(BUSYBOX), "usr/bin/busybox"),
        (&vsyscall, "usr/bin/vsyscall"),
    ]);
    let image = bench.image(&root);
    let before = files(&image);
    // Without a pattern, those that hold an address of the vsyscall page.
    for (option, copied, left) in
        [("--static", "vsyscall", None), ("--static=/usr/bin/b*", "busybox", Some("vsyscall"))]
    {
        let archive = bench.path(&format!("{copied}.tar"));
        let name = format!("{copied}:1");
        let done = succeed(
            layer().args([option, "--to", "docker", "--tag", &name]).arg(&image).arg("-o").arg(&archive),
        );
        let line =
            |program: &str| format!("static       /usr/bin/{program}: libevercall.so is its interpreter");
        let said = text(&done.stderr);
        assert!(said.contains(&line(copied)), "{said}");
        assert!(left.is_none_or(|left| !said.contains(&line(left))), "{said}");
        let shown = text(&succeed(layer().arg("--show").arg(&archive)).stdout);
        assert!(shown.contains(&format!("/usr/bin/{copied}")), "{shown}");
        if copied == "vsyscall" {
            let on = ["--env=EVERCALL_VSYSCALL=on"];
            let ran = bench.run(&archive, &name, &on, &["/usr/bin/vsyscall", "plain"]);
            assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
        } else {
            // The library lowers the limit that the program sees.
            let limit = ["/usr/bin/busybox", "sh", "-c", "ulimit -n"];
            let ran = bench.run(&archive, &name, &["--env=EVERCALL_NOFILE=512"], &limit);
            assert_eq!(text(&ran.stdout), "512\n", "{}", text(&ran.stderr));
        }
    }
    assert!(before == files(&image), "the source was changed");
}

#[test]
fn a_preload_that_is_there_stays_and_the_log_is_in_podman_logs() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let bench = Bench::new();
    let root = bench.root(&[(Path::new(TRUE), "usr/bin/true"), (&program("legacy"), "usr/bin/legacy")]);
    let own = "/usr/lib/own.so";
    succeed(
        bare("cc")
            .args(["-shared", "-fPIC", "-nostdlib", "-xc", "/dev/null", "-o"])
            .arg(root.join(own.trim_start_matches('/'))),
    );
    let image = bench.image(&root);
    let test = format!("{}:test", image.display());
    let preload = format!("--config.env=LD_PRELOAD={own}");
    succeed(bare("umoci").args(["config", "--image", &test, &preload, "--config.env=EVERCALL_LOG=first"]));
    succeed(bare("umoci").args(["gc", "--layout"]).arg(&image));
    let before = files(&image);
    succeed(layer().arg(&image).arg("-o").arg(bench.path("out")));
    let archive = bench.path("out.tar");
    succeed(layer().args(["--to", "docker", "--tag", "kept:1"]).arg(&image).arg("-o").arg(&archive));

    succeed(bench.podman().args(["load", "-q", "-i"]).arg(&archive));
    let run = ["run", "--name=old", "--network=none", "--log-driver=k8s-file"];
    let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
    let ran = bench.podman().args(run).args(limits).args(["kept:1", "/usr/bin/legacy"]).output().unwrap();
    let logs = bench.podman().args(["logs", "old"]).output().unwrap();
    let logs = text(&logs.stdout) + &text(&logs.stderr);
    assert!(logs.contains("_sysctl: _sysctl("), "{logs}{}", text(&ran.stderr));
    let config = text(
        &succeed(bare("skopeo").args([
            "inspect",
            "--config",
            &format!("docker-archive:{}", archive.display()),
        ]))
        .stdout,
    );
    let preload = config.split('"').find(|part| part.starts_with("LD_PRELOAD=")).unwrap_or_default();
    assert!(preload.contains("libevercall.so") && preload.ends_with(&format!(":{own}")), "{preload}");

    succeed(layer().arg("--remove").arg(bench.path("out")).arg("-o").arg(bench.path("back")));
    assert!(before == files(&bench.path("back")), "the image is not what it was");
}
