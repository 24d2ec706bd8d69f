//! The recount. Runs while nobody is inside an operation; idempotent.

use super::ownership::is_orphan;
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{
    KIND_RING, Lane, LeaseEntry, LeaseState, LeaseWord, RING_DESTROYED, RING_REPLACED, Slot, SlotState,
    TakeIntent, buffer_id, cell_of, split_id, whole_id,
};
use crate::limits::{BATCH_MAX, LANES, MAX_SEGMENTS};
use crate::pool::{LedgerEntry, Pool};
use crate::queue::RingView;
use crate::registry::{Dead, Domain, EntryRef, Kind};
use crate::sync::{AtomicU32, Ordering};
use std::collections::HashMap;

/// Most messages that the threads of a participant can be copying: what a damaged lane says is not believed beyond that.
const MAX_COPIES: u32 = (BATCH_MAX * LANES) as u32;

/// What the death of one participant came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Buffers that went back to the pool.
    pub(super) freed: u32,
    /// Messages it had taken from a queue and not released, and those in its links.
    pub(super) lost: u32,
    /// Of at-least-once queues: put back for somebody else.
    pub(super) redelivered: u32,
}

struct Recount<'a> {
    domain: &'a Domain,
    pools: Vec<&'a Pool>,
    /// Segments that cannot be read: what they hold stays as it is, and keeps nobody from being recovered.
    unreadable: Vec<usize>,
    dead: &'a [Dead],
    counts: Vec<Counts>,
    /// Slots of at-most-once queues that the dead had taken and not added to a ledger.
    taken: Vec<u32>,
    /// Holders found so far, per segment and buffer.
    holders: Vec<Vec<u32>>,
    /// Per buffer id: references that are neither in `holders` nor in a ledger (a slot taken by the dead, a slot of a link that ends), less
    /// those that are in both (a lease of the dead, which is pending now).
    uncounted: HashMap<u32, i64>,
}

/// Recomputes `refs` of every buffer from the queues and from the ledgers of everybody who is not in `dead`, frees what nobody holds,
/// and removes every other trace of the dead. Returns what each of them left.
pub(super) fn recount(domain: &Domain, dead: &[Dead]) -> Result<Vec<Counts>> {
    let (pools, unreadable) = domain.readable_pools()?;
    let unreadable = unreadable.into_iter().map(|(index, _)| index).collect();
    let pools: Vec<_> = pools.iter().map(AsRef::as_ref).collect();
    let mut holders = vec![Vec::new(); MAX_SEGMENTS];
    for pool in &pools {
        holders[pool.index] = vec![0; pool.geometry.count];
    }
    let mut recount = Recount {
        domain,
        pools,
        unreadable,
        dead,
        counts: vec![Counts::default(); dead.len()],
        taken: vec![0; dead.len()],
        holders,
        uncounted: HashMap::new(),
    };
    recount.ledgers();
    recount.names();
    recount.rings()?;
    recount.forget_dead();
    recount.free_unheld();
    Ok(recount.counts)
}

impl Recount<'_> {
    fn dead_at(&self, slot: usize) -> Option<usize> {
        self.dead.iter().position(|d| d.slot == slot)
    }

    /// Whether that tenant of a slot is among the living.
    fn lives(&self, slot: usize, epoch: u32) -> bool {
        self.dead_at(slot).is_none() && self.domain.is_tenant(slot, epoch)
    }

    fn hold(&mut self, id: u32, references: u32) {
        let (segment, index) = split_id(id);
        if let Some(holders) = self.holders[segment].get_mut(index) {
            *holders += references;
        }
    }

    /// Counts what the living hold.
    fn ledgers(&mut self) {
        for (slot, _) in self.domain.active().filter(|(slot, _)| self.dead.iter().all(|d| d.slot != *slot)) {
            for pool in &self.pools {
                for (index, entry) in pool.row(slot).iter().enumerate() {
                    self.holders[pool.index][index] +=
                        LedgerEntry::from_bits(entry.load(Ordering::Relaxed)).total();
                }
            }
        }
    }

    /// Counts the name table's references to rings; removes entries of dead creators, of queues destroyed half-way, and of subscribers
    /// that have gone.
    fn names(&mut self) {
        for entry in self.domain.names() {
            if entry.is_claimed() && self.dead_at(entry.owner().0).is_some() {
                entry.unclaim();
            }
        }
        for (listed, entry) in self.domain.entries() {
            if self.unreadable.contains(&split_id(listed.ring).0) {
                continue;
            }
            let (listed, ring) = self.listed_ring(listed);
            if let Some(ring) = &ring
                && is_orphan(entry, ring.header(), |slot, epoch| self.lives(slot, epoch))
            {
                if entry.is_kind(Kind::Link) {
                    self.link_ends(entry.owner(), ring);
                }
                ring.header().state.store(RING_DESTROYED, Ordering::Release);
                fault::hit(Point::RecoverOrphaned);
            }
            match ring {
                Some(ring) if ring.header().state.load(Ordering::Acquire) != RING_DESTROYED => {
                    self.hold(listed.ring, 1);
                }
                _ => {
                    entry.unlist(listed);
                }
            }
        }
    }

    /// The ring of an entry. Who has died at replacing it may not have come to say so.
    fn listed_ring(&self, listed: EntryRef) -> (EntryRef, Option<RingView>) {
        let ring_at = |id: u32| {
            let (segment, at) = split_id(id);
            let pool = self.pools.iter().find(|pool| pool.index == segment)?;
            RingView::new(pool, at).ok().flatten().map(|(ring, _)| ring)
        };
        let ring = ring_at(listed.ring);
        let Some(old) = ring.as_ref().filter(|ring| is_replaced(ring)) else { return (listed, ring) };
        let successor = old.header().successor.load(Ordering::Relaxed);
        let listed = self.domain.relist(listed, successor);
        fault::hit(Point::RecoverRelisted);
        (listed, ring_at(successor).filter(|ring| !is_replaced(ring)))
    }

    /// Counts what is lost in a link, which nobody but its owner took from.
    fn link_ends(&mut self, (slot, epoch): (usize, u32), ring: &RingView) {
        let Some(dead) = self.dead.iter().position(|dead| dead.slot == slot && dead.epoch == epoch) else {
            return;
        };
        for (index, word) in ring.slots().iter().enumerate() {
            let slot = Slot(word.load(Ordering::Relaxed));
            match slot.state() {
                SlotState::Taken if !ring.leases().is_any() => self.finish_taking(dead, slot),
                SlotState::Taken if is_leased(ring, index, slot) => {}
                SlotState::Ready | SlotState::Taken => {
                    self.counts[dead].lost += 1;
                    *self.uncounted.entry(whole_id(slot.id())).or_default() += 1;
                }
                SlotState::Removed | SlotState::Free => {}
            }
        }
        let leases = ring.leases().entries().iter();
        self.counts[dead].lost += leases.filter(|entry| is_out(entry)).count() as u32;
    }

    /// Counts the messages in rings; finishes what dead takers began.
    fn rings(&mut self) -> Result<()> {
        for pool in self.pools.clone() {
            for index in 0..pool.geometry.count {
                let is_ring = pool.header(index).is_some_and(|h| h.kind.load(Ordering::Acquire) == KIND_RING);
                // A ring that nobody holds goes, and what is in it is held by nobody either.
                if is_ring
                    && pool.is_allocated(index)
                    && self.holders[pool.index][index] > 0
                    && let Some((ring, _)) = RingView::new(pool, index)?
                {
                    self.ring(&ring);
                }
            }
        }
        Ok(())
    }

    fn ring(&mut self, ring: &RingView) {
        if is_replaced(ring) {
            return;
        }
        let header = ring.header();
        let destroyed = header.state.load(Ordering::Acquire) == RING_DESTROYED;
        self.leases(ring, destroyed);
        for (index, word) in ring.slots().iter().enumerate() {
            let slot = Slot(word.load(Ordering::Relaxed));
            match slot.state() {
                SlotState::Ready if !destroyed => self.hold(slot.id(), 1),
                SlotState::Ready => word.store(slot.recycled().0, Ordering::Relaxed),
                // Nobody alive is inside, so whoever was at it is dead.
                SlotState::Taken | SlotState::Removed => {
                    if let Some(dead) = self.dead_at(slot.owner()) {
                        match slot.state() {
                            _ if destroyed => {}
                            SlotState::Removed => self.finish_removal(ring, slot),
                            _ if ring.leases().is_any() => self.deliver_again(ring, dead, index, slot),
                            _ => self.finish_taking(dead, slot),
                        }
                        word.store(slot.recycled().0, Ordering::Relaxed);
                        fault::hit(Point::RecoverRolled);
                    } else {
                        self.hold(slot.id(), 1);
                    }
                }
                SlotState::Free => {}
            }
        }
        self.end_reservations(ring);
        for dead in self.dead {
            for token in [&header.producer, &header.consumer] {
                let _ = token.compare_exchange(dead.slot as u32 + 1, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
            header.data_waiters.clear(dead.slot);
            header.space_waiters.clear(dead.slot);
            header.settled.idle_waiters.clear(dead.slot);
            header.sending.remove(dead.slot);
            header.receiving.remove(dead.slot);
            header.attached.remove(dead.slot);
        }
        // Of any ring: one of the dead may have left it, and not come to close it. Everybody is notified afterwards.
        header.close_without_producers();
    }

    /// Frees what nobody holds and sets every other count right.
    fn free_unheld(&mut self) {
        for pool in &self.pools {
            for (at, word) in pool.bitmap().iter().enumerate() {
                let mut bits = word.load(Ordering::Acquire) & pool.valid_bits(at);
                while bits != 0 {
                    let index = at * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    let holders = self.holders[pool.index][index];
                    if let Some(header) = pool.header(index) {
                        header.refs.store(holders, Ordering::Relaxed);
                    }
                    if holders == 0 {
                        pool.free(at, 1 << (index % 64));
                        self.counts[0].freed += 1;
                        fault::hit(Point::RecoverFreed);
                    }
                }
            }
        }
    }

    /// Leases of the dead wait for somebody else; what waits is held by the queue.
    fn leases(&mut self, ring: &RingView, destroyed: bool) {
        for entry in ring.leases().entries() {
            let word = LeaseWord(entry.word.load(Ordering::Relaxed));
            let dead = self.dead_at(word.owner());
            let now = match (word.state(), dead) {
                (LeaseState::Leased, Some(dead)) => {
                    self.counts[dead].redelivered += 1;
                    if self.has_held(word.owner(), word.id()) {
                        *self.uncounted.entry(whole_id(word.id())).or_default() -= 1;
                    }
                    LeaseWord::pending(word.id())
                }
                _ => word,
            };
            let now = if destroyed && now.state() == LeaseState::Pending { LeaseWord::FREE } else { now };
            if now.state() == LeaseState::Pending {
                self.hold(now.id(), 1);
            }
            if now != word {
                entry.word.store(now.0, Ordering::Relaxed);
                fault::hit(Point::RecoverLease);
            }
        }
    }

    /// The message of a slot that was taken from an at-most-once queue: if its taker got as far as its ledger, it counts there.
    fn finish_taking(&mut self, dead: usize, slot: Slot) {
        if !self.has_noted(slot.owner(), slot.id()) {
            self.taken[dead] += 1;
            *self.uncounted.entry(whole_id(slot.id())).or_default() += 1;
        }
    }

    /// The message of a slot out of which somebody was dropping it, or taking back what it had sent: it is nobody's, or in its ledger.
    fn finish_removal(&mut self, ring: &RingView, slot: Slot) {
        if self.entry(slot.owner(), slot.id()).total() == 0 {
            *self.uncounted.entry(whole_id(slot.id())).or_default() += 1;
        }
        if ring.drops() {
            ring.header().dropped.fetch_add(1, Ordering::Relaxed);
            ring.header().gap.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// On an at-least-once queue: sees to it that the message of a taken slot is delivered. If its taker got as far as the lease, that
    /// stands for it; else the reservation that it had made becomes the lease.
    fn deliver_again(&mut self, ring: &RingView, dead: usize, index: usize, slot: Slot) {
        if is_leased(ring, index, slot) {
            return;
        }
        let position = ring.ring().position_of(index, slot);
        if ring.leases().recover(slot.owner(), slot.id(), position) {
            fault::hit(Point::RecoverLease);
            self.hold(slot.id(), 1);
        } else {
            // Damage: whoever takes has reserved.
            self.counts[dead].lost += 1;
        }
    }

    /// Sets free what the dead had reserved and not used, and makes the counts of the queue right.
    fn end_reservations(&self, ring: &RingView) {
        let leases = ring.leases();
        for entry in leases.entries() {
            let word = LeaseWord(entry.word.load(Ordering::Relaxed));
            if word.state() == LeaseState::Reserved && self.dead_at(word.owner()).is_some() {
                entry.word.store(LeaseWord::FREE.0, Ordering::Relaxed);
            }
        }
        if leases.is_any() {
            leases.recount(ring.ring().published(), ring.ring().depth_by_slots());
        }
    }

    /// Whether a dead receiver of an at-most-once queue has the message in its ledger.
    fn has_noted(&self, owner: usize, id: u32) -> bool {
        let received = self.entry(owner, id).received();
        if cell_of(id) == 0 {
            return received > 0;
        }
        let lanes = self.domain.participants().get(owner).map_or(&[][..], |owner| &owner.lanes);
        lanes
            .iter()
            .any(|lane| TakeIntent::from_bits(lane.taking.load(Ordering::Relaxed)).is_noted(id, received))
    }

    /// Whether a dead receiver of an at-least-once queue has it.
    fn has_held(&self, owner: usize, id: u32) -> bool {
        self.entry(owner, id).own() > 0
    }

    fn entry(&self, owner: usize, id: u32) -> LedgerEntry {
        let (segment, index) = split_id(id);
        let row = self.pools.iter().find(|pool| pool.index == segment).map(|pool| pool.row(owner));
        let entry = row.and_then(|row| row.get(index));
        LedgerEntry::from_bits(entry.map_or(0, |entry| entry.load(Ordering::Relaxed)))
    }

    /// Clears the ledgers and waiter bits of the dead, and counts what they had received as lost.
    ///
    /// Who died between publishing a message and striking it from its ledger has handed it on, not lost it. A move leaves `refs`
    /// alone, so such a stale entry shows as one holder more than `refs` says (whoever has the buffer by now); every other step
    /// leaves `refs` at least as high as the holders are.
    fn forget_dead(&mut self) {
        for pool in &self.pools {
            let rows: Vec<_> = self.dead.iter().map(|dead| pool.row(dead.slot)).collect();
            for index in 0..pool.geometry.count {
                let held =
                    |row: &&[AtomicU32]| row.get(index).map_or(0, |entry| entry.load(Ordering::Relaxed));
                if rows.iter().all(|row| held(row) == 0) {
                    continue;
                }
                let in_rows: u32 = rows.iter().map(|row| LedgerEntry::from_bits(held(row)).total()).sum();
                let refs = pool.header(index).map_or(0, |header| header.refs.load(Ordering::Relaxed));
                let elsewhere = self.uncounted.get(&buffer_id(pool.index, index)).copied().unwrap_or(0);
                let holders = i64::from(self.holders[pool.index][index] + in_rows) + elsewhere;
                let mut stale = u32::try_from(holders - i64::from(refs)).unwrap_or(0);
                for (row, counts) in rows.iter().zip(&mut self.counts) {
                    let received = LedgerEntry::from_bits(held(row)).received();
                    let handed_on = stale.min(received);
                    stale -= handed_on;
                    counts.lost += received - handed_on;
                }
            }
            for entry in rows.into_iter().flatten() {
                entry.store(0, Ordering::Relaxed);
            }
        }
        self.count_copies();
        for dead in self.dead {
            self.domain.registry().name_waiters.clear(dead.slot);
            self.domain.registry().pool_waiters.clear(dead.slot);
        }
    }

    /// Counts as lost what the dead had taken and neither added to a ledger nor handed to anybody: slots, and messages they were copying,
    /// whose slots may be free already. A thread does one of the two at a time, so this is exact but where several threads of one
    /// participant died inside, some at the one and some at the other.
    fn count_copies(&mut self) {
        for ((dead, taken), counts) in self.dead.iter().zip(&self.taken).zip(&mut self.counts) {
            let lanes = self.domain.participants().get(dead.slot).map_or(&[][..], |slot| &slot.lanes);
            let copied: u32 =
                lanes.iter().map(|lane| Lane::copies(lane.inside.load(Ordering::Relaxed))).sum();
            counts.lost += copied.min(MAX_COPIES).max(*taken);
        }
    }
}

/// Whether another ring has taken the place of this one, so that nothing in it counts.
fn is_replaced(ring: &RingView) -> bool {
    ring.header().state.load(Ordering::Acquire) == RING_REPLACED
}

/// Whether the message of a taken slot has a lease.
fn is_leased(ring: &RingView, index: usize, slot: Slot) -> bool {
    let position = ring.ring().position_of(index, slot);
    ring.leases().entries().iter().any(|entry| {
        let word = LeaseWord(entry.word.load(Ordering::Relaxed));
        is_out(entry) && word.id() == slot.id() && entry.position.load(Ordering::Relaxed) == position
    })
}

/// Whether an entry stands for a message that somebody has, or had.
fn is_out(entry: &LeaseEntry) -> bool {
    let word = LeaseWord(entry.word.load(Ordering::Relaxed));
    matches!(word.state(), LeaseState::Leased | LeaseState::Pending)
}
