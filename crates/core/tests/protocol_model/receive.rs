//! Receiving, and ending leases: see `queue/receive.rs`, `queue/take.rs`, `queue/lease/`, `queue/settle.rs`.

use crate::app::{DEAD_LETTERS, Message};
use crate::ring::End;
use crate::rules::Rule;
use crate::send::Item;
use crate::sim::Cpu;
use crate::world::{LeaseWord, Options, Overflow, RingState, SlotState};

/// How a receive ended that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    Empty,
    Closed,
    Destroyed,
}

/// A lease: where to acknowledge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) end: End,
    pub(crate) entry: usize,
}

impl Cpu {
    /// Takes up to `count` messages.
    pub(crate) async fn receive(&self, end: &End, count: usize) -> Result<Vec<Message>, Nothing> {
        loop {
            let since = self.shared.turns.get();
            self.pin().await;
            let state = self.ring(end, |r, _| r.state).await;
            if state == RingState::Destroyed {
                self.unpin().await;
                return Err(Nothing::Destroyed);
            }
            let taken = if end.options.at_least_once {
                self.lease(end, count).await
            } else {
                self.take(end, count).await
            };
            let nothing = taken.is_empty();
            let looks_again = self.rules().has(Rule::DeadLettersLookAgain);
            let ended = state == RingState::Closed
                && (nothing || !looks_again)
                && !(self.rules().has(Rule::ReadyIsNotTheEnd) && self.front(end).await.is_some())
                && !self.others_hold(end).await;
            let known = self.now(|w| w.oracle.ended(end.uid, self.process, since));
            self.unpin().await;
            let messages = self.dead_letter(end, taken).await;
            if !messages.is_empty() {
                messages.iter().for_each(|message| self.deliver(end, message));
                return Ok(messages);
            }
            if ended {
                self.check(known);
                return Err(Nothing::Closed);
            }
            if nothing || !looks_again {
                return Err(Nothing::Empty);
            }
        }
    }

    /// The message is the application's now.
    fn deliver(&self, end: &End, message: &Message) {
        self.say(|| {
            format!("receives {} of ring {} for the {}. time", message.position, end.uid, message.attempt)
        });
        let result = self.now(|w| {
            w.oracle.processes[self.process].in_hand.push(message.item.id);
            let content = w.content(message.item.id);
            w.oracle.delivered(end.uid, message.position, self.process, message.attempt, content)
        });
        self.check(result);
    }

    /// A reference to the next message, which stays in the queue.
    pub(crate) async fn peek(&self, end: &End) -> Option<Message> {
        self.pin().await;
        let mut peeked = None;
        while let Some((position, slot)) = self.front_slot(end).await {
            let SlotState::Ready(id) = slot.state else { break };
            let content = self.now(|w| w.oracle.queues[end.uid].publications[position as usize].content);
            if !self.try_ref(id).await {
                continue;
            }
            self.now(|w| w.oracle.shared.insert(id));
            self.ledger_add(self.me(), id, false).await;
            if !self.rules().has(Rule::PeekLooksAgain)
                || self.ring(end, |r, _| *r.slot(position) == slot).await
            {
                self.say(|| format!("peeks at {position} of ring {}", end.uid));
                let item = Item { id, received: false, content };
                peeked = Some(Message { item, position, attempt: 0, lease: None });
                break;
            }
            self.release(id, false).await;
        }
        self.unpin().await;
        peeked
    }

    fn message(&self, end: &End, id: usize, position: u64, attempt: u32, entry: Option<usize>) -> Message {
        let content = self.now(|w| w.oracle.queues[end.uid].publications[position as usize].content);
        let lease = entry.map(|entry| Lease { end: *end, entry });
        Message { item: Item { id, received: !end.options.at_least_once, content }, position, attempt, lease }
    }

    async fn take(&self, end: &End, count: usize) -> Vec<Message> {
        let mut head = self.ring(end, |r, _| r.head).await;
        let mut messages = Vec::new();
        for _ in 0..count {
            let Some(taken) = self.pop(end, &mut head).await else { break };
            let late = !self.rules().has(Rule::AddBeforeRecycle);
            if late {
                self.recycle(end, taken).await;
            }
            self.ledger_add(self.me(), taken.id, true).await;
            self.now(|w| w.oracle.processes[self.process].in_ledger(taken.id, end.uid));
            if !late {
                self.recycle(end, taken).await;
            }
            messages.push(self.message(end, taken.id, taken.position, 1, None));
        }
        self.help_head(end, head).await;
        messages
    }

    async fn lease(&self, end: &End, count: usize) -> Vec<Message> {
        let me = self.me();
        let mut head = self.ring(end, |r, _| r.head).await;
        let mut messages = Vec::new();
        for _ in 0..count {
            if let Some(message) = self.retake(end).await {
                messages.push(message);
                continue;
            }
            let mut entry = None;
            if self.rules().has(Rule::ReserveFirst) {
                entry = self.reserve(end).await;
                if entry.is_none() {
                    break;
                }
            }
            let Some(taken) = self.pop(end, &mut head).await else {
                if let Some(entry) = entry {
                    self.ring(end, |r, _| r.leases[entry].word = LeaseWord::Free).await;
                }
                break;
            };
            let result = self.now(|w| w.oracle.leased(end.uid, taken.position, self.process));
            self.check(result);
            if !self.rules().has(Rule::ReserveFirst) {
                entry = self.reserve(end).await;
            }
            let early = !self.rules().has(Rule::AddBeforeRecycle);
            if early {
                self.recycle(end, taken).await;
            }
            if let Some(entry) = entry {
                self.ring(end, |r, _| r.leases[entry].position = taken.position).await;
                self.ring(end, |r, _| r.leases[entry].deliveries = 1).await;
                let leased = LeaseWord::Leased { owner: me, id: taken.id };
                self.ring(end, |r, _| r.leases[entry].word = leased).await;
            }
            self.ledger_add(me, taken.id, false).await;
            if !early {
                self.recycle(end, taken).await;
            }
            messages.push(self.message(end, taken.id, taken.position, 1, entry));
        }
        self.help_head(end, head).await;
        messages
    }

    async fn reserve(&self, end: &End) -> Option<usize> {
        let owner = self.me();
        let from = self.random().below(end.options.capacity);
        for step in 0..end.options.capacity {
            let entry = (from + step) % end.options.capacity;
            if self.ring(end, |r, _| r.leases[entry].word).await == LeaseWord::Free
                && self
                    .ring(end, |r, _| r.cas_lease(entry, LeaseWord::Free, LeaseWord::Reserved(owner)))
                    .await
            {
                return Some(entry);
            }
        }
        None
    }

    /// Leases the pending message of the lowest position.
    async fn retake(&self, end: &End) -> Option<Message> {
        let owner = self.me();
        while self.ring(end, |r, _| r.pending).await != 0 {
            let mut lowest: Option<(u64, usize)> = None;
            for entry in 0..end.options.capacity {
                if matches!(self.ring(end, |r, _| r.leases[entry].word).await, LeaseWord::Pending(_)) {
                    let position = self.ring(end, |r, _| r.leases[entry].position).await;
                    if lowest.is_none_or(|(low, _)| position < low) {
                        lowest = Some((position, entry));
                    }
                }
            }
            let (_, entry) = lowest?;
            let seen = self.ring(end, |r, _| r.leases[entry].word).await;
            let LeaseWord::Pending(id) = seen else { continue };
            let leased = LeaseWord::Leased { owner, id };
            let retaken = self
                .ring(end, |r, oracle| {
                    let position = r.leases[entry].position;
                    r.cas_lease(entry, seen, leased).then(|| oracle.leased(end.uid, position, self.process))
                })
                .await;
            let Some(result) = retaken else { continue };
            self.check(result);
            self.ring(end, |r, _| r.pending -= 1).await;
            let (position, attempt) = self
                .ring(end, |r, _| {
                    r.leases[entry].deliveries += 1;
                    (r.leases[entry].position, r.leases[entry].deliveries)
                })
                .await;
            self.ledger_add(owner, id, false).await;
            return Some(self.message(end, id, position, attempt, Some(entry)));
        }
        None
    }

    /// Whether a closed queue may yet bring something: what others have leased, what waits to be delivered again.
    async fn others_hold(&self, end: &End) -> bool {
        for entry in 0..self.ring(end, |r, _| r.leases.len()).await {
            let holds = match self.ring(end, |r, _| r.leases[entry].word).await {
                LeaseWord::Leased { owner, .. } | LeaseWord::Reserved(owner) => owner != self.me(),
                LeaseWord::Pending(_) => self.rules().has(Rule::PendingIsNotTheEnd),
                LeaseWord::Free => false,
            };
            if holds {
                return true;
            }
        }
        false
    }

    /// Ends a lease for good.
    pub(crate) async fn ack(&self, lease: &Lease, message: &Message) -> bool {
        self.pin().await;
        let leased = LeaseWord::Leased { owner: self.me(), id: message.item.id };
        self.say(|| format!("will acknowledge {message:?}"));
        let done = self
            .ring(&lease.end, |r, oracle| {
                let done = r.cas_lease(lease.entry, leased, LeaseWord::Free);
                if done {
                    let queue = &mut oracle.queues[lease.end.uid];
                    queue.publications[message.position as usize].acked = true;
                }
                done
            })
            .await;
        if done {
            self.over(&lease.end).await;
        }
        self.unpin().await;
        done
    }

    /// Ends a lease; the message will be delivered again. `false`: the queue is no more.
    pub(crate) async fn nack(&self, lease: &Lease, message: &Message) -> bool {
        let (end, id) = (&lease.end, message.item.id);
        self.pin().await;
        if self.ring(end, |r, _| r.state).await == RingState::Destroyed {
            self.unpin().await;
            return false;
        }
        let leased = LeaseWord::Leased { owner: self.me(), id };
        self.put_down(message);
        self.say(|| format!("will give back {message:?}"));
        let done = self
            .ring(end, |r, oracle| {
                let done = r.cas_lease(lease.entry, leased, LeaseWord::Pending(id));
                if done {
                    let message = &mut oracle.queues[end.uid].publications[message.position as usize];
                    message.holder = None;
                    message.given_back = Some((self.process, self.shared.turns.get()));
                }
                done
            })
            .await;
        if done {
            self.ring(end, |r, _| r.pending += 1).await;
            self.ledger_remove(self.me(), id, false).await;
            if self.rules().has(Rule::NackLooksAgain)
                && self.ring(end, |r, _| r.state).await == RingState::Destroyed
            {
                while self.drop_pending(end).await {}
            }
        } else {
            self.now(|w| {
                w.fail(|| format!("process {} does not have the lease it got: {message:?}", self.process))
            });
        }
        self.unpin().await;
        done
    }

    /// Takes a pending message out of a destroyed queue. The caller has pinned.
    pub(crate) async fn drop_pending(&self, end: &End) -> bool {
        for entry in 0..self.ring(end, |r, _| r.leases.len()).await {
            let word = self.ring(end, |r, _| r.leases[entry].word).await;
            if let LeaseWord::Pending(id) = word
                && self.ring(end, |r, _| r.cas_lease(entry, word, LeaseWord::Free)).await
            {
                self.ring(end, |r, oracle| {
                    r.pending -= 1;
                    let position = r.leases[entry].position as usize;
                    oracle.queues[end.uid].publications[position].withdrawn_by = Some(self.process);
                })
                .await;
                self.over(end).await;
                self.unref(id).await;
                return true;
            }
        }
        false
    }

    /// Moves messages that were delivered too often to the dead letters.
    async fn dead_letter(&self, end: &End, messages: Vec<Message>) -> Vec<Message> {
        let mut kept = Vec::new();
        for message in messages {
            let limit = end.options.max_deliveries;
            if limit == 0 || message.attempt <= limit || !self.dead_letter_one(&message).await {
                kept.push(message);
            }
        }
        kept
    }

    async fn dead_letter_one(&self, message: &Message) -> bool {
        let options = Options {
            capacity: 1,
            limit: 0,
            at_least_once: false,
            max_deliveries: 0,
            overflow: Overflow::Block,
        };
        let Some(end) = self.attach_or_create(DEAD_LETTERS, options).await else { return false };
        let dead_lettered = self.send_leased(&end, message).await;
        if dead_lettered {
            self.now(|w| w.oracle.totals.dead_lettered += 1);
        }
        self.detach(&end).await;
        dead_lettered
    }

    /// Moves a leased message into another queue, which ends the lease.
    pub(crate) async fn send_leased(&self, end: &End, message: &Message) -> bool {
        let Some(lease) = &message.lease else { return self.send(end, &[message.item]).await == 1 };
        if !self.rules().has(Rule::HoldWhileLeased) {
            let sent = self.send(end, &[message.item]).await == 1;
            if sent {
                self.ack(lease, message).await;
            }
            return sent;
        }
        self.pin().await;
        self.share(message.item.id).await;
        self.unpin().await;
        let sent = self.send(end, &[message.item]).await == 1;
        if sent {
            self.ack(lease, message).await;
        }
        self.pin().await;
        // Sent: the leased reference, which has served. Not sent: the share.
        self.release(message.item.id, false).await;
        self.unpin().await;
        sent
    }
}
