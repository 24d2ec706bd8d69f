//! Where there are no pidfds: the sleep is cut short, so a death is noticed by the next sweep.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Watches nothing; wakes ten times a second.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch;

impl DeathWatch {
    /// Nothing to watch.
    pub(crate) fn set(&mut self, _participants: &[((usize, u32), u32)]) {}

    /// Sleeps until `bell` is readable, or `timeout`, or a tenth of a second.
    pub(crate) fn wait(&mut self, bell: BorrowedFd<'_>, timeout: Duration) {
        let timeout = timeout.min(Duration::from_millis(100));
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        let _ = poll(&mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)], Some(&timeout));
    }
}
