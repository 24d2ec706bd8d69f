//! Publishing to many: one buffer, n references. See `topic/publish.rs` and `queue/offer.rs`.

use crate::ring::End;
use crate::rules::Rule;
use crate::send::Item;
use crate::sim::Cpu;
use crate::world::RingState;

impl Cpu {
    /// Gives a reference to `item`, which we hold, to each of `ends` that takes it, and lets go of ours.
    pub(crate) async fn publish_to_all(&self, ends: &[End], item: &Item) {
        let counted = self.rules().has(Rule::CountBeforeGiving);
        self.now(|w| w.oracle.shared.insert(item.id));
        self.pin().await;
        let mut spare = 0;
        if counted {
            spare = ends.len() as i32;
            self.step(|w| w.buffers[item.id].refs += spare).await;
        }
        for end in ends {
            if self.offer(end, item).await {
                spare -= 1;
                if !counted {
                    self.step(|w| w.buffers[item.id].refs += 1).await;
                    spare += 1;
                }
            }
        }
        self.ledger_remove(self.me(), item.id, item.received).await;
        if item.received {
            self.now(|w| w.oracle.processes[self.process].discharge(item.id, None));
        }
        let last = self
            .step(|w| {
                w.buffers[item.id].refs -= spare + 1;
                w.buffers[item.id].refs == 0
            })
            .await;
        if last {
            self.step(|w| w.free(item.id)).await;
        }
        self.unpin().await;
    }

    /// Puts a message into a queue by its policy; its reference stays ours unless it returns `true`.
    async fn offer(&self, end: &End, item: &Item) -> bool {
        if self.ring(end, |r, _| r.state).await != RingState::Open {
            return false;
        }
        let mut tail = self.ring(end, |r, _| r.tail).await;
        // Our own reference, and what it stands for, stays ours.
        let item = Item { received: false, ..*item };
        let Some(at) = self.push_by_policy(end, &mut tail, &item).await else { return false };
        self.help_tail(end, tail).await;
        if self.rules().has(Rule::SenderLooksAgain)
            && self.ring(end, |r, _| r.state).await != RingState::Open
            && let Some(taken) = self.retract_at(end, at, item.id).await
        {
            self.recycle(end, taken).await;
            self.over(end).await;
            return false;
        }
        self.settle(end, std::iter::once(at));
        true
    }
}
