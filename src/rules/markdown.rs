//! The table as Markdown: docs/rules.md is this, and nothing else.

use super::coverage::{Counts, Coverage, TITLES};
use super::{Rows, acts, asked, fidelity, now, number, probe, rule_of, why_no_rule};
use evercall_rules::table::{Call, Door, Operation, Rule};
use std::fmt::Write as _;

const HEAD: &str = "\
<!-- Made by `evercall rules --format markdown`. Change rules/table/**/*.toml, then make it again. -->

# The rules and the system calls

What evercall knows: the rules that keep old system calls working, every system call that Linux has or ever had
on x86-64 and i386, and interfaces inside them that came and went. `evercall rules NAME` prints one of them.

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
- *proof*: the tests that hold it against a kernel, as `file::function` of `tests/`.

A **system call** has a number on each architecture (a dash: none), the first kernel with it (*never*: a number
that was only reserved), the last kernel with it if it was removed, and the option without which a kernel is
built without it. Where no rule answers it, the row says why none is needed or none is there.

An **operation** is one value of an argument: a flag, a request, a socket family. What a kernel without it answers
today is what programs get; evercall changes nothing there.
";

/// The whole of docs/rules.md.
pub fn document(rows: &Rows) -> String {
    let mut out = String::from(HEAD);
    out.push('\n');
    out.push_str(&coverage(&super::coverage::coverage()));
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
    out.push_str("\n## Operations inside calls\n");
    for family in families(rows.operations.iter().map(|operation| operation.family)) {
        let _ = write!(out, "\n### Operations: {family}\n\n");
        out.push_str(&operations(rows.operations.iter().filter(|operation| operation.family == family)));
    }
    out
}

/// The count of all rows.
pub fn coverage(coverage: &Coverage) -> String {
    let part = |title: &'static str, counts: &[Counts]| {
        let mut titles = TITLES;
        titles[0] = title;
        table(titles, counts.iter().map(Counts::cells))
    };
    format!(
        "## Coverage\n\n\
         Each interface is counted once. *native*: every kernel since it came answers it. *exact*, *partial*, *refuse*, \
         *pretend*:\nwhat its rule does where the host does not answer. *no rule*: its row says why. Among them, \
         *removed*: taken out of\nthe kernel again; *never*: a number that was reserved and never filled.\n\n\
         {}\n{}\n{}",
        part("interfaces", &coverage.kinds),
        part("system calls of", &coverage.calls),
        part("operations of", &coverage.operations)
    )
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
    if !rows.operations.is_empty() {
        parts.push(operations(rows.operations.iter()));
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
    let titles = [
        "rule",
        "calls",
        "libc symbols",
        "arguments",
        "acts when",
        "a call becomes",
        "fidelity",
        "proof",
        "source",
    ];
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
            codes(rule.proof),
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
    let titles =
        ["call", "x86-64", "i386", "since", "until", "option", "rule, or why none", "note", "source"];
    let rows = calls.map(|call| {
        [
            code(call.name),
            number(call.x86_64),
            number(call.i386),
            call.since.into(),
            call.until.unwrap_or("").into(),
            call.option.map(code).unwrap_or_default(),
            rule_of(call).map(code).or_else(|| why_no_rule(call).as_deref().map(plain)).unwrap_or_default(),
            call.note.map(plain).unwrap_or_default(),
            plain(call.source),
        ]
    });
    table(titles, rows)
}

fn operations<'a>(operations: impl Iterator<Item = &'a &'static Operation>) -> String {
    let titles = [
        "operation",
        "call",
        "value",
        "since",
        "until",
        "option",
        "a kernel without it",
        "asked by",
        "note",
        "source",
    ];
    let rows = operations.map(|operation| {
        [
            code(operation.name),
            code(operation.call),
            format!("{:#x}", operation.value),
            operation.since.into(),
            operation.until.unwrap_or("").into(),
            operation.option.map(code).unwrap_or_default(),
            now(operation),
            asked(operation).as_deref().map(code).unwrap_or_default(),
            operation.note.map(plain).unwrap_or_default(),
            plain(operation.source),
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
