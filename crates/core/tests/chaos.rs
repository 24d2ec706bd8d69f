//! Random kills under full load, and an exact account at the end.
//!
//! `npm run chaos -- --seconds N --kills K --seed S --json FILE`, until both are over. Producers and consumers of every policy and both delivery modes work as fast
//! as they can, another process makes and destroys queues and hoards the pool, and every few milliseconds a random one of them is
//! killed and started again. Every other producer copies its messages in (`put`) instead of sending buffers; on one queue consumers copy
//! them out (`get`). Consumers move each message on to a queue that this process drains with `get`, so this process knows what arrived.
//! At the end, per queue: messages sent = arrived + dropped by policy + reported lost; on the at-least-once queue nothing is lost
//! and what arrived twice was redelivered; where consumers copy, each message that is missing is reported, or was in the hand of a copier that died. fsck is clean and every
//! buffer is free. fsck is clean all the time: it looks while they run.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    Delivery, Interest, OpenOptions, Overflow, PortQueue, PutOutcome, QueueOptions, SendOutcome, ShmManager,
    TakeOutcome, TrySendError,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, leave, role, say};

/// The queues under test: name, policy, delivery.
const QUEUES: [(&str, Overflow, Delivery); 6] = [
    ("sure", Overflow::Block, Delivery::AtLeastOnce),
    ("block", Overflow::Block, Delivery::AtMostOnce),
    ("drop-oldest", Overflow::DropOldest, Delivery::AtMostOnce),
    ("drop-newest", Overflow::DropNewest, Delivery::AtMostOnce),
    ("latest", Overflow::Latest, Delivery::AtMostOnce),
    ("copied", Overflow::Block, Delivery::AtMostOnce),
];
/// The queue whose consumers copy.
const COPIED: usize = 5;
/// Bytes of the largest message.
const BYTES: usize = 512;

fn queue(shm: &ShmManager, index: usize) -> Arc<PortQueue> {
    let (name, overflow, delivery) = QUEUES[index];
    let (overflow, delivery) = (Some(overflow), Some(delivery));
    shm.port_queue(name, &QueueOptions { capacity: Some(32), overflow, delivery, ..QueueOptions::default() })
        .unwrap()
}

fn done(shm: &ShmManager, index: usize) -> Arc<PortQueue> {
    let options = QueueOptions { capacity: Some(64), ..QueueOptions::default() };
    shm.port_queue(&format!("done-{}", QUEUES[index].0), &options).unwrap()
}

/// Kills from one look at the whole domain to the next.
const KILLS_PER_CHECK: u64 = 20;

/// Opens the domain under a name that says which queue (if any) the participant works on.
fn open(isolated: &Isolated, name: &str) -> ShmManager {
    let options = OpenOptions { max_bytes: Some(8 << 20), name: Some(name.to_owned()), ..isolated.options() };
    ShmManager::open(&isolated.name, &options).unwrap()
}

/// Sends, waiting as long as it takes; false: the queue has ended.
fn send(queue: &PortQueue, buffer: millrace::BufferPtr) -> bool {
    let mut pending = Some(buffer);
    while let Some(buffer) = pending.take() {
        match queue.try_send(buffer) {
            Ok(()) => {}
            Err(TrySendError::Full(back)) => {
                queue.wait(Interest::Space, Duration::from_millis(100));
                pending = Some(back);
            }
            Err(TrySendError::Failed(_, error)) => panic!("{error}"),
            Err(_) => return false,
        }
    }
    true
}

/// Sends unless there is no room.
fn send_if_room(queue: &PortQueue, buffer: millrace::BufferPtr) {
    assert!(!matches!(queue.try_send(buffer), Err(TrySendError::Failed(..))));
}

/// Copies messages in, waiting as long as it takes; false: the queue has ended.
fn put(queue: &PortQueue, messages: &[&[u8]]) -> bool {
    let mut done = 0;
    while done < messages.len() {
        let (count, outcome) = queue.put(messages[done..].iter().copied());
        done += count;
        match outcome.unwrap() {
            PutOutcome::Done => {}
            PutOutcome::Exhausted => std::thread::yield_now(),
            PutOutcome::Refused(SendOutcome::Full) => {
                queue.wait(Interest::Space, Duration::from_millis(100));
            }
            PutOutcome::Refused(_) => return false,
        }
    }
    true
}

/// Bytes of message `count` of a producer.
fn bytes_of(count: u64) -> usize {
    16 << (count % 6)
}

/// What a message begins with, unique for ever: which life of which producer, and which message of it.
fn number_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn produce(shm: &ShmManager, index: usize, birth: u64) {
    let queue = queue(shm, index);
    say("ready");
    let mut count = 0;
    loop {
        let (number, bytes) = (birth << 32 | count, bytes_of(count));
        let sent = if birth.is_multiple_of(2) {
            // A few, or so many that they share a buffer.
            let batch: Vec<_> = (0..if count.is_multiple_of(3) { 16 + count % 32 } else { 1 + count % 4 })
                .map(|more| {
                    let mut bytes = vec![0; bytes_of(count + more)];
                    bytes[..8].copy_from_slice(&(number + more).to_le_bytes());
                    bytes
                })
                .collect();
            count += batch.len() as u64;
            put(&queue, &batch.iter().map(Vec::as_slice).collect::<Vec<_>>())
        } else {
            let Ok(mut buffer) = shm.allocate(bytes) else {
                std::thread::yield_now();
                continue;
            };
            count += 1;
            // SAFETY: nobody else has it.
            let start = unsafe { &mut buffer.bytes_mut()[..8] };
            start.copy_from_slice(&number.to_le_bytes());
            send(&queue, buffer)
        };
        if !sent {
            return;
        }
    }
}

/// Copies messages from one queue to the other, one at a time, so that a death takes along one at most: into memory that outlives this
/// process, so that it can be seen which.
fn copy(shm: &ShmManager, hand: &Path) {
    let (queue, done) = (queue(shm, COPIED), done(shm, COPIED));
    let file = File::options().read(true).write(true).create_new(true).open(hand).unwrap();
    file.set_len(BYTES as u64).unwrap();
    // SAFETY: a fresh mapping of a file that nobody makes shorter.
    let bytes = unsafe {
        let (read_write, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let start = mmap(std::ptr::null_mut(), BYTES, read_write, shared, &file, 0).unwrap();
        std::slice::from_raw_parts_mut(start.cast::<u8>(), BYTES)
    };
    say("ready");
    let mut length = [0];
    loop {
        match queue.get(bytes, &mut length).unwrap() {
            (1, ..) if put(&done, &[&bytes[..length[0] as usize]]) => {}
            (0, _, TakeOutcome::Empty) => {
                queue.wait(Interest::Data, Duration::from_millis(100));
            }
            _ => return,
        }
    }
}

fn consume(shm: &ShmManager, index: usize) {
    let (queue, done) = (queue(shm, index), done(shm, index));
    say("ready");
    for count in 0_u64.. {
        match queue.try_receive().unwrap() {
            (Some(message), _) if index == 0 && message.attempt() == 1 && count % 97 == 5 => {
                message.nack().unwrap_or_default()
            }
            (Some(message), _) => {
                if !send(&done, message) {
                    return;
                }
            }
            (None, TakeOutcome::Empty) => {
                queue.wait(Interest::Data, Duration::from_millis(100));
            }
            (None, _) => return,
        }
    }
}

/// Makes and destroys queues, hoards the pool until it is exhausted, lets go.
fn churn(shm: &ShmManager, birth: u64) {
    say("ready");
    for count in 0.. {
        let queue = queue_of(shm, birth * 3 + count % 3);
        let mut hoard = Vec::new();
        for _ in 0..200 {
            let Ok(buffer) = shm.allocate(40_000) else { break };
            hoard.push(buffer);
        }
        for buffer in hoard {
            send_if_room(&queue, buffer);
        }
        queue.destroy();
    }
}

fn queue_of(shm: &ShmManager, number: u64) -> Arc<PortQueue> {
    let options = QueueOptions {
        capacity: Some(128),
        delivery: Some(Delivery::AtLeastOnce),
        ..QueueOptions::default()
    };
    loop {
        // The pool may be exhausted by another churner.
        match shm.port_queue(&format!("churn-{}", number % 7), &options) {
            Ok(queue) => return queue,
            Err(e) => assert_eq!(e.kind(), millrace::ErrorKind::Exhausted, "{e}"),
        }
    }
}

/// What the participant is called that copies.
fn copier(birth: u64) -> String {
    format!("copier {birth}")
}

/// The file in which it has what it has in hand.
fn hand_of(isolated: &Isolated, birth: u64) -> PathBuf {
    isolated.base.with_extension(format!("copier-{birth}"))
}

/// The message that a copier had in hand when it was killed, or the last one that it has passed on; `None`: it has had none.
fn in_hand(isolated: &Isolated, birth: u64) -> Option<u64> {
    let hand = hand_of(isolated, birth);
    let bytes = std::fs::read(&hand).ok()?;
    std::fs::remove_file(hand).unwrap();
    Some(number_of(bytes.get(..8)?)).filter(|number| *number != 0)
}

struct Worker {
    role: String,
    birth: u64,
    child: Child,
}

impl Worker {
    fn start(role: &str, isolated: &Isolated, birth: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env("MILLRACE_TEST_ROLE", format!("{role} {birth}"))
            .env("MILLRACE_TEST_NAME", &isolated.name);
        command.env("MILLRACE_TEST_BASE", &isolated.base).stdout(Stdio::piped()).stdin(Stdio::null());
        Self { role: role.to_owned(), birth, child: command.spawn().unwrap() }
    }

    fn hear_ready(&mut self) {
        let mut line = String::new();
        let _ = BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line);
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A child: `<producer|consumer|churner> <queue index> <birth>`.
fn work(role: &str, isolated: &Isolated) {
    let parts: Vec<_> = role.split(' ').collect();
    let (index, birth) = (parts[1].parse::<usize>().unwrap(), parts[2].parse().unwrap());
    let is_copier = (parts[0], index) == ("consumer", COPIED);
    let shm = open(isolated, &if is_copier { copier(birth) } else { format!("{} {index}", parts[0]) });
    match parts[0] {
        "producer" => produce(&shm, index, birth),
        "consumer" if is_copier => copy(&shm, &hand_of(isolated, birth)),
        "consumer" => consume(&shm, index),
        _ => churn(&shm, birth),
    }
}

/// What arrived, and how often, per queue.
type Arrived = [HashMap<u64, u32>; QUEUES.len()];

fn drain(queues: &[Arc<PortQueue>], arrived: &mut Arrived) -> usize {
    let (mut bytes, mut lengths, mut total) = ([0; 64 * BYTES], [0; 64], 0);
    for (queue, arrived) in queues.iter().zip(arrived) {
        while let (count @ 1.., ..) = queue.get(&mut bytes, &mut lengths).unwrap() {
            let mut rest = &bytes[..];
            for length in &lengths[..count] {
                let (message, behind) = rest.split_at(*length as usize);
                let number = number_of(message);
                assert_eq!(
                    message.len(),
                    bytes_of(number & 0xffff_ffff),
                    "message {number:x} came as it went"
                );
                *arrived.entry(number).or_default() += 1;
                rest = behind;
            }
            total += count;
        }
    }
    total
}

fn main() {
    if let Some((role, isolated)) = role() {
        work(&role, &isolated);
        return leave(isolated);
    }
    let args: Vec<_> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1)).cloned();
    let seconds: u64 = after("--seconds").map_or(3, |s| s.parse().unwrap());
    let seed: u64 = after("--seed").map_or(0x5eed, |s| s.parse().unwrap());
    let wanted: u64 = after("--kills").map_or(0, |s| s.parse().unwrap());
    println!("chaos: {seconds} s, {wanted} kills at least, seed {seed}");
    let isolated = Isolated::new("chaos");
    let shm = open(&isolated, "account");
    let queues: Vec<_> = (0..QUEUES.len()).map(|index| queue(&shm, index)).collect();
    let sinks: Vec<_> = (0..QUEUES.len()).map(|index| done(&shm, index)).collect();
    let mut roles: Vec<String> =
        (0..QUEUES.len()).flat_map(|i| [format!("producer {i}"), format!("consumer {i}")]).collect();
    roles.extend(["producer 0", "consumer 0", "churner 0"].map(str::to_owned));
    let mut births = 0;
    let mut start = |role: &str| {
        births += 1;
        Worker::start(role, &isolated, births)
    };
    let mut workers: Vec<_> = roles.iter().map(|role| start(role)).collect();
    workers.iter_mut().for_each(Worker::hear_ready);
    let (mut arrived, mut lost, mut redelivered, mut seen) =
        (Arrived::default(), HashMap::<String, u64>::new(), 0, 0);
    let mut copiers = Vec::new();
    let (mut state, mut kills, mut stall) = (seed.wrapping_mul(2).wrapping_add(1), 0_u64, Duration::ZERO);
    let mut read_reports = |shm: &ShmManager| {
        for report in shm.reports_since(seen) {
            seen = report.sequence;
            redelivered += u64::from(report.redelivered);
            *lost.entry(report.name).or_default() += u64::from(report.lost);
        }
        redelivered
    };
    let started = Instant::now();
    let mut checks = 0;
    while started.elapsed() < Duration::from_secs(seconds) || kills < wanted {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pause = Instant::now() + Duration::from_micros(state >> 52);
        while Instant::now() < pause {
            let before = Instant::now();
            drain(&sinks, &mut arrived);
            stall = stall.max(before.elapsed());
        }
        let victim = (state >> 33) as usize % workers.len();
        workers[victim].kill();
        kills += 1;
        let role = workers[victim].role.clone();
        if role == format!("consumer {COPIED}") {
            copiers.push((workers[victim].birth, in_hand(&isolated, workers[victim].birth)));
        }
        workers[victim] = start(&role);
        read_reports(&shm);
        if kills.is_multiple_of(KILLS_PER_CHECK) {
            let findings = shm.fsck().unwrap();
            assert!(findings.is_empty(), "after {kills} kills: {findings:#?}");
            checks += 1;
        }
    }
    let ran = started.elapsed();
    // The end: no producer any more, consumers see to what is left, then go.
    for worker in workers.iter_mut().filter(|w| !w.role.starts_with("consumer")) {
        worker.kill();
        kills += 1;
    }
    queues.iter().for_each(|queue| queue.close());
    let patience = Instant::now() + PATIENCE;
    for worker in workers.iter_mut().filter(|w| w.role.starts_with("consumer")) {
        while worker.child.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < patience,
                "{} does not end: {:#?}",
                worker.role,
                shm.snapshot().unwrap()
            );
            drain(&sinks, &mut arrived);
        }
        in_hand(&isolated, worker.birth);
    }
    // Who was killed before it had joined was never a participant: when only we are left, all have been recovered.
    while shm.snapshot().unwrap().participants.len() > 1 {
        assert!(Instant::now() < patience, "not recovered: {:#?}", shm.snapshot().unwrap().participants);
        shm.park(shm.wake_sequence(), Duration::from_millis(10));
    }
    drain(&sinks, &mut arrived);
    let redelivered = read_reports(&shm);
    // What went with each copier: a message that its recovery has reported, or the one it had in hand, if that has not arrived; which is
    // the same where it died in between.
    let with_copiers: u64 = copiers
        .iter()
        .map(|(birth, hand)| {
            let reported = lost.get(&copier(*birth)).copied().unwrap_or(0);
            let in_hand = hand.is_some_and(|number| !arrived[COPIED].contains_key(&number));
            assert!(reported <= 1, "a copier has one message at a time");
            reported.max(in_hand.into())
        })
        .sum();
    let lost_on = |index: usize| -> u64 {
        let by = |role: &str| lost.get(&format!("{role} {index}")).copied().unwrap_or(0);
        by("producer") + if index == COPIED { with_copiers } else { by("consumer") }
    };
    let snapshot = shm.snapshot().unwrap();
    let mut sent = 0;
    for (index, (name, ..)) in QUEUES.iter().enumerate() {
        let q = snapshot.queues.iter().find(|q| q.name == *name).unwrap();
        let distinct = arrived[index].len() as u64;
        let twice = arrived[index].values().filter(|n| **n > 1).count() as u64;
        let lost = lost_on(index);
        println!(
            "{name:<12} sent {:>9} = arrived {distinct:>9} + dropped {:>9} + lost {lost:>4}   (twice {twice})",
            q.sent, q.dropped
        );
        assert_eq!(q.depth, 0, "{name}");
        sent += q.sent;
        let accounted = distinct + q.dropped + lost;
        match *name {
            "sure" => {
                assert_eq!((distinct, lost), (q.sent, 0), "at-least-once: everything sent has arrived");
                assert!(twice <= q.redelivered, "{twice} twice, {} redelivered", q.redelivered);
            }
            "block" => assert_eq!(accounted, q.sent, "at-most-once: arrived or reported"),
            "copied" => {
                assert_eq!(accounted, q.sent, "arrived, reported, or in the hand of a copier that died")
            }
            // A producer killed between a drop and its count leaves that one uncounted.
            _ => assert!((q.sent - kills..=q.sent).contains(&accounted), "{name}: {accounted} of {}", q.sent),
        }
        assert!(index == 0 || twice == 0, "{name}: at most once");
    }
    let lost: u64 = lost.values().sum();
    println!(
        "{kills} kills in {ran:.1?}, {checks} checks meanwhile, {redelivered} leases given back, {lost} messages reported lost, longest stall {stall:?}"
    );
    let findings = shm.fsck().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    for queue in &snapshot.queues {
        if let Some(queue) = shm.find_queue(&queue.name).unwrap() {
            queue.destroy();
        }
    }
    drop((queues, sinks));
    let pools = shm.snapshot().unwrap().pools;
    assert_eq!(pools.iter().map(|p| p.used).sum::<u64>(), 0, "{pools:#?}");
    drop(shm);
    isolated.assert_gone();
    if let Some(file) = after("--json") {
        let json = format!(
            "{{\"seconds\":{:.1},\"seed\":{seed},\"kills\":{kills},\"checks\":{checks},\"sent\":{sent},\"lost\":{lost},\"redelivered\":{redelivered},\"stallUs\":{},\"leaked\":0}}\n",
            ran.as_secs_f64(),
            stall.as_micros()
        );
        std::fs::write(file, json).unwrap();
    }
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
}
