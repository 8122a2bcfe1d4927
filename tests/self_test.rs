//! `evercall self-test`: images whose programs live under the library pass, as root and as an ordinary user; a library
//! that would break one is refused with the reason, in time, and nothing of it is left behind.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/tree.rs"]
mod tree;

use common::{bare, shim, text};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tree::Tree;

const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

/// Seconds that a program of these tests may run.
const SECONDS: &str = "3";

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// `evercall self-test IMAGE --lib LIBRARY`, with a folder for temporary files that must be empty afterwards.
fn self_test(tree: &Tree, image: &Path, library: &Path) -> Command {
    let mut command = bare(EVERCALL);
    command.args(["-v", "self-test"]).arg(image).arg("--lib").arg(library);
    command.args(["--seconds", SECONDS]).env("TMPDIR", tree.beside("tmp"));
    command
}

/// The same as an ordinary user, by copies that such a one can reach.
fn as_user(tree: &Tree, image: &Path) -> Command {
    let (program, library) = (tree.beside("evercall"), tree.beside("libevercall.so"));
    fs::copy(EVERCALL, &program).unwrap();
    fs::copy(shim(), &library).unwrap();
    let mut command = bare("setpriv");
    command.args(["--reuid=4321", "--regid=4321", "--clear-groups"]).arg(program);
    command.arg("self-test").arg(image).arg("--lib").arg(library).env("TMPDIR", tree.beside("tmp"));
    command
}

/// Runs it to the end, and looks for what it left: processes of its group, temporary files, mounts.
fn run(tree: &Tree, command: &mut Command) -> Output {
    let started = Instant::now();
    let child = command
        .process_group(0)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let group = child.id() as i32;
    let output = child.wait_with_output().unwrap();
    // SAFETY: takes numbers alone; signal 0 only asks.
    let left = unsafe { libc::kill(-group, 0) } == 0;
    assert!(!left, "processes of the group are left: {command:?}");
    assert_eq!(fs::read_dir(tree.beside("tmp")).unwrap().count(), 0, "temporary files are left");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("tmpfs /tmp tmpfs rw,nosuid,nodev,relatime,size=4"), "{mounts}");
    assert!(started.elapsed() < Duration::from_secs(60), "{command:?} took {:?}", started.elapsed());
    output
}

#[track_caller]
fn passes(tree: &Tree, command: &mut Command, holds: &[&str]) {
    let output = run(tree, command);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    for text in holds {
        assert!(stdout.contains(text), "{text:?} is not in {stdout:?}");
    }
}

/// Asserts that the layer is refused as a finding, with a reason that holds all these words.
#[track_caller]
fn fails(tree: &Tree, command: &mut Command, holds: &[&str]) {
    let output = run(tree, command);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{}{stderr}", text(&output.stdout));
    let reason = stderr.lines().next_back().unwrap_or_default();
    for text in holds {
        assert!(reason.contains(text), "{text:?} is not in {reason:?}\n{stderr}");
    }
}

#[test]
fn debian_roots_pass_as_root_and_as_a_user() {
    if !is_root() {
        skip!("only root makes a Debian root");
    }
    for (kind, suite) in [("base", "bullseye"), ("modern", "trixie")] {
        let root = match debian::root(kind, suite) {
            Ok(root) => root,
            Err(why) => skip!("{why}"),
        };
        let tree = Tree::new();
        let passed = ["passed   /bin/sh -c : (x86-64, glibc): exit status 0, the library was loaded\n"];
        passes(&tree, &mut self_test(&tree, &root, &shim()), &passed);
        passes(&tree, self_test(&tree, &root, &shim()).arg("--preload-file"), &passed);
        passes(&tree, &mut as_user(&tree, &root), &passed);
    }
}

#[test]
fn each_libc_of_an_image_is_tested_by_a_program_of_its_own() {
    let tree = Tree::glibc();
    tree.copy("/lib/ld-musl-x86_64.so.1", "lib/ld-musl-x86_64.so.1");
    tree.compile("opt/tool", "int main(void) { return 0; }", &["musl-gcc"]);
    let holds = [
        "passed   /bin/sh -c : (x86-64, glibc): exit status 0, the library was loaded\n",
        "passed   /lib/ld-musl-x86_64.so.1 --list /opt/tool (x86-64, musl): exit status 0, the library was mapped",
    ];
    passes(&tree, &mut self_test(&tree, &tree.root(), &shim()), &holds);
    fs::rename(tree.at("opt/tool"), tree.at("usr/bin/env")).unwrap();
    let holds = ["passed   /usr/bin/env (x86-64, musl): exit status 0, the library was loaded\n"];
    passes(&tree, &mut self_test(&tree, &tree.root(), &shim()), &holds);
    // The entry point of an image without any of the usual programs is asked for its version.
    fs::remove_file(tree.at("bin/sh")).unwrap();
    fs::rename(tree.at("usr/bin/env"), tree.at("srv/bin/serve")).unwrap();
    let config = serde_json::json!({"Entrypoint": ["serve"], "Env": ["PATH=/none:/srv/bin"]});
    let image = tree.docker_archive(&config);
    let holds = ["passed   /srv/bin/serve --version (x86-64, musl): exit status 0, the library was loaded\n"];
    passes(&tree, &mut self_test(&tree, &image, &shim()), &holds);
}

#[test]
fn a_library_that_the_loader_cannot_take_is_refused() {
    let tree = Tree::glibc();
    let undefined =
        "extern void nowhere(void); __attribute__((constructor)) static void f(void) { nowhere(); }";
    let shared = ["cc", "-shared", "-fPIC", "-Wl,-z,now"];
    let library = tree.compile_beside("undefined.so", undefined, &shared);
    fails(
        &tree,
        &mut self_test(&tree, &tree.root(), &library),
        &["the loader says:", "undefined symbol: nowhere"],
    );
    let library = tree.compile_beside("needs.so", "int a;", &["cc", "-shared", "-Wl,--no-as-needed", "-lm"]);
    fails(&tree, &mut self_test(&tree, &tree.root(), &library), &["the loader says:", "libm.so.6"]);
    let library = tree.compile_beside("foreign.so", "int a;", &["cc", "-m32", "-shared", "-nostdlib"]);
    fails(&tree, &mut self_test(&tree, &tree.root(), &library), &["/bin/sh", "glibc", "wrong ELF class"]);
    // Loaded, but not evercall: nothing tells that it acts.
    let library = tree.compile_beside("mute.so", "int a;", &["cc", "-shared", "-nostdlib"]);
    fails(&tree, &mut self_test(&tree, &tree.root(), &library), &["the library was not loaded"]);
    // musl.
    let musl = Tree::new();
    musl.copy("/lib/ld-musl-x86_64.so.1", "lib/ld-musl-x86_64.so.1");
    musl.compile("bin/sh", "int main(void) { return 0; }", &["musl-gcc"]);
    let library = musl.compile_beside("undefined.so", undefined, &["cc", "-shared", "-fPIC", "-nostdlib"]);
    fails(&musl, &mut self_test(&musl, &musl.root(), &library), &["musl", "Error relocating", "nowhere"]);
    passes(&musl, &mut self_test(&musl, &musl.root(), &shim()), &["(x86-64, musl): exit status 0"]);
}

/// Constructors that do harm, and what is said of them.
const HARM: [(&str, &str, &str); 7] = [
    ("aborts", "abort();", "with the layer: killed by SIGABRT; without: exit status 0"),
    ("crashes", "*(volatile int *)8 = 0;", "with the layer: killed by SIGSEGV; without: exit status 0"),
    ("exits", "_exit(41);", "with the layer: exit status 41; without: exit status 0"),
    ("hangs", "for (;;) pause();", "with the layer it did not end in time; without: exit status 0"),
    ("spins", "for (;;) ;", "with the layer"),
    (
        "eats memory",
        "for (;;) { char *p = malloc(1 << 20); if (!p) _exit(42); memset(p, 1, 1 << 20); }",
        "with the layer: exit status 42",
    ),
    // Children of children, in sessions of their own, that ignore signals.
    (
        "forks",
        "signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN); for (;;) if (fork() == 0) setsid();",
        "did not end in time",
    ),
];

#[test]
fn a_library_that_does_harm_is_refused_in_time_and_nothing_is_left() {
    for (name, does, why) in HARM {
        let tree = Tree::glibc();
        // What the processes are called, by which they would be found.
        let mark =
            format!("st{:x}", std::process::id() as usize + tree.root().as_os_str().len() + does.len());
        let source = format!(
            "#include <stdlib.h>\n#include <string.h>\n#include <signal.h>\n#include <unistd.h>\n#include <sys/prctl.h>\n\
             __attribute__((constructor)) static void f(void) {{ prctl(PR_SET_NAME, \"{mark}\"); {does} }}"
        );
        let library = tree.compile_beside("harm.so", &source, &["cc", "-shared", "-fPIC"]);
        fails(&tree, self_test(&tree, &tree.root(), &library).args(["--memory", "256"]), &[why]);
        let left = fs::read_dir("/proc").unwrap().filter(|entry| {
            let comm = entry.as_ref().unwrap().path().join("comm");
            fs::read_to_string(comm).is_ok_and(|comm| comm.trim_end() == mark)
        });
        assert_eq!(left.count(), 0, "{name}");
    }
}

/// An image whose program dies without the library is what the library is for.
#[test]
fn a_program_that_only_lives_with_the_library_passes() {
    let tree = Tree::glibc();
    let source = "#include <stdlib.h>\nint main(void) { if (!getenv(\"LD_PRELOAD\")) *(volatile int *)8 = 0; return 0; }";
    tree.compile("bin/sh", source, &["cc"]);
    let holds = ["exit status 0; without the layer killed by SIGSEGV, the library was loaded"];
    passes(&tree, &mut self_test(&tree, &tree.root(), &shim()), &holds);
    // One that dies either way proves nothing.
    tree.compile("bin/sh", "int main(void) { *(volatile int *)8 = 0; }", &["cc"]);
    fails(
        &tree,
        &mut self_test(&tree, &tree.root(), &shim()),
        &["killed by SIGSEGV with the layer and without"],
    );
    // The next program of the same loader may.
    tree.compile("bin/true", "int main(void) { return 0; }", &["cc"]);
    passes(
        &tree,
        &mut self_test(&tree, &tree.root(), &shim()),
        &["passed   /bin/true (x86-64, glibc): exit status 0,"],
    );
}

#[test]
fn a_32_bit_program_beside_that_the_loader_complains_of_is_found() {
    let tree = Tree::glibc();
    tree.copy("/lib32/ld-linux.so.2", "lib/ld-linux.so.2");
    tree.copy("/lib32/libc.so.6", "lib32/libc.so.6");
    tree.compile("bin/true", "int main(void) { return 0; }", &["cc", "-m32"]);
    let run32 = bare(tree.at("bin/true")).status().is_ok_and(|status| status.success());
    if !run32 {
        skip!("this kernel runs no 32-bit programs");
    }
    let holds = ["/bin/true", "glibc", "wrong ELF class"];
    fails(&tree, &mut self_test(&tree, &tree.root(), &shim()), &holds);
}

#[test]
fn an_image_without_dynamic_programs_is_not_said_to_be_tested() {
    let tree = Tree::new();
    tree.compile("bin/sh", "int main(void) { return 0; }", &["cc", "-static"]);
    fails(&tree, &mut self_test(&tree, &tree.root(), &shim()), &["no dynamically linked x86-64 program"]);
    // A loader that is not there.
    tree.compile("bin/sh", "int main(void) { return 0; }", &["cc"]);
    fails(&tree, &mut self_test(&tree, &tree.root(), &shim()), &["no dynamically linked x86-64 program"]);
}

#[test]
fn static_programs_get_a_copy_that_is_tested_as_well() {
    let tree = Tree::glibc();
    let source = "#include <stdio.h>\n#include \"vsyscall.h\"\nint main(void) { printf(\"now %d\\n\", page_time(0) > 0); return 3; }";
    let include = format!("-I{}", common::root().join("test-programs").display());
    for (name, compiler) in
        [("static", ["cc", "-static"]), ("musl", ["musl-gcc", "-static"]), ("diet", ["diet", "gcc"])]
    {
        tree.compile(&format!("opt/{name}"), source, &[&compiler[..], &[&include, "-mno-red-zone"]].concat());
    }
    // It asks for no vsyscall page: left alone unless it is named.
    tree.compile(
        "opt/modern",
        "void _start(void) { __asm__(\"mov $60,%eax; xor %edi,%edi; syscall\"); }",
        &["cc", "-static", "-nostdlib"],
    );
    for (name, change) in [("setuid", 0o4755), ("setgid", 0o2755)] {
        fs::copy(tree.at("opt/static"), tree.at(&format!("opt/{name}"))).unwrap();
        fs::set_permissions(tree.at(&format!("opt/{name}")), fs::Permissions::from_mode(change)).unwrap();
    }
    let appended = [fs::read(tree.at("opt/static")).unwrap(), vec![b'x'; 4096]].concat();
    fs::write(tree.at("opt/appended"), appended).unwrap();
    fs::set_permissions(tree.at("opt/appended"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(tree.at("opt/static"), tree.at("opt/linked")).unwrap();
    fs::hard_link(tree.at("opt/linked"), tree.at("opt/other-name")).unwrap();
    let image = tree.docker_archive(&serde_json::json!({"Env": ["EVERCALL_VSYSCALL=on"]}));
    let mut command = self_test(&tree, &image, &shim());
    let output = run(&tree, command.arg("--static"));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    for name in ["static", "musl", "diet"] {
        assert!(
            stdout.contains(&format!("static   /opt/{name}: libevercall.so is its interpreter")),
            "{stdout}"
        );
        let passed = format!(
            "passed   /opt/{name} --version (x86-64, static): exit status 3, the library was loaded\n"
        );
        assert!(stdout.contains(&passed), "{stdout}");
    }
    assert_eq!(stderr.matches("now 1\n").count(), 3, "{stderr}");
    for (name, why) in [
        ("setuid", "it is setuid or setgid"),
        ("setgid", "it is setuid or setgid"),
        ("appended", "it has data behind its ELF part"),
        ("linked", "it has a second name"),
    ] {
        assert!(stdout.contains(&format!("static   /opt/{name}: left as it is: {why}")), "{name}: {stdout}");
    }
    assert!(!stdout.contains("/opt/modern"), "{stdout}");
    let holds = [
        "static   /opt/modern: libevercall.so",
        "passed   /opt/modern --version (x86-64, static): exit status 0, the library was loaded",
    ];
    passes(&tree, self_test(&tree, &image, &shim()).arg("--static=/opt/m*"), &holds);
}

#[test]
fn without_namespaces_nothing_runs_and_the_error_says_what_to_do() {
    if !is_root() {
        skip!("needs root");
    }
    let tree = Tree::glibc();
    let test = |map: &[&str]| {
        let mut command = bare("unshare");
        let script = r#"echo 0 > /proc/sys/user/max_user_namespaces && exec "$@""#;
        command.arg("-U").args(map).args(["sh", "-c", script, "sh", EVERCALL, "self-test"]);
        command.arg(tree.root()).arg("--lib").arg(shim()).env("TMPDIR", tree.beside("tmp"));
        command
    };
    // Root of a user namespace with one user: there is nobody to become.
    let output = run(&tree, &mut test(&["-r"]));
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for words in
        ["can make no sandbox here (unshare: ", "nothing of an image is run without one", "--no-self-test"]
    {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    // Root with users to become: the sandbox does without a user namespace.
    let mut command = bare("sh");
    command.args(["-c", tree::WITHOUT_USER_NAMESPACES, "sh"]).arg(tree.beside("fifo"));
    command
        .args([EVERCALL, "self-test"])
        .arg(tree.root())
        .arg("--lib")
        .arg(shim())
        .env("TMPDIR", tree.beside("tmp"));
    passes(&tree, &mut command, &["the library was loaded", "(no user namespace)"]);
}

#[test]
fn an_interrupted_test_leaves_nothing() {
    let tree = Tree::glibc();
    let library = tree.compile_beside(
        "hangs.so",
        "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { write(2, \"here\", 4); for (;;) pause(); }",
        &["cc", "-shared", "-fPIC"],
    );
    let mut command = bare(EVERCALL);
    command.args(["-v", "self-test"]).arg(tree.root()).arg("--lib").arg(&library);
    command.env("TMPDIR", tree.beside("tmp"));
    let mut child = command
        .args(["--seconds", "500"])
        .process_group(0)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let group = child.id() as i32;
    // The second run is the one that hangs.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"]\n") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0, "it ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let started = Instant::now();
    // SAFETY: takes numbers alone; signal 0 only asks.
    while unsafe { libc::kill(-group, 0) } == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "processes outlive the command");
        std::thread::yield_now();
    }
}
