//! Options of `evercall self-test`, and of its sandbox's processes.

use super::Plan;
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Options of `evercall self-test`.
#[derive(Args)]
pub struct SelfTestOptions {
    /// An OCI layout, an OCI or docker archive, or a directory with a root filesystem
    #[arg(value_name = "IMAGE", value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The library to test, instead of the one installed with this command
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub lib: Option<PathBuf>,
    /// Preload it by /etc/ld.so.preload instead of LD_PRELOAD
    #[arg(long)]
    pub preload_file: bool,
    /// Give static programs the library as their ELF interpreter, too: those that can call the vsyscall page, or all whose
    /// paths fit
    #[arg(long = "static", value_name = "GLOB", num_args = 0..=1, require_equals = true)]
    pub statics: Option<Option<String>>,
    /// Seconds that one program may run
    #[arg(long, value_name = "SECONDS", default_value_t = Plan::SECONDS)]
    pub seconds: u64,
    /// MiB of memory that one process may have
    #[arg(long, value_name = "MIB", default_value_t = Plan::MEMORY >> 20)]
    pub memory: u64,
}

/// The processes of the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Makes the namespaces, a user namespace among them.
    User,
    /// Makes the namespaces without a user namespace: root alone can.
    Root,
    /// The first process of the pid namespace: makes the root, gives up all rights, runs the program.
    Init,
    /// The same where there is no user namespace.
    RootInit,
}

impl Stage {
    /// The word on the command line.
    pub fn word(self) -> String {
        crate::options::word(self)
    }
}
