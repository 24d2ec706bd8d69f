//! Join: what each policy makes sets of, and what becomes of the rest.

mod blocks_support;

use blocks_support::{
    Made, Seen, assert_whole, collector, counter, domain, emitter, every_policy, single, small,
};
use millrace::Result;
use millrace_flow::blocks::{
    Full, Join, JoinOptions, JoinPolicy, Leftovers, NullSink, VerifySink, VerifySource,
};
use millrace_flow::{Io, Ports, Report, Scheduler, SchedulerOptions, Work};
use std::sync::Arc;
use std::time::Duration;

/// A message of input `source` with a time; `u64::MAX`: without one.
fn at(source: u32, time: u64) -> Seen {
    Seen { sequence: time, source, tag: 0, time, bytes: (time as f32).to_ne_bytes().to_vec() }
}

/// What came out of a join.
struct Joined {
    /// Of each output, rest and window included.
    outputs: Vec<Vec<Seen>>,
    report: Report,
}

impl Joined {
    fn counter(&self, name: &str) -> u64 {
        counter(&self.report, "join", name)
    }

    /// The sets, by their times, of a join with `inputs` inputs.
    fn sets(&self, inputs: usize) -> Vec<Vec<u64>> {
        let count = self.outputs[0].len();
        assert!(self.outputs[..inputs].iter().all(|output| output.len() == count), "in step");
        (0..count).map(|set| (0..inputs).map(|output| self.outputs[output][set].time).collect()).collect()
    }

    /// Times at one output, sorted by source.
    fn times(&self, output: usize) -> Vec<(u32, u64)> {
        let mut times: Vec<_> =
            self.outputs[output].iter().map(|message| (message.source, message.time)).collect();
        times.sort_unstable();
        times
    }
}

fn join(options: SchedulerOptions, inputs: Vec<Vec<Seen>>, join: Join) -> Result<Joined> {
    use millrace_flow::Block;
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let names: Vec<_> = join.ports().outputs.iter().map(|port| port.name.to_string()).collect();
    let join = scheduler.add("join", join).unwrap();
    for (input, messages) in inputs.into_iter().enumerate() {
        let source = scheduler.add(&format!("source{input}"), emitter(messages)).unwrap();
        scheduler.link((source, "out"), (join, &format!("in{input}")), &small()).unwrap();
    }
    let mut all = Vec::new();
    for name in &names {
        let (sink, collected) = collector();
        let sink = scheduler.add(&format!("sink-{name}"), sink).unwrap();
        scheduler.link((join, name), (sink, "in"), &small()).unwrap();
        all.push(collected);
    }
    let report = scheduler.run();
    assert_whole(&shm);
    let outputs = all.iter().map(|collected| std::mem::take(&mut *collected.lock().unwrap())).collect();
    report.map(|report| Joined { outputs, report })
}

fn with_rest() -> JoinOptions {
    JoinOptions { leftovers: Leftovers::Rest, ..JoinOptions::default() }
}

/// Messages of input `source` at these times.
fn stream(source: u32, times: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    times.into_iter().map(|time| at(source, time)).collect()
}

/// Numbers that look random, the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Up to `most` different times below `limit`, in order.
    fn times(&mut self, most: u64, limit: u64) -> Vec<u64> {
        let mut times: Vec<u64> = (0..self.below(most)).map(|_| self.below(limit)).collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

#[test]
fn exact_puts_together_all_of_two_streams_however_they_are_run() {
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let join = Join::new(3, JoinPolicy::Exact { tolerance: 0 }, JoinOptions::default()).unwrap();
        let join = scheduler.add("join", join).unwrap();
        for input in 0..3 {
            let source = VerifySource::new(64, 1000, input).unwrap().every(10);
            let source = scheduler.add(&format!("source{input}"), source).unwrap();
            scheduler.link((source, "out"), (join, &format!("in{input}")), &small()).unwrap();
            let sink = scheduler.add(&format!("sink{input}"), VerifySink::default().strict()).unwrap();
            scheduler.link((join, &format!("out{input}")), (sink, "in"), &small()).unwrap();
        }
        let report = scheduler.run().unwrap();
        assert_eq!((counter(&report, "join", "sets"), counter(&report, "join", "unmatched")), (1000, 0));
        assert_whole(&shm);
    }
}

/// Sets of the oldest messages that are at most `tolerance` apart; what has no partner.
fn exact_by_definition(mut lanes: Vec<Vec<u64>>, tolerance: u64) -> (Vec<Vec<u64>>, Vec<(u32, u64)>) {
    let (mut sets, mut rest) = (Vec::new(), Vec::new());
    while lanes.iter().all(|lane| !lane.is_empty()) {
        let newest = lanes.iter().map(|lane| lane[0]).max().unwrap();
        match lanes.iter().position(|lane| newest - lane[0] > tolerance) {
            Some(lane) => rest.push((lane as u32, lanes[lane].remove(0))),
            None => sets.push(lanes.iter_mut().map(|lane| lane.remove(0)).collect()),
        }
    }
    let left = lanes.iter().enumerate();
    rest.extend(left.flat_map(|(lane, times)| times.iter().map(move |time| (lane as u32, *time))));
    rest.sort_unstable();
    (sets, rest)
}

#[test]
fn exact_is_what_its_definition_says_and_the_rest_is_the_rest() {
    let mut random = Random(1);
    for round in 0..60 {
        let inputs = 2 + round % 3;
        let lanes: Vec<_> = (0..inputs).map(|_| random.times(60, 150)).collect();
        let tolerance = random.below(4);
        let (sets, rest) = exact_by_definition(lanes.clone(), tolerance);
        let messages =
            lanes.iter().enumerate().map(|(lane, times)| stream(lane as u32, times.clone())).collect();
        let policy = JoinPolicy::Exact { tolerance };
        let joined =
            join(single(round as u64), messages, Join::new(inputs, policy, with_rest()).unwrap()).unwrap();
        assert_eq!(joined.sets(inputs), sets, "{lanes:?}");
        assert_eq!(joined.times(inputs), rest);
        assert_eq!(
            (joined.counter("sets"), joined.counter("unmatched")),
            (sets.len() as u64, rest.len() as u64)
        );
    }
}

#[test]
fn approximate_makes_the_same_sets_however_its_messages_come() {
    let mut random = Random(2);
    for round in 0..10 {
        let lanes: Vec<_> = (0..3).map(|_| random.times(60, 400)).collect();
        let messages: Vec<_> =
            lanes.iter().enumerate().map(|(lane, times)| stream(lane as u32, times.clone())).collect();
        let policy = JoinPolicy::Approximate { tolerance: 30 };
        let mut first: Option<Vec<Vec<u64>>> = None;
        for options in every_policy().into_iter().chain([single(100 + round)]) {
            let options_of_join = JoinOptions { depth: 64, ..with_rest() };
            let joined =
                join(options, messages.clone(), Join::new(3, policy, options_of_join).unwrap()).unwrap();
            let sets = joined.sets(3);
            for set in &sets {
                assert!(set.iter().max().unwrap() - set.iter().min().unwrap() <= 30, "{set:?}");
            }
            let rest = joined.outputs[3].len();
            assert_eq!(sets.len() * 3 + rest, lanes.iter().map(Vec::len).sum::<usize>());
            assert_eq!(*first.get_or_insert_with(|| sets.clone()), sets);
        }
    }
}

#[test]
fn approximate_puts_together_sensors_that_jitter() {
    // 100 Hz and 30 Hz, both off by up to 2 ms: each of the slow one finds its nearest.
    let mut random = Random(3);
    let mut jitter = |at: u64| at + random.below(2_000_000);
    let fast: Vec<u64> = (0..300).map(|at| jitter(at * 10_000_000)).collect();
    let slow: Vec<u64> = (0..90).map(|at| jitter(at * 33_333_333)).collect();
    let policy = JoinPolicy::Approximate { tolerance: 10_000_000 };
    for options in every_policy() {
        let messages = vec![stream(0, fast.clone()), stream(1, slow.clone())];
        let joined = join(options, messages, Join::new(2, policy, JoinOptions::default()).unwrap()).unwrap();
        let sets = joined.sets(2);
        assert!(sets.len() >= 88, "{} of 90", sets.len());
        assert!(sets.iter().all(|set| set[0].abs_diff(set[1]) <= 7_000_000));
    }
}

#[test]
fn latest_repeats_what_came_last() {
    let shm = domain();
    // All is there before the join begins: what came last is the last.
    for (name, count) in [("driver", 3_u8), ("other", 2)] {
        let queue = shm.port_queue(name, &Default::default()).unwrap();
        for at in 0..count {
            assert_eq!(queue.put(std::iter::once(&[at][..])).0, 1);
        }
        queue.close();
    }
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let join = Join::new(2, JoinPolicy::Latest { driver: 1 }, JoinOptions::default()).unwrap();
    let join = scheduler.add("join", join).unwrap();
    scheduler.connect_input((join, "in1"), "driver").unwrap();
    scheduler.connect_input((join, "in0"), "other").unwrap();
    let mut collected = Vec::new();
    for output in ["out0", "out1"] {
        let (sink, seen) = collector();
        let sink = scheduler.add(output, sink).unwrap();
        scheduler.link((join, output), (sink, "in"), &small()).unwrap();
        collected.push(seen);
    }
    let report = scheduler.run().unwrap();
    let first_bytes = |output: usize| -> Vec<u8> {
        collected[output].lock().unwrap().iter().map(|message| message.bytes[0]).collect()
    };
    assert_eq!((first_bytes(0), first_bytes(1)), (vec![1, 1, 1], vec![0, 1, 2]));
    assert_eq!((counter(&report, "join", "sets"), counter(&report, "join", "unmatched")), (3, 1));
    assert_whole(&shm);
}

#[test]
fn nearest_finds_the_nearest_of_all() {
    let mut random = Random(4);
    for round in 0..60 {
        let (driver, other) = (random.times(40, 300), random.times(40, 300));
        let tolerance = [3, 20, u64::MAX][random.below(3) as usize];
        let nearest = |time: &u64| {
            let found = other.iter().min_by_key(|other| (other.abs_diff(*time), **other))?;
            (found.abs_diff(*time) <= tolerance).then(|| vec![*time, *found])
        };
        let expected: Vec<_> = driver.iter().filter_map(nearest).collect();
        let policy = JoinPolicy::Nearest { driver: 0, tolerance };
        let messages = vec![stream(0, driver.clone()), stream(1, other.clone())];
        let joined = join(single(round), messages, Join::new(2, policy, with_rest()).unwrap()).unwrap();
        assert_eq!(joined.sets(2), expected, "{driver:?} {other:?} {tolerance}");
        let rest = joined.times(2);
        let unmatched = driver.len() - expected.len();
        assert_eq!(rest.iter().filter(|(source, _)| *source == 0).count(), unmatched);
    }
}

#[test]
fn interpolate_lies_on_the_line() {
    // Samples are their time: so is what lies between.
    for options in every_policy() {
        let messages = vec![stream(0, (0..100).map(|at| at * 10)), stream(1, (5..50).map(|at| at * 15))];
        let policy = JoinPolicy::Interpolate { driver: 0, tolerance: u64::MAX };
        let joined = join(options, messages, Join::new(2, policy, with_rest()).unwrap()).unwrap();
        // From 75 to 735 there is something on both sides.
        let expected: Vec<u64> = (8..74).map(|at| at * 10).collect();
        assert!(joined.outputs[0].iter().map(|message| message.time).eq(expected.iter().copied()));
        for (message, time) in joined.outputs[1].iter().zip(&expected) {
            let sample = f32::from_ne_bytes(message.bytes.clone().try_into().unwrap());
            assert!((sample - *time as f32).abs() < 1e-3, "{sample} at {time}");
            assert_eq!((message.time, message.source), (*time, 1));
        }
        assert_eq!((joined.counter("sets"), joined.counter("unmatched")), (66, 34));
    }
}

#[test]
fn interpolate_makes_nothing_of_samples_that_are_too_far_apart_or_unlike() {
    let policy = JoinPolicy::Interpolate { driver: 0, tolerance: 20 };
    let mut samples = stream(1, [0, 20, 60, 80, 100, 120]);
    samples[4].bytes.push(0);
    let messages = vec![stream(0, [10, 30, 70, 80, 90, 110, 120]), samples];
    let joined = join(single(1), messages, Join::new(2, policy, with_rest()).unwrap()).unwrap();
    assert!(joined.outputs[0].iter().map(|message| message.time).eq([10, 70, 80, 120]));
    assert_eq!(joined.times(2), [(0, 30), (0, 90), (0, 110), (1, 100)]);
}

/// Of each window that is not empty: its number, and the times of each input.
fn windows_by_definition(lanes: &[Vec<u64>], size: u64, slide: u64) -> Vec<(u64, Vec<Vec<u64>>)> {
    let last = lanes.concat().into_iter().max().unwrap_or(0) / slide;
    let window = |number: u64| {
        let range = number * slide..number * slide + size;
        let within = |lane: &Vec<u64>| lane.iter().copied().filter(|time| range.contains(time)).collect();
        (number, lanes.iter().map(within).collect::<Vec<Vec<u64>>>())
    };
    (0..=last).map(window).filter(|(_, lanes)| lanes.iter().any(|lane| !lane.is_empty())).collect()
}

#[test]
fn windows_have_all_messages_of_their_time_also_if_they_overlap() {
    let mut random = Random(5);
    for round in 0..60 {
        let lanes: Vec<_> = (0..2).map(|_| random.times(60, 500)).collect();
        let (size, slide) = [(10, 10), (30, 10), (10, 30), (25, 10), (500, 100)][random.below(5) as usize];
        let messages =
            lanes.iter().enumerate().map(|(lane, times)| stream(lane as u32, times.clone())).collect();
        let options = JoinOptions { depth: 100, ..with_rest() };
        let policy = JoinPolicy::Window { size, slide };
        let joined = join(single(round), messages, Join::new(2, policy, options).unwrap()).unwrap();
        let mut outputs: Vec<_> = joined.outputs[..2].iter().map(|output| output.iter()).collect();
        let mut windows = Vec::new();
        for window in &joined.outputs[2] {
            assert_eq!(window.time, window.sequence * slide);
            let counts =
                window.bytes.as_chunks::<8>().0.iter().map(|count| u64::from_le_bytes(*count) as usize);
            let take = |(count, output): (usize, &mut std::slice::Iter<'_, Seen>)| {
                output.by_ref().take(count).map(|message| message.time).collect::<Vec<_>>()
            };
            windows.push((window.sequence, counts.zip(&mut outputs).map(take).collect::<Vec<_>>()));
        }
        let expected = windows_by_definition(&lanes, size, slide);
        assert_eq!(windows, expected, "{lanes:?} {size} {slide}");
        assert!(outputs.iter().all(|output| output.len() == 0), "nothing else was sent");
        let used = |time: &u64| expected.iter().any(|(_, lanes)| lanes.concat().contains(time));
        assert!(joined.outputs[3].iter().all(|message| !used(&message.time)));
        assert_eq!(joined.outputs[3].len(), lanes.concat().iter().filter(|time| !used(time)).count());
    }
}

#[test]
fn a_window_with_more_messages_than_the_depth_fails_and_says_what_to_do() {
    let policy = JoinPolicy::Window { size: 1000, slide: 1000 };
    let options = JoinOptions { depth: 5, ..JoinOptions::default() };
    let messages = || vec![stream(0, 0..20), stream(1, [2000])];
    let Err(error) = join(single(1), messages(), Join::new(2, policy, options).unwrap()) else {
        panic!("it must fail");
    };
    let error = error.to_string();
    assert!(
        error.contains("block \"join\": a window has more than 5 messages of in0: raise depth"),
        "{error}"
    );
    let options = JoinOptions { full: Full::Drop, ..options };
    let joined = join(single(1), messages(), Join::new(2, policy, options).unwrap()).unwrap();
    assert_eq!((joined.counter("sets"), joined.counter("overflowed")), (2, 15));
    assert!(joined.outputs[0].iter().map(|message| message.time).eq(15..20));
}

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
        scheduler.link((source, "out"), (join, &format!("in{input}")), &small()).unwrap();
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
        scheduler.link((join, &name), (sink, "in"), &small()).unwrap();
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
                scheduler.link((source, "out"), (join, &format!("in{input}")), &small()).unwrap();
                let sink = scheduler.add(&format!("sink{input}"), NullSink::default()).unwrap();
                scheduler.link((join, &format!("out{input}")), (sink, "in"), &small()).unwrap();
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
    let mut random = Random(6);
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
