//! The settings: `/etc/evercall.conf`, read in a mount namespace of its own where /etc is an overlay; and the
//! environment, which wins.

mod common;
#[path = "common/lines.rs"]
mod lines;

use common::{bare, program, shim, text};
use lines::{all_json, all_text, split};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Puts an overlay over /etc in this namespace, makes evercall.conf there by the script in $2 (the
/// wanted text is in $3), and runs the rest with the shim.
const IN_NAMESPACE: &str = "
    mount -t tmpfs none \"$1\" && mkdir \"$1/upper\" \"$1/work\" &&
    mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/upper,workdir=$1/work\" /etc || exit 111
    shim=$3 text=$4
    eval \"$2\" || exit 112
    shift 4
    exec env LD_PRELOAD=\"$shim\" \"$@\"";

const PLAIN: &str = "cp \"$text\" /etc/evercall.conf";

/// A program run where /etc/evercall.conf is what `make` makes of the text. None: this machine cannot.
fn with_conf(make: &str, conf: &[u8], settings: &[&str], words: &[&str]) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, conf).unwrap();
    let mut command = bare("timeout");
    command.args(["20", "unshare", "-m", "sh", "-c", IN_NAMESPACE, "sh"]).arg(folder.path());
    command.arg(make).arg(shim()).arg(file.path()).args(settings).args(words);
    run(&mut command)
}

fn run(command: &mut Command) -> Option<Output> {
    let output = command.output().unwrap();
    let missing = output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ");
    if missing {
        eprintln!("no private /etc here: {}", text(&output.stderr));
        return None;
    }
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    Some(output)
}

/// The text log of `steps` under this file and these settings; skips the test where it cannot run.
macro_rules! log_of {
    ($conf:expr, $settings:expr, $steps:expr) => {
        output_of!(PLAIN, $conf.as_bytes(), $settings, $steps).stderr
    };
}

macro_rules! output_of {
    ($make:expr, $conf:expr, $settings:expr, $steps:expr) => {{
        let steps = program("steps");
        let words: Vec<&str> =
            [steps.to_str().unwrap()].into_iter().chain(str::split_whitespace($steps)).collect();
        match with_conf($make, $conf, $settings, &words) {
            Some(output) => output,
            None => skip!("no mount namespace with an overlay"),
        }
    }};
}

/// The rules of a log's lines.
fn rules(log: &[u8]) -> Vec<String> {
    all_text(log).into_iter().map(|line| line.rule).collect()
}

/// What a line says of a setting that was not understood.
fn noticed(log: &[u8]) -> Option<String> {
    let lines = split(log);
    let (_, _, _, rest) = lines::head(lines.first()?)?;
    Some(rest.strip_prefix("setting not understood: ")?.to_string())
}

/// `key = value` with blanks, comments, empty lines, tabs, carriage returns, and no newline at the end.
#[test]
fn the_file_is_key_value_with_comments_and_blanks() {
    for conf in [
        "force=ustat,sysfs\nlog=all\nnofile=off\n",
        "# comment\n\n   \n\tforce \t=  ustat , sysfs \r\n  # log = off\nlog = all\nnofile = off",
        "log = off\nlog = all\nforce = all\nnofile=off\n",
    ] {
        let log = log_of!(conf, &[], "ustat sysfs");
        assert_eq!(rules(&log), ["ustat", "sysfs"], "{conf:?}");
    }
    assert_eq!(text(&log_of!("# force = all\n# log = all\n", &[], "ustat")), "");
}

/// A rule that the file does not force is asked of the kernel, which answers here.
#[test]
fn force_in_the_file_names_the_rules() {
    assert_eq!(
        rules(&log_of!("force = sysfs\nlog = all\nnofile=off\n", &[], "ustat sysfs epoll")),
        ["sysfs"]
    );
}

/// The first key or value that makes no sense is told in the log, cut and escaped; all others hold.
#[test]
fn what_is_not_understood_is_noticed_in_the_log() {
    let rest = "force = ustat\nlog = all\nnofile = off\n";
    for (line, expected) in [
        ("colour = red", "colour=red"),
        ("log = loudly", "log=loudly"),
        ("force = ustat,nothing", "force=ustat,nothing"),
        ("log_format = xml", "log_format=xml"),
        ("log_to = here", "log_to=here"),
        ("nofile = many", "nofile=many"),
        ("keep = maybe", "keep=maybe"),
        ("a\u{1b}[31m = \"", "a\\u001b[31m=\\\""),
    ] {
        let log = log_of!(format!("{line}\n{rest}"), &[], "ustat");
        assert_eq!(noticed(&log).as_deref(), Some(expected));
        let lines = split(&log);
        assert!(lines.len() == 2 && lines::text(lines[1]).is_some(), "{lines:?}");
    }
    let long = format!("{} = {}\n{rest}", "k".repeat(500), "v".repeat(500));
    assert!(noticed(&log_of!(long, &[], "ustat")).is_some_and(|told| told.len() < 100));
    assert_eq!(noticed(&log_of!(rest, &["EVERCALL_COLOUR=red"], "ustat")).as_deref(), Some("colour=red"));
    assert_eq!(noticed(&log_of!(rest, &[], "ustat")), None);
}

/// Whatever the file says, the environment's value for the same key counts.
#[test]
fn the_environment_wins() {
    let conf = "force = all\nlog = all\nlog_format = json\nnofile = off\n";
    assert_eq!(all_json(&log_of!(conf, &[], "ustat*3")).len(), 3);
    assert_eq!(text(&log_of!(conf, &["EVERCALL_LOG=off"], "ustat*3")), "");
    let log = log_of!(conf, &["EVERCALL_LOG=first", "EVERCALL_LOG_FORMAT=text"], "ustat*3");
    assert_eq!(rules(&log), ["ustat"]);
    let log = log_of!(conf, &["EVERCALL_FORCE=sysfs", "EVERCALL_LOG_FORMAT=text"], "ustat sysfs");
    assert_eq!(rules(&log), ["sysfs"], "the environment's list takes the place of the file's");
    assert_eq!(text(&log_of!(conf, &["EVERCALL_FORCE="], "ustat sysfs")), "");
}

/// Off in the file switches everything off, but for a process whose environment says on.
#[test]
fn off_in_the_file_yields_to_on_in_the_environment() {
    let rest = "force = all\nlog = all\nnofile = off\n";
    for off in ["off", "no", "0", "false"] {
        let conf = format!("evercall = {off}\n{rest}");
        assert_eq!(text(&log_of!(conf, &[], "ustat")), "");
        assert_eq!(rules(&log_of!(conf, &["EVERCALL=on"], "ustat")), ["ustat"]);
        assert_eq!(rules(&log_of!(conf, &["EVERCALL=1"], "ustat")), ["ustat"]);
        assert_eq!(text(&log_of!(conf, &["EVERCALL=maybe"], "ustat")), "");
    }
    let conf = format!("evercall = on\n{rest}");
    assert_eq!(rules(&log_of!(conf, &[], "ustat")), ["ustat"]);
    for off in ["off", "no", "0", "false"] {
        assert_eq!(text(&log_of!(conf, &[&format!("EVERCALL={off}")], "ustat")), "");
    }
}

/// Things that are no file of settings: no hang, no output, the program's answers right.
#[test]
fn what_is_no_file_is_no_settings() {
    let log_all = b"force = all\nlog = all\nnofile = off\n";
    for make in [
        "mkfifo /etc/evercall.conf",
        "mkdir /etc/evercall.conf",
        "ln -s /nowhere /etc/evercall.conf",
        "ln -s evercall.conf /etc/evercall.conf",
        "ln -s /dev/zero /etc/evercall.conf",
        "mknod /etc/evercall.conf c 1 5",
        ": > /etc/evercall.conf",
        "head -c 1000000 /dev/zero > /etc/evercall.conf",
        "head -c 1000000 /dev/urandom | tr -d 'elnk' > /etc/evercall.conf",
        "yes | head -c 1000000 > /etc/evercall.conf",
        "printf '=\\n==\\n = \\nlog\\n\\0log=all\\0\\n' > /etc/evercall.conf",
    ] {
        let output = output_of!(make, log_all, &[], "ustat*2 say:alive");
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("alive\n", ""), "{make}");
    }
    // A link to a file, or a file that others may read, is the file.
    let output = output_of!("cp \"$text\" /etc/a && ln -s a /etc/evercall.conf", log_all, &[], "ustat");
    assert_eq!(rules(&output.stderr), ["ustat"]);
}

/// Of a large file the first lines count; a line that is cut at the end of what is read does not, since
/// `nofile = 5000` cut to `nofile = 5` would be a harm.
#[test]
fn a_large_file_is_read_up_to_a_whole_line() {
    let limits = program("limits");
    let words = [limits.to_str().unwrap()];
    let expected = text(&bare(&limits).output().unwrap().stdout);
    let head = "force = all\nlog = all\n";
    for cut in (0..24).chain([200]) {
        let mut conf = String::from(head);
        conf.push_str(&format!("#{}\n", "x".repeat(4096 - head.len() - 2 - cut)));
        conf.push_str("nofile = 5000\n");
        conf.push_str(&"# more\n".repeat(100_000));
        let Some(output) = with_conf(PLAIN, conf.as_bytes(), &["EVERCALL_LOG=off"], &words) else {
            skip!("no mount namespace with an overlay");
        };
        let got = text(&output.stdout);
        let lowered = lowered_to(&expected, 5000);
        assert!(got == expected || got == lowered, "cut at {cut}: {got}");
        if cut > 20 {
            assert_eq!(got, lowered, "cut at {cut}");
        }
    }
}

/// Limits as `limits` prints them, with a cap.
fn lowered_to(limits: &str, cap: u64) -> String {
    let lower = |limit: &str| limit.parse::<u64>().unwrap_or(u64::MAX).min(cap).to_string();
    limits.split_whitespace().map(lower).collect::<Vec<_>>().join(" ") + "\n"
}

/// `nofile` caps both limits, `off` leaves them, and what is lower is not touched.
#[test]
fn nofile_in_the_file_caps_the_limits() {
    let limits = program("limits");
    let words = [limits.to_str().unwrap()];
    let expected = text(&bare(&limits).output().unwrap().stdout);
    for (conf, settings, lowered) in [
        ("nofile = 777\n", &[][..], lowered_to(&expected, 777)),
        ("nofile = 777\n", &["EVERCALL_NOFILE=555"], lowered_to(&expected, 555)),
        ("nofile = 777\n", &["EVERCALL_NOFILE=off"], expected.clone()),
        ("nofile = off\n", &[], expected.clone()),
        ("nofile = 0\n", &[], expected.clone()),
        ("nofile = -5\n", &[], lowered_to(&expected, 1 << 20)),
        ("nofile = 99999999999999999999999\n", &[], lowered_to(&expected, 1 << 20)),
        ("nofile = 2000000000\n", &[], expected.clone()),
    ] {
        let Some(output) = with_conf(PLAIN, conf.as_bytes(), settings, &words) else {
            skip!("no mount namespace with an overlay");
        };
        assert_eq!(text(&output.stdout), lowered, "{conf:?} {settings:?}");
    }
}

/// `log_to` and `log_format` of the file: a path, a descriptor.
#[test]
fn log_to_and_format_hold_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let conf = |to: &str| format!("force = all\nlog = all\nnofile = off\nlog_format = json\nlog_to = {to}\n");
    assert_eq!(text(&log_of!(conf(path.to_str().unwrap()), &[], "ustat*2")), "");
    assert_eq!(all_json(&fs::read(&path).unwrap()).len(), 2);
    let output = output_of!(PLAIN, conf("fd:1").as_bytes(), &[], "ustat*3");
    assert_eq!((all_json(&output.stdout).len(), output.stderr.len()), (3, 0));
    let log = log_of!(conf(path.to_str().unwrap()), &["EVERCALL_LOG_TO=stderr"], "ustat*4");
    assert_eq!(all_json(&log).len(), 4);
}

/// `keep = off` leaves a cleared environment cleared; the environment's EVERCALL_KEEP wins.
#[test]
fn keep_in_the_file_holds() {
    let show = program("show_exec");
    let words = ["env", "-i", show.to_str().unwrap()];
    let preload = format!("env LD_PRELOAD={}\n", shim().display());
    for (conf, settings, kept) in [
        ("keep = on\n", &[][..], true),
        ("", &[], true),
        ("keep = off\n", &[], false),
        ("keep = off\n", &["EVERCALL_KEEP=on"], true),
        ("keep = on\n", &["EVERCALL_KEEP=off"], false),
    ] {
        let Some(output) = with_conf(PLAIN, conf.as_bytes(), settings, &words) else {
            skip!("no mount namespace with an overlay");
        };
        assert_eq!(text(&output.stdout).contains(&preload), kept, "{conf:?} {settings:?}");
    }
}

/// A section is about the programs of its name, or of its path; what stands later wins, and the environment over all.
#[test]
fn sections_are_about_the_programs_they_name() {
    let limits = program("limits");
    let words = [limits.to_str().unwrap()];
    let expected = text(&bare(&limits).output().unwrap().stdout);
    let folder = limits.parent().unwrap().display().to_string();
    for (conf, settings, cap) in [
        ("[limits]\nnofile = 777\n".to_owned(), &[][..], Some(777)),
        ("[limit]\nnofile = 777\n".into(), &[], None),
        ("[limits2]\nnofile = 777\n".into(), &[], None),
        ("[lim*]\nnofile = 777\n".into(), &[], Some(777)),
        ("[l?m?ts]\nnofile = 777\n".into(), &[], Some(777)),
        (format!("[{folder}/limits]\nnofile = 777\n"), &[], Some(777)),
        (format!("[{folder}/*]\nnofile = 777\n"), &[], Some(777)),
        ("[/*]\nnofile = 777\n".into(), &[], None),
        ("[*]\nnofile = 777\n".into(), &[], Some(777)),
        ("nofile = 555\n[limits]\nnofile = 777\n".into(), &[], Some(777)),
        ("nofile = 555\n[other]\nnofile = 777\n".into(), &[], Some(555)),
        ("[limits]\nnofile = 777\n[other]\nnofile = 555\n".into(), &[], Some(777)),
        ("[limits]\nnofile = 777\n[*s]\nnofile = 555\n".into(), &[], Some(555)),
        ("  [ limits ]  \n  nofile = 777\n# [other]\n".into(), &[], Some(777)),
        ("[limits]\nnofile = 777\n".into(), &["EVERCALL_NOFILE=888"], Some(888)),
        ("[limits]\nevercall = off\nnofile = 777\n".into(), &["EVERCALL_NOFILE=777"], None),
        ("[other]\nevercall = off\n[limits]\nnofile = 777\n".into(), &[], Some(777)),
        ("[limits\nnofile = 777\n".into(), &[], Some(777)),
        ("[]\nnofile = 777\n[\n]\n".into(), &[], None),
    ] {
        let Some(output) = with_conf(PLAIN, conf.as_bytes(), settings, &words) else {
            skip!("no mount namespace with an overlay");
        };
        let due = cap.map_or(expected.clone(), |cap| lowered_to(&expected, cap));
        assert_eq!(text(&output.stdout), due, "{conf:?} {settings:?}");
    }
}

/// `force` and `log` of a section, and that a script's own name counts.
#[test]
fn sections_hold_any_setting() {
    let conf = "log = off\n[steps]\nforce = ustat\nlog = all\nnofile = off\n[sh]\nforce = all\n";
    assert_eq!(rules(&log_of!(conf, &[], "ustat sysfs")), ["ustat"]);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hello.sh");
    fs::write(&script, "#!/bin/sh\nuname -r\nread -r release < /proc/sys/kernel/osrelease; echo $release\n")
        .unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let conf = "[hello.sh]\nuname = 3.2.1\n[uname]\nuname = 3.2.2\n[sh]\nuname = 3.2.3\n";
    let Some(output) = with_conf(PLAIN, conf.as_bytes(), &[], &[script.to_str().unwrap()]) else {
        skip!("no mount namespace with an overlay");
    };
    assert_eq!(text(&output.stdout), "3.2.2\n3.2.1\n");
}

/// What makes no sense of the later settings is noticed, and changes nothing.
#[test]
fn what_is_off_by_default_stays_off_where_it_is_not_understood() {
    let rest = "force = ustat\nlog = all\nnofile = off\n";
    for line in
        ["uname = two words", "resources = v1", "cpuinfo = long", "pretend = maybe", "nofile_clamp = 7"]
    {
        let log = log_of!(format!("{line}\n{rest}"), &[], "ustat");
        assert_eq!(noticed(&log), Some(line.replace(" = ", "=")));
    }
    let log = log_of!(format!("tunables = {}\n{rest}", "x".repeat(600)), &[], "ustat");
    assert!(noticed(&log).is_some_and(|told| told.starts_with("tunables=xxx")));
    for line in
        ["uname = off", "uname =", "resources = host", "resources = off", "cpuinfo = off", "pretend = no"]
    {
        assert_eq!(noticed(&log_of!(format!("{line}\n{rest}"), &[], "ustat")), None, "{line}");
    }
}

/// The machine's own /etc is never touched by these tests.
#[test]
fn the_machines_own_etc_has_no_settings() {
    if Path::new("/etc/evercall.conf").exists() {
        skip!("this machine has settings of its own");
    }
    let _ = with_conf(PLAIN, b"log = all\n", &[], &["true"]);
    assert!(!Path::new("/etc/evercall.conf").exists());
}

/// The library understands every value that `--set` takes: else it would say so in its log.
#[test]
fn what_can_be_set_is_understood() {
    let run = |set: &[&str], words: &[&str]| {
        let mut run = bare(env!("CARGO_BIN_EXE_evercall"));
        run.args(["run", "--lib"]).arg(shim()).args(set.iter().flat_map(|set| ["--set", *set]));
        let output = run.arg("--").args(words).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for set in "log=off log=first log=all log=count log_format=text log_format=json log_to=stderr force=ustat nofile=auto \
                nofile=off nofile=4096 nofile_clamp=on nofile_clamp=off uname=off uname=2.6.32 resources=host \
                resources=cgroup cpuinfo=off cpuinfo=short pretend=on pretend=off tunables=a.b=1 vsyscall=auto vsyscall=on \
                vsyscall=off filter=auto filter=on filter=off privileged_programs=some privileged_programs=none \
                cgroup=auto cgroup=v1 cgroup=v2 cgroup=off keep=on keep=off evercall=on evercall=off"
        .split_whitespace()
    {
        let with_log = if set.starts_with("log=") { vec![set] } else { vec!["log=first", set] };
        let (status, out, said) = run(&with_log, &["true"]);
        assert_eq!((status, out.as_str(), said.contains("not understood")), (Some(0), "", false), "{set}: {said}");
    }
    // And follows them.
    assert_eq!(run(&["uname=2.6.32"], &["uname", "-r"]).1, "2.6.32\n");
    let tunables = run(&["tunables=glibc.malloc.check=0"], &["env"]).1;
    assert!(tunables.lines().any(|line| line == "GLIBC_TUNABLES=glibc.malloc.check=0"), "{tunables}");
    assert_eq!(run(&["evercall=off", "uname=2.6.32"], &["uname", "-r"]).1, run(&[], &["uname", "-r"]).1);
}
