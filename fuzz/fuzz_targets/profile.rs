//! A host profile or a seccomp profile, for `evercall simulate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evercall::fuzzing::profile(bytes));
