//! Root filesystems made by hand, and Docker archives of them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{bare, succeed, text};
use sha2::{Digest as _, Sha256};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A root in a folder of its own, which others may look into, with a place for what the test keeps beside it.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// An empty one.
    pub fn new() -> Tree {
        let tree = Tree { folder: TempDir::new().unwrap() };
        open(tree.folder.path());
        for name in ["root", "tmp"] {
            fs::create_dir(tree.beside(name)).unwrap();
        }
        open(&tree.root());
        fs::set_permissions(tree.beside("tmp"), Permissions::from_mode(0o1777)).unwrap();
        tree
    }

    /// One that holds this machine's libc and loader, and a program that ends well as /bin/sh.
    pub fn glibc() -> Tree {
        let tree = Tree::new();
        tree.copy("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2");
        tree.copy("/lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6");
        tree.compile("bin/sh", "int main(void) { return 0; }", &["cc"]);
        tree
    }

    /// The root.
    pub fn root(&self) -> PathBuf {
        self.beside("root")
    }

    /// A path outside of the root.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the root, whose folder is made.
    pub fn at(&self, path: &str) -> PathBuf {
        let at = self.root().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        at
    }

    /// Copies a file of this machine into the root.
    pub fn copy(&self, from: impl AsRef<Path>, to: &str) {
        let from = from.as_ref();
        fs::copy(from, self.at(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }

    /// Compiles a C program or library to a file of the root.
    pub fn compile(&self, to: &str, source: &str, compiler: &[&str]) -> PathBuf {
        let at = self.at(to);
        compile(&self.beside("source.c"), &at, source, compiler);
        at
    }

    /// Compiles one to a file beside the root.
    pub fn compile_beside(&self, to: &str, source: &str, compiler: &[&str]) -> PathBuf {
        let at = self.beside(to);
        compile(&self.beside("source.c"), &at, source, compiler);
        at
    }

    /// A Docker archive of the root in one layer, with the `config` of an image (a JSON object).
    pub fn docker_archive(&self, config: &serde_json::Value) -> PathBuf {
        let layer = self.beside("layer.tar");
        let mut tar = bare("tar");
        succeed(
            tar.args(["--xattrs", "--xattrs-include=*", "-cf"])
                .arg(&layer)
                .arg("-C")
                .arg(self.root())
                .arg("."),
        );
        self.archive_of(&fs::read(&layer).unwrap(), config)
    }

    /// A Docker archive with this tar archive as its only layer.
    pub fn archive_of(&self, layer: &[u8], config: &serde_json::Value) -> PathBuf {
        let diff_id: String = Sha256::digest(layer).iter().map(|byte| format!("{byte:02x}")).collect();
        let document = serde_json::json!({
            "os": "linux", "architecture": "amd64", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]},
        });
        let manifest =
            serde_json::json!([{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}]);
        let parts = self.beside("parts");
        fs::create_dir_all(&parts).unwrap();
        fs::write(parts.join("layer.tar"), layer).unwrap();
        fs::write(parts.join("config.json"), document.to_string()).unwrap();
        fs::write(parts.join("manifest.json"), manifest.to_string()).unwrap();
        let archive = self.beside("image.tar");
        let mut tar = bare("tar");
        succeed(tar.arg("-cf").arg(&archive).arg("-C").arg(&parts).args([
            "manifest.json",
            "config.json",
            "layer.tar",
        ]));
        archive
    }
}

fn compile(at: &Path, to: &Path, source: &str, compiler: &[&str]) {
    fs::write(at, source).unwrap();
    let (program, options) = compiler.split_first().unwrap();
    let output = bare(program).args(options).args(["-w", "-O1"]).arg(at).arg("-o").arg(to).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{compiler:?}: {}", text(&output.stderr));
}

/// Runs what follows as root of a user namespace that has users of its own and allows no further one. First comes the
/// path of a FIFO that is made.
pub const WITHOUT_USER_NAMESPACES: &str = r#"
fifo=$1; shift; mkfifo "$fifo"
unshare -U sh -c 'read go <"$0"; exec sh -c "echo 0 >/proc/sys/user/max_user_namespaces && exec \"\$@\"" sh "$@"' "$fifo" "$@" &
until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do :; done
echo "0 0 70000" >/proc/$!/uid_map; echo "0 0 70000" >/proc/$!/gid_map
echo go >"$fifo"; rm "$fifo"; wait $!"#;

/// Lets others look into a folder.
pub fn open(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
}
