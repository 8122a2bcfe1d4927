//! Three columns of the calls of processes, limits, memory, scheduling and security that older hosts lack, and
//! two of those that only answer ENOSYS.

#[path = "common/columns.rs"]
mod columns;
mod common;

use columns::assert_third_equals_first;
use common::{bare, program, shim, succeed, text};

/// Lines of which a rule states that they differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("clone3 with handlers cleared", "clone(2) has no CLONE_CLEAR_SIGHAND"),
    ("prlimit64 another process", "getrlimit(2) knows this process only"),
    ("sched_setattr deadline", "no older call sets SCHED_DEADLINE"),
    ("seccomp whether an action", "prctl(PR_SET_SECCOMP) answers no questions"),
    ("seccomp with all threads", "prctl(PR_SET_SECCOMP) knows no flags"),
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
    (
        "mlock2 an unknown flag",
        "without flags glibc's mlock2 is mlock(2), whose answer says nothing of mlock2(2)",
    ),
    ("mlock2 all flags", "likewise"),
];

#[test]
fn by_number_the_third_column_equals_the_first() {
    let calls =
        ["clone3", "io_pgetevents", "execveat", "mlock2", "pkey_mprotect", "clock_adjtime", "prlimit64"];
    assert_third_equals_first("modern_process", &["syscall"], &calls, DIFFERENCES);
}

#[test]
fn by_symbol_the_third_column_equals_the_first() {
    let calls = ["execveat", "mlock2", "pkey_mprotect", "clock_adjtime", "prlimit64"];
    assert_third_equals_first("modern_process", &["symbol"], &calls, &[DIFFERENCES, BY_SYMBOL].concat());
}

#[test]
fn by_number_scheduling_and_seccomp_are_as_native() {
    // The kernel allows no strict mode under a filter; forced, below, it is compared too.
    let strict = [("seccomp strict: ", "under a filter"), ("seccomp strict, then", "under a filter")];
    let calls = ["sched_setattr", "sched_getattr", "getcpu", "seccomp"];
    let differences = [DIFFERENCES, &strict].concat();
    assert_third_equals_first("modern_scheduling", &["syscall"], &calls, &differences);
}

#[test]
fn by_symbol_scheduling_is_as_native() {
    let calls = ["sched_setattr", "sched_getattr"];
    assert_third_equals_first("modern_scheduling", &["symbol"], &calls, DIFFERENCES);
}

/// Without any filter: the forced rules, on the host that has the calls. Logged, since a line must not cost a
/// program that has forbidden itself most calls its life.
#[test]
fn forced_every_line_is_as_native() {
    const RULES: &str = "clone3,io_pgetevents,mlock2,pkey_mprotect,clock_adjtime,prlimit64,sched_setattr,\
                         sched_getattr,getcpu,seccomp";
    for name in ["modern_process", "modern_scheduling"] {
        for door in ["syscall", "symbol"] {
            let native = text(&succeed(bare(program(name)).arg(door)).stdout);
            let mut forced = bare(program(name));
            forced
                .arg(door)
                .env("LD_PRELOAD", shim())
                .env("EVERCALL_FORCE", RULES)
                .env("EVERCALL_LOG", "all");
            let forced = text(&succeed(&mut forced).stdout);
            assert_eq!(native.lines().count(), forced.lines().count(), "{name} {door}");
            for (native, forced) in native.lines().zip(forced.lines()) {
                let states = |(start, _): &(&str, &str)| native.starts_with(start);
                assert!(native == forced || DIFFERENCES.iter().any(states), "{door}\n{native}\n{forced}");
            }
        }
    }
}
