//! How fast `evercall log` reads: against `grep -c` over the same file, the least that anything does with lines.

use crate::artifacts::Artifacts;
use crate::machine::ENVIRONMENT;
use crate::report::{Goal, Row};
use crate::stats::{Pair, Summary};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Bytes of each log.
const SIZE: usize = 64_000_000;

/// Each round reads it twice: fewer are enough.
const MOST_ROUNDS: usize = 10;

/// A gigabyte in five seconds, nanoseconds for one log.
const GOAL: f64 = SIZE as f64 * 5.0;

/// A line of each form; the number stands for its pid.
type Form = (&'static str, fn(usize) -> String);

const FORMS: [Form; 3] = [
    ("text", |number| {
        format!(
            "2026-11-23T17:31:00.123456Z legacy[{number}] ustat: ustat(dev=254:0, ubuf=0x7ffc534187a0) = 0 [fstatfs of /]\n"
        )
    }),
    ("JSON", |number| {
        format!(
            "{{\"time\":\"2026-11-23T17:31:00.123456Z\",\"pid\":{number},\"program\":\"legacy\",\"rule\":\"ustat\",\
             \"call\":\"ustat(dev=254:0, ubuf=0x7ffc534187a0)\",\"became\":\"fstatfs of /\",\"result\":-1,\"errno\":\"EINVAL\"}}\n"
        )
    }),
    ("others' lines", |number| {
        format!(
            "2026-11-23T17:31:00Z INFO request {number} of 10.0.0.1: GET /index.html | 200, 12 ms, rule: none\n"
        )
    }),
];

/// Each form of a log.
pub fn log(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-to-sum-up");
    let mut rows = Vec::new();
    for (form, line) in FORMS {
        let mut text = String::with_capacity(SIZE + 4096);
        (1000..)
            .take_while(|number| {
                text.push_str(&line(number % 30_000 + 1));
                text.len() < SIZE
            })
            .for_each(drop);
        fs::write(&path, text)?;
        let row = measure(artifacts, form, &path, rounds.min(MOST_ROUNDS));
        fs::remove_file(&path)?;
        rows.push(row?);
    }
    Ok(rows)
}

fn measure(artifacts: &Artifacts, form: &str, path: &Path, rounds: usize) -> io::Result<Row> {
    let row =
        |measure: String, summary| Row { measure, variant: "evercall log", goal: Goal::Time(GOAL), summary };
    let evercall = match &artifacts.command {
        Ok(command) => command,
        Err(why) => return Ok(row(format!("log: {form}"), Err(why.clone()))),
    };
    let mut pairs = Vec::new();
    for round in 0..=rounds {
        let reference = time(Command::new("grep").args(["-c", "no such text"]).arg(path), 1)?;
        let measured = time(Command::new(evercall).arg("log").arg(path), 0)?;
        // The first round warms the caches up.
        if round > 0 {
            pairs.push(Pair { reference, measured });
        }
    }
    let summary = Summary::of(&pairs).ok_or("no figures".to_owned());
    let speed = summary.as_ref().map_or(0.0, |summary| SIZE as f64 * 1000.0 / summary.time.median);
    Ok(row(format!("log: {form}, {speed:.0} MB/s"), summary))
}

/// Nanoseconds of one run, from before its start to its end.
fn time(command: &mut Command, status: i32) -> io::Result<f64> {
    let start = Instant::now();
    let output = command.env_clear().envs(ENVIRONMENT).output()?;
    let time = start.elapsed().as_nanos() as f64;
    if output.status.code() == Some(status) {
        return Ok(time);
    }
    Err(io::Error::other(format!("{command:?}: {}", output.status)))
}
