//! Trimming: segments whose buffers are all free are taken out of the table. Their memory goes back to the system, and their bytes of
//! the budget and their places in the table serve other sizes.
//!
//! It is done while the world is stopped, so it is exact: nobody is inside an operation that uses the number of a buffer, and a
//! buffer that is not allocated is in no ledger and in no ring. The steps, each of which leaves a state that others can go on from:
//!
//! 1. World stopped: the segment's bit in everybody's `attached` is cleared. Killed here: each sets it again at the next use.
//! 2. World stopped: READY becomes UNLISTED. Killed here: the segment is gone, its object is removed by the next who has the grow lock.
//! 3. The object is removed. Killed here: it is removed once more, which is harmless.
//! 4. UNLISTED becomes EMPTY.
//! 5. Everybody's sentinel is told, and lets go of its mapping: the memory goes with the last one.
//!
//! No page is taken out of an object that others have mapped: it would come back with the next touch, and where there is no memory
//! for it, that touch would kill the process.

use super::growth::GrowLock;
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{SEGMENT_EMPTY, SEGMENT_READY, SEGMENT_UNLISTED};
use crate::limits::REST_PATIENCE_NS;
use crate::pool::Pool;
use crate::registry::{Domain, Participant, World, at_rest_within};
use crate::segment::SegmentName;
use crate::sync::Ordering;
use serde::Serialize;
use std::sync::Arc;

/// What a trim has given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrimReport {
    /// Segments that were taken out.
    pub segments: usize,
    /// Bytes of the budget that they counted for.
    pub bytes: u64,
}

impl Participant {
    /// Takes out the empty segments that `which` chooses, and finishes what others have begun. `None`: there is
    /// something to take out, and the world cannot be stopped for it now.
    pub(super) fn trim(&self, lock: &GrowLock, which: impl Fn(&Pool) -> bool) -> Result<Option<TrimReport>> {
        let domain = &*self.domain;
        remove_unlisted(domain, lock)?;
        let mut report = TrimReport::default();
        let mut pools: Vec<_> = (domain.registry().segments.iter().enumerate())
            .filter(|(_, entry)| entry.state.load(Ordering::Acquire) == SEGMENT_READY)
            // One that cannot be mapped is not for us to judge.
            .filter_map(|(index, _)| domain.pool(index).ok().flatten())
            .collect();
        pools.retain(|pool| pool.used() == 0 && which(pool));
        if !pools.is_empty() {
            match at_rest_within(domain, REST_PATIENCE_NS, || unlist(domain, &pools))? {
                World::Stopped(unlisted) => report = unlisted,
                World::Moving(_) => return Ok(None),
            }
            remove_unlisted(domain, lock)?;
        }
        if report.segments > 0 {
            domain.drop_stale_pools();
            domain.notify_sentinels();
            self.wake_pool();
        }
        Ok(Some(report))
    }
}

/// Takes those of `pools` that are still empty out of the table. The world is stopped.
fn unlist(domain: &Domain, pools: &[Arc<Pool>]) -> TrimReport {
    let registry = domain.registry();
    let empty = || pools.iter().filter(|pool| pool.used() == 0);
    let mask: u64 = empty().map(|pool| 1 << pool.index).sum();
    // SYNC PIN: who enters after this sees all of it.
    for participant in domain.participants() {
        participant.attached.fetch_and(!mask, Ordering::Relaxed);
    }
    fault::hit(Point::TrimDetached);
    registry.remaps.fetch_add(1, Ordering::Release);
    let mut report = TrimReport::default();
    for pool in empty() {
        // SYNC SEGMENT (release): who finds it gone finds the bits cleared. Last: whose bit is set has a segment that is there.
        registry.segments[pool.index].state.store(SEGMENT_UNLISTED, Ordering::Release);
        fault::hit(Point::TrimUnlisted);
        report.segments += 1;
        report.bytes += (pool.geometry.count * pool.geometry.buffer_bytes) as u64;
    }
    report
}

/// Removes the objects of segments that are not in the table.
pub(super) fn remove_unlisted(domain: &Domain, _lock: &GrowLock) -> Result<()> {
    for (index, entry) in domain.registry().segments.iter().enumerate() {
        if entry.state.load(Ordering::Acquire) == SEGMENT_UNLISTED {
            domain.dir.remove_segment(SegmentName::Pool(index))?;
            fault::hit(Point::TrimRemoved);
            entry.state.store(SEGMENT_EMPTY, Ordering::Release);
        }
    }
    Ok(())
}
