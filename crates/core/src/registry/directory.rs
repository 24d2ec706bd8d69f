//! The directory: names of queues, topics and subscriptions, and where their rings are.

use super::Domain;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{
    DIRECTORY_ENTRY_CLAIMED, DIRECTORY_ENTRY_FREE, DIRECTORY_ENTRY_LIVE, DIRECTORY_KIND_QUEUE,
    DIRECTORY_KIND_SUBSCRIPTION, DIRECTORY_KIND_TOPIC, DirectoryEntry,
};
use crate::limits::MAX_QUEUES;
use crate::sync::Ordering;

/// A queue found in the directory: which entry, and the state word it had, which no other queue will ever have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Listed {
    pub(crate) index: usize,
    pub(crate) ring: u32,
    state: u64,
}

/// What an entry lists. Each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    Queue = DIRECTORY_KIND_QUEUE,
    Topic = DIRECTORY_KIND_TOPIC,
    /// The queue of a subscriber; any number may be listed under the name of one topic.
    Subscription = DIRECTORY_KIND_SUBSCRIPTION,
}

/// What is to be written into an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Title<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// A subscription's own name; empty = none.
    pub(crate) label: &'a str,
}

impl DirectoryEntry {
    /// Whether it lists (or claims) something of this kind.
    pub(crate) fn is_kind(&self, kind: Kind) -> bool {
        self.kind.load(Ordering::Relaxed) == kind as u32
    }

    /// Who made it: slot and epoch.
    pub(crate) fn creator(&self) -> (usize, u32) {
        (self.owner.load(Ordering::Relaxed) as usize, self.epoch.load(Ordering::Relaxed))
    }

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
    /// Finds what is listed as `kind` and `name`.
    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<Listed> {
        self.find_all(kind, name).next()
    }

    /// Everything that is listed as `kind` and `name`.
    pub(crate) fn find_all(&self, kind: Kind, name: &str) -> impl Iterator<Item = Listed> {
        self.directory().iter().enumerate().filter_map(move |(index, entry)| {
            let listed = self.listed(index)?;
            (entry.is_kind(kind) && entry.name.is(name) && self.still_listed(listed)).then_some(listed)
        })
    }

    /// What is in entry `index`, if there is one.
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

    /// Claims a free entry for `title` on behalf of participant `owner`. The caller holds the directory lock.
    pub(crate) fn claim_entry(&self, owner: usize, title: Title<'_>, ring: u32) -> Result<usize> {
        let is_free = |index: &usize| {
            self.directory().get(*index).is_none_or(|e| {
                DirectoryEntry::phase(e.state.load(Ordering::Acquire)) == DIRECTORY_ENTRY_FREE
            })
        };
        let Some(index) = (0..MAX_QUEUES).find(is_free) else {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "domain {:?} has its {MAX_QUEUES} queues, topics and subscriptions already: cannot create {:?}",
                    self.name, title.name
                ),
            ));
        };
        self.reserve_directory(index)?;
        let entry = &self.directory()[index];
        entry.owner.store(owner as u32, Ordering::Relaxed);
        let epoch = self.participants().get(owner).map_or(0, |p| p.epoch.load(Ordering::Relaxed));
        entry.epoch.store(epoch, Ordering::Relaxed);
        let generation = entry.state.load(Ordering::Relaxed) & !0xff;
        entry.state.store(generation | u64::from(DIRECTORY_ENTRY_CLAIMED), Ordering::Release);
        entry.name.set(title.name);
        entry.label.set(title.label);
        entry.kind.store(title.kind as u32, Ordering::Relaxed);
        entry.ring.store(ring, Ordering::Relaxed);
        Ok(index)
    }

    /// Makes a claimed entry findable. The ring has a reference for the directory already.
    pub(crate) fn list(&self, index: usize) -> Listed {
        let entry = &self.directory()[index];
        let state = entry.state.load(Ordering::Relaxed) & !0xff | u64::from(DIRECTORY_ENTRY_LIVE);
        // SYNC LIST (release), pairs with `listed` (acquire). Swapped, though nobody else changes it: it comes before a look at who waits
        // for it (SYNC W2).
        entry.state.swap(state, Ordering::AcqRel);
        Listed { index, ring: entry.ring.load(Ordering::Relaxed), state }
    }
}
