//! evercall.conf(5), and an example of the file: both from the variables that `manual` documents, as each is a key too.

use crate::manual;
use crate::output::wrap;
use roff::{Roff, bold, roman};
use std::fmt::Write as _;

/// Columns of the example.
const WIDTH: usize = 100;

/// A value of each key for the example: where there is one, the default.
const SAMPLES: [(&str, &str); 17] = [
    ("evercall", "on"),
    ("log", "off"),
    ("log_format", "text"),
    ("log_to", "stderr"),
    ("force", "ustat,sysfs"),
    ("nofile", "auto"),
    ("nofile_clamp", "off"),
    ("uname", "off"),
    ("resources", "host"),
    ("cpuinfo", "off"),
    ("pretend", "off"),
    ("tunables", "glibc.pthread.rseq=1"),
    ("vsyscall", "auto"),
    ("filter", "auto"),
    ("privileged_programs", "some"),
    ("cgroup", "auto"),
    ("keep", "on"),
];

/// The sections of the example, which is the one of the man page, too.
const SECTIONS: &str = "\
[mongod]
tunables = glibc.pthread.rseq=1

[/opt/legacy/bin/*]
uname = 2.6.32-754.el6.x86_64
resources = cgroup
";

const DESCRIPTION: [&str; 3] = [
    "libevercall.so reads the file once, when a program starts, if it is there: 8192 bytes of it. In a container it is the \
     container's own file. One setting a line, as `key = value`; blanks around either do not count, and a line that begins \
     with # is a comment. Of two values of a key the later one counts. What is not understood changes nothing, and \
     the log says so once.",
    "Each setting is also a variable of the environment, its key in capitals behind EVERCALL_ (log is EVERCALL_LOG), which wins. \
     A program in secure execution (setuid, setgid, file capabilities) listens to this file alone, and only if it is root's \
     and nobody else may write it.",
    "On a host the file is about every program there that is run under evercall. No package of evercall installs one.",
];

const SECTIONS_TEXT: [&str; 2] = [
    "What stands before the first section is for all programs. A line [NAME] starts a section about the programs whose file \
     has that name, [/PATH] one about those that were executed by that path (of a script: the script's). * stands for any \
     text without a slash, ? for one character that is none. A section ends where the next begins. Children have what their own \
     name gives them, and the environment.",
    "tunables must be in the environment when a program is executed, so in a section the name is the one of the program \
     that is executed, and a pattern with a slash is compared with the path that was given: not with what execvp(3) finds \
     through PATH. Together they are 512 bytes at most.",
];

/// What a setting does not do, or does beyond its line.
const NOTES: [(&str, &str); 6] = [
    (
        "uname",
        "The version (#1 SMP ...) stays the host's. Not reached: the dynamic loader (\"kernel too old\"), and static programs.",
    ),
    (
        "resources",
        "Both versions of control groups are read, at the mounts under /sys/fs/cgroup: the lowest limit counts, and a quota of \
         1.5 processors is two. Unchanged are sched_getaffinity(2) and the processors that are configured: a program that sets \
         the mask it got would pin itself.",
    ),
    (
        "cpuinfo",
        "For programs that cannot hold a longer line. It hides processor flags, and with them what a program might use.",
    ),
    (
        "pretend",
        "The one setting under which a write is accepted and dropped. It gives nobody a right, and is always logged.",
    ),
    ("nofile_clamp", "The call succeeds as the host answers it; the limit is lowered behind it."),
    (
        "privileged_programs",
        "Written by who made the image and knows it. Where it says none and there is such a program, that program gains \
         no rights once evercall has installed a filter.",
    ),
];

/// The keys with what they mean; `EVERCALL` itself is the first.
fn settings() -> impl Iterator<Item = (String, &'static str)> {
    manual::VARIABLES.1.iter().map(|(variable, text)| {
        let key = variable.strip_prefix("EVERCALL_").unwrap_or(variable);
        (key.to_ascii_lowercase(), *text)
    })
}

/// evercall.conf(5).
pub fn page() -> String {
    let mut roff = Roff::new();
    let version = concat!("evercall ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["evercall.conf", "5", manual::NO_DATE, version, "evercall"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("evercall.conf - settings of evercall for the programs that are run under it")]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("/etc/evercall.conf")]);
    paragraphs(&mut roff, "DESCRIPTION", &DESCRIPTION);
    roff.control("SH", ["SETTINGS"]);
    for (key, text) in settings() {
        entry(&mut roff, &key, text);
    }
    paragraphs(&mut roff, "SECTIONS", &SECTIONS_TEXT);
    roff.control("SH", ["NOTES"]);
    for (key, text) in NOTES {
        entry(&mut roff, key, text);
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in ["log = first", ""].into_iter().chain(SECTIONS.lines()) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("evercall(1), evercall-run(1), evercall-rules(1), ld.so(8)")]);
    roff.to_roff()
}

fn paragraphs(roff: &mut Roff, title: &str, texts: &[&str]) {
    roff.control("SH", [title]);
    for (number, text) in texts.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*text)]);
    }
}

fn entry(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(text)]);
}

/// An evercall.conf of comments alone: a program that reads it does what it does without.
pub fn example() -> String {
    let mut out = String::from(
        "# Settings of evercall, as /etc/evercall.conf: see evercall.conf(5). All of it is comments; a line counts \
         once its # is gone.\n",
    );
    for (key, text) in settings() {
        out.push('\n');
        for line in wrap(text, WIDTH - 2) {
            let _ = writeln!(out, "# {line}");
        }
        if let Some((_, sample)) = SAMPLES.iter().find(|(name, _)| *name == key) {
            let _ = writeln!(out, "#{key} = {sample}");
        }
    }
    out.push_str("\n# What follows a [NAME] or [/PATH/*] is about those programs alone.\n");
    for line in SECTIONS.lines() {
        out.push_str(if line.is_empty() { "" } else { "#" });
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_a_line_for_each_setting_and_sets_nothing() {
        let example = example();
        for (key, _) in settings() {
            assert!(example.contains(&format!("\n#{key} = ")), "{key}");
        }
        assert_eq!(settings().count(), SAMPLES.len());
        assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')));
        // With some of it uncommented it must still be read whole: 8192 bytes are.
        assert!(example.len() < 7000, "{} bytes", example.len());
    }
}
