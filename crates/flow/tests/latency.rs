//! How old data is at each input: stamps of sources that go from message to message.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Error, ErrorKind, QueueOptions, Result};
use millrace_flow::blocks::{Copy, NullSink, NullSource};
use millrace_flow::{Block, BlockOptions, Io, OnError, Ports, Scheduler, SchedulerOptions, Then, Work};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::blocks::{assert_whole, domain, fill, queue};
use support::steps::{Step, forward, policies, small};

/// Far more than what a message waits for that is passed on at once, and far less than what a test may take.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn every_message_is_counted_at_every_input_with_the_time_since_its_source() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let began = Instant::now();
        let source = scheduler.add("source", NullSource::new(8, 10)).unwrap();
        // Makes new messages of one each, then holds each up.
        let copy = scheduler.add("copy", Copy).unwrap();
        let slow = Step(|io: &mut Io<'_>| {
            if let Some(message) = io.next(0)? {
                std::thread::sleep(PAUSE);
                io.forward(0, message);
            }
            Ok(Work::Ok)
        });
        let slow = scheduler.add("slow", slow).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.link((source, "out"), (copy, "in"), &small(64)).unwrap();
        scheduler.link((copy, "out"), (slow, "in"), &small(64)).unwrap();
        scheduler.link((slow, "out"), (sink, "in"), &small(64)).unwrap();
        let report = scheduler.run().unwrap();
        let took = began.elapsed();
        for to in ["copy.in", "slow.in", "sink.in"] {
            let latency = report.latency("source", to).unwrap();
            assert_eq!(latency.count, 10, "{to}");
            assert!(
                latency.p50 <= latency.p99 && latency.p99 <= latency.max && latency.max <= took,
                "{latency:?}"
            );
        }
        // They come together, and are passed on one after the other: the n-th waits n times, the last one at the sink ten times.
        let (slow, sink) =
            (report.latency("source", "slow.in").unwrap(), report.latency("source", "sink.in").unwrap());
        assert!(slow.max >= PAUSE * 9 && slow.p50 >= PAUSE * 4, "{slow:?}");
        assert!(sink.max >= PAUSE * 10 && sink.p50 >= PAUSE * 5, "{sink:?}");
        assert_whole(&shm);
    }
}

/// Makes one message of one of each input.
struct Pair;

impl Block for Pair {
    fn ports(&self) -> Ports {
        Ports::new().input("late").input("early").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        while io.room(0)? > 0 && io.available(0) > 0 && io.available(1) > 0 {
            let made = io.allocate(8)?.expect("there is room");
            io.next(0)?;
            io.next(1)?;
            io.send(0, made);
        }
        Ok(Work::Ok)
    }
}

#[test]
fn what_is_made_of_several_messages_is_as_old_as_the_oldest() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let mut left = 5;
        let late = support::blocks::source(move |io: &mut Io<'_>| {
            std::thread::sleep(PAUSE);
            left -= io.emit(0, 8, 1, |_, _| Ok(()))?;
            Ok(if left == 0 { Work::Done } else { Work::Ok })
        });
        let late = scheduler.add("late", late).unwrap();
        let early = scheduler.add("early", NullSource::new(8, 5)).unwrap();
        let pair = scheduler.add("pair", Pair).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.link((late, "out"), (pair, "late"), &small(8)).unwrap();
        scheduler.link((early, "out"), (pair, "early"), &small(8)).unwrap();
        scheduler.link((pair, "out"), (sink, "in"), &small(8)).unwrap();
        let report = scheduler.run().unwrap();
        let count = |from, to| report.latency(from, to).map_or(0, |latency| latency.count);
        assert_eq!([count("late", "pair.late"), count("early", "pair.early")], [5, 5]);
        assert_eq!(count("late", "sink.in") + count("early", "sink.in"), 5);
        // The last is made of one that was sent at once, and one that was sent after five pauses.
        assert!(report.latency("early", "sink.in").unwrap().max >= PAUSE * 4, "{report:#?}");
        assert_whole(&shm);
    }
}

#[test]
fn a_message_that_is_tried_again_counts_once_and_one_without_a_source_not_at_all() {
    let shm = domain();
    let outer = queue(&shm, "outer", QueueOptions::default());
    fill(&shm, &outer, 7);
    outer.close();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let source = scheduler.add("source", NullSource::new(8, 50)).unwrap();
    let mut failed = std::collections::HashSet::new();
    let fails_first = Step(move |io: &mut Io<'_>| {
        while let Some(message) = io.next(0)? {
            if failed.insert(message.sequence()) {
                return Err(Error::new(ErrorKind::BlockFailed, "not yet"));
            }
            io.forward(0, message);
        }
        Ok(Work::Ok)
    });
    let on_error = OnError { retries: 1, backoff: Duration::ZERO, then: Then::Fail };
    let options = BlockOptions { on_error, ..BlockOptions::default() };
    let stage = scheduler.add_with("stage", Box::new(fails_first), options).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    let other = scheduler.add("other", NullSink::default()).unwrap();
    scheduler.link((source, "out"), (stage, "in"), &small(64)).unwrap();
    scheduler.link((stage, "out"), (sink, "in"), &small(64)).unwrap();
    scheduler.connect_input((other, "in"), "outer").unwrap();
    let report = scheduler.run().unwrap();
    let counts = ["stage.in", "sink.in"].map(|to| report.latency("source", to).unwrap().count);
    assert_eq!(counts, [50, 50]);
    let other = report.block("other").unwrap();
    assert_eq!((other.items_in, other.latencies.len()), (7, 0));
    drop(outer);
    assert_whole(&shm);
}

#[test]
fn a_source_of_another_scheduler_is_known_by_its_number() {
    let shm = domain();
    let between = queue(&shm, "between", QueueOptions { capacity: Some(64), ..QueueOptions::default() });
    let start = |name: &str, block: Box<dyn Block>, connect: fn(&mut Scheduler, millrace_flow::BlockId)| {
        let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
        let block = scheduler.add_with(name, block, BlockOptions::default()).unwrap();
        connect(&mut scheduler, block);
        scheduler.start().unwrap()
    };
    let source = start("source", Box::new(NullSource::new(8, 30)), |scheduler, block| {
        scheduler.connect_only_output((block, "out"), "between").unwrap();
    });
    source.wait().unwrap();
    std::thread::sleep(PAUSE);
    let sink = start("sink", Box::<NullSink>::default(), |scheduler, block| {
        scheduler.connect_input((block, "in"), "between").unwrap();
    });
    let report = sink.wait().unwrap();
    let [latency] = &report.block("sink").unwrap().latencies[..] else { panic!("{report:#?}") };
    assert_eq!((latency.from.len(), latency.count, latency.to.as_str()), (0, 30, "sink.in"));
    assert!(latency.source > 0 && latency.p50 >= PAUSE, "{latency:?}");
    drop(between);
    assert_whole(&shm);
}

#[test]
fn a_link_tells_how_old_its_next_message_is() {
    let shm = domain();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
    let stuck = Step(move |io: &mut Io<'_>| {
        let _ = wait.recv();
        forward(io)
    });
    let stuck = scheduler.add("stuck", stuck).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.link((source, "out"), (stuck, "in"), &small(4)).unwrap();
    scheduler.link((stuck, "out"), (sink, "in"), &small(4)).unwrap();
    let run = scheduler.start().unwrap();
    let oldest = |to: &str| run.report().link(to).unwrap().oldest;
    support::until("a message waits", || oldest("stuck.in").is_some());
    let before = oldest("stuck.in").unwrap();
    std::thread::sleep(PAUSE);
    assert!(oldest("stuck.in").unwrap() >= before + PAUSE);
    assert_eq!(oldest("sink.in"), None, "nothing is there");
    drop(go);
    let report = run.wait().unwrap();
    assert!(report.links.iter().all(|link| link.oldest.is_none()));
    assert_whole(&shm);
}
