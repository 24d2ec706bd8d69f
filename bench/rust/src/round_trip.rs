//! One message to another process and back, again and again.

use crate::arena::Shared;
use crate::contenders::{Contender, Message};
use crate::numbers::{Sample, quantile};
use crate::options::Options;
use crate::processes::{Patience, Process, pin, rest};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Round trips that are timed together where one takes about as long as to look at the clock.
const BLOCK: u64 = 16;
const END: u64 = u64::MAX;

pub(crate) fn measure<C: Contender>(options: &Options) {
    let ready = Shared::new(AtomicU64::default);
    let plan = C::plan(options);
    let far = Process::fork(|| {
        pin(options, 0);
        echo::<C>(&plan, options, &ready);
    });
    let near = Process::fork(|| {
        pin(options, 1);
        ask::<C>(&plan, options, &ready);
    });
    near.join();
    far.join();
}

fn echo<C: Contender>(plan: &C::Plan, options: &Options, ready: &AtomicU64) {
    let mut inward = C::consumer(plan, options, 0, 0);
    ready.fetch_add(1, SeqCst);
    while ready.load(SeqCst) < 2 {
        std::thread::yield_now();
    }
    let mut outward = C::producer(plan, options, 1);
    ready.fetch_add(1, SeqCst);
    loop {
        let number = next(&mut inward, options).number();
        assert!(outward.send(&Message::new(number)), "there is room for one");
        if number == END {
            break;
        }
    }
    while ready.load(SeqCst) < 5 {
        std::thread::yield_now();
    }
}

fn ask<C: Contender>(plan: &C::Plan, options: &Options, ready: &AtomicU64) {
    let mut inward = C::consumer(plan, options, 1, 0);
    ready.fetch_add(1, SeqCst);
    while ready.load(SeqCst) < 3 {
        std::thread::yield_now();
    }
    let mut outward = C::producer(plan, options, 0);
    ready.fetch_add(1, SeqCst);
    let mut number = 0;
    let mut trip = |is_last: bool| {
        number = if is_last { END } else { number + 1 };
        assert!(outward.send(&Message::new(number)), "there is room for one");
        assert_eq!(next(&mut inward, options).number(), number);
    };
    let block = if options.spin { BLOCK } else { 1 };
    let mut round = |duration: Duration| {
        let mut samples = Vec::new();
        let started = Instant::now();
        while started.elapsed() < duration {
            rest(options.gap);
            let before = Instant::now();
            (0..block).for_each(|_| trip(false));
            samples.push(before.elapsed().as_nanos() as f64 / block as f64);
        }
        samples
    };
    round(options.warmup);
    let mut latencies = round(options.timed);
    trip(true);
    ready.fetch_add(1, SeqCst);
    latencies.sort_by(f64::total_cmp);
    Sample { value: quantile(&latencies, 0.5) / 1e3, latencies, ..Sample::default() }.print();
}

fn next<C: Contender>(end: &mut C, options: &Options) -> Message {
    let mut patience = Patience::default();
    loop {
        if let Some(message) = end.receive() {
            return message;
        }
        if options.spin {
            patience.turn();
        } else {
            end.sleep();
        }
    }
}
