//! Windows of time.

use super::lanes::{Lane, Lanes};
use super::policy::{Decision, Why};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Window {
    size: u64,
    slide: u64,
    /// Number of the first window that has not been sent.
    next: u64,
    /// Number of the one that is about to be.
    current: u64,
}

impl Window {
    pub(super) fn new(size: u64, slide: u64) -> Self {
        Self { size, slide, next: 0, current: 0 }
    }

    /// `before`: a window of which a message waits since then, or longer, is sent with what there is.
    pub(super) fn decide(&mut self, lanes: &Lanes, before: Option<Duration>) -> Decision {
        let heads = lanes.lanes.iter().filter_map(|lane| lane.time(0));
        let Some(oldest) = heads.min() else {
            let over = lanes.lanes.iter().all(|lane| lane.has_ended());
            return if over { Decision::Over } else { Decision::Wait };
        };
        // The first window that ends after it.
        let first = oldest.checked_sub(self.size).map_or(0, |passed| passed / self.slide + 1);
        self.current = first.max(self.next);
        let start = self.current.saturating_mul(self.slide);
        let end = start.saturating_add(self.size);
        let is_before = |time: Option<u64>| time.is_some_and(|time| time < start);
        if let Some(lane) = lanes.lanes.iter().position(|lane| is_before(lane.time(0))) {
            return Decision::Discard(lane, Why::Passed);
        }
        let counts: Vec<usize> =
            lanes.lanes.iter().map(|lane| lane.times().take_while(|time| *time < end).count()).collect();
        let is_due = lanes.lanes.iter().zip(&counts).any(|(lane, count)| {
            let waits = lane.get(0).filter(|_| *count > 0);
            waits.zip(before).is_some_and(|(waiting, before)| waiting.since <= before)
        });
        // One more is looked at than a window may have: the one that shows that it is complete. Misfits may be in its place.
        let is_too_large = |(lane, count): (&Lane, &usize)| {
            *count == lanes.depth || (lane.overflows && *count == lane.len() && !is_due)
        };
        if let Some(lane) = lanes.lanes.iter().zip(&counts).position(is_too_large) {
            return Decision::TooLarge(lane);
        }
        let is_open = |(lane, count): (&Lane, &usize)| *count == lane.len() && !lane.complete;
        if !is_due && lanes.lanes.iter().zip(&counts).any(is_open) {
            return Decision::Wait;
        }
        match lanes.lanes.iter().position(|lane| lane.time(0) == Some(oldest)) {
            // Only at the end of time there is a message that no window has.
            Some(lane) if counts.iter().all(|count| *count == 0) => Decision::Discard(lane, Why::Passed),
            _ => Decision::SendWindow { number: self.current, start, counts },
        }
    }

    pub(super) fn sent(&mut self) {
        self.next = self.current + 1;
    }
}
