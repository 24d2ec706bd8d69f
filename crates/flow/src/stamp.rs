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
/// one message has the stamp of that, and what it makes of several the oldest one. They are marked as redelivered if one of those is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    since: Option<Taken>,
    last: Taken,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    stamp: u64,
    is_redelivered: bool,
}

impl Carried {
    /// A message with that stamp has been taken; whether it, or what it was made of, had been delivered before.
    pub(crate) fn take(&mut self, stamp: u64, is_redelivered: bool) {
        let since = self.since.get_or_insert_default();
        since.is_redelivered |= is_redelivered;
        let is_older = since.stamp == 0 || age(stamp, since.stamp << UNIT_BITS) > 0;
        if stamp != 0 && is_older {
            since.stamp = stamp;
        }
    }

    /// Stamps a new message that is sent, unless it has the stamp of another one already, which it describes itself as.
    pub(crate) fn stamp(&mut self, message: &Message<'_>) {
        let Taken { stamp, is_redelivered } = self.send();
        if message.origin() == 0 {
            message.set_origin(stamp);
        }
        if is_redelivered {
            message.set_redelivered();
        }
    }

    /// Something is sent that was made of what has been taken since.
    pub(crate) fn send(&mut self) -> Taken {
        self.last = self.since.take().unwrap_or(self.last);
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
        assert_eq!(carried.send(), Taken::default());
        for (time, is_redelivered) in [(3000, false), (1000, true), (2000, false)] {
            carried.take(at(time), is_redelivered);
        }
        carried.take(0, false);
        assert_eq!(carried.send(), Taken { stamp: at(1000), is_redelivered: true });
        assert_eq!(carried.send(), Taken { stamp: at(1000), is_redelivered: true }, "made of the same");
        carried.take(at(5000), false);
        assert_eq!(carried.send(), Taken { stamp: at(5000), is_redelivered: false });
    }

    #[test]
    fn numbers_of_sources_are_not_zero_and_fit() {
        let numbers: std::collections::HashSet<_> =
            (0..1000).map(|n| source_number(&format!("source {n}"))).collect();
        assert!(numbers.iter().all(|number| (1..1 << 19).contains(number)));
        assert!(numbers.len() >= 997, "{}", numbers.len());
    }
}
