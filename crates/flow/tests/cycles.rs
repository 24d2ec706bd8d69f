//! Blocks that are linked in a cycle.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{ErrorKind, Result};
use millrace_flow::blocks::NullSource;
use millrace_flow::{Block, Io, Ports, Ready, Scheduler, Work};
use std::sync::Arc;
use support::blocks::{assert_whole, domain};
use support::steps::{Step, forward, policies, small};

/// Sends the first message of a cycle, and passes it on `rounds` times.
struct Seed {
    rounds: u64,
    sent: u64,
}

impl Block for Seed {
    fn ports(&self) -> Ports {
        Ports::new().input_of("in", 0, 0).output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        if self.sent == 0 {
            let first = io.allocate(8)?.expect("the domain is empty");
            io.send(0, first);
            self.sent = 1;
        }
        while let Some(message) = io.next(0)? {
            if self.sent == self.rounds {
                return Ok(Work::Done);
            }
            self.sent += 1;
            io.forward(0, message);
        }
        Ok(Work::Ok)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("sent", self.sent)]
    }
}

#[test]
fn a_cycle_whose_first_message_a_block_sends_without_an_input_runs() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
        let seed = scheduler.add("seed", Seed { rounds: 1000, sent: 0 }).unwrap();
        let back = scheduler.add("back", Step(forward)).unwrap();
        scheduler.link((seed, "out"), (back, "in"), &small(1)).unwrap();
        scheduler.link((back, "out"), (seed, "in"), &small(1)).unwrap();
        let report = scheduler.run().unwrap();
        let [seed, back] = ["seed", "back"].map(|name| report.block(name).unwrap());
        assert_eq!((seed.counters[0].1, seed.items_in, back.items_in), (1000, 1000, 1000), "{options:?}");
        assert_whole(&shm);
    }
}

#[test]
fn a_cycle_in_which_nothing_is_under_way_any_more_ends() {
    // What comes from the source goes round until it has been seen three times.
    struct Thrice(std::collections::HashMap<u64, u32>);
    impl Block for Thrice {
        fn ports(&self) -> Ports {
            Ports::new().input("new").input("again").output("out").ready(Ready::Any)
        }
        fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
            for input in [1, 0] {
                while io.room(0)? > 0
                    && let Some(message) = io.next(input)?
                {
                    let seen = self.0.entry(message.sequence()).or_insert(0);
                    *seen += 1;
                    if *seen < 3 {
                        io.forward(0, message);
                    }
                }
            }
            Ok(Work::Ok)
        }
    }
    for options in policies() {
        for drains in [false, true] {
            let shm = domain();
            let mut scheduler = Scheduler::new(Arc::clone(&shm), options.clone()).unwrap();
            let source = scheduler.add("source", NullSource::new(8, 100)).unwrap();
            let thrice = scheduler.add("thrice", Thrice(Default::default())).unwrap();
            let back = scheduler.add("back", Step(forward)).unwrap();
            scheduler.link((source, "out"), (thrice, "new"), &small(2)).unwrap();
            scheduler.link((thrice, "out"), (back, "in"), &small(100)).unwrap();
            scheduler.link((back, "out"), (thrice, "again"), &small(200)).unwrap();
            let run = scheduler.start().unwrap();
            let report = if drains { run.drain(support::PATIENCE) } else { run.wait() }.unwrap();
            let [source, thrice, back] = ["source", "thrice", "back"].map(|name| report.block(name).unwrap());
            assert!(drains || source.items_out == 100);
            assert_eq!(thrice.items_in, 3 * source.items_out, "{options:?}");
            assert_eq!((back.items_in, thrice.lost, back.lost), (2 * source.items_out, 0, 0));
            assert_whole(&shm);
        }
    }
}

#[test]
fn a_cycle_without_a_first_message_is_stalled() {
    for options in policies() {
        let shm = domain();
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let (a, b) = (scheduler.add("a", Step(forward)).unwrap(), scheduler.add("b", Step(forward)).unwrap());
        scheduler.link((a, "out"), (b, "in"), &small(1)).unwrap();
        scheduler.link((b, "out"), (a, "in"), &small(1)).unwrap();
        let error = scheduler.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stalled, "{error}");
        assert_whole(&shm);
    }
}
