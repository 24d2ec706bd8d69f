//! Options of a queue that is there: they are those of whoever asks for them first, and change nothing that is in it.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Delivery, ErrorKind, Overflow, PortQueue, QueueOptions, TakeOutcome, TrySendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::queues::{at_least_once, capacity, clean, send, sequences, take};
use support::{Isolated, used};

#[test]
fn what_somebody_asks_for_meanwhile_is_not_forgotten() {
    let isolated = Isolated::new("resize-named");
    let (shm, other) = (isolated.open(), isolated.open());
    let ends = AtomicBool::new(false);
    let queue = std::sync::Mutex::new(shm.port_queue("q", &QueueOptions::default()).unwrap());
    let asks = |delivery| QueueOptions { delivery: Some(delivery), ..QueueOptions::default() };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for slots in [32, 64].into_iter().cycle() {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                let now = queue.lock().unwrap().clone();
                if let Err(error) = now.resize(slots) {
                    assert!(matches!(error.kind(), ErrorKind::Destroyed | ErrorKind::Timeout), "{error}");
                }
            }
        });
        for round in 0..500 {
            other.port_queue("q", &asks(Delivery::AtMostOnce)).unwrap();
            let refused = other.port_queue("q", &asks(Delivery::AtLeastOnce));
            assert!(refused.is_err_and(|e| e.kind() == ErrorKind::OptionsMismatch), "round {round}");
            let mut now = queue.lock().unwrap();
            now.destroy();
            *now = shm.port_queue("q", &QueueOptions::default()).unwrap();
        }
        ends.store(true, Ordering::Relaxed);
    });
}

#[test]
fn options_that_exclude_each_other_are_a_mismatch() {
    let isolated = Isolated::new("resize-exclude");
    let (shm, other) = (isolated.open(), isolated.open());
    let limit = QueueOptions { limit: Some(3), ..QueueOptions::default() };
    let range = QueueOptions { max_capacity: Some(8), ..capacity(2) };
    let drops = QueueOptions { overflow: Some(Overflow::DropOldest), ..QueueOptions::default() };
    for (at, (first, second)) in
        [(&limit, &range), (&range, &limit), (&drops, &range)].into_iter().enumerate()
    {
        let queue = format!("q{at}");
        shm.port_queue(&queue, first).unwrap();
        let refused = other.port_queue(&queue, second).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OptionsMismatch, "{refused}");
    }
    let both = QueueOptions { limit: Some(3), ..range };
    assert_eq!(shm.port_queue("q0", &both).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn options_are_those_of_whoever_asks_for_them_first() {
    let isolated = Isolated::new("resize-adopt");
    let (shm, other) = (isolated.open(), isolated.open());
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    (0..3).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    let held = take(&queue).unwrap();
    let asked = QueueOptions {
        type_id: Some(5),
        max_deliveries: Some(3),
        producers: Some(1),
        consumers: Some(1),
        ..at_least_once(8)
    };
    let theirs = other.port_queue("q", &asked).unwrap();
    assert_eq!((theirs.options().capacity, theirs.options().max_deliveries), (8, 3));
    assert_eq!(theirs.options().type_id, 5);
    clean(&shm);
    // It is the one who has sent, and the one who has received.
    assert!(take_as(&theirs).is_err() && other.allocate(1).is_ok_and(|b| theirs.try_send(b).is_err()));
    let message = take(&queue).unwrap();
    assert_eq!((message.sequence(), message.attempt()), (1, 1));
    message.nack().unwrap();
    assert_eq!(take(&queue).unwrap().attempt(), 2);
    drop(held);
    assert_eq!(sequences(&queue), [2]);
    assert!(queue.is_idle());
    let refused = shm.port_queue("q", &capacity(16)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OptionsMismatch);
    assert!(refused.to_string().contains("exists with capacity 8, 16 was asked for"), "{refused}");
    let more = QueueOptions { max_deliveries: Some(3), ..QueueOptions::default() };
    assert!(shm.port_queue("q", &more).is_ok(), "it is at-least-once");
    assert!(shm.port_queue("q", &QueueOptions { limit: Some(5), ..capacity(8) }).is_ok(), "left out before");
    assert_eq!(queue.instead().unwrap().options().limit, 5);
    // Two have sent: nobody is the one.
    let free = shm.port_queue("free", &QueueOptions::default()).unwrap();
    let theirs_too = other.find_queue("free").unwrap().unwrap();
    assert!(send(&shm, &free, 1) && send(&other, &theirs_too, 2));
    let one = QueueOptions { producers: Some(1), ..QueueOptions::default() };
    let refused = shm.port_queue("free", &one).unwrap_err();
    assert!(refused.to_string().contains("2 participants are"), "{refused}");
    drop((queue, theirs, free, theirs_too));
    for name in ["q", "free"] {
        shm.find_queue(name).unwrap().unwrap().destroy();
    }
    assert_eq!(used(&shm), 0);
    clean(&shm);
}

#[test]
fn a_closed_queue_takes_options_too_and_stays_closed() {
    let isolated = Isolated::new("resize-closed");
    let (shm, other) = (isolated.open(), isolated.open());
    let delivery = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
    let queue = shm.port_queue("q", &delivery).unwrap();
    (0..6).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    let held = take(&queue).unwrap();
    take(&queue).unwrap().nack().unwrap();
    queue.close();
    let asked = QueueOptions { type_id: Some(1), max_deliveries: Some(5), ..capacity(8) };
    let theirs = other.port_queue("q", &asked).unwrap();
    assert_eq!((theirs.options().type_id, theirs.options().capacity), (1, 8));
    assert!(queue.has_been_replaced() && queue.is_closed() && theirs.is_closed());
    assert!(matches!(theirs.try_send(other.allocate(1).unwrap()), Err(TrySendError::Closed(_))));
    assert_eq!(theirs.resize(16).unwrap_err().kind(), ErrorKind::Closed);
    clean(&shm);
    assert_eq!(sequences(&theirs), [1, 2, 3, 4, 5]);
    assert_eq!(theirs.try_receive().unwrap().1, TakeOutcome::Empty, "one is held");
    held.nack().unwrap();
    assert_eq!(sequences(&queue), [0]);
    assert_eq!(theirs.try_receive().unwrap().1, TakeOutcome::Closed);
    queue.destroy();
    assert!(other.port_queue("q", &QueueOptions { type_id: Some(2), ..delivery }).is_ok(), "a new one");
    clean(&shm);
}

#[test]
fn a_default_codec_is_named_in_place_and_is_nobodys_wish() {
    let isolated = Isolated::new("resize-codec");
    let (shm, other) = (isolated.open(), isolated.open());
    let default = || QueueOptions { default_codec: Some("v8".to_owned()), ..QueueOptions::default() };
    let naming = |codec: &str| QueueOptions { codec: Some(codec.to_owned()), ..default() };
    let queue = shm.port_queue("q", &default()).unwrap();
    assert_eq!((&*queue.options_meant().codec, queue.is_codec_open()), ("v8", true));
    let theirs = other.port_queue("q", &naming("v8")).unwrap();
    assert!(!theirs.has_been_replaced() && !queue.has_been_replaced(), "there was nothing to change");
    assert!(!queue.is_codec_open());
    let refused = shm.port_queue("q", &naming("json")).unwrap_err();
    assert!(refused.to_string().contains("exists with codec \"v8\", \"json\" was asked for"), "{refused}");
    // Another may be named, by whoever is the first.
    let queue = shm.port_queue("named", &default()).unwrap();
    let theirs = other.port_queue("named", &naming("json")).unwrap();
    assert_eq!((&*theirs.options_meant().codec, queue.has_been_replaced()), ("json", true));
    // What is sent without one is bytes, whatever the default is.
    let queue = shm.port_queue("sent", &default()).unwrap();
    assert!(send(&shm, &queue, 1));
    assert_eq!((&*queue.options_meant().codec, queue.is_codec_open()), ("", false));
    let refused = other.port_queue("sent", &naming("v8")).unwrap_err();
    assert!(refused.to_string().contains("exists with codec \"bytes\", \"v8\" was asked for"), "{refused}");
    queue.resize(8).unwrap();
    assert_eq!(&*queue.options_meant().codec, "");
    assert!(other.port_queue("sent", &naming("bytes")).is_ok());
    clean(&shm);
}

#[test]
fn more_messages_than_are_asked_for_are_no_difference() {
    let isolated = Isolated::new("resize-narrow");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions { limit: Some(0), ..QueueOptions::default() }).unwrap();
    (0..100).for_each(|sequence| assert!(send(&shm, &queue, sequence)));
    let asked = QueueOptions { limit: Some(0), ..capacity(64) };
    for _ in 0..2 {
        assert_eq!(shm.port_queue("q", &asked).unwrap().options().limit, 64);
    }
    assert!(shm.port_queue("q", &capacity(128)).is_err(), "it is to have 64");
    let consumers = QueueOptions { consumers: Some(1), ..QueueOptions::default() };
    assert_eq!(shm.port_queue("q", &consumers).unwrap().options().capacity, 128, "they are still there");
    assert_eq!(sequences(&queue), (0..100).collect::<Vec<_>>());
    let typed = QueueOptions { type_id: Some(1), ..QueueOptions::default() };
    let now = shm.port_queue("q", &typed).unwrap();
    assert_eq!((now.options().capacity, now.options().limit), (64, 0));
}

#[test]
fn a_codec_is_named_before_anything_is_sent() {
    let isolated = Isolated::new("resize-codec");
    let (shm, other) = (isolated.open(), isolated.open());
    let of = |codec: &str| QueueOptions { codec: Some(codec.into()), ..QueueOptions::default() };
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    assert!(queue.is_codec_open());
    assert_eq!(other.port_queue("q", &of("json")).unwrap().options().codec, "json");
    assert!(!queue.is_codec_open());
    let bytes = shm.port_queue("bytes", &QueueOptions::default()).unwrap();
    assert!(send(&shm, &bytes, 1) && !bytes.is_codec_open());
    let refused = other.port_queue("bytes", &of("json")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OptionsMismatch);
    assert_eq!(other.port_queue("bytes", &of("bytes")).unwrap().options().codec, "bytes");
    assert_eq!(sequences(&bytes), [1]);
}

fn take_as(queue: &Arc<PortQueue>) -> millrace::Result<()> {
    queue.try_receive().map(drop)
}
