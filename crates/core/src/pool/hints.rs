//! Where a participant looks first for a free buffer.

use crate::limits::MAX_SEGMENTS;
use crate::sync::{AtomicU32, Ordering};

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
}

impl AllocationHints {
    /// Those of a participant in slot `slot` that has not allocated yet.
    pub(crate) fn new(slot: usize) -> Self {
        Self {
            words: core::array::from_fn(|_| AtomicU32::new(slot as u32 * WORDS_APART)),
            segments: core::array::from_fn(|_| AtomicU32::new(0)),
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
