//! Policies by which one input drives: each of its messages makes a set with what the others have at that moment.

use super::lanes::{Lane, Lanes};
use super::policy::{Decision, Part, Why};

/// What a lane has for a message of the driver.
enum Found {
    Part(Part),
    /// Its next message is of no use to this one of the driver, and to none after it.
    Passed,
    /// There is nothing, nor will there be.
    Nothing,
    /// It may come yet.
    Later,
}

/// Puts together what the lanes have for the driver's next message.
fn gather(lanes: &Lanes, driver: usize, mut find: impl FnMut(&Lane) -> Found) -> Decision {
    let mut parts = Vec::with_capacity(lanes.lanes.len());
    let (mut later, mut nothing) = (false, false);
    for (at, lane) in lanes.lanes.iter().enumerate() {
        let found = if at == driver { Found::Part(Part::Take) } else { find(lane) };
        match found {
            Found::Part(part) => parts.push(part),
            Found::Passed => return Decision::Discard(at, Why::Passed),
            Found::Nothing => nothing = true,
            Found::Later => later = true,
        }
    }
    match (nothing, later) {
        (true, _) => Decision::Discard(driver, Why::Passed),
        (_, true) => Decision::Wait,
        _ => Decision::Send(parts),
    }
}

/// What there is to do while the driver has no message.
fn without_driver(lanes: &Lanes, driver: usize) -> Decision {
    if lanes.lanes[driver].complete { Decision::Over } else { Decision::Wait }
}

pub(super) fn latest(lanes: &Lanes, driver: usize) -> Decision {
    // Whatever is not the newest has had its time, with a message of the driver or without.
    let passed = lanes.lanes.iter().enumerate().position(|(at, lane)| at != driver && lane.len() > 1);
    if let Some(lane) = passed {
        return Decision::Discard(lane, Why::Passed);
    }
    if lanes.lanes[driver].len() == 0 {
        return without_driver(lanes, driver);
    }
    gather(lanes, driver, |lane| match lane.len() {
        0 if lane.complete => Found::Nothing,
        0 => Found::Later,
        _ => Found::Part(Part::Keep(0)),
    })
}

/// `hurried`: with what there is, without what may come.
pub(super) fn nearest(lanes: &Lanes, driver: usize, tolerance: u64, hurried: bool) -> Decision {
    let Some(time) = lanes.lanes[driver].time(0) else { return without_driver(lanes, driver) };
    gather(lanes, driver, |lane| {
        let within = |at: usize, other: u64| {
            let near = other.abs_diff(time) <= tolerance;
            if near { Found::Part(Part::Keep(at)) } else { Found::Nothing }
        };
        match (lane.time(0), lane.time(1)) {
            (Some(_), Some(second)) if second <= time => Found::Passed,
            (Some(first), _) if first >= time => within(0, first),
            (Some(first), Some(second)) if second - time < time - first => within(1, second),
            (Some(first), Some(_)) => within(0, first),
            (Some(first), None) if lane.complete || lane.overflows || hurried => within(0, first),
            (None, _) if lane.complete || hurried => Found::Nothing,
            _ => Found::Later,
        }
    })
}

pub(super) fn interpolate(lanes: &Lanes, driver: usize, tolerance: u64) -> Decision {
    let Some(time) = lanes.lanes[driver].time(0) else { return without_driver(lanes, driver) };
    gather(lanes, driver, |lane| match (lane.time(0), lane.time(1)) {
        (Some(_), Some(second)) if second <= time => Found::Passed,
        (Some(first), _) if first == time => Found::Part(Part::Keep(0)),
        (Some(first), _) if first > time => Found::Nothing,
        (Some(first), Some(second)) if second - first <= tolerance => Found::Part(Part::Between(0, time)),
        (Some(_), Some(_)) => Found::Nothing,
        _ if lane.complete || lane.overflows => Found::Nothing,
        _ => Found::Later,
    })
}
