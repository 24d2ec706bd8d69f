//! The limit of a queue, whether it is idle, and what its counts say.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Buffer, Delivery, ErrorKind, Interest, OpenOptions, Overflow, PortQueue, QueueOptions, Received,
    ShmManager, TakeOutcome,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, await_recoveries, role, say, started};

fn at_least_once(capacity: u32) -> QueueOptions {
    let (capacity, delivery) = (Some(capacity), Some(Delivery::AtLeastOnce));
    QueueOptions { capacity, delivery, ..QueueOptions::default() }
}

fn put(shm: &ShmManager, queue: &PortQueue, sequence: u64) -> bool {
    let mut buffer = shm.allocate(8).unwrap();
    buffer.set_sequence(sequence);
    match queue.try_send(buffer) {
        Ok(()) => true,
        Err(refused) => {
            assert!(refused.is_full(), "{refused}");
            false
        }
    }
}

fn take(queue: &Arc<PortQueue>) -> Option<millrace::BufferPtr> {
    queue.try_receive().unwrap().0
}

fn counts(shm: &ShmManager, queue: &PortQueue) -> (usize, u64, u64) {
    let snapshot = shm.snapshot().unwrap();
    let stats = snapshot.queues.iter().find(|q| q.name == queue.name()).unwrap();
    (queue.len(), stats.pending, stats.leased)
}

#[test]
fn a_limit_need_not_be_a_power_of_two_and_counts_what_was_given_back() {
    let isolated = Isolated::new("limit");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions { limit: Some(3), ..at_least_once(3) }).unwrap();
    assert_eq!((queue.options().capacity, queue.options().limit), (4, 3));
    assert_eq!([0, 1, 2, 3].map(|sequence| put(&shm, &queue, sequence)), [true, true, true, false]);
    assert!(!queue.wait(Interest::Space, Duration::from_millis(5)));
    let (a, b) = (take(&queue).unwrap(), take(&queue).unwrap());
    assert!(queue.wait(Interest::Space, PATIENCE));
    assert_eq!([3, 4, 5].map(|sequence| put(&shm, &queue, sequence)), [true, true, false]);
    // Nothing keeps a receiver from giving back, but then the queue has more than a send may leave.
    a.nack().unwrap();
    b.nack().unwrap();
    assert_eq!((queue.len(), put(&shm, &queue, 5)), (5, false));
    drop((take(&queue), take(&queue)));
    assert!(!put(&shm, &queue, 5), "as many as the limit");
    assert!(!queue.wait(Interest::Space, Duration::from_millis(5)));
    drop(take(&queue));
    assert!(put(&shm, &queue, 5) && !put(&shm, &queue, 6));
    let order: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|m| m.sequence()).collect();
    assert_eq!(order, [3, 4, 5]);
}

#[test]
fn limits_are_checked() {
    let isolated = Isolated::new("checked");
    let shm = isolated.open();
    let limit =
        |limit, overflow| QueueOptions { capacity: Some(4), limit, overflow, ..QueueOptions::default() };
    for wrong in [limit(Some(5), None), limit(Some(1), Some(Overflow::Latest))] {
        assert_eq!(shm.port_queue("q", &wrong).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let _queue = shm.port_queue("q", &limit(Some(2), None)).unwrap();
    let other = shm.port_queue("q", &limit(Some(3), None)).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::OptionsMismatch);
    assert!(other.to_string().contains("limit 2"), "{other}");
    assert!(shm.port_queue("q", &limit(None, None)).is_ok());
}

/// Packs, batches and policies that drop keep a limit as single messages do.
#[test]
fn every_way_to_send_keeps_the_limit() {
    let isolated = Isolated::new("ways");
    let shm = isolated.open();
    for overflow in [Overflow::Block, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let options = QueueOptions {
            capacity: Some(64),
            limit: Some(37),
            overflow: Some(overflow),
            ..QueueOptions::default()
        };
        let queue = shm.port_queue(&format!("{overflow:?}"), &options).unwrap();
        let messages = vec![[7_u8; 20]; 100];
        let (done, _) = queue.put(messages.iter().map(|m| &m[..]));
        assert_eq!(queue.len(), 37, "{overflow:?}");
        assert_eq!(done, if matches!(overflow, Overflow::Block | Overflow::Reject) { 37 } else { 100 });
        let ids: Vec<_> = (0..10).map(|_| shm.allocate(8).unwrap()).collect();
        let buffers: Vec<_> = ids.iter().map(|b| Buffer { id: b.id(), received: false }).collect();
        let (accepted, outcome) = queue.send(&buffers);
        outcome.unwrap();
        assert_eq!(queue.len(), 37, "{overflow:?}, {accepted} sent");
        ids.into_iter().take(accepted).for_each(std::mem::forget);
        let stats = shm.snapshot().unwrap().queues.into_iter().find(|q| q.name == queue.name()).unwrap();
        assert_eq!(stats.high_water, 37);
        queue.destroy();
    }
}

/// Four processes send as fast as they can, one receives and now and then gives back: what a send leaves is never above the limit.
#[test]
fn many_senders_never_exceed_the_limit() {
    const NAME: &str = "many_senders_never_exceed_the_limit";
    const LIMIT: u32 = 5;
    let options = QueueOptions { limit: Some(LIMIT), ..at_least_once(8) };
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.port_queue("q", &options).unwrap();
        say("ready");
        while !queue.is_closed() {
            let Ok(buffer) = shm.allocate(8) else { continue };
            if queue.try_send(buffer).is_err() {
                queue.wait(Interest::Space, Duration::from_millis(10));
            }
        }
        drop((queue, shm));
        return;
    }
    let isolated = Isolated::new("senders");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options).unwrap();
    let mut children: Vec<_> = (0..4).map(|_| started(NAME, "send", &isolated)).collect();
    let until = Instant::now() + Duration::from_secs(2);
    let (mut received, mut deepest) = (0_u64, 0);
    let mut out = [Received::default(); 3];
    while Instant::now() < until {
        // One receiver: what is in the queue is at most what sends have left, so long as nothing is given back.
        deepest = deepest.max(queue.len());
        let (count, _) = queue.receive(&mut out[..1 + received as usize % 3]).unwrap();
        for message in &out[..count] {
            millrace::Settle::ack(&*queue, message.lease.unwrap(), message.buffer.id);
            shm.allocator().release(message.buffer).unwrap();
        }
        received += count as u64;
    }
    queue.close();
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    assert!(received > 1000 && deepest <= LIMIT as usize, "{received} received, {deepest} at most");
    while take(&queue).is_some() {}
    assert_eq!(counts(&shm, &queue), (0, 0, 0));
    assert!(queue.is_idle());
}

#[test]
fn a_queue_is_idle_when_all_is_acknowledged() {
    let isolated = Isolated::new("idle");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &at_least_once(8)).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    assert!(queue.is_idle() && queue.wait(Interest::Idle, PATIENCE));
    put(&shm, &queue, 1);
    assert!(!queue.is_idle());
    let held = take(&theirs).unwrap();
    assert_eq!(counts(&shm, &queue), (0, 0, 1));
    assert!(!queue.wait(Interest::Idle, Duration::from_millis(5)), "it is not acknowledged");
    held.nack().unwrap();
    assert_eq!(counts(&shm, &queue), (1, 1, 0));
    let held = take(&theirs).unwrap();
    assert!(put(&other, &theirs, 2), "a worker sends more, then acknowledges");
    drop(held);
    assert!(!queue.is_idle());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.wait(Interest::Idle, PATIENCE));
        std::thread::sleep(Duration::from_millis(20));
        drop(take(&theirs).unwrap());
        assert!(waiter.join().unwrap());
    });
    // What a queue drops is over, too.
    let options = QueueOptions { overflow: Some(Overflow::DropOldest), ..at_least_once(2) };
    let dropping = shm.port_queue("dropping", &options).unwrap();
    (0..5).for_each(|sequence| assert!(put(&shm, &dropping, sequence)));
    drop((take(&dropping), take(&dropping)));
    assert!(dropping.is_idle());
    put(&shm, &dropping, 9);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| dropping.wait(Interest::Idle, PATIENCE));
        dropping.destroy();
        assert!(waiter.join().unwrap(), "there is nothing to do at a queue that is no more");
    });
}

/// Workers that are killed hand on what they had: the queue is idle once others have done it, and every count is right.
#[test]
fn a_death_leaves_the_counts_right() {
    const NAME: &str = "a_death_leaves_the_counts_right";
    let options = QueueOptions { limit: Some(20), ..at_least_once(32) };
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.port_queue("q", &options).unwrap();
        let mut held: Vec<_> = (0..7).map(|_| take(&queue).unwrap()).collect();
        held.pop().unwrap().nack().unwrap();
        held.pop();
        say("ready");
        std::thread::sleep(PATIENCE);
        return;
    }
    let isolated = Isolated::new("death");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options).unwrap();
    (0..10).for_each(|sequence| assert!(put(&shm, &queue, sequence)));
    let mut child = started(NAME, "hold", &isolated);
    assert_eq!(counts(&shm, &queue), (4, 1, 5));
    child.kill().unwrap();
    child.wait().unwrap();
    await_recoveries(&shm, 1);
    assert_eq!(counts(&shm, &queue), (9, 6, 0));
    assert_eq!((0..20).filter(|sequence| put(&shm, &queue, *sequence)).count(), 11, "up to the limit");
    assert!(!queue.is_idle());
    let order: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|m| m.sequence()).take(9).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    while take(&queue).is_some() {}
    assert!(queue.is_idle());
    assert!(shm.fsck().unwrap().is_empty());
}

/// To destroy an at-least-once queue costs about what another one costs, however many messages it has, given back ones too.
#[test]
fn emptying_a_queue_is_linear() {
    let isolated = Isolated::new("linear");
    let options = OpenOptions { max_bytes: Some(64 << 20), ..isolated.options() };
    let shm = ShmManager::open(&isolated.name, &options).unwrap();
    let buffer = shm.allocate(8).unwrap();
    let one = Buffer { id: buffer.id(), received: false };
    let time = |name, options, given_back| {
        let queue = shm.port_queue(name, &options).unwrap();
        let allocator = shm.allocator();
        let mut out = vec![Received::default(); 256];
        for _ in 0..30_000 / 256 {
            let shares: Vec<_> = (0..256).map(|_| allocator.share(one).unwrap()).collect();
            assert_eq!(queue.send(&shares).0, 256);
            let taken = if given_back { queue.receive(&mut out).unwrap().0 } else { 0 };
            for message in &out[..taken] {
                millrace::Settle::nack(&*queue, message.lease.unwrap(), message.buffer.id).unwrap();
            }
        }
        let started = Instant::now();
        queue.destroy();
        assert!(queue.is_empty());
        started.elapsed()
    };
    let capacity = QueueOptions { capacity: Some(32_768), ..QueueOptions::default() };
    let once = time("once", capacity, false).max(Duration::from_millis(1));
    let least = time("least", at_least_once(32_768), false);
    let again = time("again", at_least_once(32_768), true);
    assert!(least < 20 * once && again < 40 * once, "{once:?}, {least:?}, {again:?}");
}

/// A reference that the ledger cannot count is refused: the message stays, and comes once there is room.
#[test]
fn more_references_than_can_be_counted_are_refused() {
    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        let isolated = Isolated::new("references");
        let (shm, other) = (isolated.open(), isolated.open());
        let queue =
            shm.port_queue("q", &QueueOptions { delivery: Some(delivery), ..at_least_once(1024) }).unwrap();
        let theirs = other.find_queue("q").unwrap().unwrap();
        let buffer = shm.allocate(8).unwrap();
        let one = Buffer { id: buffer.id(), received: false };
        let (mut sent, mut out, mut held) = (0_u64, vec![Received::default(); 256], Vec::new());
        let refused = loop {
            let shares: Vec<_> = (0..256).map(|_| shm.allocator().share(one).unwrap()).collect();
            assert_eq!(queue.send(&shares).0, 256);
            sent += 256;
            match theirs.receive(&mut out) {
                Ok((count, outcome)) => {
                    assert_eq!(outcome, TakeOutcome::Done);
                    for message in &out[..count] {
                        if let Some(lease) = message.lease {
                            // Acknowledged and kept: what is held counts, leased or not.
                            assert!(millrace::Settle::ack(&*theirs, lease, message.buffer.id));
                        }
                        held.push(message.buffer);
                    }
                }
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::Limit, "{refused}");
        assert_eq!(queue.len() as u64, sent - held.len() as u64, "{delivery:?}: it stays");
        assert!(shm.fsck().unwrap().is_empty(), "{delivery:?}");
        other.allocator().release_all(held.drain(..).take(1000)).1.unwrap();
        assert!(theirs.receive(&mut out).unwrap().0 > 0, "{delivery:?}: and comes");
        drop((theirs, other));
        queue.destroy();
        drop((queue, buffer));
        assert_eq!(shm.snapshot().unwrap().pools.iter().map(|p| p.used - p.rings).sum::<u64>(), 0);
    }
}
