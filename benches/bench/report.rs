//! The table.

use crate::stats::{Spread, Summary};
use std::fmt::Write;

/// What a row is to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    /// Nothing: it is there to compare with.
    None,
    /// Nothing: it is what [`Goal::RatioBelowPeers`] has to be below.
    Peer,
    /// At most this ratio to the reference.
    Ratio(f64),
    /// The same, and below every peer's ratio of the same measure.
    RatioBelowPeers(f64),
    /// At most so many nanoseconds more than the reference.
    Added(f64),
    /// At most so many nanoseconds more than what this variant adds, or than the reference where it has no such row.
    AddedOver(&'static str, f64),
    /// At most so many nanoseconds.
    Time(f64),
}

/// A line of the table.
pub struct Row {
    /// What was timed.
    pub measure: String,
    /// Under which preload.
    pub variant: &'static str,
    /// What is to be reached.
    pub goal: Goal,
    /// The figures, or why there are none.
    pub summary: Result<Summary, String>,
}

/// The columns. Quartiles are the ratio's; `+-` is half of what lies between the time's, in percent of it.
const HEADER: [&str; 9] =
    ["measure", "variant", "time", "+-", "added", "ratio", "quartiles", "target", "reached"];

/// The whole table, columns aligned.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADER.map(String::from)];
    lines.extend(rows.iter().map(|row| cells(row, rows)));
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; HEADER.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            // Figures stand right, words left. A string takes any formatting.
            let _ = match column {
                2..=5 => write!(padded, "{cell:>width$}  "),
                _ => write!(padded, "{cell:width$}  "),
            };
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row, rows: &[Row]) -> [String; HEADER.len()] {
    let measure = row.measure.clone();
    let variant = row.variant.to_owned();
    let empty = String::new;
    let summary = match &row.summary {
        Ok(summary) => summary,
        Err(why) => {
            let skipped = format!("skipped ({why})");
            return [measure, variant, empty(), empty(), empty(), empty(), empty(), empty(), skipped];
        }
    };
    [
        measure,
        variant,
        time(summary.time.median),
        percent(&summary.time),
        added(summary.added.median),
        format!("{:.3}", summary.ratio.median),
        quartiles(&summary.ratio),
        target(row.goal),
        reached(row, summary, rows).to_owned(),
    ]
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.1} ns")
    } else {
        format!("{:.1} us", nanoseconds / 1000.0)
    }
}

/// A difference: a time with its sign.
fn added(nanoseconds: f64) -> String {
    let sign = if nanoseconds < 0.0 { '-' } else { '+' };
    format!("{sign}{}", time(nanoseconds.abs()))
}

fn percent(spread: &Spread) -> String {
    format!("{:.1}%", (spread.high - spread.low) / 2.0 / spread.median * 100.0)
}

fn quartiles(spread: &Spread) -> String {
    format!("{:.3} .. {:.3}", spread.low, spread.high)
}

fn target(goal: Goal) -> String {
    match goal {
        Goal::None | Goal::Peer => String::new(),
        Goal::Ratio(limit) => format!("ratio <= {limit:.2}"),
        Goal::RatioBelowPeers(limit) => format!("ratio <= {limit:.2}, below every peer"),
        Goal::Added(limit) => format!("added <= {limit:.0} ns"),
        Goal::AddedOver(peer, limit) => format!("added <= {limit:.0} ns over {peer}"),
        Goal::Time(limit) => format!("time <= {}", time(limit)),
    }
}

fn reached(row: &Row, summary: &Summary, rows: &[Row]) -> &'static str {
    match row.goal {
        Goal::None | Goal::Peer => "",
        Goal::Ratio(limit) => within(&summary.ratio, limit),
        Goal::RatioBelowPeers(limit) => {
            let ratio = summary.ratio.median;
            let below_all = peers_of(row, rows).all(|peer| ratio < peer.ratio.median);
            if below_all { within(&summary.ratio, limit) } else { "NO" }
        }
        Goal::Added(limit) => within(&summary.added, limit),
        Goal::AddedOver(peer, limit) => {
            let peer = rows.iter().find(|other| other.variant == peer && other.measure == row.measure);
            match peer.and_then(|peer| peer.summary.as_ref().ok()) {
                Some(peer) => within(&over(&summary.added, &peer.added), limit),
                None => within(&summary.added, limit),
            }
        }
        Goal::Time(limit) => within(&summary.time, limit),
    }
}

/// The difference of two medians: both margins are in its own.
fn over(figures: &Spread, peer: &Spread) -> Spread {
    Spread { median: figures.median - peer.median, margin: figures.margin.hypot(peer.margin), ..*figures }
}

/// Whether a median keeps a limit; a limit inside the margin is neither kept nor missed.
fn within(figures: &Spread, limit: f64) -> &'static str {
    if (figures.median - limit).abs() <= figures.margin {
        "unclear: noise"
    } else if figures.median < limit {
        "yes"
    } else {
        "NO"
    }
}

/// The figures of the peers that ran the same measure.
fn peers_of<'a>(row: &'a Row, rows: &'a [Row]) -> impl Iterator<Item = &'a Summary> {
    rows.iter()
        .filter(|other| matches!(other.goal, Goal::Peer) && other.measure == row.measure)
        .filter_map(|peer| peer.summary.as_ref().ok())
}
