//! Language runtimes of before cgroup v2, known by their files: they look for their limits in cgroup v1.
//!
//! Sources of the versions: JDK-8230305 and its backports (15, 11.0.16, 8u372), libuv 1.45 in Node 20.3, .NET 5, uber-go/automaxprocs
//! 1.5.0.

use super::elf::facts::Analysis;
use super::scan::Content;
use crate::image::tar_entries::Kind;
use crate::image::tree::Tree;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A runtime that knows cgroup v1 alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `Java`, `Node`, `.NET`, `automaxprocs`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// Whether its files are opened by libc functions that evercall's file rules reach.
    pub by_libc: bool,
}

/// Whether the text of a file tells a runtime's version.
pub fn wants(path: &Path) -> bool {
    path.ends_with("release")
        && path.parent().is_some_and(|home| home != Path::new("/") && home != Path::new("/etc"))
        || path.ends_with("node/node_version.h")
}

/// The runtimes of a root that know v1 alone: by the file that loads them or is them.
pub fn find(tree: &Tree<Content>) -> BTreeMap<PathBuf, Runtime> {
    let mut found = BTreeMap::new();
    for node in tree.nodes().filter(|node| node.entry.kind == Kind::File) {
        let path = &node.entry.path;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let runtime = match name.as_ref() {
            "libjvm.so" => java(tree, path),
            "libcoreclr.so" => dotnet(path),
            "node" | "nodejs" if path.parent().is_some_and(|folder| folder.ends_with("bin")) => {
                nodejs(tree, path)
            }
            _ => node.content.looked().and_then(|looked| automaxprocs(&looked.analysis)),
        };
        if let Some(runtime) = runtime {
            // What is loaded by name at run time is told at the programs beside it.
            if runtime.name == "Java" {
                for home in path.ancestors().skip(1).take(5) {
                    let java = home.join("bin/java");
                    if tree.at(&java).is_some() {
                        found.insert(java, runtime.clone());
                    }
                }
            }
            found.insert(path.clone(), runtime);
        }
    }
    found
}

/// A home's `release`: `JAVA_VERSION="1.8.0_181"`, `"11.0.9"`.
fn java(tree: &Tree<Content>, libjvm: &Path) -> Option<Runtime> {
    let text =
        libjvm.ancestors().skip(1).take(6).find_map(|home| tree.at(&home.join("release"))?.content.text())?;
    let text = String::from_utf8_lossy(text);
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    let numbers: Vec<u32> =
        version.split(['.', '_', '-', '+']).map_while(|number| number.parse().ok()).collect();
    let old = match numbers.as_slice() {
        [1, 8, 0, update, ..] => *update < 372,
        [1, ..] => true,
        [11, 0, update, ..] => *update < 16,
        [major, ..] => *major < 15,
        [] => return None,
    };
    old.then(|| Runtime { name: "Java", version: clean(version), by_libc: true })
}

/// `.../Microsoft.NETCore.App/3.1.32/libcoreclr.so`.
fn dotnet(coreclr: &Path) -> Option<Runtime> {
    let version = coreclr.parent()?.file_name()?.to_string_lossy().into_owned();
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 5).then(|| Runtime { name: ".NET", version: clean(&version), by_libc: true })
}

/// `include/node/node_version.h` beside it.
fn nodejs(tree: &Tree<Content>, node: &Path) -> Option<Runtime> {
    let header = node.parent()?.parent()?.join("include/node/node_version.h");
    let text = String::from_utf8_lossy(tree.at(&header)?.content.text()?).into_owned();
    let number = |name: &str| -> Option<u32> {
        let mut words = text.lines().map(str::split_whitespace).find_map(|mut words| {
            (words.next() == Some("#define") && words.next() == Some(name)).then_some(words)
        })?;
        words.next()?.parse().ok()
    };
    let (major, minor) = (number("NODE_MAJOR_VERSION")?, number("NODE_MINOR_VERSION")?);
    ((major, minor) < (20, 3)).then(|| Runtime {
        name: "Node",
        version: format!("{major}.{minor}"),
        by_libc: true,
    })
}

fn automaxprocs(analysis: &Analysis) -> Option<Runtime> {
    let Analysis::Elf(elf) = analysis else { return None };
    let modules = elf.go.as_ref()?.modules.iter();
    let module = modules.into_iter().find(|module| module.path == "go.uber.org/automaxprocs")?;
    let mut numbers =
        module.version.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().ok());
    let version = (numbers.next()??, numbers.next()??);
    (version < (1, 5)).then(|| Runtime {
        name: "automaxprocs",
        version: clean(&module.version),
        by_libc: false,
    })
}

fn clean(version: &str) -> String {
    version.chars().filter(char::is_ascii_graphic).take(40).collect()
}
