//! Overflow policies against receivers that take at the same time.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Overflow, PortQueue, QueueOptions, ShmManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, role, say, started};

const END: u64 = u64::MAX;

fn queue(shm: &ShmManager, overflow: Overflow, capacity: u32) -> Arc<PortQueue> {
    let (capacity, overflow) = (Some(capacity), Some(overflow));
    shm.port_queue("q", &QueueOptions { capacity, overflow, ..QueueOptions::default() }).unwrap()
}

fn send(shm: &ShmManager, queue: &PortQueue, sequence: u64) {
    let mut buffer = shm.allocate(8).unwrap();
    buffer.set_sequence(sequence);
    queue.try_send(buffer).unwrap();
}

/// Waits for what another thread does at once; that it has failed is told by the time.
fn spin_until(holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < patience, "the other thread has failed");
        std::thread::yield_now();
    }
}

/// A child: receives until the end and tells the highest message it has seen.
fn receive(isolated: &Isolated, overflow: Overflow, capacity: u32) {
    let shm = isolated.open();
    let queue = queue(&shm, overflow, capacity);
    let seen =
        shm.port_queue("seen", &QueueOptions { capacity: Some(8), ..QueueOptions::default() }).unwrap();
    say("ready");
    loop {
        let Some(message) = queue.try_receive().unwrap().0 else { continue };
        let sequence = message.sequence();
        drop(message);
        if sequence == END {
            return;
        }
        send(&shm, &seen, sequence);
    }
}

/// The newest of three messages arrives, whatever the receiver does meanwhile.
#[test]
fn the_latest_message_always_arrives() {
    const NAME: &str = "the_latest_message_always_arrives";
    if let Some((_, isolated)) = role() {
        receive(&isolated, Overflow::Latest, 4);
        return;
    }
    let isolated = Isolated::new("latest");
    let shm = isolated.open();
    let (queue, seen) = (
        queue(&shm, Overflow::Latest, 4),
        shm.port_queue("seen", &QueueOptions { capacity: Some(8), ..QueueOptions::default() }).unwrap(),
    );
    let mut child = started(NAME, "receive", &isolated);
    let until = Instant::now() + Duration::from_secs(2);
    let mut newest = 0;
    while Instant::now() < until {
        newest += 3;
        (newest - 2..=newest).for_each(|sequence| send(&shm, &queue, sequence));
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = seen.try_receive().unwrap().0
                && message.sequence() == newest
            {
                break;
            }
            assert!(
                Instant::now() < patience,
                "message {newest} is neither in the queue ({}) nor has it arrived",
                queue.len()
            );
        }
    }
    send(&shm, &queue, END);
    assert!(child.wait().unwrap().success());
}

/// Of a full queue either the receiver takes the oldest message, and then there is room, or the sender drops it: never both.
#[test]
fn nothing_is_dropped_while_there_is_room() {
    let isolated = Isolated::new("oldest");
    let shm = isolated.open();
    let full = queue(&shm, Overflow::DropOldest, 2);
    let (go, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let rounds = 3_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let shm = isolated.open();
            let queue = queue(&shm, Overflow::DropOldest, 2);
            for round in 1..=rounds {
                spin_until(|| go.load(Ordering::Acquire) >= round);
                let taken = queue.try_receive().unwrap().0.map_or(0xff, |message| message.sequence());
                done.store(round << 8 | taken, Ordering::Release);
            }
        });
        for round in 1..=rounds {
            (0..2).for_each(|sequence| send(&shm, &full, sequence));
            let buffer = shm.allocate(8).unwrap();
            go.store(round, Ordering::Release);
            full.try_send(buffer).unwrap();
            spin_until(|| done.load(Ordering::Acquire) >> 8 >= round);
            let taken = done.load(Ordering::Acquire) & 0xff;
            let left = std::iter::from_fn(|| full.try_receive().unwrap().0).count() as u64;
            assert_eq!((left, taken), if taken == 0 { (2, 0) } else { (1, 1) }, "round {round}");
        }
    });
}
