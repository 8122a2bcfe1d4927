//! All that is known of one name, in the form of a man page.

use super::{Rows, acts_sentence, asked, fidelity, now, number, probe, rule_of, why_no_rule};
use crate::output::wrap;
use evercall_rules::table::{Call, Door, Operation, Rule};
use std::fmt::Write as _;

/// Columns where there is no terminal.
const WIDTH: usize = 80;

/// Columns beyond which lines are hard to read.
const WIDEST: usize = 100;

/// Blanks before the text of a section.
const INDENT: usize = 7;

/// The page of a name.
pub fn page(name: &str, rows: &Rows, terminal: Option<usize>) -> String {
    let mut page = Page { text: String::new(), width: terminal.unwrap_or(WIDTH).min(WIDEST) };
    page.title(name);
    for rule in &rows.rules {
        page.rule(rule);
    }
    for door in &rows.doors {
        page.door(door);
    }
    for call in &rows.calls {
        page.call(call, rows.rules.is_empty() && rows.doors.is_empty());
    }
    for operation in &rows.operations {
        page.operation(operation);
    }
    page.text
}

struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn title(&mut self, name: &str) {
        let blanks = self.width.saturating_sub(2 * name.len());
        let _ = writeln!(self.text, "{name}{:^blanks$}{name}", "evercall rules");
    }

    fn section(&mut self, title: &str, paragraphs: &[String]) {
        let _ = write!(self.text, "\n{title}\n");
        for paragraph in paragraphs {
            for line in wrap(paragraph, self.width.saturating_sub(INDENT)) {
                let _ = writeln!(self.text, "{:INDENT$}{line}", "");
            }
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.section("RULE", &[format!("{} - {}", rule.name, rule.does)]);
        if !rule.symbols.is_empty() {
            self.section("LIBC SYMBOLS", &[rule.symbols.join(", ")]);
        }
        if !rule.arguments.is_empty() {
            self.section("ARGUMENTS", &[rule.arguments.join(", ")]);
        }
        let mut when = vec![acts_sentence(rule)];
        if let Some((call, errno)) = probe(rule) {
            when.push(format!("EPERM is taken for a filter's if {call} fails with it instead of {errno}."));
        }
        self.section("WHEN IT ACTS", &when);
        let mut fidelity = vec![fidelity(rule.fidelity).to_string()];
        fidelity.extend(rule.difference.map(|difference| format!("{difference}.")));
        self.section("FIDELITY", &fidelity);
        if !rule.proof.is_empty() {
            self.section("PROOF", &[rule.proof.join(", ")]);
        }
        self.section("FAMILY", &[rule.family.into()]);
        self.section("SOURCE", &[rule.source.into()]);
    }

    fn door(&mut self, door: &Door) {
        self.section("DOOR", &[format!("{} - {}", door.name, door.does)]);
        self.section("LIBC SYMBOLS", &[door.symbols.join(", ")]);
        self.section("SOURCE", &[door.source.into()]);
    }

    fn call(&mut self, call: &Call, alone: bool) {
        let mut facts = vec![
            format!("x86-64 number: {}", number(call.x86_64)),
            format!("i386 number: {}", number(call.i386)),
            format!("since: {}", call.since),
        ];
        facts.extend(call.until.map(|until| format!("until: {until}")));
        facts.extend(call.option.map(|option| format!("needs: {option}")));
        facts.extend(call.note.map(|note| format!("note: {note}")));
        facts.extend(why_no_rule(call).map(|reason| format!("no rule: {reason}")));
        facts.push(format!("family: {}", call.family));
        facts.push(format!("source: {}", call.source));
        if alone {
            facts.push(format!("rule: {}", rule_of(call).unwrap_or("none; evercall hands the call on")));
        }
        self.section(&format!("SYSTEM CALL {}", call.name), &facts);
    }

    fn operation(&mut self, operation: &Operation) {
        let mut facts = vec![
            format!("system call: {}", operation.call),
            format!("value: {} ({:#x})", operation.value, operation.value),
            format!("since: {}", operation.since),
        ];
        facts.extend(operation.until.map(|until| format!("until: {until}")));
        facts.extend(operation.option.map(|option| format!("needs: {option}")));
        facts.push(format!("a kernel without it: {}", now(operation)));
        facts.extend(asked(operation).map(|call| format!("asked by: {call}")));
        facts.extend(operation.note.map(|note| format!("note: {note}")));
        facts.push(format!("source: {}", operation.source));
        self.section(&format!("OPERATION {}", operation.name), &facts);
    }
}
