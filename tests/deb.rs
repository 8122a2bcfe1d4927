//! The Debian package: made twice, looked at by lintian, installed and removed in a Debian root.

mod common;
#[path = "common/debian.rs"]
mod debian;
#[path = "common/podman.rs"]
mod podman;

use common::{bare, root, succeed, text};
use podman::Container;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Makes the package in a folder; gives its path.
fn make(folder: &Path, change: impl Fn(&mut Command)) -> PathBuf {
    let mut command = bare("sh");
    command.arg(root().join("packaging/deb.sh")).arg(folder).env_remove("SOURCE_DATE_EPOCH");
    change(&mut command);
    PathBuf::from(text(&succeed(&mut command).stdout).trim_end())
}

/// The same bytes whoever makes it, where, and in which time zone and language; others at another date.
#[test]
fn the_same_files_make_the_same_package() {
    let [one, other, third] = [(); 3].map(|()| TempDir::new().unwrap());
    let first = make(one.path(), |_| {});
    let second = make(other.path(), |command| {
        command.env("TMPDIR", other.path()).env("TZ", "Asia/Tokyo").env("LC_ALL", "de_DE.UTF-8");
    });
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    // Nothing but the package is left, in a folder that was its temporary one as well.
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    let dated = make(third.path(), |command| {
        command.env("SOURCE_DATE_EPOCH", "1000000000");
    });
    let listed = text(&succeed(bare("dpkg-deb").arg("-c").arg(&dated).env("TZ", "UTC")).stdout);
    assert!(listed.lines().all(|line| line.contains(" 2001-09-09 01:46 ")), "{listed}");
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
}

#[test]
fn lintian_has_nothing_to_say() {
    let folder = TempDir::new().unwrap();
    let package = make(folder.path(), |_| {});
    let mut lintian = bare("lintian");
    lintian.args(["--fail-on", "error,warning", "--suppress-tags", "spelling-error-in-binary"]);
    let output = succeed(lintian.arg("--allow-root").arg(package));
    assert_eq!(text(&output.stdout), "");
}

/// In a root of Debian: what is installed works, nothing is preloaded, and nothing is left once it is removed.
#[test]
fn it_installs_works_and_goes_away() {
    if let Err(reason) = podman::needs_root() {
        skip!("{reason}");
    }
    let container = match debian::root("base", "bullseye").and_then(Container::new) {
        Ok(container) => container,
        Err(reason) => skip!("{reason}"),
    };
    let package = make(container.folder.path(), |_| {});
    let volumes = [
        format!("--volume={}:/evercall.deb:ro", package.display()),
        format!("--volume={}:/legacy:ro", legacy(&container).display()),
    ];
    // dpkg of minimal images leaves documents out, by its configuration; here all of it is installed.
    let script = r#"
        files() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/lib/dpkg -o -path /var/log \
            -o -path /var/cache \) -prune -o -print | sort; }
        files >/tmp/before.list
        dpkg --install /evercall.deb >&2
        [ -z "$(dpkg --audit)" ] && dpkg --verify evercall
        evercall --version
        evercall run --log all -- /legacy ustat 2>/tmp/log
        grep -c ' ustat: ' /tmp/log
        LD_PRELOAD='/usr/lib/evercall/$LIB/libevercall.so' /legacy ustat
        env -i LD_PRELOAD='/usr/lib/evercall/$LIB/libevercall.so' sh -c 'env -i /legacy ustat'
        ls /usr/share/man/man1/evercall-run.1.gz /usr/share/man/man5/evercall.conf.5.gz
        ls /etc/ld.so.preload /etc/evercall.conf 2>/dev/null || true
        rm /tmp/log
        dpkg --remove evercall >&2
        files >/tmp/after.list
        diff <(grep -v list /tmp/before.list) <(grep -v list /tmp/after.list) && echo nothing left
        dpkg --list evercall 2>&1 | tail -n 1
    "#;
    let options: Vec<&str> = volumes.iter().map(String::as_str).collect();
    let output = container.run(&options, &["bash", "-euc", script]);
    let answer = text(&succeed(bare(common::program("legacy")).arg("ustat")).stdout);
    let expected = format!(
        "evercall {}\n{answer}1\n{answer}{answer}/usr/share/man/man1/evercall-run.1.gz\n\
         /usr/share/man/man5/evercall.conf.5.gz\nnothing left\n",
        env!("CARGO_PKG_VERSION")
    );
    let said = text(&output.stdout);
    assert!(said.starts_with(&expected), "{said}\n{}", text(&output.stderr));
    let last = said.trim_start_matches(expected.as_str());
    assert!(last.contains("no packages found") || last.starts_with("un "), "{last}");
}

/// `legacy`, built against bullseye's libc.
fn legacy(container: &Container) -> PathBuf {
    let libc = debian::root("libc", "bullseye").unwrap();
    let program = container.folder.path().join("legacy");
    let source = root().join("test-programs/legacy.c");
    succeed(debian::compiler(&libc).arg("-o").arg(&program).arg(source));
    program
}
