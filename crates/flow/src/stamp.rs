//! Where and when data entered a flow: a stamp that sources put on their messages, and that goes from message to message.
//!
//! ```text
//! 63              45 44                    0
//! | source number   | time, units of 8 ns  |      0: no stamp
//! ```
//!
//! The number of a source is made of its name, so it is the same in every process and after a restart. Time is that of
//! [`millrace::clock_ns`]; it wraps after 78 hours, and so long an age can be told.

use millrace::Message;

const TIME_BITS: u32 = 45;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const UNIT_BITS: u32 = 3;

/// The number of the source called `name`: 1 to 2^19 - 1.
pub(crate) fn source_number(name: &str) -> u32 {
    // FNV-1a (Fowler, Noll, Vo), folded.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    ((hash ^ hash >> 19) & 0x7_ffff).max(1)
}

/// The stamp of what source number `source` sends at `now`.
pub(crate) fn stamp(source: u32, now: u64) -> u64 {
    u64::from(source) << TIME_BITS | now >> UNIT_BITS & TIME_MASK
}

/// The number of the source that a stamp names.
pub(crate) fn source_of(stamp: u64) -> u32 {
    (stamp >> TIME_BITS) as u32
}

/// How long ago it was at `now`, in ns; 0 for one of the future: another thread was faster.
pub(crate) fn age(stamp: u64, now: u64) -> u64 {
    let age = (now >> UNIT_BITS).wrapping_sub(stamp) & TIME_MASK;
    if age > TIME_MASK / 2 { 0 } else { age << UNIT_BITS }
}

/// What a block hands on: new messages get the stamp of the oldest message that it has taken since it sent the last one. So what it makes of
/// one message has the stamp of that, and what it makes of several the oldest one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    since: u64,
    last: u64,
}

impl Carried {
    /// A message with that stamp has been taken.
    pub(crate) fn take(&mut self, stamp: u64) {
        let is_older = self.since == 0 || age(stamp, self.since << UNIT_BITS) > 0;
        if stamp != 0 && is_older {
            self.since = stamp;
        }
    }

    /// Stamps a new message that is sent, unless it has the stamp of another one already, which it describes itself as.
    pub(crate) fn stamp(&mut self, message: &Message<'_>) {
        let stamp = self.send();
        if message.origin() == 0 {
            message.set_origin(stamp);
        }
    }

    /// The stamp of what is sent; 0: none.
    pub(crate) fn send(&mut self) -> u64 {
        if self.since != 0 {
            self.last = std::mem::take(&mut self.since);
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_over_a_wrap_of_time_and_never_negative() {
        let source = source_number("source");
        for sent in [0, 8, 1 << 40, (1 << 48) - 8, u64::MAX - 100_000] {
            let stamp = stamp(source, sent);
            assert_eq!(source_of(stamp), source);
            for age_ns in [0, 8, 1000, 3_600_000_000_000] {
                let told = age(stamp, sent.wrapping_add(age_ns));
                assert!(told.abs_diff(age_ns) <= 8, "{sent} {age_ns} {told}");
            }
            assert_eq!(age(stamp, sent.wrapping_sub(1000)), 0);
        }
    }

    #[test]
    fn what_is_made_of_several_messages_has_the_oldest_stamp_and_each_of_its_own_otherwise() {
        let at = |time| stamp(7, time);
        let mut carried = Carried::default();
        assert_eq!(carried.send(), 0);
        [3000, 1000, 2000].into_iter().for_each(|time| carried.take(at(time)));
        carried.take(0);
        assert_eq!(carried.send(), at(1000));
        assert_eq!(carried.send(), at(1000), "made of the same");
        carried.take(at(5000));
        assert_eq!(carried.send(), at(5000));
    }

    #[test]
    fn numbers_of_sources_are_not_zero_and_fit() {
        let numbers: std::collections::HashSet<_> =
            (0..1000).map(|n| source_number(&format!("source {n}"))).collect();
        assert!(numbers.iter().all(|number| (1..1 << 19).contains(number)));
        assert!(numbers.len() >= 997, "{}", numbers.len());
    }
}
