//! Real clients that break on what a newer kernel shows them: psutil 5.6.3, as PyPI has it, on /proc/diskstats.

mod common;

use common::{bare, shim, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// psutil 5.6.3 built into a folder by the first interpreter here that can. An error says why none could.
fn psutil(folder: &Path) -> Result<PathBuf, String> {
    let mut said = String::from("no python3");
    for python in ["python3", "/usr/bin/python3"] {
        let mut pip = bare(python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--target",
        ]);
        let Ok(output) = pip.arg(folder).arg("psutil==5.6.3").output() else { continue };
        if output.status.success() {
            return Ok(python.into());
        }
        said = text(&output.stderr).lines().last().unwrap_or("nothing said").to_owned();
    }
    Err(said)
}

/// The lines of /proc/diskstats had 14 fields until 4.17, 18 until 5.4, and have 20 since (giampaolo/psutil#1360).
#[test]
fn psutil_reads_diskstats() {
    let stats = fs::read_to_string("/proc/diskstats").unwrap();
    if stats.lines().all(|line| line.split_whitespace().count() <= 14) {
        skip!("no disks, or a kernel before 4.18");
    }
    let folder = tempfile::tempdir().unwrap();
    let python = match psutil(folder.path()) {
        Ok(python) => python,
        Err(why) => skip!("psutil 5.6.3 cannot be built: {why}"),
    };
    let ask = "import psutil; assert psutil.__version__ == '5.6.3'; print(sorted(psutil.disk_io_counters(perdisk=True)))";
    let run = |prepare: &dyn Fn(&mut Command)| {
        let mut command = bare(&python);
        command.args(["-c", ask]).env("PYTHONPATH", folder.path());
        prepare(&mut command);
        command.output().unwrap()
    };
    let alone = run(&|_| {});
    assert!(text(&alone.stderr).contains("not sure how to interpret line"), "{}", text(&alone.stderr));
    let seen = run(&|command| {
        command.env("LD_PRELOAD", shim());
    });
    assert!(seen.status.success(), "{}", text(&seen.stderr));
    // The disks that did anything, as the file names them.
    for line in stats.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = format!("'{}'", fields[2]);
        if fields[3] != "0" && fs::exists(Path::new("/sys/block").join(fields[2])).unwrap() {
            assert!(text(&seen.stdout).contains(&name), "{name} is not in {}", text(&seen.stdout));
        }
    }
}
