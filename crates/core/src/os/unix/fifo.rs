//! FIFOs as doorbells. Opened for reading and writing by the owner and by those who notify it alike, so neither ever sees a hang-up,
//! nobody needs a descriptor passed, and a death on either side changes nothing.

use super::{Descriptor, retry};
use crate::error::{Error, Result};
use rustix::event::{PollFd, PollFlags};
use std::os::fd::OwnedFd;

/// One end of a doorbell.
#[derive(Debug)]
pub(crate) struct Fifo(OwnedFd);

impl Fifo {
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

    /// Another descriptor of it, for an event loop.
    pub(crate) fn duplicate(&self) -> Result<Descriptor> {
        self.0.try_clone().map_err(|e| Error::io("cannot duplicate the doorbell", e))
    }

    pub(in crate::os) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::IN)
    }
}
