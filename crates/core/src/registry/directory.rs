//! The directory: queue names and where their rings are.

use super::Domain;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{DIRECTORY_ENTRY_CLAIMED, DIRECTORY_ENTRY_FREE, DIRECTORY_ENTRY_LIVE, DirectoryEntry};
use crate::limits::MAX_QUEUES;
use crate::sync::Ordering;

/// A queue found in the directory: which entry, and the state word it had, which no other queue will ever have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) index: usize,
    pub(crate) ring: u32,
    state: u64,
}

impl DirectoryEntry {
    fn phase(state: u64) -> u32 {
        (state & 0xff) as u32
    }

    /// Whether a creator is at work here (or died at it).
    pub(crate) fn is_claimed(&self) -> bool {
        Self::phase(self.state.load(Ordering::Acquire)) == DIRECTORY_ENTRY_CLAIMED
    }

    /// Sets a claimed entry of a dead creator free. Recovery only, nobody else looks at it.
    pub(crate) fn unclaim(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store((state & !0xff) + 0x100, Ordering::Release);
    }

    /// Sets a live entry free; `true` for the one caller that did it, who drops the directory's reference to the ring.
    pub(crate) fn unlist(&self, listed: Listed) -> bool {
        let free = ((listed.state & !0xff) + 0x100) | u64::from(DIRECTORY_ENTRY_FREE);
        self.state.compare_exchange(listed.state, free, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Domain {
    /// Finds queue `name`.
    pub(crate) fn find(&self, name: &str) -> Option<Listed> {
        self.directory().iter().enumerate().find_map(|(index, entry)| {
            let listed = self.listed(index)?;
            (entry.name.is(name) && self.still_listed(listed)).then_some(listed)
        })
    }

    /// The queue in entry `index`, if there is one.
    pub(crate) fn listed(&self, index: usize) -> Option<Listed> {
        let entry = self.directory().get(index)?;
        // SYNC LIST (acquire), pairs with `list` (release): name and ring belong to this state.
        let state = entry.state.load(Ordering::Acquire);
        let live = DirectoryEntry::phase(state) == DIRECTORY_ENTRY_LIVE;
        live.then(|| Listed { index, ring: entry.ring.load(Ordering::Relaxed), state })
    }

    /// Whether the entry still is what was found.
    pub(crate) fn still_listed(&self, listed: Listed) -> bool {
        self.directory()[listed.index].state.load(Ordering::Acquire) == listed.state
    }

    /// Claims a free entry for `name` on behalf of participant `owner`. The caller holds the directory lock.
    pub(crate) fn claim_entry(&self, owner: usize, name: &str, ring: u32) -> Result<usize> {
        let is_free = |index: &usize| {
            self.directory().get(*index).is_none_or(|e| {
                DirectoryEntry::phase(e.state.load(Ordering::Acquire)) == DIRECTORY_ENTRY_FREE
            })
        };
        let Some(index) = (0..MAX_QUEUES).find(is_free) else {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("domain {:?} has its {MAX_QUEUES} queues already: cannot create {name:?}", self.name),
            ));
        };
        self.reserve_directory(index)?;
        let entry = &self.directory()[index];
        entry.owner.store(owner as u32, Ordering::Relaxed);
        let generation = entry.state.load(Ordering::Relaxed) & !0xff;
        entry.state.store(generation | u64::from(DIRECTORY_ENTRY_CLAIMED), Ordering::Release);
        entry.name.set(name);
        entry.ring.store(ring, Ordering::Relaxed);
        Ok(index)
    }

    /// Makes a claimed entry findable. The ring has a reference for the directory already.
    pub(crate) fn list(&self, index: usize) -> Listed {
        let entry = &self.directory()[index];
        let state = entry.state.load(Ordering::Relaxed) & !0xff | u64::from(DIRECTORY_ENTRY_LIVE);
        // SYNC LIST (release), pairs with `listed` (acquire).
        entry.state.store(state, Ordering::Release);
        Listed { index, ring: entry.ring.load(Ordering::Relaxed), state }
    }
}
