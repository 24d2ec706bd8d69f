//! fsck: is every buffer of a live domain free, held, queued or referenced exactly as recorded? Looks only, changes nothing.

use super::ownership::is_orphan;
use super::{Sweep, sweep};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{
    KIND_RING, LeaseState, LeaseWord, NameEntry, PARTICIPANT_ACTIVE, PARTICIPANT_FREE, PARTICIPANT_LEAVING,
    RING_OPEN, RING_REPLACED, SEGMENT_EMPTY, SEGMENT_READY, SEGMENT_UNLISTED, Slot, SlotState, buffer_id,
    cell_of, split_id, whole_id,
};
use crate::limits::{MAX_PARTICIPANTS, MAX_SEGMENTS};
use crate::pool::{LedgerEntry, Pool};
use crate::queue::RingView;
use crate::registry::{Domain, Kind, World, with_world_at_rest};
use crate::sync::Ordering;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What kind of disorder a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A segment cannot be read; what is in it has not been checked.
    Segment,
    /// A participant's slot is in no valid state, or its ledger is not empty though nobody has the slot.
    Participant,
    /// A queue's ring is none, or contradicts itself.
    Queue,
    /// Something names a buffer that does not exist.
    UnknownBuffer,
    /// A buffer is allocated, and nobody holds it.
    Leaked,
    /// A buffer is free, and somebody holds it.
    HeldWhileFree,
    /// The count of a buffer's holders is wrong.
    WrongCount,
    /// A ring slot is being taken while nobody is inside an operation, or is in no valid state.
    Slot,
    /// A lease is half made, in no valid state, or of somebody who does not hold the message.
    Lease,
}

/// One thing that is not as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind of disorder it is.
    pub kind: FindingKind,
    /// Buffer id, where it is about one.
    pub buffer: Option<u32>,
    /// Slot of the participant, where it is about one.
    pub participant: Option<u32>,
    /// Name of the queue, where it is about a listed one.
    pub queue: Option<String>,
    /// Holders, messages or references that were counted, where it is about a count.
    pub counted: Option<u64>,
    /// What the record says instead.
    pub recorded: Option<u64>,
    /// What is wrong, in words.
    pub message: String,
}

impl Finding {
    fn new(kind: FindingKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, buffer: None, participant: None, queue: None, counted: None, recorded: None, message }
    }

    fn buffer(self, id: u32) -> Self {
        Self { buffer: Some(id), ..self }
    }

    fn participant(self, slot: usize) -> Self {
        Self { participant: Some(slot as u32), ..self }
    }

    fn queue(self, name: Option<&str>) -> Self {
        Self { queue: name.map(str::to_owned), ..self }
    }

    fn counts(self, counted: u64, recorded: u64) -> Self {
        Self { counted: Some(counted), recorded: Some(recorded), ..self }
    }
}

struct Check<'a> {
    domain: &'a Domain,
    /// Those that could be attached.
    pools: Vec<&'a Pool>,
    holders: Vec<Vec<u32>>,
    findings: Vec<Finding>,
}

/// Stops the world for a moment and compares every record with every other. Empty: all is well.
///
/// # Errors
/// `Timeout` when a participant stays inside an operation (stopped, or without processor time) or others recover all the time; `Io` when the lock
/// cannot be had.
pub(crate) fn fsck(domain: &Domain, timeout: Duration) -> Result<Vec<Finding>> {
    let deadline = crate::os::deadline(timeout);
    loop {
        // The dead that wait for their recovery are not a finding: let that happen first. If it fails, that may be what we look for.
        let hindrance = match sweep(domain) {
            Ok(Sweep::Later(hindrance)) => hindrance,
            _ => match with_world_at_rest(domain, || check(domain))? {
                World::Stopped(findings) => return Ok(findings),
                World::Moving(hindrance) => hindrance,
            },
        };
        if Instant::now() >= deadline {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "domain {:?} could not be brought to rest: {}",
                    domain.name,
                    hindrance.describe(domain)
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn check(domain: &Domain) -> Vec<Finding> {
    let (pools, findings) = segments(domain);
    let pools: Vec<_> = pools.iter().map(AsRef::as_ref).collect();
    let mut holders = vec![Vec::new(); MAX_SEGMENTS];
    for pool in &pools {
        holders[pool.index] = vec![0; pool.geometry.count];
    }
    let mut check = Check { domain, pools, holders, findings };
    check.participants();
    let names = check.names();
    check.rings(&names);
    check.buffers();
    check.findings
}

/// The segments there are, and what is wrong with them and with the table of them.
fn segments(domain: &Domain) -> (Vec<Arc<Pool>>, Vec<Finding>) {
    let (mut pools, mut findings) = (Vec::new(), Vec::new());
    let mut find = |message: String| findings.push(Finding::new(FindingKind::Segment, message));
    for (index, entry) in domain.registry().segments.iter().enumerate() {
        match domain.pool(index) {
            Ok(pool) => pools.extend(pool),
            Err(e) => find(format!("segment {index} cannot be read, so it was not checked: {e}")),
        }
        let state = entry.state.load(Ordering::Relaxed);
        if ![SEGMENT_EMPTY, SEGMENT_READY, SEGMENT_UNLISTED].contains(&state) {
            find(format!("segment {index} is in state {state}, which nobody writes"));
        }
    }
    (pools, findings)
}

impl Check<'_> {
    fn hold(&mut self, id: u32, by: &str, queue: Option<&str>) {
        let (segment, index) = split_id(id);
        if let Some(holders) = self.holders[segment].get_mut(index) {
            *holders += 1;
        }
        // A message of a pack counts for its buffer even if the pack is too small for it.
        if !self.pools.iter().any(|pool| pool.index == segment && pool.has(id)) {
            let message = format!("{by} names {}, which does not exist", name_of(id));
            let finding = Finding::new(FindingKind::UnknownBuffer, message);
            self.findings.push(finding.buffer(whole_id(id)).queue(queue));
        }
    }

    fn participants(&mut self) {
        for (slot, _) in self.domain.active() {
            for pool in &self.pools {
                for (index, entry) in pool.row(slot).iter().enumerate() {
                    self.holders[pool.index][index] +=
                        LedgerEntry::from_bits(entry.load(Ordering::Relaxed)).total();
                }
            }
        }
        for (slot, participant) in self.domain.participants().iter().enumerate() {
            let state = participant.state.load(Ordering::Acquire);
            if state == PARTICIPANT_ACTIVE {
                continue;
            }
            if state != PARTICIPANT_FREE && state != PARTICIPANT_LEAVING {
                let message = format!("participant slot {slot} is in state {state}, which nobody writes");
                self.findings.push(Finding::new(FindingKind::Participant, message).participant(slot));
            }
            let held: u64 = self.pools.iter().map(|pool| pool.references_of(slot)).sum();
            if held > 0 {
                let message =
                    format!("nobody has participant slot {slot}, but its ledger lists {held} references");
                self.findings
                    .push(Finding::new(FindingKind::Participant, message).participant(slot).counts(held, 0));
            }
        }
    }

    /// Counts the name table's references; returns the names of the rings it lists.
    fn names(&mut self) -> HashMap<u32, String> {
        let mut names = HashMap::new();
        for (listed, entry) in self.domain.entries() {
            let name = entry.name.get();
            self.hold(listed.ring, &format!("queue {name:?}"), Some(&name));
            let (segment, at) = split_id(listed.ring);
            let pool = self.pools.iter().find(|pool| pool.index == segment);
            let is_ring =
                pool.and_then(|p| p.header(at)).map(|h| h.kind.load(Ordering::Acquire) == KIND_RING);
            if is_ring == Some(false) {
                let message = format!("queue {name:?} is in buffer {}, which is no ring", listed.ring);
                self.findings
                    .push(Finding::new(FindingKind::Queue, message).buffer(listed.ring).queue(Some(&name)));
            }
            self.owner(entry, listed.ring, &name);
            names.insert(listed.ring, name);
        }
        names
    }

    /// What ends with its owner, and has lost it, would collect for ever.
    fn owner(&mut self, entry: &NameEntry, ring: u32, name: &str) {
        let (segment, at) = split_id(ring);
        let pool = self.pools.iter().find(|pool| pool.index == segment);
        let Some((view, _)) = pool.and_then(|pool| RingView::new(pool, at).ok().flatten()) else { return };
        let lives = |slot, epoch| self.domain.is_tenant(slot, epoch);
        if is_orphan(entry, view.header(), lives) {
            let ((slot, epoch), label) = (entry.owner(), entry.label.get());
            let message = if entry.is_kind(Kind::Mailbox) {
                format!(
                    "the {label} mailbox of participant {slot} (epoch {epoch}) of service {name:?} has lost its owner"
                )
            } else {
                format!("a subscription to {name:?} has lost its subscriber")
            };
            self.findings.push(Finding::new(FindingKind::Queue, message).buffer(ring).queue(Some(name)));
        }
    }

    fn rings(&mut self, names: &HashMap<u32, String>) {
        for pool in self.pools.clone() {
            for index in 0..pool.geometry.count {
                let is_ring = pool.header(index).is_some_and(|h| h.kind.load(Ordering::Acquire) == KIND_RING);
                if !is_ring || !pool.is_allocated(index) {
                    continue;
                }
                let id = buffer_id(pool.index, index);
                let name = names.get(&id).map(String::as_str);
                match RingView::new(pool, index) {
                    // Nothing in it counts.
                    Ok(Some((ring, _))) if ring.header().state.load(Ordering::Acquire) == RING_REPLACED => {}
                    Ok(Some((ring, _))) => self.ring(&ring, id, name),
                    Ok(None) | Err(_) => {
                        let message = format!("buffer {id} is marked as the ring of a queue and is none");
                        self.findings.push(Finding::new(FindingKind::Queue, message).buffer(id).queue(name));
                    }
                }
            }
        }
    }

    fn ring(&mut self, ring: &RingView, ring_id: u32, name: Option<&str>) {
        // What is left in a destroyed ring is held until its destroyer, or a recovery, comes to it.
        let place =
            name.map_or_else(|| format!("the ring in buffer {ring_id}"), |name| format!("queue {name:?}"));
        let (head, tail) = (ring.ring().taken(), ring.ring().published());
        let ready = ring
            .slots()
            .iter()
            .filter(|w| Slot(w.load(Ordering::Relaxed)).state() == SlotState::Ready)
            .count() as u64;
        // From a queue that has ended senders take messages back, from between others.
        let is_open = ring.header().state.load(Ordering::Acquire) == RING_OPEN;
        if is_open && ready != tail.saturating_sub(head) {
            let message = format!("{place} has {ready} messages between positions {head} and {tail}");
            self.findings.push(
                Finding::new(FindingKind::Queue, message)
                    .buffer(ring_id)
                    .queue(name)
                    .counts(ready, tail.saturating_sub(head)),
            );
        }
        for (index, word) in ring.slots().iter().enumerate() {
            let slot = Slot(word.load(Ordering::Relaxed));
            let disorder = match slot.state() {
                SlotState::Free => continue,
                SlotState::Ready => {
                    self.hold(slot.id(), &format!("slot {index} of {place}"), name);
                    continue;
                }
                SlotState::Taken => {
                    format!("is taken by participant {}, which is inside nothing", slot.owner())
                }
                SlotState::Removed => {
                    format!("is being emptied by participant {}, which is inside nothing", slot.owner())
                }
            };
            let message = format!("slot {index} of {place}, with {}, {disorder}", name_of(slot.id()));
            self.findings
                .push(Finding::new(FindingKind::Slot, message).buffer(whole_id(slot.id())).queue(name));
        }
        self.lease_counts(ring, ring_id, name, &place);
        for (index, entry) in ring.leases().entries().iter().enumerate() {
            self.lease(
                LeaseWord(entry.word.load(Ordering::Relaxed)),
                &format!("lease {index} of {place}"),
                name,
            );
        }
    }

    /// The counts by which a queue's pending and leased messages are known without a look at each.
    fn lease_counts(&mut self, ring: &RingView, ring_id: u32, name: Option<&str>, place: &str) {
        let (mut pending, mut leased) = (0, 0);
        for entry in ring.leases().entries() {
            match LeaseWord(entry.word.load(Ordering::Relaxed)).state() {
                LeaseState::Pending => pending += 1,
                // Whoever has reserved one is inside nothing, which is a finding of its own.
                LeaseState::Leased | LeaseState::Reserved => leased += 1,
                LeaseState::Free | LeaseState::Invalid => {}
            }
        }
        let counts = ring.counts();
        for (what, found, counted) in
            [("pending", pending, counts.pending), ("leased", leased, counts.leased)]
        {
            if found != counted {
                let message = format!("{place} has {found} {what} messages, its counts say {counted}");
                let finding = Finding::new(FindingKind::Queue, message).buffer(ring_id).queue(name);
                self.findings.push(finding.counts(found as u64, counted as u64));
            }
        }
    }

    fn lease(&mut self, word: LeaseWord, lease: &str, queue: Option<&str>) {
        let (id, owner) = (word.id(), word.owner());
        let disorder = match word.state() {
            LeaseState::Free => return,
            LeaseState::Pending => return self.hold(id, lease, queue),
            LeaseState::Leased => {
                let (segment, index) = split_id(id);
                let pool = self.pools.iter().find(|p| p.index == segment);
                // The owner comes out of shared memory: there may be no such row.
                let row = pool.filter(|_| owner < MAX_PARTICIPANTS).map_or(&[][..], |pool| pool.row(owner));
                if row.get(index).is_some_and(|e| LedgerEntry::from_bits(e.load(Ordering::Relaxed)).own() > 0)
                {
                    return;
                }
                format!("is of participant {owner}, which does not hold {}", name_of(id))
            }
            LeaseState::Reserved => format!("is reserved by participant {owner}, which is inside nothing"),
            LeaseState::Invalid => "is in a state that nobody writes".to_owned(),
        };
        let finding = Finding::new(FindingKind::Lease, format!("{lease} {disorder}")).queue(queue);
        self.findings.push(finding.buffer(whole_id(id)).participant(owner));
    }

    fn buffers(&mut self) {
        for pool in self.pools.clone() {
            for index in 0..pool.geometry.count {
                let Some(header) = pool.header(index) else { continue };
                let (holders, refs) = (self.holders[pool.index][index], header.refs.load(Ordering::Relaxed));
                let id = buffer_id(pool.index, index);
                let (kind, disorder) = match (pool.is_allocated(index), holders) {
                    (false, 0) => continue,
                    (true, _) if holders == refs && holders > 0 => continue,
                    (false, _) => (FindingKind::HeldWhileFree, format!("is free and has {holders} holders")),
                    (true, 0) => (
                        FindingKind::Leaked,
                        format!("is allocated and nobody holds it, its count says {refs}"),
                    ),
                    (true, _) => {
                        (FindingKind::WrongCount, format!("has {holders} holders, its count says {refs}"))
                    }
                };
                let finding = Finding::new(kind, format!("buffer {id} {disorder}")).buffer(id);
                self.findings.push(finding.counts(holders.into(), refs.into()));
            }
        }
    }
}

/// A message, as people number it.
fn name_of(id: u32) -> String {
    match cell_of(id) {
        0 => format!("buffer {id}"),
        cell => format!("cell {cell} of buffer {}", whole_id(id)),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
