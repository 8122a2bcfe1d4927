//! Shared memory and named semaphores without /dev/shm: as libc's own with it, and Python's multiprocessing lives.

mod common;

use common::{bare, shim, succeed, text};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

/// Hides /dev/shm and gives /tmp anew, in this namespace: then runs the rest with the shim's path as $1.
const WITHOUT: &str = r#"
    mkdir "$2/d" && mount --bind /dev "$2/d" && mount -t tmpfs none /dev || exit 111
    for name in null zero urandom random tty; do : > /dev/$name; mount --bind "$2/d/$name" /dev/$name || exit 111; done
    mount -t tmpfs none /tmp || exit 111
"#;

/// A script where there is no /dev/shm. None: this machine cannot.
fn without_dev_shm(script: &str, words: &[&str]) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare("timeout");
    command.args(["100", "unshare", "-m", "sh", "-euc", &format!("{WITHOUT}\n{script}"), "sh"]);
    let output = command.arg(shim()).arg(folder.path()).args(words).output().unwrap();
    if output.status.code() == Some(111) || text(&output.stderr).starts_with("unshare: ") {
        eprintln!("{}", text(&output.stderr));
        return None;
    }
    Some(output)
}

/// What a program does by both interfaces, and what came of it, a line each.
const USE: &str = r#"
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
libc.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
for name in ("wait", "trywait", "post", "close"): getattr(libc, "sem_" + name).argtypes = [ctypes.c_void_p]
libc.sem_getvalue.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
def told(what, result):
    failed = result in (-1, None)
    print(what, "failed %d" % ctypes.get_errno() if failed else "done" if result > 0 else result)
    return result
def value(semaphore):
    number = ctypes.c_int(); libc.sem_getvalue(semaphore, ctypes.byref(number)); return number.value
base = b"/evercall-%d" % os.getppid()
names = [base, base[1:], b"//" + base, b"", b"/", b"/a/b", base + b"x" * (255 - len(base)), base + b"x" * (256 - len(base)), base + b"x" * (257 - len(base)), base + b"x" * (260 - len(base)), base + b"x" * (261 - len(base)), base + b"x" * 300, base + b"y" * (251 - len(base)), base + b"z" * (252 - len(base)), b"///", base + b" %\xc3\xa4"]
C, X, RW, RO = os.O_CREAT, os.O_EXCL, os.O_RDWR, os.O_RDONLY
os.umask(0o022)
for name in names:
    for flags in (RW, C | RW, C | X | RW, RO, C | RO, RW | os.O_TRUNC):
        fd = told("shm %r %o" % (name.replace(base[1:], b"*"), flags), libc.shm_open(name, flags, 0o644))
        if fd >= 0:
            stat = os.fstat(fd)
            print(oct(stat.st_mode), stat.st_size, os.get_inheritable(fd), flags & 3 != RO and os.write(fd, b"some"), fd)
            os.close(fd)
    told("unlink", libc.shm_unlink(name)); told("unlink", libc.shm_unlink(name))
    for flags in (0, C, C | X, 0, RW):
        semaphore = told("sem %r %o" % (name.replace(base[1:], b"*"), flags), libc.sem_open(name, flags, 0o600, 3))
        if semaphore:
            print(value(semaphore), libc.sem_trywait(semaphore), value(semaphore), told("close", libc.sem_close(semaphore)))
    told("unlink", libc.sem_unlink(name)); told("unlink", libc.sem_unlink(name))
told("too much", libc.sem_open(base, C, 0o600, 2 ** 31))
told("bad", libc.shm_open(ctypes.c_void_p(1), RW, 0)) if False else None
semaphore = libc.sem_open(base, C | X, 0o600, 0)
if os.fork() == 0:
    mine = libc.sem_open(base, 0, 0, 0)
    libc.sem_post(mine); libc.sem_post(mine); os._exit(0)
told("wait", libc.sem_wait(semaphore)); told("wait", libc.sem_wait(semaphore))
os.wait(); print(value(semaphore)); told("unlink", libc.sem_unlink(base))
told("close", libc.sem_close(semaphore))
"#;

/// Forced where there is a /dev/shm, and natively: the same, flag by flag and name by name.
#[test]
fn semaphores_are_libcs() {
    let run = |settings: &[&str]| {
        let mut command = bare("unshare");
        command.args(["-m", "sh", "-c", "mount -t tmpfs none /tmp || exit 111; exec \"$@\"", "sh", "env"]);
        let output = command.args(settings).args(["/usr/bin/python3", "-c", USE]).output().unwrap();
        output.status.success().then(|| text(&output.stdout))
    };
    let preload = format!("LD_PRELOAD={}", shim().display());
    let (Some(native), Some(forced)) = (run(&["A=1"]), run(&[&preload, "EVERCALL_FORCE=shared_memory"]))
    else {
        skip!("no mount namespace")
    };
    assert!(native.lines().count() > 200, "{native}");
    for (native, forced) in native.lines().zip(forced.lines()) {
        assert_eq!(forced, native);
    }
    assert_eq!(forced, native);
    let Some(missing) = without_dev_shm("export LD_PRELOAD=$1; exec /usr/bin/python3 -c \"$3\"", &[USE])
    else {
        skip!("no mount namespace")
    };
    assert_eq!(text(&missing.stdout), native, "{}", text(&missing.stderr));
}

const MULTIPROCESSING: &str = r#"
import multiprocessing as m
from multiprocessing import shared_memory
def square(n): return n * n
def add(lock, name):
    block = shared_memory.SharedMemory(name)
    for _ in range(200):
        with lock: block.buf[0], block.buf[1] = (block.buf[0] + 1) % 100, block.buf[1] + (block.buf[0] == 99)
    block.close()
def raise_both(value, array): value.value += 2; array[2] = 1.5
if __name__ == "__main__":
    with m.Pool(3) as pool: print(sum(pool.map(square, range(100))))
    lock, total = m.Lock(), shared_memory.SharedMemory(create=True, size=10)
    workers = [m.Process(target=add, args=(lock, total.name)) for _ in range(4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    print(total.buf[1] * 100 + total.buf[0])
    total.close(); total.unlink()
    block = shared_memory.SharedMemory(create=True, size=1000)
    other = shared_memory.SharedMemory(block.name); other.buf[5] = 7; print(block.buf[5])
    other.close(); block.close(); block.unlink()
    value, array = m.Value("i", 5), m.Array("d", 3)
    worker = m.Process(target=raise_both, args=(value, array)); worker.start(); worker.join(); print(value.value, array[2])
    queue = m.Queue(); queue.put("alive"); print(queue.get())
"#;

/// Bare it dies of it (joblib/loky#42, celery/celery#185), and under the shim it lives; nothing is left behind.
#[test]
fn multiprocessing_lives_without_dev_shm() {
    let script = "echo \"$3\" > /tmp/m.py; $RUN /usr/bin/python3 /tmp/m.py; ls -A /tmp/evercall-shm-0 2>/dev/null; exit 0";
    let (Some(bare), Some(seen)) = (
        without_dev_shm(&script.replace("$RUN", "env"), &[MULTIPROCESSING]),
        without_dev_shm(&script.replace("$RUN", "env LD_PRELOAD=$1 EVERCALL_LOG=first"), &[MULTIPROCESSING]),
    ) else {
        skip!("no mount namespace")
    };
    let said = text(&bare.stderr);
    assert!(said.contains("FileNotFoundError") || said.contains("Function not implemented"), "{said}");
    assert_eq!(text(&seen.stdout), "328350\n800\n7\n7 1.5\nalive\n", "{}", text(&seen.stderr));
    assert!(text(&seen.stderr).contains("shared_memory: shared_memory(name="), "{}", text(&seen.stderr));
}

/// To statfs and statvfs it is full, and to nobody else it is there: Python's heap of shared values goes to /tmp.
#[test]
fn a_missing_folder_has_no_room() {
    const ASK: &str = r#"
import ctypes, multiprocessing as m, os
def asked(call, *path):
    try: return call(*path)
    except OSError as error: return error.errno
full = asked(os.statvfs, "/dev/shm")
print(full if isinstance(full, int) else (full.f_blocks, full.f_bavail, full.f_frsize > 0))
raw = (ctypes.c_ulong * 16)()
print(ctypes.CDLL(None).statfs(b"/dev/shm", raw), hex(raw[0]), raw[2], raw[4])
print([asked(call, "/dev/shm") for call in (os.stat, os.listdir, os.readlink)], os.path.exists("/dev/shm"))
print(asked(os.statvfs, "/dev/shm/x"), asked(os.open, "/dev/shm", os.O_CREAT | os.O_EXCL))
"#;
    let run = |environment: &str| {
        without_dev_shm(&format!("exec env {environment} /usr/bin/python3 -c \"$3\""), &[ASK])
    };
    let (Some(bare), Some(seen)) = (run("A=1"), run("LD_PRELOAD=$1 EVERCALL_LOG=all")) else {
        skip!("no mount namespace")
    };
    assert_eq!(text(&bare.stdout).lines().take(2).collect::<Vec<_>>(), ["2", "-1 0x0 0 0"]);
    let due = "(0, 0, True)\n0 0x1021994 0 0\n[2, 2, 2] False\n";
    let said = text(&seen.stdout);
    assert!(said.starts_with(due), "{said}{}", text(&seen.stderr));
    let rest = |output: &Output| text(&output.stdout).lines().nth(3).map(str::to_owned);
    // A descriptor's number.
    assert_eq!(rest(&seen), rest(&bare));
    assert!(text(&seen.stderr).contains("a file system without room"), "{}", text(&seen.stderr));
}

/// A folder that is another's, that others may look into, or that is a link is not taken.
#[test]
fn a_folder_that_is_not_safe_is_not_taken() {
    let open = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.shm_open(b'/x', 66, 0o600), ctypes.get_errno())";
    for (make, due) in [
        ("mkdir -m 755 /tmp/evercall-shm-0", "-1 13\n"),
        ("mkdir -m 701 /tmp/evercall-shm-0", "-1 13\n"),
        ("mkdir -m 700 /tmp/evercall-shm-0; chown 65534 /tmp/evercall-shm-0", "-1 13\n"),
        ("mkdir -m 700 /tmp/o; ln -s o /tmp/evercall-shm-0", "-1 20\n"),
        (": > /tmp/evercall-shm-0", "-1 20\n"),
        ("mkdir -m 700 /tmp/evercall-shm-0; ln -s /tmp/victim /tmp/evercall-shm-0/x", "-1 40\n"),
        ("mkdir -m 700 /tmp/evercall-shm-0", "3 0\n"),
        ("true", "3 0\n"),
    ] {
        let script = format!("{make}\nLD_PRELOAD=$1 /usr/bin/python3 -c \"$3\"; test ! -e /tmp/victim");
        let Some(output) = without_dev_shm(&script, &[open]) else { skip!("no mount namespace") };
        assert_eq!(text(&output.stdout), due, "{make}: {}", text(&output.stderr));
    }
}

/// Where there is a /dev/shm its answers stand, refusals too.
#[test]
fn a_dev_shm_that_is_there_is_used() {
    let mut command = bare("/usr/bin/python3");
    let name = format!("evercall-{}", std::process::id());
    let code = format!("import ctypes; print(ctypes.CDLL(None).shm_open(b'/{name}', 66, 0o600))");
    let output = succeed(command.args(["-c", &code]).env("LD_PRELOAD", shim()).env("EVERCALL_LOG", "all"));
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("3\n", ""));
    let file = std::path::Path::new("/dev/shm").join(name);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(file).unwrap();
}
