//! Every system call that is younger than the oldest hosts has its rule, or its reason here; and what the rows
//! say of an unfiltered kernel is held against the one this runs on.

mod common;

use evercall_rules::table::{CALLS, Call, RULES, Rule};

/// The first kernel whose calls an image may use that another host lacks.
const FROM: [u32; 3] = [2, 6, 17];

/// Calls without a rule, and why.
const WITHOUT_A_RULE: &[(&str, &str)] = &[
    (
        "process_vm_readv",
        "by it the shim reads the program's own memory; nothing older is as safe, so callers see ENOSYS",
    ),
    ("process_vm_writev", "likewise for writing"),
    ("uprobe", "the kernel's own trampolines make it, and no filter sees it"),
    ("uretprobe", "likewise"),
];

/// `6.11`, `2.6.17` as numbers; None for `never`.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn is_young(call: &Call) -> bool {
    version(call.since).is_some_and(|since| since >= FROM)
}

#[test]
fn every_young_call_has_a_rule_or_a_reason() {
    let missing: Vec<&str> = CALLS
        .iter()
        .filter(|call| call.x86_64.is_some() && is_young(call))
        .map(|call| call.name)
        .filter(|&name| {
            Rule::of_call(name).is_none() && !WITHOUT_A_RULE.iter().any(|(other, _)| *other == name)
        })
        .collect();
    assert!(missing.is_empty(), "add a rule or a reason for: {}", missing.join(" "));
}

#[test]
fn the_reasons_are_of_young_calls_without_a_rule() {
    for (name, _) in WITHOUT_A_RULE {
        let call = Call::find(name).unwrap_or_else(|| panic!("{name} is no call"));
        assert!(is_young(call), "{name} is of {}", call.since);
        assert!(Rule::of_call(name).is_none(), "{name} has a rule");
    }
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
        let got = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // A kernel that is older, or built without it.
        let absent = result == -1 && (got == libc::ENOSYS || got == libc::EOPNOTSUPP);
        if !(absent || result == -1 && got == errno(due)) {
            wrong.push(format!("{}: {result}, errno {got} where {due} is due", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
