//! SharedBufferAllocator: finds a buffer of the right size class, makes new segments within the budget, takes buffers back.

use super::BufferPtr;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{PoolGeometry, SEGMENT_READY, SegmentEntry, cell_of, split_id, whole_id};
use crate::limits::{
    BATCH_MAX, FIRST_SEGMENT_BYTES, MAX_BUFFER_BYTES, MAX_BUFFERS_PER_SEGMENT, MAX_CLASS_BYTES,
    MAX_SEGMENT_BYTES, MAX_SEGMENTS, MIN_BUFFER_BYTES, SHM_RESERVE_PERCENT,
};
use crate::pool::{Freed, Pool};
use crate::registry::{Participant, Pin};
use crate::segment::{SegmentName, page_bytes, shm_free_bytes};
use crate::sync::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reference to a buffer, by number: what travels between this crate and a binding that does its own bookkeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Buffer id: index in the lower 14 bits, segment in 6, and in the 9 above the cell of a message that shares its buffer with others.
    pub id: u32,
    /// Whether the reference was received from a queue (else: allocated or shared here).
    pub received: bool,
}

impl Buffer {
    /// Whether it is another reference to the same buffer, or to another cell of it.
    #[inline]
    fn is_like(self, other: Self) -> bool {
        whole_id(self.id) == whole_id(other.id) && self.received == other.received
    }
}

/// Allocates and releases buffers on behalf of one participant.
#[derive(Clone, Debug)]
pub struct SharedBufferAllocator {
    pub(crate) participant: Arc<Participant>,
}

/// How an attempt to grow ended.
enum Growth {
    /// There are free buffers now, or there were a moment ago.
    Look,
    /// No more segments.
    Spent,
}

/// How long to wait for somebody else who grows the pool: making the largest segment takes less.
const GROW_PATIENCE: Duration = Duration::from_secs(2);

/// The size class of a buffer of `bytes` bytes.
fn class_of(bytes: usize) -> Result<usize> {
    match bytes.max(MIN_BUFFER_BYTES) {
        bytes @ ..=MAX_CLASS_BYTES => Ok(bytes.next_power_of_two()),
        bytes @ ..=MAX_BUFFER_BYTES => Ok(bytes.next_multiple_of(page_bytes())),
        _ => Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "a buffer of {bytes} bytes is larger than the largest possible, {MAX_BUFFER_BYTES} bytes"
            ),
        )),
    }
}

/// The sizes that share a size class with `bytes`.
pub(crate) fn class_range(bytes: usize) -> std::ops::RangeInclusive<usize> {
    match class_of(bytes) {
        Ok(class @ ..=MIN_BUFFER_BYTES) => 0..=class,
        Ok(class @ ..=MAX_CLASS_BYTES) => class / 2 + 1..=class,
        _ => bytes..=bytes,
    }
}

fn is_ready(entry: &SegmentEntry) -> bool {
    // SYNC SEGMENT (acquire), pairs with `grow` (release).
    entry.state.load(Ordering::Acquire) == SEGMENT_READY
}

fn is_of_class(entry: &SegmentEntry, class: usize) -> bool {
    is_ready(entry) && entry.buffer_bytes.load(Ordering::Relaxed) == class as u64
}

impl SharedBufferAllocator {
    /// A buffer of `bytes` bytes (0 allowed), zeroed or not as its last user left it.
    ///
    /// # Errors
    /// `Exhausted` when the budget is used up, `NoSpace` when the machine's shared memory is, `TooLarge`.
    pub fn allocate(&self, bytes: usize) -> Result<BufferPtr> {
        let mut ids = [0];
        match self.allocate_ids(bytes, &mut ids)? {
            0 => Err(self.exhausted(bytes)),
            _ => BufferPtr::adopt(Arc::clone(&self.participant), Buffer { id: ids[0], received: false }),
        }
    }

    /// Allocates up to `ids.len()` (at most 256) buffers of `bytes` bytes; answers how many. 0: exhausted.
    ///
    /// # Errors
    /// `NoSpace`, `TooLarge`, `Corrupt`.
    pub fn allocate_ids(&self, bytes: usize, ids: &mut [u32]) -> Result<usize> {
        let wanted = ids.len().min(BATCH_MAX);
        let ids = &mut ids[..wanted];
        let adopt = |ids: &[u32], _: &Pin<'_>| {
            for id in ids {
                let (segment, index) = split_id(*id);
                let Some(pool) = self.participant.pool(segment)? else { continue };
                pool.prepare(index, bytes as u32, 1);
                pool.note(self.participant.slot, index, false);
                fault::hit(Point::AllocAdopted);
            }
            Ok(ids.len())
        };
        Ok(self.with_claimed(bytes, ids, adopt)?.unwrap_or(0))
    }

    /// Claims up to `ids.len()` buffers of `bytes` bytes and runs `hold` on them under the same pin, for until somebody holds
    /// them a recount takes them for free. `None`: exhausted.
    pub(crate) fn with_claimed<T>(
        &self,
        bytes: usize,
        ids: &mut [u32],
        mut hold: impl FnMut(&[u32], &Pin<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let class = class_of(bytes)?;
        // Why there will be no more of this class: then a larger buffer serves as well.
        let mut spent = None;
        loop {
            let pin = self.participant.pin()?;
            let claimed = match spent {
                None => self.claim(class, ids)?,
                Some(_) => self.claim_larger(class, ids)?,
            };
            if claimed > 0 || ids.is_empty() {
                fault::hit(Point::AllocClaimed);
                return hold(&ids[..claimed], &pin).map(Some);
            }
            drop(pin);
            if let Some(why) = spent {
                return why;
            }
            // Others may be faster at what was made or released: only the end of the budget ends this.
            spent = match self.grow(class, ids.len()) {
                Ok(Growth::Look) => None,
                Ok(Growth::Spent) => Some(Ok(None)),
                Err(e) => Some(Err(e)),
            };
        }
    }

    /// Whether a buffer of `bytes` bytes can be had without growth.
    pub(crate) fn has_free(&self, bytes: usize) -> bool {
        self.entries().any(|(index, entry)| {
            let size = entry.buffer_bytes.load(Ordering::Relaxed);
            size >= bytes as u64 && self.has_room(index, entry, size as usize)
        })
    }

    /// Gives one reference back. The last one frees the buffer.
    ///
    /// # Errors
    /// `NotHeld` when this participant has no such reference.
    pub fn release(&self, buffer: Buffer) -> Result<()> {
        match self.release_all(std::iter::once(buffer)) {
            (1, _) => Ok(()),
            (_, result) => result.and_then(|()| Err(not_held(buffer))),
        }
    }

    /// Gives references back until one is not held, or not as often as it is named in a row; answers how many.
    pub fn release_all(&self, buffers: impl Iterator<Item = Buffer>) -> (usize, Result<()>) {
        let pin = match self.participant.pin() {
            Ok(pin) => pin,
            Err(e) => return (0, Err(e)),
        };
        let (mut done, mut freed, mut result) = (0, Freed::default(), Ok(()));
        let mut buffers = buffers.peekable();
        while let Some(buffer) = buffers.next() {
            // Messages of one pack, as a rule side by side, count as many references to one buffer.
            let mut references = 1;
            while cell_of(buffer.id) != 0 && buffers.next_if(|next| next.is_like(buffer)).is_some() {
                references += 1;
            }
            match self.participant.release_data(buffer, references, &mut freed) {
                Ok(()) => done += references as usize,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        let freed = freed.flush();
        drop(pin);
        if freed {
            self.participant.wake_pool();
        }
        (done, result)
    }

    /// Adds a reference of our own to a buffer we hold.
    ///
    /// # Errors
    /// `NotHeld`; `Limit` when this participant has 65535 references to it already.
    pub fn share(&self, buffer: Buffer) -> Result<Buffer> {
        let _pin = self.participant.pin()?;
        let (segment, index) = split_id(buffer.id);
        let pool = self.participant.pool(segment)?.ok_or_else(|| not_held(buffer))?;
        let slot = self.participant.slot;
        if !pool.is_data(index) || !pool.holds(slot, index, buffer.received) {
            return Err(not_held(buffer));
        }
        if !pool.can_note(slot, index, false) {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("buffer {} has 65535 references here", buffer.id),
            ));
        }
        // Counted before it is usable: killed in between, refs are too high, which a recount repairs.
        if !pool.try_ref(index) {
            return Err(not_held(buffer));
        }
        fault::hit(Point::ShareReffed);
        pool.note(slot, index, false);
        fault::hit(Point::ShareNoted);
        Ok(Buffer { id: buffer.id, received: false })
    }

    /// The error of an allocation that found nothing: says who holds what.
    pub fn exhausted(&self, bytes: usize) -> Error {
        super::exhausted::exhausted(&self.participant.domain, bytes)
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &SegmentEntry)> {
        let registry = self.participant.domain.registry();
        let high = registry.segments_high.load(Ordering::Acquire) as usize;
        registry.segments[..high.min(MAX_SEGMENTS)].iter().enumerate().filter(|(_, entry)| is_ready(entry))
    }

    /// Takes buffers of exactly `class` bytes from the segments there are, first from the one that had some last time. The caller
    /// has pinned.
    #[inline]
    fn claim(&self, class: usize, ids: &mut [u32]) -> Result<usize> {
        let last = self.participant.last_segment(class);
        let registry = self.participant.domain.registry();
        let entry = registry.segments.get(last).filter(|entry| is_of_class(entry, class));
        let taken = if entry.is_some() { self.claim_in(last, ids)? } else { 0 };
        if taken == ids.len() { Ok(taken) } else { self.claim_elsewhere(class, last, taken, ids) }
    }

    /// The same from any segment but `last`, which has given `taken`.
    #[cold]
    fn claim_elsewhere(&self, class: usize, last: usize, mut taken: usize, ids: &mut [u32]) -> Result<usize> {
        let others = self.entries().filter(|(segment, entry)| *segment != last && is_of_class(entry, class));
        for (segment, _) in others {
            let got = match self.claim_in(segment, &mut ids[taken..]) {
                // What has been claimed is not lost for the sake of more.
                Err(_) if taken > 0 => break,
                got => got?,
            };
            taken += got;
            if got > 0 {
                self.participant.set_last_segment(class, segment);
            }
            if taken == ids.len() {
                break;
            }
        }
        Ok(taken)
    }

    fn claim_larger(&self, class: usize, ids: &mut [u32]) -> Result<usize> {
        let mut larger: Vec<_> =
            self.entries().map(|(s, e)| (e.buffer_bytes.load(Ordering::Relaxed), s)).collect();
        larger.retain(|&(size, _)| size > class as u64);
        larger.sort_unstable();
        for (_, segment) in larger {
            let taken = self.claim_in(segment, ids)?;
            if taken > 0 {
                return Ok(taken);
            }
        }
        Ok(0)
    }

    fn claim_in(&self, segment: usize, ids: &mut [u32]) -> Result<usize> {
        let participant = &self.participant;
        let Some(pool) = participant.pool(segment)? else { return Ok(0) };
        let (taken, next) = pool.claim(participant.cursor(segment), ids);
        participant.set_cursor(segment, next);
        // Their last holders were in other caches: all the lines come at once, not one by one as each is touched.
        for id in &ids[..taken] {
            pool.prefetch_to_fill(*id);
        }
        Ok(taken)
    }

    /// Makes another segment of `class`, if the budget allows it.
    #[cold]
    fn grow(&self, class: usize, wanted: usize) -> Result<Growth> {
        let domain = &self.participant.domain;
        let lock = domain.dir.lock_file("grow.lock", true)?;
        let deadline = Instant::now() + GROW_PATIENCE;
        while lock.try_lock().is_err() {
            // Somebody else grows the pool. A stopped process may hold the lock for ever: then the pool is as it is.
            if Instant::now() > deadline {
                return Ok(Growth::Spent);
            }
            std::thread::sleep(Duration::from_micros(200));
            if self.entries().any(|(i, e)| self.has_room(i, e, class)) {
                return Ok(Growth::Look);
            }
        }
        if self.entries().any(|(i, e)| self.has_room(i, e, class)) {
            return Ok(Growth::Look); // somebody has just grown it, or released a buffer
        }
        let Some((index, geometry)) = self.next_segment(class, wanted)? else { return Ok(Growth::Spent) };
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
        entry.buffer_bytes.store(class as u64, Ordering::Relaxed);
        entry.bytes.store((class * geometry.count) as u64, Ordering::Relaxed);
        // SYNC SEGMENT (release), pairs with `attach_pool` and `entries` (acquire).
        entry.state.store(SEGMENT_READY, Ordering::Release);
        registry.segments_high.fetch_max(index as u32 + 1, Ordering::Release);
        fault::hit(Point::GrowRegistered);
        self.participant.wake_pool();
        Ok(Growth::Look)
    }

    fn has_room(&self, index: usize, entry: &SegmentEntry, class: usize) -> bool {
        let fits = entry.buffer_bytes.load(Ordering::Relaxed) == class as u64;
        fits && self
            .participant
            .domain
            .pool(index)
            .is_ok_and(|p| p.is_some_and(|p| (p.used() as usize) < p.geometry.count))
    }

    /// Index and geometry of the next segment of `class`: twice the last one of its kind, within budget and free memory.
    fn next_segment(&self, class: usize, wanted: usize) -> Result<Option<(usize, PoolGeometry)>> {
        let registry = self.participant.domain.registry();
        let used: u64 = self.entries().map(|(_, e)| e.bytes.load(Ordering::Relaxed)).sum();
        let same =
            self.entries().filter(|(_, e)| e.buffer_bytes.load(Ordering::Relaxed) == class as u64).count();
        let budget = registry.max_bytes.load(Ordering::Relaxed).saturating_sub(used) as usize;
        let index = registry.segments_high.load(Ordering::Relaxed) as usize;
        let target = (FIRST_SEGMENT_BYTES << same.min(20)).max(class.saturating_mul(wanted));
        let room = budget.min(MAX_SEGMENT_BYTES / 16 * 15);
        let count = (target.min(room) / class).max(usize::from(class <= budget)).min(MAX_BUFFERS_PER_SEGMENT);
        if count == 0 || index >= MAX_SEGMENTS {
            return Ok(None);
        }
        let Some(mut geometry) = PoolGeometry::new(class, count, page_bytes()) else { return Ok(None) };
        if let Some((free, total)) = shm_free_bytes() {
            let need = |geometry: &PoolGeometry| (class * geometry.count + geometry.ledger) as u64;
            let fits = |geometry: &PoolGeometry| need(geometry) + total * SHM_RESERVE_PERCENT / 100 <= free;
            // Where memory is short, a smaller segment is better than none.
            while !fits(&geometry) && geometry.count > 1 {
                let Some(half) = PoolGeometry::new(class, geometry.count / 2, page_bytes()) else {
                    return Ok(None);
                };
                geometry = half;
            }
            if !fits(&geometry) {
                let (need, count) = (need(&geometry), geometry.count);
                return Err(Error::new(
                    ErrorKind::NoSpace,
                    format!(
                        "/dev/shm has {free} of {total} bytes free, {need} are needed for {count} buffers of {class} bytes (and {SHM_RESERVE_PERCENT} % stay free); enlarge it (Docker: --shm-size) or lower maxBytes"
                    ),
                ));
            }
        }
        Ok(Some((index, geometry)))
    }
}

impl Participant {
    /// Drops references of ours, for a number that comes from outside: rings are not for sale. The caller has pinned.
    #[inline]
    pub(crate) fn release_data<'a>(
        &'a self,
        buffer: Buffer,
        references: u32,
        freed: &mut Freed<'a>,
    ) -> Result<()> {
        let (segment, index) = split_id(buffer.id);
        match self.pool(segment)? {
            Some(pool) if pool.is_data(index) => self.release_from(pool, buffer, references, freed),
            _ => Err(not_held(buffer)),
        }
    }

    /// Drops one reference of ours; `true`: the buffer is free now. The caller has pinned.
    pub(crate) fn release(&self, buffer: Buffer) -> Result<bool> {
        let pool = self.pool(split_id(buffer.id).0)?.ok_or_else(|| not_held(buffer))?;
        let mut freed = Freed::default();
        self.release_from(pool, buffer, 1, &mut freed)?;
        Ok(freed.flush())
    }

    /// All of them or none.
    #[inline]
    fn release_from<'a>(
        &self,
        pool: &'a Pool,
        buffer: Buffer,
        references: u32,
        freed: &mut Freed<'a>,
    ) -> Result<()> {
        let (_, index) = split_id(buffer.id);
        if pool.held(self.slot, index).of(buffer.received) < references {
            return Err(not_held(buffer));
        }
        // Ledger first: killed in between, refs are too high, which a recount repairs.
        pool.strike_many(self.slot, index, buffer.received, references);
        fault::hit(Point::ReleaseStruck);
        freed.unref(pool, index, references);
        Ok(())
    }

    /// Drops references that no ledger lists (a slot's, the name table's); `true`: the buffer is free now.
    pub(crate) fn unref(&self, pool: &Pool, index: usize, references: u32) -> bool {
        let mut freed = Freed::default();
        freed.unref(pool, index, references);
        freed.flush()
    }

    /// Tells everybody who waits for a buffer that some are free: one mask stands for all sizes, so each has to look.
    pub(crate) fn wake_pool(&self) {
        let waiters = &self.domain.registry().pool_waiters;
        waiters.wake(usize::MAX, self.slot, |slot| self.domain.notify(slot));
    }
}

pub(crate) fn not_held(buffer: Buffer) -> Error {
    let how = if buffer.received { "received" } else { "own" };
    Error::new(ErrorKind::NotHeld, format!("buffer {} is not held here ({how} reference)", buffer.id))
}
