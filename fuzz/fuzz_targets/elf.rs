//! A file that may be an ELF program or library, or a script.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evercall::fuzzing::elf(bytes));
