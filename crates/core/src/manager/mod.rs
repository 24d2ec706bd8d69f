//! ShmManager: joins a domain and hands out allocators and queues. The composition root of this crate.

mod names;
mod open_cache;

use crate::buffer::{Buffer, BufferPtr, SharedBufferAllocator};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::PARTICIPANT_ACTIVE;
use crate::limits::{DEFAULT_MAX_BYTES, MAX_MAX_BYTES, MIN_MAX_BYTES, OPEN_TIMEOUT_NS, PATIENCE_NS};
use crate::observer::{Observer, assist};
use crate::queue::QueueCache;
use crate::recovery::{
    Finding, RecoveryReport, Sentinel, StallReport, Sweep, end_owned, reports_since, sweep,
};
use crate::registry::{Domain, Participant};
use crate::segment::{DomainDir, DomainLock, SegmentName, base_dir, validate_name};
use crate::service::ParticipantId;
use crate::stats::Snapshot;
use crate::sync::Ordering;
use crate::topic::Topic;
use open_cache::OpenCache;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to open a domain. `None` means: the default when creating, whatever it is when attaching.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Pool budget in bytes, 1 MiB to about 127 GiB. Default 256 MiB.
    pub max_bytes: Option<u64>,
    /// Whether the domain outlives its last participant. Default no.
    pub persist: Option<bool>,
    /// Name of this participant in snapshots; cut to 63 bytes.
    pub name: Option<String>,
    /// Directory of all domains; else `MILLRACE_DIR`, `$XDG_RUNTIME_DIR/millrace` or `/dev/shm/millrace-<uid>`.
    pub directory: Option<PathBuf>,
    /// How long to wait for somebody who is opening or closing the domain. Default 10 s.
    pub timeout: Option<Duration>,
}

/// A participant's session in a domain: everything starts here. Leaving the domain is dropping it.
#[derive(Debug)]
pub struct ShmManager {
    participant: Arc<Participant>,
    base: PathBuf,
    /// Ends of queues, of subscriptions and of mailboxes.
    queues: Arc<QueueCache>,
    topics: OpenCache<String, Topic>,
    sentinel: Option<Sentinel>,
}

impl ShmManager {
    /// Creates domain `name` or attaches to it.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument`, `OptionsMismatch`, `Permission`, `Version`, `Truncated`, `Corrupt`, `NoSpace`, `Limit` (128
    /// participants), `Timeout` (somebody who opens or closes it does not proceed), `Io`.
    pub fn open(name: &str, options: &OpenOptions) -> Result<Self> {
        validate_name("domain", name)?;
        if let Some(bytes) = options.max_bytes.filter(|b| !(MIN_MAX_BYTES..=MAX_MAX_BYTES).contains(b)) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("domain {name:?}: maxBytes is {bytes}, must be {MIN_MAX_BYTES} to {MAX_MAX_BYTES}"),
            ));
        }
        let base = base_dir(options.directory.as_deref());
        let timeout = options.timeout.unwrap_or(Duration::from_nanos(OPEN_TIMEOUT_NS));
        let deadline = crate::wait::deadline(timeout);
        let lock = DomainLock::take(&base, name, deadline)?;
        fault::hit(Point::OpenLocked);
        let domain = match open_domain(&base, name, options) {
            Ok(domain) => Arc::new(domain),
            Err(error) => {
                if !base.join(name).exists() {
                    lock.remove();
                }
                return Err(error);
            }
        };
        let label = options.name.clone().unwrap_or_else(|| format!("process {}", std::process::id()));
        let joined = Participant::join(Arc::clone(&domain), &label).or_else(|error| {
            // The table may be full of dead participants.
            let freed = error.kind() == ErrorKind::Limit && matches!(sweep(&domain), Ok(Sweep::Recovered(_)));
            if freed { Participant::join(Arc::clone(&domain), &label) } else { Err(error) }
        });
        let participant = match joined {
            Ok(participant) => Arc::new(participant),
            Err(error) => {
                leave_behind_nothing(&domain, lock)?;
                return Err(error);
            }
        };
        drop(lock);
        domain.notify_sentinels();
        let queues = QueueCache::new(Arc::clone(&participant));
        let mut manager = Self { participant, base, queues, topics: OpenCache::default(), sentinel: None };
        // Whoever died just before we came (our own last life, often) must not meet us as a ghost. Later: the sentinel sees to it.
        let _ = sweep(&domain)?;
        manager.sentinel = Some(Sentinel::start(Arc::clone(&manager.participant))?);
        Ok(manager)
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

    /// Announces that this participant sleeps until a buffer of `bytes` bytes may be free; `false`: one is, do not sleep.
    pub fn arm_pool(&self, bytes: usize) -> bool {
        let waiters = &self.participant.domain.registry().pool_waiters;
        waiters.set(self.participant.slot);
        if self.allocator().has_free(bytes) {
            waiters.clear(self.participant.slot);
            return false;
        }
        waiters.waits.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Ends [`ShmManager::arm_pool`].
    pub fn disarm_pool(&self) {
        self.participant.domain.registry().pool_waiters.clear(self.participant.slot);
    }

    /// Asks for a byte in the doorbell at the next ring. Call it before arming anything.
    pub fn arm_bell(&self) {
        self.participant.arm_bell();
    }

    /// A descriptor of this participant's doorbell, a FIFO that becomes readable when it is rung.
    ///
    /// # Errors
    /// `Io` when no more descriptors can be had.
    pub fn doorbell(&self) -> Result<OwnedFd> {
        self.participant.bell.try_clone().map_err(|e| Error::io("cannot duplicate the doorbell", e))
    }

    /// Number of rings so far: read it before arming, pass it to [`ShmManager::park`].
    pub fn wake_sequence(&self) -> u32 {
        self.participant.wake_sequence()
    }

    /// Blocks this thread until the participant is rung (`true`) or `timeout` passes.
    pub fn park(&self, sequence: u32, timeout: Duration) -> bool {
        self.participant.park(sequence, timeout)
    }

    /// Geometry and address of pool segment `index`, for a binding that cuts its own views.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such segment.
    pub fn segment(&self, index: usize) -> Result<crate::SegmentView> {
        let pool = self.participant.pool(index)?.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("domain {:?} has no segment {index}", self.domain()),
            )
        })?;
        Ok(crate::SegmentView::new(pool))
    }

    /// Looks at the domain, also from other threads and for longer than this manager lives.
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::clone(&self.participant.domain))
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

    /// Changes with what [`ShmManager::stalled`] answers; this participant is rung at each change.
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

    /// Releases everything that is still held.
    fn release_all(&self) {
        let mut freed = 0;
        for (id, held) in self.participant.held() {
            for count in 0..held.total() {
                let _pin = self.participant.enter();
                let buffer = Buffer { id, received: count >= held.own() };
                // Held a moment ago, and nobody else strikes from our ledger.
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
        let domain = &self.participant.domain;
        // Without the lock the slot stays active, and the sweep of another participant takes it for dead: exact as well.
        let deadline = Instant::now() + Duration::from_nanos(OPEN_TIMEOUT_NS);
        if let Ok(lock) = DomainLock::take(&self.base, self.domain(), deadline) {
            fault::hit(Point::LeaveReleased);
            self.participant.leave();
            // What cannot be removed now is removed by the next one who opens and closes the domain.
            let _ = leave_behind_nothing(domain, lock);
            domain.notify_sentinels();
        }
    }
}

/// Attaches to the domain, or makes it. The caller holds the domain lock.
fn open_domain(base: &std::path::Path, name: &str, options: &OpenOptions) -> Result<Domain> {
    let dir = DomainDir::open(base, name)?;
    let max_bytes = options.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    let persist = options.persist.unwrap_or(false);
    if !dir.has_segment(SegmentName::Registry) {
        let made = Domain::create(name, dir, max_bytes, persist, assist);
        if made.is_err() {
            DomainDir::open(base, name)?.remove()?;
        }
        return made;
    }
    let domain = match Domain::open(name, dir, assist) {
        // Nobody can be using a domain of another layout or a damaged one if every life lock is free: start afresh.
        Err(e) if is_unusable(&e) && !anybody_alive(base, name)? => {
            DomainDir::open(base, name)?.remove()?;
            return Domain::create(name, DomainDir::open(base, name)?, max_bytes, persist, assist);
        }
        other => other?,
    };
    let registry = domain.registry();
    let is = registry.max_bytes.load(Ordering::Relaxed);
    let persists = registry.persist.load(Ordering::Relaxed) != 0;
    let other_bytes = options.max_bytes.filter(|asked| *asked != is);
    let other_persist = options.persist.filter(|asked| *asked != persists);
    if other_bytes.is_none() && other_persist.is_none() {
        return Ok(domain);
    }
    if anybody_alive(base, name)? {
        return match other_bytes {
            Some(asked) => mismatch(name, "maxBytes", is, asked),
            None => mismatch(name, "persist", persists, !persists),
        };
    }
    // Both are limits on what comes, not on what is there: with nobody left to disagree, the newcomer's hold.
    registry.max_bytes.store(other_bytes.unwrap_or(is), Ordering::Relaxed);
    registry.persist.store(other_persist.unwrap_or(persists).into(), Ordering::Relaxed);
    Ok(domain)
}

fn is_unusable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Version | ErrorKind::Corrupt | ErrorKind::Truncated)
}

/// Whether anybody holds a life lock in the domain's directory, without trusting its registry.
fn anybody_alive(base: &std::path::Path, name: &str) -> Result<bool> {
    let dir = DomainDir::open(base, name)?;
    for slot in 0..crate::limits::MAX_PARTICIPANTS {
        if dir.participant_file("life", slot).exists()
            && crate::liveness::LifeLock::take_if_dead(&dir, slot)?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn mismatch<T: std::fmt::Display>(name: &str, what: &str, is: T, asked: T) -> Result<Domain> {
    Err(Error::new(
        ErrorKind::OptionsMismatch,
        format!("domain {name:?} exists with {what} {is}, {asked} was asked for"),
    ))
}

/// Removes the domain if nobody is left in it (unless it persists), and gives up the lock.
fn leave_behind_nothing(domain: &Domain, lock: DomainLock) -> Result<()> {
    let nobody =
        || !domain.participants().iter().any(|p| p.state.load(Ordering::Acquire) == PARTICIPANT_ACTIVE);
    if domain.registry().persist.load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    // The dead still count as participants: recover them first.
    if nobody() || (sweep(domain).is_ok() && nobody()) {
        domain.dir.remove()?;
        lock.remove();
    }
    Ok(())
}
