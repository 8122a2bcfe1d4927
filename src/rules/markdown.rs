//! The table as Markdown: docs/rules.md is this, and nothing else.

use super::{Rows, acts, fidelity, number, probe, rule_of};
use evercall_rules::table::{Call, Door, Rule};
use std::fmt::Write as _;

const HEAD: &str = "\
<!-- Made by `evercall rules --format markdown`. Change rules/table/**/*.toml, then make it again. -->

# The rules and the system calls

What evercall knows: the rules that keep old system calls working, and every system call that Linux has or
ever had on x86-64 and i386. `evercall rules NAME` prints one of them.

## How to read it

A **rule** keeps one interface working. Its columns:

- *calls*: the system calls it answers; none where only a libc had the interface.
- *libc symbols*: the names that `libevercall.so` exports for it.
- *acts when*: *the host lacks the call* means that the kernel answers ENOSYS, or that a seccomp filter refuses
  the call. The host is asked first. A *probe* is a harmless call with the errno that an unfiltered kernel owes
  for it: EPERM there is a filter's.
- *fidelity*: *exact* gives the kernel's own results; *partial* differs as said; *refuse* gives the errno of a
  kernel without the call, because no honest translation exists; *pretend* accepts a write and drops it, only
  where asked for, and always logged.

A **system call** has a number on each architecture (a dash: none), the first kernel with it (*never*: a number
that was only reserved), the last kernel with it if it was removed, and the option without which a kernel is
built without it.
";

/// The whole of docs/rules.md.
pub fn document(rows: &Rows) -> String {
    let mut out = String::from(HEAD);
    out.push_str("\n## Rules\n");
    for family in families(rows.rules.iter().map(|rule| rule.family)) {
        let _ = write!(out, "\n### Rules: {family}\n\n");
        out.push_str(&rules(rows.rules.iter().filter(|rule| rule.family == family)));
    }
    out.push_str("\n## Doors that belong to no rule\n\n");
    out.push_str(&doors(&rows.doors));
    out.push_str("\n## System calls\n");
    for family in families(rows.calls.iter().map(|call| call.family)) {
        let _ = write!(out, "\n### System calls: {family}\n\n");
        out.push_str(&calls(rows.calls.iter().filter(|call| call.family == family)));
    }
    out
}

/// The rows of one name.
pub fn section(name: &str, rows: &Rows) -> String {
    let mut parts = vec![format!("## {}\n", code(name))];
    if !rows.rules.is_empty() {
        parts.push(rules(rows.rules.iter()));
    }
    if !rows.doors.is_empty() {
        parts.push(doors(&rows.doors));
    }
    if !rows.calls.is_empty() {
        parts.push(calls(rows.calls.iter()));
    }
    parts.join("\n")
}

fn families(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut families: Vec<_> = names.collect();
    families.sort_unstable();
    families.dedup();
    families
}

fn rules<'a>(rules: impl Iterator<Item = &'a &'static Rule>) -> String {
    let titles =
        ["rule", "calls", "libc symbols", "arguments", "acts when", "a call becomes", "fidelity", "source"];
    let rows = rules.map(|rule| {
        let acts = match probe(rule) {
            Some((call, errno)) => format!("{}; probe {}: {errno}", acts(rule), code(&call)),
            None => acts(rule),
        };
        let fidelity = match rule.difference {
            Some(difference) => format!("{}: {}", fidelity(rule.fidelity), plain(difference)),
            None => fidelity(rule.fidelity).into(),
        };
        [
            code(rule.name),
            codes(rule.calls),
            codes(rule.symbols),
            codes(rule.arguments),
            acts,
            plain(rule.does),
            fidelity,
            plain(rule.source),
        ]
    });
    table(titles, rows)
}

fn doors(doors: &[&'static Door]) -> String {
    let rows =
        doors.iter().map(|door| [code(door.name), codes(door.symbols), plain(door.does), plain(door.source)]);
    table(["door", "libc symbols", "does", "source"], rows)
}

fn calls<'a>(calls: impl Iterator<Item = &'a &'static Call>) -> String {
    let titles = ["call", "x86-64", "i386", "since", "until", "option", "rule", "note", "source"];
    let rows = calls.map(|call| {
        [
            code(call.name),
            number(call.x86_64),
            number(call.i386),
            call.since.into(),
            call.until.unwrap_or("").into(),
            call.option.map(code).unwrap_or_default(),
            rule_of(call).map(code).unwrap_or_default(),
            call.note.map(plain).unwrap_or_default(),
            plain(call.source),
        ]
    });
    table(titles, rows)
}

fn table<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut out = format!("| {} |\n|{}\n", titles.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

/// Text that Markdown must not take for markup.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if matches!(character, '|' | '<' | '*' | '`' | '\\' | '[') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn codes(list: &[&str]) -> String {
    list.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}
