//! fsck: is every buffer of a live domain free, held, queued or referenced exactly as recorded? Looks only, changes nothing.

use super::{try_lock, with_world_stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{KIND_RING, LeaseState, LeaseWord, RING_DESTROYED, Slot, SlotState, buffer_id, split_id};
use crate::limits::MAX_SEGMENTS;
use crate::pool::{Held, Pool};
use crate::queue::RingView;
use crate::registry::Domain;
use crate::sync::Ordering;
use serde::Serialize;
use std::time::{Duration, Instant};

/// One thing that is not as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Buffer id, where the finding is about one.
    pub buffer: Option<u32>,
    /// What is wrong, in words.
    pub what: String,
}

struct Check<'a> {
    domain: &'a Domain,
    pools: Vec<&'a Pool>,
    holders: Vec<Vec<u32>>,
    findings: Vec<Finding>,
}

/// Stops the world for a moment and compares every record with every other. Empty: all is well.
///
/// # Errors
/// `Timeout` when a participant stays inside an operation (it is stopped) or others recover all the time.
pub(crate) fn fsck(domain: &Domain) -> Result<Vec<Finding>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        // The dead that wait for their recovery are not a finding: let that happen first.
        if super::sweep(domain)? == super::Sweep::Nothing
            && let Some(_lock) = try_lock(domain)?
            && let Some(Some(findings)) =
                with_world_stopped(domain, &mut Vec::new(), |dead| dead.is_empty().then(|| check(domain)))?
        {
            return findings;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Error::new(
        ErrorKind::Timeout,
        format!(
            "domain {:?} could not be brought to rest: a participant is stopped inside an operation",
            domain.name
        ),
    ))
}

fn check(domain: &Domain) -> Result<Vec<Finding>> {
    let pools = domain.all_pools()?;
    let mut holders = vec![Vec::new(); MAX_SEGMENTS];
    for pool in &pools {
        holders[pool.index] = vec![0; pool.geometry.count];
    }
    let mut check = Check { domain, pools, holders, findings: Vec::new() };
    check.participants();
    check.directory();
    check.rings()?;
    check.buffers();
    Ok(check.findings)
}

impl Check<'_> {
    fn find(&mut self, buffer: Option<u32>, what: String) {
        self.findings.push(Finding { buffer, what });
    }

    fn hold(&mut self, id: u32, by: &str) {
        let (segment, index) = split_id(id);
        match self.holders[segment].get_mut(index) {
            Some(holders) => *holders += 1,
            None => self.find(Some(id), format!("{by} names a buffer that does not exist")),
        }
    }

    fn participants(&mut self) {
        for (slot, _) in self.domain.active() {
            for pool in &self.pools {
                for (index, entry) in pool.row(slot).iter().enumerate() {
                    self.holders[pool.index][index] += Held::from_bits(entry.load(Ordering::Relaxed)).total();
                }
            }
        }
        let is_active = |slot: usize| self.domain.active().any(|(active, _)| active == slot);
        let ghosts: Vec<_> = (0..self.domain.participants().len())
            .filter(|slot| !is_active(*slot) && self.pools.iter().any(|pool| pool.held_by(*slot) > 0))
            .collect();
        for slot in ghosts {
            self.find(None, format!("slot {slot} has no tenant, but its ledger is not empty"));
        }
    }

    fn directory(&mut self) {
        for index in 0..self.domain.directory().len() {
            let entry = &self.domain.directory()[index];
            if let Some(listed) = self.domain.listed(index) {
                self.hold(listed.ring, &format!("queue {:?}", entry.name.get()));
                self.subscriber(index, listed.ring);
            }
        }
    }

    /// A subscription without subscriber would collect for ever.
    fn subscriber(&mut self, index: usize, ring: u32) {
        let (segment, at) = split_id(ring);
        let pool = self.pools.iter().find(|pool| pool.index == segment);
        let Some((view, _)) = pool.and_then(|pool| RingView::new(pool, at).ok().flatten()) else { return };
        let entry = &self.domain.directory()[index];
        let lives = |slot, epoch| self.domain.is_tenant(slot, epoch);
        if crate::topic::is_orphan(entry, view.header(), lives) {
            let what = format!("a subscription to {:?} has lost its subscriber", entry.name.get());
            self.find(Some(ring), what);
        }
    }

    fn rings(&mut self) -> Result<()> {
        for pool in self.pools.clone() {
            for index in 0..pool.geometry.count {
                let is_ring = pool.header(index).is_some_and(|h| h.kind.load(Ordering::Acquire) == KIND_RING);
                if !is_ring || !pool.is_allocated(index) {
                    continue;
                }
                match RingView::new(pool, index)? {
                    Some((ring, _)) => self.ring(&ring),
                    None => self.find(
                        Some(buffer_id(pool.index, index)),
                        "is marked as a ring and is none".to_owned(),
                    ),
                }
            }
        }
        Ok(())
    }

    fn ring(&mut self, ring: &RingView) {
        if ring.header().state.load(Ordering::Acquire) == RING_DESTROYED {
            return;
        }
        let (head, tail) = ring.ring().positions();
        let ready = ring
            .slots()
            .iter()
            .filter(|w| Slot(w.load(Ordering::Relaxed)).state() == SlotState::Ready)
            .count();
        // Of an at-least-once queue a message may have been put back behind others that are gone.
        if ring.leases().entries().is_empty() && ready as u64 != tail - head {
            self.find(None, format!("a ring has {ready} messages between positions {head} and {tail}"));
        }
        for word in ring.slots() {
            let slot = Slot(word.load(Ordering::Relaxed));
            match slot.state() {
                SlotState::Free => {}
                SlotState::Ready => self.hold(slot.id(), "a ring slot"),
                SlotState::Taken => {
                    let owner = slot.owner();
                    self.find(Some(slot.id()), format!("is in a slot taken by {owner}, which is not inside"));
                }
                SlotState::Invalid => self.find(Some(slot.id()), "is in a slot of no valid state".to_owned()),
            }
        }
        for entry in ring.leases().entries() {
            let word = LeaseWord(entry.word.load(Ordering::Relaxed));
            match word.state() {
                LeaseState::Free => {}
                LeaseState::Leased => {
                    let (segment, index) = split_id(word.id());
                    let row = self.pools.iter().find(|p| p.index == segment).map(|p| p.row(word.owner()));
                    let entry = row.and_then(|row| row.get(index));
                    if entry.is_none_or(|e| Held::from_bits(e.load(Ordering::Relaxed)).own() == 0) {
                        self.find(
                            Some(word.id()),
                            format!("is leased to {}, which does not hold it", word.owner()),
                        );
                    }
                }
                LeaseState::Pending => self.hold(word.id(), "a lease"),
                LeaseState::Reserved | LeaseState::Invalid => {
                    self.find(
                        Some(word.id()),
                        format!("a lease entry is {:?} while nobody is inside", word.state()),
                    );
                }
            }
        }
    }

    fn buffers(&mut self) {
        for pool in self.pools.clone() {
            for index in 0..pool.geometry.count {
                let Some(header) = pool.header(index) else { continue };
                let (holders, refs) = (self.holders[pool.index][index], header.refs.load(Ordering::Relaxed));
                let id = Some(buffer_id(pool.index, index));
                match (pool.is_allocated(index), holders) {
                    (false, 0) => {}
                    (false, _) => self.find(id, format!("is free and has {holders} holders")),
                    (true, 0) => self.find(id, format!("is allocated and nobody holds it (refs {refs})")),
                    (true, _) if holders != refs => {
                        self.find(id, format!("has {holders} holders, refs says {refs}"))
                    }
                    (true, _) => {}
                }
            }
        }
    }
}
