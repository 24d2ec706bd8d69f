//! The ring, step by step: see `queue/ring.rs`.

use crate::oracle::Oracle;
use crate::rules::Rule;
use crate::send::Item;
use crate::sim::Cpu;
use crate::world::{Options, Payload, Ring, Slot, SlotState};
use std::cmp::Ordering;

/// Far beyond what contention produces.
const TRIES: usize = 400;

/// A process's end of a queue; it has a reference to the ring's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) name: usize,
    pub(crate) buffer: usize,
    /// Which ring it was when we attached.
    pub(crate) uid: usize,
    pub(crate) options: Options,
    /// Entry and generation in the name table.
    pub(crate) listed: (usize, u64),
}

/// A message taken from its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) position: u64,
    pub(crate) id: usize,
    lap: u64,
}

impl Cpu {
    /// One step on the ring of `end`, which must still be there.
    pub(crate) async fn ring<T>(&self, end: &End, f: impl FnOnce(&mut Ring, &mut Oracle) -> T) -> T {
        let done = self
            .step(|w| {
                let allocated = w.buffers[end.buffer].allocated;
                match &mut w.buffers[end.buffer].payload {
                    Payload::Ring(ring) if allocated && ring.uid == end.uid => Some(f(ring, &mut w.oracle)),
                    other => {
                        let now = format!("{other:?}");
                        w.fail(|| format!("ring {} in buffer {} is gone: {now}", end.uid, end.buffer));
                        None
                    }
                }
            })
            .await;
        match done {
            Some(value) => value,
            // The run ends with this violation.
            None => std::future::pending().await,
        }
    }

    async fn look(&self, end: &End, position: u64) -> (Slot, Ordering) {
        self.ring(end, |r, _| {
            let lap = r.lap(position);
            let slot = *r.slot(position);
            (slot, slot.lap.cmp(&lap))
        })
        .await
    }

    /// Publishes `item` at the first free position.
    pub(crate) async fn push(&self, end: &End, position: &mut u64, item: &Item) -> Option<u64> {
        let Item { id, received, content } = *item;
        let mut counted = None;
        if !self.rules().has(Rule::LimitByPosition) {
            // As many as there are before we know where ours goes.
            let slots = self.ring(end, |r, _| r.slots.clone()).await;
            counted = Some(slots.iter().filter(|s| matches!(s.state, SlotState::Ready(_))).count() as u64);
        }
        for _ in 0..TRIES {
            let at = *position;
            let (seen, ahead) = self.look(end, at).await;
            match (ahead, seen.state) {
                (Ordering::Equal, SlotState::Free) if !self.is_within(end, at, counted).await => return None,
                (Ordering::Equal, SlotState::Free) => {
                    let ready = Slot { state: SlotState::Ready(id), ..seen };
                    let published = self
                        .ring(end, |r, oracle| {
                            r.cas_slot(at, seen, ready).then(|| {
                                if received {
                                    oracle.processes[self.process].discharge(id, None);
                                }
                                let ready = r.slots.iter().filter(|s| matches!(s.state, SlotState::Ready(_)));
                                let (ready, limit) = (ready.count(), end.options.limit);
                                if limit > 0 && ready > limit {
                                    return Err(format!(
                                        "{ready} messages in ring {}, limit {limit}",
                                        end.uid
                                    ));
                                }
                                oracle.published(end.uid, at, content)
                            })
                        })
                        .await;
                    if let Some(result) = published {
                        self.say(|| format!("pushes buffer {id} ({content}) into ring {} at {at}", end.uid));
                        self.check(result);
                        *position = at + 1;
                        return Some(at);
                    }
                }
                (Ordering::Less, _) => return None,
                (Ordering::Equal, _) => *position = at + 1,
                (Ordering::Greater, _) if !self.rules().has(Rule::HelpPastRecycled) => return None,
                (Ordering::Greater, _) => *position = self.ring(end, |r, _| r.tail).await.max(at + 1),
            }
        }
        None
    }

    /// Whether a message at `position` keeps the limit: the one so many positions before has been taken.
    async fn is_within(&self, end: &End, position: u64, counted: Option<u64>) -> bool {
        let limit = end.options.limit as u64;
        if limit == 0 {
            return true;
        }
        let pending = self.ring(end, |r, _| r.pending.max(0) as u64).await;
        let room = limit.saturating_sub(pending);
        if room == 0 {
            return false;
        }
        if let Some(count) = counted {
            return count < room;
        }
        let Some(oldest) = position.checked_sub(room) else { return true };
        let (seen, ahead) = self.look(end, oldest).await;
        ahead == Ordering::Greater
            || matches!(seen.state, SlotState::Taken { .. } | SlotState::Removed { .. })
    }

    /// Takes the first message from `position` on.
    pub(crate) async fn pop(&self, end: &End, position: &mut u64) -> Option<Taken> {
        let owner = self.me();
        for _ in 0..TRIES {
            let at = *position;
            let (seen, ahead) = self.look(end, at).await;
            match (ahead, seen.state) {
                (Ordering::Equal, SlotState::Ready(id)) => {
                    let taken = Slot { state: SlotState::Taken { owner, id }, ..seen };
                    let popped = self
                        .ring(end, |r, oracle| {
                            r.cas_slot(at, seen, taken).then(|| {
                                if !end.options.at_least_once {
                                    oracle.processes[self.process].custody.push((id, Some(end.uid)));
                                }
                                oracle.popped(end.uid, at, self.process)
                            })
                        })
                        .await;
                    if let Some(result) = popped {
                        self.say(|| format!("pops buffer {id} from ring {} at {at}", end.uid));
                        self.check(result);
                        *position = at + 1;
                        return Some(Taken { position: at, id, lap: seen.lap });
                    }
                }
                (Ordering::Equal, SlotState::Free) | (Ordering::Less, _) => return None,
                (Ordering::Equal, _) => *position = at + 1,
                (Ordering::Greater, _) => *position = self.ring(end, |r, _| r.head).await.max(at + 1),
            }
        }
        None
    }

    /// Frees the slot of a taken message for the next lap.
    pub(crate) async fn recycle(&self, end: &End, taken: Taken) {
        let free = Slot { lap: taken.lap + 1, state: SlotState::Free };
        self.say(|| format!("will recycle {} of ring {}", taken.position, end.uid));
        self.ring(end, |r, _| *r.slot(taken.position) = free).await;
    }

    /// Takes out the message at `position` if nobody has taken it: what it was sent for, or what an overflow policy wants.
    pub(crate) async fn retract_at(&self, end: &End, position: u64, id: usize) -> Option<Taken> {
        let owner = self.me();
        let told = self.rules().has(Rule::RemovedIsTold);
        self.say(|| format!("will take out {position} of ring {}", end.uid));
        self.ring(end, |r, oracle| {
            let lap = r.lap(position);
            let from = Slot { lap, state: SlotState::Ready(id) };
            let to = if told { SlotState::Removed { owner, id } } else { SlotState::Taken { owner, id } };
            r.cas_slot(position, from, Slot { lap, state: to }).then(|| {
                let message = &mut oracle.queues[end.uid].publications[position as usize];
                message.withdrawn_by = Some(self.process);
                Taken { position, id, lap }
            })
        })
        .await
    }

    /// The position of the message that a pop would take.
    pub(crate) async fn front(&self, end: &End) -> Option<u64> {
        self.front_slot(end).await.map(|(position, _)| position)
    }

    /// The same with its slot as it was.
    pub(crate) async fn front_slot(&self, end: &End) -> Option<(u64, Slot)> {
        let mut position = self.ring(end, |r, _| r.head).await;
        for _ in 0..TRIES {
            let (seen, ahead) = self.look(end, position).await;
            match (ahead, seen.state) {
                (Ordering::Equal, SlotState::Ready(_)) => return Some((position, seen)),
                (Ordering::Equal, SlotState::Free) | (Ordering::Less, _) => return None,
                (Ordering::Equal, _) => position += 1,
                (Ordering::Greater, _) => position = self.ring(end, |r, _| r.head).await.max(position + 1),
            }
        }
        None
    }

    pub(crate) async fn help_tail(&self, end: &End, position: u64) {
        self.ring(end, |r, _| r.tail = r.tail.max(position)).await;
    }

    pub(crate) async fn help_head(&self, end: &End, position: u64) {
        self.ring(end, |r, _| r.head = r.head.max(position)).await;
    }
}
