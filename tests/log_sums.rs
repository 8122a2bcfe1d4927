//! `evercall log` tells of real logs what was done, in every mode, form and envelope.
//! `tests/log_sums_hostile.rs` gives it what no log should hold.

#[macro_use]
mod common;
#[path = "common/sums.rs"]
mod sums;

use common::{bare, command, program, succeed, text, under_shim};
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use sums::{counts, expected, fed, json, lines, log, log_of, parsed, steps, word};

const FORMATS: [&str; 2] = ["text", "json"];

/// Each call is counted once, by rule, program and result.
#[test]
fn every_logged_call_is_counted() {
    for format in FORMATS {
        let done = "ustat*50 sysfs badstring library:/nonexistent library:/a\"b) thread:8*10 fork ustat*7";
        let sums = json(&steps("all", format, done));
        assert_eq!(
            counts(&sums),
            expected(&[
                ("ustat steps success", 137),
                ("sysfs steps success", 1),
                ("uselib steps EFAULT", 1),
                ("uselib steps ENOENT", 2),
            ]),
            "{format}"
        );
        assert_eq!(lines(&sums), [141, 0, 0, 0, 0, 0]);
        assert_eq!(
            (&sums["translations"]["count"], &sums["translations"]["from_summaries"]),
            (&141.into(), &0.into())
        );
    }
}

/// Of `first`, the number of processes; of `count`, the numbers of the summaries.
#[test]
fn the_other_modes_are_counted_as_what_they_are() {
    for format in FORMATS {
        let done = "ustat*5 sysfs fork ustat*2";
        let first = json(&steps("first", format, done));
        assert_eq!(counts(&first), expected(&[("ustat steps success", 2), ("sysfs steps success", 1)]));
        let count = json(&steps("count", format, done));
        assert_eq!(counts(&count), expected(&[("ustat steps -", 7), ("sysfs steps -", 1)]), "{format}");
        assert_eq!(lines(&count), [0, 2, 0, 0, 0, 0]);
        assert!(
            count["groups"].as_array().unwrap().iter().all(|group| group["count"] == group["from_summaries"])
        );
        assert_eq!(counts(&json(&steps("off", format, done))), expected(&[]));
    }
    let both = [steps("all", "text", "ustat*3"), steps("count", "json", "ustat*4")].concat();
    let both = parsed(&fed(&mut log(&["--format", "json", "--by", "rule"]), &both));
    let group = &both["groups"][0];
    assert_eq!((&group["count"], &group["from_summaries"]), (&7.into(), &4.into()));
    assert_eq!(group.get("result"), None);
}

/// First and last are the times of the lines, whatever their order.
#[test]
fn first_and_last_are_the_times_of_the_lines() {
    let log = steps("all", "text", "ustat sysfs ustat*3");
    let times: Vec<String> = text(&log).lines().map(|line| line[..27].to_owned()).collect();
    for log in
        [log.clone(), text(&log).lines().rev().map(|line| format!("{line}\n")).collect::<String>().into()]
    {
        let sums = json(&log);
        let ustat = &sums["groups"][0];
        assert_eq!(
            (&ustat["rule"], &ustat["first"], &ustat["last"]),
            (&"ustat".into(), &times[0].as_str().into(), &times[4].as_str().into())
        );
        assert_eq!(sums["groups"][1]["first"], times[1].as_str());
        assert_eq!(sums["translations"]["first"], times[0].as_str());
    }
}

/// The lines about no translation, as real runs write them.
#[test]
fn other_lines_of_evercalls_are_notes() {
    for format in FORMATS {
        let mut odd = under_shim(program("steps"));
        odd.env("EVERCALL_NOFILE", "plenty");
        odd.env("EVERCALL_LOG", "all").env("EVERCALL_LOG_FORMAT", format).arg("ustat");
        let sums = json(&succeed(&mut odd).stderr);
        assert_eq!(lines(&sums)[2], 1, "{sums}");
        assert_eq!(sums["notes"][0]["kind"], "misunderstood");
        assert!(sums["notes"][0]["text"].as_str().unwrap().contains("plenty"), "{sums}");

        let run = |deny: &str, words: &[&str]| {
            let mut run = bare(command());
            run.args(["simulate", "--deny", deny, "--"]).arg(command()).args(["run", "--log", "all"]);
            run.args(["--log-format", format]).args(words).args(["--", "true"]);
            json(&succeed(&mut run).stderr)
        };
        let sums = run("clone3:EPERM", &["--filter", "on"]);
        assert_eq!(
            (&sums["notes"][0]["kind"], &sums["notes"][0]["text"]),
            (&"repaired".into(), &"clone3".into())
        );
        let sums = run("ustat", &["--trap"]);
        assert_eq!(sums["notes"][0]["kind"], "trapped", "{sums}");
        assert!(sums["notes"][0]["text"].as_str().unwrap().contains("ustat"), "{sums}");
    }
}

/// A full pipe: what could not be written is told, by the sums too.
#[test]
fn dropped_lines_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    succeed(bare("mkfifo").arg(&fifo));
    let pipe = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    let mut run = under_shim(program("steps"));
    run.args(["fill:2", "ustat*30", "drain:2", "ustat*2"]).stderr(pipe);
    run.env("EVERCALL_FORCE", "ustat").env("EVERCALL_LOG", "all").env("EVERCALL_NOFILE", "off");
    assert!(run.status().unwrap().success());
    drop(run);
    let mut log = Vec::new();
    let _ = reader.read_to_end(&mut log);
    let sums = json(&log);
    assert_eq!((&sums["dropped"], lines(&sums)), (&30.into(), [2, 0, 1, 0, 0, 0]), "{}", text(&log));
    let table = text(&fed(&mut sums::log(&[]), &log).stdout);
    assert!(
        table.contains("\n30 lines could not be written: there have been more translations\n"),
        "{table}"
    );
}

/// Each line in what engines put around it.
type Envelope = (&'static str, fn(&str) -> String);

const ENVELOPES: [Envelope; 13] = [
    ("docker", |line| {
        let line = serde_json::to_string(&format!("{line}\n")).unwrap();
        format!(r#"{{"log":{line},"stream":"stderr","time":"2026-11-28T15:00:00.123456789Z"}}"#)
    }),
    ("docker, as Go escapes", |line| {
        let line = serde_json::to_string(&format!("{line}\n"))
            .unwrap()
            .replace('<', "\\u003c")
            .replace('&', "\\u0026");
        format!(r#"{{"log":{line},"stream":"stderr","attrs":{{"tag":"x"}},"time":"2026-11-28T15:00:00Z"}}"#)
    }),
    ("cri", |line| format!("2026-11-28T15:00:00.123456789Z stderr F {line}")),
    ("cri, six digits", |line| format!("2026-11-28T15:00:00.123456Z stderr F {line}")),
    ("cri, a zone", |line| format!("2026-11-28T16:00:00.123456789+01:00 stdout F {line}")),
    ("timestamps", |line| format!("2026-11-28T15:00:00.123456789Z {line}")),
    ("timestamps, six digits", |line| format!("2026-11-28T15:00:00.123456Z {line}")),
    ("kubectl", |line| format!("[pod/web-5d78/app] {line}")),
    ("kubectl, timestamps", |line| format!("[pod/web-5d78/app] 2026-11-28T15:00:00.123456Z {line}")),
    ("compose", |line| format!("web-1  | {line}")),
    ("journal", |line| format!("Nov 28 15:00:00 host web[123]: {line}")),
    ("journal, iso", |line| format!("2026-11-28T16:00:00+0100 host conmon[123]: {line}")),
    ("terminal", |line| format!("{line}\r")),
];

/// A line of a container's log counts as it does alone; so do others, and cut ones.
#[test]
fn envelopes_are_taken_off() {
    for format in FORMATS {
        let own = steps("all", format, "ustat*3 sysfs badstring library:<a&b|[1]>");
        let own = text(&[own, steps("count", format, "ustat*2")].concat());
        let others = ["", "GET /x | 200", "{\"level\":\"info\"}", "a: b", "[1] started"];
        let cut: Vec<&str> = own.lines().map(|line| &line[..line.len() - 1]).collect();
        let all: Vec<&str> = own.lines().chain(others).chain(cut).collect();
        let bare = json((all.join("\n") + "\n").as_bytes());
        assert_eq!(lines(&bare)[..5], [6, 1, 0, 5, 0]);
        for (name, envelope) in ENVELOPES {
            let log: String = all.iter().map(|line| envelope(line) + "\n").collect();
            let sums = json(log.as_bytes());
            assert_eq!((counts(&sums), lines(&sums)), (counts(&bare), lines(&bare)), "{name}: {log}");
        }
    }
    let whole = text(&steps("all", "text", "ustat"));
    for marked in [
        format!("2026-11-28T15:00:00.1Z stderr P {whole}"),
        format!("{{\"log\":{:?},\"stream\":\"stderr\"}}\n", whole.trim()),
    ] {
        assert_eq!(lines(&json(marked.as_bytes())), [0, 0, 0, 0, 0, 1], "marked as cut: {marked}");
    }
}

/// A hostile name of a program is shown as the log shows it, and given in JSON as JSON of the log gives it.
#[test]
fn hostile_program_names_are_kept_and_harmless() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        &b"a b[1] c"[..],
        b"\x1b[31mred",
        b"2026-11-23T17:31:00.123456 x",
        b"q\"\\",
        b"\xff\xe9",
        b"ustat: ustat() = 0 [x]",
    ] {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::copy(program("steps"), &path).unwrap();
        let expected: String = name.iter().map(|&byte| char::from(byte)).take(32).collect();
        for format in FORMATS {
            let log = log_of(under_shim(&path).arg("ustat*2"), "all", format);
            let sums = json(&log);
            assert_eq!(sums["groups"][0]["program"], expected.as_str(), "{format}");
            assert_eq!(lines(&sums), [2, 0, 0, 0, 0, 0]);
            let table = fed(&mut sums::log(&[]), &log).stdout;
            assert!(
                table.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n'),
                "{}",
                text(&table)
            );
        }
    }
}

/// A text argument may be as long as the log shows any, twice: the shim cuts such a call.
#[test]
fn a_call_that_the_shim_cut_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "my ($from, $to) = (\"\\x01\" x 200, \"\\x02\" x 200); syscall(316, -100, $from, -100, $to, 0);";
    for format in FORMATS {
        let log = log_of(under_shim("perl").args(["-e", script]).current_dir(folder.path()), "all", format);
        let sums = json(&log);
        assert_eq!(counts(&sums).get("renameat2 perl ENOENT"), Some(&1), "{}", text(&log));
        assert_eq!(lines(&sums)[5], 0);
    }
}

/// What `--by` leaves out is summed up.
#[test]
fn columns_are_chosen() {
    let log = [
        steps("all", "text", "ustat*3 sysfs badstring"),
        log_of(under_shim(program("steps")).arg("ustat"), "all", "json"),
    ]
    .concat();
    let by = |by: &str| {
        let sums = parsed(&fed(&mut sums::log(&["--format", "json", "--by", by]), &log));
        counts(&sums)
    };
    assert_eq!(by("program"), expected(&[("- steps -", 6)]));
    assert_eq!(by("result"), expected(&[("- - success", 5), ("- - EFAULT", 1)]));
    assert_eq!(
        by("result,rule"),
        expected(&[("ustat - success", 4), ("sysfs - success", 1), ("uselib - EFAULT", 1)])
    );
    let table = text(&fed(&mut sums::log(&["--by", "result"]), &log).stdout);
    let columns: Vec<Vec<&str>> =
        table.lines().take(3).map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(columns, [["COUNT", "RESULT"], ["5", "success"], ["1", "EFAULT"]]);
}

/// The table, as a whole.
#[test]
fn the_table_is_for_people() {
    let input = "\
2026-11-23T17:31:00.000001Z old[7] ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]
2026-11-23T17:31:00.000003Z old[7] ustat: ustat(dev=8:1, ubuf=0x7ffe) = 0 [fstatfs of /]
2026-11-23T17:31:00.000002Z older[8] ustat: ustat(dev=8:9, ubuf=0x7ffe) = -1 EINVAL
2026-11-23T17:31:01.000000Z old[7] ustatt: ustatt() = 5
starting up
2026-11-23T17:31:02.000000Z old[7] lines dropped: 3
2026-11-23T17:31:02.000000Z old[9] summary: sysfs 12
2026-11-23T17:31:02.000000Z old[9] trap: ustat, sysfs
2026-11-23T17:31:0
";
    let output = fed(&mut log(&[]), input.as_bytes());
    assert_eq!(
        text(&output.stdout),
        "\
COUNT  RULE     PROGRAM  RESULT     FIRST                        LAST
   12  sysfs    old      (summary)  2026-11-23T17:31:02.000000Z  2026-11-23T17:31:02.000000Z
    2  ustat    old      success    2026-11-23T17:31:00.000001Z  2026-11-23T17:31:00.000003Z
    1  ustat    older    EINVAL     2026-11-23T17:31:00.000002Z  2026-11-23T17:31:00.000002Z
    1  ustatt?  old      success    2026-11-23T17:31:01.000000Z  2026-11-23T17:31:01.000000Z

1x  2026-11-23T17:31:02.000000Z  2026-11-23T17:31:02.000000Z  trapped: ustat, sysfs

16 translations in 1 log, 12 of them told by summaries, which tell no result
9 lines: 7 of evercall's, 1 of others, 1 damaged
damaged lines are not counted: there may have been more translations
3 lines could not be written: there have been more translations
?: no rule of this evercall (0.1.0)
"
    );
    let sums = json(input.as_bytes());
    assert_eq!(counts(&sums).len(), 4);
    assert_eq!(sums["groups"][3]["known"], false);
    assert_eq!(sums["groups"][0]["known"], true);
}

/// The fields that the man page promises, no more and no fewer.
#[test]
fn the_json_is_as_the_man_page_says() {
    let log = [steps("count", "text", "ustat"), b"2026-11-23T17:31:02.000000Z old[9] trap: ustat\n".to_vec()]
        .concat();
    let sums = json(&log);
    let names = |value: &serde_json::Value| {
        let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let sum = ["count", "first", "from_summaries", "last"];
    assert_eq!(sums["version"], 1);
    assert_eq!(sums["by"], serde_json::json!(["rule", "program", "result"]));
    assert_eq!(
        names(&sums),
        [
            "by",
            "dropped",
            "groups",
            "lines",
            "logs",
            "notes",
            "other_notes",
            "others",
            "translations",
            "version"
        ]
    );
    assert_eq!(names(&sums["translations"]), sum);
    assert_eq!(
        names(&sums["groups"][0]),
        ["count", "first", "from_summaries", "known", "last", "program", "result", "rule"]
    );
    assert_eq!(names(&sums["notes"][0]), ["count", "first", "kind", "last", "text"]);
    assert_eq!(
        names(&sums["lines"]),
        ["all", "damaged", "notes", "other", "summaries", "too_long", "translations"]
    );
    let none = json(b"");
    assert_eq!(
        (&none["translations"], &none["others"], &none["other_notes"]),
        (&serde_json::Value::Null, &serde_json::Value::Null, &serde_json::Value::Null)
    );
    let page = bare(sums::EVERCALL).args(["log", "--help"]).output().unwrap();
    let page = text(&page.stdout);
    for name in names(&sums).iter().chain(&names(&sums["groups"][0])).chain(&names(&sums["lines"])) {
        assert!(page.contains(name.as_str()), "{name} is not in --help");
    }
}

/// Several logs, standard input among them; one that is missing stops no other.
#[test]
fn logs_are_read_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, missing] = ["one", "two", "mis\nsing"].map(|name| folder.path().join(name));
    fs::write(&one, steps("all", "text", "ustat*2")).unwrap();
    fs::write(&two, steps("all", "json", "ustat*3")).unwrap();
    let input = steps("all", "text", "ustat*4");
    let sums = parsed(&fed(&mut log(&["--format", "json", word(&one), "-", word(&two)]), &input));
    assert_eq!(counts(&sums), expected(&[("ustat steps success", 9)]));
    assert_eq!(sums["logs"], 3);

    let output = fed(
        &mut log(&["--format", "json", word(&one), word(&missing), word(folder.path()), word(&two)]),
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("sing: No such file or directory"), "{told}");
    assert!(told.contains(&format!("cannot read {}: Is a directory", folder.path().display())), "{told}");
    assert!(told.ends_with("evercall: 2 of 4 logs could not be read\n"), "{told}");
    let sums: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((counts(&sums), &sums["logs"]), (expected(&[("ustat steps success", 5)]), &2.into()));
}

/// gzip is taken off, several pieces of it too; of others, it is said what would.
#[test]
fn compressed_logs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, steps("all", "text", "ustat*20")).unwrap();
    let compressed = |program: &str| {
        let output = Command::new(program).arg("-c").arg(&path).output();
        output.ok().filter(|output| output.status.success()).map(|output| output.stdout)
    };
    let gzip = compressed("gzip").unwrap();
    assert_eq!(counts(&json(&[&gzip[..], &gzip].concat())), expected(&[("ustat steps success", 40)]));
    let cut = fed(&mut log(&["--format", "json"]), &gzip[..gzip.len() - 20]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(text(&cut.stderr).contains("cannot read standard input: "), "{}", text(&cut.stderr));
    for program in ["zstd", "xz", "bzip2"] {
        let Some(other) = compressed(program) else { continue };
        let output = fed(&mut log(&[]), &other);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains(&format!("pipe it through {program} -dc")),
            "{}",
            text(&output.stderr)
        );
    }
}

/// A line that stands behind something else is no line of its own: told as damaged, since counts are too low then.
#[test]
fn a_line_behind_other_text_is_damaged() {
    for format in FORMATS {
        let log = text(&steps("all", format, "ustat sysfs"));
        let glued = log.lines().map(|line| format!("progress 10% {line}\n")).collect::<String>();
        assert_eq!(lines(&json(glued.as_bytes())), [0, 0, 0, 0, 0, 2], "{glued}");
    }
}
