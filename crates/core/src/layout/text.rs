//! Short texts in shared memory. Words are atomics, so a racing reader sees old or new bytes but never undefined behaviour.

use super::Shared;
use crate::sync::{AtomicU64, Ordering};

/// UTF-8 text of at most `8 * N - 1` bytes, padded with zeros. Written while the object that carries it is private or
/// under the domain lock; a crash leaves a torn text, which `get` turns into something printable.
#[repr(transparent)]
pub(crate) struct Text<const N: usize>([AtomicU64; N]);

// SAFETY: transparent over an array that is.
unsafe impl<const N: usize> Shared for Text<N> {}

#[cfg(test)]
impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const N: usize> Text<N> {
    /// Stores `text`, cut to what fits on a character boundary.
    pub(crate) fn set(&self, text: &str) {
        let mut end = text.len().min(8 * N - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = text.as_bytes()[..end].chunks(8);
        for word in &self.0 {
            let mut packed = [0; 8];
            if let Some(chunk) = bytes.next() {
                packed[..chunk.len()].copy_from_slice(chunk);
            }
            // Relaxed: whoever publishes the object that carries this text releases it.
            word.store(u64::from_le_bytes(packed), Ordering::Relaxed);
        }
    }

    /// The stored text; bytes that are not UTF-8 are replaced.
    pub(crate) fn get(&self) -> String {
        let mut bytes = Vec::with_capacity(8 * N);
        for word in &self.0 {
            bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the stored text is `text`, without allocating.
    pub(crate) fn is(&self, text: &str) -> bool {
        let text = text.as_bytes();
        text.len() < 8 * N
            && self.0.iter().enumerate().all(|(i, word)| {
                let chunk = text.get(i * 8..).unwrap_or_default();
                let mut packed = [0; 8];
                let n = chunk.len().min(8);
                packed[..n].copy_from_slice(&chunk[..n]);
                word.load(Ordering::Relaxed) == u64::from_le_bytes(packed)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_cut_and_compare() {
        let text = Text([AtomicU64::new(0), AtomicU64::new(0)]);
        text.set("frames");
        assert_eq!(text.get(), "frames");
        assert!(text.is("frames") && !text.is("frame") && !text.is("frames2"));
        text.set("fifteen bytes!!é");
        assert_eq!(text.get(), "fifteen bytes!!", "cut before the character that does not fit");
        assert!(!text.is("fifteen bytes!!é"));
    }
}
