//! `evercall simulate`: what a program is answered under it, as on the other host; and what is told of wrong
//! options and profiles.

mod common;

use common::{bare, program, succeed, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const EVERCALL: &str = env!("CARGO_BIN_EXE_evercall");

/// Harmless calls for raw_calls, each with what this host answers to it.
const GETPPID: &str = "110";
const GETRANDOM: (&str, &str) = ("318,0,0,0", "318: = 0");
const STATX: (&str, &str) = ("332,0,0,0,0,0", "332: EFAULT");
const CLONE3: (&str, &str) = ("435,0,0", "435: EINVAL");

fn simulate(options: &[&str]) -> Command {
    let mut command = bare(EVERCALL);
    command.arg("simulate").args(options).arg("--");
    command
}

/// The lines that raw_calls prints under the options.
fn answers(options: &[&str], calls: &[&str]) -> Vec<String> {
    let output = simulate(options).arg(program("raw_calls")).args(calls).output().unwrap();
    assert!(output.status.success(), "{options:?}: {} {}", output.status, text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{options:?}");
    text(&output.stdout).lines().map(String::from).collect()
}

/// Asserts the exit code, and that standard error holds all of these, and no panic.
fn assert_error(command: &mut Command, code: i32, holds: &[&str]) {
    let output = command.output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {stderr}");
    for text in holds {
        assert!(stderr.contains(text), "{text:?} is not in {stderr:?}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// A folder with profiles.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// A seccomp profile that allows all but what its entries say.
    fn profile(&self, entries: Value) -> String {
        self.write(
            "profile.json",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": entries}).to_string(),
        )
    }

    /// What statx answers under the profile of these entries.
    fn statx(&self, options: &[&str], entries: Value) -> String {
        let profile = self.profile(entries);
        let options = [&["--seccomp", &profile], options].concat();
        answers(&options, &[STATX.0]).concat().trim_start_matches("332: ").to_owned()
    }
}

#[test]
fn a_kernel_has_no_calls_that_came_later() {
    let native = [GETRANDOM.1, STATX.1, CLONE3.1];
    for (kernel, there) in [("3.16", 0), ("3.17", 1), ("4.10", 1), ("4.11.0", 2), ("5.2.21", 2), ("5.3", 3)] {
        let lines = answers(&["--kernel", kernel], &[GETRANDOM.0, STATX.0, CLONE3.0]);
        for (at, (line, native)) in lines.iter().zip(native).enumerate() {
            let absent = format!("{}: ENOSYS", native.split(':').next().unwrap());
            assert_eq!(line, if at < there { native } else { &absent }, "Linux {kernel}");
        }
    }
    // What stands behind the numbers in `uname -r` does not count.
    assert_eq!(answers(&["--kernel=3.10.0-1160.el7.x86_64"], &[GETRANDOM.0]), ["318: ENOSYS"]);
}

#[test]
fn a_newer_kernel_cannot_be_had_and_that_is_told() {
    let mut command = simulate(&["--kernel", "99.0"]);
    assert_error(command.arg("true"), 0, &["warning: this kernel is ", "up to 99.0"]);
    assert_error(simulate(&[]).arg("true"), 0, &["warning: no option says"]);
}

#[test]
fn calls_are_denied_by_name_and_number_with_each_answer() {
    let calls = [STATX.0, CLONE3.0, GETPPID];
    let deny = |deny: &[&str]| -> Vec<String> {
        let options: Vec<&str> = deny.iter().flat_map(|deny| ["--deny", *deny]).collect();
        answers(&options, &calls[..2])
    };
    assert_eq!(deny(&["statx,clone3"]), ["332: ENOSYS", "435: ENOSYS"]);
    assert_eq!(deny(&["332"]), ["332: ENOSYS", CLONE3.1]);
    assert_eq!(deny(&["statx:EPERM,clone3:1"]), ["332: EPERM", "435: EPERM"]);
    assert_eq!(deny(&["statx", "435:EACCES"]), ["332: ENOSYS", "435: EACCES"]);
    // Of two errnos the last counts, and TRAP is stricter than either.
    assert_eq!(deny(&["statx:EACCES", "statx:EIO"]), ["332: EIO", CLONE3.1]);
    assert_eq!(deny(&["statx:TRAP,statx:EIO"]), ["332: SIGSYS"]);
    let output =
        simulate(&["--deny", "getppid:KILL"]).arg(program("raw_calls")).args([STATX.0, GETPPID]).output();
    let output = output.unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "no handler catches it");
    assert_eq!(text(&output.stdout), format!("{}\n110: ", STATX.1));
}

#[test]
fn wrong_options_are_told_with_what_would_do() {
    for (options, holds) in [
        (["--deny", "stax"], ["--deny", "no system call is named stax; did you mean statx"]),
        (["--deny", "statx,"], ["--deny", "no system call is named ;"]),
        (["--deny", "9999"], ["--deny", "x86-64 has no system call 9999"]),
        (["--deny", "70000"], ["--deny", "x86-64 has no system call 70000"]),
        (["--deny", "socketcall"], ["--deny", "socketcall never had a number on x86-64"]),
        (["--deny", "statx:EPREM"], ["EPREM is no answer", "did you mean EPERM"]),
        (["--deny", "statx:"], ["--deny", "is no answer"]),
        (["--deny", "statx:4096"], ["--deny", "1 to 4095"]),
        (["--deny", "statx:0"], ["--deny", "1 to 4095"]),
        (["--kernel", "3"], ["--kernel", "such as 3.10"]),
        (["--kernel", "new"], ["--kernel", "such as 3.10"]),
        (["--seccomp", "/no/such.json"], ["--seccomp: /no/such.json cannot be read", "No such file"]),
        (["--profile", "/"], ["--profile: / cannot be read", "directory"]),
        (["--cap", "SYS_ADMIN"], ["--seccomp", "required"]),
    ] {
        assert_error(simulate(&options).arg("true"), 1, &holds);
    }
    let mut command = simulate(&["--seccomp", "/dev/null", "--cap", "sys_admn"]);
    assert_error(command.arg("true"), 1, &["--cap", "CAP_SYS_ADMN; did you mean CAP_SYS_ADMIN"]);
}

#[test]
fn programs_are_found_and_refused_as_by_run() {
    let with = |program: &str| {
        let mut command = simulate(&["--deny", "statx"]);
        command.arg(program);
        command
    };
    assert_error(&mut with("evercall-no-such-program"), 127, &["in PATH"]);
    assert_error(&mut with("/no/such"), 127, &["/no/such: there is no such file"]);
    assert_error(&mut with(""), 127, &["empty"]);
    assert_error(&mut with("/"), 126, &["folder"]);
    assert_error(&mut with("/etc/passwd"), 126, &["chmod +x"]);
    let files = Files::new();
    let script = files.write("script", "#!/no/such/shell\n");
    succeed(Command::new("chmod").args(["+x", &script]));
    assert_error(&mut with(&script), 127, &["a script for /no/such/shell"]);
    assert_eq!(with("sh").args(["-c", "exit 42"]).status().unwrap().code(), Some(42));
}

/// The filters stand before the exec: what they refuse of its own steps must not be a riddle.
#[test]
fn what_the_launcher_needs_itself_is_told_or_comes_last() {
    for answer in ["ENOSYS", "KILL", "TRAP"] {
        let deny = format!("execve:{answer}");
        let holds = ["/true cannot be run there: --deny refuses execve, by which every program is started"];
        assert_error(simulate(&["--deny", &deny]).arg("true"), 126, &holds);
    }
    // The other filters go first, since none could be installed after this one.
    for deny in
        ["prctl,seccomp:KILL", "prctl:KILL,rt_sigaction,munmap,write", "seccomp,prctl:EPERM,openat:TRAP"]
    {
        let mut command = simulate(&["--kernel", "5.3", "--deny", deny, "--deny", "getppid:EIO"]);
        let output = command.arg(program("raw_calls")).output().unwrap();
        assert_ne!(output.status.code(), Some(1), "{deny}: {}", text(&output.stderr));
    }
    let lines = answers(&["--deny=prctl:EIO,getppid", "--kernel=5.0"], &["157,3", GETPPID, CLONE3.0]);
    assert_eq!(lines, ["157: EIO", "110: ENOSYS", "435: ENOSYS"]);
    let holds = ["--kernel 2.0 and --deny both refuse prctl"];
    assert_error(simulate(&["--kernel", "2.0", "--deny", "prctl:EIO"]).arg("true"), 1, &holds);
}

#[test]
fn the_default_action_decides_what_no_entry_names() {
    let files = Files::new();
    let profile = |default: Value| {
        // All that raw_calls and its loader need, and statx.
        let names: Vec<u16> = (0..=334).filter(|number| *number != 110).collect();
        let named = evercall_rules::table::CALLS
            .iter()
            .filter(|call| call.x86_64.is_some_and(|n| names.contains(&n)));
        let names: Vec<&str> = named.map(|call| call.name).collect();
        let mut profile = json!({"syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]});
        profile.as_object_mut().unwrap().extend(default.as_object().unwrap().clone());
        files.write("default.json", profile.to_string())
    };
    let of =
        |default: Value| answers(&["--seccomp", &profile(default)], &[STATX.0, CLONE3.0, GETPPID, "600"]);
    let errno = |name: &str| {
        [STATX.1.to_owned(), format!("435: {name}"), format!("110: {name}"), format!("600: {name}")]
    };
    assert_eq!(of(json!({"defaultAction": "SCMP_ACT_ERRNO"})), errno("EPERM"));
    assert_eq!(of(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38})), errno("ENOSYS"));
    let both = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "EACCES"});
    assert_eq!(of(both), errno("EACCES"));
    assert_eq!(of(json!({"defaultAction": "SCMP_ACT_TRAP"})), [STATX.1, "435: SIGSYS"]);
    assert_eq!(of(json!({"defaultAction": "SCMP_ACT_LOG"}))[..2], [STATX.1, CLONE3.1]);
    for kill in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"] {
        let profile = profile(json!({"defaultAction": kill}));
        let mut command = simulate(&["--seccomp", &profile]);
        let output = command.arg(program("raw_calls")).args([STATX.0, GETPPID]).output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{kill}");
        assert!(text(&output.stdout).starts_with(STATX.1), "{kill}");
    }
}

#[test]
fn an_entry_gives_its_own_answer() {
    let files = Files::new();
    let statx = |entry: Value| {
        let mut whole = json!({"names": ["statx"], "action": "SCMP_ACT_ERRNO"});
        whole.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        files.statx(&[], json!([whole]))
    };
    assert_eq!(statx(json!({})), "EPERM");
    assert_eq!(statx(json!({"errnoRet": 38})), "ENOSYS");
    assert_eq!(statx(json!({"errnoRet": 38, "errno": "EACCES"})), "EACCES");
    assert_eq!(statx(json!({"errnoRet": 38, "errno": ""})), "ENOSYS");
    assert_eq!(statx(json!({"names": null, "name": "statx", "args": null, "includes": {}})), "EPERM");
    assert_eq!(statx(json!({"names": ["no_such_call", "socketcall", "statx"], "comment": ""})), "EPERM");
    assert_eq!(statx(json!({"action": "SCMP_ACT_TRAP"})), "SIGSYS");
    assert_eq!(statx(json!({"action": "SCMP_ACT_TRACE"})), "ENOSYS", "nobody traces");
    assert_eq!(statx(json!({"action": "SCMP_ACT_ALLOW"})), "EFAULT");
    // Two entries of one call with different answers: the first, as in libseccomp; podman's profile has such.
    let (errno, trap) = (
        json!({"names": ["statx"], "action": "SCMP_ACT_ERRNO"}),
        json!({"names": ["statx"], "action": "SCMP_ACT_TRAP"}),
    );
    assert_eq!(files.statx(&[], json!([errno, trap])), "EPERM");
    assert_eq!(files.statx(&[], json!([trap, errno])), "SIGSYS");
    // Of those with conditions that match, the strictest; one without conditions is before them all.
    let (mut one, mut other) = (errno.clone(), trap.clone());
    one["args"] = json!([{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]);
    other["args"] = json!([{"index": 1, "value": 1, "op": "SCMP_CMP_NE"}]);
    assert_eq!(files.statx(&[], json!([one, other])), "SIGSYS");
    assert_eq!(files.statx(&[], json!([other, one])), "SIGSYS");
    assert_eq!(files.statx(&[], json!([other, errno])), "EPERM");
    assert_eq!(files.statx(&[], json!([errno, other])), "EPERM");
}

/// personality(2) for getting the persona, with odd upper arguments: they are not looked at by the kernel.
#[test]
fn arguments_are_compared_in_all_64_bits() {
    let files = Files::new();
    let big = 0x1_0000_0005_u64;
    // The comparison, its values, and whether it holds for 4, 5, 6, 2^32 + 5 and 2^32 + 6.
    for (op, value, two, holds) in [
        ("EQ", 5, 0, [false, true, false, false, false]),
        ("EQ", big, 0, [false, false, false, true, false]),
        ("NE", 5, 0, [true, false, true, true, true]),
        ("LT", 5, 0, [true, false, false, false, false]),
        ("LE", 5, 0, [true, true, false, false, false]),
        ("GE", 5, 0, [false, true, true, true, true]),
        ("GT", 5, 0, [false, false, true, true, true]),
        ("GT", big, 0, [false, false, false, false, true]),
        ("LT", big, 0, [true, true, true, false, false]),
        ("MASKED_EQ", 3, 1, [false, true, false, true, false]),
        ("MASKED_EQ", 1 << 32, 0, [true, true, true, false, false]),
        ("MASKED_EQ", 0xffff_ffff, 6, [false, false, true, false, true]),
    ] {
        let argument = json!({"index": 2, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")});
        let profile =
            files.profile(json!([{"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "args": [argument]}]));
        let calls = [4, 5, 6, big, big + 1].map(|value| format!("110,0,0,{value}"));
        let lines = answers(&["--seccomp", &profile], &calls.each_ref().map(String::as_str));
        let matched: Vec<bool> = lines.iter().map(|line| line == "110: EPERM").collect();
        assert_eq!(matched, holds, "{op} {value} {two}");
    }
}

#[test]
fn the_arguments_of_an_entry_must_all_match_and_any_entry_will_do() {
    let files = Files::new();
    let eq = |index: u8, value: u8| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let entry = |args: Vec<Value>| json!({"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "args": args});
    let matched = |entries: Value| -> Vec<bool> {
        let profile = files.profile(entries);
        let calls = ["110,0,0", "110,1,0", "110,0,2", "110,1,2", "110,2,2"];
        answers(&["--seccomp", &profile], &calls).iter().map(|line| line == "110: EPERM").collect()
    };
    assert_eq!(matched(json!([entry(vec![eq(0, 1), eq(1, 2)])])), [false, false, false, true, false]);
    let either = json!([entry(vec![eq(0, 1)]), entry(vec![eq(1, 2)])]);
    assert_eq!(matched(either), [false, true, true, true, true]);
    // runc makes a rule of each condition where two look at one argument.
    assert_eq!(matched(json!([entry(vec![eq(0, 1), eq(0, 2)])])), [false, true, false, true, true]);
    // An entry without conditions stands for all, in whichever order.
    let all = [true; 5];
    assert_eq!(matched(json!([entry(vec![eq(0, 1)]), entry(vec![])])), all);
    assert_eq!(matched(json!([entry(vec![]), entry(vec![eq(0, 1)])])), all);
}

/// The form of Docker's own profile for clone and clone3: by flags without CAP_SYS_ADMIN, and freely with it.
#[test]
fn includes_and_excludes_are_resolved_as_for_a_plain_container() {
    let files = Files::new();
    let refused = |options: &[&str], filters: Value| {
        let mut entry = json!({"names": ["statx"], "action": "SCMP_ACT_ERRNO"});
        entry.as_object_mut().unwrap().extend(filters.as_object().unwrap().clone());
        files.statx(options, json!([entry])) == "EPERM"
    };
    let admin = &["--cap", "sys_admin,CAP_BPF"][..];
    for (filters, plain, with_admin) in [
        (json!({"includes": {"caps": ["CAP_SYS_ADMIN"]}}), false, true),
        (json!({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}), true, false),
        (json!({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"]}}), false, false),
        (json!({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"]}}), true, false),
        (json!({"includes": {"caps": ["CAP_SYS_CHROOT"]}}), true, true),
        (json!({"includes": {"arches": ["arm64", "amd64"]}}), true, true),
        (json!({"includes": {"arches": ["s390x"]}}), false, false),
        (json!({"includes": {"arches": []}}), true, true),
        (json!({"excludes": {"arches": ["amd64"]}}), false, false),
        (json!({"includes": {"minKernel": "4.8"}}), true, true),
        (json!({"includes": {"minKernel": "99.0"}}), false, false),
        (json!({"excludes": {"minKernel": "99.0"}}), true, true),
        (json!({"includes": {"arches": ["amd64"], "caps": ["CAP_BPF"]}}), false, true),
    ] {
        assert_eq!(refused(&[], filters.clone()), plain, "{filters}");
        assert_eq!(refused(admin, filters.clone()), with_admin, "{filters} with CAP_SYS_ADMIN");
    }
    let since_5_0 = json!({"includes": {"minKernel": "5.0"}});
    assert!(!refused(&["--kernel", "4.15"], since_5_0.clone()), "the kernel is the simulated one");
    assert!(refused(&["--kernel", "5.0"], since_5_0));
}

#[test]
fn damaged_profiles_are_told_with_the_file_and_what_is_wrong() {
    let files = Files::new();
    let entry = |entry: Value| {
        let mut whole = json!({"names": ["statx"], "action": "SCMP_ACT_ERRNO"});
        whole.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [whole]}).to_string()
    };
    let argument = |index: u8, op: &str| entry(json!({"args": [{"index": index, "value": 0, "op": op}]}));
    for (content, why) in [
        (String::new(), "it is no seccomp profile: EOF"),
        ("{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n \"syscalls\": [".to_owned(), "line 2 column 14"),
        ("[]".to_owned(), "it is no seccomp profile"),
        ("{}".to_owned(), "it has no defaultAction"),
        (json!({"defaultAction": "ALLOW"}).to_string(), "the default action: ALLOW is no action"),
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}).to_string(), "4096 is no errno"),
        (entry(json!({"action": "SCMP_ACT_DENY"})), "syscalls[0]: SCMP_ACT_DENY is no action"),
        (entry(json!({"action": "SCMP_ACT_NOTIFY"})), "SCMP_ACT_NOTIFY needs the agent"),
        (entry(json!({"errno": "EPRM"})), "syscalls[0]: EPRM is no errno"),
        (entry(json!({"names": []})), "syscalls[0]: it has no names"),
        (entry(json!({"names": "statx"})), "line 1 column"),
        (argument(6, "SCMP_CMP_EQ"), "syscalls[0]: index 6 is no argument"),
        (argument(0, "EQ"), "syscalls[0]: EQ is no comparison"),
        (entry(json!({"args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]})), "line 1 column"),
        (entry(json!({"includes": {"minKernel": "new"}})), "minKernel new is no version"),
    ] {
        let file = files.write("damaged.json", content);
        assert_error(simulate(&["--seccomp", &file]).arg("true"), 1, &[&format!("--seccomp: {file}: "), why]);
    }
    let file = files.write("damaged.json", b"\xff\xfe{}");
    assert_error(simulate(&["--seccomp", &file]).arg("true"), 1, &[&file, "no UTF-8"]);
}

/// The data of tests/modern_containers.rs says what its README says, by the same rules as for a container.
#[test]
fn the_docker_profile_of_2019_knows_nothing_newer() {
    let file = common::root().join("tests/profiles/docker-2019.json").display().to_string();
    let newer = ["435,0,0", "436,9,8,0", "437", "439", "441", "452", "600", "428", "434"];
    let refused = newer.map(|call| format!("{}: EPERM", call.split(',').next().unwrap()));
    assert_eq!(answers(&["--seccomp", &file], &newer), refused);
    assert_eq!(answers(&["--seccomp", &file], &[GETRANDOM.0, STATX.0]), [GETRANDOM.1, STATX.1]);
    // unshare(0), process_vm_readv of nothing from process 1, a new user namespace, and what the persona is.
    let by_capability = ["272,0", "310,1,0,0,0,0,0", "56,0x10000000", "135,0xffffffff", "135,0x0400000"];
    let plain = ["272: EPERM", "310: EPERM", "56: EPERM", "135: = 0", "135: EPERM"];
    assert_eq!(answers(&["--seccomp", &file], &by_capability), plain);
    let more = ["--seccomp", &file, "--cap", "SYS_ADMIN,SYS_PTRACE"];
    assert_eq!(answers(&more, &by_capability[..2]), ["272: = 0", "310: = 0"]);
}

#[test]
fn a_profile_too_large_for_a_filter_is_told() {
    let files = Files::new();
    let entries: Vec<Value> = (0..2000)
        .map(|value| {
            json!({"names": ["getppid"], "action": "SCMP_ACT_ERRNO",
                            "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]})
        })
        .collect();
    let file = files.profile(json!(entries));
    assert_error(simulate(&["--seccomp", &file]).arg("true"), 1, &[&file, "makes no seccomp filter", "4096"]);
}

#[test]
fn a_host_profile_gives_each_call_its_answer() {
    let files = Files::new();
    let host = |syscalls: Value| {
        files.write("host.json", json!({"version": 1, "host": "more", "syscalls": syscalls}).to_string())
    };
    let file =
        host(json!({"statx": "EPERM", "clone3": "ENOSYS", "getrandom": "answers", "getppid": "trapped"}));
    let lines = answers(&["--profile", &file], &[STATX.0, CLONE3.0, GETRANDOM.0, GETPPID]);
    assert_eq!(lines, ["332: EPERM", "435: ENOSYS", GETRANDOM.1, "110: SIGSYS"]);
    // What nobody knows is let through.
    let file = host(json!({"statx": "not asked", "clone3": "no answer"}));
    assert_eq!(answers(&["--profile", &file], &[STATX.0, CLONE3.0]), [STATX.1, CLONE3.1]);
    let file = host(json!({"getppid": "killed"}));
    let output = simulate(&["--profile", &file]).arg(program("raw_calls")).arg(GETPPID).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSYS));
    for (content, why) in [
        ("{".to_owned(), "it is no host profile: EOF"),
        ("{}".to_owned(), "missing field `version`"),
        (json!({"version": 1}).to_string(), "missing field `syscalls`"),
        (json!({"version": 2, "syscalls": []}).to_string(), "version 2, and this evercall reads version 1"),
        (json!({"version": 1, "syscalls": {"stax": "EPERM"}}).to_string(), "did you mean statx"),
        (json!({"version": 1, "syscalls": {"statx": "maybe"}}).to_string(), "statx: maybe is no answer"),
        (json!({"version": 1, "syscalls": {"statx": 38}}).to_string(), "line 1 column"),
    ] {
        let file = files.write("host.json", content);
        assert_error(simulate(&["--profile", &file]).arg("true"), 1, &[&format!("--profile: {file}: "), why]);
    }
}

/// All options combine: the strictest answer, and of two errnos that of the more particular option.
#[test]
fn of_several_hosts_the_strictest_answer_counts() {
    let files = Files::new();
    let seccomp =
        files.profile(json!([{"names": ["statx", "clone3"], "action": "SCMP_ACT_ERRNO", "errno": "EACCES"}]));
    let syscalls = json!({"statx": "EIO", "getrandom": "EIO"});
    let host = files.write("host.json", json!({"version": 1, "syscalls": syscalls}).to_string());
    let calls = [GETRANDOM.0, STATX.0, CLONE3.0];
    let mut options = vec!["--kernel", "3.10"];
    assert_eq!(answers(&options, &calls), ["318: ENOSYS", "332: ENOSYS", "435: ENOSYS"]);
    options.extend(["--seccomp", &seccomp]);
    assert_eq!(answers(&options, &calls), ["318: ENOSYS", "332: EACCES", "435: EACCES"]);
    options.extend(["--profile", &host]);
    assert_eq!(answers(&options, &calls), ["318: EIO", "332: EIO", "435: EACCES"]);
    options.extend(["--deny", "statx:EXDEV"]);
    assert_eq!(answers(&options, &calls), ["318: EIO", "332: EXDEV", "435: EACCES"]);
    options.rotate_right(2);
    assert_eq!(answers(&options, &calls), ["318: EIO", "332: EXDEV", "435: EACCES"], "whatever their order");
    options.extend(["--deny", "getrandom:TRAP"]);
    assert_eq!(answers(&options, &calls), ["318: SIGSYS"]);
    // One within the other adds up, too.
    let mut outer = simulate(&["--deny", "getppid:TRAP"]);
    let output =
        outer.args([EVERCALL, "simulate", "--deny", "getppid:EPERM", "--"]).arg(program("raw_calls"));
    assert_eq!(text(&output.arg(GETPPID).output().unwrap().stdout), "110: SIGSYS\n");
}

/// i386 programs are let through, but for a profile's default.
#[test]
fn programs_of_another_architecture_get_what_help_says() {
    let legacy = program("legacy.i386");
    let native = bare(&legacy).args(["ustat", "sysfs"]).output().unwrap();
    for options in [&["--deny", "ustat,sysfs"][..], &["--kernel", "2.6"]] {
        let output = simulate(options).arg(&legacy).args(["ustat", "sysfs"]).output().unwrap();
        assert_eq!(text(&output.stdout), text(&native.stdout), "{options:?}: {}", text(&output.stderr));
    }
    let files = Files::new();
    let profile = json!({"defaultAction": "SCMP_ACT_TRAP", "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]});
    let profile = files.write("trap.json", profile.to_string());
    let status = simulate(&["--seccomp", &profile]).arg(&legacy).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGSYS));
    let lines = answers(&["--deny", "getppid"], &[&(0x4000_0000_u64 + 110).to_string()]);
    assert_eq!(lines, ["1073741934: ENOSYS"], "a kernel without x32 answers that by itself");
}

/// no_new_privs is set only where the kernel asks for it.
#[test]
fn no_new_privs_is_left_alone_with_cap_sys_admin() {
    let status = |command: &mut Command| {
        let output = text(&command.output().unwrap().stdout);
        output.lines().find(|line| line.starts_with("NoNewPrivs:")).map(|line| line[11..].trim().to_owned())
    };
    // SAFETY: geteuid only gives a number.
    if unsafe { libc::geteuid() } != 0 {
        skip!("needs root");
    }
    let show = ["grep", "NoNewPrivs", "/proc/self/status"];
    assert_eq!(status(simulate(&["--deny", "ustat"]).args(show)).as_deref(), Some("0"));
    let files = Files::new();
    let copy = files.write("evercall", fs::read(EVERCALL).unwrap());
    succeed(Command::new("chmod").args(["755", &copy, files.0.path().to_str().unwrap()]));
    let mut nobody = bare("setpriv");
    nobody.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]);
    nobody.args([&copy, "simulate", "--deny", "ustat,getppid:EIO", "--kernel", "5.0", "--"]).args(show);
    assert_eq!(status(&mut nobody).as_deref(), Some("1"));
}

/// As users see an image on another host, and evercall at work there.
#[test]
fn evercall_run_works_within() {
    let legacy = program("legacy");
    let native = bare(&legacy).args(["ustat", "sysfs"]).output().unwrap();
    let deny = ["--deny", "ustat:EPERM,sysfs"];
    let refused = simulate(&deny).arg(&legacy).args(["ustat", "sysfs"]).output().unwrap();
    assert_ne!(text(&refused.stdout), text(&native.stdout));
    let mut command = simulate(&[&["--kernel", "4.18"], &deny[..]].concat());
    command.args([EVERCALL, "run", "--lib"]).arg(common::shim()).arg("--").arg(&legacy);
    let output = command.args(["ustat", "sysfs"]).output().unwrap();
    assert_eq!(text(&output.stdout), text(&native.stdout), "{}", text(&output.stderr));
}

#[test]
fn verbose_tells_the_filters() {
    let holds = ["--kernel 3.10: Allow for ", "--deny: Errno(38) for 2 calls, Allow for all others"];
    let mut command = bare(EVERCALL);
    command.args(["-v", "simulate", "--kernel", "3.10", "--deny", "statx,clone3", "true"]);
    assert_error(&mut command, 0, &holds);
}
