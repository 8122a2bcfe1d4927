//! What it costs to make up for a host that refuses or lacks calls: the repair filter, the polyfills, the trap
//! door, and the start of a program under such a host's filter.

use crate::artifacts::Artifacts;
use crate::calls::{Figures, Variant, collect, rows, run_with};
use crate::machine::ENVIRONMENT;
use crate::report::{Goal, Row};
use crate::stats::{Pair, Summary};
use std::io;
use std::path::Path;
use std::process::Command;

/// The polyfills that are forced.
const FORCED: (&str, &str) = ("EVERCALL_FORCE", "getrandom,statx,copy_file_range");

/// What a stacked filter may add to an allowed call, nanoseconds: one that the kernel's bitmap holds costs 34.
const FILTER_LIMIT: f64 = 40.0;

/// What a polyfill may cost, as a ratio to the calls that it makes.
const POLYFILL_LIMIT: f64 = 1.10;

/// What a trapped call may cost on top of a native one, nanoseconds: entry and return of a signal.
const TRAP_LIMIT: f64 = 2500.0;

/// What evercall may add to a program's start, as a ratio; the first one under a filter also asks the host.
const START_LIMIT: f64 = 1.07;

/// A path as an argument.
fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))
}

/// The repair filter on a call that it lets pass: processes without a filter, under the host's against none, and under
/// both against the host's.
pub fn repair_filter(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let (shim, modern) = (text(&artifacts.shim)?, text(&artifacts.modern)?);
    let mut variants = [
        Variant::new("no filter", Goal::None, None),
        Variant::new("a host's filter", Goal::None, None),
        Variant::new("the repair filter on top", Goal::Added(FILTER_LIMIT), None),
    ];
    let under = ["old", "-", modern, "allowed", "EPERM"];
    let both = ["old", shim, modern, "allowed", "ENOSYS"];
    let runs: [(&Path, &[&str]); 3] = [
        (&artifacts.modern, &["allowed", "EINVAL"]),
        (&artifacts.refuse, &under),
        (&artifacts.refuse, &both),
    ];
    for _ in 0..rounds {
        let mut before: Option<Figures> = None;
        for (variant, (program, arguments)) in variants.iter_mut().zip(runs) {
            let mut figures = Figures::new();
            collect(&mut figures, &run_with(program, arguments, None, &[])?)?;
            let measured = figures.clone();
            // The reference is the process before, batch by batch.
            for (pair, old) in figures
                .iter_mut()
                .zip(before.iter().flatten())
                .flat_map(|((_, new), (_, old))| new.iter_mut().zip(old))
            {
                pair.reference = old.measured;
            }
            variant.extend(figures);
            before = Some(measured);
        }
    }
    Ok(rows("allowed", &variants))
}

/// The polyfills, against the kernel's own calls and against the calls they make.
pub fn polyfills(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let shim = Some(artifacts.shim.as_path());
    let mut ways = [
        ("polyfills", Variant::new("against the kernel's own", Goal::None, shim)),
        ("by_hand", Variant::new("against the calls it makes", Goal::Ratio(POLYFILL_LIMIT), shim)),
    ];
    for _ in 0..rounds {
        for (way, variant) in &mut ways {
            let output = run_with(&artifacts.modern, &[*way], shim, &[FORCED])?;
            let mut figures = Figures::new();
            collect(&mut figures, &output)?;
            variant.extend(figures);
        }
    }
    Ok(rows("polyfill", &ways.map(|(_, variant)| variant)))
}

/// A call by bare instruction that the trap door carries out, against a native call that does as little.
pub fn trap_door(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let command = match &artifacts.command {
        Ok(command) => text(command)?,
        Err(why) => {
            return Ok(vec![Row {
                measure: "trapped: epoll_create(0), refused".into(),
                variant: "evercall run --trap",
                goal: Goal::None,
                summary: Err(why.clone()),
            }]);
        }
    };
    let arguments = ["old_calls", "-", command, "run", "--trap", "--", text(&artifacts.modern)?, "trapped"];
    let mut variant = Variant::new("evercall run --trap", Goal::Added(TRAP_LIMIT), None);
    for _ in 0..rounds {
        let mut figures = Figures::new();
        collect(&mut figures, &run_with(&artifacts.refuse, &arguments, None, &[])?)?;
        variant.extend(figures);
    }
    Ok(rows("trapped", &[variant]))
}

/// One way to start a program.
struct Start<'a> {
    measure: &'static str,
    variant: &'static str,
    goal: Goal,
    /// Words before the program that starts it over and over, and between that and the program.
    around: Vec<&'a str>,
    each: Vec<&'a str>,
    preload: Option<&'a Path>,
    times: Vec<f64>,
}

/// Starts under a host's filter and without one: of a child that inherits the filter, and of the first process, whose
/// start asks the host and stacks the repair filter.
pub fn starts(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let own = Path::new("/usr/bin/python3");
    rows.extend(starts_of(artifacts, rounds, "/bin/true", &["/bin/true"], "20")?);
    if own.exists() {
        rows.extend(starts_of(artifacts, rounds, "python3", &["/usr/bin/python3", "-c", "pass"], "2")?);
    }
    Ok(rows)
}

fn starts_of(
    artifacts: &Artifacts,
    rounds: usize,
    name: &str,
    program: &[&str],
    batch: &str,
) -> io::Result<Vec<Row>> {
    let (shim, refuse) = (text(&artifacts.shim)?, text(&artifacts.refuse)?);
    let way = |measure, shimmed: bool| {
        let preload = if shimmed { shim } else { "-" };
        let (around, each) = match measure {
            "inherits a filter" => (vec![refuse, "old", preload], vec![]),
            "first under a filter" => (vec![], vec![refuse, "old", preload]),
            _ => (vec![], vec![]),
        };
        Start {
            measure,
            variant: if shimmed { "libevercall" } else { "bare" },
            goal: if shimmed && measure != "first under a filter" {
                Goal::Ratio(START_LIMIT)
            } else {
                Goal::None
            },
            preload: (shimmed && measure == "no filter").then_some(artifacts.shim.as_path()),
            around,
            each,
            times: Vec::new(),
        }
    };
    let measures = ["no filter", "inherits a filter", "first under a filter"];
    let mut ways: Vec<Start> = measures.into_iter().flat_map(|m| [way(m, false), way(m, true)]).collect();
    let starts = text(&artifacts.starts)?;
    for round in 0..rounds {
        for step in 0..ways.len() {
            let index = (round + step) % ways.len();
            let way = &mut ways[index];
            let words: Vec<&str> = [&way.around[..], &[starts, batch], &way.each[..], program].concat();
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).env_clear().envs(ENVIRONMENT);
            if let Some(preload) = way.preload {
                command.env("LD_PRELOAD", preload);
            }
            let output = command.output()?;
            let figure = String::from_utf8_lossy(&output.stdout).trim().parse();
            let figure = figure.map_err(|_| io::Error::other(format!("{words:?}: {}", output.status)))?;
            way.times.push(figure);
        }
    }
    let row = |pair: &[Start], way: &Start| {
        let pairs = pair[0].times.iter().zip(&way.times);
        let pairs: Vec<Pair> = pairs.map(|(&reference, &measured)| Pair { reference, measured }).collect();
        Row {
            measure: format!("start of {name}, {}", way.measure),
            variant: way.variant,
            goal: way.goal,
            summary: Summary::of(&pairs).ok_or("no figures".into()),
        }
    };
    Ok(ways.chunks(2).flat_map(|pair| pair.iter().map(|way| row(pair, way)).collect::<Vec<_>>()).collect())
}
