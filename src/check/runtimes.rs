//! Language runtimes that do not find their limits in cgroup v2, known by their files.
//!
//! Sources of the versions: JDK-8230305 and its backports (15, 11.0.16, 8u372); JDK-8349988 (25) and its backports, which came after the
//! releases of April 2026 (openjdk/jdk11u-dev#3177, jdk21u-dev#2812, jdk8u-dev#779); libuv 1.29 in Node 12.3, 1.45 in 20.3; .NET 5;
//! uber-go/automaxprocs 1.5.0; the packages of loky 3.0.0 and 3.1.0, joblib 1.1.1 and 1.2.0, dask 2023.8.0 and 2023.8.1, by their code.

use super::elf::facts::Analysis;
use super::scan::Content;
use crate::image::tar_entries::Kind;
use crate::image::tree::{Node, Tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a runtime does not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// It knows cgroup v1 alone.
    V2,
    /// It knows v2, and takes a host whose /proc/cgroups does not list the controllers of v1 for one without limits.
    Rows,
}

/// A runtime that does not find its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `Java`, `Node`, `.NET`, `automaxprocs`, `joblib`, `loky`, `dask`.
    pub name: &'static str,
    /// What it lacks.
    pub lacks: Lacks,
    /// Its version.
    pub version: String,
    /// Whether its files are opened by libc functions that evercall's file rules reach.
    pub by_libc: bool,
}

/// Whether the text of a file tells a runtime's version.
pub fn wants(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".runtimeconfig.json")
        || path.ends_with("release")
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
            "libcoreclr.so" => dotnet(tree, path),
            "METADATA" => {
                if let Some((python, runtime)) = python(tree, path) {
                    found.entry(python).or_insert(runtime);
                }
                None
            }
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
    let needs_rows = match numbers.as_slice() {
        [1, 8, 0, update, ..] => *update <= 492,
        [11, 0, update, ..] => *update <= 31,
        [17, 0, update, ..] => *update <= 19,
        [21, 0, update, ..] => *update <= 11,
        [major, ..] => *major < 25,
        [] => false,
    };
    let lacks = if old { Lacks::V2 } else { Lacks::Rows };
    (old || needs_rows).then(|| Runtime { name: "Java", lacks, version: clean(version), by_libc: true })
}

/// `.../Microsoft.NETCore.App/3.1.32/libcoreclr.so`; or what a program with its runtime beside it says in its settings.
fn dotnet(tree: &Tree<Content>, coreclr: &Path) -> Option<Runtime> {
    let folder = coreclr.parent()?;
    let version = if folder.parent()?.ends_with("Microsoft.NETCore.App") {
        folder.file_name()?.to_string_lossy().into_owned()
    } else {
        tree.children(folder).find_map(included)?
    };
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 5).then(|| Runtime { name: ".NET", lacks: Lacks::V2, version: clean(&version), by_libc: true })
}

/// The .NET that a `*.runtimeconfig.json` includes.
fn included(node: &Node<Content>) -> Option<String> {
    let is_settings = node.entry.path.to_string_lossy().ends_with(".runtimeconfig.json");
    let settings: serde_json::Value =
        serde_json::from_slice(node.content.text().filter(|_| is_settings)?).ok()?;
    let frameworks = settings.get("runtimeOptions")?.get("includedFrameworks")?.as_array()?;
    let own =
        frameworks.iter().find(|one| one.get("name").is_some_and(|name| name == "Microsoft.NETCore.App"))?;
    Some(own.get("version")?.as_str()?.to_string())
}

/// Packages of Python that count processors by the limits: the first version that knows v2.
const PACKAGES: &[(&str, [u32; 3])] = &[("joblib", [1, 2, 0]), ("loky", [3, 1, 0]), ("dask", [2023, 8, 1])];

/// `/usr/lib/python3.9/site-packages/joblib-1.1.0.dist-info/METADATA`: the interpreter that it is for, and what it lacks.
fn python(tree: &Tree<Content>, metadata: &Path) -> Option<(PathBuf, Runtime)> {
    let folder = metadata.parent()?;
    let (package, version) = folder.file_name()?.to_str()?.strip_suffix(".dist-info")?.split_once('-')?;
    let (name, first) = PACKAGES.iter().find(|(name, _)| *name == package)?;
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let mut part = || numbers.next().unwrap_or(0);
    if [part(), part(), part()] >= *first {
        return None;
    }
    let library = folder
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python")))?;
    let minor = library.file_name()?;
    // Debian's own packages are for any Python 3; a virtual environment's program may be a link.
    let beside = library.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join("bin");
    let programs = [beside.as_path(), Path::new("/usr/local/bin"), Path::new("/usr/bin")];
    let program = programs.iter().find_map(|bin| tree.resolve(&bin.join(minor)))?;
    let lacks = Runtime { name, lacks: Lacks::V2, version: clean(version), by_libc: true };
    Some((program.entry.path.clone(), lacks))
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
    // Before 12.3 it reads no limits at all.
    ((12, 3)..(20, 3)).contains(&(major, minor)).then(|| Runtime {
        name: "Node",
        lacks: Lacks::V2,
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
        lacks: Lacks::V2,
        version: clean(&module.version),
        by_libc: false,
    })
}

fn clean(version: &str) -> String {
    version.chars().filter(char::is_ascii_graphic).take(40).collect()
}
