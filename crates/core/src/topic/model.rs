//! Models of subscribing while others publish: see [`crate::sync::model`]. The history and the word where a subscription begins are the
//! real ones; `publish` and `subscribe` are `Topic::publish_one` and `subscribe::begin` without queues, buffers and directory.

use super::history::At;
use super::{History, JoinState};
use crate::sync::model::{Arc, Plain, check, joined, spawn};
use crate::sync::{AtomicU64, Ordering, dekker_fence};

/// A topic on the heap, with the one subscription that somebody is about to make.
struct Heap {
    head: AtomicU64,
    tail: AtomicU64,
    slots: Vec<AtomicU64>,
    subscriptions: AtomicU64,
    start: AtomicU64,
    payloads: [Plain; MESSAGES],
}

const MESSAGES: usize = 2;

/// What may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    PublishersFence,
    SubscribersFence,
    /// A publisher that finds the subscription joining tells the subscriber.
    Notice,
    /// A publisher compares its position with where the subscription begins.
    Comparison,
    /// The tail is moved after the fence.
    FenceBeforeHelp,
}

/// What became of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    position: u64,
    delivered: bool,
}

impl Heap {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            slots: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            subscriptions: AtomicU64::new(0),
            start: AtomicU64::new(JoinState::JOINING),
            payloads: Default::default(),
        })
    }

    fn history(&self) -> History<'_> {
        History::on_heap(&self.head, &self.tail, &self.slots)
    }

    fn publish(&self, id: u32, missing: Missing) -> Sent {
        self.payloads[id as usize].write(id + 1);
        let position = self.history().keep(id).expect("the ring is whole").position;
        if missing == Missing::FenceBeforeHelp {
            self.history().help(position);
        }
        if missing != Missing::PublishersFence {
            dekker_fence();
        }
        if missing != Missing::FenceBeforeHelp {
            self.history().help(position);
        }
        if self.subscriptions.load(Ordering::Acquire) == 0 {
            return Sent { position, delivered: false };
        }
        let start = JoinState(&self.start);
        let begun = if missing == Missing::Notice && !start.has_begun() { None } else { start.look() };
        let delivered = begun.is_some_and(|begun| missing == Missing::Comparison || position >= begun);
        Sent { position, delivered }
    }

    /// Returns the messages of the history that it has copied, by position.
    fn subscribe(&self, missing: Missing) -> Vec<(u64, u32)> {
        self.subscriptions.fetch_add(1, Ordering::AcqRel);
        if missing != Missing::SubscribersFence {
            dekker_fence();
        }
        let (history, start) = (self.history(), JoinState(&self.start));
        let mut copied = Vec::new();
        let mut next = history.oldest(u64::MAX);
        loop {
            let ticket = start.ticket();
            loop {
                match history.at(next) {
                    At::Message(id) => {
                        copied.push((next, id));
                        next += 1;
                    }
                    At::Future => break,
                    At::Gone => {
                        copied.clear();
                        next = history.oldest(u64::MAX);
                    }
                }
            }
            if start.begin(ticket, next) {
                return copied;
            }
        }
    }
}

/// One subscribes while two publish a message each, or one publishes two.
fn joining(capacity: usize, publishers: usize, missing: Missing) {
    check(move || {
        let heap = Heap::new(capacity);
        let each = MESSAGES / publishers;
        let threads: Vec<_> = (0..publishers)
            .map(|me| {
                let heap = Arc::clone(&heap);
                let ids = (me * each) as u32..((me + 1) * each) as u32;
                spawn(move || ids.map(|id| heap.publish(id, missing)).collect::<Vec<_>>())
            })
            .collect();
        let copied = heap.subscribe(missing);
        if capacity >= MESSAGES {
            // In a smaller one the buffer may be somebody else's already: the real code takes a reference, then looks again.
            copied.iter().for_each(|(_, id)| assert_eq!(heap.payloads[*id as usize].read(), id + 1));
        }
        let mut sent: Vec<Sent> = threads.into_iter().flat_map(joined).collect();
        sent.sort_by_key(|sent| sent.position);
        let times = |sent: &Sent| {
            let copies = copied.iter().filter(|(position, _)| *position == sent.position).count();
            copies + usize::from(sent.delivered)
        };
        assert!(sent.iter().all(|sent| times(sent) < 2), "a message came twice");
        // Of what the history has given up before, nothing; from some message on, everything.
        let given_up = MESSAGES.saturating_sub(capacity);
        let came = sent.iter().skip_while(|sent| sent.position < given_up as u64 && times(sent) == 0);
        assert!(came.clone().all(|sent| times(sent) == 1), "a message is missing");
    });
}

#[test]
fn each_message_comes_once() {
    joining(2, 2, Missing::Nothing);
}

#[test]
fn each_message_of_one_publisher_comes_once() {
    joining(2, 1, Missing::Nothing);
}

#[test]
fn what_comes_is_whole_where_the_history_is_short() {
    joining(1, 1, Missing::Nothing);
}

/// Two publish into a history that keeps one message: each takes a place of its own, and the one that was there goes once.
#[test]
fn publishers_take_turns_at_one_slot() {
    check(|| {
        let heap = Heap::new(1);
        let publish = |heap: &Heap, id| {
            let kept = heap.history().keep(id).expect("the ring is whole");
            dekker_fence();
            heap.history().help(kept.position);
            (kept.position, kept.replaced)
        };
        let other = Arc::clone(&heap);
        let other = spawn(move || publish(&other, 1));
        let mut both = [publish(&heap, 0), joined(other)];
        both.sort_unstable();
        let [(first, nothing), (second, replaced)] = both;
        assert_eq!((first, nothing, second), (0, None, 1));
        assert!(replaced.is_some());
    });
}

#[test]
#[should_panic = "a message is missing"]
fn without_the_publishers_fence() {
    joining(2, 1, Missing::PublishersFence);
}

#[test]
#[should_panic = "a message is missing"]
fn without_the_subscribers_fence() {
    joining(2, 1, Missing::SubscribersFence);
}

#[test]
#[should_panic = "a message is missing"]
fn without_notice() {
    joining(2, 1, Missing::Notice);
}

#[test]
#[should_panic = "a message came twice"]
fn without_comparison() {
    joining(2, 1, Missing::Comparison);
}

#[test]
#[should_panic = "a message is missing"]
fn without_the_fence_before_the_tail_moves() {
    joining(2, 2, Missing::FenceBeforeHelp);
}
