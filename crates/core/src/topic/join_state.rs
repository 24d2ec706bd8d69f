//! Where a subscription begins: the one word that lets a subscriber take over the history without a gap and without a duplicate while
//! others publish.
//!
//! ```text
//! JOINING(n) --publisher: CAS--> JOINING(n + 1)          "there is more to copy than you may have seen"
//! JOINING(n) --subscriber: CAS--> BEGUN(position)        "copied up to here; from here on, deliver"
//! ```
//!
//! A publisher that has added its message to the history and finds JOINING raises it and leaves the message to the subscriber, who
//! copies on, because its own CAS fails. One that finds BEGUN delivers what was added at `position` or later. So each message comes
//! one way, whoever is stopped or dies meanwhile.

use crate::limits::RING_TRIES_MAX;
use crate::sync::{AtomicU64, Ordering};

const BEGUN: u64 = 1 << 63;

/// The word.
#[derive(Clone, Copy)]
pub(crate) struct JoinState<'a>(pub(crate) &'a AtomicU64);

impl JoinState<'_> {
    /// The word of a subscription that is about to copy.
    pub(crate) const JOINING: u64 = 0;
    /// The word of a subscription that has nothing to copy.
    pub(crate) const AT_ONCE: u64 = BEGUN;

    /// Whether publishers deliver.
    pub(crate) fn has_begun(self) -> bool {
        self.0.load(Ordering::Acquire) & BEGUN != 0
    }

    /// For a publisher that has added a message to the history: from which position on it delivers. `None`: not at all yet, and the
    /// subscriber knows that there is one more.
    pub(crate) fn look(self) -> Option<u64> {
        // SYNC T3 (acquire), pairs with `begin`.
        let mut seen = self.0.load(Ordering::Acquire);
        for _ in 0..RING_TRIES_MAX {
            if seen & BEGUN != 0 {
                return Some(seen & !BEGUN);
            }
            // SYNC T2 (release), pairs with `ticket`: our message was added before.
            let more = seen.wrapping_add(1) & !BEGUN;
            match self.0.compare_exchange(seen, more, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return None,
                Err(now) => seen = now,
            }
        }
        None
    }

    /// For the subscriber: take it, copy what there is, then try to begin with it.
    pub(crate) fn ticket(self) -> u64 {
        // SYNC T2 (acquire), pairs with `look`: the messages of those who have raised it are seen.
        self.0.load(Ordering::Acquire)
    }

    /// Begins at `position`; `false`: somebody has published since the ticket was taken.
    pub(crate) fn begin(self, ticket: u64, position: u64) -> bool {
        // SYNC T3 (release), pairs with `look`.
        self.0.compare_exchange(ticket, position | BEGUN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_in_between_makes_the_subscriber_look_again() {
        let word = AtomicU64::new(JoinState::JOINING);
        let start = JoinState(&word);
        let ticket = start.ticket();
        assert_eq!(start.look(), None);
        assert!(!start.begin(ticket, 7) && !start.has_begun());
        assert!(start.begin(start.ticket(), 8) && start.has_begun());
        assert_eq!(start.look(), Some(8));
        assert_eq!(JoinState(&AtomicU64::new(JoinState::AT_ONCE)).look(), Some(0));
    }
}
