//! evercall as an image from scratch, for `COPY --from=evercall / /`: the folder of libraries, the static command, and the
//! licences. Written as `docker save` writes one: an OCI layout in an archive, with a `manifest.json` beside it.

use crate::failure::Failure;
use crate::image::Form;
use crate::image::write::scratch;
use crate::image::write::{self, Content, LayerBuilder, NewLayer, Packing, Parts};
use crate::libraries::{self, Thing};
use crate::options::ImageOptions;
use crate::program::{self, Kind, Loading};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::slice;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name that it is loaded under.
const NAME: &str = "evercall";
const TAG: &str = "latest";

/// Writes the image.
pub fn make(options: &ImageOptions) -> Result<(), Failure> {
    let library = fs::read(&options.library)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", options.library.display())))?;
    // From scratch: there is no loader for a dynamic one.
    match program::kind(&options.command) {
        Ok(Kind::Elf(elf)) if elf.loading == Loading::Static => {}
        _ => {
            return Err(Failure::new(format!(
                "{} is no static program: make command builds one",
                options.command.display()
            )));
        }
    }
    let time = write::source_date()?;
    let mut layer = LayerBuilder::new(time.unwrap_or(0));
    layer.file(Path::new("/usr/bin/evercall"), 0o755, Content::File(options.command.clone()));
    let folder = Path::new(libraries::HOME);
    for (path, thing) in libraries::folder(&library) {
        match thing {
            Thing::File(bytes, mode) => {
                layer.file(&folder.join(path), mode, Content::Bytes(bytes.into_owned()));
            }
            Thing::Link(target) => layer.symlink(&folder.join(path), Path::new(&target)),
        }
    }
    for file in &options.licences {
        let name = file.file_name().ok_or_else(|| Failure::new(format!("{} is no file", file.display())))?;
        let path = Path::new("/usr/share/doc/evercall").join(name);
        layer.file(&path, 0o644, Content::File(file.clone()));
    }
    let layer = layer.finish(Packing::Gzip)?;

    let parts = assemble(&layer, labels(options), time)?;
    write::write(Form::OciArchive, &options.output, options.force, &parts, &ProgressBar::hidden())
}

/// Config, manifest and index above the layer, and what Docker reads.
fn assemble(
    layer: &NewLayer,
    labels: Map<String, Value>,
    time: Option<u64>,
) -> Result<Parts<'static>, Failure> {
    let mut config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": ["/usr/bin/evercall"],
            "Cmd": ["--help"],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "history": [{ "created_by": "evercall generate image" }],
    });
    if let Some(time) = time.map(write::date) {
        config["created"] = json!(time);
        config["history"][0]["created"] = json!(time);
    }
    // Docker with containerd's store reads the first, as podman does; skopeo and umoci the second.
    let names = json!({
        "io.containerd.image.name": format!("docker.io/library/{NAME}:{TAG}"),
        "org.opencontainers.image.ref.name": TAG,
    });
    let mut parts = Parts::default();
    let config = scratch::image(&mut parts, config, slice::from_ref(layer), labels, names)?;
    // All that Docker reads with its older store.
    let docker = json!([{
        "Config": config.blob_path(),
        "RepoTags": [format!("{NAME}:{TAG}")],
        "Layers": [layer.digest.blob_path()],
    }]);
    parts.document("manifest.json", docker.to_string().into_bytes());
    Ok(parts)
}

/// What the image says of itself, as labels and as annotations.
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>)
fn labels(options: &ImageOptions) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut add = |name: &str, value: &str| {
        labels.insert(format!("org.opencontainers.image.{name}"), value.into());
    };
    add("title", "evercall");
    add("description", "Old system calls, kept working: the library for LD_PRELOAD, and the command");
    add("version", VERSION);
    add("licenses", "MIT OR Apache-2.0");
    for (name, value) in [("revision", &options.revision), ("source", &options.source)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            add(name, value);
        }
    }
    labels
}
