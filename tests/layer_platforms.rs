//! `evercall layer` on an index of several platforms, as BuildKit pushes it: what fits gets its layer, the rest stays.

mod common;
#[path = "common/layering.rs"]
mod layering;

use common::{bare, succeed, text};
use layering::{Bench, layer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn blob(layout: &Path, digest: &Value) -> Value {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(hex)).unwrap()).unwrap()
}

/// Writes a document as a blob; its descriptor.
fn put(layout: &Path, media_type: &str, document: &Value) -> Value {
    let bytes = document.to_string().into_bytes();
    let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(layout.join("blobs/sha256").join(&hex), &bytes).unwrap();
    json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
}

/// Puts the one image of a layout under an index within the index: as linux/amd64, as linux/arm64, with an attestation of the
/// first, and with a third platform whose manifest is not here.
fn several_platforms(layout: &Path) {
    let file = layout.join("index.json");
    let index: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let mut amd64 = index["manifests"][0].clone();
    let mut manifest = blob(layout, &amd64["digest"]);
    let mut config = blob(layout, &manifest["config"]["digest"]);
    config["architecture"] = "arm64".into();
    manifest["config"] = put(layout, CONFIG, &config);
    let mut arm64 = put(layout, MANIFEST, &manifest);
    amd64.as_object_mut().unwrap().remove("annotations");
    amd64["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    arm64["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    let nothing =
        json!({ "os": "unknown", "architecture": "unknown", "rootfs": { "type": "layers", "diff_ids": [] } });
    let config = put(layout, CONFIG, &nothing);
    let attestation = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
    let mut attestation = put(layout, MANIFEST, &attestation);
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    attestation["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": amd64["digest"],
    });
    let absent = json!({
        "mediaType": MANIFEST, "digest": format!("sha256:{}", "ab".repeat(32)), "size": 100,
        "platform": { "os": "linux", "architecture": "s390x" },
    });
    let inner = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [amd64, arm64, attestation, absent],
    });
    let mut entry = put(layout, INDEX, &inner);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "test" });
    fs::write(file, json!({ "schemaVersion": 2, "manifests": [entry] }).to_string()).unwrap();
}

/// The manifests of the inner index: platform and digest.
fn manifests(layout: &Path) -> Vec<(String, Value)> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let inner = blob(layout, &index["manifests"][0]["digest"]);
    let of = |entry: &Value| {
        (entry["platform"]["architecture"].as_str().unwrap_or_default().to_string(), entry["digest"].clone())
    };
    inner["manifests"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn each_platform_that_fits_gets_its_layer() {
    let bench = Bench::new();
    let root = bench.root(&[(Path::new("/usr/bin/true"), "usr/bin/true")]);
    let image = bench.image(&root);
    several_platforms(&image);
    let before = manifests(&image);
    let out = bench.path("out");
    let done = succeed(layer().arg(&image).arg("-o").arg(&out));
    let said = text(&done.stderr);
    assert!(said.contains("(linux/arm64): evercall is built for linux/amd64: passes through"), "{said}");
    assert!(said.contains("attestation") && said.contains("is left out"), "{said}");
    let after = manifests(&out);
    let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["amd64", "arm64", "s390x"]);
    assert_ne!(after[0], before[0]);
    assert_eq!((&after[1], &after[2]), (&before[1], &before[3]));

    // As skopeo sees it.
    let source = format!("oci:{}:test", out.display());
    for (architecture, has_it) in [("amd64", true), ("arm64", false)] {
        let options = ["--override-arch", architecture, "inspect", "--config", &source];
        let config = text(&succeed(bare("skopeo").args(options)).stdout);
        assert!(config.contains(&format!("\"architecture\": \"{architecture}\"")), "{config}");
        assert_eq!(config.contains("LD_PRELOAD="), has_it, "{config}");
    }

    // The image of amd64 comes back as it was; the attestation does not.
    let back = bench.path("back");
    succeed(layer().arg("--remove").arg(&out).arg("-o").arg(&back));
    assert_eq!(manifests(&back), [before[0].clone(), before[1].clone(), before[3].clone()]);

    // One platform alone.
    let alone = bench.path("alone");
    succeed(layer().args(["--platform", "linux/amd64"]).arg(&image).arg("-o").arg(&alone));
    let shown = text(&succeed(layer().arg("--show").arg(&alone)).stdout);
    assert!(shown.contains("linux/amd64") && !shown.contains("arm64"), "{shown}");
    let unfit =
        layer().args(["--platform", "linux/arm64"]).arg(&image).arg("-o").arg(bench.path("no")).output();
    let unfit = unfit.unwrap();
    assert_eq!(unfit.status.code(), Some(1));
    assert!(text(&unfit.stderr).contains("evercall is built for linux/amd64") && !bench.path("no").exists());
}
