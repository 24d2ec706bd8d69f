//! Queues that end with the one block at a side of them.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

use millrace::{Error, ErrorKind, QueueOptions, Result};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Block, Io, LinkOptions, Policy, Ports, Run, Scheduler, SchedulerOptions, Work};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use support::steps::Step;
use support::{Domain, used};

mod support;

#[test]
fn the_only_sender_of_a_queue_closes_it_behind_everything() {
    let domain = Domain::new();
    let shm = domain.open();
    let queue = shm.port_queue("port", &QueueOptions::default()).unwrap();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
    scheduler.connect_only_output((source, "out"), "port").unwrap();
    scheduler.run().unwrap();
    assert!(queue.is_closed());
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.connect_input((sink, "in"), "port").unwrap();
    assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 100);
    assert_eq!(used(&shm), 0);
}

/// Holds up the one thread until it is told to go on.
struct Gate(Receiver<()>);

impl Block for Gate {
    fn ports(&self) -> Ports {
        Ports::new()
    }

    fn start(&mut self) -> Result<()> {
        self.0.recv().map_err(|_| Error::new(ErrorKind::BlockFailed, "nobody opens the gate"))
    }

    fn work(&mut self, _: &mut Io<'_>) -> Result<Work> {
        Ok(Work::Done)
    }
}

#[test]
fn a_block_that_ends_before_its_first_work_ends_its_queues_too() {
    for end in [Run::begin_drain, Run::begin_stop] {
        let domain = Domain::new();
        let shm = domain.open();
        let queue = |name| shm.port_queue(name, &QueueOptions::default()).unwrap();
        let (from, to) = (queue("from"), queue("to"));
        let (open, gate) = channel();
        let options = SchedulerOptions { threads: 1, policy: Policy::Pinned, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(domain.open(), options).unwrap();
        scheduler.add("gate", Gate(gate)).unwrap();
        let source = scheduler.add("source", NullSource::new(8, u64::MAX)).unwrap();
        scheduler.connect_only_output((source, "out"), "to").unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.connect_only_input((sink, "in"), "from").unwrap();
        let run = scheduler.start().unwrap();
        end(&run);
        from.close();
        open.send(()).unwrap();
        run.wait().unwrap();
        assert!(to.is_closed() && from.is_destroyed());
        // A queue that has been removed stays for those who have it open.
        drop(from);
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn the_only_receiver_of_a_queue_waits_for_its_end_and_removes_it() {
    let domain = Domain::new();
    let shm = domain.open();
    let queue = shm.port_queue("port", &QueueOptions::default()).unwrap();
    let mut scheduler = Scheduler::new(domain.open(), SchedulerOptions::default()).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.connect_only_input((sink, "in"), "port").unwrap();
    let run = scheduler.start().unwrap();
    run.begin_drain();
    for _ in 0..100 {
        assert!(!run.has_ended());
        queue.try_send(shm.allocate(8).unwrap()).unwrap();
    }
    queue.close();
    assert_eq!(run.wait().unwrap().block("sink").unwrap().items_in, 100);
    assert!(shm.find_queue("port").unwrap().is_none());
    drop(queue);

    let queue = shm.port_queue("port", &QueueOptions::default()).unwrap();
    for _ in 0..100 {
        queue.try_send(shm.allocate(8).unwrap()).unwrap();
    }
    let mut scheduler = Scheduler::new(domain.open(), SchedulerOptions::default()).unwrap();
    let sink = scheduler.add("sink", NullSink::new(10)).unwrap();
    scheduler.connect_only_input((sink, "in"), "port").unwrap();
    let report = scheduler.run().unwrap();
    assert_eq!(report.block("sink").map(|sink| (sink.items_in, sink.lost)), Some((10, 90)));
    assert!(shm.find_queue("port").unwrap().is_none());
    drop(queue);
    assert_eq!(used(&shm), 0);
}

#[test]
fn the_failure_of_one_block_ends_the_only_receivers_of_queues() {
    let domain = Domain::new();
    let shm = domain.open();
    shm.port_queue("port", &QueueOptions::default()).unwrap();
    let mut scheduler = Scheduler::new(domain.open(), SchedulerOptions::default()).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.connect_only_input((sink, "in"), "port").unwrap();
    let source = scheduler.add("source", NullSource::new(8, 10)).unwrap();
    let broken = scheduler.add("broken", Step(|_: &mut Io<'_>| panic!("broken"))).unwrap();
    scheduler.link((source, "out"), (broken, "in"), &LinkOptions::default()).unwrap();
    scheduler.connect_output((broken, "out"), "port").unwrap();
    assert!(scheduler.run().unwrap_err().to_string().contains("broken"));
    assert!(shm.find_queue("port").unwrap().is_none());
}
