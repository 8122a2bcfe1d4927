//! What is known of one file: the types that [`analyse`](super::analyse) fills.
//!
//! Addresses are the file's own (ELF virtual addresses, before loading). Indices are into the lists of the same [`Elf`].

use serde::{Serialize, Serializer};
use std::fmt;

/// What a file is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Analysis {
    /// An ELF file.
    Elf(Box<Elf>),
    /// A text whose first line names an interpreter.
    Script(Script),
    /// Neither.
    Other,
    /// It begins as an ELF file, and its headers make no sense: why, for people.
    Damaged(String),
}

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    /// What the kernel runs, as written.
    pub interpreter: String,
    /// What that gets before the script's own path.
    pub argument: Option<String>,
    /// The program that env(1) looks up in PATH, where the interpreter is `env` (`-S`, other options and `NAME=VALUE` passed over).
    pub by_env: Option<String>,
}

/// What an ELF file says of itself, and what its code can ask of the kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Elf {
    /// What it runs on.
    pub architecture: Architecture,
    /// How it is loaded.
    pub kind: Kind,
    /// DT_SONAME.
    pub soname: Option<String>,
    /// DT_NEEDED, in the file's order.
    pub needed: Vec<String>,
    /// DT_RPATH, divided at its colons; `$ORIGIN` as it stands.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, likewise.
    pub runpath: Vec<String>,
    /// Symbols that others can use, as the dynamic symbol table has them.
    pub exports: Vec<Export>,
    /// Symbols that others must have.
    pub imports: Vec<Import>,
    /// The libc that this file is, or that is linked into it.
    pub libc: Option<Libc>,
    /// The oldest kernel that its libc accepts (`.note.ABI-tag`): older ones get "FATAL: kernel too old".
    pub minimum_kernel: Option<KernelVersion>,
    /// It asks for an executable stack: PT_GNU_STACK says so, or is not there.
    pub executable_stack: ExecutableStack,
    /// `.note.gnu.build-id`, in hexadecimal.
    pub build_id: Option<String>,
    /// What Go says of a program of its own.
    pub go: Option<Go>,
    /// rustc's version, where `.comment` has it.
    pub rustc: Option<String>,
    /// Where system calls can be made, by address. A place that can make several calls stands here once for each.
    pub sites: Vec<Site>,
    /// The code: what calls what.
    pub code: Code,
}

/// Word size and machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// x86-64: analysed.
    X86_64,
    /// x86-64 with pointers of 32 bits: recognised; its calls have bit 30 set.
    X32,
    /// 32-bit x86: analysed.
    I386,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit IBM Z.
    S390x,
    /// Little-endian 64-bit POWER.
    Ppc64le,
    /// Big-endian 64-bit POWER.
    Ppc64,
    /// Any other, by `e_machine`.
    Other(u16),
}

impl Architecture {
    /// Whether the code is looked at: otherwise there are no sites and no functions.
    pub fn is_analysed(self) -> bool {
        matches!(self, Architecture::X86_64 | Architecture::I386)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Architecture::X86_64 => "x86-64",
            Architecture::X32 => "x32",
            Architecture::I386 => "i386",
            Architecture::Aarch64 => "aarch64",
            Architecture::Arm => "32-bit arm",
            Architecture::Riscv64 => "riscv64",
            Architecture::S390x => "s390x",
            Architecture::Ppc64le => "ppc64le",
            Architecture::Ppc64 => "ppc64",
            Architecture::Other(machine) => return write!(f, "ELF machine {machine}"),
        })
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How an ELF file is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A program that PT_INTERP's loader starts.
    Program {
        /// PT_INTERP.
        interpreter: String,
    },
    /// A program that the kernel loads alone.
    Static,
    /// The same, at any address.
    StaticPie,
    /// A shared object without PT_INTERP: a library, a plugin, or a dynamic loader itself.
    Library,
    /// An object file, a kernel module, a core dump, separate debug data.
    Other,
}

/// A symbol that others can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its version (`GLIBC_2.15`), if the file has versions.
    pub version: Option<String>,
    /// Whether it is the version that programs are linked to today (`@@`).
    pub is_default: bool,
    /// Whether it is code: a function, or what chooses one (STT_GNU_IFUNC).
    pub is_function: bool,
    /// Where it is.
    pub address: u64,
    /// The index of the function that stands there. None: data, or code that was not looked at.
    pub function: Option<u32>,
}

/// A symbol that others must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// The version asked for.
    pub version: Option<String>,
    /// The soname of the library that the version is asked of.
    pub library: Option<String>,
    /// Whether the program starts without it.
    pub is_weak: bool,
}

/// A C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Libc {
    /// Which one.
    pub kind: LibcKind,
    /// `2.36`, `1.2.3`; none where the file does not say.
    pub version: Option<String>,
    /// Whether the file is (part of) that library, rather than a static program with it inside.
    pub is_itself: bool,
}

/// The C libraries known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LibcKind {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
    /// uClibc, uClibc-ng.
    Uclibc,
    /// The diet libc.
    Dietlibc,
    /// Android's.
    Bionic,
}

/// A version of Linux: version, patchlevel, sublevel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KernelVersion(pub u32, pub u32, pub u32);

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a file says of its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutableStack {
    /// PT_GNU_STACK without PF_X.
    No,
    /// PT_GNU_STACK with PF_X.
    Yes,
    /// No PT_GNU_STACK: the kernel and glibc take that for yes on x86, musl does not care.
    NotSaid,
}

/// What Go says of a program of its own (`.go.buildinfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Go {
    /// `go1.21.4`.
    pub version: String,
    /// The path of the main package, if it is said.
    pub path: Option<String>,
    /// Whether C code is linked in (`CGO_ENABLED`); none where it is not said (before 1.18).
    pub cgo: Option<bool>,
    /// Modules and their versions, the main one first; a replaced one as what replaces it.
    pub modules: Vec<GoModule>,
}

/// A Go module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoModule {
    /// `go.uber.org/automaxprocs`.
    pub path: String,
    /// `v1.4.0`, `(devel)`.
    pub version: String,
}

/// A place where a system call can be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Site {
    /// The instruction, or the datum for [`Via::VsyscallData`].
    pub address: u64,
    /// How the call is made.
    pub via: Via,
    /// Which call.
    pub number: Number,
    /// The function that holds it. None: no function is known around it, so that it is only present.
    pub function: Option<u32>,
}

impl Site {
    /// Whose numbers are meant: `int 0x80` and `sysenter` take i386's in programs of 64 bits, too. None: the vsyscall page.
    pub fn numbers_of(&self, architecture: Architecture) -> Option<Architecture> {
        match self.via {
            Via::Int80 | Via::Sysenter | Via::KernelVsyscall => Some(Architecture::I386),
            Via::Syscall => Some(Architecture::X86_64),
            Via::SyscallFunction => Some(architecture),
            Via::VsyscallCall | Via::VsyscallData | Via::VsyscallMention => None,
        }
    }
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The `syscall` instruction.
    Syscall,
    /// `int $0x80`.
    Int80,
    /// `sysenter`.
    Sysenter,
    /// i386's `call *%gs:0x10`, which leads to the vDSO.
    KernelVsyscall,
    /// libc's `syscall()`: a preload reaches it where libc is another file.
    SyscallFunction,
    /// A call of one of the three addresses of the vsyscall page.
    VsyscallCall,
    /// Such an address in data, or loaded from there.
    VsyscallData,
    /// Such an address as a constant that is not seen to be called: compared, or a way out where there is no vDSO.
    VsyscallMention,
}

/// Which call a site makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// This one; x32's bit 30 as it is. For the vsyscall page the number of the call that the address stands for
    /// on x86-64: 96 gettimeofday, 201 time, 309 getcpu.
    Known(u32),
    /// What the function around it is called with, and every caller within the file is a site of its own: nothing to
    /// be said here. Callers in other files are sites there (`syscall()`).
    Passed,
    /// Not known.
    Unknown,
}

/// A file's code.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Code {
    /// Functions by address. Those from which neither a site nor an import can be reached are left out.
    pub functions: Vec<Function>,
    /// What runs when the file is loaded or started: the entry point, DT_INIT, DT_FINI and the arrays.
    pub entries: Vec<u32>,
    /// Functions whose address stands in the file's data: tables, and objects with methods. Who takes it from there is not known.
    pub in_data: Vec<u32>,
    /// Imports whose address is put into the file's data.
    pub imports_in_data: Vec<u32>,
    /// How far the answer goes.
    pub depth: Depth,
}

/// A function: code from one known start to the next.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Function {
    /// Its first byte.
    pub start: u64,
    /// Bytes.
    pub size: u32,
    /// A name of it, if the file has one.
    pub name: Option<Box<str>>,
    /// Functions of the file that it calls, jumps to, or takes the address of; sorted.
    pub calls: Box<[u32]>,
    /// Imports that it calls or takes the address of; sorted.
    pub imports: Box<[u32]>,
    /// Sites in it; sorted.
    pub sites: Box<[u32]>,
}

/// How far the code was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The architecture is not one of those analysed, or the file has no code.
    #[default]
    None,
    /// Every function, with what it calls.
    Functions,
    /// Functions were found by following calls, for neither symbols nor unwind tables name most of them: calls by
    /// pointers may be missed, and the sites that nothing is seen to reach have no function.
    Guessed,
    /// Too large: sites alone, without functions. Every import counts as used.
    Sites,
}
