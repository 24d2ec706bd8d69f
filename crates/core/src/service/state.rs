//! The state of a request: who has run it, and whether it is still wanted.
//!
//! ```text
//! bit  63            48 47          40 39      33   32     31       0
//!     | epoch, low half | slot + 1    | runs      | cancelled | deadline |     in the word `tag` of the buffer's header
//!       of the participant that began the last run
//! ```
//!
//! Servers (a run begins) and the client (it is cancelled) change it with one compare-and-exchange each. Whoever does holds the
//! buffer. A crash leaves the word as before or as after.

use super::ParticipantId;
use crate::buffer::{Buffer, BufferPtr, SharedBufferAllocator};
use crate::error::Result;
use crate::limits::MAX_PARTICIPANTS;
use crate::sync::{AtomicU64, Ordering};

/// Most runs that can be counted.
pub const RUNS_MAX: u32 = 101;

const CANCELLED: u64 = 1 << 32;
const RUNS_SHIFT: u32 = 33;
const RUNS_MASK: u64 = 0x7f;
const SLOT_SHIFT: u32 = 40;
const SLOT_MASK: u64 = 0xff;
const EPOCH_SHIFT: u32 = 48;
/// What of the word is the envelope's, and changes no more once the request is sent.
const ENVELOPE_MASK: u64 = 0xffff_ffff;

/// A participant, as far as a state has room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its slot.
    pub slot: usize,
    /// Low half of its epoch.
    pub epoch_low: u16,
}

impl From<ParticipantId> for Runner {
    fn from(ParticipantId { slot, epoch }: ParticipantId) -> Self {
        Self { slot, epoch_low: epoch as u16 }
    }
}

/// What has become of a request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestState {
    /// Nobody wants it any more: no run begins after this.
    pub cancelled: bool,
    /// Runs begun.
    pub runs: u32,
    /// Who began the last run; `None`: nobody yet, or the word is damaged.
    pub last_run: Option<Runner>,
}

impl RequestState {
    fn of(word: u64) -> Self {
        let slot = (word >> SLOT_SHIFT & SLOT_MASK) as usize;
        Self {
            cancelled: word & CANCELLED != 0,
            runs: (word >> RUNS_SHIFT & RUNS_MASK) as u32,
            last_run: slot
                .checked_sub(1)
                .filter(|slot| *slot < MAX_PARTICIPANTS)
                .map(|slot| Runner { slot, epoch_low: (word >> EPOCH_SHIFT) as u16 }),
        }
    }
}

/// How a server's claim to run a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The run with this number, from 1, is the caller's.
    Run(u32),
    /// The client has cancelled it: there will be no run.
    Cancelled,
    /// It has been run as often as it may be: there will be no other run.
    Exhausted,
}

/// A request by its header: what servers and its client decide about it. Whoever does holds the buffer.
#[derive(Debug)]
pub struct Request<'a>(&'a AtomicU64);

impl Request<'_> {
    /// Begins a run by `server`, unless the request is cancelled or has been run `runs_max` times ([`RUNS_MAX`] at most).
    ///
    /// A cancelled request is never run:
    ///
    /// ```
    /// use millrace::service::{Claim, Envelope};
    /// use millrace::{OpenOptions, QueueOptions, ShmManager};
    ///
    /// # fn main() -> millrace::Result<()> {
    /// # let shm = ShmManager::open(&format!("doc-cancel-{}", std::process::id()), &OpenOptions::default())?;
    /// let mut request = shm.allocate(0)?;
    /// request.set_envelope(&Envelope::request(shm.id(), 1));
    /// let kept = request.share()?;
    /// let queue = shm.requests("service", &QueueOptions::default())?;
    /// queue.try_send(request).expect("there is room");
    ///
    /// assert_eq!(kept.request().cancel().runs, 0, "nobody has begun it, and nobody will");
    /// let request = queue.try_receive()?.0.expect("one was sent");
    /// assert_eq!(request.request().claim(shm.id(), 1), Claim::Cancelled);
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim(&self, server: ParticipantId, runs_max: u32) -> Claim {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let state = RequestState::of(seen);
            if state.cancelled {
                return Claim::Cancelled;
            }
            if state.runs >= runs_max.min(RUNS_MAX) {
                return Claim::Exhausted;
            }
            let run = state.runs + 1;
            let next = seen & ENVELOPE_MASK
                | u64::from(run) << RUNS_SHIFT
                | ((server.slot as u64 + 1) & SLOT_MASK) << SLOT_SHIFT
                | u64::from(server.epoch as u16) << EPOCH_SHIFT;
            // SYNC REQUEST (acq-rel), pairs with itself and `cancel`. Fails only because somebody else has claimed or cancelled: each
            // does so a bounded number of times.
            match self.0.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Claim::Run(run),
                Err(found) => seen = found,
            }
        }
    }

    /// Says that nobody wants the request any more: no run begins after this. Returns the state it was in.
    pub fn cancel(&self) -> RequestState {
        // SYNC REQUEST (acq-rel), as in `claim`.
        RequestState::of(self.0.fetch_or(CANCELLED, Ordering::AcqRel))
    }

    /// What has become of the request so far.
    pub fn state(&self) -> RequestState {
        // SYNC REQUEST (acquire), pairs with `claim` and `cancel`.
        RequestState::of(self.0.load(Ordering::Acquire))
    }
}

impl BufferPtr {
    /// This message as a request of a service, to be claimed or cancelled.
    pub fn request(&self) -> Request<'_> {
        Request(&self.header().tag)
    }
}

impl SharedBufferAllocator {
    /// As [`BufferPtr::request`], for a binding, which names buffers by number.
    ///
    /// # Errors
    /// `NotHeld` when this participant has no reference to the buffer.
    pub fn request(&self, buffer: Buffer) -> Result<Request<'_>> {
        self.message(buffer).map(|message| Request(&message.content.header.tag))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::BufferHeader;

    const SERVER: ParticipantId = ParticipantId { slot: 127, epoch: 0x1234_ffff };

    fn request(header: &BufferHeader) -> Request<'_> {
        Request(&header.tag)
    }

    #[test]
    fn runs_are_counted_up_to_the_limit_and_name_the_runner() {
        let header = BufferHeader::default();
        header.tag.store(0xdead_beef, Ordering::Relaxed);
        assert_eq!(request(&header).state(), RequestState::default());
        for run in 1..=RUNS_MAX {
            assert_eq!(request(&header).claim(SERVER, u32::MAX), Claim::Run(run));
            assert_eq!(request(&header).state().last_run, Some(Runner { slot: 127, epoch_low: 0xffff }));
        }
        assert_eq!(request(&header).claim(SERVER, u32::MAX), Claim::Exhausted);
        assert_eq!(header.tag.load(Ordering::Relaxed) as u32, 0xdead_beef, "the deadline is left alone");
        assert_eq!(request(&header).cancel().runs, RUNS_MAX);
        assert_eq!(request(&header).claim(SERVER, u32::MAX), Claim::Cancelled);
        assert!(request(&header).state().cancelled);
    }

    #[test]
    fn of_a_claim_and_a_cancellation_at_once_one_comes_first() {
        for _ in 0..2000 {
            let header = BufferHeader::default();
            let (cancelled, claimed) = std::thread::scope(|scope| {
                let claimed = scope.spawn(|| request(&header).claim(SERVER, 1));
                (request(&header).cancel(), claimed.join().unwrap())
            });
            assert_eq!(claimed == Claim::Run(1), cancelled.runs == 1, "the client knows whether it is run");
        }
    }

    #[test]
    fn words_that_nobody_writes_name_no_participant() {
        let header = BufferHeader::default();
        header.tag.store(!CANCELLED, Ordering::Relaxed);
        assert_eq!(request(&header).state().last_run, None, "there is no slot 254");
        assert_eq!(request(&header).claim(SERVER, RUNS_MAX), Claim::Exhausted);
    }
}
