//! Instant notice of a death: descriptors that become readable when a process ends. One may belong to the wrong process (another pid
//! namespace, a number that was given again); it only says when to look at the lock file, which decides.

use super::{Doorbell, timespec};
use crate::os::system::open_death;
use crate::os::watched::Watched;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Watches a set of processes, keyed by participant.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch {
    watched: Watched<OwnedFd>,
}

impl DeathWatch {
    /// Watches exactly `participants`: (slot, epoch) and pid. One that cannot be watched is left to the sweep.
    pub(crate) fn set(&mut self, participants: &[((usize, u32), u32)]) {
        self.watched.set(participants, open);
    }

    /// Sleeps until a watched process dies, `doorbell` is notified, or `timeout`. May return early for no reason.
    pub(crate) fn wait(&mut self, doorbell: &Doorbell, timeout: Duration) {
        let deaths = self.watched.processes();
        let mut polled: Vec<_> = deaths.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        polled.push(doorbell.poll_fd());
        // An interrupted or failed poll is a reason to look, like any other return.
        let _ = poll(&mut polled, Some(&timespec(timeout)));
        let dead = deaths.iter().zip(&polled).filter(|(_, fd)| !fd.revents().is_empty()).map(|(fd, _)| fd);
        // A dead process stays readable.
        self.watched.forget(&dead.collect::<Vec<_>>());
    }
}

fn open(pid: u32) -> Option<OwnedFd> {
    open_death(i32::try_from(pid).ok().and_then(Pid::from_raw)?)
}
