//! What a preload adds to one call: handed on, or translated. The C programs time, many times over.

use crate::artifacts::Artifacts;
use crate::machine::ENVIRONMENT;
use crate::report::{Goal, Row};
use crate::stats::{Pair, Summary};
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// The preload that does nothing but hand on.
const FORWARD: &str = "plain forward";

/// What a handed-on call may cost on top of libc's own, or of a plain forward where that one has it: nanoseconds.
const ADDED_LIMIT: f64 = 5.0;

/// What a translated call may cost, as a ratio to the calls that it makes.
const TRANSLATED_LIMIT: f64 = 1.10;

/// The rules that are forced, though this host may still answer the calls.
const FORCED: &str = "epoll_create,ustat,_sysctl";

/// The pairs of each thing timed, in the program's order.
pub type Figures = Vec<(String, Vec<Pair>)>;

/// One program under one preload.
pub struct Variant<'a> {
    name: &'static str,
    goal: Goal,
    preload: Option<&'a Path>,
    figures: Figures,
}

impl<'a> Variant<'a> {
    /// Without figures yet.
    pub fn new(name: &'static str, goal: Goal, preload: Option<&'a Path>) -> Variant<'a> {
        Variant { name, goal, preload, figures: Figures::new() }
    }

    /// Adds the figures of one more run.
    pub fn extend(&mut self, figures: Figures) {
        for (name, pairs) in figures {
            match self.figures.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) => all.extend(pairs),
                None => self.figures.push((name, pairs)),
            }
        }
    }
}

/// Calls that no rule acts on: through the name the program sees, against libc's own definition.
pub fn handed_on(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let goal = Goal::AddedOver(FORWARD, ADDED_LIMIT);
    let mut variants = vec![
        Variant::new("bare", Goal::None, None),
        Variant::new(FORWARD, Goal::Peer, Some(&artifacts.forward)),
        Variant::new("libevercall", goal, Some(&artifacts.shim)),
    ];
    if let Ok(redhook) = &artifacts.redhook {
        variants.push(Variant::new("redhook, one hook", Goal::Peer, Some(redhook)));
    }
    for _ in 0..rounds {
        for variant in &mut variants {
            let output = run(&artifacts.handed_on, variant.preload, &[])?;
            collect(&mut variant.figures, &output)?;
        }
    }
    Ok(rows("handed on", &variants))
}

/// Calls that a forced rule carries out, against the same modern calls made by hand.
pub fn translated(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let mut variant =
        Variant::new("libevercall, forced", Goal::Ratio(TRANSLATED_LIMIT), Some(&artifacts.shim));
    let force = ("EVERCALL_FORCE", FORCED);
    for _ in 0..rounds {
        let output = run(&artifacts.translated, variant.preload, &[force])?;
        collect(&mut variant.figures, &output)?;
    }
    let logging = [force, ("EVERCALL_LOG", "first")];
    let log = run(&artifacts.translated, variant.preload, &logging)?.stderr;
    let log = String::from_utf8_lossy(&log);
    variant.figures.retain(|(name, _)| log.contains(rule_of(name)));
    let mut rows = rows("translated", &[variant]);
    for rule in FORCED.split(',').filter(|rule| !log.contains(rule)) {
        rows.push(Row {
            measure: format!("translated: {rule}"),
            variant: "libevercall, forced",
            goal: Goal::None,
            summary: Err("no line of its log says that the rule acted".into()),
        });
    }
    Ok(rows)
}

/// The rule that a figure is about: its name's first word.
fn rule_of(name: &str) -> &str {
    name.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or(name)
}

/// What the time functions may cost on top of the vDSO's: by their names, and from a patched call site.
const CLOCK_LIMITS: (f64, f64) = (2.0, 5.0);

/// The time functions in each way that a program reaches them, against direct calls of the vDSO's.
pub fn clock(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let mut ways = [
        ("symbol", Variant::new("bare", Goal::None, None)),
        ("symbol", Variant::new("libevercall", Goal::Added(CLOCK_LIMITS.0), Some(&artifacts.shim))),
        ("patched", Variant::new("site as patched", Goal::Added(CLOCK_LIMITS.1), None)),
        // No row where the host has no page.
        ("fixed", Variant::new("kernel's page", Goal::Peer, None)),
    ];
    for _ in 0..rounds {
        for (way, variant) in &mut ways {
            let output = run_with(&artifacts.clock, &[*way], variant.preload, &[])?;
            collect(&mut variant.figures, &output)?;
        }
    }
    Ok(rows("against the vDSO", &ways.map(|(_, variant)| variant)))
}

fn run(program: &Path, preload: Option<&Path>, environment: &[(&str, &str)]) -> io::Result<Output> {
    run_with(program, &[], preload, environment)
}

/// Runs a program to its end; a failure is an error that tells what it said.
pub fn run_with(
    program: &Path,
    arguments: &[&str],
    preload: Option<&Path>,
    environment: &[(&str, &str)],
) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments);
    command.env_clear().envs(ENVIRONMENT).envs(environment.iter().copied());
    if let Some(preload) = preload {
        command.env("LD_PRELOAD", preload);
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(output);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}: {}", program.display(), output.status, errors.trim())))
}

/// Adds the lines of a program's output: name, reference, measured, with tabs between.
pub fn collect(figures: &mut Figures, output: &Output) -> io::Result<()> {
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (name, pair) = parse(line).ok_or_else(|| io::Error::other(format!("not a figure: {line}")))?;
        match figures.iter_mut().find(|(known, _)| known == name) {
            Some((_, pairs)) => pairs.push(pair),
            None => figures.push((name.to_owned(), vec![pair])),
        }
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, Pair)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let reference = fields.next()?.parse().ok()?;
    let measured = fields.next()?.parse().ok()?;
    Some((name, Pair { reference, measured }))
}

/// The rows, those of the same call next to each other. The first variant timed every call.
pub fn rows(kind: &str, variants: &[Variant]) -> Vec<Row> {
    let Some(first) = variants.first() else { return Vec::new() };
    let calls = first.figures.iter().map(|(name, _)| name);
    calls.flat_map(|name| variants.iter().filter_map(move |variant| row(kind, name, variant))).collect()
}

/// None where a peer has no hook of this call; evercall is to export them all.
fn row(kind: &str, name: &str, variant: &Variant) -> Option<Row> {
    let figures = variant.figures.iter().find(|(known, _)| known == name);
    let summary = match figures {
        Some((_, pairs)) => Summary::of(pairs).ok_or("no figures".into()),
        None if matches!(variant.goal, Goal::Peer) => return None,
        None => Err("not exported by the preload".into()),
    };
    let measure = format!("{kind}: {name}");
    Some(Row { measure, variant: variant.name, goal: variant.goal, summary })
}
