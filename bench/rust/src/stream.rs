//! As many messages as fit a time, from producers to consumers.

use crate::arena::Shared;
use crate::contenders::{Contender, Message};
use crate::options::Options;
use crate::processes::{Patience, Process, pin};
use crate::timed::Timed;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// On a cache line pair of its own: counting must not be what is measured.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

#[derive(Default)]
struct Control {
    ready: AtomicU64,
    go: AtomicBool,
    stop: AtomicBool,
    /// Producers that have sent their last message.
    finished: AtomicU64,
    sent: [Count; 16],
    received: [Count; 16],
    /// Sums of the numbers sent and received.
    sums: [AtomicU64; 2],
}

impl Control {
    fn total(counts: &[Count]) -> u64 {
        counts.iter().map(|count| count.0.load(SeqCst)).sum()
    }
}

pub(crate) fn measure<C: Contender>(options: &Options) {
    let control = Shared::new(Control::default);
    let plan = C::plan(options);
    let consumers: Vec<_> = (0..options.consumers)
        .map(|index| {
            Process::fork(|| {
                pin(options, index);
                consume::<C>(&plan, options, &control, index);
            })
        })
        .collect();
    while control.ready.load(SeqCst) < options.consumers as u64 {
        std::thread::yield_now();
    }
    let producers: Vec<_> = (0..options.producers)
        .map(|index| {
            Process::fork(|| {
                pin(options, options.consumers + index);
                produce::<C>(&plan, options, &control, index);
            })
        })
        .collect();
    while control.ready.load(SeqCst) < (options.consumers + options.producers) as u64 {
        std::thread::yield_now();
    }
    let all: Vec<_> = consumers.into_iter().chain(producers).collect();
    control.go.store(true, SeqCst);
    let timed = Timed::of(options, &all, || Control::total(&control.received));
    control.stop.store(true, SeqCst);
    all.into_iter().for_each(Process::join);
    let copies = if options.fan_out { options.consumers as u64 } else { 1 };
    let (sent, received) = (Control::total(&control.sent), Control::total(&control.received));
    assert_eq!(sent * copies, received, "messages were lost");
    let [sum_sent, sum_received] = [0, 1].map(|side| control.sums[side].load(SeqCst));
    assert_eq!(sum_sent.wrapping_mul(copies), sum_received, "messages were exchanged");
    timed.sample().print();
}

fn produce<C: Contender>(plan: &C::Plan, options: &Options, control: &Control, index: usize) {
    let mut end = C::producer(plan, options, 0);
    control.ready.fetch_add(1, SeqCst);
    while !control.go.load(SeqCst) {
        std::thread::yield_now();
    }
    let (mut number, mut sum) = (0_u64, 0_u64);
    while !control.stop.load(Relaxed) {
        let message = Message::new(number);
        until(|| end.send(&message));
        sum = sum.wrapping_add(number);
        number += 1;
    }
    until(|| end.flush());
    control.sent[index].0.store(number, SeqCst);
    control.sums[0].fetch_add(sum, SeqCst);
    control.finished.fetch_add(1, SeqCst);
    // Whoever lets go of what it has published takes it away from those who have not read it yet.
    let copies = if options.fan_out { options.consumers as u64 } else { 1 };
    until(|| {
        control.finished.load(SeqCst) == options.producers as u64
            && Control::total(&control.received) == Control::total(&control.sent) * copies
    });
}

fn consume<C: Contender>(plan: &C::Plan, options: &Options, control: &Control, index: usize) {
    let mut end = C::consumer(plan, options, 0, index);
    control.ready.fetch_add(1, SeqCst);
    let (mut count, mut sum) = (0_u64, 0_u64);
    let mut patience = Patience::default();
    loop {
        if let Some(message) = end.receive() {
            sum = sum.wrapping_add(message.number());
            count += 1;
            control.received[index].0.store(count, Relaxed);
            patience = Patience::default();
        } else if is_over(options, control, count) {
            break;
        } else {
            patience.turn();
        }
    }
    control.sums[1].fetch_add(sum, SeqCst);
}

/// Whether no message can come any more.
fn is_over(options: &Options, control: &Control, own: u64) -> bool {
    if control.finished.load(SeqCst) < options.producers as u64 {
        return false;
    }
    let received = if options.fan_out { own } else { Control::total(&control.received) };
    received == Control::total(&control.sent)
}

fn until(mut done: impl FnMut() -> bool) {
    let mut patience = Patience::default();
    while !done() {
        patience.turn();
    }
}
