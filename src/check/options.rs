//! The options of `evercall check`.

use crate::simulate::calls::Version;
use crate::simulate::containers::capability;
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Options of `evercall check`.
#[derive(Args)]
pub struct CheckOptions {
    /// An ELF file, a directory with a root filesystem, an OCI layout, an archive (docker save, podman save, skopeo
    /// copy), or - for an archive on standard input
    #[arg(value_name = "TARGET", value_hint = ValueHint::AnyPath)]
    pub target: PathBuf,
    /// The host: a profile that `evercall probe` wrote, or the name of one that comes with evercall; else this host
    #[arg(long, value_name = "PROFILE", value_hint = ValueHint::FilePath, conflicts_with = "kernel")]
    pub host: Option<String>,
    /// The host: a kernel of this version, with what Debian's kernels are built with
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    pub kernel: Option<Version>,
    /// The host refuses what this seccomp profile of Docker, podman or containerd refuses, too
    #[arg(long, value_name = "PROFILE.json", value_hint = ValueHint::FilePath)]
    pub seccomp: Option<PathBuf>,
    /// The container holds this capability, too, where the seccomp profile asks for capabilities
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', requires = "seccomp")]
    #[arg(value_parser = capability)]
    pub cap: Vec<String>,
    /// The image for this platform, where the target holds several
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub platform: Option<String>,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Write to this file, which appears when it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// The findings from which on the exit code is 2
    #[arg(long, value_name = "VERDICT", default_value = "breaks")]
    pub fail_on: FailOn,
    /// The exit code is of the image as it would fare under evercall, whether it carries evercall or not
    #[arg(long, conflicts_with = "bare")]
    pub with_evercall: bool,
    /// The exit code is of the image as it would fare without evercall
    #[arg(long)]
    pub bare: bool,
    /// List the files of each finding
    #[arg(long)]
    pub files: bool,
    /// List calls that the host refuses and that are only present: no program is seen to reach them
    #[arg(long)]
    pub present: bool,
    /// Bytes of a file from which on it is not looked into
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    pub max_file: u64,
    /// Bytes of all layers, unpacked, from which on the image is refused
    #[arg(long, value_name = "BYTES", default_value = "256G", value_parser = bytes)]
    pub max_unpacked: u64,
    /// Files and directories in all layers from which on the image is refused
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000_000)]
    pub max_entries: u64,
    /// Threads that look into files; else as many as there are processors
    #[arg(short, long, value_name = "NUMBER")]
    pub jobs: Option<std::num::NonZeroUsize>,
}

/// Forms of the output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document: docs/check.md
    Json,
    /// SARIF 2.1.0, as code scanning reads it
    Sarif,
    /// One page that needs nothing else
    Html,
}

/// Findings that make the exit code 2.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Something breaks
    Breaks,
    /// Something breaks or degrades
    Degrades,
    /// None
    Never,
}

/// A number of bytes: `4096`, `512M`, `1G`, in powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is no number of bytes: 4096, 64K, 512M, 1G");
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        Some((at, 'T' | 't')) => (&text[..at], 40),
        _ => (text, 0),
    };
    if digits.starts_with('+') {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("2M"), Ok(2 << 20));
        for wrong in ["", "G", "-1", "+1", "0", "1X", "99999999T", "1.5G", "1é"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
