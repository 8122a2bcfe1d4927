//! The environment that an exec passes on: what evercall needs of it is put back where it was lost, and what the
//! dynamic loader of the program is to be told (GLIBC_TUNABLES) is added where it is configured.

use crate::logging;
use crate::memory;
use crate::seccomp;
use crate::settings::{self, is_ours};
use crate::start;
use crate::state;
use crate::sys::{self, Errno, Result, User};
use crate::text::Text;
use core::ffi::CStr;
use evercall_rules::packed::RuleId;

/// Bytes of each string that are looked at.
const PREFIX: usize = settings::KEPT_NAME;

/// Pointers read in one go.
const BATCH: usize = 16;

/// Most variables that are looked through, and that a copy is made of (32 KiB).
const VARIABLES: usize = 4096;

/// Most strings that are put back.
const KEPT: usize = 16;

/// Longest LD_PRELOAD that ours is added to, bytes.
const PRELOAD: usize = 1024;

/// Longest GLIBC_TUNABLES that entries are added to, bytes.
const TUNABLES: usize = 512;

/// Bytes of the path or name that sections of the configuration are compared with.
const PATH: usize = 256;

/// The file that an exec names.
#[derive(Clone, Copy)]
pub enum File {
    /// By a path from a folder on, or by its own descriptor where there is no path.
    In(i32, User),
    /// By a name that PATH decides: which file it means is not looked at.
    Elsewhere(User),
}

impl File {
    /// A path from the working directory on.
    pub fn at(path: User) -> File {
        File::In(libc::AT_FDCWD, path)
    }
}

/// What was found in an environment.
#[derive(Default)]
struct Found {
    /// Variables in all.
    count: usize,
    /// A bit for each kept string whose name is there.
    names: u32,
    /// Where an LD_PRELOAD without us stands, and its address.
    foreign_preload: Option<(usize, User)>,
    /// Where GLIBC_TUNABLES stands, and its address.
    tunables: Option<(usize, User)>,
    /// `EVERCALL=off` is there: left as it is.
    off: bool,
}

/// Calls `exec` with this environment, or with a copy that has back what it lost. `exec` returns only
/// where it failed, or where it made a new process (posix_spawn).
pub fn with_kept<F: FnMut(User) -> isize>(file: File, envp: User, mut exec: F) -> isize {
    fn call<F: FnMut(User) -> isize>(closure: *mut (), envp: User) -> isize {
        // SAFETY: the closure of the call below, which nobody else uses meanwhile.
        unsafe { (*closure.cast::<F>())(envp) }
    }
    by_pointer(file, envp, Exec { closure: (&raw mut exec).cast(), call: call::<F> })
}

/// An exec: one copy of the work serves all callers, as with a trait object, but without a table to relocate.
#[derive(Clone, Copy)]
struct Exec {
    closure: *mut (),
    call: fn(*mut (), User) -> isize,
}

impl Exec {
    fn with(self, envp: User) -> isize {
        (self.call)(self.closure, envp)
    }
}

/// Never inlined, nor are those below: a caller that tries twice has room for one frame on a stack of 16 KiB, not for
/// two.
#[inline(never)]
fn by_pointer(file: File, envp: User, exec: Exec) -> isize {
    if !start::ready() || state::handed_on(&state::HANDED_ON, RuleId::Exec.slot()) {
        return exec.with(envp);
    }
    let settings = settings::get();
    let keeps = settings.keep && !settings.kept.bytes().is_empty();
    let tunes = settings.has_tunables();
    if !keeps && !tunes {
        return exec.with(envp);
    }
    // A bad environment is the kernel's to refuse.
    let Ok(found) = look_through(envp) else { return exec.with(envp) };
    if tunes {
        with_tunables(file, envp, exec, &found, keeps)
    } else {
        with_lost(file, envp, exec, &found, keeps, None)
    }
}

#[inline(never)]
fn with_tunables(file: File, envp: User, exec: Exec, found: &Found, keeps: bool) -> isize {
    let (File::In(_, name) | File::Elsewhere(name)) = file;
    let mut tunables = Text::<TUNABLES>::new();
    tuned(name, found.tunables.map(|(_, string)| string), &mut tunables);
    let tunables = Some(tunables.c_str()).filter(|tunables| !tunables.is_empty());
    with_lost(file, envp, exec, found, keeps, tunables)
}

/// With what the environment lost (if it is kept), and these GLIBC_TUNABLES.
#[inline(never)]
fn with_lost(
    file: File,
    envp: User,
    exec: Exec,
    found: &Found,
    keeps: bool,
    tunables: Option<&CStr>,
) -> isize {
    let settings = settings::get();
    let lost = || {
        let named = |index: usize| found.names >> index & 1 == 1;
        let strings = settings.kept_strings().enumerate().take(if keeps { KEPT } else { 0 });
        strings.filter(move |&(index, _)| !named(index)).map(|(_, string)| string)
    };
    let foreign_preload = found.foreign_preload.filter(|_| keeps);
    let loses = lost().next().is_some() || foreign_preload.is_some();
    if !(loses || tunables.is_some()) || found.off || found.count > VARIABLES {
        return exec.with(envp);
    }
    if let File::In(folder, path) = file {
        if !takes_preload(folder, path) {
            return exec.with(envp);
        }
    }
    let mut preload = Text::<PRELOAD>::new();
    let replaced = foreign_preload.and_then(|(index, string)| joined(string, &mut preload).map(|()| index));
    // Before the copy is made: a thread's 16 KiB do not hold both.
    let worth_telling = lost().any(|string| !string.starts_with(seccomp::MARK));
    if logging::is_on() && (worth_telling || foreign_preload.is_some() || tunables.is_some()) {
        let (File::In(_, name) | File::Elsewhere(name)) = file;
        let args = [name.0, 0, envp.0, 0, 0, 0];
        let done: &[u8] =
            if tunables.is_some() { b"set GLIBC_TUNABLES" } else { b"put back what its environment lost" };
        logging::translated(RuleId::Exec, &args, done, 0);
    }
    let retuned = found.tunables.map(|(index, _)| index).filter(|_| tunables.is_some());
    let tunables = tunables.map_or(0, |tunables| tunables.as_ptr() as usize);
    let done = sys::with_words(found.count + KEPT + 2, |block| {
        let mut words = block.iter_mut();
        for (index, word) in words.by_ref().take(found.count).enumerate() {
            match memory::get::<usize>(envp.at(index * size_of::<usize>())) {
                Ok(string) => *word = string,
                Err(_) => return exec.with(envp),
            }
            if replaced == Some(index) {
                *word = preload.bytes().as_ptr() as usize;
            }
            if retuned == Some(index) {
                *word = tunables;
            }
        }
        if tunables != 0 && retuned.is_none() {
            if let Some(word) = words.next() {
                *word = tunables;
            }
        }
        for (word, string) in words.zip(lost()) {
            *word = string.as_ptr() as usize;
        }
        exec.with(User(block.as_ptr() as usize))
    });
    match done {
        // Where the program's own environment just fits, ours does not (a spawn function gives E2BIG itself).
        Some(result) if result.unsigned_abs() != libc::E2BIG as usize => result,
        _ => exec.with(envp),
    }
}

/// Looks an environment through. NULL is an empty one, as execve(2) takes it. EFAULT for a bad address.
fn look_through(envp: User) -> Result<Found> {
    let mut found = Found::default();
    if envp.is_null() {
        return Ok(found);
    }
    let mut pointers = [0usize; BATCH];
    let mut prefixes = [[0u8; PREFIX]; BATCH];
    while found.count <= VARIABLES {
        let read = read_pointers(envp.at(found.count * size_of::<usize>()), &mut pointers)?;
        let pointers = pointers.get(..read).unwrap_or(&[]);
        let end = pointers.iter().position(|&p| p == 0);
        let pointers = pointers.get(..end.unwrap_or(read)).unwrap_or(&[]);
        let whole = memory::read_each(pointers, &mut prefixes);
        for (index, (&pointer, prefix)) in pointers.iter().zip(&mut prefixes).enumerate() {
            if index >= whole {
                *prefix = [0; PREFIX];
                memory::read_string(User(pointer), prefix)?;
            }
            found.look_at(User(pointer), prefix);
            found.count += 1;
        }
        if end.is_some() {
            break;
        }
    }
    Ok(found)
}

impl Found {
    fn look_at(&mut self, string: User, prefix: &[u8; PREFIX]) {
        if prefix.starts_with(b"GLIBC_TUNABLES=") {
            self.tunables = Some((self.count, string));
        }
        if !prefix.starts_with(b"EVERCALL") && !prefix.starts_with(b"LD_PRELOAD=") {
            return;
        }
        self.off |= prefix
            .strip_prefix(b"EVERCALL=")
            .and_then(|value| value.split(|&b| b == 0).next())
            .is_some_and(settings::is_off);
        for (index, kept) in settings::get().kept_strings().enumerate().take(KEPT) {
            let name = kept.split_inclusive(|&b| b == b'=').next().unwrap_or(kept);
            if prefix.starts_with(name) {
                self.names |= 1 << index;
                if name == b"LD_PRELOAD=" && !names_us(string) {
                    self.foreign_preload = Some((self.count, string));
                }
            }
        }
    }
}

/// Reads pointers up to the end of a page at least: how many.
fn read_pointers(from: User, to: &mut [usize; BATCH]) -> Result<usize> {
    if let Ok(all) = memory::get::<[usize; BATCH]>(from) {
        *to = all;
        return Ok(BATCH);
    }
    // Near the end of mapped memory: one by one.
    let mut read = 0;
    for (index, word) in to.iter_mut().enumerate() {
        match memory::get(from.at(index * size_of::<usize>())) {
            Ok(pointer) => *word = pointer,
            Err(error) => return if read == 0 { Err(error) } else { Ok(read) },
        }
        read += 1;
        if *word == 0 {
            break;
        }
    }
    Ok(read)
}

/// Whether an LD_PRELOAD string names this library already; a longer one than we can hold counts as if.
fn names_us(string: User) -> bool {
    let mut buffer = [0u8; PRELOAD];
    match memory::read_string(string, &mut buffer) {
        Ok(Some(text)) => text.split(|&b| b == b':' || b == b' ' || b == b'=').any(is_ours),
        _ => true,
    }
}

/// The program's LD_PRELOAD with our own entry behind it. Its buffer is off the stack again before anything is logged.
#[inline(never)]
fn joined<const N: usize>(string: User, to: &mut Text<N>) -> Option<()> {
    let mut buffer = [0u8; PRELOAD];
    let theirs = memory::read_string(string, &mut buffer).ok()??;
    let ours = settings::get().kept_strings().find_map(|s| s.strip_prefix(b"LD_PRELOAD="))?;
    to.push(theirs);
    if !theirs.ends_with(b"=") {
        to.push(b":");
    }
    to.push(ours);
    (!to.is_cut()).then_some(())
}

/// The GLIBC_TUNABLES that a program of this name is to get, with what it would get anyway; nothing where that holds
/// them already. A tunable that it would get keeps its value.
#[inline(never)]
fn tuned(name: User, theirs: Option<User>, to: &mut Text<TUNABLES>) {
    const NAME: &[u8] = b"GLIBC_TUNABLES=";
    let (mut path, mut buffer) = ([0u8; PATH], [0u8; TUNABLES]);
    // A descriptor has no name, and what is set for all programs is for it too.
    let path = memory::read_string(name, &mut path).ok().flatten().unwrap_or(b"");
    let theirs = match theirs.map(|string| memory::read_string(string, &mut buffer)) {
        None => NAME,
        Some(Ok(Some(string))) => string,
        Some(_) => return,
    };
    to.push(theirs);
    let entries = || settings::get().tunables_of(path).flat_map(|value| value.split(|&b| b == b':'));
    for (index, entry) in entries().enumerate() {
        let end = entry.iter().position(|&b| b == b'=').map_or(0, |at| at + 1);
        let tunable = entry.get(..end).unwrap_or(&[]);
        let listed = to.bytes().get(NAME.len()..).unwrap_or(&[]);
        // A section's counts more than what stands before it, and the environment's more than the file's.
        let again = entries().skip(index + 1).any(|later| later.starts_with(tunable));
        if tunable.is_empty() || again || listed.split(|&b| b == b':').any(|one| one.starts_with(tunable)) {
            continue;
        }
        if !listed.is_empty() {
            to.push(b":");
        }
        to.push(entry);
    }
    if to.is_cut() || to.bytes() == theirs {
        to.truncate(0);
    }
}

/// Whether a program could load this library: an ELF file of another class or machine prints an error
/// where it finds it in LD_PRELOAD. What cannot be read is the kernel's to judge.
fn takes_preload(folder: i32, path: User) -> bool {
    let mut header = [0u8; 20];
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let read = match sys::open_user_in(folder, path, flags) {
        Ok(file) => sys::read(file.0, &mut header),
        Err(_) => sys::pread(folder, &mut header, 0),
    };
    match read {
        Ok(20) | Err(Errno(_)) => {}
        Ok(_) => return true,
    }
    // e_ident[EI_CLASS] at 4: ELFCLASS64; e_machine at 18: EM_X86_64 (elf(5)).
    !header.starts_with(b"\x7fELF") || (header[4] == 2 && header[18] == 62 && header[19] == 0)
}
