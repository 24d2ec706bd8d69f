//! Growth: another segment for a size class, within the budget and within the memory that the machine has left.

use super::SharedBufferAllocator;
use super::trim::{TrimReport, remove_unlisted};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{PoolGeometry, SEGMENT_EMPTY, SEGMENT_READY, SEGMENT_UNLISTED, SegmentEntry};
use crate::limits::{
    FIRST_SEGMENT_BYTES, LET_GO_NS, MAX_BUFFERS_PER_SEGMENT, MAX_SEGMENT_BYTES, SHM_RESERVE_PERCENT,
};
use crate::os::{deadline, free_bytes, page_bytes};
use crate::pool::Pool;
use crate::registry::Domain;
use crate::segment::{FileLock, SegmentName};
use crate::sync::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an attempt to grow ended.
pub(super) enum Growth {
    /// There are free buffers now, or there were a moment ago.
    Look,
    /// There is another segment. Nobody can take it out again before the lock is dropped.
    Grown(GrowLock),
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

/// How long to wait for somebody else who grows or trims the pool: making the largest segment takes less.
const GROW_PATIENCE: Duration = Duration::from_secs(2);

/// The right to add segments to a domain, and to take some out. The system drops it when its holder dies.
pub(super) struct GrowLock {
    _lock: FileLock,
}

impl GrowLock {
    /// `None`: somebody else has it.
    pub(super) fn try_take(domain: &Domain) -> Result<Option<Self>> {
        Ok(domain.dir.try_lock("grow.lock")?.map(|lock| Self { _lock: lock }))
    }

    /// Waits until it can be had, or `until` says that it is not needed any more. `None`: that, or its holder does not proceed (a stopped
    /// process may hold it for ever).
    fn take(domain: &Domain, mut until: impl FnMut() -> bool) -> Result<Option<Self>> {
        let deadline = deadline(GROW_PATIENCE);
        loop {
            if let Some(lock) = Self::try_take(domain)? {
                return Ok(Some(lock));
            }
            if Instant::now() > deadline || until() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl SharedBufferAllocator {
    /// Makes another segment of `class`, if budget and memory allow it; where they do not, empty segments of other sizes make room.
    #[cold]
    pub(super) fn grow(&self, class: usize, wanted: usize) -> Result<Growth> {
        self.check_budget(class, 1)?;
        // Before we look: what changes meanwhile is news to whoever waits then.
        let offer = self.offer(class);
        let refused = |from_outside| {
            self.participant.hints.refuse(class, offer, from_outside);
            Ok(Growth::Exhausted)
        };
        let Some(lock) = GrowLock::take(&self.participant.domain, || self.any_has_room(class))? else {
            return if self.any_has_room(class) { Ok(Growth::Look) } else { refused(true) };
        };
        if self.any_has_room(class) {
            return Ok(Growth::Look); // somebody has just grown it, or released a buffer
        }
        remove_unlisted(&self.participant.domain, &lock)?;
        let mut next = self.next_segment(class, wanted);
        let mut hindered = false;
        if !matches!(next, Next::Segment(..)) {
            match self.participant.trim(&lock, |_| true)? {
                Some(report) if report.segments > 0 => next = self.next_after_trim(class, wanted),
                Some(_) => {}
                None => hindered = true,
            }
        }
        let (index, geometry) = match next {
            Next::Segment(index, geometry) => (index, geometry),
            Next::OverBudget => return refused(hindered),
            Next::NoSpace(_) => return refused(true),
        };
        match self.add_segment(index, geometry, &lock) {
            Ok(()) => {
                self.participant.wake_pool();
                Ok(Growth::Grown(lock))
            }
            // Somebody else has taken the memory since we looked.
            Err(e) if e.is_out_of_shared_memory() => refused(true),
            Err(e) => Err(e),
        }
    }

    /// Takes out empty segments of other sizes, for memory to attach one of `class`.
    pub(super) fn make_room(&self, class: usize) -> Result<Growth> {
        let offer = self.offer(class);
        if let Some(lock) = GrowLock::take(&self.participant.domain, || false)? {
            let trim = self.participant.trim(&lock, |pool| pool.geometry.buffer_bytes != class)?;
            if trim.is_some_and(|report| report.segments > 0) {
                return Ok(Growth::Look);
            }
        }
        self.participant.hints.refuse(class, offer, true);
        Ok(Growth::Exhausted)
    }

    /// Gives back the memory of every segment that nobody uses; how much. Nothing where somebody grows the pool for long, or where the
    /// world cannot be stopped now, because a participant is stopped inside an operation.
    ///
    /// # Errors
    /// `Io` when locks cannot be had.
    pub fn trim(&self) -> Result<TrimReport> {
        match GrowLock::take(&self.participant.domain, || false)? {
            Some(lock) => Ok(self.participant.trim(&lock, |_| true)?.unwrap_or_default()),
            None => Ok(TrimReport::default()),
        }
    }

    /// What the domain has to give to whom nothing of `class` is free, as a digest: it changes when segments come or go, become empty or
    /// are used again, and when the memory of the machine allows another one or does so no more. Segments of `class` itself are no more
    /// to be had for being empty.
    pub(super) fn offer(&self, class: usize) -> u64 {
        let domain = &self.participant.domain;
        let is_empty = |index| domain.pool(index).is_ok_and(|pool| pool.is_some_and(|pool| pool.used() == 0));
        let mut hasher = DefaultHasher::new();
        for (index, entry) in self.entries() {
            let is_other = entry.buffer_bytes.load(Ordering::Relaxed) != class as u64;
            (index, entry.generation.load(Ordering::Relaxed), is_other && is_empty(index)).hash(&mut hasher);
        }
        matches!(self.next_segment(class, 1), Next::Segment(..)).hash(&mut hasher);
        hasher.finish()
    }

    /// The memory of segments that were taken out is there when everybody has let go of it, which their sentinels do at once.
    fn next_after_trim(&self, class: usize, wanted: usize) -> Next {
        let deadline = deadline(Duration::from_nanos(LET_GO_NS));
        loop {
            let next = self.next_segment(class, wanted);
            if !matches!(next, Next::NoSpace(_)) || Instant::now() > deadline {
                return next;
            }
            std::thread::yield_now();
        }
    }

    /// Makes segment `index`, which does not exist.
    fn add_segment(&self, index: usize, geometry: PoolGeometry, lock: &GrowLock) -> Result<()> {
        let domain = &self.participant.domain;
        let registry = domain.registry();
        let entry = &registry.segments[index];
        let generation = entry.generation.load(Ordering::Relaxed).wrapping_add(1);
        let name = SegmentName::Pool(index);
        // Killed from here on: whoever has the lock next removes what there is of it.
        entry.state.store(SEGMENT_UNLISTED, Ordering::Release);
        let made = domain.dir.create_segment(name, geometry.bytes).map(Arc::new).and_then(|segment| {
            fault::hit(Point::GrowCreated);
            let pool = Pool::create(segment, index, generation, geometry)?;
            domain.dir.publish(name, pool.segment())
        });
        if let Err(e) = made {
            remove_unlisted(domain, lock)?;
            return Err(e);
        }
        fault::hit(Point::GrowPublished);
        entry.count.store(geometry.count as u32, Ordering::Relaxed);
        entry.buffer_bytes.store(geometry.buffer_bytes as u64, Ordering::Relaxed);
        entry.bytes.store((geometry.buffer_bytes * geometry.count) as u64, Ordering::Relaxed);
        entry.generation.store(generation, Ordering::Relaxed);
        // SYNC SEGMENT (release), pairs with `Domain::pool` and `entries` (acquire).
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
        pool.is_ok_and(|pool| pool.is_some_and(|pool| pool.has_room()))
    }

    /// The next segment of `class`: twice the last one of its kind, as far as budget and free memory go.
    pub(super) fn next_segment(&self, class: usize, wanted: usize) -> Next {
        let registry = self.participant.domain.registry();
        let bytes_of = |(_, entry): (usize, &SegmentEntry)| entry.bytes.load(Ordering::Relaxed);
        let is_same =
            |(_, entry): &(usize, &SegmentEntry)| entry.buffer_bytes.load(Ordering::Relaxed) == class as u64;
        let used = self.entries().map(bytes_of).fold(0, u64::saturating_add);
        let same = self.entries().filter(is_same).count();
        let budget = registry.max_bytes.load(Ordering::Relaxed).saturating_sub(used) as usize;
        let is_free = |entry: &SegmentEntry| entry.state.load(Ordering::Acquire) == SEGMENT_EMPTY;
        let index = registry.segments.iter().position(is_free);
        let target = (FIRST_SEGMENT_BYTES << same.min(20)).max(class.saturating_mul(wanted));
        let room = budget.min(MAX_SEGMENT_BYTES / 16 * 15);
        let count = (target.min(room) / class).max(usize::from(class <= budget)).min(MAX_BUFFERS_PER_SEGMENT);
        let geometry = PoolGeometry::new(class, count, page_bytes());
        match (index, geometry) {
            (Some(index), Some(geometry)) => fit_memory(index, geometry),
            _ => Next::OverBudget,
        }
    }
}

/// Where memory is short, a smaller segment is better than none.
fn fit_memory(index: usize, mut geometry: PoolGeometry) -> Next {
    let Some((free, total)) = free_bytes() else { return Next::Segment(index, geometry) };
    loop {
        // The ledger with a row for whoever makes it.
        let needed = (geometry.buffer_bytes * geometry.count + geometry.ledger + geometry.row_bytes) as u64;
        if needed + total * SHM_RESERVE_PERCENT / 100 <= free {
            return Next::Segment(index, geometry);
        }
        match PoolGeometry::new(geometry.buffer_bytes, geometry.count / 2, page_bytes()) {
            Some(half) => geometry = half,
            None => return Next::NoSpace(Shortage { free, total, needed }),
        }
    }
}
