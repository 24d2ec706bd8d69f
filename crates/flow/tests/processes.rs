//! The two tests of the origin's report, with real processes: a source in one, a sink in another; three sources and one sink. Then the same
//! with a million messages, and with processes that are killed.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Delivery, QueueOptions, Result};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Block, Io, Ports, Scheduler, SchedulerOptions, Work};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use support::{Domain, child, role, used};

const CHILD: &str = "a_child";

/// Not a test: what a child of this binary does.
#[test]
fn a_child() {
    let Some((role, isolated)) = role() else { return };
    let domain = Domain(isolated);
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (count, first) = (number("FLOW_TEST_COUNT"), number("FLOW_TEST_FIRST"));
    let mut scheduler = two_threads(&domain);
    if role == "produce" {
        let source = scheduler.add("source", Counted { next: first, end: first + count }).unwrap();
        scheduler.connect_output((source, "out"), "port").unwrap();
    } else {
        let sink = scheduler.add("sink", NullSink::new(count)).unwrap();
        scheduler.connect_input((sink, "in"), "port").unwrap();
    }
    println!("\nready");
    let report = scheduler.run().unwrap();
    println!("items {}", report.blocks[0].items_in + report.blocks[0].items_out);
}

/// Sends numbered messages.
struct Counted {
    next: u64,
    end: u64,
}

impl Block for Counted {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let next = self.next;
        let (sent, work) = io.emit_some(0, 1024, self.end - next, |at, message| {
            message.set_sequence(next + at as u64);
            Ok(())
        })?;
        self.next += sent;
        Ok(work)
    }
}

/// Takes numbered messages until it has `left`, and notes them with their attempts.
struct Notes {
    left: u64,
    notes: Arc<Mutex<Vec<(u64, u32)>>>,
}

impl Block for Notes {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut notes = self.notes.lock().unwrap();
        while self.left > 0
            && let Some(message) = io.next(0)?
        {
            self.left -= 1;
            notes.push((message.sequence(), message.attempt()));
        }
        Ok(if self.left == 0 { Work::Done } else { Work::Ok })
    }

    fn demand(&self, _: usize) -> u64 {
        self.left
    }
}

fn two_threads(domain: &Domain) -> Scheduler {
    Scheduler::new(domain.open(), SchedulerOptions { threads: 2, ..SchedulerOptions::default() }).unwrap()
}

struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(domain: &Domain, role: &str, first: u64, count: u64) -> Self {
        let extra = [("FLOW_TEST_FIRST", first.to_string()), ("FLOW_TEST_COUNT", count.to_string())];
        let mut child = child(CHILD, role, domain, &extra);
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The rest of the next line that begins with `word`.
    fn hear(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the child ended before it said {word}");
            if let Some(rest) = line.trim().strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn finish(mut self) -> u64 {
        let items = self.hear("items").parse().unwrap();
        assert!(self.child.wait().unwrap().success());
        items
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn port(
    domain: &Domain,
    capacity: u32,
    delivery: Delivery,
) -> (Arc<millrace::ShmManager>, Arc<millrace::PortQueue>) {
    let shm = domain.open();
    let options =
        QueueOptions { capacity: Some(capacity), delivery: Some(delivery), ..QueueOptions::default() };
    let queue = shm.port_queue("port", &options).unwrap();
    (shm, queue)
}

#[test]
fn one_source_one_sink_100_of_100_in_either_order() {
    for consumer_first in [true, false] {
        let domain = Domain::new();
        let (shm, queue) = port(&domain, 256, Delivery::AtMostOnce);
        let start = |role| {
            let mut process = Process::start(&domain, role, 0, 100);
            process.hear("ready");
            process
        };
        let (one, two) = if consumer_first { ("consume", "produce") } else { ("produce", "consume") };
        let (one, two) = (start(one), start(two));
        assert_eq!((one.finish(), two.finish()), (100, 100));
        assert_eq!((used(&shm), queue.len()), (0, 0));
    }
}

#[test]
fn three_sources_one_sink_150_of_150_each_in_its_order() {
    let domain = Domain::new();
    let (shm, _queue) = port(&domain, 512, Delivery::AtMostOnce);
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut scheduler = two_threads(&domain);
    let sink = scheduler.add("sink", Notes { left: 150, notes: Arc::clone(&notes) }).unwrap();
    scheduler.connect_input((sink, "in"), "port").unwrap();
    let run = scheduler.start().unwrap();
    let sources: Vec<_> = (0..3).map(|n| Process::start(&domain, "produce", n * 1000, 50)).collect();
    assert!(sources.into_iter().all(|source| source.finish() == 50));
    run.wait().unwrap();
    let notes = notes.lock().unwrap();
    for n in 0..3 {
        let of_one = notes.iter().map(|(number, _)| *number).filter(|number| number / 1000 == n);
        assert!(of_one.eq(n * 1000..n * 1000 + 50));
    }
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_million_from_one_process_to_another() {
    let domain = Domain::new();
    let (shm, _queue) = port(&domain, 1024, Delivery::AtMostOnce);
    let count = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    let sink = Process::start(&domain, "consume", 0, count);
    let source = Process::start(&domain, "produce", 0, count);
    assert_eq!((source.finish(), sink.finish()), (count, count));
    assert_eq!(used(&shm), 0);
}

/// Sources and sinks are killed at any time. Of an at-least-once port nothing is lost that a source has sent: what the dead had taken comes
/// again, and says so.
#[test]
fn sources_and_sinks_are_killed() {
    let domain = Domain::new();
    let (shm, queue) = port(&domain, 64, Delivery::AtLeastOnce);
    let mut random = 12345_u32;
    let mut below = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % limit
    };
    let mut first = 0;
    for _ in 0..15 {
        let mut sink = Process::start(&domain, "consume", 0, u64::from(u32::MAX));
        let mut source = Process::start(&domain, "produce", first, u64::from(u32::MAX));
        first += 1 << 32;
        sink.hear("ready");
        source.hear("ready");
        // Until some have gone through.
        let sent = || shm.snapshot().unwrap().queues[0].sent;
        let enough = sent() + u64::from(below(3000));
        support::until("messages pass", || sent() > enough);
        if below(2) == 0 { [source, sink] } else { [sink, source] }.into_iter().for_each(Process::kill);
    }
    support::until("all are recovered", || shm.snapshot().unwrap().participants.len() == 1);
    assert!(shm.fsck().unwrap().is_empty());
    // What is left is delivered, each once, in each source's order but for what had been taken before.
    let left = queue.len() as u64;
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut scheduler = two_threads(&domain);
    let sink = scheduler.add("sink", Notes { left, notes: Arc::clone(&notes) }).unwrap();
    scheduler.connect_input((sink, "in"), "port").unwrap();
    if left > 0 {
        scheduler.run().unwrap();
    }
    let mut seen = HashMap::new();
    for (number, attempt) in notes.lock().unwrap().iter() {
        assert!(seen.insert(*number, *attempt).is_none(), "{number} came twice");
    }
    assert_eq!(seen.len() as u64, left);
    assert_eq!((used(&shm), queue.is_idle()), (0, true));
}

#[test]
fn a_source_of_one_program_reaches_the_sink_of_another_by_name() {
    let domain = Domain::new();
    let (shm, _queue) = port(&domain, 16, Delivery::AtMostOnce);
    let mut scheduler = two_threads(&domain);
    let source = scheduler.add("source", NullSource::new(64, 500)).unwrap();
    scheduler.connect_output((source, "out"), "port").unwrap();
    let run = scheduler.start().unwrap();
    let sink = Process::start(&domain, "consume", 0, 500);
    assert_eq!(sink.finish(), 500);
    assert_eq!(run.wait().unwrap().blocks[0].items_out, 500);
    assert_eq!(used(&shm), 0);
}
