//! What users may do that is rare: shares of a queue, orders of ends, wide graphs, odd names, failures at each step.

mod support;

use millrace::{Delivery, QueueOptions, Result};
use millrace_flow::blocks::{Head, NullSink, NullSource};
use millrace_flow::{Block, BlockOptions, Io, LinkOptions, Ports, Run, Scheduler, SchedulerOptions, Work};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::blocks::{assert_whole, domain, every_policy, failure, fill, pair, queue, single, take_all};
use support::steps::{forward, policies, small};

#[test]
fn two_schedulers_take_exactly_what_they_ask_for() {
    for round in 0..20 {
        let shm = domain();
        let from = queue(&shm, "from", QueueOptions { capacity: Some(64), ..QueueOptions::default() });
        let start = |count| {
            let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
            let head = scheduler.add("head", Head::new(count)).unwrap();
            let sink = scheduler.add("sink", NullSink::new(u64::MAX)).unwrap();
            scheduler.connect_input((head, "in"), "from").unwrap();
            scheduler.link((head, "out"), (sink, "in"), &small(4)).unwrap();
            scheduler.start().unwrap()
        };
        let runs = [start(3), start(5)];
        fill(&shm, &from, if round % 2 == 0 { 8 } else { 11 });
        let got = runs.map(|run| run.wait().unwrap().block("sink").unwrap().items_in);
        assert_eq!(got, [3, 5]);
        assert_eq!(take_all(&from), if round % 2 == 0 { 0 } else { 3 });
        assert_whole(&shm);
    }
}

#[test]
fn pause_drain_and_stop_in_any_order_end() {
    for options in policies() {
        for order in 0..6 {
            let shm = domain();
            let run = pair(&shm, options.clone(), NullSource::new(8, u64::MAX), BlockOptions::default());
            let run = run.start().unwrap();
            let mut calls = [Run::pause, Run::begin_drain, Run::begin_stop];
            calls.rotate_left(order % 3);
            if order >= 3 {
                calls.swap(0, 1);
            }
            calls.iter().for_each(|call| call(&run));
            support::until("it ends", || run.has_ended());
            let report = run.wait().unwrap();
            let [source, sink] = ["source", "sink"].map(|name| report.block(name).unwrap());
            assert_eq!(source.items_out, sink.items_in + sink.lost, "{source:?} {sink:?}");
            assert_whole(&shm);
        }
    }
}

#[test]
fn an_output_feeds_fifty_inputs() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 200)).unwrap();
        for number in 0..50 {
            let sink = scheduler.add(&format!("sink{number}"), NullSink::new(u64::MAX)).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(1 + number % 3)).unwrap();
        }
        let report = scheduler.run().unwrap();
        assert!(report.blocks[1..].iter().all(|sink| sink.items_in == 200 && sink.lost == 0));
        assert_eq!(report.blocks[0].items_out, 200 * 50);
        assert_whole(&shm);
    }
}

#[test]
fn names_are_free() {
    let long = "x".repeat(200);
    for name in ["é", "ö", "a/b", "..", " ", "-", "日本語", "\0", &long, &format!("{long}2")] {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
        let sources = [name.to_owned(), format!("{name}2")].map(|name| {
            let source = scheduler.add(&name, NullSource::new(8, 5)).unwrap();
            let sink = scheduler.add(&format!("{name}-sink"), NullSink::new(u64::MAX)).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(1)).unwrap();
            name
        });
        let report = scheduler.run().unwrap();
        assert!(sources.iter().all(|name| report.block(name).unwrap().items_out == 5));
        assert_whole(&shm);
    }
}

#[test]
fn start_work_end_and_stop_may_each_fail_or_panic() {
    struct Fails {
        at: &'static str,
        panics: bool,
        calls: Arc<Mutex<Vec<&'static str>>>,
    }
    impl Fails {
        fn call(&self, at: &'static str) -> Result<()> {
            self.calls.lock().unwrap().push(at);
            assert!(self.at != at || !self.panics, "panics in {at}");
            if self.at == at { Err(failure()) } else { Ok(()) }
        }
    }
    impl Block for Fails {
        fn ports(&self) -> Ports {
            Ports::new().input("in").output("out")
        }
        fn start(&mut self) -> Result<()> {
            self.call("start")
        }
        fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
            forward(io)?;
            self.call("work")?;
            Ok(Work::Ok)
        }
        fn end(&mut self, _: &mut Io<'_>) -> Result<()> {
            self.call("end")
        }
        fn stop(&mut self) -> Result<()> {
            self.call("stop")
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    for options in every_policy() {
        for at in ["start", "work", "end", "stop", "never"] {
            for panics in [false, true] {
                for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
                    let shm = domain();
                    let calls = Arc::default();
                    let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
                    let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
                    let block = Fails { at, panics, calls: Arc::clone(&calls) };
                    let block = scheduler.add("block", block).unwrap();
                    let sink = scheduler.add("sink", NullSink::new(u64::MAX)).unwrap();
                    let link = LinkOptions { delivery: Some(delivery), ..small(8) };
                    scheduler.link((source, "out"), (block, "in"), &link).unwrap();
                    scheduler.link((block, "out"), (sink, "in"), &link).unwrap();
                    let run = scheduler.start().unwrap();
                    support::until("it ends", || run.has_ended());
                    let report = run.report();
                    let outcome = run.wait();
                    assert_eq!(outcome.is_err(), at != "never", "{at}: {outcome:?}");
                    let [source, block, sink] =
                        ["source", "block", "sink"].map(|name| report.block(name).unwrap());
                    assert_eq!(
                        source.items_out,
                        block.items_in + block.lost,
                        "{at} {panics} {delivery:?} {options:?}: {source:?} {block:?}"
                    );
                    assert_eq!(block.items_out, sink.items_in + sink.lost, "{block:?} {sink:?}");
                    let calls = calls.lock().unwrap();
                    assert_eq!(calls.iter().filter(|call| **call == "stop").count(), 1, "{at}: {calls:?}");
                    assert_whole(&shm);
                }
            }
        }
    }
    let _ = std::panic::take_hook();
}

#[test]
fn a_receiver_that_joins_and_one_that_leaves_while_messages_flow_share_them_exactly() {
    for round in 0..10 {
        let shm = domain();
        let between = queue(&shm, "between", QueueOptions { capacity: Some(16), ..QueueOptions::default() });
        let start = |count| {
            let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
            let sink = scheduler.add("sink", NullSink::new(count)).unwrap();
            scheduler.connect_input((sink, "in"), "between").unwrap();
            scheduler.start().unwrap()
        };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
        let source = scheduler.add("source", NullSource::new(8, u64::MAX)).unwrap();
        scheduler.connect_only_output((source, "out"), "between").unwrap();
        let first = start(1000 + 100 * round);
        let source = scheduler.start().unwrap();
        support::until("messages flow", || first.report().block("sink").unwrap().items_in > 0);
        // The first leaves when it has its share, which comes, for the source has no end; the second takes the others.
        let second = start(u64::MAX);
        let share = first.wait().unwrap().block("sink").unwrap().items_in;
        assert_eq!(share, 1000 + 100 * round);
        let sent = source.drain(Duration::from_secs(10)).unwrap().block("source").unwrap().items_out;
        assert_eq!(second.wait().unwrap().block("sink").unwrap().items_in, sent - share);
        drop(between);
        assert_whole(&shm);
    }
}
