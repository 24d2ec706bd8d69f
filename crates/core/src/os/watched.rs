//! The processes that a sentinel watches, by participant, whatever the system has to watch them by.

use std::collections::HashMap;
use std::sync::Arc;

/// What processes are watched by (`T`), keyed by participant: (slot, epoch).
#[derive(Debug)]
pub(super) struct Watched<T>(HashMap<(usize, u32), One<T>>);

#[derive(Debug)]
struct One<T> {
    pid: u32,
    /// `None`: it has ended, or cannot be watched. Participants of one process share it.
    by: Option<Arc<T>>,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Watched<T> {
    /// Watches exactly `participants`, with their pids. One that cannot be watched is left to the sweep.
    pub(super) fn set(&mut self, participants: &[((usize, u32), u32)], open: impl Fn(u32) -> Option<T>) {
        self.0.retain(|key, _| participants.iter().any(|(k, _)| k == key));
        for &(key, pid) in participants {
            if !self.0.contains_key(&key) {
                let by = self.shared(pid).or_else(|| open(pid).map(Arc::new));
                self.0.insert(key, One { pid, by });
            }
        }
    }

    fn shared(&self, pid: u32) -> Option<Arc<T>> {
        self.0.values().find(|other| other.pid == pid).and_then(|other| other.by.clone())
    }

    /// Each process that is watched, once.
    pub(super) fn processes(&self) -> Vec<Arc<T>> {
        let mut all: Vec<_> = self.0.values().filter_map(|one| one.by.clone()).collect();
        all.sort_unstable_by_key(Arc::as_ptr);
        all.dedup_by_key(|by| Arc::as_ptr(by));
        all
    }

    /// Those of `dead` have ended: what they were watched by has done its work, the sweep sees to the rest.
    pub(super) fn forget(&mut self, dead: &[&Arc<T>]) {
        for one in self.0.values_mut() {
            one.by.take_if(|by| dead.iter().any(|dead| Arc::ptr_eq(by, dead)));
        }
    }
}
