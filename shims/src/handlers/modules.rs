//! `query_module(2)`: what modutils of the 2.4 age asked, answered from /proc/modules and /proc/kallsyms
//! in the byte layout of kernel/module.c of 2.4.37.

use super::kernel_symbols::{self, Owner};
use crate::dispatch::Call;
use crate::files::Lines;
use crate::memory;
use crate::sys::{self, Errno, Result, User};
use crate::text::{Text, fields, parse_decimal, parse_hex};
use core::ops::ControlFlow;

/// The requests (linux/module.h of 2.4).
const QM_MODULES: i32 = 1;
const QM_DEPS: i32 = 2;
const QM_REFS: i32 = 3;
const QM_SYMBOLS: i32 = 4;
const QM_INFO: i32 = 5;

/// Flags of `struct module_info`.
const MOD_RUNNING: usize = 1;
const MOD_DELETED: usize = 2;
const MOD_USED_ONCE: usize = 16;
const MOD_INITIALIZING: usize = 64;

/// Longest module name (MODULE_NAME_LEN), bytes.
const NAME: usize = 64;

/// `query_module`: EFAULT, ENOENT (no such module), EINVAL, ENOSPC (with the bytes needed in `ret`),
/// ENAMETOOLONG.
pub fn query_module(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"read /proc/modules");
    });
    sys::result(answer(call))
}

fn answer(call: &Call<'_>) -> Result<usize> {
    let mut buffer = [0u8; NAME];
    let name = module_name(call.user(0), &mut buffer)?;
    if let Some(name) = name {
        find(name)?;
    }
    let (to, room, ret) = (call.user(2), call.arg(3), call.user(4));
    match (call.int(1), name) {
        (0, _) => Ok(0),
        (QM_MODULES, _) => strings(to, room, ret, |list| {
            each(|module| {
                list.add(module.name);
                ControlFlow::<()>::Continue(())
            })
            .map(|_| ())
        }),
        // The kernel itself depends on nothing and is not referred to.
        (QM_DEPS | QM_REFS | QM_INFO, None) => Err(Errno(libc::EINVAL)),
        (QM_DEPS, Some(name)) => strings(to, room, ret, |list| {
            each(|module| {
                if module.users().any(|user| user == name) {
                    list.add(module.name);
                }
                ControlFlow::<()>::Continue(())
            })
            .map(|_| ())
        }),
        (QM_REFS, Some(name)) => strings(to, room, ret, |list| {
            each(|module| {
                if module.name != name {
                    return ControlFlow::Continue(());
                }
                module.users().for_each(|user| list.add(user));
                ControlFlow::Break(())
            })
            .map(|_| ())
        }),
        (QM_SYMBOLS, name) => symbols(name.map_or(Owner::Kernel, Owner::Module), to, room, ret),
        (QM_INFO, Some(name)) => info(name, to, room, ret),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// The name argument: None for NULL, which means the kernel itself.
fn module_name(from: User, buffer: &mut [u8; NAME]) -> Result<Option<&[u8]>> {
    if from.is_null() {
        return Ok(None);
    }
    match memory::read_path(from, buffer) {
        // get_mod_name said EINVAL where getname says ENOENT.
        Err(Errno(libc::ENOENT)) => Err(Errno(libc::EINVAL)),
        // Longer than any module's name.
        Ok(None) => Err(Errno(libc::ENOENT)),
        other => other,
    }
}

/// A line of /proc/modules: `name size count users state address`.
pub struct Module<'a> {
    /// Its name.
    pub name: &'a [u8],
    size: usize,
    count: isize,
    used_by: &'a [u8],
    flags: usize,
    /// Where it is loaded; 0 for callers without CAP_SYSLOG.
    pub address: usize,
}

impl<'a> Module<'a> {
    /// Reads a line; None if it is none of a module.
    pub fn parse(line: &'a [u8]) -> Option<Module<'a>> {
        let mut fields = fields(line);
        let name = fields.next()?;
        let size = parse_decimal(fields.next()?)?.0 as usize;
        // `-` where modules cannot be unloaded.
        let count = parse_decimal(fields.next()?).map_or(-1, |(count, _)| count as isize);
        let used_by = fields.next()?;
        let state = match fields.next()? {
            b"Live" => MOD_RUNNING,
            b"Loading" => MOD_INITIALIZING,
            _ => MOD_DELETED,
        };
        let flags = if count > 0 { state | MOD_USED_ONCE } else { state };
        let address = fields
            .next()
            .and_then(|a| parse_hex(a.strip_prefix(b"0x")?))
            .map_or(0, |(address, _)| address as usize);
        Some(Module { name, size, count, used_by, flags, address })
    }

    /// The modules that use it: `a,b,` or `-`; `[permanent]` is none.
    fn users(&self) -> impl Iterator<Item = &'a [u8]> {
        self.used_by.split(|&b| b == b',').filter(|u| !u.is_empty() && *u != b"-" && !u.starts_with(b"["))
    }
}

/// The lines of /proc/modules. ENOSYS, as from a kernel without modules, where there is none.
pub fn lines() -> Result<Lines> {
    Lines::open(c"/proc/modules").map_err(|_| Errno(libc::ENOSYS))
}

/// Walks /proc/modules, the newest module first, as the kernel's list was.
fn each<B>(mut visit: impl FnMut(&Module<'_>) -> ControlFlow<B>) -> Result<Option<B>> {
    let mut lines = lines()?;
    while let Some(line) = lines.next()? {
        if let Some(module) = Module::parse(line) {
            if let ControlFlow::Break(found) = visit(&module) {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// ENOENT where no module of the name is loaded; one that is on its way out is not.
fn find(name: &[u8]) -> Result<()> {
    let found = each(|module| {
        let here = module.name == name && module.flags & MOD_DELETED == 0;
        if here { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    found.ok_or(Errno(libc::ENOENT))
}

/// Names one after the other, each with its NUL, as long as there is room; then only counted.
struct List {
    to: User,
    room: usize,
    space: usize,
    count: usize,
    full: bool,
    fault: Result<()>,
}

impl List {
    fn add(&mut self, name: &[u8]) {
        let length = name.len() + 1;
        self.full |= length > self.room;
        if !self.full && self.fault.is_ok() {
            let mut string = Text::<128>::new();
            string.push(name);
            self.fault = memory::write(self.to.at(self.space), string.c_str().to_bytes_with_nul());
            self.room -= length;
            self.count += 1;
        }
        self.space += length;
    }
}

fn strings(to: User, room: usize, ret: User, fill: impl FnOnce(&mut List) -> Result<()>) -> Result<usize> {
    let mut list = List { to, room, space: 0, count: 0, full: false, fault: Ok(()) };
    fill(&mut list)?;
    list.fault?;
    finish(ret, list.full, list.count, list.space)
}

/// The end of every list: how many, or ENOSPC and how many bytes it takes.
fn finish(ret: User, full: bool, count: usize, space: usize) -> Result<usize> {
    if full {
        memory::put(ret, space)?;
        return Err(Errno(libc::ENOSPC));
    }
    memory::put(ret, count).map(|()| 0)
}

fn info(name: &[u8], to: User, room: usize, ret: User) -> Result<usize> {
    let found = each(|module| {
        if module.name != name {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break([module.address, module.size, module.flags, module.count as usize])
    })?;
    let info: [usize; 4] = found.ok_or(Errno(libc::ENOENT))?;
    let full = size_of_val(&info) > room;
    if !full {
        memory::put(to, info)?;
    }
    // The size goes to `ret` whether or not there was room.
    memory::put(ret, size_of_val(&info))?;
    if full { Err(Errno(libc::ENOSPC)) } else { Ok(0) }
}

/// Pairs of value and offset of the name, then the names.
fn symbols(owner: Owner<'_>, to: User, room: usize, ret: User) -> Result<usize> {
    let count = kernel_symbols::count(owner)?;
    let mut space = count * 2 * size_of::<usize>();
    let mut full = space > room;
    let mut index = 0;
    kernel_symbols::each(owner, |symbol| {
        let length = symbol.name.len() + 1;
        full |= space + length > room;
        // A symbol that came after the count has no place.
        if !full && index < count {
            let mut name = Text::<512>::new();
            name.push(symbol.name);
            memory::write(to.at(space), name.c_str().to_bytes_with_nul())?;
            memory::put(to.at(index * 2 * size_of::<usize>()), [symbol.value, space])?;
            index += 1;
        }
        space += length;
        Ok(())
    })?;
    finish(ret, full, index, space)
}
