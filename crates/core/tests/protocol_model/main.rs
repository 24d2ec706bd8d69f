//! The whole protocol as a model: participants that take one shared-memory step at a time in any order, and die at any of them, the
//! recoverer in the middle of its recovery included. Sequentially consistent; memory ordering is the business of the loom models.
//!
//! A run follows from its seed: `MILLRACE_SEED=n` repeats run n and no other, `MILLRACE_LONG=1` runs until 100 000 kills, `MILLRACE_KILLS=n`
//! until n.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod app;
mod copies;
mod departures;
mod habits;
mod lifecycle;
mod oracle;
mod participant;
mod pool;
mod receive;
mod recovery;
mod ring;
mod rules;
mod run;
mod scenes;
mod send;
mod sim;
mod topic;
mod world;

use rules::{Rule, Rules};
use run::{Tally, run};
use scenes::{SCENES, Scene};
use std::time::Instant;

/// Random runs that may be needed to notice that a rule is missing.
const RUNS: u64 = 2000;

#[test]
fn kills_at_every_step_break_nothing() {
    let started = Instant::now();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let only = number("MILLRACE_SEED");
    let long = if number("MILLRACE_LONG").is_some() { 100_000 } else { 10_000 };
    let wanted = number("MILLRACE_KILLS").unwrap_or(long);
    let mut tally = Tally::default();
    let first = only.unwrap_or(1);
    let mut seed = first;
    while tally.kills <= wanted && (only.is_none() || seed == first) {
        match run(seed, Rules::default()) {
            Ok(one) => tally.add(&one),
            Err(what) => panic!("MILLRACE_SEED={seed}: {what}"),
        }
        seed += 1;
    }
    println!("seeds {first} to {}: {tally} in {:?}", seed - 1, started.elapsed());
}

/// The schedules of bugs that were found, and whatever comes close to them.
#[test]
fn found_bugs_stay_mended() {
    for scene in &SCENES {
        let variants = scene.play(Rules::default()).unwrap_or_else(|what| panic!("{:?}: {what}", scene.rule));
        println!("{:?}: {variants} variants", scene.rule);
    }
}

/// Without any one of the rules something goes wrong, and is noticed.
#[test]
fn every_rule_is_needed() {
    let mut needless = Vec::new();
    for rule in Rule::ALL {
        let rules = Rules { dropped: Some(rule) };
        let found = match Scene::of(rule) {
            Some(scene) => scene.play(rules).err(),
            None => (1..=RUNS).find_map(|seed| Some(format!("run {seed}: {}", run(seed, rules).err()?))),
        };
        match found {
            Some(what) => println!("without {rule:?}: {what}"),
            None => needless.push(rule),
        }
    }
    assert!(needless.is_empty(), "nothing happens without {needless:?}");
}
