//! Booting a guest, its console, and the records in it.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What a line with a record begins with.
const MARK: &str = "@evercall ";

/// A guest of a kernel's folder and an initramfs, with so many processors and MiB; `words` end the kernel's command line.
pub fn guest(kernel: &Path, initramfs: &Path, [processors, memory]: [u32; 2], words: &str) -> Command {
    let mut guest = Command::new("qemu-system-x86_64");
    // QEMU 7.2 with a thread a processor loses a race with a kernel that patches its text: an oops now and then.
    guest.args(["-accel", "tcg,thread=single", "-cpu", "max", "-nodefaults", "-no-reboot"]);
    guest.args(["-smp", &processors.to_string(), "-m", &memory.to_string()]);
    guest.args(["-nographic", "-serial", "stdio"]);
    guest.arg("-append").arg(format!("console=ttyS0 panic=-1 {words}"));
    guest.arg("-kernel").arg(kernel.join("vmlinuz")).arg("-initrd").arg(initramfs);
    guest
}

/// Runs a guest to its end and gives what it printed. Ends one that prints nothing for so long, or that takes
/// longer in all: the error has what it printed until then.
pub fn run(guest: &mut Command, silence: Duration, total: Duration) -> Result<String, String> {
    let mut guest = guest
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| format!("{guest:?}: {error}"))?;
    let mut console = guest.stdout.take().expect("piped above");
    let (sender, receiver) = mpsc::channel();
    // Ends with the guest; after a hang it may be left, if the guest left a child that holds the pipe.
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = console.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });

    let began = Instant::now();
    let mut printed = Vec::new();
    let hangs = loop {
        let left = total.saturating_sub(began.elapsed());
        match receiver.recv_timeout(silence.min(left)) {
            Ok(bytes) => printed.extend(bytes),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if hangs {
        // It may have ended by itself meanwhile.
        let _ = guest.kill();
    }
    let status = guest.wait().map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if hangs {
        Err(format!("hangs after {} s; its console:\n{printed}", began.elapsed().as_secs()))
    } else if !status.success() {
        Err(format!("{status}; its console:\n{printed}"))
    } else {
        Ok(printed)
    }
}

/// What a kernel told.
#[derive(Default)]
pub struct Report {
    /// What it says by newer ways.
    pub facts: BTreeMap<String, String>,
    /// The old interfaces, and an errno or "answers".
    pub interfaces: Vec<(String, String)>,
    /// The modules that were put in, and whether they went in.
    pub modules: Vec<(String, String)>,
    /// What the programs did, by mode and command.
    pub runs: BTreeMap<(String, Vec<String>), Run>,
}

/// What a program did.
#[derive(Deserialize)]
pub struct Run {
    mode: String,
    command: Vec<String>,
    exit: Option<i32>,
    signal: Option<i32>,
    #[serde(default)]
    timeout: bool,
    /// Its output, a character a byte.
    pub stdout: String,
    /// What it, or its loader, complained of.
    pub stderr: String,
    /// What the shim logged.
    pub log: String,
}

#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
enum Record {
    Module { name: String, text: String },
    Fact { name: String, text: String },
    Interface { name: String, text: String },
    Run(Run),
    End { runs: usize },
}

impl Run {
    /// `exit 0`, `SIGSEGV` or `timeout`.
    pub fn status(&self) -> String {
        match (self.timeout, self.exit, self.signal) {
            (true, ..) => "timeout".to_owned(),
            (_, Some(status), _) => format!("exit {status}"),
            (_, _, Some(signal)) => signal_name(signal),
            _ => "no status".to_owned(),
        }
    }

    /// All of it, for a person.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}: {}\n", self.mode, self.command.join(" "), self.status());
        for (what, lines) in [("stdout", &self.stdout), ("stderr", &self.stderr), ("log", &self.log)] {
            for line in lines.lines() {
                text += &format!("    {what}: {line}\n");
            }
        }
        text
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGILL => "SIGILL".to_owned(),
        libc::SIGSYS => "SIGSYS".to_owned(),
        libc::SIGKILL => "SIGKILL".to_owned(),
        other => format!("SIG {other}"),
    }
}

/// Reads the records of a console. A record that is damaged, or a console that ends before the last one, is
/// an error with the console in it.
pub fn parse(console: &str) -> Result<Report, String> {
    let mut report = Report::default();
    let mut ended = false;
    for line in console.lines() {
        let Some((_, record)) = line.split_once(MARK) else {
            continue;
        };
        let record = serde_json::from_str(record)
            .map_err(|error| format!("a damaged record: {error}: {line}\nthe console:\n{console}"))?;
        match record {
            Record::Module { name, text } => report.modules.push((name, text)),
            Record::Fact { name, text } => _ = report.facts.insert(name, text),
            Record::Interface { name, text } => report.interfaces.push((name, text)),
            Record::Run(run) => _ = report.runs.insert((run.mode.clone(), run.command.clone()), run),
            Record::End { runs } => ended = runs == report.runs.len(),
        }
    }
    if ended { Ok(report) } else { Err(format!("it did not come to its end; the console:\n{console}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "[    0.1] Linux version 5\r\n\
        @evercall {\"record\":\"fact\",\"name\":\"release\",\"text\":\"5.10\"}\r\n\
        kernel: half a line@evercall {\"record\":\"interface\",\"name\":\"ustat\",\"text\":\"ENOSYS\"}\r\n\
        @evercall {\"record\":\"run\",\"mode\":\"bare\",\"command\":[\"/t/old\",\"x\"],\"signal\":11,\
        \"stdout\":\"a\\u0022\\u000ab\",\"stderr\":\"\",\"log\":\"\"}\r\n\
        @evercall {\"record\":\"end\",\"runs\":1}\r\n";

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Records are found among the kernel's own lines, and behind half a line of its.
    #[test]
    fn records_are_read_from_a_console() {
        let report = parse(CONSOLE).unwrap();
        assert_eq!(report.facts["release"], "5.10");
        assert_eq!(report.interfaces, [("ustat".to_owned(), "ENOSYS".to_owned())]);
        let run = &report.runs[&("bare".to_owned(), vec!["/t/old".to_owned(), "x".to_owned()])];
        assert_eq!((run.status().as_str(), run.stdout.as_str()), ("SIGSEGV", "a\"\nb"));
    }

    /// A panic in the middle, a lost run, a damaged line: none of them passes for a result.
    #[test]
    fn half_a_console_is_no_report() {
        let without_end = CONSOLE.split_inclusive('\n').take(4).collect::<String>();
        let one_run_lost = CONSOLE.replace("\"runs\":1", "\"runs\":2");
        let damaged = CONSOLE.replace("\"ENOSYS\"", "\"ENO");
        for console in [&without_end, &one_run_lost, &damaged, ""] {
            let error = parse(console).map(|_| ()).unwrap_err();
            assert!(error.ends_with(&format!("console:\n{console}")), "{error}");
        }
    }

    /// A guest that falls silent is ended, and what it printed before is told.
    #[test]
    fn a_silent_guest_is_ended() {
        let long = Duration::from_secs(60);
        let began = Instant::now();
        let error =
            run(&mut shell("echo booting; exec sleep 1000"), Duration::from_millis(300), long).unwrap_err();
        assert!(error.starts_with("hangs after") && error.ends_with("booting\n"), "{error}");
        assert!(began.elapsed() < long);
    }

    /// A guest that never stops talking is ended too.
    #[test]
    fn an_endless_guest_is_ended() {
        let endless = "while echo again; do sleep 0.05; done";
        let error =
            run(&mut shell(endless), Duration::from_secs(60), Duration::from_millis(300)).unwrap_err();
        assert!(error.contains("again\n"), "{error}");
    }

    /// A guest that ends is read to its end; one that fails is an error.
    #[test]
    fn a_guest_that_ends_is_read_whole() {
        let long = Duration::from_secs(60);
        assert_eq!(run(&mut shell("echo one; echo two"), long, long).unwrap(), "one\ntwo\n");
        assert!(
            run(&mut shell("echo no such kernel; exit 1"), long, long)
                .unwrap_err()
                .contains("no such kernel")
        );
    }
}
