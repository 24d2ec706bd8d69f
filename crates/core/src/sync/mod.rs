//! The only door to shared atomics. Under `--cfg loom` the model checker's atomics stand in. `cargo test -p xtask` keeps it the only
//! one.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
mod checked;
#[cfg(loom)]
pub(crate) use checked::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(all(test, loom))]
pub(crate) mod model;

/// The store-load barrier of a Dekker pair: "I publish, then look at your flag" against "I raise my flag, then
/// look at what is published". Both sides call it between their store and their load, so at least one sees the
/// other. On x86-64 every call site follows a locked instruction, which is a full barrier already, so only the
/// compiler has to be held back there.
#[inline]
pub(crate) fn dekker_fence() {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    fence(Ordering::SeqCst);
}
