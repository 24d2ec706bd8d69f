//! The model checker's atomics, each access preceded by a step on one word that all threads share.
//!
//! Loom 0.7 leaves out executions in which a thread is overtaken between a load and a later write of its own (tokio-rs/loom issues
//! 166 and 392), that is in every load-and-CAS loop. The common step, which orders nothing, makes each access a place where any
//! thread may go on, so every order (within the bound on preemptions) is gone through.

use loom::sync::atomic as inner;
pub(crate) use loom::sync::atomic::Ordering;

loom::lazy_static! {
    static ref STEPS: inner::AtomicUsize = inner::AtomicUsize::new(0);
}

/// A place where any thread may go on.
pub(crate) fn step() {
    // Not even a read-modify-write synchronises when it is relaxed.
    STEPS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn fence(order: Ordering) {
    step();
    inner::fence(order);
}

macro_rules! atomic {
    ($name:ident, $value:ty, [$($rmw:ident),*]) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(inner::$name);

        #[allow(dead_code, clippy::allow_attributes, reason = "the same for both widths, as far as the code goes")]
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(inner::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(from, to, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(from, to, success, failure)
            }

            $(pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.$rmw(value, order)
            })*
        }
    };
}

atomic!(AtomicU32, u32, [swap, fetch_add, fetch_sub, fetch_or, fetch_max]);
atomic!(AtomicU64, u64, [swap, fetch_add, fetch_sub, fetch_or, fetch_and, fetch_max, fetch_min]);
