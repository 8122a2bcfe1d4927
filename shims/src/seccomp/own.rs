//! A program that installs a filter of its own (sshd's sandbox, browsers, bubblewrap). That filter was
//! written for the calls the program makes: from then on nothing is substituted by calls it did not make.

use crate::logging;
use crate::memory;
use crate::start;
use crate::state;
use crate::sys::User;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{MARK, letter_of};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether the program has installed a filter.
pub fn is_installed() -> bool {
    INSTALLED.load(Relaxed)
}

/// SECCOMP_SET_MODE_STRICT and SECCOMP_SET_MODE_FILTER (linux/seccomp.h).
const SET_MODES: [usize; 2] = [0, 1];

/// Whether a call installs a filter if it succeeds.
pub fn would_install(number: usize, args: &[usize; 6]) -> bool {
    match number as i64 {
        libc::SYS_prctl => args[0] as i32 == libc::PR_SET_SECCOMP,
        libc::SYS_seccomp => SET_MODES.contains(&(args[0] as u32 as usize)),
        _ => false,
    }
}

/// Makes a call of prctl(2) or seccomp(2), and sees whether the program has a filter of its own from then on.
pub fn watched(number: usize, args: &[usize; 6], call: impl FnOnce() -> isize) -> isize {
    if !would_install(number, args) || !start::ready() {
        return call();
    }
    // Before the filter stands: what it allows is not known.
    let forgotten = forget_mark();
    let result = call();
    // SECCOMP_FILTER_FLAG_TSYNC gives the thread that could not follow, the listener's flag a descriptor:
    // both come with a filter only if they are not negative.
    if result >= 0 {
        INSTALLED.store(true, Relaxed);
        state::hand_translations_on();
        // A line at the end would be written by calls that the filter may kill for.
        logging::close();
    } else if let Some((place, value)) = forgotten {
        let _ = memory::put(place, value);
    }
    result
}

/// What the environment says of the host's filter does not hold under another one: the programs executed
/// from here on ask again. The place of the changed byte, and what it was.
fn forget_mark() -> Option<(User, u8)> {
    let mark = letter_of(MARK)?;
    memory::put(mark.0, b'0').ok().map(|()| mark)
}
