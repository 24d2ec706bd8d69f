//! What is reported of links: counts, and who holds up whom.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{ErrorKind, Overflow, QueueOptions, Result};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{Alone, Block, Io, LinkOptions, Ports, Scheduler, SchedulerOptions, Work};
use std::sync::{Arc, mpsc};
use support::blocks::{assert_whole, domain, fill, queue, single};
use support::steps::{Step, forward, policies, small};

#[test]
fn a_link_is_reported_with_its_ends_and_exact_counts_also_when_it_has_ended() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let [a, b] = ["a", "b"].map(|name| scheduler.add(name, NullSource::new(8, 500)).unwrap());
        let stage = scheduler.add("stage", Step(forward)).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        let lossy = LinkOptions { overflow: Some(Overflow::Latest), ..small(1) };
        scheduler.link((a, "out"), (stage, "in"), &small(4)).unwrap();
        scheduler.link((b, "out"), (stage, "in"), &small(4)).unwrap();
        scheduler.link((stage, "out"), (sink, "in"), &lossy).unwrap();
        let report = scheduler.run().unwrap();
        assert_eq!(report.links.len(), 2);
        let (first, second) = (report.link("stage.in").unwrap(), report.link("sink.in").unwrap());
        assert_eq!((&first.from[..], first.capacity), (&["a.out".to_owned(), "b.out".to_owned()][..], 4));
        assert_eq!((first.sent, first.dropped, first.depth), (1000, 0, 0));
        // A source never sends more than there is room for, so it has waited.
        assert!(first.high_water <= 4 && first.send_waits > 0, "{first:?}");
        let sink = report.block("sink").unwrap();
        assert_eq!((second.sent, second.dropped), (1000, sink.gaps), "{second:?} {sink:?}");
        assert_eq!(sink.items_in + second.dropped, 1000);
        assert_whole(&shm);
    }
}

#[test]
fn what_is_in_a_link_and_who_waits_at_it_shows_while_it_runs() {
    let shm = domain();
    let outer = queue(&shm, "outer", QueueOptions { capacity: Some(16), ..QueueOptions::default() });
    fill(&shm, &outer, 12);
    let (go, wait) = mpsc::channel::<()>();
    let mut scheduler =
        Scheduler::new(Arc::clone(&shm), SchedulerOptions { threads: 2, ..SchedulerOptions::default() })
            .unwrap();
    let stage = scheduler.add("stage", Step(forward)).unwrap();
    let stuck = Step(move |io: &mut Io<'_>| {
        let _ = wait.recv();
        forward(io)
    });
    let stuck = scheduler.add("stuck", stuck).unwrap();
    scheduler.connect_input((stage, "in"), "outer").unwrap();
    scheduler.link((stage, "out"), (stuck, "in"), &small(2)).unwrap();
    scheduler.connect_output((stuck, "out"), "later").unwrap();
    let later = queue(&shm, "later", QueueOptions { capacity: Some(16), ..QueueOptions::default() });
    let run = scheduler.start().unwrap();
    let link = |to: &str| run.report().link(to).unwrap().clone();
    support::until("the link is full", || link("stuck.in").depth == 2 && link("stuck.in").send_waits > 0);
    let (outer_link, full) = (link("stage.in"), link("stuck.in"));
    assert_eq!((outer_link.queue.as_str(), outer_link.capacity, outer_link.sent), ("outer", 16, 12));
    assert!(outer_link.from.is_empty());
    assert_eq!((full.from, full.capacity, full.high_water), (vec!["stage.out".to_owned()], 2, 2));
    let to_later = run.report().links.into_iter().find(|link| link.to.is_none()).unwrap();
    assert_eq!((to_later.from, to_later.queue), (vec!["stuck.out".to_owned()], "later".to_owned()));
    drop(go);
    support::until("all have come", || later.len() == 12);
    assert!(link("stuck.in").receive_waits > 0, "it waits for the next");
    run.stop(support::PATIENCE).unwrap();
}

#[test]
fn a_stall_names_the_sibling_that_holds_up_a_fan_out_and_not_the_others() {
    // Takes nothing of the one before the other ends, which cannot: they have the same source.
    struct First;
    impl Block for First {
        fn ports(&self) -> Ports {
            Ports::new().input("a").input_of("b", 0, 0)
        }
        fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
            while io.next(0)?.is_some() {}
            Ok(if io.is_closed(0) { Work::Done } else { Work::NeedInput { input: 0, min: 1 } })
        }
    }
    for options in [single(1), single(2), SchedulerOptions::default()] {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 1000)).unwrap();
        let first = scheduler.add("first", First).unwrap();
        scheduler.link((source, "out"), (first, "a"), &small(4)).unwrap();
        scheduler.link((source, "out"), (first, "b"), &small(4)).unwrap();
        for sink in ["fast", "other"] {
            let sink = scheduler.add(sink, NullSink::default()).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(4)).unwrap();
        }
        let error = scheduler.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stalled);
        assert_eq!(
            error.to_string(),
            "blocks wait for each other: \"source.out\" waits for room in \"first.b\"; \
             \"first.a\" has 0 of 1 messages and waits for \"source.out\"; 2 others wait for these"
        );
        assert_whole(&shm);
    }
}

#[test]
fn who_receives_from_a_queue_creates_it_and_who_is_alone_there_is_told() {
    for (options, sender_first) in policies().into_iter().flat_map(|o| [(o.clone(), true), (o, false)]) {
        let shm = domain();
        let new = || Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
        let (mut sends, mut receives) = (new(), new());
        let source = sends.add("source", NullSource::new(8, 100)).unwrap();
        sends.connect_output((source, "out"), "port").unwrap();
        let sink = receives.add("sink", NullSink::new(100)).unwrap();
        receives.connect_input((sink, "in"), "port").unwrap();
        let (first, second, port, why) = if sender_first {
            (
                sends,
                receives,
                "source.out",
                "\"source.out\" waits for room in queue \"port\", which nobody has created",
            )
        } else {
            (receives, sends, "sink.in", "\"sink.in\" has 0 of 1 messages and waits for queue \"port\"")
        };
        let first = first.start().unwrap();
        support::until("the first sleeps", || first.explain().contains("waits for"));
        assert_eq!(first.explain(), why);
        let alone = Alone { port: port.to_owned(), queue: "port".to_owned(), receives: !sender_first };
        assert_eq!(first.alone(), [alone]);
        let second = second.run().unwrap();
        let first = first.wait().unwrap();
        let sink = second.block("sink").or(first.block("sink")).unwrap();
        assert_eq!(sink.items_in, 100);
        // Whoever comes later says what it is to be.
        let asked = QueueOptions { capacity: Some(16), ..QueueOptions::default() };
        assert_eq!(queue(&shm, "port", asked).options().capacity, 16);
        assert_whole(&shm);
    }
}
