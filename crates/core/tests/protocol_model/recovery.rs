//! Repairing a death: see `recovery/mod.rs` and `recovery/recount.rs`.

use crate::ring::End;
use crate::rules::Rule;
use crate::sim::Cpu;
use crate::world::{ENTRIES, LeaseWord, LedgerEntry, Payload, Phase, RingState, SLOTS, Slot, SlotState};

/// Looks for dead participants and recovers them.
pub(crate) async fn sweep(cpu: &Cpu) {
    let locks = cpu.rules().has(Rule::OneRecoverer);
    if locks && !cpu.try_lock(|k| &mut k.recovery).await {
        return;
    }
    cpu.tell().await;
    let mut dead = Vec::new();
    for slot in 0..SLOTS {
        if cpu.step(|w| w.participants[slot].active).await && find_dead(cpu, slot).await {
            dead.push(slot);
        }
    }
    // A recoverer may have died after it had freed the slots of its dead.
    if cpu.rules().has(Rule::AbandonedIsAnnounced) && cpu.step(|w| w.recovering).await != 0 {
        cpu.announce_departures().await;
    }
    let mut recovered = false;
    if !dead.is_empty() {
        let token = cpu.process as u64 + 1;
        cpu.step(|w| w.recovering = token).await;
        if !cpu.rules().has(Rule::QuiesceFirst) || quiesce(cpu, &mut dead).await {
            recover(cpu, &dead).await;
            recovered = true;
        }
    }
    cpu.step(|w| w.recovering = 0).await;
    if recovered && !cpu.rules().has(Rule::AnnouncedWhileRaised) {
        cpu.announce_departures().await;
    }
    if locks {
        cpu.now(|w| w.check_watches());
    }
    for slot in dead {
        cpu.unlock(|k| &mut k.life[slot]).await;
    }
    if locks {
        cpu.unlock(|k| &mut k.recovery).await;
    }
}

/// Takes the life lock of `slot` if its tenant is dead.
async fn find_dead(cpu: &Cpu, slot: usize) -> bool {
    let epoch = cpu.step(|w| w.participants[slot].epoch).await;
    if !cpu.try_lock(|k| &mut k.life[slot]).await {
        return false;
    }
    let same = cpu.step(|w| w.participants[slot].active).await
        && cpu.step(|w| w.participants[slot].epoch).await == epoch;
    if !same {
        cpu.unlock(|k| &mut k.life[slot]).await;
    }
    same
}

/// Waits until all the living are outside; who dies inside meanwhile joins the dead. `false`: somebody stays inside.
async fn quiesce(cpu: &Cpu, dead: &mut Vec<usize>) -> bool {
    let patience = 1 + cpu.random().below(60);
    let mut settled = [false; SLOTS];
    for _ in 0..patience {
        let mut inside = None;
        for (slot, settled) in settled.iter_mut().enumerate() {
            if *settled || dead.contains(&slot) || !cpu.step(|w| w.participants[slot].active).await {
                continue;
            }
            *settled = cpu.step(|w| w.participants[slot].lanes).await == 0;
            if !*settled {
                inside = Some(slot);
            }
        }
        let Some(slot) = inside else { return true };
        if find_dead(cpu, slot).await {
            dead.push(slot);
        }
    }
    false
}

async fn recover(cpu: &Cpu, dead: &[usize]) {
    cpu.say(|| format!("recovers slots {dead:?}"));
    if !cpu.rules().has(Rule::VacateLast) {
        vacate(cpu, dead).await;
    }
    // How many messages are lost with the dead. `refs` tells that an entry is one too many, not whose: a guess where several die at once
    // or a buffer is shared. And a recoverer that dies at counting takes a part of the count along.
    let expected = cpu.now(|w| {
        let mut attempted = false;
        for slot in dead {
            let process = w.oracle.tenants[*slot];
            attempted |= std::mem::replace(&mut w.oracle.processes[process].attempted, true);
        }
        let &[slot] = dead else { return None };
        let is_shared = w.oracle.shared.iter().any(|id| w.ledger[slot][*id].total() > 0);
        (!attempted && !is_shared).then(|| w.oracle.custody(w.oracle.tenants[slot]))
    });
    let holders = vec![0; cpu.now(|w| w.buffers.len())];
    let mut recount = Recount { cpu, dead, uncounted: holders.clone(), holders, lost: 0, taken: 0 };
    recount.ledgers().await;
    recount.names().await;
    recount.rings().await;
    recount.forget_dead().await;
    recount.free_unheld().await;
    let mut copied = 0;
    for slot in dead {
        copied += cpu.step(|w| w.participants[*slot].copies).await;
    }
    // A process does one thing at a time: slots that it has taken to copy them are among what it says it copies.
    let lost = recount.lost + recount.taken.max(copied);
    if cpu.rules().has(Rule::VacateLast) {
        vacate(cpu, dead).await;
    }
    if cpu.rules().has(Rule::AnnouncedWhileRaised) {
        cpu.announce_departures().await;
    }
    cpu.now(|w| {
        // The queue may have been destroyed meanwhile: then nobody misses the message any more.
        if expected.is_some_and(|expected| expected != lost)
            && w.oracle.custody(w.oracle.tenants[dead[0]]) != lost
        {
            w.fail(|| format!("{expected:?} messages are lost with {dead:?}, {lost} are reported"));
        }
        w.oracle.totals.recoveries += 1;
        w.fsck();
    });
    cpu.say(|| "has recovered".to_owned());
}

async fn vacate(cpu: &Cpu, dead: &[usize]) {
    for slot in dead {
        cpu.step(|w| (w.participants[*slot].lanes, w.participants[*slot].copies) = (0, 0)).await;
        cpu.step(|w| w.participants[*slot].active = false).await;
    }
}

pub(crate) struct Recount<'a> {
    pub(crate) cpu: &'a Cpu,
    dead: &'a [usize],
    holders: Vec<i32>,
    /// References that are neither in `holders` nor in a ledger, less those that are in both.
    uncounted: Vec<i32>,
    lost: i32,
    /// Slots of at-most-once queues that the dead had taken and not counted anywhere.
    taken: i32,
}

impl Recount<'_> {
    pub(crate) fn is_dead(&self, slot: usize) -> bool {
        self.dead.contains(&slot)
    }

    /// Counts what the living hold.
    async fn ledgers(&mut self) {
        for slot in (0..SLOTS).filter(|slot| !self.dead.contains(slot)) {
            let row = self.cpu.step(|w| {
                let counts = w.participants[slot].active
                    && (w.rules.has(Rule::DyingStillHolds) || w.kernel.life[slot].is_some());
                counts.then(|| w.ledger[slot].clone())
            });
            for (count, held) in self.holders.iter_mut().zip(row.await.unwrap_or_default()) {
                *count += held.total();
            }
        }
    }

    /// Counts the name table's references; removes entries of dead creators and of queues destroyed half-way.
    async fn names(&mut self) {
        for index in 0..ENTRIES {
            let entry = self.cpu.step(|w| w.names[index]).await;
            if entry.state.1 == Phase::Claimed && self.is_dead(entry.owner) {
                self.cpu.step(|w| w.names[index].state = (entry.state.0 + 1, Phase::Free)).await;
            }
            if entry.state.1 != Phase::Live {
                continue;
            }
            if self.cpu.rules().has(Rule::MailboxEndsWithOwner) && self.is_orphan(&entry).await {
                self.end_mailbox(entry.ring).await;
            }
            let state = self.cpu.step(|w| w.ring(entry.ring).map(|r| r.state)).await;
            if state.is_some_and(|state| state != RingState::Destroyed) {
                self.holders[entry.ring] += i32::from(self.cpu.rules().has(Rule::NameTableHolds));
            } else {
                self.cpu.step(|w| w.names[index].state = (entry.state.0 + 1, Phase::Free)).await;
            }
        }
    }

    /// Counts the messages in rings; finishes what dead takers began.
    async fn rings(&mut self) {
        for buffer in 0..self.holders.len() {
            if self.holders[buffer] == 0 {
                continue;
            }
            let found = self.cpu.step(|w| {
                let b = &w.buffers[buffer];
                match &b.payload {
                    Payload::Ring(r) if b.allocated && b.is_ring => Some((r.uid, r.options, r.state)),
                    _ => None,
                }
            });
            if let Some((uid, options, state)) = found.await {
                let end = End { name: 0, buffer, uid, options, listed: (0, 0) };
                self.ring(&end, state == RingState::Destroyed).await;
            }
        }
    }

    async fn ring(&mut self, end: &End, destroyed: bool) {
        self.leases(end, destroyed).await;
        for index in 0..end.options.capacity {
            let slot = self.cpu.ring(end, |r, _| r.slots[index]).await;
            let free = Slot { lap: slot.lap + 1, state: SlotState::Free };
            match slot.state {
                SlotState::Ready(id) if !destroyed => self.holders[id] += 1,
                SlotState::Ready(_) => self.cpu.ring(end, |r, _| r.slots[index] = free).await,
                SlotState::Removed { owner, id } if self.is_dead(owner) => {
                    if !destroyed {
                        let held = self.cpu.step(|w| w.ledger[owner][id].total() > 0).await;
                        self.uncounted[id] += i32::from(!held);
                    }
                    self.cpu.ring(end, |r, _| r.slots[index] = free).await;
                }
                SlotState::Taken { owner, id } if self.is_dead(owner) => {
                    let position = slot.lap * end.options.capacity as u64 + index as u64;
                    if end.options.at_least_once && !destroyed {
                        self.deliver_again(end, owner, position, id).await;
                    }
                    if !end.options.at_least_once && !destroyed {
                        let counted = self.cpu.step(|w| w.ledger[owner][id].received > 0).await;
                        self.taken += i32::from(!counted);
                        self.uncounted[id] += i32::from(!counted);
                    }
                    if self.cpu.rules().has(Rule::RollForward) {
                        self.cpu.ring(end, |r, _| r.slots[index] = free).await;
                    }
                }
                SlotState::Taken { id, .. } | SlotState::Removed { id, .. } => self.holders[id] += 1,
                SlotState::Free => {}
            }
        }
        for entry in 0..self.cpu.ring(end, |r, _| r.leases.len()).await {
            let word = self.cpu.ring(end, |r, _| r.leases[entry].word).await;
            if matches!(word, LeaseWord::Reserved(owner) if self.is_dead(owner)) {
                self.cpu.ring(end, |r, _| r.leases[entry].word = LeaseWord::Free).await;
            }
        }
        self.cpu
            .ring(end, |r, oracle| {
                let pending = |lease: &&crate::world::Lease| matches!(lease.word, LeaseWord::Pending(_));
                let leased = |lease: &&crate::world::Lease| matches!(lease.word, LeaseWord::Leased { .. });
                let ready = r.slots.iter().filter(|slot| matches!(slot.state, SlotState::Ready(_))).count();
                r.pending = r.leases.iter().filter(pending).count() as i32;
                let left = ready + r.pending as usize + r.leases.iter().filter(leased).count();
                r.settled = oracle.queues[r.uid].publications.len() as i64 - left as i64;
            })
            .await;
    }

    /// Leases of the dead wait for somebody else; what waits is held by the queue.
    async fn leases(&mut self, end: &End, destroyed: bool) {
        for entry in 0..self.cpu.ring(end, |r, _| r.leases.len()).await {
            let lease = self.cpu.ring(end, |r, _| r.leases[entry]).await;
            let mut now = match lease.word {
                LeaseWord::Leased { owner, id } if self.is_dead(owner) => {
                    let held = self.cpu.step(|w| w.ledger[owner][id].own > 0).await;
                    self.uncounted[id] -= i32::from(held);
                    LeaseWord::Pending(id)
                }
                other => other,
            };
            if let LeaseWord::Pending(id) = now {
                if destroyed {
                    now = LeaseWord::Free;
                } else {
                    self.holders[id] += 1;
                }
            }
            if now != lease.word {
                self.cpu.ring(end, |r, _| r.leases[entry].word = now).await;
            }
        }
    }

    /// Sees to it that the message of a dead taker is delivered.
    async fn deliver_again(&mut self, end: &End, owner: usize, position: u64, id: usize) {
        let rules = self.cpu.rules();
        let leases = self.cpu.ring(end, |r, _| r.leases.clone()).await;
        let is_leased =
            leases.iter().any(|lease| lease.word == LeaseWord::Pending(id) && lease.position == position);
        if (is_leased && rules.has(Rule::LeaseOutranksSlot)) || !rules.has(Rule::ReservationBecomesMessage) {
            return;
        }
        // Another thread of the dead may have reserved one, too.
        let is_reserved = |lease: &crate::world::Lease| {
            lease.word == LeaseWord::Reserved(owner) || (is_leased && lease.word == LeaseWord::Free)
        };
        let reserved = leases.iter().position(is_reserved);
        if let Some(entry) = reserved {
            self.cpu.ring(end, |r, _| r.leases[entry].position = position).await;
            self.cpu.ring(end, |r, _| r.leases[entry].deliveries = 0).await;
            self.cpu
                .ring(end, |r, oracle| {
                    r.leases[entry].word = LeaseWord::Pending(id);
                    oracle.queues[end.uid].publications[position as usize].holder = None;
                })
                .await;
            self.holders[id] += 1;
            self.cpu.say(|| format!("{position} of ring {} is pending", end.uid));
        }
    }

    /// Frees what nobody holds and sets every other count right.
    async fn free_unheld(&mut self) {
        for id in 0..self.holders.len() {
            let count = self.holders[id];
            let allocated = self.cpu.step(|w| w.buffers[id].allocated).await;
            if allocated {
                self.cpu.step(|w| w.buffers[id].refs = count).await;
                if count == 0 {
                    self.cpu.step(|w| w.free(id)).await;
                }
            }
        }
    }

    /// Clears the ledgers of the dead and counts what they had received as lost.
    async fn forget_dead(&mut self) {
        for id in 0..self.holders.len() {
            let rows = self.cpu.step(|w| {
                let rows: Vec<_> = self.dead.iter().map(|slot| w.ledger[*slot][id]).collect();
                (rows, w.buffers[id].refs)
            });
            let (rows, refs) = rows.await;
            let in_rows: i32 = rows.iter().map(|held| held.total()).sum();
            if in_rows == 0 {
                continue;
            }
            // Who died between publishing a message and striking it out has handed it on: an entry too many.
            let mut stale = (self.holders[id] + in_rows + self.uncounted[id] - refs).max(0);
            for (slot, held) in self.dead.iter().zip(rows) {
                let handed_on = stale.min(held.received);
                stale -= handed_on;
                self.lost += held.received - handed_on;
                self.cpu.step(|w| w.ledger[*slot][id] = LedgerEntry::default()).await;
            }
        }
    }
}
