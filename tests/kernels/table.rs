//! What came of the programs, and their table.

use crate::Outcome;
use crate::console::{Report, Run};
use crate::list::Case;

/// What came of a program on a kernel.
pub struct Verdict {
    /// `right`, `wrong`, or how it ended.
    pub bare: String,
    /// The same under evercall; `as bare` where that is what is due.
    pub under_evercall: String,
    /// What is not as the list wants it.
    pub fault: Option<String>,
    /// The two runs, for a person.
    pub bare_run: String,
    pub its_run: String,
}

/// Judges a program's two runs.
pub fn verdict(case: &Case, report: &Report) -> Verdict {
    let run = |mode: &str, command| report.runs.get(&(mode.to_owned(), command));
    let (Some(bare), Some(its)) = (run("bare", case.command()), run(&case.by, case.under_evercall())) else {
        let lost = || "not run".to_owned();
        let fault = Some("it was not run".to_owned());
        return Verdict {
            bare: lost(),
            under_evercall: lost(),
            fault,
            bare_run: String::new(),
            its_run: String::new(),
        };
    };
    let name = |run: &Run| match (&case.answer, run.status().as_str()) {
        (Some(answer), status) if answer.is_given_by(status, &run.stdout, &report.facts) => {
            "right".to_owned()
        }
        (_, "exit 0") if case.answer.is_some() => "wrong".to_owned(),
        (_, status) => status.to_owned(),
    };
    let (bare_name, mut its_name) = (name(bare), name(its));
    let same = bare.status() == its.status() && bare.stdout == its.stdout;
    let mut fault = None;
    if case.answer.is_some() {
        if its_name != "right" {
            fault = Some("not right under evercall".to_owned());
        } else if (bare_name != "right" || case.by == "force") && its.log.is_empty() {
            fault = Some("right only under evercall, which logged nothing".to_owned());
        }
    } else if same {
        its_name = "as bare".to_owned();
    } else {
        fault = Some("evercall changes what it does not reach".to_owned());
    }
    let as_listed = match case.bare.as_str() {
        "any" => true,
        "right" => bare_name == "right",
        "wrong" => bare_name != "right",
        signal => bare_name == signal,
    };
    if !as_listed && fault.is_none() {
        fault = Some(format!("bare it is {bare_name}, and the list says {}", case.bare));
    }
    Verdict { bare: bare_name, under_evercall: its_name, fault, bare_run: bare.text(), its_run: its.text() }
}

/// Program x kernel x (bare, evercall).
pub fn programs(cases: &[Case], outcomes: &[Outcome]) -> String {
    let mut rows = vec![heading("program", outcomes, 2)];
    let columns = ["bare", "evercall"].map(str::to_owned);
    rows.push([String::new()].into_iter().chain(outcomes.iter().flat_map(|_| columns.clone())).collect());
    for case in cases {
        let mut row = vec![case.name()];
        for outcome in outcomes {
            row.extend(match &outcome.report {
                Ok(report) => {
                    let verdict = verdict(case, report);
                    let mark = if verdict.fault.is_some() { " !" } else { "" };
                    [verdict.bare, verdict.under_evercall + mark]
                }
                Err(_) => ["-", "-"].map(str::to_owned),
            });
        }
        rows.push(row);
    }
    lines(&rows)
}

/// The first row: the kernels, each over so many columns.
pub fn heading(first: &str, outcomes: &[Outcome], width: usize) -> Vec<String> {
    let mut row = vec![first.to_owned()];
    for outcome in outcomes {
        row.push(match &outcome.report {
            Ok(report) => report.facts["release"].replace("-cloud-amd64", ""),
            Err(_) => format!("{}: failed", outcome.suite.name),
        });
        row.extend(vec![String::new(); width - 1]);
    }
    row
}

/// A row with a cell a kernel.
pub fn row(name: &str, outcomes: &[Outcome], cell: impl Fn(&Outcome) -> Option<String>) -> Vec<String> {
    let cells = outcomes.iter().map(|outcome| cell(outcome).unwrap_or_else(|| "-".to_owned()));
    [name.to_owned()].into_iter().chain(cells).collect()
}

/// Rows as lines, each column as wide as its widest cell.
pub fn lines(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text
}
