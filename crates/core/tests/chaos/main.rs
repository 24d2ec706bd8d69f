//! Random kills under full load, and an exact account at the end.
//!
//! `npm run chaos -- --seconds N --kills K --seed S --json FILE`, until both are over. Producers and consumers of queues of every policy and
//! both delivery modes, of a work queue with a limit, of a service and of subscriptions of a topic work as fast as they can. Another process
//! makes and destroys queues, subscribes late, hoards the pool in buffers of ever other sizes and trims it. Every few milliseconds a random
//! one of them, or several at once, are killed and started again, or one is stopped for a moment.
//!
//! Every other producer copies its messages in (`put`) instead of sending buffers; on one queue consumers copy them out (`get`). Consumers
//! move each message on to a queue that this process drains, so this process knows what arrived. At the end, per queue: messages sent =
//! arrived + dropped by policy + reported lost; on at-least-once queues nothing is lost and what arrived twice was redelivered; where
//! consumers copy, each message that is missing is reported, or was in the hand of a copier that died. fsck is clean and every buffer is
//! free. fsck is clean all the time: it looks while they run.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod account;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/mod.rs"]
mod support;
mod under_test;
mod work;
mod worker;

use account::Account;
use millrace::{PortQueue, ShmManager, Topic};
use random::Random;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, role};
use under_test::{SUBSCRIBED, UNDER_TEST};
use worker::Worker;

/// Kills from one look at the whole domain to the next.
const KILLS_PER_CHECK: u64 = 20;

struct Chaos {
    isolated: Isolated,
    shm: ShmManager,
    topic: Arc<Topic>,
    queues: Vec<Arc<PortQueue>>,
    sinks: Vec<Arc<PortQueue>>,
    workers: Vec<Worker>,
    account: Account,
    births: u64,
    kills: u64,
    stops: u64,
    checks: u64,
    longest_stall: Duration,
}

impl Chaos {
    fn new() -> Self {
        let isolated = Isolated::new("chaos");
        let shm = under_test::open(&isolated, "account");
        let topic = under_test::topic(&shm);
        let all = 0..UNDER_TEST.len();
        let queues = all.clone().map(|index| under_test::queue(&shm, index)).collect();
        let sinks = all.clone().map(|index| under_test::done(&shm, index)).collect();
        // One publisher does for both subscriptions.
        let producers =
            all.clone().filter(|index| *index <= SUBSCRIBED).map(|index| format!("producer {index}"));
        let consumers = all.map(|index| format!("consumer {index}"));
        let more = ["producer 0", "consumer 0", "consumer 7", "churner 0"].map(str::to_owned);
        let (account, workers, longest_stall) = (Account::default(), Vec::new(), Duration::ZERO);
        let mut chaos = Self {
            isolated,
            shm,
            topic,
            queues,
            sinks,
            workers,
            account,
            births: 0,
            kills: 0,
            stops: 0,
            checks: 0,
            longest_stall,
        };
        for role in producers.chain(consumers).chain(more) {
            let worker = chaos.start(&role);
            chaos.workers.push(worker);
        }
        chaos.workers.iter_mut().for_each(Worker::hear_ready);
        chaos
    }

    fn start(&mut self, role: &str) -> Worker {
        self.births += 1;
        Worker::start(role, &self.isolated, self.births)
    }

    fn drain_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let before = Instant::now();
            self.account.drain(&self.sinks);
            self.longest_stall = self.longest_stall.max(before.elapsed());
        }
    }

    /// Kills some and starts others in their place; now and then one is stopped for a moment meanwhile.
    fn hit(&mut self, random: &mut Random) {
        self.drain_for(Duration::from_micros(random.below(4096)));
        let stopped = (random.below(8) == 0).then(|| random.below(self.workers.len() as u64) as usize);
        // It may be in the middle of a recovery, which everybody waits for, this thread, too: another one lets it go on.
        let goes_on = stopped.map(|stopped| {
            self.stops += 1;
            self.workers[stopped].stop_for(Duration::from_millis(random.below(8)))
        });
        let first = random.below(self.workers.len() as u64) as usize;
        let deaths = if random.below(8) == 0 { 2 + random.below(4) as usize } else { 1 };
        let victims: Vec<_> = (first..first + deaths).map(|at| at % self.workers.len()).collect();
        // All of them, before anybody is started.
        victims.iter().for_each(|at| self.workers[*at].kill());
        for at in victims {
            self.kills += 1;
            self.account.account_for(&self.workers[at], &self.isolated);
            let role = self.workers[at].role.clone();
            self.workers[at] = self.start(&role);
        }
        if let Some(goes_on) = goes_on {
            goes_on.join().unwrap();
        }
        self.account.read_reports(&self.shm);
    }

    fn check(&mut self) {
        let findings = self.shm.fsck().unwrap();
        assert!(findings.is_empty(), "after {} kills: {findings:#?}", self.kills);
        self.checks += 1;
    }

    /// No producer any more; consumers see to what is left, then go.
    fn end(&mut self) {
        let (consumers, mut others): (Vec<_>, Vec<_>) =
            self.workers.drain(..).partition(|worker| worker.role.starts_with("consumer"));
        others.iter_mut().for_each(Worker::kill);
        self.kills += others.len() as u64;
        self.queues.iter().for_each(|queue| queue.close());
        let patience = Instant::now() + PATIENCE;
        for mut worker in consumers {
            let status = loop {
                if let Some(status) = worker.child.try_wait().unwrap() {
                    break status;
                }
                let is_late = Instant::now() > patience;
                assert!(!is_late, "{} does not end: {:#?}", worker.role, self.shm.snapshot().unwrap());
                self.account.drain(&self.sinks);
            };
            assert!(status.success(), "{}: {status}", worker.role);
            // Nothing of it is missing, and its file is removed.
            let _ = work::in_hand(&self.isolated, worker.birth);
        }
        // Who was killed before it had joined was never a participant: when only we are left, all have been recovered.
        let participants = || self.shm.snapshot().unwrap().participants;
        while participants().len() > 1 {
            assert!(Instant::now() < patience, "not recovered: {:#?}", participants());
            self.shm.park(self.shm.wake_sequence(), Duration::from_millis(10));
        }
        self.account.drain(&self.sinks);
        self.account.read_reports(&self.shm);
        for (index, queue) in self.queues.iter().enumerate() {
            self.account.check(index, &queue.stats().unwrap(), self.kills);
        }
    }

    /// Everything is free once it has been removed.
    fn remove(self) {
        let Self { shm, isolated, queues, sinks, topic, .. } = self;
        let findings = shm.fsck().unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
        topic.destroy();
        for queue in queues.iter().chain(&sinks) {
            queue.destroy();
        }
        for left in shm.snapshot().unwrap().queues {
            if let Some(queue) = shm.find_queue(&left.name).unwrap() {
                queue.destroy();
            }
        }
        drop((queues, sinks, topic));
        let snapshot = shm.snapshot().unwrap();
        assert!(snapshot.services.is_empty(), "mailboxes end with their owners: {:#?}", snapshot.services);
        assert_eq!(snapshot.pools.iter().map(|p| p.used).sum::<u64>(), 0, "{:#?}", snapshot.pools);
        drop(shm);
        isolated.assert_gone();
    }
}

fn main() {
    if let Some((role, isolated)) = role() {
        work::work(&role, &isolated);
        return;
    }
    let args: Vec<_> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1)).cloned();
    let seconds: u64 = after("--seconds").map_or(3, |s| s.parse().unwrap());
    let seed: u64 = after("--seed").map_or(0x5eed, |s| s.parse().unwrap());
    let wanted: u64 = after("--kills").map_or(0, |s| s.parse().unwrap());
    println!("chaos: {seconds} s, {wanted} kills at least, seed {seed}");
    let (mut chaos, mut random) = (Chaos::new(), Random::of(0, seed));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) || chaos.kills < wanted {
        chaos.hit(&mut random);
        if chaos.kills / KILLS_PER_CHECK > chaos.checks {
            chaos.check();
        }
    }
    let ran = started.elapsed();
    chaos.end();
    let Chaos { kills, stops, checks, longest_stall, .. } = chaos;
    let Account { redelivered, sent, .. } = chaos.account;
    let lost = chaos.account.lost();
    println!(
        "{kills} kills and {stops} stops in {ran:.1?}, {checks} checks meanwhile, {redelivered} leases given back, {lost} messages reported lost, longest stall {longest_stall:?}"
    );
    chaos.remove();
    if let Some(file) = after("--json") {
        let json = format!(
            "{{\"seconds\":{:.1},\"seed\":{seed},\"kills\":{kills},\"checks\":{checks},\"sent\":{sent},\"lost\":{lost},\"redelivered\":{redelivered},\"stallUs\":{},\"leaked\":0}}\n",
            ran.as_secs_f64(),
            longest_stall.as_micros()
        );
        std::fs::write(file, json).unwrap();
    }
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
}
