//! VerifySource and VerifySink: every kind of damage is told apart, and counted.

mod support;

use millrace::{Delivery, QueueOptions, Received, Result, Settle};
use millrace_flow::blocks::{StreamCounts, VerifyResults, VerifySink, VerifySource};
use millrace_flow::{Io, LinkOptions, Report, Scheduler, SchedulerOptions, Work};
use std::sync::Arc;
use support::blocks::{assert_whole, counter, domain, every_policy, single};
use support::steps::{Step, small};

const COUNT: u64 = 1000;

/// Sends 1000 messages as stream 5 through a block that does `work` to them.
fn damaged(
    options: SchedulerOptions,
    work: impl FnMut(&mut Io<'_>) -> Result<Work> + Send + 'static,
) -> (StreamCounts, VerifyResults, Report) {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let source = scheduler.add("source", VerifySource::new(100, COUNT, 5).unwrap()).unwrap();
    let relay = scheduler.add("relay", Step(work)).unwrap();
    let sink = VerifySink::default();
    let results = sink.results();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (relay, "in"), &small(8)).unwrap();
    scheduler.link((relay, "out"), (sink, "in"), &small(8)).unwrap();
    let report = scheduler.run().unwrap();
    assert_whole(&shm);
    (results.streams().get(&5).copied().unwrap_or_default(), results, report)
}

fn intact(received: u64) -> StreamCounts {
    StreamCounts { received, ..StreamCounts::default() }
}

#[test]
fn what_is_forwarded_is_perfect() {
    for options in every_policy() {
        let (counts, results, report) = damaged(options, |io| {
            while let Some(message) = io.next(0)? {
                assert_eq!(message.source(), 5);
                io.forward(0, message);
            }
            Ok(Work::Ok)
        });
        assert_eq!(counts, intact(COUNT));
        assert!(counts.is_perfect());
        assert_eq!((results.unknown(), results.streams().len()), (0, 1));
        assert_eq!((counter(&report, "sink", "received"), counter(&report, "sink", "lost")), (COUNT, 0));
    }
}

#[test]
fn a_loss_in_the_middle_and_at_the_end_is_lost_and_nothing_else() {
    for options in every_policy() {
        let (counts, ..) = damaged(options, |io| {
            while let Some(message) = io.next(0)? {
                // 100 of ten each, and the last.
                if message.sequence() % 10 != 3 && message.sequence() != COUNT - 1 {
                    io.forward(0, message);
                }
            }
            Ok(Work::Ok)
        });
        assert_eq!(counts, StreamCounts { lost: 101, ..intact(COUNT - 101) });
    }
}

#[test]
fn a_message_that_comes_twice_is_duplicated_and_nothing_else() {
    for options in every_policy() {
        let (counts, ..) = damaged(options, |io| {
            while let Some(message) = io.next(0)? {
                io.forward(0, message);
                if message.sequence() % 10 == 3 {
                    io.forward(0, message);
                }
            }
            Ok(Work::Ok)
        });
        assert_eq!(counts, StreamCounts { duplicated: 100, ..intact(COUNT + 100) });
    }
}

#[test]
fn messages_that_change_places_are_reordered_and_nothing_else() {
    for options in every_policy() {
        let (counts, ..) = damaged(options, |io| {
            while io.available(0) >= 2 {
                let (Some(first), Some(second)) = (io.next(0)?, io.next(0)?) else {
                    unreachable!("both are there")
                };
                io.forward(0, second);
                io.forward(0, first);
            }
            Ok(Work::NeedInput { input: 0, min: 2 })
        });
        assert_eq!(counts, StreamCounts { reordered: COUNT / 2, ..intact(COUNT) });
    }
}

#[test]
fn a_wrong_bit_in_the_body_is_corrupted_and_one_in_the_head_makes_it_unknown_and_lost() {
    let flip = |at: usize| {
        move |io: &mut Io<'_>| {
            while let Some(message) = io.next(0)? {
                let Some(mut copy) = io.allocate(message.len())? else { unreachable!("the pool is large") };
                message.copy_to(copy.bytes_mut());
                copy.bytes_mut()[at] ^= u8::from(message.sequence() % 10 == 3) << 6;
                io.send(0, copy);
            }
            Ok(Work::Ok)
        }
    };
    for options in every_policy() {
        let (counts, results, _) = damaged(options.clone(), flip(99));
        assert_eq!(counts, StreamCounts { corrupted: 100, ..intact(COUNT) });
        assert_eq!(results.unknown(), 0);
        let (counts, results, _) = damaged(options, flip(0));
        assert_eq!(counts, StreamCounts { lost: 100, ..intact(COUNT - 100) });
        assert_eq!(results.unknown(), 100);
    }
}

#[test]
fn streams_that_meet_in_one_queue_are_judged_one_by_one() {
    for options in every_policy() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let sink = VerifySink::default().strict();
        let results = sink.results();
        let sink = scheduler.add("sink", sink).unwrap();
        for number in 0..3 {
            let source = VerifySource::new(28, COUNT, number).unwrap();
            let source = scheduler.add(&format!("source{number}"), source).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
        }
        scheduler.run().unwrap();
        assert_whole(&shm);
        assert_eq!(results.streams(), [0, 1, 2].map(|number| (number, intact(COUNT))).into());
    }
}

#[test]
fn a_strict_sink_fails_at_its_end_with_the_stream_and_its_counts() {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let source = scheduler.add("source", VerifySource::new(100, 10, 5).unwrap()).unwrap();
    let relay = scheduler
        .add(
            "relay",
            Step(|io: &mut Io<'_>| {
                while let Some(message) = io.next(0)? {
                    if message.sequence() != 4 {
                        io.forward(0, message);
                    }
                }
                Ok(Work::Ok)
            }),
        )
        .unwrap();
    let sink = scheduler.add("sink", VerifySink::default().strict()).unwrap();
    scheduler.link((source, "out"), (relay, "in"), &small(8)).unwrap();
    scheduler.link((relay, "out"), (sink, "in"), &small(8)).unwrap();
    let error = scheduler.run().unwrap_err().to_string();
    assert!(
        error.contains("block \"sink\"") && error.contains("stream 5") && error.contains("lost: 1,"),
        "{error}"
    );
    assert_whole(&shm);
}

#[test]
fn a_sink_that_ends_early_misses_nothing_of_what_it_did_not_take() {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let source = scheduler.add("source", VerifySource::new(100, COUNT, 5).unwrap()).unwrap();
    let sink = VerifySink::new(100).strict();
    let results = sink.results();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler.run().unwrap();
    assert_eq!(results.streams()[&5], intact(100));
}

#[test]
fn what_a_queue_delivers_again_counts_apart() {
    let shm = domain();
    let delivery = Some(Delivery::AtLeastOnce);
    let options = QueueOptions { delivery, capacity: Some(64), ..QueueOptions::default() };
    let queue = shm.port_queue("tests", &options).unwrap();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let source = scheduler.add("source", VerifySource::new(100, 20, 5).unwrap()).unwrap();
    scheduler.connect_output((source, "out"), "tests").unwrap();
    scheduler.run().unwrap();

    // A receiver that takes three, and gives back the second and the third.
    let mut taken = [Received::default(); 3];
    assert_eq!(queue.receive(&mut taken).unwrap().0, 3);
    for received in taken[1..].iter().rev() {
        queue.nack(received.lease.expect("leased"), received.buffer.id).unwrap();
    }

    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let sink = VerifySink::new(19);
    let results = sink.results();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.connect_input((sink, "in"), "tests").unwrap();
    scheduler.run().unwrap();
    // The first one was taken by somebody else.
    assert_eq!(results.streams()[&5], StreamCounts { redelivered: 2, lost: 1, ..intact(19) });
    queue.ack(taken[0].lease.expect("leased"), taken[0].buffer.id);
    shm.allocator().release(taken[0].buffer).unwrap();
    assert_whole(&shm);
}

#[test]
fn foreign_messages_of_any_length_are_unknown() {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let messages = (0..100).map(|at| support::blocks::Seen {
        sequence: at,
        source: 0,
        tag: 0,
        time: 0,
        bytes: vec![at as u8; at as usize],
    });
    let source = scheduler.add("source", support::blocks::emitter(messages.collect())).unwrap();
    let sink = VerifySink::default();
    let results = sink.results();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
    scheduler.run().unwrap();
    assert_eq!((results.unknown(), results.streams().len()), (100, 0));
}
