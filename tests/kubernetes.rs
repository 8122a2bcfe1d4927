//! deploy/kubernetes: valid by the schemas of the API (the package kubernetes-validate), and its CEL, evaluated by
//! Google's C++ implementation (cel-expr-python), gives the pods that are due. What is asked is in tests/kubernetes.py.

mod common;
#[path = "common/debian.rs"]
mod debian;

use common::{bare, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PACKAGES: [&str; 4] =
    ["kubernetes-validate==1.37.0", "cel-expr-python==0.1.3", "protobuf==7.36.2", "PyYAML"];

/// A folder of the packages, kept in the cache. An error says why there is none.
fn packages() -> Result<PathBuf, String> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(install).clone()
}

fn install() -> Result<PathBuf, String> {
    // Packages are built for a version of Python.
    let version =
        common::output(bare("python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
    let cache = debian::cache();
    let folder = cache.join(format!("python{}-kubernetes-1", text(&version.stdout).trim_end()));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).map_err(|error| error.to_string())?;
    let making = tempfile::tempdir_in(&cache).map_err(|error| error.to_string())?;
    let mut pip = bare("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--target"]);
    let output = common::output(pip.arg(making.path()).args(PACKAGES));
    if !output.status.success() {
        return Err(text(&output.stderr).lines().last().unwrap_or("pip failed").to_owned());
    }
    // Whoever comes second keeps the first one's.
    match fs::rename(making.keep(), &folder) {
        Err(error) if !folder.is_dir() => Err(error.to_string()),
        _ => Ok(folder),
    }
}

fn ask(what: &str, manifests: &Path) -> Result<(), String> {
    let mut python = bare("python3");
    python.env("PYTHONPATH", packages()?).arg("-B").arg(common::root().join("tests/kubernetes.py"));
    let output = common::output(python.arg(what).arg(manifests));
    assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    Ok(())
}

fn check(what: &str) {
    if let Err(reason) = ask(what, &common::root().join("deploy/kubernetes")) {
        skip!("{reason}");
    }
}

#[test]
fn the_manifests_are_valid_by_the_schemas_of_the_api() {
    check("schemas");
}

#[test]
fn pods_that_ask_for_it_get_the_volume_the_mount_and_the_preload_beside_what_they_have() {
    check("mutates");
}

#[test]
fn other_pods_are_left_alone() {
    check("leaves");
}
