//! `get_kernel_syms(2)`, and the kernel's symbols for `query_module(2)`: from /proc/kallsyms.

use super::modules;
use crate::dispatch::Call;
use crate::files::Lines;
use crate::memory;
use crate::sys::{self, Errno, Result, User};
use crate::text::{fields, parse_hex};

/// Bytes of the name in `struct kernel_sym` (linux/module.h of 2.4).
const NAME: usize = 60;

/// Whose symbols are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The kernel itself.
    Kernel,
    /// One module.
    Module(&'a [u8]),
    /// Every module.
    Modules,
}

/// A global symbol.
pub struct Symbol<'a> {
    /// Its address; 0 for callers without CAP_SYSLOG.
    pub value: usize,
    /// Its name.
    pub name: &'a [u8],
    /// Its module; empty for the kernel.
    pub module: &'a [u8],
}

impl<'a> Symbol<'a> {
    /// `ffffffff81000000 T name\t[module]`: global ones have a capital letter.
    fn parse(line: &'a [u8]) -> Option<Symbol<'a>> {
        let mut fields = fields(line);
        let (value, _) = parse_hex(fields.next()?)?;
        if !fields.next()?.first()?.is_ascii_uppercase() {
            return None;
        }
        let name = fields.next()?;
        let module = fields.next().and_then(|m| m.strip_prefix(b"[")?.strip_suffix(b"]")).unwrap_or(b"");
        // Programs that the kernel made up at run time stand there as modules too.
        let made_up = module == b"bpf" || module.starts_with(b"__builtin__");
        (!made_up).then_some(Symbol { value: value as usize, name, module })
    }
}

/// Walks the global symbols of an owner.
pub fn each(owner: Owner<'_>, mut visit: impl FnMut(&Symbol<'_>) -> Result<()>) -> Result<()> {
    let mut lines = Lines::open(c"/proc/kallsyms").map_err(|_| Errno(libc::ENOSYS))?;
    while let Some(line) = lines.next()? {
        let Some(symbol) = Symbol::parse(line) else { continue };
        let meant = match owner {
            Owner::Kernel => symbol.module.is_empty(),
            Owner::Module(name) => symbol.module == name,
            Owner::Modules => !symbol.module.is_empty(),
        };
        if meant {
            visit(&symbol)?;
        }
    }
    Ok(())
}

/// How many symbols an owner has.
pub fn count(owner: Owner<'_>) -> Result<usize> {
    let mut count = 0;
    each(owner, |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// `get_kernel_syms`: fills the table, module by module and the kernel last, each behind a pseudo symbol
/// `#name`; NULL only counts. A table that cannot be written ends the list, without an error.
pub fn get_kernel_syms(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"read /proc/kallsyms");
    });
    let mut table = Table { at: call.user(0), count: 0, module: [0; NAME], module_length: 0 };
    match table.fill() {
        Ok(()) | Err(Errno(libc::EFAULT)) => table.count as isize,
        Err(error) => sys::result(Err(error)),
    }
}

struct Table {
    at: User,
    count: usize,
    /// The module whose symbols come now.
    module: [u8; NAME],
    module_length: usize,
}

impl Table {
    fn fill(&mut self) -> Result<()> {
        // Both files list the modules in the same order; some have no symbols.
        let mut loaded = modules::lines().ok();
        each(Owner::Modules, |symbol| {
            if symbol.module != self.module.get(..self.module_length).unwrap_or(&[]) {
                self.module_length = symbol.module.len().min(NAME);
                for (to, from) in self.module.iter_mut().zip(symbol.module) {
                    *to = *from;
                }
                if !self.pass(loaded.as_mut(), symbol.module)? {
                    self.add(0, b"#", symbol.module)?;
                }
            }
            self.add(symbol.value, b"", symbol.name)
        })?;
        self.pass(loaded.as_mut(), b"")?;
        self.add(0, b"#", b"")?;
        each(Owner::Kernel, |symbol| self.add(symbol.value, b"", symbol.name))
    }

    /// The pseudo symbols of the modules up to the one of this name; false if it is not among them.
    fn pass(&mut self, loaded: Option<&mut Lines>, name: &[u8]) -> Result<bool> {
        let Some(loaded) = loaded else { return Ok(false) };
        while let Some(line) = loaded.next()? {
            let Some(module) = modules::Module::parse(line) else { continue };
            self.add(module.address, b"#", module.name)?;
            if module.name == name {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A `struct kernel_sym`: the value, then the name cut to 59 bytes and padded with zeros.
    fn add(&mut self, value: usize, mark: &[u8], name: &[u8]) -> Result<()> {
        if !self.at.is_null() {
            let mut entry = [0u8; ENTRY];
            for (to, from) in entry.iter_mut().zip(value.to_le_bytes()) {
                *to = from;
            }
            let room = entry.iter_mut().skip(size_of::<usize>()).take(NAME - 1);
            for (to, from) in room.zip(mark.iter().chain(name)) {
                *to = *from;
            }
            memory::write(self.at, &entry)?;
            self.at = self.at.at(ENTRY);
        }
        self.count += 1;
        Ok(())
    }
}

/// Bytes of a `struct kernel_sym`: padded to the alignment of its first field.
const ENTRY: usize = 72;
