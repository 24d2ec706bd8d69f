//! The algorithm of ROS `message_filters`, policy ApproximateTime.
//!
//! It slides over the messages in the order of time, from one set to the next, by leaving behind the oldest message of the set. The newest
//! message of the first set is the pivot. Every further set that has the pivot is a candidate; the best so far is kept, and what is older
//! than its messages is taken out. The search ends with the pivot itself being the oldest, or when every further set would have to reach
//! from the pivot to beyond what the best one spans.

use super::lanes::{Lanes, Span};
use super::policy::{Decision, Part, Why};

#[derive(Debug)]
struct Candidate {
    pivot: usize,
    pivot_time: u64,
    start: u64,
    end: u64,
    /// Of each lane, how many messages wait before its own. They are taken out before it is sent.
    at: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Approximate {
    tolerance: u64,
    best: Option<Candidate>,
    /// Where the search is: messages of each lane that are left behind.
    at: Vec<usize>,
    /// The best is the best that there will be.
    settled: bool,
    /// Lanes of which messages were taken out that might have been better than what waits: none of these can be the pivot.
    unsure: Vec<bool>,
}

impl Approximate {
    pub(super) fn new(inputs: usize, tolerance: u64) -> Self {
        Self { tolerance, best: None, at: vec![0; inputs], settled: false, unsure: vec![false; inputs] }
    }

    pub(super) fn has_candidate(&self) -> bool {
        self.best.is_some()
    }

    /// No better one is waited for.
    pub(super) fn settle(&mut self) -> Decision {
        self.settled = true;
        self.carry_out().unwrap_or(Decision::Wait)
    }

    pub(super) fn restart(&mut self) {
        self.best = None;
        self.at.fill(0);
        self.settled = false;
    }

    pub(super) fn discarded(&mut self, lane: usize, why: Why) {
        if why != Why::Passed {
            self.restart();
            self.unsure[lane] = true;
        }
        self.at[lane] = self.at[lane].saturating_sub(1);
        if let Some(best) = &mut self.best {
            best.at[lane] = best.at[lane].saturating_sub(1);
        }
    }

    pub(super) fn decide(&mut self, lanes: &Lanes) -> Decision {
        loop {
            if let Some(decision) = self.carry_out() {
                return decision;
            }
            let span = match lanes.span(&self.at) {
                Ok(span) => span,
                Err(lane) => {
                    let lane = &lanes.lanes[lane];
                    // What comes next there can be seen never, or only when some of this has gone.
                    if self.best.is_some() && (lane.complete || lane.overflows) {
                        return self.settle();
                    }
                    let over = lanes.lanes.iter().any(|lane| lane.has_ended());
                    return if over { Decision::Over } else { Decision::Wait };
                }
            };
            if let Some(decision) = self.weigh(span) {
                return decision;
            }
        }
    }

    /// What follows from the best candidate, if anything does.
    fn carry_out(&self) -> Option<Decision> {
        let best = self.best.as_ref()?;
        if let Some(lane) = best.at.iter().position(|before| *before > 0) {
            return Some(Decision::Discard(lane, Why::Passed));
        }
        self.settled.then(|| Decision::Send(vec![Part::Take; self.at.len()]))
    }

    /// Compares the set where the search is with the best, and goes on to the next.
    fn weigh(&mut self, Span { oldest, start, newest, end }: Span) -> Option<Decision> {
        for (lane, unsure) in self.unsure.iter_mut().enumerate() {
            // What was taken out was older than this one, so no better partner of the newest.
            *unsure &= lane == newest;
        }
        let best = match &mut self.best {
            None if end - start > self.tolerance || self.unsure[newest] => {
                return Some(Decision::Discard(oldest, Why::Passed));
            }
            None => {
                let at = self.at.clone();
                self.best.insert(Candidate { pivot: newest, pivot_time: end, start, end, at })
            }
            Some(best) => {
                if end - best.end < start - best.start {
                    (best.start, best.end) = (start, end);
                    best.at.clone_from(&self.at);
                }
                best
            }
        };
        self.settled = oldest == best.pivot || end - best.end >= best.pivot_time - best.start;
        self.at[oldest] += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Lane;
    use super::*;

    /// The sets that the algorithm makes of messages that are all there, by their times.
    fn sets(mut lanes: Vec<Vec<u64>>, tolerance: u64) -> Vec<Vec<u64>> {
        let mut approximate = Approximate::new(lanes.len(), tolerance);
        let mut sets = Vec::new();
        loop {
            let mut seen = Lanes::new(lanes.len(), 1000, true);
            seen.lanes = lanes.iter().map(|times| Lane::of(times)).collect();
            match approximate.decide(&seen) {
                Decision::Discard(lane, why) => {
                    lanes[lane].remove(0);
                    approximate.discarded(lane, why);
                }
                Decision::Send(_) => {
                    sets.push(lanes.iter_mut().map(|lane| lane.remove(0)).collect());
                    approximate.restart();
                }
                Decision::Over => return sets,
                other => panic!("all messages are there, and it wants {other:?}"),
            }
        }
    }

    /// What a set is, by its definition: of all that begin at a message not after the pivot, the shortest, the earliest of these.
    fn sets_by_definition(mut lanes: Vec<Vec<u64>>, tolerance: u64) -> Vec<Vec<u64>> {
        let mut sets = Vec::new();
        while lanes.iter().all(|lane| !lane.is_empty()) {
            let pivot = lanes.iter().map(|lane| lane[0]).max().unwrap();
            let oldest = (0..lanes.len()).min_by_key(|lane| lanes[*lane][0]).unwrap();
            if pivot - lanes[oldest][0] > tolerance {
                lanes[oldest].remove(0);
                continue;
            }
            let mut starts: Vec<u64> = lanes.concat().into_iter().filter(|time| *time <= pivot).collect();
            starts.sort_unstable();
            let complete = starts.iter().filter_map(|start| {
                let first = |lane: &Vec<u64>| lane.iter().find(|time| *time >= start).copied();
                lanes.iter().map(first).collect::<Option<Vec<u64>>>()
            });
            let span = |set: &Vec<u64>| set.iter().max().unwrap() - set.iter().min().unwrap();
            let best = complete.min_by_key(span).expect("the oldest of each lane are one");
            for (lane, time) in lanes.iter_mut().zip(&best) {
                lane.retain(|other| other > time);
            }
            sets.push(best);
        }
        sets
    }

    #[test]
    fn what_it_sends_is_what_the_definition_says() {
        let mut random = 1_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut total = 0;
        for round in 0..3000 {
            let inputs = 2 + round % 4;
            // No two messages of the same time: of such the definition does not say which comes first.
            let lane = |next: &mut dyn FnMut(u64) -> u64, lane: u64| {
                let mut times: Vec<u64> = (0..next(20)).map(|_| next(120) * inputs + lane).collect();
                times.sort_unstable();
                times.dedup();
                times
            };
            let lanes: Vec<_> = (0..inputs).map(|at| lane(&mut next, at)).collect();
            let tolerance = [0, 5, 20, 60, u64::MAX][next(5) as usize];
            let expected = sets_by_definition(lanes.clone(), tolerance);
            total += expected.len();
            assert_eq!(sets(lanes.clone(), tolerance), expected, "{lanes:?} within {tolerance}");
        }
        assert!(total > 4000, "{total} sets");
    }

    #[test]
    fn the_examples_of_its_authors() {
        // The best set is not the first: of 0 and 4, the one that is nearer to 5.
        assert_eq!(sets(vec![vec![0, 4, 9], vec![5]], u64::MAX), [[4, 5]]);
        // Regular messages at two rates.
        let fast: Vec<u64> = (0..20).map(|at| at * 10).collect();
        let slow: Vec<u64> = (0..5).map(|at| at * 40 + 3).collect();
        assert_eq!(sets(vec![fast, slow], u64::MAX), [[0, 3], [40, 43], [80, 83], [120, 123], [160, 163]]);
    }
}
