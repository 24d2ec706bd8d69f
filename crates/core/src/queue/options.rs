//! Options of a queue, fixed when it is created.

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CLOSES_BEGUN, CLOSES_LATER, RingHeader};
use crate::limits::{DEFAULT_QUEUE_CAPACITY, MAX_CODEC_BYTES, MAX_QUEUE_CAPACITY};
use crate::sync::Ordering;
use std::fmt::Debug;

/// What happens to a message that finds the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Overflow {
    /// The sender waits. Lossless.
    #[default]
    Block = 0,
    /// The sender is told.
    Reject = 1,
    /// The oldest message makes room.
    DropOldest = 2,
    /// The new message is dropped.
    DropNewest = 3,
    /// Only the newest message is kept at all times.
    Latest = 4,
}

/// What happens to a message whose receiver dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Delivery {
    /// It is reported as lost.
    #[default]
    AtMostOnce = 0,
    /// It is delivered again, first in line: receiving leases a message, releasing it acknowledges.
    AtLeastOnce = 1,
}

impl Delivery {
    /// The mode with number `code`.
    pub fn from_code(code: u32) -> Option<Self> {
        [Self::AtMostOnce, Self::AtLeastOnce].into_iter().find(|mode| *mode as u32 == code)
    }
}

impl Overflow {
    const ALL: [Self; 5] = [Self::Block, Self::Reject, Self::DropOldest, Self::DropNewest, Self::Latest];

    /// The policy with number `code`.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| *policy as u32 == code)
    }
}

/// Options of a queue. `None` means: the default when creating, whatever it is when attaching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueOptions {
    /// Messages the queue holds, 1 to 1 Mi; rounded up to a power of two. Default 1024.
    pub capacity: Option<u32>,
    /// Messages the queue may come to hold, 1 to 1 Mi; rounded up to a power of two. While it is full it grows, up to that; when it has been
    /// quiet for some seconds it becomes smaller again, down to `capacity`. `Some(0)` asks for a queue that does neither. Only with `Block`
    /// and `Reject`, and without a limit. Default 0.
    pub max_capacity: Option<u32>,
    /// Messages that a send may leave in the queue, 1 to the capacity before it is rounded up: exactly, with any number of senders.
    /// Those given back count, too, so there may be more after a receiver has given some back. Not with `Latest`, which keeps one message.
    /// Default: the capacity, and what was given back does not count. `Some(0)` asks for a queue without a limit.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let options = QueueOptions { capacity: Some(100), limit: Some(100), ..QueueOptions::default() };
    /// let queue = shm.port_queue("limit", &options)?;
    /// assert_eq!(queue.options().capacity, 128);
    /// let message = &b"message"[..];
    /// assert_eq!(queue.put(std::iter::repeat_n(message, 128)).0, 100);
    /// # Ok::<(), Error>(())
    /// ```
    pub limit: Option<u32>,
    /// Policy when full. Default `Block`.
    pub overflow: Option<Overflow>,
    /// Delivery mode. Default `AtMostOnce`.
    pub delivery: Option<Delivery>,
    /// Deliveries of one message of an at-least-once queue before it goes to the dead-letter queue, `<name>.dead`. Default 0: no limit.
    pub max_deliveries: Option<u32>,
    /// Participants that may send: `Some(1)` = one, which is enforced; `Some(0)` = many (default).
    pub producers: Option<u32>,
    /// Participants that may receive, likewise.
    pub consumers: Option<u32>,
    /// Whether the queue closes when the last of those who have sent to it has gone, by leaving or by death. Default no.
    pub close_with_producers: Option<bool>,
    /// Number of the message type, compared at attach. Default 0: none.
    pub type_id: Option<u32>,
    /// Name of the codec, compared at attach. Default empty: none.
    pub codec: Option<String>,
    /// What the codec is for as long as nobody names one and nothing has been sent; compared with nothing.
    pub default_codec: Option<String>,
}

/// Options with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedOptions {
    /// Messages the queue holds; a power of two.
    pub capacity: u32,
    /// Of a queue whose capacity follows its load: the fewest and the most messages that it comes to hold. Else both 0.
    pub capacities: (u32, u32),
    /// Messages that a send may leave in the queue, 0 = as many as it holds.
    pub limit: u32,
    /// Policy when full.
    pub overflow: Overflow,
    /// Delivery mode.
    pub delivery: Delivery,
    /// Deliveries before a message is given up, 0 = no limit.
    pub max_deliveries: u32,
    /// 0 = many, 1 = one.
    pub producers: u32,
    /// 0 = many, 1 = one.
    pub consumers: u32,
    /// Whether it closes when its last producer has gone.
    pub close_with_producers: bool,
    /// 0 = none.
    pub type_id: u32,
    /// Empty = none.
    pub codec: String,
}

impl QueueOptions {
    /// Checks the values and fills in the defaults.
    pub(crate) fn resolve(&self, name: &str) -> Result<ResolvedOptions> {
        self.complete(name).map_err(|what| Error::invalid_argument(format!("queue {name:?}: {what}")))
    }

    /// The same; the error: which value is wrong, and what it must be.
    fn complete(&self, name: &str) -> std::result::Result<ResolvedOptions, String> {
        let invalid = |what: &str, value: u32, want: &str| Err(format!("{what} is {value}, must be {want}"));
        let capacity = self.capacity.unwrap_or(DEFAULT_QUEUE_CAPACITY as u32);
        if capacity == 0 || capacity as usize > MAX_QUEUE_CAPACITY {
            return invalid("capacity", capacity, "1 to 1048576");
        }
        for (what, value) in [("producers", self.producers), ("consumers", self.consumers)] {
            if let Some(value @ 2..) = value {
                return invalid(what, value, "0 (many) or 1");
            }
        }
        let codec = self.codec.clone().or_else(|| self.default_codec.clone()).unwrap_or_default();
        if codec.len() > MAX_CODEC_BYTES {
            return invalid("length of the codec name", codec.len() as u32, "at most 31 bytes");
        }
        let overflow = self.overflow.unwrap_or_default();
        let limit = self.limit.unwrap_or(0);
        if limit > capacity {
            return invalid("limit", limit, &format!("1 to its capacity of {capacity}"));
        }
        if limit > 0 && overflow == Overflow::Latest {
            return invalid("limit", limit, "left out with overflow \"latest\", which keeps one message");
        }
        let max_capacity = self.max_capacity.unwrap_or(0);
        if max_capacity as usize > MAX_QUEUE_CAPACITY || (1..capacity).contains(&max_capacity) {
            return invalid("capacity.max", max_capacity, &format!("its capacity of {capacity} to 1048576"));
        }
        if max_capacity > 0 && limit > 0 {
            return invalid("limit", limit, "left out where the capacity is a range");
        }
        if max_capacity > 0 && !matches!(overflow, Overflow::Block | Overflow::Reject) {
            return invalid("capacity.max", max_capacity, "left out with an overflow policy that drops");
        }
        let delivery = self.delivery.unwrap_or_default();
        if self.max_deliveries.is_some_and(|limit| limit > 0) {
            if delivery == Delivery::AtMostOnce {
                return invalid(
                    "maxDeliveries",
                    self.max_deliveries.unwrap_or(0),
                    "0 on an at-most-once queue",
                );
            }
            crate::segment::validate_name("dead-letter queue", &dead_letter_name(name))
                .map_err(|error| error.to_string())?;
        }
        // A receiver that is busy with a message occupies its slot; the newest one needs another.
        let least = if overflow == Overflow::Latest { 2 } else { 1 };
        let capacity = capacity.max(least).next_power_of_two();
        let most = if max_capacity > 0 { max_capacity.next_power_of_two() } else { 0 };
        Ok(ResolvedOptions {
            capacity,
            capacities: if most > 0 { (capacity, most) } else { (0, 0) },
            limit,
            overflow,
            delivery,
            max_deliveries: self.max_deliveries.unwrap_or(0),
            producers: self.producers.unwrap_or(0),
            consumers: self.consumers.unwrap_or(0),
            close_with_producers: self.close_with_producers.unwrap_or(false),
            type_id: self.type_id.unwrap_or(0),
            codec,
        })
    }

    /// Compares what was asked for with what `is`; an error names the first difference.
    pub(crate) fn check(&self, noun: &str, name: &str, is: &ResolvedOptions) -> Result<()> {
        self.check_those(u32::MAX, noun, name, is)
    }

    /// The same for those that are in `which`.
    pub(super) fn check_those(&self, which: u32, noun: &str, name: &str, is: &ResolvedOptions) -> Result<()> {
        // What is left out is as it is, so that one option may rest on another.
        let asked = match self.or_named(is, !RESIZED).complete(name) {
            Ok(asked) => asked,
            Err(what) => {
                // Wrong by itself, or beside what others have asked for.
                self.resolve(name)?;
                let message = format!("{noun} {name:?} exists with options that exclude this: {what}");
                return Err(Error::new(ErrorKind::OptionsMismatch, message));
            }
        };
        let which = self.named() & which;
        let differs = |field: &Field<'_>| which & field.bit != 0 && !field.is_same;
        match fields(&asked, is).iter().find(|field| differs(field)) {
            None => Ok(()),
            Some(Field { what, asked, is, .. }) => Err(Error::new(
                ErrorKind::OptionsMismatch,
                format!(
                    "{noun} {name:?} exists with {what} {}, {} was asked for",
                    shown(what, is),
                    shown(what, asked)
                ),
            )),
        }
    }

    /// Those that are not left out, a bit each.
    pub(crate) fn named(&self) -> u32 {
        let given = [
            (CAPACITY, self.capacity.is_some()),
            (MAX_CAPACITY, self.max_capacity.is_some()),
            (LIMIT, self.limit.is_some()),
            (OVERFLOW, self.overflow.is_some()),
            (DELIVERY, self.delivery.is_some()),
            (MAX_DELIVERIES, self.max_deliveries.is_some()),
            (PRODUCERS, self.producers.is_some()),
            (CONSUMERS, self.consumers.is_some()),
            (CLOSE_WITH_PRODUCERS, self.close_with_producers.is_some()),
            (TYPE_ID, self.type_id.is_some()),
            (CODEC, self.codec.is_some()),
            (DEFAULT_CODEC, self.default_codec.is_some()),
        ];
        given.iter().filter(|(_, given)| *given).map(|(bit, _)| bit).sum()
    }

    /// These, and those of `is` that are `named`, where these leave them out.
    pub(super) fn or_named(&self, is: &ResolvedOptions, named: u32) -> Self {
        fn or<T>(asked: Option<T>, is_named: bool, is: impl FnOnce() -> T) -> Option<T> {
            asked.or_else(|| is_named.then(is))
        }
        let has = |bit: u32| named & bit != 0;
        let may_ask = |asked: Option<u32>| asked.filter(|_| !has(RESIZED));
        let capacity = || match is.capacities.0 {
            0 => is.capacity,
            least => least,
        };
        Self {
            capacity: or(may_ask(self.capacity), has(CAPACITY | RESIZED), capacity),
            max_capacity: or(may_ask(self.max_capacity), has(MAX_CAPACITY | RESIZED), || is.capacities.1),
            limit: or(may_ask(self.limit), has(LIMIT), || is.limit),
            overflow: or(self.overflow, has(OVERFLOW), || is.overflow),
            delivery: or(self.delivery, has(DELIVERY), || is.delivery),
            max_deliveries: or(self.max_deliveries, has(MAX_DELIVERIES), || is.max_deliveries),
            producers: or(self.producers, has(PRODUCERS), || is.producers),
            consumers: or(self.consumers, has(CONSUMERS), || is.consumers),
            close_with_producers: or(self.close_with_producers, has(CLOSE_WITH_PRODUCERS), || {
                is.close_with_producers
            }),
            type_id: or(self.type_id, has(TYPE_ID), || is.type_id),
            codec: or(self.codec.clone(), has(CODEC), || is.codec.clone()),
            default_codec: self.default_codec.clone().or_else(|| Some(is.codec.clone())),
        }
    }
}

const CAPACITY: u32 = 1;
const MAX_CAPACITY: u32 = 1 << 1;
const LIMIT: u32 = 1 << 2;
const OVERFLOW: u32 = 1 << 3;
const DELIVERY: u32 = 1 << 4;
const MAX_DELIVERIES: u32 = 1 << 5;
const PRODUCERS: u32 = 1 << 6;
const CONSUMERS: u32 = 1 << 7;
const CLOSE_WITH_PRODUCERS: u32 = 1 << 8;
const TYPE_ID: u32 = 1 << 9;
pub(super) const CODEC: u32 = 1 << 10;
/// What its codec is, unless one is named, is a default.
pub(super) const DEFAULT_CODEC: u32 = 1 << 11;
/// How much the queue holds has been changed while it was in use, and is not what was asked for before.
pub(super) const RESIZED: u32 = 1 << 31;
/// The ring has more slots than are used, for messages that were there: its limit is what the capacity is meant to be, and nobody's wish.
pub(super) const NARROWED: u32 = 1 << 30;
/// What that is about.
pub(super) const ROOM: u32 = CAPACITY | MAX_CAPACITY | LIMIT;

/// One option, as it was asked for and as it is.
struct Field<'a> {
    bit: u32,
    what: &'static str,
    is_same: bool,
    asked: &'a dyn Debug,
    is: &'a dyn Debug,
}

/// An option as whoever asks for it writes it.
fn shown(what: &str, value: &dyn Debug) -> String {
    match (what, format!("{value:?}").as_str()) {
        ("producers" | "consumers", "0") => "\"many\"".to_owned(),
        // Nobody has named one, and what was sent is bytes.
        ("codec", "\"\"") => "\"bytes\"".to_owned(),
        ("capacity.max", "0") => "none".to_owned(),
        (_, text) => text.to_owned(),
    }
}

fn fields<'a>(asked: &'a ResolvedOptions, is: &'a ResolvedOptions) -> [Field<'a>; 11] {
    fn field<'a, T: PartialEq + Debug>(bit: u32, what: &'static str, asked: &'a T, is: &'a T) -> Field<'a> {
        Field { bit, what, is_same: asked == is, asked, is }
    }
    // What it was made with, if it has followed its load since.
    let capacity = if is.capacities.0 > 0 { &is.capacities.0 } else { &is.capacity };
    [
        field(CAPACITY, "capacity", &asked.capacity, capacity),
        field(MAX_CAPACITY, "capacity.max", &asked.capacities.1, &is.capacities.1),
        field(LIMIT, "limit", &asked.limit, &is.limit),
        field(OVERFLOW, "overflow policy", &asked.overflow, &is.overflow),
        field(DELIVERY, "delivery", &asked.delivery, &is.delivery),
        field(MAX_DELIVERIES, "maxDeliveries", &asked.max_deliveries, &is.max_deliveries),
        field(PRODUCERS, "producers", &asked.producers, &is.producers),
        field(CONSUMERS, "consumers", &asked.consumers, &is.consumers),
        field(
            CLOSE_WITH_PRODUCERS,
            "closeWithProducers",
            &asked.close_with_producers,
            &is.close_with_producers,
        ),
        field(TYPE_ID, "type id", &asked.type_id, &is.type_id),
        field(CODEC, "codec", &asked.codec, &is.codec),
    ]
}

/// Where messages go that have been delivered too often.
pub(crate) fn dead_letter_name(queue: &str) -> String {
    format!("{queue}.dead")
}

impl ResolvedOptions {
    /// Most messages that a send leaves in the queue.
    pub(crate) fn most(&self) -> u64 {
        if self.limit == 0 { self.capacity.into() } else { self.limit.into() }
    }

    /// The same with room for `capacity` messages, for a queue of which `named` have been asked for.
    pub(super) fn resized(&self, capacity: u32, named: u32) -> Self {
        let least = if self.overflow == Overflow::Latest { 2 } else { 1 };
        let slots = capacity.max(least).next_power_of_two();
        let limit = if named & LIMIT != 0 && self.limit > 0 { capacity } else { 0 };
        let capacities = match self.capacities {
            (_, 0) => (0, 0),
            (fewest, most) => (fewest.min(slots), most.max(slots)),
        };
        Self { capacity: slots, limit, capacities, ..self.clone() }
    }

    /// The same in a ring of at least so many slots, of which no more are used, and what has been `named` then.
    pub(super) fn with_slots(&self, slots: usize, named: u32) -> (Self, u32) {
        match u32::try_from(slots.next_power_of_two()) {
            Ok(slots) if slots > self.capacity => {
                let narrowed = if self.limit == 0 { NARROWED } else { 0 };
                let limit = self.most() as u32;
                (Self { capacity: slots, limit, ..self.clone() }, named & !NARROWED | narrowed)
            }
            _ => (self.clone(), named & !NARROWED),
        }
    }

    /// Lease entries the ring has: a receiver holds at most as many messages as the queue does.
    pub(crate) fn leases(&self) -> usize {
        match self.delivery {
            Delivery::AtMostOnce => 0,
            Delivery::AtLeastOnce => self.capacity as usize,
        }
    }

    /// Writes the options into a fresh ring.
    pub(crate) fn store(&self, header: &RingHeader) {
        let fields = [
            (&header.capacity, self.capacity),
            (&header.least, self.capacities.0),
            (&header.most, self.capacities.1),
            (&header.limit, self.limit),
            (&header.overflow, self.overflow as u32),
            (&header.delivery, self.delivery as u32),
            (&header.max_deliveries, self.max_deliveries),
            (&header.producers, self.producers),
            (&header.consumers, self.consumers),
            (&header.type_id, self.type_id),
            (&header.closes, if self.close_with_producers { CLOSES_LATER } else { 0 }),
        ];
        for (field, value) in fields {
            // Relaxed: the name entry that makes the queue findable releases them.
            field.store(value, Ordering::Relaxed);
        }
        header.codec.set(&self.codec);
    }

    /// Reads the options of a ring; `None` when a value is out of range.
    pub(crate) fn load(header: &RingHeader) -> Option<Self> {
        let capacity = header.capacity.load(Ordering::Relaxed);
        let limit = header.limit.load(Ordering::Relaxed);
        let capacities = (header.least.load(Ordering::Relaxed), header.most.load(Ordering::Relaxed));
        let in_range = capacity.is_power_of_two()
            && capacity as usize <= MAX_QUEUE_CAPACITY
            && limit <= capacity
            && capacities.0 <= capacities.1
            && capacities.1 as usize <= MAX_QUEUE_CAPACITY;
        in_range.then_some(Self {
            capacity,
            capacities,
            limit,
            overflow: Overflow::from_code(header.overflow.load(Ordering::Relaxed))?,
            delivery: Delivery::from_code(header.delivery.load(Ordering::Relaxed))?,
            max_deliveries: header.max_deliveries.load(Ordering::Relaxed),
            producers: header.producers.load(Ordering::Relaxed),
            consumers: header.consumers.load(Ordering::Relaxed),
            close_with_producers: match header.closes.load(Ordering::Relaxed) {
                0 => false,
                CLOSES_LATER | CLOSES_BEGUN => true,
                _ => return None,
            },
            type_id: header.type_id.load(Ordering::Relaxed),
            codec: header.codec.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_bounds_and_differences() {
        let asked = |capacity| QueueOptions { capacity: Some(capacity), ..QueueOptions::default() };
        let is = asked(100).resolve("q").unwrap();
        assert_eq!(is.capacity, 128);
        assert!(asked(128).check("queue", "q", &is).is_ok());
        assert_eq!(asked(129).check("queue", "q", &is).unwrap_err().kind(), ErrorKind::OptionsMismatch);
        assert!(QueueOptions::default().check("queue", "q", &is).is_ok(), "no wish, no difference");
        for capacity in [0, (1 << 20) + 1, u32::MAX] {
            assert_eq!(asked(capacity).resolve("q").unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        let two = QueueOptions { producers: Some(2), ..QueueOptions::default() };
        assert_eq!(two.resolve("q").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
