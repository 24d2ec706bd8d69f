//! What users may do that seems to make no sense: it ends, says why, and every message is counted once.

mod support;

use millrace::{Delivery, ErrorKind, PortQueue, QueueOptions, ShmManager};
use millrace_flow::blocks::{Copy, NullSource};
use millrace_flow::{
    Block, BlockOptions, Io, OnError, Ports, Report, Run, Scheduler, SchedulerOptions, Then, Work,
};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use support::blocks::{Made, assert_whole, domain, failure, fill, pair, queue, single, source, take_all};
use support::steps::{Step, forward, small};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// A source whose work does not return before the sender is dropped; the receiver hears that it works.
fn held() -> (impl Block, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (working, works) = mpsc::channel();
    let block = source(move |_| {
        working.send(()).expect("the test listens");
        let _ = released.recv();
        Ok(Work::Done)
    });
    (block, works, release)
}

#[test]
fn a_drain_or_a_stop_returns_at_its_timeout_though_a_block_does_not() {
    for drains in [true, false] {
        let shm = domain();
        let (block, works, release) = held();
        let run = pair(&shm, SchedulerOptions::default(), block, BlockOptions::default()).start().unwrap();
        works.recv_timeout(LONG).expect("it works");
        let began = Instant::now();
        let error = if drains { run.drain(SHORT) } else { run.stop(SHORT) }.unwrap_err();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}, drains: {drains}");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("\"source\""), "{error}");
        drop(release);
        support::until("it has ended", || {
            support::used(&shm) == 0 && shm.snapshot().unwrap().queues.is_empty()
        });
    }
}

#[test]
fn a_call_that_does_not_return_ends_the_wait_for_the_run_and_is_named() {
    let ways: [fn(Run) -> millrace::Result<Report>; 3] =
        [Run::wait, |run| run.drain(LONG), |run| run.stop(LONG)];
    for end in ways {
        let shm = domain();
        let (block, works, release) = held();
        let options = SchedulerOptions { stall_timeout: Some(SHORT), ..SchedulerOptions::default() };
        let run = pair(&shm, options, block, BlockOptions::default()).start().unwrap();
        works.recv_timeout(LONG).expect("it works");
        support::until("it is seen", || !run.stalls(SHORT).is_empty());
        let [stall] = &run.stalls(SHORT)[..] else { panic!("{:?}", run.stalls(SHORT)) };
        assert!(stall.block == "source" && stall.working > SHORT, "{stall:?}");
        let error = end(run).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stalled);
        assert!(
            error.to_string().contains("block \"source\" has not returned from its work for "),
            "{error}"
        );
        drop(release);
        support::until("it has ended", || {
            support::used(&shm) == 0 && shm.snapshot().unwrap().queues.is_empty()
        });
    }
}

#[test]
fn blocks_that_return_in_time_do_not_stall() {
    let shm = domain();
    let options = SchedulerOptions { stall_timeout: Some(LONG), ..SchedulerOptions::default() };
    let run = pair(&shm, options, NullSource::new(8, 10_000), BlockOptions::default()).start().unwrap();
    assert_eq!(run.stalls(LONG), []);
    assert_eq!(run.wait().unwrap().block("source").map(|source| source.items_out), Some(10_000));
}

#[test]
fn a_failure_without_a_message_to_blame_is_the_failure_of_the_block() {
    for then in [Then::Skip, Then::DeadLetter, Then::Fail] {
        for retries in [0, 2] {
            let shm = domain();
            let letters = queue(&shm, "letters", QueueOptions::default());
            let how = BlockOptions {
                on_error: OnError { retries, backoff: Duration::ZERO, then },
                dead_letters: Some(Arc::clone(&letters)),
                ..BlockOptions::default()
            };
            let calls = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&calls);
            let block = source(move |_| {
                *counted.lock().unwrap() += 1;
                Err(failure())
            });
            let run = pair(&shm, single(1), block, how).start().unwrap();
            support::until("it ends", || run.has_ended());
            let error = run.wait().unwrap_err();
            assert!(error.to_string().contains("\"source\""), "{error}");
            assert_eq!(*calls.lock().unwrap(), retries + 1);
            assert_whole(&shm);
        }
    }
}

#[test]
fn a_source_that_waits_for_a_time_ends_when_it_is_drained() {
    for options in
        [SchedulerOptions::default(), SchedulerOptions { threads: 1, ..SchedulerOptions::default() }]
    {
        for at in [Duration::from_secs(3600), Duration::MAX] {
            let shm = domain();
            let block = source(move |_| Ok(Work::WaitUntil { at }));
            let run = pair(&shm, options.clone(), block, BlockOptions::default()).start().unwrap();
            std::thread::sleep(SHORT);
            run.drain(LONG).unwrap();
            assert_whole(&shm);
        }
    }
}

#[test]
fn a_source_in_its_backoff_ends_when_it_is_drained() {
    let shm = domain();
    let how = BlockOptions {
        on_error: OnError { retries: 9, backoff: Duration::from_secs(3600), then: Then::Fail },
        ..BlockOptions::default()
    };
    let run = pair(&shm, SchedulerOptions::default(), source(|_| Err(failure())), how).start().unwrap();
    std::thread::sleep(SHORT);
    run.drain(LONG).unwrap();
    assert_whole(&shm);
}

#[test]
fn a_source_that_waits_for_memory_or_room_ends_when_it_is_drained() {
    for memory in [true, false] {
        let shm = domain();
        let full = queue(&shm, "full", QueueOptions { capacity: Some(1), ..QueueOptions::default() });
        fill(&shm, &full, 1);
        let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
        let block = source(move |_| {
            Ok(if memory { Work::NeedMemory { bytes: 64 } } else { Work::NeedOutput { output: 0 } })
        });
        let block = scheduler.add("source", block).unwrap();
        scheduler.connect_output((block, "out"), "full").unwrap();
        let run = scheduler.start().unwrap();
        std::thread::sleep(SHORT);
        run.drain(LONG).unwrap();
        assert_eq!(take_all(&full), 1);
        assert_whole(&shm);
    }
}

#[test]
fn a_time_that_never_comes_is_a_stall_in_a_run_of_its_own_time() {
    let shm = domain();
    let block = source(|_| Ok(Work::WaitUntil { at: Duration::MAX }));
    let run = pair(&shm, single(1), block, BlockOptions::default()).start().unwrap();
    support::until("it ends", || run.has_ended());
    let error = run.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stalled, "{error}");
    assert_whole(&shm);
}

#[test]
fn all_messages_of_a_failed_work_are_counted_where_they_went() {
    for (capacity, letters_get) in [(64, 10), (4, 4), (1, 1)] {
        let shm = domain();
        let letters =
            queue(&shm, "letters", QueueOptions { capacity: Some(capacity), ..QueueOptions::default() });
        let mut scheduler = Scheduler::new(Arc::clone(&shm), single(3)).unwrap();
        let block = Made {
            ports: Ports::new().input("a").input("b"),
            work: |io: &mut Io<'_>| {
                let (a, b) = (io.next(0)?, io.next(1)?);
                if a.is_some() && b.is_some() { Err(failure()) } else { Ok(Work::Ok) }
            },
        };
        let how = BlockOptions {
            on_error: OnError { retries: 0, backoff: Duration::ZERO, then: Then::DeadLetter },
            dead_letters: Some(Arc::clone(&letters)),
            ..BlockOptions::default()
        };
        let block = scheduler.add_with("block", Box::new(block), how).unwrap();
        for port in ["a", "b"] {
            let source = scheduler.add(port, NullSource::new(8, 5)).unwrap();
            scheduler.link((source, "out"), (block, port), &small(8)).unwrap();
        }
        let report = scheduler.run().unwrap();
        let block = report.block("block").unwrap();
        assert_eq!(
            (block.dead_lettered, block.skipped),
            (letters_get, 10 - letters_get),
            "capacity {capacity}"
        );
        assert_eq!(take_all(&letters) as u64, letters_get);
        assert_whole(&shm);
    }
}

/// A queue `from` that delivers again, with five messages in it.
fn at_least_once(shm: &Arc<ShmManager>) -> Arc<PortQueue> {
    let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
    let from = queue(shm, "from", options);
    fill(shm, &from, 5);
    from
}

#[test]
fn what_a_block_has_of_a_queue_that_was_destroyed_is_lost() {
    let shm = domain();
    let from = at_least_once(&shm);
    let (working, works) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let takes_one = Made {
        ports: Ports::new().input("in"),
        work: move |io: &mut Io<'_>| {
            io.next(0)?;
            working.send(io.available(0)).unwrap();
            wait.recv().unwrap();
            Ok(Work::Ok)
        },
    };
    let sink = scheduler.add("sink", takes_one).unwrap();
    scheduler.connect_input((sink, "in"), "from").unwrap();
    let run = scheduler.start().unwrap();
    assert_eq!(works.recv().unwrap(), 4);
    run.begin_stop();
    from.destroy();
    go.send(()).unwrap();
    let report = run.wait().unwrap();
    let sink = report.block("sink").unwrap();
    assert_eq!((sink.items_in, sink.lost), (1, 4), "{sink:?}");
    drop(from);
    assert_whole(&shm);
}

#[test]
fn what_was_made_of_messages_of_a_queue_that_was_destroyed_is_lost_once() {
    let shm = domain();
    let from = at_least_once(&shm);
    let to = queue(&shm, "to", QueueOptions { capacity: Some(1), ..QueueOptions::default() });
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    let stage = scheduler.add("stage", Step(forward)).unwrap();
    scheduler.connect_input((stage, "in"), "from").unwrap();
    scheduler.connect_output((stage, "out"), "to").unwrap();
    let run = scheduler.start().unwrap();
    // One is sent, the others wait for room.
    support::until("it waits", || run.report().block("stage").unwrap().backpressured > Duration::ZERO);
    from.destroy();
    let report = run.stop(support::PATIENCE).unwrap();
    let stage = report.block("stage").unwrap();
    assert_eq!((stage.items_out, stage.lost), (1, 4), "{stage:?}");
    assert_eq!(take_all(&to), 1);
    drop(from);
    assert_whole(&shm);
}

#[test]
fn what_becomes_of_a_message_that_was_delivered_again_says_so() {
    for copies in [true, false] {
        let shm = domain();
        let from = at_least_once(&shm);
        let taken: Vec<_> =
            std::iter::repeat_with(|| from.try_receive().unwrap().0.unwrap()).take(3).collect();
        // The first is done with, two come again, before the other two.
        taken.into_iter().skip(1).for_each(|message| message.nack().unwrap());
        from.close();
        let (seen, sees) = mpsc::channel();
        let looks = Made {
            ports: Ports::new().input("in"),
            work: move |io: &mut Io<'_>| {
                while let Some(message) = io.next(0)? {
                    seen.send((message.is_redelivered(), message.attempt())).unwrap();
                }
                Ok(Work::Ok)
            },
        };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
        let first = if copies {
            scheduler.add("first", Copy::default())
        } else {
            scheduler.add("first", Step(forward))
        };
        let first = first.unwrap();
        let second = scheduler.add("second", Copy::default()).unwrap();
        let last = scheduler.add("last", looks).unwrap();
        scheduler.connect_input((first, "in"), "from").unwrap();
        scheduler.link((first, "out"), (second, "in"), &small(8)).unwrap();
        scheduler.link((second, "out"), (last, "in"), &small(8)).unwrap();
        scheduler.run().unwrap();
        let seen: Vec<_> = sees.iter().collect();
        assert_eq!(seen, [(true, 1), (true, 1), (false, 1), (false, 1)], "copies: {copies}");
        drop(from);
        assert_whole(&shm);
    }
}
