//! `evercall log`: sums up translation logs. A log may hold anything, and be of any size: it is read once,
//! through one buffer, and what is kept of it is bounded.

mod envelope;
mod event;
mod json;
mod lines;
mod members;
mod stream;
mod table;
mod tally;
mod time;

use crate::failure::Failure;
use crate::options::{LogOptions, LogSumFormat};
use crate::output;
use event::Parsed;
use lines::{Buffer, Line};
use std::path::{Path, PathBuf};
use tally::Tally;

/// Carries out `evercall log`.
pub fn sum_up(options: &LogOptions) -> Result<(), Failure> {
    let standard_input = [PathBuf::from("-")];
    let files = if options.files.is_empty() { &standard_input[..] } else { &options.files };
    let mut tally = Tally::new(&options.by);
    let mut buffer = Buffer::new();
    let mut failed = 0;
    for path in files {
        if let Err(error) = read(path, &mut buffer, &mut tally) {
            let name = if path.as_os_str() == "-" { Path::new("standard input") } else { path };
            eprintln!("evercall: cannot read {}: {error}", name.display());
            failed += 1;
        }
    }
    let read = files.len() - failed;
    let text = match options.format {
        LogSumFormat::Table => table::table(&tally, &options.by, read, output::terminal_width()),
        LogSumFormat::Json => json::document(&tally, &options.by, read)?,
    };
    output::print(&text)?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{failed} of {} logs could not be read", files.len()))),
    }
}

fn read(path: &Path, buffer: &mut Buffer, tally: &mut Tally) -> std::io::Result<()> {
    let (mut stream, bar) = stream::open(path)?;
    let mut scratch = Vec::new();
    let done = buffer.read(&mut stream, &mut |line| match line {
        Line::Whole { text, ended } => add(text, ended, tally, &mut scratch),
        Line::TooLong => tally.lines.too_long += 1,
    });
    bar.finish_and_clear();
    done
}

/// Sums up what a log holds, and prints it nowhere.
#[cfg(fuzzing)]
pub fn sum_up_bytes(bytes: &[u8]) {
    use crate::options::By;
    let by = [By::Rule, By::Program, By::Result];
    let (mut tally, mut scratch) = (Tally::new(&by), Vec::new());
    let mut stream = bytes;
    let read = Buffer::new().read(&mut stream, &mut |line| match line {
        Line::Whole { text, ended } => add(text, ended, &mut tally, &mut scratch),
        Line::TooLong => tally.lines.too_long += 1,
    });
    read.expect("bytes can be read");
    assert!(tally.groups().len() <= tally::GROUPS + 1 && tally.notes().len() <= tally::NOTES);
    let _ = table::table(&tally, &by, 1, Some(80));
    let text = json::document(&tally, &by, 1).unwrap_or_else(|failure| panic!("{failure}"));
    serde_json::from_str::<serde_json::Value>(&text).expect("what is printed is JSON");
}

/// Adds a line to the sums.
fn add(line: &[u8], ended: bool, tally: &mut Tally, scratch: &mut Vec<u8>) {
    let (line, whole) = envelope::open(line, ended, scratch);
    match event::parse(line) {
        // A line that is cut may still be well formed: `= 12` of `= 123`.
        Parsed::Told(told) if whole => tally.add(&told),
        Parsed::Told(_) | Parsed::Damaged => tally.lines.damaged += 1,
        Parsed::Other if event::is_within(line) => tally.lines.damaged += 1,
        Parsed::Other => tally.lines.other += 1,
    }
}
