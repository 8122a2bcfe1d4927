//! The kernel's release where it is read from files, as EVERCALL_UNAME has it.

use super::text_file::TextFile;
use crate::files::read_start;
use crate::settings;
use crate::sys::Result;

/// `/proc/sys/kernel/osrelease`.
pub fn osrelease(text: &mut TextFile) -> Result<()> {
    text.push(settings::get().uname()).push(b"\n");
    Ok(())
}

/// `/proc/version`: "Linux version RELEASE (who built it) ..." (fs/proc/version.c): the third word is another.
pub fn version(text: &mut TextFile) -> Result<()> {
    let mut buffer = [0u8; 1024];
    let line = read_start(c"/proc/version", &mut buffer)?;
    for (index, word) in line.split_inclusive(|&b| b == b' ').enumerate() {
        match index {
            2 => text.push(settings::get().uname()).push(b" "),
            _ => text.push(word),
        };
    }
    Ok(())
}
