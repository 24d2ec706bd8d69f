//! Sending: see `queue/send.rs`.

use crate::ring::{End, Taken};
use crate::rules::Rule;
use crate::sim::Cpu;
use crate::world::{Overflow, RingState};

/// A reference that the sender holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) id: usize,
    pub(crate) received: bool,
    pub(crate) content: u64,
}

impl Cpu {
    /// Moves the first `n` of `items` into the queue and answers `n`; the rest stays the caller's.
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
                    self.strike(self.me(), item.id, item.received).await;
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
                w.ghost.queues[end.uid].publications[at as usize].settled = true;
            }
        });
    }

    pub(crate) async fn push_by_policy(&self, end: &End, tail: &mut u64, item: &Item) -> Option<u64> {
        let at = self.push(end, tail, item).await;
        match end.options.overflow {
            Overflow::DropOldest if at.is_none() => {
                for _ in 0..8 {
                    self.drop_front(end).await;
                    if let Some(at) = self.push(end, tail, item).await {
                        return Some(at);
                    }
                }
                None
            }
            Overflow::Latest => {
                let at = match at {
                    None => {
                        self.drop_front(end).await;
                        self.push(end, tail, item).await?
                    }
                    Some(at) => at,
                };
                while self.front(end).await.is_some_and(|front| front < at) && self.drop_front(end).await {}
                Some(at)
            }
            _ => at,
        }
    }

    /// Drops the oldest message.
    pub(crate) async fn drop_front(&self, end: &End) -> bool {
        let mut head = self.ring(end, |r, _| r.head).await;
        let taken = self.pop(end, &mut head).await;
        if let Some(taken) = taken {
            let process = self.process;
            self.now(|w| {
                let message = &mut w.ghost.queues[end.uid].publications[taken.position as usize];
                message.withdrawn_by = Some(process);
            });
        }
        self.help_head(end, head).await;
        match taken {
            Some(taken) => {
                self.discard(end, taken).await;
                true
            }
            None => false,
        }
    }

    /// Frees the slot and drops the queue's reference.
    pub(crate) async fn discard(&self, end: &End, taken: Taken) {
        self.recycle(end, taken).await;
        self.now(|w| w.ghost.processes[self.process].discharge(taken.id, Some(end.uid)));
        self.unref(taken.id).await;
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
                self.note(self.me(), item.id, item.received).await;
                if item.received {
                    self.now(|w| w.ghost.processes[self.process].noted(item.id, end.uid));
                }
                self.recycle(end, taken).await;
                self.now(|w| w.ghost.processes[self.process].discharge(item.id, Some(end.uid)));
            }
        }
        back
    }
}
