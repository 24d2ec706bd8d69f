//! Sending: see `queue/send.rs`.

use crate::ring::{End, Taken};
use crate::rules::Rule;
use crate::sim::Cpu;
use crate::world::{Overflow, RingState, SlotState};

/// A reference that the sender holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) id: usize,
    pub(crate) received: bool,
    pub(crate) content: u64,
}

impl Cpu {
    /// Moves the first `n` of `items` into the queue and returns `n`; the rest stays the caller's.
    pub(crate) async fn send(&self, end: &End, items: &[Item]) -> usize {
        self.pin().await;
        if self.ring(end, |r, _| r.state).await != RingState::Open {
            self.unpin().await;
            return 0;
        }
        let mut tail = self.ring(end, |r, _| r.tail).await;
        let mut placed = Vec::new();
        let mut accepted = 0;
        for item in items {
            match self.push_by_policy(end, &mut tail, item).await {
                Some(at) => {
                    placed.push((at, *item));
                    self.ledger_remove(self.me(), item.id, item.received).await;
                }
                None if end.options.overflow == Overflow::DropNewest => {
                    self.release(item.id, item.received).await;
                }
                None => break,
            }
            accepted += 1;
        }
        self.help_tail(end, tail).await;
        if self.rules().has(Rule::SenderLooksAgain) && self.ring(end, |r, _| r.state).await != RingState::Open
        {
            let back = self.retract(end, &placed).await;
            if end.options.overflow != Overflow::DropNewest {
                accepted -= back;
            }
        }
        self.settle(end, placed.into_iter().map(|(at, _)| at));
        self.unpin().await;
        accepted
    }

    /// The sender is told that the messages at `positions` are in the queue.
    pub(crate) fn settle(&self, end: &End, positions: impl Iterator<Item = u64>) {
        self.now(|w| {
            for at in positions {
                w.oracle.queues[end.uid].publications[at as usize].settled = true;
            }
        });
    }

    pub(crate) async fn push_by_policy(&self, end: &End, tail: &mut u64, item: &Item) -> Option<u64> {
        let at = self.push(end, tail, item).await;
        match end.options.overflow {
            Overflow::DropOldest if at.is_none() => self.push_over(end, tail, item).await,
            Overflow::Latest => {
                let at = match at {
                    None => self.push_over(end, tail, item).await?,
                    Some(at) => at,
                };
                while self.drop_before(end, at).await {}
                Some(at)
            }
            _ => at,
        }
    }

    /// Publishes where an older message is in the way, which is dropped unless a receiver has taken it.
    async fn push_over(&self, end: &End, tail: &mut u64, item: &Item) -> Option<u64> {
        for _ in 0..8 {
            let pending = self.ring(end, |r, _| r.pending).await;
            if end.options.limit > 0 && pending > 0 {
                self.drop_pending(end).await;
            } else {
                let room = if end.options.limit > 0 { end.options.limit } else { end.options.capacity };
                if let Some(in_the_way) = tail.checked_sub(room as u64) {
                    self.drop_before(end, in_the_way + 1).await;
                }
            }
            if let Some(at) = self.push(end, tail, item).await {
                return Some(at);
            }
        }
        None
    }

    /// Drops the oldest message if its position is before `limit`; `false`: there is none such.
    pub(crate) async fn drop_before(&self, end: &End, limit: u64) -> bool {
        loop {
            let Some((mut position, mut slot)) = self.front_slot(end).await.filter(|(at, _)| *at < limit)
            else {
                return false;
            };
            if !self.rules().has(Rule::DropByPosition) {
                // Whatever is in front by now.
                let Some(now) = self.front_slot(end).await else { return false };
                (position, slot) = now;
            }
            let SlotState::Ready(id) = slot.state else { return false };
            if let Some(taken) = self.retract_at(end, position, id).await {
                if position >= limit {
                    self.now(|w| w.fail(|| format!("{position} was dropped to make room for {limit}")));
                }
                self.help_head(end, position + 1).await;
                self.discard(end, taken).await;
                return true;
            }
        }
    }

    /// Frees the slot and drops the queue's reference.
    pub(crate) async fn discard(&self, end: &End, taken: Taken) {
        self.recycle(end, taken).await;
        self.over(end).await;
        self.unref(taken.id).await;
    }

    /// Counts a message that is over, where they are counted.
    pub(crate) async fn over(&self, end: &End) {
        if end.options.at_least_once {
            self.ring(end, |r, _| r.settled += 1).await;
        }
    }

    /// Takes back what nobody has taken, last first.
    async fn retract(&self, end: &End, placed: &[(u64, Item)]) -> usize {
        let mut back = 0;
        for (position, item) in placed.iter().rev() {
            let Some(taken) = self.retract_at(end, *position, item.id).await else { break };
            back += 1;
            if end.options.overflow == Overflow::DropNewest {
                self.discard(end, taken).await;
            } else {
                self.ledger_add(self.me(), item.id, item.received).await;
                if item.received {
                    self.now(|w| w.oracle.processes[self.process].custody.push((item.id, None)));
                }
                self.recycle(end, taken).await;
                self.over(end).await;
            }
        }
        back
    }
}
