//! The doors that the build makes: libc symbols with exactly the system call's arguments.

use super::{by_rule, finish};
use crate::dispatch::{dispatch, raw};
use crate::errno;
use crate::next::Next;
use crate::state;
use evercall_rules::packed::RuleId;

macro_rules! doors {
    ($($symbol:ident => $rule:ident,)*) => {
        $(
            /// libc's symbol of this name; see the table.
            ///
            /// # Safety
            /// As libc's.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol(
                a: usize, b: usize, c: usize, d: usize, e: usize, f: usize,
            ) -> isize {
                static NEXT: Next = Next::unknown();
                if state::handed_on(&state::SYMBOLS_HANDED_ON, RuleId::$rule.slot()) {
                    if let Some(next) = NEXT.known() {
                        // SAFETY: the caller's own call, to whom it would have gone without us.
                        return unsafe { next(a, b, c, d, e, f) };
                    }
                }
                slow(RuleId::$rule, &NEXT, stringify!($symbol).as_bytes(), [a, b, c, d, e, f])
            }
        )*
    };
}

evercall_rules::doors!(doors);

#[cold]
#[inline(never)]
fn slow(rule: RuleId, next: &Next, name: &[u8], args: [usize; 6]) -> isize {
    let errno_before = errno::get();
    let native = || match next.find(name) {
        // SAFETY: the caller's own call, to whom it would have gone without us.
        Some(function) => unsafe { by_rule(rule, function, args) },
        None => raw(rule, args),
    };
    finish(dispatch(rule, args, &state::SYMBOLS_HANDED_ON, native), errno_before)
}
