//! What a file or an image needs of the host.

pub mod elf;
pub mod reach;
pub mod runtimes;
