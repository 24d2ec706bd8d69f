//! What the loom models share. `npm run loom` runs them: the real code over memory from the heap, in every order that threads and the
//! memory model allow. Each rule that holds the protocol together has a twin test without it, which has to fail.
//!
//! Two things to know. Loom takes a sequentially consistent *access* for an acquire-release one, so where the code relies on such
//! accesses alone a model puts a fence beside them and says so. And a thread that is killed is a thread that ends early: what a
//! death leaves behind is the business of `tests/protocol_model`.

pub(crate) use loom::sync::Arc;
pub(crate) use loom::thread::spawn;

use loom::cell::UnsafeCell;

/// Goes through all executions of `f` with at most three preemptions (or `LOOM_MAX_PREEMPTIONS`).
pub(crate) fn check(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 10_000;
    builder.check(move || {
        super::checked::step();
        f();
    });
}

/// What the thread came to.
pub(crate) fn joined<T>(thread: loom::thread::JoinHandle<T>) -> T {
    thread.join().expect("it does not panic")
}

/// Memory without any ordering of its own, like a payload: two accesses that race are a failure.
#[derive(Default)]
pub(crate) struct Plain(UnsafeCell<u32>);

// SAFETY: the model checker looks at each access before it is made and ends the run at a race.
unsafe impl Sync for Plain {}

impl Plain {
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }

    pub(crate) fn write(&self, now: u32) {
        // SAFETY: as above.
        self.0.with_mut(|value| unsafe { *value = now });
    }
}
