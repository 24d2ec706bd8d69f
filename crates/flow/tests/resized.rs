//! Queues at blocks that hold more or less while the blocks run.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::QueueOptions;
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Run, Scheduler};
use std::sync::Arc;
use support::blocks::{assert_whole, domain, fill, queue, take_all};
use support::steps::policies;

#[test]
fn what_a_block_sends_makes_a_queue_larger() {
    for options in policies() {
        let shm = domain();
        let range = QueueOptions { capacity: Some(2), max_capacity: Some(256), ..QueueOptions::default() };
        let port = queue(&shm, "port", range);
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 1000)).unwrap();
        scheduler.connect_output((source, "out"), "port").unwrap();
        let run = scheduler.start().unwrap();
        support::until("it is as large as it may be, and full", || port.len() == 256);
        let mut taken = 0;
        support::until("all have come", || {
            taken += take_all(&port);
            taken == 1000
        });
        assert_eq!(run.wait().unwrap().block("source").unwrap().items_out, 1000);
        assert_eq!(port.instead().unwrap().options().capacity, 256);
        drop(port);
        assert_whole(&shm);
    }
}

#[test]
fn a_block_that_sleeps_at_a_queue_is_woken_whatever_ring_it_has() {
    for options in policies() {
        let shm = domain();
        let port = queue(&shm, "port", QueueOptions { capacity: Some(8), ..QueueOptions::default() });
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.connect_input((sink, "in"), "port").unwrap();
        let run = scheduler.start().unwrap();
        let came = |run: &Run| run.report().block("sink").unwrap().items_in;
        let mut waits = 0;
        for round in 1..=20 {
            // It sleeps, at the ring that the queue has now.
            support::until("it waits", || port.stats().unwrap().receive_waits > waits);
            waits = port.stats().unwrap().receive_waits;
            for slots in [16, 4, 8] {
                port.resize(slots).unwrap();
            }
            fill(&shm, &port, 3);
            support::until("they have come", || came(&run) == round * 3);
        }
        run.drain(support::PATIENCE).unwrap();
        drop(port);
        assert_whole(&shm);
    }
}
