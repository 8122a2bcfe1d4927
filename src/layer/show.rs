//! `evercall layer --show`: what an image carries.

use super::edit::label;
use super::loaders::Abi;
use super::names;
use super::options::{LayerOptions, ShowFormat};
use super::{of_platform, title};
use crate::failure::Failure;
use crate::image::digest::{Digest, Hasher};
use crate::image::root::walk;
use crate::image::tar_entries::{Kind, shown};
use crate::image::{Image, Limits, Variant};
use crate::output;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A file of evercall's in an image.
struct Found {
    abi: Option<Abi>,
    digest: Digest,
}

/// The libraries in a root, by path.
type Libraries = BTreeMap<PathBuf, Found>;

/// Prints what the variants of an image carry.
pub fn show(
    image: &Image,
    options: &LayerOptions,
    limits: &Limits,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let only = options.platform.as_deref().map(|platform| of_platform(image, platform)).transpose()?;
    let mut documents = Vec::new();
    let mut text = String::new();
    for variant in &image.variants {
        if only.as_ref().is_some_and(|only| !only.contains(&super::rewrite::key(variant))) {
            continue;
        }
        let document = document(image, variant, limits, progress)?;
        people(&mut text, &title(image, variant), &document);
        documents.push(document);
    }
    progress.finish_and_clear();
    match options.format {
        ShowFormat::Table => output::print(&text),
        ShowFormat::Json => {
            let document = json!({ "image": image.name, "images": documents });
            let text = serde_json::to_string_pretty(&document);
            let text = text.map_err(|error| Failure::new(format!("no JSON could be made: {error}")))?;
            output::print(&format!("{text}\n"))
        }
    }
}

/// One variant as JSON; `evercall` is null where it carries none.
fn document(
    image: &Image,
    variant: &Variant,
    limits: &Limits,
    progress: &ProgressBar,
) -> Result<Value, Failure> {
    let bytes = image.blob_document(&variant.config_blob)?;
    let config: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("{}: {error}", variant.config_blob.name())))?;
    let manifest = variant.trail.last().map(|descriptor| descriptor.digest.clone());
    let mut document = json!({
        "reference": variant.reference,
        "platform": variant.platform.to_string(),
        "manifest": manifest,
        "evercall": null,
    });
    let (Some(version), Some(layer)) = (label(&config, names::VERSION), label(&config, names::LAYER)) else {
        return Ok(document);
    };
    let at = variant
        .layers
        .iter()
        .rposition(|known| known.diff_id.as_ref().is_some_and(|diff_id| diff_id.to_string() == layer));
    // The layer by itself tells what was put in; the root, what upper layers left of it.
    let brought = match at {
        Some(at) => {
            let mut alone = variant.clone();
            alone.layers = alone.layers.drain(at..=at).collect();
            libraries(image, &alone, limits, progress)?
        }
        None => Libraries::new(),
    };
    let there = libraries(image, variant, limits, progress)?;
    let mut list = Vec::new();
    for (path, found) in &brought {
        let intact = there.get(path).is_some_and(|now| now.digest == found.digest);
        list.push(json!({
            "path": shown(path),
            "abi": found.abi.map(|abi| abi.to_string()),
            "digest": found.digest,
            "intact": intact,
        }));
    }
    let load: Vec<&str> = label(&config, names::LOAD).unwrap_or_default().split(',').collect();
    let environment = super::edit::variable(&config, "LD_PRELOAD");
    let preload = label(&config, names::PRELOAD);
    let set =
        environment.zip(preload).is_some_and(|(list, path)| list.split([':', ' ']).any(|one| one == path));
    document["evercall"] = json!({
        "version": version,
        "layer": { "diff_id": layer, "number": at.map(|at| at + 1), "of": variant.layers.len(), "present": at.is_some() },
        "load": load,
        "preload": preload,
        "ld_preload": environment,
        "ld_preload_intact": if load.contains(&"env") { Value::from(set) } else { Value::Null },
        "libraries": list,
        "privileged_programs": label(&config, names::PRIVILEGED),
        "self_test": label(&config, names::SELF_TEST),
        "static_programs": label(&config, names::STATIC),
        "base": { "manifest": label(&config, names::BASE_LABEL), "config": label(&config, names::BASE_CONFIG) },
    });
    Ok(document)
}

fn libraries(
    image: &Image,
    variant: &Variant,
    limits: &Limits,
    progress: &ProgressBar,
) -> Result<Libraries, Failure> {
    let mut found = Libraries::new();
    super::start(progress, "looking through", variant.root(image).packed_size());
    walk(variant.root(image), limits, progress, &mut |entry, content| {
        if entry.kind != Kind::File || entry.path.file_name() != Some(names::LIBRARY.as_ref()) {
            return Ok(());
        }
        let cannot = |error| Failure::new(format!("{}: {error}", shown(&entry.path)));
        let (mut hasher, mut head, mut buffer) = (Hasher::default(), Vec::new(), vec![0; 64 << 10]);
        loop {
            let length = content.read(&mut buffer).map_err(cannot)?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            let missing = 20_usize.saturating_sub(head.len());
            head.extend(bytes.iter().take(missing));
        }
        found.insert(entry.path.clone(), Found { abi: Abi::of(&head), digest: hasher.digest() });
        Ok(())
    })?;
    Ok(found)
}

/// The same for people.
fn people(text: &mut String, title: &str, document: &Value) {
    let carried = &document["evercall"];
    let word = |value: &Value| match value {
        Value::String(text) => shown(Path::new(text)),
        Value::Null => "not known".to_string(),
        other => other.to_string(),
    };
    if carried.is_null() {
        let _ = writeln!(text, "{title}: carries no layer of evercall");
        return;
    }
    let _ = writeln!(text, "{title}: evercall {}", word(&carried["version"]));
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:<12} {value}");
    };
    let layer = &carried["layer"];
    if layer["present"] == true {
        line("layer", format!("{} of {}, {}", layer["number"], layer["of"], word(&layer["diff_id"])));
    } else {
        line("layer", format!("{} is not there: the layers were squashed", word(&layer["diff_id"])));
    }
    let load: Vec<String> = carried["load"].as_array().into_iter().flatten().map(word).collect();
    line("loaded by", format!("{}: {}", load.join(", "), word(&carried["preload"])));
    if carried["ld_preload_intact"] == false {
        line("", format!("LD_PRELOAD was changed since: {}", word(&carried["ld_preload"])));
    }
    for library in carried["libraries"].as_array().into_iter().flatten() {
        let intact = if library["intact"] == true { "intact" } else { "CHANGED OR REMOVED by a later layer" };
        line("library", format!("{} ({}), {intact}", word(&library["path"]), word(&library["abi"])));
    }
    line("privileged", format!("{} programs", word(&carried["privileged_programs"])));
    line("self-test", word(&carried["self_test"]));
    if !carried["static_programs"].is_null() {
        line("static", word(&carried["static_programs"]));
    }
    line("base", format!("manifest {}", word(&carried["base"]["manifest"])));
    line("", format!("config {}", word(&carried["base"]["config"])));
}
