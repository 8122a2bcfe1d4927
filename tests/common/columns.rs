//! Three columns of a test program that prints `CALL what was done: what came of it`, a line a check: as the
//! host answers, with the calls denied, and denied under the shim. The third equals the first.

use super::common::{bare, denied, program, shim, text};
use std::io::Write as _;
use std::process::Command;

/// How a filter or an older kernel refuses.
const REFUSALS: [&str; 2] = ["ENOSYS", "EPERM"];

/// What a run printed: its lines, and its end if that was no success.
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    if !output.status.success() {
        lines.push(format!("ended with {}: {}", output.status, text(&output.stderr)));
    }
    lines
}

/// Runs `test-programs/NAME ARGUMENTS` in all columns, prints the table, and holds the third against the first.
/// `differences` are beginnings of lines, with the reason, for which a rule states that it differs.
pub fn assert_third_equals_first(
    name: &str,
    arguments: &[&str],
    calls: &[&str],
    differences: &[(&str, &str)],
) {
    let native = lines(bare(program(name)).args(arguments));
    assert!(
        native.last().is_some_and(|line| !line.starts_with("ended with ")),
        "{name} natively: {native:#?}"
    );
    let all = calls.join(",");
    let mut wrong = Vec::new();
    let mut table = String::new();
    for refusal in REFUSALS {
        let under_filter = |preload: bool| {
            let mut command = denied(refusal, &all);
            command.arg(program(name)).args(arguments);
            if preload {
                command.env("LD_PRELOAD", shim());
            }
            lines(&mut command)
        };
        let (refused, repaired) = (under_filter(false), under_filter(true));
        for call in calls {
            let of = |line: &&String| line.split(' ').next() == Some(call);
            let checks: Vec<&String> = native.iter().filter(of).collect();
            assert!(!checks.is_empty(), "{name} makes no check of {call}");
            let same = |lines: &[String]| checks.iter().filter(|line| lines.contains(line)).count();
            let label = format!("{name} {}", arguments.join(" "));
            table += &format!(
                "{label:<28} {call:<18} native {:>3}   {refusal} {:>3}   {refusal} + shim {:>3}\n",
                checks.len(),
                same(&refused),
                same(&repaired)
            );
            for line in checks.into_iter().filter(|line| !repaired.contains(line)) {
                if !differences.iter().any(|(start, _)| line.starts_with(start)) {
                    let what = line.split_once(": ").map_or(line.as_str(), |(what, _)| what);
                    let instead = repaired.iter().find(|other| other.starts_with(&format!("{what}: ")));
                    wrong.push(format!(
                        "{refusal}: native  {line}\n        shim    {}",
                        instead.map_or("-", |l| l)
                    ));
                }
            }
        }
        assert_ne!(native, refused, "{name}: {refusal} for {all} changes nothing, so nothing is proven");
    }
    // Past the test runner, which keeps what a passing test prints from view.
    let _ = std::io::stderr().write_all(table.as_bytes());
    assert!(wrong.is_empty(), "{name} {arguments:?}\n{}", wrong.join("\n"));
}
