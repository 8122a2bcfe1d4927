//! The vDSO: functions the kernel maps into every process, found by AT_SYSINFO_EHDR without a libc.

use crate::elf::Image;
use crate::next;
use crate::start::VDSO;

/// The address of a function of the vDSO (vdso(7)), by its name. None where there is no vDSO.
pub fn find(name: &[u8]) -> Option<usize> {
    let (base, dynamic) = next::image_at(VDSO.get())?;
    // SAFETY: the kernel maps the vDSO for as long as the process lives.
    unsafe { Image::new(base, dynamic) }?.find(name)
}

/// The processor this thread runs on and its NUMA node, by the vDSO's getcpu. None where it has none.
pub fn cpu_and_node() -> Option<[u32; 2]> {
    type GetCpu = unsafe extern "C" fn(*mut u32, *mut u32, usize) -> isize;
    let function = find(b"__vdso_getcpu")?;
    let [mut cpu, mut node] = [0u32; 2];
    // SAFETY: the kernel's function of that name and type (vdso(7)), given places for both numbers.
    let result = unsafe { core::mem::transmute::<usize, GetCpu>(function)(&raw mut cpu, &raw mut node, 0) };
    (result == 0).then_some([cpu, node])
}
