//! `evercall`: see lib.rs.

use std::process::ExitCode;

fn main() -> ExitCode {
    evercall::main()
}
