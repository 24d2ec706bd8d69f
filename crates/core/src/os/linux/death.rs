//! Instant notice of a death: pidfds. A pidfd may belong to the wrong process (another pid namespace); it only says when to look at
//! the lock file, which decides.

use super::timespec;
use crate::os::unix::Fifo;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Watches a set of processes, keyed by participant.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch {
    watched: HashMap<(usize, u32), Watched>,
}

#[derive(Debug)]
struct Watched {
    pid: u32,
    /// `None`: it has ended, or cannot be watched. Participants of one process share a descriptor.
    fd: Option<Arc<OwnedFd>>,
}

impl DeathWatch {
    /// Watches exactly `participants`: (slot, epoch) and pid. One that cannot be watched is left to the sweep.
    pub(crate) fn set(&mut self, participants: &[((usize, u32), u32)]) {
        self.watched.retain(|key, _| participants.iter().any(|(k, _)| k == key));
        for &(key, pid) in participants {
            if !self.watched.contains_key(&key) {
                let fd = self.shared(pid).or_else(|| open(pid));
                self.watched.insert(key, Watched { pid, fd });
            }
        }
    }

    fn shared(&self, pid: u32) -> Option<Arc<OwnedFd>> {
        self.watched.values().find(|other| other.pid == pid).and_then(|other| other.fd.clone())
    }

    /// Sleeps until a watched process dies, `doorbell` is notified, or `timeout`. May return early for no reason.
    pub(crate) fn wait(&mut self, doorbell: &Fifo, timeout: Duration) {
        let mut pidfds: Vec<_> = self.watched.values().filter_map(|watched| watched.fd.clone()).collect();
        pidfds.sort_unstable_by_key(|fd| fd.as_raw_fd());
        pidfds.dedup_by_key(|fd| fd.as_raw_fd());
        let mut polled: Vec<_> = pidfds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        polled.push(doorbell.poll_fd());
        // An interrupted or failed poll is a reason to look, like any other return.
        let _ = poll(&mut polled, Some(&timespec(timeout)));
        let dead: Vec<_> = pidfds.iter().zip(&polled).filter(|(_, fd)| !fd.revents().is_empty()).collect();
        // A dead process stays readable: its descriptor has done its work, the sweep sees to the rest.
        for watched in self.watched.values_mut() {
            if dead.iter().any(|(fd, _)| watched.fd.as_ref().is_some_and(|watched| Arc::ptr_eq(watched, fd)))
            {
                watched.fd = None;
            }
        }
    }
}

fn open(pid: u32) -> Option<Arc<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok().map(Arc::new)
}
