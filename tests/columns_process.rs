//! Three columns of the calls of processes, limits, memory, scheduling and security that older hosts lack, and
//! two of those that only answer ENOSYS.

#[path = "common/columns.rs"]
mod columns;
mod common;

use columns::assert_third_equals_first;

/// Lines of which a rule states that they differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("clone3 with handlers cleared", "clone(2) has no CLONE_CLEAR_SIGHAND"),
    ("prlimit64 another process", "getrlimit(2) knows this process only"),
    ("mlock2 on the first use", "mlock(2) locks at once"),
    ("pkey_mprotect with a key", "mprotect(2) knows no keys"),
    (
        "execveat fexecve of a script that is closed",
        "on ENOSYS glibc falls back by itself, and leaves this to the script's shell",
    ),
    ("execveat fexecve of a closed", "on ENOSYS glibc falls back by itself, and says ENOENT"),
    ("io_pgetevents with a mask", "io_getevents(2) takes no mask"),
];

/// The same for the symbols alone.
const BY_SYMBOL: &[(&str, &str)] = &[
    ("mlock2 an unknown flag", "without flags glibc's mlock2 is mlock(2), whose answer says nothing of mlock2(2)"),
    ("mlock2 all flags", "likewise"),
];

#[test]
fn by_number_the_third_column_equals_the_first() {
    let calls = ["clone3", "io_pgetevents", "execveat", "mlock2", "pkey_mprotect", "clock_adjtime", "prlimit64"];
    assert_third_equals_first("modern_process", &["syscall"], &calls, DIFFERENCES);
}

#[test]
fn by_symbol_the_third_column_equals_the_first() {
    let calls = ["execveat", "mlock2", "pkey_mprotect", "clock_adjtime", "prlimit64"];
    assert_third_equals_first("modern_process", &["symbol"], &calls, &[DIFFERENCES, BY_SYMBOL].concat());
}
