//! `personality(2)` under filters that refuse it (Docker's, but for a few values: EPERM) and kernels that know one
//! personality only (gVisor: EINVAL).

use crate::dispatch::Call;
use crate::files;
use crate::text::parse_hex;

/// Asks, and changes nothing.
const QUESTION: u32 = u32::MAX;

/// `personality`: the one before, where nothing is to change: the question, and the value that stands already. To
/// change it takes the kernel: the host's answer stays. kernel/exec_domain.c.
pub fn personality(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"reads /proc/thread-self/personality");
    });
    let wanted = call.arg(0) as u32;
    match current() {
        Some(now) if wanted == QUESTION || wanted == now => now as isize,
        _ => call.decline_or_ask(libc::SYS_personality),
    }
}

/// The personality of this thread: eight hexadecimal digits (proc_pid_personality(5)).
fn current() -> Option<u32> {
    let mut buffer = [0u8; 16];
    // The first is of 3.17; before it, the process's first thread is asked.
    let known = files::read_start(c"/proc/thread-self/personality", &mut buffer)
        .ok()
        .and_then(parse_hex)
        .map(|(value, _)| value as u32);
    known.or_else(|| {
        let mut buffer = [0u8; 16];
        let text = files::read_start(c"/proc/self/personality", &mut buffer).ok()?;
        parse_hex(text).map(|(value, _)| value as u32)
    })
}
