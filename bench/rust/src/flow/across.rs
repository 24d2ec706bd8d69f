//! A scheduler with a source and one with a sink, each in a process of its own.

use super::scheduler;
use crate::arena::Shared;
use crate::contenders::Domain;
use crate::options::Options;
use crate::processes::{Process, rest};
use crate::timed::Timed;
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Run, Scheduler};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// How often the sink's process tells what it has counted: far more often than it is asked.
const TELLS: Duration = Duration::from_micros(500);

#[derive(Default)]
struct Control {
    received: AtomicU64,
    stop: AtomicBool,
    left: AtomicU64,
}

/// From sources to a sink.
pub(super) fn stream(options: &Options) {
    let control = Shared::new(Control::default);
    let domain = Domain::plan();
    let sink = Process::fork(|| {
        let queue = domain.queue(0, 0);
        let mut scheduler = scheduler(&domain.open(), options);
        let sink = scheduler.add("sink", NullSink::default()).expect("a sink");
        scheduler.connect_input((sink, "in"), queue.name()).expect("a port");
        work(&control, scheduler, |run| control.received.store(run.report().blocks[0].items_in, Relaxed));
        // The sources have sent their last: the queue may go.
        while control.left.load(SeqCst) < options.producers as u64 {
            std::thread::yield_now();
        }
    });
    let sources = (0..options.producers).map(|_| {
        Process::fork(|| {
            let queue = domain.queue(0, 0);
            let mut scheduler = scheduler(&domain.open(), options);
            let source = scheduler.add("source", NullSource::new(options.bytes, u64::MAX)).expect("a source");
            scheduler.connect_output((source, "out"), queue.name()).expect("a port");
            work(&control, scheduler, |_| {});
            control.left.fetch_add(1, SeqCst);
        })
    });
    let all: Vec<_> = std::iter::once(sink).chain(sources.collect::<Vec<_>>()).collect();
    while control.received.load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    let timed = Timed::of(options, &all, || control.received.load(Relaxed));
    control.stop.store(true, SeqCst);
    all.into_iter().for_each(Process::join);
    timed.sample().print();
}

/// Runs it until it is to stop.
fn work(control: &Control, scheduler: Scheduler, tell: impl Fn(&Run)) {
    let run = scheduler.start().expect("a run");
    while !control.stop.load(Relaxed) {
        rest(TELLS);
        tell(&run);
    }
    run.stop(PATIENCE).expect("an end");
}
