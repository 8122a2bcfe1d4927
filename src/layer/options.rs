//! Options of `evercall layer`.

use crate::image::Form;
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Options of `evercall layer`.
#[derive(Args)]
pub struct LayerOptions {
    /// An OCI layout, or an archive by docker save, podman save or skopeo, also compressed; - is standard input
    #[arg(value_name = "IMAGE", value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Where the image with the layer goes; - is standard output
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::AnyPath)]
    #[arg(required_unless_present = "show", conflicts_with = "show")]
    pub output: Option<PathBuf>,
    /// The form of OUT, instead of that of IMAGE
    #[arg(long, value_name = "FORM", conflicts_with = "show")]
    pub to: Option<To>,
    /// Take the layer out again
    #[arg(long, conflicts_with = "show")]
    pub remove: bool,
    /// Tell what IMAGE carries
    #[arg(long)]
    pub show: bool,
    /// How the library is loaded
    #[arg(long, value_name = "WAY", default_value = "auto", conflicts_with_all = ["show", "remove"])]
    pub load: Load,
    /// Settings that become the image's /etc/evercall.conf
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["show", "remove"])]
    pub conf: Option<PathBuf>,
    /// The library, instead of the one installed with this command
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with_all = ["show", "remove"])]
    pub lib: Option<PathBuf>,
    /// Only the image for this platform, such as linux/amd64
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub platform: Option<String>,
    /// The name of the image that is written, such as legacy:fixed, instead of the one it has
    #[arg(long, value_name = "NAME", conflicts_with = "show")]
    pub tag: Option<String>,
    /// Replace what is at OUT, and go on where the image preloads a libevercall.so of unknown origin
    #[arg(long, conflicts_with = "show")]
    pub force: bool,
    /// Give static programs the library as their ELF interpreter, by a changed copy in the layer: those that can call the
    /// vsyscall page, or all whose paths fit
    #[arg(long = "static", value_name = "GLOB", num_args = 0..=1, require_equals = true)]
    #[arg(conflicts_with_all = ["show", "remove"])]
    pub statics: Option<Option<String>>,
    /// Write the image without having run a program of it under the library
    #[arg(long, conflicts_with_all = ["show", "remove"])]
    pub no_self_test: bool,
    /// The form of what --show tells
    #[arg(long, value_name = "FORMAT", default_value = "table", requires = "show")]
    pub format: ShowFormat,
}

/// Forms of an image that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum To {
    /// An OCI layout: a directory
    Oci,
    /// An archive of an OCI layout
    OciArchive,
    /// An archive for docker load and podman load: an OCI layout with a manifest.json, as docker save writes it
    #[value(alias = "docker-archive")]
    Docker,
}

impl To {
    /// The form that it has on the disk.
    pub fn form(self) -> Form {
        match self {
            To::Oci => Form::OciLayout,
            To::OciArchive | To::Docker => Form::OciArchive,
        }
    }
}

/// How the library is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Load {
    /// By LD_PRELOAD
    Auto,
    /// By LD_PRELOAD in the environment that the image's config gives
    Env,
    /// By /etc/ld.so.preload, which glibc reads, in setuid programs too
    PreloadFile,
    /// By both
    Both,
}

impl Load {
    /// Whether LD_PRELOAD is set.
    pub fn env(self) -> bool {
        self != Load::PreloadFile
    }

    /// Whether /etc/ld.so.preload is written.
    pub fn file(self) -> bool {
        matches!(self, Load::PreloadFile | Load::Both)
    }

    /// As the label has it.
    pub fn word(self) -> &'static str {
        match self {
            Load::Auto | Load::Env => "env",
            Load::PreloadFile => "preload-file",
            Load::Both => "env,preload-file",
        }
    }
}

/// Forms of `evercall layer --show`.
#[derive(Clone, Copy, ValueEnum)]
pub enum ShowFormat {
    /// Lines for people
    Table,
    /// One JSON document
    Json,
}
