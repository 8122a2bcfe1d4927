//! Doors of what a libc knows of memory and processors: it asks the kernel inside itself.

use crate::errno;
use crate::logging;
use crate::next::Next;
use crate::resources;
use crate::start;
use crate::state;
use crate::sys;
use evercall_rules::packed::RuleId;

/// Bytes of a page on x86-64.
const PAGE: u64 = 4096;

/// What the control group says to a name of sysconf(3); None where that changes nothing.
#[cold]
#[inline(never)]
fn by_group(name: i32) -> Option<isize> {
    let answer = match name {
        libc::_SC_PHYS_PAGES => memory()?.total / PAGE,
        libc::_SC_AVPHYS_PAGES => memory()?.free / PAGE,
        libc::_SC_NPROCESSORS_ONLN => resources::processors()?.count() as u64,
        _ => return None,
    } as isize;
    if logging::is_on() {
        let args = [name as usize, 0, 0, 0, 0, 0];
        logging::translated(RuleId::Sysconf, &args, b"by the control group", answer);
    }
    Some(answer)
}

fn memory() -> Option<resources::Memory> {
    resources::memory(&sys::machine().ok()?.1)
}

/// The group's word, or that of the next definition.
#[inline(always)]
fn ask(next: &Next, symbol: &[u8], name: i32, own: [usize; 6]) -> isize {
    if start::ready() && !state::handed_on(&state::SYMBOLS_HANDED_ON, RuleId::Sysconf.slot()) {
        if let Some(answer) = by_group(name) {
            return answer;
        }
    }
    match next.known().or_else(|| next.find(symbol)) {
        Some(function) => {
            let [a, b, c, d, e, f] = own;
            // SAFETY: the caller's own call, to whom it would have gone without us.
            unsafe { function(a, b, c, d, e, f) }
        }
        None => {
            errno::set(libc::EINVAL);
            -1
        }
    }
}

macro_rules! sysconf_door {
    ($symbol:ident) => {
        /// sysconf(3).
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(name: i32) -> isize {
            static NEXT: Next = Next::unknown();
            ask(&NEXT, stringify!($symbol).as_bytes(), name, [name as usize, 0, 0, 0, 0, 0])
        }
    };
}

sysconf_door!(sysconf);
sysconf_door!(__sysconf);

macro_rules! count_door {
    ($symbol:ident => $name:ident) => {
        /// The same without an argument.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol() -> isize {
            static NEXT: Next = Next::unknown();
            ask(&NEXT, stringify!($symbol).as_bytes(), libc::$name, [0; 6])
        }
    };
}

count_door!(get_nprocs => _SC_NPROCESSORS_ONLN);
count_door!(get_phys_pages => _SC_PHYS_PAGES);
count_door!(get_avphys_pages => _SC_AVPHYS_PAGES);
