//! Whether a program starts at all: architecture, interpreter, libraries, and the oldest kernel that its libc takes.

use super::{Bare, Class, Context, Evidence, Finding, Form, Under, Unit, Verdict};
use crate::check::elf::facts::{Architecture, ExecutableStack, KernelVersion, Kind, LibcKind};
use crate::image::tar_entries::shown;
use crate::simulate::calls::Version;
use std::path::Path;

/// From this version on glibc's loader gives no executable stack to what is loaded at run time.
const NO_EXECUTABLE_STACK: (u32, u32) = (2, 41);

/// From this version on glibc no longer looks at the kernel's version.
const NO_KERNEL_CHECK: (u32, u32) = (2, 37);

pub fn judge(unit: &Unit, context: &Context<'_>) -> Vec<Finding> {
    let Some(id) = unit.loaded.modules.first().copied() else { return Vec::new() };
    let elf = context.objects.get(id).elf();
    let mut findings = Vec::new();
    let mut add = |cause: String, class, title: String, bare: Bare, advice: &str, everywhere, evidence| {
        let under = Under::same(&bare);
        findings.push(Finding {
            cause,
            class,
            title,
            bare,
            under,
            advice: advice.to_string(),
            everywhere,
            evidence,
        });
    };
    let breaks = |outcome: &str| Bare { verdict: Verdict::Breaks, outcome: outcome.to_string() };
    let here = || Evidence::file(unit.path());
    let starts = unit.form != Form::Plugin;
    if starts && !matches!(elf.architecture, Architecture::X86_64 | Architecture::I386) {
        add(
            format!("architecture:{}", elf.architecture),
            Class::Architecture,
            format!("it is for {}, and the host for x86-64", elf.architecture),
            breaks("exit 126 (Exec format error)"),
            "use the image for this platform, or qemu-user with binfmt_misc",
            true,
            here(),
        );
        return findings;
    }
    if starts && elf.architecture == Architecture::I386 && context.host.ia32 == Some(false) {
        add(
            "ia32".to_string(),
            Class::Architecture,
            "it is for i386, which the host does not run".to_string(),
            breaks("exit 126 (Exec format error)"),
            "use a host with CONFIG_IA32_EMULATION (ia32_emulation=on), or qemu-user",
            false,
            here(),
        );
        return findings;
    }
    if let (Kind::Program { interpreter }, false) = (&elf.kind, context.objects.is_alone()) {
        if context.objects.at(Path::new(interpreter)).is_none() && unit.form == Form::Program {
            let name = shown(Path::new(interpreter));
            add(
                format!("interpreter:{name}"),
                Class::InterpreterMissing,
                format!("its dynamic loader {name} is not in the image"),
                breaks("exit 127 (not found)"),
                "add the libc that it was built for",
                true,
                here(),
            );
            return findings;
        }
    }
    if !context.objects.is_alone() && starts {
        for (library, who) in &unit.loaded.missing {
            let name = shown(Path::new(library));
            let evidence = Evidence { symbol: Some(format!("needs {name}")), ..Evidence::file(who) };
            add(
                format!("library:{name}"),
                Class::LibraryMissing,
                format!("the library {name} is not where the loader looks"),
                breaks("exit 127 (cannot open shared object file)"),
                "add the library, or set LD_LIBRARY_PATH",
                true,
                evidence,
            );
        }
    }
    if let Some((least, who)) = minimum(unit, context) {
        let version = Version::parse(&least.to_string());
        if let (Ok(least), Some(host)) = (version, context.host.version) {
            if host < least {
                add(
                    "kernel_too_old".to_string(),
                    Class::KernelTooOld,
                    format!("its libc wants Linux {least}, and the host is {host}"),
                    breaks("exit 127 (FATAL: kernel too old)"),
                    "no preload helps, since the loader ends first: use an image with an older libc",
                    false,
                    Evidence::file(who),
                );
            }
        }
    }
    // What is linked gets its stack from the kernel; what is loaded at run time would need the loader's.
    if unit.form == Form::Plugin && elf.executable_stack == ExecutableStack::Yes {
        let libc = image_glibc(context);
        if libc.is_some_and(|version| version >= NO_EXECUTABLE_STACK) {
            add(
                "executable_stack".to_string(),
                Class::ExecutableStack,
                "it asks for an executable stack, which glibc from 2.41 on refuses at run time".to_string(),
                Bare {
                    verdict: Verdict::Degrades,
                    outcome: "dlopen: cannot enable executable stack".to_string(),
                },
                "GLIBC_TUNABLES=glibc.rtld.execstack=2 (EVERCALL_TUNABLES sets it for children), or patchelf --clear-execstack",
                true,
                here(),
            );
        }
    }
    findings
}

/// The newest of the oldest kernels that the glibc files of a program take, and which file says so.
fn minimum<'a>(unit: &Unit, context: &Context<'a>) -> Option<(KernelVersion, &'a Path)> {
    let is_static = unit.form == Form::Static;
    let files = unit.loaded.modules.iter().map(|id| context.objects.get(*id));
    files
        .filter(|object| is_static || object.is_libc())
        .filter(|object| {
            object.elf().libc.as_ref().is_some_and(|libc| {
                libc.kind == LibcKind::Glibc
                    && libc
                        .version
                        .as_deref()
                        .and_then(number)
                        .is_none_or(|version| version < NO_KERNEL_CHECK)
            })
        })
        .filter_map(|object| Some((object.elf().minimum_kernel?, object.path.as_path())))
        .max_by_key(|(least, _)| *least)
}

/// The glibc of the image.
fn image_glibc(context: &Context<'_>) -> Option<(u32, u32)> {
    let libcs = context.objects.all.iter().filter(|object| object.is_libc());
    libcs
        .filter_map(|object| object.elf().libc.as_ref())
        .filter(|libc| libc.kind == LibcKind::Glibc)
        .find_map(|libc| number(libc.version.as_deref()?))
}

/// `2.36` as numbers.
fn number(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}
