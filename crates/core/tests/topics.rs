//! Topics in one process: who gets what, and that nothing is left behind.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    BufferPtr, Delivery, ErrorKind, Interest, Overflow, PortQueue, QueueOptions, SendOutcome, ShmManager,
    SubscribeOptions, TakeOutcome, Topic, TopicOptions, TryPublishError,
};
use std::sync::Arc;
use support::{Isolated, PATIENCE, used};

fn history(count: u32) -> TopicOptions {
    TopicOptions { history: Some(count), ..TopicOptions::default() }
}

fn subscription(capacity: u32, overflow: Overflow) -> SubscribeOptions {
    SubscribeOptions { capacity: Some(capacity), overflow: Some(overflow), ..SubscribeOptions::default() }
}

fn named(name: &str) -> SubscribeOptions {
    SubscribeOptions { name: Some(name.to_owned()), ..SubscribeOptions::default() }
}

fn message(shm: &ShmManager, sequence: u64) -> BufferPtr {
    let mut buffer = shm.allocate(64).unwrap();
    buffer.set_sequence(sequence);
    buffer
}

/// A message that nobody takes comes back.
fn refused(shm: &ShmManager, topic: &Topic) -> SendOutcome {
    let TryPublishError { published, .. } = topic.try_publish(message(shm, 0)).unwrap_err();
    assert_eq!((published.accepted, published.delivered), (0, 0));
    published.outcome.unwrap()
}

fn publish(shm: &ShmManager, topic: &Topic, sequences: std::ops::Range<u64>) -> (usize, usize) {
    let (mut delivered, mut dropped) = (0, 0);
    for sequence in sequences {
        let published = topic.try_publish(message(shm, sequence)).unwrap();
        assert!(matches!(published.outcome, Ok(SendOutcome::Done)), "{published:?}");
        delivered += published.delivered;
        dropped += published.dropped;
    }
    (delivered, dropped)
}

fn drain(queue: &Arc<PortQueue>) -> Vec<u64> {
    std::iter::from_fn(|| queue.try_receive().unwrap().0.map(|message| message.sequence())).collect()
}

fn assert_sound(shm: &ShmManager) {
    assert_eq!(shm.fsck().unwrap(), []);
}

#[test]
fn every_subscriber_gets_every_message_in_one_buffer() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    let subscribers: Vec<_> =
        (0..3).map(|_| shm.subscribe("t", &SubscribeOptions::default()).unwrap()).collect();
    assert_eq!(publish(&shm, &topic, 0..10), (30, 0));
    assert_eq!(used(&shm), 10, "one buffer a message");
    for queue in &subscribers {
        assert_eq!(drain(queue), (0..10).collect::<Vec<_>>());
    }
    assert_eq!(used(&shm), 0);
    assert_eq!(shm.snapshot().unwrap().topics[0].published, 10);
    assert_eq!(publish(&shm, &topic, 0..1), (3, 0));
    topic.destroy();
    assert_sound(&shm);
    for queue in &subscribers {
        assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Destroyed);
    }
    drop((subscribers, topic));
    assert_eq!(used(&shm), 0);
    drop(shm);
    isolated.assert_gone();
}

#[test]
fn a_message_without_takers_is_freed() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    assert_eq!(publish(&shm, &topic, 0..100), (0, 0));
    assert_eq!(used(&shm), 0);
    assert_sound(&shm);
}

#[test]
fn who_comes_late_gets_the_history_and_then_the_rest() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &history(4)).unwrap();
    publish(&shm, &topic, 0..2);
    let early = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    publish(&shm, &topic, 2..10);
    let late = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    let narrow = shm.subscribe("t", &subscription(2, Overflow::DropOldest)).unwrap();
    publish(&shm, &topic, 10..11);
    assert_eq!(drain(&early), (0..11).collect::<Vec<_>>());
    assert_eq!(drain(&late), (6..11).collect::<Vec<_>>());
    assert_eq!(drain(&narrow), [9, 10], "no more than it has room for");
    assert_eq!(used(&shm), 4, "the history");
    assert_sound(&shm);
    topic.destroy();
    drop(topic);
    assert_eq!(used(&shm), 3, "rings of ended subscriptions that somebody has open");
    drop((early, late, narrow));
    assert_eq!(used(&shm), 0);
}

#[test]
fn a_subscription_may_come_before_its_topic() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let queue = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    assert!(shm.find_topic("t").unwrap().is_none());
    assert!(!shm.snapshot().unwrap().topics[0].exists);
    let topic = shm.topic("t", &history(4)).unwrap();
    publish(&shm, &topic, 0..10);
    assert_eq!(drain(&queue), (0..10).collect::<Vec<_>>());
    assert!(shm.port_queue("t", &Default::default()).unwrap().is_empty(), "queues have names of their own");
    assert_sound(&shm);
}

#[test]
fn a_full_subscriber_is_treated_by_its_own_policy() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    let policies = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Reject, Overflow::Latest];
    let queues = policies.map(|policy| shm.subscribe("t", &subscription(4, policy)).unwrap());
    let (delivered, dropped) = publish(&shm, &topic, 0..10);
    assert_eq!((delivered, dropped), (10 + 4 + 4 + 10, 6 + 6));
    let expected: [&[u64]; 4] = [&[6, 7, 8, 9], &[0, 1, 2, 3], &[0, 1, 2, 3], &[9]];
    let gaps = [6, 6, 6, 9];
    for ((queue, expected), gap) in queues.iter().zip(expected).zip(gaps) {
        let mut out = [millrace::Received::default(); 8];
        let (count, _) = queue.receive(&mut out).unwrap();
        assert_eq!(out[0].gap, gap, "{queue:?}");
        assert_eq!(count, expected.len());
        shm.allocator().release_all(out[..count].iter().map(|r| r.buffer)).1.unwrap();
    }
    let blocking = shm.subscribe("t", &subscription(2, Overflow::Block)).unwrap();
    publish(&shm, &topic, 10..12);
    let TryPublishError { published, buffer } = topic.try_publish(message(&shm, 12)).unwrap_err();
    assert!(matches!(published.outcome, Ok(SendOutcome::Full)));
    assert_eq!((published.accepted, published.delivered, published.blocked.len()), (0, 4, 1));
    assert!(Arc::ptr_eq(&published.blocked[0], &blocking));
    assert_eq!(drain(&blocking), [10, 11]);
    published.blocked[0].try_send(buffer).unwrap();
    assert_eq!(drain(&blocking), [12]);
    queues.iter().for_each(|queue| drop(drain(queue)));
    assert_eq!(used(&shm), 0);
    assert_sound(&shm);
}

#[test]
fn what_is_passed_over_was_sent_and_dropped_and_never_received() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    let queue = shm.subscribe("t", &subscription(2, Overflow::Block)).unwrap();
    publish(&shm, &topic, 0..2);
    for sequence in 2..5 {
        let TryPublishError { published, .. } = topic.try_publish(message(&shm, sequence)).unwrap_err();
        published.blocked.iter().for_each(|queue| topic.pass_over(queue));
    }
    let counts = || queue.stats().map(|stats| (stats.sent, stats.received, stats.dropped, stats.depth));
    assert_eq!(counts(), Some((5, 0, 3, 2)));
    assert_eq!(drain(&queue), [0, 1]);
    assert_eq!(counts(), Some((5, 2, 3, 0)));
}

#[test]
fn a_named_subscription_goes_on_collecting() {
    let isolated = Isolated::new("topic");
    let keeper = isolated.open();
    let topic = keeper.topic("t", &history(2)).unwrap();
    publish(&keeper, &topic, 0..3);
    let shm = isolated.open();
    let both = [
        shm.subscribe("t", &named("log")).unwrap(),
        shm.subscribe("t", &SubscribeOptions::default()).unwrap(),
    ];
    assert!(Arc::ptr_eq(&both[0], &shm.subscribe("t", &named("log")).unwrap()), "one end");
    assert_eq!(both[0].try_receive().unwrap().0.unwrap().sequence(), 1);
    drop((both, shm));
    publish(&keeper, &topic, 3..5);
    assert_eq!(keeper.snapshot().unwrap().topics[0].subscriptions.len(), 1, "the other has ended");
    let wrong = SubscribeOptions { capacity: Some(7), ..named("log") };
    assert_eq!(keeper.subscribe("t", &wrong).unwrap_err().kind(), ErrorKind::OptionsMismatch);
    let again = keeper.subscribe("t", &named("log")).unwrap();
    assert_eq!(drain(&again), [2, 3, 4], "what it had not received, and what came since");
    assert!(keeper.unsubscribe("t", "log").unwrap() && !keeper.unsubscribe("t", "log").unwrap());
    assert!(again.is_destroyed());
    publish(&keeper, &topic, 5..6);
    drop(again);
    assert_eq!(used(&keeper), 2);
    assert_sound(&keeper);
}

#[test]
fn at_least_once_is_an_option_of_each_subscriber() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &history(2)).unwrap();
    publish(&shm, &topic, 0..2);
    let sure =
        SubscribeOptions { delivery: Some(Delivery::AtLeastOnce), max_deliveries: Some(2), ..named("sure") };
    let queue = shm.subscribe("t", &sure).unwrap();
    for attempt in 1..=2 {
        let message = queue.try_receive().unwrap().0.unwrap();
        assert_eq!((message.sequence(), message.attempt()), (0, attempt), "the history is leased, too");
        message.nack().unwrap();
    }
    assert_eq!(queue.try_receive().unwrap().0.unwrap().sequence(), 1);
    let dead = shm.find_queue("t.sure.dead").unwrap().unwrap();
    assert_eq!(drain(&dead), [0]);
    let nameless = SubscribeOptions { name: None, ..sure };
    assert_eq!(shm.subscribe("t", &nameless).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_sound(&shm);
}

#[test]
fn options_that_differ_are_errors_that_name_both() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let json = TopicOptions { codec: Some("json".to_owned()), type_id: Some(7), ..history(10) };
    let topic = shm.topic("t", &json).unwrap();
    assert_eq!(topic.options().history, Some(16), "rounded up");
    shm.topic("t", &json).unwrap();
    shm.topic("t", &TopicOptions::default()).unwrap();
    let other = isolated.open();
    for (wrong, words) in [
        (history(32), ["history 16", "32 was asked for"]),
        (TopicOptions { codec: Some("v8".to_owned()), ..TopicOptions::default() }, ["\"json\"", "\"v8\""]),
        (TopicOptions { type_id: Some(8), ..TopicOptions::default() }, ["type id 7", "8 was"]),
    ] {
        for shm in [&shm, &other] {
            let error = shm.topic("t", &wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OptionsMismatch);
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
    }
    for name in ["a".repeat(32), "no spaces".to_owned()] {
        assert_eq!(shm.subscribe("t", &named(&name)).unwrap_err().kind(), ErrorKind::InvalidName);
    }
    assert_eq!(shm.topic("t u", &history(1)).unwrap_err().kind(), ErrorKind::InvalidName);
    assert_eq!(shm.topic("u", &history(1 << 21)).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn after_the_end_there_is_what_was_published_before() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &history(2)).unwrap();
    let early = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    publish(&shm, &topic, 0..3);
    topic.close();
    assert_eq!(refused(&shm, &topic), SendOutcome::Closed);
    let late = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    for (queue, expected) in [(&early, 0..3), (&late, 1..3)] {
        assert_eq!(drain(queue), expected.collect::<Vec<_>>());
        assert_eq!(queue.try_receive().unwrap().1, TakeOutcome::Closed);
    }
    topic.destroy();
    assert_eq!(refused(&shm, &topic), SendOutcome::Destroyed);
    let anew = shm.topic("t", &TopicOptions::default()).unwrap();
    assert!(!anew.is_closed(), "the name is free again");
    assert_sound(&shm);
}

/// Subscribers come and go while two publishers publish: each gets, of each publisher, a run without gap and without duplicate.
#[test]
fn who_joins_under_load_misses_nothing_from_then_on() {
    const MESSAGES: u64 = 20_000;
    for kept in [0, 1, 8] {
        let isolated = Isolated::new("topic");
        let shm = isolated.open();
        let topic = shm.topic("t", &history(kept)).unwrap();
        std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..2_u64)
                .map(|me| {
                    let isolated = &isolated;
                    scope.spawn(move || {
                        let shm = isolated.open();
                        let topic = shm.topic("t", &TopicOptions::default()).unwrap();
                        for sequence in 0..MESSAGES {
                            topic.try_publish(message(&shm, me << 32 | sequence)).unwrap();
                        }
                    })
                })
                .collect();
            let mut rounds = 0;
            while !publishers.iter().all(|publisher| publisher.is_finished()) {
                let queue = shm.subscribe("t", &subscription(1 << 16, Overflow::DropNewest)).unwrap();
                let mut next = [None; 2];
                for _ in 0..200 {
                    if !queue.wait(Interest::Data, std::time::Duration::from_millis(1)) {
                        continue;
                    }
                    let Some(message) = queue.try_receive().unwrap().0 else { continue };
                    let (publisher, sequence) =
                        ((message.sequence() >> 32) as usize, message.sequence() & 0xffff_ffff);
                    let expected = next[publisher].replace(sequence + 1);
                    assert_eq!(
                        expected.unwrap_or(sequence),
                        sequence,
                        "history {kept}, publisher {publisher}"
                    );
                }
                queue.destroy();
                rounds += 1;
            }
            assert!(rounds > 0);
        });
        assert_eq!(used(&shm), u64::from(kept), "history {kept}");
        assert_sound(&shm);
        topic.destroy();
        drop((topic, shm));
        isolated.assert_gone();
    }
}

#[test]
fn a_waiting_subscriber_is_woken() {
    let isolated = Isolated::new("topic");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    let queue = shm.subscribe("t", &SubscribeOptions::default()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(queue.wait(Interest::Data, PATIENCE)));
        publish(&shm, &topic, 0..1);
    });
    assert_eq!(drain(&queue), [0]);
}

#[test]
fn a_publisher_lets_go_of_subscriptions_that_have_ended_outside_its_operation() {
    let isolated = Isolated::new("ended");
    let (shm, other) = (isolated.open(), isolated.open());
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    for round in 0..3 {
        let queue = other.subscribe("t", &subscription(4, Overflow::Block)).unwrap();
        assert_eq!(publish(&shm, &topic, 0..2), (2, 0), "round {round}");
        // The publisher has the last end: in a debug build it must not pin again to let go of it.
        queue.destroy();
        drop(queue);
        assert_eq!(publish(&shm, &topic, 2..4), (0, 0), "round {round}");
    }
    assert_sound(&shm);
}

/// Dead letters of subscription `s` of topic `t` go to `t.s.dead`, whether the receiver came to the subscription's queue by its name or,
/// as a publisher, by its topic.
#[test]
fn a_subscription_is_called_the_same_whoever_opened_it_first() {
    let isolated = Isolated::new("called");
    let (other, shm) = (isolated.open(), isolated.open());
    let options = SubscribeOptions {
        name: Some("s".into()),
        delivery: Some(Delivery::AtLeastOnce),
        max_deliveries: Some(1),
        ..SubscribeOptions::default()
    };
    let theirs = other.subscribe("t", &options).unwrap();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    publish(&shm, &topic, 5..6);
    let queue = shm.subscribe("t", &options).unwrap();
    assert_eq!((queue.name(), theirs.name()), ("t.s", "t.s"));
    queue.try_receive().unwrap().0.unwrap().nack().unwrap();
    assert!(queue.try_receive().unwrap().0.is_none());
    let dead = shm.find_queue("t.s.dead").unwrap().expect("it was made for the dead letter");
    assert_eq!(drain(&dead), [5]);
    assert!(shm.find_queue("t.dead").unwrap().is_none());
}

/// A message that is leased and cannot be shared once more comes back with its lease.
#[test]
fn what_cannot_be_published_comes_back() {
    let isolated = Isolated::new("back");
    let shm = isolated.open();
    let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
    let queue = shm.port_queue("q", &options).unwrap();
    queue.try_send(message(&shm, 3)).unwrap();
    let leased = queue.try_receive().unwrap().0.unwrap();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    topic.close();
    let refused = topic.try_publish(leased).unwrap_err();
    assert!(matches!(refused.published.outcome, Ok(SendOutcome::Closed)));
    refused.buffer.nack().unwrap();
    assert_eq!(drain(&queue), [3]);
    assert_eq!(used(&shm), 0);
}
