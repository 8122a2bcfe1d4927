//! evercall
fn main() {}
