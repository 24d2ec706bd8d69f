//! What happens to the participants of a domain, as data that each of them reads once.

use super::log::{read, remembered};
use super::report::{RecoveryReport, report_of};
use crate::layout::{
    EVENT_CLOSED, EVENT_DIED, EVENT_EXITED, EVENT_EXITED_SOMEHOW, EVENT_JOINED, EventRecord,
};
use crate::limits::MAX_PARTICIPANTS;
use crate::registry::Domain;
use crate::sync::Ordering;
use serde::Serialize;

/// Somebody has joined a domain or has left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Number of the event in its domain, from 1: the same for everybody.
    pub sequence: u64,
    /// The participant's slot.
    pub slot: u32,
    /// Which tenant of the slot it is.
    pub epoch: u32,
    /// Process id, as its own namespace numbers it.
    pub pid: u32,
    /// Name it has given itself.
    pub name: String,
    /// Wall clock in ms since 1970.
    pub at_ms: u64,
    /// Events right before this one that are gone, because nobody asked here while the domain remembered them.
    pub missed: u64,
    /// What has happened.
    #[serde(flatten)]
    pub change: Change,
}

/// What has happened to a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum Change {
    /// It is there.
    Joined,
    /// It has left in order: it was closed.
    Closed,
    /// It has left in order because its process or worker thread ended.
    Exited {
        /// Exit code, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// It died, and has been recovered.
    Died {
        /// What that came to.
        recovery: RecoveryReport,
    },
}

/// How far somebody has read the log of a domain.
#[derive(Clone, Copy, Debug)]
pub struct EventCursor {
    seen: u64,
    missed: u64,
    recoveries: u64,
}

impl EventCursor {
    /// Nothing that has happened so far is news.
    pub(crate) fn now(domain: &Domain) -> Self {
        let registry = domain.registry();
        // Acquire: in this order, so that no recovery is taken for a missed one. One that is done in between is told.
        let recoveries = registry.recoveries.load(Ordering::Acquire);
        Self { seen: registry.events.load(Ordering::Acquire), missed: 0, recoveries }
    }

    /// Everything after event `sequence` is news. Nobody knows how many recoveries there were until then, so none is taken for a missed one.
    pub(crate) fn after(sequence: u64) -> Self {
        Self { seen: sequence, missed: 0, recoveries: u64::MAX }
    }

    /// Number of the newest event that has been read.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The events since, without those of tenant `epoch` of `slot` joining.
    pub(crate) fn take(&mut self, domain: &Domain, (slot, epoch): (usize, u32)) -> Vec<Event> {
        let sequences = remembered(domain, self.seen);
        let (first, newest) = (*sequences.start(), *sequences.end());
        self.missed += first.saturating_sub(self.seen).saturating_sub(1);
        let mut events = Vec::new();
        for sequence in sequences {
            let Some(mut event) = read(domain, sequence, event_of).flatten() else {
                self.missed += 1;
                continue;
            };
            if event.change == Change::Joined && (event.slot as usize, event.epoch) == (slot, epoch) {
                continue;
            }
            event.missed = std::mem::take(&mut self.missed);
            if let Change::Died { recovery } = &mut event.change {
                recovery.missed = recovery.sequence.saturating_sub(self.recoveries).saturating_sub(1);
                self.recoveries = recovery.sequence;
            }
            events.push(event);
        }
        self.seen = newest;
        events
    }
}

/// `None`: what it says cannot be.
fn event_of(sequence: u64, record: &EventRecord) -> Option<Event> {
    let slot = record.slot.load(Ordering::Relaxed);
    let code = record.exit_code.load(Ordering::Relaxed).cast_signed();
    let change = match record.kind.load(Ordering::Relaxed) {
        EVENT_JOINED => Change::Joined,
        EVENT_CLOSED => Change::Closed,
        EVENT_EXITED => Change::Exited { code: Some(code) },
        EVENT_EXITED_SOMEHOW => Change::Exited { code: None },
        EVENT_DIED => Change::Died { recovery: report_of(record) },
        _ => return None,
    };
    ((slot as usize) < MAX_PARTICIPANTS).then(|| Event {
        sequence,
        slot,
        epoch: record.epoch.load(Ordering::Relaxed),
        pid: record.pid.load(Ordering::Relaxed),
        name: record.name.get(),
        at_ms: record.at_ms.load(Ordering::Relaxed),
        missed: 0,
        change,
    })
}
