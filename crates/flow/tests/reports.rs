//! What is reported of blocks: times, calls, messages that were dropped before them.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::Overflow;
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{BlockState, Io, LinkOptions, Scheduler, SchedulerOptions, Work};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::steps::{Step, forward, small};
use support::{Domain, PATIENCE, used};

/// A source of `count` messages, a block that sleeps at its first, and a sink; the link before the slow one does what `overflow` says.
fn slow_stage(shm: &Arc<millrace::ShmManager>, count: u64, overflow: Overflow) -> Scheduler {
    let mut scheduler = Scheduler::new(Arc::clone(shm), SchedulerOptions::default()).unwrap();
    let source = scheduler.add("source", NullSource::new(8, count)).unwrap();
    let mut is_first = true;
    let stage = Step(move |io: &mut Io<'_>| {
        if std::mem::take(&mut is_first) {
            std::thread::sleep(Duration::from_millis(30));
        }
        forward(io)
    });
    let stage = scheduler.add("slow", stage).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    let lossy = LinkOptions { overflow: Some(overflow), ..small(8) };
    scheduler.link((source, "out"), (stage, "in"), &lossy).unwrap();
    scheduler.link((stage, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
    scheduler
}

#[test]
fn overflow_policies_drop_and_count() {
    for (overflow, lossy) in [
        (Overflow::DropOldest, true),
        (Overflow::DropNewest, true),
        (Overflow::Latest, true),
        (Overflow::Block, false),
    ] {
        let domain = Domain::new();
        let shm = domain.open();
        let report = slow_stage(&shm, 5000, overflow).run().unwrap();
        let [source, slow, sink] = ["source", "slow", "sink"].map(|name| report.block(name).unwrap());
        assert_eq!(source.items_out, 5000);
        assert_eq!(slow.items_in + slow.gaps, 5000, "{overflow:?} {slow:?}");
        assert_eq!((slow.items_in, slow.lost), (sink.items_in, 0), "{overflow:?} {slow:?}");
        assert_eq!(slow.gaps > 0, lossy, "{overflow:?} {slow:?}");
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn what_is_dropped_behind_the_last_message_of_a_run_that_is_stopped_counts_too() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest] {
        for _ in 0..20 {
            let domain = Domain::new();
            let shm = domain.open();
            let run = slow_stage(&shm, u64::MAX, overflow).start().unwrap();
            support::until("it overflows", || run.report().block("source").unwrap().items_out > 1000);
            let report = run.stop(PATIENCE).unwrap();
            let [source, slow, sink] = ["source", "slow", "sink"].map(|name| report.block(name).unwrap());
            // Of a work that is stopped half-way what was sent counts as sent, and the rest as lost; its messages are not taken in.
            let made = slow.items_out + slow.undelivered;
            assert_eq!(source.items_out, made + slow.lost + slow.gaps, "{overflow:?} {slow:?}");
            assert!(slow.items_in <= made, "{slow:?}");
            assert_eq!(slow.items_out, sink.items_in + sink.lost, "{slow:?} {sink:?}");
            assert_eq!(used(&shm), 0);
        }
    }
}

#[test]
fn a_report_waits_for_no_block_that_does_not_return_from_its_work() {
    let domain = Domain::new();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(domain.open(), options).unwrap();
    let source = scheduler.add("source", NullSource::new(8, 100_000)).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    let stuck = Step(move |io: &mut Io<'_>| {
        io.next(0)?;
        wait.recv().unwrap();
        Ok(Work::Ok)
    });
    let stuck = scheduler.add("stuck", stuck).unwrap();
    let end = scheduler.add("end", NullSink::default()).unwrap();
    let feed = scheduler.add("feed", NullSource::new(8, 2)).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
    scheduler.link((feed, "out"), (stuck, "in"), &LinkOptions::default()).unwrap();
    scheduler.link((stuck, "out"), (end, "in"), &LinkOptions::default()).unwrap();
    let run = scheduler.start().unwrap();
    go.send(()).unwrap();
    // Asked again and again, of those that work without end, too.
    let mut last = 0;
    support::until("the sink has all, the other block one", || {
        let began = Instant::now();
        let report = run.report();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let items = report.block("sink").unwrap().items_in;
        assert!(items >= last);
        last = items;
        items == 100_000
    });
    // It grows, and the block is named.
    let working = || run.report().block("stuck").unwrap().working;
    let before = working();
    assert!(!before.is_zero() && working() > before);
    assert!(run.explain().contains("\"stuck\" works for "), "{}", run.explain());
    assert_eq!(run.report().block("stuck").unwrap().state, BlockState::Running);
    go.send(()).unwrap();
    let report = run.wait().unwrap();
    let stuck = report.block("stuck").unwrap();
    assert_eq!((stuck.items_in, stuck.work_calls, stuck.working), (2, 2, Duration::ZERO));
    assert!(stuck.work_max <= stuck.busy && stuck.work_p99 <= stuck.work_max, "{stuck:?}");
}

/// A source that takes its time, and one that waits for room, into a sink that waits for both.
#[test]
fn the_times_of_a_block_are_all_of_its_time() {
    let domain = Domain::new();
    let options = SchedulerOptions { threads: 1, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(domain.open(), options).unwrap();
    let began = Instant::now();
    let pause = Duration::from_millis(2);
    let source = scheduler.add("source", NullSource::new(8, 50)).unwrap();
    let slow = Step(move |io: &mut Io<'_>| {
        std::thread::sleep(pause);
        if let Some(message) = io.next(0)? {
            io.forward(0, message);
        }
        Ok(Work::Ok)
    });
    let slow = scheduler.add("slow", slow).unwrap();
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    scheduler.link((source, "out"), (slow, "in"), &small(1)).unwrap();
    scheduler.link((slow, "out"), (sink, "in"), &small(1)).unwrap();
    let report = scheduler.run().unwrap();
    let took = began.elapsed();
    let [source, slow, sink] = ["source", "slow", "sink"].map(|name| report.block(name).unwrap());
    for block in [source, slow, sink] {
        let all = block.busy + block.starved + block.backpressured + block.idle;
        assert!(all <= took && all >= block.busy, "{block:?}");
    }
    assert_eq!(slow.work_calls, 50);
    assert!(slow.busy >= pause * 50 && slow.work_p50 >= pause && slow.work_max <= slow.busy, "{slow:?}");
    // While it sleeps, on the only thread, one has no room and the other nothing to do.
    assert!(source.backpressured >= pause * 40 && sink.starved >= pause * 40, "{source:?} {sink:?}");
}
