//! Which messages make a set: the decisions, apart from how they are carried out.

use super::approximate::Approximate;
use super::driven;
use super::lanes::Lanes;
use super::window::Window;
use std::time::Duration;

/// Which messages of the inputs of a [`Join`](super::Join) make a set. Times are in the unit of the messages' timestamps, as a rule
/// nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinPolicy {
    /// The oldest message of each input, once they are at most `tolerance` apart. A message that is more than that older than the next
    /// one of another input has no partner.
    Exact {
        /// The most between two messages of a set.
        tolerance: u64,
    },
    /// Messages that are as close together as possible, by the algorithm of ROS (`message_filters`, `ApproximateTime`): the newest among the
    /// oldest of each input is the pivot, and of all sets that have it, the one with the shortest time from its oldest to its newest
    /// message is sent, as soon as it is certain that no better one comes.
    Approximate {
        /// The most between two messages of a set.
        tolerance: u64,
    },
    /// Each message of input `driver`, and whatever came last at each other input, whose messages may be in many sets. Times do not matter.
    Latest {
        /// Number of the input.
        driver: usize,
    },
    /// Each message of input `driver`, and of each other input the one nearest to it in time, which may be in many sets.
    Nearest {
        /// Number of the input.
        driver: usize,
        /// The most between that one and the driver's.
        tolerance: u64,
    },
    /// Each message of input `driver`, and of each other input what it would have been at that time: a new message of `f32` numbers on the
    /// straight line between the one before and the one after, or the one at exactly that time.
    Interpolate {
        /// Number of the input.
        driver: usize,
        /// The most between the two.
        tolerance: u64,
    },
    /// All messages of a time window of length `size`. Windows begin at the multiples of `slide`, so they overlap if that is less, and a
    /// message may be in many. Empty windows are left out.
    Window {
        /// Its length.
        size: u64,
        /// From the beginning of one window to that of the next.
        slide: u64,
    },
}

/// What a join does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing, before more messages come.
    Wait,
    /// No set can be made any more.
    Over,
    /// The next message of a lane is taken out.
    Discard(usize, Why),
    /// A set is sent: a part for each lane.
    Send(Vec<Part>),
    /// A window is sent: so many messages of each lane, which stay.
    SendWindow { number: u64, start: u64, counts: Vec<usize> },
    /// A window has more messages in this lane than are looked at.
    TooLarge(usize),
}

/// Why a message is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is in no set that is to come. If it was in one, that was its purpose.
    Passed,
    /// Its partners did not come in time.
    Expired,
    /// Too many messages wait.
    Overflow,
    /// It has no time that can be compared, or is older than the one before it.
    Misfit,
}

/// What a lane gives to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its next message, for good.
    Take,
    /// The message behind so many others, which stays.
    Keep(usize),
    /// What lies at this time between the message behind so many others and the one after it.
    Between(usize, u64),
}

/// Decides.
#[derive(Debug)]
pub(super) enum Decider {
    Exact { tolerance: u64 },
    Approximate(Approximate),
    Latest { driver: usize },
    Nearest { driver: usize, tolerance: u64 },
    Interpolate { driver: usize, tolerance: u64 },
    Window(Window),
}

impl Decider {
    pub(super) fn new(policy: JoinPolicy, inputs: usize) -> Self {
        match policy {
            JoinPolicy::Exact { tolerance } => Self::Exact { tolerance },
            JoinPolicy::Approximate { tolerance } => Self::Approximate(Approximate::new(inputs, tolerance)),
            JoinPolicy::Latest { driver } => Self::Latest { driver },
            JoinPolicy::Nearest { driver, tolerance } => Self::Nearest { driver, tolerance },
            JoinPolicy::Interpolate { driver, tolerance } => Self::Interpolate { driver, tolerance },
            JoinPolicy::Window { size, slide } => Self::Window(Window::new(size, slide)),
        }
    }

    /// What to do with what waits.
    pub(super) fn decide(&mut self, lanes: &Lanes) -> Decision {
        match self {
            Self::Exact { tolerance } => exact(lanes, *tolerance),
            Self::Approximate(approximate) => approximate.decide(lanes),
            Self::Latest { driver } => driven::latest(lanes, *driver),
            Self::Nearest { driver, tolerance } => driven::nearest(lanes, *driver, *tolerance, false),
            Self::Interpolate { driver, tolerance } => driven::interpolate(lanes, *driver, *tolerance),
            Self::Window(window) => window.decide(lanes, None),
        }
    }

    /// What to do with a message that has waited until its deadline, the next one of lane `lane`.
    pub(super) fn expire(
        &mut self,
        lanes: &Lanes,
        lane: usize,
        deadline: Duration,
        now: Duration,
    ) -> Decision {
        match self {
            Self::Approximate(approximate) if approximate.has_candidate() => approximate.settle(),
            // Only the driver's message waits for others; theirs wait for it.
            Self::Latest { driver } | Self::Interpolate { driver, .. } if lane != *driver => Decision::Wait,
            Self::Nearest { driver, .. } if lane != *driver => Decision::Wait,
            Self::Nearest { driver, tolerance } => match driven::nearest(lanes, *driver, *tolerance, true) {
                Decision::Discard(lane, _) if lane == *driver => Decision::Discard(lane, Why::Expired),
                decision => decision,
            },
            Self::Window(window) => window.decide(lanes, now.checked_sub(deadline)),
            _ => Decision::Discard(lane, Why::Expired),
        }
    }

    /// The next message of a lane has been taken out.
    pub(super) fn discarded(&mut self, lane: usize, why: Why) {
        if let (Self::Approximate(approximate), true) = (self, why != Why::Misfit) {
            approximate.discarded(lane, why);
        }
    }

    /// What was to be sent is sent.
    pub(super) fn sent(&mut self) {
        match self {
            Self::Approximate(approximate) => approximate.restart(),
            Self::Window(window) => window.sent(),
            _ => {}
        }
    }

    /// Work has failed: what it took is there again.
    pub(super) fn reset(&mut self) {
        if let Self::Approximate(approximate) = self {
            approximate.restart();
        }
    }
}

fn exact(lanes: &Lanes, tolerance: u64) -> Decision {
    match lanes.span(&vec![0; lanes.lanes.len()]) {
        Ok(span) if span.end - span.start <= tolerance => Decision::Send(vec![Part::Take; lanes.lanes.len()]),
        Ok(span) => Decision::Discard(span.oldest, Why::Passed),
        Err(_) if lanes.lanes.iter().any(|lane| lane.has_ended()) => Decision::Over,
        Err(_) => Decision::Wait,
    }
}
