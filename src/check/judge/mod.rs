//! What the host makes of each program: findings, each with what happens bare, what happens under evercall, the evidence,
//! and what to do.

pub mod callers;
mod calls;
mod cgroup;
mod limits;
mod loading;
mod vsyscall;

use super::elf::facts::{Architecture, Kind};
use super::host::Host;
use super::link::{Loaded, Objects};
use super::reach::Certainty;
use super::runtimes::Runtime;
use super::used::Uses;
use crate::image::tar_entries::shown;
use evercall_rules::Fidelity;
use evercall_rules::table::{RULES, Rule};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What becomes of a program, or of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The host answers.
    Works,
    /// Under evercall: a rule carries it out.
    Translated,
    /// It goes on with less, or probably so.
    Degrades,
    /// It fails.
    Breaks,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Works => "works",
            Verdict::Translated => "translated",
            Verdict::Degrades => "degrades",
            Verdict::Breaks => "breaks",
        }
    }
}

/// How evercall reaches a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The libc function that the library exports in its place.
    Symbol,
    /// `syscall()`.
    Syscall,
    /// The SIGSEGV handler for the vsyscall page.
    Vsyscall,
    /// A static program is run with the library as its interpreter.
    Interpreter,
    /// The seccomp filter that answers ENOSYS for EPERM.
    RepairFilter,
    /// The handler of the SIGSYS that the host's filter sends.
    SigsysHandler,
    /// `evercall run --trap`.
    Trap,
    /// A file under /proc or /sys.
    File,
    /// Once, at the start of the program.
    Start,
}

impl Door {
    /// What it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            Door::Symbol => "the libc function",
            Door::Syscall => "syscall()",
            Door::Vsyscall => "the handler for the vsyscall page",
            Door::Interpreter => "evercall run, as the interpreter of a static program",
            Door::RepairFilter => "the repair filter",
            Door::SigsysHandler => "the handler of SIGSYS",
            Door::Trap => "evercall run --trap",
            Door::File => "the file rules",
            Door::Start => "the start of the program",
        }
    }
}

/// What happens without evercall.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bare {
    /// The verdict.
    pub verdict: Verdict,
    /// What is seen: `exit 139 (SIGSEGV)`.
    pub outcome: String,
}

/// What happens under evercall.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Under {
    /// The verdict.
    pub verdict: Verdict,
    /// What is seen.
    pub outcome: String,
    /// The rule that acts.
    pub rule: Option<&'static str>,
    /// How it is reached.
    pub door: Option<Door>,
    /// `exact`, `partial`, `refuse`, `pretend`.
    pub fidelity: Option<&'static str>,
    /// What differs from the kernel.
    pub difference: Option<&'static str>,
    /// What must be asked for: `evercall run --trap`, `EVERCALL_FILTER=on`.
    pub needs: Option<&'static str>,
}

impl Under {
    /// As it is bare: evercall changes nothing.
    pub fn same(bare: &Bare) -> Under {
        Under {
            verdict: bare.verdict,
            outcome: bare.outcome.clone(),
            rule: None,
            door: None,
            fidelity: None,
            difference: None,
            needs: None,
        }
    }

    /// By a rule.
    pub fn by(rule: &'static Rule, door: Door) -> Under {
        let needs = match door {
            Door::Trap => Some("evercall run --trap"),
            Door::Interpreter => Some("evercall run"),
            _ => None,
        };
        Under {
            verdict: Verdict::Translated,
            outcome: rule.does.to_string(),
            rule: Some(rule.name),
            door: Some(door),
            fidelity: Some(fidelity(rule)),
            difference: rule.difference,
            needs,
        }
    }
}

fn fidelity(rule: &Rule) -> &'static str {
    match rule.fidelity {
        Fidelity::Exact => "exact",
        Fidelity::Partial => "partial",
        Fidelity::Refuse => "refuse",
        Fidelity::Pretend => "pretend",
    }
}

/// The rule of a name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// Where it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Evidence {
    /// The file that asks for it.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// The libc function that it calls.
    pub symbol: Option<String>,
    /// The function that calls it.
    pub function: Option<String>,
    /// The file that holds the instruction.
    #[serde(serialize_with = "optional_path")]
    pub site: Option<PathBuf>,
    /// Where in that file it is: an ELF virtual address.
    #[serde(serialize_with = "address")]
    pub address: Option<u64>,
    /// How sure it is that it is reached; null where nothing is called.
    pub reached: Option<Certainty>,
}

fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn optional_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&path.to_string_lossy()),
        None => serializer.serialize_none(),
    }
}

fn address<S: Serializer>(address: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.serialize_some(&format!("{address:#x}")),
        None => serializer.serialize_none(),
    }
}

impl Evidence {
    /// A file alone.
    pub fn file(path: &Path) -> Evidence {
        Evidence { file: path.to_path_buf(), ..Evidence::default() }
    }

    /// In a sentence.
    pub fn words(&self) -> String {
        let clean = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).collect() };
        let mut words = shown(&self.file);
        if let Some(function) = &self.function {
            words += &format!(" in {}()", clean(function));
        }
        if let Some(symbol) = &self.symbol {
            let is_phrase = symbol.contains(' ');
            words += &if is_phrase {
                format!(": {}", clean(symbol))
            } else {
                format!(" calls {}()", clean(symbol))
            };
        }
        match (&self.site, self.address) {
            (Some(site), Some(address)) if *site != self.file => {
                words += &format!(", the instruction is in {} at {address:#x}", shown(site));
            }
            (_, Some(address)) => words += &format!(", the instruction is at {address:#x}"),
            _ => {}
        }
        words += match self.reached {
            Some(Certainty::Exported) => " (if what it exports is called)",
            Some(Certainty::Pointed) => " (only pointers in data lead to it)",
            _ => "",
        };
        words
    }
}

/// Kinds of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The vsyscall page.
    Vsyscall,
    /// A system call that the kernel does not have.
    AbsentCall,
    /// A system call that a filter refuses.
    RefusedCall,
    /// A kernel older than the libc takes.
    KernelTooOld,
    /// No program for this host: another architecture, or i386 where that is off.
    Architecture,
    /// The interpreter is not in the image.
    InterpreterMissing,
    /// A library is not in the image.
    LibraryMissing,
    /// Limits that a runtime does not find in cgroup v2.
    Cgroup,
    /// The kernel writes where an allocator does (restartable sequences).
    Rseq,
    /// A limit on open files that is too high.
    OpenFiles,
    /// No /dev/shm.
    SharedMemory,
    /// An executable stack.
    ExecutableStack,
}

/// What was found in one program.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What findings of one cause share: `vsyscall`, `call:ustat`.
    pub cause: String,
    /// Its kind.
    pub class: Class,
    /// What is wrong, for people.
    pub title: String,
    /// Without evercall.
    pub bare: Bare,
    /// Under evercall.
    pub under: Under,
    /// What to do.
    pub advice: String,
    /// The same on every host: the image's own fault.
    pub everywhere: bool,
    /// Where.
    pub evidence: Evidence,
}

impl Finding {
    /// Whether only pointers in data lead to it, so that it may never be called.
    pub fn is_pointed(&self) -> bool {
        self.evidence.reached == Some(Certainty::Pointed)
    }
}

/// A program, a script, or a library that no program is seen to load.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its paths: one, and hard links or equal files that load the same.
    pub paths: Vec<PathBuf>,
    /// What it is.
    pub form: Form,
    /// What is loaded with it.
    pub loaded: Loaded,
    /// It gains rights when it is run: a preload does not reach it.
    pub is_privileged: bool,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A program with a dynamic loader.
    Program,
    /// A program without.
    Static,
    /// A library that no program names: a plugin, which one may load at run time.
    Plugin,
    /// A script.
    Script,
}

/// What a unit is judged by.
pub struct Context<'a> {
    /// The host.
    pub host: &'a Host,
    /// All objects of the root.
    pub objects: &'a Objects<'a>,
    /// The language runtimes in it, by the files that are them.
    pub runtimes: &'a BTreeMap<PathBuf, Runtime>,
}

impl Unit {
    /// The first path.
    pub fn path(&self) -> &Path {
        self.paths.first().map_or(Path::new(""), PathBuf::as_path)
    }

    fn architecture(&self, context: &Context<'_>) -> Option<Architecture> {
        Some(context.objects.get(*self.loaded.modules.first()?).elf().architecture)
    }

    /// Whether a preload can be loaded into it.
    fn takes_preload(&self, context: &Context<'_>) -> bool {
        self.architecture(context) == Some(Architecture::X86_64)
            && !self.is_privileged
            && matches!(self.form, Form::Program | Form::Plugin)
    }
}

/// All findings about a program.
pub fn judge(unit: &Unit, uses: &Uses, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = loading::judge(unit, context);
    // What does not start calls nothing.
    if findings.iter().any(|finding| finding.bare.verdict == Verdict::Breaks) {
        return findings;
    }
    findings.extend(vsyscall::judge(unit, uses, context));
    findings.extend(calls::judge(unit, uses, context));
    findings.extend(cgroup::judge(unit, context));
    findings.extend(cgroup::mongod(unit, uses, context));
    findings.extend(limits::judge(unit, uses, context));
    findings
}

/// The form of an object by itself.
pub fn form(kind: &Kind) -> Option<Form> {
    match kind {
        Kind::Program { .. } => Some(Form::Program),
        Kind::Static | Kind::StaticPie => Some(Form::Static),
        Kind::Library => Some(Form::Plugin),
        Kind::Other => None,
    }
}
