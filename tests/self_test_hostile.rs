//! `evercall self-test` of hostile images: what their programs try, and what their names say, changes nothing outside of
//! the sandbox.

mod common;
#[path = "common/tree.rs"]
mod tree;

use common::{bare, shim, text};
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tree::Tree;

const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

/// Tries what a hostile program would, and prints what came of it.
const ATTACK: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define TRY(what, call) do { errno = 0; long r = (call); printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "done"); } while (0)

int main(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned header[2] = {0x20080522, 0}, caps[6] = {0};
    int fd, i, open_files = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Never outside of a sandbox. */
    if (getpid() > 30 || getppid() != 1) { printf("not in a sandbox\n"); return 1; }
    printf("uid %d %d gid %d %d\n", getuid(), geteuid(), getgid(), getegid());
    syscall(SYS_capget, header, caps);
    printf("capabilities %x %x %x\n", caps[0] | caps[3], caps[1] | caps[4], caps[2] | caps[5]);
    printf("bounding %d no_new_privs %d\n", prctl(PR_CAPBSET_READ, 21), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    for (i = 3; i < 65536; i++)
        open_files += fcntl(i, F_GETFD) >= 0;
    printf("descriptors %d\n", open_files);
    printf("input %ld\n", (long)read(0, caps, 4));
    TRY("become root", setuid(0));
    TRY("write the root", open("/written", O_CREAT | O_WRONLY, 0600));
    TRY("write beside", open(OUTSIDE "/written", O_CREAT | O_WRONLY, 0600));
    TRY("write above", open("../../../../../../../../.." OUTSIDE "/written", O_CREAT | O_WRONLY, 0600));
    TRY("read the password file", open("/etc/shadow", O_RDONLY));
    TRY("change itself", open("/bin/sh", O_WRONLY));
    TRY("unlink itself", unlink("/bin/sh"));
    TRY("remount", mount("", "/", "", MS_REMOUNT, ""));
    TRY("mount proc", mount("proc", "/bin", "proc", 0, ""));
    TRY("mount tmpfs", mount("tmpfs", "/bin", "tmpfs", 0, ""));
    TRY("unmount", umount2("/", MNT_DETACH));
    TRY("user namespace", unshare(CLONE_NEWUSER));
    TRY("user namespace by clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    TRY("clone3", syscall(SYS_clone3, 0, 0));
    TRY("chroot", chroot("/bin"));
    TRY("device", mknod("/bin/device", S_IFBLK | 0666, makedev(254, 0)));
    TRY("proc", open("/proc/1/root", O_RDONLY));
    TRY("ptrace", ptrace(PTRACE_ATTACH, 1, 0, 0));
    TRY("internet", socket(AF_INET, SOCK_STREAM, 0));
    TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    TRY("vsock", socket(40, SOCK_STREAM, 0));
    TRY("crypto", socket(38, SOCK_SEQPACKET, 0));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(un.sun_path + 1, NAME, strlen(NAME));
    TRY("abstract socket", connect(fd, (void *)&un, sizeof(sa_family_t) + 1 + strlen(NAME)));
    strcpy(un.sun_path, OUTSIDE "/socket");
    TRY("socket of a path", connect(fd, (void *)&un, sizeof un));
    TRY("shared memory", shmget(1, 1 << 30, IPC_CREAT | 0666));
    TRY("keys", syscall(SYS_add_key, "user", "a", "b", 1, -2));
    TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
    TRY("io_uring", syscall(SYS_io_uring_setup, 1, 0));
    TRY("raise limits", setrlimit(RLIMIT_NPROC, &limit));
    TRY("host name", sethostname("x", 1));
    TRY("kill a process outside", kill(VICTIM, SIGUSR1));
    TRY("kill the first process", kill(1, SIGKILL));
    TRY("stop the first process", kill(1, SIGSTOP));
    TRY("kill all", kill(-1, SIGCONT));
    printf("still here\n");
    return 0;
}
"#;

/// A process that must survive the test, and not outlive it.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(tree: &Tree, command: &mut Command) -> Output {
    let output = command.args(["--seconds", "5"]).env("TMPDIR", tree.beside("tmp")).output().unwrap();
    assert_eq!(fs::read_dir(tree.beside("tmp")).unwrap().count(), 0, "temporary files are left");
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
    output
}

fn self_test(image: &Path) -> Command {
    let mut command = bare(EVERCALL);
    command.args(["-v", "self-test"]).arg(image).arg("--lib").arg(shim());
    command
}

#[test]
fn what_a_program_tries_changes_nothing_outside() {
    let tree = Tree::glibc();
    fs::create_dir(tree.beside("outside")).unwrap();
    // As open as can be: only the sandbox is in the way.
    let all = |path: &Path| {
        fs::set_permissions(path, <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777))
            .unwrap();
    };
    let outside = tree.beside("outside");
    all(&outside);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("evercall-test-{}", std::process::id());
    let unix = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let of_path = UnixListener::bind(outside.join("socket")).unwrap();
    all(&outside.join("socket"));
    tcp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    of_path.set_nonblocking(true).unwrap();
    let mut victim =
        Victim(bare("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let define = |name: &str, value: String| format!("-D{name}={value}");
    let options = [
        define("PORT", tcp.local_addr().unwrap().port().to_string()),
        define("OUTSIDE", format!("\"{}\"", outside.display())),
        define("NAME", format!("\"{name}\"")),
        define("VICTIM", victim.0.id().to_string()),
    ];
    let options: Vec<&str> = ["cc"].into_iter().chain(options.iter().map(String::as_str)).collect();
    tree.compile("bin/sh", ATTACK, &options);
    // A setuid bit of the image gives nothing.
    fs::set_permissions(
        tree.at("bin/sh"),
        <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o6755),
    )
    .unwrap();
    let mut tests = vec![self_test(&tree.root())];
    if is_root() {
        // Without a user namespace of its own.
        let mut command = bare("sh");
        command.args(["-c", tree::WITHOUT_USER_NAMESPACES, "sh"]).arg(tree.beside("fifo"));
        command.args([EVERCALL, "-v", "self-test"]).arg(tree.root()).arg("--lib").arg(shim());
        tests.push(command);
    }
    for test in &mut tests {
        let output = run(&tree, test);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}{said}", text(&output.stdout));
        for line in [
            "uid 65534 65534 gid 65534 65534",
            "capabilities 0 0 0",
            "bounding 0 no_new_privs 1",
            "descriptors 0",
            "input 0",
            "become root: E",
            "write the root: EROFS",
            "write beside: E",
            "write above: E",
            "read the password file: ENOENT",
            "change itself: E",
            "unlink itself: EROFS",
            "remount: EPERM",
            "mount proc: EPERM",
            "mount tmpfs: EPERM",
            "unmount: EPERM",
            "user namespace: EPERM",
            "user namespace by clone: EPERM",
            "clone3: E",
            "chroot: EPERM",
            "device: E",
            "proc: ENOENT",
            "ptrace: EPERM",
            "internet: EPERM",
            "netlink: EPERM",
            "vsock: EPERM",
            "crypto: EPERM",
            "abstract socket: ECONNREFUSED",
            "socket of a path: ENOENT",
            "shared memory: EPERM",
            "keys: E",
            "bpf: EPERM",
            "io_uring: EPERM",
            "raise limits: EPERM",
            "host name: EPERM",
            "kill a process outside: ESRCH",
            "still here",
        ] {
            assert!(said.lines().any(|said| said.starts_with(line)), "{line:?}: {said}");
        }
        for listener in ["tcp", "abstract", "path"] {
            let accepted = match listener {
                "tcp" => tcp.accept().is_ok(),
                "abstract" => unix.accept().is_ok(),
                _ => of_path.accept().is_ok(),
            };
            assert!(!accepted, "{listener}");
        }
        assert!(victim.0.try_wait().unwrap().is_none(), "the other process was killed");
        let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["socket"]);
    }
}

/// Links of the image that lead out of it lead to the sandbox's root.
#[test]
fn links_out_of_the_image_lead_nowhere() {
    let tree = Tree::glibc();
    let outside = tree.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("libc.so.6"), "as it was").unwrap();
    fs::rename(tree.at("lib64"), tree.at("lib-real")).unwrap();
    symlink("../../../../../../../../lib-real", tree.at("lib64")).unwrap();
    fs::create_dir_all(tree.at("usr/lib")).unwrap();
    symlink(&outside, tree.at("usr/lib/evercall")).unwrap();
    symlink(outside.join("libc.so.6"), tree.at("opt/libc.so.6")).unwrap();
    symlink("/proc/self/root/etc", tree.at("etc")).unwrap();
    symlink("round", tree.at("usr/lib/round")).unwrap();
    for image in [tree.root(), tree.docker_archive(&serde_json::json!({}))] {
        for option in [&[][..], &["--preload-file"]] {
            let output = run(&tree, self_test(&image).args(option));
            // Whether it passes is another matter: where the links lead, the sandbox has a folder of its own.
            assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
            let names: Vec<_> =
                fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["libc.so.6"]);
            assert_eq!(fs::read(outside.join("libc.so.6")).unwrap(), b"as it was");
            assert!(!Path::new("/etc/ld.so.preload").exists());
        }
    }
    // In a circle.
    fs::remove_file(tree.at("usr/lib/evercall")).unwrap();
    symlink("evercall", tree.at("usr/lib/evercall")).unwrap();
    let output = run(&tree, &mut self_test(&tree.root()));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("links of the image lead /usr/lib/evercall/libevercall.so in a circle")
    );
}

/// Names, links and kinds that only an archive can hold.
#[test]
fn archives_that_lead_out_by_their_names_are_refused() {
    let tree = Tree::glibc();
    let outside = tree.beside("outside");
    fs::create_dir(&outside).unwrap();
    let archive = |add: &dyn Fn(&mut tar::Builder<Vec<u8>>)| {
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        tar.append_dir_all("", tree.root()).unwrap();
        add(&mut tar);
        tree.archive_of(&tar.into_inner().unwrap(), &serde_json::json!({}))
    };
    let header = |kind: tar::EntryType, name: &[u8], link: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        header
    };
    use tar::EntryType::{Block, Link, Regular, Symlink};
    let loader: &[u8] = b"lib64/ld-linux-x86-64.so.2";
    for (kind, name, link, fails) in [
        (Regular, &b"../../../../tmp/escaped"[..], &b""[..], "leads out of the root"),
        (Link, b"bin/sh", b"../../../../etc/passwd", "leads out of the root"),
        (Link, b"bin/sh", b"/etc/passwd", ""),
        (Symlink, b"bin/sh", b"/proc/1/exe", ""),
        (Block, loader, b"", "no dynamically linked x86-64 program"),
        (Symlink, loader, b"/dev/sda", "no dynamically linked x86-64 program"),
    ] {
        let image = archive(&|tar| tar.append(&header(kind, name, link), &[][..]).unwrap());
        let output = run(&tree, &mut self_test(&image));
        // glibc is a program as well, and may be all that is left to be tested.
        assert_eq!(output.status.success(), fails.is_empty(), "{name:?}: {}", text(&output.stderr));
        assert!(!text(&output.stdout).contains("/bin/sh"), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains(fails), "{name:?}: {}", text(&output.stderr));
    }
}

/// A loader that is a program of the attacker's: it is run with no more rights than any other.
#[test]
fn a_hostile_loader_is_only_a_program() {
    let tree = Tree::new();
    let loader = r#"
        static long call(long n, long a, long b, long c) {
            long r; __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r;
        }
        void _start(void) {
            static const char path[] = OUTSIDE "/by-loader";
            call(2, (long)path, 0101, 0666);
            for (;;) call(1, 2, (long)"lowered to 64:64]\n", 18);
        }
    "#;
    let outside = tree.beside("outside");
    fs::create_dir(&outside).unwrap();
    let define = format!("-DOUTSIDE=\"{}\"", outside.display());
    tree.compile(
        "lib64/ld-linux-x86-64.so.2",
        loader,
        &["cc", "-shared", "-fPIC", "-nostdlib", "-Wl,-e,_start", &define],
    );
    tree.compile("bin/sh", "int main(void) { return 0; }", &["cc"]);
    let output = run(&tree, &mut self_test(&tree.root()));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    // It floods the output until its time is over.
    assert!(text(&output.stderr).contains("the library was not loaded"), "{}", text(&output.stderr));
    assert!(text(&output.stderr).len() < 100_000);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
