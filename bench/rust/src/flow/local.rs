//! One scheduler.

use super::blocks::{Filled, Giver, Taker};
use super::{link, scheduler};
use crate::contenders::Domain;
use crate::numbers::Sample;
use crate::options::Options;
use crate::processes::Process;
use crate::timed::Timed;
use millrace_flow::blocks::{Copy, Head, NullSink, NullSource};
use millrace_flow::{Block, BlockReport, Scheduler};
use std::time::Duration;

/// Bytes that a link of the pipes holds, as a buffer of FutureSDR does.
const LINK_BYTES: usize = 32 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it, and counts `of` each block meanwhile.
fn timed(options: &Options, scheduler: Scheduler, of: fn(&BlockReport) -> u64) -> Timed {
    let run = scheduler.start().expect("a run");
    let count = || run.report().blocks.iter().map(of).sum();
    let timed = Timed::of(options, &[Process::own()], count);
    run.stop(PATIENCE).expect("an end");
    timed
}

/// Messages that sinks have taken.
fn taken(block: &BlockReport) -> u64 {
    if block.name.starts_with("sink") { block.items_in } else { 0 }
}

/// From a source to a sink.
pub(super) fn stream(options: &Options) {
    let domain = Domain::plan();
    let shm = domain.open();
    let mut scheduler = scheduler(&shm, options);
    let source = scheduler.add("source", NullSource::new(options.bytes, u64::MAX)).expect("a source");
    let sink = scheduler.add("sink", NullSink::default()).expect("a sink");
    scheduler.link((source, "out"), (sink, "in"), &link(1024)).expect("a link");
    timed(options, scheduler, taken).sample().print();
}

/// The blocks of a pipe, and what its links hold.
pub(super) struct Pipe {
    source: Box<dyn Block>,
    stage: fn() -> Box<dyn Block>,
    capacity: usize,
}

/// Each stage copies.
pub(super) fn copies(options: &Options) -> Pipe {
    let source = Box::new(Filled(vec![0; options.bytes]));
    Pipe { source, stage: || Box::new(Copy), capacity: LINK_BYTES / options.bytes }
}

/// Each stage hands on.
pub(super) fn messages(options: &Options) -> Pipe {
    let source = Box::new(NullSource::new(options.bytes, u64::MAX));
    Pipe { source, stage: || Box::new(Head::new(u64::MAX)), capacity: 1024 }
}

/// Pipes beside each other, each a source, stages, a sink.
pub(super) fn pipes(options: &Options, pipe: &dyn Fn(&Options) -> Pipe) {
    let domain = Domain::plan();
    let shm = domain.open();
    let mut scheduler = scheduler(&shm, options);
    for number in 0..options.pipes {
        let Pipe { source, stage, capacity } = pipe(options);
        let mut add = |what: &str, block| {
            scheduler.add_with(&format!("{what}{number}"), block, Default::default()).expect("a block")
        };
        let mut blocks = vec![add("source", source)];
        blocks.extend((0..options.stages).map(|at| add(&format!("stage{at}-"), stage())));
        blocks.push(add("sink", Box::new(NullSink::default())));
        for pair in blocks.windows(2) {
            scheduler.link((pair[0], "out"), (pair[1], "in"), &link(capacity)).expect("a link");
        }
    }
    timed(options, scheduler, taken).sample().print();
}

/// A call of work of a block that deals with one message: CPU time in ns.
pub(super) fn work_calls(options: &Options) {
    let domain = Domain::plan();
    let shm = domain.open();
    let mut scheduler = scheduler(&shm, options);
    let source = scheduler.add("source", Giver).expect("a source");
    let sink = scheduler.add("sink", Taker).expect("a sink");
    scheduler.link((source, "out"), (sink, "in"), &link(1024)).expect("a link");
    let Timed { count, cpu_seconds, .. } = timed(options, scheduler, |block| block.work_calls);
    Sample { value: cpu_seconds * 1e9 / count as f64, ..Sample::default() }.print();
}

/// Of a scheduler whose blocks wait for a message that does not come: per cent of a core.
pub(super) fn idle(options: &Options) {
    let domain = Domain::plan();
    let shm = domain.open();
    let mut scheduler = scheduler(&shm, options);
    let queue = shm.port_queue("port", &Default::default()).expect("a queue");
    let stage = scheduler.add("stage", Head::new(u64::MAX)).expect("a stage");
    let sink = scheduler.add("sink", NullSink::default()).expect("a sink");
    scheduler.connect_input((stage, "in"), &queue.name()).expect("a port");
    scheduler.link((stage, "out"), (sink, "in"), &link(1024)).expect("a link");
    let Timed { cpu_seconds, seconds, .. } = timed(options, scheduler, |_| 0);
    Sample { value: cpu_seconds / seconds * 100.0, ..Sample::default() }.print();
}
