//! What has been counted of a flow, as JSON.

use millrace_flow::{Alone, BlockReport, BlockState, LatencyReport, LinkReport, Report, Stall};
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
    working: f64,
    work_p50: f64,
    work_p99: f64,
    work_max: f64,
    latencies: Vec<LatencyJson<'a>>,
    counters: BTreeMap<&'static str, u64>,
}

/// `LatencyStats` of `lib/flow`.
#[derive(Serialize)]
pub(super) struct LatencyJson<'a> {
    source: u32,
    from: &'a [String],
    to: &'a str,
    count: u64,
    p50: f64,
    p99: f64,
    max: f64,
}

/// `LinkStats` of `lib/flow`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinkJson<'a> {
    from: &'a [String],
    to: Option<&'a str>,
    queue: &'a str,
    capacity: u32,
    depth: u64,
    high_water: u32,
    sent: u64,
    dropped: u64,
    send_waits: u64,
    receive_waits: u64,
    oldest: Option<f64>,
}

/// What the addon counts, as `lib/flow` has it.
#[derive(Default, Serialize)]
pub(super) struct Counted<'a> {
    blocks: Vec<BlockJson<'a>>,
    links: Vec<LinkJson<'a>>,
}

/// `Stall` of `lib/flow`.
#[derive(Serialize)]
pub(super) struct StallJson<'a> {
    block: &'a str,
    working: f64,
}

/// `Alone` of `lib/flow`.
#[derive(Serialize)]
pub(super) struct AloneJson<'a> {
    port: &'a str,
    queue: &'a str,
    receives: bool,
}

/// How a run has ended.
#[derive(Default, Serialize)]
pub(super) struct Outcome<'a> {
    /// What has been counted; nothing: it was cut off.
    pub(super) counted: Counted<'a>,
    /// Why, unless all went well.
    pub(super) code: Option<&'static str>,
    pub(super) message: Option<String>,
}

/// Blocks and links in the order in which they were added.
pub(super) fn counted(report: &Report) -> Counted<'_> {
    Counted {
        blocks: report.blocks.iter().map(block).collect(),
        links: report.links.iter().map(link).collect(),
    }
}

pub(super) fn stalls(stalls: &[Stall]) -> Vec<StallJson<'_>> {
    stalls.iter().map(|Stall { block, working }| StallJson { block, working: ms(*working) }).collect()
}

pub(super) fn alone(alone: &[Alone]) -> Vec<AloneJson<'_>> {
    alone
        .iter()
        .map(|Alone { port, queue, receives }| AloneJson { port, queue, receives: *receives })
        .collect()
}

fn link(report: &LinkReport) -> LinkJson<'_> {
    LinkJson {
        from: &report.from,
        to: report.to.as_deref(),
        queue: &report.queue,
        capacity: report.capacity,
        depth: report.depth,
        high_water: report.high_water,
        sent: report.sent,
        dropped: report.dropped,
        send_waits: report.send_waits,
        receive_waits: report.receive_waits,
        oldest: report.oldest.map(ms),
    }
}

fn latency(report: &LatencyReport) -> LatencyJson<'_> {
    LatencyJson {
        source: report.source,
        from: &report.from,
        to: &report.to,
        count: report.count,
        p50: ms(report.p50),
        p99: ms(report.p99),
        max: ms(report.max),
    }
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
        working: ms(report.working),
        work_p50: ms(report.work_p50),
        work_p99: ms(report.work_p99),
        work_max: ms(report.work_max),
        latencies: report.latencies.iter().map(latency).collect(),
        counters: report.counters.iter().copied().collect(),
    }
}

/// Time as JavaScript counts it.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
