//! Memory and processors as the control group of this process limits them: version 1 or 2, whichever the host has
//! (Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst and Documentation/scheduler/sched-bwc.rst of 6.1).
//!
//! A limit counts wherever it stands between the process's group and the mount.

use crate::cgroup_group::{Group, bandwidth, counter, limit, number};
use crate::files::read_start;
use crate::sys;
use crate::text::{Text, fields, trim};

/// Bytes of a list of processors.
const LIST: usize = 1024;

/// The least memory that is ever told: programs divide by it (lxc/lxcfs#389).
const LEAST: u64 = 1 << 20;

/// Processors that a set can hold: the kernel's most, CONFIG_NR_CPUS of x86-64.
const PROCESSORS: usize = 8192;

/// The counters of memory.stat that are shown, by their names in v2 and in v1; bytes.
const STAT: &[u8] = b"\
     file total_cache\n\
     anon total_rss\n\
     shmem total_shmem\n\
     file_mapped total_mapped_file\n\
     file_dirty total_dirty\n\
     file_writeback total_writeback\n\
     inactive_anon total_inactive_anon\n\
     active_anon total_active_anon\n\
     inactive_file total_inactive_file\n\
     active_file total_active_file\n\
     unevictable total_unevictable\n\
     slab_reclaimable\n\
     slab_unreclaimable\n\
     kernel_stack\n\
     pagetables";

/// How many there are.
const COUNTERS: usize = 15;

/// Their names in v2 and in v1, where it has them. One string: a table of strings is a relocation each in every exec.
fn counters() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    STAT.split(|&byte| byte == b'\n').map(|line| {
        let mut names = fields(line);
        (names.next().unwrap_or(b""), names.next().unwrap_or(b""))
    })
}

/// Memory as a group limits it, bytes.
pub struct Memory {
    /// What there is.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
    /// What may be had without swapping.
    pub available: u64,
    /// What there is of swap, and what nobody uses.
    pub swap: [u64; 2],
    stat: [u64; COUNTERS],
}

impl Memory {
    /// A counter by its name in v2.
    pub fn counter(&self, name: &[u8]) -> u64 {
        counters().zip(self.stat).find(|((v2, _), _)| *v2 == name).map_or(0, |(_, value)| value)
    }
}

/// Total and free swap: the host's, or less. `limit` and `used`: of the group.
fn swap(host: [u64; 2], limit: Option<u64>, used: Option<u64>) -> [u64; 2] {
    match limit {
        Some(limit) if limit < host[0] => [limit, host[1].min(limit.saturating_sub(used.unwrap_or(0)))],
        _ => host,
    }
}

/// The memory of this process's group; None where nothing limits it further than the host does.
pub fn memory(host: &sys::Memory) -> Option<Memory> {
    let mut group = Group::of(b"memory")?;
    let v2 = group.is_v2();
    let limit_name: &[u8] = if v2 { b"memory.max" } else { b"memory.limit_in_bytes" };
    // The lowest limit on the way up, and the use of the group that it is set for.
    let mut total = host.total;
    let mut found = None;
    loop {
        if let Some(own) = group.value(limit_name, limit).filter(|&own| own < total) {
            total = own;
            found = Some(group.depth());
        }
        if !group.rise() {
            break;
        }
    }
    let found = found?;
    let mut group = Group::of(b"memory")?;
    while group.depth() > found && group.rise() {}
    let used_name: &[u8] = if v2 { b"memory.current" } else { b"memory.usage_in_bytes" };
    let used = group.value(used_name, number).unwrap_or(0);
    let mut stat = [0u64; COUNTERS];
    if let Some(mut lines) = group.lines(b"memory.stat") {
        while let Ok(Some(line)) = lines.next() {
            let Some((name, value)) = counter(line) else { continue };
            let is_it = |(of_v2, of_v1): &(&[u8], &[u8])| name == if v2 { *of_v2 } else { *of_v1 };
            for (to, _) in stat.iter_mut().zip(counters()).filter(|(_, names)| is_it(names)) {
                *to = value;
            }
        }
    }
    let swap = if v2 {
        let of = |name| group.value(name, limit);
        swap(host.swap, of(b"memory.swap.max"), of(b"memory.swap.current"))
    } else {
        // Both together, less the memory.
        let both = group.value(b"memory.memsw.limit_in_bytes", limit).map(|both| both.saturating_sub(total));
        let used = group.value(b"memory.memsw.usage_in_bytes", limit).map(|both| both.saturating_sub(used));
        swap(host.swap, both, used)
    };
    let total = total.max(LEAST);
    let free = total.saturating_sub(used).min(host.free);
    let mut memory = Memory { total, free, available: 0, swap, stat };
    let reclaimed =
        [&b"inactive_file"[..], b"active_file", b"slab_reclaimable"].map(|name| memory.counter(name));
    let reclaimed = reclaimed.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    memory.available = total.saturating_sub(used.saturating_sub(reclaimed)).max(free);
    Some(memory)
}

/// Processors by number.
pub struct Processors {
    bits: [u64; PROCESSORS / 64],
    count: usize,
}

impl Processors {
    const fn none() -> Processors {
        Processors { bits: [0; PROCESSORS / 64], count: 0 }
    }

    /// A list as the kernel writes it: `0-3,8`.
    pub fn parse(list: &[u8]) -> Option<Processors> {
        let mut set = Processors::none();
        for range in trim(list).split(|&b| b == b',') {
            let mut ends = range.splitn(2, |&b| b == b'-').map(number);
            let first = ends.next()??;
            let last = ends.next().unwrap_or(Some(first))?;
            for processor in first..=last.min(PROCESSORS as u64 - 1) {
                set.add(processor as usize);
            }
        }
        (set.count > 0).then_some(set)
    }

    fn add(&mut self, number: usize) {
        if let Some(word) = self.bits.get_mut(number / 64) {
            self.count += usize::from(*word >> (number % 64) & 1 == 0);
            *word |= 1 << (number % 64);
        }
    }

    /// Whether a number is among them.
    pub fn has(&self, number: usize) -> bool {
        self.bits.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keeps the first ones only.
    fn keep_first(&mut self, most: usize) {
        let mut left = most.max(1);
        for word in &mut self.bits {
            while word.count_ones() as usize > left {
                *word &= !(1 << (63 - word.leading_zeros()));
            }
            left -= (word.count_ones() as usize).min(left);
        }
        self.count = self.count.min(most.max(1));
    }

    /// Without others.
    pub fn without(mut self, others: &Processors) -> Processors {
        self.count = 0;
        for (word, other) in self.bits.iter_mut().zip(others.bits) {
            *word &= !other;
            self.count += word.count_ones() as usize;
        }
        self
    }

    /// Writes the list, as the kernel does, piece by piece.
    pub fn list(&self, mut push: impl FnMut(&[u8])) {
        let mut number = 0;
        let mut first = true;
        while number < PROCESSORS {
            if !self.has(number) {
                number += 1;
                continue;
            }
            let start = number;
            while self.has(number + 1) {
                number += 1;
            }
            let mut range = Text::<48>::new();
            range.push(if first { b"" } else { b"," }).decimal(start as u64);
            if number > start {
                range.push(b"-").decimal(number as u64);
            }
            push(range.bytes());
            first = false;
            number += 2;
        }
    }
}

/// Whole processors that a quota of time comes to: CPU 1.5 needs two.
fn quota_of(group: &Group) -> Option<u64> {
    let (quota, period) = if group.is_v2() {
        let (quota, period) = group.value(b"cpu.max", bandwidth)?;
        (quota?, period)
    } else {
        // -1 is no number.
        (group.value(b"cpu.cfs_quota_us", number)?, group.value(b"cpu.cfs_period_us", number)?)
    };
    (period > 0).then(|| quota.div_ceil(period).max(1))
}

/// The processors that this process's group may use at once: those of its cpuset, and of these the first ones, as
/// many as its quota comes to.
pub fn processors() -> Option<Processors> {
    let mut buffer = [0u8; LIST];
    let effective = Group::of(b"cpuset").and_then(|group| {
        let name: &[u8] = if group.is_v2() { b"cpuset.cpus.effective" } else { b"cpuset.effective_cpus" };
        group.read(name, &mut buffer).and_then(Processors::parse)
    });
    let mut set = match effective {
        Some(set) => set,
        None => Processors::parse(read_start(c"/sys/devices/system/cpu/online", &mut buffer).ok()?)?,
    };
    if let Some(mut group) = Group::of(b"cpu") {
        let mut most = u64::MAX;
        loop {
            most = quota_of(&group).unwrap_or(u64::MAX).min(most);
            if !group.rise() {
                break;
            }
        }
        if most < set.count() as u64 {
            set.keep_first(most as usize);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn list(set: &Processors) -> String {
        let mut text = String::new();
        set.list(|piece| text += std::str::from_utf8(piece).unwrap());
        text
    }

    #[test]
    fn lists_are_read_and_written() {
        for (text, count) in [("0", 1), ("0-3", 4), ("1,3,5-6", 4), ("63-65", 3), ("8191", 1)] {
            let set = Processors::parse(text.as_bytes()).unwrap();
            assert_eq!((list(&set).as_str(), set.count()), (text, count));
        }
        for text in ["", "x", "0-", "0-3x", "-1", "max", "18446744073709551617", "0-18446744073709551617"] {
            assert!(Processors::parse(text.as_bytes()).is_none(), "{text}");
        }
        let mut set = Processors::parse(b"2-5,70").unwrap();
        set.keep_first(2);
        assert_eq!((list(&set).as_str(), set.count()), ("2-3", 2));
        assert_eq!(list(&Processors::parse(b"0-7").unwrap().without(&set)), "0-1,4-7");
    }

    /// Numbers without a pattern, the same in each run.
    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    #[test]
    fn any_set_comes_back() {
        let mut seed = 6;
        for _ in 0..300 {
            let wanted = random(&mut seed) % 200 + 1;
            let span = random(&mut seed) % PROCESSORS as u64 + 1;
            let numbers: BTreeSet<usize> = (0..wanted).map(|_| (random(&mut seed) % span) as usize).collect();
            let mut set = Processors::none();
            numbers.iter().for_each(|&n| set.add(n));
            let mut read = Processors::parse(list(&set).as_bytes()).unwrap();
            assert_eq!((read.bits, read.count()), (set.bits, numbers.len()));
            let most = random(&mut seed) as usize % 200 + 1;
            read.keep_first(most);
            let kept: Vec<usize> = (0..PROCESSORS).filter(|&n| read.has(n)).collect();
            assert_eq!(kept, numbers.iter().copied().take(most).collect::<Vec<_>>());
            assert_eq!(read.count(), numbers.len().min(most));
        }
    }

    #[test]
    fn damaged_lists_do_no_harm() {
        let mut seed = 7;
        for _ in 0..20_000 {
            let length = random(&mut seed) % 24;
            let bytes: Vec<u8> =
                (0..length).map(|_| b"0123456789,-, x"[(random(&mut seed) % 15) as usize]).collect();
            if let Some(set) = Processors::parse(&bytes) {
                assert_eq!(Processors::parse(list(&set).as_bytes()).map(|again| again.bits), Some(set.bits));
            }
        }
    }
}
