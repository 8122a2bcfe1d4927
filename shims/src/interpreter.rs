//! The interpreter door: a static program whose copy names this library as its ELF interpreter
//! (`evercall run`). The rules that act at start and the vsyscall handler are armed, and the program begins
//! as if the kernel had started it.

use crate::arch::own_image;
use crate::start;
use crate::sys;

/// Makes everything ready and gives the program's entry point.
///
/// # Safety
/// `stack` is the first stack of the process, as the kernel laid it: argc, argv, environment, auxiliary
/// vector.
pub unsafe extern "C" fn enter(stack: *mut usize) -> usize {
    // SAFETY: the caller's promise.
    let (first_argument, environment) = unsafe { (stack.add(1).read(), stack.add(stack.read() + 2)) };
    let mut at = environment;
    // SAFETY: the environment ends with NULL; pairs follow, and end with AT_NULL.
    let auxiliary = unsafe {
        while at.read() != 0 {
            at = at.add(1);
        }
        at.add(1)
    };
    let (mut entry, mut interpreted) = (0, false);
    let mut pair = auxiliary;
    // SAFETY: as above; the vector is the program's to read later, on its own stack.
    unsafe {
        while pair.read() != 0 {
            let value = pair.add(1);
            match pair.read() as u64 {
                libc::AT_ENTRY => entry = value.read(),
                libc::AT_BASE => {
                    interpreted = value.read() == own_image().1;
                    // A static program is told that it has no interpreter; static-PIE musl goes by it.
                    value.write(0);
                }
                // The copy was executed by a descriptor: its path says nothing to the program.
                libc::AT_EXECFN if first_argument != 0 => value.write(first_argument),
                _ => {}
            }
            pair = pair.add(2);
        }
    }
    if !interpreted {
        let _ = sys::write(2, b"libevercall.so is a library: use `evercall run PROGRAM`, or LD_PRELOAD\n");
        sys::exit(1);
    }
    sys::name_after(first_argument);
    start::interpreted(environment as usize);
    entry
}
