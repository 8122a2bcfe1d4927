//! Puts a layer into the config and the manifest of an image, and takes it out again.
//!
//! Only what must change does: the documents are edited as JSON and written back in their own style ([`Style`]). What a
//! field was that evercall filled (missing, null, or empty) is not written down anywhere: whoever takes the layer out
//! tries them all, and keeps the one that gives the digest of before.

use super::json_text::Style;
use super::names;
use crate::image::digest::Digest;
use serde_json::{Map, Value, json};

/// A JSON document and how it is written.
#[derive(Clone)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Its digest.
    pub digest: Digest,
    style: Style,
    exact: bool,
}

impl Document {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Document, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("it is not the document it should be: {error}"))?;
        if !value.is_object() {
            return Err("it is not the document it should be".to_string());
        }
        let (style, exact) = Style::of(text, &value);
        Ok(Document { value, digest: Digest::of(bytes), style, exact })
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.style.write(&self.value)
    }

    /// Takes over a changed value.
    pub fn set(&mut self, value: Value) {
        self.value = value;
        self.digest = Digest::of(&self.bytes());
    }

    /// Takes over the first of some values that has a digest, else the first one; true if one has it.
    fn set_by_digest(&mut self, values: Vec<Value>, digest: Option<&str>) -> bool {
        for value in &values {
            let bytes = self.style.write(value);
            let found = Digest::of(&bytes);
            if digest.is_some_and(|digest| found.to_string() == digest) {
                self.value = value.clone();
                self.digest = found;
                return true;
            }
        }
        if let Some(first) = values.into_iter().next() {
            self.set(first);
        }
        false
    }
}

/// What is put into an image.
pub struct Addition<'a> {
    /// The layer, unpacked.
    pub diff_id: &'a Digest,
    /// When, if that is to be said.
    pub created: Option<String>,
    /// What is put into LD_PRELOAD, if anything.
    pub preload: Option<&'a str>,
    /// Labels, without that of the config's digest.
    pub labels: Vec<(&'static str, String)>,
}

/// An object within an object, made if it is missing or null.
fn object<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Map<String, Value>> {
    let inner = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if inner.is_null() {
        *inner = json!({});
    }
    inner.as_object_mut()
}

/// A list within an object likewise.
fn list<'v>(value: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Vec<Value>> {
    let inner = value.entry(key).or_insert(Value::Null);
    if inner.is_null() {
        *inner = json!([]);
    }
    inner.as_array_mut()
}

/// The value of a variable in a config's Env.
pub fn variable<'v>(config: &'v Value, name: &str) -> Option<&'v str> {
    let env = config.get("config")?.get("Env")?.as_array()?;
    env.iter().rev().find_map(|entry| entry.as_str()?.strip_prefix(name)?.strip_prefix('='))
}

/// A label of a config.
pub fn label<'v>(config: &'v Value, name: &str) -> Option<&'v str> {
    config.get("config")?.get("Labels")?.get(name)?.as_str()
}

/// Puts a layer into a config.
pub fn add_to_config(config: &mut Document, addition: &Addition<'_>) -> Result<(), String> {
    let before = config.digest.to_string();
    let mut value = config.value.clone();
    let odd = |what: &str| format!("its \"{what}\" is not what the specification says");
    let execution = object(&mut value, "config").ok_or_else(|| odd("config"))?;
    if let Some(preload) = addition.preload {
        let env = list(execution, "Env").ok_or_else(|| odd("Env"))?;
        let present = |entry: &&mut Value| entry.as_str().is_some_and(|text| text.starts_with("LD_PRELOAD="));
        match env.iter_mut().rev().find(present) {
            None => env.push(format!("LD_PRELOAD={preload}").into()),
            Some(entry) => {
                let others =
                    entry.as_str().and_then(|text| text.split_once('=')).map_or("", |(_, others)| others);
                let text =
                    if others.is_empty() { preload.to_string() } else { format!("{preload}:{others}") };
                *entry = format!("LD_PRELOAD={text}").into();
            }
        }
    }
    let exec = Value::Object(std::mem::take(execution));
    value["config"] = exec;
    let labels = value.get_mut("config").and_then(|execution| object(execution, "Labels"));
    let labels = labels.ok_or_else(|| odd("Labels"))?;
    for (name, text) in &addition.labels {
        labels.insert((*name).to_string(), text.as_str().into());
    }
    labels.insert(names::BASE_CONFIG.to_string(), before.into());
    let diff_ids = value.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut);
    let diff_ids = diff_ids.ok_or_else(|| odd("rootfs"))?;
    diff_ids.push(addition.diff_id.to_string().into());
    let layers = diff_ids.len();
    // A history that does not tell of every layer is left as it is.
    let history = value.get_mut("history").and_then(Value::as_array_mut);
    if let Some(history) = history.filter(|history| filled(history).count() + 1 == layers) {
        let mut entry = Map::new();
        if let Some(created) = &addition.created {
            entry.insert("created".to_string(), created.as_str().into());
        }
        entry.insert("created_by".to_string(), created_by().into());
        entry.insert("comment".to_string(), "evercall: old system calls, kept working".into());
        history.push(entry.into());
    }
    config.set(value);
    Ok(())
}

/// What the history says of the layer.
fn created_by() -> String {
    format!("{CREATED_BY} {}", env!("CARGO_PKG_VERSION"))
}

const CREATED_BY: &str = "evercall layer";

/// The entries of a history that stand for a layer, by their place.
fn filled(history: &[Value]) -> impl Iterator<Item = usize> {
    history
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.get("empty_layer").and_then(Value::as_bool) != Some(true))
        .map(|(at, _)| at)
}

/// What was taken out of a config.
pub struct Removed {
    /// Which layer it was, counted from the lowest.
    pub layer: usize,
    /// The version that it brought.
    pub version: String,
    /// Whether the config is now, byte for byte, what it was before.
    pub exact: bool,
}

/// Takes the layer out of a config; None if it says nothing of one.
pub fn remove_from_config(config: &mut Document) -> Result<Option<Removed>, String> {
    let text = |name| label(&config.value, name).map(str::to_string);
    let (Some(layer), Some(version)) = (text(names::LAYER), text(names::VERSION)) else { return Ok(None) };
    let (preload, base) = (text(names::PRELOAD), text(names::BASE_CONFIG));
    let mut value = config.value.clone();
    let diff_ids = value.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut);
    let at = diff_ids.as_ref().and_then(|ids| ids.iter().rposition(|id| id.as_str() == Some(layer.as_str())));
    let (Some(diff_ids), Some(at)) = (diff_ids, at) else {
        return Err(format!(
            "it says that evercall {version} is in the layer {layer}, which is not there: the layers were squashed into \
             one, or the label was copied from another image. What they brought cannot be taken out"
        ));
    };
    diff_ids.remove(at);
    let layers = diff_ids.len();
    if let Some(history) = value.get_mut("history").and_then(Value::as_array_mut) {
        let ours = filled(history).nth(at).filter(|_| filled(history).count() == layers + 1);
        if let Some(ours) = ours {
            history.remove(ours);
        }
    }
    if let Some(labels) = value.pointer_mut("/config/Labels").and_then(Value::as_object_mut) {
        labels.retain(|name, _| !name.starts_with(names::PREFIX));
    }
    // Ours alone, it may have been missing, or empty.
    let mut kept_empty = value.clone();
    for (value, keeps) in [(&mut value, false), (&mut kept_empty, true)] {
        let env = value.pointer_mut("/config/Env").and_then(Value::as_array_mut);
        if let (Some(env), Some(preload)) = (env, &preload) {
            env.retain_mut(|entry| without(entry, preload) || keeps);
        }
    }
    let values = emptied(vec![value, kept_empty], &["config"], "Labels");
    let values = emptied(values, &["config"], "Env");
    let values = emptied(values, &[], "config");
    let exact = config.set_by_digest(values, base.as_deref()) && config.exact;
    Ok(Some(Removed { layer: at, version, exact }))
}

/// Takes a path out of an entry of Env; false if nothing is left of the entry.
fn without(entry: &mut Value, preload: &str) -> bool {
    let Some(list) = entry.as_str().and_then(|text| text.strip_prefix("LD_PRELOAD=")) else { return true };
    // As it was put in: in front of the others, which stay as they are written.
    let rest = match list.strip_prefix(preload) {
        Some("") => {
            *entry = "LD_PRELOAD=".into();
            return false;
        }
        Some(rest) if rest.starts_with([':', ' ']) => rest.get(1..).unwrap_or_default().to_string(),
        _ => {
            let others: Vec<&str> = list.split([':', ' ']).filter(|path| *path != preload).collect();
            others.join(":")
        }
    };
    *entry = format!("LD_PRELOAD={rest}").into();
    true
}

/// Where an object or list is empty, it may also have been missing or null: each value three times.
fn emptied(values: Vec<Value>, above: &[&str], key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for value in values {
        let mut holder = Some(&value);
        for step in above {
            holder = holder.and_then(|value| value.get(step));
        }
        let is_empty = holder.and_then(|holder| holder.get(key)).is_some_and(|inner| {
            inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty)
        });
        if !is_empty {
            all.push(value);
            continue;
        }
        let edited = |edit: &dyn Fn(&mut Map<String, Value>)| {
            let mut value = value.clone();
            let mut holder = Some(&mut value);
            for step in above {
                holder = holder.and_then(|value| value.get_mut(step));
            }
            holder.and_then(Value::as_object_mut).map(edit);
            value
        };
        // Not `remove`, which would put the last field into its place.
        all.push(edited(&|map| drop(map.shift_remove(key))));
        all.push(edited(&|map| drop(map.insert(key.to_string(), Value::Null))));
        all.push(value);
    }
    all
}

/// Puts a layer, and another config, into a manifest.
pub fn add_to_manifest(
    manifest: &mut Document,
    config: &Document,
    layer: Value,
    name: Option<&str>,
    annotations: &[(&'static str, String)],
) -> Result<(), String> {
    let before = manifest.digest.to_string();
    let mut value = manifest.value.clone();
    let odd = |what: &str| format!("its \"{what}\" is not what the specification says");
    set_config(&mut value, config)?;
    value.get_mut("layers").and_then(Value::as_array_mut).ok_or_else(|| odd("layers"))?.push(layer);
    let present = object(&mut value, "annotations").ok_or_else(|| odd("annotations"))?;
    let base = [(names::BASE_DIGEST, Some(before.as_str())), (names::BASE_NAME, name)];
    for (key, text) in base {
        // The base that the image had itself is kept under another name.
        let known = present.get(key).cloned();
        let text = text.map(Value::from);
        match (known, text) {
            (Some(known), Some(text)) => {
                present.insert(format!("{}{key}", names::BEFORE), known);
                present.insert(key.to_string(), text);
            }
            (Some(known), None) => {
                present.insert(format!("{}{key}", names::BEFORE), known);
                present.shift_remove(key);
            }
            (None, Some(text)) => drop(present.insert(key.to_string(), text)),
            (None, None) => {}
        }
    }
    for (key, text) in annotations {
        present.insert((*key).to_string(), text.as_str().into());
    }
    manifest.set(value);
    Ok(())
}

/// Takes a layer out of a manifest, and puts the config in that is without it; true if it is now what it was before.
pub fn remove_from_manifest(
    manifest: &mut Document,
    config: &Document,
    layer: usize,
) -> Result<bool, String> {
    let mut value = manifest.value.clone();
    set_config(&mut value, config)?;
    let layers = value.get_mut("layers").and_then(Value::as_array_mut);
    let layers = layers.filter(|layers| layer < layers.len());
    layers.ok_or("it has fewer layers than its config")?.remove(layer);
    let mut base = None;
    if let Some(annotations) = value.get_mut("annotations").and_then(Value::as_object_mut) {
        // Without a version the base is not what was there before evercall: whoever built upon it wrote it anew.
        if annotations.contains_key(names::VERSION) {
            for key in [names::BASE_DIGEST, names::BASE_NAME] {
                let known = annotations.get(&format!("{}{key}", names::BEFORE)).cloned();
                let ours = annotations.get(key).cloned();
                match known {
                    Some(known) => drop(annotations.insert(key.to_string(), known)),
                    None => drop(annotations.shift_remove(key)),
                }
                if key == names::BASE_DIGEST {
                    base = ours.as_ref().and_then(Value::as_str).map(str::to_string);
                }
            }
        }
        annotations.retain(|name, _| !name.starts_with(names::PREFIX));
    }
    // What was put back may have stood elsewhere: Go writes annotations in order.
    let mut sorted = value.clone();
    if let Some(annotations) = sorted.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.sort_keys();
    }
    let mut values = emptied(vec![value], &[], "annotations");
    values.push(sorted);
    Ok(manifest.set_by_digest(values, base.as_deref()) && manifest.exact)
}

fn set_config(manifest: &mut Value, config: &Document) -> Result<(), String> {
    let descriptor = manifest.get_mut("config").and_then(Value::as_object_mut);
    let descriptor = descriptor.ok_or("it names no config")?;
    point_at(descriptor, &config.digest, config.bytes().len() as u64);
    Ok(())
}

/// Points a descriptor at other content.
pub fn point_at(descriptor: &mut Map<String, Value>, digest: &Digest, size: u64) {
    descriptor.insert("digest".to_string(), digest.to_string().into());
    descriptor.insert("size".to_string(), size.into());
    // Content that is in the descriptor itself.
    descriptor.shift_remove("data");
}
