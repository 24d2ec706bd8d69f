//! Messages that are copied in and out: `put` and `get`, which write no ledger.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Delivery, ErrorKind, Interest, OpenOptions, Overflow, PutOutcome, QueueOptions, SendOutcome, ShmManager,
    TakeOutcome,
};
use std::time::{Duration, Instant};
use support::{Isolated, await_recoveries, role, say, started, used};

fn options(capacity: u32, overflow: Overflow) -> QueueOptions {
    QueueOptions { capacity: Some(capacity), overflow: Some(overflow), ..QueueOptions::default() }
}

/// Message `n`: its bytes and their number follow from it.
fn message(n: u64) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(8 + (n % 700) as usize, n as u8);
    bytes
}

fn number(bytes: &[u8]) -> u64 {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, message(n), "message {n} came as it went");
    n
}

/// The messages of one `get`.
fn got(bytes: &[u8], lengths: &[u32]) -> Vec<u64> {
    let mut rest = bytes;
    let mut numbers = Vec::new();
    for length in lengths {
        let (message, behind) = rest.split_at(*length as usize);
        numbers.push(number(message));
        rest = behind;
    }
    numbers
}

#[test]
fn what_is_put_is_got_whatever_the_sizes() {
    let isolated = Isolated::new("copies");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(1024, Overflow::Block)).unwrap();
    let (mut out, mut lengths) = (vec![0; 1 << 16], [0; 256]);
    let mut expected = 0;
    for batch in [1, 2, 3, 100, 256] {
        for _ in 0..10 {
            let messages: Vec<_> = (expected..expected + batch).map(message).collect();
            let (count, outcome) = queue.put(messages.iter().map(Vec::as_slice));
            assert_eq!((count as u64, outcome.unwrap()), (batch, PutOutcome::Done));
            let end = expected + batch;
            while expected < end {
                let (count, gap, outcome) = queue.get(&mut out, &mut lengths).unwrap();
                assert_eq!((gap, outcome), (0, TakeOutcome::Done));
                for n in got(&out, &lengths[..count]) {
                    assert_eq!(n, expected);
                    expected += 1;
                }
            }
        }
    }
    assert_eq!(queue.get(&mut out, &mut lengths).unwrap(), (0, 0, TakeOutcome::Empty));
    assert_eq!(used(&shm), 0);
    assert!(shm.fsck().unwrap().is_empty());
}

#[test]
fn a_message_without_room_stays_in_the_queue() {
    let isolated = Isolated::new("room");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(4, Overflow::Block)).unwrap();
    let (small, large) = ([1; 10], [2; 100]);
    assert_eq!(queue.put([&small[..], &large[..]].into_iter()).0, 2);
    let (mut out, mut lengths) = ([0; 50], [0; 4]);
    assert_eq!(queue.get(&mut out, &mut lengths).unwrap().0, 1, "the second does not fit");
    assert_eq!(queue.get(&mut out, &mut lengths).unwrap_err().kind(), ErrorKind::TooLarge);
    let buffer = queue.try_receive().unwrap().0.unwrap();
    // SAFETY: nobody else has this buffer.
    assert_eq!(unsafe { buffer.bytes() }, large);
    drop(buffer);
    assert_eq!(used(&shm), 0);
}

#[test]
fn full_ended_and_exhausted_are_results_and_leave_nothing() {
    let isolated = Isolated::new("results");
    let shm =
        ShmManager::open(&isolated.name, &OpenOptions { max_bytes: Some(2 << 20), ..isolated.options() })
            .unwrap();
    let small = [7_u8; 16];
    let queue = shm.port_queue("full", &options(4, Overflow::Block)).unwrap();
    let (count, outcome) = queue.put(std::iter::repeat_n(&small[..], 9));
    assert_eq!((count, outcome.unwrap()), (4, PutOutcome::Refused(SendOutcome::Full)));
    assert_eq!(used(&shm), 4);
    queue.close();
    let (count, outcome) = queue.put([&small[..]].into_iter());
    assert_eq!((count, outcome.unwrap()), (0, PutOutcome::Refused(SendOutcome::Closed)));
    queue.destroy();
    let (count, outcome) = queue.put([&small[..]].into_iter());
    assert_eq!((count, outcome.unwrap()), (0, PutOutcome::Refused(SendOutcome::Destroyed)));
    assert_eq!(used(&shm) - 1, 0, "but for the ring that this end holds");
    drop(queue);

    let large = vec![1_u8; 256 << 10];
    let queue = shm.port_queue("exhausted", &options(64, Overflow::Block)).unwrap();
    let (count, outcome) = queue.put(std::iter::repeat_n(&large[..], 20));
    assert_eq!(outcome.unwrap(), PutOutcome::Exhausted);
    assert_eq!(used(&shm), count as u64);
    queue.destroy();
    drop(queue);
    assert_eq!(used(&shm), 0);
    assert!(shm.fsck().unwrap().is_empty());
}

#[test]
fn overflow_policies_count_what_they_drop() {
    let isolated = Isolated::new("policies");
    let shm = isolated.open();
    let (mut out, mut lengths) = (vec![0; 1 << 16], [0; 256]);
    for (policy, kept, dropped) in [
        (Overflow::DropOldest, vec![6, 7, 8, 9], 6),
        (Overflow::DropNewest, vec![0, 1, 2, 3], 6),
        (Overflow::Latest, vec![9], 9),
    ] {
        let queue = shm.port_queue(&format!("{policy:?}"), &options(4, policy)).unwrap();
        let messages: Vec<_> = (0..10).map(message).collect();
        let (count, outcome) = queue.put(messages.iter().map(Vec::as_slice));
        assert_eq!((count, outcome.unwrap()), (10, PutOutcome::Done));
        let (count, gap, _) = queue.get(&mut out, &mut lengths).unwrap();
        assert_eq!((got(&out, &lengths[..count]), gap), (kept, dropped), "{policy:?}");
        assert_eq!(used(&shm), 0, "{policy:?}");
    }
}

#[test]
fn what_must_be_acknowledged_is_not_copied_out() {
    let isolated = Isolated::new("leased");
    let shm = isolated.open();
    let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..options(4, Overflow::Block) };
    let queue = shm.port_queue("q", &options).unwrap();
    assert_eq!(queue.put([&[1_u8][..]].into_iter()).0, 1);
    assert_eq!(queue.get(&mut [0; 8], &mut [0]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(queue.try_receive().unwrap().0.unwrap().len(), 1);
}

#[test]
fn who_waits_for_a_buffer_is_told_of_those_a_full_queue_refused() {
    let isolated = Isolated::new("refused");
    let options_ = OpenOptions { max_bytes: Some(4 << 20), ..isolated.options() };
    let open = || ShmManager::open(&isolated.name, &options_).unwrap();
    let (shm, waiter) = (open(), open());
    for overflow in [Overflow::Reject, Overflow::DropNewest] {
        let queue = shm.port_queue(&format!("{overflow:?}"), &options(1, overflow)).unwrap();
        assert_eq!(queue.put([&[1_u8; 100][..]].into_iter()).0, 1);
        let mut hoard: Vec<_> = std::iter::from_fn(|| shm.allocate(100).ok()).collect();
        drop(hoard.pop());
        // The bytes are asked for while the buffer they go to is claimed: just then somebody else finds nothing and waits.
        let armed = std::cell::Cell::new(false);
        let message = || {
            armed.set(armed.get() || (waiter.allocate(100).is_err() && waiter.arm_pool(100, 1)));
            &[2_u8; 100][..]
        };
        let sequence = waiter.wake_sequence();
        queue.put(std::iter::once(()).map(|()| message())).1.unwrap();
        assert!(armed.get(), "{overflow:?}");
        assert_ne!(waiter.wake_sequence(), sequence, "{overflow:?}: notified");
        waiter.disarm_pool();
        queue.destroy();
    }
}

/// A child that puts or gets for ever.
fn work(shm: &ShmManager, role: &str) {
    let queue = shm.find_queue("q").unwrap().unwrap();
    say("ready");
    let (mut out, mut lengths, mut n) = (vec![0; 1 << 16], [0; 256], 0);
    loop {
        let batch = 1 + n % 64;
        if role == "put" {
            let messages: Vec<_> = (n..n + batch).map(message).collect();
            let (count, outcome) = queue.put(messages.iter().map(Vec::as_slice));
            n += count as u64;
            if outcome.unwrap() != PutOutcome::Done {
                queue.wait(Interest::Space, Duration::from_millis(50));
            }
        } else {
            let (count, _, outcome) = queue.get(&mut out, &mut lengths[..batch as usize]).unwrap();
            got(&out, &lengths[..count]);
            n += 1;
            if outcome != TakeOutcome::Done {
                queue.wait(Interest::Data, Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn kills_at_random_moments_leak_nothing() {
    const NAME: &str = "kills_at_random_moments_leak_nothing";
    if let Some((role, isolated)) = role() {
        work(&isolated.open(), &role);
        return;
    }
    for policy in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest] {
        let isolated = Isolated::new("kills");
        let shm = isolated.open();
        let queue = shm.port_queue("q", &options(64, policy)).unwrap();
        let roles = ["put", "put", "get", "get"];
        let mut children: Vec<_> = roles.iter().map(|role| started(NAME, role, &isolated)).collect();
        let mut state = 0x1234_5678_u32 ^ policy as u32;
        for kill in 1..=30 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pause = Instant::now() + Duration::from_micros(u64::from(state >> 19));
            while Instant::now() < pause {
                drop(shm.allocate(100));
            }
            let victim = (state >> 8) as usize % children.len();
            children[victim].kill().unwrap();
            children[victim].wait().unwrap();
            await_recoveries(&shm, kill);
            children[victim] = started(NAME, roles[victim], &isolated);
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        await_recoveries(&shm, 34);
        let (mut out, mut lengths, mut left) = (vec![0; 1 << 16], [0; 256], 0);
        while let (count @ 1.., ..) = queue.get(&mut out, &mut lengths).unwrap() {
            left += got(&out, &lengths[..count]).len();
        }
        assert!(left <= 64, "{left}");
        assert!(shm.fsck().unwrap().is_empty(), "{policy:?}");
        assert_eq!(used(&shm), 0, "{policy:?}");
        drop((queue, shm));
        isolated.assert_gone();
    }
}

#[test]
fn who_dies_with_some_messages_of_a_pack_loses_those_alone() {
    const NAME: &str = "who_dies_with_some_messages_of_a_pack_loses_those_alone";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.find_queue("q").unwrap().unwrap();
        let mut held: Vec<_> = (0..5).map(|_| queue.try_receive().unwrap().0.unwrap()).collect();
        held.truncate(3);
        say("ready");
        std::thread::park();
        drop(held);
        return;
    }
    let isolated = Isolated::new("pack");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(64, Overflow::Block)).unwrap();
    let messages: Vec<_> = (0..20).map(message).collect();
    assert_eq!(queue.put(messages.iter().map(Vec::as_slice)).0, 20);
    assert_eq!(used(&shm), 1, "they share a buffer");
    let mut child = started(NAME, "hold", &isolated);
    assert_eq!(queue.len(), 15);
    child.kill().unwrap();
    child.wait().unwrap();
    await_recoveries(&shm, 1);
    let reports = shm.reports_since(0);
    assert_eq!(reports.iter().map(|r| (r.lost, r.freed)).collect::<Vec<_>>(), [(3, 0)]);
    assert!(shm.fsck().unwrap().is_empty());
    let (mut out, mut lengths) = ([0; 1 << 12], [0; 14]);
    assert_eq!(queue.get(&mut out, &mut lengths).unwrap().0, 14);
    assert_eq!(got(&out, &lengths), (5..19).collect::<Vec<_>>());
    assert_eq!(used(&shm), 1, "one is left");
    let last = queue.try_receive().unwrap().0.unwrap();
    // SAFETY: nobody else has it.
    assert_eq!(unsafe { last.bytes() }, message(19));
    drop(last);
    assert_eq!(used(&shm), 0);
}
