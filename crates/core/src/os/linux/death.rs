//! Instant notice of a death: pidfds. A pidfd may belong to the wrong process (another pid namespace); it only says when to look at
//! the lock file, which decides.

use super::timespec;
use crate::os::unix::Fifo;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Watches a set of processes, keyed by participant.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch {
    /// `None`: it has ended, or cannot be watched.
    watched: HashMap<(usize, u32), Option<OwnedFd>>,
}

impl DeathWatch {
    /// Watches exactly `participants`: (slot, epoch) and pid. One that cannot be watched is left to the sweep.
    pub(crate) fn set(&mut self, participants: &[((usize, u32), u32)]) {
        self.watched.retain(|key, _| participants.iter().any(|(k, _)| k == key));
        for &(key, pid) in participants {
            if self.watched.contains_key(&key) {
                continue;
            }
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            self.watched.insert(key, pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()));
        }
    }

    /// Sleeps until a watched process dies, `bell` is notified, or `timeout`. May return early for no reason.
    pub(crate) fn wait(&mut self, bell: &Fifo, timeout: Duration) {
        let (keys, mut fds): (Vec<_>, Vec<_>) = self
            .watched
            .iter()
            .filter_map(|(key, fd)| {
                Some((*key, PollFd::from_borrowed_fd(fd.as_ref()?.as_fd(), PollFlags::IN)))
            })
            .unzip();
        fds.push(bell.poll_fd());
        // An interrupted or failed poll is a reason to look, like any other return.
        let _ = poll(&mut fds, Some(&timespec(timeout)));
        let dead: Vec<_> = keys
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(key, _)| key)
            .collect();
        // A dead process stays readable: its descriptor has done its work, the sweep sees to the rest.
        for key in dead {
            self.watched.insert(key, None);
        }
    }
}
