//! FIFOs as doorbells. Opened for reading and writing by the owner and by those who notify it alike, so neither ever sees a hang-up,
//! nobody needs a descriptor passed, and a death on either side changes nothing.

use super::retry;
use crate::error::{Error, Result};
use crate::os::LoopAddress;
use rustix::event::{PollFd, PollFlags};
use std::os::fd::{IntoRawFd, OwnedFd};

/// One end of a doorbell.
#[derive(Debug)]
pub(crate) struct Doorbell(OwnedFd);

impl Doorbell {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Puts a byte into it. A full one is readable already, so there is nothing to add.
    pub(crate) fn notify(&self) {
        let _ = retry(|| rustix::io::write(&self.0, &[1]));
    }

    /// Takes out the bytes that are in it, or many of them.
    pub(crate) fn drain(&self) {
        let _ = retry(|| rustix::io::read(&self.0, &mut [0_u8; 64]));
    }

    /// What an event loop reads it by: another descriptor.
    pub(crate) fn loop_end(&self) -> Result<LoopEnd> {
        self.0.try_clone().map(LoopEnd).map_err(|e| Error::io("cannot duplicate the doorbell", e))
    }

    pub(in crate::os) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::IN)
    }
}

/// The other end of a doorbell as an event loop takes it: a descriptor, closed when dropped.
#[derive(Debug)]
pub struct LoopEnd(OwnedFd);

impl LoopEnd {
    /// The descriptor, which is the caller's from now on.
    pub fn release(self) -> LoopAddress {
        LoopAddress::Descriptor(self.0.into_raw_fd())
    }
}
