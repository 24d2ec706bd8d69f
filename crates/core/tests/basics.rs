//! One process: what a domain does, and that it leaves nothing behind.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{ErrorKind, Overflow, QueueOptions, TakeOutcome, TrySendError};
use support::{Isolated, used};

fn capacity(capacity: u32) -> QueueOptions {
    QueueOptions { capacity: Some(capacity), ..QueueOptions::default() }
}

#[test]
fn a_message_goes_through_and_nothing_is_left() {
    let isolated = Isolated::new("basic");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(8)).unwrap();
    let mut buffer = shm.allocate(1000).unwrap();
    assert_eq!((buffer.len(), buffer.capacity()), (1000, 1024));
    // SAFETY: nobody else has this buffer.
    let bytes = unsafe { buffer.bytes_mut() };
    bytes[..4].copy_from_slice(b"mill");
    buffer.set_len(4);
    queue.try_send(buffer).unwrap();
    assert_eq!(queue.len(), 1);
    let (buffer, outcome) = queue.try_receive().unwrap();
    assert_eq!(outcome, TakeOutcome::Done);
    // SAFETY: nobody else has this buffer.
    let bytes = unsafe { buffer.as_ref().unwrap().bytes() };
    assert_eq!(bytes, b"mill");
    assert_eq!(used(&shm), 1);
    drop(buffer);
    assert_eq!(used(&shm), 0);
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Empty);
    drop((queue, shm));
    isolated.assert_gone();
}

#[test]
fn full_closed_and_destroyed_are_results() {
    let isolated = Isolated::new("states");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(2)).unwrap();
    for _ in 0..2 {
        queue.try_send(shm.allocate(1).unwrap()).unwrap();
    }
    let full = queue.try_send(shm.allocate(1).unwrap()).unwrap_err();
    assert!(full.is_full());
    queue.close();
    assert!(matches!(queue.try_send(full.into_inner()), Err(TrySendError::Closed(_))));
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Done, "what is in it can be taken");
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Done);
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Closed);
    queue.destroy();
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Destroyed);
    assert!(shm.find_queue("q").unwrap().is_none());
    let again = shm.port_queue("q", &capacity(4)).unwrap();
    assert_eq!(again.options().capacity, 4, "the name is free");
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Destroyed, "the old end stays what it is");
    assert_eq!(used(&shm), 1, "the old ring, which this end still holds");
    drop(queue);
    assert_eq!(used(&shm), 0);
}

#[test]
fn destroying_a_queue_frees_its_messages() {
    let isolated = Isolated::new("destroy");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(64)).unwrap();
    for _ in 0..50 {
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
    }
    assert_eq!(used(&shm), 50);
    queue.destroy();
    drop(queue);
    assert_eq!(used(&shm), 0);
}

#[test]
fn overflow_policies_drop_what_they_say_and_count_it() {
    let isolated = Isolated::new("overflow");
    let shm = isolated.open();
    for (policy, kept, dropped) in [
        (Overflow::DropOldest, vec![6, 7, 8, 9], 6),
        (Overflow::DropNewest, vec![0, 1, 2, 3], 6),
        (Overflow::Latest, vec![9], 9),
    ] {
        let options = QueueOptions { overflow: Some(policy), ..capacity(4) };
        let queue = shm.port_queue(&format!("{policy:?}"), &options).unwrap();
        for i in 0..10 {
            let mut buffer = shm.allocate(1).unwrap();
            buffer.set_sequence(i);
            queue.try_send(buffer).unwrap();
        }
        let mut got = Vec::new();
        while let (Some(buffer), _) = queue.try_receive().unwrap() {
            got.push(buffer.sequence());
        }
        assert_eq!(got, kept, "{policy:?}");
        let snapshot = shm.snapshot().unwrap();
        assert_eq!(
            snapshot.queues.iter().find(|q| q.name == format!("{policy:?}")).unwrap().dropped,
            dropped
        );
        assert_eq!(used(&shm), 0, "{policy:?}");
    }
}

#[test]
fn a_domain_grows_to_its_budget_and_says_who_holds_what() {
    let isolated = Isolated::new("budget");
    let options = millrace::OpenOptions {
        max_bytes: Some(4 << 20),
        name: Some("hoarder".into()),
        ..isolated.options()
    };
    let shm = millrace::ShmManager::open(&isolated.name, &options).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match shm.allocate(1 << 20) {
            Ok(buffer) => held.push(buffer),
            Err(e) => break e,
        }
    };
    assert_eq!(held.len(), 4);
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("hoarder") && error.to_string().contains("holds 4"), "{error}");
    held.pop();
    drop(shm.allocate(1 << 20).unwrap());
    assert_eq!(shm.allocate(5 << 20).unwrap_err().kind(), ErrorKind::TooLarge, "the budget never holds it");
    assert_eq!(shm.allocate(usize::MAX).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_small_buffer_comes_from_a_larger_class_when_its_own_is_exhausted() {
    let isolated = Isolated::new("larger");
    let options = millrace::OpenOptions { max_bytes: Some(1 << 20), ..isolated.options() };
    let shm = millrace::ShmManager::open(&isolated.name, &options).unwrap();
    let large = shm.allocate(512 << 10).unwrap();
    assert_eq!(shm.allocate(100).unwrap().capacity(), 512 << 10);
    let none = shm.allocate(1 << 20).unwrap_err().to_string();
    assert!(none.ends_with("; smaller buffers in use take up the budget"), "{none}");
    drop(large);
}

#[test]
fn one_producer_means_one() {
    let isolated = Isolated::new("role");
    let (a, b) = (isolated.open(), isolated.open());
    let options = QueueOptions { producers: Some(1), ..capacity(4) };
    let (qa, qb) = (a.port_queue("q", &options).unwrap(), b.port_queue("q", &options).unwrap());
    qa.try_send(a.allocate(1).unwrap()).unwrap();
    let held = b.allocate(1).unwrap();
    let Err(TrySendError::Failed(_, error)) = qb.try_send(held) else { panic!("there is a producer") };
    assert_eq!(error.kind(), ErrorKind::Role);
    drop((qa, a));
    qb.try_send(b.allocate(1).unwrap()).unwrap();
    assert_eq!(qb.len(), 2);
}

#[test]
fn options_must_agree() {
    let isolated = Isolated::new("options");
    let shm = isolated.open();
    let other = millrace::OpenOptions { max_bytes: Some(1 << 20), ..isolated.options() };
    let error = millrace::ShmManager::open(&isolated.name, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionsMismatch);
    let _queue = shm.port_queue("q", &capacity(4)).unwrap();
    assert_eq!(shm.port_queue("q", &capacity(8)).unwrap_err().kind(), ErrorKind::OptionsMismatch);
}

#[test]
fn buffers_and_ends_outlive_their_manager_harmlessly() {
    let isolated = Isolated::new("outlive");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(4)).unwrap();
    let buffer = shm.allocate(10).unwrap();
    drop(shm);
    isolated.assert_gone();
    let next = isolated.open();
    let theirs = next.allocate(10).unwrap();
    assert_eq!(queue.try_receive().unwrap_err().kind(), ErrorKind::Closed);
    drop((buffer, queue));
    assert_eq!(used(&next), 1);
    drop(theirs);
}

#[test]
fn peek_leaves_the_message_and_holds_the_buffer() {
    let isolated = Isolated::new("peek");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &capacity(4)).unwrap();
    assert_eq!(queue.peek().unwrap(), None);
    queue.try_send(shm.allocate(10).unwrap()).unwrap();
    let peeked = queue.peek().unwrap().unwrap();
    drop(queue.try_receive().unwrap());
    assert_eq!(used(&shm), 1, "still held by the peek");
    shm.allocator().release(peeked).unwrap();
    assert_eq!(used(&shm), 0);
    assert_eq!(shm.allocator().release(peeked).unwrap_err().kind(), ErrorKind::NotHeld);
}

#[test]
fn the_129th_participant_is_refused_and_a_slot_is_reused() {
    let isolated = Isolated::new("many");
    let mut all: Vec<_> = (0..128).map(|_| isolated.open()).collect();
    let error = millrace::ShmManager::open(&isolated.name, &isolated.options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    all.pop();
    assert_eq!(isolated.open().slot(), 127);
    drop(all);
    isolated.assert_gone();
}

/// Elsewhere no object can be put away by hand.
#[cfg(target_os = "linux")]
#[test]
fn an_allocation_that_meets_a_segment_it_cannot_attach_keeps_what_it_has() {
    let isolated = Isolated::new("half");
    let (shm, late) = (isolated.open(), isolated.open());
    drop(late.allocate(100).unwrap());
    let before = isolated.objects();
    let mut hoard = Vec::new();
    while isolated.objects().len() == before.len() {
        hoard.push(shm.allocate(100).unwrap());
    }
    // `late` has only the first of the two segments, and cannot have the other.
    let second = isolated.objects().into_iter().find(|name| !before.contains(name)).unwrap();
    let (here, away) = (format!("/dev/shm/{second}"), format!("/dev/shm/{second}.away"));
    hoard.truncate(3);
    let ids = &mut [0; 256];
    let mut taken = Vec::new();
    std::fs::rename(&here, &away).unwrap();
    let last = loop {
        match late.allocator().allocate_ids(100, ids) {
            Ok(count) => taken.extend_from_slice(&ids[..count]),
            Err(e) => break e,
        }
    };
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(used(&shm), (hoard.len() + taken.len()) as u64, "{last}");
    late.allocator()
        .release_all(taken.iter().map(|id| millrace::Buffer { id: *id, received: false }))
        .1
        .unwrap();
    drop(hoard);
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_queue_tells_who_has_it_open_and_what_they_do() {
    let isolated = Isolated::new("users");
    let [sender, receiver, looker] = [isolated.open(), isolated.open(), isolated.open()];
    let users = || {
        let queue = &sender.snapshot().unwrap().queues[0];
        assert_eq!(queue.attached as usize, queue.users.len());
        queue.users.iter().map(|user| (user.participant, user.sends, user.receives)).collect::<Vec<_>>()
    };
    let queue = sender.port_queue("queue", &capacity(4)).unwrap();
    assert_eq!(users(), [(0, false, false)]);
    queue.try_send(sender.allocate(1).unwrap()).unwrap();
    let other = receiver.port_queue("queue", &capacity(4)).unwrap();
    drop(other.try_receive().unwrap());
    let _open = looker.port_queue("queue", &capacity(4)).unwrap();
    assert_eq!(users(), [(0, true, false), (1, false, true), (2, false, false)]);
    drop((other, receiver));
    assert_eq!(users(), [(0, true, false), (2, false, false)]);
}
