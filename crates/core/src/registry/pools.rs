//! The pool segments that this process has mapped.
//!
//! A segment whose buffers are all free can be taken out of the table (see [`crate::buffer`]), and another one may come in its place.
//! Two kinds of callers look at segments:
//!
//! - Operations of a participant, all the time. They go by the participant's `attached` word in shared memory: its bit says that the
//!   mapping is of the segment that is there now, and that the participant has a row in its ledger. Whoever takes a segment out
//!   clears the bit of each participant while the world is stopped. So within a pin a bit that is set stays true; nothing is counted
//!   and nothing is locked.
//! - Everybody else, now and then: recovery, snapshots, the sentinel. They get an [`Arc`] of a mapping that was right a moment ago.
//!   If its segment is taken out meanwhile they read what was there, or zeros.
//!
//! Mappings of what has been taken out are let go by the next one who looks: the next operation that wants this segment, or the
//! sentinel, which is woken for it. Their memory goes at once; the last few address ranges stay a while, as zeros.

use super::Domain;
use crate::error::{Error, Result};
use crate::layout::{SEGMENT_READY, SegmentEntry};
use crate::limits::MAX_SEGMENTS;
use crate::pool::Pool;
use crate::segment::SegmentName;
use crate::sync::Ordering;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is mapped, by index.
struct Table {
    pools: [Option<Arc<Pool>>; MAX_SEGMENTS],
    /// The last that have been let go of, as zeros: damaged lanes or ledgers may make a segment go while somebody here uses it.
    gone: VecDeque<Arc<Pool>>,
    /// Nobody operates here any more, and buffers may outlive their manager: all that goes stays.
    keeps_all: bool,
}

pub(super) struct Pools {
    table: Mutex<Table>,
    /// What operations look at: the pools of `table`, each null or alive as long as it is in there.
    attached: [AtomicPtr<Pool>; MAX_SEGMENTS],
}

impl Pools {
    pub(super) fn new() -> Self {
        let pools = [const { None }; MAX_SEGMENTS];
        let table = Table { pools, gone: VecDeque::new(), keeps_all: false };
        Self { table: Mutex::new(table), attached: [const { AtomicPtr::new(ptr::null_mut()) }; MAX_SEGMENTS] }
    }

    /// What is mapped as segment `index`.
    ///
    /// The caller is a participant that has found its bit of `attached` set, or has just had [`Domain::pool`] look, and is pinned; or
    /// it holds a buffer of the segment; or it has left, and nothing is let go any more. In each case the segment is the one that is
    /// there now, and stays.
    #[inline]
    pub(super) fn attached(&self, index: usize) -> Option<&Pool> {
        let pool = self.attached.get(index)?.load(std::sync::atomic::Ordering::Acquire);
        // SAFETY: null, or a pool of `table`. It is dropped only when its segment is no longer there, which is not while the caller
        // uses it: a segment is taken out when nobody is pinned and none of its buffers is held.
        unsafe { pool.as_ref() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, table: &mut Table, pool: &Arc<Pool>) {
        let index = pool.index;
        self.remove(table, index);
        self.attached[index].store(Arc::as_ptr(pool).cast_mut(), std::sync::atomic::Ordering::Release);
        table.pools[index] = Some(Arc::clone(pool));
    }

    fn remove(&self, table: &mut Table, index: usize) {
        let Some(old) = table.pools[index].take() else { return };
        self.attached[index].store(ptr::null_mut(), std::sync::atomic::Ordering::Release);
        // Views of a language binding may keep the addresses: the memory goes back all the same.
        old.segment().retire();
        table.gone.push_back(old);
        if table.gone.len() > MAX_SEGMENTS && !table.keeps_all {
            table.gone.pop_front();
        }
    }
}

/// A segment that cannot be read: its index, and why.
pub(crate) type Unreadable = (usize, Error);

/// Which segment is there now, if there is one.
fn generation(entry: &SegmentEntry) -> Option<u32> {
    // SYNC SEGMENT (acquire), pairs with the end of growth (release).
    let is_ready = entry.state.load(Ordering::Acquire) == SEGMENT_READY;
    is_ready.then(|| entry.generation.load(Ordering::Relaxed))
}

impl Domain {
    /// Pool segment `index`, mapped at first use; `None` when there is no such segment (yet, or any more).
    pub(crate) fn pool(&self, index: usize) -> Result<Option<Arc<Pool>>> {
        let Some(entry) = self.registry().segments.get(index) else { return Ok(None) };
        let mut table = self.pools.lock();
        let Some(now) = generation(entry) else {
            self.pools.remove(&mut table, index);
            return Ok(None);
        };
        if let Some(pool) = table.pools[index].as_ref().filter(|pool| pool.generation == now) {
            return Ok(Some(Arc::clone(pool)));
        }
        let segment = self.dir.open_segment(SegmentName::Pool(index));
        let pool = segment.and_then(|segment| Pool::attach(Arc::new(segment), index, now));
        // Taken out while we opened it: what we have, if anything, may be another one.
        if generation(entry) != Some(now) {
            return Ok(None);
        }
        let pool = Arc::new(pool?);
        self.pools.insert(&mut table, &pool);
        Ok(Some(pool))
    }

    /// As [`Pools::attached`], with its conditions.
    #[inline]
    pub(super) fn attached_pool(&self, index: usize) -> Option<&Pool> {
        self.pools.attached(index)
    }

    /// The pool segments this process has mapped, as of now.
    pub(crate) fn mapped_pools(&self) -> Vec<Arc<Pool>> {
        self.pools.lock().pools.iter().flatten().cloned().collect()
    }

    /// Every pool segment that can be read, and the index of each that cannot, now or ever, with the reason: it is damaged, or gone.
    ///
    /// # Errors
    /// When one could be read another time: no file descriptors, no address space.
    pub(crate) fn readable_pools(&self) -> Result<(Vec<Arc<Pool>>, Vec<Unreadable>)> {
        let (mut pools, mut unreadable) = (Vec::new(), Vec::new());
        for index in 0..MAX_SEGMENTS {
            match self.pool(index) {
                Err(e) if e.is_unusable() => unreadable.push((index, e)),
                pool => pools.extend(pool?),
            }
        }
        Ok((pools, unreadable))
    }

    /// Lets go of mappings of segments that are not there any more; whether there were any.
    pub(crate) fn drop_stale_pools(&self) -> bool {
        let mut table = self.pools.lock();
        let mut any = false;
        for (index, entry) in self.registry().segments.iter().enumerate() {
            let mapped = table.pools[index].as_ref().map(|pool| pool.generation);
            if mapped.is_some() && generation(entry) != mapped {
                self.pools.remove(&mut table, index);
                any = true;
            }
        }
        any
    }

    /// From now on nothing that is mapped is unmapped before the domain is: this participant leaves, and what is left of it (buffers,
    /// queue ends) has no pin to rely on.
    pub(super) fn keep_mappings(&self) {
        self.pools.lock().keeps_all = true;
    }
}
