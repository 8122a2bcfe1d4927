//! What is checked: a file, a directory, or an image.

use super::elf::analyse;
use super::scan::{self, Scanned};
use super::{link, runtimes};
use crate::failure::Failure;
use crate::image::root::Root;
use crate::image::tar_entries::shown;
use crate::image::{Form, Image, Limits, Variant};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What is checked.
pub enum Target {
    /// One ELF file: what it needs besides is not known.
    File(PathBuf),
    /// A root filesystem.
    Directory(PathBuf),
    /// One image of an image file or layout, by its place.
    Image(Box<Image>, usize),
}

impl Target {
    /// Opens it.
    pub fn open(path: &Path, platform: Option<&str>, limits: &Limits) -> Result<Target, Failure> {
        if path.as_os_str() != "-" {
            let name = shown(path);
            let cannot = |error: std::io::Error| Failure::new(format!("{name} cannot be read: {error}"));
            let metadata = path.metadata().map_err(cannot)?;
            if metadata.is_dir() && !Image::is_layout(path) {
                fs::read_dir(path).map_err(cannot)?;
                return Ok(Target::Directory(path.to_path_buf()));
            }
            if metadata.is_file() {
                let mut first = Vec::new();
                File::open(path).and_then(|file| file.take(4).read_to_end(&mut first)).map_err(cannot)?;
                if first.starts_with(b"\x7fELF") {
                    return Ok(Target::File(path.to_path_buf()));
                }
            }
        }
        let bar = bar("reading", 0);
        let image = Image::open(path, limits, &bar);
        bar.finish_and_clear();
        let image = image?;
        let at = choose(&image, platform)?;
        Ok(Target::Image(Box::new(image), at))
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        match self {
            Target::File(path) | Target::Directory(path) => shown(path),
            Target::Image(image, _) => image.name.clone(),
        }
    }

    /// What it is, for people.
    pub fn form(&self) -> &'static str {
        match self {
            Target::File(_) => "ELF file",
            Target::Directory(_) => "directory",
            Target::Image(image, _) => match image.form {
                Form::OciLayout => "OCI layout",
                Form::OciArchive => "OCI archive",
                Form::DockerArchive => "Docker archive",
            },
        }
    }

    /// The image.
    pub fn variant(&self) -> Option<&Variant> {
        match self {
            Target::Image(image, at) => image.variants.get(*at),
            _ => None,
        }
    }

    /// Other images under the same roof that were not looked at.
    pub fn others(&self) -> Vec<String> {
        match self {
            Target::Image(image, at) => {
                let named = |(_, variant): (usize, &Variant)| {
                    let name =
                        variant.reference.as_deref().map(|name| format!(" ({})", shown(Path::new(name))));
                    format!("{}{}", variant.platform, name.unwrap_or_default())
                };
                image.variants.iter().enumerate().filter(|(other, _)| other != at).map(named).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A variable of the image's environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let all = self.variant()?.config.config.as_ref()?.env.as_ref()?;
        all.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }

    /// Reads it.
    pub fn scan(&self, limits: &Limits, jobs: NonZeroUsize) -> Result<Scanned, Failure> {
        let (root, size) = match self {
            Target::File(path) => return file(path, limits),
            Target::Directory(path) => (Root::Directory(path), 0),
            Target::Image(image, at) => {
                let Some(variant) = image.variants.get(*at) else {
                    return Err(Failure::new("the image is not there"));
                };
                let root = variant.root(image);
                (root, root.packed_size())
            }
        };
        let bar = bar("checking", size);
        let scanned = scan::scan(
            root,
            limits,
            jobs,
            &bar,
            &|path| link::wants(path) || runtimes::wants(path),
            &analyse,
        );
        bar.finish_and_clear();
        scanned
    }
}

/// The image for a platform: what is asked for, else for x86-64 Linux, else the first.
fn choose(image: &Image, platform: Option<&str>) -> Result<usize, Failure> {
    let all = || {
        let names: Vec<String> = image.variants.iter().map(|variant| variant.platform.to_string()).collect();
        names.join(", ")
    };
    let find = |wanted: &str| {
        image.variants.iter().position(|variant| {
            let name = variant.platform.to_string();
            name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    match platform {
        Some(wanted) => find(wanted)
            .ok_or_else(|| Failure::new(format!("--platform {wanted}: {} is for {}", image.name, all()))),
        None => Ok(find("linux/amd64").unwrap_or(0)),
    }
}

/// One ELF file, as a root that holds nothing else.
fn file(path: &Path, limits: &Limits) -> Result<Scanned, Failure> {
    let size = path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    if size > limits.file {
        return Err(Failure::new(format!(
            "{} has {size} bytes, above the limit of {} (--max-file)",
            shown(path),
            limits.file
        )));
    }
    scan::single(path, &analyse)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", shown(path))))
}

/// Draws on standard error, and only if that is a terminal.
fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = if length > 0 { ProgressBar::new(length) } else { ProgressBar::new_spinner() };
    let template =
        if length > 0 { "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}" } else { "{spinner} {msg} {bytes}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}
