//! Futexes on shared memory: never FUTEX_PRIVATE, the word lies in several processes.

use crate::sync::AtomicU32;
use rustix::thread::futex;
use std::time::Duration;

/// Sleeps while `word` is `expected`, at most `timeout`. May return early for no reason: callers look again.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = rustix::time::Timespec {
        tv_sec: timeout.as_secs().min(i64::MAX as u64) as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // Every outcome (woken, changed already, timed out, interrupted) means the same to the caller: look again.
    let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&timeout));
}

/// Wakes everybody who sleeps on `word`.
pub(crate) fn futex_wake_all(word: &AtomicU32) {
    // It fails only for an address that is not mapped.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}
