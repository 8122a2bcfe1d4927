//! The report as one page that needs nothing else: no network, no script, readable on a phone.
//!
//! Everything that comes from the image is escaped by [`escaped`]: names may hold anything.

use crate::check::judge::{Door, Verdict};
use crate::check::report::{FileVerdict, Group, Report};
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Files that are named of each finding.
const NAMED: usize = 200;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn text(report: &Report) -> Result<String, Failure> {
    let mut page = String::new();
    let title = format!("{}: {}", report.target.name, report.verdict.bare.word());
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title)
    );
    head(report, &mut page);
    map(report, &mut page);
    findings(report, &mut page);
    rules(report, &mut page);
    rest(report, &mut page);
    let _ =
        write!(page, "</main>\n<footer>evercall {}</footer>\n</body>\n</html>\n", escaped(report.evercall));
    Ok(page)
}

/// Text as it may stand in HTML, also within quotes; control characters and those that turn text around are shown as
/// what they are.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                out.push('\u{fffd}')
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn head(report: &Report, page: &mut String) {
    let verdict = &report.verdict;
    let target = &report.target;
    let _ = writeln!(page, "<header class=\"{}\">", verdict.bare.word());
    let _ = writeln!(page, "<h1>{}</h1>", escaped(&target.name));
    let _ = writeln!(page, "<p class=\"verdict\">{}</p>", escaped(&verdict.summary));
    let _ = writeln!(page, "</header>\n<dl class=\"about\">");
    let mut about = vec![target.form.to_string()];
    about.extend(target.reference.clone());
    about.extend(target.platform.clone());
    about.extend(target.layers.map(|layers| format!("{layers} layers")));
    about.extend(target.libcs.iter().cloned());
    if target.carries_evercall {
        about.push("carries evercall".to_string());
    }
    let mut row = |term: &str, text: &str| {
        let _ = writeln!(page, "<dt>{term}</dt><dd>{}</dd>", escaped(text));
    };
    row("Image", &about.join(", "));
    if let Some(host) = &report.host {
        row("Host", &host.title());
        for assumed in &host.assumed {
            row("Assumed", assumed);
        }
    }
    if let Some(start) = &verdict.start {
        row(
            "Starts",
            &format!(
                "{}: {}; with evercall: {}",
                start.command,
                start.bare.outcome,
                start.with_evercall.word()
            ),
        );
    }
    let counts = &report.counts;
    row(
        "Looked at",
        &format!(
            "{} programs, {} scripts, {} libraries that no program names; {} ELF files of {:.1} MB",
            counts.programs,
            counts.scripts,
            counts.plugins,
            counts.elf_files,
            counts.bytes as f64 / 1e6
        ),
    );
    let _ = writeln!(page, "</dl>");
}

/// Files by folder, each a square in the colour of its verdict: on the left bare, on the right under evercall.
fn map(report: &Report, page: &mut String) {
    if report.files.is_empty() {
        return;
    }
    let mut folders: BTreeMap<&str, Vec<&FileVerdict>> = BTreeMap::new();
    for file in &report.files {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(file);
    }
    let _ = writeln!(page, "<section>\n<h2>Files by verdict</h2>\n<p class=\"legend\">");
    for verdict in [Verdict::Works, Verdict::Translated, Verdict::Degrades, Verdict::Breaks] {
        let bare = report.files.iter().filter(|file| file.bare.verdict == verdict).count();
        let under = report.files.iter().filter(|file| file.with_evercall.verdict == verdict).count();
        let word = verdict.word();
        let _ =
            writeln!(page, "<span><i class=\"{word}\"></i>{word}: {bare} bare, {under} with evercall</span>");
    }
    let _ = writeln!(page, "</p>");
    let mut folders: Vec<_> = folders.into_iter().collect();
    let worst = |files: &[&FileVerdict]| files.iter().map(|file| file.bare.verdict).max();
    folders.sort_by(|(a_name, a), (b_name, b)| {
        (worst(b), b.len()).cmp(&(worst(a), a.len())).then_with(|| a_name.cmp(b_name))
    });
    for (folder, files) in folders {
        let broken = files.iter().filter(|file| file.bare.verdict == Verdict::Breaks).count();
        let name = if folder.is_empty() { "/" } else { folder };
        let count = if broken > 0 {
            format!("{} files, {broken} break", files.len())
        } else {
            format!("{} files", files.len())
        };
        let _ = writeln!(page, "<div class=\"folder\"><h3>{}</h3><small>{count}</small>", escaped(name));
        for (title, under) in [("bare", false), ("with evercall", true)] {
            let _ = write!(page, "<div class=\"cells\" aria-label=\"{title}\">");
            for file in &files {
                let verdict = if under { file.with_evercall.verdict } else { file.bare.verdict };
                let word = verdict.word();
                let short = file.path.rsplit('/').next().unwrap_or_default();
                let _ = write!(page, "<i class=\"{word}\" title=\"{}: {word}\"></i>", escaped(short));
            }
            let _ = writeln!(page, "</div>");
        }
        let _ = writeln!(page, "</div>");
    }
    let _ = writeln!(page, "</section>");
}

fn findings(report: &Report, page: &mut String) {
    let titles = ["What breaks, and why", "What degrades", "The same on every host"];
    for (title, groups) in titles.into_iter().zip(report.sections()) {
        if groups.is_empty() {
            continue;
        }
        let _ = writeln!(page, "<section>\n<h2>{title}</h2>");
        for group in groups {
            finding(report, group, page);
        }
        let _ = writeln!(page, "</section>");
    }
}

fn finding(report: &Report, group: &Group, page: &mut String) {
    let under = &group.with_evercall;
    let plural = if group.programs == 1 { "file" } else { "files" };
    let _ = writeln!(
        page,
        "<article class=\"{}\">\n<h3>{}</h3>\n<p><b>{}</b> {plural}</p>\n<dl>",
        group.bare.verdict.word(),
        escaped(&group.title),
        group.programs
    );
    let mut row = |term: &str, text: &str| {
        let _ = writeln!(page, "<dt>{term}</dt><dd>{}</dd>", escaped(text));
    };
    row("Bare", &group.bare.outcome);
    if group.only_pointed {
        row("Not sure", "only pointers in data lead to it, and perhaps nobody follows them");
    }
    let with = match (under.rule, under.door) {
        (Some(rule), Some(door)) => format!(
            "{} by rule {rule} ({}), through {}",
            under.verdict.word(),
            under.fidelity.unwrap_or_default(),
            door.words()
        ),
        _ => "the same".to_string(),
    };
    row("With evercall", &with);
    if let Some(difference) = under.difference {
        row("What differs", difference);
    }
    row("To do", &group.advice);
    for evidence in group.evidence.iter().take(3) {
        row("Seen", &evidence.words());
    }
    let _ = writeln!(page, "</dl>\n<details><summary>Files</summary><ul>");
    for file in group.files.iter().filter_map(|at| report.files.get(*at)).take(NAMED) {
        let _ = writeln!(page, "<li>{}</li>", escaped(&file.path));
    }
    if group.files.len() > NAMED {
        let _ = writeln!(page, "<li>and {} more</li>", group.files.len() - NAMED);
    }
    let _ = writeln!(page, "</ul></details>\n</article>");
}

/// Which rules of evercall would act.
fn rules(report: &Report, page: &mut String) {
    let mut rules: BTreeMap<&str, (BTreeSet<Door>, usize, &Group)> = BTreeMap::new();
    for group in report.findings.iter().filter(|group| !group.everywhere) {
        let (Some(rule), Some(door)) = (group.with_evercall.rule, group.with_evercall.door) else { continue };
        let (doors, files, _) = rules.entry(rule).or_insert_with(|| (BTreeSet::new(), 0, group));
        doors.insert(door);
        *files += group.files.len();
    }
    if rules.is_empty() {
        return;
    }
    let _ = writeln!(page, "<section>\n<h2>Rules of evercall that would act</h2>");
    for (rule, (doors, files, group)) in rules {
        let doors: Vec<&str> = doors.iter().map(|door| door.words()).collect();
        let _ = writeln!(
            page,
            "<article class=\"rule\"><h3>{}</h3><p>{} in {files} files, through {}</p><p>{}</p></article>",
            escaped(rule),
            group.with_evercall.fidelity.unwrap_or_default(),
            escaped(&doors.join(", ")),
            escaped(&group.with_evercall.outcome),
        );
    }
    let _ = writeln!(page, "</section>");
}

fn rest(report: &Report, page: &mut String) {
    let mut list = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(page, "<section>\n<h2>{title}</h2>\n<ul>");
        for line in lines {
            let _ = writeln!(page, "<li>{}</li>", escaped(&line));
        }
        let _ = writeln!(page, "</ul>\n</section>");
    };
    let passed = report.passed_over.iter().map(|file| format!("{}: {}", file.path, file.why));
    list("Not looked into", passed.take(NAMED).collect());
    let present =
        report.present.iter().map(|present| format!("{}: in {} files", present.call, present.files));
    list("Refused, and only present", present.collect());
    list("Notes", report.notes.clone());
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(
            escaped("</script><b a='\"'>&\n\u{202e}"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}"
        );
    }
}
