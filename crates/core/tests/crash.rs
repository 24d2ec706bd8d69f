//! Several processes, and `kill -9` at random moments. Every buffer is accounted for.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Discarded, ErrorKind, Interest, OpenOptions, Opened, Overflow, PortQueue, QueueOptions, ShmManager,
    TakeOutcome, TrySendError,
};
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, await_recoveries, role, say, started, used};

fn options(capacity: u32, overflow: Overflow) -> QueueOptions {
    QueueOptions { capacity: Some(capacity), overflow: Some(overflow), ..QueueOptions::default() }
}

fn produce(shm: &ShmManager, overflow: Overflow) {
    let queue = shm.port_queue("q", &options(64, overflow)).unwrap();
    say("ready");
    for i in 0.. {
        let Ok(mut buffer) = shm.allocate(64 << (i % 5)) else {
            std::thread::yield_now();
            continue;
        };
        buffer.set_sequence(i);
        let mut pending = Some(buffer);
        while let Some(buffer) = pending.take() {
            match queue.try_send(buffer) {
                Ok(()) => {}
                Err(TrySendError::Full(back)) => {
                    queue.wait(Interest::Space, Duration::from_millis(50));
                    pending = Some(back);
                }
                Err(TrySendError::Failed(_, error)) => panic!("{error}"),
                Err(_) => return,
            }
        }
    }
}

fn consume(shm: &ShmManager, overflow: Overflow) {
    let queue = shm.port_queue("q", &options(64, overflow)).unwrap();
    say("ready");
    let mut kept = Vec::new();
    loop {
        match queue.try_receive().unwrap() {
            (Some(buffer), _) => {
                kept.push(buffer);
                kept.truncate(7);
            }
            (None, TakeOutcome::Empty) => {
                kept.clear();
                queue.wait(Interest::Data, Duration::from_millis(50));
            }
            (None, _) => return,
        }
    }
}

#[test]
fn random_kills_lose_and_leak_nothing() {
    const NAME: &str = "random_kills_lose_and_leak_nothing";
    let policy = |n: u64| {
        [Overflow::Block, Overflow::DropOldest, Overflow::Latest, Overflow::DropNewest][n as usize % 4]
    };
    if let Some((role, isolated)) = role() {
        let shm = isolated.open();
        let (what, overflow) = role.split_once(' ').unwrap();
        let overflow = policy(overflow.parse().unwrap());
        if what == "produce" {
            produce(&shm, overflow)
        } else {
            consume(&shm, overflow)
        }
        drop(shm);
        return;
    }
    for round in 0..4 {
        let isolated = Isolated::new("kills");
        let shm = isolated.open();
        let queue = shm.port_queue("q", &options(64, policy(round))).unwrap();
        let roles = ["produce", "produce", "consume", "consume"].map(|what| format!("{what} {round}"));
        let mut children: Vec<_> = roles.iter().map(|role| started(NAME, role, &isolated)).collect();
        let mut state = 0x2545_f491_u32.wrapping_add(round as u32);
        let mut stall = Duration::ZERO;
        let kills = 25;
        for kill in 1..=kills {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pause = Instant::now() + Duration::from_micros(u64::from(state >> 18));
            // Our own operations meanwhile show how long a survivor is held up.
            while Instant::now() < pause {
                let before = Instant::now();
                drop(shm.allocate(100));
                stall = stall.max(before.elapsed());
            }
            let victim = (state >> 8) as usize % children.len();
            children[victim].kill().unwrap();
            children[victim].wait().unwrap();
            await_recoveries(&shm, kill);
            children[victim] = started(NAME, &roles[victim], &isolated);
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        await_recoveries(&shm, kills + 4);
        let mut left = 0;
        while let (Some(_), _) = queue.try_receive().unwrap() {
            left += 1;
        }
        assert!(left <= 64, "{left}");
        assert_eq!(used(&shm), 0, "policy {:?}: {:#?}", policy(round), shm.snapshot().unwrap());
        let snapshot = shm.snapshot().unwrap();
        let q = &snapshot.queues[0];
        println!("{:?}: {} sent, {} dropped, longest stall {stall:?}", policy(round), q.sent, q.dropped);
        assert_eq!(q.depth, 0);
        assert!(q.sent > 1000, "the children did work: {}", q.sent);
        drop((queue, shm));
        isolated.assert_gone();
    }
}

#[test]
fn a_death_is_reported_with_exact_numbers() {
    const NAME: &str = "a_death_is_reported_with_exact_numbers";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.find_queue("q").unwrap().unwrap();
        let _own: Vec<_> = (0..5).map(|_| shm.allocate(100).unwrap()).collect();
        let _received: Vec<_> = (0..3).map(|_| queue.try_receive().unwrap().0.unwrap()).collect();
        say("ready");
        std::thread::park();
        return;
    }
    let isolated = Isolated::new("report");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, Overflow::Block)).unwrap();
    for _ in 0..4 {
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
    }
    let mut child = started(NAME, "hold", &isolated);
    let pid = child.id();
    assert_eq!(used(&shm), 4 + 5);
    child.kill().unwrap();
    child.wait().unwrap();
    await_recoveries(&shm, 1);
    let reports = shm.reports_since(0);
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!((report.pid, report.freed, report.lost, report.redelivered), (pid, 8, 3, 0));
    assert_eq!(used(&shm), 1, "the fourth message is still queued");
    assert!(shm.reports_since(1).is_empty());
}

/// Opens a domain in which somebody, as `role` says, has been killed who sent a message and held a buffer.
fn opened_after_the_death_of_all(test: &str, role: &str, isolated: &Isolated) -> ShmManager {
    let mut child = started(test, role, isolated);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!isolated.objects().is_empty());
    isolated.open()
}

fn leave_a_message_and_wait_for_death(shm: &ShmManager, queue: &PortQueue) -> ! {
    queue.try_send(shm.allocate(100).unwrap()).unwrap();
    let _held = shm.allocate(100).unwrap();
    say("ready");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_domain_of_the_dead_is_made_anew() {
    const NAME: &str = "a_domain_of_the_dead_is_made_anew";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        assert_eq!(shm.opened(), Opened::Created);
        let queue = shm.port_queue("q", &options(8, Overflow::Block)).unwrap();
        leave_a_message_and_wait_for_death(&shm, &queue);
    }
    let isolated = Isolated::new("anew");
    let shm = opened_after_the_death_of_all(NAME, "die", &isolated);
    let discarded = Discarded { participants: 1, queues: 1, messages: 1, buffers: 2 };
    assert_eq!(shm.opened(), Opened::Recreated(Some(discarded)));
    assert!(shm.find_queue("q").unwrap().is_none());
    assert_eq!((used(&shm), shm.recoveries()), (0, 0));
    assert_eq!(isolated.open().opened(), Opened::Attached);
    drop(shm);
    isolated.assert_gone();
    assert_eq!(isolated.open().opened(), Opened::Created);
}

#[test]
fn a_domain_of_the_dead_that_is_kept_is_found_repaired() {
    const NAME: &str = "a_domain_of_the_dead_that_is_kept_is_found_repaired";
    if let Some((role, isolated)) = role() {
        let persist = (role == "persist").then_some(true);
        let shm = ShmManager::open(&isolated.name, &OpenOptions { persist, ..isolated.options() }).unwrap();
        let options = options(8, Overflow::Block);
        let queue =
            if role == "persist" { shm.port_queue("q", &options) } else { shm.work_queue("q", &options) };
        leave_a_message_and_wait_for_death(&shm, &queue.unwrap());
    }
    for role in ["persist", "work"] {
        let isolated = Isolated::new("kept");
        let shm = opened_after_the_death_of_all(NAME, role, &isolated);
        assert_eq!(shm.opened(), Opened::Resumed);
        await_recoveries(&shm, 1);
        let queue = if role == "persist" { shm.find_queue("q") } else { shm.find_work_queue("q") };
        let queue = queue.unwrap().expect("what was queued is kept");
        assert_eq!(used(&shm), 1);
        assert!(queue.try_receive().unwrap().0.is_some());
        drop((queue, shm));
        if role == "persist" {
            // What it is from now on is said by whoever opens it.
            let shm =
                ShmManager::open(&isolated.name, &OpenOptions { persist: Some(false), ..isolated.options() });
            assert_eq!(shm.unwrap().opened(), Opened::Resumed);
        }
        isolated.assert_gone();
    }
}

#[test]
fn a_parked_waiter_is_woken_by_another_process_and_its_death_harms_nobody() {
    const NAME: &str = "a_parked_waiter_is_woken_by_another_process_and_its_death_harms_nobody";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.find_queue("q").unwrap().unwrap();
        let back = shm.find_queue("back").unwrap().unwrap();
        say("ready");
        while queue.wait(Interest::Data, PATIENCE) {
            if let (Some(buffer), _) = queue.try_receive().unwrap() {
                back.try_send(buffer).unwrap();
            }
        }
        return;
    }
    let isolated = Isolated::new("parked");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &options(8, Overflow::Block)).unwrap();
    let back = shm.port_queue("back", &options(8, Overflow::Block)).unwrap();
    let mut children = [started(NAME, "echo", &isolated), started(NAME, "echo", &isolated)];
    let echo = |count: u64| {
        for i in 0..count {
            let mut buffer = shm.allocate(8).unwrap();
            buffer.set_sequence(i);
            queue.try_send(buffer).unwrap();
            assert!(back.wait(Interest::Data, PATIENCE), "message {i} did not come back");
            assert_eq!(back.try_receive().unwrap().0.unwrap().sequence(), i);
        }
    };
    echo(2000);
    children[0].kill().unwrap();
    children[0].wait().unwrap();
    // No waiting for the recovery here: the dead waiter's bit must not swallow a wake for ever.
    echo(2000);
    await_recoveries(&shm, 1);
    echo(100);
    children[1].kill().unwrap();
    children[1].wait().unwrap();
    await_recoveries(&shm, 2);
    assert_eq!(used(&shm), 0);
}

/// The queue ends for receivers when the last of those who have sent has gone, however it goes; not before.
#[test]
fn a_queue_closes_with_its_last_producer() {
    const NAME: &str = "a_queue_closes_with_its_last_producer";
    let ending = QueueOptions { close_with_producers: Some(true), ..QueueOptions::default() };
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.find_queue("q").unwrap().unwrap();
        queue.try_send(shm.allocate(10).unwrap()).unwrap();
        say("ready");
        std::thread::park();
        return;
    }
    let isolated = Isolated::new("ending");
    let (shm, leaver) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &ending).unwrap();
    assert_eq!((queue.producers(), queue.consumers()), (0, 0));
    assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Empty, "nobody has sent yet");
    let theirs = leaver.find_queue("q").unwrap().unwrap();
    theirs.try_send(leaver.allocate(10).unwrap()).unwrap();
    let mut children: Vec<_> = (0..3).map(|_| started(NAME, "send", &isolated)).collect();
    assert_eq!((queue.producers(), queue.consumers()), (4, 1));
    for (gone, child) in children.iter_mut().enumerate() {
        child.kill().unwrap();
        child.wait().unwrap();
        await_recoveries(&shm, gone as u64 + 1);
        assert_eq!((queue.producers(), queue.is_closed()), (3 - gone, false));
    }
    drop(theirs);
    drop(leaver);
    assert!(queue.is_closed());
    assert!(matches!(queue.try_send(shm.allocate(10).unwrap()), Err(TrySendError::Closed(_))));
    let taken = std::iter::from_fn(|| queue.try_receive().unwrap().0).count();
    assert_eq!((taken, queue.try_receive().unwrap().1), (4, TakeOutcome::Closed));
    assert_eq!((queue.producers(), queue.consumers()), (0, 1));
    assert_eq!(shm.fsck().unwrap(), []);
    drop(queue);
    let other = QueueOptions { close_with_producers: Some(false), ..QueueOptions::default() };
    assert_eq!(shm.port_queue("q", &other).unwrap_err().kind(), ErrorKind::OptionsMismatch);
}
