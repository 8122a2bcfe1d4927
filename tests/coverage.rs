//! What the rows say of an unfiltered kernel is held against the one this runs on; reasons for no rule, and proofs of
//! rules, against what is there.

mod common;

use evercall_rules::table::{CALLS, Call, RULES, Rule};
use std::fs;

/// The build demands a rule or a reason; a reason beside a rule would be one that is no longer true.
#[test]
fn the_reasons_are_of_calls_without_a_rule() {
    for call in CALLS.iter().filter(|call| call.reason.is_some()) {
        assert!(Rule::of_call(call.name).is_none(), "{} has a rule, and a reason for none", call.name);
    }
}

/// Whether a file of `tests/` has a test of this name.
fn has_test(file: &str, function: &str) -> bool {
    let root = common::root().join("tests");
    let paths = [root.join(format!("{file}.rs")), root.join(file).join("main.rs")];
    let Some(text) = paths.iter().find_map(|path| fs::read_to_string(path).ok()) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let defined = |line: &str| {
        line.strip_prefix("fn ")
            .is_some_and(|rest| rest.strip_prefix(function).is_some_and(|rest| rest.starts_with('(')))
    };
    let Some(at) = lines.iter().position(|line| defined(line)) else { return false };
    // Its attributes stand right above it.
    lines[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]")
}

#[test]
fn every_rule_names_tests_that_are_there() {
    let mut wrong = Vec::new();
    for rule in RULES {
        if rule.proof.is_empty() {
            wrong.push(format!("{}: add column proof to its row", rule.name));
        }
        for proof in rule.proof {
            if !proof.split_once("::").is_some_and(|(file, function)| has_test(file, function)) {
                wrong.push(format!("{}: tests/ has no test {proof}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!has_test("coverage", "has_test") && !has_test("coverage", "errno") && !has_test("no", "such"));
}

/// The number of an errno name, by the C library's own list.
fn errno(name: &str) -> i32 {
    let known = [
        ("ESRCH", libc::ESRCH),
        ("EBADF", libc::EBADF),
        ("EFAULT", libc::EFAULT),
        ("EINVAL", libc::EINVAL),
        ("ENOSYS", libc::ENOSYS),
        ("ENOENT", libc::ENOENT),
        ("ENOTDIR", libc::ENOTDIR),
        ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ];
    known.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("add {name} here")).1
}

/// A probe that gets another errno than its row says tells a filter from the kernel only by luck, and makes a
/// doubted call be taken for nonsense.
#[test]
fn every_probe_gets_its_errno_from_this_kernel() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let (Some((due, arguments)), Some(&call)) = (rule.probe, rule.calls.first()) else { continue };
        let Some(number) = Call::find(call).and_then(|call| call.x86_64) else { continue };
        let mut a = [0i64; 6];
        for (to, &from) in a.iter_mut().zip(arguments) {
            *to = i64::from(from);
        }
        // SAFETY: harmless by the row: no pointer among them but NULL or one that cannot be mapped.
        let result = unsafe { libc::syscall(i64::from(number), a[0], a[1], a[2], a[3], a[4], a[5]) };
        let mut got = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // modify_ldt(2) gives an int, which 64-bit kernels do not extend: libc takes its failures for success.
        let result = match i32::try_from(result) {
            Err(_) if result > 0 && (result as i32) < 0 => {
                got = -(result as i32);
                -1
            }
            _ => result,
        };
        // A kernel that is older, or built without it.
        let absent = result == -1 && (got == libc::ENOSYS || got == libc::EOPNOTSUPP);
        if !(absent || result == -1 && got == errno(due)) {
            wrong.push(format!("{}: {result}, errno {got} where {due} is due", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
