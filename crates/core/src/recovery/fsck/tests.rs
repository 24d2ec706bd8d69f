//! Each kind of disorder, made on purpose in a live domain, is named exactly. What is put back leaves no trace.

use super::*;
use crate::layout::{KIND_DATA, NAME_LIVE, RECOVERING_FOR_GOOD};
use crate::registry::Kind;
use crate::{Delivery, OpenOptions, PortQueue, QueueOptions, ShmManager};
use std::path::PathBuf;
use std::sync::Arc;

/// A domain with a message in queue "queue", a lease of us on queue "leased", and a buffer that we hold.
struct Scene {
    base: PathBuf,
    shm: Option<ShmManager>,
    domain: Domain,
    queue: Option<Arc<PortQueue>>,
    held: u32,
    queued: u32,
    leased: u32,
}

impl Scene {
    fn new(label: &str) -> Self {
        let base = std::env::temp_dir().join(format!("millrace-fsck-{label}-{}", std::process::id()));
        let options = OpenOptions { directory: Some(base.clone()), ..OpenOptions::default() };
        let shm = ShmManager::open("fsck", &options).unwrap();
        let queue = |name: &str, delivery| {
            let options =
                QueueOptions { capacity: Some(4), delivery: Some(delivery), ..QueueOptions::default() };
            shm.port_queue(name, &options).unwrap()
        };
        let (plain, sure) = (queue("queue", Delivery::AtMostOnce), queue("leased", Delivery::AtLeastOnce));
        let send = |queue: &PortQueue| {
            let buffer = shm.allocate(10).unwrap();
            let id = buffer.id();
            queue.try_send(buffer).unwrap();
            id
        };
        let (queued, leased) = (send(&plain), send(&sure));
        std::mem::forget(sure.try_receive().unwrap().0.unwrap());
        let held = shm.allocate(10).unwrap();
        let id = held.id();
        std::mem::forget(held);
        let dir = crate::segment::DomainDir::existing(&base, "fsck").unwrap();
        let domain = Domain::open("fsck", dir, |_, _| {}).unwrap();
        Self { base, shm: Some(shm), domain, queue: Some(plain), held: id, queued, leased }
    }

    fn pool(&self) -> Arc<Pool> {
        self.pool_of(self.held)
    }

    fn pool_of(&self, id: u32) -> Arc<Pool> {
        self.domain.pool(split_id(id).0).unwrap().unwrap()
    }

    fn ring(&self, name: &str) -> RingView {
        let (segment, index) = split_id(self.domain.find_all(Kind::Queue, name).next().unwrap().ring);
        RingView::new(&self.domain.pool(segment).unwrap().unwrap(), index).unwrap().unwrap().0
    }

    fn findings(&self) -> Vec<Finding> {
        let deadline = Duration::from_secs(60);
        fsck(&self.domain, deadline).unwrap()
    }

    /// The one finding.
    fn only(&self) -> Finding {
        let mut findings = self.findings();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.findings(), [], "put back, nothing is off");
        }
        (self.queue, self.shm) = (None, None);
        let left = std::fs::read_dir(&self.base).unwrap().count();
        let _ = std::fs::remove_dir_all(&self.base);
        assert!(left == 0 || std::thread::panicking(), "{left} files are left");
    }
}

/// Changes a word for as long as `look` takes.
fn with<T: Copy>(swap: impl Fn(T) -> T, value: T, look: impl FnOnce()) {
    let before = swap(value);
    look();
    swap(before);
}

#[test]
fn a_domain_at_work_is_clean() {
    let scene = Scene::new("clean");
    assert_eq!(scene.findings(), []);
    assert_eq!(scene.shm.as_ref().unwrap().fsck().unwrap(), []);
    assert!(scene.queue.as_ref().unwrap().try_receive().unwrap().0.is_some());
}

#[test]
fn a_bit_that_nobody_stands_for_is_a_leak() {
    let scene = Scene::new("leak");
    let pool = scene.pool();
    let index = (0..pool.geometry.count).find(|index| !pool.is_allocated(*index)).unwrap();
    let bit = 1 << (index % 64);
    pool.header(index).unwrap().refs.store(0, Ordering::Relaxed);
    pool.bitmap()[index / 64].fetch_or(bit, Ordering::Relaxed);
    let finding = scene.only();
    assert_eq!(finding.kind, FindingKind::Leaked);
    assert_eq!(finding.buffer, Some(buffer_id(pool.index, index)));
    assert_eq!((finding.counted, finding.recorded), (Some(0), Some(0)));
    pool.free(index / 64, bit);
}

#[test]
fn a_bit_that_is_missing_is_held_while_free() {
    let scene = Scene::new("free");
    let (pool, index) = (scene.pool(), split_id(scene.held).1);
    let bit = 1 << (index % 64);
    pool.free(index / 64, bit);
    let finding = scene.only();
    assert_eq!((finding.kind, finding.buffer), (FindingKind::HeldWhileFree, Some(scene.held)));
    assert_eq!((finding.counted, finding.recorded), (Some(1), Some(1)));
    pool.bitmap()[index / 64].fetch_or(bit, Ordering::Relaxed);
}

#[test]
fn a_wrong_count_is_named_with_both_numbers() {
    let scene = Scene::new("count");
    let pool = scene.pool();
    let refs = &pool.header(split_id(scene.queued).1).unwrap().refs;
    with(
        |value| refs.swap(value, Ordering::Relaxed),
        7,
        || {
            let finding = scene.only();
            assert_eq!((finding.kind, finding.buffer), (FindingKind::WrongCount, Some(scene.queued)));
            assert_eq!((finding.counted, finding.recorded), (Some(1), Some(7)));
        },
    );
}

#[test]
fn slots_that_nobody_takes_and_slots_of_no_state_are_named() {
    let scene = Scene::new("slot");
    let ring = scene.ring("queue");
    let word = &ring.slots()[0];
    let ready = Slot(word.load(Ordering::Relaxed));
    for slot in [ready.taken(120), Slot(ready.0 | ready.taken(0).0)] {
        with(
            |value| word.swap(value, Ordering::Relaxed),
            slot.0,
            || {
                let findings = scene.findings();
                let at = |kind| {
                    findings.iter().find(|f| f.kind == kind).unwrap_or_else(|| panic!("{findings:#?}"))
                };
                assert_eq!(at(FindingKind::Slot).buffer, Some(scene.queued));
                assert_eq!(at(FindingKind::Slot).queue.as_deref(), Some("queue"));
                assert_eq!(at(FindingKind::Leaked).buffer, Some(scene.queued));
            },
        );
    }
}

#[test]
fn a_message_that_does_not_exist_is_named_with_its_queue() {
    let scene = Scene::new("unknown");
    let ring = scene.ring("queue");
    let word = &ring.slots()[0];
    let id = buffer_id(63, 5);
    with(
        |value| word.swap(value, Ordering::Relaxed),
        Slot::ready(0, id).0,
        || {
            let findings = scene.findings();
            assert_eq!(findings.len(), 2, "{findings:#?}");
            assert_eq!((findings[0].kind, findings[0].buffer), (FindingKind::UnknownBuffer, Some(id)));
            assert_eq!(findings[0].queue.as_deref(), Some("queue"));
            assert_eq!((findings[1].kind, findings[1].buffer), (FindingKind::Leaked, Some(scene.queued)));
        },
    );
}

#[test]
fn leases_of_nobody_are_named() {
    let scene = Scene::new("lease");
    let ring = scene.ring("leased");
    let leases = ring.leases();
    let entry = leases
        .entries()
        .iter()
        .find(|e| LeaseWord(e.word.load(Ordering::Relaxed)) != LeaseWord::FREE)
        .unwrap();
    // 255 is beyond the table: nobody's row may be looked at for it.
    for word in
        [LeaseWord::leased(7, scene.leased), LeaseWord::leased(255, scene.leased), LeaseWord::reserved(9)]
    {
        with(
            |value| entry.word.swap(value, Ordering::Relaxed),
            word.0,
            || {
                let finding = scene.only();
                assert_eq!((finding.kind, finding.queue.as_deref()), (FindingKind::Lease, Some("leased")));
                assert_eq!(finding.participant, Some(word.owner() as u32));
            },
        );
    }
}

#[test]
fn a_listed_queue_without_a_ring_is_named() {
    let scene = Scene::new("ring");
    let listed = scene.domain.find_all(Kind::Queue, "queue").next().unwrap();
    let pool = scene.pool_of(listed.ring);
    let header = pool.header(split_id(listed.ring).1).unwrap();
    with(
        |value| header.kind.swap(value, Ordering::Relaxed),
        KIND_DATA,
        || {
            let findings = scene.findings();
            assert!(
                findings.iter().any(|f| f.kind == FindingKind::Queue
                    && f.queue.as_deref() == Some("queue")
                    && f.buffer == Some(listed.ring)),
                "{findings:#?}"
            );
            // What was in it is held by nobody.
            assert!(findings.iter().any(|f| f.kind == FindingKind::Leaked && f.buffer == Some(scene.queued)));
        },
    );
    let state = scene.domain.entry(listed).state.load(Ordering::Relaxed);
    assert_eq!(state as u32 & 0xff, NAME_LIVE);
}

#[test]
fn the_ledger_of_nobody_is_named() {
    let scene = Scene::new("stale");
    let (pool, index) = (scene.pool(), split_id(scene.held).1);
    // A second participant comes and goes; its row stays reserved.
    let options = OpenOptions { directory: Some(scene.base.clone()), ..OpenOptions::default() };
    let other = ShmManager::open("fsck", &options).unwrap();
    let slot = other.slot();
    drop(other.allocate(10).unwrap());
    drop(other);
    with(
        |value| pool.row(slot)[index].swap(value, Ordering::Relaxed),
        1,
        || {
            let finding = scene.only();
            assert_eq!((finding.kind, finding.participant), (FindingKind::Participant, Some(slot as u32)));
            assert_eq!((finding.counted, finding.recorded), (Some(1), Some(0)));
        },
    );
}

#[test]
fn a_segment_that_cannot_be_read_is_named() {
    let scene = Scene::new("segment");
    // Attached afresh, so that it is looked at again.
    let link = scene.base.join("fsck").join("pool.0");
    let away = scene.base.join("away");
    std::fs::rename(&link, &away).unwrap();
    let dir = crate::segment::DomainDir::existing(&scene.base, "fsck").unwrap();
    let fresh = Domain::open("fsck", dir, |_, _| {}).unwrap();
    let findings = fsck(&fresh, Duration::from_secs(60)).unwrap();
    std::fs::rename(&away, &link).unwrap();
    assert_eq!(findings[0].kind, FindingKind::Segment, "{findings:#?}");
    assert!(findings[0].message.contains("pool.0"), "{}", findings[0].message);
}

/// The lengths of tables are other processes' words, too: what was found before they fell is used, not indexed again.
#[test]
fn a_lowered_count_of_names_or_participants_panics_nobody() {
    let mut scene = Scene::new("lowered");
    let queue = scene.queue.take().unwrap();
    let registry = scene.domain.registry();
    let (names, participants) = (&registry.names_high, &registry.participants_high);
    let names_before = names.swap(0, Ordering::Relaxed);
    assert!(scene.shm.as_ref().unwrap().find_queue("leased").is_ok());
    assert!(scene.shm.as_ref().unwrap().snapshot().unwrap().queues.is_empty());
    let refused = scene.shm.as_ref().unwrap().port_queue("new", &QueueOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "it would lie on top of another: {refused}");
    names.store(0, Ordering::Relaxed);
    let participants_before = participants.swap(0, Ordering::Relaxed);
    queue.destroy();
    assert!(queue.is_destroyed());
    names.store(names_before, Ordering::Relaxed);
    participants.store(participants_before, Ordering::Relaxed);
    drop(queue);
    assert!(scene.shm.as_ref().unwrap().find_queue("queue").unwrap().is_none());
    assert_eq!(scene.findings(), Vec::new());
}

/// A recoverer died before everybody knew of its dead: who lets everybody go on, if only after a look, announces them before.
#[test]
fn who_finds_a_recovery_abandoned_announces_its_dead() {
    let scene = Scene::new("abandoned");
    let registry = scene.domain.registry();
    let before = registry.departures.load(Ordering::Acquire);
    registry.recovering.store(1 | RECOVERING_FOR_GOOD, Ordering::SeqCst);
    assert_eq!(scene.findings(), Vec::new());
    assert_eq!(registry.recovering.load(Ordering::SeqCst), 0);
    assert_ne!(registry.departures.load(Ordering::Acquire), before);
}
