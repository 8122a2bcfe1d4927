//! What file rules cost where they act: a file that is made, and the start of a Java that looks at many of them. On a
//! host with cgroup v2 alone, as far as files can tell: a tree over /sys/fs/cgroup, in a mount name space.

use crate::artifacts::Artifacts;
use crate::calls::{Variant, collect, rows};
use crate::machine::ENVIRONMENT;
use crate::report::{Goal, Row};
use crate::stats::{Pair, Summary};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Files of a group with 512 MiB and a processor and a half.
const GROUP: [(&str, &str); 9] = [
    ("cgroup.controllers", "cpuset cpu io memory pids\n"),
    ("cgroup.procs", "1\n"),
    ("memory.max", "536870912\n"),
    ("memory.current", "1000000\n"),
    ("memory.swap.max", "max\n"),
    ("cpu.max", "150000 100000\n"),
    ("cpu.weight", "100\n"),
    ("cpuset.cpus.effective", "0-1\n"),
    ("pids.max", "77\n"),
];

/// Lays the tree $1, and runs the rest.
const IN_NAMESPACE: &str = "
    mount --make-rprivate / && mount -t tmpfs none /sys/fs/cgroup && cp -r \"$1\"/. /sys/fs/cgroup || exit 111
    shift
    exec \"$@\"";

/// What a Java's start may cost, as a ratio to bare: as any exec's.
const START_LIMIT: f64 = 1.07;

/// Most rounds of Java: a tenth of a second each start.
const MOST_ROUNDS: usize = 25;

/// Starts of Java in one figure.
const BATCH: &str = "2";

/// Times files and starts of Java; one row that says why there are none.
pub fn measure(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let tree = tempfile::tempdir()?;
    for (name, text) in GROUP {
        fs::write(tree.path().join(name), text)?;
    }
    let tree = tree.path();
    if !in_namespace(tree, &["true"], &[])?.status.success() {
        return Ok(vec![skipped("file rules", "no mount name space here")]);
    }
    let mut all = files(artifacts, tree, rounds)?;
    match java() {
        Some(java) => all.extend(starts(artifacts, tree, &java, rounds.min(MOST_ROUNDS))?),
        None => all.push(skipped("start of java", "apt install default-jre-headless")),
    }
    Ok(all)
}

fn skipped(measure: &str, why: &str) -> Row {
    Row { measure: measure.into(), variant: "libevercall", goal: Goal::None, summary: Err(why.into()) }
}

fn in_namespace(tree: &Path, words: &[&str], settings: &[String]) -> io::Result<Output> {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", IN_NAMESPACE, "sh"]).arg(tree).arg("env").args(settings).args(words);
    command.env_clear().envs(ENVIRONMENT).output()
}

fn preload(library: &Path) -> String {
    format!("LD_PRELOAD={}", library.display())
}

fn files(artifacts: &Artifacts, tree: &Path, rounds: usize) -> io::Result<Vec<Row>> {
    let program = artifacts.matched.to_string_lossy();
    let settings = [preload(&artifacts.shim), "EVERCALL_CGROUP=v1".to_owned()];
    let mut variant = Variant::new("libevercall", Goal::None, None);
    for _ in 0..rounds {
        let mut figures = Vec::new();
        collect(&mut figures, &in_namespace(tree, &[&program], &settings)?)?;
        variant.extend(figures);
    }
    Ok(rows("made", &[variant]))
}

/// The Java that the tests of old clients have, which knows v1 alone; else the one that is installed.
fn java() -> Option<PathBuf> {
    let old = Path::new("/var/cache/evercall/clients-1/java11/bin/java");
    [old, Path::new("/usr/bin/java")].into_iter().find(|java| java.exists()).map(Path::to_path_buf)
}

/// Starts of Java here and on the other host, whose group it sees by v1's files there.
fn starts(artifacts: &Artifacts, tree: &Path, java: &Path, rounds: usize) -> io::Result<Vec<Row>> {
    let variants = [
        ("bare", Goal::None, None),
        ("empty preload", Goal::Peer, Some(&artifacts.empty)),
        ("libevercall", Goal::Ratio(START_LIMIT), Some(&artifacts.shim)),
    ];
    let starts = artifacts.starts.to_string_lossy();
    let java = java.to_string_lossy();
    // The same heap and collector, whatever limit it sees: only what reading costs is to be timed.
    let words = [&starts, BATCH, &*java, "-Xmx64m", "-XX:+UseSerialGC", "-version"];
    let mut all = Vec::new();
    for (measure, v1) in [("start of java", false), ("start of java, v1 shown", true)] {
        let mut times = [(); 3].map(|()| Vec::with_capacity(rounds));
        for round in 0..rounds {
            for step in 0..variants.len() {
                let index = (round + step) % variants.len();
                let mut settings: Vec<String> =
                    variants[index].2.map(|library| preload(library)).into_iter().collect();
                settings.push(format!("EVERCALL_CGROUP={}", if v1 { "v1" } else { "off" }));
                let output = in_namespace(tree, &words, &settings)?;
                let figure = String::from_utf8_lossy(&output.stdout).trim().parse::<f64>();
                times[index]
                    .push(figure.map_err(|_| io::Error::other(format!("{words:?}: {}", output.status)))?);
            }
        }
        for ((variant, goal, _), measured) in variants.iter().zip(&times) {
            let pairs = times[0].iter().zip(measured);
            let pairs: Vec<Pair> =
                pairs.map(|(&reference, &measured)| Pair { reference, measured }).collect();
            let summary = Summary::of(&pairs).ok_or("no figures".into());
            all.push(Row { measure: measure.into(), variant, goal: *goal, summary });
        }
    }
    Ok(all)
}
