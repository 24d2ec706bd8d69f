//! The ledger of a pool segment: for each participant a row, for each buffer an entry, which says how many references it holds.

use super::Pool;
use crate::error::Result;
use crate::sync::{AtomicU32, Ordering};

/// A ledger entry: references a participant made itself (low half) and references it received (high half). Kept apart so that a
/// recovery can tell how many messages died with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LedgerEntry(u32);

impl LedgerEntry {
    const MASK: u32 = 0xffff;
    /// References of one kind that an entry may have before another is added. It can count some more: of several threads that look at the
    /// same time each may add one, and none of them may carry over into the other half.
    pub(crate) const MAX: u32 = Self::MASK - 255;

    /// One reference, received from a queue or made here.
    pub(crate) const fn one(received: bool) -> u32 {
        if received { 1 << 16 } else { 1 }
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn own(self) -> u32 {
        self.0 & Self::MASK
    }

    pub(crate) const fn received(self) -> u32 {
        self.0 >> 16
    }

    pub(crate) const fn total(self) -> u32 {
        self.own() + self.received()
    }

    /// Those received, or those made here.
    pub(crate) const fn of(self, received: bool) -> u32 {
        if received { self.received() } else { self.own() }
    }
}

impl Pool {
    /// Reserves participant `slot`'s row.
    #[cold]
    pub(crate) fn reserve_row(&self, slot: usize) -> Result<()> {
        self.segment()
            .reserve(self.geometry.ledger + slot * self.geometry.row_bytes, self.geometry.row_bytes)?;
        // SYNC ROW (release), pairs with `row` (acquire): whoever sees the bit may read the row.
        self.head[0].rows_ready[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
        Ok(())
    }

    /// Participant `slot`'s row: one entry per buffer. Empty while the row is not reserved.
    pub(crate) fn row(&self, slot: usize) -> &[AtomicU32] {
        // SYNC ROW (acquire).
        let ready = self.head[0].rows_ready[slot / 64].load(Ordering::Acquire) & 1 << (slot % 64) != 0;
        if ready { self.own_row(slot) } else { &[] }
    }

    /// As `row`, for the participant itself, which has reserved it.
    #[inline]
    fn own_row(&self, slot: usize) -> &[AtomicU32] {
        let entries = self.geometry.row_bytes / size_of::<AtomicU32>();
        &self.ledger[slot * entries..][..self.geometry.count]
    }

    /// What participant `slot`, whose row is reserved, holds of buffer `index`.
    #[inline]
    pub(crate) fn entry(&self, slot: usize, index: usize) -> LedgerEntry {
        LedgerEntry(self.own_row(slot).get(index).map_or(0, |entry| entry.load(Ordering::Relaxed)))
    }

    /// Whether participant `slot` holds buffer `index` in the given way.
    #[inline]
    pub(crate) fn holds(&self, slot: usize, index: usize, received: bool) -> bool {
        self.entry(slot, index).of(received) > 0
    }

    /// Whether participant `slot`'s entry for `index` can count another reference.
    #[inline]
    pub(crate) fn ledger_has_room(&self, slot: usize, index: usize, received: bool) -> bool {
        self.entry(slot, index).of(received) < LedgerEntry::MAX
    }

    /// Adds a reference of participant `slot`, whose row is reserved and whose entry has room.
    #[inline]
    pub(crate) fn ledger_add(&self, slot: usize, index: usize, received: bool) {
        if let Some(entry) = self.own_row(slot).get(index) {
            entry.fetch_add(LedgerEntry::one(received), Ordering::Relaxed);
        }
    }

    /// Removes a reference of participant `slot`, which it has.
    #[inline]
    pub(crate) fn ledger_remove(&self, slot: usize, index: usize, received: bool) {
        self.ledger_remove_many(slot, index, received, 1);
    }

    /// Removes `references` of participant `slot`, which it has.
    #[inline]
    pub(crate) fn ledger_remove_many(&self, slot: usize, index: usize, received: bool, references: u32) {
        if let Some(entry) = self.own_row(slot).get(index) {
            entry.fetch_sub(LedgerEntry::one(received) * references, Ordering::Relaxed);
        }
    }

    /// References participant `slot` holds in this segment.
    pub(crate) fn references_of(&self, slot: usize) -> u64 {
        self.row(slot).iter().map(|entry| u64::from(LedgerEntry(entry.load(Ordering::Relaxed)).total())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::LedgerEntry;

    #[test]
    fn an_entry_counts_both_ways() {
        let entry = LedgerEntry(LedgerEntry::one(true) * 2 + LedgerEntry::one(false) * 3);
        assert_eq!((entry.own(), entry.received(), entry.total()), (3, 2, 5));
    }
}
