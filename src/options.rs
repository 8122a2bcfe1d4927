//! The command line, defined once: help, man pages and completions are made from it.

use crate::cdi::options::CdiOptions;
use crate::check::options::CheckOptions;
use crate::hook::options::HookOptions;
use crate::layer::options::LayerOptions;
use crate::log_to::LogTo;
use crate::manual;
use crate::self_test::options::{SelfTestOptions, Stage};
use crate::setting::{self, Setting};
use crate::simulate::calls::{Denied, Version};
use crate::simulate::containers::capability;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use evercall_rules::table::RULES;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Old system calls, kept working
///
/// evercall carries out, inside a container or for one program, the system calls that the kernel of
/// this host no longer answers, or does not answer yet. Nothing is rebuilt: one shared object,
/// libevercall.so, is preloaded into the program, and translates what the host refuses into what it has.
#[derive(Parser)]
#[command(name = "evercall", version, disable_help_subcommand = true)]
#[command(after_long_help = manual::help(manual::EVERCALL))]
pub struct Options {
    /// Tell on standard error what is done and why
    #[arg(short, long, global = true, display_order = 100)]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Action {
    /// Run a program under evercall
    ///
    /// Puts libevercall.so in front of LD_PRELOAD, sets the EVERCALL_ variables from the options given,
    /// and becomes PROGRAM, which is looked up in PATH. An option that is not given leaves its variable
    /// as it is. A static PROGRAM runs from a copy in memory that has libevercall.so as its ELF interpreter.
    #[command(after_long_help = manual::help(manual::RUN))]
    #[command(override_usage = "evercall run [OPTIONS] [--] PROGRAM [ARGUMENT]...")]
    Run(RunOptions),
    /// Run a program as on another host
    ///
    /// Becomes PROGRAM under seccomp filters that refuse what another host would refuse: an older kernel, a
    /// container runtime's seccomp profile, a list of calls. All options combine, and the strictest answer
    /// wins. To see evercall at work there: evercall simulate OPTIONS -- evercall run PROGRAM.
    #[command(after_long_help = manual::help(manual::SIMULATE))]
    #[command(override_usage = "evercall simulate [OPTIONS] [--] PROGRAM [ARGUMENT]...")]
    Simulate(SimulateOptions),
    /// Tell what this host answers
    ///
    /// Asks about every system call of x86-64, each in a child of its own, with arguments that change nothing,
    /// and tells which of them the host answers, refuses or lacks, under the seccomp filters that stand here;
    /// and which rules of evercall would act. Run it in the container that is meant, as the user that is meant.
    #[command(after_long_help = manual::help(manual::PROBE))]
    Probe(ProbeOptions),
    /// Print the rules and the system calls that evercall knows
    ///
    /// Without NAME, prints every rule: the system calls it answers, how true it is to the kernel, when
    /// it acts, and what a call becomes. With NAME, prints all that is known of one rule, system call
    /// or libc symbol.
    #[command(after_long_help = manual::help(manual::RULES))]
    Rules(RulesOptions),
    /// Tell whether an image will run on a host
    ///
    /// Looks at every program and library of TARGET without running any, finds which system calls and other interfaces
    /// of the kernel each can use, and tells what becomes of it on the host: bare, and under evercall. Exits with 2
    /// where something breaks.
    #[command(after_long_help = manual::help(manual::CHECK))]
    Check(CheckOptions),
    /// Sum up translation logs
    ///
    /// Reads what libevercall.so logged, in either form, also as container engines and journals keep it, and prints
    /// how often each rule acted in which program with which result, when first and when last. Lines that are not
    /// evercall's are counted and passed over.
    #[command(after_long_help = manual::help(manual::LOG))]
    Log(LogOptions),
    /// Put libevercall.so into a container image, as one layer more
    ///
    /// Reads IMAGE and writes it to OUT with a layer on top that holds libevercall.so, and with what loads it: then
    /// every container of it runs under evercall, with no option given. Everything else is copied byte for byte. With
    /// --remove, takes the layer out again; with --show, tells what an image carries.
    #[command(after_long_help = manual::help(manual::LAYER))]
    #[command(
        override_usage = "evercall layer [OPTIONS] IMAGE -o OUT\n       evercall layer --remove IMAGE -o OUT\n       evercall layer --show IMAGE"
    )]
    Layer(LayerOptions),
    /// Give the containers of a node the library, as a hook of their engine or runtime
    ///
    /// Reads what the engine says of a container from standard input, and mounts libevercall.so, read-only, with what
    /// loads it, into containers with the annotation org.evercall.inject=true. deploy/hooks.d has the files that install
    /// it. A container that cannot have it starts as it is, and a line says why.
    #[command(after_long_help = manual::help(manual::HOOK))]
    Hook(HookOptions),
    /// Write a CDI specification, for --device evercall.dev/shim=legacy
    ///
    /// Engines that know the Container Device Interface (Podman, CRI-O, containerd, Docker) then give a container the
    /// library as they would give it a device: a read-only mount, and LD_PRELOAD.
    #[command(after_long_help = manual::help(manual::CDI))]
    Cdi(CdiOptions),
    /// Test on an image whether the library breaks it, and write nothing
    #[command(hide = true)]
    SelfTest(SelfTestOptions),
    /// The inside of the self-test's sandbox: takes its orders from standard input
    #[command(hide = true)]
    SelfTestChild {
        /// Which of its processes this is
        stage: Stage,
    },
    /// Write man pages or shell completions
    #[command(hide = true)]
    Generate(GenerateOptions),
}

/// Options of `evercall run`.
#[derive(Args)]
pub struct RunOptions {
    /// Which translated calls are logged
    #[arg(long, value_name = "WHICH")]
    pub log: Option<Log>,
    /// The form of the log's lines
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Where the log goes: stderr, fd:N, or a file
    #[arg(long, value_name = "WHERE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = OsStringValueParser::new().try_map(LogTo::parse))]
    pub log_to: Option<LogTo>,
    /// Let these rules act though the host would answer; `all` for every rule
    #[arg(long, value_name = "RULE", value_delimiter = ',', hide_possible_values = true)]
    #[arg(value_parser = rule_names())]
    pub force: Vec<String>,
    /// The cap on RLIMIT_NOFILE: auto (1048576), off, or a number
    #[arg(long, value_name = "LIMIT", value_parser = Nofile::parse)]
    pub nofile: Option<Nofile>,
    /// Answer calls of the vsyscall page: everywhere (on), where the libc can make them (auto), or not (off)
    #[arg(long, value_name = "WHEN")]
    pub vsyscall: Option<Vsyscall>,
    /// Repair a seccomp filter that answers EPERM: always, under no_new_privs (on), where it takes no rights from
    /// anybody (auto), or never (off)
    #[arg(long, value_name = "WHEN")]
    pub filter: Option<Filter>,
    /// Show cgroup v1 on a host with v2 alone: to programs that know nothing else (auto), to this one (v1), not (v2), or
    /// none of its files at all (off)
    #[arg(long, value_name = "WHICH")]
    pub cgroup: Option<Cgroup>,
    /// The kernel's release that PROGRAM sees, such as 2.6.32-754.el6.x86_64; off for the host's
    #[arg(long, value_name = "RELEASE", value_parser = setting::release)]
    pub uname: Option<String>,
    /// Memory and processors as PROGRAM sees them: the host's, or as the control group limits them
    #[arg(long, value_name = "WHICH")]
    pub resources: Option<Resources>,
    /// Any setting of evercall.conf: cpuinfo, force, nofile_clamp, pretend, tunables and others; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Setting::parse)]
    pub set: Vec<Setting>,
    /// Trap calls that a rule answers wherever they are made, inside libc and in static programs too, which runs
    /// PROGRAM and its children under no_new_privs
    #[arg(long)]
    pub trap: bool,
    /// Do not put the preload back when a program clears its environment
    #[arg(long)]
    pub no_keep: bool,
    /// The library to preload, instead of the one installed with this command
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub lib: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// `EVERCALL_LOG`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Log {
    /// Nothing
    Off,
    /// A process's first translation by each rule
    First,
    /// Every translated call
    All,
    /// A summary at exit and exec
    Count,
}

/// `EVERCALL_LOG_FORMAT`.
#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

/// `EVERCALL_VSYSCALL`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Vsyscall {
    /// Everywhere
    On,
    /// In static programs, and where the libc is old enough
    Auto,
    /// Nowhere
    Off,
}

/// `EVERCALL_FILTER`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Filter {
    /// Always, under no_new_privs: setuid programs gain nothing then
    On,
    /// Under no_new_privs or CAP_SYS_ADMIN, or where the image holds no setuid program
    Auto,
    /// Never
    Off,
}

/// `EVERCALL_CGROUP`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Cgroup {
    /// v1 for Java and .NET of before v2; for others v2, and v1's files where they look for them
    Auto,
    /// v1 and nothing else
    V1,
    /// v2, and v1's files where a program looks for them
    V2,
    /// What the host has
    Off,
}

/// `EVERCALL_RESOURCES`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Resources {
    /// What the machine has
    Host,
    /// What the control group allows
    Cgroup,
}

/// `EVERCALL_NOFILE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nofile {
    /// Lower what is above 1048576.
    Auto,
    /// Leave the limit alone.
    Off,
    /// Lower what is above this.
    Limit(NonZeroU64),
}

impl Nofile {
    /// Reads the option.
    pub fn parse(value: &str) -> Result<Nofile, String> {
        match value {
            "auto" => Ok(Nofile::Auto),
            "off" => Ok(Nofile::Off),
            number if number.starts_with('+') => Err("write the number without a sign".into()),
            number => {
                number.parse().map(Nofile::Limit).map_err(|_| "auto, off, or a number from 1 up".into())
            }
        }
    }

    /// The value of the variable.
    pub fn setting(self) -> String {
        match self {
            Nofile::Auto => "auto".into(),
            Nofile::Off => "off".into(),
            Nofile::Limit(limit) => limit.to_string(),
        }
    }
}

/// The word of the command line for a value, which is also the word of its variable.
pub fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn rule_names() -> PossibleValuesParser {
    PossibleValuesParser::new(RULES.iter().map(|rule| rule.name).chain(["all"]))
}

/// Options of `evercall simulate`.
#[derive(Args)]
pub struct SimulateOptions {
    /// Answer ENOSYS to every call that Linux VERSION did not have yet, or had no longer
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    pub kernel: Option<Version>,
    /// Refuse these calls: names or numbers, each with :ERRNO, :KILL or :TRAP, else ENOSYS
    #[arg(long, value_name = "CALL[:ANSWER]", value_delimiter = ',', value_parser = Denied::parse)]
    pub deny: Vec<Denied>,
    /// Refuse what a seccomp profile of Docker, podman or containerd refuses
    #[arg(long, value_name = "PROFILE.json", value_hint = ValueHint::FilePath)]
    pub seccomp: Option<PathBuf>,
    /// Hold this capability, too, where the seccomp profile asks for capabilities
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', requires = "seccomp")]
    #[arg(value_parser = capability)]
    pub cap: Vec<String>,
    /// Refuse what the host of this profile refuses
    #[arg(long, value_name = "HOST.json", value_hint = ValueHint::FilePath)]
    pub profile: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Options of `evercall probe`.
#[derive(Args)]
pub struct ProbeOptions {
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ProbeFormat,
    /// Add a line for each system call to the table
    #[arg(long, visible_alias = "calls")]
    pub all: bool,
    /// Write to this file, which appears when it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// Forms of `evercall probe`.
#[derive(Clone, Copy, ValueEnum)]
pub enum ProbeFormat {
    /// A summary for people
    Table,
    /// A host profile: one JSON document, for `evercall simulate --profile` and others
    Json,
}

/// Options of `evercall rules`.
#[derive(Args)]
pub struct RulesOptions {
    /// A rule, a system call, an operation inside one, or a libc symbol
    pub name: Option<String>,
    /// Print every system call that Linux has or had, and operations inside them, too
    #[arg(long, visible_alias = "all", conflicts_with = "name")]
    pub calls: bool,
    /// Print how many interfaces there are, and what becomes of them
    #[arg(long, conflicts_with_all = ["name", "calls"])]
    pub coverage: bool,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: RulesFormat,
}

/// Forms of `evercall rules`.
#[derive(Clone, Copy, ValueEnum)]
pub enum RulesFormat {
    /// Columns; with NAME, a page
    Table,
    /// One JSON document
    Json,
    /// Markdown; without NAME the whole of docs/rules.md
    Markdown,
}

/// Options of `evercall log`.
#[derive(Args)]
pub struct LogOptions {
    /// Logs, also compressed by gzip; - or none: standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// What is told apart, divided by commas
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', default_value = "rule,program,result")]
    pub by: Vec<By>,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: LogSumFormat,
}

/// Columns of `evercall log`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The rule that acted
    Rule,
    /// The program it acted in
    Program,
    /// Success, or the errno
    Result,
}

/// Forms of `evercall log`.
#[derive(Clone, Copy, ValueEnum)]
pub enum LogSumFormat {
    /// Columns
    Table,
    /// One JSON document
    Json,
}

/// Options of `evercall generate`.
#[derive(Args)]
pub struct GenerateOptions {
    /// What to write.
    #[command(subcommand)]
    pub what: Generate,
}

/// What `evercall generate` writes.
#[derive(Subcommand)]
pub enum Generate {
    /// The man pages: one a command, and evercall.conf(5)
    Man {
        /// Where to write them; made if it is not there
        dir: PathBuf,
    },
    /// Completions for bash, zsh and fish
    Completions {
        /// Where to write them; made if it is not there
        dir: PathBuf,
    },
    /// The folder of libraries, with a folder for each value of $LIB
    Libraries {
        /// libevercall.so for x86-64
        library: PathBuf,
        /// Where to write them; made if it is not there
        dir: PathBuf,
    },
    /// evercall as an image from scratch
    Image(ImageOptions),
    /// An evercall.conf with everything commented out
    Conf {
        /// The file to write
        file: PathBuf,
    },
}

/// Options of `evercall generate image`.
#[derive(Args)]
pub struct ImageOptions {
    /// The archive to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// libevercall.so for x86-64
    #[arg(long, value_name = "FILE")]
    pub library: PathBuf,
    /// The static command
    #[arg(long, value_name = "FILE")]
    pub command: PathBuf,
    /// A text for /usr/share/doc/evercall
    #[arg(long = "licence", value_name = "FILE")]
    pub licences: Vec<PathBuf>,
    /// The commit that it was built from
    #[arg(long, value_name = "HASH")]
    pub revision: Option<String>,
    /// Where its source is
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
}

impl Generate {
    /// The shells that have completions.
    pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];
}
