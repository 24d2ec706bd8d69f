//! Hot operations that decide about a request.

use super::Outcome;
use crate::block::{
    Block, CANCELLED, CLAIM, CLAIM_CANCELLED, CLAIM_EXHAUSTED, CLAIM_RUN, RUNNER, RUNNER_EPOCH, RUNS,
    RUNS_MAX, Status,
};
use crate::isolate::Scratch;
use crate::session::Session;
use millrace::service::{Claim, RequestState};

/// Begins a run, by this participant, of the request in descriptor 0, which may be run RUNS_MAX times.
pub(super) fn claim(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let request = session.allocator.request(block.buffer(0))?;
    let claim = match request.claim(session.manager.id(), block.get(RUNS_MAX)) {
        Claim::Run(_) => CLAIM_RUN,
        Claim::Cancelled => CLAIM_CANCELLED,
        Claim::Exhausted => CLAIM_EXHAUSTED,
    };
    block.set(CLAIM, claim);
    describe(block, request.state())
}

/// Says that nobody wants the request in descriptor 0 any more; leaves the state it was in.
pub(super) fn cancel(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let state = session.allocator.request(block.buffer(0))?.cancel();
    describe(block, state)
}

/// Leaves the state of the request in descriptor 0.
pub(super) fn inspect(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let state = session.allocator.request(block.buffer(0))?.state();
    describe(block, state)
}

fn describe(block: &mut Block<'_>, state: RequestState) -> Outcome {
    let (runner, epoch) = state.last_run.map_or((0, 0), |by| (by.slot as u32 + 1, by.epoch_low));
    for (word, value) in [
        (RUNS, state.runs),
        (CANCELLED, state.cancelled.into()),
        (RUNNER, runner),
        (RUNNER_EPOCH, epoch.into()),
    ] {
        block.set(word, value);
    }
    Ok(Status::Ok)
}
