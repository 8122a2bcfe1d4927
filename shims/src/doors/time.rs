//! `time`, `gettimeofday`, `getcpu`, `sched_getcpu`: to the next preload that defines them, else straight
//! to the vDSO. The libc's own are passed by: those of old ones jump to the vsyscall page.

use super::finish;
use crate::errno;
use crate::handlers::superseded_times;
use crate::next::{self, Function, Next};
use crate::start;
use crate::state;
use crate::sys::{self, User};
use crate::vdso;
use evercall_rules::packed::RuleId;

/// Switched off: as if we were not there.
fn is_off() -> bool {
    state::handed_on(&state::SYMBOLS_HANDED_ON, RuleId::Vsyscall.slot())
}

/// Who else defines a name: another preload, or anybody where we are switched off.
fn another(name: &[u8]) -> Option<usize> {
    if is_off() { next::find(name) } else { next::find_preload(name) }
}

/// Where a name leads to, looked up.
fn lookup(name: &[u8], vdso_name: &[u8], raw: Function) -> usize {
    let of_the_vdso = || if is_off() { None } else { vdso::find(vdso_name) };
    another(name).or_else(of_the_vdso).unwrap_or(raw as usize)
}

macro_rules! time_door {
    ($symbol:ident => $vdso:literal, $raw:expr) => {
        /// libc's function of this name.
        ///
        /// # Safety
        /// As libc's.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(
            a: usize,
            b: usize,
            c: usize,
            d: usize,
            e: usize,
            f: usize,
        ) -> isize {
            static NEXT: Next = Next::unknown();
            #[cold]
            #[inline(never)]
            unsafe extern "C" fn first(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
                let found = if start::ready() {
                    NEXT.find_by(|| Some(lookup(stringify!($symbol).as_bytes(), $vdso, raw)))
                } else {
                    None
                };
                // SAFETY: a function with these arguments: libc's, another preload's, the vDSO's or ours.
                unsafe { found.unwrap_or(raw)(a, b, c, d, e, f) }
            }
            unsafe extern "C" fn raw(a: usize, b: usize, _: usize, _: usize, _: usize, _: usize) -> isize {
                let raw: fn(usize, usize) -> isize = $raw;
                finish(raw(a, b), errno::get())
            }
            // One load, and a jump: nothing is kept across it.
            // SAFETY: as above.
            unsafe { NEXT.known().unwrap_or(first)(a, b, c, d, e, f) }
        }
    };
}

time_door!(time => b"__vdso_time", |to, _| superseded_times::asked(User(to)));
time_door!(gettimeofday => b"__vdso_gettimeofday", |to, zone| of_two(libc::SYS_gettimeofday, to, zone));
time_door!(__gettimeofday => b"__vdso_gettimeofday", |to, zone| of_two(libc::SYS_gettimeofday, to, zone));
// getcpu's third argument is unused since 2.6.24.
time_door!(getcpu => b"__vdso_getcpu", |cpu, node| of_two(libc::SYS_getcpu, cpu, node));

fn of_two(number: i64, first: usize, second: usize) -> isize {
    sys::call(number, [first, second, 0, 0, 0, 0])
}

/// libc's `sched_getcpu(3)`: the processor this thread runs on.
#[unsafe(no_mangle)]
pub extern "C" fn sched_getcpu() -> isize {
    static NEXT: Next = Next::unknown();
    let preload = if start::ready() { NEXT.find_by(|| another(b"sched_getcpu")) } else { None };
    if let Some(next) = preload {
        // SAFETY: a function without arguments.
        return unsafe { next(0, 0, 0, 0, 0, 0) };
    }
    let mut cpu = 0u32;
    // SAFETY: getcpu writes one int; NULL for the node.
    let result = unsafe { getcpu((&raw mut cpu) as usize, 0, 0, 0, 0, 0) } as i32;
    if result == 0 { cpu as isize } else { -1 }
}
