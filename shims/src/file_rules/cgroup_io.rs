//! v1's blkio counters from v2's io.stat (block/blk-cgroup-rwstat.c and Documentation/admin-guide/cgroup-v2.rst of 6.1).

use super::text_file::TextFile;
use crate::cgroup_group::{Group, number};
use crate::sys::{Errno, Result};
use crate::text::fields;

/// Of a device: what was read, written and discarded.
type Counters = [u64; 3];

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`: the device, and the counters of these names. None for a line
/// of another form; a counter that is missing or damaged is 0.
fn device<'a>(line: &'a [u8], names: [&[u8]; 3]) -> Option<(&'a [u8], Counters)> {
    let mut words = fields(line);
    let device = words.next()?;
    let mut numbers = device.split(|&b| b == b':');
    let (_, _, None) = (number(numbers.next()?)?, number(numbers.next()?)?, numbers.next()) else {
        return None;
    };
    let mut counters = [0; 3];
    for word in words {
        for (to, name) in counters.iter_mut().zip(names) {
            if let Some(value) = word.strip_prefix(name).and_then(number) {
                *to = value;
            }
        }
    }
    Some((device, counters))
}

/// A device's lines, and the sum of its counters. v2 does not tell synchronous from asynchronous.
fn add(text: &mut TextFile, device: &[u8], [read, written, discarded]: Counters) -> u64 {
    let sum = read.saturating_add(written).saturating_add(discarded);
    let rows: [(&[u8], u64); 6] = [
        (b"Read", read),
        (b"Write", written),
        (b"Sync", 0),
        (b"Async", 0),
        (b"Discard", discarded),
        (b"Total", sum),
    ];
    for (name, value) in rows {
        text.push(device).push(b" ").push(name).push(b" ").decimal(value).push(b"\n");
    }
    sum
}

fn all(text: &mut TextFile, names: [&[u8]; 3]) -> Result<()> {
    let mut lines = Group::own().lines(b"io.stat").ok_or(Errno(libc::ENOENT))?;
    let mut total = 0u64;
    while let Some(line) = lines.next()? {
        if let Some((device, counters)) = device(line, names) {
            total = total.saturating_add(add(text, device, counters));
        }
    }
    text.push(b"Total ").decimal(total).push(b"\n");
    Ok(())
}

/// `blkio.throttle.io_service_bytes`, and with `_recursive`: v2 counts a group with those below it.
pub fn io_service_bytes(text: &mut TextFile) -> Result<()> {
    all(text, [b"rbytes=", b"wbytes=", b"dbytes="])
}

/// `blkio.throttle.io_serviced`: how many.
pub fn io_serviced(text: &mut TextFile) -> Result<()> {
    all(text, [b"rios=", b"wios=", b"dios="])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&[u8]; 3] = [b"rbytes=", b"wbytes=", b"dbytes="];

    #[test]
    fn lines_are_read() {
        let line = b"8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=7 dios=0";
        assert_eq!(device(line, NAMES), Some((&b"8:16"[..], [1_459_200, 314_773_504, 7])));
        assert_eq!(device(b"8:16", NAMES), Some((&b"8:16"[..], [0; 3])));
        assert_eq!(device(b"8:16 rbytes=x wbytes=-1 dbytes", NAMES), Some((&b"8:16"[..], [0; 3])));
        for damaged in [&b""[..], b"8", b"8:", b":16 rbytes=1", b"8:16:1 rbytes=1", b"rbytes=1"] {
            assert_eq!(device(damaged, NAMES), None, "{:?}", String::from_utf8_lossy(damaged));
        }
    }

    proptest! {
        #[test]
        fn damaged_lines_do_no_harm(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = device(&line, NAMES);
        }

        #[test]
        fn counters_are_found_in_any_order(counters in any::<[u64; 3]>(), rotation in 0usize..3) {
            let mut words: Vec<String> = NAMES.iter().zip(counters)
                .map(|(name, value)| format!("{}{value}", String::from_utf8_lossy(name))).collect();
            words.rotate_left(rotation);
            let line = format!("252:3 {} other=5", words.join(" "));
            prop_assert_eq!(device(line.as_bytes(), NAMES), Some((&b"252:3"[..], counters)));
        }
    }
}
