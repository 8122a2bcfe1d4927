//! Whose memory this is. A fork's child has a copy of its own, a vfork's child works in its parent's until it
//! executes another program: what it changes there, it changes for the parent.

use crate::sys;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The process that memory belongs to. Lies in a page that a fork's child finds empty
/// (`sys::page_wiped_on_fork`); all zero is a value.
pub struct Owner(AtomicI32);

impl Owner {
    /// Whether this process owns the memory; takes what nobody owns yet. No: this is a vfork's child.
    pub fn is_me(&self) -> bool {
        let me = sys::getpid();
        match self.0.compare_exchange(0, me, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(owner) => owner == me,
        }
    }
}
