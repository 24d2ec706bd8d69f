//! Copy, Split, Merge, Head and Throttle.

mod support;

use millrace::{OpenOptions, QueueOptions, ShmManager};
use millrace_flow::blocks::{
    Copy, Gain, Head, Merge, NullSink, NullSource, SampleFormat, Split, SplitBy, Throttle, VerifySink,
    VerifySource,
};
use millrace_flow::{Block, Io, Ports, Scheduler, SchedulerOptions, Work};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::blocks::{
    Collected, Made, Seen, assert_whole, collector, domain, emitter, every_policy, single, through,
};
use support::steps::small;

fn messages(count: u64) -> Vec<Seen> {
    let message = |at| Seen {
        sequence: at,
        source: 3,
        tag: at % 7,
        time: at * 10,
        bytes: vec![at as u8; (at % 50) as usize],
    };
    (0..count).map(message).collect()
}

#[test]
fn a_copy_has_another_buffer_and_is_otherwise_the_same() {
    for options in every_policy() {
        let (seen, report) = through(options, emitter(messages(300)), Box::new(Copy));
        assert_eq!(seen, messages(300));
        assert_eq!(report.block("block").unwrap().items_out, 300);
    }
    // Two readers of one source: what goes through the copy belongs to nobody else, what does not is shared.
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(7)).unwrap();
    let own = Arc::new(Mutex::new(HashMap::new()));
    let look = |name: &'static str| {
        let own = Arc::clone(&own);
        let work = move |io: &mut Io<'_>| {
            while io.available(0) > 0 {
                let is_own = io.owns_next(0);
                io.next(0)?;
                *own.lock().unwrap().entry((name, is_own)).or_insert(0) += 1;
            }
            Ok(Work::Ok)
        };
        Made { ports: Ports::new().input("in"), work }
    };
    let source = scheduler.add("source", NullSource::new(8, 64)).unwrap();
    let copy = scheduler.add("copy", Copy).unwrap();
    let copied = scheduler.add("copied", look("copied")).unwrap();
    scheduler.link((source, "out"), (copy, "in"), &small(8)).unwrap();
    scheduler.link((copy, "out"), (copied, "in"), &small(8)).unwrap();
    scheduler.run().unwrap();
    assert_eq!(*own.lock().unwrap(), HashMap::from([(("copied", true), 64)]));
    assert_whole(&shm);
}

#[test]
fn a_copy_waits_for_memory() {
    let name = format!("blocks-tight-{}", std::process::id());
    let options = OpenOptions { max_bytes: Some(8 << 20), ..OpenOptions::default() };
    let shm = Arc::new(ShmManager::open(&name, &options).unwrap());
    let queue =
        shm.port_queue("large", &QueueOptions { capacity: Some(2), ..QueueOptions::default() }).unwrap();
    // Somebody has all of the memory, but for the message.
    let allocator = shm.allocator();
    let mut held: Vec<_> = std::iter::from_fn(|| allocator.try_allocate(1 << 20).unwrap()).collect();
    assert!(queue.try_send(held.pop().unwrap()).is_ok());
    queue.close();

    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let copy = scheduler.add("copy", Copy).unwrap();
    let (sink, collected) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.connect_input((copy, "in"), "large").unwrap();
    scheduler.link((copy, "out"), (sink, "in"), &small(8)).unwrap();
    // Time passes only when nothing can run: then the copy waits.
    let seen = Arc::clone(&collected);
    let work = move |io: &mut Io<'_>| {
        if io.now() < Duration::from_secs(1) {
            return Ok(Work::WaitUntil { at: Duration::from_secs(1) });
        }
        assert!(seen.lock().unwrap().is_empty());
        held.clear();
        Ok(Work::Done)
    };
    let holder = scheduler.add("holder", Made { ports: Ports::new().output("out"), work }).unwrap();
    scheduler.link((holder, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler.run().unwrap();
    assert_eq!(collected.lock().unwrap().len(), 1);
    assert_whole(&shm);
}

/// What comes out of each output of `split`, of 1000 messages.
fn split(options: SchedulerOptions, outputs: usize, by: SplitBy) -> Vec<Vec<Seen>> {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let source = scheduler.add("source", emitter(messages(1000))).unwrap();
    let split = scheduler.add("split", Split::new(outputs, by).unwrap()).unwrap();
    scheduler.link((source, "out"), (split, "in"), &small(8)).unwrap();
    let collected: Vec<Collected> = (0..outputs)
        .map(|at| {
            let (sink, collected) = collector();
            let sink = scheduler.add(&format!("sink{at}"), sink).unwrap();
            scheduler.link((split, &format!("out{at}")), (sink, "in"), &small(8)).unwrap();
            collected
        })
        .collect();
    scheduler.run().unwrap();
    assert_whole(&shm);
    collected.iter().map(|collected| std::mem::take(&mut *collected.lock().unwrap())).collect()
}

#[test]
fn split_gives_each_output_its_turn() {
    for options in every_policy() {
        let outputs = split(options, 3, SplitBy::Turn);
        for (at, output) in outputs.iter().enumerate() {
            let expected: Vec<_> =
                messages(1000).into_iter().filter(|m| m.sequence % 3 == at as u64).collect();
            assert_eq!(*output, expected);
        }
    }
}

#[test]
fn split_by_a_key_keeps_what_has_the_same_key_together_and_in_order() {
    for options in every_policy() {
        let outputs = split(options, 3, SplitBy::Tag);
        let mut keys = HashSet::new();
        for output in &outputs {
            assert!(output.is_sorted_by_key(|message| message.sequence));
            for key in output.iter().map(|message| message.tag).collect::<HashSet<_>>() {
                assert!(keys.insert(key), "key {key} is at one output only");
            }
        }
        assert_eq!((keys.len(), outputs.iter().map(Vec::len).sum::<usize>()), (7, 1000));
    }
    let outputs = split(single(1), 4, SplitBy::Sequence);
    for output in outputs {
        assert!((200..300).contains(&output.len()), "about a quarter: {}", output.len());
    }
    // One source: one output.
    let filled = split(single(1), 4, SplitBy::Source).iter().filter(|output| !output.is_empty()).count();
    assert_eq!(filled, 1);
}

#[test]
fn split_by_turns_goes_on_with_the_others_when_a_receiver_ends() {
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 1000)).unwrap();
        let split = scheduler.add("split", Split::new(3, SplitBy::Turn).unwrap()).unwrap();
        scheduler.link((source, "out"), (split, "in"), &small(8)).unwrap();
        for (at, count) in [u64::MAX, 10, u64::MAX].into_iter().enumerate() {
            let sink = scheduler.add(&format!("sink{at}"), NullSink::new(count)).unwrap();
            scheduler.link((split, &format!("out{at}")), (sink, "in"), &small(8)).unwrap();
        }
        let report = scheduler.run().unwrap();
        assert_whole(&shm);
        let sum =
            |count: fn(&millrace_flow::BlockReport) -> u64| report.blocks.iter().map(count).sum::<u64>();
        let [first, _, last] = [0, 1, 2].map(|at| report.block(&format!("sink{at}")).unwrap().items_in);
        let gone = sum(|block| block.lost + block.undelivered);
        assert_eq!(first + 10 + last + gone, 1000, "{report:?}");
        // What was on its way to it when it ended: in its link, or sent by one call.
        assert!(gone <= 8 + 64 / 3 + 1 && first.abs_diff(last) <= 1, "{gone} gone, {first} and {last}");
    }
}

#[test]
fn merge_sends_everything_each_input_in_order_and_starves_none() {
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let merge = scheduler.add("merge", Merge::new(3).unwrap()).unwrap();
        for (at, count) in [(0, 1000), (1, 10), (2, 500)] {
            let source = VerifySource::new(64, count, at).unwrap();
            let source = scheduler.add(&format!("source{at}"), source).unwrap();
            scheduler.link((source, "out"), (merge, &format!("in{at}")), &small(8)).unwrap();
        }
        let sink = VerifySink::default().strict();
        let results = sink.results();
        let sink = scheduler.add("sink", sink).unwrap();
        scheduler.link((merge, "out"), (sink, "in"), &small(8)).unwrap();
        scheduler.run().unwrap();
        assert_whole(&shm);
        let received: Vec<_> = results.streams().values().map(|stream| stream.received).collect();
        assert_eq!(received, [1000, 10, 500]);
    }
}

#[test]
fn merge_gives_each_input_that_has_messages_its_turn() {
    // All messages are there before it begins: then turns are exact.
    let shm = domain();
    let options = QueueOptions { capacity: Some(64), ..QueueOptions::default() };
    for at in 0..3_u8 {
        let queue = shm.port_queue(&format!("in{at}"), &options).unwrap();
        let many = [2, 40, 40][at as usize];
        let message = [at];
        let (put, outcome) = queue.put((0..many).map(|_| &message[..]));
        assert_eq!((put, outcome.is_ok()), (many, true));
        queue.close();
    }
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let merge = scheduler.add("merge", Merge::new(3).unwrap()).unwrap();
    for at in 0..3 {
        scheduler.connect_input((merge, &format!("in{at}")), &format!("in{at}")).unwrap();
    }
    let (sink, collected) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((merge, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler.run().unwrap();
    let order: Vec<_> = collected.lock().unwrap().iter().map(|message| message.bytes[0]).collect();
    let expected = [[0, 1, 2]; 2].concat().into_iter().chain([[1, 2]; 38].concat());
    assert_eq!(order, expected.collect::<Vec<_>>());
}

#[test]
fn head_passes_on_the_first_and_leaves_the_others_in_the_queue() {
    for options in every_policy() {
        let (seen, _) = through(options.clone(), emitter(messages(300)), Box::new(Head::new(100)));
        assert_eq!(seen, messages(100));
        let (seen, _) = through(options.clone(), emitter(messages(30)), Box::new(Head::new(100)));
        assert_eq!(seen, messages(30), "fewer than it wants");

        let shm = domain();
        let queue = shm.port_queue("messages", &QueueOptions::default()).unwrap();
        assert_eq!(queue.put((0..50).map(|_| &b"message"[..])).0, 50);
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let head = scheduler.add("head", Head::new(20)).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.connect_input((head, "in"), "messages").unwrap();
        scheduler.link((head, "out"), (sink, "in"), &small(8)).unwrap();
        assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 20);
        assert_eq!(queue.len(), 30);
    }
}

/// When each of `count` messages comes through a throttle, in virtual time.
fn times(seed: u64, count: u64, throttle: impl Block) -> Vec<Duration> {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(seed)).unwrap();
    let source = scheduler.add("source", NullSource::new(0, count)).unwrap();
    let throttle = scheduler.add("throttle", throttle).unwrap();
    let times = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&times);
    let work = move |io: &mut Io<'_>| {
        while io.next(0)?.is_some() {
            into.lock().unwrap().push(io.now());
        }
        Ok(Work::Ok)
    };
    let sink = scheduler.add("sink", Made { ports: Ports::new().input("in"), work }).unwrap();
    scheduler.link((source, "out"), (throttle, "in"), &small(8)).unwrap();
    scheduler.link((throttle, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler.run().unwrap();
    std::mem::take(&mut *times.lock().unwrap())
}

#[test]
fn throttle_lets_through_a_burst_then_one_message_per_interval_exactly() {
    for seed in 0..5 {
        let millis = |ms: u64| Duration::from_millis(ms);
        let expected: Vec<_> = (0..100_u64).map(|at| millis(at.saturating_sub(4) * 10)).collect();
        assert_eq!(times(seed, 100, Throttle::new(100.0, 5).unwrap()), expected);
        let expected: Vec<_> = (0..20).map(|at| millis(at * 2000)).collect();
        assert_eq!(times(seed, 20, Throttle::new(0.5, 1).unwrap()), expected);
    }
}

#[test]
fn throttle_keeps_to_its_rate_with_threads() {
    for threads in [1, 2] {
        let shm = domain();
        let options = SchedulerOptions { threads, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", VerifySource::new(64, 101, 0).unwrap()).unwrap();
        let throttle = scheduler.add("throttle", Throttle::new(1000.0, 1).unwrap()).unwrap();
        let sink = scheduler.add("sink", VerifySink::default().strict()).unwrap();
        scheduler.link((source, "out"), (throttle, "in"), &small(8)).unwrap();
        scheduler.link((throttle, "out"), (sink, "in"), &small(8)).unwrap();
        let began = std::time::Instant::now();
        assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 101);
        // 100 intervals lie between 101 messages.
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
    }
}

#[test]
fn blocks_that_take_each_others_room_in_a_link_all_come_to_their_end() {
    const COUNT: u64 = 3000;
    let passes: [fn() -> Box<dyn Block>; 5] = [
        || Box::new(Copy),
        || Box::new(Gain::new(1.0, SampleFormat::I16).unwrap()),
        || Box::new(Head::new(COUNT)),
        || Box::new(Merge::new(1).unwrap()),
        || Box::new(Throttle::new(1e9, 1 << 20).unwrap()),
    ];
    for pass in passes {
        let shm = domain();
        let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let sink = scheduler.add("sink", VerifySink::default()).unwrap();
        for at in 0..3 {
            let source =
                scheduler.add(&format!("source{at}"), VerifySource::new(64, COUNT, at).unwrap()).unwrap();
            let block = scheduler.add_with(&format!("block{at}"), pass(), Default::default()).unwrap();
            let input = pass().ports().inputs[0].name.to_string();
            scheduler.link((source, "out"), (block, &input), &small(8)).unwrap();
            scheduler.link((block, "out"), (sink, "in"), &small(1)).unwrap();
        }
        assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 3 * COUNT);
        assert_whole(&shm);
    }
}
