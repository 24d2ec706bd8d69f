//! Gain: exact samples, and messages that others have stay as they are.

mod support;

use millrace::{Delivery, ErrorKind, OpenOptions, QueueOptions, ShmManager};
use millrace_flow::blocks::{Gain, SampleFormat};
use millrace_flow::{BlockOptions, Io, OnError, Ports, Scheduler, Then, Work};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::blocks::{Made, Seen, assert_whole, collector, domain, emitter, every_policy, single, through};
use support::steps::small;

fn message(sequence: u64, bytes: Vec<u8>) -> Seen {
    Seen { sequence, source: 1, tag: 2, time: 3, bytes }
}

/// Messages of `each` bytes of samples, of every length up to 70 samples.
fn lengths(samples: impl Fn(u64) -> Vec<u8>) -> Vec<Seen> {
    (0..70).map(|at| message(at, (0..at).flat_map(|sample| samples(at * 1000 + sample)).collect())).collect()
}

#[test]
fn samples_are_what_the_same_operation_makes_of_each() {
    for options in every_policy() {
        let original = lengths(|at| ((at as f32).sin() * 1e3).to_ne_bytes().to_vec());
        let expected = lengths(|at| ((at as f32).sin() * 1e3 * -0.3).to_ne_bytes().to_vec());
        let gain = Gain::new(-0.3, SampleFormat::F32).unwrap();
        assert_eq!(through(options.clone(), emitter(original), Box::new(gain)).0, expected);

        let original = lengths(|at| ((at as f64).sin() * 1e3).to_ne_bytes().to_vec());
        let expected = lengths(|at| ((at as f64).sin() * 1e3 * 0.1).to_ne_bytes().to_vec());
        let gain = Gain::new(0.1, SampleFormat::F64).unwrap();
        assert_eq!(through(options, emitter(original), Box::new(gain)).0, expected);
    }
}

#[test]
fn whole_numbers_are_rounded_to_the_nearest_and_stay_within_their_range() {
    let every: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let bytes = |samples: &[i16]| samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect::<Vec<_>>();
    for factor in [0.0, 1.0, -1.0, 0.5, 0.25, 1.5, 2.0, -2.0, 0.333, 1e-9, 1e9, -1e38, 3e38] {
        let scaled = |sample: &i16| {
            let exact = f32::from(*sample) * factor as f32;
            exact.clamp(-32768.0, 32767.0).round_ties_even() as i16
        };
        let expected: Vec<i16> = every.iter().map(scaled).collect();
        let gain = Gain::new(factor, SampleFormat::I16).unwrap();
        let (seen, _) = through(single(1), emitter(vec![message(0, bytes(&every))]), Box::new(gain));
        assert!(seen[0].bytes == bytes(&expected), "factor {factor}");
    }
}

#[test]
fn a_message_that_others_have_stays_as_it_is() {
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let original = lengths(|at| (at as f32).to_ne_bytes().to_vec());
        let source = scheduler.add("source", emitter(original.clone())).unwrap();
        let gain = scheduler.add("gain", Gain::new(2.0, SampleFormat::F32).unwrap()).unwrap();
        let (scaled, scaled_seen) = collector();
        let (plain, plain_seen) = collector();
        let (scaled, plain) =
            (scheduler.add("scaled", scaled).unwrap(), scheduler.add("plain", plain).unwrap());
        scheduler.link((source, "out"), (gain, "in"), &small(8)).unwrap();
        scheduler.link((source, "out"), (plain, "in"), &small(8)).unwrap();
        scheduler.link((gain, "out"), (scaled, "in"), &small(8)).unwrap();
        scheduler.run().unwrap();
        assert_eq!(*plain_seen.lock().unwrap(), original);
        assert_eq!(*scaled_seen.lock().unwrap(), lengths(|at| (at as f32 * 2.0).to_ne_bytes().to_vec()));
        assert_whole(&shm);
    }
}

#[test]
fn a_message_that_nobody_else_has_is_changed_in_place() {
    // A pool without room for a second buffer of this size: a copy would wait for ever.
    let name = format!("blocks-in-place-{}", std::process::id());
    let options = OpenOptions { max_bytes: Some(8 << 20), ..OpenOptions::default() };
    let shm = Arc::new(ShmManager::open(&name, &options).unwrap());
    let queue =
        shm.port_queue("samples", &QueueOptions { capacity: Some(2), ..QueueOptions::default() }).unwrap();
    let allocator = shm.allocator();
    let mut ids = [0];
    let mut held = Vec::new();
    while allocator.allocate_ids(1 << 20, &mut ids).unwrap() > 0 {
        held.push(millrace::Buffer { id: ids[0], received: false });
    }
    let samples = 1.0_f32.to_ne_bytes().repeat(1 << 18);
    let last = held.pop().unwrap();
    allocator.message(last).unwrap().fill(&samples);
    assert_eq!(queue.send(&[last]).0, 1);
    queue.close();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let gain = scheduler.add("gain", Gain::new(3.0, SampleFormat::F32).unwrap()).unwrap();
    let (sink, seen) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.connect_input((gain, "in"), "samples").unwrap();
    scheduler.link((gain, "out"), (sink, "in"), &small(8)).unwrap();
    let run = scheduler.start().unwrap();
    run.begin_drain();
    run.drain(Duration::from_secs(10)).unwrap();
    assert!(seen.lock().unwrap()[0].bytes == 3.0_f32.to_ne_bytes().repeat(1 << 18));
    allocator.release_all(held.into_iter()).1.unwrap();
    assert_whole(&shm);
}

#[test]
fn a_message_of_a_queue_that_delivers_again_is_nobodys_to_change() {
    for (delivery, is_own) in [(Delivery::AtMostOnce, true), (Delivery::AtLeastOnce, false)] {
        let shm = domain();
        let options = QueueOptions { delivery: Some(delivery), ..QueueOptions::default() };
        let queue = shm.port_queue("samples", &options).unwrap();
        assert_eq!(queue.put(std::iter::once(&b"alone"[..])).0, 1);
        let shared = shm.allocator().allocate(1).unwrap();
        let other = shared.share().unwrap();
        assert!(queue.try_send(shared).is_ok());
        queue.close();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
        let found = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&found);
        let work = move |io: &mut Io<'_>| {
            while io.available(0) > 0 {
                into.lock().unwrap().push(io.owns_next(0));
                io.next(0)?;
            }
            assert!(!io.owns_next(0), "there is none");
            Ok(Work::Ok)
        };
        let sink = scheduler.add("sink", Made { ports: Ports::new().input("in"), work }).unwrap();
        scheduler.connect_input((sink, "in"), "samples").unwrap();
        scheduler.run().unwrap();
        assert_eq!(*found.lock().unwrap(), [is_own, false]);
        drop(other);
    }
}

#[test]
fn a_message_that_holds_no_samples_fails_and_spoils_none_before_it() {
    let mut messages: Vec<_> = (0..40).map(|at| message(at, 1.0_f32.to_ne_bytes().repeat(4))).collect();
    messages[17].bytes.truncate(15);
    messages[18].bytes.truncate(13);
    let mut expected: Vec<_> = (0..40).map(|at| message(at, 2.0_f32.to_ne_bytes().repeat(4))).collect();
    expected.drain(17..19);
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
        let source = scheduler.add("source", emitter(messages.clone())).unwrap();
        let on_error = OnError { retries: 2, then: Then::Skip, ..OnError::default() };
        let gain = Box::new(Gain::new(2.0, SampleFormat::F32).unwrap());
        let gain =
            scheduler.add_with("gain", gain, BlockOptions { on_error, ..BlockOptions::default() }).unwrap();
        let (sink, seen) = collector();
        let sink = scheduler.add("sink", sink).unwrap();
        scheduler.link((source, "out"), (gain, "in"), &small(8)).unwrap();
        scheduler.link((gain, "out"), (sink, "in"), &small(8)).unwrap();
        assert_eq!(scheduler.run().unwrap().block("gain").unwrap().skipped, 2);
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_whole(&shm);

        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", emitter(messages.clone())).unwrap();
        let gain = scheduler.add("gain", Gain::new(2.0, SampleFormat::F32).unwrap()).unwrap();
        let (sink, _) = collector();
        let sink = scheduler.add("sink", sink).unwrap();
        scheduler.link((source, "out"), (gain, "in"), &small(8)).unwrap();
        scheduler.link((gain, "out"), (sink, "in"), &small(8)).unwrap();
        let error = scheduler.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let expected = "block \"gain\": message 17 has 15 bytes, which are no samples of 4 bytes each";
        assert!(error.to_string().contains(expected), "{error}");
        assert_whole(&shm);
    }
}

#[test]
fn factors_that_are_no_numbers_are_refused() {
    for factor in [f64::NAN, f64::INFINITY, 1e39] {
        let error = Gain::new(factor, SampleFormat::F32).unwrap_err().to_string();
        assert!(error.contains("setting factor of Gain is"), "{error}");
    }
}
