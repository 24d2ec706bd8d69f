//! Who has gone, and what ends with it: see `registry/domain.rs`, `service/mailbox.rs` and `recovery/ownership.rs`.

use crate::app::Message;
use crate::ring::End;
use crate::rules::Rule;
use crate::sim::{Body, Cpu, Wait};
use crate::world::{Options, Overflow, RingState, SLOTS, World};

/// Mailboxes are queues of one name, told apart by their owners.
pub(crate) const MAILBOX: usize = 3;

const OPTIONS: Options =
    Options { capacity: 2, limit: 0, at_least_once: false, max_deliveries: 0, overflow: Overflow::Block };

/// A tenant of a participant slot.
pub(crate) type Tenant = (usize, u32);

/// A thread that sleeps until it hears that a tenant has gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    process: usize,
    slot: usize,
    tenant: Tenant,
    /// What its wake word said before it looked.
    wake: u64,
}

impl World {
    /// Nobody sleeps who should have heard. True whenever a sweep has come to its end.
    pub(crate) fn check_watches(&mut self) {
        let is_deaf = |watch: &&Watch| {
            let (slot, epoch) = watch.tenant;
            let there = &self.participants[slot];
            let is_gone = !there.leaving && (!there.active || there.epoch != epoch);
            let sleeps = self.wakes[watch.slot] == watch.wake;
            is_gone
                && sleeps
                && self.participants[watch.slot].active
                && self.is_process(watch.slot, watch.process)
        };
        if let Some(watch) = self.oracle.watches.iter().find(is_deaf).copied() {
            self.fail(|| format!("nobody tells of a departure: {watch:?}"));
        }
    }

    fn is_process(&self, slot: usize, process: usize) -> bool {
        self.oracle.tenants[slot] == process
    }
}

impl Cpu {
    /// Tells everybody that participants have gone.
    pub(crate) async fn announce_departures(&self) {
        let raised_first = self.rules().has(Rule::RaisedBeforeNotified);
        if raised_first {
            self.step(|w| w.departures += 1).await;
        }
        for slot in 0..SLOTS {
            if self.step(|w| w.participants[slot].active).await {
                self.step(|w| w.wakes[slot] += 1).await;
            }
        }
        if !raised_first {
            self.step(|w| w.departures += 1).await;
        }
    }

    /// Tells of those that leave, and frees their slots. We have the recovery lock.
    pub(crate) async fn tell(&self) {
        for slot in 0..SLOTS {
            if self.step(|w| w.participants[slot].leaving).await {
                self.announce_departures().await;
                self.step(|w| w.participants[slot].leaving = false).await;
            }
        }
    }

    async fn is_tenant(&self, (slot, epoch): Tenant) -> bool {
        let any_epoch = !self.rules().has(Rule::TenantByEpoch);
        self.step(|w| w.participants[slot].active && (any_epoch || w.participants[slot].epoch == epoch)).await
    }

    /// Who is in `slot` now.
    pub(crate) async fn tenant(&self, slot: usize) -> Tenant {
        (slot, self.step(|w| w.participants[slot].epoch).await)
    }

    /// Sleeps until `tenant` has gone, as a client does whose request it runs; or until we leave.
    pub(crate) async fn watch(&self, tenant: Tenant) {
        let me = self.me();
        let mut seen = None;
        while !self.own.left.get() {
            let mut wake = self.step(|w| w.wakes[me]).await;
            let departures = self.step(|w| w.departures).await;
            if seen != Some(departures) {
                seen = Some(departures);
                if !self.is_tenant(tenant).await {
                    return;
                }
            }
            if !self.rules().has(Rule::WakeReadFirst) {
                wake = self.step(|w| w.wakes[me]).await;
            }
            let watch = Watch { process: self.process, slot: me, tenant, wake };
            self.now(|w| w.oracle.watches.push(watch));
            while !self.own.left.get() && self.step(|w| w.wakes[me]).await == wake {
                self.wait(Wait::Death).await;
            }
            self.now(|w| w.oracle.watches.retain(|other| other.process != self.process));
        }
    }

    /// Our mailbox, made if there is room for it.
    pub(crate) async fn make_mailbox(&self) -> Option<End> {
        let owner = self.tenant(self.me()).await;
        if !self.try_lock(|k| &mut k.names).await {
            return None;
        }
        let mut end = self.attach_owned(MAILBOX, Some(owner)).await;
        if end.is_none() {
            end = self.create(MAILBOX, OPTIONS).await;
        }
        self.unlock(|k| &mut k.names).await;
        end
    }

    /// Copies a message into the mailbox of whoever is in `slot`, if it has one.
    pub(crate) async fn post(&self, slot: usize) {
        let owner = self.tenant(slot).await;
        let process = self.now(|w| w.oracle.tenants[slot]);
        let is_same = self.now(|w| w.participants[slot].active && w.participants[slot].epoch == owner.1);
        let Some(end) = self.attach_owned(MAILBOX, Some(owner)).await else { return };
        self.now(|w| {
            let found = w.oracle.queues[end.uid].owner;
            if is_same && found != process {
                w.fail(|| format!("the mailbox of process {process} is that of {found}"));
            }
        });
        self.put_copies(&end, 1).await;
        self.detach(&end).await;
    }

    /// What has come into our mailbox.
    pub(crate) async fn fetch(&self, mailbox: &End) -> Vec<Message> {
        self.receive(mailbox, 1).await.unwrap_or_default()
    }
}

/// Watches one participant after the other.
pub(crate) fn watcher(cpu: Cpu) -> Body {
    Box::pin(async move {
        while cpu.own.slot.get().is_none() {
            cpu.wait(Wait::Death).await;
        }
        while !cpu.own.left.get() {
            let tenant = cpu.tenant(cpu.random().below(SLOTS)).await;
            if tenant.0 != cpu.me() {
                cpu.watch(tenant).await;
            }
            cpu.wait(Wait::Death).await;
        }
    })
}

impl crate::recovery::Recount<'_> {
    /// Whether the owner of a mailbox is none of the living.
    pub(crate) async fn is_orphan(&self, entry: &crate::world::Entry) -> bool {
        let lives = |w: &mut World| {
            let owner = &w.participants[entry.owner];
            owner.active && owner.epoch == entry.epoch
        };
        entry.name == MAILBOX && (self.is_dead(entry.owner) || !self.cpu.step(lives).await)
    }

    /// Ends the mailbox behind `entry`.
    pub(crate) async fn end_mailbox(&self, ring: usize) {
        self.cpu
            .step(|w| {
                if let Some(r) = w.ring(ring) {
                    r.state = RingState::Destroyed;
                    let uid = r.uid;
                    w.oracle.queues[uid].destroyed = true;
                }
            })
            .await;
    }
}
