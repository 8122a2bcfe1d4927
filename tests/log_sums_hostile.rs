//! `evercall log` believes nothing: cut, mixed and forged lines, endless ones, more of anything than it keeps.

mod common;
#[path = "common/sums.rs"]
mod sums;

use common::{bare, command, text};
use proptest::prelude::*;
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;
use sums::{counts, fed, json, lines, log, steps};

/// Real lines of both forms: translations, failures, summaries.
fn good() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for format in ["text", "json"] {
        for (mode, done) in
            [("all", "ustat sysfs badstring library:/x\")=[ epoll"), ("count", "ustat*3 sysfs")]
        {
            all.extend(steps(mode, format, done).split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec));
        }
    }
    assert_eq!(all.len(), 12);
    all
}

/// Pieces that a parser may stumble over.
const PIECES: [&str; 26] = [
    "{\"time\":\"",
    "2026-11-23T17:31:00.123456Z ",
    "2026-11-23T17:31:00.123456Z steps[1] ",
    "{\"time\":\"2026-11-23T17:31:00.123456Z\",\"pid\":1,\"program\":\"",
    "\"rule\":\"ustat\",",
    "ustat: ustat(",
    ") = 0 [",
    "] ",
    "[1] ",
    " = -1 E",
    "\\",
    "\"",
    "\\u00",
    "summary: ",
    "\"summary\":{",
    "lines dropped: ",
    "}",
    ", ",
    "{\"log\":\"",
    "2026-11-28T15:00:00.1Z stderr F ",
    "Nov 28 15:00:00 h x: ",
    "[pod/",
    " | ",
    "\u{e9}",
    "\x1b[31m",
    "99999999999999999999",
];

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece =
        prop_oneof![any::<Vec<u8>>(), (0..PIECES.len()).prop_map(|index| PIECES[index].as_bytes().to_vec()),];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// One line of it.
fn garbage_line() -> impl Strategy<Value = Vec<u8>> {
    garbage().prop_map(|mut bytes| {
        bytes.retain(|&byte| byte != b'\n');
        bytes.push(b'\n');
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes: the sums come, and on the terminal nothing but printable ASCII.
    #[test]
    fn any_bytes_are_summed_up(input in garbage()) {
        for format in ["table", "json"] {
            let output = fed(&mut log(&["--format", format]), &input);
            prop_assert_eq!(output.status.code(), Some(i32::from(!output.stderr.is_empty())));
            if format == "table" {
                prop_assert!(output.stdout.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n'));
            } else {
                let sums: Value = serde_json::from_slice(&output.stdout).unwrap();
                lines(&sums);
            }
        }
    }

    /// Lines between good ones change nothing in the good ones' counts, and each is counted as one.
    #[test]
    fn garbage_between_lines_changes_no_count(garbage in proptest::collection::vec(garbage_line(), 13)) {
        let good = good();
        let clean = json(&good.concat());
        // What garbage may tell by chance, it tells alone as well.
        let (mut mixed, alone) = (Vec::new(), json(&[&b"\n"[..], &garbage.concat()].concat()));
        for (index, line) in garbage.iter().enumerate() {
            mixed.extend_from_slice(line);
            mixed.extend_from_slice(good.get(index).map_or(&[], Vec::as_slice));
        }
        // Never taken for a compressed file.
        let sums = json(&[&b"\n"[..], &mixed].concat());
        let (mut expected, chance) = (counts(&clean), counts(&alone));
        for (group, count) in chance {
            *expected.entry(group).or_default() += count;
        }
        prop_assert_eq!(counts(&sums), expected);
        let (all, both) = (lines(&sums), [lines(&clean), lines(&alone)]);
        prop_assert!(all.iter().enumerate().all(|(at, count)| *count == both[0][at] + both[1][at]));
    }
}

/// A log that is cut anywhere: the whole lines count, and the rest of one never does.
#[test]
fn a_cut_line_is_never_counted() {
    for line in good() {
        for end in 1..line.len() {
            let sums = json(&[&b"\n"[..], &line[..end]].concat());
            let [translations, summaries, notes, other, _, damaged] = lines(&sums);
            let cut = text(&line[..end]);
            assert_eq!((translations, summaries, notes, other + damaged), (0, 0, 0, 2), "{cut}");
            // Ours beyond doubt: told as damaged.
            assert!(damaged == 1 || !cut.contains("] "), "{cut}");
        }
        // Also where lines follow, of a disk that was full for a while. In text, `= 12` of `= 123` cannot be told.
        if line[0] == b'{' {
            let cuts: Vec<u8> = (1..line.len() - 1).flat_map(|end| [&line[..end], b"\n"].concat()).collect();
            assert_eq!(lines(&json(&cuts))[..3], [0, 0, 0], "{}", text(&line));
        }
    }
}

/// A byte more, less or other somewhere in a line: counted as what it says then, or as damaged; never as two.
#[test]
fn damage_is_told() {
    let json_line = "{\"time\":\"2026-11-23T17:31:00.123456Z\",\"pid\":7,\"program\":\"old\",\"rule\":\"ustat\",\"call\":\"ustat(dev=8:1)\",\"became\":\"\",\"result\":0}";
    let text_line =
        "2026-11-23T17:31:00.123456Z old[7] ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]";
    for (line, from, to) in [
        (text_line, "old[7]", "old\x1b[31m[7]"),
        (text_line, "old[7]", "old\\x41[7]"),
        (text_line, "old[7]", &format!("{}[7]", "o".repeat(193))),
        (text_line, "2026-11-23", "2026-13-23"),
        (text_line, "ustat(", "sysfs("),
        (text_line, "ustat", "Ustat"),
        (text_line, " = 0", " = -1"),
        (text_line, " = 0", " = -1 EVERY"),
        (text_line, " = 0", " = -1 4096"),
        (text_line, " = 0", " = -1 0"),
        (text_line, " = 0", " = 0x0"),
        (text_line, " = 0", " = 99999999999999999999"),
        (text_line, " = 0", "\u{a0}= 0"),
        (text_line, "of /]", "of /"),
        (text_line, "of /]", "of /] and more"),
        (text_line, "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]", "summary: ustat 4294967296"),
        (text_line, "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]", "summary: ustat 1,sysfs 2"),
        (text_line, "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]", "summary: "),
        (text_line, "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]", "lines dropped: -1"),
        (text_line, "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]", "something of a later version"),
        (json_line, "\"result\":0", "\"result\":-1"),
        (json_line, "\"result\":0", "\"result\":0,\"errno\":\"EPERM\""),
        (json_line, "\"result\":0", "\"result\":0,\"result\":0"),
        (json_line, "\"result\":0", "\"result\":\"0\""),
        (json_line, "\"result\":0", "\"result\":0,\"dropped\":1"),
        (json_line, "\"result\":0}", "\"result\":0"),
        (json_line, "\"result\":0}", "\"result\":0}}"),
        (json_line, "\"program\":\"old\"", "\"program\":\"\\n\""),
        (json_line, "\"program\":\"old\",", ""),
        (json_line, "-23T", "-31T"),
        (json_line, "\"rule\":\"ustat\"", "\"rule\":\"ustat \""),
        (json_line, "\"rule\":\"ustat\"", &format!("\"rule\":\"{}\"", "u".repeat(65))),
        (json_line, "\"call\":\"", "\"call\":\"\u{7f}"),
    ] {
        assert_eq!(lines(&json(format!("{line}\n").as_bytes())), [1, 0, 0, 0, 0, 0], "{line}");
        let damaged = line.replacen(from, to, 1);
        assert_eq!(lines(&json(format!("{damaged}\n").as_bytes())), [0, 0, 0, 0, 0, 1], "{damaged}");
    }
    // Of somebody else, though they look alike.
    for line in [
        "2026-11-23T17:31:00.123456Z  INFO tokio: started",
        "2026-11-23T17:31:00.123456Z [1] ustat",
        "{\"time\":\"2026-11-23T17:31:00.123456Z\",\"level\":\"INFO\",\"msg\":\"ustat\"}",
        "{\"time\":\"now\"}",
        "2026-11-23",
        "ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]",
    ] {
        assert_eq!(lines(&json(format!("{line}\n").as_bytes())), [0, 0, 0, 1, 0, 0], "{line}");
    }
    // Of a later version: a member more, and a rule that is not known.
    let later = json_line.replace("\"pid\":7,", "\"pid\":7,\"host\":\"h\",").replace("ustat\"", "uztat\"");
    let sums = json(format!("{later}\n").as_bytes());
    assert_eq!((lines(&sums)[0], &sums["groups"][0]["known"]), (1, &Value::Bool(false)));
}

/// What is kept is bounded; what had no room is summed up.
#[test]
fn more_of_anything_than_is_kept_is_summed_up() {
    let line = |rule: &str, program: &str| {
        format!("2026-11-23T17:31:00.000000Z {program}[7] {rule}: {rule}() = 0\n")
    };
    let programs: String = (0..10_000).map(|number| line("ustat", &format!("p{number}"))).collect();
    let again = programs.clone();
    let sums = json((programs + &again).as_bytes());
    assert_eq!(sums["groups"].as_array().unwrap().len(), 8192);
    assert_eq!((&sums["others"]["count"], &sums["translations"]["count"]), (&3616.into(), &20_000.into()));
    assert!(sums["groups"].as_array().unwrap().iter().all(|group| group["count"] == 2));
    let table = fed(&mut log(&[]), again.as_bytes());
    assert!(text(&table.stdout).contains("\n 1808  (others) "));

    let rules: String = (0..100).map(|number| line(&format!("rule{number}"), "old")).collect();
    let sums = json((rules + &line("ustat", "old")).as_bytes());
    assert_eq!((sums["groups"].as_array().unwrap().len(), &sums["others"]["count"]), (65, &36.into()));

    let settings: String = (0..1000)
        .map(|number| format!("2026-11-23T17:31:00.000000Z p[7] setting not understood: X={number}\n"))
        .collect();
    let sums = json(settings.as_bytes());
    assert_eq!((sums["notes"].as_array().unwrap().len(), &sums["other_notes"]["count"]), (256, &744.into()));
}

/// Whether the release build sums up so many bytes of a text over and over, with this much memory in all.
fn sums_up_within(kibibytes: usize, text: &[u8], size: usize) -> bool {
    let mut child = bare("sh")
        .args(["-c", "ulimit -v \"$1\"; exec \"$2\" log --format json", "sh"])
        .arg(kibibytes.to_string())
        .arg(command())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Stops where the command does.
    let _ = (0..size / text.len()).try_for_each(|_| stdin.write_all(text));
    drop(stdin);
    child.wait().unwrap().success()
}

/// 300 MB take no more memory than 10 MB: of a log, of a line without end, of programs that never come again.
#[test]
fn memory_is_flat() {
    let never_again: Vec<u8> = (0..100_000)
        .flat_map(|number| {
            format!("2026-11-23T17:31:00.000000Z {number:x<190}[7] ustat: ustat() = 0\n").into_bytes()
        })
        .collect();
    let good = good().concat().repeat(500);
    for (what, text, enough) in [
        ("a log", good, 8 << 10),
        ("one line", vec![b'x'; 1 << 20], 8 << 10),
        ("programs", never_again, 24 << 10),
    ] {
        for megabytes in [10, 300] {
            assert!(
                sums_up_within(enough, &text, megabytes * 1_000_000),
                "{what}: {megabytes} MB need more than {enough} KiB"
            );
        }
        assert!(!sums_up_within(enough / 8, &text, 1_000_000), "the limit is none");
    }
}
