//! evercall as an image from scratch, for `COPY --from=evercall / /`: the folder of libraries, the static command, and the
//! licences. Written as `docker save` writes one: an OCI layout in an archive, with a `manifest.json` beside it.

use crate::failure::Failure;
use crate::image::Form;
use crate::image::write::scratch::{self, descriptor};
use crate::image::write::{self, Content, LayerBuilder, NewLayer, Packing, Parts};
use crate::libraries::{self, Thing};
use crate::options::ImageOptions;
use crate::program::{self, Kind, Loading};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

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

/// Config, manifest and index above the layer.
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
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
        "history": [{ "created_by": "evercall generate image" }],
    });
    if let Some(time) = time.map(date) {
        config["created"] = json!(time);
        config["history"][0]["created"] = json!(time);
    }
    let mut parts = Parts::default();
    parts.layer(layer).map_err(|error| Failure::new(format!("the layer cannot be read again: {error}")))?;
    let (config, size) = parts.blob(config.to_string().into_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config, size),
        "layers": [descriptor(scratch::media_type(layer.packing), &layer.digest, layer.size)],
        "annotations": labels,
    });
    let (manifest, size) = parts.blob(manifest.to_string().into_bytes());
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest, size);
    entry["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    // Docker with containerd's store reads the first, as podman does; skopeo and umoci the second.
    entry["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{NAME}:{TAG}"),
        "org.opencontainers.image.ref.name": TAG,
    });
    scratch::index(&mut parts, vec![entry]);
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

/// A time in the form of RFC 3339, from seconds since 1970.
fn date(seconds: u64) -> String {
    const DAY: u64 = 86400;
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut days, second) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u -d @SECONDS +%FT%TZ` has them.
    #[test]
    fn dates_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_888_783, "2026-11-28T17:59:43Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
