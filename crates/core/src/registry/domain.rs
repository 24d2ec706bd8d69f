//! One domain, mapped: the registry segment, the pool segments attached so far, everybody's doorbells.

use super::pools::Pools;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{
    NameEntry, PARTICIPANT_ACTIVE, ParticipantSlot, RECOVERER_UNKNOWN, RECOVERING_FOR_GOOD, REGISTRY_BYTES,
    Registry,
};
use crate::limits::{MAX_PARTICIPANTS, MAX_QUEUES};
use crate::os::wake_all;
use crate::segment::{DomainDir, DoorbellKind, Doorbells, SegmentName, View};
use crate::sync::{AtomicU32, Ordering};
use core::mem::{offset_of, size_of};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A mapped domain. Knows nothing of who is looking: see [`Participant`](super::Participant) for that.
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) dir: DomainDir,
    registry: View<Registry>,
    pub(super) pools: Pools,
    /// Doorbells of the participants' event loops.
    doorbells: Doorbells,
    /// What this process writes into `recovering`: who it is. Unknown until it has joined.
    token: AtomicU32,
    pub(crate) assist: Assist,
}

/// What an operation does that has waited in vain for the end of the recovery with this token. Recovery is a layer above this one, which
/// only says when it is needed: whoever maps a domain passes `recovery::assist` in.
pub(crate) type Assist = fn(&Domain, u32);

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Domain({:?})", self.name)
    }
}

impl Domain {
    /// Makes the registry of a new domain. The caller holds the domain lock.
    pub(crate) fn create(
        name: &str,
        dir: DomainDir,
        max_bytes: u64,
        persist: bool,
        assist: Assist,
    ) -> Result<Self> {
        let segment = Arc::new(dir.create_segment(SegmentName::Registry, REGISTRY_BYTES)?);
        fault::hit(Point::OpenCreated);
        segment.reserve(0, offset_of!(Registry, participants))?;
        let view = View::<Registry>::new(&segment, 0, 1)?;
        let registry = &view[0];
        registry.max_bytes.store(max_bytes, Ordering::Relaxed);
        registry.header.persist.store(persist.into(), Ordering::Relaxed);
        registry.created_ms.store(now_ms(), Ordering::Relaxed);
        dir.publish(SegmentName::Registry, &segment)?;
        fault::hit(Point::OpenPublished);
        Ok(Self::new(name, dir, view, assist))
    }

    /// Attaches to the registry of an existing domain.
    pub(crate) fn open(name: &str, dir: DomainDir, assist: Assist) -> Result<Self> {
        let segment = dir.open_segment(SegmentName::Registry)?;
        if segment.bytes() != REGISTRY_BYTES {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!(
                    "registry of domain {name:?} has {} bytes, {REGISTRY_BYTES} are needed",
                    segment.bytes()
                ),
            ));
        }
        let view = View::new(&Arc::new(segment), 0, 1)?;
        Ok(Self::new(name, dir, view, assist))
    }

    fn new(name: &str, dir: DomainDir, registry: View<Registry>, assist: Assist) -> Self {
        let doorbells = Doorbells::new();
        let pools = Pools::new();
        let token = AtomicU32::new(RECOVERER_UNKNOWN);
        Self { name: name.to_owned(), dir, registry, pools, doorbells, token, assist }
    }

    /// From now on this process recovers as participant `slot`.
    pub(crate) fn joined_as(&self, slot: usize, epoch: u32) {
        let token = epoch << 8 & !RECOVERING_FOR_GOOD | (slot as u32 + 1);
        self.token.store(token, Ordering::Relaxed);
    }

    /// Who this process is, as `recovering` says it.
    pub(crate) fn recoverer_token(&self) -> u32 {
        self.token.load(Ordering::Relaxed)
    }

    /// Slot of the participant that recovers now, if it is one.
    pub(crate) fn recoverer(&self) -> Option<usize> {
        let token = self.registry().recovering.load(Ordering::Relaxed);
        ((token & 0xff) as usize).checked_sub(1).filter(|slot| *slot < MAX_PARTICIPANTS)
    }

    /// The shared tables.
    #[inline]
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry[0]
    }

    /// Participant slots that have ever been used: only their pages exist.
    pub(crate) fn participants(&self) -> &[ParticipantSlot] {
        // SYNC HIGH (acquire), pairs with `reserve_*` (release): whoever sees the count may touch the pages.
        let high = self.registry().participants_high.load(Ordering::Acquire) as usize;
        &self.registry().participants[..high.min(MAX_PARTICIPANTS)]
    }

    /// Slot `index`, which is usable.
    pub(crate) fn participant_slot(&self, index: usize) -> Result<View<ParticipantSlot>> {
        let at = offset_of!(Registry, participants) + index * size_of::<ParticipantSlot>();
        View::new(self.registry.segment(), at, 1)
    }

    /// Slots whose tenant is active, with its epoch.
    pub(crate) fn active(&self) -> impl Iterator<Item = (usize, &ParticipantSlot)> {
        self.participants()
            .iter()
            .enumerate()
            .filter(|(_, p)| p.state.load(Ordering::Acquire) == PARTICIPANT_ACTIVE)
    }

    /// Whether tenant `epoch` of slot `slot` takes part.
    pub(crate) fn is_tenant(&self, slot: usize, epoch: u32) -> bool {
        self.tenant(slot, epoch).is_some()
    }

    /// Slot `slot`, while tenant `epoch` of it takes part.
    pub(crate) fn tenant(&self, slot: usize, epoch: u32) -> Option<&ParticipantSlot> {
        self.active_at(slot).filter(|p| p.epoch.load(Ordering::Relaxed) == epoch)
    }

    /// Slot `index`, if its tenant is active.
    pub(crate) fn active_at(&self, index: usize) -> Option<&ParticipantSlot> {
        self.participants().get(index).filter(|p| p.state.load(Ordering::Acquire) == PARTICIPANT_ACTIVE)
    }

    /// Entries of the name table that have ever been used.
    pub(crate) fn names(&self) -> &[NameEntry] {
        // SYNC HIGH (acquire), as above.
        let high = self.registry().names_high.load(Ordering::Acquire) as usize;
        &self.registry().names[..high.min(MAX_QUEUES)]
    }

    /// Makes participant slots `0 ..= index` usable. The caller holds the domain lock.
    pub(crate) fn reserve_participant(&self, index: usize) -> Result<()> {
        let at = offset_of!(Registry, participants) + index * size_of::<ParticipantSlot>();
        self.reserve(&self.registry().participants_high, index, at, size_of::<ParticipantSlot>())
    }

    /// Makes entries `0 ..= index` of the name table usable. The caller holds the lock of the name table.
    pub(crate) fn reserve_names(&self, index: usize) -> Result<()> {
        let at = offset_of!(Registry, names) + index * size_of::<NameEntry>();
        self.reserve(&self.registry().names_high, index, at, size_of::<NameEntry>())
    }

    fn reserve(&self, high: &AtomicU32, index: usize, offset: usize, bytes: usize) -> Result<()> {
        if (high.load(Ordering::Relaxed) as usize) <= index {
            self.registry.segment().reserve(offset, bytes)?;
            // SYNC HIGH (release).
            high.store(index as u32 + 1, Ordering::Release);
        }
        Ok(())
    }

    /// Wakes whoever waits for something on behalf of participant `slot`.
    pub(crate) fn notify(&self, slot: usize) {
        let Some(wake) = self.participants().get(slot).map(|p| &p.wake) else { return };
        // SYNC WAKE (seq-cst), pairs with `Participant::park`: sequence before sleepers here, sleepers before sequence there.
        wake.sequence.fetch_add(1, Ordering::SeqCst);
        let sleepers = wake.sleepers.load(Ordering::SeqCst);
        if sleepers != 0 {
            wake_all(&wake.sequence, sleepers);
        }
        // SYNC DOORBELL (acq-rel), pairs with arming: whoever takes the 1 writes the byte, so one byte per sleep.
        if wake.doorbell_armed.swap(0, Ordering::AcqRel) != 0 && !self.doorbells.notify(&self.dir, slot) {
            wake.doorbell_armed.store(1, Ordering::Release);
        }
    }

    /// Wakes everybody for everything: something has changed that no single bit stands for.
    pub(crate) fn notify_all(&self) {
        for (slot, _) in self.active() {
            self.notify(slot);
            self.doorbells.notify(&self.dir, slot);
        }
    }

    /// Tells everybody that participants have gone. Once their slots show it, and before anything forgets that it has to be told.
    pub(crate) fn announce_departures(&self) {
        // SYNC DEPARTURE (release), pairs with `ShmManager::departures` (acquire): whoever sees it raised sees that they are gone.
        self.registry().departures.fetch_add(1, Ordering::AcqRel);
        fault::hit(Point::DepartureRaised);
        self.notify_all();
    }

    /// Tells every sentinel that the set of participants has changed.
    pub(crate) fn notify_sentinels(&self) {
        for (slot, _) in self.active() {
            self.notify_sentinel(slot);
        }
    }

    /// Tells the sentinel of `slot` to look around.
    pub(crate) fn notify_sentinel(&self, slot: usize) {
        // Seldom needed: a descriptor for each pair of participants is not worth keeping.
        let _ = self.dir.doorbell(DoorbellKind::Sentinel, slot, false).map(|doorbell| doorbell.notify());
    }
}

/// Wall clock in ms since 1970, for people.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
