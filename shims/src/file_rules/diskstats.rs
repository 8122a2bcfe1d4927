//! `/proc/diskstats` as before 4.18: fourteen fields a line. Programs that count them fail on more
//! (giampaolo/psutil#1360; Documentation/admin-guide/iostats.rst of 6.1).

use super::text_file::TextFile;
use crate::files::Lines;
use crate::sys::{Errno, Result};
use crate::text::fields;

/// Fields of a line until 4.17.
const FIELDS: usize = 14;

/// The first fourteen fields of each line, laid out as the kernel did.
pub fn fourteen_fields(text: &mut TextFile) -> Result<()> {
    let mut lines = Lines::open(c"/proc/diskstats")?;
    while let Some(line) = lines.next()? {
        // "%4d %7d %s %lu ..." (block/genhd.c): what stands before the fields that are cut stays as it is.
        let Some(last) = fields(line).nth(FIELDS - 1) else {
            text.push(line).push(b"\n");
            continue;
        };
        let end = (last.as_ptr() as usize + last.len()).wrapping_sub(line.as_ptr() as usize);
        text.push(line.get(..end).ok_or(Errno(libc::EIO))?).push(b"\n");
    }
    Ok(())
}
