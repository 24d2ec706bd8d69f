//! What a topic keeps is damaged: those who come late get the rest, or an error.

use super::*;
use crate::layout::Slot;
use crate::queue::RingView;
use crate::registry::Domain;
use crate::{OpenOptions, ShmManager, TopicOptions};
use std::path::PathBuf;

/// A domain with a topic that keeps three messages, and another look at it.
struct Scene {
    base: PathBuf,
    shm: ShmManager,
    domain: Domain,
    kept: Vec<u32>,
}

impl Scene {
    fn new(label: &str) -> Self {
        let base = std::env::temp_dir().join(format!("millrace-kept-{label}-{}", std::process::id()));
        let options = OpenOptions { directory: Some(base.clone()), ..OpenOptions::default() };
        let shm = ShmManager::open("kept", &options).unwrap();
        let options = TopicOptions { history: Some(4), ..TopicOptions::default() };
        let topic = shm.topic("news", &options).unwrap();
        let publish = |sequence| {
            let mut buffer = shm.allocate(10).unwrap();
            buffer.set_sequence(sequence);
            let id = buffer.id();
            topic.try_publish(buffer).unwrap();
            id
        };
        let kept = (0..3).map(publish).collect();
        let dir = crate::segment::DomainDir::existing(&base, "kept").unwrap();
        Self { base, shm, domain: Domain::open("kept", dir, |_, _| {}).unwrap(), kept }
    }

    fn slots(&self) -> RingView {
        let (segment, index) = split_id(self.domain.find_all(Kind::Topic, "news").next().unwrap().ring);
        RingView::new(&self.domain.pool(segment).unwrap().unwrap(), index).unwrap().unwrap().0
    }

    fn remove(self) {
        drop((self.domain, self.shm));
        std::fs::remove_dir_all(self.base).unwrap();
    }
}

#[test]
fn a_kept_message_without_references_is_skipped() {
    let scene = Scene::new("refs");
    let (segment, index) = split_id(scene.kept[1]);
    let pool = scene.domain.pool(segment).unwrap().unwrap();
    pool.header(index).unwrap().refs.store(0, Ordering::Relaxed);
    let queue = scene.shm.subscribe("news", &SubscribeOptions::default()).unwrap();
    let received = std::iter::from_fn(|| queue.try_receive().unwrap().0).map(|message| message.sequence());
    assert_eq!(received.collect::<Vec<_>>(), [0, 2]);
    drop(queue);
    scene.remove();
}

#[test]
fn a_history_that_is_always_gone_is_an_error() {
    let scene = Scene::new("gone");
    let view = scene.slots();
    for slot in view.slots() {
        slot.store(Slot::free(1 << 24).0, Ordering::Relaxed);
    }
    let refused = scene.shm.subscribe("news", &SubscribeOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    scene.remove();
}
