//! The ring of a queue as it lies in shared memory, mapped and checked.

use super::ResolvedOptions;
use super::lease::Leases;
use super::ring::Ring;
use crate::error::Result;
use crate::layout::{KIND_RING, LeaseEntry, RingHeader, Slot, SlotState, leases_offset, ring_bytes};
use crate::pool::Pool;
use crate::segment::View;
use crate::sync::{AtomicU64, Ordering};

/// The ring of a queue, mapped and checked.
pub(crate) struct RingView {
    header: View<RingHeader>,
    slots: View<AtomicU64>,
    leases: View<LeaseEntry>,
}

impl RingView {
    /// The ring in buffer `index` of `pool`; `None` when what is there is no ring.
    pub(crate) fn new(pool: &Pool, index: usize) -> Result<Option<(Self, ResolvedOptions)>> {
        let is_ring = pool.header(index).is_some_and(|h| h.kind.load(Ordering::Acquire) == KIND_RING);
        if !is_ring {
            return Ok(None);
        }
        let offset = pool.geometry.payload + index * pool.geometry.buffer_bytes;
        let header = View::<RingHeader>::new(pool.segment(), offset, 1)?;
        let options = ResolvedOptions::load(&header[0]);
        let Some(options) =
            options.filter(|o| ring_bytes(o.capacity as usize, o.leases()) <= pool.geometry.buffer_bytes)
        else {
            return Ok(None);
        };
        let slots = View::new(pool.segment(), offset + size_of::<RingHeader>(), options.capacity as usize)?;
        let leases =
            View::new(pool.segment(), offset + leases_offset(options.capacity as usize), options.leases())?;
        Ok(Some((Self { header, slots, leases }, options)))
    }

    #[inline]
    pub(crate) fn header(&self) -> &RingHeader {
        &self.header[0]
    }

    #[inline]
    pub(crate) fn ring(&self) -> Ring<'_> {
        Ring::new(self.header(), &self.slots)
    }

    #[inline]
    pub(crate) fn leases(&self) -> Leases<'_> {
        Leases::new(self.header(), &self.leases)
    }

    /// Messages in the ring now.
    pub(crate) fn depth(&self) -> usize {
        if self.leases.is_empty() {
            let (head, tail) = self.ring().positions();
            return ((tail - head) as usize).min(self.slots.len());
        }
        // Recovery may have put a message back behind others that are gone: positions do not tell, slots do.
        self.slots
            .iter()
            .filter(|word| Slot(word.load(Ordering::Relaxed)).state() == SlotState::Ready)
            .count()
    }

    pub(crate) fn slots(&self) -> &[AtomicU64] {
        &self.slots
    }
}
