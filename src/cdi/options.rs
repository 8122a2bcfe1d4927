//! The options of `evercall cdi`.

use crate::hook::options::variable;
use crate::libraries::HOME;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Options of `evercall cdi`.
#[derive(Args)]
pub struct CdiOptions {
    /// The folder of libraries on the hosts, as make install and the Debian package have it; it is not looked at
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = HOME, value_parser = plain_path())]
    pub folder: PathBuf,
    /// Where containers get it
    #[arg(long, value_name = "DIR", default_value = HOME, value_parser = plain_path())]
    pub container_folder: PathBuf,
    /// Settings on the hosts that become /etc/evercall.conf, over one that the image has
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = plain_path())]
    pub conf: Option<PathBuf>,
    /// A variable that containers get, such as EVERCALL_LOG=first, over one that they have. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<String>,
    /// Write to a file, such as /etc/cdi/evercall.json, instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// An absolute path, in UTF-8, that ld.so does not divide.
fn plain_path() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.to_str() {
        Some(text) if path.is_absolute() && !text.contains([' ', ':', '$', '\n']) => Ok(path),
        _ => Err("give an absolute path without blanks, colons and $"),
    })
}
