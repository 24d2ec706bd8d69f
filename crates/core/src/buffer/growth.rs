//! Growth: another segment for a size class, within the budget and within the memory that the machine has left.

use super::SharedBufferAllocator;
use crate::error::{ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{PoolGeometry, SEGMENT_READY, SegmentEntry};
use crate::limits::{
    FIRST_SEGMENT_BYTES, MAX_BUFFERS_PER_SEGMENT, MAX_SEGMENT_BYTES, MAX_SEGMENTS, SHM_RESERVE_PERCENT,
};
use crate::os::{deadline, free_bytes, page_bytes};
use crate::pool::Pool;
use crate::segment::{FileLock, SegmentName};
use crate::sync::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an attempt to grow ended.
pub(super) enum Growth {
    /// There are free buffers now, or there were a moment ago.
    Look,
    /// No more segments.
    Exhausted,
}

/// The next segment of a size class.
pub(super) enum Next {
    /// At this place in the table, of this size.
    Segment(usize, PoolGeometry),
    /// The budget, or the table of segments, is used up.
    OverBudget,
    /// The memory of the machine is used up.
    NoSpace(Shortage),
}

/// What the machine has of shared memory, and what would be needed, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Shortage {
    pub(super) free: u64,
    pub(super) total: u64,
    pub(super) needed: u64,
}

/// How long to wait for somebody else who grows the pool: making the largest segment takes less.
const GROW_PATIENCE: Duration = Duration::from_secs(2);

impl SharedBufferAllocator {
    /// Makes another segment of `class`, if budget and memory allow it.
    #[cold]
    pub(super) fn grow(&self, class: usize, wanted: usize) -> Result<Growth> {
        let _lock = match self.lock_growth(class)? {
            Ok(lock) => lock,
            Err(growth) => return Ok(growth),
        };
        if self.any_has_room(class) {
            return Ok(Growth::Look); // somebody has just grown it, or released a buffer
        }
        let Next::Segment(index, geometry) = self.next_segment(class, wanted) else {
            return Ok(Growth::Exhausted);
        };
        match self.add_segment(index, geometry) {
            Ok(()) => {
                self.participant.wake_pool();
                Ok(Growth::Look)
            }
            // Somebody else has taken the memory since we looked.
            Err(e) if e.kind() == ErrorKind::NoSpace && !e.is_out_of_memory() => Ok(Growth::Exhausted),
            Err(e) => Err(e),
        }
    }

    /// The right to add segments, or how the attempt has ended meanwhile.
    fn lock_growth(&self, class: usize) -> Result<Result<FileLock, Growth>> {
        let deadline = deadline(GROW_PATIENCE);
        loop {
            if let Some(lock) = self.participant.domain.dir.try_lock("grow.lock")? {
                return Ok(Ok(lock));
            }
            // Somebody else grows the pool. A stopped process may hold the lock for ever: then the pool is as it is.
            if Instant::now() > deadline {
                return Ok(Err(Growth::Exhausted));
            }
            std::thread::sleep(Duration::from_micros(200));
            if self.any_has_room(class) {
                return Ok(Err(Growth::Look));
            }
        }
    }

    /// Makes segment `index`, which does not exist. The caller holds the grow lock.
    fn add_segment(&self, index: usize, geometry: PoolGeometry) -> Result<()> {
        let domain = &self.participant.domain;
        let name = SegmentName::Pool(index);
        let made = domain.dir.create_segment(name, geometry.bytes).map(Arc::new).and_then(|segment| {
            fault::hit(Point::GrowCreated);
            let pool = Pool::create(segment, index, geometry)?;
            domain.dir.publish(name, pool.segment())
        });
        if let Err(e) = made {
            domain.dir.remove_segment(name)?;
            return Err(e);
        }
        fault::hit(Point::GrowPublished);
        let registry = domain.registry();
        let entry = &registry.segments[index];
        entry.count.store(geometry.count as u32, Ordering::Relaxed);
        entry.buffer_bytes.store(geometry.buffer_bytes as u64, Ordering::Relaxed);
        entry.bytes.store((geometry.buffer_bytes * geometry.count) as u64, Ordering::Relaxed);
        // SYNC SEGMENT (release), pairs with `attach_pool` and `entries` (acquire).
        entry.state.store(SEGMENT_READY, Ordering::Release);
        registry.segments_high.fetch_max(index as u32 + 1, Ordering::Release);
        fault::hit(Point::GrowRegistered);
        Ok(())
    }

    fn any_has_room(&self, class: usize) -> bool {
        self.entries().any(|(index, entry)| {
            entry.buffer_bytes.load(Ordering::Relaxed) == class as u64 && self.has_room(index)
        })
    }

    /// Whether segment `index` has a free buffer.
    pub(super) fn has_room(&self, index: usize) -> bool {
        let pool = self.participant.domain.pool(index);
        pool.is_ok_and(|pool| pool.is_some_and(|pool| (pool.used() as usize) < pool.geometry.count))
    }

    /// The next segment of `class`: twice the last one of its kind, as far as budget and free memory go.
    pub(super) fn next_segment(&self, class: usize, wanted: usize) -> Next {
        let registry = self.participant.domain.registry();
        let bytes_of = |(_, entry): (usize, &SegmentEntry)| entry.bytes.load(Ordering::Relaxed);
        let is_same =
            |(_, entry): &(usize, &SegmentEntry)| entry.buffer_bytes.load(Ordering::Relaxed) == class as u64;
        let used: u64 = self.entries().map(bytes_of).sum();
        let same = self.entries().filter(is_same).count();
        let budget = registry.max_bytes.load(Ordering::Relaxed).saturating_sub(used) as usize;
        let index = registry.segments_high.load(Ordering::Relaxed) as usize;
        let target = (FIRST_SEGMENT_BYTES << same.min(20)).max(class.saturating_mul(wanted));
        let room = budget.min(MAX_SEGMENT_BYTES / 16 * 15);
        let count = (target.min(room) / class).max(usize::from(class <= budget)).min(MAX_BUFFERS_PER_SEGMENT);
        let geometry = PoolGeometry::new(class, count, page_bytes());
        match geometry.filter(|_| index < MAX_SEGMENTS) {
            Some(geometry) => fit_memory(index, geometry),
            None => Next::OverBudget,
        }
    }
}

/// Where memory is short, a smaller segment is better than none.
fn fit_memory(index: usize, mut geometry: PoolGeometry) -> Next {
    let Some((free, total)) = free_bytes() else { return Next::Segment(index, geometry) };
    loop {
        let needed = (geometry.buffer_bytes * geometry.count + geometry.ledger) as u64;
        if needed + total * SHM_RESERVE_PERCENT / 100 <= free {
            return Next::Segment(index, geometry);
        }
        match PoolGeometry::new(geometry.buffer_bytes, geometry.count / 2, page_bytes()) {
            Some(half) => geometry = half,
            None => return Next::NoSpace(Shortage { free, total, needed }),
        }
    }
}
