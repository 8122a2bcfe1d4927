//! The JSON documents of an image: index, manifest and config of the OCI image specification, and Docker's
//! `manifest.json`. Only what is needed is read; whoever writes one back edits the JSON itself, so that nothing that is
//! not known here gets lost.

use super::digest::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Media types of indexes.
pub const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// Media types of manifests.
pub const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// Whether a layer of this media type is a tar archive that can be read; the error says what it is instead.
pub fn is_layer(media_type: &str) -> Result<(), &'static str> {
    let form = LAYERS.iter().find_map(|known| media_type.strip_prefix(known));
    match form {
        Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd") => Ok(()),
        Some(form) if form.ends_with("+encrypted") => Err("it is encrypted"),
        _ => Err("its media type is unknown"),
    }
}

/// How the media types of layers begin that are tar archives, plain or compressed.
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// Media types of configs of images that run.
pub const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What points at a blob.
#[derive(Clone, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// The digest, checked.
    pub fn digest(&self) -> Result<Digest, String> {
        Digest::parse(&self.digest)
    }

    /// About the bytes that it takes in memory.
    pub fn weight(&self) -> usize {
        let texts = self.annotations.iter().flatten().map(|(name, value)| name.len() + value.len() + 64);
        std::mem::size_of::<Descriptor>() + self.media_type.len() + self.digest.len() + texts.sum::<usize>()
    }

    /// An annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// What an image runs on.
#[derive(Clone, Deserialize, PartialEq, Eq, Debug, Default)]
pub struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    /// `linux/amd64`, `linux/arm/v7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).collect::<String>();
        write!(f, "{}/{}", clean(&self.os), clean(&self.architecture))?;
        match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => write!(f, "/{}", clean(variant)),
            _ => Ok(()),
        }
    }
}

/// An index: manifests, for platforms or by name.
#[derive(Clone, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub manifests: Vec<Descriptor>,
}

/// The manifest of one image.
#[derive(Clone, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

/// The config of one image.
#[derive(Clone, Deserialize, Debug, Default)]
pub struct Config {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
    /// What a container of it runs.
    #[serde(default)]
    pub config: Option<Execution>,
    #[serde(default)]
    pub rootfs: RootFs,
}

/// What a container of an image runs.
#[derive(Clone, Deserialize, Debug, Default)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    #[serde(default)]
    pub env: Option<Vec<String>>,
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default)]
    pub cmd: Option<Vec<String>>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub working_dir: Option<String>,
}

/// The digests of the layers, unpacked.
#[derive(Clone, Deserialize, Debug, Default)]
pub struct RootFs {
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

/// One image of Docker's `manifest.json`.
#[derive(Clone, Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    pub config: String,
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    pub layers: Vec<String>,
}
