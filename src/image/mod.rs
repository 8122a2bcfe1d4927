//! Container images as they lie on a disk or come through a pipe: OCI layouts (directories), OCI and Docker archives
//! (`skopeo copy`, `docker save`, `podman save`), plain or compressed as a whole.
//!
//! An image is hostile input. Nothing is unpacked to a disk; documents and names are bounded ([`Limits`]); every blob
//! that is read is held against its digest; what is wrong is an error that names the blob or the layer and the path.
//! The source is only read.

pub mod compression;
pub mod digest;
pub mod documents;
mod limits;
mod paths;
pub mod root;
#[cfg(test)]
mod squash_tests;
pub mod store;
pub mod tar_entries;
mod tar_header;
mod tar_sparse;
#[cfg(any(test, fuzzing))]
pub mod testing;
pub mod tree;
pub mod write;
#[cfg(test)]
mod writers_tests;

pub use limits::Limits;

use crate::failure::Failure;
use digest::{Checked, Digest};
use documents::{Config, Descriptor, DockerManifest, Index, Manifest, Platform};
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::Path;
use store::{Archive, Store};
use tar_entries::shown;

/// The form of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A directory with `oci-layout` and `index.json`.
    OciLayout,
    /// A tar archive of such a directory. Docker's since 2024 holds a `manifest.json` beside it.
    OciArchive,
    /// A tar archive with `manifest.json` alone.
    DockerArchive,
}

/// An image, or several under one roof: of different names, or for different platforms.
#[derive(Debug)]
pub struct Image {
    /// What it was opened as, for messages.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Where its blobs lie.
    pub store: Store,
    /// Every image that can run, in the order of the index.
    pub variants: Vec<Variant>,
    /// What else the index leads to and is no image that can run: attestations, artifacts.
    pub others: Vec<Other>,
    /// Bytes of all documents read so far.
    documents: u64,
}

/// What is no image that can run.
#[derive(Clone, Debug)]
pub struct Other {
    /// What it is.
    pub what: String,
}

/// One image for one platform.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name: a reference such as `docker.io/library/debian:7`, where one is given.
    pub reference: Option<String>,
    /// All names that it has in a Docker archive (`RepoTags`); else the one, if there is one.
    pub references: Vec<String>,
    /// What it runs on.
    pub platform: Platform,
    /// The blobs of the indexes that lead to its manifest, from `index.json` (not among them) down, and the manifest's
    /// own; none in a Docker archive.
    pub trail: Vec<Descriptor>,
    /// Where its config lies.
    pub config_blob: Blob,
    /// What it says.
    pub config: Config,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// A file of the store, and what it must be.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its path in the store.
    pub path: String,
    /// Its digest, where that is given.
    pub digest: Option<Digest>,
    /// Its bytes, where that is given.
    pub size: Option<u64>,
}

impl Blob {
    /// What a descriptor points at.
    pub fn of(descriptor: &Descriptor) -> Result<Blob, String> {
        let digest = descriptor.digest()?;
        Ok(Blob { path: digest.blob_path(), digest: Some(digest), size: Some(descriptor.size) })
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        self.digest.as_ref().map_or_else(|| shown(Path::new(&self.path)), Digest::to_string)
    }
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where it lies.
    pub blob: Blob,
    /// The digest of what it is unpacked, where the config gives it.
    pub diff_id: Option<Digest>,
}

impl Image {
    /// Whether a file or directory is an image: what is neither a layout nor an archive is none.
    pub fn is_layout(path: &Path) -> bool {
        path.join("oci-layout").is_file() && path.join("index.json").is_file()
    }

    /// Opens an OCI layout or an archive; `-` is an archive on standard input. Documents are read and checked; layers
    /// are not.
    pub fn open(path: &Path, limits: &Limits, progress: &ProgressBar) -> Result<Image, Failure> {
        if path.as_os_str() == "-" {
            let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let file =
                stdin.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
            return Image::archive(file, "standard input", limits, progress);
        }
        let name = shown(path);
        let cannot = |error: io::Error| Failure::new(format!("{name} cannot be read: {error}"));
        let metadata = path.metadata().map_err(cannot)?;
        if metadata.is_dir() {
            if !Image::is_layout(path) {
                return Err(Failure::new(format!(
                    "{name} is no image: a directory with \"oci-layout\" and \"index.json\" is one (skopeo copy ... oci:DIRECTORY)"
                )));
            }
            return Image::documents(Store::Directory(path.to_path_buf()), Form::OciLayout, name);
        }
        let file = File::open(path).map_err(cannot)?;
        Image::archive(file, &name, limits, progress)
    }

    fn archive(file: File, name: &str, limits: &Limits, progress: &ProgressBar) -> Result<Image, Failure> {
        let archive = Archive::open(file, limits, progress)
            .map_err(|error| Failure::new(format!("{name} cannot be read as an image: {error}")))?;
        let store = Store::Archive(archive);
        let form = if store.has("index.json") {
            Form::OciArchive
        } else if store.has("manifest.json") {
            Form::DockerArchive
        } else {
            return Err(Failure::new(format!(
                "{name} is no image: it holds neither \"index.json\" (an OCI archive) nor \"manifest.json\" (docker save, podman save)"
            )));
        };
        Image::documents(store, form, name.to_string())
    }

    fn documents(store: Store, form: Form, name: String) -> Result<Image, Failure> {
        let mut image = Image { name, form, store, variants: Vec::new(), others: Vec::new(), documents: 0 };
        if form == Form::DockerArchive {
            image.read_docker()?;
        } else {
            let bytes = image.document("index.json")?;
            image.spend(bytes.len())?;
            let index: Index = image.json("index.json", &bytes)?;
            image.read_index(index, &[], None)?;
        }
        if image.variants.is_empty() {
            let others: Vec<&str> = image.others.iter().map(|other| other.what.as_str()).take(10).collect();
            let only =
                if others.is_empty() { String::new() } else { format!(", only: {}", others.join(", ")) };
            return Err(Failure::new(format!("{} holds no image that can run{only}", image.name)));
        }
        Ok(image)
    }

    fn fault(&self, what: &str, why: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{}: {what}: {why}", self.name))
    }

    fn document(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.store.document(path).map_err(|error| self.fault(path, missing(error)))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.fault(what, format!("it is not the document it should be: {error}")))
    }

    /// Counts what documents cost. Few bytes of an archive can stand for many: by compression, by one blob that a
    /// thousand images share, by indexes that name one another many times.
    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        self.documents = self.documents.saturating_add(bytes as u64);
        if self.documents > limits::DOCUMENTS {
            let why = format!("its documents have more than {} bytes together", limits::DOCUMENTS);
            return Err(Failure::new(format!("{}: {why}", self.name)));
        }
        Ok(())
    }

    /// A document that is a blob, held against its digest.
    pub fn blob_document(&self, blob: &Blob) -> Result<Vec<u8>, Failure> {
        let bytes =
            self.store.document(&blob.path).map_err(|error| self.fault(&blob.name(), missing(error)))?;
        Checked::new(&bytes[..], blob.digest.clone(), blob.size)
            .finish()
            .map_err(|error| self.fault(&blob.name(), error))?;
        Ok(bytes)
    }

    fn read_index(
        &mut self,
        index: Index,
        trail: &[Descriptor],
        reference: Option<&str>,
    ) -> Result<(), Failure> {
        if trail.len() > limits::NESTING {
            return Err(self.fault("index.json", "indexes within indexes, too deep"));
        }
        for descriptor in index.manifests {
            if self.variants.len() + self.others.len() >= limits::MANIFESTS {
                return Err(self.fault("index.json", format!("more than {} images", limits::MANIFESTS)));
            }
            let name = descriptor
                .annotation("io.containerd.image.name")
                .or_else(|| descriptor.annotation("org.opencontainers.image.ref.name"))
                .or(reference)
                .map(str::to_string);
            let mut trail = trail.to_vec();
            trail.push(descriptor.clone());
            self.spend(trail.iter().map(Descriptor::weight).sum())?;
            let blob = Blob::of(&descriptor).map_err(|why| self.fault("a descriptor of the index", why))?;
            let media_type = descriptor.media_type.as_str();
            if documents::INDEXES.contains(&media_type) {
                let bytes = self.blob_document(&blob)?;
                self.spend(bytes.len())?;
                let index: Index = self.json(&blob.name(), &bytes)?;
                self.read_index(index, &trail, name.as_deref())?;
            } else if documents::MANIFESTS.contains(&media_type) {
                self.read_manifest(&blob, trail, name)?;
            } else {
                let what = format!("media type {}", shown(Path::new(media_type)));
                self.others.push(Other { what });
            }
        }
        Ok(())
    }

    fn read_manifest(
        &mut self,
        blob: &Blob,
        trail: Vec<Descriptor>,
        reference: Option<String>,
    ) -> Result<(), Failure> {
        let Some(descriptor) = trail.last().cloned() else { return Ok(()) };
        // `docker save` and `skopeo copy` keep the index of all platforms, and the blobs of one.
        if !self.store.has(&blob.path) {
            let platform =
                descriptor.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
            self.others.push(Other { what: format!("an image{platform} that is not here") });
            return Ok(());
        }
        let bytes = self.blob_document(blob)?;
        self.spend(bytes.len())?;
        let manifest: Manifest = self.json(&blob.name(), &bytes)?;
        // Attestations are manifests for the platform unknown/unknown; artifacts have a config of their own kind.
        let attestation = descriptor.annotation("vnd.docker.reference.type").is_some();
        if attestation || !documents::CONFIGS.contains(&manifest.config.media_type.as_str()) {
            let what = if attestation { "attestation" } else { "artifact" };
            self.others.push(Other { what: what.to_string() });
            return Ok(());
        }
        let of_manifest = |why: String| Failure::new(format!("{}: {}: {why}", self.name, blob.name()));
        let config_blob = Blob::of(&manifest.config).map_err(of_manifest)?;
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            if let Err(why) = documents::is_layer(&layer.media_type) {
                let media_type = shown(Path::new(&layer.media_type));
                let what = format!("layer {}", shown(Path::new(&layer.digest)));
                return Err(self.fault(&what, format!("{why}: \"{media_type}\"")));
            }
            let blob = Blob::of(layer).map_err(of_manifest)?;
            if layer.media_type.ends_with("+encrypted") {
                return Err(self.fault(&blob.name(), "the layer is encrypted: decrypt the image first"));
            }
            layers.push(Layer { blob, diff_id: None });
        }
        self.add(reference.into_iter().collect(), descriptor.platform, trail, config_blob, layers)
    }

    fn read_docker(&mut self) -> Result<(), Failure> {
        let bytes = self.document("manifest.json")?;
        self.spend(bytes.len())?;
        let manifests: Vec<DockerManifest> = self.json("manifest.json", &bytes)?;
        if manifests.len() > limits::MANIFESTS {
            return Err(self.fault("manifest.json", format!("more than {} images", limits::MANIFESTS)));
        }
        for manifest in manifests {
            let blob = |path: String| Blob { path, digest: None, size: None };
            let layers = manifest.layers.into_iter();
            let layers = layers.map(|path| Layer { blob: blob(path), diff_id: None }).collect();
            let references = manifest.repo_tags.unwrap_or_default();
            self.add(references, None, Vec::new(), blob(manifest.config), layers)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        references: Vec<String>,
        platform: Option<Platform>,
        trail: Vec<Descriptor>,
        config_blob: Blob,
        mut layers: Vec<Layer>,
    ) -> Result<(), Failure> {
        let bytes = self.blob_document(&config_blob)?;
        self.spend(bytes.len())?;
        let config: Config = self.json(&config_blob.name(), &bytes)?;
        let what = config_blob.name();
        if layers.len() > limits::LAYERS {
            return Err(self.fault(&what, format!("{} layers", layers.len())));
        }
        if config.rootfs.diff_ids.len() != layers.len() {
            let ids = config.rootfs.diff_ids.len();
            return Err(self.fault(&what, format!("it names {ids} layers, the manifest {}", layers.len())));
        }
        for (layer, id) in layers.iter_mut().zip(&config.rootfs.diff_ids) {
            layer.diff_id = Some(Digest::parse(id).map_err(|why| self.fault(&what, why))?);
        }
        let platform = platform.unwrap_or_else(|| Platform {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
        });
        let reference = references.first().cloned();
        self.variants.push(Variant { reference, references, platform, trail, config_blob, config, layers });
        Ok(())
    }

    /// The bytes of a layer as they lie there, held against its digest and size.
    pub fn layer_bytes(&self, layer: &Layer) -> Result<Checked<Box<dyn Read + Send>>, Failure> {
        let open = self
            .store
            .open(&layer.blob.path)
            .map_err(|error| self.fault(&layer.blob.name(), missing(error)))?;
        Ok(Checked::new(open.bytes, layer.blob.digest.clone(), layer.blob.size))
    }

    /// How messages name a layer: `layer 3 of 5 (sha256:...)`.
    pub fn layer_name(&self, variant: &Variant, number: usize) -> String {
        let blob = variant.layers.get(number).map(|layer| layer.blob.name()).unwrap_or_default();
        format!("layer {} of {} ({blob})", number + 1, variant.layers.len())
    }
}

impl Variant {
    /// The variant's root, for [`root::walk`].
    pub fn root<'a>(&'a self, image: &'a Image) -> root::Root<'a> {
        root::Root::Image(image, self)
    }
}

fn missing(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "it is missing".to_string() } else { error.to_string() }
}
