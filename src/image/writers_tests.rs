//! Archives of real writers, against the folder that they were made of: GNU tar, bsdtar, Python and Go, in each form they
//! write, with long names, links, holes and capabilities.

use super::tar_entries::{Entry, Kind};
use super::tree::Tree;
use super::{Limits, digest::Digest, root, testing};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an archive must tell of a path: the kind or the content, the mode, whether it has capabilities.
type Told = BTreeMap<PathBuf, (String, u32, bool)>;

/// A folder of all that archives hold; `long`: also what v7 and ustar cannot.
fn folder(at: &Path, long: bool) {
    fs::create_dir_all(at.join("usr/bin")).unwrap();
    fs::write(at.join("usr/bin/a"), "content").unwrap();
    fs::set_permissions(at.join("usr/bin/a"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(at.join("usr/bin/a"), at.join("usr/bin/b")).unwrap();
    fs::write(at.join("empty"), "").unwrap();
    fs::write(at.join("block"), [7; 512]).unwrap();
    symlink("usr/bin", at.join("bin")).unwrap();
    symlink("/nowhere", at.join("dangling")).unwrap();
    if !long {
        return;
    }
    assert!(Command::new("mkfifo").arg(at.join("fifo")).status().unwrap().success());
    let deep = at.join(format!("{0}/{0}/{0}", "d".repeat(90)));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("x".repeat(200)), "far").unwrap();
    symlink("t".repeat(300), at.join("long-link")).unwrap();
    fs::write(at.join(OsStr::from_bytes(b"n\xff\n")), "odd name").unwrap();
    fs::write(at.join("ä"), "umlaut").unwrap();
    let holes = File::create(at.join("holes")).unwrap();
    holes.set_len(300_000).unwrap();
    for number in 0..12_u64 {
        holes.write_all_at(&[number as u8 + 1; 100], number * 20_480 + 4096).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        let done = Command::new("setcap").arg("cap_net_raw=ep").arg(at.join("block")).status();
        assert!(done.is_ok_and(|status| status.success()), "setcap");
    }
}

fn told(tree: &Tree<String>) -> Told {
    let mut told = Told::new();
    for node in tree.nodes().filter(|node| node.entry.path != Path::new("/")) {
        let (what, of) = match &node.entry.kind {
            Kind::Directory => ("directory".to_string(), node),
            Kind::Symlink(target) => (format!("-> {}", target.display()), node),
            Kind::Special => ("special".to_string(), node),
            Kind::File | Kind::Hardlink(_) => {
                let file = tree.file_of(node).expect("a link to a file");
                (format!("{} bytes {}", file.entry.size, file.content), file)
            }
        };
        let mode = if what.starts_with("->") { 0o777 } else { of.entry.mode };
        told.insert(node.entry.path.clone(), (what, mode, of.entry.capability));
    }
    told
}

fn read(root: root::Root<'_>) -> Tree<String> {
    let mut tree = Tree::default();
    root::walk(root, &Limits::default(), &ProgressBar::hidden(), &mut |entry: &Entry, content| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(content, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, entry.size, "{entry:?}");
        tree.insert(entry.clone(), Digest::of(&bytes).to_string());
        Ok(())
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
    tree
}

/// Makes an archive of a folder by a command, and holds what is read of it against the folder.
fn compare(folder: &Path, writer: &[&str], strip_capabilities: bool) {
    let out = folder.with_extension("tar");
    let words = writer.iter().skip(1).map(|word| word.replace("OUT", &out.to_string_lossy()));
    let output =
        Command::new(writer[0]).args(words).current_dir(folder).env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{writer:?}: {}", String::from_utf8_lossy(&output.stderr));
    let image = testing::open(&testing::docker(&[fs::read(out).unwrap()]), &Limits::default()).unwrap();
    let mut expected = told(&read(root::Root::Directory(folder)));
    if strip_capabilities {
        expected.values_mut().for_each(|(_, _, capability)| *capability = false);
    }
    let found = told(&read(image.variants[0].root(&image)));
    assert_eq!(found, expected, "{writer:?}");
}

fn folders(work: &Path) -> (PathBuf, PathBuf) {
    let (short, long) = (work.join("short"), work.join("long"));
    folder(&short, false);
    folder(&long, true);
    (short, long)
}

#[test]
fn what_gnu_tar_writes() {
    let work = tempfile::tempdir().unwrap();
    let (short, long) = folders(work.path());
    for form in ["v7", "ustar", "oldgnu", "gnu", "pax"] {
        compare(&short, &["tar", "-cf", "OUT", &format!("--format={form}"), "."], false);
    }
    for form in ["oldgnu", "gnu", "pax"] {
        compare(&long, &["tar", "-cf", "OUT", &format!("--format={form}"), "."], true);
        compare(&long, &["tar", "-Scf", "OUT", &format!("--format={form}"), "."], true);
    }
    for version in ["0.0", "0.1", "1.0"] {
        let version = format!("--sparse-version={version}");
        compare(
            &long,
            &["tar", "-Scf", "OUT", "--format=pax", "--xattrs", "--xattrs-include=*", &version, "."],
            false,
        );
    }
}

#[test]
fn what_bsdtar_writes() {
    if Command::new("bsdtar").arg("--version").output().is_err() {
        eprintln!("SKIPPED {}: no bsdtar", module_path!());
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (short, long) = folders(work.path());
    for form in ["v7", "ustar", "gnutar", "pax"] {
        compare(&short, &["bsdtar", "-cf", "OUT", &format!("--format={form}"), "."], false);
    }
    compare(&long, &["bsdtar", "-cf", "OUT", "--format=pax", "--xattrs", "."], false);
    compare(&long, &["bsdtar", "-cf", "OUT", "--format=gnutar", "."], true);
}

#[test]
fn what_python_writes() {
    let work = tempfile::tempdir().unwrap();
    let (short, long) = folders(work.path());
    let program = "import sys, tarfile; a = tarfile.open(sys.argv[1], 'w', format=int(sys.argv[2]), errors='surrogateescape'); a.add('.'); a.close()";
    compare(&short, &["python3", "-c", program, "OUT", "0"], false);
    compare(&long, &["python3", "-c", program, "OUT", "1"], true);
    compare(&long, &["python3", "-c", program, "OUT", "2"], true);
}

#[test]
fn what_go_writes() {
    let work = tempfile::tempdir().unwrap();
    let (_, long) = folders(work.path());
    let program = work.path().join("write.go");
    fs::write(&program, GO).unwrap();
    let writer = work.path().join("write");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&writer).arg(&program).env("GO111MODULE", "off");
    match go.env("GOFLAGS", "").env("HOME", work.path()).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            eprintln!("SKIPPED {}: no go", module_path!());
            return;
        }
    }
    // Pax cannot hold what is no UTF-8, says Go.
    let odd = long.join(OsStr::from_bytes(b"n\xff\n"));
    compare(&long, &[&writer.to_string_lossy(), "OUT", "gnu"], true);
    fs::remove_file(odd).unwrap();
    compare(&long, &[&writer.to_string_lossy(), "OUT", "pax"], false);
}

const GO: &str = r#"
package main

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	out, err := os.Create(os.Args[1])
	check(err)
	archive := tar.NewWriter(out)
	check(filepath.Walk(".", func(path string, info os.FileInfo, err error) error {
		check(err)
		link, _ := os.Readlink(path)
		header, err := tar.FileInfoHeader(info, link)
		check(err)
		header.Name = path
		header.Format = tar.FormatGNU
		if os.Args[2] == "pax" {
			header.Format = tar.FormatPAX
			value := make([]byte, 100)
			if size, err := syscall.Getxattr(path, "security.capability", value); err == nil && info.Mode().IsRegular() {
				header.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": string(value[:size])}
			}
		}
		check(archive.WriteHeader(header))
		if info.Mode().IsRegular() {
			file, err := os.Open(path)
			check(err)
			_, err = io.Copy(archive, file)
			check(err)
			file.Close()
		}
		return nil
	}))
	check(archive.Close())
}
"#;
