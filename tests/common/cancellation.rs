//! Cancellation points: `test-programs/cancel_modern` cancels a thread that blocks in libc's function.

use super::common::{bare, program, shim, succeed, text};

/// A door on a libc's blocking function hands on to it where the host answers, so that it stays a cancellation point.
pub fn assert_cancelled_in_libcs_own(functions: &[&str]) {
    for function in functions {
        for preload in [false, true] {
            let mut command = bare(program("cancel_modern"));
            if preload {
                command.env("LD_PRELOAD", shim());
            }
            let output = text(&succeed(command.arg(function)).stdout);
            assert_eq!(output, "cleanup outer\ncancelled\n", "{function} under the shim: {preload}");
        }
    }
}
