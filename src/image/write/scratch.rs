//! Images from their config and layers alone.

use super::layer::{NewLayer, Packing};
use super::output::Parts;
use crate::failure::Failure;
use crate::image::digest::Digest;
use serde_json::{Map, Value, json};

/// What `oci-layout` says.
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The media type of a new layer in an OCI image.
pub fn media_type(packing: Packing) -> &'static str {
    match packing {
        Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
        Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
    }
}

/// A descriptor.
pub fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

/// An image of one platform, made of new layers, the lowest first: adds its blobs, and the documents of an OCI layout, to
/// the parts. `config` gets its `rootfs`; `annotations` are those of the manifest, `names` those of its entry in the
/// index. Gives the digest of the config.
pub fn image(
    parts: &mut Parts<'_>,
    mut config: Value,
    layers: &[NewLayer],
    annotations: Map<String, Value>,
    names: Value,
) -> Result<Digest, Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("a layer cannot be read again: {error}"));
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
    config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
    let platform = json!({ "architecture": config["architecture"], "os": config["os"] });
    let mut descriptors = Vec::new();
    for layer in layers {
        parts.layer(layer).map_err(cannot)?;
        descriptors.push(descriptor(media_type(layer.packing), &layer.digest, layer.size));
    }
    let (config, size) = parts.blob(config.to_string().into_bytes());
    let descriptor_of_config = descriptor("application/vnd.oci.image.config.v1+json", &config, size);
    let (manifest, size) = manifest_blob(parts, descriptor_of_config, descriptors, annotations);
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest, size);
    entry["platform"] = platform;
    entry["annotations"] = names;
    index(parts, vec![entry]);
    Ok(config)
}

/// The manifest alone, as a blob of the parts.
pub fn manifest_blob(
    parts: &mut Parts<'_>,
    config: Value,
    layers: Vec<Value>,
    annotations: Map<String, Value>,
) -> (Digest, u64) {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    if !annotations.is_empty() {
        manifest["annotations"] = annotations.into();
    }
    parts.blob(manifest.to_string().into_bytes())
}

/// `oci-layout` and `index.json`.
pub fn index(parts: &mut Parts<'_>, manifests: Vec<Value>) {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    parts.document("oci-layout", OCI_LAYOUT.into());
    parts.document("index.json", index.to_string().into_bytes());
}
