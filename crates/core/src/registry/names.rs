//! The name table: what each name stands for, whose it is, and where its ring is.

use super::{Domain, Participant};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{NAME_CLAIMED, NAME_FREE, NAME_LIVE, NameEntry};
use crate::limits::{MAX_QUEUES, OPEN_TIMEOUT_NS};
use crate::os::deadline;
use crate::segment::FileLock;
use crate::sync::{Ordering, fence};
use std::time::Duration;

/// A ring found in the name table: which entry, and the state word it had, which no other tenant of the entry will ever have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntryRef {
    /// Below `MAX_QUEUES`: it comes from a position in the table, not out of shared memory.
    pub(crate) index: usize,
    pub(crate) ring: u32,
    state: u64,
}

impl EntryRef {
    /// Whether it is the same tenant of the entry, with whatever ring.
    pub(crate) fn is_same_name(self, other: Self) -> bool {
        (self.index, self.state) == (other.index, other.state)
    }
}

/// What an entry names. Each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A port queue.
    Queue = 0,
    /// A topic; its ring keeps the topic's history.
    Topic = 1,
    /// The queue of a subscriber; any number may stand under the name of one topic, which need not exist yet.
    Subscription = 2,
    /// The queue of a SageQueue.
    Work = 3,
    /// The queue of requests of a service.
    Requests = 4,
    /// What others send to one participant of a service; name = the service, label = the role, owner = whose it is.
    Mailbox = 5,
    /// The queue between two blocks that one participant runs: it ends with its owner. Found by nobody else, so names may be the same.
    Link = 6,
}

impl Kind {
    /// What an error calls it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Subscription => "subscription",
            Self::Work => "SageQueue",
            Self::Requests | Self::Mailbox => "service",
            Self::Link => "link",
        }
    }
}

/// What is to be written into an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryKey<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// A subscription's own name (empty = none), or the role of a mailbox.
    pub(crate) label: &'a str,
}

impl NameEntry {
    /// Whether it names (or claims) something of this kind.
    pub(crate) fn is_kind(&self, kind: Kind) -> bool {
        self.kind.load(Ordering::Relaxed) == kind as u32
    }

    /// Whether another ring may take the place of the one it names: nobody relies on more of it than its operations.
    pub(crate) fn is_replaceable(&self) -> bool {
        [Kind::Queue, Kind::Work, Kind::Requests].into_iter().any(|kind| self.is_kind(kind))
    }

    /// Who made it: slot and epoch.
    pub(crate) fn owner(&self) -> (usize, u32) {
        (self.owner.load(Ordering::Relaxed) as usize, self.epoch.load(Ordering::Relaxed))
    }

    fn phase(state: u64) -> u32 {
        (state & 0xff) as u32
    }

    /// Whether a creator is at work here (or died at it).
    pub(crate) fn is_claimed(&self) -> bool {
        Self::phase(self.state.load(Ordering::Acquire)) == NAME_CLAIMED
    }

    /// Sets a claimed entry of a dead creator free. Recovery only, nobody else looks at it.
    pub(crate) fn unclaim(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store((state & !0xff).wrapping_add(0x100), Ordering::Release);
    }

    /// Sets a live entry free; `true` for the one caller that did it, who drops the name table's reference to the ring.
    pub(crate) fn unlist(&self, entry: EntryRef) -> bool {
        let free = (entry.state & !0xff).wrapping_add(0x100) | u64::from(NAME_FREE);
        self.state.compare_exchange(entry.state, free, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Domain {
    /// Everything that stands as `kind` under `name`.
    pub(crate) fn find_all(&self, kind: Kind, name: &str) -> impl Iterator<Item = EntryRef> {
        self.find_where(kind, name, |_| true)
    }

    /// As [`Domain::find_all`], where `is_it` holds, too.
    pub(crate) fn find_where(
        &self,
        kind: Kind,
        name: &str,
        is_it: impl Fn(&NameEntry) -> bool,
    ) -> impl Iterator<Item = EntryRef> {
        self.entries().filter_map(move |(at, entry)| {
            let is_it = entry.is_kind(kind) && entry.name.is(name) && is_it(entry);
            // With the ring that it has by now, which another may have come in the place of meanwhile.
            if is_it { self.current(at) } else { None }
        })
    }

    /// Every entry that names something now. What is read of one belongs to it only if [`Domain::is_current`] says so afterwards.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (EntryRef, &NameEntry)> {
        self.names().iter().enumerate().filter_map(|(index, entry)| Some((live(index, entry)?, entry)))
    }

    /// The entry itself, whatever has become of it.
    pub(crate) fn entry(&self, at: EntryRef) -> &NameEntry {
        // Not by `names()`: how many there are is another process's word, which may have changed since.
        &self.registry().names[at.index]
    }

    /// Whether the entry still is what was found, and what has been read of it meanwhile belongs to that.
    pub(crate) fn is_current(&self, at: EntryRef) -> bool {
        self.current(at) == Some(at)
    }

    /// What was found, with the ring that it has now; `None`: it is gone.
    pub(crate) fn current(&self, at: EntryRef) -> Option<EntryRef> {
        // SYNC LIST (acquire fence): what was read before is not read later than the state.
        fence(Ordering::Acquire);
        live(at.index, self.entry(at)).filter(|now| now.state == at.state)
    }

    /// Puts another ring in the place of the one that an entry has. The world is stopped. The references are the caller's to count.
    pub(crate) fn relist(&self, at: EntryRef, ring: u32) -> EntryRef {
        // Relaxed: whoever enters an operation after this sees it (SYNC PIN), and whoever has read the entry before looks again there.
        self.entry(at).ring.store(ring, Ordering::Relaxed);
        EntryRef { ring, ..at }
    }

    /// Claims a free entry for `key` on behalf of participant `owner`. The caller holds the lock of the name table.
    pub(crate) fn claim_entry(&self, owner: usize, key: EntryKey<'_>, ring: u32) -> Result<usize> {
        let is_free = |entry: &NameEntry| NameEntry::phase(entry.state.load(Ordering::Acquire)) == NAME_FREE;
        let used = self.names();
        let index = used.iter().position(is_free).unwrap_or(used.len());
        let Some(entry) = self.registry().names.get(index) else {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "domain {:?} has its {MAX_QUEUES} names (queues, topics, subscriptions, mailboxes) already: cannot create {:?}",
                    self.name, key.name
                ),
            ));
        };
        self.reserve_names(index)?;
        if !is_free(entry) {
            // Beyond the entries that were ever used there is none, unless somebody has changed how many those are.
            let message = format!("domain {:?}: the number of names is damaged ({index})", self.name);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        entry.owner.store(owner as u32, Ordering::Relaxed);
        let epoch = self.participants().get(owner).map_or(0, |p| p.epoch.load(Ordering::Relaxed));
        entry.epoch.store(epoch, Ordering::Relaxed);
        let generation = entry.state.load(Ordering::Relaxed) & !0xff;
        entry.state.store(generation | u64::from(NAME_CLAIMED), Ordering::Release);
        entry.name.set(key.name);
        entry.label.set(key.label);
        entry.kind.store(key.kind as u32, Ordering::Relaxed);
        entry.ring.store(ring, Ordering::Relaxed);
        Ok(index)
    }

    /// Makes a claimed entry findable. The ring has a reference for the name table already.
    pub(crate) fn list(&self, index: usize) -> EntryRef {
        let entry = &self.registry().names[index];
        let state = entry.state.load(Ordering::Relaxed) & !0xff | u64::from(NAME_LIVE);
        // SYNC LIST (release), pairs with `live` (acquire). Swapped, though nobody else changes it: it comes before a look at who waits
        // for it (SYNC W2).
        entry.state.swap(state, Ordering::AcqRel);
        EntryRef { index, ring: entry.ring.load(Ordering::Relaxed), state }
    }
}

impl Participant {
    /// The right to add to the name table; waits for others that are at it. `name`: what is to be added, for the error.
    pub(crate) fn lock_names(&self, name: &str) -> Result<FileLock> {
        let lock = self.domain.dir.lock("names.lock", deadline(Duration::from_nanos(OPEN_TIMEOUT_NS)))?;
        lock.map_err(|holder| {
            Error::new(
                ErrorKind::Timeout,
                format!("cannot create {name:?}: {holder}, which is creating something else, neither proceeds nor ends"),
            )
        })
    }
}

/// What `entry` names now.
fn live(index: usize, entry: &NameEntry) -> Option<EntryRef> {
    // SYNC LIST (acquire), pairs with `list` (release): name and ring belong to this state.
    let state = entry.state.load(Ordering::Acquire);
    let live = NameEntry::phase(state) == NAME_LIVE;
    live.then(|| EntryRef { index, ring: entry.ring.load(Ordering::Relaxed), state })
}
