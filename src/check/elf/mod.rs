//! What an ELF file asks of the kernel. Pure: bytes in, facts out.
//!
//! Headers, symbols and relocations are read without section headers where those are missing. Code is gone through twice:
//! [`sweep`] decodes every function once for what it leads to, [`flow`] follows constants through those that call the
//! kernel, and through their callers where the number comes from there.

mod dynamic;
mod execute;
pub mod facts;
mod flow;
mod functions;
mod go;
mod graph;
mod libc;
mod notes;
mod parts;
mod places;
mod script;
mod sweep;
mod unwind;
mod value;
mod versions;

use dynamic::{Dynamic, Symbol};
pub use facts::{Analysis, Elf};
use facts::{Code, ExecutableStack, Export, Import, Kind};
use object::elf;
use parts::{Parts, text};
use std::collections::HashMap;
use std::path::Path;

/// What a file is and which kernel interfaces it can ask for. Never panics, and takes bounded time and memory,
/// whatever the bytes are. `name` is told to nobody but the log.
pub fn analyse(bytes: &[u8], name: &Path) -> Analysis {
    if let Some(script) = script::script(bytes) {
        return Analysis::Script(script);
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Analysis::Other;
    }
    match Parts::read(bytes) {
        Ok(parts) => {
            log::debug!("{}: {}, {} bytes", name.display(), parts.architecture, bytes.len());
            Analysis::Elf(Box::new(read(&parts)))
        }
        Err(why) => Analysis::Damaged(why),
    }
}

fn read(parts: &Parts<'_>) -> Elf {
    let is_loaded = matches!(parts.r#type, elf::ET_EXEC | elf::ET_DYN);
    let is_analysed = is_loaded && parts.architecture.is_analysed();
    let is_little = parts.endian == object::Endianness::Little;
    let dynamic = if is_loaded && is_little { dynamic::read(parts) } else { Dynamic::default() };
    let symbols = if is_analysed { dynamic::static_symbols(parts) } else { Vec::new() };
    let notes = if is_little { notes::read(parts) } else { notes::Notes::default() };
    let kind = kind(parts, &dynamic);
    let (imports, import_of) = imports(&dynamic);
    let go = if is_analysed { go::build_info(parts) } else { None };
    let go_functions = if is_analysed { go::functions(parts) } else { Vec::new() };
    let graph = is_analysed.then(|| {
        graph::graph(&graph::Known {
            parts,
            dynamic: &dynamic,
            symbols: &symbols,
            go: &go_functions,
            is_go: go.is_some() || !go_functions.is_empty(),
            imports: &import_of,
        })
    });
    let libc = if is_analysed { libc::libc(parts, &dynamic, &symbols, &notes, &kind) } else { None };
    let at = graph.as_ref().map(|graph| &graph.at);
    let exports = exports(&dynamic, at.unwrap_or(&HashMap::new()));
    let (code, sites) = graph.map_or_else(|| (Code::default(), Vec::new()), |graph| (graph.code, graph.sites));
    let folders = |list: Option<&str>| {
        list.map_or_else(Vec::new, |list| list.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect())
    };
    Elf {
        architecture: parts.architecture,
        kind,
        soname: dynamic.soname.map(str::to_owned),
        needed: dynamic.needed.iter().copied().map(str::to_owned).collect(),
        rpath: folders(dynamic.rpath),
        runpath: folders(dynamic.runpath),
        exports,
        imports,
        libc,
        minimum_kernel: notes.minimum_kernel,
        executable_stack: executable_stack(parts),
        build_id: notes.build_id,
        go,
        rustc: rustc(parts),
        sites,
        code,
    }
}

fn kind(parts: &Parts<'_>, dynamic: &Dynamic<'_>) -> Kind {
    if let Some((_, path)) = parts.segment(elf::PT_INTERP)
        && matches!(parts.r#type, elf::ET_EXEC | elf::ET_DYN)
        && let Some(interpreter) = text(path)
        // libc.so.6 and others can be run, to tell their version.
        && (dynamic.soname.is_none() || dynamic.is_pie)
    {
        return Kind::Program { interpreter: interpreter.to_owned() };
    }
    match parts.r#type {
        elf::ET_EXEC => Kind::Static,
        elf::ET_DYN if dynamic.is_pie => Kind::StaticPie,
        elf::ET_DYN if parts.segments.iter().any(|segment| segment.kind == elf::PT_LOAD) => Kind::Library,
        _ => Kind::Other,
    }
}

/// Undefined dynamic symbols, and the index of each in the list.
fn imports(dynamic: &Dynamic<'_>) -> (Vec<Import>, HashMap<u32, u32>) {
    let mut imports = Vec::new();
    let mut indices = HashMap::new();
    for (index, symbol) in dynamic.symbols.iter().enumerate() {
        if symbol.is_defined || symbol.name.is_empty() || symbol.bind == elf::STB_LOCAL {
            continue;
        }
        indices.insert(index as u32, imports.len() as u32);
        imports.push(Import {
            name: symbol.name.to_owned(),
            version: symbol.version.map(|version| version.name.to_owned()),
            library: symbol.version.and_then(|version| version.library).map(str::to_owned),
            is_weak: symbol.bind == elf::STB_WEAK,
        });
    }
    (imports, indices)
}

fn exports(dynamic: &Dynamic<'_>, at: &HashMap<u64, u32>) -> Vec<Export> {
    let is_export = |symbol: &&Symbol<'_>| {
        symbol.is_defined
            && !symbol.is_absolute
            && !symbol.name.is_empty()
            && symbol.bind != elf::STB_LOCAL
            && !matches!(symbol.kind, elf::STT_SECTION | elf::STT_FILE)
    };
    let exports = dynamic.symbols.iter().filter(is_export).map(|symbol| Export {
        name: symbol.name.to_owned(),
        version: symbol.version.map(|version| version.name.to_owned()),
        is_default: symbol.version.is_none_or(|version| !version.is_hidden),
        is_function: symbol.is_function(),
        address: symbol.value,
        function: if symbol.is_function() { at.get(&symbol.value).copied() } else { None },
    });
    exports.collect()
}

fn executable_stack(parts: &Parts<'_>) -> ExecutableStack {
    match parts.segments.iter().find(|segment| segment.kind == elf::PT_GNU_STACK) {
        Some(segment) if segment.flags & elf::PF_X != 0 => ExecutableStack::Yes,
        Some(_) => ExecutableStack::No,
        None => ExecutableStack::NotSaid,
    }
}

/// "rustc version 1.85.0 (...)" in `.comment`.
fn rustc(parts: &Parts<'_>) -> Option<String> {
    let comment = parts.content(parts.section(b".comment")?);
    let at = memchr::memmem::find(comment, b"rustc version ")?;
    let version = comment.get(at + 14..)?;
    let end = version.iter().take(32).position(|byte| matches!(byte, b' ' | b'\0'))?;
    std::str::from_utf8(version.get(..end)?).ok().map(str::to_owned)
}
