//! `evercall layer`: puts libevercall.so into an image as one layer more, takes it out again, and tells what an image
//! carries. All that is not changed is copied byte for byte.

mod edit;
mod json_text;
mod loaders;
mod names;
pub mod options;
mod plan;
mod rewrite;
mod scan;
mod show;
mod tested;

use crate::failure::Failure;
use crate::image::tar_entries::shown;
use crate::image::write::layer::Metadata;
use crate::image::write::{self, Content, LayerBuilder, Packing, scratch};
use crate::image::{Blob, Form, Image, Limits, Variant};
use crate::library::Library;
use crate::static_copy;
use edit::{Addition, Document};
use indicatif::{ProgressBar, ProgressStyle};
use loaders::Abi;
use options::{LayerOptions, To};
use plan::{Plan, Unfit};
use rewrite::{Change, Changes, Wanted, key};
use scan::Findings;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The layers of an image that Docker takes: its overlay driver's limit is 128, with one for the container.
const DOCKERS_LAYERS: usize = 127;

/// Bytes of a --conf file, at most.
const LARGEST_CONF: u64 = 1 << 20;

/// Carries out `evercall layer`.
pub fn layer(options: &LayerOptions) -> Result<(), Failure> {
    let (limits, progress) = (Limits::default(), bar());
    if options.show {
        let image = Image::open(&options.image, &limits, &progress)?;
        return show::show(&image, options, &limits, &progress);
    }
    let Some(out) = &options.output else { return Err(Failure::new("-o OUT is missing")) };
    if let Some(tag) = &options.tag {
        name_is_right(tag)?;
    }
    let settings = if options.remove { None } else { Some(Settings::of(options)?) };
    let image = Image::open(&options.image, &limits, &progress)?;
    let form = match (options.to, image.form) {
        (None, form) => form,
        // What is a Docker archive already stays one.
        (Some(To::Docker), Form::DockerArchive) => Form::DockerArchive,
        (Some(to), _) => to.form(),
    };
    // Before all the work is done.
    write::output::check(form, out, options.force)?;
    let only = options.platform.as_deref().map(|platform| of_platform(&image, platform)).transpose()?;
    let wanted = Wanted { tag: options.tag.as_deref(), only: only.as_ref() };
    let work = Work { image: &image, options, limits: &limits, progress: &progress };
    let (changes, report) = match &settings {
        None => work.remove(&wanted)?,
        Some(settings) => work.add(&wanted, settings)?,
    };
    let parts = match (image.form, form) {
        (Form::DockerArchive, Form::DockerArchive) => rewrite::docker(&image, &changes, &wanted)?,
        (Form::DockerArchive, _) => rewrite::docker_to_oci(&image, &changes, &wanted, &progress)?,
        _ => {
            let mut parts = rewrite::oci(&image, &changes, &wanted)?;
            if options.to == Some(To::Docker) {
                rewrite::add_docker(&image, &mut parts, &changes, &wanted)?;
            } else if options.to.is_some() {
                parts.remove_document("manifest.json");
            }
            parts
        }
    };
    start(&progress, "writing", parts.size());
    write::write(form, out, options.force, &parts, &progress)?;
    progress.finish_and_clear();
    eprint!("{report}");
    Ok(())
}

/// A bar on standard error, where that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}");
    let bar = ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn start(bar: &ProgressBar, what: &'static str, length: u64) {
    bar.set_message(what);
    bar.set_position(0);
    bar.set_length(length);
}

/// A name as `docker tag` takes it, as far as that matters here.
fn name_is_right(name: &str) -> Result<(), Failure> {
    let right = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.chars().all(right) && name.len() <= 256 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "--tag {}: it is no name of an image, such as legacy:fixed",
        shown(Path::new(name))
    )))
}

/// The variants for a platform.
fn of_platform(image: &Image, platform: &str) -> Result<BTreeSet<String>, Failure> {
    let of = |variant: &&Variant| {
        let there = variant.platform.to_string();
        // `linux/arm` also means `linux/arm/v7`.
        there == platform || there.strip_prefix(platform).is_some_and(|rest| rest.starts_with('/'))
    };
    let keys: BTreeSet<String> = image.variants.iter().filter(of).map(key).collect();
    if keys.is_empty() {
        let all: BTreeSet<String> =
            image.variants.iter().map(|variant| variant.platform.to_string()).collect();
        let all: Vec<String> = all.into_iter().collect();
        return Err(Failure::new(format!(
            "{} holds no image for {}, only for {}",
            image.name,
            shown(Path::new(platform)),
            all.join(", ")
        )));
    }
    Ok(keys)
}

/// What an addition needs besides the image.
struct Settings {
    library: Library,
    /// What the library holds.
    bytes: Vec<u8>,
    conf: Option<Vec<u8>>,
    source_date: Option<u64>,
}

impl Settings {
    fn of(options: &LayerOptions) -> Result<Settings, Failure> {
        let library = Library::find(options.lib.as_deref())?;
        let path = library.path.display();
        let bytes = fs::read(&library.path)
            .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
        if Abi::of(&bytes) != Some(Abi::X86_64) {
            return Err(Failure::new(format!("the library {path} is not for x86-64, as layers are")));
        }
        let conf = match &options.conf {
            None => None,
            Some(file) => {
                let cannot = |why: &dyn std::fmt::Display| {
                    Failure::new(format!("{} cannot be read: {why}", shown(file)))
                };
                let size = file.metadata().map_err(|error| cannot(&error))?.len();
                if size > LARGEST_CONF {
                    return Err(cannot(&format!("{size} bytes are too many for settings")));
                }
                Some(fs::read(file).map_err(|error| cannot(&error))?)
            }
        };
        Ok(Settings { library, bytes, conf, source_date: write::source_date()? })
    }
}

struct Work<'w> {
    image: &'w Image,
    options: &'w LayerOptions,
    limits: &'w Limits,
    progress: &'w ProgressBar,
}

impl Work<'_> {
    fn fault(&self, what: &str, why: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{}: {what}: {why}", self.image.name))
    }

    /// The variants that something is done with, each once.
    fn variants<'v>(&'v self, wanted: &'v Wanted<'_>) -> Vec<&'v Variant> {
        let mut keys = BTreeSet::new();
        let wanted = self.image.variants.iter().filter(|variant| {
            let key = key(variant);
            wanted.only.is_none_or(|only| only.contains(&key)) && keys.insert(key)
        });
        wanted.collect()
    }

    /// The documents of a variant: its config, and its manifest where it has one.
    fn documents(&self, variant: &Variant) -> Result<(Document, Option<Document>), Failure> {
        let read = |blob: &Blob| {
            let bytes = self.image.blob_document(blob)?;
            Document::read(&bytes).map_err(|why| self.fault(&blob.name(), why))
        };
        let manifest = variant.trail.last().map(Blob::of).transpose();
        let manifest = manifest.map_err(|why| self.fault("a descriptor", why))?;
        Ok((read(&variant.config_blob)?, manifest.as_ref().map(read).transpose()?))
    }

    /// Takes out the layer that is there, if one is.
    fn stripped(&self, variant: &Variant) -> Result<(Change, Option<edit::Removed>), Failure> {
        let (mut config, mut manifest) = self.documents(variant)?;
        let removed = edit::remove_from_config(&mut config);
        let mut removed = removed.map_err(|why| self.fault(&variant.config_blob.name(), why))?;
        if let (Some(removed), Some(manifest)) = (&mut removed, &mut manifest) {
            let exact = edit::remove_from_manifest(manifest, &config, removed.layer);
            removed.exact &= exact.map_err(|why| self.fault(&manifest.digest.to_string(), why))?;
        }
        let gone = removed.as_ref().map(|removed| removed.layer);
        Ok((Change { config, manifest, layer: None, removed: gone }, removed))
    }

    fn remove(&self, wanted: &Wanted<'_>) -> Result<(Changes, String), Failure> {
        let mut changes = Changes::new();
        let mut report = String::new();
        for variant in self.variants(wanted) {
            let (change, removed) = self.stripped(variant)?;
            let title = title(self.image, variant);
            let Some(removed) = removed else {
                let _ = writeln!(report, "{title}: carries no layer of evercall, and stays as it is");
                continue;
            };
            let exact = if removed.exact {
                "the image is what it was before, byte for byte"
            } else {
                "what else was changed since stays"
            };
            let _ = writeln!(report, "{title}: evercall {} is taken out; {exact}", removed.version);
            changes.insert(key(variant), change);
        }
        if changes.is_empty() {
            return Err(Failure::new(format!("{} carries no layer of evercall", self.image.name)));
        }
        Ok((changes, report))
    }

    fn add(&self, wanted: &Wanted<'_>, settings: &Settings) -> Result<(Changes, String), Failure> {
        let mut changes = Changes::new();
        let mut report = String::new();
        let mut foreign = Vec::new();
        for variant in self.variants(wanted) {
            let title = title(self.image, variant);
            match self.add_to(variant, settings, &title) {
                Ok((change, text)) => {
                    report.push_str(&text);
                    changes.insert(key(variant), change);
                }
                Err(Unfit::Foreign(why)) => foreign.push(format!("{title}: {why}")),
                Err(Unfit::Error(failure)) => return Err(failure),
            }
        }
        self.progress.finish_and_clear();
        if changes.is_empty() {
            return Err(Failure::new(format!("no layer is written: {}", foreign.join("; "))));
        }
        for note in foreign {
            let _ = writeln!(report, "{note}: passes through as it is");
        }
        Ok((changes, report))
    }

    fn add_to(&self, variant: &Variant, settings: &Settings, title: &str) -> Result<(Change, String), Unfit> {
        let config = &variant.config;
        if !matches!(config.os.as_str(), "linux" | "")
            || !matches!(config.architecture.as_str(), "amd64" | "")
        {
            return Err(Unfit::Foreign("evercall is built for linux/amd64".to_string()));
        }
        let (mut change, removed) = self.stripped(variant).map_err(Unfit::Error)?;
        let mut bare = variant.clone();
        if let Some(at) = change.removed.filter(|&at| at < bare.layers.len()) {
            bare.layers.remove(at);
        }
        self.known(&change, title).map_err(Unfit::Error)?;
        start(self.progress, "looking through", bare.root(self.image).packed_size());
        let findings =
            Findings::of(bare.root(self.image), self.limits, self.progress).map_err(Unfit::Error)?;
        let plan = Plan::new(&findings, self.options.load, settings.conf.as_deref())?;
        let done = self.change(&bare, &mut change, &findings, &plan, settings);
        let done = done.map_err(Unfit::Error)?;
        let text = self.report(variant, &change, removed.as_ref(), &findings, &plan, title, &done);
        Ok((change, text))
    }

    /// A libevercall.so that is preloaded already, and not by a layer of ours, was put there by somebody.
    fn known(&self, change: &Change, title: &str) -> Result<(), Failure> {
        let there = edit::variable(&change.config.value, "LD_PRELOAD").unwrap_or_default();
        if self.options.force || !there.contains("libevercall") {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{title}: it preloads evercall already, by LD_PRELOAD={} in its config, which evercall layer did not put \
             there. To add a layer nevertheless: --force",
            shown(Path::new(there))
        )))
    }

    fn change(
        &self,
        bare: &Variant,
        change: &mut Change,
        findings: &Findings,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<String, Failure> {
        let mut layer = LayerBuilder::new(settings.source_date.unwrap_or(0));
        plan.fill(&mut layer, &settings.library.path, findings)?;
        let statics = self.statics(bare, plan)?;
        let mut done = String::new();
        for copy in &statics.copies {
            let metadata = Metadata { mode: copy.mode, uid: copy.uid, gid: copy.gid, mtime: copy.mtime };
            layer.file_as(&copy.path, metadata, Content::Bytes(copy.content.clone()));
            let _ = writeln!(done, "  {:<12} {copy}", "static");
        }
        for refused in &statics.refused {
            let _ = writeln!(done, "  {:<12} {refused}", "static");
        }
        plan.parents(&mut layer, findings)?;
        let layer = layer.finish(self.packing(bare)?)?;
        let privileged = if findings.privileged.is_empty() { "none" } else { "some" };
        let mut labels = vec![
            (names::VERSION, env!("CARGO_PKG_VERSION").to_string()),
            (names::LAYER, layer.diff_id.to_string()),
            (names::LOAD, plan.load.word().to_string()),
            (names::PRELOAD, plan.preload.clone()),
            (names::PRIVILEGED, privileged.to_string()),
            (names::SELF_TEST, if self.options.no_self_test { "not done" } else { "passed" }.to_string()),
        ];
        if !statics.copies.is_empty() {
            let paths: Vec<String> = statics.copies.iter().map(|copy| shown(&copy.path)).collect();
            labels.push((names::STATIC, paths.join(" ")));
        }
        let annotations = labels.clone();
        labels
            .extend(change.manifest.iter().map(|manifest| (names::BASE_LABEL, manifest.digest.to_string())));
        let created = change.config.value.get("created").and_then(|created| created.as_str());
        let addition = Addition {
            diff_id: &layer.diff_id,
            created: settings.source_date.map(write::date).or_else(|| created.map(str::to_string)),
            preload: plan.load.env().then_some(plan.preload.as_str()),
            labels,
        };
        let what = bare.config_blob.name();
        let before = tested::environment(&change.config.value);
        edit::add_to_config(&mut change.config, &addition).map_err(|why| self.fault(&what, why))?;
        if let Some(manifest) = &mut change.manifest {
            let docker = manifest.value.get("mediaType").and_then(|media_type| media_type.as_str())
                == Some("application/vnd.docker.distribution.manifest.v2+json");
            let media_type = match (docker, layer.packing) {
                (true, Packing::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
                (true, Packing::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
                (false, packing) => scratch::media_type(packing),
            };
            let descriptor = scratch::descriptor(media_type, &layer.digest, layer.size);
            let name = bare.reference.as_deref().filter(|name| name.contains(['/', ':']));
            edit::add_to_manifest(manifest, &change.config, descriptor, name, &annotations)
                .map_err(|why| self.fault(&what, why))?;
        }
        change.layer = Some(layer);
        if self.options.no_self_test {
            let _ = writeln!(done, "  {:<12} not done (--no-self-test)", "self-test");
        } else {
            let after = tested::environment(&change.config.value);
            let tested = self.tested(bare, plan, &statics.copies, before, after, &settings.bytes)?;
            done.push_str(&tested);
        }
        Ok(done)
    }

    /// Copies of the image's static programs, by --static.
    fn statics(&self, bare: &Variant, plan: &Plan) -> Result<static_copy::Found, Failure> {
        let Some(pattern) = &self.options.statics else { return Ok(static_copy::Found::default()) };
        let root = bare.root(self.image);
        start(self.progress, "looking for static programs", root.packed_size());
        let library = plan.shim().unwrap_or_default();
        static_copy::find(root, self.limits, self.progress, pattern.as_deref(), OsStr::new(library))
    }

    /// As the image's topmost layer is packed; Docker archives hold plain layers.
    fn packing(&self, variant: &Variant) -> Result<Packing, Failure> {
        use crate::image::compression::{Compression, unpacked};
        let Some(top) = variant.layers.last() else { return Ok(Packing::Gzip) };
        let bytes = self.image.layer_bytes(top)?;
        let (compression, _) = unpacked(bytes).map_err(|error| self.fault(&top.blob.name(), error))?;
        Ok(if compression == Compression::None { Packing::Plain } else { Packing::Gzip })
    }

    #[allow(clippy::too_many_arguments, reason = "all that was found out")]
    fn report(
        &self,
        variant: &Variant,
        change: &Change,
        removed: Option<&edit::Removed>,
        findings: &Findings,
        plan: &Plan,
        title: &str,
        done: &str,
    ) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let known = variant.config_blob.digest.as_ref() == Some(&change.config.digest)
            || variant.config_blob.path.starts_with(change.config.digest.hex());
        if known {
            return format!("{title}: carries evercall {version} already, just so: nothing is changed\n");
        }
        let mut text = format!("{title}: evercall {version} is added");
        if let Some(removed) = removed {
            let _ = write!(text, ", in place of evercall {}", removed.version);
        }
        text.push('\n');
        let mut line = |what: &str, value: &str| {
            let _ = writeln!(text, "  {what:<12} {value}");
        };
        for path in plan.paths() {
            line("file", &path);
        }
        if plan.load.env() {
            let list = edit::variable(&change.config.value, "LD_PRELOAD").unwrap_or_default();
            line("loaded by", &format!("LD_PRELOAD={}", shown(Path::new(list))));
        }
        if plan.load.file() {
            line("loaded by", names::PRELOAD_FILE);
        }
        let loaders: BTreeSet<String> =
            findings.loaders.iter().map(|loader| format!("{} ({})", loader.libc, loader.abi)).collect();
        line("libcs", &loaders.into_iter().collect::<Vec<_>>().join(", "));
        let privileged: Vec<String> = findings.privileged.iter().take(4).map(|path| shown(path)).collect();
        line(
            "privileged",
            &match findings.privileged.len() {
                0 => format!("no program is; so {} says privileged_programs = none", names::CONF),
                count if count > privileged.len() => {
                    format!("{count} programs: {}, ...", privileged.join(", "))
                }
                count => format!("{count} programs: {}", privileged.join(", ")),
            },
        );
        text.push_str(done);
        let mut line = |what: &str, value: &str| {
            let _ = writeln!(text, "  {what:<12} {value}");
        };
        if let Some(manifest) = &change.manifest {
            line("manifest", &manifest.digest.to_string());
        }
        line("config", &change.config.digest.to_string());
        for note in &plan.notes {
            line("note", note);
        }
        let layers = variant.layers.len() + 1 - usize::from(removed.is_some());
        if layers > DOCKERS_LAYERS {
            line("note", &format!("it has {layers} layers now, and Docker takes {DOCKERS_LAYERS}"));
        }
        text
    }
}

/// How messages name a variant.
fn title(image: &Image, variant: &Variant) -> String {
    let name = variant.reference.as_deref().map_or_else(|| image.name.clone(), |name| shown(Path::new(name)));
    format!("{name} ({})", variant.platform)
}
