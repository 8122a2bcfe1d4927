//! Where log lines go: one write a line, and no harm. The descriptor must still be the file it was at
//! start; a full pipe, a closed pipe, a full disk and a size limit cost a line, never the program.

use super::Format;
use super::counters;
use super::line::{Event, escaped};
use crate::program;
use crate::settings::{self, LogTo};
use crate::sys::{self, Blocked, Errno, Fd, Result, signal_bit};
use crate::text::Text;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Longest line, bytes: more than the parts of an event can come to with every byte escaped, and less than
/// a pipe takes in one piece (PIPE_BUF, 4096).
const LINE: usize = 3072;

/// Lowest number for a descriptor of ours, out of the way of programs that count on theirs.
const HIGH_FD: i32 = 1000;

/// The descriptor lines go to; -1 while there is none. Device and inode tell that it is still the same.
static FD: AtomicI32 = AtomicI32::new(-1);
static DEVICE: AtomicU64 = AtomicU64::new(0);
static INODE: AtomicU64 = AtomicU64::new(0);

/// Whether the last line was written in part: a disk that filled up, a size limit. The next one starts anew.
static TORN: AtomicBool = AtomicBool::new(false);

/// The last part of the path that the program was executed by.
static PROGRAM: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Remembers the file that lines go to, at start.
pub fn prepare() {
    remember_program();
    let fd = match settings::get().log_to {
        LogTo::Fd(fd) => fd,
        LogTo::Path => match open_path() {
            Ok(fd) => fd,
            Err(_) => return,
        },
    };
    let Ok(stat) = sys::fstat(fd) else { return };
    DEVICE.store(stat.st_dev, Relaxed);
    INODE.store(stat.st_ino, Relaxed);
    FD.store(fd, Release);
}

fn remember_program() {
    for (word, piece) in PROGRAM.iter().zip(program::name(program::path()).chunks(8)) {
        let mut bytes = [0; 8];
        for (to, &from) in bytes.iter_mut().zip(piece) {
            *to = from;
        }
        word.store(u64::from_ne_bytes(bytes), Relaxed);
    }
}

/// Opens the log file and moves its descriptor out of the program's way.
fn open_path() -> Result<i32> {
    let mut path = Text::<256>::new();
    path.push(settings::get().log_path());
    let flags = libc::O_WRONLY
        | libc::O_APPEND
        | libc::O_CREAT
        | libc::O_NOFOLLOW
        | libc::O_NONBLOCK
        | libc::O_NOCTTY;
    let file = sys::open(path.c_str(), flags, 0o600)?;
    match sys::fcntl(file.0, libc::F_DUPFD_CLOEXEC, HIGH_FD) {
        Ok(high) => Ok(high as i32),
        // The descriptor limit is lower than that.
        Err(_) => Ok(file.into_raw()),
    }
}

/// The descriptor, if it is still ours, and what kind of file it is; with it, one to be closed afterwards.
fn descriptor() -> Option<(i32, u32, Option<Fd>)> {
    let fd = FD.load(Acquire);
    if let Some(kind) = still_ours(fd) {
        return Some((fd, kind, None));
    }
    if settings::get().log_to != LogTo::Path {
        return None;
    }
    // A program that closes all descriptors closed ours too: open the file again.
    let fresh = open_path().ok()?;
    let stat = sys::fstat(fresh).ok()?;
    let kind = stat.st_mode & libc::S_IFMT;
    if counters::in_vfork_child() {
        // The parent's memory, but not its descriptors: the number would mean nothing there.
        return Some((fresh, kind, Some(Fd(fresh))));
    }
    DEVICE.store(stat.st_dev, Relaxed);
    INODE.store(stat.st_ino, Relaxed);
    if FD.compare_exchange(fd, fresh, Release, Relaxed).is_err() {
        drop(Fd(fresh));
        let fd = FD.load(Acquire);
        return Some((fd, still_ours(fd)?, None));
    }
    Some((fresh, kind, None))
}

fn still_ours(fd: i32) -> Option<u32> {
    if fd < 0 {
        return None;
    }
    let stat = sys::fstat(fd).ok()?;
    let same = stat.st_dev == DEVICE.load(Relaxed) && stat.st_ino == INODE.load(Relaxed);
    same.then_some(stat.st_mode & libc::S_IFMT)
}

/// Writes one line, whole or in part, or drops it.
fn write_line(line: &[u8]) -> Result<usize> {
    let Some((fd, kind, _own)) = descriptor() else { return Err(Errno(libc::EBADF)) };
    // SIGTTOU is blocked so that a background process is not stopped by its log (termios(3), TOSTOP).
    let guard =
        Blocked::add(signal_bit(libc::SIGPIPE) | signal_bit(libc::SIGXFSZ) | signal_bit(libc::SIGTTOU));
    // Pending before means it is the program's own, and could not be told from ours: then none is raised.
    let before = if guard.had(libc::SIGPIPE) || guard.had(libc::SIGXFSZ) { sys::pending() } else { 0 };
    let own = |signal| before & signal_bit(signal) != 0;
    let written = match kind {
        libc::S_IFSOCK => return sys::send_nowait(fd, line),
        libc::S_IFIFO if own(libc::SIGPIPE) => write_if_room(fd, line),
        libc::S_IFIFO => match sys::write_nowait(fd, line) {
            // Pipes take RWF_NOWAIT since 6.4 or so.
            Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)) => write_opened_again(fd, line),
            written => written,
        },
        libc::S_IFREG if own(libc::SIGXFSZ) => Err(Errno(libc::EFBIG)),
        libc::S_IFREG => sys::write(fd, line),
        libc::S_IFCHR if sys::is_terminal(fd) => write_opened_again(fd, line),
        _ => write_if_room(fd, line),
    };
    let signal = match written {
        Err(Errno(libc::EPIPE)) => libc::SIGPIPE,
        Err(Errno(libc::EFBIG)) => libc::SIGXFSZ,
        _ => return written,
    };
    if !own(signal) {
        sys::take_signal(signal);
    }
    written
}

fn write_if_room(fd: i32, line: &[u8]) -> Result<usize> {
    if sys::writable(fd) { sys::write(fd, line) } else { Err(Errno(libc::EAGAIN)) }
}

/// A terminal with room for a part of the line would wait for more, and so would a pipe that another writer
/// fills meanwhile: opened once more, they do not.
fn write_opened_again(fd: i32, line: &[u8]) -> Result<usize> {
    match sys::open(sys::proc_path(fd).c_str(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0) {
        Ok(own) => sys::write(own.0, line),
        // Another user's, or no /proc.
        Err(_) => write_if_room(fd, line),
    }
}

/// The log's end: takes records of the `log` crate.
pub struct Sink;

impl ::log::Log for Sink {
    fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        // What went missing is told first, as soon as there is room again.
        let dropped = counters::take_dropped();
        if dropped > 0 && !emit(&format_args!("{}", Event::Dropped(dropped))) {
            for _ in 0..dropped {
                counters::dropped();
            }
        }
        if !emit(record.args()) {
            counters::dropped();
        }
    }

    fn flush(&self) {}
}

/// One line around an event: time, program, pid.
fn emit(event: &fmt::Arguments<'_>) -> bool {
    let json = settings::get().log_format == Format::Json;
    let mut line = Text::<LINE>::new();
    line.push(if TORN.load(Relaxed) { b"\n" } else { b"" });
    line.push(if json { b"{\"time\":\"" } else { b"" });
    write_time(&mut line, sys::now());
    let mut program = [0u8; 32];
    for (piece, word) in program.chunks_mut(8).zip(&PROGRAM) {
        for (to, from) in piece.iter_mut().zip(word.load(Relaxed).to_ne_bytes()) {
            *to = from;
        }
    }
    let end = program.iter().position(|&b| b == 0).unwrap_or(program.len());
    let program = Program(program.get(..end).unwrap_or(&[]));
    if json {
        line.push(b"\",\"pid\":").signed(i64::from(sys::getpid()));
        let _ = write!(line, ",\"program\":\"{program}\",{event}");
    } else {
        let _ = write!(line, " {program}[");
        line.signed(i64::from(sys::getpid())).push(b"] ");
        let _ = write!(line, "{event}");
    }
    line.push(if json { b"}\n" } else { b"\n" });
    let Ok(written) = write_line(line.bytes()) else { return false };
    let whole = written == line.bytes().len();
    TORN.store(!whole, Relaxed);
    whole
}

struct Program<'a>(&'a [u8]);

impl fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, self.0)
    }
}

/// `2026-11-23T17:31:00.123456Z`.
fn write_time<const N: usize>(to: &mut Text<N>, (seconds, nanoseconds): (i64, i64)) {
    let seconds = seconds.max(0) as u64;
    let (year, month, day) = date(seconds / 86_400);
    let two = |to: &mut Text<N>, n: u64| {
        to.push(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
    };
    to.decimal(year).push(b"-");
    two(to, month);
    to.push(b"-");
    two(to, day);
    to.push(b"T");
    two(to, seconds / 3600 % 24);
    to.push(b":");
    two(to, seconds / 60 % 60);
    to.push(b":");
    two(to, seconds % 60);
    to.push(b".");
    let microseconds = nanoseconds as u64 / 1000;
    two(to, microseconds / 10_000);
    two(to, microseconds / 100 % 100);
    two(to, microseconds % 100);
    to.push(b"Z");
}

/// Year, month and day of a day since 1970-01-01 (the civil calendar, counted from March).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_reads_as_date_prints_it() {
        // By date -u -d @N.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_827_696, "2000-02-29T12:34:56.000000Z"),
            (1_795_455_060, "2026-11-23T17:31:00.000000Z"),
        ] {
            let mut time = Text::<40>::new();
            write_time(&mut time, (seconds, 0));
            assert_eq!(core::str::from_utf8(time.bytes()), Ok(text));
        }
    }
}
