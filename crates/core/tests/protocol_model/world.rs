//! The memory that the participants share, and the locks the kernel keeps for them.

use crate::departures::MAILBOX;
use crate::oracle::Oracle;
use crate::rules::Rules;

/// Slots for participants.
pub(crate) const SLOTS: usize = 6;
/// Entries of the name table.
pub(crate) const ENTRIES: usize = 6;

/// A ledger entry: references made here, references received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    pub(crate) own: i32,
    pub(crate) received: i32,
}

impl LedgerEntry {
    pub(crate) fn total(self) -> i32 {
        self.own + self.received
    }

    pub(crate) fn half(&mut self, received: bool) -> &mut i32 {
        if received { &mut self.received } else { &mut self.own }
    }
}

/// What lies in a buffer.
#[derive(Debug)]
pub(crate) enum Payload {
    Nothing,
    /// A message; no two have the same number.
    Data(u64),
    Ring(Ring),
}

#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) allocated: bool,
    pub(crate) refs: i32,
    pub(crate) is_ring: bool,
    pub(crate) payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    Free,
    Ready(usize),
    Taken {
        owner: usize,
        id: usize,
    },
    /// Being taken out to be dropped, or taken back by its sender.
    Removed {
        owner: usize,
        id: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) lap: u64,
    pub(crate) state: SlotState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseWord {
    Free,
    Reserved(usize),
    Leased { owner: usize, id: usize },
    Pending(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) word: LeaseWord,
    pub(crate) position: u64,
    pub(crate) deliveries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RingState {
    Open,
    Closed,
    Destroyed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    Block,
    DropOldest,
    DropNewest,
    Latest,
}

/// How a queue was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) capacity: usize,
    /// Messages that a send may leave, 0 = as many as there are slots.
    pub(crate) limit: usize,
    pub(crate) at_least_once: bool,
    pub(crate) max_deliveries: u32,
    pub(crate) overflow: Overflow,
}

#[derive(Debug)]
pub(crate) struct Ring {
    /// Which ring this is, of all that ever were.
    pub(crate) uid: usize,
    pub(crate) options: Options,
    pub(crate) state: RingState,
    pub(crate) head: u64,
    pub(crate) tail: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) pending: i32,
    /// Messages that are over, of an at-least-once queue.
    pub(crate) settled: i64,
}

impl Ring {
    pub(crate) fn new(uid: usize, options: Options) -> Self {
        let slot = Slot { lap: 0, state: SlotState::Free };
        let lease = Lease { word: LeaseWord::Free, position: 0, deliveries: 0 };
        let leases = if options.at_least_once { options.capacity } else { 0 };
        Self {
            uid,
            options,
            state: RingState::Open,
            head: 0,
            tail: 0,
            slots: vec![slot; options.capacity],
            leases: vec![lease; leases],
            pending: 0,
            settled: 0,
        }
    }

    pub(crate) fn lap(&self, position: u64) -> u64 {
        position / self.slots.len() as u64
    }

    pub(crate) fn slot(&mut self, position: u64) -> &mut Slot {
        let capacity = self.slots.len();
        &mut self.slots[position as usize % capacity]
    }

    /// One compare-and-swap.
    pub(crate) fn cas_slot(&mut self, position: u64, from: Slot, to: Slot) -> bool {
        let slot = self.slot(position);
        let done = *slot == from;
        if done {
            *slot = to;
        }
        done
    }

    pub(crate) fn cas_lease(&mut self, entry: usize, from: LeaseWord, to: LeaseWord) -> bool {
        let done = self.leases[entry].word == from;
        if done {
            self.leases[entry].word = to;
        }
        done
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Participant {
    pub(crate) active: bool,
    /// Holds nothing any more; the others may not know.
    pub(crate) leaving: bool,
    pub(crate) epoch: u32,
    pub(crate) lanes: i32,
    /// Messages it has taken to copy them out, until it is outside again.
    pub(crate) copies: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Free,
    Claimed,
    Live,
}

/// An entry of the name table. Generation and phase are one word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) state: (u64, Phase),
    pub(crate) name: usize,
    pub(crate) ring: usize,
    pub(crate) owner: usize,
    pub(crate) epoch: u32,
}

/// File locks: held by a process until it gives them up or dies.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) life: [Option<usize>; SLOTS],
    pub(crate) recovery: Option<usize>,
    pub(crate) names: Option<usize>,
    pub(crate) domain: Option<usize>,
}

impl Kernel {
    /// What the kernel does when a process ends, however it does.
    pub(crate) fn release_all(&mut self, process: usize) {
        let locks = [&mut self.recovery, &mut self.names, &mut self.domain];
        for lock in locks.into_iter().chain(&mut self.life) {
            if *lock == Some(process) {
                *lock = None;
            }
        }
    }
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) ledger: Vec<Vec<LedgerEntry>>,
    pub(crate) participants: [Participant; SLOTS],
    pub(crate) recovering: u64,
    /// How often it was announced that participants have gone.
    pub(crate) departures: u64,
    /// Counts what each participant is notified of.
    pub(crate) wakes: [u64; SLOTS],
    pub(crate) names: [Entry; ENTRIES],
    pub(crate) kernel: Kernel,
    pub(crate) oracle: Oracle,
    /// The first thing that went wrong.
    pub(crate) violation: Option<String>,
}

impl World {
    pub(crate) fn new(buffers: usize, rules: Rules) -> Self {
        let buffer = || Buffer { allocated: false, refs: 0, is_ring: false, payload: Payload::Nothing };
        Self {
            rules,
            buffers: std::iter::repeat_with(buffer).take(buffers).collect(),
            ledger: vec![vec![LedgerEntry::default(); buffers]; SLOTS],
            participants: [Participant::default(); SLOTS],
            recovering: 0,
            departures: 0,
            wakes: [0; SLOTS],
            names: [Entry { state: (0, Phase::Free), name: 0, ring: 0, owner: 0, epoch: 0 }; ENTRIES],
            kernel: Kernel { life: [None; SLOTS], recovery: None, names: None, domain: None },
            oracle: Oracle::default(),
            violation: None,
        }
    }

    pub(crate) fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    pub(crate) fn ring(&mut self, buffer: usize) -> Option<&mut Ring> {
        match &mut self.buffers[buffer].payload {
            Payload::Ring(ring) => Some(ring),
            _ => None,
        }
    }

    /// Clears the bit of `buffer`, which nobody may hold any more.
    pub(crate) fn free(&mut self, buffer: usize) {
        if !self.buffers[buffer].allocated {
            self.fail(|| format!("buffer {buffer} was freed twice"));
        }
        if let Some(holder) = self.oracle.holder_of(buffer) {
            self.fail(|| format!("buffer {buffer} was freed while process {holder} held it"));
        }
        self.buffers[buffer].allocated = false;
    }

    /// What fsck looks at: every buffer is free, held, queued exactly as recorded. True whenever nobody is inside an operation and
    /// the dead have been recovered; `strangers` are participants that died since and still count.
    pub(crate) fn fsck(&mut self) {
        let mut holders = vec![0; self.buffers.len()];
        for slot in (0..SLOTS).filter(|slot| self.participants[*slot].active) {
            for (count, held) in holders.iter_mut().zip(&self.ledger[slot]) {
                *count += held.total();
            }
        }
        for entry in self.names.iter().filter(|e| e.state.1 == Phase::Live) {
            holders[entry.ring] += 1;
        }
        let mut findings = Vec::new();
        for entry in self.names.iter().filter(|e| e.state.1 == Phase::Live && e.name == MAILBOX) {
            let owner = &self.participants[entry.owner];
            if !owner.active || owner.epoch != entry.epoch {
                findings.push(format!("a mailbox has outlived its owner: {entry:?}"));
            }
        }
        for (id, buffer) in self.buffers.iter().enumerate() {
            let Payload::Ring(ring) = &buffer.payload else { continue };
            if !buffer.allocated || !buffer.is_ring || holders[id] == 0 {
                continue;
            }
            for (index, slot) in ring.slots.iter().enumerate() {
                match slot.state {
                    SlotState::Ready(id) => holders[id] += 1,
                    SlotState::Taken { owner, .. } | SlotState::Removed { owner, .. } => {
                        findings.push(format!(
                            "slot {index} of ring {} is {:?} by {owner}",
                            ring.uid, slot.state
                        ));
                    }
                    SlotState::Free => {}
                }
            }
            for (index, lease) in ring.leases.iter().enumerate() {
                let broken = match lease.word {
                    LeaseWord::Pending(id) => {
                        holders[id] += 1;
                        false
                    }
                    LeaseWord::Leased { owner, id } => {
                        !self.participants[owner].active
                            || (self.rules.has(crate::rules::Rule::HoldWhileLeased)
                                && self.ledger[owner][id].own == 0)
                    }
                    LeaseWord::Reserved(_) => true,
                    LeaseWord::Free => false,
                };
                if broken {
                    findings.push(format!("lease {index} of ring {} is {:?}", ring.uid, lease.word));
                }
            }
            let pending = ring.leases.iter().filter(|l| matches!(l.word, LeaseWord::Pending(_))).count();
            let ready = ring.slots.iter().filter(|s| matches!(s.state, SlotState::Ready(_))).count();
            let leased = ring.leases.iter().filter(|l| matches!(l.word, LeaseWord::Leased { .. })).count();
            let published = self.oracle.queues[ring.uid].publications.len() as i64;
            let left = published - ring.settled;
            if ring.options.at_least_once
                && ring.state != RingState::Destroyed
                && left != (ready + pending + leased) as i64
            {
                findings.push(format!(
                    "ring {} counts {} of {published} over, {ready} are there, {pending} pending, {leased} leased",
                    ring.uid, ring.settled
                ));
            }
            if ring.pending != pending as i32 {
                findings.push(format!("ring {} counts {} pending of {pending}", ring.uid, ring.pending));
            }
        }
        for (id, (buffer, held)) in self.buffers.iter().zip(&holders).enumerate() {
            if buffer.allocated != (*held > 0) || (buffer.allocated && buffer.refs != *held) {
                findings.push(format!(
                    "buffer {id} is {}, counts {} references and has {held}",
                    if buffer.allocated { "allocated" } else { "free" },
                    buffer.refs
                ));
            }
        }
        if let Some(finding) = findings.into_iter().next() {
            self.fail(|| format!("fsck: {finding}"));
        }
    }
}
