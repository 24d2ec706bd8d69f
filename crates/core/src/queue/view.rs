//! The ring of a queue as it lies in shared memory, mapped and checked.

use super::lease::Leases;
use super::options::{CODEC, DEFAULT_CODEC, NARROWED};
use super::ring::Ring;
use super::{Overflow, ResolvedOptions};
use crate::error::Result;
use crate::layout::{KIND_RING, LeaseEntry, RING_OPEN, RingHeader, leases_offset, ring_bytes};
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

    /// `options`, which this ring has, as they are meant: what is not so by anybody's wish is left out.
    pub(crate) fn meant(&self, options: &ResolvedOptions) -> ResolvedOptions {
        let named = self.header().named.load(Ordering::Relaxed);
        let is_default = named & (CODEC | DEFAULT_CODEC) == DEFAULT_CODEC;
        // What has been sent without a codec is bytes.
        let codec = if is_default && self.ring().published() > 0 { "" } else { &options.codec };
        let (capacity, limit) = match named & NARROWED {
            0 => (options.capacity, options.limit),
            _ => (options.limit.next_power_of_two(), 0),
        };
        ResolvedOptions { capacity, limit, codec: codec.to_owned(), ..options.clone() }
    }

    /// What the queue has now, from counts, without a look at each message. Exact at rest, and else what it was at about this time. (A queue that
    /// has ended is looked through.)
    pub(crate) fn counts(&self) -> Counts {
        let (ring, leases) = (self.ring(), self.leases());
        // Senders take messages back, from between others, only from a queue that has ended.
        let is_open = self.header().state.load(Ordering::Acquire) == RING_OPEN;
        let ready = if is_open { ring.depth() } else { ring.depth_by_slots() } as usize;
        let pending = leases.pending() as usize;
        let unsettled = if leases.is_any() { leases.unsettled(|| ring.published()) } else { 0 };
        let leased = (unsettled as usize).saturating_sub(ready + pending).min(self.leases.len());
        Counts { ready, pending, leased }
    }

    /// Whether messages that are taken out of the ring without being received count as dropped.
    pub(crate) fn drops(&self) -> bool {
        let overflow = Overflow::from_code(self.header().overflow.load(Ordering::Relaxed));
        matches!(overflow, Some(Overflow::DropOldest | Overflow::DropNewest | Overflow::Latest))
    }

    pub(crate) fn slots(&self) -> &[AtomicU64] {
        &self.slots
    }
}

/// How many messages a queue has, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// In the ring.
    pub(crate) ready: usize,
    /// Given back, to be delivered again.
    pub(crate) pending: usize,
    /// Received and not acknowledged.
    pub(crate) leased: usize,
}

impl Counts {
    /// Those that can be received.
    pub(crate) fn len(self) -> usize {
        self.ready + self.pending
    }
}
