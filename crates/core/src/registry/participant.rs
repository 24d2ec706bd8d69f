//! One participant: its slot, its life lock, its doorbells, and the pin that every shared memory operation runs under.

use super::Domain;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{
    EVENT_CLOSED, EVENT_EXITED, EVENT_EXITED_SOMEHOW, Lane, PARTICIPANT_ACTIVE, PARTICIPANT_FREE,
    PARTICIPANT_LEAVING, ParticipantSlot, TOLD_EPOCH_SHIFT, TakeIntent, buffer_id,
};
use crate::limits::{LANES, MAX_PARTICIPANTS, MAX_SEGMENTS, OWN_LANES, RECOVERY_PATIENCE_NS};
use crate::liveness::LifeLock;
use crate::os::{Doorbell, deadline, wait_on};
use crate::pool::{AllocationHints, LedgerEntry, Pool};
use crate::registry::now_ms;
use crate::segment::{DoorbellKind, View};
use crate::sync::{AtomicU64, Ordering};
use crate::wait::Waits;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A joined participant. Everything a manager and its handles share.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) domain: Arc<Domain>,
    pub(crate) slot: usize,
    /// The slot, found once: every operation needs it.
    shared: View<ParticipantSlot>,
    /// Set when we leave: what still exists of us (buffers, queue ends) must not touch a slot that is somebody else's by then.
    left: AtomicBool,
    /// Whose turn it is at what the threads of a shared lane write one at a time.
    turns: [Mutex<()>; LANES - OWN_LANES],
    /// Threads that wait for a buffer.
    pub(crate) pool_waits: Waits,
    /// Where to look first for a free buffer.
    pub(crate) hints: AllocationHints,
    /// Read end of our event loop's doorbell.
    pub(crate) doorbell: Doorbell,
    /// Read end of our sentinel's doorbell.
    pub(crate) sentinel: Doorbell,
    /// Held as long as we live; dropped last.
    _life: LifeLock,
}

/// Why a participant leaves in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is closed.
    Closed,
    /// Its process or worker thread ends, with this code, if that is known.
    Exited(Option<i32>),
}

/// Proof that this thread is inside a shared memory operation: while one exists no recovery looks at anything.
#[derive(Debug)]
pub(crate) struct Pin<'a> {
    lane: &'a Lane,
    /// `None`: no other thread writes to the lane, so where others take a locked instruction, this one stores. Else what serialises what
    /// only one of them can write at a time.
    shared: Option<&'a Mutex<()>>,
}

impl Pin<'_> {
    /// Runs `take`, which adds the message of a pack to the ledger and frees its slot, and says meanwhile which one that is.
    #[inline]
    pub(crate) fn with_intent(&self, intent: impl FnOnce() -> TakeIntent, take: impl FnOnce()) {
        let _turn = self.shared.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        // Release: before the ledger, and after the slot. Not for another processor, for whoever looks at what a crash left: what comes
        // later in the program is not there without it.
        self.lane.taking.store(intent().bits(), Ordering::Release);
        take();
        self.lane.taking.store(0, Ordering::Release);
    }

    /// Says that `count` messages have been taken to be copied out, until we are outside: no ledger says so.
    #[inline]
    pub(crate) fn begin_copies(&self, count: usize) {
        let copies = count as u32 * Lane::COPY;
        // Release: before the first slot is free, likewise.
        if self.shared.is_none() {
            self.lane.inside.store(copies + 1, Ordering::Release);
        } else {
            self.lane.inside.fetch_add(copies, Ordering::Release);
        }
    }

    /// Of a lane that others write to: the copies are done.
    #[inline]
    pub(crate) fn end_copies(&self, count: usize) {
        if self.shared.is_some() {
            self.lane.inside.fetch_sub(count as u32 * Lane::COPY, Ordering::Release);
        }
    }

    /// Counts messages put into queues.
    #[inline]
    pub(crate) fn count_sent(&self, count: usize) {
        self.count(&self.lane.sent, count);
    }

    /// Counts messages taken out of queues.
    #[inline]
    pub(crate) fn count_received(&self, count: usize) {
        self.count(&self.lane.received, count);
    }

    fn count(&self, counter: &AtomicU64, count: usize) {
        // Relaxed: statistics.
        if self.shared.is_none() {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(count as u64), Ordering::Relaxed);
        } else {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    #[inline]
    fn leave(&self) {
        // SYNC PIN (release), pairs with the recoverer's acquire load of the lane: it sees all we did inside.
        if self.shared.is_none() {
            self.lane.inside.store(0, Ordering::Release);
        } else {
            self.lane.inside.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(all(debug_assertions, not(loom)))]
        PINNED.set(0);
        self.leave();
    }
}

impl ParticipantSlot {
    /// Who its tenant is, for people.
    pub(crate) fn described(&self) -> String {
        format!("{:?} (process {})", self.name.get(), self.pid.load(Ordering::Relaxed))
    }
}

impl Participant {
    /// Claims a slot. The caller holds the domain lock.
    pub(crate) fn join(domain: Arc<Domain>, name: &str) -> Result<Self> {
        let (slot, life) = Self::claim(&domain)?;
        let view = domain.participant_slot(slot)?;
        fault::hit(Point::JoinClaimed);
        let doorbell = domain.dir.doorbell(DoorbellKind::EventLoop, slot, true)?;
        let sentinel = domain.dir.doorbell(DoorbellKind::Sentinel, slot, true)?;
        let shared = &domain.registry().participants[slot];
        let epoch = shared.epoch.load(Ordering::Relaxed).wrapping_add(1);
        shared.epoch.store(epoch, Ordering::Relaxed);
        domain.joined_as(slot, epoch);
        shared.pid.store(std::process::id(), Ordering::Relaxed);
        shared.started_ms.store(now_ms(), Ordering::Relaxed);
        shared.name.set(name);
        shared.stalled.store(0, Ordering::Relaxed);
        shared.attached.store(0, Ordering::Relaxed);
        shared.told.store(u64::from(epoch) << TOLD_EPOCH_SHIFT, Ordering::Relaxed);
        for lane in &shared.lanes {
            lane.inside.store(0, Ordering::Relaxed);
            for word in [&lane.taking, &lane.sent, &lane.received] {
                word.store(0, Ordering::Relaxed);
            }
        }
        for word in [&shared.wake.sleepers, &shared.wake.doorbell_armed] {
            word.store(0, Ordering::Relaxed);
        }
        // SYNC JOIN (release), pairs with `Domain::active` (acquire). The life lock is held already, so nobody takes us for dead.
        shared.state.store(PARTICIPANT_ACTIVE, Ordering::Release);
        fault::hit(Point::JoinActive);
        Ok(Self {
            shared: view,
            domain,
            slot,
            left: AtomicBool::new(false),
            turns: Default::default(),
            pool_waits: Waits::default(),
            hints: AllocationHints::new(slot),
            doorbell,
            sentinel,
            _life: life,
        })
    }

    fn claim(domain: &Domain) -> Result<(usize, LifeLock)> {
        for slot in 0..MAX_PARTICIPANTS {
            let used = domain.participants().get(slot);
            if used.is_some_and(|p| p.state.load(Ordering::Acquire) != PARTICIPANT_FREE) {
                continue;
            }
            domain.reserve_participant(slot)?;
            // Taken by a sweep that saw the last tenant leave, or by what is left of that tenant: the next slot will do.
            if let Some(life) = LifeLock::take(&domain.dir, slot)? {
                return Ok((slot, life));
            }
        }
        let mut counts = BTreeMap::new();
        for (_, p) in domain.active() {
            *counts.entry(p.pid.load(Ordering::Relaxed)).or_insert(0) += 1;
        }
        let processes: Vec<_> = counts.iter().map(|(pid, count)| format!("{pid} × {count}")).collect();
        Err(Error::new(
            ErrorKind::Limit,
            format!(
                "domain {:?} has its {MAX_PARTICIPANTS} participants already (managers by process: {}): \
                 a process needs one manager, which it closes when it is done",
                domain.name,
                processes.join(", ")
            ),
        ))
    }

    /// Ends every operation of this participant but the ones that [`Participant::enter`] starts; waits for those under way.
    pub(crate) fn retire(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.domain.keep_mappings();
        // Bounded: another process may have damaged the lanes, and no operation of ours takes as long.
        let deadline = deadline(Duration::from_secs(1));
        while self.shared().lanes.iter().any(|lane| lane.inside.load(Ordering::SeqCst) != 0)
            && Instant::now() < deadline
        {
            std::thread::yield_now();
        }
    }

    /// Takes part no more: everything held must have been released before. Needs no lock. The slot is freed by whoever tells the others.
    pub(crate) fn leave(&self, ending: Ending) {
        let (kind, code) = match ending {
            Ending::Closed => (EVENT_CLOSED, 0),
            Ending::Exited(Some(code)) => (EVENT_EXITED, code),
            Ending::Exited(None) => (EVENT_EXITED_SOMEHOW, 0),
        };
        self.shared().ending.store(kind, Ordering::Relaxed);
        self.shared().exit_code.store(code.cast_unsigned(), Ordering::Relaxed);
        // SYNC JOIN (release): who sees it sees how. Before the life lock goes: a slot that is active with a free lock would count as dead.
        self.shared().state.store(PARTICIPANT_LEAVING, Ordering::Release);
        fault::hit(Point::LeaveBegun);
    }

    /// Our slot in shared memory.
    #[inline]
    pub(crate) fn shared(&self) -> &ParticipantSlot {
        &self.shared[0]
    }

    /// Enters a shared memory operation; waits while somebody recovers.
    ///
    /// # Errors
    /// `Closed` after [`Participant::retire`].
    #[inline]
    pub(crate) fn pin(&self) -> Result<Pin<'_>> {
        let pin = self.enter();
        // Looked at inside, so that `retire` waits for us or we see it.
        if self.left.load(Ordering::SeqCst) {
            drop(pin);
            return Err(Error::new(
                ErrorKind::Closed,
                format!("domain {:?} has been closed here", self.domain.name),
            ));
        }
        Ok(pin)
    }

    /// Whether the participant is leaving or has left.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// As `pin`, for the last operations of a participant that leaves.
    #[inline]
    pub(crate) fn enter(&self) -> Pin<'_> {
        let number = lane_of_thread();
        let lane = &self.shared().lanes[number];
        // Whoever waits for the end of a recovery inside another operation has the recoverer wait for it.
        #[cfg(all(debug_assertions, not(loom)))]
        assert_ne!(PINNED.get(), &raw const *lane as usize, "a thread pins once");
        loop {
            // SYNC PIN (seq-cst), pairs with the recoverer's store of `recovering` and its loads of the lanes: in the single
            // order of these four, either the recoverer sees us inside, or we see that it recovers. Acquire: we see its repairs.
            lane.inside.fetch_add(1, Ordering::SeqCst);
            let pin = Pin { lane, shared: number.checked_sub(OWN_LANES).map(|shared| &self.turns[shared]) };
            let recovering = self.domain.registry().recovering.load(Ordering::SeqCst);
            if recovering == 0 {
                #[cfg(all(debug_assertions, not(loom)))]
                PINNED.set(&raw const *lane as usize);
                fault::hit(Point::Pinned);
                return pin;
            }
            drop(pin);
            self.await_recovery(recovering);
        }
    }

    #[cold]
    fn await_recovery(&self, token: u32) {
        let word = &self.domain.registry().recovering;
        wait_on(word, token, Duration::from_nanos(RECOVERY_PATIENCE_NS));
        if word.load(Ordering::Acquire) == token {
            // The recoverer is slow, stopped, or dead: then its lock is free and we do its work.
            (self.domain.assist)(&self.domain, token);
        }
    }

    /// Pool segment `index`, with a ledger row of ours. The caller has pinned.
    #[inline]
    pub(crate) fn pool(&self, index: usize) -> Result<Option<&Pool>> {
        if self.has_attached(index)
            && let Some(pool) = self.domain.attached_pool(index)
        {
            return Ok(Some(pool));
        }
        self.attach(index)
    }

    #[inline]
    fn has_attached(&self, index: usize) -> bool {
        // SYNC ATTACH (acquire), pairs with `attach` (release): whoever sees the bit finds the mapping, and may use the row.
        self.shared().attached.load(Ordering::Acquire) & 1 << (index % MAX_SEGMENTS) != 0
    }

    #[cold]
    fn attach(&self, index: usize) -> Result<Option<&Pool>> {
        let Some(pool) = self.domain.pool(index)? else { return Ok(None) };
        pool.reserve_row(self.slot)?;
        self.assert_stays(&pool);
        // SYNC ATTACH (release).
        self.shared().attached.fetch_or(1 << (index % MAX_SEGMENTS), Ordering::Release);
        Ok(self.domain.attached_pool(index))
    }

    /// Pool segment `index`, for a use that must not fail for want of memory: without a ledger row of ours, if there is none yet. The
    /// caller has pinned.
    pub(crate) fn pool_without_row(&self, index: usize) -> Result<Option<&Pool>> {
        if !self.has_attached(index) {
            let Some(pool) = self.domain.pool(index)? else { return Ok(None) };
            self.assert_stays(&pool);
        }
        Ok(self.domain.attached_pool(index))
    }

    /// Pool segment `index`, of which the caller holds a buffer, or held one when this participant left. Of a number that nobody gave out,
    /// what was attached last, if anything: mappings that are let go are kept for a while.
    pub(crate) fn held_pool(&self, index: usize) -> Option<&Pool> {
        self.domain.attached_pool(index)
    }

    /// The conditions of `pool`: else its segment may be taken out, and the mapping be gone, while it is used.
    fn assert_stays(&self, pool: &Pool) {
        #[cfg(all(debug_assertions, not(loom)))]
        {
            use super::stop::has_stopped;
            let lane = &raw const self.shared().lanes[lane_of_thread()] as usize;
            let stays = PINNED.get() == lane || has_stopped(&self.domain) || self.has_left();
            assert!(stays, "segment {} is looked at without a pin", pool.index);
        }
        #[cfg(not(all(debug_assertions, not(loom))))]
        let _ = pool;
    }

    /// References this participant holds, by buffer id.
    pub(crate) fn held(&self) -> Vec<(u32, LedgerEntry)> {
        let mut all = Vec::new();
        // What we hold we have attached; nothing here may fail for want of anything.
        for pool in self.domain.mapped_pools() {
            for (index, entry) in pool.row(self.slot).iter().enumerate() {
                let held = LedgerEntry::from_bits(entry.load(Ordering::Relaxed));
                if held.total() > 0 {
                    all.push((buffer_id(pool.index, index), held));
                }
            }
        }
        all
    }

    /// The ring count to pass to [`Participant::park`]; read it before arming.
    pub(crate) fn wake_sequence(&self) -> u32 {
        self.shared().wake.sequence.load(Ordering::SeqCst)
    }

    /// Sleeps until this participant is notified (`true`) or `timeout` passes. `sequence` was read before arming.
    pub(crate) fn park(&self, sequence: u32, timeout: Duration) -> bool {
        let wake = &self.shared().wake;
        // SYNC WAKE (seq-cst), pairs with `Domain::ring`: it raises the sequence, then looks for sleepers.
        wake.sleepers.fetch_add(1, Ordering::SeqCst);
        wait_on(&wake.sequence, sequence, timeout);
        wake.sleepers.fetch_sub(1, Ordering::Relaxed);
        self.wake_sequence() != sequence
    }

    /// Asks for a byte in the doorbell at the next notification.
    pub(crate) fn arm_doorbell(&self) {
        // SYNC DOORBELL (acq-rel): set before the waiter bit is set, so whoever takes the bit sees it.
        self.shared().wake.doorbell_armed.swap(1, Ordering::AcqRel);
    }
}

// The lane that this thread has raised last, 0 = none.
#[cfg(all(debug_assertions, not(loom)))]
thread_local!(static PINNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

/// The first threads that pin have a lane each; those after them spread over the others.
#[inline]
fn lane_of_thread() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<usize> = const { Cell::new(usize::MAX) });
    LANE.with(|lane| {
        if lane.get() == usize::MAX {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let shared = OWN_LANES + number % (LANES - OWN_LANES);
            lane.set(if number < OWN_LANES { number } else { shared });
        }
        lane.get()
    })
}
