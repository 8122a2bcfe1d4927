//! Which C library a file is, or has inside.

use super::dynamic::{Dynamic, Symbol};
use super::facts::{Kind, Libc, LibcKind};
use super::notes::Notes;
use super::parts::{Parts, text};
use memchr::memmem;

/// Recognises it by soname, versions of symbols, banners, and names of functions that no other library has.
pub fn libc(
    parts: &Parts<'_>,
    dynamic: &Dynamic<'_>,
    symbols: &[Symbol<'_>],
    notes: &Notes,
    kind: &Kind,
) -> Option<Libc> {
    match kind {
        Kind::Library | Kind::Program { .. } => itself(parts, dynamic, notes),
        Kind::Static | Kind::StaticPie => inside(parts, symbols, notes),
        Kind::Other => None,
    }
}

/// A libc's own files: libc, its loader, and the libraries that belong to it.
fn itself(parts: &Parts<'_>, dynamic: &Dynamic<'_>, notes: &Notes) -> Option<Libc> {
    let soname = dynamic.soname.unwrap_or("");
    let exports = |name: &str| dynamic.symbols.iter().any(|symbol| symbol.is_defined && symbol.name == name);
    let is = |kind: LibcKind, version: Option<String>| Some(Libc { kind, version, is_itself: true });
    let is_glibc = soname == "libc.so.6" || soname.starts_with("ld-linux") || soname == "ld64.so.1";
    if is_glibc {
        // Of old glibc only the symbols say it; its newest version is the library's.
        return is(LibcKind::Glibc, glibc_banner(parts).or_else(|| newest_version(dynamic)));
    }
    if soname == "libc.so" && (notes.is_android || exports("android_set_abort_message")) {
        return is(LibcKind::Bionic, None);
    }
    // Often without a soname.
    if soname.starts_with("libc.musl") || exports("__libc_start_main") && find(parts, b"musl libc (").is_some() {
        return is(LibcKind::Musl, musl_version(parts));
    }
    let is_uclibc = soname.starts_with("ld-uClibc") || soname == "libc.so.0" || soname == "libc.so.1" || exports("__uClibc_main");
    if is_uclibc {
        return is(LibcKind::Uclibc, uclibc_version(parts));
    }
    None
}

/// A static program's.
fn inside(parts: &Parts<'_>, symbols: &[Symbol<'_>], notes: &Notes) -> Option<Libc> {
    let has = |name: &str| symbols.iter().any(|symbol| symbol.name == name);
    let is = |kind: LibcKind, version: Option<String>| Some(Libc { kind, version, is_itself: false });
    if notes.is_android {
        return is(LibcKind::Bionic, None);
    }
    if has("__uClibc_main") || find(parts, b"uClibc").is_some() {
        return is(LibcKind::Uclibc, uclibc_version(parts));
    }
    if has("__unified_syscall") || find(parts, b"diet libc").is_some() {
        return is(LibcKind::Dietlibc, None);
    }
    // glibc's start files have the note, in every program; its error messages are in every static one.
    let is_glibc = notes.minimum_kernel.is_some() || find(parts, b"GNU C Library").is_some() || has("__libc_start_main_impl");
    if is_glibc || find(parts, b"FATAL: kernel too old\n").is_some() {
        return is(LibcKind::Glibc, glibc_banner(parts).or_else(|| static_glibc_version(parts)));
    }
    if has("__init_libc") || has("__libc_start_init") || has("__syscall_cp_c") {
        return is(LibcKind::Musl, musl_version(parts));
    }
    None
}

/// What stands in the loaded data from a text on.
fn find<'a>(parts: &Parts<'a>, wanted: &[u8]) -> Option<&'a [u8]> {
    parts.data().into_iter().find_map(|(_, bytes)| bytes.get(memmem::find(bytes, wanted)?..))
}

/// "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36." and ld.so's "ld.so (...) stable release version".
fn glibc_banner(parts: &Parts<'_>) -> Option<String> {
    let after = find(parts, b" release version ")?.get(17..)?;
    version(after)
}

/// Static glibc has the folder of its converters and no banner; newer ones have the version by itself.
fn static_glibc_version(parts: &Parts<'_>) -> Option<String> {
    let after = find(parts, b"glibc-ld.so.cache1.1").is_some();
    // `__libc_early_init` and gnu_get_libc_version() keep it as a text of its own.
    after.then(|| alone(parts, "2.")).flatten()
}

/// musl has it as a text of its own.
fn musl_version(parts: &Parts<'_>) -> Option<String> {
    alone(parts, "1.").or_else(|| alone(parts, "0."))
}

fn uclibc_version(parts: &Parts<'_>) -> Option<String> {
    version(find(parts, b"uClibc-0.")?.get(7..)?)
}

/// A text that is a version and nothing else: three numbers for musl, two for glibc.
fn alone(parts: &Parts<'_>, begins: &str) -> Option<String> {
    let mut pattern = vec![0];
    pattern.extend_from_slice(begins.as_bytes());
    parts.data().into_iter().find_map(|(_, bytes)| {
        memmem::find_iter(bytes, &pattern).find_map(|at| {
            let found = text(bytes.get(at + 1..)?)?;
            let dots = if begins == "2." { 1 } else { 2 };
            let is_version = found.len() <= 8
                && found.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                && found.bytes().filter(|&byte| byte == b'.').count() == dots
                && !found.ends_with('.');
            is_version.then(|| found.to_owned())
        })
    })
}

/// The digits and dots that a text begins with.
fn version(bytes: &[u8]) -> Option<String> {
    let length = bytes.iter().take(16).position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let found = std::str::from_utf8(bytes.get(..length)?).ok()?.trim_end_matches('.');
    (!found.is_empty()).then(|| found.to_owned())
}

/// The newest of the versions that a glibc defines: `GLIBC_2.17`.
fn newest_version(dynamic: &Dynamic<'_>) -> Option<String> {
    let defined = dynamic.symbols.iter().filter(|symbol| symbol.is_defined);
    let names = defined.filter_map(|symbol| symbol.version?.name.strip_prefix("GLIBC_"));
    let numbers = |name: &str| name.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>().ok();
    names.filter_map(|name| Some((numbers(name)?, name))).max().map(|(_, name)| name.to_owned())
}
