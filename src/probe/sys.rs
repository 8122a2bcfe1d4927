//! What the questions need of the kernel itself: the throw-away child, the raw call in it, and what std does not
//! tell of a process. All that is unsafe of this verb stands here.
//!
//! Any call may be refused, trapped or killed by a filter, also those that we need. So the parent makes few, has
//! a second way for most of them, and the child makes none but the one in question before its answer stands in
//! the page that both share.
#![allow(unsafe_code)]

use std::arch::asm;
use std::ffi::{CStr, c_int};
use std::hint;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{null, null_mut};
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a child may take. A call that answers at all does so in microseconds; this is for loaded machines.
const LIMIT: Duration = Duration::from_secs(2);

/// The same while it cannot be seen whether the child has ended.
const UNSEEN_LIMIT: Duration = Duration::from_millis(100);

/// How long the parent does not sleep between two looks.
const EAGER: Duration = Duration::from_micros(300);

/// Nanoseconds between two looks, and two signals to a call that is to be interrupted.
const PAUSE: libc::c_long = 200_000;

/// A call of the kernel, by its number.
#[derive(Clone, Copy)]
pub struct Raw {
    /// The number.
    pub number: u16,
    /// The arguments.
    pub arguments: [i32; 6],
}

/// What is done in a child.
#[derive(Clone, Copy)]
pub enum Task {
    /// A system call.
    Call(Raw),
    /// The same, after the child gave up all its capabilities.
    CallWithoutRights(Raw),
    /// The same, which waits for a signal: it is sent until the call comes back. With the flag, the child asks to
    /// be killed with its parent first (prctl).
    Interrupt(Raw, bool),
    /// A call of time() in the vsyscall page.
    Vsyscall,
    /// The i386 getpid, by `int 0x80`.
    Int80,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call came back with this.
    Returned(i64),
    /// It raised a SIGSYS that a handler could catch.
    Trapped,
    /// A signal ended the child.
    Killed(c_int),
    /// The child ended by itself, without an answer.
    Exited(c_int),
    /// It did not come back in time.
    Hung,
    /// It gave no answer, and its end cannot be seen: a filter refuses both ways to wait.
    Unseen,
    /// The child could not give up its capabilities, or could not be made ready otherwise.
    NotReady,
}

/// Where the child is, and what it got.
struct Page {
    state: AtomicU32,
    result: AtomicI64,
}

const STARTING: u32 = 0;
const ASKING: u32 = 1;
const ANSWERED: u32 = 2;
const TRAPPED: u32 = 3;

static PAGE: AtomicPtr<Page> = AtomicPtr::new(null_mut());
static IN_CHILD: AtomicBool = AtomicBool::new(false);

fn page() -> Option<&'static Page> {
    // SAFETY: null, or the page that `prepare` mapped, which stays until the process ends.
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// Makes ready for children: the page, the handlers that they inherit, and no core file of any of them.
pub fn prepare() -> io::Result<()> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, of zeros, which is a Page.
    let address = unsafe { libc::mmap(null_mut(), size_of::<Page>(), protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    PAGE.store(address.cast(), Release);
    handle(libc::SIGSYS, on_trap as *const () as usize, libc::SA_SIGINFO);
    // Not SA_RESTART: the call is to come back.
    handle(libc::SIGUSR1, on_interrupt as *const () as usize, 0);
    // SAFETY: a set of this stack; and plain numbers.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigaddset(&raw mut set, libc::SIGSYS);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, null_mut());
        if let Some((soft, hard)) = rlimit(libc::RLIMIT_CORE) {
            CORE_LIMIT.store(soft as i64, Relaxed);
            let none = libc::rlimit { rlim_cur: 0, rlim_max: hard };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        }
    }
    Ok(())
}

/// RLIMIT_CORE as it was before `prepare`.
static CORE_LIMIT: AtomicI64 = AtomicI64::new(0);

/// The soft limit of core files that this process was given.
pub fn core_limit() -> u64 {
    CORE_LIMIT.load(Relaxed) as u64
}

/// Sets whether this process and its children may leave a core dump (prctl(PR_SET_DUMPABLE)), also one that is piped
/// to a program, which no limit stops. Gives what it was.
pub fn set_dumpable(dumpable: c_int) -> c_int {
    // SAFETY: takes numbers alone.
    unsafe {
        let was = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, dumpable, 0, 0, 0);
        was
    }
}

fn handle(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: a plain struct, for which zeros are a value; the handlers are of the type that the flags say.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, null_mut());
    }
}

extern "C" fn on_interrupt(_: c_int) {}

/// In a child: the answer. In the parent, one of its own calls: it has its second way on ENOSYS.
extern "C" fn on_trap(_: c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if IN_CHILD.load(Relaxed) {
        if let Some(page) = page() {
            if page.state.load(Relaxed) == ASKING {
                page.state.store(TRAPPED, Release);
            }
        }
        // Not back: a filter may trap rt_sigreturn.
        end();
    }
    // SAFETY: the kernel gives the registers of the interrupted call.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        context.uc_mcontext.gregs[libc::REG_RAX as usize] = -i64::from(libc::ENOSYS);
    }
}

extern "C" fn on_fault(_: c_int) {
    end();
}

/// Carries a task out in a child. An error where there can be no child.
pub fn in_child(task: Task) -> io::Result<Outcome> {
    let Some(page) = page() else { return Err(io::Error::from_raw_os_error(libc::ENOMEM)) };
    page.state.store(STARTING, Relaxed);
    let child = fork()?;
    if child == 0 {
        IN_CHILD.store(true, Relaxed);
        carry_out(task, page);
        end();
    }
    if WAYS.reap.load(Relaxed) == NONE {
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }
    let interrupted = matches!(task, Task::Interrupt(..));
    let status = wait(child, page, || {
        if interrupted && page.state.load(Acquire) == ASKING {
            signal(child, libc::SIGUSR1);
        }
    });
    let ended = match status {
        Some(status) if libc::WIFEXITED(status) => Outcome::Exited(libc::WEXITSTATUS(status)),
        Some(status) => Outcome::Killed(libc::WTERMSIG(status)),
        None if WAYS.reap.load(Relaxed) == NONE => Outcome::Unseen,
        None => Outcome::Hung,
    };
    Ok(match page.state.load(Acquire) {
        ANSWERED => Outcome::Returned(page.result.load(Relaxed)),
        TRAPPED => Outcome::Trapped,
        ASKING => ended,
        _ => Outcome::NotReady,
    })
}

/// In the child. Comes back only after the answer stands.
fn carry_out(task: Task, page: &Page) {
    match task {
        Task::CallWithoutRights(_) if !drop_rights() => return,
        Task::Interrupt(_, true) => {
            let arguments = [libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0, 0];
            call(Raw { number: libc::SYS_prctl as u16, arguments });
        }
        // What the host does not have faults; with a handler the kernel does not log it.
        Task::Vsyscall | Task::Int80 => {
            for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGBUS] {
                handle(signal, on_fault as *const () as usize, 0);
            }
        }
        _ => {}
    }
    page.state.store(ASKING, Release);
    let result = match task {
        Task::Call(raw) | Task::CallWithoutRights(raw) | Task::Interrupt(raw, _) => call(raw),
        Task::Vsyscall => vsyscall_time(),
        Task::Int80 => int80_getpid(),
    };
    page.result.store(result, Relaxed);
    page.state.store(ANSWERED, Release);
    if result > 0 && matches!(task, Task::Call(raw) if makes_processes(raw.number)) {
        call(Raw { number: libc::SYS_wait4 as u16, arguments: [result as i32, 0, 0, 0, 0, 0] });
    }
}

fn makes_processes(number: u16) -> bool {
    [libc::SYS_fork, libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3].contains(&i64::from(number))
}

/// The raw call. A process that it makes ends at once, without touching the memory that it may share.
fn call(Raw { number, arguments }: Raw) -> i64 {
    let [a, b, c, d, e, f] = arguments.map(i64::from);
    let result;
    // SAFETY: harmless by the table; what it may write to is no memory of ours: no pointer but NULL or -1.
    unsafe {
        if makes_processes(number) {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "mov eax, 60",
                "xor edi, edi",
                "syscall",
                "ud2",
                "2:",
                inlateout("rax") i64::from(number) => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
                lateout("rcx") _, lateout("r11") _,
            );
        } else {
            asm!(
                "syscall",
                inlateout("rax") i64::from(number) => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
                lateout("rcx") _, lateout("r11") _,
            );
        }
    }
    result
}

/// time(NULL) of the vsyscall page.
fn vsyscall_time() -> i64 {
    let result;
    // SAFETY: the page's function, which takes no memory here; where there is none, the fault is handled.
    unsafe {
        asm!(
            "call {}",
            in(reg) 0xffff_ffff_ff60_0400_u64,
            in("rdi") 0,
            lateout("rax") result,
            clobber_abi("sysv64"),
        );
    }
    result
}

/// The i386 getpid (20).
fn int80_getpid() -> i64 {
    let result: i64;
    // SAFETY: takes no memory; where the kernel does not have it, the fault is handled. It clears r8 to r11.
    unsafe {
        asm!(
            "int 0x80",
            inlateout("rax") 20_i64 => result,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    i64::from(result as i32)
}

/// Gives up all capabilities: capset(2) of nothing. Whether it was done.
fn drop_rights() -> bool {
    // _LINUX_CAPABILITY_VERSION_3, and ourselves; effective, permitted, inheritable, twice.
    let header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: the struct's layouts, alive during the calls.
    unsafe {
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) == 0
            && libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) == 0
            && sets == [0; 6]
    }
}

/// Ends a child, by whatever a filter leaves.
fn end() -> ! {
    for number in [libc::SYS_exit_group, libc::SYS_exit] {
        call(Raw { number: number as u16, arguments: [0; 6] });
    }
    // SAFETY: ends the process.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// A child of this process; 0 in it. By clone, else by fork.
fn fork() -> io::Result<i32> {
    let mut result = 0;
    for (number, flags) in [(libc::SYS_clone, i64::from(libc::SIGCHLD)), (libc::SYS_fork, 0)] {
        // SAFETY: no stack and no shared memory: a fork. There are no other threads that could hold a lock.
        result = unsafe { libc::syscall(number, flags, 0, 0, 0, 0) };
        if result >= 0 {
            return i32::try_from(result).map_err(io::Error::other);
        }
    }
    Err(if result < 0 { io::Error::last_os_error() } else { io::Error::other("no child") })
}

/// The parent's own calls that a filter may kill it for: by them it was found out in children which it may make.
pub struct Ways {
    /// Whether it may sleep (nanosleep, by which some libcs mean clock_nanosleep).
    pub sleep: AtomicBool,
    /// Which call it sees the end of a child by: wait4, waitid, or none.
    pub reap: AtomicI64,
    /// Which call it sends signals by: kill, tgkill, or none.
    pub signal: AtomicI64,
}

/// Of none of them: only what is asked then can tell.
pub static WAYS: Ways =
    Ways { sleep: AtomicBool::new(false), reap: AtomicI64::new(NONE), signal: AtomicI64::new(NONE) };

/// Children whose end could not be seen.
static LEFT: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Reaps the children that were asked before it was known how: under a parent that does not, they would stay.
pub fn reap_left() {
    for child in LEFT.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let start = Instant::now();
        while reap(child) == Some(0) && start.elapsed() < LIMIT {
            pause();
        }
    }
}

/// No way.
pub const NONE: i64 = -1;

fn pause() {
    if WAYS.sleep.load(Relaxed) {
        let time = libc::timespec { tv_sec: 0, tv_nsec: PAUSE };
        // SAFETY: a struct of this stack. Not by std, which panics where a filter refuses to let us sleep.
        unsafe { libc::nanosleep(&raw const time, null_mut()) };
    } else {
        hint::spin_loop();
    }
}

/// Waits for the end of a child, and ends one that takes too long. None then, or if its end cannot be seen.
fn wait(child: i32, page: &Page, mut meanwhile: impl FnMut()) -> Option<c_int> {
    let start = Instant::now();
    let limit = if WAYS.reap.load(Relaxed) == NONE { UNSEEN_LIMIT } else { LIMIT };
    loop {
        match reap(child) {
            Some(0) => {}
            Some(status) => return Some(status & (ENDED - 1)),
            // Its end cannot be seen, but its answer can.
            None if [ANSWERED, TRAPPED].contains(&page.state.load(Acquire)) => return None,
            None => {}
        }
        let elapsed = start.elapsed();
        if elapsed > limit {
            signal(child, libc::SIGKILL);
            while start.elapsed() < limit * 2 && reap(child) == Some(0) {
                pause();
            }
            return None;
        }
        meanwhile();
        if elapsed < EAGER {
            hint::spin_loop();
        } else {
            pause();
        }
    }
}

/// Set in what `reap` gives of a child that has ended, beside its wait status.
const ENDED: c_int = 1 << 16;

/// Whether a child has ended: 0 if not, else its wait status with `ENDED`; None if that cannot be seen.
fn reap(child: i32) -> Option<c_int> {
    let mut status: c_int = 0;
    if WAYS.reap.load(Relaxed) == libc::SYS_wait4 {
        // SAFETY: a number of this stack.
        return match unsafe { libc::syscall(libc::SYS_wait4, child, &raw mut status, libc::WNOHANG, 0) } {
            0 => Some(0),
            -1 => None,
            _ => Some(status | ENDED),
        };
    }
    if WAYS.reap.load(Relaxed) != libc::SYS_waitid {
        return None;
    }
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: a struct of this stack, which the kernel fills in; zeros are one, too. It is of a waitid.
    let (pid, code, status) = unsafe {
        if libc::syscall(libc::SYS_waitid, libc::P_PID, child, info.as_mut_ptr(), options, 0) == -1 {
            return None;
        }
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    if pid == 0 {
        return Some(0);
    }
    Some(ENDED | if code == libc::CLD_EXITED { (status & 0xff) << 8 } else { status })
}

/// Sends a signal to a child.
fn signal(child: i32, signal: c_int) {
    // SAFETY: takes numbers alone; the child is ours and not yet reaped.
    unsafe {
        match WAYS.signal.load(Relaxed) {
            libc::SYS_kill => libc::syscall(libc::SYS_kill, child, signal),
            libc::SYS_tgkill => libc::syscall(libc::SYS_tgkill, child, child, signal),
            _ => 0,
        };
    }
}

/// uname(2): release, version, machine.
pub fn uname() -> Option<[String; 3]> {
    let mut names = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: a struct of this stack; its texts end in a NUL.
    unsafe {
        if libc::uname(names.as_mut_ptr()) != 0 {
            return None;
        }
        let names = names.assume_init();
        let text = |name: &[libc::c_char; 65]| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
        Some([text(&names.release), text(&names.version), text(&names.machine)])
    }
}

/// getrlimit(2): soft and hard.
pub fn rlimit(resource: libc::__rlimit_resource_t) -> Option<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of this stack.
    (unsafe { libc::getrlimit(resource, &raw mut limit) } == 0).then_some((limit.rlim_cur, limit.rlim_max))
}

/// A value of the auxiliary vector.
pub fn auxiliary(kind: libc::c_ulong) -> Option<u64> {
    // SAFETY: takes a number alone.
    Some(unsafe { libc::getauxval(kind) }).filter(|value| *value != 0)
}

/// The real and effective user id.
pub fn user() -> [u32; 2] {
    // SAFETY: no arguments.
    unsafe { [libc::getuid(), libc::geteuid()] }
}

/// The real and effective group id.
pub fn group() -> [u32; 2] {
    // SAFETY: no arguments.
    unsafe { [libc::getgid(), libc::getegid()] }
}

/// prctl(PR_GET_SECCOMP) and prctl(PR_GET_NO_NEW_PRIVS).
pub fn seccomp_and_no_new_privs() -> (Option<u32>, Option<bool>) {
    // SAFETY: takes numbers alone.
    let [mode, promised] = [libc::PR_GET_SECCOMP, libc::PR_GET_NO_NEW_PRIVS]
        .map(|option| unsafe { libc::prctl(option, 0, 0, 0, 0) });
    (u32::try_from(mode).ok(), u32::try_from(promised).ok().map(|set| set == 1))
}

/// How many processors this process may use (sched_getaffinity(2)).
pub fn allowed_processors() -> Option<usize> {
    // More than the kernel knows of.
    let mut mask = [0_u64; 1024];
    let (size, address) = (size_of_val(&mask), mask.as_mut_ptr());
    // SAFETY: memory of this stack, of that size.
    let filled = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size, address, null::<u8>()) };
    let filled = usize::try_from(filled).ok()?;
    Some(mask.iter().take(filled.div_ceil(8)).map(|word| word.count_ones() as usize).sum())
}
