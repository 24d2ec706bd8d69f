//! Shared by the tests: domains of their own, and what a process has.

#![allow(dead_code, unused_imports, clippy::allow_attributes, reason = "each test binary uses a part of it")]

pub(crate) mod blocks;
#[path = "../../../core/tests/support/isolated.rs"]
mod isolated;
pub(crate) mod joined;
#[path = "../../../core/tests/support/random.rs"]
pub(crate) mod random;
pub(crate) mod steps;

use isolated::Isolated;
pub(crate) use isolated::{child, role, used};
use millrace::ShmManager;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far beyond what anything takes: only a bug waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A domain in a directory of its own.
pub(crate) struct Domain(pub(crate) Isolated);

impl Domain {
    pub(crate) fn new() -> Self {
        Self(Isolated::new("flow"))
    }

    pub(crate) fn open(&self) -> Arc<ShmManager> {
        Arc::new(self.0.open())
    }
}

impl std::ops::Deref for Domain {
    type Target = Isolated;

    fn deref(&self) -> &Isolated {
        &self.0
    }
}

/// Waits for what nothing tells of.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
