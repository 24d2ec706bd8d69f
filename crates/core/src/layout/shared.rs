//! What may lie in a segment, as a trait that the compiler checks.

use crate::sync::{AtomicU32, AtomicU64};
use crossbeam::utils::CachePadded;

/// Types that may lie in memory that other processes write: [`crate::segment`] gives references to no others.
///
/// # Safety
/// Every bit pattern is a valid value, a write by somebody else at any time is no data race (so all of it is atomics), its layout is
/// the same in every process, and it has no destructor.
pub(crate) unsafe trait Shared: Sync {}

// SAFETY: any bits are a number, all access is atomic, and the layout is that of the integer.
unsafe impl Shared for AtomicU32 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU64 {}
// SAFETY: nothing but `T`, one after the other.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}
// SAFETY: `T`, and padding that nobody reads; its alignment is a fact of the architecture, which the layout hash covers.
unsafe impl<T: Shared> Shared for CachePadded<T> {}

/// Makes `repr(C)` structs [`Shared`] whose fields, all named, are.
macro_rules! shared {
    ($name:ident { $($field:ident),* $(,)? }) => {
        const _: () = {
            const fn is_shared<T: $crate::layout::Shared + ?Sized>(_: &T) {}
            #[expect(dead_code, reason = "compiled for its types alone")]
            const fn every_field_is_shared(value: &$name) {
                let $name { $($field),* } = value;
                $(is_shared($field);)*
            }
        };
        // SAFETY: `repr(C)`, and every field is Shared: the function above does not compile otherwise, nor with a field left out.
        unsafe impl $crate::layout::Shared for $name {}
    };
}
pub(crate) use shared;
