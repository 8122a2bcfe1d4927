//! The options of `evercall hook`.

use super::chosen::Denied;
use clap::builder::{PathBufValueParser, PossibleValue, TypedValueParser as _};
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Options of `evercall hook`.
#[derive(Args)]
pub struct HookOptions {
    /// Where the engine calls the hook
    #[arg(value_name = "STAGE")]
    pub stage: Stage,
    /// Every container, and not only those with the annotation org.evercall.inject=true
    #[arg(long)]
    pub all: bool,
    /// Never these containers: image=PATTERN, command=PATTERN or annotation=KEY=PATTERN, where * stands for any text
    /// and ? for one character. May be repeated
    #[arg(long, value_name = "WHAT", value_parser = Denied::parse)]
    pub deny: Vec<Denied>,
    /// Where a container cannot have the library, do not let it start, instead of leaving it as it is
    #[arg(long)]
    pub strict: bool,
    /// The library, instead of the one installed with this command; for images with 32-bit programs in the folder that
    /// is installed
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = absolute())]
    pub lib: Option<PathBuf>,
    /// Settings that become /etc/evercall.conf where the image has none
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = absolute())]
    pub conf: Option<PathBuf>,
    /// A variable for the container, unless it has one of that name (precreate only). May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<String>,
    /// A file that gets a line about each container that was changed, or could not be: engines drop what a
    /// successful hook writes to standard error
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = absolute())]
    pub log_file: Option<PathBuf>,
}

/// Stages of hooks, by the names of hooks.d and the OCI runtime specification.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The engine hands over config.json before the runtime sees it.
    Precreate,
    /// The runtime has made the mounts; the process has not started.
    CreateContainer,
}

impl ValueEnum for Stage {
    fn value_variants<'a>() -> &'a [Stage] {
        &[Stage::Precreate, Stage::CreateContainer]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Stage::Precreate => PossibleValue::new("precreate")
                .help("Reads config.json and writes it with the mount and LD_PRELOAD in it (Podman, CRI-O)"),
            Stage::CreateContainer => PossibleValue::new("createContainer").help(
                "Reads the container's state; mounts the library and /etc/ld.so.preload (any OCI runtime)",
            ),
        })
    }
}

/// In a hook the working directory is the container's.
fn absolute() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.is_absolute() {
            Ok(path)
        } else {
            Err("give an absolute path: a hook runs in the container's folder")
        }
    })
}

/// `NAME=VALUE`, also for `evercall cdi`.
pub fn variable(value: &str) -> Result<String, String> {
    match value.split_once('=') {
        Some(("LD_PRELOAD", _)) => Err("LD_PRELOAD is made by evercall itself".into()),
        Some((name, rest)) if !name.is_empty() && !name.contains('\0') && !rest.contains('\0') => {
            Ok(value.into())
        }
        _ => Err("write NAME=VALUE".into()),
    }
}
