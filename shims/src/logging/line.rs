//! What a log line says: a call with its arguments decoded, what it became, its result.

use super::Format;
use super::counters::Counts;
use super::errno_names;
use crate::memory;
use crate::settings;
use crate::sys::User;
use crate::text::Text;
use crate::vsyscall::callers;
use core::fmt::{self, Write};
use evercall_rules::ArgumentKind;
use evercall_rules::packed::RuleId;

/// Longest call with its arguments, bytes: a string of STRING bytes, all escaped, and the other arguments.
const CALL: usize = 640;

/// Bytes of a string argument that are shown.
const STRING: usize = 64;

/// What a line tells.
pub enum Event<'a> {
    /// A call was carried out by a rule.
    Translated { rule: RuleId, args: &'a [usize; 6], became: &'a [u8], result: isize },
    /// How often each rule acted.
    Summary(&'a Counts),
    /// Who jumped to the vsyscall page: return addresses, and how often since the start.
    Callers,
    /// Calls that the host's filter refuses; whether a filter of ours answers ENOSYS for them.
    Repaired { names: &'a [u8], done: bool },
    /// Calls that are trapped wherever they are made; whether the filter could be installed.
    Trapping { names: &'a [u8], done: bool },
    /// A setting that made no sense.
    Misunderstood(&'a [u8]),
    /// So many lines could not be written.
    Dropped(u32),
}

/// The event in the form of the settings; the sink puts time and process around it. In JSON these are
/// the fields behind "program".
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = settings::get().log_format == Format::Json;
        match *self {
            Event::Translated { rule, args, became, result } => {
                let mut call = Text::<CALL>::new();
                write_call(&mut call, rule, args);
                let mut answer = Text::<32>::new();
                write_result(&mut answer, result);
                if json {
                    field(f, "rule", rule.name())?;
                    f.write_str(",")?;
                    field(f, "call", call.bytes())?;
                    f.write_str(",")?;
                    field(f, "became", became)?;
                    f.write_str(",\"result\":")?;
                    let mut number = Text::<24>::new();
                    number.signed(if result < 0 { -1 } else { result as i64 });
                    ascii(f, number.bytes())?;
                    if result < 0 {
                        f.write_str(",")?;
                        field(f, "errno", answer.bytes().strip_prefix(b"-1 ").unwrap_or(b""))?;
                    }
                    return Ok(());
                }
                ascii(f, rule.name())?;
                f.write_str(": ")?;
                ascii(f, call.bytes())?;
                f.write_str(" = ")?;
                ascii(f, answer.bytes())?;
                if !became.is_empty() {
                    f.write_str(" [")?;
                    escaped(f, became)?;
                    f.write_str("]")?;
                }
                Ok(())
            }
            Event::Summary(counts) => {
                f.write_str(if json { "\"summary\":{" } else { "summary: " })?;
                for (index, (rule, count)) in counts.rules().enumerate() {
                    if index > 0 {
                        f.write_str(if json { "," } else { ", " })?;
                    }
                    let mut entry = Text::<64>::new();
                    let (open, close): (&[u8], &[u8]) = if json { (b"\"", b"\":") } else { (b"", b" ") };
                    entry.push(open).push(rule.name()).push(close).decimal(u64::from(count));
                    ascii(f, entry.bytes())?;
                }
                f.write_str(if json { "}" } else { "" })
            }
            Event::Callers => {
                f.write_str(if json { "\"callers\":{" } else { "vsyscall callers: " })?;
                for (index, (address, count)) in callers::all().enumerate() {
                    let mut entry = Text::<64>::new();
                    let [comma, open, close]: [&[u8]; 3] =
                        if json { [b",", b"\"", b"\":"] } else { [b", ", b"", b" "] };
                    entry.push(if index > 0 { comma } else { b"" });
                    entry.push(open).hex(address as u64).push(close).decimal(u64::from(count));
                    ascii(f, entry.bytes())?;
                }
                f.write_str(if json { "}" } else { "" })
            }
            Event::Repaired { names, done } if json => {
                field(f, "refused", names)?;
                f.write_str(if done { ",\"repaired\":true" } else { ",\"repaired\":false" })
            }
            Event::Repaired { names, done } => {
                f.write_str("filter: the host refuses ")?;
                escaped(f, names)?;
                f.write_str(if done {
                    " with EPERM; a filter of evercall's answers ENOSYS from here on"
                } else {
                    " with EPERM; left so, since a filter would need no_new_privs (EVERCALL_FILTER=on)"
                })
            }
            Event::Trapping { names, done } if json => {
                field(f, "trapped", names)?;
                f.write_str(if done { ",\"installed\":true" } else { ",\"installed\":false" })
            }
            Event::Trapping { names, done } => {
                f.write_str(if done { "trap: " } else { "trap: the filter was refused for " })?;
                escaped(f, names)
            }
            Event::Misunderstood(setting) if json => field(f, "misunderstood", setting),
            Event::Misunderstood(setting) => {
                f.write_str("setting not understood: ")?;
                escaped(f, setting)
            }
            Event::Dropped(lines) => {
                let mut number = Text::<24>::new();
                number.decimal(u64::from(lines));
                f.write_str(if json { "\"dropped\":" } else { "lines dropped: " })?;
                ascii(f, number.bytes())
            }
        }
    }
}

fn ascii(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str(core::str::from_utf8(bytes).unwrap_or("?"))
}

/// `"name":"text"`.
fn field(f: &mut fmt::Formatter<'_>, name: &str, text: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    f.write_str(name)?;
    f.write_str("\":\"")?;
    escaped(f, text)?;
    f.write_str("\"")
}

/// Text that can do no harm to a terminal, a line-wise reader or a JSON parser.
pub fn escaped(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    for &byte in text {
        let mut shown = Text::<8>::new();
        match byte {
            b'"' | b'\\' => shown.push(&[b'\\', byte]),
            b' '..=b'~' => shown.push(&[byte]),
            _ => shown.push(b"\\u00").push(&hex_digits(byte)),
        };
        ascii(f, shown.bytes())?;
    }
    Ok(())
}

fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

/// `-1 ENOENT`, or the number.
fn write_result(to: &mut Text<32>, result: isize) {
    if result >= 0 {
        to.decimal(result as u64);
        return;
    }
    let errno = result.unsigned_abs();
    to.push(b"-1 ");
    match errno_names::name(errno) {
        Some(name) => to.push(name.as_bytes()),
        None => to.decimal(errno as u64),
    };
}

fn write_call(to: &mut Text<CALL>, rule: RuleId, args: &[usize; 6]) {
    to.push(rule.name()).push(b"(");
    for (index, ((name, kind), &value)) in rule.arguments().zip(args).enumerate() {
        if index > 0 {
            to.push(b", ");
        }
        to.push(name).push(b"=");
        write_argument(to, kind, value);
    }
    to.push(b")");
}

fn write_argument(to: &mut Text<CALL>, kind: ArgumentKind, value: usize) {
    match kind {
        ArgumentKind::Int => {
            to.signed(i64::from(value as i32));
        }
        ArgumentKind::Size => {
            to.decimal(value as u64);
        }
        ArgumentKind::Hex => {
            to.hex(value as u64);
        }
        ArgumentKind::Pointer => write_pointer(to, value),
        ArgumentKind::Device => {
            // The kernel's new_decode_dev (include/linux/kdev_t.h).
            let device = value as u32 as u64;
            to.decimal(device >> 8 & 0xfff).push(b":").decimal(device & 0xff | device >> 12 & 0xf_ff00);
        }
        ArgumentKind::String => write_string(to, value),
        ArgumentKind::Sysctl => write_sysctl(to, value),
    }
}

fn write_pointer(to: &mut Text<CALL>, address: usize) {
    if address == 0 {
        to.push(b"NULL");
    } else {
        to.hex(address as u64);
    }
}

fn write_string(to: &mut Text<CALL>, address: usize) {
    let mut buffer = [0u8; STRING];
    let text = match memory::read_string(User(address), &mut buffer) {
        Ok(Some(text)) => text,
        Ok(None) => &buffer,
        Err(_) => return write_pointer(to, address),
    };
    let cut = if text.len() == STRING { "\"..." } else { "\"" };
    let _ = write!(to, "\"{}{cut}", Escaped(text));
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, self.0)
    }
}

/// `{name={1, 1}, ...}` of a `struct __sysctl_args`.
fn write_sysctl(to: &mut Text<CALL>, address: usize) {
    let Ok([name, length, old, _, new, new_length]) = memory::get::<[usize; 6]>(User(address)) else {
        return write_pointer(to, address);
    };
    to.push(b"{name={");
    for index in 0..(length as u32 as usize).min(10) {
        let Ok(number) = memory::get::<i32>(User(name).at(index * 4)) else { break };
        if index > 0 {
            to.push(b", ");
        }
        to.signed(i64::from(number));
    }
    to.push(b"}, oldval=");
    write_pointer(to, old);
    to.push(b", newval=");
    write_pointer(to, new);
    to.push(b", newlen=").decimal(new_length as u64).push(b"}");
}
