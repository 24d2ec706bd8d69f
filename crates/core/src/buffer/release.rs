//! Releasing: references are dropped, and the last one frees the buffer.

use super::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::split_id;
use crate::pool::{Freed, LedgerEntry, Pool};
use crate::registry::Participant;

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

    /// Drops one reference of ours, and wakes whoever waits for a buffer if this one is free now. The caller has not pinned.
    pub(crate) fn let_go(&self, buffer: Buffer) -> Result<()> {
        let pin = self.pin()?;
        let freed = self.release(buffer)?;
        drop(pin);
        if freed {
            self.wake_pool();
        }
        Ok(())
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
        if pool.entry(self.slot, index).of(buffer.received) < references {
            return Err(not_held(buffer));
        }
        // Ledger first: killed in between, refs are too high, which a recount repairs.
        pool.ledger_remove_many(self.slot, index, buffer.received, references);
        fault::hit(Point::ReleaseRemoved);
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

/// The error of a call that names a reference which this participant does not have.
#[cold]
pub(crate) fn not_held(buffer: Buffer) -> Error {
    let how = if buffer.received { "received" } else { "own" };
    Error::new(ErrorKind::NotHeld, format!("buffer {} is not held here ({how} reference)", buffer.id))
}

/// The error of a call that would add a reference which the ledger of this participant has no room for.
#[cold]
pub(crate) fn too_many_references(id: u32) -> Error {
    let most = LedgerEntry::MAX;
    let what = format!("this participant has {most} references to buffer {id} already: release some");
    Error::new(ErrorKind::Limit, what)
}
