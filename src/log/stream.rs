//! Opens a log: a file, standard input, or either compressed.

use flate2::read::MultiGzDecoder;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, Error, Read};
use std::path::Path;

/// Files from this size on show their progress, on a terminal.
const LARGE: u64 = 64 << 20;

/// How compressed files begin, and what reads those that we do not.
const COMPRESSED: [(&[u8], &str); 3] =
    [(b"\x28\xb5\x2f\xfd", "zstd -dc"), (b"\xfd7zXZ\0", "xz -dc"), (b"BZh", "bzip2 -dc")];

const GZIP: &[u8] = b"\x1f\x8b";

/// The log of that name. `-` is standard input.
pub fn open(path: &Path) -> io::Result<(Box<dyn Read>, ProgressBar)> {
    if path.as_os_str() == "-" {
        return Ok((plain(Box::new(io::stdin()))?, ProgressBar::hidden()));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let bar = if length >= LARGE { bar(path, length) } else { ProgressBar::hidden() };
    Ok((plain(Box::new(bar.wrap_read(file)))?, bar))
}

/// Draws on standard error, and only if that is a terminal.
fn bar(path: &Path, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let name: String = path.to_string_lossy().chars().filter(|c| !c.is_control()).collect();
    // Each of these draws.
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {percent}%") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(format!("{name} ({})", HumanBytes(length)));
    bar
}

/// Takes gzip off, if a stream begins so.
fn plain(mut stream: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    (&mut stream).take(6).read_to_end(&mut head)?;
    for (magic, program) in COMPRESSED {
        if head.starts_with(magic) {
            return Err(Error::other(format!("it is compressed: pipe it through {program}")));
        }
    }
    let gzip = head.starts_with(GZIP);
    let whole = io::Cursor::new(head).chain(stream);
    Ok(if gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}
