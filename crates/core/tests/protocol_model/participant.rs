//! Joining, leaving, and the pin that every operation runs under.

use crate::recovery::sweep;
use crate::rules::Rule;
use crate::sim::{Cpu, Wait};
use crate::world::SLOTS;

impl Cpu {
    /// Takes a participant slot.
    pub(crate) async fn join(&self) {
        while !self.try_lock(|k| &mut k.domain).await {}
        loop {
            for slot in 0..SLOTS {
                if self.step(|w| w.participants[slot].active || w.participants[slot].leaving).await {
                    continue;
                }
                if !self.try_lock(move |k| &mut k.life[slot]).await {
                    continue;
                }
                self.step(|w| w.participants[slot].epoch += 1).await;
                self.step(|w| w.participants[slot].lanes = 0).await;
                self.step(|w| {
                    w.participants[slot].active = true;
                    w.oracle.tenants[slot] = self.process;
                })
                .await;
                self.own.slot.set(Some(slot));
                self.unlock(|k| &mut k.domain).await;
                return;
            }
            // The table is full of dead participants.
            sweep(self).await;
        }
    }

    /// Gives the slot up. Nothing is held any more.
    pub(crate) async fn leave(&self) {
        let me = self.me();
        let in_two_steps = self.rules().has(Rule::LeaveInTwoSteps);
        self.step(|w| (w.participants[me].active, w.participants[me].leaving) = (false, in_two_steps)).await;
        if in_two_steps && self.try_lock(|k| &mut k.recovery).await {
            self.tell().await;
            self.unlock(|k| &mut k.recovery).await;
        } else {
            // Whoever has the lock, or the next, frees the slot.
            self.announce_departures().await;
        }
    }

    /// Tries to take a file lock.
    pub(crate) async fn try_lock(
        &self,
        lock: impl Fn(&mut crate::world::Kernel) -> &mut Option<usize>,
    ) -> bool {
        let process = self.process;
        self.step(|w| {
            let lock = lock(&mut w.kernel);
            let free = lock.is_none();
            if free {
                *lock = Some(process);
            }
            free
        })
        .await
    }

    pub(crate) async fn unlock(&self, lock: impl Fn(&mut crate::world::Kernel) -> &mut Option<usize>) {
        self.step(|w| *lock(&mut w.kernel) = None).await;
    }

    /// Enters an operation; waits while somebody recovers.
    pub(crate) async fn pin(&self) {
        let me = self.me();
        loop {
            self.step(|w| w.participants[me].lanes += 1).await;
            if self.step(|w| w.recovering).await == 0 {
                return;
            }
            self.step(|w| w.participants[me].lanes -= 1).await;
            self.wait(Wait::Recovery).await;
            // The recoverer is slow, or dead: then its lock is free and we do its work.
            if self.step(|w| w.recovering).await != 0 {
                sweep(self).await;
            }
        }
    }

    pub(crate) async fn unpin(&self) {
        let me = self.me();
        self.step(|w| w.participants[me].lanes -= 1).await;
    }
}
