//! Queues that change while they are in use: capacity, by request and with the load, and options that nobody had asked for.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Buffer, Delivery, ErrorKind, Interest, Overflow, PortQueue, PutOutcome, QueueOptions, Received,
    SendOutcome, TakeOutcome,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::queues::{at_least_once, capacity, clean, rings, send, sequences, take};
use support::{Isolated, PATIENCE, used};

#[test]
fn messages_keep_their_order_and_every_end_goes_on() {
    let isolated = Isolated::new("resize");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &capacity(4)).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    // Some laps on, so that slots and positions differ.
    for sequence in 0..11 {
        assert!(send(&shm, &queue, sequence));
        assert_eq!(take(&theirs).unwrap().sequence(), sequence);
    }
    let mut next = 100;
    let mut fill = |queue: &PortQueue| {
        let first = next;
        while send(&shm, queue, next) {
            next += 1;
        }
        first..next
    };
    let mut expected: Vec<_> = fill(&queue).collect();
    assert_eq!(expected.len(), 4);
    for (slots, room) in [(16, 12), (64, 48), (16, 0), (1, 0), (256, 192)] {
        theirs.resize(slots).unwrap();
        clean(&shm);
        let new = fill(&queue);
        assert_eq!(new.end - new.start, room, "room with {slots} slots");
        expected.extend(new);
        assert_eq!((queue.len(), theirs.len()), (expected.len(), expected.len()));
    }
    assert!(queue.has_been_replaced() && queue.instead().unwrap().options().capacity == 256);
    let stats = queue.stats().unwrap();
    assert_eq!((stats.sent, stats.received, stats.depth), (11 + 256, 11, 256));
    assert_eq!(sequences(&queue), expected);
    // Who opens it with what it was made with gets it as it is.
    let third = other.port_queue("q", &capacity(4)).unwrap();
    assert_eq!(third.options().capacity, 256);
    drop((queue, theirs, third));
    assert_eq!((rings(&shm), used(&shm)), (1, 0), "rings that were replaced have gone");
    clean(&shm);
}

#[test]
fn a_queue_that_has_too_many_takes_no_more() {
    let isolated = Isolated::new("resize-full");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(16)).unwrap();
    (0..10).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    queue.resize(4).unwrap();
    for taken in 0..10 {
        assert_eq!(send(&shm, &queue, 10 + taken), taken >= 7, "after {taken}");
        assert_eq!(take(&queue).unwrap().sequence(), taken);
    }
    assert_eq!(sequences(&queue), [17, 18, 19]);
}

#[test]
fn a_queue_that_drops_takes_everything_whatever_it_held() {
    let isolated = Isolated::new("resize-drops");
    let shm = isolated.open();
    let drops = |slots| QueueOptions { overflow: Some(Overflow::DropOldest), ..capacity(slots) };
    let queue = shm.port_queue("q", &drops(4096)).unwrap();
    (0..4096).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    queue.resize(4).unwrap();
    assert!(send(&shm, &queue, 4096));
    assert_eq!((queue.len(), queue.stats().unwrap().dropped), (4, 4093));
    let first = queue.receive(&mut [Received::default()]).unwrap();
    assert_eq!(first.0, 1);
    assert_eq!(sequences(&queue), [4094, 4095, 4096]);
    // Of one with leases what was given back is the oldest.
    let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), limit: Some(1024), ..drops(1024) };
    let queue = shm.port_queue("leased", &options).unwrap();
    (0..1024).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    let held: Vec<_> = (0..600).map(|_| take(&queue).unwrap()).collect();
    held.into_iter().for_each(|message| message.nack().unwrap());
    queue.resize(4).unwrap();
    assert!(send(&shm, &queue, 1024));
    assert_eq!(sequences(&queue), [1021, 1022, 1023, 1024]);
    clean(&shm);
}

#[test]
fn who_has_it_open_is_known_whatever_ring_it_was() {
    let isolated = Isolated::new("resize-users");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &at_least_once(4)).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    assert_eq!((queue.stats().unwrap().attached, rings(&shm)), (2, 1));
    queue.resize(16).unwrap();
    let now = shm.find_queue("q").unwrap().unwrap();
    let stats = now.stats().unwrap();
    assert_eq!((stats.attached, rings(&shm), used(&shm)), (2, 2, 0), "an idle end holds the ring before");
    assert_eq!(stats.users.iter().map(|user| user.participant).collect::<Vec<_>>(), [0, 1]);
    let asked = QueueOptions { delivery: Some(Delivery::AtMostOnce), ..QueueOptions::default() };
    let refused = shm.port_queue("q", &asked).unwrap_err().to_string();
    assert!(refused.contains(") has it open"), "{refused}");
    drop(theirs);
    drop(queue);
    assert_eq!((now.stats().unwrap().attached, rings(&shm), used(&shm)), (1, 1, 0));
    let refused = shm.port_queue("q", &asked).unwrap_err().to_string();
    assert!(refused.contains("nobody else has it open"), "{refused}");
}

#[test]
fn statistics_say_what_is_meant() {
    let isolated = Isolated::new("resize-meant");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(16)).unwrap();
    (0..10).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    queue.resize(4).unwrap();
    let stats = queue.stats().unwrap();
    assert_eq!((stats.capacity, stats.limit, stats.depth), (4, 0, 10));
}

#[test]
fn a_limit_is_what_changes_where_there_is_one() {
    let isolated = Isolated::new("resize-limit");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions { limit: Some(3), ..capacity(4) }).unwrap();
    (0..3).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    queue.resize(5).unwrap();
    assert!(send(&shm, &queue, 3) && send(&shm, &queue, 4) && !send(&shm, &queue, 5));
    let now = queue.instead().unwrap();
    assert_eq!((now.options().capacity, now.options().limit), (8, 5));
}

#[test]
fn leases_go_along() {
    let isolated = Isolated::new("resize-leases");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &at_least_once(16)).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    (0..12).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    let mut held: Vec<_> = (0..6).map(|_| take(&theirs).unwrap()).collect();
    held.remove(1).nack().unwrap();
    queue.resize(64).unwrap();
    clean(&shm);
    let stats = queue.stats().unwrap();
    assert_eq!((stats.leased, stats.pending, stats.depth), (5, 1, 7));
    // By the old end: one acknowledged, one given back.
    drop(held.remove(0));
    held.remove(0).nack().unwrap();
    queue.resize(2).unwrap();
    clean(&shm);
    let first: Vec<_> = (0..3).map(|_| take(&queue).unwrap()).collect();
    let order: Vec<_> = first.iter().map(|message| (message.sequence(), message.attempt())).collect();
    assert_eq!(order, [(1, 2), (2, 2), (6, 1)]);
    drop(first);
    // What a participant has not acknowledged comes back when it leaves, wherever it took it.
    drop(other);
    drop((held, theirs));
    assert_eq!(sequences(&queue), [3, 4, 5, 7, 8, 9, 10, 11]);
    assert!(queue.is_idle());
    drop(queue);
    assert_eq!(used(&shm), 0);
    clean(&shm);
}

#[test]
fn who_waits_is_told() {
    let isolated = Isolated::new("resize-waits");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &capacity(1)).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            loop {
                if let Some(message) = take(&theirs) {
                    return message.sequence();
                }
                assert!(theirs.wait(Interest::Data, PATIENCE), "nobody has told");
            }
        });
        shm.port_queue("q", &capacity(1)).unwrap().resize(8).unwrap();
        while queue.stats().unwrap().receive_waits == 0 {
            std::thread::yield_now();
        }
        queue.resize(4).unwrap();
        assert!(send(&shm, &queue, 7));
        assert_eq!(receiver.join().unwrap(), 7);
    });
    while send(&shm, &queue, 0) {}
    let waits = queue.stats().unwrap().send_waits;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !send(&other, &theirs, 1) {
                assert!(theirs.wait(Interest::Space, PATIENCE), "nobody has told");
            }
        });
        while queue.stats().unwrap().send_waits == waits {
            std::thread::yield_now();
        }
        queue.resize(8).unwrap();
        sender.join().unwrap();
    });
    assert!(theirs.arm(Interest::Space).is_some() || theirs.is_ready(Interest::Space));
}

#[test]
fn a_wait_ends_where_it_began() {
    let isolated = Isolated::new("resize-arms");
    let (shm, other, third) = (isolated.open(), isolated.open(), isolated.open());
    for gives_up in [false, true] {
        let queue = shm.port_queue("q", &capacity(4)).unwrap();
        let theirs = other.find_queue("q").unwrap().unwrap();
        // By an end whose ring is replaced already, and the ring where it waits is replaced, too.
        queue.resize(8).unwrap();
        let waits = theirs.arm(Interest::Data).unwrap();
        assert!(!Arc::ptr_eq(&waits, &theirs) && waits.is_unrung(Interest::Data));
        queue.resize(16).unwrap();
        assert!(!waits.is_unrung(Interest::Data));
        if gives_up {
            waits.disarm(Interest::Data);
        } else {
            assert!(waits.rearm(Interest::Data), "it looks again");
        }
        // It waits nowhere any more, and takes nobody's wake.
        let sleeper = third.find_queue("q").unwrap().unwrap().arm(Interest::Data).unwrap();
        assert!(send(&shm, &queue, 1));
        assert!(!sleeper.is_unrung(Interest::Data), "somebody else was woken (gives up: {gives_up})");
        sleeper.disarm(Interest::Data);
        queue.destroy();
    }
}

#[test]
fn roles_and_ends_go_along() {
    let isolated = Isolated::new("resize-roles");
    let (shm, other) = (isolated.open(), isolated.open());
    let options = QueueOptions { producers: Some(1), close_with_producers: Some(true), ..capacity(4) };
    let queue = shm.port_queue("q", &options).unwrap();
    let theirs = other.find_queue("q").unwrap().unwrap();
    assert!(send(&other, &theirs, 1));
    queue.resize(16).unwrap();
    assert_eq!((queue.producers(), queue.consumers()), (1, 0));
    let refused = queue.try_send(shm.allocate(1).unwrap()).unwrap_err();
    assert!(refused.to_string().contains("and participant 1, "), "{refused}");
    drop(theirs);
    assert!(queue.is_closed(), "its producer has gone, by an end of the ring before");
    assert_eq!(queue.resize(4).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(sequences(&queue), [1]);
    queue.destroy();
    assert_eq!(queue.resize(4).unwrap_err().kind(), ErrorKind::Destroyed);
    assert_eq!(queue.resize(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn ends_of_a_ring_before_see_the_end_of_the_queue() {
    let isolated = Isolated::new("resize-end");
    let shm = isolated.open();
    for destroys in [false, true] {
        let queue = shm.port_queue("q", &capacity(4)).unwrap();
        queue.resize(8).unwrap();
        let now = shm.find_queue("q").unwrap().unwrap();
        assert!(!Arc::ptr_eq(&queue, &now));
        if destroys {
            _ = now.destroy()
        } else {
            queue.close()
        }
        let (sent, taken) = if destroys {
            (SendOutcome::Destroyed, TakeOutcome::Destroyed)
        } else {
            (SendOutcome::Closed, TakeOutcome::Closed)
        };
        for end in [&queue, &now] {
            assert!(end.is_closed() && end.is_destroyed() == destroys);
            assert!(end.is_ready(Interest::Data) && end.arm(Interest::Data).is_none());
            let mut ids = [0];
            assert_eq!(shm.allocator().allocate_ids(1, &mut ids).unwrap(), 1);
            let buffer = Buffer { id: ids[0], received: false };
            assert_eq!(end.send(&[buffer]).1.unwrap(), sent);
            shm.allocator().release(buffer).unwrap();
            assert_eq!(end.put([&b"x"[..]].into_iter()).1.unwrap(), PutOutcome::Refused(sent));
            assert_eq!(end.receive(&mut [Received::default()]).unwrap(), (0, taken));
            assert_eq!(end.get(&mut [0; 8], &mut [0]).unwrap(), (0, 0, taken));
            assert!(end.peek().unwrap().is_none());
        }
        queue.destroy();
        assert!(shm.find_queue("q").unwrap().is_none());
    }
    assert_eq!(used(&shm), 0);
    clean(&shm);
}

#[test]
fn capacity_follows_the_load() {
    let isolated = Isolated::new("resize-load");
    let shm = isolated.open();
    let options = QueueOptions { max_capacity: Some(256), ..capacity(4) };
    let queue = shm.port_queue("q", &options).unwrap();
    let messages = [[1_u8; 40]; 100];
    let all = || messages.iter().map(<[u8; 40]>::as_slice);
    assert_eq!(queue.put(all()).0, 100);
    assert_eq!(queue.put(all()).0, 100);
    assert_eq!(queue.put(all()).0, 56, "the most");
    let now = queue.instead().unwrap();
    assert_eq!((now.options().capacity, now.options().capacities), (256, (4, 256)));
    assert!(shm.port_queue("q", &options).is_ok(), "made with that");
    let other = QueueOptions { max_capacity: Some(512), ..capacity(4) };
    let refused = shm.port_queue("q", &other).unwrap_err().to_string();
    assert!(refused.contains("exists with capacity.max 256, 512 was asked for"), "{refused}");
    let (mut bytes, mut lengths) = ([0; 40 * 256], [0; 256]);
    assert_eq!(queue.get(&mut bytes, &mut lengths).unwrap().0, 256);
    // It has been full until now, then it is quiet: the sentinel halves it at each look.
    let began = std::time::Instant::now();
    while queue.instead().unwrap().options().capacity == 256 {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not become smaller");
        shm.park(shm.wake_sequence(), Duration::from_millis(100));
    }
    assert!(began.elapsed() > Duration::from_secs(5));
    for (options, what) in [
        (QueueOptions { max_capacity: Some(2), ..capacity(4) }, "capacity.max is 2"),
        (QueueOptions { max_capacity: Some(8), limit: Some(2), ..capacity(4) }, "limit is 2"),
        (
            QueueOptions { max_capacity: Some(8), overflow: Some(Overflow::DropOldest), ..capacity(4) },
            "capacity.max is 8",
        ),
    ] {
        let refused = shm.port_queue("r", &options).unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
}

#[test]
fn under_load_nothing_is_lost_and_every_sender_keeps_its_order() {
    const EACH: u64 = 30_000;
    let isolated = Isolated::new("resize-load-order");
    for options in [capacity(8), at_least_once(8), QueueOptions { max_capacity: Some(64), ..capacity(2) }] {
        let managers = [isolated.open(), isolated.open(), isolated.open(), isolated.open()];
        let queues = managers.each_ref().map(|shm| shm.port_queue("q", &options).unwrap());
        let (left, done) = (AtomicU64::new(2 * EACH), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (sender, (shm, queue)) in managers.iter().zip(&queues).take(2).enumerate() {
                scope.spawn(move || {
                    for count in 0..EACH {
                        while !send(shm, queue, (sender as u64) << 32 | count) {
                            queue.wait(Interest::Space, PATIENCE);
                        }
                    }
                });
            }
            for queue in &queues[2..] {
                let (left, done) = (&left, &done);
                scope.spawn(move || {
                    let mut last = [None, None];
                    while !done.load(Ordering::Acquire) {
                        let Some(message) = take(queue) else {
                            queue.wait(Interest::Data, Duration::from_millis(100));
                            continue;
                        };
                        let (sender, count) =
                            ((message.sequence() >> 32) as usize, message.sequence() & 0xffff_ffff);
                        assert!(last[sender] < Some(count), "{sender}: {count} after {last:?}");
                        last[sender] = Some(count);
                        if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                            done.store(true, Ordering::Release);
                        }
                    }
                });
            }
            for round in 0_u32.. {
                if done.load(Ordering::Acquire) {
                    assert!(round > 10, "{round} times only");
                    break;
                }
                match queues[round as usize % 4].resize([2, 64, 8, 32, 1][round as usize % 5]) {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
                }
            }
        });
        assert_eq!(queues[0].len(), 0);
        queues[0].destroy();
        drop(queues);
        assert_eq!(used(&managers[0]), 0);
        clean(&managers[0]);
    }
}
