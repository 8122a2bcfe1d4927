//! `make install` into a folder, what works from there, and `make uninstall`.

mod common;

use common::{bare, root, succeed, text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Runs a target of the Makefile with a folder as DESTDIR.
fn make(target: &str, to: &Path, prefix: &str) {
    // The umask of a careful root: what is installed is for all users even so.
    let mut command = bare("sh");
    command.args(["-c", "umask 077; exec make --no-print-directory \"$@\"", "sh", target]);
    command.arg(format!("DESTDIR={}", to.display())).arg(format!("PREFIX={prefix}"));
    succeed(command.current_dir(root()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL"));
}

/// Every path below a folder, with its mode (links: none).
fn found(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                open.push(path.clone());
            }
            let mode = if metadata.is_symlink() { 0 } else { metadata.permissions().mode() & 0o7777 };
            found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), mode);
        }
    }
    found
}

#[test]
fn what_is_installed_works_and_goes_away_again() {
    let to = TempDir::new().unwrap();
    make("install", to.path(), "/usr");
    let here = |path: &str| to.path().join("usr").join(path);

    // The command finds its library, also under each value of $LIB.
    let mut run = bare(here("bin/evercall"));
    let output = succeed(
        run.args(["run", "--force", "ustat", "--log", "all"]).arg(common::program("legacy")).arg("ustat"),
    );
    assert!(text(&output.stdout).contains("has free blocks"), "{output:?}");
    assert!(text(&output.stderr).contains(" ustat: "), "{output:?}");
    let library = fs::read(common::shim()).unwrap();
    for folder in ["", "lib64", "lib/x86_64-linux-gnu", "$LIB"] {
        let file = here("lib/evercall").join(folder).join("libevercall.so");
        assert!(fs::read(&file).unwrap() == library, "{}", file.display());
    }

    // Man pages that man(1) takes, completions that the shells take.
    for page in ["man1/evercall.1", "man1/evercall-run.1", "man5/evercall.conf.5"] {
        let output = succeed(bare("man").args(["--warnings", "-l"]).arg(here("share/man").join(page)));
        let name = page.rsplit('/').next().unwrap().trim_end_matches(['.', '1', '5']);
        assert!(text(&output.stdout).contains(name) && output.stderr.is_empty(), "{page}: {output:?}");
    }
    let complete = "source \"$1\"; COMP_WORDS=(evercall run --log-f); COMP_CWORD=2; _evercall evercall --log-f run; \
                    echo \"${COMPREPLY[@]}\"";
    let bash = here("share/bash-completion/completions/evercall");
    assert_eq!(
        text(&succeed(bare("bash").args(["-c", complete, "bash"]).arg(bash)).stdout),
        "--log-format\n"
    );
    let zsh = here("share/zsh/site-functions/_evercall");
    succeed(bare("zsh").arg("-fn").arg(zsh));
    let home = TempDir::new().unwrap();
    let fish = here("share/fish/vendor_completions.d/evercall.fish");
    let ask = "source $argv[1]; complete -C 'evercall run --log-f'";
    let output = succeed(bare("fish").args(["--no-config", "-c", ask]).arg(fish).env("HOME", home.path()));
    assert!(text(&output.stdout).contains("--log-format"), "{output:?}");

    // The example of a file sets nothing, and says so of every setting that the documents know.
    let example = fs::read_to_string(here("share/doc/evercall/examples/evercall.conf")).unwrap();
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')));
    let settings = fs::read_to_string(here("share/doc/evercall/docs/settings.md")).unwrap();
    let page = fs::read_to_string(here("share/man/man5/evercall.conf.5")).unwrap();
    let keys = settings.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let keys: Vec<_> = keys.filter(|key| !key.starts_with("EVERCALL")).collect();
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        assert!(example.contains(&format!("\n#{key} = ")), "{key} is not in the example");
        let bold = format!("\\fB{}\\fR", key.replace('-', "\\-"));
        assert!(page.contains(&bold), "{key} is not in evercall.conf(5)");
    }
    assert!(here("share/doc/evercall/examples/Dockerfile.example").is_file());
    assert!(here("share/doc/evercall/LICENSE-MIT").is_file());

    for (path, mode) in found(to.path()) {
        let executable =
            ["bin/evercall", "lib/evercall/libevercall.so"].iter().any(|end| path.ends_with(end));
        let data = !executable && !to.path().join(&path).is_dir();
        let link = mode == 0;
        assert!(link || mode == if data { 0o644 } else { 0o755 }, "{} has mode {mode:o}", path.display());
    }

    // What belongs to others stays.
    fs::write(here("lib/other.so"), "").unwrap();
    fs::write(here("share/man/man1/ever.1"), "").unwrap();
    make("uninstall", to.path(), "/usr");
    let left: Vec<_> = found(to.path()).into_keys().filter(|path| !to.path().join(path).is_dir()).collect();
    assert_eq!(left, [Path::new("usr/lib/other.so"), Path::new("usr/share/man/man1/ever.1")]);
    assert!(!here("lib/evercall").exists() && !here("share/doc/evercall").exists());
}

/// Twice is as once, and a newer one takes the place of an older.
#[test]
fn installing_again_replaces() {
    let to = TempDir::new().unwrap();
    make("install", to.path(), "/opt/evercall");
    let first = found(to.path());
    let library = to.path().join("opt/evercall/lib/evercall/libevercall.so");
    fs::write(&library, "old").unwrap();
    make("install", to.path(), "/opt/evercall");
    assert_eq!(found(to.path()), first);
    assert!(fs::read(library).unwrap() == fs::read(common::shim()).unwrap());
}
