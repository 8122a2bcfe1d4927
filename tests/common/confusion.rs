//! What `evercall check` predicted of programs, and what happened when they were run.
#![allow(dead_code, reason = "each test binary uses its own part")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A prediction about one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// `works`, `translated`, `degrades` or `breaks`.
    pub verdict: String,
    /// What must be asked for: `evercall run --trap`.
    pub needs: Vec<String>,
    /// The causes of the findings, for people.
    pub causes: Vec<String>,
}

/// The bare prediction and that under evercall, of the worst of some files of a report. An error names the file that is
/// not in the report.
pub fn predicted(report: &Value, files: &[String]) -> Result<[Predicted; 2], String> {
    let all = report["files"].as_array().ok_or("no files in the report")?;
    let none = || Predicted { verdict: "works".to_owned(), needs: Vec::new(), causes: Vec::new() };
    let mut worst = [none(), none()];
    for path in files {
        let file = all.iter().find(|file| file["path"] == path.as_str());
        let file = file.ok_or_else(|| format!("{path} is not in the report"))?;
        for (worst, how) in worst.iter_mut().zip(["bare", "with_evercall"]) {
            let verdict = file[how]["verdict"].as_str().unwrap_or_default();
            if rank(verdict) > rank(&worst.verdict) {
                verdict.clone_into(&mut worst.verdict);
            }
            let needs = file[how]["needs"].as_array().into_iter().flatten();
            worst.needs.extend(needs.filter_map(Value::as_str).map(str::to_owned));
            for at in file["findings"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
                let finding = &report["findings"][at as usize];
                if finding[how]["verdict"] == verdict {
                    worst.causes.push(finding["cause"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
    }
    Ok(worst)
}

fn rank(verdict: &str) -> usize {
    let at = VERDICTS.iter().position(|known| *known == verdict);
    at.unwrap_or_else(|| panic!("{verdict:?} is no verdict"))
}

const VERDICTS: [&str; 4] = ["works", "translated", "degrades", "breaks"];

/// One run, and what was said of it.
pub struct Run {
    /// Where: the column's name.
    pub host: String,
    /// What was run.
    pub program: String,
    /// Whether evercall was with it.
    pub with_evercall: bool,
    /// What was said.
    pub predicted: Predicted,
    /// Nothing, or what went wrong.
    pub wrong: Option<String>,
    /// Whether the program was seen to make one of the calls that it is said to break by; none where nobody looked.
    pub makes_it: Option<bool>,
}

/// All runs.
#[derive(Default)]
pub struct Confusion {
    /// In the order of the table.
    pub runs: Vec<Run>,
}

/// A false alarm that is known: a part of what is run, causes, and why it is said all the same. An empty word fits all.
pub type Known = (&'static str, &'static str, &'static str);

impl Confusion {
    /// The table: a line a host and way, how many runs each verdict had, and how many of those went wrong.
    pub fn table(&self) -> String {
        let mut lines: BTreeMap<(usize, bool), [[usize; 2]; 4]> = BTreeMap::new();
        let mut hosts: Vec<&str> = Vec::new();
        for run in &self.runs {
            let at = hosts.iter().position(|host| *host == run.host).unwrap_or_else(|| {
                hosts.push(&run.host);
                hosts.len() - 1
            });
            let line = lines.entry((at, run.with_evercall)).or_default();
            line[rank(&run.predicted.verdict)][usize::from(run.wrong.is_some())] += 1;
        }
        let mut table = format!("{:<34}", "predicted, and right / wrong");
        for verdict in VERDICTS {
            let _ = write!(table, "{verdict:>16}");
        }
        let mut sums = [[0; 2]; 4];
        for ((host, with_evercall), line) in &lines {
            let way = if *with_evercall { "with evercall" } else { "bare" };
            let _ = write!(table, "\n{:<20}{way:<14}", hosts[*host]);
            for (sum, [right, wrong]) in sums.iter_mut().zip(line) {
                let _ = write!(table, "{:>16}", format!("{right} / {wrong}"));
                sum[0] += right;
                sum[1] += wrong;
            }
        }
        let _ = write!(table, "\n{:<34}", "all");
        for [right, wrong] in sums {
            let _ = write!(table, "{:>16}", format!("{right} / {wrong}"));
        }
        table + "\n"
    }

    fn those(&self, verdicts: &[&str], wrong: bool) -> impl Iterator<Item = &Run> {
        let fits = move |run: &&Run| {
            verdicts.contains(&run.predicted.verdict.as_str()) && run.wrong.is_some() == wrong
        };
        let fits: Vec<&Run> = self.runs.iter().filter(fits).collect();
        fits.into_iter()
    }

    /// Runs that went wrong though nothing was said to be: known ones with their reasons, and the others.
    pub fn missed(&self, known: &[Known]) -> [Vec<String>; 2] {
        let mut lists = [Vec::new(), Vec::new()];
        for run in self.those(&["works", "translated"], true) {
            match run.known(known) {
                Some(why) => lists[0].push(format!("{}: {why}", run.words())),
                None => lists[1].push(run.words()),
            }
        }
        lists
    }

    /// Runs that were said to degrade and failed: no more than a word for people.
    pub fn degraded_and_failed(&self) -> Vec<String> {
        self.those(&["degrades"], true).map(Run::words).collect()
    }

    /// Runs that were right though they were said to break: by what the program can do but did not; those with a known
    /// reason; the others.
    pub fn false_alarms(&self, known: &[Known]) -> [Vec<String>; 3] {
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for run in self.those(&["breaks"], false) {
            match (run.makes_it, run.known(known)) {
                (Some(false), _) => lists[0].push(run.words()),
                (_, Some(why)) => lists[1].push(format!("{}: {why}", run.words())),
                (_, None) => lists[2].push(run.words()),
            }
        }
        lists
    }
}

impl Run {
    /// The reason of the first that fits: all causes are among its own.
    fn known(&self, known: &[Known]) -> Option<&'static str> {
        let fits =
            |causes: &str, one: &String| causes.is_empty() || causes.split(' ').any(|known| known == one);
        let words = format!("{} on {}", self.program, self.host);
        let known = known.iter().find(|(part, causes, _)| {
            words.contains(part) && self.predicted.causes.iter().all(|one| fits(causes, one))
        });
        known.map(|(.., why)| *why)
    }

    fn words(&self) -> String {
        let way = if self.with_evercall { "with evercall" } else { "bare" };
        let mut causes = self.predicted.causes.clone();
        causes.sort();
        causes.dedup();
        format!(
            "{} on {}, {way}: {} ({}){}",
            self.program,
            self.host,
            self.predicted.verdict,
            causes.join(" "),
            self.wrong.as_ref().map_or(String::new(), |wrong| format!(", and it went wrong: {wrong}"))
        )
    }
}
