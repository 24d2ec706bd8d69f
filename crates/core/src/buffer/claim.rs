//! Claiming: which of the segments there are gives the buffers.

use super::SharedBufferAllocator;
use super::size_class::class_of;
use crate::error::Result;
use crate::layout::{SEGMENT_READY, SegmentEntry};
use crate::limits::MAX_SEGMENTS;
use crate::pool::Pool;
use crate::sync::Ordering;

fn is_ready(entry: &SegmentEntry) -> bool {
    // SYNC SEGMENT (acquire), pairs with `grow` (release).
    entry.state.load(Ordering::Acquire) == SEGMENT_READY
}

fn is_of_class(entry: &SegmentEntry, class: usize) -> bool {
    is_ready(entry) && entry.buffer_bytes.load(Ordering::Relaxed) == class as u64
}

impl SharedBufferAllocator {
    /// The segments there are.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &SegmentEntry)> {
        let registry = self.participant.domain.registry();
        let high = registry.segments_high.load(Ordering::Acquire) as usize;
        registry.segments[..high.min(MAX_SEGMENTS)].iter().enumerate().filter(|(_, entry)| is_ready(entry))
    }

    /// Takes buffers of exactly `class` bytes from the segments there are, first from the one that had some last time. The caller
    /// has pinned.
    #[inline]
    pub(super) fn claim(&self, class: usize, ids: &mut [u32]) -> Result<usize> {
        let last = self.participant.hints.segment(class);
        let registry = self.participant.domain.registry();
        let entry = registry.segments.get(last).filter(|entry| is_of_class(entry, class));
        match entry.map(|_| self.claim_in(last, ids)) {
            Some(Ok(taken)) if taken == ids.len() => Ok(taken),
            Some(Ok(taken)) => self.claim_elsewhere(class, last, taken, ids),
            Some(Err(_)) | None => self.claim_elsewhere(class, usize::MAX, 0, ids),
        }
    }

    /// The same from any segment but `last`, which has given `taken`.
    #[cold]
    fn claim_elsewhere(&self, class: usize, last: usize, mut taken: usize, ids: &mut [u32]) -> Result<usize> {
        let others = self.entries().filter(|(segment, entry)| *segment != last && is_of_class(entry, class));
        let mut failed = None;
        for (segment, _) in others {
            match self.claim_in(segment, &mut ids[taken..]) {
                Ok(0) => continue,
                Ok(got) => taken += got,
                // A segment that cannot be used here takes nothing away from the others, nor from what has been claimed.
                Err(e) => {
                    failed.get_or_insert(e);
                    continue;
                }
            }
            self.participant.hints.set_segment(class, segment);
            if taken == ids.len() {
                break;
            }
        }
        failed.filter(|_| taken == 0).map_or(Ok(taken), Err)
    }

    /// Takes buffers of more than `class` bytes, of the smallest size there is. The caller has pinned.
    #[cold]
    pub(super) fn claim_larger(&self, class: usize, ids: &mut [u32]) -> Result<usize> {
        let size_of =
            |(segment, entry): (usize, &SegmentEntry)| (entry.buffer_bytes.load(Ordering::Relaxed), segment);
        let mut larger: Vec<_> =
            self.entries().map(size_of).filter(|(size, _)| *size > class as u64).collect();
        larger.sort_unstable();
        let mut failed = None;
        for (_, segment) in larger {
            match self.claim_in(segment, ids) {
                Ok(0) => {}
                Ok(taken) => return Ok(taken),
                Err(e) => {
                    failed.get_or_insert(e);
                }
            }
        }
        failed.map_or(Ok(0), Err)
    }

    #[inline]
    fn claim_in(&self, segment: usize, ids: &mut [u32]) -> Result<usize> {
        let participant = &self.participant;
        let Some(pool) = participant.pool(segment)? else { return Ok(0) };
        let (taken, next) = pool.claim(participant.hints.word(segment), ids);
        participant.hints.set_word(segment, next);
        // Their last holders were in other caches: all the lines come at once, not one by one as each is touched.
        for id in &ids[..taken] {
            pool.prefetch_to_fill(*id);
        }
        Ok(taken)
    }

    /// Whether an allocation of `count` buffers of `bytes` bytes, which has found too few just now, may succeed: so many are free, or the
    /// domain has something else to give than it had then.
    pub fn may_allocate(&self, bytes: usize, count: usize) -> bool {
        let Ok(class) = class_of(bytes) else { return true };
        if count != 1 {
            return self.may_allocate_all(class, count);
        }
        if self.offer(class) != self.participant.hints.refused(class) {
            return true;
        }
        let Ok(_pin) = self.participant.pin() else { return true };
        let is_large = |entry: &SegmentEntry| entry.buffer_bytes.load(Ordering::Relaxed) >= class as u64;
        // One that we cannot attach, for want of memory, has nothing for us.
        let has_room = |index| {
            let pool = self.participant.pool(index);
            pool.is_ok_and(|pool| pool.is_some_and(Pool::has_room))
        };
        self.entries().any(|(index, entry)| is_large(entry) && has_room(index))
    }
}
