//! What has been counted of the blocks of a flow, as JSON.

use millrace_flow::{BlockReport, BlockState, Report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `BlockStats` of `lib/flow`, but for what that adds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockJson<'a> {
    name: &'a str,
    state: &'static str,
    error: Option<&'a str>,
    work_calls: u64,
    items_in: u64,
    items_out: u64,
    gaps: u64,
    retried: u64,
    skipped: u64,
    dead_lettered: u64,
    lost: u64,
    undelivered: u64,
    busy: f64,
    starved: f64,
    backpressured: f64,
    idle: f64,
    work_p50: f64,
    work_p99: f64,
    counters: BTreeMap<&'static str, u64>,
}

/// How a run has ended.
#[derive(Default, Serialize)]
pub(super) struct Outcome<'a> {
    /// What has been counted of its blocks; none: it was cut off.
    pub(super) blocks: Vec<BlockJson<'a>>,
    /// Why, unless all went well.
    pub(super) code: Option<&'static str>,
    pub(super) message: Option<String>,
}

/// The blocks in the order in which they were added.
pub(super) fn blocks(report: &Report) -> Vec<BlockJson<'_>> {
    report.blocks.iter().map(block).collect()
}

fn block(report: &BlockReport) -> BlockJson<'_> {
    BlockJson {
        name: &report.name,
        state: match report.state {
            BlockState::Created => "created",
            BlockState::Running => "running",
            BlockState::Stopped => "stopped",
            BlockState::Failed => "failed",
        },
        error: report.error.as_deref(),
        work_calls: report.work_calls,
        items_in: report.items_in,
        items_out: report.items_out,
        gaps: report.gaps,
        retried: report.retried,
        skipped: report.skipped,
        dead_lettered: report.dead_lettered,
        lost: report.lost,
        undelivered: report.undelivered,
        busy: ms(report.busy),
        starved: ms(report.starved),
        backpressured: ms(report.backpressured),
        idle: ms(report.idle),
        work_p50: ms(report.work_p50),
        work_p99: ms(report.work_p99),
        counters: report.counters.iter().copied().collect(),
    }
}

/// Time as JavaScript counts it.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
