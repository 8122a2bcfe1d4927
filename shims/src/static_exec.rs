//! A static program that is executed under a trapping filter (`evercall run --trap`): no dynamic loader loads
//! this library for it, so a sealed copy of it in memory names the library as its ELF interpreter, as
//! `evercall run` does for the first program (src/static_program.rs). The file on disk stays as it is.

use crate::environment::{self, File};
use crate::memory;
use crate::seccomp::MAGIC;
use crate::settings;
use crate::signals;
use crate::sys::{self, Errno, Fd, Result, User};
use crate::text::{Text, trim};

const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

// Kinds of program headers (elf(5)), and the flags of a stack that is not executable.
const PT_NULL: u32 = 0;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const PT_GNU_STACK: u32 = 0x6474_e551;
const READ_WRITE: u32 = 6;

/// Bytes of a script's first line that the kernel looks at (BINPRM_BUF_SIZE).
const PATH: usize = 256;

/// Most arguments of a script whose interpreter is static.
const ARGUMENTS: usize = 4096;

/// What an exec has to become.
enum Becomes {
    /// The call as it is: the preload reaches the program, or the filter does not.
    Itself,
    /// This copy.
    Copy(Fd),
    /// This copy of a script's interpreter, with the words of the script's first line before the arguments.
    Script(Fd),
}

/// The interpreter of a script and its argument.
struct Words {
    interpreter: Text<PATH>,
    argument: Text<PATH>,
}

/// Carries out an execve(2) or execveat(2) that was trapped. Comes back only with -errno.
pub fn exec(number: usize, args: [usize; 6]) -> isize {
    let at_folder = number as i64 == libc::SYS_execveat;
    let first = usize::from(at_folder);
    let [path, argv, envp] = [0, 1, 2].map(|index| User(args.get(first + index).copied().unwrap_or(0)));
    let folder = if at_folder { args[0] as i32 } else { libc::AT_FDCWD };
    let by_descriptor =
        at_folder && args[4] as i32 & libc::AT_EMPTY_PATH != 0 && memory::get::<u8>(path) == Ok(0);
    let path = if by_descriptor { User::NULL } else { path };
    environment::with_kept(File::In(folder, path), envp, |envp| {
        let mut words = Words { interpreter: Text::new(), argument: Text::new() };
        signals::real_for_exec(|| match judge(folder, path, &mut words) {
            Ok(Becomes::Itself) => {
                let mut args = args;
                args[5] = MAGIC;
                if let Some(place) = args.get_mut(first + 2) {
                    *place = envp.0;
                }
                sys::call(number as i64, args)
            }
            Ok(Becomes::Copy(copy)) => sys::exec_file(&copy, argv.0, envp, MAGIC),
            Ok(Becomes::Script(copy)) if folder == libc::AT_FDCWD => {
                script(&copy, &mut words, [path, argv, envp])
            }
            Ok(Becomes::Script(_)) => refused(Errno(libc::ENOEXEC)),
            Err(error) => refused(error),
        })
    })
}

/// The log may be off, and the program says no more than an errno: so the reason goes to stderr.
fn refused(error: Errno) -> isize {
    let _ = sys::write(2, b"evercall: not executed: without libevercall.so it would die under --trap\n");
    -(error.0 as isize)
}

/// Judges the file of an exec. An error is why the program cannot have the handler: executed all the same, it
/// would die at its first trapped call.
fn judge(folder: i32, path: User, words: &mut Words) -> Result<Becomes> {
    // What cannot be opened is the kernel's to judge.
    let Ok(file) = open(folder, path) else { return Ok(Becomes::Itself) };
    let Some(interpreter) = interpreter_of(&file, words) else {
        return if is_static(&file)? { interpreted(&file).map(Becomes::Copy) } else { Ok(Becomes::Itself) };
    };
    // A script that interprets a script: static behind it, its interpreter could not be given its words.
    let mut inner = Words { interpreter: Text::new(), argument: Text::new() };
    if let Some(behind) = interpreter_of(&interpreter, &mut inner) {
        return if is_static(&behind)? { Err(Errno(libc::ENOEXEC)) } else { Ok(Becomes::Itself) };
    }
    if is_static(&interpreter)? {
        interpreted(&interpreter).map(Becomes::Script)
    } else {
        Ok(Becomes::Itself)
    }
}

/// The interpreter of a script, and the words of its first line as the kernel divides them. None for what is no
/// script, or one whose interpreter cannot be opened.
fn interpreter_of(script: &Fd, words: &mut Words) -> Option<Fd> {
    let mut start = [0u8; PATH];
    let length = sys::pread(script.0, &mut start, 0).ok()?;
    let line = start.get(..length)?.strip_prefix(b"#!")?;
    let line = trim(line.split(|&b| b == b'\n').next().unwrap_or(line));
    let mut parts = line.splitn(2, |&b| b == b' ' || b == b'\t');
    words.interpreter.push(parts.next().unwrap_or(b""));
    words.argument.push(trim(parts.next().unwrap_or(b"")));
    sys::open(words.interpreter.c_str(), libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()
}

fn open(folder: i32, path: User) -> Result<Fd> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    if path.is_null() {
        // fexecve's own descriptor.
        return sys::open(sys::proc_path(folder).c_str(), flags, 0);
    }
    sys::open_user_in(folder, path, flags)
}

fn half(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| usize::from(u16::from_le_bytes(*b)))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// Whether a file is an x86-64 program without a dynamic loader. The filter lets other architectures through.
fn is_static(file: &Fd) -> Result<bool> {
    let mut header = [0u8; FILE_HEADER];
    if sys::pread(file.0, &mut header, 0).is_err() {
        return Ok(false);
    }
    let is_ours = header.starts_with(b"\x7fELF\x02\x01") && half(&header, 18) == usize::from(EM_X86_64);
    if !is_ours {
        return Ok(false);
    }
    Ok(find_header(file, &header, |kind, _| kind == PT_INTERP)?.is_none())
}

const EM_X86_64: u16 = 62;

/// Where the first program header that fits stands in the file.
fn find_header(file: &Fd, header: &[u8], fits: impl Fn(u32, u32) -> bool) -> Result<Option<u64>> {
    let (offset, count) = (long(header, 32), half(header, 56));
    for index in 0..count.min(128) {
        let at = offset.wrapping_add((index * PROGRAM_HEADER) as u64);
        let mut bytes = [0u8; 8];
        sys::pread(file.0, &mut bytes, at)?;
        if fits(word(&bytes, 0), word(&bytes, 4)) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// A sealed copy in memory, with this library as its interpreter. ENOEXEC where no program header can be
/// spared, ENOSYS without memfd_create(2).
fn interpreted(file: &Fd) -> Result<Fd> {
    let copy = sys::memory_file(c"evercall")?;
    let size = sys::fstat(file.0)?.st_size as u64;
    let mut done = 0;
    while done < size {
        let left = (size - done) as usize;
        if sys::sendfile(copy.0, file.0, &mut done, left)? == 0 {
            return Err(Errno(libc::EIO));
        }
    }
    let mut header = [0u8; FILE_HEADER];
    sys::pread(copy.0, &mut header, 0)?;
    // In this order: what tools read only, and last a stack's flags that are the default anyhow.
    let wanted =
        [(PT_NOTE, None), (PT_GNU_PROPERTY, None), (PT_NULL, None), (PT_GNU_STACK, Some(READ_WRITE))];
    let mut place = None;
    for (kind, flags) in wanted {
        if place.is_none() {
            place = find_header(&copy, &header, |k, f| k == kind && flags.is_none_or(|flags| flags == f))?;
        }
    }
    let Some(place) = place else { return Err(Errno(libc::ENOEXEC)) };
    let settings = settings::get();
    let Some(library) = settings.kept_strings().find_map(|s| s.strip_prefix(b"LD_PRELOAD=")) else {
        return Err(Errno(libc::ENOEXEC));
    };
    sys::pwrite(copy.0, library, size)?;
    let length = library.len() as u64;
    // p_type and p_flags, p_offset, two addresses, p_filesz, p_memsz, p_align.
    let segment = [u64::from(PT_INTERP) | 4 << 32, size, 0, 0, length, length, 1];
    let mut bytes = [0u8; PROGRAM_HEADER];
    for (to, from) in bytes.chunks_exact_mut(8).zip(segment) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    sys::pwrite(copy.0, &bytes, place)?;
    sys::seal(&copy)?;
    Ok(copy)
}

/// Executes a script's interpreter: its own words, the script's path, and the arguments behind the first.
fn script(copy: &Fd, words: &mut Words, [path, argv, envp]: [User; 3]) -> isize {
    let mut count = 0;
    while count < ARGUMENTS && memory::get::<usize>(argv.at(count * 8)).is_ok_and(|word| word != 0) {
        count += 1;
    }
    let done = sys::with_words(count + 4, |block| {
        let mut to = block.iter_mut();
        let mut put = |word: usize| {
            if let Some(place) = to.next() {
                *place = word;
            }
        };
        put(words.interpreter.c_str().as_ptr() as usize);
        if !words.argument.bytes().is_empty() {
            put(words.argument.c_str().as_ptr() as usize);
        }
        put(path.0);
        for index in 1..count {
            put(memory::get(argv.at(index * 8)).unwrap_or(0));
        }
        sys::exec_file(copy, block.as_ptr() as usize, envp, MAGIC)
    });
    done.unwrap_or(-(libc::ENOMEM as isize))
}
