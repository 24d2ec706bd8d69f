//! Finding, creating, closing and destroying queues: see `queue/lifecycle.rs`.

use crate::departures::Tenant;
use crate::oracle::Queue;
use crate::ring::End;
use crate::rules::Rule;
use crate::sim::Cpu;
use crate::world::{ENTRIES, Entry, Options, Payload, Phase, Ring, RingState};

impl Cpu {
    /// Attaches to queue `name` if it exists.
    pub(crate) async fn attach(&self, name: usize) -> Option<End> {
        self.attach_owned(name, None).await
    }

    /// Attaches to the queue `name` of `owner`, if one is told, and if it exists.
    pub(crate) async fn attach_owned(&self, name: usize, owner: Option<Tenant>) -> Option<End> {
        loop {
            let (index, generation, buffer) = self.find(name, owner).await?;
            self.pin().await;
            let end = self.attach_listed(name, (index, generation), buffer).await;
            self.unpin().await;
            if end.is_some() {
                return end;
            }
        }
    }

    async fn find(&self, name: usize, owner: Option<Tenant>) -> Option<(usize, u64, usize)> {
        for index in 0..ENTRIES {
            let (generation, phase) = self.step(|w| w.names[index].state).await;
            if phase != Phase::Live {
                continue;
            }
            let ring = self.step(|w| w.names[index].ring).await;
            if let Some((slot, epoch)) = owner {
                let any_epoch = !self.rules().has(Rule::MailboxByEpoch);
                let is_owner = |entry: &Entry| entry.owner == slot && (any_epoch || entry.epoch == epoch);
                if !self.step(|w| is_owner(&w.names[index])).await {
                    continue;
                }
            }
            if self.step(|w| w.names[index].name).await == name && self.is_listed((index, generation)).await {
                return Some((index, generation, ring));
            }
        }
        None
    }

    async fn is_listed(&self, listed: (usize, u64)) -> bool {
        self.step(|w| w.names[listed.0].state == (listed.1, Phase::Live)).await
    }

    async fn attach_listed(&self, name: usize, listed: (usize, u64), buffer: usize) -> Option<End> {
        if !self.try_ref(buffer).await {
            self.unlist(listed).await;
            return None;
        }
        let me = self.me();
        self.ledger_add(me, buffer, false).await;
        if self.rules().has(Rule::LooksAgainForEntry) && !self.is_listed(listed).await {
            self.release(buffer, false).await;
            return None;
        }
        let found = self
            .step(|w| {
                let is_ring = w.buffers[buffer].is_ring;
                w.ring(buffer).filter(|_| is_ring).map(|r| (r.uid, r.options, r.state))
            })
            .await;
        let Some((uid, options, state)) = found else {
            self.now(|w| {
                w.fail(|| format!("the name table lists buffer {buffer} as queue {name}, it is no ring"))
            });
            self.release(buffer, false).await;
            return None;
        };
        let is = self.now(|w| w.oracle.queues[uid].name);
        if is != name {
            self.now(|w| w.fail(|| format!("process {} looked for queue {name} and got {is}", self.process)));
        }
        if state == RingState::Destroyed {
            if self.unlist(listed).await {
                self.unref(buffer).await;
            }
            self.release(buffer, false).await;
            return None;
        }
        self.say(|| format!("attached to queue {name}, ring {uid} in buffer {buffer}"));
        Some(End { name, buffer, uid, options, listed })
    }

    async fn unlist(&self, listed: (usize, u64)) -> bool {
        let (index, generation) = listed;
        self.step(|w| {
            let done = w.names[index].state == (generation, Phase::Live);
            if done {
                w.names[index].state = (generation + 1, Phase::Free);
            }
            done
        })
        .await
    }

    /// Attaches to queue `name`, or creates it; `None`: no buffer for the ring, or no entry.
    pub(crate) async fn attach_or_create(&self, name: usize, options: Options) -> Option<End> {
        if let Some(end) = self.attach(name).await {
            return Some(end);
        }
        if !self.try_lock(|k| &mut k.names).await {
            return None;
        }
        let mut end = self.attach(name).await;
        if end.is_none() {
            end = self.create(name, options).await;
        }
        self.unlock(|k| &mut k.names).await;
        end
    }

    pub(crate) async fn create(&self, name: usize, options: Options) -> Option<End> {
        let buffer = self.allocate().await?;
        let uid = self
            .step(|w| {
                let uid = w.oracle.queues.len();
                let at_least_once = options.at_least_once;
                w.oracle.queues.push(Queue {
                    name,
                    owner: self.process,
                    at_least_once,
                    destroyed: false,
                    publications: Vec::new(),
                    first: 0,
                });
                w.buffers[buffer].payload = Payload::Ring(Ring::new(uid, options));
                uid
            })
            .await;
        self.step(|w| w.buffers[buffer].is_ring = true).await;
        self.pin().await;
        let mut index = 0;
        while self.step(|w| w.names[index].state.1).await != Phase::Free {
            index += 1;
            if index == ENTRIES {
                self.release(buffer, false).await;
                self.unpin().await;
                return None;
            }
        }
        let me = self.me();
        self.step(|w| {
            w.names[index].owner = me;
            w.names[index].epoch = w.participants[me].epoch;
        })
        .await;
        let generation = self
            .step(|w| {
                w.names[index].state.1 = Phase::Claimed;
                w.names[index].state.0
            })
            .await;
        self.step(|w| w.names[index].name = name).await;
        self.step(|w| w.names[index].ring = buffer).await;
        self.try_ref(buffer).await;
        self.step(|w| w.names[index].state.1 = Phase::Live).await;
        self.unpin().await;
        self.say(|| format!("created queue {name}, ring {uid} in buffer {buffer}: {options:?}"));
        Some(End { name, buffer, uid, options, listed: (index, generation) })
    }

    /// Gives up our reference to the ring.
    pub(crate) async fn detach(&self, end: &End) {
        self.pin().await;
        self.release(end.buffer, false).await;
        self.unpin().await;
    }

    pub(crate) async fn close(&self, end: &End) {
        self.say(|| format!("will close ring {}", end.uid));
        self.ring(end, |r, _| {
            if r.state == RingState::Open {
                r.state = RingState::Closed;
            }
        })
        .await;
    }

    pub(crate) async fn destroy(&self, end: &End) {
        self.say(|| format!("will destroy ring {}", end.uid));
        self.ring(end, |r, oracle| {
            r.state = RingState::Destroyed;
            oracle.queues[end.uid].destroyed = true;
        })
        .await;
        self.pin().await;
        if self.unlist(end.listed).await {
            self.unref(end.buffer).await;
        }
        self.unpin().await;
        loop {
            self.pin().await;
            let dropped = self.drop_pending(end).await || self.drop_before(end, u64::MAX).await;
            self.unpin().await;
            if !dropped {
                break;
            }
        }
    }
}
