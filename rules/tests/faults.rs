//! The strict parser of the build script on faulty tables: each fault names its file and line.

#[allow(dead_code, missing_docs)]
#[path = "../build/check.rs"]
mod check;
#[allow(dead_code, missing_docs)]
#[path = "../build/operations.rs"]
mod operations;
#[allow(dead_code, missing_docs)]
#[path = "../build/read.rs"]
mod read;
#[allow(dead_code, missing_docs)]
#[path = "../build/row.rs"]
mod row;

use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A small table without fault.
const FILES: [(&str, &str); 7] = [
    (
        "calls/things.toml",
        "# Things.\n\
         \n\
         [calls]\n\
         alpha = { x86_64 = 1, i386 = 11, since = \"1.0\", source = \"s\" }\n\
         beta  = { x86_64 = 2, since = \"1.0\", until = \"2.0\", note = \"n\", reason = \"of beta\", source = \"s\" }\n\
         gamma = { since = \"never\", note = \"n\", reason = \"r\", source = \"s\" }\n",
    ),
    (
        "rules/things.toml",
        "# Rules for things.\n\
         \n\
         [alpha]\n\
         calls      = [\"alpha\"]\n\
         symbols    = [\"alpha\"]\n\
         by_hand    = [\"__alpha\"]\n\
         arguments  = [\"fd: int\", \"text: string\"]\n\
         trigger    = \"result EINVAL\"\n\
         probe      = { arguments = [-1, 0], errno = \"EBADF\" }\n\
         handler    = \"things::alpha\"\n\
         does       = \"does\"\n\
         fidelity   = \"partial\"\n\
         difference = \"differs\"\n\
         source     = \"s\"\n\
         \n\
         [beta]\n\
         calls      = [\"beta\"]\n\
         arguments  = []\n\
         trigger    = \"absent\"\n\
         does       = \"does\"\n\
         fidelity   = \"exact\"\n\
         source     = \"s\"\n",
    ),
    ("asks.toml", "[asks]\nbeta = { arguments = [-1], due = \"EBADF EPERM\", needs = \"CAP_X\" }\n"),
    (
        "operations/things.toml",
        "[OLD]\n\
         call   = \"alpha\"\n\
         value  = 3\n\
         since  = \"1.0\"\n\
         until  = \"2.0\"\n\
         now    = \"EINVAL\"\n\
         ask    = [3, 0]\n\
         source = \"s\"\n\
         \n\
         [OLDER]\n\
         call   = \"beta\"\n\
         value  = 4\n\
         since  = \"never\"\n\
         now    = \"another\"\n\
         source = \"s\"\n",
    ),
    ("doors.toml", "[door]\nsymbols = [\"door\"]\ndoes = \"does\"\nsource = \"s\"\n"),
    (
        "files.toml",
        "\"/proc/old\" = { rule = \"alpha\", answer = \"synthesised\", by = \"things::old\" }\n\
         \"/proc/sys/gone\" = { rule = \"beta\", answer = \"swallowed\", to = \"0\" }\n\
         \"/dev/random\" = { rule = \"beta\", answer = \"exchanged\" }\n",
    ),
    (
        "sysctl-names.toml",
        "[root]\n\
         KERN = { number = 1, file = \"kernel\", table = \"kern\" }\n\
         \n\
         [kern]\n\
         NAME = { number = 1, file = \"name\", type = \"string\" }\n\
         IF   = { interface = true, table = \"kern\" }\n",
    ),
];

/// What the parser says of the table with one text in one file replaced, without the folder's name.
fn verdict(file: &str, old: &str, new: &str) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    write(folder.path(), file, old, new);
    read::table(folder.path())
        .and_then(|table| check::table(&table))
        .map_err(|fault| fault.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn write(folder: &Path, file: &str, old: &str, new: &str) {
    let mut seen = false;
    for (name, text) in FILES {
        let mut text = text.to_owned();
        if name == file {
            assert_eq!(text.matches(old).count(), 1, "{old:?} in {name}");
            text = text.replace(old, new);
            seen = true;
        }
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert!(seen, "no file {file}");
}

/// Asserts that a fault is found at `at` (file:line), and says `what`.
fn assert_fault(file: &str, old: &str, new: &str, line: usize, what: &str) {
    let fault = verdict(file, old, new).expect_err(what);
    let at = format!("{file}:{line}: ");
    assert!(fault.starts_with(&at), "{what}: expected {at}, got {fault}");
    assert!(fault.contains(what), "expected {what:?} in {fault:?}");
}

const CALLS: &str = "calls/things.toml";
const RULES: &str = "rules/things.toml";
const ASKS: &str = "asks.toml";
const OPERATIONS: &str = "operations/things.toml";
const SYSCTL: &str = "sysctl-names.toml";

#[test]
fn the_table_without_a_fault_passes() {
    assert_eq!(verdict(CALLS, "# Things.", "# Things, still."), Ok(()));
}

#[test]
fn the_table_of_this_crate_passes() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("table");
    read::table(&table).and_then(|table| check::table(&table)).unwrap();
}

#[test]
fn broken_toml() {
    assert_fault(CALLS, "since = \"1.0\", until", "since = \"1.0, until", 5, "missing comma");
    assert_fault(RULES, "[beta]", "[beta", 16, "unclosed");
    assert_fault("doors.toml", "does = \"does\"", "does", 3, "");
}

#[test]
fn a_row_or_a_column_twice() {
    assert_fault(CALLS, "gamma =", "beta =", 6, "duplicate key");
    assert_fault(RULES, "[beta]", "[alpha]", 16, "duplicate key");
    assert_fault(
        RULES,
        "does       = \"does\"\nfidelity   = \"exact\"",
        "does = \"a\"\ndoes = \"b\"",
        21,
        "duplicate",
    );
}

#[test]
fn unknown_columns() {
    assert_fault(CALLS, "until = \"2.0\"", "removed = \"2.0\"", 5, "unknown field `removed`");
    assert_fault(RULES, "by_hand    =", "byhand     =", 6, "unknown field `byhand`");
    assert_fault(RULES, "errno = \"EBADF\"", "errno = \"EBADF\", why = \"\"", 9, "unknown field `why`");
    assert_fault(
        "doors.toml",
        "source = \"s\"",
        "source = \"s\"\nfamily = \"f\"",
        5,
        "unknown field `family`",
    );
    assert_fault(SYSCTL, "type = \"string\"", "kind = \"string\"", 5, "unknown field `kind`");
}

#[test]
fn missing_columns() {
    assert_fault(
        CALLS,
        "i386 = 11, since = \"1.0\", source = \"s\"",
        "i386 = 11, since = \"1.0\"",
        4,
        "missing field `source`",
    );
    assert_fault(
        CALLS,
        "gamma = { since = \"never\", note = \"n\"",
        "gamma = { since = \"never\"",
        6,
        "no number, and no note",
    );
    assert_fault(CALLS, "i386 = 11, since = \"1.0\"", "i386 = 11, since = \"\"", 4, "since and source");
    assert_fault(RULES, "trigger    = \"absent\"\n", "", 16, "missing field `trigger`");
    assert_fault(RULES, "difference = \"differs\"\n", "", 12, "need a difference");
    assert_fault(RULES, "handler    = \"things::alpha\"\n", "", 3, "need a handler");
    assert_fault(
        RULES,
        "does       = \"does\"\nfidelity   = \"exact\"",
        "does = \"\"\nfidelity = \"exact\"",
        16,
        "needs does",
    );
}

#[test]
fn wrong_types() {
    assert_fault(CALLS, "x86_64 = 2", "x86_64 = \"2\"", 5, "invalid type");
    assert_fault(CALLS, "x86_64 = 2", "x86_64 = -2", 5, "invalid value");
    assert_fault(RULES, "calls      = [\"beta\"]", "calls = \"beta\"", 17, "invalid type");
}

#[test]
fn numbers() {
    assert_fault(CALLS, "x86_64 = 2", "x86_64 = 1", 5, "x86_64 number 1 is alpha's already");
    assert_fault(CALLS, "gamma = {", "gamma = { i386 = 11,", 6, "i386 number 11 is alpha's already");
    assert_fault(CALLS, "x86_64 = 2", "x86_64 = 512", 5, "not below 512");
}

#[test]
fn unknown_words() {
    assert_fault(RULES, "\"absent\"", "\"missing\"", 19, "unknown trigger \"missing\"");
    assert_fault(RULES, "\"result EINVAL\"", "\"result EWHAT\"", 8, "unknown trigger \"result EWHAT\"");
    assert_fault(RULES, "\"exact\"", "\"true\"", 21, "unknown fidelity \"true\"");
    assert_fault(
        RULES,
        "\"text: string\"",
        "\"text: words\"",
        7,
        "unknown argument (\"name: kind\") \"text: words\"",
    );
    assert_fault(RULES, "\"fd: int\"", "\"fd\"", 7, "unknown argument");
    assert_fault(RULES, "\"EBADF\"", "\"EWHAT\"", 9, "unknown errno \"EWHAT\"");
    assert_fault(RULES, "\"things::alpha\"", "\"alpha\"", 10, "unknown handler");
    assert_fault(SYSCTL, "type = \"string\"", "type = \"text\"", 5, "a known type");
}

#[test]
fn what_does_not_fit_together() {
    assert_fault(RULES, "\"exact\"", "\"exact\"\ndifference = \"d\"", 21, "exact and pretend have none");
    assert_fault(RULES, "[-1, 0]", "[1, 2, 3, 4, 5, 6, 7]", 9, "at most six arguments");
    let seven = "[\"a: int\", \"b: int\", \"c: int\", \"d: int\", \"e: int\", \"f: int\", \"g: int\"]";
    assert_fault(RULES, "[\"fd: int\", \"text: string\"]", seven, 3, "at most six arguments");
    assert_fault(SYSCTL, "{ interface = true,", "{ interface = true, number = 3,", 6, "interface = true");
}

#[test]
fn dangling_and_double_names() {
    assert_fault(
        RULES,
        "calls      = [\"beta\"]",
        "calls      = [\n  \"beta\",\n  \"delta\",\n]",
        19,
        "no row for system call delta",
    );
    assert_fault(
        RULES,
        "calls      = [\"beta\"]",
        "calls      = [\"alpha\"]",
        17,
        "system call alpha is rule alpha's already",
    );
    assert_fault(RULES, "\"__alpha\"", "\"alpha\"", 6, "symbol alpha is named twice");
    assert_fault("doors.toml", "[\"door\"]", "[\"door\", \"__alpha\"]", 2, "symbol __alpha is named twice");
    assert_fault(SYSCTL, "table = \"kern\" }\n\n", "table = \"vm\" }\n\n", 2, "the name of a table");
    assert_fault(SYSCTL, "[root]", "[base]", 1, "no table named root");
}

#[test]
fn every_call_is_asked_about_once() {
    let row = "beta = { arguments = [-1], due = \"EBADF EPERM\", needs = \"CAP_X\" }";
    let fault = verdict(ASKS, row, "").unwrap_err();
    assert!(fault.starts_with("calls/things.toml:5: nothing asks about beta: "), "{fault}");
    let twice = format!("{row}\nalpha = {{ arguments = [], due = \"success\" }}");
    assert_fault(ASKS, row, &twice, 3, "alpha is asked about by the probe of rule alpha: take this row out");
    for other in ["gamma", "delta"] {
        let more = format!("{row}\n{other} = {{ arguments = [], due = \"success\" }}");
        assert_fault(ASKS, row, &more, 3, &format!("{other} is no system call of x86-64"));
    }
    for (old, new, what) in [
        ("EBADF EPERM", "EBADFD", "unknown answer \"EBADFD\""),
        ("EBADF EPERM", "", "unknown answer \"\""),
        ("CAP_X", "root", "needs is a capability"),
        ("[-1]", "[1, 2, 3, 4, 5, 6, 7]", "at most six arguments"),
        (", due = \"EBADF EPERM\"", "", "arguments and due, or not_asked alone"),
        ("due =", "not_asked = \"w\", due =", "arguments and due, or not_asked alone"),
    ] {
        assert_fault(ASKS, old, new, 2, what);
    }
    assert_eq!(verdict(ASKS, row, "beta = { not_asked = \"why\" }"), Ok(()));
    let beside = format!("{row}\nalpha = {{ not_asked = \"why\" }}");
    assert_eq!(verdict(ASKS, row, &beside), Ok(()), "beside a probe");
}

#[test]
fn no_rule_and_no_reason() {
    assert_fault(CALLS, ", reason = \"r\"", "", 6, "gamma has no rule, and no reason");
    assert_fault(
        CALLS,
        "gamma =",
        "delta = { i386 = 12, since = \"1.0\", source = \"s\" }\ngamma =",
        6,
        "delta has no rule",
    );
    let young = "delta = { x86_64 = 12, since = \"2.6.17\", source = \"s\" }\ngamma =";
    assert_fault(CALLS, "gamma =", young, 6, "delta has no rule");
    // An old one owes no reason, only a question of `evercall probe`.
    assert_fault(CALLS, "gamma =", &young.replace("2.6.17", "2.6.16"), 6, "nothing asks about delta");
}

#[test]
fn faulty_operations() {
    assert_fault(OPERATIONS, "[OLDER]", "[OLD]", 10, "duplicate");
    assert_fault(OPERATIONS, "\"beta\"", "\"delta\"", 11, "no row for system call delta");
    assert_fault(OPERATIONS, "\"EINVAL\"", "\"EWHAT\"", 6, "unknown answer \"EWHAT\"");
    assert_fault(OPERATIONS, "[3, 0]", "[1, 2, 3, 4, 5, 6, 7]", 1, "six arguments at most");
    assert_fault(OPERATIONS, "\"another\"", "\"another\"\nask = [4]", 10, "means another thing");
    assert_fault(OPERATIONS, "\"never\"", "\"\"", 10, "needs since and source");
    assert_fault(OPERATIONS, "until", "gone", 5, "unknown field `gone`");
}

#[test]
fn names_are_one_across_files() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), CALLS, "# Things.", "# Things.");
    let more = "[calls]\nalpha = { x86_64 = 9, since = \"1.0\", source = \"s\" }\n";
    fs::write(folder.path().join("calls/more.toml"), more).unwrap();
    let fault = read::table(folder.path()).and_then(|table| check::table(&table)).unwrap_err().to_string();
    // Files are read in the order of their names, so the second row is the one in things.toml.
    assert!(fault.ends_with("calls/things.toml:4: system call alpha has two rows"), "{fault}");
    fs::write(folder.path().join("calls/more.toml"), "[calls]\n[other]\n").unwrap();
    let fault = read::table(folder.path()).err().unwrap().to_string();
    assert!(fault.contains("calls/more.toml:2: unknown field `other`"), "{fault}");
    fs::remove_file(folder.path().join("doors.toml")).unwrap();
    fs::remove_file(folder.path().join("calls/more.toml")).unwrap();
    let fault = read::table(folder.path()).err().unwrap().to_string();
    assert!(fault.contains("doors.toml: No such file"), "{fault}");
}

/// The file rules: paths as the shim looks at them, and the columns that go with an answer.
#[test]
fn file_rules() {
    const FILE: &str = "files.toml";
    for (line, old, new, what) in [
        (1, "\"/proc/old\"", "\"/etc/old\"", "a path is absolute"),
        (1, "\"/proc/old\"", "\"proc/old\"", "a path is absolute"),
        (1, "\"/proc/old\"", "\"/proc/old/\"", "a path is absolute"),
        (1, "\"/proc/old\"", "\"/proc//old\"", "a path is absolute"),
        (1, "\"/proc/old\"", "\"/proc/../old\"", "a path is absolute"),
        (1, "\"/proc/old\"", "\"/proc/on\"", "three bytes or more"),
        (1, "rule = \"alpha\"", "rule = \"nobody\"", "no rule is named nobody"),
        (1, "\"synthesised\"", "\"guessed\"", "unknown answer"),
        (1, ", by = \"things::old\"", "", "need by"),
        (1, "things::old", "old", "need by"),
        (2, ", to = \"0\"", "", "need to"),
        (3, "\"exchanged\"", "\"exchanged\", to = \"/dev/urandom\"", "others have none"),
    ] {
        assert_fault(FILE, old, new, line, what);
    }
}
