//! Text for standard output: written at once, wrapped for people, aligned in columns.

use crate::failure::Failure;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};

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
