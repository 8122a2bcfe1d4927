//! RLIMIT_NOFILE at start: a limit of 2^30 makes old programs loop over, or allocate for, descriptors that
//! nobody has (yum, Python 2, slapd, mysqld; libtirpc goes by the hard limit).

use crate::logging;
use crate::settings;
use crate::sys;
use crate::text::Text;
use evercall_rules::packed::RuleId;

/// Lowers a soft and a hard limit above the cap to the cap. One call where nothing is to do.
pub fn at_start() {
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
    if logging::is_on() {
        let mut became = Text::<128>::new();
        became.push(b"RLIMIT_NOFILE ").decimal(old.rlim_cur).push(b":").decimal(old.rlim_max);
        became.push(b" lowered to ").decimal(new.rlim_cur).push(b":").decimal(new.rlim_max);
        logging::translated(RuleId::Nofile, &[0; 6], became.bytes(), result);
    }
}
