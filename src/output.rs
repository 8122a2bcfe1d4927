//! Text for standard output: written at once, wrapped for people, aligned in columns.

use crate::failure::Failure;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _, stdout};
use std::path::Path;

/// Writes to standard output. A reader that went away (`evercall rules | head -1`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a file that appears under its name when it is whole. What is there and no regular file, such as a FIFO or
/// /dev/null, is written to as it stands.
pub fn write_file(file: &Path, text: &str) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::new(format!("{} cannot be written: {error}", file.display()));
    let present = file.metadata();
    if present.as_ref().is_ok_and(|present| !present.is_file()) {
        let mut open = OpenOptions::new().write(true).open(file).map_err(cannot)?;
        return open.write_all(text.as_bytes()).map_err(cannot);
    }
    // The file that a symbolic link leads to, not the link.
    let target = if present.is_ok() { file.canonicalize().map_err(cannot)? } else { file.to_path_buf() };
    let name = target.file_name().ok_or_else(|| cannot(io::Error::other("it names no file")))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", std::process::id()));
    let temporary = target.with_file_name(temporary);
    let mut open = OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(cannot)?;
    let written = open.write_all(text.as_bytes()).and_then(|()| fs::rename(&temporary, &target));
    written.map_err(|error| {
        // What is half written is of no use to anybody.
        let _ = fs::remove_file(&temporary);
        cannot(error)
    })
}

/// The columns of the terminal, if standard output is one.
pub fn terminal_width() -> Option<usize> {
    if !stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Breaks a text at blanks into lines of at most `width` characters; a longer word stays whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}

/// Rows as aligned columns, two blanks between them. On a terminal the last column is wrapped into what
/// the others leave of it; elsewhere a row is a line, for grep(1).
pub fn columns<R: AsRef<[String]>>(rows: &[R], terminal: Option<usize>) -> String {
    /// Narrower than this a wrapped column is no longer readable.
    const NARROWEST: usize = 30;
    let mut widths = vec![0; rows.first().map_or(0, |row| row.as_ref().len())];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let indent: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        let Some((last, before)) = row.as_ref().split_last() else { continue };
        for (cell, &width) in before.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        let last = match terminal {
            Some(width) => wrap(last, width.saturating_sub(indent).max(NARROWEST)),
            None => vec![last.clone()],
        };
        line.push_str(&last.join(&format!("\n{:indent$}", "")));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_exceeds_the_width_unless_one_word_does() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("aaaaaaaa b", 5), ["aaaaaaaa", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn the_last_column_is_wrapped_under_itself_on_a_terminal_only() {
        let rows = [["ab".to_string(), "word ".repeat(8)]];
        assert_eq!(columns(&rows, Some(20)), "ab  word word word word word word\n    word word\n");
        assert_eq!(columns(&rows, None).lines().count(), 1);
    }
}
