//! Observer: looks at a domain without taking part in it. For tools, and for whoever wants to look from another thread.

use crate::error::{Error, ErrorKind, Result};
use crate::liveness::{is_alive, living_slots};
use crate::recovery::{
    Event, EventCursor, Finding, RecoveryReport, StallReport, assist, evict, fsck, stalled,
};
use crate::registry::{Domain, Kind};
use crate::segment::{DomainDir, SegmentName, base_dir, domain_names, validate_name};
use crate::service::ParticipantId;
use crate::stats::{Snapshot, snapshot, used_bytes};
use crate::sync::Ordering;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A domain seen from outside: takes no slot, holds nothing, and leaves the domain as it is when it goes, also if nobody else is left.
/// It has one descriptor, and mappings; both go when it and its clones are dropped.
#[derive(Clone, Debug)]
pub struct Observer {
    domain: Arc<Domain>,
}

impl Observer {
    pub(crate) fn new(domain: Arc<Domain>) -> Self {
        Self { domain }
    }

    /// Opens domain `name`, which must exist. `directory`: that of all domains, as in [`OpenOptions`](crate::OpenOptions::directory).
    ///
    /// # Errors
    /// `InvalidName`; `NotFound` when there is no such domain; `Permission`, `Version`, `Truncated`, `Corrupt`, `Io`.
    pub fn open(name: &str, directory: Option<&Path>) -> Result<Self> {
        validate_name("domain", name)?;
        let base = base_dir(directory);
        let not_found =
            || Error::new(ErrorKind::NotFound, format!("there is no domain {name:?} in {}", base.display()));
        let dir = match DomainDir::existing(&base, name) {
            Err(e) if e.is_not_found() => return Err(not_found()),
            dir => dir?,
        };
        if !dir.has_segment(SegmentName::Registry)? {
            return Err(not_found());
        }
        match Domain::open(name, dir, assist) {
            // Its last participant is just leaving: the link goes before the memory does.
            Err(_) if !is_there(&base, name) => Err(not_found()),
            domain => Ok(Self::new(Arc::new(domain?))),
        }
    }

    /// Every domain below `directory` (as in [`Observer::open`]), by name, also those that nobody is in or that cannot be read. Takes part
    /// in none, and changes none.
    ///
    /// # Errors
    /// `Permission`, `Io`, `Limit` when the directory itself cannot be read. One that does not exist has no domains.
    pub fn list(directory: Option<&Path>) -> Result<Vec<DomainEntry>> {
        let base = base_dir(directory);
        let names = domain_names(&base)?;
        Ok(names.into_iter().filter_map(|name| DomainEntry::of(&base, name)).collect())
    }

    /// Another one of the same domain, with mappings of its own.
    pub(crate) fn separate(&self) -> Result<Self> {
        let dir = self.domain.dir.try_clone()?;
        Ok(Self::new(Arc::new(Domain::open(&self.domain.name, dir, assist)?)))
    }

    /// Name of the domain.
    pub fn domain(&self) -> &str {
        &self.domain.name
    }

    /// The domain as plain data.
    ///
    /// # Errors
    /// When a segment cannot be attached.
    pub fn snapshot(&self) -> Result<Snapshot> {
        snapshot(&self.domain)
    }

    /// Compares every record of the domain with every other, while everybody is outside for a moment. Empty: all is well. The dead are
    /// recovered first, as any participant would do it.
    ///
    /// # Errors
    /// `Timeout` when the others cannot be stopped in time, because one of them is stopped inside an operation.
    pub fn fsck(&self, timeout: Duration) -> Result<Vec<Finding>> {
        fsck(&self.domain, timeout)
    }

    /// Slots and epochs of the participants that have died and are not recovered yet.
    ///
    /// # Errors
    /// `Permission`, `Io`, `Limit` when a life lock cannot be looked at.
    pub fn dead(&self) -> Result<Vec<ParticipantId>> {
        dead(&self.domain)
    }

    /// The participants that are stalled: stopped by a signal, a debugger, a container that is paused. They live, and go on one day.
    pub fn stalled(&self) -> Vec<StallReport> {
        stalled(&self.domain)
    }

    /// The events after number `since` that the domain remembers, as [`ShmManager::take_events`](crate::ShmManager::take_events) tells them
    /// who takes part; that a recovery was missed is not said of the first one.
    pub fn events(&self, since: u64) -> Vec<Event> {
        EventCursor::after(since).take(&self.domain, NOBODY)
    }

    /// Kills (`kill -9`) the process of the tenant `epoch` of `slot`, waits for its end and for the recovery of what it held. The process
    /// is identified beyond doubt before: by a pidfd, and by the life lock it holds.
    ///
    /// # Errors
    /// `NotFound` when that participant has left or died already; `InvalidArgument` when it is of this very process; `Unsupported` when
    /// its process cannot be identified from here (another pid namespace, no pidfds); `Permission` when we may not kill it; `Timeout`
    /// when it has not ended, or has not been recovered, in time.
    pub fn evict(&self, slot: usize, epoch: u32, timeout: Duration) -> Result<RecoveryReport> {
        evict(&self.domain, slot, epoch, timeout)
    }
}

/// Slot and epoch that no participant has.
const NOBODY: (usize, u32) = (usize::MAX, 0);

/// A domain as a list of all shows it.
#[derive(Debug)]
pub struct DomainEntry {
    /// Its name.
    pub domain: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Participants that live.
    pub alive: usize,
    /// Bytes of memory that it takes; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// What its registry says, or why that cannot be read.
    pub summary: Result<DomainSummary>,
}

/// What the registry of a domain says, in short.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainSummary {
    /// Participants that have died and are not recovered yet.
    pub dead: usize,
    /// Payload bytes of all segments.
    pub used_bytes: u64,
    /// Pool budget in bytes.
    pub max_bytes: u64,
    /// Whether it outlives its last participant.
    pub persist: bool,
    /// Its work queues. A domain that has some is kept when all its participants have died.
    pub work_queues: usize,
    /// Wall clock of its creation, in ms since 1970.
    pub created_at_ms: u64,
    /// Version of the package that created it.
    pub version: String,
}

impl DomainEntry {
    /// `None`: it has been removed meanwhile.
    fn of(base: &Path, domain: String) -> Option<Self> {
        let observed = Observer::open(&domain, Some(base));
        let dir = match DomainDir::existing(base, &domain) {
            Err(e) if e.is_not_found() => return None,
            dir => dir,
        };
        let living = |dir: &DomainDir| living_slots(dir).filter(Result::is_ok).count();
        let alive = dir.as_ref().map_or(0, living);
        let summary = match observed {
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "domain {domain:?} has no registry: somebody makes or removes it, or has died at that"
                ),
            )),
            observed => observed.and_then(|observer| DomainSummary::of(&observer.domain)),
        };
        let memory_bytes = dir.as_ref().ok().and_then(DomainDir::memory_bytes);
        Some(Self { directory: base.join(&domain), domain, alive, memory_bytes, summary })
    }
}

impl DomainSummary {
    fn of(domain: &Domain) -> Result<Self> {
        let registry = domain.registry();
        Ok(Self {
            dead: dead(domain)?.len(),
            used_bytes: used_bytes(domain),
            max_bytes: registry.max_bytes.load(Ordering::Relaxed),
            persist: registry.header.persist.load(Ordering::Relaxed) != 0,
            work_queues: domain.entries().filter(|(_, entry)| entry.is_kind(Kind::Work)).count(),
            created_at_ms: registry.created_ms.load(Ordering::Relaxed),
            version: registry.header.version.get(),
        })
    }
}

fn dead(domain: &Domain) -> Result<Vec<ParticipantId>> {
    let mut dead = Vec::new();
    for (slot, participant) in domain.active() {
        let epoch = participant.epoch.load(Ordering::Relaxed);
        // It may have left, and another may have come, between the looks at its slot and at its lock.
        if !is_alive(&domain.dir, slot)? && domain.is_tenant(slot, epoch) {
            dead.push(ParticipantId { slot, epoch });
        }
    }
    Ok(dead)
}

fn is_there(base: &Path, name: &str) -> bool {
    DomainDir::existing(base, name).and_then(|dir| dir.has_segment(SegmentName::Registry)).unwrap_or(false)
}
