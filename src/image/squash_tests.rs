//! Squashed layers, against what a real file system has once the same layers were laid over each other: each layer's
//! archive is unpacked into a folder of its own, as Docker and containerd do, and that is laid over the folder below.

use super::tar_entries::{Entry, Kind};
use super::tree::Tree;
use super::{Limits, root, testing};
use indicatif::ProgressBar;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
enum Step {
    File(String, u8),
    Directory(String),
    Symlink(String, String),
    Hardlink(String, String),
    Whiteout(String),
    Opaque(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = "[abc](/[abc]){0,2}";
    let step = prop_oneof![
        4 => (path, any::<u8>()).prop_map(|(path, content)| Step::File(path, content)),
        2 => path.prop_map(Step::Directory),
        2 => (path, "[abc](/[abc])?").prop_map(|(path, target)| Step::Symlink(path, target)),
        2 => (path, path).prop_map(|(path, target)| Step::Hardlink(path, target)),
        2 => path.prop_map(Step::Whiteout),
        1 => "([abc](/[abc])?)?".prop_map(Step::Opaque),
    ];
    prop::collection::vec(step, 0..10)
}

/// What a layer removes of those below.
#[derive(Default)]
struct Removed {
    whiteouts: Vec<PathBuf>,
    opaque: Vec<PathBuf>,
}

/// A path as it is once the links that lead there are followed; None where something on the way is no directory.
fn followed(upper: &Path, path: &str) -> Option<PathBuf> {
    let path = upper.join(path);
    let mut there = path.parent()?;
    while there.symlink_metadata().is_err() {
        there = there.parent()?;
    }
    let real = fs::canonicalize(there).ok().filter(|real| real.is_dir())?;
    Some(real.join(path.strip_prefix(there).ok()?))
}

/// Does a step in a layer's folder. False for what no engine would unpack, or what depends on more than the outcome.
fn unpack(upper: &Path, removed: &mut Removed, step: &Step) -> bool {
    let free = |path: &Path, for_directory: bool| -> bool {
        let Some(parent) = path.parent() else { return false };
        if fs::create_dir_all(parent).is_err() {
            return false;
        }
        match path.symlink_metadata() {
            Err(_) => true,
            Ok(there) if there.is_dir() => for_directory || fs::remove_dir(path).is_ok(),
            Ok(there) => there.nlink() == 1 && fs::remove_file(path).is_ok(),
        }
    };
    match step {
        Step::File(path, content) => {
            let path = upper.join(path);
            free(&path, false) && fs::write(path, [*content]).is_ok()
        }
        Step::Directory(path) => {
            let path = upper.join(path);
            free(&path, true) && (path.is_dir() || fs::create_dir(path).is_ok())
        }
        Step::Symlink(path, target) => {
            let path = upper.join(path);
            free(&path, false) && symlink(target, path).is_ok()
        }
        Step::Hardlink(path, target) => {
            let (path, target) = (upper.join(path), upper.join(target));
            target.symlink_metadata().is_ok_and(|target| target.is_file())
                && path.symlink_metadata().is_err()
                && free(&path, false)
                && fs::hard_link(target, path).is_ok()
        }
        Step::Whiteout(path) => {
            let Some(real) = followed(upper, path) else { return false };
            removed.whiteouts.push(real);
            true
        }
        Step::Opaque(path) => {
            let Some(real) = followed(upper, path) else { return false };
            if real.symlink_metadata().is_ok_and(|there| !there.is_dir())
                || fs::create_dir_all(&real).is_err()
            {
                return false;
            }
            removed.opaque.push(real);
            true
        }
    }
}

fn pack(archive: &mut Vec<u8>, step: &Step) {
    let named = |path: &str, name: &str| {
        let parent = Path::new(path).parent().map(|parent| parent.join(name));
        parent.unwrap_or_default().to_string_lossy().into_owned()
    };
    let (kind, path, link, content) = match step {
        Step::File(path, content) => (b'0', path.clone(), "", vec![*content]),
        Step::Directory(path) => (b'5', path.clone(), "", vec![]),
        Step::Symlink(path, target) => (b'2', path.clone(), target.as_str(), vec![]),
        Step::Hardlink(path, target) => (b'1', path.clone(), target.as_str(), vec![]),
        Step::Whiteout(path) => {
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            (b'0', named(path, &format!(".wh.{name}")), "", vec![])
        }
        Step::Opaque(path) => (b'0', named(&format!("{path}/x"), ".wh..wh..opq"), "", vec![]),
    };
    let path = path.trim_start_matches('/');
    testing::entry(archive, kind, path.as_bytes(), link.as_bytes(), &content);
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Whether the way to a path is directories alone.
fn is_in_directories(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap();
    let mut at = root.to_path_buf();
    inside.parent().unwrap().components().all(|part| {
        at.push(part);
        at.symlink_metadata().is_ok_and(|there| there.is_dir())
    })
}

/// Lays a layer's folder over the root.
fn lay_over(root: &Path, upper: &Path, removed: &Removed) {
    let in_root = |path: &PathBuf| root.join(path.strip_prefix(upper).unwrap());
    for path in removed.whiteouts.iter().map(in_root).filter(|path| is_in_directories(root, path)) {
        remove(&path);
    }
    for path in removed.opaque.iter().map(in_root) {
        if path == root || (is_in_directories(root, &path) && !path.is_symlink()) {
            for inside in fs::read_dir(&path).into_iter().flatten() {
                remove(&inside.unwrap().path());
            }
        }
    }
    merge(root, upper);
}

fn merge(root: &Path, upper: &Path) {
    for inside in fs::read_dir(upper).unwrap() {
        let inside = inside.unwrap();
        let (from, to) = (inside.path(), root.join(inside.file_name()));
        if inside.file_type().unwrap().is_dir() && to.symlink_metadata().is_ok_and(|there| there.is_dir()) {
            merge(&to, &from);
        } else {
            remove(&to);
            fs::rename(from, to).unwrap();
        }
    }
}

/// Everything that is no directory: a file's content, or `-> target`.
fn real(root: &Path, directory: &Path, all: &mut BTreeMap<PathBuf, String>) {
    for inside in fs::read_dir(directory).unwrap() {
        let path = inside.unwrap().path();
        let there = path.symlink_metadata().unwrap();
        let inner = Path::new("/").join(path.strip_prefix(root).unwrap());
        if there.is_dir() {
            real(root, &path, all);
        } else if there.is_symlink() {
            all.insert(inner, format!("-> {}", fs::read_link(path).unwrap().display()));
        } else {
            all.insert(inner, format!("{:?}", fs::read(path).unwrap()));
        }
    }
}

fn walked(layers: &[Vec<u8>]) -> Tree<String> {
    let limits = Limits::default();
    let image = testing::open(&testing::docker(layers), &limits).unwrap();
    let mut tree = Tree::default();
    root::walk(
        image.variants[0].root(&image),
        &limits,
        &ProgressBar::hidden(),
        &mut |entry: &Entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            tree.insert(entry.clone(), format!("{bytes:?}"));
            Ok(())
        },
    )
    .unwrap();
    tree
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn squashed_layers_are_what_a_file_system_has(image in prop::collection::vec(steps(), 0..5)) {
        let work = tempfile::tempdir().unwrap();
        let work = fs::canonicalize(work.path()).unwrap();
        let below = work.join("root");
        fs::create_dir(&below).unwrap();
        let mut layers = Vec::new();
        for (number, steps) in image.iter().enumerate() {
            let upper = work.join(format!("upper{number}"));
            fs::create_dir(&upper).unwrap();
            let (mut archive, mut removed) = (Vec::new(), Removed::default());
            for step in steps {
                if unpack(&upper, &mut removed, step) {
                    pack(&mut archive, step);
                }
            }
            lay_over(&below, &upper, &removed);
            layers.push(testing::ended(archive));
        }
        let mut expected = BTreeMap::new();
        real(&below, &below, &mut expected);
        let tree = walked(&layers);
        let mut found = BTreeMap::new();
        for node in tree.nodes() {
            let path = node.entry.path.clone();
            match &node.entry.kind {
                Kind::Directory => {
                    let there = below.join(path.strip_prefix("/").unwrap());
                    prop_assert!(there.symlink_metadata().is_ok_and(|there| there.is_dir()), "{path:?}");
                }
                Kind::Symlink(target) => drop(found.insert(path, format!("-> {}", target.display()))),
                _ => {
                    let file = tree.file_of(node).map(|file| file.content.clone());
                    found.insert(path, file.unwrap_or_default());
                }
            }
        }
        prop_assert_eq!(found, expected);
    }
}

fn layer(entries: &[(u8, &str, &str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, name, link, content) in entries {
        testing::entry(&mut archive, *kind, name.as_bytes(), link.as_bytes(), content.as_bytes());
    }
    testing::ended(archive)
}

#[test]
fn links_keep_a_file_that_an_upper_layer_replaced() {
    let lower =
        layer(&[(b'0', "a", "", "old"), (b'1', "b", "a", ""), (b'1', "c", "b", ""), (b'1', "d", "a", "")]);
    let upper = layer(&[(b'0', "a", "", "new"), (b'0', ".wh.b", "", "")]);
    let tree = walked(&[lower, upper]);
    let content = |path: &str| tree.resolve(Path::new(path)).map(|node| node.content.clone());
    let bytes = |text: &str| Some(format!("{:?}", text.as_bytes()));
    assert_eq!(content("/a"), bytes("new"));
    assert_eq!(content("/b"), None);
    assert_eq!(content("/c"), bytes("old"));
    assert_eq!(content("/d"), bytes("old"));
}

#[test]
fn a_directory_replaces_a_link_of_a_lower_layer_and_follows_one_of_its_own() {
    let lower = layer(&[(b'5', "usr/lib", "", ""), (b'2', "lib", "usr/lib", "")]);
    let upper = layer(&[(b'0', "lib/a", "", "1"), (b'2', "bin", "/usr/bin", ""), (b'0', "bin/b", "", "2")]);
    let tree = walked(&[lower, upper]);
    assert!(tree.at(Path::new("/lib")).is_none(), "hidden by the directory");
    assert!(tree.at(Path::new("/lib/a")).is_some());
    assert!(tree.at(Path::new("/usr/bin/b")).is_some());
}

#[test]
fn deep_paths_cost_what_they_are_long() {
    let mut archive = Vec::new();
    for number in 0..2000 {
        let name = format!("{number}{}", "/a".repeat(1900));
        testing::entry(&mut archive, b'0', name.as_bytes(), b"", b"");
    }
    let layers = [testing::ended(archive)];
    let began = std::time::Instant::now();
    let limits = Limits::default();
    let image = testing::open(&testing::docker(&layers), &limits).unwrap();
    let mut count = 0;
    let mut visit = |_: &Entry, _: &mut dyn std::io::Read| {
        count += 1;
        Ok(())
    };
    let root = image.variants[0].root(&image);
    root::walk(root, &limits, &ProgressBar::hidden(), &mut visit).unwrap();
    assert_eq!(count, 2000);
    // 3.8 million names: half a second where it is slow. Quadratic, it would be minutes.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    let few = Limits { entries: 100_000, ..Limits::default() };
    let error = root::walk(image.variants[0].root(&image), &few, &ProgressBar::hidden(), &mut |_, _| Ok(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("layer 1 of 1") && error.contains("more than 100000 entries"), "{error}");
}
