//! RLIMIT_NOFILE at start: a limit of 2^30 makes old programs loop over, or allocate for, descriptors that
//! nobody has (yum, Python 2, slapd, mysqld; libtirpc goes by the hard limit).

use crate::dispatch::Call;
use crate::logging;
use crate::settings;
use crate::sys;
use crate::text::Text;
use evercall_rules::packed::RuleId;

/// Lowers what the program was started with.
pub fn at_start() {
    lower(|became, result| {
        if logging::is_on() {
            logging::translated(RuleId::Nofile, &[0; 6], became, result);
        }
    });
}

/// Lowers a soft and a hard limit above the cap to the cap. One call where nothing is to do; else `tell` what was.
fn lower(tell: impl FnOnce(&[u8], isize)) {
    let cap = settings::get().nofile;
    if cap == 0 {
        return;
    }
    let Ok(old) = sys::prlimit(libc::RLIMIT_NOFILE, None) else { return };
    if old.rlim_cur <= cap && old.rlim_max <= cap {
        return;
    }
    let new = libc::rlimit64 { rlim_cur: old.rlim_cur.min(cap), rlim_max: old.rlim_max.min(cap) };
    let result = sys::result(sys::prlimit(libc::RLIMIT_NOFILE, Some(new)).map(|_| 0));
    let mut became = Text::<128>::new();
    became.push(b"RLIMIT_NOFILE ").decimal(old.rlim_cur).push(b":").decimal(old.rlim_max);
    became.push(b" lowered to ").decimal(new.rlim_cur).push(b":").decimal(new.rlim_max);
    tell(became.bytes(), result);
}

/// After the host has set a limit of this process: lowers it to the cap where EVERCALL_NOFILE_CLAMP says so. The
/// program's call stands as it was answered.
pub fn clamp(call: &mut Call<'_>, resource: u32, answer: isize) -> isize {
    if answer == 0 && lowered_behind(call, resource) { answer } else { call.decline(answer) }
}

/// The same after a limit was set by a rule. Whether it was lowered.
pub fn lowered_behind(call: &mut Call<'_>, resource: u32) -> bool {
    let mut lowered = false;
    if resource == libc::RLIMIT_NOFILE && settings::get().nofile_clamp {
        lower(|became, _| {
            lowered = true;
            call.became(|text| {
                text.push(became);
            });
        });
    }
    lowered
}
