//! Where a participant looks first for a free buffer.

use crate::limits::MAX_SEGMENTS;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::atomic::AtomicBool;

/// Bitmap words between the places where two neighbours start to allocate: two cache lines.
const WORDS_APART: u32 = 16;

/// Where the last allocations of a participant succeeded. Hints: any value is a right one.
#[derive(Debug)]
pub(crate) struct AllocationHints {
    /// Per segment: the bitmap word. Participants start apart, so sub-pools form by themselves and freed buffers are reused while they
    /// are warm.
    words: [AtomicU32; MAX_SEGMENTS],
    /// Per size class (by its logarithm): the segment, so that full ones are not looked at each time.
    segments: [AtomicU32; usize::BITS as usize],
    /// Per size class: what the domain had to give when the last allocation found nothing, as a digest.
    refused: [AtomicU64; usize::BITS as usize],
    /// Per size class: what it had to give when the last allocation of several at once found too few.
    refused_all: [AtomicU64; usize::BITS as usize],
    /// Whether an allocation found nothing for a reason which ends without a word from the domain.
    from_outside: AtomicBool,
}

impl AllocationHints {
    /// Those of a participant in slot `slot` that has not allocated yet.
    pub(crate) fn new(slot: usize) -> Self {
        Self {
            words: core::array::from_fn(|_| AtomicU32::new(slot as u32 * WORDS_APART)),
            segments: core::array::from_fn(|_| AtomicU32::new(0)),
            refused: core::array::from_fn(|_| AtomicU64::new(0)),
            refused_all: core::array::from_fn(|_| AtomicU64::new(0)),
            from_outside: AtomicBool::new(false),
        }
    }

    /// The segment to look in first for a buffer of `class` bytes.
    #[inline]
    pub(crate) fn segment(&self, class: usize) -> usize {
        self.segments[class.ilog2() as usize].load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_segment(&self, class: usize, segment: usize) {
        self.segments[class.ilog2() as usize].store(segment as u32, Ordering::Relaxed);
    }

    /// Remembers that an allocation of `class` bytes found nothing when the domain had `offer` to give.
    pub(crate) fn refuse(&self, class: usize, offer: u64, from_outside: bool) {
        self.refused[class.ilog2() as usize].store(offer, Ordering::Relaxed);
        self.from_outside.store(from_outside, std::sync::atomic::Ordering::Relaxed);
    }

    /// What the domain had to give when an allocation of `class` bytes found nothing.
    pub(crate) fn refused(&self, class: usize) -> u64 {
        self.refused[class.ilog2() as usize].load(Ordering::Relaxed)
    }

    /// Remembers that an allocation of several of `class` bytes found too few when the domain had `offer` to give besides.
    pub(crate) fn refuse_all(&self, class: usize, offer: u64) {
        self.refused_all[class.ilog2() as usize].store(offer, Ordering::Relaxed);
    }

    /// What the domain had to give when an allocation of several of `class` bytes found too few.
    pub(crate) fn refused_all(&self, class: usize) -> u64 {
        self.refused_all[class.ilog2() as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn was_refused_from_outside(&self) -> bool {
        self.from_outside.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The bitmap word to look at first in segment `segment`.
    #[inline]
    pub(crate) fn word(&self, segment: usize) -> usize {
        self.words[segment].load(Ordering::Relaxed) as usize
    }

    #[inline]
    pub(crate) fn set_word(&self, segment: usize, word: usize) {
        self.words[segment].store(word as u32, Ordering::Relaxed);
    }
}
