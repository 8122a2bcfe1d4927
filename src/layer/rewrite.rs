//! Makes the parts of the image that is written: changed documents, new blobs, and everything else copied as it is.

use super::edit::{Document, point_at};
use crate::failure::Failure;
use crate::image::digest::{Checked, Digest, Hasher};
use crate::image::documents::{INDEXES, MANIFESTS};
use crate::image::write::{NewLayer, Parts, Source, scratch};
use crate::image::{Blob, Image, Variant};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

/// What becomes of a variant.
pub struct Change {
    /// Its config.
    pub config: Document,
    /// Its manifest; none in a Docker archive.
    pub manifest: Option<Document>,
    /// The layer that comes on top.
    pub layer: Option<NewLayer>,
    /// The layer that goes, counted from the lowest.
    pub removed: Option<usize>,
}

/// By what a variant is known: the digest of its manifest, or in a Docker archive the path of its config.
pub fn key(variant: &Variant) -> String {
    variant.trail.last().map_or_else(|| variant.config_blob.path.clone(), |manifest| manifest.digest.clone())
}

/// All changes, by the key of the variant.
pub type Changes = BTreeMap<String, Change>;

/// What is to be written besides the changes.
pub struct Wanted<'w> {
    /// A name instead of that of the image.
    pub tag: Option<&'w str>,
    /// Only these variants, by their key; None: all that the image holds.
    pub only: Option<&'w BTreeSet<String>>,
}

/// The parts of an image in OCI form.
pub fn oci<'i>(image: &'i Image, changes: &Changes, wanted: &Wanted<'_>) -> Result<Parts<'i>, Failure> {
    let mut rewriting =
        Rewriting { image, changes, wanted, parts: Parts::default(), dropped: BTreeSet::new() };
    let layout = image.store.document("oci-layout").unwrap_or_else(|_| scratch::OCI_LAYOUT.into());
    let bytes = image.store.document("index.json").map_err(|error| rewriting.fault("index.json", error))?;
    let mut index = Document::read(&bytes).map_err(|why| rewriting.fault("index.json", why))?;
    rewriting.index(&mut index, true)?;
    for (digest, what) in &rewriting.dropped {
        log::warn!("{what} {digest} is left out: it speaks of the image as it was before");
    }
    let mut parts = rewriting.parts;
    parts.document("oci-layout", layout);
    parts.document("index.json", index.bytes());
    if image.store.has("manifest.json") {
        docker_beside_oci(image, changes, wanted, &mut parts)?;
    }
    Ok(parts)
}

struct Rewriting<'i, 'c> {
    image: &'i Image,
    changes: &'c Changes,
    wanted: &'c Wanted<'c>,
    parts: Parts<'i>,
    /// Attestations and signatures of what was changed, and what they are.
    dropped: BTreeSet<(String, &'static str)>,
}

impl<'i> Rewriting<'i, '_> {
    fn fault(&self, what: &str, why: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{}: {what}: {why}", self.image.name))
    }

    /// Edits an index, and takes over all that it leads to.
    fn index(&mut self, index: &mut Document, is_first: bool) -> Result<(), Failure> {
        let mut value = index.value.clone();
        if let Some(manifests) = value.get_mut("manifests").and_then(Value::as_array_mut) {
            let mut kept = Vec::new();
            for mut descriptor in std::mem::take(manifests) {
                if self.descriptor(&mut descriptor, is_first)? {
                    kept.push(descriptor);
                }
            }
            *manifests = kept;
        }
        if value != index.value {
            index.set(value);
        }
        Ok(())
    }

    /// Takes over what a descriptor of an index leads to, and points it at what became of that. False: it goes.
    fn descriptor(&mut self, descriptor: &mut Value, is_first: bool) -> Result<bool, Failure> {
        let text = |name: &str| descriptor.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
        let (media_type, digest) = (text("mediaType"), text("digest"));
        let blob = self.blob(descriptor)?;
        if let Some(change) = self.changes.get(&digest) {
            if let Some(manifest) = &change.manifest {
                self.variant(change, manifest)?;
                let bytes = manifest.bytes();
                if let Some(descriptor) =
                    descriptor.as_object_mut().filter(|_| manifest.digest != digest_of(&blob))
                {
                    point_at(descriptor, &manifest.digest, bytes.len() as u64);
                }
            }
        } else if INDEXES.contains(&media_type.as_str()) {
            let bytes = self.image.blob_document(&blob)?;
            let mut index = Document::read(&bytes).map_err(|why| self.fault(&digest, why))?;
            let before = index.digest.clone();
            self.index(&mut index, false)?;
            let left =
                index.value.get("manifests").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
            if !left {
                return Ok(false);
            }
            if index.digest == before {
                self.parts.at(&blob.path, Source::Bytes(bytes));
            } else {
                let (digest, size) = self.parts.blob(index.bytes());
                descriptor
                    .as_object_mut()
                    .iter_mut()
                    .for_each(|descriptor| point_at(descriptor, &digest, size));
            }
        } else if !self.other(descriptor, &media_type, blob)? {
            return Ok(false);
        }
        if let (true, Some(tag)) = (is_first, self.wanted.tag) {
            rename(descriptor, tag);
        }
        Ok(true)
    }

    /// Takes over what was not changed.
    fn other(&mut self, descriptor: &Value, media_type: &str, blob: Blob) -> Result<bool, Failure> {
        let digest = digest_of(&blob).to_string();
        // What speaks of an image that is changed, or left out.
        let goes = |of: &str| {
            self.changes.get(of).is_some_and(|change| {
                change.manifest.as_ref().is_none_or(|manifest| manifest.digest.to_string() != of)
            }) || self.wanted.only.is_some_and(|only| !only.contains(of))
        };
        let of = descriptor.pointer("/annotations/vnd.docker.reference.digest").and_then(Value::as_str);
        if of.is_some_and(goes) {
            self.dropped.insert((digest, "the attestation"));
            return Ok(false);
        }
        let is_variant = self.image.variants.iter().any(|variant| key(variant) == digest);
        if let Some(only) = self.wanted.only.filter(|_| of.is_none()) {
            if is_variant && !only.contains(&digest) || !is_variant && MANIFESTS.contains(&media_type) {
                return Ok(false);
            }
        }
        if !self.image.store.has(&blob.path) {
            // `skopeo copy` and `docker save` leave the images of other platforms out.
            return Ok(!is_variant);
        }
        if MANIFESTS.contains(&media_type) {
            let bytes = self.image.blob_document(&blob)?;
            let manifest = Document::read(&bytes).map_err(|why| self.fault(&digest, why))?;
            let subject = manifest.value.pointer("/subject/digest").and_then(Value::as_str);
            if subject.is_some_and(goes) {
                self.dropped.insert((digest, "the signature or artifact"));
                return Ok(false);
            }
            self.leads_to(&manifest.value)?;
            self.parts.at(&blob.path, Source::Bytes(bytes));
        } else {
            self.copy(blob);
        }
        Ok(true)
    }

    /// Takes over a changed variant.
    fn variant(&mut self, change: &Change, manifest: &Document) -> Result<(), Failure> {
        let again = |error: io::Error| Failure::new(format!("the layer cannot be read again: {error}"));
        if let Some(layer) = &change.layer {
            self.parts.layer(layer).map_err(again)?;
        }
        self.parts.at(&change.config.digest.blob_path(), Source::Bytes(change.config.bytes()));
        self.parts.at(&manifest.digest.blob_path(), Source::Bytes(manifest.bytes()));
        self.leads_to(&manifest.value)
    }

    /// Takes over the blobs that a manifest names.
    fn leads_to(&mut self, manifest: &Value) -> Result<(), Failure> {
        let layers =
            ["layers", "blobs"].into_iter().filter_map(|name| manifest.get(name)?.as_array()).flatten();
        for descriptor in manifest.get("config").into_iter().chain(layers) {
            let blob = self.blob(descriptor)?;
            // Layers that the image's registry may not give away are fetched from elsewhere.
            let elsewhere = descriptor.get("urls").is_some_and(|urls| !urls.is_null());
            let here = !elsewhere || self.image.store.has(&blob.path);
            if here && !self.parts.has(&blob.path) {
                self.copy(blob);
            }
        }
        Ok(())
    }

    fn copy(&mut self, blob: Blob) {
        let path = blob.path.clone();
        self.parts.at(&path, Source::Stored(&self.image.store, blob));
    }

    fn blob(&self, descriptor: &Value) -> Result<Blob, Failure> {
        let digest = descriptor.get("digest").and_then(Value::as_str).unwrap_or_default();
        let digest = Digest::parse(digest).map_err(|why| self.fault("a descriptor", why))?;
        let size = descriptor.get("size").and_then(Value::as_u64);
        Ok(Blob { path: digest.blob_path(), digest: Some(digest), size })
    }
}

fn digest_of(blob: &Blob) -> Digest {
    blob.digest.clone().unwrap_or_else(|| Digest::of(&[]))
}

/// Gives the image of a descriptor another name.
fn rename(descriptor: &mut Value, name: &str) {
    let Some(annotations) = descriptor.as_object_mut() else { return };
    let annotations = annotations.entry("annotations").or_insert_with(|| json!({}));
    // Docker's, and containerd's, have the whole name here and the tag alone there.
    let full = annotations.get("io.containerd.image.name").is_some();
    annotations["org.opencontainers.image.ref.name"] = if full { tag_of(name) } else { name }.into();
    if full {
        annotations["io.containerd.image.name"] = full_name(name).into();
    }
}

/// `debian:7` -> `7`.
fn tag_of(name: &str) -> &str {
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or("latest", |(_, tag)| tag)
}

/// `debian` -> `docker.io/library/debian:latest`.
fn full_name(name: &str) -> String {
    let name = if tag_of(name) == "latest" && !name.ends_with(":latest") {
        format!("{name}:latest")
    } else {
        name.to_string()
    };
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name,
        Some(_) => format!("docker.io/{name}"),
    }
}

/// `docker.io/library/debian:7` -> `debian:7`, as `RepoTags` have it; what is no more than a tag is no name.
pub fn repo_tag(reference: &str) -> Option<String> {
    let name = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let name = name.strip_prefix("library/").unwrap_or(name);
    (name.contains(':') || reference.contains('/')).then(|| {
        let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        if tagged { name.to_string() } else { format!("{name}:latest") }
    })
}

/// The `manifest.json` that Docker writes beside an OCI index since 2024: kept in step with it.
fn docker_beside_oci(
    image: &Image,
    changes: &Changes,
    wanted: &Wanted<'_>,
    parts: &mut Parts<'_>,
) -> Result<(), Failure> {
    let fault = |why: String| Failure::new(format!("{}: manifest.json: {why}", image.name));
    let bytes = image.store.document("manifest.json").map_err(|error| fault(error.to_string()))?;
    let mut entries: Value = serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
    let list = entries.as_array_mut().ok_or_else(|| fault("it is no list".to_string()))?;
    list.retain_mut(|entry| {
        let Some(config) = entry.get("Config").and_then(Value::as_str) else { return false };
        let variant = image.variants.iter().find(|variant| variant.config_blob.path == config);
        let Some(variant) = variant else { return parts.has(config) };
        let key = key(variant);
        if wanted.only.is_some_and(|only| !only.contains(&key)) {
            return false;
        }
        if let Some(change) = changes.get(&key) {
            change_entry(entry, change, &change.config.digest.blob_path(), |layer| layer.digest.blob_path());
        }
        if let Some(tag) = wanted.tag {
            entry["RepoTags"] = json!([tag]);
        }
        true
    });
    parts.document("manifest.json", entries.to_string().into_bytes());
    Ok(())
}

/// Edits an entry of `manifest.json`.
fn change_entry(entry: &mut Value, change: &Change, config: &str, layer_path: impl Fn(&NewLayer) -> String) {
    entry["Config"] = config.into();
    let mut gone = None;
    if let Some(layers) = entry.get_mut("Layers").and_then(Value::as_array_mut) {
        gone = change.removed.filter(|&at| at < layers.len()).map(|at| layers.remove(at));
        layers.extend(change.layer.iter().map(|layer| layer_path(layer).into()));
    }
    // Docker tells of its layers here, by their unpacked digest.
    if let Some(sources) = entry.get_mut("LayerSources").and_then(Value::as_object_mut) {
        let gone = gone.as_ref().and_then(Value::as_str).unwrap_or_default();
        let hex = gone.rsplit('/').next().unwrap_or_default();
        let digest = format!("sha256:{hex}");
        sources.retain(|_, source| source.get("digest").and_then(Value::as_str) != Some(digest.as_str()));
        if let Some(layer) = &change.layer {
            let media_type = scratch::media_type(layer.packing);
            sources.insert(
                layer.diff_id.to_string(),
                scratch::descriptor(media_type, &layer.digest, layer.size),
            );
        }
    }
}

/// Adds the `manifest.json` of Docker to the parts of an image in OCI form that has none.
pub fn add_docker(
    image: &Image,
    parts: &mut Parts<'_>,
    changes: &Changes,
    wanted: &Wanted<'_>,
) -> Result<(), Failure> {
    let mut entries: Vec<Value> = Vec::new();
    let mut platforms = BTreeSet::new();
    for variant in &image.variants {
        let key = key(variant);
        if wanted.only.is_some_and(|only| !only.contains(&key)) {
            continue;
        }
        platforms.insert(variant.platform.to_string());
        let mut layers: Vec<String> = variant.layers.iter().map(|layer| layer.blob.path.clone()).collect();
        let mut config = variant.config_blob.path.clone();
        if let Some(change) = changes.get(&key) {
            config = change.config.digest.blob_path();
            change.removed.filter(|&at| at < layers.len()).map(|at| layers.remove(at));
            layers.extend(change.layer.iter().map(|layer| layer.digest.blob_path()));
        }
        let tag = wanted.tag.map(str::to_string).or_else(|| repo_tag(variant.reference.as_deref()?));
        let present = entries.iter_mut().find(|entry| entry["Config"].as_str() == Some(config.as_str()));
        match (present, tag) {
            (None, tag) => entries.push(json!({
                "Config": config,
                "RepoTags": tag.map_or(Value::Null, |tag| json!([tag])),
                "Layers": layers,
            })),
            (Some(present), Some(tag)) => match present["RepoTags"].as_array_mut() {
                Some(tags) if tags.contains(&tag.as_str().into()) => {}
                Some(tags) => tags.push(tag.into()),
                None => present["RepoTags"] = json!([tag]),
            },
            (Some(_), None) => {}
        }
    }
    if platforms.len() > 1 {
        let platforms: Vec<String> = platforms.into_iter().collect();
        return Err(Failure::new(format!(
            "{} holds images for {}, and a Docker archive is for one platform: choose with --platform",
            image.name,
            platforms.join(", ")
        )));
    }
    parts.document("manifest.json", Value::from(entries).to_string().into_bytes());
    Ok(())
}

/// The parts of a Docker archive. What only Docker before 1.10 read (`repositories`, a `json` a layer) is left out: it
/// describes the image as it was.
pub fn docker<'i>(image: &'i Image, changes: &Changes, wanted: &Wanted<'_>) -> Result<Parts<'i>, Failure> {
    let fault = |what: &str, why: String| Failure::new(format!("{}: {what}: {why}", image.name));
    let bytes = image.store.document("manifest.json");
    let bytes = bytes.map_err(|error| fault("manifest.json", error.to_string()))?;
    let entries: Value =
        serde_json::from_slice(&bytes).map_err(|error| fault("manifest.json", error.to_string()))?;
    let mut parts = Parts::default();
    let mut kept = Vec::new();
    let entries = entries.as_array().cloned().unwrap_or_default();
    for (mut entry, variant) in entries.into_iter().zip(&image.variants) {
        let key = key(variant);
        if wanted.only.is_some_and(|only| !only.contains(&key)) {
            continue;
        }
        // A layer that is only a link to another one's file goes by that file's name.
        let mut paths = Vec::new();
        for layer in &variant.layers {
            let path = image.store.real_name(&layer.blob.path);
            paths.push(path.ok_or_else(|| fault(&layer.blob.name(), "it is missing".to_string()))?);
        }
        entry["Layers"] = json!(paths);
        match changes.get(&key) {
            None => parts.at(&variant.config_blob.path, stored(image, &variant.config_blob.path)),
            Some(change) => {
                let config = format!("{}.json", change.config.digest.hex());
                change_entry(&mut entry, change, &config, |layer| format!("{}.tar", layer.digest.hex()));
                parts.at(&config, Source::Bytes(change.config.bytes()));
                if let Some(layer) = &change.layer {
                    let file =
                        layer.file.try_clone().map_err(|error| fault("the layer", error.to_string()))?;
                    parts.at(&format!("{}.tar", layer.digest.hex()), Source::File(file, layer.size));
                }
                change.removed.filter(|&at| at < paths.len()).map(|at| paths.remove(at));
            }
        }
        for path in paths {
            parts.at(&path, stored(image, &path));
        }
        if let Some(tag) = wanted.tag {
            entry["RepoTags"] = json!([tag]);
        }
        kept.push(entry);
    }
    parts.document("manifest.json", Value::from(kept).to_string().into_bytes());
    Ok(parts)
}

fn stored<'i>(image: &'i Image, path: &str) -> Source<'i> {
    Source::Stored(&image.store, Blob { path: path.to_string(), digest: None, size: None })
}

/// The parts of an OCI image made from a Docker archive. Its layers have no digest there as they are packed: each is
/// read once more for it.
pub fn docker_to_oci<'i>(
    image: &'i Image,
    changes: &Changes,
    wanted: &Wanted<'_>,
    progress: &ProgressBar,
) -> Result<Parts<'i>, Failure> {
    let mut parts = Parts::default();
    let mut entries = Vec::new();
    for variant in &image.variants {
        let key = key(variant);
        if wanted.only.is_some_and(|only| !only.contains(&key)) {
            continue;
        }
        let change = changes.get(&key);
        let config = match change {
            Some(change) => change.config.bytes(),
            None => image.blob_document(&variant.config_blob)?,
        };
        let mut layers = Vec::new();
        for (number, layer) in variant.layers.iter().enumerate() {
            if change.is_some_and(|change| change.removed == Some(number)) {
                continue;
            }
            let fault = |error: io::Error| {
                Failure::new(format!("{}: {}: {error}", image.name, image.layer_name(variant, number)))
            };
            let (digest, size, media_type) =
                digest_of_file(image, &layer.blob.path, progress).map_err(fault)?;
            let blob = Blob { path: layer.blob.path.clone(), digest: Some(digest.clone()), size: Some(size) };
            parts.at(&digest.blob_path(), Source::Stored(&image.store, blob));
            layers.push(scratch::descriptor(media_type, &digest, size));
        }
        if let Some(layer) = change.and_then(|change| change.layer.as_ref()) {
            parts.layer(layer).map_err(|error| Failure::new(format!("the layer: {error}")))?;
            layers.push(scratch::descriptor(scratch::media_type(layer.packing), &layer.digest, layer.size));
        }
        let (digest, size) = parts.blob(config);
        let config = scratch::descriptor("application/vnd.oci.image.config.v1+json", &digest, size);
        let platform = json!({ "architecture": variant.config.architecture, "os": variant.config.os });
        let (digest, size) = scratch::manifest_blob(&mut parts, config, layers, serde_json::Map::new());
        let mut entry = scratch::descriptor("application/vnd.oci.image.manifest.v1+json", &digest, size);
        entry["platform"] = platform;
        let tags = variant.references.clone();
        let tags = wanted.tag.map_or(tags, |tag| vec![tag.to_string()]);
        if tags.is_empty() {
            entries.push(entry.clone());
        }
        for tag in tags {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
            entries.push(entry.clone());
        }
    }
    scratch::index(&mut parts, entries);
    Ok(parts)
}

/// The digest of a file of the store, its bytes, and the media type that it has as a layer.
fn digest_of_file(
    image: &Image,
    path: &str,
    progress: &ProgressBar,
) -> io::Result<(Digest, u64, &'static str)> {
    let open = image.store.open(path)?;
    let mut bytes = Checked::new(progress.wrap_read(open.bytes), None, Some(open.size));
    let mut head = Vec::new();
    (&mut bytes).take(4).read_to_end(&mut head)?;
    let media_type = match head.as_slice() {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    };
    let mut hasher = Hasher::default();
    hasher.update(&head);
    io::copy(&mut bytes, &mut Feed(&mut hasher))?;
    Ok((hasher.digest(), open.size, media_type))
}

struct Feed<'h>(&'h mut Hasher);

impl Write for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
