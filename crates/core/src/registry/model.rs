//! Models of the pin: see [`crate::sync::model`]. A participant lies in a mapped registry, so this is `Participant::enter`, `Pin::drop`
//! and `with_world_stopped` once more, word by word.

use crate::sync::model::{Arc, Plain, check, joined, spawn};
use crate::sync::{AtomicU32, Ordering, dekker_fence, fence};

/// The registry, as far as it takes part, and what two participants work at.
#[derive(Default)]
struct Heap {
    recovering: AtomicU32,
    lanes: [AtomicU32; 2],
    /// A piece of shared memory for each; recovery looks at both and repairs both.
    work: [Plain; 2],
}

/// What may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    PinsFence,
    RecoverersFence,
    LookAtRecovering,
    LaneBeforeLook,
    ReleaseAtLeaving,
    LookAtLanes,
    ClaimForGood,
}

/// The recoverer waits for the others; it may be called off.
const WAITING: u32 = 1;
/// It changes things.
const FOR_GOOD: u32 = 2;

impl Heap {
    /// One operation; `false`: somebody recovers (and it would wait).
    fn operate(&self, me: usize, missing: Missing) -> bool {
        let lane = &self.lanes[me];
        let raise = || {
            lane.fetch_add(1, Ordering::SeqCst);
            // Loom does not know that the two accesses are in one total order with the recoverer's.
            if missing != Missing::PinsFence {
                dekker_fence();
            }
        };
        if missing != Missing::LaneBeforeLook {
            raise();
        }
        let recovering = missing != Missing::LookAtRecovering && self.recovering.load(Ordering::SeqCst) != 0;
        if missing == Missing::LaneBeforeLook {
            raise();
        }
        if !recovering {
            self.work[me].write(self.work[me].read() + 1);
        }
        let order = if missing == Missing::ReleaseAtLeaving { Ordering::Relaxed } else { Ordering::Release };
        lane.fetch_sub(1, order);
        !recovering
    }

    /// One recovery; `false`: somebody stayed inside, or it has been called off.
    fn recover(&self, missing: Missing) -> bool {
        self.recovering.store(WAITING, Ordering::SeqCst);
        if missing != Missing::RecoverersFence {
            fence(Ordering::SeqCst);
        }
        let outside =
            missing == Missing::LookAtLanes || self.lanes.iter().all(|lane| lane.load(Ordering::SeqCst) == 0);
        let quiet = outside
            && (missing == Missing::ClaimForGood
                || self
                    .recovering
                    .compare_exchange(WAITING, FOR_GOOD, Ordering::SeqCst, Ordering::SeqCst)
                    .is_ok());
        if quiet {
            for work in &self.work {
                work.write(work.read() + 10);
            }
        }
        self.recovering.swap(0, Ordering::SeqCst);
        quiet
    }

    /// Somebody has waited long enough for a recoverer that waits itself.
    fn call_off(&self) -> bool {
        self.recovering.compare_exchange(WAITING, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// A participant that waits for nobody: it calls the recoverer off and goes in.
fn called_off(missing: Missing) {
    check(move || {
        let heap = Arc::new(Heap::default());
        let other = Arc::clone(&heap);
        let other = spawn(move || {
            let called_off = other.call_off();
            (called_off, other.operate(0, Missing::Nothing))
        });
        let repaired = heap.recover(missing);
        let (called_off, done) = joined(other);
        assert!(!(called_off && repaired), "who is called off changes nothing");
        assert!(done || !called_off, "who calls off gets in");
        assert_eq!(heap.work[0].read(), u32::from(done) + 10 * u32::from(repaired), "nothing is overwritten");
    });
}

#[test]
fn a_recoverer_that_waits_can_be_called_off() {
    called_off(Missing::Nothing);
}

#[test]
#[should_panic]
fn without_the_claim_for_good() {
    called_off(Missing::ClaimForGood);
}

fn stop_the_world(missing: Missing) {
    check(move || {
        let heap = Arc::new(Heap::default());
        let others: Vec<_> = (0..2)
            .map(|me| {
                let heap = Arc::clone(&heap);
                spawn(move || heap.operate(me, missing))
            })
            .collect();
        let repaired = heap.recover(missing);
        for (me, thread) in others.into_iter().enumerate() {
            let done = u32::from(joined(thread));
            assert_eq!(heap.work[me].read(), done + 10 * u32::from(repaired), "nothing is overwritten");
        }
    });
}

#[test]
fn a_recoverer_is_alone() {
    stop_the_world(Missing::Nothing);
}

/// Whoever is let in after a recovery sees its repairs.
#[test]
fn repairs_are_seen() {
    check(|| {
        let heap = Arc::new(Heap::default());
        let recoverer = Arc::clone(&heap);
        let recoverer = spawn(move || recoverer.recover(Missing::Nothing));
        let (first, second) = (heap.operate(0, Missing::Nothing), heap.operate(0, Missing::Nothing));
        let repaired = joined(recoverer);
        let done = u32::from(first) + u32::from(second);
        assert_eq!(heap.work[0].read(), done + 10 * u32::from(repaired));
    });
}

#[test]
#[should_panic = "Causality violation"]
fn without_the_pins_fence() {
    stop_the_world(Missing::PinsFence);
}

#[test]
#[should_panic = "Causality violation"]
fn without_the_recoverers_fence() {
    stop_the_world(Missing::RecoverersFence);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_look_at_recovering() {
    stop_the_world(Missing::LookAtRecovering);
}

#[test]
#[should_panic = "Causality violation"]
fn without_raising_the_lane_first() {
    stop_the_world(Missing::LaneBeforeLook);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_at_leaving() {
    stop_the_world(Missing::ReleaseAtLeaving);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_look_at_the_lanes() {
    stop_the_world(Missing::LookAtLanes);
}
