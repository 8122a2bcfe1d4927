//! Statics that cost nothing until they are needed: a process that never needs them touches no page for them, and
//! what every process does touch stays within one.

use crate::sys;
use core::marker::PhantomData;
use core::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire},
};

/// Types of which all bits zero is a value, and which may be shared: atomics, and arrays and structs of them.
///
/// # Safety
/// As said.
pub unsafe trait Zeroed: Sync {}

// SAFETY: an integer that may be shared.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: the same.
unsafe impl Zeroed for AtomicU64 {}
// SAFETY: the same.
unsafe impl Zeroed for AtomicUsize {}
// SAFETY: nothing but such values.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}
// SAFETY: nothing but such values.
unsafe impl<A: Zeroed, B: Zeroed> Zeroed for (A, B) {}

/// A value in pages of its own, mapped zeroed at its first use, and never unmapped.
pub struct Late<T: 'static>(AtomicUsize, PhantomData<&'static T>);

impl<T: Zeroed + 'static> Late<T> {
    /// Not mapped yet.
    pub const fn new() -> Late<T> {
        Late(AtomicUsize::new(0), PhantomData)
    }

    /// The value, if it was needed before.
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or pages that `make` mapped for good; all zero is a value of T.
        unsafe { (self.0.load(Acquire) as *const T).as_ref() }
    }

    /// The value, mapped if need be. None where the kernel gives no memory.
    #[cold]
    pub fn make(&self) -> Option<&'static T> {
        if self.get().is_none() {
            let fresh = sys::map_anonymous(size_of::<T>()).ok()?;
            if self.0.compare_exchange(0, fresh, AcqRel, Acquire).is_err() {
                sys::unmap(fresh, size_of::<T>());
            }
        }
        self.get()
    }
}
