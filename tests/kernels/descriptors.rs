//! The descriptor limit of containers under old daemons, 2^30 less 8, and the programs that drown in it: Python 2.7,
//! slapd and rpm of Debian bullseye in a guest that may raise fs.nr_open.

use crate::common::{root, shim, text};
use crate::console;
use crate::debian;
use crate::initramfs::{Archive, read};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the guest does not need of the root.
const LEFT_OUT: [&str; 9] = [
    "./dev",
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./usr/share/i18n",
    "./usr/include",
    "./var/cache",
    "./var/lib/apt",
    "./usr/lib/gcc",
];

/// A folder as a cpio archive, by busybox, which has links and modes right.
fn packed(folder: &Path) -> Vec<u8> {
    let names: Vec<String> = LEFT_OUT.iter().map(|path| format!("-path {path}")).collect();
    let find =
        format!("find . -xdev \\( {} \\) -prune -o -print | busybox cpio -o -H newc", names.join(" -o "));
    let output =
        Command::new("sh").args(["-c", &find]).current_dir(folder).stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{find}: {}", output.status);
    output.stdout
}

/// What came of a program: seconds, and its exit status with its last line.
struct Answer {
    seconds: u64,
    said: String,
}

fn answers(console: &str) -> BTreeMap<(String, String), Answer> {
    let mut answers = BTreeMap::new();
    for line in
        console.lines().filter_map(|line| line.split_once("@limits ").map(|(_, line)| line.trim_end()))
    {
        let mut words = line.splitn(4, ' ');
        let (Some(what), Some(how), Some(seconds), Some(said)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let answer = Answer { seconds: seconds.parse().unwrap(), said: said.to_owned() };
        answers.insert((what.to_owned(), how.to_owned()), answer);
    }
    answers
}

/// Bare they do not end in 15 s, or end by a signal; under evercall they are done. A limit that is set later is lowered
/// where it is asked for, by a process that has the right to raise it.
#[test]
fn programs_that_drown_in_descriptors_live() {
    let legacy = match debian::root("legacy", "bullseye") {
        Ok(root) => root,
        Err(why) => crate::skip!("{why}"),
    };
    let fetched = Command::new(root().join("tests/kernels/fetch.sh")).arg("trixie").output().unwrap();
    assert!(fetched.status.success(), "no kernel: {}", text(&fetched.stderr));
    let kernel = text(&fetched.stdout).trim().to_owned();

    let mut own = Archive::default();
    own.add("/init", true, &read(&root().join("tests/kernels/descriptors.sh")));
    own.add("/evercall/libevercall.so", true, &read(&shim()));
    let mut initramfs = tempfile::NamedTempFile::new().unwrap();
    initramfs.write_all(&packed(&legacy)).unwrap();
    initramfs.write_all(&own.finish()).unwrap();

    let mut guest =
        console::guest(Path::new(&kernel), initramfs.path(), [2, 1536], "loglevel=3 rdinit=/init");
    let console = console::run(&mut guest, Duration::from_secs(90), Duration::from_secs(300)).unwrap();
    assert!(console.contains("@limits end"), "{console}");

    let answers = answers(&console);
    let mut table = String::from("\nlimit 2^30           bare                            under evercall\n");
    for what in ["limits", "python2", "slapd", "rpm"] {
        let [bare, its] = ["bare", "preload"].map(|how| &answers[&(what.to_owned(), how.to_owned())]);
        table += &format!(
            "{what:<12} {:>4} s  {:<32} {:>4} s  {}\n",
            bare.seconds, bare.said, its.seconds, its.said
        );
    }
    std::io::stdout().write_all(table.as_bytes()).unwrap();

    let said = |what: &str, how: &str| answers[&(what.to_owned(), how.to_owned())].said.as_str();
    assert_eq!(said("limits", "bare"), "[exit 0] 1073741816");
    assert_eq!(said("limits", "preload"), "[exit 0] 1048576");
    assert!(said("python2", "bare").starts_with("[exit 137]"), "{table}");
    assert_eq!(said("python2", "preload"), "[exit 0] 0");
    assert!(said("rpm", "bare").starts_with("[exit 137]"), "{table}");
    assert_eq!(said("rpm", "preload"), "[exit 0] some-1-1.noarch");
    assert!(said("slapd", "bare").starts_with("[exit 134]"), "{table}");
    let peak = |what| -> u64 {
        let said = said(what, "preload");
        let kilobytes =
            said.strip_prefix("[exit 0] VmPeak:").and_then(|rest| rest.trim().strip_suffix(" kB"));
        kilobytes.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    // 704 bytes a descriptor.
    assert!(peak("slapd") < 1 << 20, "{table}");
    assert!(peak("slapd-65536") + (600 << 10) < peak("slapd"), "{table}");
    assert_eq!(said("later-off", "preload"), "[exit 0] (536870912, 536870912)");
    assert_eq!(said("later-on", "preload"), "[exit 0] (1048576, 1048576)");
}
