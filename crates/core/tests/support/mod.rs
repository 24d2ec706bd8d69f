//! Shared by the integration tests: isolated domains, children of this very binary, leftovers.

#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    missing_docs
)]

mod isolated;
pub(crate) mod queues;

pub(crate) use isolated::{Isolated, child, role, used, was_killed};
use millrace::ShmManager;
use std::io::{BufRead, BufReader, Write};
use std::process::Child;
use std::time::{Duration, Instant};

/// Far beyond what anything takes: only a bug waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the sentinel to have recovered `count` deaths in all.
pub(crate) fn await_recoveries(shm: &ShmManager, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    let mut sequence = shm.wake_sequence();
    while shm.recoveries() < count {
        assert!(Instant::now() < deadline, "{} recoveries, {count} wanted", shm.recoveries());
        // Recovery rings everybody.
        shm.park(sequence, Duration::from_millis(200));
        sequence = shm.wake_sequence();
    }
}

/// Waits until nobody else takes part: those who died have been recovered by then.
pub(crate) fn await_alone(shm: &ShmManager) {
    let deadline = Instant::now() + PATIENCE;
    let participants = || shm.snapshot().unwrap().participants;
    while participants().len() > 1 {
        assert!(Instant::now() < deadline, "{:#?}", participants());
        shm.park(shm.wake_sequence(), Duration::from_millis(10));
    }
}

/// Waits for what nothing tells of.
pub(crate) fn await_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Tells the parent.
pub(crate) fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().unwrap();
}

/// Reads lines of a child until one contains `word`.
pub(crate) fn hear(reader: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the child ended before it said {word}");
    }
}

/// A child that has said it is ready.
pub(crate) fn started(test: &str, role: &str, isolated: &Isolated) -> Child {
    let mut child = child(test, role, isolated, &[]);
    hear(&mut BufReader::new(child.stdout.as_mut().unwrap()), "ready");
    child
}
