//! What runs cost while they wait, and what they leave. Each looks at the whole process, so they take turns.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::QueueOptions;
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{LinkOptions, Scheduler, SchedulerOptions};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::Domain;

static TURN: Mutex<()> = Mutex::new(());

#[test]
fn waiting_runs_take_no_processor_time() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let domain = Domain::new();
    let shm = domain.open();
    shm.port_queue("quiet", &QueueOptions::default()).unwrap();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    for at in 0..50 {
        let sink = scheduler.add(&format!("sink {at}"), NullSink::default()).unwrap();
        scheduler.connect_input((sink, "in"), "quiet").unwrap();
    }
    let run = scheduler.start().unwrap();
    support::until("all sleep", || {
        let report = run.report();
        report.blocks.iter().all(|block| block.starved > Duration::from_millis(100))
    });
    let (began, before) = (Instant::now(), support::cpu_time());
    std::thread::sleep(Duration::from_secs(1));
    let share = (support::cpu_time() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.003, "{share}");
    run.drain(Duration::from_secs(10)).unwrap();
}

#[test]
fn two_hundred_runs_leave_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let domain = Domain::new();
    let shm = domain.open();
    let run = || {
        let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 50)).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 50);
    };
    run();
    let before = (support::threads(), support::descriptors(), domain.objects().len());
    (0..200).for_each(|_| run());
    assert_eq!((support::threads(), support::descriptors(), domain.objects().len()), before);
    let snapshot = shm.snapshot().unwrap();
    assert_eq!(snapshot.pools.iter().map(|pool| pool.used).sum::<u64>(), 0);
}
