//! What `evercall layer` leaves of an image: preloads and settings that it has already, layers above, every other byte;
//! and what `--remove` and `--show` make of it.

mod common;
#[path = "common/podman.rs"]
mod podman;
#[path = "common/tree.rs"]
mod tree;

use common::{bare, command, output, shim, succeed, text};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tree::Tree;

/// `evercall layer` with the library that was built.
fn layer() -> Command {
    let mut layer = bare(command());
    layer.env("EVERCALL_LIB", shim()).arg("layer");
    layer
}

/// `evercall layer IMAGE -o OUT` of an image whose programs are not run.
fn add(image: &Path, out: &Path, options: &[&str]) -> String {
    let made = succeed(layer().arg(image).arg("-o").arg(out).args(options).arg("--no-self-test"));
    text(&made.stderr)
}

fn remove(image: &Path, out: &Path) -> String {
    text(&succeed(layer().arg("--remove").arg(image).arg("-o").arg(out)).stderr)
}

/// What `--show` says of the only image: null if it carries nothing.
fn show(image: &Path) -> Value {
    let shown = succeed(layer().args(["--show", "--format", "json"]).arg(image));
    let document: Value = serde_json::from_slice(&shown.stdout).unwrap();
    document["images"][0]["evercall"].clone()
}

fn blob(layout: &Path, bytes: &[u8]) -> (String, usize) {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("blobs/sha256").join(&hex), bytes).unwrap();
    (format!("sha256:{hex}"), bytes.len())
}

/// A tar archive of a folder.
fn tar_of(folder: &Path) -> Vec<u8> {
    let mut tar = bare("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "-c", "-C"]).arg(folder).arg(".");
    succeed(&mut tar).stdout
}

/// Writes an OCI layout with these layers, plain, and this execution config.
fn layout(at: &Path, layers: &[Vec<u8>], execution: &Value) {
    let (mut diff_ids, mut descriptors) = (Vec::new(), Vec::new());
    for layer in layers {
        let (digest, size) = blob(at, layer);
        descriptors.push(json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size,
        }));
        diff_ids.push(digest);
    }
    let history: Vec<_> = diff_ids.iter().map(|_| json!({ "created_by": "a test" })).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": execution,
        "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": history,
    });
    let (digest, size) = blob(at, config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size },
        "layers": descriptors,
    });
    let (digest, size) = blob(at, manifest.to_string().as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
        "annotations": { "org.opencontainers.image.ref.name": "test" },
    }]});
    fs::write(at.join("index.json"), index.to_string()).unwrap();
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// The layout of a tree in one layer, and of upper layers.
fn image(tree: &Tree, uppers: &[Vec<u8>], execution: &Value) -> PathBuf {
    let at = tree.beside("image");
    let _ = fs::remove_dir_all(&at);
    let layers: Vec<_> = std::iter::once(tar_of(&tree.root())).chain(uppers.iter().cloned()).collect();
    layout(&at, &layers, execution);
    at
}

/// The document that a descriptor of a layout leads to.
fn document(layout: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&content(layout, descriptor)).unwrap()
}

fn content(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    fs::read(layout.join("blobs").join(digest)).unwrap()
}

/// The manifest and the config of a layout's only image.
fn documents(layout: &Path) -> (Value, Value) {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let manifest = document(layout, &index["manifests"][0]);
    let config = document(layout, &manifest["config"]);
    (manifest, config)
}

/// An entry of a layer: its kind, mode, owner, time and content.
type Entry = (u8, u32, u64, u64, u64, Vec<u8>);

/// The topmost layer of a layout, by path.
fn top(layout: &Path) -> BTreeMap<String, Entry> {
    let (manifest, _) = documents(layout);
    let bytes = content(layout, manifest["layers"].as_array().unwrap().last().unwrap());
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let header = entry.header();
        let known = (
            header.entry_type().as_byte(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
            bytes,
        );
        assert!(entries.insert(path.trim_end_matches('/').to_owned(), known).is_none(), "{path} twice");
    }
    entries
}

/// The text of a file of the topmost layer.
fn in_top(layout: &Path, path: &str) -> Option<String> {
    top(layout).get(path).map(|entry| text(&entry.5))
}

/// All files of a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(self::files(&entry));
        } else {
            files.insert(entry.clone(), fs::read(&entry).unwrap());
        }
    }
    files
        .into_iter()
        .map(|(path, bytes)| (path.strip_prefix(folder).unwrap_or(&path).into(), bytes))
        .collect()
}

/// A tar archive of these files.
fn upper(tree: &Tree, entries: &[(&str, &str)]) -> Vec<u8> {
    let folder = tree.beside("upper");
    let _ = fs::remove_dir_all(&folder);
    for (path, content) in entries {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
    }
    tar_of(&folder)
}

const OURS: &str = "/usr/lib/evercall/lib/x86_64-linux-gnu/libevercall.so";

/// Whatever Env says of LD_PRELOAD stays behind ours, and comes back to the byte.
#[test]
fn a_preload_of_the_environment_is_kept() {
    let tree = Tree::glibc();
    for (number, (env, after)) in [
        (json!(["A=1", "B=2"]), json!(["A=1", "B=2", format!("LD_PRELOAD={OURS}")])),
        (json!(["LD_PRELOAD=/opt/a.so", "B=2"]), json!([format!("LD_PRELOAD={OURS}:/opt/a.so"), "B=2"])),
        (json!(["LD_PRELOAD=a.so b.so"]), json!([format!("LD_PRELOAD={OURS}:a.so b.so")])),
        (json!(["LD_PRELOAD=", "B=2"]), json!([format!("LD_PRELOAD={OURS}"), "B=2"])),
        (json!([]), json!([format!("LD_PRELOAD={OURS}")])),
        (Value::Null, json!([format!("LD_PRELOAD={OURS}")])),
    ]
    .into_iter()
    .enumerate()
    {
        let image = image(&tree, &[], &json!({ "Env": env, "Cmd": ["/bin/sh"] }));
        let (out, back) = (tree.beside(&format!("out{number}")), tree.beside(&format!("back{number}")));
        add(&image, &out, &[]);
        assert_eq!(documents(&out).1["config"]["Env"], after, "{env}");
        let said = remove(&out, &back);
        assert!(files(&image) == files(&back), "{env}: {said}{}", documents(&back).1);
        assert!(said.contains("byte for byte"), "{env}: {said}");
    }
}

/// The lines of an /etc/ld.so.preload stay behind ours; what an upper layer took away does not come back; a link is
/// not written through.
#[test]
fn a_preload_file_is_kept() {
    let tree = Tree::glibc();
    fs::write(tree.at("etc/ld.so.preload"), "/opt/a.so").unwrap();
    let file = "etc/ld.so.preload";
    for (number, (uppers, after)) in [
        (vec![], format!("{OURS}\n/opt/a.so")),
        (vec![upper(&tree, &[(file, "/opt/b.so\n")])], format!("{OURS}\n/opt/b.so\n")),
        (vec![upper(&tree, &[("etc/.wh.ld.so.preload", "")])], format!("{OURS}\n")),
        (vec![upper(&tree, &[("etc/.wh..wh..opq", "")])], format!("{OURS}\n")),
    ]
    .into_iter()
    .enumerate()
    {
        let image = image(&tree, &uppers, &json!({}));
        for (load, both) in [("preload-file", false), ("both", true)] {
            let out = tree.beside(&format!("out{number}{load}"));
            add(&image, &out, &["--load", load]);
            assert_eq!(in_top(&out, file).as_deref(), Some(after.as_str()), "{number}");
            let env = documents(&out).1["config"]["Env"].to_string().contains(OURS);
            assert_eq!(env, both, "{load}");
            assert_eq!(
                show(&out)["load"],
                if both { json!(["env", "preload-file"]) } else { json!(["preload-file"]) }
            );
        }
        // Loaded by the environment alone, the file stays.
        let out = tree.beside(&format!("out{number}env"));
        add(&image, &out, &["--load", "env"]);
        assert_eq!(in_top(&out, file), None);
    }
    fs::remove_file(tree.at(file)).unwrap();
    symlink("../opt/preload", tree.at(file)).unwrap();
    fs::create_dir_all(tree.at("opt/x").parent().unwrap()).unwrap();
    fs::write(tree.at("opt/preload"), "/opt/a.so\n").unwrap();
    let (image, out) = (image(&tree, &[], &json!({})), tree.beside("link"));
    let failed = output(layer().arg(&image).arg("-o").arg(&out).args(["--load", "both", "--no-self-test"]));
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("/etc/ld.so.preload"), "{}", text(&failed.stderr));
    assert!(!out.exists());
    add(&image, &out, &[]);
}

/// Settings of the image or of --conf stay; privileged_programs is set where no program is privileged, and only there.
#[test]
fn settings_are_kept_and_privileged_programs_told() {
    let tree = Tree::glibc();
    let conf = "etc/evercall.conf";
    let none = "privileged_programs = none\n";
    let out = tree.beside("out");
    let given = tree.beside("given.conf");
    fs::write(&given, "log = all\n").unwrap();
    let given = given.display().to_string();
    let add = |image: &Path, options: &[&str]| {
        let _ = fs::remove_dir_all(&out);
        add(image, &out, options)
    };
    let plain = json!({});

    let image_of = |uppers: &[Vec<u8>]| image(&tree, uppers, &plain);
    add(&image_of(&[]), &[]);
    assert!(in_top(&out, conf).unwrap().ends_with(none));
    add(&image_of(&[]), &["--conf", &given]);
    assert!(in_top(&out, conf).unwrap().ends_with(&format!("{none}log = all\n")));
    // The image's own, and --conf in its place.
    let own = upper(&tree, &[(conf, "[/bin/x]\nlog = off\n")]);
    add(&image_of(std::slice::from_ref(&own)), &[]);
    assert!(in_top(&out, conf).unwrap().ends_with(&format!("{none}[/bin/x]\nlog = off\n")));
    let said = add(&image_of(&[own]), &["--conf", &given]);
    assert!(in_top(&out, conf).unwrap().ends_with(&format!("{none}log = all\n")));
    assert!(said.contains("own /etc/evercall.conf is replaced"), "{said}");
    // Who has decided already is not contradicted.
    let decided = upper(&tree, &[(conf, "  privileged_programs = some\n")]);
    add(&image_of(&[decided]), &[]);
    assert_eq!(in_top(&out, conf), None);

    let taken = upper(&tree, &[("opt/.wh.p", "")]);
    let p = tree.at("opt/p");
    for (mode, capability, uppers, privileged) in [
        (0o4755, false, vec![], true),
        (0o2755, false, vec![], true),
        // Mandatory locking, once.
        (0o2644, false, vec![], false),
        (0o755, true, vec![], true),
        (0o4755, true, vec![taken], false),
    ] {
        let _ = fs::remove_file(&p);
        fs::copy("/bin/true", &p).unwrap();
        fs::set_permissions(&p, Permissions::from_mode(mode)).unwrap();
        if capability {
            if let Err(reason) = podman::needs_root() {
                skip!("{reason}");
            }
            succeed(bare("setcap").arg("cap_net_raw+ep").arg(&p));
        }
        let said = add(&image_of(&uppers), &[]);
        let word = if privileged { "some" } else { "none" };
        let (manifest, config) = documents(&out);
        let what = format!("{mode:o} {capability}: {said}");
        assert_eq!(in_top(&out, conf).is_some(), !privileged, "{what}");
        assert_eq!(said.contains("/opt/p"), privileged, "{what}");
        assert_eq!(config["config"]["Labels"]["org.evercall.privileged-programs"], word, "{what}");
        assert_eq!(manifest["annotations"]["org.evercall.privileged-programs"], word, "{what}");
        assert_eq!(show(&out)["privileged_programs"], word, "{what}");
    }
}
