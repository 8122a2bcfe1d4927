//! The table of evercall-rules against the kernel's headers, against itself, and against docs/rules.md.

use evercall_rules::table::{CALLS, Call, RULES};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the headers of the kernel are, on Debian and elsewhere.
const HEADERS: [&str; 2] = ["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"];

/// Names and numbers of the `#define __NR_` lines of a header.
fn header(file: &str) -> Vec<(String, u16)> {
    let path = HEADERS.iter().map(|folder| Path::new(folder).join(file)).find(|path| path.exists());
    let path = path.unwrap_or_else(|| panic!("{file} is in none of {HEADERS:?}: install linux-libc-dev"));
    let text = fs::read_to_string(path).unwrap();
    let calls: Vec<(String, u16)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("#define __NR_")?.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .collect();
    assert!(calls.len() > 300, "{file} has only {} system calls", calls.len());
    calls
}

fn assert_holds(file: &str, number: impl Fn(&Call) -> Option<u16>) {
    let mut faults = Vec::new();
    for (name, expected) in header(file) {
        match Call::find(&name) {
            None => faults.push(format!("add a row for {name} ({expected}) to rules/table/calls/")),
            Some(call) if number(call) != Some(expected) => {
                faults.push(format!("{name} is {expected}, its row says {:?}", number(call)));
            }
            Some(_) => {}
        }
    }
    assert!(faults.is_empty(), "{file} of this machine against the table:\n{}", faults.join("\n"));
}

#[test]
fn every_x86_64_call_of_the_headers_is_in_the_table_with_its_number() {
    assert_holds("unistd_64.h", |call| call.x86_64);
}

#[test]
fn every_i386_call_of_the_headers_is_in_the_table_with_its_number() {
    assert_holds("unistd_32.h", |call| call.i386);
}

#[test]
fn calls_are_sorted_so_that_find_finds_each() {
    for call in CALLS {
        assert_eq!(Call::find(call.name).map(|found| found.name), Some(call.name));
    }
    assert!(Call::find("no_such_call").is_none());
}

#[test]
fn every_call_of_a_rule_has_its_row() {
    for rule in RULES {
        for call in rule.calls {
            assert!(Call::find(call).is_some(), "rule {} names {call}, which has no row", rule.name);
        }
    }
}

#[test]
fn docs_rules_md_is_what_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(env!("CARGO_BIN_EXE_evercall"))
        .args(["rules", "--format", "markdown"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let made = String::from_utf8(made.stdout).unwrap();
    let kept = fs::read_to_string(root.join("docs/rules.md")).unwrap_or_default();
    let line = made.lines().zip(kept.lines()).position(|(made, kept)| made != kept);
    assert!(
        made == kept,
        "docs/rules.md is out of date (from line {}). Make it anew:\n  \
         cargo run -q -- rules --format markdown > docs/rules.md",
        line.unwrap_or_else(|| made.lines().count().min(kept.lines().count())) + 1
    );
}
