//! Old programs in a container with limits, on real kernels with cgroup v2 alone: bare they see the machine, under
//! evercall the container; programs that know v2 see the container either way. `make test-kernels` runs the short test,
//! `make test-clients` all of it.

#[path = "../common/mod.rs"]
mod common;
#[path = "../kernels/console.rs"]
#[allow(dead_code, reason = "the records are another test's")]
mod console;
#[path = "../kernels/initramfs.rs"]
mod initramfs;

use common::{root, shim, text};
use initramfs::{Archive, needed, read};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A guest that prints nothing for so long hangs, and one that takes so long in all.
const SILENCE: Duration = Duration::from_secs(120);
const TOTAL: Duration = Duration::from_secs(600);

/// What the answers must be. The guest has 3 GiB and 4 processors, the container 512 MiB and 1.5.
enum Due {
    /// A number over the first bare, and these under evercall.
    Container { bare_over: u64, bare_rest: &'static [u64], ours: &'static [u64] },
    /// The same, by these numbers, bare and under evercall.
    Same(&'static [u64]),
    /// Of a program that knows v2: so on kernels that list all controllers; where they are missing, it sees the machine
    /// bare.
    SameOrRepaired(&'static [u64]),
}

/// A program.
struct Client {
    name: &'static str,
    /// In the guest's shell.
    words: &'static str,
    due: Due,
}

const QUARTER: u64 = 134_217_728;
const MACHINE: u64 = 600_000_000;
/// V8's limit for 512 MiB (Heap::MaxOldGenerationSizeFromPhysicalMemory), as Node prints it.
const V8: u64 = 271_581_184;

/// The short ones: nothing longer than a JVM's start, which takes ten seconds in a guest.
const SHORT: [Client; 4] = [
    Client {
        name: "java11",
        words: "/c/java11/bin/java",
        due: Due::Container { bare_over: MACHINE, bare_rest: &[4], ours: &[QUARTER, 2] },
    },
    Client {
        name: "node12",
        words: "/c/node12/node -p 'require(\"v8\").getHeapStatistics().heap_size_limit'",
        due: Due::Container { bare_over: MACHINE, bare_rest: &[], ours: &[V8] },
    },
    Client {
        name: "dask",
        words: "/usr/bin/python3 -c 'import sys; sys.path.insert(0, \"/c/python\"); from dask_system import CPU_COUNT; \
                print(CPU_COUNT)'",
        due: Due::Container { bare_over: 3, bare_rest: &[], ours: &[2] },
    },
    Client {
        name: "shell",
        words: "/usr/bin/cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        due: Due::Container { bare_over: 0, bare_rest: &[], ours: &[536_870_912, 150_000] },
    },
];

/// The others.
const MORE: [Client; 4] = [
    Client {
        name: "node16",
        words: "/c/node16/node -p 'require(\"v8\").getHeapStatistics().heap_size_limit'",
        due: Due::Container { bare_over: MACHINE, bare_rest: &[], ours: &[V8] },
    },
    Client {
        name: "loky",
        words: "/usr/bin/python3 -c 'import sys; sys.path.insert(0, \"/c/python\"); from loky.backend.context import \
                cpu_count; print(cpu_count())'",
        due: Due::Container { bare_over: 3, bare_rest: &[], ours: &[2] },
    },
    Client { name: "java", words: "/c/java/bin/java", due: Due::SameOrRepaired(&[QUARTER, 2]) },
    Client {
        name: "node",
        words: "/c/node -p '[require(\"v8\").getHeapStatistics().heap_size_limit, process.constrainedMemory()].join(\" \")'",
        due: Due::Same(&[V8, 536_870_912]),
    },
];

/// The numbers of an answer. Anything else is in it as 0, so that an error is no number that is due.
fn numbers(answer: &str) -> Vec<u64> {
    answer.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
}

impl Client {
    fn judge(&self, bare: &str, ours: &str) -> Result<(), String> {
        let (bare, ours) = (numbers(bare), numbers(ours));
        let of_machine = |over: u64, rest: &[u64]| {
            bare.first().is_some_and(|first| *first > over) && (rest.is_empty() || bare[1..] == *rest)
        };
        let right = match &self.due {
            // An error has no number.
            Due::Container { bare_over: 0, ours: due, .. } => bare.iter().all(|n| *n == 0) && ours == *due,
            Due::Container { bare_over, bare_rest, ours: due } => {
                of_machine(*bare_over, bare_rest) && ours == *due
            }
            Due::Same(due) => bare == *due && ours == *due,
            Due::SameOrRepaired(due) => (bare == *due || of_machine(MACHINE, &[4])) && ours == *due,
        };
        if right { Ok(()) } else { Err(format!("{}: bare {bare:?}, under evercall {ours:?}", self.name)) }
    }
}

/// The short clients, where kernels still list every controller.
#[test]
fn old_programs_see_their_container() {
    check("trixie", &SHORT);
}

/// All of them, also on the newest kernel, which lists v1's controllers alone.
#[test]
#[ignore = "takes minutes: make test-clients"]
fn all_clients_on_all_kernels() {
    let clients: Vec<Client> = SHORT.into_iter().chain(MORE).collect();
    check("trixie", &clients);
    check("sid", &clients);
}

fn check(suite: &str, clients: &[Client]) {
    let (kernel, folder) =
        match (fetched("kernels/fetch.sh", &[suite]), fetched("cgroup_kernels/clients.sh", &[])) {
            (Ok(kernel), Ok(clients)) => (kernel, clients),
            (Err(error), _) | (_, Err(error)) => skip!("{suite}: {error}"),
        };
    let mut initramfs = tempfile::NamedTempFile::new().unwrap();
    initramfs.write_all(&guest(clients, &folder).finish()).unwrap();
    let began = Instant::now();
    let mut machine = console::guest(&kernel, initramfs.path(), [4, 3072], "loglevel=4");
    let console =
        console::run(&mut machine, SILENCE, TOTAL).unwrap_or_else(|error| panic!("{suite}: {error}"));
    let answers: BTreeMap<(&str, &str), &str> = console
        .lines()
        .filter_map(|line| line.trim().split_once("@ "))
        .map(|(_, line)| line)
        .filter_map(|line| {
            let (how, rest) = line.split_once(' ')?;
            let (name, answer) = rest.split_once(' ').unwrap_or((rest, ""));
            Some(((how, name), answer))
        })
        .collect();
    let mut out = std::io::stdout();
    let release =
        answers.get(&("kernel", "release")).unwrap_or_else(|| panic!("{suite}: no answer:\n{console}"));
    writeln!(out, "\n{release} ({} s)", began.elapsed().as_secs()).unwrap();
    let mut wrong = Vec::new();
    for client in clients {
        let of = |how| answers.get(&(how, client.name)).copied().unwrap_or("nothing");
        writeln!(out, "  {:<8} bare {:<24} under evercall {}", client.name, of("bare"), of("evercall"))
            .unwrap();
        wrong.extend(client.judge(of("bare"), of("evercall")).err());
    }
    assert!(wrong.is_empty(), "{release}:\n{}\n{console}", wrong.join("\n"));
}

/// The folder that a script prints.
fn fetched(script: &str, words: &[&str]) -> Result<PathBuf, String> {
    let script = root().join("tests").join(script);
    let output = Command::new(&script)
        .args(words)
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", script.display(), text(&output.stderr)));
    }
    Ok(PathBuf::from(text(&output.stdout).trim()))
}

/// The root of the guest: the clients of this run with what they need.
fn guest(clients: &[Client], folder: &Path) -> Archive {
    let mut tree = Tree::default();
    let init = root().join("tests/cgroup_kernels/init.sh");
    tree.archive.add("/init", true, &read(&init));
    tree.archive.add("/evercall/libevercall.so", true, &read(&shim()));
    for program in ["busybox", "unshare", "cat", "python3"] {
        let to = if program == "busybox" { "/bin/busybox".into() } else { format!("/usr/bin/{program}") };
        tree.file(Path::new("/usr/bin").join(program).as_path(), &to);
    }
    let library = fs::canonicalize("/usr/bin/python3").unwrap();
    let library = format!("/usr/lib/{}", library.file_name().unwrap().to_str().unwrap());
    tree.folder(
        Path::new(&library),
        &library,
        &["test", "idlelib", "tkinter", "lib2to3", "ensurepip", "pydoc_data", "__pycache__"],
    );
    let mut list = String::new();
    for client in clients {
        list += &format!("{} {}\n", client.name, client.words);
        match client.name {
            "java" => {
                let java = fs::canonicalize("/usr/bin/java")
                    .expect("a java of today, as install-needed.sh puts it here");
                tree.folder(
                    java.parent().unwrap().parent().unwrap(),
                    "/c/java",
                    &["jmods", "man", "docs", "include", "src.zip", "ct.sym"],
                );
            }
            "node" => tree.file(Path::new("/usr/bin/node"), "/c/node"),
            "dask" | "loky" => tree.folder(&folder.join("python"), "/c/python", &[]),
            "shell" => {}
            name => tree.folder(&folder.join(name), &format!("/c/{name}"), &["ct.sym"]),
        }
    }
    tree.archive.add("/clients", false, list.as_bytes());
    tree.archive
}

/// An archive that brings the libraries of its programs along.
#[derive(Default)]
struct Tree {
    archive: Archive,
    seen: BTreeSet<PathBuf>,
}

impl Tree {
    /// Adds a file, wherever links lead; a broken link is left out.
    fn file(&mut self, from: &Path, to: &str) {
        let Ok(file) = fs::metadata(from) else { return };
        let executable = file.permissions().mode() & 0o111 != 0;
        let content = read(from);
        self.archive.add(to, executable, &content);
        let name = from.to_string_lossy();
        let may_need = content.starts_with(b"\x7fELF") && (executable || name.contains(".so"));
        if may_need {
            for library in libraries(from) {
                // What stands beside it is found there.
                let beside = library.starts_with("/c") || library.starts_with(from.parent().unwrap());
                if !beside && self.seen.insert(library.clone()) {
                    self.archive.add(library.to_str().unwrap(), true, &read(&library));
                }
            }
        }
    }

    /// Adds a folder without some names.
    fn folder(&mut self, from: &Path, to: &str, without: &[&str]) {
        let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        for entry in entries {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let (path, to) = (from.join(&name), format!("{to}/{name}"));
            if without.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                self.folder(&path, &to, without);
            } else {
                self.file(&path, &to);
            }
        }
    }
}

/// What a program or library needs, as the loader lists it.
fn libraries(file: &Path) -> Vec<PathBuf> {
    let of_program = needed(file);
    if !of_program.is_empty() {
        return of_program;
    }
    let output = Command::new("/lib64/ld-linux-x86-64.so.2").arg("--list").arg(file).output().unwrap();
    let listed = text(&output.stdout);
    let lines = listed
        .lines()
        .filter_map(|line| line.rsplit_once(" ("))
        .filter_map(|(line, _)| line.rsplit_once("=> "));
    lines.map(|(_, path)| PathBuf::from(path.trim())).filter(|path| path.is_absolute()).collect()
}
