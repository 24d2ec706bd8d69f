//! Messages that are copied in and out: see `put` in `queue/put.rs` and `get` in `queue/receive.rs`. No ledger is written.

use crate::receive::Nothing;
use crate::ring::{End, Taken};
use crate::rules::Rule;
use crate::send::Item;
use crate::sim::Cpu;
use crate::world::{Overflow, RingState};

impl Cpu {
    /// Copies up to `count` new messages into the queue, each into a buffer of its own; returns how many.
    pub(crate) async fn put_copies(&self, end: &End, count: usize) -> usize {
        self.pin().await;
        let ids = self.claim(count).await;
        self.say(|| format!("claimed {ids:?}"));
        if !self.rules().has(Rule::PutUnderOnePin) {
            self.unpin().await;
            self.pin().await;
        }
        let done = self.publish_fresh(end, &ids).await;
        self.unpin().await;
        done
    }

    async fn publish_fresh(&self, end: &End, ids: &[usize]) -> usize {
        let (mut placed, mut prepared, mut accepted, mut back) = (Vec::new(), 0, 0, 0);
        if self.ring(end, |r, _| r.state).await == RingState::Open {
            let mut tail = self.ring(end, |r, _| r.tail).await;
            for id in ids.iter().copied() {
                self.prepare(id).await;
                prepared += 1;
                let item = Item { id, received: false, content: self.write(id).await };
                match self.push_by_policy(end, &mut tail, &item).await {
                    Some(at) => placed.push((at, id)),
                    None if end.options.overflow == Overflow::DropNewest => self.unref(id).await,
                    None => break,
                }
                accepted += 1;
            }
            self.help_tail(end, tail).await;
            if self.rules().has(Rule::SenderLooksAgain)
                && self.ring(end, |r, _| r.state).await != RingState::Open
            {
                back = self.take_back(end, &placed).await;
            }
            self.settle(end, placed.into_iter().map(|(at, _)| at));
        }
        // What the queue did not take.
        for (at, id) in ids.iter().copied().enumerate().skip(accepted) {
            if at < prepared && self.rules().has(Rule::UnrefPrepared) {
                self.unref(id).await;
            } else {
                self.step(|w| w.free(id)).await;
            }
        }
        accepted - back
    }

    /// Takes back what nobody has taken, last first; nobody holds it, so it is free then.
    async fn take_back(&self, end: &End, placed: &[(u64, usize)]) -> usize {
        let mut back = 0;
        for (position, id) in placed.iter().copied().rev() {
            let Some(taken) = self.retract_at(end, position, id).await else { break };
            back += 1;
            self.discard(end, taken).await;
        }
        if end.options.overflow == Overflow::DropNewest { 0 } else { back }
    }

    /// Takes up to `count` messages of an at-most-once queue, copies them, and frees them; returns how many.
    pub(crate) async fn get_copies(&self, end: &End, count: usize) -> Result<usize, Nothing> {
        let since = self.shared.turns.get();
        self.pin().await;
        let state = self.ring(end, |r, _| r.state).await;
        if state == RingState::Destroyed {
            self.unpin().await;
            return Err(Nothing::Destroyed);
        }
        let mut head = self.ring(end, |r, _| r.head).await;
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(one) = self.pop(end, &mut head).await
        {
            taken.push(one);
        }
        self.help_head(end, head).await;
        let (me, count) = (self.me(), taken.len() as i32);
        if self.rules().has(Rule::CopiesAreTold) {
            self.step(|w| {
                w.participants[me].copies += count;
                for one in &taken {
                    w.oracle.processes[self.process].in_ledger(one.id, end.uid);
                }
            })
            .await;
        }
        let mut copies = Vec::new();
        let mut over = Vec::new();
        for one in &taken {
            copies.push((one.position, self.copy_out(end, *one).await));
            over.push(one.id);
        }
        if !over.is_empty() {
            self.unref_all(&over).await;
        }
        let ended = taken.is_empty() && state == RingState::Closed && self.front(end).await.is_none();
        let known = self.now(|w| w.oracle.ended(end.uid, self.process, since));
        // Until here they count as lost with us: the application has not got them.
        if self.rules().has(Rule::CopiesAreTold) {
            self.step(|w| {
                w.participants[me].copies -= count;
                for one in &taken {
                    w.oracle.processes[self.process].discharge(one.id, None);
                }
            })
            .await;
        }
        self.unpin().await;
        for (position, content) in &copies {
            self.say(|| format!("gets {position} of ring {}", end.uid));
            let result = self.now(|w| w.oracle.delivered(end.uid, *position, self.process, 1, *content));
            self.check(result);
        }
        if ended {
            self.check(known);
            return Err(Nothing::Closed);
        }
        if copies.is_empty() { Err(Nothing::Empty) } else { Ok(copies.len()) }
    }

    /// Copies a taken message and frees its slot.
    async fn copy_out(&self, end: &End, taken: Taken) -> Option<u64> {
        let copy = self.step(|w| w.content(taken.id)).await;
        self.recycle(end, taken).await;
        copy
    }
}
