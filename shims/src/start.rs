//! The start: finds environment and auxiliary vector, reads the settings, applies the rules that act once.
//!
//! Runs from the constructor, or at the first call that needs it where no constructor ever ran. Nobody
//! waits for it: a call that comes while another thread (or the code a signal interrupted) is in here is
//! handed on as if evercall were not there.

use crate::arch;
use crate::file_rules;
use crate::files;
use crate::handlers;
use crate::logging;
use crate::next;
use crate::seccomp;
use crate::settings;
use crate::state;
use crate::sys;
use crate::vsyscall;
use core::ffi::CStr;
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use evercall_rules::packed::RuleId;

const UNBORN: u8 = 0;
const STARTING: u8 = 1;
const READY: u8 = 2;
static PHASE: AtomicU8 = AtomicU8::new(UNBORN);

/// A value of the auxiliary vector (getauxval(3)), kept from the start; 0 where there is none.
pub struct Auxiliary(AtomicUsize);

impl Auxiliary {
    const fn unknown() -> Auxiliary {
        Auxiliary(AtomicUsize::new(0))
    }

    /// The value.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// Address of the program headers.
pub static PROGRAM_HEADERS: Auxiliary = Auxiliary::unknown();
/// How many program headers there are.
pub static PROGRAM_HEADER_COUNT: Auxiliary = Auxiliary::unknown();
/// Where the dynamic loader is mapped.
pub static LOADER_BASE: Auxiliary = Auxiliary::unknown();
/// Where the vDSO is mapped.
pub static VDSO: Auxiliary = Auxiliary::unknown();
/// Bytes that the kernel puts on the stack of a signal (AT_MINSIGSTKSZ, since 5.14).
pub static SIGNAL_FRAME: Auxiliary = Auxiliary::unknown();
/// AT_SECURE: 0, 1, or not told.
static SECURE: Auxiliary = Auxiliary(AtomicUsize::new(NOT_TOLD));
/// The path the program was executed by.
pub static EXEC_PATH: Auxiliary = Auxiliary::unknown();

const NOT_TOLD: usize = 2;

/// Whether the program runs with raised rights, so that its environment is not to be trusted.
pub fn secure() -> bool {
    match SECURE.get() {
        NOT_TOLD => sys::raised_rights(),
        told => told != 0,
    }
}

/// linux/auxvec.h; not in the libc crate.
const AT_MINSIGSTKSZ: u64 = 51;

fn keep(kind: u64, value: usize) {
    let auxiliary = match kind {
        libc::AT_PHDR => &PROGRAM_HEADERS,
        libc::AT_PHNUM => &PROGRAM_HEADER_COUNT,
        libc::AT_BASE => &LOADER_BASE,
        libc::AT_SYSINFO_EHDR => &VDSO,
        libc::AT_SECURE => &SECURE,
        AT_MINSIGSTKSZ => &SIGNAL_FRAME,
        libc::AT_EXECFN => &EXEC_PATH,
        _ => return,
    };
    auxiliary.0.store(value, Relaxed);
}

/// The program's environment, as libc knows it now: the address of its pointer array.
pub fn environment() -> usize {
    let of_libc = match arch::environ_variable() {
        0 => return FIRST_ENVIRONMENT.load(Relaxed),
        // SAFETY: libc's `char **__environ`, always mapped; only its value is read here.
        variable => unsafe { (variable as *const usize).read_volatile() },
    };
    // Before libc is ready (we start first of all) its variable is empty; later clearenv(3) leaves it so.
    if of_libc == 0 && PHASE.load(Relaxed) != READY { FIRST_ENVIRONMENT.load(Relaxed) } else { of_libc }
}

/// The environment on the first stack, for programs without a libc.
static FIRST_ENVIRONMENT: AtomicUsize = AtomicUsize::new(0);

/// glibc and uClibc pass argc, argv and envp to constructors; musl passes nothing.
#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(usize, usize, usize) = constructor;

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = destructor;

extern "C" fn constructor(argc: usize, argv: usize, envp: usize) {
    let sp = arch::stack_pointer();
    let current = environment();
    // Garbage in the registers cannot fit this: three values that point at each other above our frame.
    let passed = argv > sp && argc < 1 << 24 && argv.wrapping_add(8 * (argc + 1)) == envp;
    // Under musl the environment is still the one on the first stack, above us.
    let on_stack = current > sp && current - sp < 1 << 30 && current % 8 == 0;
    let first = if passed {
        envp
    } else if on_stack {
        current
    } else {
        0
    };
    begin(first);
}

/// A static program, of which this library is the interpreter: no libc, no link map.
static INTERPRETED: AtomicBool = AtomicBool::new(false);

/// Whether this library was started as a static program's interpreter.
pub fn is_interpreted() -> bool {
    INTERPRETED.load(Relaxed)
}

/// The start of a static program: its environment on the first stack.
pub fn interpreted(environment: usize) {
    INTERPRETED.store(true, Relaxed);
    begin(environment);
}

extern "C" fn destructor() {
    if PHASE.load(Acquire) == READY {
        logging::summary();
    }
}

/// Makes sure that the settings are read. False while somebody is still at it.
pub fn ready() -> bool {
    match PHASE.load(Acquire) {
        READY => true,
        UNBORN => {
            begin(0);
            PHASE.load(Acquire) == READY
        }
        _ => false,
    }
}

/// `first`: the environment on the first stack, where the auxiliary vector follows it; 0 if not known.
fn begin(first: usize) {
    if PHASE.compare_exchange(UNBORN, STARTING, Acquire, Acquire).is_err() {
        return;
    }
    FIRST_ENVIRONMENT.store(first, Relaxed);
    if first != 0 {
        auxiliary_from_stack(first);
    }
    if SECURE.get() == NOT_TOLD {
        auxiliary_from_proc();
    }
    next::at_start();
    let environment = if first != 0 { first } else { environment() };
    if settings::read(environment) {
        logging::open();
        if let Some(string) = seccomp::at_start() {
            settings::keep(string);
        }
        seccomp::trap::at_start();
        opt_in();
        PHASE.store(READY, Release);
        for number in [libc::SYS_prctl, libc::SYS_seccomp].iter().chain(&file_rules::NUMBERS) {
            state::watch(*number as usize);
        }
        handlers::nofile::at_start();
        vsyscall::at_start();
    } else {
        state::hand_all_on();
        PHASE.store(READY, Release);
    }
}

/// Hands on what acts only where it is asked for.
fn opt_in() {
    let settings = settings::get();
    let release = !settings.uname().is_empty();
    for (rule, on) in [
        (RuleId::Uname, release),
        (RuleId::Release, release),
        (RuleId::Sysinfo, settings.resources),
        (RuleId::Sysconf, settings.resources),
        (RuleId::Resources, settings.resources),
        (RuleId::Cpuinfo, settings.resources || settings.short_cpuinfo),
        (RuleId::SwallowedSettings, settings.pretend),
    ] {
        if !on {
            state::hand_on(&state::HANDED_ON, rule.slot());
            state::hand_on(&state::SYMBOLS_HANDED_ON, rule.slot());
        }
    }
}

/// The strings of an environment of our own process, as the kernel or libc laid it, that start so. What another
/// string holds is not looked at beyond its first difference: every exec pays for this.
pub fn strings(environment: usize, start: &'static [u8]) -> impl Iterator<Item = &'static CStr> {
    let mut at = environment as *const *const core::ffi::c_char;
    core::iter::from_fn(move || {
        if at.is_null() {
            return None;
        }
        loop {
            // SAFETY: the array ends with NULL, as execve(2) and libc lay it, and its strings with NUL, which
            // differs from every byte of `start`.
            unsafe {
                let string = *at;
                if string.is_null() {
                    return None;
                }
                at = at.add(1);
                if start.iter().enumerate().all(|(index, &byte)| *string.add(index) as u8 == byte) {
                    return Some(CStr::from_ptr(string));
                }
            }
        }
    })
}

fn auxiliary_from_stack(environment: usize) {
    let mut at = environment as *const usize;
    // SAFETY: the kernel lays the environment, a NULL, then pairs ending with AT_NULL (0). For each variable
    // that glibc takes out in secure execution (LD_LIBRARY_PATH) there is one NULL more.
    unsafe {
        while *at != 0 {
            at = at.add(1);
        }
        while *at == 0 {
            at = at.add(1);
        }
        while *at != 0 {
            keep(*at as u64, *at.add(1));
            at = at.add(2);
        }
    }
}

fn auxiliary_from_proc() {
    let mut buffer = [0u8; 512];
    let Ok(bytes) = files::read_start(c"/proc/self/auxv", &mut buffer) else { return };
    for pair in bytes.chunks_exact(16) {
        let (kind, value) = pair.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        keep(number(kind), number(value) as usize);
    }
}
