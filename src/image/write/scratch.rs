//! Images from their config and layers alone.

#[cfg(test)]
use super::layer::NewLayer;
use super::layer::Packing;
use super::output::Parts;
#[cfg(test)]
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
/// the parts. `config` gets its `rootfs`; `annotations` are those of the manifest; `name` becomes
/// `org.opencontainers.image.ref.name`. Gives the digest of the manifest.
#[cfg(test)]
pub fn image(
    parts: &mut Parts<'_>,
    mut config: Value,
    layers: &[NewLayer],
    annotations: Map<String, Value>,
    name: Option<&str>,
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
    let (digest, size) = parts.blob(config.to_string().into_bytes());
    let config = descriptor("application/vnd.oci.image.config.v1+json", &digest, size);
    manifest(parts, config, descriptors, annotations, platform, name)
}

/// The manifest and index above a config and layers that are in the parts, or will be.
#[cfg(test)]
pub fn manifest(
    parts: &mut Parts<'_>,
    config: Value,
    layers: Vec<Value>,
    annotations: Map<String, Value>,
    platform: Value,
    name: Option<&str>,
) -> Result<Digest, Failure> {
    let (digest, size) = manifest_blob(parts, config, layers, annotations);
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &digest, size);
    entry["platform"] = platform;
    if let Some(name) = name {
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    }
    index(parts, vec![entry]);
    Ok(digest)
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
