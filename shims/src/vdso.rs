//! The vDSO: functions the kernel maps into every process, found by AT_SYSINFO_EHDR without a libc.

use crate::elf::Image;
use crate::next;
use crate::start::VDSO;

/// The address of a function of the vDSO (vdso(7)), by its name. None where there is no vDSO.
pub fn find(name: &[u8]) -> Option<usize> {
    let base = VDSO.get();
    let dynamic = next::dynamic_section_of(base)?;
    // SAFETY: the kernel maps the vDSO for as long as the process lives.
    unsafe { Image::new(base, dynamic) }?.find(name)
}
