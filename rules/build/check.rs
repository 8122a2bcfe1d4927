//! What must hold across rows: no number twice, no unknown word, no dangling name.

use crate::read::{Fault, File, Table};
use crate::row::{self, ANSWERS, ARGUMENT_KINDS, ENDS, ERRNOS, FIDELITIES, FILE_ANSWERS, SYSCTL_TYPES, word};
use std::collections::HashMap;
use toml::Spanned;

/// Numbers from here on are pseudo-numbers of interfaces that only a libc has.
pub const NUMBERS: u16 = 512;

/// Checks the whole table; the first fault ends the build.
pub fn table(table: &Table) -> Result<(), Fault> {
    calls(table)?;
    rules(table)?;
    asks(table)?;
    crate::operations::check(table)?;
    files(table)?;
    sysctl(table)
}

fn files(table: &Table) -> Result<(), Fault> {
    let (file, rows) = &table.files;
    for (path, row) in rows {
        let at = path.span().start;
        let (path, row) = (path.get_ref(), row.get_ref());
        let good = ["/proc/", "/sys/", "/dev/random", "/dev/shm", "/var/lib/rpm/"]
            .iter()
            .any(|start| path.starts_with(start));
        if !good || path.ends_with('/') || path.contains("//") || path.contains("/.") {
            return Err(
                file.fault(at, "a path is absolute, in a tree that path.rs looks at, and as plain as can be")
            );
        }
        if path.rsplit('/').next().is_none_or(|name| name.len() < 3) {
            return Err(file.fault(
                at,
                "a path's last component has three bytes or more: path.rs takes others for none",
            ));
        }
        if !table.rules.iter().any(|(_, rules)| rules.keys().any(|name| name.get_ref() == row.rule.get_ref()))
        {
            let what = format!("no rule is named {}", row.rule.get_ref());
            return Err(file.fault(row.rule.span().start, what));
        }
        let answer = row.answer.get_ref().as_str();
        if word(FILE_ANSWERS, answer).is_none() {
            return Err(file.fault(row.answer.span().start, format!("unknown answer \"{answer}\"")));
        }
        let maker = row.by.as_ref().map(|by| by.get_ref().split("::").count());
        if maker != matches!(answer, "synthesised" | "trimmed").then_some(2) {
            return Err(
                file.fault(at, "synthesised and trimmed need by (\"file::function\"), others have none")
            );
        }
        if row.to.is_some() != matches!(answer, "renamed" | "folder" | "swallowed") {
            return Err(file.fault(at, "renamed, folder and swallowed need to, others have none"));
        }
    }
    Ok(())
}

fn calls(table: &Table) -> Result<(), Fault> {
    let mut names = HashMap::new();
    let mut numbers = HashMap::new();
    for (file, rows) in &table.calls {
        for (name, call) in rows {
            let at = name.span().start;
            let name = name.get_ref();
            let call = call.get_ref();
            if names.insert(name, ()).is_some() {
                return Err(file.fault(at, format!("system call {name} has two rows")));
            }
            if call.x86_64.is_none() && call.i386.is_none() && call.note.is_none() {
                return Err(file.fault(at, format!("{name} has no number, and no note that says why")));
            }
            if call.since.is_empty() || call.source.is_empty() {
                return Err(file.fault(at, format!("{name} needs since and source")));
            }
            for (arch, number) in [("x86_64", call.x86_64), ("i386", call.i386)] {
                let Some(number) = number else { continue };
                if number >= NUMBERS {
                    return Err(file.fault(at, format!("{arch} number {number} is not below {NUMBERS}")));
                }
                if let Some(other) = numbers.insert((arch, number), name) {
                    return Err(file.fault(at, format!("{arch} number {number} is {other}'s already")));
                }
            }
            if call.reason.is_none() && !has_rule(table, name) && owes_reason(call) {
                let what = format!("{name} has no rule, and no reason that says why");
                return Err(file.fault(at, what));
            }
        }
    }
    Ok(())
}

fn has_rule(table: &Table, call: &str) -> bool {
    let mut rules = table.rules.iter().flat_map(|(_, rows)| rows.values());
    rules.any(|rule| rule.get_ref().calls.iter().any(|c| c.get_ref() == call))
}

/// Calls where one looks for a rule: those that are gone or never worked, those that are younger than the oldest
/// hosts, and those that i386 alone has.
fn owes_reason(call: &row::Call) -> bool {
    let young = version(&call.since).is_none_or(|since| since >= OLDEST);
    call.until.is_some() || young || call.x86_64.is_none()
}

/// The first kernel whose calls an image may use that another host lacks.
const OLDEST: [u32; 3] = [2, 6, 17];

/// `6.11`, `2.6.17` as numbers; None for `never`.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn rules(table: &Table) -> Result<(), Fault> {
    let mut names = HashMap::new();
    let mut symbols = HashMap::new();
    let mut claimed = HashMap::new();
    for (file, rows) in &table.rules {
        for (name, rule) in rows {
            let at = name.span().start;
            if names.insert(name.get_ref(), ()).is_some() {
                return Err(file.fault(at, format!("rule {} has two rows", name.get_ref())));
            }
            for call in &rule.get_ref().calls {
                if find_call(table, call.get_ref()).is_none() {
                    let what = format!("no row for system call {} in calls/", call.get_ref());
                    return Err(file.fault(call.span().start, what));
                }
                if let Some(other) = claimed.insert(call.get_ref(), name.get_ref()) {
                    let what = format!("system call {} is rule {other}'s already", call.get_ref());
                    return Err(file.fault(call.span().start, what));
                }
            }
            rule_words(file, at, rule.get_ref())?;
            let rule = rule.get_ref();
            own_symbols(file, rule.symbols.iter().chain(&rule.by_hand), &mut symbols)?;
        }
    }
    let (file, rows) = &table.doors;
    for row in rows.values() {
        own_symbols(file, row.get_ref().symbols.iter(), &mut symbols)?;
    }
    Ok(())
}

fn own_symbols<'a>(
    file: &File,
    symbols: impl Iterator<Item = &'a Spanned<String>>,
    seen: &mut HashMap<&'a str, ()>,
) -> Result<(), Fault> {
    for symbol in symbols {
        if seen.insert(symbol.get_ref(), ()).is_some() {
            let what = format!("symbol {} is named twice", symbol.get_ref());
            return Err(file.fault(symbol.span().start, what));
        }
    }
    Ok(())
}

fn rule_words(file: &File, at: usize, rule: &row::Rule) -> Result<(), Fault> {
    let unknown = |spanned: &Spanned<String>, what: &str| {
        Err(file.fault(spanned.span().start, format!("unknown {what} \"{}\"", spanned.get_ref())))
    };
    if trigger(rule.trigger.get_ref()).is_none() {
        return unknown(&rule.trigger, "trigger");
    }
    if word(FIDELITIES, rule.fidelity.get_ref()).is_none() {
        return unknown(&rule.fidelity, "fidelity");
    }
    let owes = matches!(rule.fidelity.get_ref().as_str(), "partial" | "refuse");
    if owes != rule.difference.is_some() {
        let what = "partial and refuse need a difference, exact and pretend have none";
        return Err(file.fault(rule.fidelity.span().start, what));
    }
    if rule.arguments.len() > 6 {
        return Err(file.fault(at, "a system call has at most six arguments"));
    }
    for argument in &rule.arguments {
        let kind = argument.get_ref().split_once(": ").map(|(_, kind)| kind);
        if kind.and_then(|k| word(ARGUMENT_KINDS, k)).is_none() {
            return unknown(argument, "argument (\"name: kind\")");
        }
    }
    if let Some(probe) = &rule.probe {
        if probe.get_ref().arguments.len() > 6 || rule.calls.is_empty() {
            return Err(file.fault(probe.span().start, "a probe needs a call and at most six arguments"));
        }
        if word(ERRNOS, &probe.get_ref().errno).is_none() {
            let what = format!("unknown errno \"{}\"", probe.get_ref().errno);
            return Err(file.fault(probe.span().start, what));
        }
    }
    if let Some(handler) = &rule.handler {
        if handler.get_ref().split("::").count() != 2 {
            return unknown(handler, "handler (\"file::function\")");
        }
    } else if !rule.symbols.is_empty() && rule.fidelity.get_ref() != "refuse" {
        return Err(file.fault(at, "doors made by the build need a handler, unless the rule refuses"));
    }
    if (rule.repair || rule.sane) && rule.probe.is_none() {
        return Err(file.fault(at, "repair and sane need a probe"));
    }
    if let Some(returns) = rule.returns.as_ref().filter(|returns| returns.get_ref() != "long") {
        return unknown(returns, "returns");
    }
    if rule.does.is_empty() || rule.source.is_empty() {
        return Err(file.fault(at, "a rule needs does and source"));
    }
    Ok(())
}

/// A trigger: the variant, and the answers of the host that make the rule act, as they are named.
#[derive(Debug, PartialEq)]
pub struct Trigger<'a> {
    pub variant: &'static str,
    pub results: Vec<&'a str>,
}

/// `absent`, `match`, `start`, `result A B`, or `absent, result A B`.
pub fn trigger(text: &str) -> Option<Trigger<'_>> {
    let (word, results) = match text.split_once("result ") {
        Some((before, answers)) => (before, answers.split(' ').collect()),
        None => (text, Vec::new()),
    };
    let variant = match word {
        "absent" | "absent, " => "Absent",
        "match" => "Match",
        "start" => "Start",
        "" if !results.is_empty() => "Result",
        _ => return None,
    };
    let good = results.len() <= ANSWERS
        && results.iter().all(|result| answer(result).is_some())
        && word.ends_with(", ") == (variant == "Absent" && !results.is_empty());
    good.then_some(Trigger { variant, results })
}

/// The number of an answer that makes a rule act: an errno's, or 0 for success with 0.
pub fn answer(name: &str) -> Option<u8> {
    if name == "0" { Some(0) } else { word(ERRNOS, name) }
}

/// Every call of x86-64 is asked about once by `evercall probe`: by its rule's probe, or by its row here. A row that
/// says why it is not asked about wins over a probe.
fn asks(table: &Table) -> Result<(), Fault> {
    let (file, rows) = &table.asks;
    for (name, row) in rows {
        let at = name.span().start;
        let name = name.get_ref();
        if find_call(table, name).is_none_or(|call| call.x86_64.is_none()) {
            return Err(file.fault(at, format!("{name} is no system call of x86-64 in calls/")));
        }
        let asks = row.get_ref().not_asked.is_none();
        if let Some((rule, _)) = probe_of(table, name).filter(|_| asks) {
            let what = format!("{name} is asked about by the probe of rule {rule}: take this row out");
            return Err(file.fault(at, what));
        }
        ask(row.get_ref()).map_err(|what| file.fault(at, format!("{name}: {what}")))?;
    }
    for (file, calls) in &table.calls {
        for (name, call) in calls {
            let asked = rows.keys().any(|row| row.get_ref() == name.get_ref());
            if call.get_ref().x86_64.is_some() && !asked && probe_of(table, name.get_ref()).is_none() {
                let what = format!(
                    "nothing asks about {}: give its rule a probe, or add a row to asks.toml",
                    name.get_ref()
                );
                return Err(file.fault(name.span().start, what));
            }
        }
    }
    Ok(())
}

fn ask(row: &row::Ask) -> Result<(), String> {
    let (arguments, due) = match (&row.arguments, &row.due, &row.not_asked) {
        (Some(arguments), Some(due), None) => (arguments, due),
        (None, None, Some(why)) if !why.is_empty() && !row.drops && row.needs.is_none() => return Ok(()),
        _ => return Err("a row has arguments and due, or not_asked alone".into()),
    };
    if arguments.len() > 6 {
        return Err("a system call has at most six arguments".into());
    }
    let known = |word: &str| self::word(ERRNOS, word).is_some() || ENDS.contains(&word);
    if let Some(unknown) = due.split(' ').find(|word| !known(word)) {
        return Err(format!("unknown answer \"{unknown}\""));
    }
    if row.needs.as_ref().is_some_and(|needs| !needs.starts_with("CAP_")) {
        return Err("needs is a capability, such as CAP_SYS_ADMIN".into());
    }
    Ok(())
}

/// The rule whose probe asks about a call, and the probe: the first call of a rule is asked.
pub fn probe_of<'a>(table: &'a Table, call: &str) -> Option<(&'a str, &'a row::Probe)> {
    table.rules.iter().flat_map(|(_, rows)| rows).find_map(|(name, rule)| {
        let first = rule.get_ref().calls.first().is_some_and(|first| first.get_ref() == call);
        let probe = rule.get_ref().probe.as_ref().filter(|_| first)?;
        Some((name.get_ref().as_str(), probe.get_ref()))
    })
}

fn sysctl(table: &Table) -> Result<(), Fault> {
    let (file, tables) = &table.sysctl;
    for (name, rows) in tables {
        if rows.len() > usize::from(u8::MAX) {
            return Err(file.fault(name.span().start, "a sysctl table has at most 255 rows"));
        }
        for (key, row) in rows {
            let at = key.span().start;
            let row = row.get_ref();
            if row.interface == row.number.is_some() || row.interface == row.file.is_some() {
                return Err(file.fault(at, "a row has a number and a file, or is interface = true"));
            }
            match (&row.r#type, &row.table) {
                (Some(r#type), None) if word(SYSCTL_TYPES, r#type).is_some() => {}
                (None, Some(child)) if tables.keys().any(|t| t.get_ref() == child) => {}
                _ => return Err(file.fault(at, "a row has a known type or the name of a table")),
            }
        }
    }
    if !tables.keys().any(|t| t.get_ref() == "root") {
        return Err(file.fault(0, "no table named root"));
    }
    Ok(())
}

/// The row of a system call by its name.
pub fn find_call<'a>(table: &'a Table, name: &str) -> Option<&'a row::Call> {
    let found = table.calls.iter().find_map(|(_, rows)| rows.iter().find(|(n, _)| n.get_ref() == name));
    found.map(|(_, row)| row.get_ref())
}
