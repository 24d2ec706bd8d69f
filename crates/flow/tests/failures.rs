//! What becomes of a message that work fails with, and of a block that fails.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Error, ErrorKind, QueueOptions, Result};
use millrace_flow::blocks::NullSource;
use millrace_flow::{
    Block, BlockOptions, Io, LinkOptions, OnError, Ports, Scheduler, SchedulerOptions, Then, Work,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::steps::{Numbers, Step};
use support::{Domain, used};

/// Fails at every message whose number is a multiple of 10, the first `failures` times that it is tried.
fn failing(failures: u32) -> impl FnMut(&mut Io<'_>) -> Result<Work> {
    let mut failed = std::collections::HashMap::new();
    move |io| {
        while let Some(message) = io.next(0)? {
            let number = message.sequence();
            let failed = failed.entry(number).or_insert(0);
            if number % 10 == 0 && *failed < failures {
                *failed += 1;
                return Err(Error::new(ErrorKind::BlockFailed, format!("no {number}")));
            }
            io.forward(0, message);
        }
        Ok(Work::Ok)
    }
}

/// Runs 100 messages through a block that fails `failures` times at each tenth; what arrived, and what was counted.
fn run_failing(
    shm: &Arc<millrace::ShmManager>,
    failures: u32,
    options: BlockOptions,
) -> (Result<millrace_flow::Report>, Vec<u64>) {
    let mut scheduler = Scheduler::new(Arc::clone(shm), SchedulerOptions::default()).unwrap();
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
    let block = Box::new(Step(failing(failures)));
    let block = scheduler.add_with("failing", block, options).unwrap();
    let sink = scheduler.add("sink", Numbers(Arc::clone(&numbers))).unwrap();
    scheduler.link((source, "out"), (block, "in"), &LinkOptions::default()).unwrap();
    scheduler.link((block, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
    let report = scheduler.run();
    let numbers = numbers.lock().unwrap().clone();
    (report, numbers)
}

fn on_error(retries: u32, then: Then) -> OnError {
    OnError { retries, backoff: Duration::from_micros(10), then }
}

#[test]
fn what_work_fails_with_is_tried_again_skipped_or_moved_and_nothing_else_is() {
    let domain = Domain::new();
    let shm = domain.open();
    // As often as it takes.
    let options = BlockOptions { on_error: on_error(3, Then::Fail), ..BlockOptions::default() };
    let (report, numbers) = run_failing(&shm, 3, options);
    assert!(numbers.iter().copied().eq(0..100), "{numbers:?}");
    // The first failure among others only tells that they are to be tried one at a time.
    let retried = report.unwrap().block("failing").unwrap().retried;
    assert!((20..=30).contains(&retried), "{retried}");
    assert_eq!(used(&shm), 0);

    // Never.
    let options = BlockOptions { on_error: on_error(0, Then::Skip), ..BlockOptions::default() };
    let (report, numbers) = run_failing(&shm, u32::MAX, options);
    assert!(numbers.iter().copied().eq((0..100).filter(|number| number % 10 != 0)), "{numbers:?}");
    assert_eq!(report.unwrap().block("failing").unwrap().skipped, 10);
    assert_eq!(used(&shm), 0);

    // Moved to others after two more tries.
    let dead = shm.port_queue("dead", &QueueOptions::default()).unwrap();
    let dead_letters = Some(Arc::clone(&dead));
    let options =
        BlockOptions { on_error: on_error(2, Then::DeadLetter), dead_letters, ..BlockOptions::default() };
    let (report, numbers) = run_failing(&shm, u32::MAX, options);
    assert_eq!(numbers.len(), 90);
    let report = report.unwrap();
    let failing = report.block("failing").unwrap();
    assert_eq!((failing.dead_lettered, failing.retried), (10, 20));
    for number in 0..10 {
        assert_eq!(dead.try_receive().unwrap().0.unwrap().sequence(), number * 10);
    }
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_message_that_is_tried_again_says_the_how_many_th_time_it_is() {
    for (then, attempts) in [(Then::Skip, [1, 2, 3, 1, 2, 3]), (Then::Fail, [1, 2, 3, 0, 0, 0])] {
        let domain = Domain::new();
        let mut scheduler = Scheduler::new(domain.open(), SchedulerOptions::default()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let fails = Step(move |io: &mut Io<'_>| {
            let message = io.next(0)?.expect("it is called for a message");
            noted.lock().unwrap().push(message.attempt());
            Err(Error::new(ErrorKind::BlockFailed, "no"))
        });
        let source = scheduler.add("source", NullSource::new(8, 2)).unwrap();
        let options = BlockOptions { on_error: on_error(2, then), ..BlockOptions::default() };
        let fails = scheduler.add_with("fails", Box::new(fails), options).unwrap();
        let sink = scheduler.add("sink", Numbers(Arc::default())).unwrap();
        scheduler.link((source, "out"), (fails, "in"), &LinkOptions::default()).unwrap();
        scheduler.link((fails, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        assert_eq!(scheduler.run().is_ok(), then == Then::Skip);
        let expected = attempts.into_iter().filter(|attempt| *attempt > 0);
        assert!(seen.lock().unwrap().iter().copied().eq(expected), "{seen:?}");
    }
}

#[test]
fn a_block_that_fails_ends_the_run_with_its_name_and_leaves_nothing() {
    let domain = Domain::new();
    let shm = domain.open();
    let (report, _) = run_failing(&shm, u32::MAX, BlockOptions::default());
    let error = report.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::BlockFailed, "block \"failing\": no 0")
    );
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_panic_is_the_failure_of_its_block() {
    for at in ["start", "work", "end", "stop"] {
        struct Panics(&'static str);
        impl Panics {
            fn at(&self, place: &str) {
                assert!(self.0 != place, "in {place}");
            }
        }
        impl Block for Panics {
            fn ports(&self) -> Ports {
                Ports::new().input("in")
            }
            fn start(&mut self) -> Result<()> {
                self.at("start");
                Ok(())
            }
            fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
                io.next(0)?;
                self.at("work");
                Ok(Work::Ok)
            }
            fn end(&mut self, _: &mut Io<'_>) -> Result<()> {
                self.at("end");
                Ok(())
            }
            fn stop(&mut self) -> Result<()> {
                self.at("stop");
                Ok(())
            }
        }
        let domain = Domain::new();
        let shm = domain.open();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
        let sink = scheduler.add("panics", Panics(at)).unwrap();
        scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        let error = scheduler.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BlockFailed);
        assert_eq!(error.to_string(), format!("block \"panics\": panicked: in {at}"));
        assert_eq!(used(&shm), 0, "{at}");
    }
}
