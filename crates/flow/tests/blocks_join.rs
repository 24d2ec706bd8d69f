//! Join: what each policy makes sets of.

mod support;

use millrace_flow::Scheduler;
use millrace_flow::blocks::{Full, Join, JoinOptions, JoinPolicy, VerifySink, VerifySource};
use std::sync::Arc;
use support::blocks::{Seen, assert_whole, collector, counter, domain, every_policy, single};
use support::joined::{join, some_times, stream, with_rest};
use support::random::Random;
use support::steps::small;

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
            scheduler.link((source, "out"), (join, &format!("in{input}")), &small(8)).unwrap();
            let sink = scheduler.add(&format!("sink{input}"), VerifySink::default().strict()).unwrap();
            scheduler.link((join, &format!("out{input}")), (sink, "in"), &small(8)).unwrap();
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
    let mut random = Random::of(1, 0);
    for round in 0..60 {
        let inputs = 2 + round % 3;
        let lanes: Vec<_> = (0..inputs).map(|_| some_times(&mut random, 60, 150)).collect();
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
    let mut random = Random::of(2, 0);
    for round in 0..10 {
        let lanes: Vec<_> = (0..3).map(|_| some_times(&mut random, 60, 400)).collect();
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
    let mut random = Random::of(3, 0);
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
        scheduler.link((join, output), (sink, "in"), &small(8)).unwrap();
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
    let mut random = Random::of(4, 0);
    for round in 0..60 {
        let (driver, other) = (some_times(&mut random, 40, 300), some_times(&mut random, 40, 300));
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
    let mut random = Random::of(5, 0);
    for round in 0..60 {
        let lanes: Vec<_> = (0..2).map(|_| some_times(&mut random, 60, 500)).collect();
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
