//! Where no futex is known to work between processes: a bounded nap. Correct, but it wakes once a millisecond while a thread
//! waits; event loops are not concerned, they sleep on their doorbell.

use crate::sync::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Sleeps while `word` is `expected`, at most `timeout`.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    while word.load(Ordering::Acquire) == expected && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1).min(timeout));
    }
}

/// Wakes everybody who sleeps on `word`: they look by themselves.
pub(crate) fn futex_wake_all(_word: &AtomicU32) {}
