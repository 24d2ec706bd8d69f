//! ShmManager: joins a domain and hands out allocators and queues. The composition root of this crate.

mod leave;
#[cfg(all(test, loom))]
mod model;
mod names;
mod open;
mod open_topics;
mod opened;
mod remove;

use crate::buffer::{Buffer, BufferPtr, SharedBufferAllocator, TrimReport};
use crate::error::{Error, Result};
use crate::fault::{self, Point};
use crate::limits::PATIENCE_NS;
use crate::observer::Observer;
use crate::os::LoopEnd;
use crate::queue::QueueCache;
use crate::recovery::{
    Event, EventCursor, Finding, RecoveryReport, Sentinel, StallReport, depart, end_owned, reports_since,
    sweep,
};
use crate::registry::{Ending, Participant};
use crate::segment::base_dir;
use crate::service::{ParticipantId, Runner};
use crate::stats::Snapshot;
use crate::sync::Ordering;
use open_topics::OpenTopics;
pub use opened::{Discarded, Opened};
pub use remove::{Removal, remove_domain};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How to open a domain. `None` means: the default when creating, whatever it is when attaching.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Pool budget in bytes, 1 MiB to about 127 GiB. Default 256 MiB.
    pub max_bytes: Option<u64>,
    /// Whether the domain outlives its last participant. Default no.
    pub persist: Option<bool>,
    /// Name of this participant in snapshots; cut to 63 bytes.
    pub name: Option<String>,
    /// Directory of all domains; else `MILLRACE_DIR`, `$XDG_RUNTIME_DIR/millrace` or `/dev/shm/millrace-<uid>`; on Windows
    /// `%LOCALAPPDATA%\millrace`.
    pub directory: Option<PathBuf>,
    /// How long to wait for somebody who is opening or closing the domain. Default 10 s.
    pub timeout: Option<Duration>,
}

/// A participant's session in a domain: everything starts here. Leaving the domain is dropping it.
#[derive(Debug)]
pub struct ShmManager {
    participant: Arc<Participant>,
    opened: Opened,
    ending: Ending,
    base: PathBuf,
    /// Ends of queues, of subscriptions and of mailboxes.
    queues: Arc<QueueCache>,
    topics: OpenTopics,
    sentinel: Option<Sentinel>,
}

impl ShmManager {
    /// Creates domain `name` or attaches to it. One that nobody is in any more, because all have died, is made anew, unless it persists
    /// or has work queues: [`ShmManager::opened`] says which it was.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument`, `OptionsMismatch`, `Permission`, `Version`, `Truncated`, `Corrupt`, `NoSpace`, `Limit` (128
    /// participants), `Timeout` (somebody who opens or closes it does not proceed), `Io`.
    pub fn open(name: &str, options: &OpenOptions) -> Result<Self> {
        let base = base_dir(options.directory.as_deref());
        let (participant, opened) = open::join(&base, name, options)?;
        let participant = Arc::new(participant);
        let domain = Arc::clone(&participant.domain);
        domain.notify_sentinels();
        let queues = QueueCache::new(Arc::clone(&participant));
        let mut manager = Self {
            participant,
            opened,
            ending: Ending::Closed,
            base,
            queues,
            topics: OpenTopics::default(),
            sentinel: None,
        };
        // Says that we are there, and recovers those who died just before we came (our own last life, often). `Later`: the sentinel sees
        // to it.
        let _ = sweep(&domain)?;
        manager.sentinel = Some(Sentinel::start(Arc::clone(&manager.queues))?);
        Ok(manager)
    }

    /// What opening the domain has found.
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Name of the domain.
    pub fn domain(&self) -> &str {
        &self.participant.domain.name
    }

    /// Directory of the domain.
    pub fn directory(&self) -> &std::path::Path {
        self.participant.domain.dir.path()
    }

    /// Slot number of this participant.
    pub fn slot(&self) -> usize {
        self.participant.slot
    }

    /// Which tenant of the slot this participant is: raised at each joining, so slot and epoch name one participant for ever.
    pub fn epoch(&self) -> u32 {
        self.participant.shared().epoch.load(Ordering::Relaxed)
    }

    /// Slot and epoch.
    pub fn id(&self) -> ParticipantId {
        ParticipantId { slot: self.slot(), epoch: self.epoch() }
    }

    /// Whether tenant `epoch` of `slot` takes part: it has neither left nor been found dead.
    pub fn is_alive(&self, slot: usize, epoch: u32) -> bool {
        self.participant.domain.is_tenant(slot, epoch)
    }

    /// Whether the participant that a [`RequestState`](crate::service::RequestState) names takes part.
    pub fn is_runner_alive(&self, runner: Runner) -> bool {
        let tenant = self.participant.domain.active_at(runner.slot);
        tenant.is_some_and(|tenant| tenant.epoch.load(Ordering::Relaxed) as u16 == runner.epoch_low)
    }

    /// Changes whenever participants have left or have been recovered; this participant is notified at each change. What
    /// [`ShmManager::is_alive`] returns afterwards is as new at least.
    pub fn departures(&self) -> u32 {
        // SYNC DEPARTURE (acquire), pairs with `Domain::announce_departures`.
        self.participant.domain.registry().departures.load(Ordering::Acquire)
    }

    /// What allocates and releases buffers.
    pub fn allocator(&self) -> SharedBufferAllocator {
        SharedBufferAllocator { participant: Arc::clone(&self.participant) }
    }

    /// A buffer of `bytes` bytes.
    ///
    /// # Errors
    /// As [`SharedBufferAllocator::allocate`].
    pub fn allocate(&self, bytes: usize) -> Result<BufferPtr> {
        self.allocator().allocate(bytes)
    }

    /// Announces that this participant sleeps until a queue appears; look again before sleeping.
    pub fn arm_names(&self) {
        self.participant.domain.registry().name_waiters.set(self.participant.slot);
    }

    /// Announces that a thread of this participant sleeps until `count` buffers of `bytes` bytes may be free, of which an allocation has just
    /// found too few; `false`: they are, do not sleep. Each call that returns `true` wants one [`ShmManager::disarm_pool`].
    pub fn arm_pool(&self, bytes: usize, count: usize) -> bool {
        let waiters = &self.participant.domain.registry().pool_waiters;
        self.participant.pool_waits.begin(waiters, self.participant.slot);
        if self.allocator().may_allocate(bytes, count) {
            self.disarm_pool();
            return false;
        }
        waiters.waits.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Ends a wait that [`ShmManager::arm_pool`] began, whether it was for nothing or not.
    pub fn disarm_pool(&self) {
        let (domain, slot) = (&self.participant.domain, self.participant.slot);
        // A wake is for everybody who waits, so there is nobody to pass one on to.
        let _ =
            self.participant.pool_waits.end(&domain.registry().pool_waiters, slot, || domain.notify(slot));
    }

    /// Asks for a byte in the doorbell at the next notification. Call it before arming anything.
    pub fn arm_doorbell(&self) {
        self.participant.arm_doorbell();
    }

    /// What an event loop reads this participant's doorbell by, in which there is something when the participant is notified.
    ///
    /// # Errors
    /// `Limit` when no more descriptors can be had.
    pub fn doorbell(&self) -> Result<LoopEnd> {
        self.participant.doorbell.loop_end()
    }

    /// Number of notifications so far: read it before arming, pass it to [`ShmManager::park`].
    pub fn wake_sequence(&self) -> u32 {
        self.participant.wake_sequence()
    }

    /// Blocks this thread until the participant is notified (`true`) or `timeout` passes.
    pub fn park(&self, sequence: u32, timeout: Duration) -> bool {
        self.participant.park(sequence, timeout)
    }

    /// Notifies this participant itself: ends a [`ShmManager::park`] of another thread.
    pub fn notify(&self) {
        self.participant.domain.notify(self.participant.slot);
    }

    /// Geometry and address of pool segment `index`, for a binding that cuts its own views.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such segment.
    pub fn segment(&self, index: usize) -> Result<crate::SegmentView> {
        let pool = self.participant.domain.pool(index)?.ok_or_else(|| {
            Error::invalid_argument(format!("domain {:?} has no segment {index}", self.domain()))
        })?;
        Ok(crate::SegmentView::new(&pool))
    }

    /// Changes when segments are taken out: what [`ShmManager::segment`] has returned may be of one that is not there any more. Also when the
    /// ring of a queue is replaced: see [`crate::PortQueue::instead`].
    pub fn remaps(&self) -> u32 {
        self.participant.domain.registry().remaps.load(Ordering::Acquire)
    }

    /// Gives the memory of every segment that nobody uses back to the system. It happens by itself where memory is short, and to
    /// segments that nobody has used for a while; this is for programs that know that they will not need it soon. Nothing is given
    /// back while a participant is stopped inside an operation.
    ///
    /// # Errors
    /// `Closed`; `Io` when the locks cannot be had.
    pub fn trim(&self) -> Result<TrimReport> {
        self.allocator().trim()
    }

    /// Looks at the domain, also from other threads and for longer than this manager lives.
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::clone(&self.participant.domain))
    }

    /// The same with mappings of its own, for a binding that has those of this manager replaced when it ends
    /// ([`SegmentView::retire`](crate::SegmentView::retire)).
    ///
    /// # Errors
    /// As [`Observer::open`]. Of a domain whose directory has been removed `Corrupt`, whatever has taken its place.
    pub fn separate_observer(&self) -> Result<Observer> {
        self.observer().separate()
    }

    /// As [`Observer::snapshot`].
    ///
    /// # Errors
    /// When a segment cannot be attached.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.observer().snapshot()
    }

    /// As [`Observer::fsck`], with ten seconds' time.
    ///
    /// # Errors
    /// `Timeout` when a participant is stopped inside an operation.
    pub fn fsck(&self) -> Result<Vec<Finding>> {
        self.observer().fsck(Duration::from_nanos(PATIENCE_NS))
    }

    /// As [`Observer::stalled`].
    pub fn stalled(&self) -> Vec<StallReport> {
        self.observer().stalled()
    }

    /// Changes with what [`ShmManager::stalled`] returns; this participant is notified at each change.
    pub fn stalls(&self) -> u32 {
        self.participant.domain.registry().stalls.load(Ordering::Acquire)
    }

    /// As [`Observer::evict`].
    ///
    /// # Errors
    /// As there.
    pub fn evict(&self, slot: usize, epoch: u32, timeout: Duration) -> Result<RecoveryReport> {
        self.observer().evict(slot, epoch, timeout)
    }

    /// Recoveries in this domain so far.
    pub fn recoveries(&self) -> u64 {
        self.participant.domain.registry().recoveries.load(Ordering::Acquire)
    }

    /// Reports of the recoveries after number `seen`.
    pub fn reports_since(&self, seen: u64) -> Vec<RecoveryReport> {
        reports_since(&self.participant.domain, seen)
    }

    /// From now on to drop this means that its process or worker thread ends by itself, with this exit code, if it is known.
    pub fn exits(&mut self, code: Option<i32>) {
        self.ending = Ending::Exited(code);
    }

    /// Number of the newest event of this domain: this participant is notified when it changes.
    pub fn events(&self) -> u64 {
        self.participant.domain.registry().events.load(Ordering::Acquire)
    }

    /// Where [`ShmManager::take_events`] begins that is to tell what happens from now on.
    pub fn event_cursor(&self) -> EventCursor {
        EventCursor::now(&self.participant.domain)
    }

    /// Who else has joined and who has left since `cursor`, which goes on, in an order that is the same for everybody.
    pub fn take_events(&self, cursor: &mut EventCursor) -> Vec<Event> {
        cursor.take(&self.participant.domain, (self.slot(), self.epoch()))
    }

    /// Releases everything that is still held.
    fn release_all(&self) {
        let mut freed = 0;
        for (id, held) in self.participant.held() {
            for count in 0..held.total() {
                let _pin = self.participant.enter();
                let buffer = Buffer { id, received: count >= held.own() };
                // Held a moment ago, and nobody else removes from our ledger.
                freed += usize::from(self.participant.release(buffer).unwrap_or(false));
            }
        }
        if freed > 0 {
            self.participant.wake_pool();
        }
        let registry = self.participant.domain.registry();
        registry.name_waiters.clear(self.participant.slot);
        registry.pool_waiters.clear(self.participant.slot);
    }
}

impl Drop for ShmManager {
    fn drop(&mut self) {
        self.sentinel = None;
        end_owned(&self.queues);
        self.participant.retire();
        // Roles and waiter bits go with the ends, which may live longer than this.
        self.queues.retire();
        self.release_all();
        fault::hit(Point::LeaveReleased);
        self.participant.leave(self.ending);
        depart(&self.participant);
        leave::remove_if_deserted(&self.base, &self.participant.domain);
        self.participant.domain.notify_sentinels();
    }
}
