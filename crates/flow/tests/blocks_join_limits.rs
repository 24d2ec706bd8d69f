//! Join: deadlines, depths, leftovers, misfits, ends, and messages that nobody should have sent.

mod support;

use millrace::{Delivery, Result};
use millrace_flow::blocks::{Full, Join, JoinOptions, JoinPolicy, Leftovers, NullSink, VerifySource};
use millrace_flow::{
    BlockOptions, Io, LinkOptions, OnError, Ports, Report, Scheduler, SchedulerOptions, Then, Work,
};
use std::sync::Arc;
use std::time::Duration;
use support::blocks::{Made, Seen, assert_whole, collector, counter, domain, emitter, every_policy, single};
use support::joined::{at, join, stream, with_rest};
use support::random::Random;
use support::steps::small;

/// A source of `messages`, each of which is sent at a time of the scheduler, in milliseconds.
fn timed(messages: Vec<(u64, Seen)>) -> Made<impl FnMut(&mut Io<'_>) -> Result<Work>> {
    let mut next = 0;
    let work = move |io: &mut Io<'_>| {
        while let Some((at, message)) = messages.get(next) {
            let at = Duration::from_millis(*at);
            if io.now() < at {
                return Ok(Work::WaitUntil { at });
            }
            let new = io.allocate(message.bytes.len())?.expect("there is memory");
            new.fill(&message.bytes);
            new.set_timestamp(2, message.time);
            new.set_source(message.source);
            io.send(0, new);
            next += 1;
        }
        Ok(Work::Done)
    };
    Made { ports: Ports::new().output("out"), work }
}

/// When, in milliseconds, which message came out where, of a join with `rest`.
fn join_in_time(seed: u64, inputs: Vec<Vec<(u64, Seen)>>, join: Join) -> (Vec<(u64, String, u64)>, Report) {
    use millrace_flow::Block;
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(seed)).unwrap();
    let names: Vec<_> = join.ports().outputs.iter().map(|port| port.name.to_string()).collect();
    let join = scheduler.add("join", join).unwrap();
    for (input, messages) in inputs.into_iter().enumerate() {
        let source = scheduler.add(&format!("source{input}"), timed(messages)).unwrap();
        scheduler.link((source, "out"), (join, &format!("in{input}")), &small(8)).unwrap();
    }
    let all = Arc::new(std::sync::Mutex::new(Vec::new()));
    for name in names {
        let (into, output) = (Arc::clone(&all), name.clone());
        let work = move |io: &mut Io<'_>| {
            while let Some(message) = io.next(0)? {
                let now = io.now().as_millis() as u64;
                into.lock().unwrap().push((now, output.clone(), message.timestamp()));
            }
            Ok(Work::Ok)
        };
        let sink =
            scheduler.add(&format!("sink-{name}"), Made { ports: Ports::new().input("in"), work }).unwrap();
        scheduler.link((join, &name), (sink, "in"), &small(8)).unwrap();
    }
    let report = scheduler.run().unwrap();
    assert_whole(&shm);
    let mut all = std::mem::take(&mut *all.lock().unwrap());
    all.sort();
    (all, report)
}

fn event(at: u64, output: &str, time: u64) -> (u64, String, u64) {
    (at, output.to_owned(), time)
}

#[test]
fn a_message_whose_partner_does_not_come_in_time_is_left_over_at_its_deadline() {
    let options = JoinOptions { deadline: Some(Duration::from_millis(50)), ..with_rest() };
    let inputs = || {
        vec![
            vec![(0, at(0, 1)), (10, at(0, 2)), (100, at(0, 3))],
            vec![(55, at(1, 2)), (200, at(1, 3)), (300, at(1, 4))],
        ]
    };
    for seed in 0..5 {
        let join = Join::new(2, JoinPolicy::Exact { tolerance: 0 }, options).unwrap();
        let (events, report) = join_in_time(seed, inputs(), join);
        let expected = [
            event(50, "rest", 1),
            event(55, "out0", 2),
            event(55, "out1", 2),
            event(150, "rest", 3),
            event(200, "rest", 3),
            event(300, "rest", 4),
        ];
        assert_eq!(events, expected);
        assert_eq!((counter(&report, "join", "expired"), counter(&report, "join", "unmatched")), (2, 2));
    }
}

#[test]
fn at_its_deadline_approximate_sends_the_best_so_far() {
    let options = JoinOptions { deadline: Some(Duration::from_millis(50)), ..with_rest() };
    for seed in 0..5 {
        // 10 and 12 may be beaten by something of input 0 that is nearer to 12; it comes too late.
        let inputs = vec![vec![(0, at(0, 10)), (500, at(0, 40))], vec![(5, at(1, 12)), (500, at(1, 40))]];
        let join = Join::new(2, JoinPolicy::Approximate { tolerance: 1000 }, options).unwrap();
        let (events, _) = join_in_time(seed, inputs, join);
        let expected =
            [event(50, "out0", 10), event(50, "out1", 12), event(500, "out0", 40), event(500, "out1", 40)];
        assert_eq!(events, expected);
    }
}

#[test]
fn at_its_deadline_nearest_takes_what_there_is_and_a_window_closes() {
    let options = JoinOptions { deadline: Some(Duration::from_millis(50)), ..with_rest() };
    for seed in 0..5 {
        let inputs = || {
            let slow = vec![(0, at(1, 9)), (500, at(1, 100))];
            vec![vec![(0, at(0, 10)), (500, at(0, 100))], slow]
        };
        let nearest = Join::new(2, JoinPolicy::Nearest { driver: 0, tolerance: 5 }, options).unwrap();
        let (events, _) = join_in_time(seed, inputs(), nearest);
        let expected =
            [event(50, "out0", 10), event(50, "out1", 9), event(500, "out0", 100), event(500, "out1", 100)];
        assert_eq!(events, expected);
        let window = Join::new(2, JoinPolicy::Window { size: 50, slide: 50 }, options).unwrap();
        let (events, _) = join_in_time(seed, inputs(), window);
        let sent: Vec<_> = events.iter().filter(|(_, output, _)| output == "window").collect();
        assert_eq!(sent, [&event(50, "window", 0), &event(500, "window", 100)]);
    }
}

#[test]
fn more_than_the_depth_wait_or_are_left_over_by_option() {
    // Input 1 begins when input 0 has sent everything.
    let inputs = || {
        let first = (0..100).map(|time| (0, at(0, time))).collect();
        let second = (0..100).map(|time| (1000, at(1, time))).collect();
        vec![first, second]
    };
    let policy = JoinPolicy::Exact { tolerance: 0 };
    let options = JoinOptions { depth: 10, ..JoinOptions::default() };
    for seed in 0..5 {
        let (events, report) = join_in_time(seed, inputs(), Join::new(2, policy, options).unwrap());
        assert_eq!((events.len(), counter(&report, "join", "sets")), (200, 100));
        let options = JoinOptions { full: Full::Drop, ..options };
        let (events, report) = join_in_time(seed, inputs(), Join::new(2, policy, options).unwrap());
        assert_eq!((counter(&report, "join", "overflowed"), counter(&report, "join", "sets")), (90, 10));
        assert!(events.iter().all(|(_, _, time)| *time >= 90));
    }
}

#[test]
fn messages_without_a_time_or_out_of_order_are_misfits() {
    let mut first = stream(0, [1, 2, u64::MAX, 4, 3, 5]);
    first.insert(0, at(0, u64::MAX));
    let joined = |options| {
        let messages = vec![first.clone(), stream(1, [1, 2, 3, 4, 5, u64::MAX])];
        join(options, messages, Join::new(2, JoinPolicy::Exact { tolerance: 0 }, with_rest()).unwrap())
            .unwrap()
    };
    for options in every_policy() {
        let joined = joined(options);
        assert_eq!(joined.sets(2), [[1, 1], [2, 2], [4, 4], [5, 5]]);
        assert_eq!((joined.counter("misfits"), joined.counter("unmatched")), (4, 1));
        assert_eq!(joined.outputs[2].len(), 5);
    }
}

#[test]
fn it_ends_when_no_further_set_is_possible_though_others_go_on() {
    let policies = [
        JoinPolicy::Exact { tolerance: 0 },
        JoinPolicy::Approximate { tolerance: 5 },
        JoinPolicy::Latest { driver: 0 },
        JoinPolicy::Nearest { driver: 0, tolerance: 5 },
        JoinPolicy::Interpolate { driver: 0, tolerance: u64::MAX },
    ];
    for policy in policies {
        for options in every_policy() {
            let shm = domain();
            let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
            let join = Join::new(2, policy, JoinOptions::default()).unwrap();
            let join = scheduler.add("join", join).unwrap();
            for (input, count) in [(0, 50), (1, u64::MAX)] {
                let source = VerifySource::new(64, count, input).unwrap().every(10);
                let source = scheduler.add(&format!("source{input}"), source).unwrap();
                scheduler.link((source, "out"), (join, &format!("in{input}")), &small(8)).unwrap();
                let sink = scheduler.add(&format!("sink{input}"), NullSink::default()).unwrap();
                scheduler.link((join, &format!("out{input}")), (sink, "in"), &small(8)).unwrap();
            }
            let report = scheduler.run().unwrap();
            assert_eq!(counter(&report, "join", "sets"), 50, "{policy:?}");
            assert_whole(&shm);
        }
    }
}

#[test]
fn any_times_and_lengths_come_to_an_end_and_nothing_is_left_behind() {
    let policies = [
        JoinPolicy::Exact { tolerance: 3 },
        JoinPolicy::Approximate { tolerance: u64::MAX },
        JoinPolicy::Latest { driver: 2 },
        JoinPolicy::Nearest { driver: 1, tolerance: u64::MAX },
        JoinPolicy::Interpolate { driver: 0, tolerance: u64::MAX },
        JoinPolicy::Window { size: 1 << 62, slide: 1 << 61 },
        JoinPolicy::Window { size: 3, slide: u64::MAX },
        JoinPolicy::Window { size: u64::MAX, slide: 1 << 63 },
    ];
    let mut random = Random::of(6, 0);
    for round in 0..40 {
        for policy in policies {
            let mut message = |source| {
                let time = [0, 1, 5, u64::MAX - 1, u64::MAX / 2][random.below(5) as usize] + random.below(2);
                let length = random.below(9) as usize;
                Seen { sequence: 0, source, tag: 0, time, bytes: vec![0xff; length] }
            };
            let messages = (0..3).map(|source| (0..10).map(|_| message(source)).collect()).collect();
            let full = if round % 2 == 0 { Full::Drop } else { Full::Wait };
            let deadline = (round % 3 == 0).then_some(Duration::ZERO);
            let depth = 2 + random.below(20) as usize;
            let options = JoinOptions { depth, deadline, full, leftovers: Leftovers::Rest };
            let joined = join(single(round), messages, Join::new(3, policy, options).unwrap());
            match joined {
                Ok(joined) => assert!(joined.report.block("join").unwrap().items_in == 30, "{policy:?}"),
                Err(error) => assert!(error.to_string().contains("raise depth"), "{policy:?}: {error}"),
            }
        }
    }
}

#[test]
fn sets_of_queues_that_deliver_again_are_the_same() {
    let policies = [
        JoinPolicy::Exact { tolerance: 0 },
        JoinPolicy::Nearest { driver: 0, tolerance: u64::MAX },
        JoinPolicy::Interpolate { driver: 0, tolerance: u64::MAX },
        JoinPolicy::Window { size: 40, slide: 20 },
    ];
    for policy in policies {
        for options in every_policy() {
            let sets = [Delivery::AtMostOnce, Delivery::AtLeastOnce].map(|delivery| {
                let shm = domain();
                let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
                let join = Join::new(2, policy, JoinOptions::default()).unwrap();
                let outputs = millrace_flow::Block::ports(&join).outputs;
                let join = scheduler.add("join", join).unwrap();
                for (input, interval) in [(0, 10), (1, 10)] {
                    let source = VerifySource::new(64, 200, input).unwrap().every(interval);
                    let source = scheduler.add(&format!("source{input}"), source).unwrap();
                    let link = LinkOptions { delivery: Some(delivery), ..small(8) };
                    scheduler.link((source, "out"), (join, &format!("in{input}")), &link).unwrap();
                }
                let collected = outputs.iter().map(|output| {
                    let (sink, collected) = collector();
                    let sink = scheduler.add(&output.name, sink).unwrap();
                    scheduler.link((join, &output.name), (sink, "in"), &small(8)).unwrap();
                    collected
                });
                let collected: Vec<_> = collected.collect();
                scheduler.run().unwrap();
                assert_whole(&shm);
                collected.iter().map(|collected| collected.lock().unwrap().clone()).collect::<Vec<_>>()
            });
            assert!(!sets[0][0].is_empty());
            assert!(sets[0] == sets[1], "{policy:?}");
        }
    }
}

#[test]
fn a_join_that_is_stopped_leaves_nothing_behind() {
    let policies = [
        JoinPolicy::Exact { tolerance: 0 },
        JoinPolicy::Latest { driver: 0 },
        JoinPolicy::Nearest { driver: 0, tolerance: u64::MAX },
        JoinPolicy::Window { size: 40, slide: 20 },
    ];
    for policy in policies {
        let shm = domain();
        let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let join = Join::new(2, policy, JoinOptions::default()).unwrap();
        let outputs = millrace_flow::Block::ports(&join).outputs;
        let join = scheduler.add("join", join).unwrap();
        for input in 0..2 {
            let source = VerifySource::new(64, u64::MAX, input).unwrap().every(10);
            let source = scheduler.add(&format!("source{input}"), source).unwrap();
            scheduler.link((source, "out"), (join, &format!("in{input}")), &small(8)).unwrap();
        }
        for output in outputs {
            let sink = scheduler.add(&output.name, NullSink::default()).unwrap();
            scheduler.link((join, &output.name), (sink, "in"), &small(8)).unwrap();
        }
        let run = scheduler.start().unwrap();
        support::until("sets are made", || counter(&run.report(), "join", "sets") > 500);
        run.stop(Duration::from_secs(10)).unwrap();
        assert_whole(&shm);
    }
}

#[test]
fn of_a_window_that_is_too_large_the_first_messages_may_be_skipped() {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let options = JoinOptions { depth: 5, ..JoinOptions::default() };
    let join = Join::new(2, JoinPolicy::Window { size: 1000, slide: 1000 }, options).unwrap();
    let on_error = OnError { then: Then::Skip, ..OnError::default() };
    let options = BlockOptions { on_error, ..BlockOptions::default() };
    let join = scheduler.add_with("join", Box::new(join), options).unwrap();
    let mut collected = Vec::new();
    for (at, times) in [(0..20).chain(1000..1003).collect(), vec![2000]].into_iter().enumerate() {
        let source = scheduler.add(&format!("source{at}"), emitter(stream(at as u32, times))).unwrap();
        scheduler.link((source, "out"), (join, &format!("in{at}")), &small(8)).unwrap();
    }
    for output in ["out0", "out1", "window"] {
        let (sink, seen) = collector();
        let sink = scheduler.add(output, sink).unwrap();
        scheduler.link((join, output), (sink, "in"), &small(8)).unwrap();
        collected.push(seen);
    }
    let report = scheduler.run().unwrap();
    assert_eq!((report.block("join").unwrap().skipped, counter(&report, "join", "sets")), (15, 3));
    assert!(collected[0].lock().unwrap().iter().map(|message| message.time).eq((15..20).chain(1000..1003)));
    assert_whole(&shm);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    use millrace_flow::blocks::{Value, find};
    let refused = |given: &[(&str, Value)]| find("Join").unwrap().build(given).err().unwrap().to_string();
    let error = refused(&[("policy", "latest".into()), ("driver", 2.into())]);
    assert_eq!(error, "setting driver of Join is 2, must be below 2");
    let error = refused(&[("policy", "window".into())]);
    assert_eq!(
        error,
        "setting policy of Join is \"window\", must be given with size, the length of a window"
    );
    let error = refused(&[("policy", "nearest".into()), ("depth", 1.into())]);
    assert!(error.contains("setting depth of Join is 1, must be 2 at least"), "{error}");
}
