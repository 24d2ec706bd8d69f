//! Several buffers at once, or none of them.
//!
//! Whoever waits for several keeps nothing meanwhile: two that each had half of the pool would wait for each other for ever. So that
//! those who wait do not wake each other for nothing either, they count before they take: only who sees enough takes, and gives back what
//! it has when another was faster. Of two that take at the same time the last one to give back finds all of it free.

use super::size_class::class_of;
use super::{Buffer, SharedBufferAllocator};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BATCH_MAX;
use crate::sync::Ordering;

impl SharedBufferAllocator {
    /// `ids.len()` buffers of `bytes` bytes, or none (`false`) where the domain does not have so many now.
    ///
    /// # Errors
    /// `TooLarge`, also when the budget never allows so many; `Closed`, `Corrupt`. Nothing is allocated then.
    pub fn allocate_all(&self, bytes: usize, ids: &mut [u32]) -> Result<bool> {
        let class = class_of(bytes)?;
        self.check_budget(class, ids.len())?;
        // Before we take: what changes meanwhile is news to whoever waits then.
        let offer = self.offer(class);
        let mut got = 0;
        while got < ids.len() {
            let end = ids.len().min(got + BATCH_MAX);
            match self.allocate_ids(bytes, &mut ids[got..end]) {
                Ok(0) => {
                    self.give_back(&ids[..got])?;
                    self.participant.hints.refuse_all(class, offer);
                    return Ok(false);
                }
                Ok(more) => got += more,
                Err(e) => {
                    self.give_back(&ids[..got])?;
                    return Err(e);
                }
            }
        }
        Ok(true)
    }

    fn give_back(&self, ids: &[u32]) -> Result<()> {
        self.release_all(ids.iter().map(|id| Buffer { id: *id, received: false })).1
    }

    /// Whether `count` buffers of `class`, of which there were too few the last time, may be there now.
    pub(super) fn may_allocate_all(&self, class: usize, count: usize) -> bool {
        if self.offer(class) != self.participant.hints.refused_all(class) {
            return true;
        }
        let Ok(_pin) = self.participant.pin() else { return true };
        let large =
            self.entries().filter(|(_, entry)| entry.buffer_bytes.load(Ordering::Relaxed) >= class as u64);
        // One that we cannot attach, for want of memory, has nothing for us.
        let pools = large.filter_map(|(index, _)| self.participant.pool(index).ok().flatten());
        pools.map(|pool| pool.geometry.count.saturating_sub(pool.used() as usize)).sum::<usize>() >= count
    }

    /// Whether the budget has room for `count` buffers of `class` at all: if not, to wait for them would be for ever.
    pub(super) fn check_budget(&self, class: usize, count: usize) -> Result<()> {
        let domain = &self.participant.domain;
        let max_bytes = domain.registry().max_bytes.load(Ordering::Relaxed);
        if (class as u64).saturating_mul(count as u64) <= max_bytes {
            return Ok(());
        }
        let what = if count == 1 {
            format!("a buffer needs {class} bytes")
        } else {
            format!("{count} buffers need {class} bytes each")
        };
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("domain {:?} has maxBytes {max_bytes}, {what}", domain.name),
        ))
    }
}
