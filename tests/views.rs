//! What old programs see of the kernel: its release, its settings, /dev/random; and the rpm database on an overlay.

#[path = "common/ask.rs"]
mod ask;
mod common;

use common::{bare, command, program, shim, succeed, text};
use std::fs;
use std::process::{Command, Output};

const RELEASE: &str = "2.6.32-754.el6.x86_64";

/// A command under the shim.
fn under_shim(words: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = bare(words[0]);
    command.args(&words[1..]).env("LD_PRELOAD", shim()).envs(settings.iter().copied());
    command
}

fn python(code: &str, settings: &[(&str, &str)]) -> String {
    text(&succeed(&mut under_shim(&["python3", "-c", code], settings)).stdout)
}

/// A script run by sh in a mount namespace of its own, with the shim's path as $1 and a folder of its own as $2. None:
/// there is no such namespace here (the script says so by 111).
fn in_namespace(script: &str) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare("timeout");
    command.args(["60", "unshare", "-m", "sh", "-euc", script, "sh"]).arg(shim()).arg(folder.path());
    let output = command.output().unwrap();
    let missing = output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ");
    if missing {
        eprintln!("{}", text(&output.stderr));
        return None;
    }
    assert!(output.status.success(), "{script}: {}\n{}", output.status, text(&output.stderr));
    Some(output)
}

/// uname(2) by libc and by number, uname(1), the files, by every way to open them, children too.
#[test]
fn the_release_is_one_wherever_it_is_asked_for() {
    let ask = "
import ctypes, io, os, platform, subprocess, sys
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(390)
assert libc.syscall(63, buffer) == 0
print(buffer.raw[130:195].split(b'\\0')[0].decode())
print(os.uname().release); print(platform.release())
print(open('/proc/sys/kernel/osrelease').read().strip())
print(open('/proc/version').read().split(' ')[2])
print(subprocess.check_output(['uname', '-r']).decode().strip())
print(subprocess.check_output(['env', '-i', '/bin/cat', '/proc/sys/kernel/osrelease']).decode().strip())
print(subprocess.check_output(['sh', '-c', 'read a < /proc/sys/kernel/osrelease; echo $a']).decode().strip())
os.chdir('/proc'); print(open('version').read().split()[2])
libc.fopen.restype = ctypes.c_void_p
line = ctypes.create_string_buffer(100)
libc.fgets(line, 100, ctypes.c_void_p(libc.fopen(b'/proc/sys/kernel/osrelease', b'r')))
print(line.value.decode().strip())
";
    let lines = python(ask, &[("EVERCALL_UNAME", RELEASE)]);
    assert_eq!(lines.lines().collect::<Vec<_>>(), [RELEASE; 10]);
    let host = text(&succeed(bare("uname").arg("-r")).stdout);
    for off in
        [&[][..], &[("EVERCALL_UNAME", "off")], &[("EVERCALL_UNAME", "")], &[("EVERCALL_UNAME", "two words")]]
    {
        assert_eq!(python(ask, off), host.repeat(10), "{off:?}");
    }
    let too_long = "x".repeat(65);
    assert_eq!(python(ask, &[("EVERCALL_UNAME", &too_long)]), host.repeat(10));
    let longest = "x".repeat(64);
    assert_eq!(python(ask, &[("EVERCALL_UNAME", &longest)]), format!("{longest}\n").repeat(10));
}

/// The kernel's own answer to uname(2) but for the release, bad addresses among the questions.
#[test]
fn uname_is_the_kernels_but_for_its_release() {
    for place in ["buf:390", "deep:390", "edge:390", "edge:389", "ro:390", "null", "bad", "kernel", "none"] {
        let question = format!("uname {place}");
        let native = ask::answer(&mut ask::ask(), &format!("inline {question}"));
        for door in ["syscall", "symbol"] {
            let mut seen = ask::ask();
            seen.env("LD_PRELOAD", shim()).env("EVERCALL_UNAME", RELEASE);
            let seen = ask::answer(&mut seen, &format!("{door} {question}"));
            assert_eq!(ask::outcome(&seen), ask::outcome(&native), "{door} {question}");
            if ask::outcome(&native).starts_with('0') {
                let (mut due, seen) = (ask::buffer(&native, 0), ask::buffer(&seen, 0));
                due[130..195].fill(0);
                due[130..130 + RELEASE.len()].copy_from_slice(RELEASE.as_bytes());
                assert_eq!(text(&seen), text(&due));
            }
        }
    }
}

/// /proc/version but for its third word.
#[test]
fn the_version_keeps_its_other_words() {
    let native = fs::read_to_string("/proc/version").unwrap();
    let mut words: Vec<&str> = native.split(' ').collect();
    words[2] = RELEASE;
    let seen =
        text(&succeed(&mut under_shim(&["cat", "/proc/version"], &[("EVERCALL_UNAME", RELEASE)])).stdout);
    assert_eq!(seen, words.join(" "));
}

/// sysctl(2) of {CTL_KERN, KERN_OSRELEASE} agrees, where it is translated.
#[test]
fn the_binary_sysctl_agrees() {
    let ask = "
import ctypes
libc = ctypes.CDLL(None)
name = (ctypes.c_int * 2)(1, 2)
old = ctypes.create_string_buffer(100); length = ctypes.c_size_t(100)
class Args(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('nlen', ctypes.c_int), ('old', ctypes.c_void_p),
                ('oldlen', ctypes.c_void_p), ('new', ctypes.c_void_p), ('newlen', ctypes.c_size_t),
                ('spare', ctypes.c_ulong * 4)]
args = Args(ctypes.addressof(name), 2, ctypes.addressof(old), ctypes.addressof(length), None, 0)
assert libc.syscall(156, ctypes.byref(args)) == 0
print(old.value.decode())
";
    assert_eq!(python(ask, &[("EVERCALL_UNAME", RELEASE)]), format!("{RELEASE}\n"));
}

const SETTING: &str = "/proc/sys/kernel/sched_latency_ns";

/// Gone settings: not there by default; with EVERCALL_PRETEND they read as their old default, take what is written,
/// and forget it; and the log tells, also where it is off.
#[test]
fn gone_settings_are_swallowed_where_asked() {
    if fs::exists(SETTING).unwrap() {
        skip!("this kernel still has {SETTING}");
    }
    let write = format!("cat {SETTING} && echo 5 > {SETTING} && cat {SETTING} && test -w {SETTING}");
    let run = |settings: &[(&str, &str)]| under_shim(&["sh", "-c", &write], settings).output().unwrap();
    for off in [&[][..], &[("EVERCALL_PRETEND", "off")], &[("EVERCALL_PRETEND", "on"), ("EVERCALL", "off")]] {
        assert!(!run(off).status.success());
    }
    if !ask::is_root() {
        skip!("the settings are root's to write");
    }
    for log in [None, Some("off"), Some("all"), Some("count"), Some("first")] {
        let mut settings = vec![("EVERCALL_PRETEND", "on")];
        settings.extend(log.map(|log| ("EVERCALL_LOG", log)));
        let output = run(&settings);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "24000000\n24000000\n");
        let told = text(&output.stderr);
        let lines = told.lines().filter(|line| line.contains("swallowed_settings: ")).count();
        assert!(lines >= 3, "{log:?}: {told}");
        assert!(told.contains("flags=0x241)") && told.contains("what is written is dropped"), "{told}");
    }
    // Off, nothing else is told.
    let quiet =
        under_shim(&["true"], &[("EVERCALL_PRETEND", "on"), ("EVERCALL_COLOUR", "red")]).output().unwrap();
    assert_eq!(text(&quiet.stderr), "");
}

/// What root alone could write nobody else can, and on a read-only /proc not even root.
#[test]
fn a_swallowed_write_needs_the_right_to_write() {
    if fs::exists(SETTING).unwrap() || !ask::is_root() {
        skip!("needs root, and a kernel without {SETTING}");
    }
    let try_all = format!(
        "
import os
def attempt(what):
    try: what(); return 'done'
    except OSError as error: return error.strerror
print(attempt(lambda: open('{SETTING}', 'w').close()), '/',
      attempt(lambda: os.open('{SETTING}', os.O_RDWR)), '/', os.access('{SETTING}', os.W_OK), '/', open('{SETTING}').read().strip())
"
    );
    let nobody = ask::Nobody::new();
    let library = nobody.ask(None);
    let library = library
        .get_args()
        .find_map(|word| word.to_str()?.strip_prefix("LD_PRELOAD=").map(str::to_owned))
        .unwrap();
    let mut as_nobody = bare("setpriv");
    as_nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", &try_all]);
    as_nobody.env("LD_PRELOAD", library).env("EVERCALL_PRETEND", "on");
    let denied = "Permission denied / Permission denied / False / 24000000\n";
    assert_eq!(text(&succeed(&mut as_nobody).stdout), denied);
    let script = "mount -o bind,ro /proc/sys /proc/sys || exit 111
        LD_PRELOAD=$1 EVERCALL_PRETEND=on python3 -c \"$TRY\"";
    let mut command = bare("unshare");
    command.args(["-m", "sh", "-euc", script, "sh"]).arg(shim()).env("TRY", &try_all);
    let output = command.output().unwrap();
    if output.status.code() == Some(111) {
        skip!("no mount namespace");
    }
    let read_only = "Read-only file system / Read-only file system / False / 24000000\n";
    assert_eq!(text(&output.stdout), read_only, "{}", text(&output.stderr));
}

/// The sign of a host before 5.6 (its read_wakeup_threshold) is put where this kernel has none.
#[test]
fn a_random_that_blocks_is_exchanged() {
    let ask = "sh -c 'exec 3</dev/random; readlink /proc/self/fd/3; exec 3<>/dev/random; readlink /proc/self/fd/3'
        python3 -c \"
import ctypes, os
f = open('/dev/random', 'rb', 0); print(os.readlink('/proc/self/fd/%d' % f.fileno())); assert len(f.read(64)) == 64
f = os.open('random', os.O_RDONLY, dir_fd=os.open('/dev', os.O_RDONLY)); print(os.readlink('/proc/self/fd/%d' % f))
libc = ctypes.CDLL(None); libc.fopen.restype = ctypes.c_void_p
s = ctypes.c_void_p(libc.fopen(b'/dev/random', b'r')); print(os.readlink('/proc/self/fd/%d' % libc.fileno(s)))
\"";
    let old = "mount -t tmpfs none /proc/sys/kernel/random && : > /proc/sys/kernel/random/read_wakeup_threshold || exit 111";
    let run = |before: &str| in_namespace(&format!("{before}\nexport LD_PRELOAD=$1\n{ask}"));
    let Some(exchanged) = run(old) else { skip!("no mount namespace") };
    assert_eq!(
        text(&exchanged.stdout),
        "/dev/urandom\n/dev/random\n/dev/urandom\n/dev/urandom\n/dev/urandom\n"
    );
    if fs::exists("/proc/sys/kernel/random/read_wakeup_threshold").unwrap() {
        skip!("this kernel has the old pool");
    }
    let Some(kept) = run("true") else { skip!("no mount namespace") };
    assert_eq!(text(&kept.stdout), "/dev/random\n".repeat(5));
    // Another file of that name is left alone.
    let other = format!(
        "{old}; echo x > \"$2/r\"; mount --bind \"$2/r\" /dev/random; LD_PRELOAD=$1 sh -c 'exec 3</dev/random; readlink /proc/self/fd/3'"
    );
    let Some(other) = in_namespace(&other) else { skip!("no mount namespace") };
    assert_eq!(text(&other.stdout), "/dev/random\n");
}

/// Opened to be read and then to be written, a file of the lower folder is two files (moby/moby#10180): what is mapped
/// through the first does not see what is written through the second. Under the shim it is one.
#[test]
fn the_rpm_database_is_copied_up_before_it_is_read() {
    let ask = "
import mmap, os
def shared(path):
    r = os.open(path, os.O_RDONLY)
    seen = mmap.mmap(r, 4, mmap.MAP_SHARED, mmap.PROT_READ)
    w = os.open(path, os.O_RDWR)
    os.pwrite(w, b'new!', 0)
    flags = os.fstat(r).st_size, os.get_inheritable(r)
    return seen[:] == b'new!' and flags == (4, False)
print(shared('/var/lib/rpm/Packages'), shared('/var/lib/rpm/other'))
";
    let script = format!(
        "mount -t tmpfs none /var/lib && mkdir /var/lib/rpm || exit 111
        mount -t tmpfs none \"$2\" && mkdir \"$2/lower\" \"$2/upper\" \"$2/work\" || exit 111
        for name in Packages other; do printf old! > \"$2/lower/$name\"; done
        mount -t overlay overlay -o \"lowerdir=$2/lower,upperdir=$2/upper,workdir=$2/work\" /var/lib/rpm || exit 111
        $RUN python3 -c \"{ask}\""
    );
    let bare_run = in_namespace(&script.replace("$RUN", "env"));
    let shim_run = in_namespace(&script.replace("$RUN", "env LD_PRELOAD=$1"));
    let (Some(bare_run), Some(shim_run)) = (bare_run, shim_run) else {
        skip!("no mount namespace with an overlay")
    };
    assert_eq!(text(&bare_run.stdout), "False False\n", "the fault is not there any more");
    assert_eq!(text(&shim_run.stdout), "True False\n");
}

/// A file that may not be written is read as it is.
#[test]
fn a_read_only_rpm_database_is_read() {
    let script = "mount -t tmpfs none /var/lib && mkdir /var/lib/rpm || exit 111
        mount -t tmpfs none \"$2\" && mkdir \"$2/lower\" \"$2/other\" || exit 111
        echo data > \"$2/lower/Packages\"
        mount -t overlay overlay -o \"lowerdir=$2/lower:$2/other\" /var/lib/rpm || exit 111
        LD_PRELOAD=$1 cat /var/lib/rpm/Packages";
    let output = in_namespace(script);
    let Some(output) = output else { skip!("no mount namespace with an overlay") };
    assert_eq!(text(&output.stdout), "data\n");
}

/// The list of usbfs (removed in 3.5) is in debugfs today; where that is not mounted, it is as missing as it was.
#[test]
fn the_list_of_usb_devices_has_another_name() {
    let script = "mount -t tmpfs none /sys/kernel/debug && mkdir /sys/kernel/debug/usb || exit 111
        LD_PRELOAD=$1 cat /proc/bus/usb/devices 2>/dev/null && exit 1
        echo 'T:  Bus=01' > /sys/kernel/debug/usb/devices
        LD_PRELOAD=$1 cat /proc/bus/usb/devices; cat /proc/bus/usb/devices 2>/dev/null && exit 1; exit 0";
    if fs::exists("/proc/bus/usb/devices").unwrap() {
        skip!("this kernel has usbfs");
    }
    let Some(output) = in_namespace(script) else {
        skip!("no mount namespace, or no debugfs in this kernel")
    };
    assert_eq!(text(&output.stdout), "T:  Bus=01\n");
}

/// `evercall run` passes the settings on, sections name programs.
#[test]
fn sections_give_programs_a_release_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("conf");
    fs::write(&conf, format!("[uname]\nuname = {RELEASE}\n[cat*]\nuname = 3.10.0\n")).unwrap();
    let script = format!(
        "mount -t tmpfs none \"$2\" && mkdir \"$2/upper\" \"$2/work\" &&
        mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$2/upper,workdir=$2/work\" /etc || exit 111
        cp {} /etc/evercall.conf
        {} run -- uname -r; export LD_PRELOAD=$1; cat /proc/sys/kernel/osrelease; head -1 /proc/sys/kernel/osrelease",
        conf.display(),
        command().display()
    );
    let Some(output) = in_namespace(&script) else { skip!("no mount namespace with an overlay") };
    let host = text(&succeed(bare("uname").arg("-r")).stdout);
    assert_eq!(text(&output.stdout), format!("{RELEASE}\n3.10.0\n{host}"));
    let _ = program("limits");
}
