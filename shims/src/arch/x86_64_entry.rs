//! x86-64: the entry point for a static program that names this library as its ELF interpreter.

#[cfg(not(test))]
use core::arch::global_asm;

// The kernel starts here with the program's own stack. The library is not relocated yet; the program
// gets its stack and, in RDX, no function for atexit.
#[cfg(not(test))]
global_asm!(
    ".text",
    ".hidden evercall_entry",
    ".globl evercall_entry",
    ".type evercall_entry, @function",
    "evercall_entry:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "xor ebp, ebp",
    "mov rbx, rsp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {relocate}",
    "mov rdi, rbx",
    "call {enter}",
    "mov rsp, rbx",
    "xor ebx, ebx",
    "xor edx, edx",
    "jmp rax",
    ".cfi_endproc",
    relocate = sym relocate,
    enter = sym crate::interpreter::enter,
);

const DT_RELA: usize = 7;
const DT_RELASZ: usize = 8;
const R_X86_64_RELATIVE: usize = 8;

/// Relocates this library: only RELATIVE entries are there, and two for weak symbols, which stay 0
/// (tests/shim_file.rs). Nothing that needs a relocation is used in here.
///
/// # Safety
/// Called once, at the entry point, before anything else of the library.
unsafe extern "C" fn relocate() {
    let (dynamic, base) = super::own_image();
    // SAFETY: our own dynamic section and what it names, mapped by the kernel, the targets writable.
    unsafe {
        let (mut table, mut bytes) = (0, 0);
        let mut at = dynamic as *const [usize; 2];
        loop {
            match at.read() {
                [0, _] => break,
                [DT_RELA, value] => table = base + value,
                [DT_RELASZ, value] => bytes = value,
                _ => {}
            }
            at = at.add(1);
        }
        let mut entry = table as *const [usize; 3];
        while (entry as usize) < table + bytes {
            let [target, info, addend] = entry.read();
            if info == R_X86_64_RELATIVE {
                ((base + target) as *mut usize).write(base + addend);
            }
            entry = entry.add(1);
        }
    }
}
