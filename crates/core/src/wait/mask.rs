//! The waiter mask: who sleeps until a queue, the pool or the name table changes.

use crate::fault::{self, Point};
use crate::layout::WaiterMask;
use crate::limits::MAX_PARTICIPANTS;
use crate::sync::{AtomicU64, Ordering, dekker_fence};

impl WaiterMask {
    fn bit(&self, slot: usize) -> (&AtomicU64, u64) {
        (&self.words[slot / 64 % self.words.len()], 1 << (slot % 64))
    }

    /// Raises `slot`'s bit. The caller must look at the state again before it sleeps.
    pub(crate) fn set(&self, slot: usize) {
        let (word, bit) = self.bit(slot);
        // SYNC W1 (release + fence), pairs with W2: the state is read after this by us, the mask after the state's change
        // by the waker; see the module doc.
        word.fetch_or(bit, Ordering::AcqRel);
        dekker_fence();
        fault::hit(Point::WaitArmed);
    }

    /// Lowers `slot`'s bit. `false`: a waker has taken it, so a notification meant for one consumer is on its way here.
    pub(crate) fn clear(&self, slot: usize) -> bool {
        let (word, bit) = self.bit(slot);
        word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    /// Whether `slot`'s bit is still up: no waker has taken it.
    pub(crate) fn is_set(&self, slot: usize) -> bool {
        let (word, bit) = self.bit(slot);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Whether anybody sleeps: for whoever has to look closer before it wakes somebody.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // SYNC W2 (fence), pairs with W1.
        dekker_fence();
        self.words.iter().any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Takes the bits of up to `count` sleepers and passes each to `notify`. `from` rotates who is first, so that nobody starves.
    /// Costs two loads when nobody sleeps.
    #[inline]
    pub(crate) fn wake(&self, count: usize, from: usize, notify: impl FnMut(usize)) {
        if self.any() {
            self.wake_slow(count, from, notify);
        }
    }

    #[cold]
    fn wake_slow(&self, mut count: usize, from: usize, mut notify: impl FnMut(usize)) {
        let [low, high] = &self.words;
        let sleepers =
            u128::from(high.load(Ordering::Relaxed)) << 64 | u128::from(low.load(Ordering::Relaxed));
        let mut sleepers = sleepers.rotate_right(from as u32);
        while sleepers != 0 && count > 0 {
            let slot = (sleepers.trailing_zeros() as usize + from) % MAX_PARTICIPANTS;
            sleepers &= sleepers - 1;
            if self.clear(slot) {
                fault::hit(Point::WakeTaken);
                notify(slot);
                count -= 1;
            }
        }
    }
}

const _: () = assert!(MAX_PARTICIPANTS == u128::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> WaiterMask {
        WaiterMask { words: [AtomicU64::new(0), AtomicU64::new(0)], waits: AtomicU64::new(0) }
    }

    #[test]
    fn wakes_as_many_as_asked_starting_at_from() {
        let mask = mask();
        for slot in [3, 64, 127] {
            mask.set(slot);
        }
        let mut notified = Vec::new();
        mask.wake(2, 4, |slot| notified.push(slot));
        assert_eq!(notified, [64, 127]);
        mask.wake(usize::MAX, 4, |slot| notified.push(slot));
        assert_eq!(notified, [64, 127, 3]);
        mask.wake(1, 0, |_| panic!("nobody is left"));
    }

    #[test]
    fn a_bit_is_taken_once() {
        let mask = mask();
        mask.set(5);
        assert!(mask.clear(5));
        assert!(!mask.clear(5));
    }
}
