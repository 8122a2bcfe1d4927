//! A log, for `evercall log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evercall::fuzzing::log(bytes));
