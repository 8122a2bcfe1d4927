//! What a hook says: one line a container, for people who wonder why one has evercall and another has not.

use super::Outcome;
use super::options::HookOptions;
use crate::failure::Failure;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Says what became of a container, and gives what is to be handed on. With `--strict` a doubt is the failure that
/// keeps the container from starting.
pub fn tell<T>(
    outcome: Result<Outcome<T>, String>,
    name: Option<&str>,
    options: &HookOptions,
) -> Result<Option<T>, Failure> {
    let name = name.map(plain).unwrap_or_else(|| "a container".into());
    match outcome {
        Ok(Outcome::Done(changed, how)) => {
            say(&format!("{name}: has evercall, {how}"), options, log::Level::Debug);
            Ok(Some(changed))
        }
        Ok(Outcome::Left(why)) => {
            log::debug!("{name}: left as it is: {}", plain(&why));
            Ok(None)
        }
        Ok(Outcome::Harmed(why)) => {
            let line = format!("{name}: must not start: {}", plain(&why));
            append(&line, options);
            Err(Failure::new(line))
        }
        Err(doubt) if options.strict => {
            let line = format!("{name}: may not start without evercall (--strict): {}", plain(&doubt));
            append(&line, options);
            Err(Failure::new(line))
        }
        Err(doubt) => {
            say(&format!("{name}: left as it is: {}", plain(&doubt)), options, log::Level::Warn);
            Ok(None)
        }
    }
}

fn say(line: &str, options: &HookOptions, level: log::Level) {
    log::log!(level, "{line}");
    append(line, options);
}

/// Text of a container without what would make two lines of one, or command a terminal.
fn plain(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Adds the line to the log file. One write each, so that hooks at work side by side do not mix; a log that cannot be
/// written (in a user namespace, say) stops no container.
fn append(line: &str, options: &HookOptions) {
    let Some(path) = &options.log_file else { return };
    // Not a FIFO without a reader, which would block.
    let open =
        OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK).open(path);
    let written =
        open.and_then(|mut file| file.write_all(format!("{} evercall hook: {line}\n", now()).as_bytes()));
    if let Err(error) = written {
        log::warn!("{} cannot be written: {error}", path.display());
    }
}

/// `2026-11-28T18:04:05Z`. The days of a date are counted in years that begin in March.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    time(seconds)
}

fn time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year_of_era, if month < 10 { month + 3 } else { month - 9 });
    let year = if month <= 2 { year + 1 } else { year };
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::{plain, time};

    /// Against date(1).
    #[test]
    fn times_are_as_date_says() {
        for seconds in [0, 951_782_399, 951_782_400, 1_709_164_800, 1_732_752_000, 4_107_542_399] {
            let date = std::process::Command::new("date")
                .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
                .output()
                .unwrap();
            assert_eq!(time(seconds), String::from_utf8(date.stdout).unwrap().trim_end());
        }
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(plain("a\nb\x1b[2Jc"), "a?b?[2Jc");
        assert_eq!(plain(&"x".repeat(5000)).len(), 1000);
    }
}
