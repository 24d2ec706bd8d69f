//! The scheduler: what runs, in which order, what is counted, and what becomes of errors. In one process.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Delivery, ErrorKind, QueueOptions, Result};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{
    Block, BlockState, Io, LinkOptions, Policy, Ports, Ready, Scheduler, SchedulerOptions, Work,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::steps::{Numbers, Step, forward, policies, small};
use support::{Domain, PATIENCE, used};

#[test]
fn a_chain_passes_everything_on_in_order() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let source = scheduler.add("source", NullSource::new(100, 5000)).unwrap();
        let mut last = source;
        for stage in 0..5 {
            let next = scheduler.add(&format!("stage {stage}"), Step(forward)).unwrap();
            scheduler.link((last, "out"), (next, "in"), &small(8)).unwrap();
            last = next;
        }
        let sink = scheduler.add("sink", Numbers(Arc::clone(&numbers))).unwrap();
        scheduler.link((last, "out"), (sink, "in"), &small(4)).unwrap();
        let report = scheduler.run().unwrap();
        assert!(numbers.lock().unwrap().iter().copied().eq(0..5000), "{options:?}");
        for block in &report.blocks {
            assert_eq!(
                (block.state, block.lost, block.undelivered),
                (BlockState::Stopped, 0, 0),
                "{block:?}"
            );
        }
        assert_eq!(report.block("stage 3").unwrap().items_out, 5000);
        assert_eq!(used(&shm), 0);
        assert_eq!(shm.snapshot().unwrap().pools.iter().map(|pool| pool.rings).sum::<u64>(), 0, "links end");
    }
}

#[test]
fn an_output_that_is_linked_twice_sends_everything_to_both() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 3000)).unwrap();
        let all: Vec<_> = (0..3).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
        for (at, numbers) in all.iter().enumerate() {
            let sink = scheduler.add(&format!("sink {at}"), Numbers(Arc::clone(numbers))).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(4 << at)).unwrap();
        }
        scheduler.run().unwrap();
        for numbers in all {
            assert!(numbers.lock().unwrap().iter().copied().eq(0..3000));
        }
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn inputs_that_share_a_link_get_everything_of_all_in_each_ones_order() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let sink = scheduler.add("sink", Numbers(Arc::clone(&numbers))).unwrap();
        for at in 0..3 {
            let source = scheduler.add(&format!("source {at}"), NullSource::new(8, 1000)).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(16)).unwrap();
        }
        scheduler.run().unwrap();
        let mut numbers = numbers.lock().unwrap().clone();
        assert_eq!(numbers.len(), 3000);
        // Of three rows that are in order each, no more than three places of the merged row can hold a number.
        numbers.sort_unstable();
        assert!(numbers.chunks(3).zip(0..).all(|(chunk, number)| chunk == [number; 3]));
        assert_eq!(used(&shm), 0);
    }
}

/// One source, two ways of different length, and a join that takes one of each.
#[test]
fn a_diamond_comes_together_again() {
    struct Zip(Arc<AtomicU64>);
    impl Block for Zip {
        fn ports(&self) -> Ports {
            Ports::new().input("left").input("right")
        }
        fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
            while io.available(0) > 0 && io.available(1) > 0 {
                let (left, right) = (io.next(0)?.unwrap(), io.next(1)?.unwrap());
                assert_eq!(left.sequence(), right.sequence());
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Work::Ok)
        }
    }
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let pairs = Arc::new(AtomicU64::new(0));
        let source = scheduler.add("source", NullSource::new(8, 4000)).unwrap();
        let (a, b) = (scheduler.add("a", Step(forward)).unwrap(), scheduler.add("b", Step(forward)).unwrap());
        let zip = scheduler.add("zip", Zip(Arc::clone(&pairs))).unwrap();
        scheduler.link((source, "out"), (a, "in"), &small(2)).unwrap();
        scheduler.link((source, "out"), (zip, "right"), &small(64)).unwrap();
        scheduler.link((a, "out"), (b, "in"), &small(2)).unwrap();
        scheduler.link((b, "out"), (zip, "left"), &small(2)).unwrap();
        scheduler.run().unwrap();
        assert_eq!(pairs.load(Ordering::Relaxed), 4000);
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn a_sink_that_has_enough_ends_what_is_before_it() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, u64::MAX)).unwrap();
        let stage = scheduler.add("stage", Step(forward)).unwrap();
        let sink = scheduler.add("sink", NullSink::new(777)).unwrap();
        scheduler.link((source, "out"), (stage, "in"), &small(32)).unwrap();
        scheduler.link((stage, "out"), (sink, "in"), &small(32)).unwrap();
        let report = scheduler.run().unwrap();
        let sunk = report.block("sink").unwrap();
        assert_eq!(sunk.items_in, 777);
        // Whatever was under way is accounted for.
        let [source, stage] = ["source", "stage"].map(|name| report.block(name).unwrap());
        assert_eq!(source.items_out, stage.items_in + stage.lost, "{report:#?}");
        assert_eq!(stage.items_out, sunk.items_in + sunk.lost, "{report:#?}");
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn blocks_that_wait_for_each_other_are_told_apart_from_blocks_that_wait() {
    // Takes one of each in turn, and the right one gets nothing before the left one has had more than its link holds.
    struct Greedy;
    impl Block for Greedy {
        fn ports(&self) -> Ports {
            Ports::new().input("left").input("right").ready(Ready::Any)
        }
        fn work(&mut self, _: &mut Io<'_>) -> Result<Work> {
            Ok(Work::NeedInput { input: 1, min: 1 })
        }
    }
    for options in policies() {
        let began = Instant::now();
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 1000)).unwrap();
        let only_late = Step(|io: &mut Io<'_>| {
            // Holds back until it has more than ever comes.
            Ok(if io.available(0) < 1 { Work::Ok } else { Work::NeedInput { input: 0, min: 2000 } })
        });
        let held = scheduler.add("held", only_late).unwrap();
        let greedy = scheduler.add("greedy", Greedy).unwrap();
        scheduler.link((source, "out"), (greedy, "left"), &small(4)).unwrap();
        scheduler.link((source, "out"), (held, "in"), &small(4)).unwrap();
        scheduler.link((held, "out"), (greedy, "right"), &small(4)).unwrap();
        let error = scheduler.run().unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10), "{options:?}: nobody has to look for it");
        assert_eq!(error.kind(), ErrorKind::Stalled);
        let text = error.to_string();
        let begins = "blocks wait for each other: \"source.out\" waits for room in \"greedy.left\"; \
                      \"greedy.right\" has 0 of 1 messages and waits for \"held.out\"; \"held.in\" has ";
        let ends = " of 2000 messages and waits for \"source.out\"";
        assert!(text.starts_with(begins) && text.ends_with(ends), "{text}");
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn a_drain_lets_everything_arrive_and_a_stop_does_not_wait() {
    let domain = Domain::new();
    let shm = domain.open();
    let endless = |shm: &Arc<millrace::ShmManager>, numbers: &Arc<Mutex<Vec<u64>>>| {
        let mut scheduler = Scheduler::new(Arc::clone(shm), SchedulerOptions::default()).unwrap();
        let source = scheduler.add("source", NullSource::new(8, u64::MAX)).unwrap();
        let stage = scheduler.add("stage", Step(forward)).unwrap();
        let sink = scheduler.add("sink", Numbers(Arc::clone(numbers))).unwrap();
        scheduler.link((source, "out"), (stage, "in"), &LinkOptions::default()).unwrap();
        scheduler.link((stage, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        scheduler.start().unwrap()
    };
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let run = endless(&shm, &numbers);
    support::until("messages arrive", || numbers.lock().unwrap().len() > 1000);
    let report = run.drain(Duration::from_secs(30)).unwrap();
    let sent = report.block("source").unwrap().items_out;
    assert!(numbers.lock().unwrap().iter().copied().eq(0..sent));
    assert_eq!(used(&shm), 0);

    let numbers = Arc::new(Mutex::new(Vec::new()));
    let run = endless(&shm, &numbers);
    support::until("messages arrive", || numbers.lock().unwrap().len() > 1000);
    let report = run.stop(Duration::from_secs(30)).unwrap();
    let sent = report.block("source").unwrap().items_out;
    let got = numbers.lock().unwrap().len() as u64;
    let lost: u64 = report.blocks.iter().map(|block| block.lost).sum();
    // What was staged had not been sent.
    let [source, stage] = ["source", "stage"].map(|name| report.block(name).unwrap());
    let [taken, passed] = [stage.items_in, stage.items_out];
    assert!(
        sent >= taken && passed >= got && sent - got <= lost,
        "{got} of {sent} arrived, {lost} are lost: {source:?} {stage:?}"
    );
    assert_eq!(used(&shm), 0);

    // Dropped.
    let run = endless(&shm, &numbers);
    drop(run);
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_paused_run_does_nothing_and_goes_on_afterwards() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 200_000)).unwrap();
        let sink = scheduler.add("sink", Numbers(Arc::clone(&numbers))).unwrap();
        scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        let run = scheduler.start().unwrap();
        run.pause();
        // What runs ends its slice.
        support::until("it rests", || {
            let before = run.report().block("sink").unwrap().work_calls;
            std::thread::sleep(Duration::from_millis(20));
            before == run.report().block("sink").unwrap().work_calls
        });
        assert!(!run.has_ended() || numbers.lock().unwrap().len() == 200_000);
        run.resume();
        run.wait().unwrap();
        assert_eq!(numbers.lock().unwrap().len(), 200_000);
    }
}

#[test]
fn timers_fire_in_their_time_and_at_once_in_a_run_of_its_own_time() {
    struct Ticks {
        at: Vec<Duration>,
        seen: Arc<Mutex<Vec<Duration>>>,
    }
    impl Block for Ticks {
        fn ports(&self) -> Ports {
            Ports::new().output("out")
        }
        fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
            while let Some(next) = self.at.first().copied() {
                if io.now() < next {
                    return Ok(Work::WaitUntil { at: next });
                }
                self.seen.lock().unwrap().push(io.now());
                self.at.remove(0);
            }
            Ok(Work::Done)
        }
    }
    let run = |options, unit: Duration| {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(shm, options).unwrap();
        let all: Vec<_> = (0..3).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
        for (block, seen) in all.iter().enumerate() {
            let at: Vec<_> = (1..=5).map(|n| unit * (n * 3 + block as u32)).collect();
            let ticks =
                scheduler.add(&format!("ticks {block}"), Ticks { at, seen: Arc::clone(seen) }).unwrap();
            let sink = scheduler.add(&format!("sink {block}"), NullSink::default()).unwrap();
            scheduler.link((ticks, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        }
        let began = Instant::now();
        scheduler.run().unwrap();
        let seen: Vec<Vec<Duration>> = all.iter().map(|seen| seen.lock().unwrap().clone()).collect();
        (began.elapsed(), seen)
    };
    let unit = Duration::from_millis(3);
    for threads in [1, 3] {
        let (_, seen) = run(SchedulerOptions { threads, ..SchedulerOptions::default() }, unit);
        for (block, seen) in seen.iter().enumerate() {
            assert_eq!(seen.len(), 5);
            let due = (1..=5).map(|n| unit * (n * 3 + block as u32));
            assert!(seen.iter().zip(due).all(|(at, due)| *at >= due), "{seen:?}");
        }
    }
    // A day, at once, to the nanosecond.
    let hour = Duration::from_secs(3600);
    let single = SchedulerOptions { policy: Policy::Single { seed: 3 }, ..SchedulerOptions::default() };
    let (took, seen) = run(single, hour);
    assert!(took < Duration::from_secs(60));
    for (block, seen) in seen.iter().enumerate() {
        assert!(seen.iter().copied().eq((1..=5).map(|n| hour * (n * 3 + block as u32))), "{seen:?}");
    }
}

#[test]
fn a_single_run_of_the_same_seed_is_the_same_run() {
    let run = |seed| {
        let domain = Domain::new();
        let shm = domain.open();
        let options = SchedulerOptions { policy: Policy::Single { seed }, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(shm, options).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        for at in 0..4 {
            let source = scheduler.add(&format!("source {at}"), NullSource::new(8, 500)).unwrap();
            let order = Arc::clone(&order);
            let note = Step(move |io: &mut Io<'_>| {
                order.lock().unwrap().push(at);
                forward(io)
            });
            let stage = scheduler.add(&format!("stage {at}"), note).unwrap();
            let sink = scheduler.add(&format!("sink {at}"), NullSink::default()).unwrap();
            scheduler.link((source, "out"), (stage, "in"), &small(16)).unwrap();
            scheduler.link((stage, "out"), (sink, "in"), &small(16)).unwrap();
        }
        // Slices are of real time, so only what a block does in one counts.
        scheduler.run().unwrap();
        order.lock().unwrap().clone()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn a_thousand_blocks_share_two_threads() {
    let domain = Domain::new();
    let shm = domain.open();
    let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    for pipe in 0..100 {
        let source = scheduler.add(&format!("source {pipe}"), NullSource::new(8, 100)).unwrap();
        let mut last = source;
        for stage in 0..8 {
            let next = scheduler.add(&format!("stage {pipe}.{stage}"), Step(forward)).unwrap();
            scheduler.link((last, "out"), (next, "in"), &small(8)).unwrap();
            last = next;
        }
        let sink = scheduler.add(&format!("sink {pipe}"), NullSink::default()).unwrap();
        scheduler.link((last, "out"), (sink, "in"), &small(8)).unwrap();
    }
    let report = scheduler.run().unwrap();
    assert_eq!(report.blocks.len(), 1000);
    for pipe in 0..100 {
        assert_eq!(report.block(&format!("sink {pipe}")).unwrap().items_in, 100);
    }
    assert_eq!(used(&shm), 0);
}

#[test]
fn at_least_once_links_acknowledge_what_has_been_sent_on() {
    let domain = Domain::new();
    let shm = domain.open();
    let queue = |name: &str| {
        let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
        shm.port_queue(name, &options).unwrap()
    };
    let (first, second) = (queue("first"), queue("second"));
    for number in 0..100 {
        let mut buffer = shm.allocate(8).unwrap();
        buffer.set_sequence(number);
        first.try_send(buffer).unwrap();
    }
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let stage = scheduler.add("stage", Step(forward)).unwrap();
    scheduler.connect_input((stage, "in"), "first").unwrap();
    scheduler.connect_output((stage, "out"), "second").unwrap();
    let run = scheduler.start().unwrap();
    support::until("all are passed on", || first.is_idle());
    run.stop(Duration::from_secs(10)).unwrap();
    for number in 0..100 {
        assert_eq!(second.try_receive().unwrap().0.unwrap().sequence(), number);
    }
    assert_eq!(used(&shm), 0);
}

#[test]
fn queues_that_come_later_are_found() {
    for options in policies() {
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(domain.open(), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 300)).unwrap();
        scheduler.connect_output((source, "out"), "later").unwrap();
        let run = scheduler.start().unwrap();
        support::until("it waits", || run.report().blocks[0].backpressured > Duration::ZERO);
        let later = QueueOptions { capacity: Some(512), ..QueueOptions::default() };
        let later = shm.port_queue("later", &later).unwrap();
        assert_eq!(run.wait().unwrap().block("source").unwrap().items_out, 300);
        while later.try_receive().unwrap().0.is_some() {}
        assert_eq!(used(&shm), 0);
    }
}

#[test]
fn bad_graphs_are_refused_with_the_names_of_block_and_port() {
    let domain = Domain::new();
    let shm = domain.open();
    let new = || Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let text = |result: Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    let threads = SchedulerOptions { threads: 0, ..SchedulerOptions::default() };
    assert!(text(Scheduler::new(Arc::clone(&shm), threads).map(drop)).contains("threads is 0"));
    assert!(text(new().run().map(drop)).contains("without blocks"));

    let mut scheduler = new();
    let source = scheduler.add("source", NullSource::new(8, 1)).unwrap();
    assert!(text(scheduler.add("source", NullSink::default()).map(drop)).contains("\"source\""));
    let sink = scheduler.add("sink", NullSink::default()).unwrap();
    let any = LinkOptions::default();
    assert_eq!(
        text(scheduler.link((source, "no"), (sink, "in"), &any)),
        "block \"source\" has no output \"no\"; it has [\"out\"]"
    );
    assert!(text(scheduler.link((source, "out"), (sink, "no"), &any)).contains("no input \"no\""));
    scheduler.link((source, "out"), (sink, "in"), &any).unwrap();
    assert!(text(scheduler.link((source, "out"), (sink, "in"), &any)).contains("linked already"));
    assert!(text(scheduler.connect_input((sink, "in"), "queue")).contains("sink.in is linked already"));

    let mut scheduler = new();
    scheduler.add("alone", NullSource::new(8, 1)).unwrap();
    assert_eq!(text(scheduler.run().map(drop)), "output \"out\" of block \"alone\" is linked to nothing");

    struct Typed(u32, usize);
    impl Block for Typed {
        fn ports(&self) -> Ports {
            Ports::new().input_of("in", self.0, self.1).output_of("out", self.0)
        }
        fn work(&mut self, _: &mut Io<'_>) -> Result<Work> {
            Ok(Work::Done)
        }
    }
    let mut scheduler = new();
    let (one, two) =
        (scheduler.add("one", Typed(1, 1)).unwrap(), scheduler.add("two", Typed(2, 100)).unwrap());
    let mismatch = text(scheduler.link((one, "out"), (two, "in"), &any));
    assert_eq!(mismatch, "one.out sends messages of type 1, two.in takes those of type 2");
    let source = scheduler.add("source", NullSource::new(8, 1)).unwrap();
    scheduler.link((source, "out"), (two, "in"), &small(64)).unwrap();
    scheduler.connect_input((one, "in"), "queue").unwrap();
    scheduler.connect_output((one, "out"), "queue").unwrap();
    let needs = text(scheduler.run().map(drop));
    assert!(
        needs.contains("input \"in\" of block \"two\" needs 100 messages, and its link holds 64"),
        "{needs}"
    );
    assert_eq!(shm.snapshot().unwrap().pools.iter().map(|pool| pool.used).sum::<u64>(), 0);
}

#[test]
fn a_stop_or_a_drain_is_heard_whenever_it_comes() {
    let domain = Domain::new();
    let shm = domain.open();
    shm.port_queue("quiet", &QueueOptions::default()).unwrap();
    for round in 0..4000_u32 {
        let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.connect_input((sink, "in"), "quiet").unwrap();
        let run = scheduler.start().unwrap();
        // From before the block has begun to after it has gone to sleep.
        (0..round % 400).for_each(|_| std::hint::spin_loop());
        let ended = if round % 2 == 0 { run.stop(PATIENCE) } else { run.drain(PATIENCE) };
        ended.unwrap();
    }
}
