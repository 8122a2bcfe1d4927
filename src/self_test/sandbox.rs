//! The sandbox, from its outside: starts it, feeds it, reads what it tells, and ends it.

use super::child::{self, NOBODY};
use super::options::Stage;
use super::orders::Orders;
use super::report::{Outcome, Sandbox};
use crate::failure::Failure;
use crossbeam_channel::RecvTimeoutError;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Seconds that the sandbox may take beside the program in it: it copies some megabytes and makes namespaces.
const BESIDE: u64 = 30;

/// Bytes of a program's output that are kept from its beginning; the rest is read and dropped.
const OUTPUT: u64 = 256 << 10;

/// Bytes of the report.
const REPORT: u64 = 16 << 10;

/// What came of one run.
#[derive(Debug)]
pub struct Run {
    /// How the program ended.
    pub outcome: Outcome,
    /// What it printed, both streams as they came.
    pub output: Vec<u8>,
}

/// Makes sandboxes, all of the kind that the first one found to work.
#[derive(Debug, Default)]
pub struct Sandboxes {
    /// The kind.
    pub kind: Option<Sandbox>,
}

impl Sandboxes {
    /// Runs one command in a sandbox of its own. `contents` writes the files that the orders name. Err: no sandbox can be
    /// made here.
    pub fn run(
        &mut self,
        orders: &Orders,
        contents: &(dyn Fn(&mut dyn Write) -> io::Result<()> + Sync),
    ) -> Result<Run, Failure> {
        let is_root = rustix::process::geteuid().is_root();
        let kinds = match self.kind {
            Some(kind) => vec![kind],
            None if is_root => vec![Sandbox::UserNamespace, Sandbox::Namespaces],
            None => vec![Sandbox::UserNamespace],
        };
        let mut refusals = Vec::new();
        for kind in kinds {
            match in_sandbox(kind, orders, contents)? {
                Ok(run) => {
                    self.kind = Some(kind);
                    return Ok(run);
                }
                Err(why) => {
                    log::debug!("no sandbox of the kind {kind:?}: {why}");
                    refusals.push(why);
                }
            }
        }
        Err(refused(&refusals, is_root))
    }
}

fn refused(refusals: &[String], is_root: bool) -> Failure {
    let whose = if is_root {
        "run it outside of a container, or in one that may make namespaces (podman run --privileged)"
    } else {
        "run it as root, or allow user namespaces to users (sysctl user.max_user_namespaces, \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
    };
    Failure::new(format!(
        "the self-test can make no sandbox here ({}), and nothing of an image is run without one: {whose}, or leave \
         the test out with --no-self-test",
        refusals.join("; ")
    ))
}

/// Ok(Err): this host refuses the sandbox.
fn in_sandbox(
    kind: Sandbox,
    orders: &Orders,
    contents: &(dyn Fn(&mut dyn Write) -> io::Result<()> + Sync),
) -> Result<Result<Run, String>, Failure> {
    let cannot = |error: io::Error| Failure::new(format!("the self-test cannot start its sandbox: {error}"));
    let stage = if kind == Sandbox::UserNamespace { Stage::User } else { Stage::Root };
    let mut orders_here = Vec::new();
    orders.write(&mut orders_here).map_err(cannot)?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("evercall")
        .args(["self-test-child", &stage.word()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(cannot)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (told, ends) = crossbeam_channel::bounded::<()>(1);
    let (report, output, hung) = thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A sandbox that is gone says why elsewhere.
                let _ = stdin.write_all(&orders_here).and_then(|()| contents(&mut stdin));
            }
        });
        let output = scope.spawn(move || drained(stderr, OUTPUT));
        let report = scope.spawn(move || {
            let report = drained(stdout, REPORT);
            drop(told);
            report
        });
        // The first process of the sandbox keeps the time itself; this is for the case that it cannot.
        let limit = Duration::from_secs(orders.seconds.saturating_add(BESIDE));
        let hung = ends.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if hung {
            // All of the sandbox ends with its outer process.
            let _ = child.kill();
        }
        (report.join().unwrap_or_default(), output.join().unwrap_or_default(), hung)
    });
    child.wait().map_err(cannot)?;
    let report = String::from_utf8_lossy(&report);
    // What came first counts: the time may run out while the program's end is told.
    let outcome = match report.lines().next() {
        Some(line) => match (line.strip_prefix(child::REFUSED), child::understood(line)) {
            (Some(why), _) => return Ok(Err(why.to_string())),
            (None, Some(outcome)) => outcome,
            (None, None) => return Ok(Err(format!("it said \"{line}\""))),
        },
        None if hung => Outcome::Hung,
        None => return Ok(Err("its first process ended without a word".to_string())),
    };
    Ok(Ok(Run { outcome, output }))
}

/// Reads a stream to its end and keeps its beginning.
fn drained(stream: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream)
            .take(most)
            .read_to_end(&mut kept)
            .and_then(|_| io::copy(&mut stream, &mut io::sink()));
    }
    kept
}

/// Processes and threads of the user that programs will run as: kernels before 5.14 count all of them for
/// RLIMIT_NPROC.
pub fn threads_of_user() -> u64 {
    let us = rustix::process::geteuid();
    let user = if us.is_root() { NOBODY } else { us.as_raw() };
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let threads = processes.filter_map(|entry| {
        let status = fs::read_to_string(entry.ok()?.path().join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        (field("Uid:")? == u64::from(user)).then(|| field("Threads:").unwrap_or(1))
    });
    threads.sum()
}
