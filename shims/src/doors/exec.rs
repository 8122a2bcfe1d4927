//! The exec family and posix_spawn: the environment goes through `environment::with_kept` on its way.

use super::{as_kernel, exec_at, exit, finish};
use crate::environment::{self, File};
use crate::errno;
use crate::memory;
use crate::next::Next;
use crate::signals;
use crate::start;
use crate::sys::{self, User};

/// An exec whose arguments hold the environment at `index`: `exec` gets them with it replaced. The last
/// moment for the log's summary.
pub fn with_kept(file: File, args: [usize; 6], index: usize, exec: impl Fn([usize; 6]) -> isize) -> isize {
    spawn_with_kept(file, args, index, |args| {
        exit::summary();
        signals::real_for_exec(|| exec(args))
    })
}

/// The same for a function that makes a new process, after which this one goes on.
fn spawn_with_kept(file: File, args: [usize; 6], index: usize, exec: impl Fn([usize; 6]) -> isize) -> isize {
    let envp = args.get(index).copied().unwrap_or(0);
    environment::with_kept(file, User(envp), |envp| {
        let mut args = args;
        if let Some(slot) = args.get_mut(index) {
            *slot = envp.0;
        }
        exec(args)
    })
}

/// The file that a path or, without a slash in it, a search through PATH decides.
fn searched_for(file: usize) -> File {
    if memory::has_slash(User(file)) { File::at(User(file)) } else { File::Elsewhere(User(file)) }
}

/// A libc function by its next definition, in the kernel's convention. Where the libc has none: the system
/// call, if it is one, else ENOSYS.
fn call(next: &Next, name: &[u8], args: [usize; 6]) -> isize {
    match next.find(name) {
        // SAFETY: the caller's own call, or the same exec by its sister with an environment.
        Some(function) => unsafe { as_kernel(function, args) },
        None if name == b"execveat" => sys::call(libc::SYS_execveat, args),
        None => -(libc::ENOSYS as isize),
    }
}

static EXECVE: Next = Next::unknown();
static EXECVPE: Next = Next::unknown();

/// execv and execvp: by the sister that takes an environment, if it had to be changed. Without one
/// (uClibc and old glibc have no execvpe, and a name without a slash needs it) nothing is put back.
fn with_own_environment(
    file: usize,
    argv: usize,
    searched: bool,
    own: impl Fn([usize; 6]) -> isize,
) -> isize {
    let errno_before = errno::get();
    let environment = start::environment();
    let args = [file, argv, environment, 0, 0, 0];
    let target = if searched { searched_for(file) } else { File::at(User(file)) };
    let no_execvpe = EXECVPE.find(b"execvpe").is_none();
    let by_path = !searched || (no_execvpe && matches!(target, File::In(..)));
    if !by_path && no_execvpe {
        return finish(own(args), errno_before);
    }
    let result = with_kept(target, args, 2, |args| {
        if args[2] == environment {
            return own(args);
        }
        let sister = if by_path { (&EXECVE, &b"execve"[..]) } else { (&EXECVPE, &b"execvpe"[..]) };
        match call(sister.0, sister.1, args) {
            // execvp hands what is no program to the shell; so it must be asked itself.
            no_program if searched && no_program == -(libc::ENOEXEC as isize) => own(args),
            result => result,
        }
    });
    finish(result, errno_before)
}

fn execv_by(file: usize, argv: usize) -> isize {
    static NEXT: Next = Next::unknown();
    with_own_environment(file, argv, false, |args| call(&NEXT, b"execv", args))
}

fn execvp_by(file: usize, argv: usize) -> isize {
    static NEXT: Next = Next::unknown();
    with_own_environment(file, argv, true, |args| call(&NEXT, b"execvp", args))
}

fn execve_by(path: usize, argv: usize, envp: usize) -> isize {
    let errno_before = errno::get();
    let args = [path, argv, envp, 0, 0, 0];
    finish(with_kept(File::at(User(path)), args, 2, |args| call(&EXECVE, b"execve", args)), errno_before)
}

/// libc's `execve(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn execve(path: usize, argv: usize, envp: usize) -> isize {
    execve_by(path, argv, envp)
}

/// libc's `execv(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn execv(path: usize, argv: usize) -> isize {
    execv_by(path, argv)
}

/// libc's `execvp(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn execvp(file: usize, argv: usize) -> isize {
    execvp_by(file, argv)
}

/// libc's `execvpe(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn execvpe(file: usize, argv: usize, envp: usize) -> isize {
    let errno_before = errno::get();
    let args = [file, argv, envp, 0, 0, 0];
    finish(with_kept(searched_for(file), args, 2, |args| call(&EXECVPE, b"execvpe", args)), errno_before)
}

/// libc's `fexecve(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn fexecve(fd: usize, argv: usize, envp: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let args = [fd, argv, envp, 0, 0, 0];
    if envp == 0 {
        // No empty environment here, unlike in execve(2): glibc answers EINVAL.
        return finish(call(&NEXT, b"fexecve", args), errno_before);
    }
    finish(
        with_kept(File::In(fd as i32, User::NULL), args, 2, |args| {
            exec_at::fexecve_or_execve(args, |args| call(&NEXT, b"fexecve", args))
        }),
        errno_before,
    )
}

/// libc's `execveat(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn execveat(dir: usize, path: usize, argv: usize, envp: usize, flags: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let args = [dir, path, argv, envp, flags, 0];
    finish(
        with_kept(File::In(dir as i32, User(path)), args, 3, |args| {
            exec_at::or_execve(args, |args| call(&NEXT, b"execveat", args))
        }),
        errno_before,
    )
}

macro_rules! spawn_door {
    ($symbol:ident, $searched:expr) => {
        /// libc's spawn function of this name: gives an errno, and leaves errno alone.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(
            child: usize,
            path: usize,
            actions: usize,
            attributes: usize,
            argv: usize,
            envp: usize,
        ) -> isize {
            static NEXT: Next = Next::unknown();
            let errno_before = errno::get();
            let own = [child, path, actions, attributes, argv, envp];
            let file = if $searched { searched_for(path) } else { File::at(User(path)) };
            spawn_with_kept(file, own, 5, |[a, b, c, d, e, f]| {
                // A first try with an environment that was too large has set it: the child shares it.
                errno::set(errno_before);
                match NEXT.find(stringify!($symbol).as_bytes()) {
                    // SAFETY: the caller's own call, to whom it would have gone without us.
                    Some(function) => signals::real_for_exec(|| unsafe { function(a, b, c, d, e, f) }),
                    None => libc::ENOSYS as isize,
                }
            })
        }
    };
}

spawn_door!(posix_spawn, false);
spawn_door!(posix_spawnp, true);
spawn_door!(pidfd_spawn, false);
spawn_door!(pidfd_spawnp, true);

/// `execl(3)`, its arguments laid out as an array by the entry point in `arch/`.
///
/// # Safety
/// `argv` ends with NULL.
pub unsafe extern "C" fn execl_list(path: usize, argv: usize) -> isize {
    execv_by(path, argv)
}

/// `execlp(3)`, likewise.
///
/// # Safety
/// `argv` ends with NULL.
pub unsafe extern "C" fn execlp_list(file: usize, argv: usize) -> isize {
    execvp_by(file, argv)
}

/// `execle(3)`: the environment stands behind the NULL.
///
/// # Safety
/// `argv` ends with NULL, and one word more follows.
pub unsafe extern "C" fn execle_list(path: usize, argv: usize) -> isize {
    let mut at = argv as *const usize;
    // SAFETY: the caller's promise, which is execle's own contract.
    let envp = unsafe {
        while at.read() != 0 {
            at = at.add(1);
        }
        at.add(1).read()
    };
    execve_by(path, argv, envp)
}
