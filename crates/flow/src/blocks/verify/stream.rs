//! What has come of one stream: which numbers are missing, came twice or came late.

use std::collections::BTreeMap;

/// Gaps that are kept of one stream. Of more, the oldest are given up: what is in them stays lost.
const GAPS_MAX: usize = 65_536;

/// What has been counted of one stream of test messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Messages that came, whatever they were like.
    pub received: u64,
    /// Messages that have not come: numbers that were left out so far and, once the stream has ended, those at its end.
    pub lost: u64,
    /// Messages that came again, though nobody had to deliver them again.
    pub duplicated: u64,
    /// Messages that came after one with a higher number.
    pub reordered: u64,
    /// Messages whose body is damaged.
    pub corrupted: u64,
    /// Messages that a queue delivered again, because a receiver died or gave them back. They count neither as duplicated nor as reordered.
    pub redelivered: u64,
}

impl StreamCounts {
    /// Whether each message came once, in order and intact.
    pub fn is_perfect(&self) -> bool {
        *self == Self { received: self.received, redelivered: self.redelivered, ..Self::default() }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost = self.lost.saturating_add(other.lost);
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.redelivered += other.redelivered;
    }
}

/// The numbers of one stream that have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    counts: StreamCounts,
    /// One more than the highest that has come.
    next: u64,
    /// Below that, those that have not come: first of each gap → first after it.
    gaps: BTreeMap<u64, u64>,
    /// Messages of the stream, if it says so.
    count: Option<u64>,
}

impl Stream {
    /// Number `sequence` of `count` has come.
    pub(super) fn observe(&mut self, sequence: u64, count: u64, is_redelivered: bool, is_intact: bool) {
        self.counts.received += 1;
        self.counts.corrupted += u64::from(!is_intact);
        self.count = (count != u64::MAX).then_some(count);
        self.counts.redelivered += u64::from(is_redelivered);
        if sequence >= self.next {
            if sequence > self.next {
                self.open_gap(self.next, sequence);
            }
            self.next = sequence.saturating_add(1);
        } else if self.fill(sequence) {
            self.counts.lost -= 1;
            self.counts.reordered += u64::from(!is_redelivered);
        } else {
            self.counts.duplicated += u64::from(!is_redelivered);
        }
    }

    fn open_gap(&mut self, first: u64, after: u64) {
        self.counts.lost = self.counts.lost.saturating_add(after - first);
        self.gaps.insert(first, after);
        if self.gaps.len() > GAPS_MAX {
            self.gaps.pop_first();
        }
    }

    /// Takes a number out of the gap it is in; `false`: it is in none.
    fn fill(&mut self, sequence: u64) -> bool {
        let gap = self.gaps.range(..=sequence).next_back().map(|(first, after)| (*first, *after));
        let Some((first, after)) = gap.filter(|(_, after)| sequence < *after) else { return false };
        self.gaps.remove(&first);
        if first < sequence {
            self.gaps.insert(first, sequence);
        }
        if sequence + 1 < after {
            self.gaps.insert(sequence + 1, after);
        }
        true
    }

    /// What has been counted; `has_ended`: nothing more comes.
    pub(super) fn counts(&self, has_ended: bool) -> StreamCounts {
        let missing = self.count.filter(|_| has_ended).map_or(0, |count| count.saturating_sub(self.next));
        StreamCounts { lost: self.counts.lost.saturating_add(missing), ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn observe_all(sequences: &[u64]) -> Stream {
        let mut stream = Stream::default();
        sequences.iter().for_each(|sequence| stream.observe(*sequence, 8, false, true));
        stream
    }

    #[test]
    fn losses_duplicates_and_late_messages_are_told_apart() {
        let counts = |sequences: &[u64]| {
            let StreamCounts { lost, duplicated, reordered, .. } = observe_all(sequences).counts(true);
            (lost, duplicated, reordered)
        };
        assert_eq!(counts(&[0, 1, 2, 3, 4, 5, 6, 7]), (0, 0, 0));
        assert_eq!(counts(&[0, 1, 4, 5, 6, 7]), (2, 0, 0), "in the middle");
        assert_eq!(counts(&[2, 3, 4, 5, 6, 7]), (2, 0, 0), "at the beginning");
        assert_eq!(counts(&[0, 1, 2, 3, 4, 5]), (2, 0, 0), "at the end");
        assert_eq!(counts(&[0, 1, 1, 2, 3, 4, 5, 6, 7, 7]), (0, 2, 0));
        assert_eq!(counts(&[0, 2, 1, 3, 4, 7, 5, 6]), (0, 0, 3));
        assert_eq!(counts(&[1, 0, 0, 3, 5, 4, 4]), (3, 2, 2), "2, 6 and 7 are missing");
        assert_eq!(observe_all(&[0, 1, 2]).counts(false).lost, 0, "the others may come yet");
    }

    #[test]
    fn what_is_delivered_again_is_neither_duplicated_nor_reordered() {
        let mut stream = Stream::default();
        for (sequence, is_redelivered) in [(0, false), (2, false), (1, true), (2, true), (3, false)] {
            stream.observe(sequence, 4, is_redelivered, true);
        }
        let counts = stream.counts(true);
        assert_eq!(counts, StreamCounts { received: 5, redelivered: 2, ..StreamCounts::default() });
        assert!(counts.is_perfect());
    }

    #[test]
    fn any_numbers_are_counted_as_a_set_counts_them() {
        let mut random = 1_u64;
        for round in 1..200 {
            let (mut stream, mut seen, mut expected) =
                (Stream::default(), HashSet::new(), StreamCounts::default());
            let mut highest = None;
            for _ in 0..round {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let sequence = (random >> 33) % 64;
                stream.observe(sequence, 64, false, true);
                expected.received += 1;
                if !seen.insert(sequence) {
                    expected.duplicated += 1;
                } else if highest.is_some_and(|highest| sequence < highest) {
                    expected.reordered += 1;
                }
                highest = highest.max(Some(sequence));
            }
            expected.lost = 64 - seen.len() as u64;
            assert_eq!(stream.counts(true), expected);
        }
    }

    #[test]
    fn numbers_at_the_limit_and_endless_gaps_cost_neither_a_panic_nor_memory() {
        let mut stream = observe_all(&[u64::MAX, u64::MAX - 1, u64::MAX, 0]);
        assert_eq!(stream.counts(true).received, 4);
        (0..200_000).for_each(|at| stream.observe(at * 2, u64::MAX, false, true));
        let mut other = Stream::default();
        (0..200_000).for_each(|at| other.observe(at * 2, u64::MAX, false, true));
        assert_eq!((other.gaps.len(), other.counts(true).lost), (GAPS_MAX, 199_999));
    }
}
