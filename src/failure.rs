//! What went wrong, for people, and the exit code that says so to programs.

use std::fmt;

/// An error that ends the command.
#[derive(Debug)]
pub struct Failure {
    message: String,
    /// The exit code.
    pub status: u8,
}

impl Failure {
    /// Anything wrong with what was asked for, or with evercall itself.
    pub const ERROR: u8 = 1;
    /// What was looked for was found: `evercall check`.
    pub const FINDINGS: u8 = 2;
    /// As env(1): the program was found but cannot be run.
    pub const CANNOT_RUN: u8 = 126;
    /// As env(1): there is no such program.
    pub const NOT_FOUND: u8 = 127;

    /// An error with exit code 1.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), status: Failure::ERROR }
    }

    /// There are findings, which have been told: exit code 2.
    pub fn findings() -> Failure {
        Failure { message: String::new(), status: Failure::FINDINGS }
    }

    /// Whether there is nothing more to say.
    pub fn is_told(&self) -> bool {
        self.message.is_empty()
    }

    /// The program cannot be run: exit code 126.
    pub fn cannot_run(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), status: Failure::CANNOT_RUN }
    }

    /// The program does not exist: exit code 127.
    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), status: Failure::NOT_FOUND }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
