//! Decides what goes into a layer: which libraries, where, and what loads them.

use super::loaders::{Abi, Libc, Loader};
use super::names;
use super::options::Load;
use super::scan::Findings;
use crate::failure::Failure;
use crate::image::tar_entries::{Kind, shown};
use crate::image::write::{Content, LayerBuilder};
use crate::self_test::AddedFile;
use crate::stub;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why an image gets no layer.
pub enum Unfit {
    /// It cannot have one: in an index with others it passes through.
    Foreign(String),
    /// Something about it must be decided first.
    Error(Failure),
}

/// What is in a library's place.
enum File {
    Shim,
    Stub(stub::Machine),
    /// A link to the path of the shim.
    Link(String),
}

/// What goes into an image.
pub struct Plan {
    /// The path that is preloaded, with `$LIB` where loaders of several word sizes are to find their own.
    pub preload: String,
    /// How it is loaded.
    pub load: Load,
    /// By path.
    libraries: BTreeMap<String, File>,
    preload_file: Option<Vec<u8>>,
    conf: Option<Vec<u8>>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Decides. `conf` are the settings that the operator gave.
    pub fn new(findings: &Findings, load: Load, conf: Option<&[u8]>) -> Result<Plan, Unfit> {
        let loaders = &findings.loaders;
        if !loaders.iter().any(|loader| loader.abi == Abi::X86_64) {
            let others: Vec<String> =
                loaders.iter().map(|loader| format!("{} for {}", loader.libc, loader.abi)).collect();
            return Err(Unfit::Foreign(match (others.is_empty(), findings.x86_64) {
                (false, _) => format!(
                    "it holds no dynamic loader for x86-64 programs, only that of {}",
                    others.join(" and that of ")
                ),
                (true, true) => {
                    "it holds no dynamic loader, so all of its programs are static, and nothing can be preloaded"
                        .to_string()
                }
                (true, false) => "it holds no program for x86-64".to_string(),
            }));
        }
        let (preload, libraries) = libraries(loaders.iter());
        let mut plan = Plan { preload, load, libraries, preload_file: None, conf: None, notes: Vec::new() };
        if load.file() {
            plan.preload_file(findings)?;
        }
        plan.conf(findings, conf)?;
        Ok(plan)
    }

    fn preload_file(&mut self, findings: &Findings) -> Result<(), Unfit> {
        let loaders = &findings.loaders;
        let of = |libc| move |loader: &Loader| loader.libc == libc && loader.abi == Abi::X86_64;
        if !loaders.iter().any(of(Libc::Glibc)) {
            if self.load == Load::PreloadFile {
                return Err(Unfit::Error(Failure::new(format!(
                    "{} is read by glibc alone, which this image does not hold: use --load env",
                    names::PRELOAD_FILE
                ))));
            }
            self.notes.push(format!("{} is not written: the image has no glibc", names::PRELOAD_FILE));
            self.load = Load::Env;
            return Ok(());
        }
        if loaders.iter().any(of(Libc::Musl)) {
            self.notes.push(format!("programs for musl do not read {}", names::PRELOAD_FILE));
        }
        let mut lines = format!("{}\n", self.preload).into_bytes();
        lines.extend(present(findings, names::PRELOAD_FILE)?.unwrap_or_default());
        self.preload_file = Some(lines);
        Ok(())
    }

    fn conf(&mut self, findings: &Findings, given: Option<&[u8]>) -> Result<(), Unfit> {
        let there = present(findings, names::CONF)?;
        if given.is_some() && there.is_some() {
            self.notes.push(format!("the image's own {} is replaced", names::CONF));
        }
        let settings = given.map(<[u8]>::to_vec).or(there);
        if findings.privileged.is_empty() && !settings.as_deref().is_some_and(speaks_of_privilege) {
            // In front: what stands behind a section belongs to it.
            let mut text =
                b"# Written by evercall layer, which found none.\nprivileged_programs = none\n".to_vec();
            text.extend(settings.unwrap_or_default());
            self.conf = Some(text);
        } else {
            self.conf = given.map(<[u8]>::to_vec);
        }
        Ok(())
    }

    /// Puts everything but the directories into a layer.
    pub fn fill(&self, layer: &mut LayerBuilder, shim: &Path, findings: &Findings) -> Result<(), Failure> {
        for (path, file) in &self.libraries {
            let path = real(findings, path)?;
            match file {
                File::Shim => layer.file(&path, 0o755, Content::File(shim.to_path_buf())),
                File::Stub(machine) => layer.file(&path, 0o755, Content::Bytes(stub::library(*machine))),
                File::Link(target) => layer.symlink(&path, Path::new(target)),
            }
        }
        for (path, text) in [(names::PRELOAD_FILE, &self.preload_file), (names::CONF, &self.conf)] {
            if let Some(text) = text {
                layer.file(&real(findings, path)?, 0o644, Content::Bytes(text.clone()));
            }
        }
        Ok(())
    }

    /// Makes the directories above all that is in a layer as the image has them.
    pub fn parents(&self, layer: &mut LayerBuilder, findings: &Findings) -> Result<(), Failure> {
        for parent in layer.parents() {
            if let Some(metadata) = findings.directory(&parent) {
                layer.directory(&parent, metadata);
            } else if let Some(node) = findings.tree.at(&parent) {
                if node.entry.kind != Kind::Directory {
                    return Err(Failure::new(format!("{} is no directory", shown(&parent))));
                }
            }
        }
        Ok(())
    }

    /// The path of the library itself.
    pub fn shim(&self) -> Option<&str> {
        self.libraries.iter().find(|(_, file)| matches!(file, File::Shim)).map(|(path, _)| path.as_str())
    }

    /// The same files for the self-test, which knows no links. `library`: what the library holds.
    pub fn added<'a>(&'a self, library: &'a [u8]) -> Vec<AddedFile<'a>> {
        let libraries = self.libraries.iter().map(|(path, file)| AddedFile {
            path: path.into(),
            mode: 0o755,
            content: match file {
                File::Shim | File::Link(_) => Cow::Borrowed(library),
                File::Stub(machine) => Cow::Owned(stub::library(*machine)),
            },
        });
        let texts = [(names::PRELOAD_FILE, &self.preload_file), (names::CONF, &self.conf)];
        let texts = texts.into_iter().filter_map(|(path, text)| {
            let content = Cow::Borrowed(text.as_deref()?);
            Some(AddedFile { path: path.into(), mode: 0o644, content })
        });
        libraries.chain(texts).collect()
    }

    /// The paths of what is put in, for people.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .libraries
            .iter()
            .map(|(path, file)| match file {
                File::Shim => path.clone(),
                File::Stub(_) => format!("{path} (a stub: no shim is built for these programs)"),
                File::Link(target) => format!("{path} -> {target}"),
            })
            .collect();
        paths.extend(self.preload_file.as_ref().map(|_| names::PRELOAD_FILE.to_string()));
        paths.extend(self.conf.as_ref().map(|_| names::CONF.to_string()));
        paths
    }
}

/// Whether settings say something of privileged programs themselves.
fn speaks_of_privilege(settings: &[u8]) -> bool {
    settings.split(|&b| b == b'\n').any(|line| line.trim_ascii_start().starts_with(b"privileged_programs"))
}

/// The content of a file that the image has already.
fn present(findings: &Findings, path: &str) -> Result<Option<Vec<u8>>, Unfit> {
    let lies_at = real(findings, path).map_err(Unfit::Error)?;
    if lies_at != Path::new(path) {
        // Only files of these names are kept by the scan.
        return Err(Unfit::Error(Failure::new(format!(
            "{path} is {} in this image, behind a symbolic link, and what is there is not known: nothing can be added to it",
            shown(&lies_at)
        ))));
    }
    match findings.tree.at(Path::new(path)) {
        None => Ok(None),
        Some(node) if node.entry.kind == Kind::File => match &node.content {
            Some(content) => Ok(Some(content.clone())),
            None => Err(Unfit::Error(Failure::new(format!(
                "{path} has {} bytes in this image, which are too many to be added to",
                node.entry.size
            )))),
        },
        Some(_) => Err(Unfit::Error(Failure::new(format!(
            "{path} is no regular file in this image, so nothing can be added to it"
        )))),
    }
}

/// Where a path of the image really is: in a layer, a directory in the place of a link would replace it.
fn real(findings: &Findings, path: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(path);
    let parent = path.parent().unwrap_or(Path::new("/"));
    let real = findings.tree.real_path(parent);
    let real = real.ok_or_else(|| Failure::new(format!("{} leads in a circle", shown(parent))))?;
    Ok(real.join(path.file_name().unwrap_or_default()))
}

/// The path that is preloaded, and what lies where, so that no loader of the image finds what it cannot load:
///
/// - Where there are only loaders for x86-64, or musl's, which passes over what it cannot load: one path as it stands.
/// - Where glibc's loader for 32-bit programs is there as well: a path with `$LIB`, and for each what it means to it. To
///   musl and uClibc `$LIB` is the name of a folder like any other: it has the library, too.
fn libraries<'l>(loaders: impl Iterator<Item = &'l Loader> + Clone) -> (String, BTreeMap<String, File>) {
    let ours = loaders.clone().filter(|loader| loader.abi == Abi::X86_64);
    let glibc = ours.clone().filter(|loader| loader.libc == Libc::Glibc);
    // `lib` last: of several folders the one that says more.
    let first = glibc.clone().map(|loader| loader.lib.as_str()).max_by_key(|lib| (lib.len(), *lib));
    let shim = names::library(first.unwrap_or("lib"));
    let mut libraries = BTreeMap::from([(shim.clone(), File::Shim)]);
    let foreign = loaders.filter(|loader| loader.libc == Libc::Glibc && loader.abi != Abi::X86_64);
    if foreign.clone().next().is_none() {
        return (shim, libraries);
    }
    for loader in foreign {
        if let Some(machine) = loader.abi.stub() {
            libraries.insert(names::library(&loader.lib), File::Stub(machine));
        }
    }
    for loader in glibc.clone() {
        let path = names::library(&loader.lib);
        if path != shim {
            libraries.insert(path, File::Link(shim.clone()));
        }
    }
    if ours.clone().any(|loader| loader.libc != Libc::Glibc) {
        libraries.insert(names::library("$LIB"), File::Link(shim));
    }
    (names::library("$LIB"), libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(loaders: &[(Libc, Abi, &str)]) -> (String, String) {
        let loaders: Vec<Loader> =
            loaders.iter().map(|&(libc, abi, lib)| Loader { libc, abi, lib: lib.into() }).collect();
        let (preload, libraries) = libraries(loaders.iter());
        let files = libraries.iter().map(|(path, file)| {
            let path = path.trim_start_matches("/usr/lib/evercall/").trim_end_matches("/libevercall.so");
            let sign = match file {
                File::Shim => "=shim",
                File::Stub(_) => "=stub",
                File::Link(_) => "=link",
            };
            format!("{path}{sign}")
        });
        let preload = preload.trim_start_matches("/usr/lib/evercall/").trim_end_matches("/libevercall.so");
        (preload.to_string(), files.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_loader_finds_what_it_can_load() {
        use Abi::{I386, X32, X86_64};
        use Libc::{Glibc, Musl};
        let debian = (Glibc, X86_64, "lib/x86_64-linux-gnu");
        for (loaders, preload, files) in [
            (&[debian][..], "lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu=shim"),
            (&[(Musl, X86_64, "lib")], "lib", "lib=shim"),
            (&[debian, (Musl, X86_64, "lib")], "lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu=shim"),
            (&[debian, (Musl, I386, "lib")], "lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu=shim"),
            (&[(Glibc, X86_64, "lib64"), (Glibc, I386, "lib")], "$LIB", "lib=stub lib64=shim"),
            (
                &[debian, (Musl, X86_64, "lib"), (Glibc, I386, "lib32"), (Glibc, X32, "libx32")],
                "$LIB",
                "$LIB=link lib/x86_64-linux-gnu=shim lib32=stub libx32=stub",
            ),
        ] {
            assert_eq!(paths(loaders), (preload.to_string(), files.to_string()));
        }
    }
}
