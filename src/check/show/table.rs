//! The report for people.

use crate::check::judge::Verdict;
use crate::check::report::{Group, Report};
use crate::image::tar_entries::shown;
use crate::output::wrap;
use std::fmt::Write as _;
use std::path::Path;

/// Pieces of evidence that are shown of a group.
const EVIDENCE: usize = 3;

/// Files that are named of those not looked into.
const NAMED: usize = 10;

/// Columns of the text on a terminal that is wider, and where there is none.
const WIDTH: usize = 100;

/// The text. `files`: list the files of each finding.
pub fn text(report: &Report, files: bool, terminal: Option<usize>) -> String {
    let width = terminal.unwrap_or(WIDTH).clamp(50, 120);
    let mut out = String::new();
    let mut head = |title: &str, words: &str| {
        let lines = wrap(words, width - 12);
        let _ = writeln!(out, "{title:<12}{}", lines.join(&format!("\n{:12}", "")));
    };
    let target = &report.target;
    let mut about = format!("{} ({}", target.name, target.form);
    for more in [target.platform.clone(), target.layers.map(|layers| plural(layers, "layer", "layers"))]
        .into_iter()
        .flatten()
    {
        about += &format!(", {more}");
    }
    about += ")";
    for more in target.reference.iter().map(|name| shown(Path::new(name))).chain(target.libcs.iter().cloned())
    {
        about += &format!("; {more}");
    }
    if target.carries_evercall {
        about += "; it carries evercall";
    }
    head("TARGET", &about);
    if let Some(host) = &report.host {
        head("HOST", &host.title());
        for assumed in &host.assumed {
            head("", &format!("({assumed})"));
        }
    }
    let counts = &report.counts;
    head(
        "LOOKED AT",
        &format!(
            "{}, {} of them different ({:.1} MB): {}, {}; {}",
            plural(counts.elf_files, "ELF file", "ELF files"),
            counts.contents,
            counts.bytes as f64 / 1e6,
            plural(counts.programs, "program", "programs"),
            plural(counts.plugins, "library that no program names", "libraries that no program names"),
            plural(counts.scripts, "script", "scripts"),
        ),
    );
    if let Some(start) = &report.verdict.start {
        let under = start.with_evercall.word();
        head(
            "STARTS",
            &format!("{}: {}; with evercall: {under}", shown(Path::new(&start.command)), start.bare.outcome),
        );
    }
    out.push('\n');
    let mut verdict = String::new();
    let _ = write!(verdict, "{}", report.verdict.summary);
    let lines = wrap(&verdict, width - 12);
    let _ = writeln!(out, "{:<12}{}", "VERDICT", lines.join(&format!("\n{:12}", "")));
    let titles = ["BREAKS", "DEGRADES", "ON EVERY HOST"];
    for (title, groups) in titles.into_iter().zip(report.sections()) {
        if groups.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        // What is probably no trouble, or is not the host's, gets a line.
        for group in groups {
            if group.everywhere && !files {
                brief(report, group, width, &mut out);
            } else if group.bare.verdict == Verdict::Degrades && !files {
                degrades(group, width, &mut out);
            } else {
                group_text(report, group, files, width, &mut out);
            }
        }
    }
    rest(report, width, &mut out);
    out
}

fn group_text(report: &Report, group: &Group, files: bool, width: usize, out: &mut String) {
    let mut line = |indent: usize, words: &str| {
        let lines = wrap(words, width - indent - 2);
        let _ = writeln!(out, "{:indent$}{}", "", lines.join(&format!("\n{:1$}", "", indent + 2)));
    };
    line(2, &format!("{}: {}", plural(group.programs, "file", "files"), group.title));
    if group.only_pointed {
        line(6, "not sure: only pointers in data lead to it, and perhaps nobody follows them");
    }
    line(6, &format!("bare: {}", group.bare.outcome));
    let under = &group.with_evercall;
    let with = match (under.rule, under.door) {
        (Some(rule), Some(door)) => {
            let fidelity = under.fidelity.unwrap_or_default();
            format!("{} by rule {rule} ({fidelity}), through {}", under.verdict.word(), door.words())
        }
        _ => "the same".to_string(),
    };
    line(6, &format!("with evercall: {with}"));
    if let Some(difference) = under.difference.filter(|_| under.verdict != Verdict::Breaks) {
        line(6, &format!("what differs: {difference}"));
    }
    line(6, &format!("to do: {}", group.advice));
    for evidence in group.evidence.iter().take(EVIDENCE) {
        line(6, &format!("seen: {}", evidence.words()));
    }
    if files {
        for file in group.files.iter().filter_map(|at| report.files.get(*at)) {
            let _ = writeln!(out, "        {}", shown(Path::new(&file.path)));
        }
    }
}

fn degrades(group: &Group, width: usize, out: &mut String) {
    let under = &group.with_evercall;
    let with = match under.verdict {
        Verdict::Translated => format!("translated ({})", under.fidelity.unwrap_or_default()),
        _ => "the same".to_string(),
    };
    let words =
        format!("{}: {}; with evercall: {with}", plural(group.programs, "file", "files"), group.title);
    let _ = writeln!(out, "  {}", wrap(&words, width - 4).join("\n    "));
}

fn brief(report: &Report, group: &Group, width: usize, out: &mut String) {
    let first = group.files.first().and_then(|at| report.files.get(*at));
    let first = first.map(|file| format!(", such as {}", shown(Path::new(&file.path)))).unwrap_or_default();
    let words = format!("{}: {}{first}", plural(group.programs, "file", "files"), group.title);
    let lines = wrap(&words, width - 4);
    let _ = writeln!(out, "  {}", lines.join("\n    "));
}

fn rest(report: &Report, width: usize, out: &mut String) {
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
            for words in lines {
                let _ = writeln!(out, "  {}", wrap(&words, width - 4).join("\n    "));
            }
        }
    };
    let present = report.present.iter().map(|present| {
        let files = plural(present.files, "file", "files");
        format!("{}: in {files}, such as {}", present.call, shown(Path::new(&present.example)))
    });
    list("REFUSED, AND ONLY PRESENT", present.collect());
    let mut passed: Vec<String> = report
        .passed_over
        .iter()
        .take(NAMED)
        .map(|file| format!("{}: {}", shown(Path::new(&file.path)), shown(Path::new(&file.why))))
        .collect();
    if report.passed_over.len() > NAMED {
        passed.push(format!("and {} more", report.passed_over.len() - NAMED));
    }
    list("NOT LOOKED INTO", passed);
    list("NOTES", report.notes.clone());
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
