//! At-least-once delivery: nothing a receiver has not acknowledged is lost.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Buffer, Delivery, ErrorKind, Interest, OpenOptions, Overflow, PortQueue, QueueOptions, Received,
    ShmManager, TakeOutcome, TrySendError,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, await_recoveries, role, say, started, used};

fn options(capacity: u32, max_deliveries: u32) -> QueueOptions {
    QueueOptions {
        capacity: Some(capacity),
        delivery: Some(Delivery::AtLeastOnce),
        max_deliveries: Some(max_deliveries),
        ..QueueOptions::default()
    }
}

fn put(shm: &ShmManager, queue: &PortQueue, sequence: u64) {
    let mut buffer = shm.allocate(8).unwrap();
    buffer.set_sequence(sequence);
    queue.try_send(buffer).unwrap();
}

fn take(queue: &Arc<PortQueue>) -> Option<millrace::BufferPtr> {
    queue.try_receive().unwrap().0
}

#[test]
fn nack_brings_a_message_back_first_in_line_and_in_order() {
    let isolated = Isolated::new("nack");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, 0)).unwrap();
    (0..5).for_each(|i| put(&shm, &queue, i));
    let (a, b, c) = (take(&queue).unwrap(), take(&queue).unwrap(), take(&queue).unwrap());
    assert_eq!((a.sequence(), a.attempt()), (0, 1));
    c.nack().unwrap();
    a.nack().unwrap();
    drop(b);
    let order: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|m| (m.sequence(), m.attempt())).collect();
    assert_eq!(order, [(0, 2), (2, 2), (3, 1), (4, 1)]);
    assert_eq!(used(&shm), 0, "dropping acknowledged them");
    let snapshot = shm.snapshot().unwrap();
    assert_eq!(
        (snapshot.queues[0].redelivered, snapshot.queues[0].leased, snapshot.queues[0].pending),
        (2, 0, 0)
    );
}

#[test]
fn leaving_without_acknowledging_gives_back() {
    let isolated = Isolated::new("leave");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &options(8, 0)).unwrap();
    (0..3).for_each(|i| put(&shm, &queue, i));
    let theirs = other.find_queue("q").unwrap().unwrap();
    let held = (take(&theirs).unwrap(), take(&theirs).unwrap());
    assert_eq!(queue.len(), 1);
    drop(other);
    assert_eq!(queue.len(), 3);
    drop((held, theirs));
    let order: Vec<_> = std::iter::from_fn(|| take(&queue)).map(|m| (m.sequence(), m.attempt())).collect();
    assert_eq!(order, [(0, 2), (1, 2), (2, 1)]);
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_message_delivered_too_often_goes_to_the_dead_letters() {
    let isolated = Isolated::new("dead");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, 2)).unwrap();
    put(&shm, &queue, 7);
    take(&queue).unwrap().nack().unwrap();
    take(&queue).unwrap().nack().unwrap();
    assert!(take(&queue).is_none());
    let dead = shm.find_queue("q.dead").unwrap().unwrap();
    assert_eq!(take(&dead).unwrap().sequence(), 7);
    assert_eq!(shm.snapshot().unwrap().queues[0].dead_lettered, 1);
    assert_eq!(used(&shm), 0);
}

#[test]
fn dead_letters_have_as_much_room_as_they_need_unless_somebody_has_said_how_much() {
    let isolated = Isolated::new("dead-room");
    let shm = isolated.open();
    for asked in [None, Some(4)] {
        let queue = shm.port_queue("q", &options(4, 1)).unwrap();
        let dead = asked.map(|slots| {
            let capacity = QueueOptions { capacity: Some(slots), ..QueueOptions::default() };
            shm.port_queue("q.dead", &capacity).unwrap()
        });
        let mut again = 0;
        for i in 0..40 {
            put(&shm, &queue, i);
            while let Some(message) = take(&queue) {
                again += usize::from(message.attempt() > 1);
                if message.attempt() > 2 {
                    // No room: it comes again until somebody deals with it.
                    break;
                }
                message.nack().unwrap();
            }
        }
        let dead = dead.unwrap_or_else(|| shm.find_queue("q.dead").unwrap().unwrap());
        let moved: Vec<_> = std::iter::from_fn(|| take(&dead)).map(|message| message.sequence()).collect();
        match asked {
            None => assert_eq!((moved, again), ((0..40).collect(), 0)),
            Some(_) => assert_eq!((moved, again), ((0..4).collect(), 2 * 36)),
        }
        // What it holds may still be said.
        let said = QueueOptions { capacity: Some(4), ..QueueOptions::default() };
        assert_eq!(shm.port_queue("q.dead", &said).unwrap().options_meant().capacity, 4);
        queue.destroy();
        dead.destroy();
    }
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_closed_queue_ends_only_when_the_last_lease_of_others_has() {
    let isolated = Isolated::new("closed");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &options(8, 0)).unwrap();
    put(&shm, &queue, 1);
    let theirs = other.find_queue("q").unwrap().unwrap();
    let held = take(&theirs).unwrap();
    queue.close();
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Empty, "it may come back");
    assert!(!queue.wait(Interest::Data, Duration::from_millis(20)));
    held.nack().unwrap();
    assert_eq!(take(&queue).unwrap().attempt(), 2);
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Closed);
}

#[test]
fn dead_lettering_does_not_hide_what_is_behind() {
    let isolated = Isolated::new("deadletter");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, 1)).unwrap();
    (0..2).for_each(|i| put(&shm, &queue, i));
    take(&queue).unwrap().nack().unwrap();
    queue.close();
    let (message, outcome) = queue.try_receive().unwrap();
    assert_eq!((message.unwrap().sequence(), outcome), (1, TakeOutcome::Done));
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Closed);
}

#[test]
fn receivers_of_a_closed_queue_do_not_wait_for_each_other() {
    let isolated = Isolated::new("mutual");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &options(8, 0)).unwrap();
    (0..2).for_each(|i| put(&shm, &queue, i));
    let theirs = other.find_queue("q").unwrap().unwrap();
    let (held, held_there) = (take(&queue).unwrap(), take(&theirs).unwrap());
    assert!([&queue, &theirs].iter().all(|end| end.arm(Interest::Data).is_some()));
    queue.close();
    for end in [&queue, &theirs] {
        assert!(end.rearm(Interest::Data), "it is told");
        assert_eq!(end.try_receive().unwrap().1, TakeOutcome::Closed);
    }
    drop(held);
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Empty, "now it may wait for the other");
    held_there.nack().unwrap();
    assert_eq!(take(&queue).unwrap().sequence(), 1);
}

#[test]
fn as_many_leases_as_the_queue_holds() {
    let isolated = Isolated::new("full");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(1, 0)).unwrap();
    put(&shm, &queue, 0);
    let first = take(&queue).unwrap();
    put(&shm, &queue, 1);
    queue.close();
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Empty, "not closed: a message is there");
    assert!(!queue.wait(Interest::Data, Duration::from_millis(20)), "and no busy loop");
    drop(first);
    assert!(queue.wait(Interest::Data, PATIENCE));
    assert_eq!(take(&queue).unwrap().sequence(), 1);
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Closed);
}

#[test]
fn destroying_takes_leases_along() {
    let isolated = Isolated::new("gone");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, 0)).unwrap();
    (0..4).for_each(|i| put(&shm, &queue, i));
    let (a, b) = (take(&queue).unwrap(), take(&queue).unwrap());
    a.nack().unwrap();
    queue.destroy();
    assert!(b.nack().is_err());
    drop(queue);
    assert_eq!(used(&shm), 0);
}

/// Consumers that are killed all the time hand on what they had: every message is acknowledged by somebody who lives.
#[test]
fn killed_consumers_lose_nothing() {
    const NAME: &str = "killed_consumers_lose_nothing";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let work = shm.find_queue("work").unwrap().unwrap();
        let done = shm.find_queue("done").unwrap().unwrap();
        say("ready");
        let mut held = Vec::new();
        loop {
            match work.try_receive().unwrap() {
                (Some(message), _) => held.push(message),
                (None, TakeOutcome::Empty) => {
                    work.wait(Interest::Data, Duration::from_millis(20));
                }
                (None, _) => break,
            }
            // Several at a time, so that deaths leave more than one lease behind.
            if held.len() < 5 && !work.is_empty() {
                continue;
            }
            for message in held.drain(..) {
                // The message itself moves on, which acknowledges it.
                let mut pending = Some(message);
                while let Some(message) = pending.take() {
                    if let Err(refused) = done.try_send(message) {
                        assert!(refused.is_full(), "{refused}");
                        done.wait(Interest::Space, PATIENCE);
                        pending = Some(refused.into_inner());
                    }
                }
            }
        }
        drop((work, done, shm));
        return;
    }
    let isolated = Isolated::new("again");
    let shm = isolated.open();
    let work = shm.port_queue("work", &options(64, 0)).unwrap();
    let done =
        shm.port_queue("done", &QueueOptions { capacity: Some(64), ..QueueOptions::default() }).unwrap();
    let mut children: Vec<_> = (0..3).map(|_| started(NAME, "work", &isolated)).collect();
    let mut seen = BTreeMap::<u64, u32>::new();
    let (mut state, mut kills) = (0x1234_5678_u32, 0);
    let total = 60_000;
    let deadline = Instant::now() + PATIENCE;
    let mut next = 0;
    while seen.len() < total {
        assert!(Instant::now() < deadline, "{} of {total} arrived", seen.len());
        while next < total as u64 {
            let mut buffer = shm.allocate(8).unwrap();
            buffer.set_sequence(next);
            if work.try_send(buffer).is_err() {
                break;
            }
            next += 1;
        }
        // Not all there is: one more death is due at each of so many messages.
        for _ in 0..64 {
            let (Some(message), _) = done.try_receive().unwrap() else { break };
            *seen.entry(message.sequence()).or_default() += 1;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seen.len() > (kills + 1) * total / 25 {
            let victim = state as usize >> 8 & 1;
            children[victim].kill().unwrap();
            children[victim].wait().unwrap();
            kills += 1;
            children[victim] = started(NAME, "work", &isolated);
        }
    }
    work.close();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    await_recoveries(&shm, kills as u64);
    while let (Some(message), _) = done.try_receive().unwrap() {
        *seen.entry(message.sequence()).or_default() += 1;
    }
    let reports = shm.reports_since(0);
    let redelivered: u32 = reports.iter().map(|r| r.redelivered).sum();
    let lost: u32 = reports.iter().map(|r| r.lost).sum();
    let twice = seen.values().filter(|count| **count > 1).count();
    println!("{kills} kills, {redelivered} redelivered, {twice} arrived twice");
    assert_eq!(seen.len(), total);
    assert!(seen.values().all(|count| *count <= 1 + kills as u32));
    assert!(twice as u32 <= redelivered, "a second copy is a redelivery");
    assert_eq!(lost, 0);
    assert_eq!(kills, 24);
    assert_eq!(used(&shm), 0);
    drop((work, done, shm));
    isolated.assert_gone();
}

/// A send that fails gives a leased message back with its lease, whatever the reason.
#[test]
fn a_leased_message_that_cannot_be_sent_is_not_lost() {
    let isolated = Isolated::new("unsent");
    let (shm, other) = (isolated.open(), isolated.open());
    let work = shm.port_queue("work", &options(4, 0)).unwrap();
    put(&shm, &work, 7);
    let one = QueueOptions { capacity: Some(1), producers: Some(1), ..QueueOptions::default() };
    let sink = shm.port_queue("sink", &one).unwrap();
    let theirs = other.port_queue("sink", &one).unwrap();
    put(&other, &theirs, 0);
    let Err(TrySendError::Failed(message, error)) = sink.try_send(take(&work).unwrap()) else {
        panic!("another is the producer")
    };
    assert_eq!(error.kind(), ErrorKind::Role);
    // As many references of our own as one participant can have: no further one can be sent in its place.
    let buffer = Buffer { id: message.id(), received: false };
    let allocator = shm.allocator();
    let shares = std::iter::repeat_with(|| allocator.share(buffer)).take_while(Result::is_ok).count();
    let Err(TrySendError::Failed(message, error)) = sink.try_send(message) else {
        panic!("there is no room for another reference")
    };
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!((shares, allocator.release_all((0..shares).map(|_| buffer)).0), (65_279, shares));
    message.nack().unwrap();
    let again = take(&work).unwrap();
    assert_eq!((again.sequence(), again.attempt()), (7, 2));
}

/// The end of the dead-letter queue that a receiver has is the one that the application gets: what it leased there stays leased when
/// the receiver's queue goes.
#[test]
fn dead_letters_are_received_at_the_one_end_there_is() {
    let isolated = Isolated::new("one-end");
    let shm = isolated.open();
    let dead = shm.port_queue("q.dead", &options(8, 0)).unwrap();
    let queue = shm.port_queue("q", &options(8, 1)).unwrap();
    put(&shm, &queue, 7);
    take(&queue).unwrap().nack().unwrap();
    assert!(take(&queue).is_none());
    let held = take(&dead).unwrap();
    drop(queue);
    assert_eq!((dead.len(), held.sequence()), (0, 7), "still leased");
    dead.destroy();
    // Another takes its place when it is needed.
    let queue = shm.port_queue("q", &options(8, 1)).unwrap();
    put(&shm, &queue, 8);
    take(&queue).unwrap().nack().unwrap();
    assert!(take(&queue).is_none());
    assert_eq!(take(&shm.find_queue("q.dead").unwrap().unwrap()).unwrap().sequence(), 8);
}

/// The number of dropped messages comes with the first message that is received, not with one that goes to the dead letters instead.
#[test]
fn a_gap_is_not_told_to_the_dead_letters() {
    let isolated = Isolated::new("gap");
    let shm = isolated.open();
    let dropping = QueueOptions { overflow: Some(Overflow::DropOldest), ..options(2, 1) };
    let queue = shm.port_queue("q", &dropping).unwrap();
    put(&shm, &queue, 0);
    take(&queue).unwrap().nack().unwrap();
    (1..6).for_each(|sequence| put(&shm, &queue, sequence));
    let mut out = [Received::default(); 4];
    let (count, _) = queue.receive(&mut out).unwrap();
    assert_eq!(out[..count].iter().map(|r| (r.attempt, r.gap)).collect::<Vec<_>>(), [(1, 3)]);
    assert_eq!(take(&shm.find_queue("q.dead").unwrap().unwrap()).unwrap().sequence(), 0);
}

/// What is left of a participant that has left keeps its slot from being given away, so it cannot disturb the next one there.
#[test]
fn a_slot_is_not_given_away_while_anything_is_left_of_its_tenant() {
    let isolated = Isolated::new("slot");
    let (shm, leaver) = (isolated.open(), isolated.open());
    let queue = leaver.port_queue("q", &options(4, 0)).unwrap();
    let slot = leaver.slot();
    drop(leaver);
    let next = isolated.open();
    assert_ne!(next.slot(), slot);
    assert_eq!(queue.try_receive().unwrap_err().kind(), ErrorKind::Closed);
    drop(queue);
    drop(next);
    assert_eq!((isolated.open().slot(), shm.slot()), (slot, 0));
}

/// Two threads of one participant wait for a buffer: one that gives up leaves the other waiting.
#[test]
fn a_thread_that_gives_up_does_not_end_the_wait_of_another() {
    let isolated = Isolated::new("two");
    let options = OpenOptions { max_bytes: Some(1 << 20), ..isolated.options() };
    let open = || ShmManager::open(&isolated.name, &options).unwrap();
    let (shm, other) = (open(), open());
    let hoard: Vec<_> = std::iter::from_fn(|| other.allocate(100_000).ok()).collect();
    let sequence = shm.wake_sequence();
    assert!(shm.allocate(100_000).is_err());
    assert!(shm.arm_pool(100_000, 1) && shm.arm_pool(100_000, 1));
    shm.disarm_pool();
    drop(hoard);
    assert!(shm.park(sequence, PATIENCE), "the other is told");
    shm.disarm_pool();
}

/// Waits that end while their queue's end retires: none is ended twice.
#[test]
fn a_wait_that_ends_while_the_participant_leaves_is_ended_once() {
    let isolated = Isolated::new("end");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(4, 0)).unwrap();
    for _ in 0..200 {
        let leaver = isolated.open();
        let theirs = leaver.find_queue("q").unwrap().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if let Some(end) = theirs.arm(Interest::Data) {
                            end.disarm(Interest::Data);
                        }
                    }
                });
            }
            drop(leaver);
        });
        drop(theirs);
        // A bit that was left up would take this wake.
        let mine = shm.wake_sequence();
        assert!(queue.arm(Interest::Data).is_some());
        put(&shm, &queue, 1);
        assert_ne!(shm.wake_sequence(), mine);
        queue.disarm(Interest::Data);
        drop(take(&queue));
    }
}
