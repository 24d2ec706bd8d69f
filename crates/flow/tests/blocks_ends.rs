//! How blocks end in the middle of something: what is counted as lost, and who gets what.

mod support;

use millrace::{Delivery, QueueOptions, Result, ShmManager};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Block, Io, Ports, Scheduler, SchedulerOptions, Work};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::blocks::{assert_whole, domain};
use support::steps::{Step, small};

const LONG: Duration = Duration::from_secs(30);

fn threads() -> SchedulerOptions {
    SchedulerOptions { threads: 2, ..SchedulerOptions::default() }
}

fn queue(shm: &ShmManager, name: &str, capacity: u32, delivery: Delivery) -> Arc<millrace::PortQueue> {
    let options =
        QueueOptions { capacity: Some(capacity), delivery: Some(delivery), ..QueueOptions::default() };
    shm.port_queue(name, &options).unwrap()
}

/// Takes what is in a queue; how many messages those are.
fn take_all(queue: &Arc<millrace::PortQueue>) -> usize {
    std::iter::from_fn(|| queue.try_receive().unwrap().0).count()
}

/// Stops a block that has forwarded six messages, of which two fit into the next queue; returns what it lost, and what is left in its input.
fn stop_halfway(delivery: Delivery) -> (u64, usize) {
    let shm = domain();
    let from = queue(&shm, "from", 8, delivery);
    let to = queue(&shm, "to", 2, Delivery::AtMostOnce);
    for _ in 0..6 {
        assert!(from.try_send(shm.allocator().allocate(8).unwrap()).is_ok());
    }
    let mut scheduler = Scheduler::new(Arc::clone(&shm), threads()).unwrap();
    let (worked, has_worked) = mpsc::channel();
    let block = Step(move |io: &mut Io<'_>| {
        while let Some(message) = io.next(0)? {
            io.forward(0, message);
        }
        worked.send(()).expect("the test listens");
        Ok(Work::Ok)
    });
    let block = scheduler.add("block", block).unwrap();
    scheduler.connect_input((block, "in"), "from").unwrap();
    scheduler.connect_output((block, "out"), "to").unwrap();
    let run = scheduler.start().unwrap();
    has_worked.recv_timeout(LONG).expect("it works");
    // Six were taken, and two of them sent, by the time that the queue is full.
    support::until("the queue is full", || to.len() == 2);
    let report = run.stop(LONG).unwrap();
    take_all(&to);
    let left = take_all(&from);
    assert_whole(&shm);
    (report.blocks[0].lost, left)
}

#[test]
fn what_was_forwarded_and_not_sent_is_lost_once() {
    assert_eq!(stop_halfway(Delivery::AtMostOnce), (4, 0));
}

#[test]
fn what_was_forwarded_of_a_queue_that_delivers_again_goes_back_there() {
    assert_eq!(stop_halfway(Delivery::AtLeastOnce), (0, 6));
}

#[test]
fn a_reference_of_another_block_is_not_released_for_a_message_that_was_forwarded() {
    let shm = domain();
    let to = queue(&shm, "to", 1, Delivery::AtMostOnce);
    let mut scheduler = Scheduler::new(Arc::clone(&shm), threads()).unwrap();
    let source = scheduler.add("source", NullSource::new(8, 4)).unwrap();
    // Both have the same buffers; the one is stopped while the other still looks at its own.
    let (worked, has_worked) = mpsc::channel();
    let forward = Step(move |io: &mut Io<'_>| {
        while let Some(message) = io.next(0)? {
            io.forward(0, message);
        }
        worked.send(()).expect("the test listens");
        Ok(Work::Ok)
    });
    let forward = scheduler.add("forward", forward).unwrap();
    let keep = Step(|io: &mut Io<'_>| {
        for at in 0..io.available(0) {
            io.peek(0, at)?.expect("held");
        }
        Ok(Work::Ok)
    });
    let keep = scheduler.add("keep", keep).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.link((source, "out"), (forward, "in"), &small(8)).unwrap();
    scheduler.link((source, "out"), (keep, "in"), &small(8)).unwrap();
    scheduler.connect_output((forward, "out"), "to").unwrap();
    scheduler.link((keep, "out"), (sink, "in"), &small(8)).unwrap();
    let run = scheduler.start().unwrap();
    has_worked.recv_timeout(LONG).expect("it works");
    support::until("the queue is full", || to.len() == 1);
    run.stop(LONG).unwrap();
    take_all(&to);
    assert_whole(&shm);
}

/// A source that fails when it is stopped, after one message.
struct BadEnd;

impl Block for BadEnd {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        io.emit(0, 8, 1, |_, _| Ok(()))?;
        Ok(Work::Done)
    }

    fn stop(&mut self) -> Result<()> {
        Err(millrace::Error::new(millrace::ErrorKind::BlockFailed, "cannot stop"))
    }
}

#[test]
fn a_block_that_fails_to_stop_leaves_its_link_once() {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), threads()).unwrap();
    let bad = scheduler.add("bad", BadEnd).unwrap();
    let (go, may_go) = mpsc::channel::<()>();
    let mut sent = false;
    let other = move |io: &mut Io<'_>| {
        // It sends when the other one has ended.
        if !sent {
            may_go.recv_timeout(LONG).expect("told");
            io.emit(0, 8, 1, |_, _| Ok(()))?;
            sent = true;
        }
        Ok(Work::Done)
    };
    let other = support::blocks::Made { ports: Ports::new().output("out"), work: other };
    let other = scheduler.add("other", other).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.link((bad, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler.link((other, "out"), (sink, "in"), &small(8)).unwrap();
    let run = scheduler.start().unwrap();
    support::until("the bad one has ended", || !run.explain().contains("\"bad\""));
    go.send(()).expect("it listens");
    support::until("all have ended", || run.has_ended());
    let report = run.report();
    let error = run.wait().unwrap_err().to_string();
    assert!(error.contains("block \"bad\"") && error.contains("cannot stop"), "{error}");
    assert_eq!(report.block("sink").unwrap().items_in, 2);
    assert_whole(&shm);
}
