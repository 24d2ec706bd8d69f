//! Buffers: allocate, share, release.

use crate::rules::Rule;
use crate::sim::Cpu;
use crate::world::Payload;

impl Cpu {
    /// A buffer of our own, or `None`.
    pub(crate) async fn allocate(&self) -> Option<usize> {
        self.pin().await;
        let claimed = self.claim(1).await.pop();
        if let Some(id) = claimed {
            self.prepare(id).await;
            self.ledger_add(self.me(), id, false).await;
        }
        self.unpin().await;
        self.say(|| format!("allocated {claimed:?}"));
        claimed
    }

    /// Takes up to `count` buffers that nobody holds yet, all at once. The caller has pinned.
    pub(crate) async fn claim(&self, count: usize) -> Vec<usize> {
        let from = self.random().below(self.now(|w| w.buffers.len()));
        self.step(|w| {
            let all = w.buffers.len();
            let free = |id: &usize| !w.buffers[*id].allocated;
            let ids: Vec<_> = (0..all).map(|i| (from + i) % all).filter(free).take(count).collect();
            for id in &ids {
                w.buffers[*id].allocated = true;
            }
            ids
        })
        .await
    }

    /// Makes a claimed buffer ready for its first holder.
    pub(crate) async fn prepare(&self, id: usize) {
        self.step(|w| w.buffers[id].is_ring = false).await;
        self.step(|w| {
            let was = std::mem::replace(&mut w.buffers[id].refs, 1);
            if was != 0 {
                w.fail(|| format!("buffer {id} was free and counted {was} references"));
            }
        })
        .await;
    }

    /// Fills a buffer of ours with something that was never there before.
    pub(crate) async fn write(&self, id: usize) -> u64 {
        self.step(|w| {
            w.oracle.contents += 1;
            w.oracle.shared.remove(&id);
            w.buffers[id].payload = Payload::Data(w.oracle.contents);
            w.oracle.contents
        })
        .await
    }

    pub(crate) async fn ledger_add(&self, slot: usize, id: usize, received: bool) {
        self.step(|w| *w.ledger[slot][id].half(received) += 1).await;
    }

    pub(crate) async fn ledger_remove(&self, slot: usize, id: usize, received: bool) {
        self.step(|w| {
            let half = w.ledger[slot][id].half(received);
            *half -= 1;
            if *half < 0 {
                w.fail(|| {
                    format!("participant {slot} removed a reference to buffer {id} that it does not have")
                });
            }
        })
        .await;
    }

    /// Adds a reference unless the buffer is being freed.
    pub(crate) async fn try_ref(&self, id: usize) -> bool {
        self.step(|w| {
            let refs = &mut w.buffers[id].refs;
            let alive = *refs != 0;
            *refs += i32::from(alive);
            alive
        })
        .await
    }

    /// Drops a reference that no ledger lists. The last one frees the buffer.
    pub(crate) async fn unref(&self, id: usize) {
        let left = self
            .step(|w| {
                w.buffers[id].refs -= 1;
                w.buffers[id].refs
            })
            .await;
        if left == 0 {
            self.step(|w| w.free(id)).await;
            self.say(|| format!("freed buffer {id}"));
        } else if left < 0 {
            self.now(|w| w.fail(|| format!("buffer {id} has {left} references")));
        }
    }

    /// Drops references that no ledger lists, one after the other; then frees at once what has none left.
    pub(crate) async fn unref_all(&self, ids: &[usize]) {
        let early = !self.rules().has(Rule::FreeUnreffed);
        let mut last = Vec::new();
        for id in ids.iter().copied() {
            let left = self
                .step(|w| {
                    w.buffers[id].refs -= 1;
                    w.buffers[id].refs
                })
                .await;
            if left == 0 || early {
                last.push(id);
            } else if left < 0 {
                self.now(|w| w.fail(|| format!("buffer {id} has {left} references")));
            }
        }
        self.say(|| format!("will free buffers {last:?}"));
        self.step(|w| last.into_iter().for_each(|id| w.free(id))).await;
    }

    /// Drops a reference of ours. The caller has pinned.
    pub(crate) async fn release(&self, id: usize, received: bool) {
        self.ledger_remove(self.me(), id, received).await;
        if received {
            self.now(|w| w.oracle.processes[self.process].discharge(id, None));
        }
        self.unref(id).await;
    }

    /// A further reference of our own to a buffer we hold. The caller has pinned.
    pub(crate) async fn share(&self, id: usize) {
        self.now(|w| w.oracle.shared.insert(id));
        if !self.try_ref(id).await {
            self.now(|w| w.fail(|| format!("buffer {id} is held and counts no references")));
        }
        self.ledger_add(self.me(), id, false).await;
    }
}
