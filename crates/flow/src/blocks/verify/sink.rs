//! A sink of test messages.

use super::content::{Finding, examine};
use super::stream::{Stream, StreamCounts};
use crate::block::Block;
use crate::blocks::bytes::bytes;
use crate::blocks::null::{COUNT, count};
use crate::blocks::{Described, Fallback, Kind, Setting, Settings};
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams that are told apart. A message of yet another one counts as unknown: who sends it may have made its number up.
const STREAMS_MAX: usize = 4096;

const STRICT: Setting = Setting {
    name: "strict",
    kind: Kind::Flag,
    unit: "",
    default: Fallback::Flag(false),
    about: "It fails at its end if a message was lost, duplicated, out of order or damaged.",
};

#[derive(Debug, Default)]
struct Seen {
    streams: BTreeMap<u32, Stream>,
    /// Messages of which nobody can tell which they are.
    unknown: u64,
    /// Nothing more comes of any stream.
    has_ended: bool,
}

impl Seen {
    fn total(&self) -> StreamCounts {
        let mut total = StreamCounts::default();
        self.streams.values().for_each(|stream| total.add(&stream.counts(self.has_ended)));
        total
    }
}

/// What a [`VerifySink`] finds, for whoever wants to know of each stream.
#[derive(Clone, Debug, Default)]
pub struct VerifyResults {
    seen: Arc<Mutex<Seen>>,
}

impl VerifyResults {
    /// What has been counted so far of each stream, by its number.
    pub fn streams(&self) -> BTreeMap<u32, StreamCounts> {
        let seen = self.lock();
        seen.streams.iter().map(|(source, stream)| (*source, stream.counts(seen.has_ended))).collect()
    }

    /// Messages of which nobody can tell which they are: each may be one that is lost.
    pub fn unknown(&self) -> u64 {
        self.lock().unknown
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here panics.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the messages of [`VerifySource`](super::VerifySource)s and tells, of each stream, what was lost, duplicated, out of order or
/// damaged. Input: `in`. It knows what is lost when it is the only one to take from the streams.
///
/// ```
/// # use millrace::{OpenOptions, ShmManager};
/// # use millrace_flow::blocks::{VerifySink, VerifySource};
/// # use millrace_flow::{LinkOptions, Scheduler, SchedulerOptions};
/// # use std::sync::Arc;
/// # fn main() -> millrace::Result<()> {
/// # let name = format!("doc-verify-{}", std::process::id());
/// # let shm = Arc::new(ShmManager::open(&name, &OpenOptions::default())?);
/// # let mut scheduler = Scheduler::new(shm, SchedulerOptions { threads: 2, ..Default::default() })?;
/// let source = scheduler.add("source", VerifySource::new(1024, 1000, 7)?)?;
/// let sink = VerifySink::default();
/// let results = sink.results();
/// let sink = scheduler.add("sink", sink)?;
/// scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default())?;
/// scheduler.run()?;
/// let stream = results.streams()[&7];
/// assert!(stream.is_perfect() && stream.received == 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VerifySink {
    results: VerifyResults,
    count: u64,
    taken: u64,
    strict: bool,
}

impl Default for VerifySink {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl VerifySink {
    /// One that ends after `count` messages.
    pub fn new(count: u64) -> Self {
        Self { results: VerifyResults::default(), count, taken: 0, strict: false }
    }

    /// Makes it fail at its end if not every message came once, in order and intact.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Where its findings can be read, also while it runs.
    pub fn results(&self) -> VerifyResults {
        self.results.clone()
    }
}

impl Described for VerifySink {
    const NAME: &'static str = "VerifySink";
    const ABOUT: &'static str = "Takes the messages of VerifySources, and counts per stream what was lost, duplicated, reordered, corrupted \
         or delivered again.";
    const SETTINGS: &'static [Setting] = &[COUNT, STRICT];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self { strict: settings.flag("strict"), ..Self::new(count(settings)) })
    }
}

impl Block for VerifySink {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut seen = self.results.lock();
        while self.taken < self.count {
            let Some(message) = io.next(0)? else { break };
            self.taken += 1;
            let (identity, is_intact) = match examine(bytes(&message)) {
                Finding::Intact(identity) => (identity, true),
                Finding::DamagedBody(identity) => (identity, false),
                Finding::Unknown => {
                    seen.unknown += 1;
                    continue;
                }
            };
            if seen.streams.len() >= STREAMS_MAX && !seen.streams.contains_key(&identity.source) {
                seen.unknown += 1;
                continue;
            }
            let stream = seen.streams.entry(identity.source).or_default();
            stream.observe(identity.sequence, identity.count, message.is_redelivered(), is_intact);
        }
        Ok(if self.taken == self.count { Work::Done } else { Work::Ok })
    }

    fn end(&mut self, _io: &mut Io<'_>) -> Result<()> {
        self.results.lock().has_ended = true;
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let seen = self.results.lock();
        let is_over = seen.has_ended || self.taken == self.count;
        if !self.strict || !is_over || (seen.total().is_perfect() && seen.unknown == 0) {
            return Ok(());
        }
        let mut message =
            format!("not every message came once, in order and intact: {} unknown", seen.unknown);
        for (source, stream) in &seen.streams {
            message.push_str(&format!("; stream {source}: {:?}", stream.counts(seen.has_ended)));
        }
        Err(Error::new(ErrorKind::BlockFailed, message))
    }

    fn demand(&self, _input: usize) -> u64 {
        self.count - self.taken
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let seen = self.results.lock();
        let total = seen.total();
        vec![
            ("received", total.received),
            ("lost", total.lost),
            ("duplicated", total.duplicated),
            ("reordered", total.reordered),
            ("corrupted", total.corrupted),
            ("unknown", seen.unknown),
            ("redelivered", total.redelivered),
        ]
    }
}
