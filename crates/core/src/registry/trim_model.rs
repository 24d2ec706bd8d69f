//! Models of a mapping that goes: see [`crate::sync::model`]. `Participant::pool` within a pin, against `buffer/trim.rs`, `unlist`, and
//! `Domain::drop_stale_pools`, word by word.

use crate::sync::model::{Arc, Plain, check, joined, spawn};
use crate::sync::{AtomicU32, Ordering, dekker_fence, fence};

/// What takes part of a domain with one participant and one segment.
struct Heap {
    recovering: AtomicU32,
    lane: AtomicU32,
    attached: AtomicU32,
    /// 0: the segment has been taken out.
    listed: AtomicU32,
    /// Read by operations, written when it is let go of: the two must not meet.
    mapping: Plain,
}

/// What may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    LookAtLanes,
    ClearingTheBit,
    ReleaseOfTheTable,
}

impl Heap {
    /// One operation on the segment.
    fn operate(&self) {
        self.lane.fetch_add(1, Ordering::SeqCst);
        // Loom does not know that the two accesses are in one total order with the trimmer's.
        dekker_fence();
        if self.recovering.load(Ordering::SeqCst) == 0 && self.attached.load(Ordering::Acquire) != 0 {
            self.mapping.read();
        }
        self.lane.fetch_sub(1, Ordering::Release);
    }

    fn trim(&self, missing: Missing) {
        self.recovering.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if missing == Missing::LookAtLanes || self.lane.load(Ordering::SeqCst) == 0 {
            if missing != Missing::ClearingTheBit {
                self.attached.swap(0, Ordering::Relaxed);
            }
            let order =
                if missing == Missing::ReleaseOfTheTable { Ordering::Relaxed } else { Ordering::Release };
            self.listed.store(0, order);
        }
        self.recovering.swap(0, Ordering::SeqCst);
    }

    /// What the sentinel of the participant does, whenever it runs.
    fn drop_stale(&self) {
        if self.listed.load(Ordering::Acquire) == 0 {
            self.mapping.write(0);
        }
    }
}

fn trimmed(missing: Missing) {
    check(move || {
        let heap = Arc::new(Heap {
            recovering: AtomicU32::new(0),
            lane: AtomicU32::new(0),
            attached: AtomicU32::new(1),
            listed: AtomicU32::new(1),
            mapping: Plain::default(),
        });
        let (operator, sentinel) = (Arc::clone(&heap), Arc::clone(&heap));
        let operator = spawn(move || operator.operate());
        let sentinel = spawn(move || sentinel.drop_stale());
        heap.trim(missing);
        joined(operator);
        joined(sentinel);
    });
}

#[test]
fn nobody_uses_a_mapping_that_goes() {
    trimmed(Missing::Nothing);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_look_at_the_lanes() {
    trimmed(Missing::LookAtLanes);
}

#[test]
#[should_panic = "Causality violation"]
fn without_clearing_the_bit() {
    trimmed(Missing::ClearingTheBit);
}

#[test]
#[should_panic = "Causality violation"]
fn without_the_release_of_the_table() {
    trimmed(Missing::ReleaseOfTheTable);
}
