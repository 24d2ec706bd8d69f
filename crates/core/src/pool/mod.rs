//! Buffers in shared memory: one [`Pool`] per segment, all buffers of one size.
//!
//! Ground truth about buffer b is only: *allocated* (its bit), *held* (counts in the participants' ledgers), *queued* (ring slots that
//! carry it, and the name table for rings). `refs` caches held + queued. Each operation changes them in the order that can
//! only over-count, so whatever a death leaves behind is repaired by recounting (see [`crate::recovery`]).

mod content;
mod hints;
mod ledger;
#[cfg(all(test, loom))]
pub(crate) mod model;

pub(crate) use content::{Content, prefetch_for_write};
pub(crate) use hints::AllocationHints;
pub(crate) use ledger::LedgerEntry;

use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{BufferHeader, KIND_DATA, PoolGeometry, PoolHeader, buffer_id};
use crate::os::page_bytes;
use crate::segment::{Segment, View};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// One pool segment, mapped and checked.
pub(crate) struct Pool {
    pub(crate) index: usize,
    /// Which of the segments that have been at its place it is.
    pub(crate) generation: u32,
    pub(crate) geometry: PoolGeometry,
    head: View<PoolHeader>,
    bitmap: View<AtomicU64>,
    headers: View<BufferHeader>,
    ledger: View<AtomicU32>,
}

impl Pool {
    /// Attaches to a complete segment. Geometry is recomputed from two numbers; anything that does not fit them is corrupt.
    pub(crate) fn attach(segment: Arc<Segment>, index: usize, generation: u32) -> Result<Self> {
        let head = View::<PoolHeader>::new(&segment, 0, 1)?;
        let buffer_bytes = head[0].buffer_bytes.load(Ordering::Relaxed) as usize;
        let count = head[0].count.load(Ordering::Relaxed) as usize;
        let geometry = PoolGeometry::new(buffer_bytes, count, page_bytes());
        let Some(geometry) = geometry.filter(|g| g.bytes == segment.bytes()) else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{segment:?} claims {count} buffers of {buffer_bytes} bytes, which does not fit its size"
                ),
            ));
        };
        Self::map(segment, (index, generation), head, geometry)
    }

    /// Fills in a fresh segment: everything free. `finish` is left to the caller.
    pub(crate) fn create(
        segment: Arc<Segment>,
        index: usize,
        generation: u32,
        geometry: PoolGeometry,
    ) -> Result<Self> {
        segment.reserve(0, geometry.ledger)?;
        segment.reserve(geometry.payload, geometry.buffer_bytes * geometry.count)?;
        let head = View::<PoolHeader>::new(&segment, 0, 1)?;
        head[0].buffer_bytes.store(geometry.buffer_bytes as u64, Ordering::Relaxed);
        head[0].count.store(geometry.count as u32, Ordering::Relaxed);
        Self::map(segment, (index, generation), head, geometry)
    }

    fn map(
        segment: Arc<Segment>,
        (index, generation): (usize, u32),
        head: View<PoolHeader>,
        g: PoolGeometry,
    ) -> Result<Self> {
        let rows = crate::limits::MAX_PARTICIPANTS * g.row_bytes / size_of::<AtomicU32>();
        Ok(Self {
            index,
            generation,
            geometry: g,
            head,
            bitmap: View::new(&segment, g.bitmap, g.count.div_ceil(64))?,
            headers: View::new(&segment, g.headers, g.count)?,
            ledger: View::new(&segment, g.ledger, rows)?,
        })
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.head.segment()
    }

    pub(crate) fn header(&self, index: usize) -> Option<&BufferHeader> {
        self.headers.get(index)
    }

    /// Whether buffer `index` exists and is an ordinary one, not a ring.
    #[inline]
    pub(crate) fn is_data(&self, index: usize) -> bool {
        self.headers.get(index).is_some_and(|h| h.kind.load(Ordering::Relaxed) == KIND_DATA)
    }

    /// First byte of buffer `index`, which must exist.
    #[inline]
    pub(crate) fn payload(&self, index: usize) -> *mut u8 {
        assert!(index < self.geometry.count, "callers check the index");
        // SAFETY: the geometry was checked against the mapping, and index < count.
        unsafe { self.segment().start().add(self.geometry.payload + index * self.geometry.buffer_bytes) }
    }

    /// Bits of bitmap word `word` that stand for buffers.
    pub(crate) fn valid_bits(&self, word: usize) -> u64 {
        match self.geometry.count - (word * 64).min(self.geometry.count) {
            n if n >= 64 => u64::MAX,
            n => (1 << n) - 1,
        }
    }

    pub(crate) fn bitmap(&self) -> &[AtomicU64] {
        &self.bitmap
    }

    pub(crate) fn is_allocated(&self, index: usize) -> bool {
        let word = self.bitmap.get(index / 64).map_or(0, |word| word.load(Ordering::Acquire));
        word & 1 << (index % 64) != 0
    }

    /// Buffers in use now.
    pub(crate) fn used(&self) -> u32 {
        let used =
            |(i, word): (usize, &AtomicU64)| (word.load(Ordering::Relaxed) & self.valid_bits(i)).count_ones();
        self.bitmap.iter().enumerate().map(used).sum()
    }

    /// Whether a buffer is free.
    pub(crate) fn has_room(&self) -> bool {
        (self.used() as usize) < self.geometry.count
    }

    /// Most buffers in use that anybody has seen.
    pub(crate) fn high_water(&self) -> u32 {
        let used = self.used();
        self.head[0].high_water.fetch_max(used, Ordering::Relaxed).max(used)
    }

    /// Raised by every allocation that begins in an empty word of the bitmap, so also by the first one from an empty segment.
    pub(crate) fn allocations(&self) -> u32 {
        // `claim` takes the lowest free bit of a word.
        let firsts = self.headers.iter().step_by(64);
        firsts.fold(0, |sum, header| sum.wrapping_add(header.generation.load(Ordering::Relaxed)))
    }

    /// Takes up to `out.len()` buffers, looking from bitmap word `from` on; returns how many, and where to look next time.
    /// Takes them all with one CAS per word. Killed after a CAS: allocated, held by nobody; freed by recount.
    #[inline]
    pub(crate) fn claim(&self, from: usize, out: &mut [u32]) -> (usize, usize) {
        let words = self.bitmap.len();
        let (mut taken, mut at) = (0, if from < words { from } else { from % words });
        for step in 0..words {
            let word = &self.bitmap[at];
            let mut seen = word.load(Ordering::Relaxed);
            loop {
                let free = !seen & self.valid_bits(at);
                let pick = lowest_bits(free, out.len() - taken);
                if pick == 0 {
                    break;
                }
                // SYNC FREE (acquire), pairs with `free` (release): the last holder's accesses come before ours.
                match word.compare_exchange_weak(seen, seen | pick, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => {
                        let mut bits = pick;
                        while bits != 0 {
                            out[taken] = buffer_id(self.index, at * 64 + bits.trailing_zeros() as usize);
                            taken += 1;
                            bits &= bits - 1;
                        }
                        break;
                    }
                    Err(now) => seen = now,
                }
            }
            if taken == out.len() {
                if step > 0 {
                    self.high_water();
                }
                return (taken, at);
            }
            at = if at + 1 < words { at + 1 } else { 0 };
        }
        self.high_water();
        (taken, from)
    }

    /// Gives back the buffers `bits` of word `word`. Only whoever brought `refs` to 0 may call this.
    pub(crate) fn free(&self, word: usize, bits: u64) {
        if let Some(word) = self.bitmap.get(word) {
            // SYNC FREE (release), pairs with `claim` (acquire).
            word.fetch_and(!bits, Ordering::Release);
        }
    }

    /// Drops `references` from the count; `true`: they were the last, so the caller frees the buffer.
    #[inline]
    pub(crate) fn unref(&self, index: usize, references: u32) -> bool {
        // SYNC REFS (acq-rel): our accesses come before the free, and the freer sees everybody else's.
        let before = |header: &BufferHeader| header.refs.fetch_sub(references, Ordering::AcqRel);
        self.headers.get(index).is_some_and(|header| before(header) == references)
    }

    /// Adds a reference unless the buffer is being freed.
    pub(crate) fn try_ref(&self, index: usize) -> bool {
        let Some(BufferHeader { refs, .. }) = self.headers.get(index) else { return false };
        let mut seen = refs.load(Ordering::Relaxed);
        while seen != 0 {
            // Acquire: what the present holders wrote into the buffer is visible to us.
            match refs.compare_exchange_weak(seen, seen.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }
}

/// References dropped one after the other: buffers that share a bitmap word are freed by one access to it. Killed before
/// [`Freed::flush`]: allocated, counted by nobody; freed by recount.
#[derive(Default)]
pub(crate) struct Freed<'a> {
    run: Option<(&'a Pool, usize, u64)>,
    any: bool,
}

impl<'a> Freed<'a> {
    /// Drops `references` to buffer `index`.
    #[inline]
    pub(crate) fn unref(&mut self, pool: &'a Pool, index: usize, references: u32) {
        if !pool.unref(index, references) {
            return;
        }
        fault::hit(Point::ReleaseUnreffed);
        let (word, bit) = (index / 64, 1 << (index % 64));
        match &mut self.run {
            Some((last, at, bits)) if *at == word && std::ptr::eq(*last, pool) => *bits |= bit,
            _ => {
                self.flush();
                self.run = Some((pool, word, bit));
            }
        }
    }

    /// Gives back what has no references left. Whether there was anything, ever.
    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        if let Some((pool, word, bits)) = self.run.take() {
            pool.free(word, bits);
            fault::hit(Point::ReleaseFreed);
            self.any = true;
        }
        self.any
    }
}

/// The `count` lowest bits of `word`.
#[inline]
fn lowest_bits(word: u64, count: usize) -> u64 {
    if count >= 64 {
        return word;
    }
    let mut rest = word;
    for _ in 0..count {
        if rest == 0 {
            break;
        }
        rest &= rest - 1;
    }
    word & !rest
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({}, {:?})", self.index, self.geometry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_bits_are_taken_first() {
        assert_eq!(lowest_bits(0b1011_0110, 3), 0b0001_0110);
        assert_eq!(lowest_bits(0b101, 9), 0b101);
        assert_eq!(lowest_bits(u64::MAX, 0), 0);
    }
}
