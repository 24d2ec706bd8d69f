use super::*;
use crate::limits::REST_PATIENCE_NS;
use crate::registry::Participant;
use crate::{ErrorKind, OpenOptions, QueueOptions, ShmManager};
use std::sync::Arc;

fn open(domain: &str, name: &str) -> (ShmManager, Arc<Participant>) {
    let options = OpenOptions { name: Some(name.to_owned()), ..OpenOptions::default() };
    let shm = ShmManager::open(domain, &options).unwrap();
    let participant = shm.allocator().participant;
    (shm, participant)
}

#[test]
fn who_is_inside_is_waited_for_and_named() {
    let domain = format!("stop-{}", std::process::id());
    let ((_shm, me), (_other, other)) = (open(&domain, "shm"), open(&domain, "other"));
    let at_rest = || {
        let within = || at_rest_within(&me.domain, 1_000_000, || ()).unwrap();
        // Of a thread that is inside nothing.
        std::thread::scope(|scope| scope.spawn(within).join().unwrap())
    };
    let pin = other.pin().unwrap();
    let World::Moving(hindrance) = at_rest() else { panic!("somebody is inside") };
    assert_eq!(hindrance, Hindrance::Inside(other.slot));
    let told = hindrance.describe(&me.domain);
    let who = format!("\"other\" (process {}) stays inside an operation", std::process::id());
    assert!(told.starts_with(&who), "{told}");
    drop(pin);
    assert!(matches!(at_rest(), World::Stopped(())));
}

#[test]
fn a_change_that_is_asked_for_waits_for_who_gets_no_processor() {
    let domain = format!("stop-change-{}", std::process::id());
    let ((shm, _), (_other, other)) = (open(&domain, "shm"), open(&domain, "other"));
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    let range = QueueOptions { capacity: Some(1), max_capacity: Some(64), ..QueueOptions::default() };
    let range = shm.port_queue("range", &range).unwrap();
    let pin = other.pin().unwrap();
    std::thread::scope(|scope| {
        // What grows by itself is not worth a wait.
        let put = || range.put(std::iter::repeat_n(&b"message"[..], 2)).0;
        assert_eq!(scope.spawn(put).join().unwrap(), 1);
        let resize = scope.spawn(|| queue.resize(64));
        std::thread::sleep(Duration::from_nanos(5 * REST_PATIENCE_NS));
        drop(pin);
        resize.join().unwrap().unwrap();
    });
    assert_eq!(queue.instead().unwrap().options().capacity, 64);
    let _pin = other.pin().unwrap();
    let refused = std::thread::scope(|scope| scope.spawn(|| queue.resize(8)).join().unwrap()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    assert!(
        refused.to_string().starts_with("queue \"q\" cannot be changed now: \"other\" (process "),
        "{refused}"
    );
}

#[test]
fn a_segment_that_was_not_attached_is_looked_at_while_the_world_is_stopped() {
    let domain = format!("stop-attach-{}", std::process::id());
    let (shm, me) = open(&domain, "shm");
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    // As damage leaves it, or a ring that somebody else has put in this one's place.
    me.shared().attached.store(0, crate::sync::Ordering::Relaxed);
    queue.resize(64).unwrap();
    assert_eq!(queue.instead().unwrap().options().capacity, 64);
}
