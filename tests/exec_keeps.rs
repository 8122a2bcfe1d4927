//! Exec keeps it: every function that executes a program puts LD_PRELOAD and the EVERCALL_ settings back where
//! the environment lost them, and changes nothing else. What it must not change is in `tests/exec_same.rs`.

mod common;
#[path = "common/execs.rs"]
mod execs;

use common::{bare, program, shim, succeed, text, under_shim};
use execs::{ALL, Environment, exec, preload};
use std::fs;
use std::process::Command;

/// What a program got of its environment, as `show_exec` prints it.
fn got(command: &mut Command) -> Vec<String> {
    let output = succeed(command);
    assert_eq!(text(&output.stderr), "", "{command:?}");
    let stdout = text(&output.stdout);
    let args: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("arg ")).skip(1).collect();
    assert_eq!(args, ["1", "two words", "", "4", "5", "6", "7", "8"], "{command:?}: {stdout}");
    stdout.lines().filter_map(|line| line.strip_prefix("env ").map(str::to_string)).collect()
}

/// The strings, as `show_exec` would print them.
fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|s| s.to_string()).collect()
}

/// One function under the shim, in the process itself, with this environment.
fn executed(how: &str, environment: &Environment) -> Command {
    exec(under_shim(program("exec_by")), "", how, environment.word(), program("show_exec.static"))
}

/// Every function, in the process itself, in a vfork child and from a thread with a small stack: the new
/// program gets `expected` where it bare gets `given`.
fn every_function(given: &[&str], settings: &[(&str, &str)], expected: &[String]) {
    let environment = Environment::of(given);
    for how in ALL {
        for place in ["", "vfork", "thread"] {
            let target = program("show_exec.static");
            let bare = got(&mut exec(bare(program("exec_by")), place, how, environment.word(), &target));
            assert_eq!(bare, strings(given), "bare: {place} {how}");
            let mut command = exec(under_shim(program("exec_by")), place, how, environment.word(), &target);
            command.envs(settings.iter().copied());
            assert_eq!(got(&mut command), expected, "{place} {how} of {given:?}");
        }
    }
}

/// An empty environment gets what was lost, LD_PRELOAD first.
#[test]
fn an_empty_environment_gets_back_what_it_lost() {
    every_function(&[], &[], &[preload()]);
    let settings = [("EVERCALL_FORCE", "ustat"), ("EVERCALL_KEEP", "on"), ("EVERCALL", "on")];
    let environment = Environment::of(&[]);
    let mut command = executed("execve", &environment);
    let mut got = got(command.envs(settings));
    assert_eq!(got.remove(0), preload());
    got.sort();
    assert_eq!(got, ["EVERCALL=on", "EVERCALL_FORCE=ustat", "EVERCALL_KEEP=on"]);
}

/// NULL, and what clearenv(3) leaves, are empty environments where the kernel or libc takes them so.
#[test]
fn a_null_environment_gets_back_what_it_lost() {
    let target = program("show_exec.static");
    for how in ALL {
        for word in ["null", "clear"] {
            let run = |command| succeed(&mut exec(command, "", how, word, &target));
            let expected = text(&run(bare(program("exec_by"))).stdout);
            let output = text(&run(under_shim(program("exec_by"))).stdout);
            if expected.starts_with("arg ") {
                assert_eq!(output, format!("{expected}env {}\n", preload()), "{how} {word}");
            } else {
                // glibc's fexecve wants an environment.
                assert_eq!((how.starts_with("fexecve"), &output), (true, &expected));
            }
        }
    }
}

/// Other variables all stay, in their order; empty ones, doubles, and such as have no name too.
#[test]
fn other_variables_stay_in_order() {
    let given = [
        "B=2",
        "A=1",
        "",
        "=",
        "no sign",
        "A=1",
        "LD_PRELOADED=x",
        "LD_PRELOAD",
        "EVERCALLING=off",
        "PATH=/bin",
        "Z=\u{e9}",
    ];
    let mut expected = strings(&given);
    expected.push(preload());
    every_function(&given, &[], &expected);
}

/// Somebody else's LD_PRELOAD keeps its place and its list, with ours behind it.
#[test]
fn a_foreign_preload_is_kept_with_ours_behind() {
    let ours = shim().display().to_string();
    for foreign in ["/lib/other.so", "a.so b.so", "a.so:b.so", "/libevercall/other.so", "libever.so"] {
        let given = format!("LD_PRELOAD={foreign}");
        let environment = Environment::of(&["A=1", &given, "B=2"]);
        for how in ALL {
            let mut command = executed(how, &environment);
            assert_eq!(got(&mut command), ["A=1", &format!("{given}:{ours}"), "B=2"], "{how}");
        }
    }
    let environment = Environment::of(&["LD_PRELOAD="]);
    let mut command = executed("execve", &environment);
    assert_eq!(got(&mut command), [preload()], "an empty list has nobody to stand behind");
}

/// An environment that has us, wherever in the list and by whatever path, is passed on byte for byte.
#[test]
fn a_preload_that_has_us_is_not_changed() {
    for list in [
        "/x/libevercall.so",
        "a.so:/x/libevercall.so",
        "libevercall.so.1 b.so",
        "a.so  libevercall.so:",
        &shim().display().to_string(),
    ] {
        let given = format!("LD_PRELOAD={list}");
        every_function(&["A=1", &given, "B=2"], &[], &strings(&["A=1", &given, "B=2"]));
    }
}

/// `EVERCALL=off` in the new environment is the user's word; EVERCALL_KEEP=off in ours likewise.
#[test]
fn switched_off_adds_nothing() {
    for off in ["EVERCALL=off", "EVERCALL=0", "EVERCALL=no", "EVERCALL=false"] {
        let environment = Environment::of(&["A=1", off]);
        for how in ALL {
            let mut command = executed(how, &environment);
            assert_eq!(got(&mut command), ["A=1", off], "{how}");
        }
    }
    for settings in [[("EVERCALL_KEEP", "off")], [("EVERCALL", "off")]] {
        every_function(&["A=1"], &settings, &strings(&["A=1"]));
    }
}

/// A setting in the new environment is the program's own and stays; only what is missing comes back.
#[test]
fn a_setting_of_the_new_environment_stays() {
    let given = ["EVERCALL_NOFILE=4096", "A=1"];
    let settings = [("EVERCALL_NOFILE", "off")];
    every_function(&given, &settings, &strings(&[given[0], given[1], &preload()]));
}

/// Thousands of variables are looked through and copied; more than 4096 are left as they are.
#[test]
fn thousands_of_variables_are_kept() {
    for (count, kept) in
        [(1, true), (15, true), (16, true), (17, true), (4000, true), (4096, true), (5000, false)]
    {
        for how in ["execve", "execvp", "posix_spawn", "SYS_execveat"] {
            let word = format!("many:{count}");
            let target = program("show_exec.static");
            let mut expected = got(&mut exec(bare(program("exec_by")), "", how, &word, &target));
            assert_eq!(expected.len(), count);
            expected.extend(kept.then(preload));
            assert_eq!(got(&mut exec(under_shim(program("exec_by")), "", how, &word, &target)), expected);
        }
    }
}

/// Array and strings may end where memory ends.
#[test]
fn an_environment_at_the_end_of_memory_is_read_to_its_end() {
    for how in ALL {
        let mut command = exec(under_shim(program("exec_by")), "", how, "edge", program("show_exec.static"));
        assert_eq!(got(&mut command), ["A=123", "", &preload()], "{how}");
    }
}

/// `env -i` three deep: the settings come through all of them, once.
#[test]
fn env_i_chains_keep_it() {
    let show = program("show_exec");
    let run = |settings: &[(&str, &str)], words: &[&str]| {
        let mut command = under_shim(words[0]);
        command.args(&words[1..]).arg(&show).envs(settings.iter().copied());
        text(&succeed(&mut command).stdout)
    };
    let chain = ["env", "-i", "env", "-i", "env", "-i"];
    let arg = format!("arg {}\n", show.display());
    assert_eq!(run(&[], &chain), format!("{arg}env {}\n", preload()));
    let nofile = [("EVERCALL_NOFILE", "off")];
    assert_eq!(run(&nofile, &chain), format!("{arg}env {}\nenv EVERCALL_NOFILE=off\n", preload()));
    assert_eq!(run(&[("EVERCALL_KEEP", "off")], &chain), arg);
    assert!(run(&[], &["env", "-i", "sh", "-c", "exec env -i \"$0\""]).contains(&preload()));
}

/// A long chain does not grow: a setting of any length or name comes through once or not at all.
#[test]
fn chains_do_not_grow() {
    let show = program("show_exec");
    let long = "x".repeat(600);
    for (name, value) in [
        ("EVERCALL_A_NAME_LONGER_THAN_ANY_SETTING_HAS", "1"),
        ("EVERCALL_FORCE", long.as_str()),
        ("EVERCALL_NOFILE_NOFILE_1", "1"),
        ("EVERCALL_NOFILE_NOFILE_12", "1"),
    ] {
        let mut once = under_shim("env");
        let mut often = under_shim("env");
        // Cleared by turns, so that both adding to and leaving an environment are in it.
        once.args(["-i"]).arg(&show);
        often.args("env -i env env -i env A=1 env env -u A env -i".split(' ')).arg(&show);
        let [once, often] = [once, often].map(|mut command| {
            let output = succeed(command.env(name, value));
            text(&output.stdout)
        });
        assert_eq!(once, often);
        assert!(once.contains(&preload()), "{name} drove LD_PRELOAD out: {once}");
    }
}

/// What is put back works: the program behind `env -i` is translated for, and logs as before.
#[test]
fn the_shim_is_alive_behind_env_i() {
    let mut command = under_shim("env");
    command.args(["-i", "env", "-i"]).arg(program("steps")).arg("ustat");
    command.env("EVERCALL_FORCE", "ustat").env("EVERCALL_LOG", "all").env("EVERCALL_NOFILE", "off");
    let log = text(&succeed(&mut command).stderr);
    assert!(
        log.lines().last().is_some_and(|line| line.contains(" steps[") && line.contains("ustat(")),
        "{log}"
    );
    assert_eq!(log.lines().filter(|line| line.contains("exec: exec(path=")).count(), 2, "{log}");
}

/// Loaded by /etc/ld.so.preload alone, nothing is added: the next program is loaded likewise.
#[test]
fn with_ld_so_preload_alone_nothing_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/u\" \"$1/w\" &&
        mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/u,workdir=$1/w\" /etc || exit 111
        echo \"$2\" > /etc/ld.so.preload; shift 2; exec \"$@\"";
    let given = ["A=1", "B=2"];
    let environment = Environment::of(&given);
    for how in ALL {
        let mut command = bare("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(folder.path()).arg(shim());
        command.arg(program("exec_by")).args([how, environment.word()]).arg(program("show_exec"));
        let output = command.output().unwrap();
        if output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ") {
            skip!("no mount namespace with an overlay: {}", text(&output.stderr));
        }
        let stdout = text(&output.stdout);
        let got: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("env ")).collect();
        assert_eq!(got, given, "{how}: {}", text(&output.stderr));
    }
}

/// Thousands of children, by vfork and by posix_spawn, leave no mapping, no descriptor and no memory behind,
/// logging or not.
#[test]
fn spawning_leaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for log in ["off", "all"] {
        let path = folder.path().join(log);
        let mut command = under_shim(program("spawn_many"));
        command.arg("1000").env("EVERCALL_LOG", log).env("EVERCALL_LOG_TO", &path);
        let stdout = text(&succeed(&mut command).stdout);
        let rows: Vec<Vec<u64>> = stdout
            .lines()
            .map(|line| {
                line.split(' ').map(|n| n.parse().unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
            })
            .collect();
        let [_, [maps, fds, resident], [maps_after, fds_after, resident_after]] =
            [0, 1, 2].map(|row| <[u64; 3]>::try_from(rows[row].clone()).unwrap());
        assert_eq!((maps_after, fds_after), (maps, fds), "{stdout}");
        assert!(resident_after <= resident + 64, "{stdout}");
        if log == "all" {
            // The log is a witness that environments were in fact put back.
            let lines = fs::read_to_string(&path).unwrap();
            assert_eq!(lines.lines().filter(|line| line.contains("/bin/true")).count(), 2040);
        }
    }
}
