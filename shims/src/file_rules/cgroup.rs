//! The files of cgroup v1 on a host that has cgroup v2 alone: made from the v2 files of this process's group
//! (Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of 6.1).
//!
//! In v1's mount a container found its own group. What is shown here likewise is what applies to this process: a limit
//! that stands in a group above is among it, since old programs look at no other.

use super::text_file::TextFile;
use crate::cgroup_group::{Group, UNLIMITED, bandwidth, limit, number, shares, tighter};
use crate::files::read_start;
use crate::sys::{Errno, Result};
use crate::text::{fields, trim};

const MISSING: Errno = Errno(libc::ENOENT);

fn line(text: &mut TextFile, value: u64) -> Result<()> {
    text.decimal(value).push(b"\n");
    Ok(())
}

/// The smallest of a limit on the way up; none where no group has one, as the root, which has no such file.
fn smallest(of: impl Fn(&Group) -> Option<u64>) -> Result<u64> {
    let mut group = Group::own();
    let mut smallest = None;
    loop {
        smallest = smallest.into_iter().chain(of(&group)).min();
        if !group.rise() {
            break;
        }
    }
    match smallest {
        Some(limit) => Ok(limit),
        None if group.has_controller(b"memory") => Ok(UNLIMITED),
        None => Err(MISSING),
    }
}

/// The sum of two limits, none if one of them is none.
fn sum(one: u64, other: u64) -> u64 {
    if one == UNLIMITED || other == UNLIMITED { UNLIMITED } else { one.saturating_add(other).min(UNLIMITED) }
}

fn memory_and_swap(group: &Group) -> Option<u64> {
    let swap = group.value(b"memory.swap.max", limit)?;
    Some(sum(group.value(b"memory.max", limit)?, swap))
}

/// What is used; of the root, which has no such file, as v1 counted there (mm/memcontrol.c, mem_cgroup_usage).
fn used() -> Result<u64> {
    if let Some(used) = Group::own().nearest(b"memory.current", number) {
        return Ok(used);
    }
    let root = Group::mounted();
    let counters =
        root.counters(b"memory.stat", [b"file", b"anon"]).filter(|_| root.has_controller(b"memory"));
    counters.map(|[file, anon]| file.saturating_add(anon)).ok_or(MISSING)
}

/// `memory.limit_in_bytes`: memory.max.
pub fn memory_limit(text: &mut TextFile) -> Result<()> {
    line(text, smallest(|group| group.value(b"memory.max", limit))?)
}

/// `memory.soft_limit_in_bytes`: memory.high.
pub fn memory_soft_limit(text: &mut TextFile) -> Result<()> {
    line(text, smallest(|group| group.value(b"memory.high", limit))?)
}

/// `memory.usage_in_bytes`: memory.current.
pub fn memory_usage(text: &mut TextFile) -> Result<()> {
    line(text, used()?)
}

/// `memory.max_usage_in_bytes`: memory.peak (since 5.19), else what is used now.
pub fn memory_max_usage(text: &mut TextFile) -> Result<()> {
    match Group::own().nearest(b"memory.peak", number) {
        Some(peak) => line(text, peak),
        None => memory_usage(text),
    }
}

/// `memory.memsw.limit_in_bytes`: memory.max and memory.swap.max together. As in v1, there is none where swap is not
/// counted.
pub fn memory_swap_limit(text: &mut TextFile) -> Result<()> {
    Group::own().nearest(b"memory.swap.max", limit).ok_or(MISSING)?;
    line(text, smallest(memory_and_swap)?)
}

/// `memory.memsw.usage_in_bytes`: memory.current and memory.swap.current together.
pub fn memory_swap_usage(text: &mut TextFile) -> Result<()> {
    let swap = Group::own().nearest(b"memory.swap.current", number).ok_or(MISSING)?;
    line(text, used()?.saturating_add(swap))
}

/// `memory.use_hierarchy`: v2 always does.
pub fn memory_use_hierarchy(text: &mut TextFile) -> Result<()> {
    smallest(|_| None)?;
    line(text, 1)
}

/// `memory.failcnt`: how often the limit was met.
pub fn memory_failcnt(text: &mut TextFile) -> Result<()> {
    line(text, event(b"memory.events", b"max")?)
}

/// `memory.oom_control`: v2's killer cannot be switched off.
pub fn memory_oom_control(text: &mut TextFile) -> Result<()> {
    let killed = event(b"memory.events", b"oom_kill")?;
    text.push(b"oom_kill_disable 0\nunder_oom 0\noom_kill ").decimal(killed).push(b"\n");
    Ok(())
}

/// How often something happened; the root, which counts nothing, has no limit to be met.
fn event(file: &[u8], name: &[u8]) -> Result<u64> {
    match Group::own().counters(file, [name]) {
        Some([count]) => Ok(count),
        None => smallest(|_| None).map(|_| 0),
    }
}

/// How many counters there are in memory.stat.
const COUNTERS: usize = 17;

/// The counters of memory.stat: v1's name and v2's, in v1's order. Those that v2 lacks (`-`) are 0. One string, since an
/// array of strings would be written to at every start, when the library is relocated.
const STAT: &[u8] = b"cache file\n\
      rss anon\n\
      rss_huge anon_thp\n\
      shmem shmem\n\
      mapped_file file_mapped\n\
      dirty file_dirty\n\
      writeback file_writeback\n\
      swap -\n\
      pgpgin -\n\
      pgpgout -\n\
      pgfault pgfault\n\
      pgmajfault pgmajfault\n\
      inactive_anon inactive_anon\n\
      active_anon active_anon\n\
      inactive_file inactive_file\n\
      active_file active_file\n\
      unevictable unevictable";

fn stat_names() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    STAT.split(|&b| b == b'\n').filter_map(|line| {
        let mut names = fields(line);
        Some((names.next()?, names.next()?))
    })
}

/// `memory.stat`: the counters, and the smallest limits on the way up. v2 counts a group with those below it.
pub fn memory_stat(text: &mut TextFile) -> Result<()> {
    let memory = smallest(|group| group.value(b"memory.max", limit))?;
    let both = smallest(memory_and_swap)?;
    let group = Group::own();
    let mut names: [&[u8]; COUNTERS] = [b""; COUNTERS];
    for (to, (_, name)) in names.iter_mut().zip(stat_names()) {
        *to = name;
    }
    let mut values = group.counters(b"memory.stat", names).unwrap_or([0; COUNTERS]);
    let swap = group.value(b"memory.swap.current", number).unwrap_or(0);
    for (value, (name, _)) in values.iter_mut().zip(stat_names()) {
        if name == b"swap" {
            *value = swap;
        }
    }
    for (value, (name, _)) in values.iter().zip(stat_names()) {
        text.push(name).push(b" ").decimal(*value).push(b"\n");
    }
    text.push(b"hierarchical_memory_limit ").decimal(memory);
    text.push(b"\nhierarchical_memsw_limit ").decimal(both).push(b"\n");
    for (value, (name, _)) in values.iter().zip(stat_names()) {
        text.push(b"total_").push(name).push(b" ").decimal(*value).push(b"\n");
    }
    Ok(())
}

/// The tightest quota (None: no limit) on the way up, and its period, microseconds.
fn processor_time() -> Result<(Option<u64>, u64)> {
    let mut group = Group::own();
    let mut all = None;
    loop {
        if let Some(own) = group.value(b"cpu.max", bandwidth) {
            all = Some(all.map_or(own, |all| tighter(all, own)));
        }
        if !group.rise() {
            break;
        }
    }
    match all {
        Some(all) => Ok(all),
        None if group.has_controller(b"cpu") => Ok((None, 100_000)),
        None => Err(MISSING),
    }
}

/// `cpu.cfs_quota_us`: the first word of cpu.max; -1 for none.
pub fn cpu_quota(text: &mut TextFile) -> Result<()> {
    match processor_time()?.0 {
        Some(quota) => line(text, quota),
        None => {
            text.push(b"-1\n");
            Ok(())
        }
    }
}

/// `cpu.cfs_period_us`: the second word of cpu.max.
pub fn cpu_period(text: &mut TextFile) -> Result<()> {
    line(text, processor_time()?.1)
}

/// `cpu.shares`: cpu.weight.
pub fn cpu_shares(text: &mut TextFile) -> Result<()> {
    match Group::own().value(b"cpu.weight", number) {
        Some(weight) => line(text, shares(weight)),
        None => {
            processor_time()?;
            line(text, shares(100))
        }
    }
}

/// `cpu.stat`: v1's three counters.
pub fn cpu_stat(text: &mut TextFile) -> Result<()> {
    let names: [&[u8]; 3] = [b"nr_periods", b"nr_throttled", b"throttled_usec"];
    let [periods, throttled, time] = Group::own().counters(b"cpu.stat", names).ok_or(MISSING)?;
    text.push(b"nr_periods ").decimal(periods);
    text.push(b"\nnr_throttled ").decimal(throttled);
    text.push(b"\nthrottled_time ").decimal(time.saturating_mul(1000)).push(b"\n");
    Ok(())
}

/// A time of cpu.stat, microseconds.
fn time(name: &[u8]) -> Result<u64> {
    Group::own().counters(b"cpu.stat", [name]).map(|[time]| time).ok_or(MISSING)
}

/// `cpuacct.usage`: nanoseconds.
pub fn cpuacct_usage(text: &mut TextFile) -> Result<()> {
    line(text, time(b"usage_usec")?.saturating_mul(1000))
}

/// `cpuacct.usage_user`: nanoseconds.
pub fn cpuacct_usage_user(text: &mut TextFile) -> Result<()> {
    line(text, time(b"user_usec")?.saturating_mul(1000))
}

/// `cpuacct.usage_sys`: nanoseconds.
pub fn cpuacct_usage_sys(text: &mut TextFile) -> Result<()> {
    line(text, time(b"system_usec")?.saturating_mul(1000))
}

/// `cpuacct.stat`: hundredths of a second.
pub fn cpuacct_stat(text: &mut TextFile) -> Result<()> {
    const TICK: u64 = 10_000;
    text.push(b"user ").decimal(time(b"user_usec")? / TICK);
    text.push(b"\nsystem ").decimal(time(b"system_usec")? / TICK).push(b"\n");
    Ok(())
}

/// The first line of a file of the group or the nearest one above, or else of another file.
fn list(text: &mut TextFile, name: &[u8], or: &core::ffi::CStr) -> Result<()> {
    let mut buffer = [0u8; 1024];
    let mut group = Group::own();
    loop {
        if let Some(list) = group.read(name, &mut buffer).map(trim).filter(|list| !list.is_empty()) {
            text.push(list).push(b"\n");
            return Ok(());
        }
        if !group.rise() {
            break;
        }
    }
    text.push(trim(read_start(or, &mut buffer)?)).push(b"\n");
    Ok(())
}

/// `cpuset.cpus`: those the group may use, or all that are there.
pub fn cpuset_cpus(text: &mut TextFile) -> Result<()> {
    list(text, b"cpuset.cpus.effective", c"/sys/devices/system/cpu/online")
}

/// `cpuset.mems`: likewise the memory nodes.
pub fn cpuset_mems(text: &mut TextFile) -> Result<()> {
    match list(text, b"cpuset.mems.effective", c"/sys/devices/system/node/online") {
        Err(_) => line(text, 0),
        done => done,
    }
}

/// A file that v2 has too.
fn same(text: &mut TextFile, name: &[u8]) -> Result<()> {
    let mut lines = Group::own().lines(name).ok_or(MISSING)?;
    while let Some(line) = lines.next()? {
        text.push(line).push(b"\n");
    }
    Ok(())
}

/// `pids.max`.
pub fn pids_max(text: &mut TextFile) -> Result<()> {
    same(text, b"pids.max")
}

/// `pids.current`.
pub fn pids_current(text: &mut TextFile) -> Result<()> {
    same(text, b"pids.current")
}

/// `pids.events`.
pub fn pids_events(text: &mut TextFile) -> Result<()> {
    same(text, b"pids.events")
}

/// `cgroup.procs`: the processes of the group.
pub fn processes(text: &mut TextFile) -> Result<()> {
    same(text, b"cgroup.procs")
}

/// `tasks`: the threads of the group; v2 hides them where a threaded group is near.
pub fn tasks(text: &mut TextFile) -> Result<()> {
    same(text, b"cgroup.threads").or_else(|_| same(text, b"cgroup.procs"))
}
