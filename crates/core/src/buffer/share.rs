//! What is sent in place of a leased message.

use super::{Buffer, SharedBufferAllocator};
use crate::error::Result;

impl SharedBufferAllocator {
    /// Adds a further reference to each of `buffers` that `is_leased` (by its index): that one is sent, for a lease must not outlive the
    /// reference it stands for, or a death would redeliver a buffer that is somebody else's by then. Once a message is accepted, its lease
    /// is to be acknowledged and a reference released; [`SharedBufferAllocator::release_unsent`] is for the others. A leased reference
    /// counts as our own, as the further one does, so the two have the same number.
    ///
    /// # Errors
    /// As [`SharedBufferAllocator::share`]; what is held is as before.
    pub fn share_for_send(&self, buffers: &[Buffer], is_leased: impl Fn(usize) -> bool) -> Result<()> {
        for at in (0..buffers.len()).filter(|at| is_leased(*at)) {
            if let Err(error) = self.share(buffers[at]) {
                self.release_unsent(&buffers[..at], 0, is_leased);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Releases the further references to those of `buffers` that were not sent: all but the first `accepted`.
    pub fn release_unsent(&self, buffers: &[Buffer], accepted: usize, is_leased: impl Fn(usize) -> bool) {
        let unsent = (accepted..buffers.len()).filter(|at| is_leased(*at)).map(|at| buffers[at]);
        // They are held, so this fails only when the domain has been closed here, and then everything has been released.
        let _ = self.release_all(unsent);
    }
}
