//! The machine as a whole: `uname(2)` and `sysinfo(2)`, as they are configured to be seen.

use crate::dispatch::{Call, raw};
use crate::memory;
use crate::resources;
use crate::settings;
use crate::sys;

/// Where the release stands in `struct new_utsname`, and its end: the third of six fields of 65 bytes.
const RELEASE: core::ops::Range<usize> = 130..195;

/// `uname` with the release of EVERCALL_UNAME. EFAULT, as kernel/sys.c gives it.
pub fn uname(call: &mut Call<'_>) -> isize {
    let release = settings::get().uname();
    if release.is_empty() {
        return raw(call.rule, call.args);
    }
    call.became(|text| {
        text.push(b"release ").push(release);
    });
    let change = || {
        let mut names = sys::names()?;
        let field = names.get_mut(RELEASE).unwrap_or(&mut []);
        let mut bytes = release.iter();
        for place in field {
            *place = bytes.next().copied().unwrap_or(0);
        }
        memory::write(call.user(0), &names).map(|()| 0)
    };
    sys::result(change())
}

/// `sysinfo` with the memory and swap of the control group. EFAULT, as kernel/sys.c gives it.
pub fn sysinfo(call: &mut Call<'_>) -> isize {
    let change = || {
        let (mut info, host) = sys::machine()?;
        let Some(memory) = resources::memory(&host) else { return Ok(false) };
        let unit = u64::from(info.mem_unit.max(1));
        info.totalram = memory.total / unit;
        info.freeram = memory.free / unit;
        info.sharedram = memory.counter(b"shmem") / unit;
        // The group's share of block devices' buffers is not told apart from its files.
        info.bufferram = 0;
        [info.totalswap, info.freeswap] = memory.swap.map(|bytes| bytes / unit);
        [info.totalhigh, info.freehigh] = [0; 2];
        memory::write(call.user(0), sys::bytes_of_machine(&info)).map(|()| true)
    };
    match change() {
        Ok(true) => {
            call.became(|text| {
                text.push(b"memory of the control group");
            });
            0
        }
        Ok(false) => {
            let answer = raw(call.rule, call.args);
            call.decline(answer)
        }
        Err(error) => sys::result(Err(error)),
    }
}
