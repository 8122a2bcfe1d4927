//! A tar archive, plain or compressed, as it is or with its checksums set right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    evercall::fuzzing::tar(bytes);
    let mut archive = bytes.to_vec();
    evercall::fuzzing::with_checksums(&mut archive);
    evercall::fuzzing::tar(&archive);
});
