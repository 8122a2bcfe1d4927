//! What help and man pages say beyond the options: exit status, environment, files.

mod layer;

use crate::output::wrap;
use clap_mangen::Man;
pub use layer::LAYER;
use roff::{Roff, bold, roman};
use std::fmt::Write as _;
use std::io;

/// A section: its title, and its entries as term and text. One with the title of the one before continues it.
pub type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// The date in a man page's title: empty, and quoted, since the arguments behind it would take its place otherwise.
pub const NO_DATE: &str = "\"\"";

/// Columns of the text in help.
const HELP_WIDTH: usize = 80;

/// The variables of the environment, which are the keys of `/etc/evercall.conf`, too.
pub const VARIABLES: Section = (
    "ENVIRONMENT",
    &[
        ("EVERCALL", "off (also 0, no, false) switches evercall off, before it does anything else"),
        ("EVERCALL_LOG", "which translated calls are logged: off (the default), first, all, count"),
        ("EVERCALL_LOG_FORMAT", "the form of the log's lines: text (the default) or json"),
        ("EVERCALL_LOG_TO", "where the log goes: stderr (the default), fd:N, or the absolute path of a file"),
        ("EVERCALL_FORCE", "rules that act though the host would answer, divided by commas, or all"),
        ("EVERCALL_NOFILE", "the cap on RLIMIT_NOFILE: auto (1048576, the default), off, or a number"),
        (
            "EVERCALL_NOFILE_CLAMP",
            "on: a RLIMIT_NOFILE that a program sets later above the cap is lowered to it; off (the default)",
        ),
        (
            "EVERCALL_UNAME",
            "the kernel's release as uname(2), /proc/version and /proc/sys/kernel/osrelease tell it, such as \
             2.6.32-754.el6.x86_64; off (the default: the host's)",
        ),
        (
            "EVERCALL_RESOURCES",
            "cgroup: sysinfo(2), sysconf(3), /proc/meminfo, /proc/cpuinfo and the processors that are online, as the \
             control group limits them; host (the default)",
        ),
        (
            "EVERCALL_CPUINFO",
            "short: lines of /proc/cpuinfo are cut to 1000 bytes, which hides processor flags; off (the default)",
        ),
        (
            "EVERCALL_PRETEND",
            "on: settings under /proc/sys that are gone (net.ipv4.tcp_tw_recycle, kernel.sched_*_ns) read as their \
             old default, and what root writes to them is dropped. Logged even where the log is off; off (the default)",
        ),
        (
            "EVERCALL_TUNABLES",
            "what is added to the GLIBC_TUNABLES of each program that is executed, as NAME=VALUE:NAME=VALUE. A \
             tunable that the program would get anyway keeps its value",
        ),
        (
            "EVERCALL_VSYSCALL",
            "where calls of the vsyscall page are answered: on (everywhere), auto (the default: in static programs, \
             and where the libc is one that makes them), off",
        ),
        (
            "EVERCALL_FILTER",
            "whether a seccomp filter of evercall's answers ENOSYS where the host's refuses a call with EPERM: auto \
             (the default: where no_new_privs is set, CAP_SYS_ADMIN is held, or the image holds no privileged \
             program), on (sets no_new_privs), off",
        ),
        (
            "EVERCALL_PRIVILEGED_PROGRAMS",
            "whether the image holds setuid, setgid or file-capability programs: some (the default), none",
        ),
        (
            "EVERCALL_CGROUP",
            "which cgroup a program is shown on a host with v2 alone: auto (the default: v1 for Java before 8u372, \
             11.0.16 and 15 and .NET before 5, which then see their container's limits and choose smaller heaps; v2 for \
             others, with v1's files where they look for them), v1, v2, off",
        ),
        ("EVERCALL_KEEP", "off: do not put the preload back when a program clears its environment"),
    ],
);

/// The variables that are settings.
#[cfg(test)]
pub fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.1.iter().map(|(name, _)| *name)
}

const FILES: Section = (
    "FILES",
    &[(
        "/etc/evercall.conf",
        "the same settings, one `key = value` a line, the keys being the variables' names in small letters \
         without EVERCALL_ (and evercall = off). A line [NAME] or [/PATH/*] starts a section, which is about the \
         programs of that name, or that were executed by that path, and ends where the next begins; what stands \
         later wins. * is any text without a slash, ? any character but one. tunables in a section are those of the \
         program that is executed. The environment wins, except in a setuid or setgid program, which listens to \
         this file alone, and only if nobody but root may write it",
    )],
);

/// Of the command itself.
pub const EVERCALL: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "done"),
            ("1", "an error: a wrong option, a file that cannot be read"),
            ("2", "done, and there are findings (kept for commands that check)"),
        ],
    ),
    VARIABLES,
    FILES,
];

/// Of `evercall run`.
pub const RUN: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("1", "an error of evercall itself: a wrong option, libevercall.so not found"),
            (
                "126",
                "PROGRAM was found but cannot be run, or not under evercall: it is damaged or of another \
                 architecture, or static and setuid or without a header to spare",
            ),
            ("127", "PROGRAM was not found"),
            ("else", "the exit status of PROGRAM"),
        ],
    ),
    (
        "STATIC PROGRAMS",
        &[
            (
                "what is done",
                "no dynamic loader reads LD_PRELOAD for a static program, so it runs from a sealed copy in memory, \
                 where a header that it can do without (a note) names libevercall.so as the ELF interpreter. The \
                 file itself is not changed. libevercall.so must be executable for this",
            ),
            (
                "what is answered",
                "calls of the vsyscall page, and the limit of open files at the start; other calls, and the static \
                 programs that it executes, only under --trap. Dynamic programs that it executes take the preload",
            ),
            (
                "what differs",
                "/proc/self/exe is the copy in memory (/memfd:NAME), a little longer than the file; AT_EXECFN and \
                 the name in /proc/self/comm come from argv[0]. A program with setuid, setgid or file capabilities \
                 is refused where it would gain rights by them: a copy has none",
            ),
        ],
    ),
    (
        "TRAPPING",
        &[
            (
                "what is done",
                "--trap installs a seccomp filter that raises SIGSYS for the calls which have a rule and which \
                 this host does not answer, wherever they are made; the handler carries them out, at about two \
                 microseconds each. It sets no_new_privs: setuid programs gain nothing",
            ),
            (
                "children",
                "the filter lives through exec and the handler does not, so every exec is trapped as well and \
                 gives the program the handler: a dynamic one by the preload, a static one from a copy in memory. \
                 What cannot have it is not executed, and a line on stderr says so. Programs of another \
                 architecture run as they are",
            ),
            (
                "what differs",
                "numbers that a dynamic loader calls before the library is ready are not trapped. A handler for \
                 SIGSYS that a program sets past its libc is taken as set, and does not run",
            ),
        ],
    ),
    (
        "SETTINGS",
        &[(
            "--set",
            "KEY is the name of a variable below in small letters, without EVERCALL_, and VALUE one of its values: \
             evercall run --set cpuinfo=short --set nofile_clamp=on PROGRAM. Of several for one key the last counts; \
             one that has an option of its own is given by one of the two. Children inherit the variables",
        )],
    ),
    VARIABLES,
    (
        "ENVIRONMENT",
        &[
            ("EVERCALL_LIB", "the library to preload, where --lib is not given"),
            ("LD_PRELOAD", "kept, behind libevercall.so; unchanged if libevercall.so is in it already"),
            ("PATH", "where PROGRAM is looked up"),
        ],
    ),
    FILES,
    (
        "LIBRARY",
        &[(
            "libevercall.so",
            "looked for beside the command, then in ../lib/evercall and ../lib/x86_64-linux-gnu/evercall from \
             there, then in /usr/lib/evercall",
        )],
    ),
];

/// Of `evercall simulate`.
pub const SIMULATE: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            (
                "1",
                "an error of evercall itself: a wrong option, a profile that cannot be read, a filter refused",
            ),
            ("126", "PROGRAM was found but cannot be run, or the other host would run no program at all"),
            ("127", "PROGRAM was not found"),
            ("else", "the exit status of PROGRAM"),
        ],
    ),
    (
        "HOSTS",
        &[
            (
                "--kernel VERSION",
                "a call younger than VERSION by the table (evercall rules --calls), or removed before it, answers \
                 ENOSYS, as do all numbers above the newest one of that kernel. What a kernel is built without, and \
                 flags and ioctls that came later, are not told apart. uname(2) still tells this host's version",
            ),
            (
                "--deny CALL[:ANSWER],...",
                "ANSWER is an errno by name or number, KILL (SIGSYS, nobody can catch it) or TRAP (a SIGSYS that \
                 can be caught); ENOSYS without one. May be given more than once",
            ),
            (
                "--seccomp PROFILE.json",
                "the format of Docker, podman and containerd. includes and excludes are resolved as for a container \
                 with Docker's default capabilities and those of --cap, on the kernel of --kernel or else this one. \
                 Of entries that name a call without args the first counts, and none with args; where several with \
                 args match, the strictest counts. The profile is taken as it \
                 stands: newer versions of runc answer ENOSYS, not its default, above its highest number",
            ),
            (
                "--profile HOST.json",
                "what a host was seen to answer, as JSON: {\"version\": 1, \"syscalls\": {NAME: ANSWER}}, ANSWER being \
                 answers, killed, trapped, or the name of an errno (and not asked or no answer, which let through). \
                 evercall probe --format json writes it",
            ),
            (
                "several",
                "each is a filter of its own, and the kernel takes the strictest answer: KILL, then TRAP, then an \
                 errno. Of two errnos the one of --deny counts, then --profile, --seccomp, --kernel",
            ),
        ],
    ),
    (
        "WHAT THE PROGRAM SEES",
        &[
            (
                "no_new_privs",
                "without CAP_SYS_ADMIN the kernel takes filters only with no_new_privs, which is set then: sudo, su, \
                 ping and all that is setuid or has file capabilities gains no rights in PROGRAM and its children. \
                 With CAP_SYS_ADMIN (root, outside of containers) it is left as it was",
            ),
            ("children", "have the filters, too; nothing takes them off again"),
            (
                "other architectures",
                "calls of i386 programs are let through by --kernel, --deny and --profile, and get the default \
                 action of --seccomp. Calls of x32 are numbers that no rule knows",
            ),
            ("execve", "a host that refuses it to all runs no program, and that is an error"),
        ],
    ),
    (
        "EXAMPLES",
        &[
            ("evercall simulate --kernel 3.10 -- python3 -m test test_os", "on CentOS 7"),
            (
                "evercall simulate --deny clone3:EPERM,faccessat2:EPERM -- apt-get update",
                "under an old profile",
            ),
            (
                "evercall simulate --seccomp docker.json --kernel 4.19 -- evercall run -- ./app",
                "the same, and evercall at work there",
            ),
        ],
    ),
    VARIABLES,
    (
        "ENVIRONMENT",
        &[("PATH", "where PROGRAM is looked up; the variables above are for evercall within PROGRAM")],
    ),
    FILES,
];

/// Of `evercall probe`.
pub const PROBE: &[Section] = &[
    ("EXIT STATUS", &[("0", "done"), ("1", "no child can be made, or the output cannot be written")]),
    (
        "WHAT IS ASKED",
        &[
            (
                "each call",
                "once, in a child that is thrown away, with arguments that fail before anything is done (a descriptor \
                 -1, an address that nothing maps, an unknown flag), or that only tell something. So a filter that \
                 looks at arguments may let through what is asked here and refuse another use, as container \
                 profiles do for clone, socket and personality",
            ),
            (
                "on a host in production",
                "nothing changes, whoever runs it: nothing is written, no process but the children is signalled, \
                 and no core file is left. A filter that kills or logs leaves its lines in the kernel's log",
            ),
            (
                "what is not asked",
                "sync, which takes no arguments and does its work; rt_sigreturn, which without a frame ends the \
                 process; remap_file_pages, of which the kernel warns once a boot",
            ),
        ],
    ),
    (
        "CLASSES",
        &[
            ("answers", "what an unfiltered kernel answers, success or errno"),
            (
                "refused",
                "EPERM where another errno is due, or an errno that the kernel has no reason for: a seccomp filter, \
                 or a security module where no filter stands. Where the kernel looks at the caller's rights first, \
                 EPERM is due, too, and the call counts as one that answers: a note says so",
            ),
            (
                "absent",
                "ENOSYS. Without a filter it is the kernel's. With one, the table tells whether this release has the \
                 call: if so, it is probably the filter's, or an option of the kernel is off",
            ),
            ("killed, trapped", "SIGSYS, which nobody can catch, or which can be caught"),
            ("odd", "another errno than is due: the number may mean something else on this kernel"),
            ("no answer", "the call did not come back within two seconds, and the child was ended"),
            ("not asked", "why, a note says"),
        ],
    ),
    (
        "JSON",
        &[(
            "--format json",
            "a host profile, which `evercall simulate --profile` makes another host answer: docs/host-profile.md \
             and docs/host-profile.schema.json document each field. `version` grows when a field changes its \
             meaning or goes away, not when one is added",
        )],
    ),
    (
        "EXAMPLES",
        &[
            ("evercall probe", "here, as this user"),
            (
                "podman run --rm -v /usr/local/bin/evercall:/evercall:ro IMAGE /evercall probe",
                "in a container; the command is static, so any image will do",
            ),
            ("evercall probe --format json -o host.json", "on the host that is meant, and then elsewhere:"),
            ("evercall simulate --profile host.json -- ./app", "the program as it would fare there"),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "EVERCALL_REPAIRED",
                "set where a filter of evercall's own stands already, which the output tells then",
            ),
            ("container, KUBERNETES_SERVICE_HOST", "hints at the kind of container"),
        ],
    ),
    (
        "FILES",
        &[(
            "/proc, /sys",
            "read where they are there: without them the system calls are asked all the same, and the output says \
             what it could not see",
        )],
    ),
];

/// Of `evercall rules`.
pub const RULES: &[Section] = &[
    ("EXIT STATUS", &[("0", "printed"), ("1", "NAME is not known, or the output cannot be written")]),
    (
        "JSON",
        &[
            ("version", "2; grows when a field changes its meaning or goes away, not when one is added"),
            (
                "rules",
                "objects with name, family, calls, symbols, arguments (objects with name and kind), trigger \
                 (absent, result, match or start), results (errno names, or 0: the host's answers that make it \
                 act), probe (null, or an object with arguments and errno), does, fidelity (exact, partial, \
                 refuse or pretend), difference, proof (tests), source",
            ),
            ("doors", "symbols exported for no single rule: objects with name, symbols, does, source"),
            (
                "calls",
                "system calls (empty unless --calls or NAME is given): objects with name, family, x86_64 and i386 \
                 (numbers), since, until, option, note, reason (why no rule answers it), source, rule (a rule's \
                 name)",
            ),
            (
                "operations",
                "interfaces inside a call (empty unless --calls or NAME is given): objects with name, family, call, \
                 value, since, until, option, now (what a kernel without it answers: an errno, 0, ignored, or \
                 another, where the number means something else), ask (null, or arguments that ask it and change \
                 nothing), note, source",
            ),
            (
                "coverage",
                "by --coverage, with version alone: an object with kinds, calls and operations, lists of objects \
                 with name, interfaces, native (every kernel since they came answers them), exact, partial, refuse, \
                 pretend, no_rule, removed, never (reserved, and never filled)",
            ),
        ],
    ),
    VARIABLES,
    FILES,
];

/// Of `evercall check`.
pub const CHECK: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "nothing was found that --fail-on names"),
            ("1", "the target or the host could not be read, or an option is wrong"),
            (
                "2",
                "something was found: by default, that something breaks. What is the same on every host counts only \
                 where the image's own command, or the one file that was given, is concerned",
            ),
        ],
    ),
    (
        "VERDICTS",
        &[
            ("works", "the host answers, or the caller does as well without"),
            (
                "translated",
                "under evercall: a rule carries it out; the finding says which, and through which door",
            ),
            ("degrades", "the caller probably goes on, with less"),
            ("breaks", "it fails, or is not known to go on"),
        ],
    ),
    (
        "HOSTS",
        &[
            (
                "debian-11, debian-12, debian-13, debian-sid",
                "Debian's kernels 5.10, 6.1, 6.12 and 7.2, as `evercall probe` found them",
            ),
            (
                "debian-11-podman, ...",
                "the same in a container under podman's default seccomp profile and capabilities",
            ),
        ],
    ),
    (
        "EXAMPLES",
        &[
            ("podman save IMAGE | evercall check -", "an image on this host"),
            ("evercall check app.tar --kernel 3.10 --seccomp docker.json", "on an older, filtered one"),
            (
                "evercall check app.tar --host debian-13-podman --format sarif -o app.sarif",
                "for code scanning",
            ),
            ("evercall check app.tar --format html -o app.html", "for people"),
        ],
    ),
];

/// Of `evercall log`.
pub const LOG: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "all logs were read, whatever they hold"),
            ("1", "a log could not be read; the others were, and the sums are theirs"),
        ],
    ),
    (
        "LINES",
        &[
            (
                "evercall's",
                "text and JSON, of all values of EVERCALL_LOG. What `first` left out is not known: there the counts \
                 say in how many processes a rule acted. A line of `count` tells numbers and no result; its calls \
                 are shown as (summary), at the time of the line",
            ),
            (
                "in logs of engines",
                "the forms of Docker (json-file), CRI (containerd, CRI-O, podman), kubectl and podman logs with \
                 --timestamps or --prefix, docker compose, and journalctl -o short and short-iso are taken off",
            ),
            ("others", "all that is not evercall's: what the programs wrote themselves. Passed over"),
            (
                "damaged",
                "lines that begin as evercall's and are cut, hold what evercall does not write, or stand behind \
                 other text in one line. Not counted: there may have been more translations",
            ),
            (
                "that could not be written",
                "evercall drops lines rather than make a program wait, and says later how many: there have been \
                 more translations than these sums tell, by as many",
            ),
            (
                "of another evercall",
                "a rule that this one does not have is marked by ?. 64 such names are kept, and 8192 groups; more are \
                 summed up as (others)",
            ),
        ],
    ),
    (
        "JSON",
        &[
            ("version", "1; grows when a field changes its meaning or goes away, not when one is added"),
            ("logs", "how many were read to their end"),
            ("by", "what --by asked for"),
            (
                "translations",
                "null, or the sum of all: an object with count, from_summaries (how many of these are told by \
                 summaries), first and last (times, UTC)",
            ),
            (
                "groups",
                "objects with the same fields, and with rule, known (whether this evercall has that rule), program, \
                 result (success, the name of an errno, its number if it has no name, or null for what summaries tell); those of them that \
                 --by asks for. The greatest count comes first",
            ),
            ("others", "null, or the sum of what had no room among the groups"),
            (
                "notes",
                "lines about no translation: objects with kind, text, count, first, last. Kinds are repaired and \
                 refused (text: the calls that the host's filter refuses, whether made up for or not), trapped and \
                 trap refused (calls), callers (of the vsyscall page), misunderstood (a setting)",
            ),
            ("other_notes", "null, or the sum of what had no room among the notes, which are 256 at most"),
            ("dropped", "how many lines could not be written"),
            (
                "lines",
                "an object of numbers: all, translations, summaries, notes, other, too_long (more than 16384 bytes, \
                 so not evercall's), damaged",
            ),
        ],
    ),
    (
        "EXAMPLES",
        &[
            ("evercall log /var/log/evercall.log", "all that a file tells"),
            ("kubectl logs POD | evercall log --by rule", "which rules a pod needs"),
            (
                "evercall log --format json *.log | jq '.groups[] | select(.result != \"success\")'",
                "which translated calls failed",
            ),
        ],
    ),
    VARIABLES,
    FILES,
];

/// Of `evercall hook`.
pub const HOOK: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "the container may start: it has the library now, is not meant to, or could not have it"),
            (
                "1",
                "a wrong option; with --strict, a container that could not have the library. It does not start",
            ),
        ],
    ),
    (
        "STAGES",
        &[
            (
                "precreate",
                "of hooks.d in Podman and CRI-O: config.json on standard input, and changed on standard output. The \
                 runtime mounts the library, and LD_PRELOAD is set, in front of what it was. Any C library; not the \
                 processes of `podman exec`, and not what empties its environment without the library knowing",
            ),
            (
                "createContainer",
                "of the OCI runtime specification, so of every engine, also by hooks.d: the state on standard input. \
                 The library is mounted, and a /etc/ld.so.preload with the container's own lines behind it: every \
                 process, also setuid ones. Only glibc reads that file. What the image lacks of the two mount points is \
                 made in the container's files: /usr/lib/evercall (an empty folder) and /etc/ld.so.preload (an empty \
                 file)",
            ),
        ],
    ),
    (
        "WHICH CONTAINERS",
        &[
            ("org.evercall.inject=true", "the annotation that asks for it"),
            ("org.evercall.inject=false", "never, also with --all"),
            (
                "--deny",
                "counts before the annotation. image= looks at what containerd, CRI-O and image layouts annotate; \
                 Podman annotates no name. command= is about the program that the container starts with: its name, or \
                 its path if the pattern has a slash",
            ),
            ("sandboxes", "the containers that only hold a pod's namespaces are left alone"),
        ],
    ),
    (
        "LEFT AS IT IS",
        &[
            (
                "what the root holds",
                "no dynamic loader for x86-64, or for createContainer none of glibc; evercall already; a \
                 /usr/lib/evercall that holds something",
            ),
            (
                "what is not to be trusted",
                "a symbolic link, a FIFO or a device in the place of a folder or file that is mounted on; a mount that \
                 lies over them; a root that is the host's own; annotations, environments and files that make no sense",
            ),
            (
                "32-bit programs",
                "where the image holds them too, $LIB in the preload leads them to a library that does nothing. At \
                 precreate the host's whole folder is mounted then: the library has to be in one as make install, the \
                 Debian package and `evercall generate libraries` make it, or the container is left as it is",
            ),
        ],
    ),
    (
        "SECURITY",
        &[(
            "the environment",
            "a createContainer hook may be started with the container's own environment. evercall is a static program, \
             which no LD_PRELOAD reaches, and `evercall hook` asks no variable: keep it static. Paths within the \
             container are resolved by openat2(2) in its root, and mounts made by descriptor (Linux 5.6 and later)",
        )],
    ),
    (
        "EXAMPLES",
        &[
            (
                "podman run --annotation org.evercall.inject=true IMAGE",
                "with deploy/hooks.d/evercall.json installed",
            ),
            (
                "evercall hook --all --deny command=java --log-file /var/log/evercall-hook.log createContainer",
                "the command of a hook for all containers but those",
            ),
        ],
    ),
];

/// Of `evercall cdi`.
pub const CDI: &[Section] = &[
    (
        "NOTES",
        &[
            (
                "LD_PRELOAD",
                "a CDI specification sets a variable over what it was: an image that preloads something of its own loses \
                 it. For such images there are evercall hook and the layer",
            ),
            (
                "the devices",
                "legacy preloads /usr/lib/evercall/$LIB/libevercall.so: each program of the container finds a library of \
                 its own word size, 32-bit ones one that does nothing. legacy-plain preloads the path without $LIB, for \
                 images in which $LIB is lib to 64-bit programs (Debian 6 and older, Arch); 32-bit programs complain there",
            ),
            ("the host's files", "are not looked at: the specification may be written on another machine"),
        ],
    ),
    (
        "EXAMPLES",
        &[
            ("evercall cdi -o /etc/cdi/evercall.json", "installs it; engines look there and in /run/cdi"),
            ("podman run --device evercall.dev/shim=legacy IMAGE", "a container with the library"),
            ("evercall cdi --env EVERCALL_LOG=first", "with a log of what was translated"),
        ],
    ),
];

/// The sections as the end of `--help`.
pub fn help(sections: &[Section]) -> String {
    let mut out = String::new();
    let mut last = "";
    for (title, entries) in sections {
        if *title != last {
            let _ = write!(out, "\n{title}:\n");
        }
        last = title;
        for (term, text) in *entries {
            let _ = writeln!(out, "  {term}");
            for line in wrap(text, HELP_WIDTH - 10) {
                let _ = writeln!(out, "          {line}");
            }
        }
    }
    out.trim().into()
}

/// The man page of a command: clap's sections, then ours.
pub fn page(command: &clap::Command, sections: &[Section], out: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(command.clone())
        .manual("evercall")
        .source(concat!("evercall ", env!("CARGO_PKG_VERSION")))
        .date(NO_DATE);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    let mut roff = Roff::new();
    let mut last = "";
    for (title, entries) in sections {
        if *title != last {
            roff.control("SH", [*title]);
        }
        last = title;
        for (term, text) in *entries {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*text)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(
        "evercall(1), evercall-run(1), evercall-simulate(1), evercall-probe(1), evercall-rules(1), \
         evercall-check(1), evercall-log(1), evercall-hook(1), evercall-cdi(1), evercall.conf(5), ld.so(8), \
         syscalls(2)",
    )]);
    out.extend(roff.to_roff().bytes());
    Ok(())
}
